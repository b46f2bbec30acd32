"""What ``/chat/completions`` refuses: the gate's edits for OpenAI's older dialect. The table is in :mod:`.gate`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

from . import limits
from .chat.render import clamp_effort
from .draft import Draft
from .splice import Value

REPLAYED_REASONING = re.compile(rb'"reasoning(?:_content|_details)?"\s*:')
RARE = re.compile(rb'"(?:reasoning|developer"|padding"|annotations")')
ANSWERS_OWN = ("padding", "annotations")
REPLAYED_ANSWER = re.compile(rb'"(?:%b)"\s*:' % "|".join(ANSWERS_OWN).encode())
MARK = b'"copilot_cache_control":{"type":"ephemeral"}'
MAX_MARKS = 4
WISHES = ("reasoning_effort", "thinking_budget", "thinking", "reasoning")  # to think, in three APIs' words
BUDGETS = {"minimal": 1024, "low": 4096, "medium": 16_384}  # tokens; whatever is above: all that the model has

_encode = msgspec.json.Encoder().encode


# ---- the conversation


def cache_control(draft: Draft) -> None:
    """Anthropic's mark, wherever a client puts it; for Claude it becomes Copilot's own, on the message."""
    if not draft.marked("messages", "tools", "cache_control"):
        return
    sign = b'"cache_control"'
    draft.cut_field("cache_control")
    for tool in draft.holding(draft.tools, sign):
        draft.cut_field("cache_control", tool)
        _cut_within(draft, draft.field("function", tool))
    marked: list[Value] = []
    for message in draft.holding(draft.messages, sign):
        owners = list(_mark_owners(draft, message))
        places = [place for owner in owners if (place := draft.field("cache_control", owner)) is not None]
        for owner in owners:
            draft.cut_field("cache_control", owner)
        if any(draft.text(place) != b"null" for place in places):
            marked.append(message)
    if draft.model.vendor != "Anthropic":
        return
    own = set(draft.holding(draft.messages, b'"copilot_cache_control"'))
    room = MAX_MARKS - len(own)
    for message in [message for message in marked if message not in own][-room:] if room > 0 else []:
        draft.splice.append(message, MARK)


def _mark_owners(draft: Draft, message: Value) -> Iterator[Value]:
    yield message
    yield from draft.elements(draft.field("content", message))
    for call in draft.elements(draft.field("tool_calls", message)):
        yield call
        if (function := draft.field("function", call)) is not None:
            yield function


def _cut_within(draft: Draft, owner: Value | None) -> None:
    if owner is not None:
        draft.cut_field("cache_control", owner)


def replayed_reasoning(draft: Draft) -> None:
    """Other providers' names for it. With its proof beside it the text goes back under Copilot's name; without, it
    proves nothing and is cut, as it is by clients that know Copilot."""
    for message in draft.holding(draft.messages, REPLAYED_REASONING):
        text = draft.field("reasoning_content", message)
        proven = draft.string(draft.field("reasoning_opaque", message))
        if text is not None and proven and draft.string(text) and draft.field("reasoning_text", message) is None:
            draft.splice.rename(text, "reasoning_text")
        else:
            draft.cut_field("reasoning_content", message)
        draft.cut_field("reasoning", message)
        draft.cut_field("reasoning_details", message)


def developer_role(draft: Draft) -> None:
    if limits.is_openai(draft.model) or not draft.model.vendor:
        return
    for message in draft.holding(draft.messages, b'"developer"'):
        role = draft.field("role", message)
        if role is not None and draft.string(role) == "developer":
            draft.splice.replace(role, b'"system"')


def replayed_answer(draft: Draft) -> None:
    """Members of an answer that are none of a request: SDK users send the whole message back."""
    for message in draft.holding(draft.messages, *(b'"%b"' % name.encode() for name in ANSWERS_OWN)):
        for name in ANSWERS_OWN:
            draft.cut_field(name, message)


# ---- fields at the top


def tokens_name(draft: Draft) -> None:
    old = draft.field("max_tokens")
    if old is None or not limits.wants_completion_tokens(draft.model):
        return
    if draft.field("max_completion_tokens") is None:
        draft.splice.rename(old, "max_completion_tokens")
    else:
        draft.cut_field("max_tokens")


def sampling(draft: Draft) -> None:
    if not limits.refuses_sampling(draft.model) or not limits.is_openai(draft.model):
        return
    for value in draft.top:
        if value.key in {"temperature", "top_p"} and draft.decimal(value) not in {None, 1.0}:
            draft.cut_field(value.key)


def reasoning(draft: Draft) -> None:
    """An effort where the model lists some, a budget where it has bounds for one; else nothing."""
    given = [at for name in WISHES if (at := draft.field(name)) is not None]
    if not given:
        return
    wanted = _wanted(draft)
    listed = draft.model.supports.reasoning_effort
    if listed and isinstance(wanted, str):
        new: tuple[str, bytes] | None = ("reasoning_effort", _encode(clamp_effort(wanted, listed)))
    elif wanted not in {None, "none"} and draft.model.supports.max_thinking_budget:
        tokens = BUDGETS.get(wanted, draft.model.supports.max_thinking_budget) if isinstance(wanted, str) else wanted
        fits = limits.thinking_budget(draft.model, tokens or 0, max_tokens(draft))
        new = None if fits is None else ("thinking_budget", b"%d" % fits)
    else:
        new = None
    place = next((at for at in given if new is not None and at.key == new[0]), given[0])
    for at in given:
        if new is None or at != place:
            draft.cut_field(at.key)
    if new is not None:
        if place.key != new[0]:
            draft.splice.rename(place, new[0])
        if draft.text(place) != new[1]:
            draft.splice.replace(place, new[1])


def _wanted(draft: Draft) -> str | int | None:
    """How much: an effort's name or a number of tokens. None where that cannot be had."""
    if forces_tool(draft) and not limits.is_openai(draft.model):
        return None
    nested, thinking = draft.field("reasoning"), draft.field("thinking")
    named, tokens = draft.string(draft.field("reasoning_effort")), draft.number(draft.field("thinking_budget"))
    if named is None and nested is not None:  # as in the Responses API
        named = draft.string(draft.field("effort", nested))
    if named is None and tokens is None and thinking is not None:  # as in Anthropic's
        kind = draft.kind(thinking)
        tokens = draft.number(draft.field("budget_tokens", thinking)) if kind == "enabled" else None
        named = "medium" if kind == "adaptive" or (kind == "enabled" and tokens is None) else None
    if draft.model.supports.reasoning_effort:
        return named or (None if tokens is None else _named(tokens))
    return named if tokens is None else tokens


def _named(tokens: int) -> str:
    return next((name for name, most in BUDGETS.items() if tokens <= most and name != "minimal"), "high")


def forces_tool(draft: Draft) -> bool:
    choice = draft.field("tool_choice")
    return choice is not None and (draft.text(choice)[:1] == b"{" or draft.string(choice) == "required")


def max_tokens(draft: Draft) -> int | None:
    """As it is sent."""
    asked = draft.number(draft.field("max_completion_tokens") or draft.field("max_tokens"))
    most = limits.most_output(draft.model, streams=draft.streams)
    return asked if asked is None or most is None else min(asked, most)
