"""Thinking in Anthropic's dialect: what the gate does with the wish for it, with replayed blocks, and with sampling."""

from __future__ import annotations

import msgspec

from . import limits
from .draft import Draft
from .splice import Value

FIELDS = {"enabled": {"type", "budget_tokens", "display"}, "adaptive": {"type", "display"}, "disabled": {"type"}}
ON = {"enabled", "adaptive"}

_encode = msgspec.json.Encoder().encode


class Thinking(msgspec.Struct, frozen=True):
    """What is sent of the client's ``thinking``: ``kind`` None where it is cut."""

    kind: str | None
    budget: int | None = None

    @property
    def on(self) -> bool:
        return self.kind in ON


def decide_thinking(draft: Draft) -> Thinking:
    at = draft.field("thinking")
    kind = None if at is None else draft.kind(at)
    if at is None or kind not in ON:
        return Thinking(kind)
    if forces_tool(draft):
        return Thinking(None)
    supports = draft.model.supports
    if kind == "adaptive" and supports.adaptive_thinking:
        return Thinking("adaptive")
    if kind == "enabled" and not limits.knows_budgets(draft.model):
        return Thinking("adaptive" if supports.adaptive_thinking else None)
    asked = supports.max_thinking_budget if kind == "adaptive" else draft.number(draft.field("budget_tokens", at))
    if asked is None:
        return Thinking("enabled")
    budget = limits.thinking_budget(draft.model, asked, max_tokens(draft))
    if budget is None or _lost_its_thinking(draft):
        return Thinking(None)
    return Thinking("enabled", budget)


def forces_tool(draft: Draft) -> bool:
    choice = draft.field("tool_choice")
    return choice is not None and draft.kind(choice) in {"any", "tool"}


def max_tokens(draft: Draft) -> int | None:
    """As it is sent."""
    asked = draft.number(draft.field("max_tokens"))
    most = limits.most_output(draft.model, streams=draft.streams)
    return asked if asked is None or most is None else min(asked, most)


def wish(draft: Draft) -> None:
    at = draft.field("thinking")
    if at is None:
        return
    kind = draft.kind(at)
    new = decide_thinking(draft)
    if new.kind is None:
        if kind in ON:
            draft.cut_field("thinking")
    elif new.kind != kind:
        budget = b"" if new.budget is None else b',"budget_tokens":%d' % new.budget
        draft.splice.replace(at, b'{"type":%b%b}' % (_encode(new.kind), budget))
    elif new.kind in FIELDS:
        for member in draft.members(at):
            if member.key not in FIELDS[new.kind]:
                draft.splice.cut(draft.members(at), member)
        budget_at = draft.field("budget_tokens", at)
        if new.budget is not None and budget_at is not None and draft.number(budget_at) != new.budget:
            draft.splice.replace(budget_at, b"%d" % new.budget)


def display(draft: Draft) -> None:
    at = draft.field("thinking")
    if at is not None and draft.string(draft.field("display", at)) != "summarized":
        draft.cut_field("display", at)


def sampling(draft: Draft) -> None:
    refuses = limits.refuses_sampling(draft.model)
    if not refuses and not decide_thinking(draft).on:
        return
    for value in draft.top:
        if bends_sampling(draft, value, strictly=refuses):
            draft.cut_field(value.key)


def bends_sampling(draft: Draft, value: Value, *, strictly: bool = False) -> bool:
    """Is it a sampling parameter that does not go with thinking? ``strictly``: whatever its value."""
    given = draft.decimal(value) if value.key in {"temperature", "top_p", "top_k"} else None
    if given is None:
        return False
    harmless = (value.key == "temperature" and given == 1) or (value.key == "top_p" and given >= 0.95)
    return strictly or not harmless


def foreign_blocks(draft: Draft) -> None:
    for content, block in draft.foreign_thinking:
        draft.drop(content, block)


def _lost_its_thinking(draft: Draft) -> bool:
    """Is thinking cut out of a turn under way? With a budget, such a turn must begin with it (peers.md §14 item 3)."""
    turn = under_way(draft) if draft.foreign_thinking else None
    return any(content == turn for content, _ in draft.foreign_thinking)


def under_way(draft: Draft) -> Value | None:
    """The content of the assistant's newest message, if that calls tools."""
    turn = next((message for message in reversed(draft.messages) if draft.role(message) == "assistant"), None)
    content = None if turn is None else draft.field("content", turn)
    return content if any(draft.kind(block) == "tool_use" for block in draft.elements(content)) else None
