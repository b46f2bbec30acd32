"""What ``/responses`` refuses: the gate's edits for OpenAI's newer dialect. The table is in :mod:`.gate`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from . import limits, splice
from .chat.render import clamp_effort
from .draft import Draft
from .responses.wire import FOREIGN
from .splice import Value

DETAILS = {"auto", "low", "high", "original"}
REASONING_FIELDS = {"effort", "summary", "generate_summary", "context"}
MAX_OUR_ID = 64  # characters; upstream's own ids have over 400 (upstream.md §0.1)

_SECRET_KIND = re.compile(rb'"type"\s*:\s*"(?:reasoning|compaction)')
_SECRET = re.compile(rb'"encrypted_content"\s*:\s*("[^"\\]*")')
_ID = re.compile(rb'"id"\s*:\s*("[^"\\]*"|null)')

_encode = msgspec.json.Encoder().encode


# ---- fields at the top


def reasoning(draft: Draft) -> None:
    at = draft.field("reasoning")
    if at is None:
        return
    listed = draft.model.supports.reasoning_effort
    if not listed:
        draft.cut_field("reasoning")
        return
    for member in draft.members(at):
        if member.key not in REASONING_FIELDS:
            draft.splice.cut(draft.members(at), member)
    effort = draft.field("effort", at)
    asked = draft.string(effort)
    if effort is not None and asked is not None and (clamped := clamp_effort(asked, listed)) != asked:
        draft.splice.replace(effort, _encode(clamped))


def sampling(draft: Draft) -> None:
    if not limits.refuses_sampling(draft.model):
        return
    for value in draft.top:
        if value.key in {"temperature", "top_p"} and draft.decimal(value) not in {None, 1.0}:
            draft.cut_field(value.key)


def max_output_tokens(draft: Draft) -> None:
    at = draft.field("max_output_tokens")
    asked = draft.number(at)
    if at is None or asked is None:
        return
    if asked <= 0:
        draft.cut_field("max_output_tokens")
        return
    most = limits.most_output(draft.model, streams=draft.streams) or asked
    allowed = max(min(asked, most), limits.MIN_OUTPUT)
    if allowed != asked:
        draft.splice.replace(at, b"%d" % allowed)


def web_search(draft: Draft) -> None:
    if draft.settings.web_search:
        return
    for tool in draft.holding(draft.tools, b'"web_search'):
        if _searches(draft, tool):
            draft.cut_tool(tool)
    choice = draft.field("tool_choice")
    if choice is None:
        return
    allowed = draft.elements(draft.field("tools", choice))
    searches = [tool for tool in allowed if _searches(draft, tool)]
    if _searches(draft, choice) or (searches and len(searches) == len(allowed)):
        draft.cut_field("tool_choice")
    for tool in searches:
        draft.splice.cut(allowed, tool)


def _searches(draft: Draft, at: Value) -> bool:
    return (draft.kind(at) or "").startswith("web_search")


# ---- items


def our_ids(draft: Draft) -> None:
    """What clients replay of encrypted items: the id that :mod:`.responses.pins` put into the secret is itself again.

    A short id that came without is another provider's, or an older one of ours, and is cut; so is the whole item where
    the secret is another API's proof: upstream could verify neither.
    """
    for item in draft.holding(draft.items, b'"encrypted_content"'):
        secret, identifier = _secret_and_id(draft, item)
        if secret is None or not _SECRET_KIND.search(draft.body, item.value, item.end):
            continue
        text = splice.text_of(draft.body, secret)
        content, at, real = text[1:-1].rpartition(b"@")
        if text.startswith(b'"' + FOREIGN.encode()):
            draft.splice.cut(draft.items, item)
        elif at:
            draft.splice.replace(secret, b'"%b"' % content)
            if identifier is None:
                draft.splice.insert(item.value + 1, b'"id":"%b",' % real)
            else:
                draft.splice.replace(identifier, b'"%b"' % real)
        elif identifier is not None and identifier.end - identifier.value - 2 <= MAX_OUR_ID:
            draft.cut_field("id", item)


def _secret_and_id(draft: Draft, item: Value) -> tuple[Value | None, Value | None]:
    """Without a walk where each key occurs once: in JSON a quote within a string is escaped."""
    text = draft.body[item.value : item.end]
    ids = text.count(b'"id"')
    secret, identifier = _SECRET.search(text), _ID.search(text)
    if text.count(b'"encrypted_content"') > 1 or ids > 1 or (identifier is None and ids):
        return draft.field("encrypted_content", item), draft.field("id", item)
    return _place(secret, item), _place(identifier, item)


def _place(found: re.Match[bytes] | None, item: Value) -> Value | None:
    if found is None:
        return None
    return Value(item.value + found.start(), item.value + found.start(1), item.value + found.end(1))


def custom_calls(draft: Draft) -> None:
    """A freeform tool's calls that a client replays as a function's, with the raw text for arguments: Cursor."""
    custom = _tool_names(draft, "custom") - _tool_names(draft, "function")
    if not custom:
        return
    calls: set[str] = set()
    for item in draft.holding(draft.items, *(_encode(name) for name in custom)):
        kind, arguments = draft.field("type", item), draft.field("arguments", item)
        if (
            kind is None
            or draft.string(kind) != "function_call"
            or draft.string(draft.field("name", item)) not in custom
        ):
            continue
        calls.add(draft.string(draft.field("call_id", item)) or "")
        draft.splice.replace(kind, b'"custom_tool_call"')
        draft.cut_field("id", item)  # its prefix would name the wrong kind
        if arguments is not None:
            draft.splice.rename(arguments, "input")
    for item in draft.holding(draft.items, b'"function_call_output"') if calls else ():
        kind = draft.field("type", item)
        answers = draft.string(kind) == "function_call_output" and draft.string(draft.field("call_id", item)) in calls
        if kind is not None and answers:
            draft.splice.replace(kind, b'"custom_tool_call_output"')
            draft.cut_field("id", item)


def _tool_names(draft: Draft, kind: str) -> set[str]:
    return {draft.string(draft.field("name", tool)) or "" for tool in draft.tools if draft.kind(tool) == kind}


def image_detail(draft: Draft) -> None:
    for item in draft.holding(draft.items, b'"detail"'):
        for part in _parts(draft, item):
            detail = draft.field("detail", part)
            if detail is not None and draft.kind(part) == "input_image" and draft.string(detail) not in DETAILS:
                draft.splice.replace(detail, b'"auto"')


def passthrough_metadata(draft: Draft) -> None:
    for item in draft.holding(draft.items, b'"internal_chat_message_metadata_passthrough"'):
        draft.cut_field("internal_chat_message_metadata_passthrough", item)


def cache_control(draft: Draft) -> None:
    if not draft.marked("input", "tools", "cache_control"):
        return
    sign = b'"cache_control"'
    draft.cut_field("cache_control")
    for tool in draft.holding(draft.tools, sign):
        draft.cut_field("cache_control", tool)
    for item in draft.holding(draft.items, sign):
        for owner in (item, *_parts(draft, item)):
            draft.cut_field("cache_control", owner)


def _parts(draft: Draft, item: Value) -> Iterator[Value]:
    for name in ("content", "output"):
        yield from draft.elements(draft.field(name, item))
