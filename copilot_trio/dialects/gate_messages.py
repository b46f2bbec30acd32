"""What ``/v1/messages`` refuses: the gate's edits for Anthropic's dialect, all but thinking (:mod:`.gate_thinking`).

The table is in :mod:`.gate`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from .chat.render import clamp_effort
from .draft import LEFT_OUT, Draft
from .gate_thinking import forces_tool
from .messages.parse import BILLING_HEADER
from .splice import Value

SYSTEM_ROLE = re.compile(rb'"role"\s*:\s*"system"')
BLANK_TEXT = re.compile(rb'"text"\s*:\s*"(?: |\\[nrt])*+"')
EMPTY_CONTENT = re.compile(rb'"content"\s*:\s*(?:""|\[\s*\])')
HOLLOW = re.compile(rb'"(?:text|content)"\s*:\s*(?:"(?: |\\[nrt])*+"|\[\s*\])')  # either of the two, in one search
RARE = re.compile(rb'"(?:tool_reference|output_config|system)"')
MARK = b'"cache_control"'
THINKS = re.compile(rb'"(?:redacted_)?thinking"')
COMBINATOR = re.compile(rb'"(?:oneOf|anyOf|allOf)"\s*:')

COMBINATORS = {"oneOf", "anyOf", "allOf"}
PLACEHOLDER = "DeferredToolPlaceholder"  # Claude Code's, for nothing but to keep its tool search on
MAX_MARKS = 4
FORMAT_FIELDS = {"type", "schema"}

_encode = msgspec.json.Encoder().encode


# ---- other fields at the top


def context_management(draft: Draft) -> None:
    if not draft.model.supports.context_editing:
        draft.cut_field("context_management")


def output_config(draft: Draft) -> None:
    config = draft.field("output_config")
    if config is None:
        return
    kept = [member for member in draft.members(config) if member.key == "format"]
    at = draft.field("effort", config)
    asked = draft.string(at)
    listed = draft.model.supports.reasoning_effort
    if at is not None and asked is not None and listed:
        kept.append(at)
        if (clamped := clamp_effort(asked, listed)) != asked:
            draft.splice.replace(at, _encode(clamped))
    if not kept:
        draft.cut_field("output_config")
    for member in draft.members(config):
        if member not in kept:
            draft.splice.cut(draft.members(config), member)


def output_format(draft: Draft) -> None:
    """OpenAI's shape of it too, whose schema lies one level deeper."""
    config = draft.field("output_config")
    form = None if config is None else draft.field("format", config)
    if form is None:
        return
    nested = draft.field("json_schema", form)
    schema = None if nested is None else draft.field("schema", nested)
    if schema is not None and draft.field("schema", form) is None:
        draft.splice.replace(form, b'{"type":"json_schema","schema":%b}' % draft.text(schema))
        return
    for member in draft.members(form):
        if member.key not in FORMAT_FIELDS:
            draft.splice.cut(draft.members(form), member)


# ---- tools


def tool_search(draft: Draft) -> None:
    if draft.model.supports.tool_search:
        return
    for tool in draft.holding(draft.tools, b'"defer_loading"', b'"tool_search_tool_'):
        searches = (draft.kind(tool) or "").startswith("tool_search_tool_")
        if searches or draft.string(draft.field("name", tool)) == PLACEHOLDER:
            draft.cut_tool(tool)
        else:
            draft.cut_field("defer_loading", tool)


def tool_reference(draft: Draft) -> None:
    if draft.model.supports.tool_search:
        return
    for message in draft.holding(draft.messages, b'"tool_reference"'):
        for _, block in _blocks(draft, message):
            if draft.kind(block) == "tool_reference":
                name = draft.string(draft.field("tool_name", block)) or ""
                draft.splice.replace(block, _encode({"type": "text", "text": f"Tool {name} is now available."}))


def web_tools(draft: Draft) -> None:
    """Only where the model may do without: a request that forces the search is about nothing else."""
    if draft.settings.web_search or forces_tool(draft):
        return
    for tool in draft.tools:
        if (draft.kind(tool) or "").startswith(("web_search_", "web_fetch_")):
            draft.cut_tool(tool)


def eager_streaming(draft: Draft) -> None:
    for tool in draft.holding(draft.tools, b'"eager_input_streaming"'):
        draft.cut_field("eager_input_streaming", tool)


def missing_schema(draft: Draft) -> None:
    at = draft.field("tools")
    if at is None or draft.body.count(b'"input_schema"', at.value, at.end) >= len(draft.tools):
        return
    for tool in draft.tools:
        named, schema = draft.field("name", tool), draft.field("input_schema", tool)
        if named is not None and schema is None and draft.kind(tool) in {None, "custom"}:
            draft.splice.append(tool, b'"input_schema":{"type":"object","properties":{}}')


def combinators(draft: Draft) -> None:
    """A choice of shapes becomes one shape with the fields of them all: the tool itself knows which go together."""
    for tool in draft.holding(draft.tools, COMBINATOR):
        schema = draft.field("input_schema", tool)
        members = [] if schema is None else draft.members(schema)
        choices = [member for member in members if member.key in COMBINATORS]
        if schema is None or not choices:
            continue
        kept = {member.key: draft.body[member.start : member.end] for member in members if member not in choices}
        if "properties" not in kept:
            kept["properties"] = b'"properties":{%b}' % b",".join(_properties(draft, choices))
        kept.setdefault("type", b'"type":"object"')
        draft.splice.replace(schema, b"{%b}" % b",".join(kept.values()))


def _properties(draft: Draft, choices: list[Value]) -> list[bytes]:
    found: dict[str, bytes] = {}
    for choice in choices:
        for branch in draft.elements(choice):
            at = draft.field("properties", branch)
            for member in [] if at is None else draft.members(at):
                found.setdefault(member.key, draft.body[member.start : member.end])
    return list(found.values())


# ---- the conversation


def system_role(draft: Draft) -> None:
    """The API takes user and assistant only: such a message becomes a user's, marked as what it is."""
    for message in draft.holding(draft.messages, SYSTEM_ROLE):
        role = draft.field("role", message)
        if role is None or draft.string(role) != "system":
            continue
        draft.splice.replace(role, b'"user"')
        content = draft.field("content", message)
        texts = [draft.field("text", block) for block in draft.elements(content)]
        said = [at for at in texts if at is not None and (draft.string(at) or "").strip()]  # a blank one is dropped
        quoted = said or [at for at in (content,) if at is not None and draft.string(at) is not None]
        if quoted:
            draft.splice.insert(quoted[0].value + 1, b"<system-reminder>\\n")
            draft.splice.insert(quoted[-1].end - 1, b"\\n</system-reminder>")


def per_turn_config(draft: Draft) -> None:
    for message in draft.holding(draft.messages, b'"output_config"'):
        draft.cut_field("output_config", message)


def billing_header(draft: Draft) -> None:
    at = draft.field("system")
    if at is None or draft.settings.keep_billing_header:
        return
    for block in draft.holding(draft.system, BILLING_HEADER.encode()):
        if (draft.string(draft.field("text", block)) or "").startswith(BILLING_HEADER):
            draft.drop(at, block)


def blank_text(draft: Draft) -> None:
    at = draft.field("system")
    owners = [(at, block) for block in draft.holding(draft.system, BLANK_TEXT) if at is not None]
    for message in draft.holding(draft.messages, BLANK_TEXT):
        owners += _blocks(draft, message)
    for content, block in owners:
        text = draft.string(draft.field("text", block))
        if text is not None and not text.strip() and draft.kind(block) == "text":
            draft.drop(content, block)


def empty_content(draft: Draft) -> None:
    for message in draft.holding(draft.messages, EMPTY_CONTENT):
        content = draft.field("content", message)
        if content is None or not EMPTY_CONTENT.fullmatch(draft.body, content.start, content.end):
            continue
        if draft.string(content) is None or draft.role(message) != "system":  # whose text gets marks around it
            draft.splice.replace(content, LEFT_OUT)


def prefill(draft: Draft) -> None:
    at = draft.field("messages")
    if at is not None and draft.messages and draft.role(draft.messages[-1]) == "assistant":
        draft.splice.append(at, b'{"role":"user","content":"Continue."}')  # as VS Code does


def _blocks(draft: Draft, owner: Value, sign: bytes = b"") -> Iterator[tuple[Value, Value]]:
    """Every content block of a message in whose text ``sign`` occurs, those inside tool results too, each with the
    array it stands in."""
    content = draft.field("content", owner)
    for block in draft.holding(draft.elements(content), sign):
        if content is not None:
            yield content, block
            yield from _blocks(draft, block, sign)


# ---- cache breakpoints


def cache_scope(draft: Draft) -> None:
    for owner in _marked(draft):
        marker = draft.field("cache_control", owner)
        if marker is not None:
            draft.cut_field("scope", marker)


def cache_on_thinking(draft: Draft) -> None:
    for message in draft.holding([*draft.holding(draft.messages, MARK)], THINKS):
        blocks = draft.elements(draft.field("content", message))
        for block in draft.holding([*draft.holding(blocks, MARK)], THINKS):
            if draft.kind(block) in {"thinking", "redacted_thinking"}:
                draft.cut_field("cache_control", block)


def too_many_marks(draft: Draft) -> None:
    """The latest stay: a longer prefix is worth more."""
    if draft.body.count(MARK) <= MAX_MARKS:
        return
    counted = [owner for owner in _marked(draft) if draft.kind(owner) not in {"thinking", "redacted_thinking"}]
    for owner in counted[:-MAX_MARKS]:
        draft.cut_field("cache_control", owner)


def _marked(draft: Draft) -> Iterator[Value]:
    """What has a breakpoint, in the order in which the provider reads the prompt."""
    owners = [*draft.holding(draft.tools, MARK), *draft.holding(draft.system, MARK)]
    for message in draft.holding(draft.messages, MARK):
        owners += [block for content, block in _blocks(draft, message, MARK) if not draft.is_dropped(content, block)]
    for owner in owners:
        at = draft.field("cache_control", owner)
        if at is not None and draft.text(at) != b"null":
            yield owner
