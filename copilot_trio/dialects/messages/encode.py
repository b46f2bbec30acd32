"""An Anthropic Messages stream and reply, written from turn events."""

from __future__ import annotations

import re

import msgspec

from copilot_trio.turn import (
    AnswerContext,
    Event,
    Finished,
    RedactedThinking,
    Started,
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
from copilot_trio.unreadable import UNREADABLE

_encode = msgspec.json.Encoder().encode
_FOREIGN = re.compile(r"[^a-zA-Z0-9_-]")  # Anthropic accepts no other characters in a tool call's id

PING = b'event: ping\ndata: {"type":"ping"}\n\n'


class MessagesStreamEncoder:
    """Turn events in, Anthropic stream events out, as bytes.

    Anthropic numbers content blocks and opens and closes each; the turn events do not. The open block is the whole
    of this encoder's state:

        idle --Started--> no block --TextDelta--> text block --ToolCallStarted--> tool block
                                        ... --Finished--> closed
    """

    def __init__(self, context: AnswerContext) -> None:
        self._model = context.model
        self._index = -1
        self._open: str | int | None = None  # "text", "thinking", or a tool call's index

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._switch("text", b'{"type":"text","text":""}') + self._delta(
                    b'{"type":"text_delta","text":%b}' % _encode(text)
                )
            case ThinkingDelta(text=text):
                return self._thinking() + self._delta(b'{"type":"thinking_delta","thinking":%b}' % _encode(text))
            case ToolCallDelta(arguments=arguments):
                return self._delta(b'{"type":"input_json_delta","partial_json":%b}' % _encode(arguments))
            case ToolCallStarted():
                return self._switch(event.index, _encode(_tool_use(event.id, event.name, msgspec.Raw(b"{}"))))
            case ThinkingSigned(signature=signature):
                opened = self._thinking()
                signed = self._delta(b'{"type":"signature_delta","signature":%b}' % _encode(signature))
                return opened + signed + self._close()
            case Started(id=message_id):
                return self._start(message_id)
            case Finished(reason=reason, usage=usage):
                return self._finish(reason, usage)
            case _:
                raise AssertionError(f"unknown turn event {event!r}")

    def _start(self, message_id: str) -> bytes:
        message: dict[str, object] = {
            "id": message_id_of(message_id),
            "type": "message",
            "role": "assistant",
            "model": self._model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_fields(Usage()),
        }
        return _sse(b"message_start", b'{"type":"message_start","message":%b}' % _encode(message))

    def _finish(self, reason: str, usage: Usage) -> bytes:
        delta = {
            "type": "message_delta",
            "delta": {"stop_reason": reason, "stop_sequence": None},
            "usage": usage_fields(usage),
        }
        ending = _sse(b"message_delta", _encode(delta)) + _sse(b"message_stop", b'{"type":"message_stop"}')
        return self._close() + ending

    def _thinking(self) -> bytes:
        return self._switch("thinking", b'{"type":"thinking","thinking":"","signature":""}')

    def _delta(self, delta: bytes) -> bytes:
        return b'event: content_block_delta\ndata: {"type":"content_block_delta","index":%d,"delta":%b}\n\n' % (
            self._index,
            delta,
        )

    def _switch(self, block: str | int, start: bytes) -> bytes:
        if block == self._open:
            return b""
        closed = self._close()
        self._index += 1
        self._open = block
        return closed + _sse(
            b"content_block_start",
            b'{"type":"content_block_start","index":%d,"content_block":%b}' % (self._index, start),
        )

    def _close(self) -> bytes:
        if self._open is None:
            return b""
        self._open = None
        return _sse(b"content_block_stop", b'{"type":"content_block_stop","index":%d}' % self._index)


def render_answer(turn: Turn, context: AnswerContext) -> bytes:
    """A whole reply, in the order thinking, text, tool calls came in."""
    return _encode(
        {
            "id": message_id_of(turn.id),
            "type": "message",
            "role": "assistant",
            "model": context.model,
            "content": [_block(part) for part in turn.parts],
            "stop_reason": turn.reason,
            "stop_sequence": None,
            "usage": usage_fields(turn.usage),
        }
    )


def usage_fields(usage: Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }


def message_id_of(upstream_id: str) -> str:
    return upstream_id if upstream_id.startswith("msg_") else "msg_" + _FOREIGN.sub("_", upstream_id)


def _block(part: object) -> dict[str, object]:
    match part:
        case Text(text=text):
            return {"type": "text", "text": text}
        case Thinking(text=text, signature=signature):
            return {"type": "thinking", "thinking": text, "signature": signature}
        case RedactedThinking(data=data):
            return {"type": "redacted_thinking", "data": data}
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return _tool_use(call_id, name, _input(arguments))
        case _:
            raise AssertionError(f"a model does not answer with {part!r}")


def _tool_use(call_id: str, name: str, arguments: msgspec.Raw) -> dict[str, object]:
    return {"type": "tool_use", "id": _FOREIGN.sub("_", call_id), "name": name, "input": arguments}


def _input(arguments: str) -> msgspec.Raw:
    """Anthropic wants an object. What the model left unfinished is handed over, marked, not dropped."""
    if not arguments.strip():
        return msgspec.Raw(b"{}")
    try:
        msgspec.json.decode(arguments, type=dict[str, msgspec.Raw])
    except UNREADABLE:
        return msgspec.Raw(_encode({"INVALID_JSON": arguments}))
    return msgspec.Raw(arguments.encode())


def _sse(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)
