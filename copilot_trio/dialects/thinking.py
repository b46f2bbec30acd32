"""Thinking switched on where the client says nothing about it (product.md §7).

Not where the client has spoken, were it in another API's words; nor beside a forced tool, where ``max_tokens`` leaves
no room, where the client's own sampling forbids it, or, with a budget, in a conversation that has called tools without.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from copilot_trio.models.model import Model
from copilot_trio.turn import Conversation, Part, Reasoning, RedactedThinking, Thinking, ToolCall

from . import limits, splice
from .chat.render import clamp_effort
from .draft import Draft, GateSettings
from .gate_chat import forces_tool as forces_chat_tool
from .gate_chat import max_tokens as max_chat_tokens
from .gate_thinking import bends_sampling
from .gate_thinking import forces_tool as forces_messages_tool
from .gate_thinking import max_tokens as max_messages_tokens
from .splice import Value

MIN_TOKENS = 2048  # an answer limited to less is not to be thought away
DEFAULT_BUDGET = 16_384  # tokens, where a model has no effort of its own; at most half of what may be written
DEFAULT_EFFORT = "medium"
SPOKEN = {"thinking", "thinking_budget", "reasoning", "reasoning_effort"}
BEGUN = {"thinking", "redacted_thinking"}

# A message that begins with a thought, its members in the usual order; others are walked to.
_BEGUN = re.compile(
    rb'\{\s*(?:"role"\s*:\s*"assistant"\s*,\s*)?'
    rb'"content"\s*:\s*\[\s*\{\s*"type"\s*:\s*"(?:redacted_)?thinking"'
)

_ACTS, _CALLS = b'"tool_use"', b'"tool_calls"'

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
    bent = conversation.temperature not in {None, 1} or (conversation.top_p is not None and conversation.top_p < 0.95)
    if endpoint != "/v1/messages" and supports.reasoning_effort:
        effort = _effort(model)
        if effort is None or (
            endpoint == "/chat/completions" and (conversation.tools if limits.is_openai(model) else bent)
        ):
            return conversation
        return msgspec.structs.replace(conversation, reasoning=Reasoning(True, effort=effort, summary="auto"))
    if bent:
        return conversation
    if endpoint == "/v1/messages" and supports.adaptive_thinking:
        return msgspec.structs.replace(conversation, reasoning=Reasoning(True))
    budget = _budget(model, most)
    if budget is None or _acted_without_thinking(conversation):
        return conversation
    return msgspec.structs.replace(conversation, reasoning=Reasoning(True, budget=budget))


def _acted_without_thinking(conversation: Conversation) -> bool:
    """With a budget, a turn of tools under way must have begun with a thought (peers.md §14 item 3).

    A client that returned no proof once will return none later: were only the newest message asked, thinking would be
    off within each turn and on again at the next, and every change misses the prompt cache.
    """
    return any(
        any(isinstance(part, ToolCall) for part in message.parts) and not any(map(_proves, message.parts))
        for message in conversation.messages
        if message.role == "assistant"
    )


def _proves(part: Part) -> bool:
    """A proof with an ``@`` is a Responses model's, and does not go to a model with a budget."""
    if isinstance(part, Thinking):
        return part.signature != "" and "@" not in part.signature
    return isinstance(part, RedactedThinking)


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
    if budget is None or any(_acts_unthinking(draft, message) for message in draft.holding(draft.messages, _ACTS)):
        return None
    return b'"thinking":{"type":"enabled","budget_tokens":%d}' % budget


def _acts_unthinking(draft: Draft, message: Value) -> bool:
    if _BEGUN.match(draft.body, message.value, message.end) or draft.role(message) != "assistant":
        return False
    blocks = draft.elements(draft.field("content", message))
    return any(draft.kind(block) == "tool_use" for block in blocks) and draft.kind(blocks[0]) not in BEGUN


def _for_chat(draft: Draft) -> bytes | None:
    most = max_chat_tokens(draft)
    if forces_chat_tool(draft) or (most is not None and most < MIN_TOKENS):
        return None
    openai = limits.is_openai(draft.model)
    if not openai and any(bends_sampling(draft, value) for value in draft.top):
        return None
    if draft.model.supports.reasoning_effort:
        if draft.tools and openai:
            return None  # some refuse the two together on this endpoint (peers.md §5.2)
        effort = _effort(draft.model)
        return None if effort is None else b'"reasoning_effort":%b' % _encode(effort)
    budget = _budget(draft.model, most)
    if budget is None or any(_calls_unproven(draft, message) for message in draft.holding(draft.messages, _CALLS)):
        return None
    return b'"thinking_budget":%d' % budget


def _calls_unproven(draft: Draft, message: Value) -> bool:
    return (
        draft.role(message) == "assistant"
        and bool(draft.elements(draft.field("tool_calls", message)))
        and not draft.string(draft.field("reasoning_opaque", message))
    )


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
