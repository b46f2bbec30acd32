"""An Anthropic Messages stream and reply, written from turn events."""

from __future__ import annotations

import re

import msgspec

from copilot_trio.turn import (
    REDACTED,
    AnswerContext,
    Event,
    Finished,
    Part,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
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
    WebSearch,
)

from .wire import FOREIGN, WEB_SEARCH, tool_input, valid_id

Fields = dict[str, object]

_encode = msgspec.json.Encoder().encode
_FOREIGN_TO_SEARCHES = re.compile(r"[^a-zA-Z0-9_]")  # unlike other ids they have no dash

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
        self._seed = context.seed
        self._index = -1
        self._open: str | int | None = None  # a kind of block, or a tool call's index
        self._searches = 0

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text) | RefusalDelta(text=text):
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
                if signature.startswith(REDACTED):
                    return self._whole(_redacted(signature.removeprefix(REDACTED)))
                opened = self._thinking()
                signed = self._delta(b'{"type":"signature_delta","signature":%b}' % _encode(signature))
                return opened + signed + self._close()
            case Searched(search=search):
                return self._searched(search)
            case Started(id=message_id):
                return self._start(message_id)
            case Finished(reason=reason, usage=usage):
                return self._finish(reason, usage)
            case _:
                raise AssertionError(f"unknown turn event {event!r}")

    def _start(self, message_id: str) -> bytes:
        message: dict[str, object] = {
            "id": message_id_of(message_id, self._seed),
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
            "usage": usage_fields(usage, self._searches),
        }
        ending = _sse(b"message_delta", _encode(delta)) + _sse(b"message_stop", b'{"type":"message_stop"}')
        return self._close() + ending

    def _searched(self, search: WebSearch) -> bytes:
        """The input comes as a delta, as all input does: clients start from an empty one."""
        self._searches += 1
        use, result = _search_blocks(search)
        asked = _encode({"query": search.query}).decode()
        opened = self._switch("search", _encode(use | {"input": {}}))
        query = self._delta(b'{"type":"input_json_delta","partial_json":%b}' % _encode(asked))
        return opened + query + self._whole(result)

    def _whole(self, block: Fields) -> bytes:
        """A block without deltas."""
        return self._switch("whole", _encode(block)) + self._close()

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
    """A whole reply, its parts in the order they came in."""
    searches = sum(isinstance(part, WebSearch) for part in turn.parts)
    return _encode(
        {
            "id": message_id_of(turn.id, context.seed),
            "type": "message",
            "role": "assistant",
            "model": context.model,
            "content": [block for part in turn.parts for block in _blocks(part)],
            "stop_reason": turn.reason,
            "stop_sequence": None,
            "usage": usage_fields(turn.usage, searches),
        }
    )


def usage_fields(usage: Usage, searches: int = 0) -> Fields:
    fields: Fields = {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "output_tokens": usage.output_tokens,
    }
    return fields | ({"server_tool_use": {"web_search_requests": searches}} if searches else {})


def message_id_of(upstream_id: str, seed: str = "") -> str:
    """Upstream's own where it is one; else from ``seed``, for other APIs' ids can be 500 characters long."""
    return upstream_id if upstream_id.startswith("msg_") else "msg_" + (seed or FOREIGN.sub("_", upstream_id))


def _blocks(part: Part) -> tuple[Fields, ...]:
    match part:
        case Text(text=text) | Refusal(text=text):
            return ({"type": "text", "text": text},)
        case Thinking(signature=signature) if signature.startswith(REDACTED):
            return (_redacted(signature.removeprefix(REDACTED)),)
        case Thinking(text=text, signature=signature):
            return ({"type": "thinking", "thinking": text, "signature": signature},)
        case RedactedThinking(data=data):
            return (_redacted(data),)
        case ToolCall(id=call_id, name=name, arguments=arguments):
            return (_tool_use(call_id, name, tool_input(arguments)),)
        case WebSearch():
            return _search_blocks(part)
        case _:
            raise AssertionError(f"a model does not answer with {part!r}")


def _tool_use(call_id: str, name: str, arguments: msgspec.Raw) -> Fields:
    return {"type": "tool_use", "id": valid_id(call_id), "name": name, "input": arguments}


def _redacted(data: str) -> Fields:
    return {"type": "redacted_thinking", "data": data}


def _search_blocks(search: WebSearch) -> tuple[Fields, Fields]:
    """The search, and what it found without the page texts: only Anthropic encrypts those."""
    search_id = "srvtoolu_" + _FOREIGN_TO_SEARCHES.sub("_", search.id.removeprefix("srvtoolu_"))
    found: object = [
        {"type": "web_search_result", "url": hit.url, "title": hit.title, "page_age": None, "encrypted_content": ""}
        for hit in search.hits
    ]
    if search.error:
        found = {"type": "web_search_tool_result_error", "error_code": search.error}
    return (
        {"type": "server_tool_use", "id": search_id, "name": WEB_SEARCH, "input": {"query": search.query}},
        {"type": "web_search_tool_result", "tool_use_id": search_id, "content": found},
    )


def _sse(name: bytes, data: bytes) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (name, data)
