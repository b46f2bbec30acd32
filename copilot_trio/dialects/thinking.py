"""Thinking switched on where the client says nothing about it (product.md §7).

Not where the client has spoken, were it in another API's words; nor beside a forced tool, where ``max_tokens`` leaves
no room, where the client's own sampling forbids it, or in a turn under way that began without any.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from copilot_trio.models.model import Model
from copilot_trio.turn import Conversation, Reasoning, RedactedThinking, Thinking, ToolCall

from . import limits, splice
from .chat.render import clamp_effort
from .draft import Draft, GateSettings
from .gate_chat import forces_tool as forces_chat_tool
from .gate_chat import max_tokens as max_chat_tokens
from .gate_thinking import bends_sampling, under_way
from .gate_thinking import forces_tool as forces_messages_tool
from .gate_thinking import max_tokens as max_messages_tokens
from .splice import Value

MIN_TOKENS = 2048  # an answer limited to less is not to be thought away
DEFAULT_BUDGET = 16_384  # tokens, where a model has no effort of its own; at most half of what may be written
DEFAULT_EFFORT = "medium"
SPOKEN = {"thinking", "thinking_budget", "reasoning", "reasoning_effort"}

_encode = msgspec.json.Encoder().encode


def auto_thinking(body: bytes, endpoint: str, model: Model, sent: bytes | None = None) -> bytes:
    """``body`` with one member more at its end, or the same object where thinking is not to be switched on.

    ``body`` has passed the gate; ``sent`` is what the client sent, where that differs: the gate may have cut its word
    about thinking, which counts all the same.
    """
    add = _ADDED.get(endpoint)
    if add is None or not _can_think(model, endpoint) or (sent is not None and sent is not body and _spoke(sent)):
        return body
    draft = Draft(body, model, GateSettings())
    if any(value.key in SPOKEN for value in draft.top):
        return body
    member = add(draft)
    if member is not None:
        draft.splice.append(draft.root, member)
    return draft.finish()


def auto_reasoning(conversation: Conversation, endpoint: str, model: Model) -> Conversation:
    """The same for a request that is translated: ``endpoint`` is upstream's."""
    choice, most = conversation.tool_choice, conversation.max_tokens
    if (
        conversation.reasoning != Reasoning()
        or not _can_think(model, endpoint)
        or (choice is not None and choice.mode in {"any", "tool"})
        or (most is not None and most < MIN_TOKENS)
    ):
        return conversation
    supports = model.supports
    if endpoint != "/v1/messages" and supports.reasoning_effort:
        effort = _effort(model)
        if effort is None or (endpoint == "/chat/completions" and conversation.tools and limits.is_openai(model)):
            return conversation
        return msgspec.structs.replace(conversation, reasoning=Reasoning(True, effort=effort, summary="auto"))
    if conversation.temperature not in {None, 1} or (conversation.top_p or 1) < 0.95:
        return conversation
    if endpoint == "/v1/messages" and supports.adaptive_thinking:
        return msgspec.structs.replace(conversation, reasoning=Reasoning(True))
    budget = _budget(model, most)
    if budget is None or _acted_without_thinking(conversation):
        return conversation
    return msgspec.structs.replace(conversation, reasoning=Reasoning(True, budget=budget))


def _acted_without_thinking(conversation: Conversation) -> bool:
    """With a budget, a turn of tools under way must have begun with a thought (peers.md §14 item 3)."""
    turn = next((message for message in reversed(conversation.messages) if message.role == "assistant"), None)
    parts = turn.parts if turn else ()
    return any(isinstance(part, ToolCall) for part in parts) and not any(
        isinstance(part, RedactedThinking) or (isinstance(part, Thinking) and part.signature) for part in parts
    )


def _can_think(model: Model, endpoint: str) -> bool:
    supports = model.supports
    if endpoint == "/v1/messages":
        return supports.adaptive_thinking or limits.knows_budgets(model)
    if endpoint == "/chat/completions":
        return bool(supports.reasoning_effort) or supports.max_thinking_budget > 0
    return endpoint == "/responses" and bool(supports.reasoning_effort)


def _spoke(sent: bytes) -> bool:
    if not any(b'"%b"' % name.encode() in sent for name in SPOKEN):
        return False
    return any(value.key in SPOKEN for value in splice.members(sent, splice.whole(sent)))


def _effort(model: Model) -> str | None:
    effort = clamp_effort(DEFAULT_EFFORT, model.supports.reasoning_effort)
    return None if effort == "none" else effort


def _budget(model: Model, max_tokens: int | None) -> int | None:
    if max_tokens is None:
        return limits.thinking_budget(model, DEFAULT_BUDGET, limits.most_output(model, streams=False))
    half = max_tokens // 2
    budget = limits.thinking_budget(model, min(DEFAULT_BUDGET, half), max_tokens)
    return budget if budget is not None and budget <= half else None


def _for_messages(draft: Draft) -> bytes | None:
    most = max_messages_tokens(draft)
    if forces_messages_tool(draft) or (most is not None and most < MIN_TOKENS):
        return None
    if any(bends_sampling(draft, value) for value in draft.top):
        return None
    if draft.model.supports.adaptive_thinking:
        return b'"thinking":{"type":"adaptive"}'
    budget = _budget(draft.model, most)
    turn = under_way(draft) if budget is not None and b'"tool_use"' in draft.body else None
    begins_with = None if turn is None else draft.kind(draft.elements(turn)[0])
    if budget is None or (turn is not None and begins_with not in {"thinking", "redacted_thinking"}):
        return None
    return b'"thinking":{"type":"enabled","budget_tokens":%d}' % budget


def _for_chat(draft: Draft) -> bytes | None:
    most = max_chat_tokens(draft)
    if forces_chat_tool(draft) or (most is not None and most < MIN_TOKENS):
        return None
    if draft.model.supports.reasoning_effort:
        if draft.tools and limits.is_openai(draft.model):
            return None  # some refuse the two together on this endpoint (peers.md §5.2)
        effort = _effort(draft.model)
        return None if effort is None else b'"reasoning_effort":%b' % _encode(effort)
    if any(bends_sampling(draft, value) for value in draft.top):
        return None
    turn = next((message for message in reversed(draft.messages) if draft.role(message) == "assistant"), None)
    if turn is not None and draft.elements(draft.field("tool_calls", turn)) and not _proven(draft, turn):
        return None
    budget = _budget(draft.model, most)
    return None if budget is None else b'"thinking_budget":%d' % budget


def _proven(draft: Draft, turn: Value) -> bool:
    return bool(draft.string(draft.field("reasoning_opaque", turn)))


def _for_responses(draft: Draft) -> bytes | None:
    most = draft.number(draft.field("max_output_tokens"))
    effort = _effort(draft.model)
    if effort is None or forces_chat_tool(draft) or (most is not None and most < MIN_TOKENS):
        return None
    return b'"reasoning":{"effort":%b,"summary":"auto"}' % _encode(effort)


_ADDED: dict[str, Callable[[Draft], bytes | None]] = {
    "/v1/messages": _for_messages,
    "/chat/completions": _for_chat,
    "/responses": _for_responses,
}
