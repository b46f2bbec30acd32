"""A chat-completions stream and reply, written from turn events.

Reasoning goes out as ``reasoning_text``, upstream's own name on this route, so that a client sees one name whether its
answer was translated or passed through. Of the clients known, opencode alone is sure to read it, and under that name
too (clients.md §5.3); a second name beside it would double the bytes. A web search has no place here: a citation needs
its position in the text, and what was found is told in the text that follows.
"""

from __future__ import annotations

import msgspec

from copilot_trio.turn import (
    REDACTED,
    AnswerContext,
    Event,
    Finished,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Turn,
    Usage,
)

FINISH_REASONS: dict[StopReason, str] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
DONE = b"data: [DONE]\n\n"
_END = b'},"finish_reason":null}]}\n\n'
_CALL_END = b'}}]},"finish_reason":null}]}\n\n'

_encode = msgspec.json.Encoder().encode


class ChatStreamEncoder:
    """Turn events in, chat-completion chunks out, as bytes. The usage comes last, in a chunk without choices."""

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._flat = flat_tools(context)
        self._arguments = b""  # what stands in front of those of the call under way
        self._proof = Proof()
        self._name_answer("")

    def _name_answer(self, upstream_id: str) -> None:
        """What stands in front of every delta, made once."""
        context = self._context
        self._head = b'data: {"id":%b,"object":"chat.completion.chunk","created":%d,"model":%b,"choices":[' % (
            _encode(answer_id(upstream_id, context)),
            context.created,
            _encode(context.model),
        )
        self._delta = self._head + b'{"index":0,"delta":{'
        self._text = self._delta + b'"content":'
        self._thought = self._delta + b'"reasoning_text":'

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._text + _encode(text) + _END
            case ThinkingDelta(text=text):
                self._proof.think()
                return self._thought + _encode(text) + _END
            case ToolCallDelta(arguments=arguments):
                return self._arguments + _encode(arguments) + _CALL_END
            case ToolCallStarted():
                return self._start_call(event)
            case RefusalDelta(text=text):
                return self._delta + b'"refusal":' + _encode(text) + _END
            case ThinkingSigned(signature=signature):
                self._proof.sign(signature)
                return b""
            case Started(id=upstream_id):
                self._name_answer(upstream_id)
                return self._delta + b'"role":"assistant","content":""' + _END
            case Finished(reason=reason, usage=usage):
                return self._finish(reason, usage)
            case Searched():
                return b""
            case _:
                raise AssertionError(f"unknown turn event {event!r}")

    def _start_call(self, call: ToolCallStarted) -> bytes:
        raw = call.custom and call.name not in self._flat
        form, argument = (b"custom", b"input") if raw else (b"function", b"arguments")
        head = b'%b"tool_calls":[{"index":%d,' % (self._delta, call.index)
        self._arguments = b'%b"%b":{"%b":' % (head, form, argument)
        named = b'"id":%b,"type":"%b","%b":{"name":%b' % (_encode(call.id), form, form, _encode(call.name))
        return b'%b%b,"%b":""%b' % (head, named, argument, _CALL_END)

    def _finish(self, reason: StopReason, usage: Usage) -> bytes:
        proof = self._proof.take()
        opaque = b'"reasoning_opaque":' + _encode(proof) if proof else b""
        finished = b'},"finish_reason":%b}]}\n\n' % _encode(FINISH_REASONS[reason])
        counted = b'],"usage":%b}\n\n' % _encode(usage_fields(usage))
        return self._delta + opaque + finished + self._head + counted + DONE


class Proof:
    """A message has room for one ``reasoning_opaque``, and it proves the whole ``reasoning_text``.

    So it is told at the end, a place where clients know it (upstream.md §7.8), and left out of an answer that thought
    several times: one thought's signature does not fit the text of all, and upstream refuses the next request for it.
    A Responses model's proof holds its thought in itself, so of several the last will do.
    """

    def __init__(self) -> None:
        self._thoughts = 0
        self._signed = True
        self._latest = ""

    def think(self) -> None:
        if self._signed:
            self._thoughts += 1
            self._signed = False

    def sign(self, signature: str) -> None:
        if self._signed:
            self._thoughts += 1
        self._signed = True
        self._latest = signature

    def take(self) -> str:
        return self._latest if self._thoughts == 1 or "@" in self._latest else ""


def render_answer(turn: Turn, context: AnswerContext) -> bytes:
    """A whole reply."""
    message: dict[str, object] = {"role": "assistant", "content": None, "refusal": None}
    proof = Proof()
    texts, thoughts, refusals, calls = [], [], [], []
    flat = flat_tools(context)
    for part in turn.parts:
        match part:
            case Text(text=text):
                texts.append(text)
            case Thinking(text=text, signature=signature):
                thoughts.append(text)
                if text:
                    proof.think()
                if signature:
                    proof.sign(signature)
            case RedactedThinking(data=data):
                proof.sign(REDACTED + data)
            case Refusal(text=text):
                refusals.append(text)
            case ToolCall():
                calls.append(_tool_call(part, flat))
    if texts or not (calls or refusals):
        message["content"] = "".join(texts)
    if refusals:
        message["refusal"] = "".join(refusals)
    if any(thoughts):
        message["reasoning_text"] = "".join(thoughts)
    if opaque := proof.take():
        message["reasoning_opaque"] = opaque
    if calls:
        message["tool_calls"] = calls
    return _encode(
        {
            "id": answer_id(turn.id, context),
            "object": "chat.completion",
            "created": context.created,
            "model": context.model,
            "choices": [{"index": 0, "message": message, "finish_reason": FINISH_REASONS[turn.reason]}],
            "usage": usage_fields(turn.usage),
        }
    )


def _tool_call(call: ToolCall, flat: frozenset[str]) -> dict[str, object]:
    if call.custom and call.name not in flat:
        return {"id": call.id, "type": "custom", "custom": {"name": call.name, "input": call.arguments}}
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def flat_tools(context: AnswerContext) -> frozenset[str]:
    """Custom tools whose calls the client reads as functions with raw text for arguments: Cursor (clients.md §7)."""
    return frozenset(tool.name for tool in context.conversation.tools if tool.flat)


def answer_id(upstream_id: str, context: AnswerContext) -> str:
    """Ours where there is a seed: upstream's may be hundreds of bytes, and stands in every chunk."""
    stem = context.seed or upstream_id
    return stem if stem.startswith("chatcmpl-") else f"chatcmpl-{stem}"


def usage_fields(usage: Usage) -> dict[str, object]:
    """OpenAI counts what the cache gave among the prompt's tokens, and reasoning among the completion's."""
    prompt = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens
    return {
        "prompt_tokens": prompt,
        "completion_tokens": usage.output_tokens,
        "total_tokens": prompt + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }
