"""Same dialect in and out: the bytes go on as they came, and a reader beside them looks for usage and the end.

Whole events only are handed on, so that a heartbeat or an error never lands inside one. Bytes change in three cases:
where we renamed the model, its name is put back; the ``[DONE]`` that Copilot sends after ``message_stop`` is left out,
for Anthropic's SDKs choke on it (upstream.md §10.2); and chat chunks that OpenAI's SDKs misread are mended
(:mod:`.chat.strict`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Protocol

import msgspec

from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import MAX_EVENT_SIZE, last_boundary
from copilot_trio.turn import Usage
from copilot_trio.unreadable import UNREADABLE, UNREADABLE_OR_ODD

from . import splice
from .chat.strict import StrictChunks
from .chat.wire import Chunk, usage_of
from .messages.wire import MessageOut, StreamEvent, merge_usage

_FINISH = re.compile(rb'"finish_reason"\s*:\s*"[^"]')
_ERROR_NAME = re.compile(rb"(?:\A|(?<=[\r\n]))event: ?error[\r\n]")
# At the beginning of a line only: a model may well write the same words in its answer.
_DONE = re.compile(rb"(?:\A|(?<=[\r\n]))data: ?\[DONE\](?:(?:\r\n|\n|\r){1,2}|\Z)")
_USAGE = re.compile(rb'"usage"\s*:\s*\{')
_MODEL_VALUE = re.compile(rb'(?<!\\)"model"\s*:\s*("(?:[^"\\]|\\.)*+")')

_decode_chunk = msgspec.json.Decoder(Chunk).decode
_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_message = msgspec.json.Decoder(MessageOut).decode
_encode = msgspec.json.Encoder().encode


class Watch(Protocol):
    """Reads whole events of one dialect; ``look`` returns the bytes to hand on."""

    usage: Usage | None
    ended: bool  # the answer came to its end
    complete: bool  # the terminal event was seen: what follows says nothing
    failed: bool  # an error event was seen, which ends a stream too
    failure: bytes  # that event's JSON

    def look(self, block: bytes, /) -> bytes: ...
    def ending(self) -> bytes: ...


class Passthrough:
    """A ``BodyRelay`` for one dialect's own stream."""

    def __init__(
        self, watch: Watch, shown_model: str | None = None, rename: Callable[[bytes, str], bytes] | None = None
    ) -> None:
        self._watch = watch
        self._shown_model = shown_model  # what to call the model; None: as upstream calls it
        self._rename = rename or rename_in_events
        self._rest = b""

    @property
    def complete(self) -> bool:
        return self._watch.complete

    @property
    def usage(self) -> Usage | None:
        return self._watch.usage

    @property
    def failure(self) -> bytes:
        return self._watch.failure

    def feed(self, chunk: bytes) -> bytes:
        block = self._rest + chunk if self._rest else chunk
        end = last_boundary(block)
        if end < len(block):
            self._rest = block[end:]
            if len(self._rest) > MAX_EVENT_SIZE:
                raise StreamTruncated(f"upstream sent an event of more than {MAX_EVENT_SIZE} bytes")
            if not end:
                return b""
            block = block[:end]
        else:
            self._rest = b""
        return self._pass(block)

    def finish(self) -> bytes:
        """Raises ``StreamTruncated`` where neither a terminal nor an error event came."""
        ending = b""
        if self._rest and _is_whole(self._rest):
            ending = self._pass(self._rest.rstrip(b"\r\n") + b"\n\n")
        if not (self._watch.ended or self._watch.failed):
            error = StreamTruncated("upstream closed the stream before the end of the answer")
            error.partial = ending
            raise error
        try:
            return ending + self._watch.ending()
        except UpstreamError as error:
            error.partial = ending
            raise

    def _pass(self, block: bytes) -> bytes:
        shown = self._watch.look(block)
        return shown if self._shown_model is None else self._rename(shown, self._shown_model)


class ChatWatch:
    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.failed = False
        self.failure = b""
        self.complete = False
        self._strict = StrictChunks()

    def look(self, block: bytes) -> bytes:
        if _is_ordinary(block):
            return block
        if not self.ended and _FINISH.search(block):
            self.ended = True
        if b'"usage":{' in block or b'"error"' in block or (b'"usage"' in block and _USAGE.search(block)):
            self._read(block)
        if b"[DONE]" in block and _DONE.search(block):
            self.complete = True
        return self._strict.mend(block)

    def ending(self) -> bytes:
        return b"" if self.complete else b"data: [DONE]\n\n"

    def _read(self, block: bytes) -> None:
        for data in _data_lines(block):
            try:
                chunk = _decode_chunk(data)
            except UNREADABLE:
                continue
            self.usage = usage_of(chunk) or self.usage
            if chunk.error is not None and not chunk.choices:
                self.failed, self.failure = True, data


def _is_ordinary(block: bytes) -> bool:
    """Chunks of an answer under way, as GPT sends them by the hundred: nothing to note, nothing to mend.

    Within JSON text quotes are escaped, so what is counted here are keys.
    """
    events = block.count(b"\n\n")
    return (
        events > 0
        and b"\r" not in block
        and block.count(b'"finish_reason":null') == events
        and block.count(b'"usage":null') == events
        and block.count(b'"object":"chat.completion.chunk"') == events
        and b'"tool_calls"' not in block
        and b'"role"' not in block
    )


class MessagesWatch:
    def __init__(self) -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.failed = False
        self.failure = b""
        self.complete = False

    def look(self, block: bytes) -> bytes:
        if b'"usage"' in block or b'"message_stop"' in block or b'"error"' in block:
            self._read(block)
        if b"error" in block and _ERROR_NAME.search(block):
            self.failed = True
        return _DONE.sub(b"", block) if b"[DONE]" in block else block

    def ending(self) -> bytes:
        return b""

    def _read(self, block: bytes) -> None:
        for data in _data_lines(block):
            event = _event_in(data)
            if event is None:
                continue
            if event.type == "message_stop":
                self.ended = self.complete = True
            elif event.type == "error":
                self.failed, self.failure = True, data
            elif event.message is not None and event.message.usage is not None:
                self.usage = merge_usage(Usage(), event.message.usage, None)
            elif event.usage is not None:
                self.usage = merge_usage(self.usage or Usage(), event.usage, event.copilot_usage)


def _event_in(data: bytes) -> StreamEvent | None:
    """An event with an oddity in what we read of it still has a type; what is not JSON is nothing."""
    try:
        return _decode_event(data)
    except UNREADABLE:
        pass
    try:
        value = msgspec.json.decode(data)
    except UNREADABLE:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    return StreamEvent(kind) if isinstance(kind, str) else None


def chat_usage(body: bytes) -> Usage | None:
    """Usage of a whole chat reply, or None."""
    try:
        return usage_of(_decode_chunk(body))
    except UNREADABLE:
        return None


def messages_usage(body: bytes) -> Usage | None:
    """Usage of a whole messages reply, or None."""
    try:
        message = _decode_message(body)
    except UNREADABLE:
        return None
    if message.usage is None:
        return None
    return merge_usage(Usage(), message.usage, message.copilot_usage)


def rename_in_events(block: bytes, model: str) -> bytes:
    """Put ``model`` wherever an event names the model: at its top, or in the ``message`` of ``message_start``."""
    if b'"model"' not in block:
        return block
    return b"".join(
        line[:5] + _rename(line[5:], model) if line.startswith(b"data:") and b'"model"' in line else line
        for line in block.splitlines(keepends=True)
    )


def rename_in_reply(body: bytes, model: str) -> bytes:
    """The same for a whole reply; what is not JSON stays as it is."""
    return _rename(body, model)


def _rename(data: bytes, model: str) -> bytes:
    new = _encode(model)
    if data.count(b'"model"') == 1 and (match := _MODEL_VALUE.search(data)) and _ends_at_top(data, match.end()):
        return data[: match.start(1)] + new + data[match.end(1) :]
    try:
        top = splice.whole(data)
        message = splice.member(data, top, "message")
        at = splice.member(data, top, "model") or (message and splice.member(data, message, "model"))
    except UNREADABLE_OR_ODD:
        return data
    if at is None:
        return data
    edit = splice.Splice(data)
    edit.replace(at, new)
    return edit.apply()


def _ends_at_top(data: bytes, position: int) -> bool:
    """Is what stands before ``position`` a member of the outermost object? Sure where only its own brace follows.

    That is how chat chunks end; anything else, a tool's ``input`` with a model in it for one, is walked properly.
    """
    last = len(data.rstrip()) - 1
    return data.find(b"}", position) == last and data.find(b"]", position) < 0


def _data_lines(block: bytes) -> list[bytes]:
    return [line[5:].strip() for line in block.splitlines() if line.startswith(b"data:")]


def _is_whole(rest: bytes) -> bool:
    """Is an event without its blank line complete in itself?"""
    data = b"\n".join(_data_lines(rest))
    if data == b"[DONE]":
        return True
    try:
        msgspec.json.decode(data)
    except UNREADABLE:
        return False
    return True
