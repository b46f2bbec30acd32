"""The field gate: what clients send and Copilot refuses is cut out or mapped, and nothing else is touched.

One table, :data:`RULES`: field, endpoint, reason, source. Each rule looks for its literal first, which costs
microseconds, and only then walks the text. Edits go by byte offsets (:mod:`.splice`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import msgspec

from copilot_trio.models.model import Model

from . import splice
from .chat.render import clamp_effort
from .messages.parse import BILLING_HEADER
from .splice import Splice, Value

_encode = msgspec.json.Encoder().encode


class GateSettings(msgspec.Struct, frozen=True):
    """``keep_billing_header``: leave Claude Code's attribution block in the prompt, though it spoils the cache."""

    keep_billing_header: bool = False


class Draft:
    """A request body under edit, with the places that rules ask for."""

    def __init__(self, body: bytes, model: Model, settings: GateSettings) -> None:
        self.body = body
        self.model = model
        self.settings = settings
        self.splice = Splice(body)
        self._members: dict[int, list[Value]] = {}

    @cached_property
    def top(self) -> list[Value]:
        return splice.members(self.body, splice.whole(self.body))

    def members(self, of: Value) -> list[Value]:
        """One list per object, so that cuts by several rules know of each other."""
        found = self._members.get(of.value)
        if found is None:
            found = self._members[of.value] = splice.members(self.body, of)
        return found

    def field(self, name: str, of: Value | None = None) -> Value | None:
        siblings = self.top if of is None else self.members(of)
        return next((value for value in reversed(siblings) if value.key == name), None)

    def cut_field(self, name: str, of: Value | None = None) -> None:
        siblings = self.top if of is None else self.members(of)
        for value in siblings:
            if value.key == name:
                self.splice.cut(siblings, value)

    def string(self, at: Value | None) -> str | None:
        return splice.string_at(self.body, at)

    def number(self, at: Value | None) -> int | None:
        if at is None:
            return None
        text = splice.text_of(self.body, at)
        return int(text) if text.isdigit() else None

    def elements(self, of: Value | None) -> list[Value]:
        return [] if of is None else splice.elements(self.body, of)

    @cached_property
    def messages(self) -> list[Value]:
        return self.elements(self.field("messages"))

    @cached_property
    def system(self) -> list[Value]:
        return self.elements(self.field("system"))

    @cached_property
    def tools(self) -> list[Value]:
        return self.elements(self.field("tools"))

    @cached_property
    def blocks(self) -> list[Value]:
        """Every content block of every message, those inside tool results too."""
        return [block for message in self.messages for block in self._blocks_in(message)]

    def _blocks_in(self, owner: Value) -> Iterator[Value]:
        for block in self.elements(self.field("content", owner)):
            yield block
            yield from self._blocks_in(block)


# ---- /v1/messages


def _safeguards(draft: Draft) -> None:
    draft.cut_field("safeguards")


def _inference_geo(draft: Draft) -> None:
    draft.cut_field("inference_geo")


def _context_management(draft: Draft) -> None:
    if not draft.model.supports.context_editing:
        draft.cut_field("context_management")


def _thinking_display(draft: Draft) -> None:
    thinking = draft.field("thinking")
    if thinking is not None and draft.string(draft.field("display", thinking)) not in {None, "summarized"}:
        draft.cut_field("display", thinking)


def _thinking_kind(draft: Draft) -> None:
    """Adaptive thinking for a model that knows only budgets, and budgets out of the model's bounds."""
    thinking = draft.field("thinking")
    if thinking is None:
        return
    kind = draft.string(draft.field("type", thinking))
    at = draft.field("budget_tokens", thinking)
    asked = draft.number(at)
    supports = draft.model.supports
    if kind == "adaptive" and not supports.adaptive_thinking:
        budget = _budget(draft, supports.max_thinking_budget)
        if budget is None:
            draft.cut_field("thinking")
        else:
            draft.splice.replace(thinking, b'{"type":"enabled","budget_tokens":%d}' % budget)
    elif kind == "enabled" and at is not None and asked is not None and supports.max_thinking_budget:
        budget = _budget(draft, asked)
        if budget is None:
            draft.cut_field("thinking")
        elif budget != asked:
            draft.splice.replace(at, b"%d" % budget)


def _budget(draft: Draft, wanted: int) -> int | None:
    """Within the model's bounds and below ``max_tokens``; None if there is no room for the least one."""
    supports = draft.model.supports
    max_tokens = draft.number(draft.field("max_tokens"))
    ceiling = supports.max_thinking_budget if max_tokens is None else min(supports.max_thinking_budget, max_tokens - 1)
    budget = max(min(wanted, ceiling), supports.min_thinking_budget)
    return budget if 0 < budget <= ceiling else None


def _effort(draft: Draft) -> None:
    config = draft.field("output_config")
    if config is None:
        return
    at = draft.field("effort", config)
    asked = draft.string(at)
    if at is None or asked is None:
        return
    listed = draft.model.supports.reasoning_effort
    if not listed:
        if len(draft.members(config)) == 1:
            draft.cut_field("output_config")
        else:
            draft.cut_field("effort", config)
    elif (clamped := clamp_effort(asked, listed)) != asked:
        draft.splice.replace(at, _encode(clamped))


def _defer_loading(draft: Draft) -> None:
    if not draft.model.supports.tool_search:
        for tool in draft.tools:
            draft.cut_field("defer_loading", tool)


def _tool_reference(draft: Draft) -> None:
    if draft.model.supports.tool_search:
        return
    for block in draft.blocks:
        if draft.string(draft.field("type", block)) == "tool_reference":
            name = draft.string(draft.field("tool_name", block)) or ""
            draft.splice.replace(block, _encode({"type": "text", "text": f"Tool {name} is now available."}))


def _system_role(draft: Draft) -> None:
    """The API takes user and assistant only: such a message becomes a user's, marked as what it is."""
    for message in draft.messages:
        role = draft.field("role", message)
        if role is None or draft.string(role) != "system":
            continue
        draft.splice.replace(role, b'"user"')
        draft.cut_field("output_config", message)
        content = draft.field("content", message)
        texts = [draft.field("text", block) for block in draft.elements(content)]
        quoted = [at for at in (texts or [content]) if draft.string(at) is not None and at is not None]
        if quoted:
            draft.splice.insert(quoted[0].value + 1, b"<system-reminder>\\n")
            draft.splice.insert(quoted[-1].end - 1, b"\\n</system-reminder>")


def _billing_header(draft: Draft) -> None:
    if draft.settings.keep_billing_header:
        return
    for block in draft.system:
        if (draft.string(draft.field("text", block)) or "").startswith(BILLING_HEADER):
            draft.splice.cut(draft.system, block)


def _cache_scope(draft: Draft) -> None:
    for owner in [*draft.system, *draft.tools, *draft.blocks]:
        marker = draft.field("cache_control", owner)
        if marker is not None:
            draft.cut_field("scope", marker)


def _cache_on_thinking(draft: Draft) -> None:
    for block in draft.blocks:
        if draft.string(draft.field("type", block)) in {"thinking", "redacted_thinking"}:
            draft.cut_field("cache_control", block)


class Rule(msgspec.Struct, frozen=True):
    field: str
    endpoint: str
    reason: str
    source: str
    literals: tuple[bytes, ...]  # all must occur in the body, or there is nothing to do
    edit: Callable[[Draft], None]


RULES: tuple[Rule, ...] = (
    Rule("safeguards", "/v1/messages", "unknown upstream; holds local paths and rules", "clients.md §2.2",
         (b'"safeguards"',), _safeguards),
    Rule("context_management", "/v1/messages", "refused unless the model lists context_editing", "upstream.md §10.1",
         (b'"context_management"',), _context_management),
    Rule("inference_geo", "/v1/messages", "refused", "upstream.md §10.1", (b'"inference_geo"',), _inference_geo),
    Rule("thinking.display", "/v1/messages", "only `summarized` is known upstream", "upstream.md §10.1",
         (b'"display"', b'"thinking"'), _thinking_display),
    Rule("thinking", "/v1/messages", "adaptive needs adaptive_thinking; budgets have bounds", "upstream.md §10.1",
         (b'"thinking"',), _thinking_kind),
    Rule("output_config.effort", "/v1/messages", "refused unless the model lists it", "upstream.md §10.1",
         (b'"output_config"', b'"effort"'), _effort),
    Rule("tools[].defer_loading", "/v1/messages", "needs tool search", "upstream.md §10.1",
         (b'"defer_loading"',), _defer_loading),
    Rule("tool_reference", "/v1/messages", "needs tool search", "clients.md §3.4",
         (b'"tool_reference"',), _tool_reference),
    Rule('messages[].role "system"', "/v1/messages", "only user and assistant are accepted", "clients.md §2.2",
         (b'"system"', b'"role"'), _system_role),
    Rule("system: x-anthropic-billing-header", "/v1/messages", "changes with every prompt, spoils the cache",
         "product.md §5.9", (BILLING_HEADER.encode(),), _billing_header),
    Rule("cache_control.scope", "/v1/messages", "refused", "peers.md §6.1", (b'"cache_control"', b'"scope"'),
         _cache_scope),
    Rule("cache_control on thinking", "/v1/messages", "refused", "upstream.md §10.1",
         (b'"cache_control"', b'thinking"', b'"assistant"'), _cache_on_thinking),
)  # fmt: skip

# Which anthropic-beta values upstream knows (upstream.md §4.1), and what of the model each needs.
BETA_PREFIXES: dict[str, Callable[[Model], bool]] = {
    "interleaved-thinking-": lambda model: not model.supports.adaptive_thinking,
    "context-management-": lambda model: model.supports.context_editing,
    "advanced-tool-use-": lambda model: model.supports.tool_search,
    "extended-cache-ttl-": lambda _: True,
}


def pass_gate(body: bytes, endpoint: str, model: Model, settings: GateSettings, rename: bool) -> bytes:
    """The body as upstream takes it; the same object where nothing needs to change. The body must be valid JSON."""
    draft = Draft(body, model, settings)
    if rename:
        for value in draft.top:
            if value.key == "model":
                draft.splice.replace(value, _encode(model.id))
    for rule in RULES:
        if rule.endpoint == endpoint and all(literal in body for literal in rule.literals):
            rule.edit(draft)
    return draft.splice.apply() if draft.splice else body


def pass_betas(header: str | None, model: Model) -> str | None:
    """The ``anthropic-beta`` values that upstream and the model know; None where nothing is left."""
    if not header:
        return None
    values = [value.strip() for value in header.split(",")]
    known = [
        value
        for value in values
        if any(value.startswith(prefix) and wanted(model) for prefix, wanted in BETA_PREFIXES.items())
    ]
    return ",".join(known) or None


def without_thinking(body: bytes) -> bytes:
    """All assistant thinking cut out, in either dialect: the one repair for a signature that upstream refuses.

    upstream.md §12 row 14.
    """
    edit = Splice(body)
    messages = splice.member(body, splice.whole(body), "messages")
    for message in [] if messages is None else splice.elements(body, messages):
        fields = splice.members(body, message)
        for field in fields:
            if field.key in {"reasoning_text", "reasoning_opaque"}:
                edit.cut(fields, field)
        content = next((field for field in reversed(fields) if field.key == "content"), None)
        blocks = [] if content is None else splice.elements(body, content)
        unwanted = [block for block in blocks if _is_thinking(body, block)]
        if unwanted and len(unwanted) == len(blocks) and content is not None:
            edit.replace(content, b'[{"type":"text","text":"(thinking left out)"}]')
            continue
        for block in unwanted:
            edit.cut(blocks, block)
    return edit.apply() if edit else body


def _is_thinking(body: bytes, block: Value) -> bool:
    return splice.string_at(body, splice.member(body, block, "type")) in {"thinking", "redacted_thinking"}
