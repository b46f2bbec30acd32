"""A Responses stream passed on: usage and the end are looked for, ids are made to hold still, ``[DONE]`` goes."""

from __future__ import annotations

import msgspec

from copilot_trio.dialects import splice
from copilot_trio.errors import UpstreamError
from copilot_trio.turn import Usage
from copilot_trio.unreadable import UNREADABLE, UNREADABLE_OR_ODD

from .decode import ERRORS, failure_of
from .pins import IdPins
from .wire_out import Failure, Kind, Response, StreamEvent, usage_of

_ENDED = {"response.completed", "response.incomplete"}
_FAILED = {"response.failed", "response.cancelled"}

_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_kind = msgspec.json.Decoder(Kind).decode
_decode_response = msgspec.json.Decoder(Response).decode
_encode = msgspec.json.Encoder().encode


class ResponsesWatch:
    """A ``Watch``. ``note`` and ``complete`` serve for WebSocket frames too.

    A bare ``error`` event is held back, and raised at the end: Codex passes it over and obeys ``response.failed`` alone
    (clients.md §4.5), which is what it becomes.
    """

    def __init__(self, seed: str) -> None:
        self.usage: Usage | None = None
        self.ended = False
        self.failed = False
        self.failure = b""
        self.complete = False
        self._pins = IdPins(seed)
        self._error: UpstreamError | None = None  # told by an event that is no ``response.failed``

    def look(self, block: bytes) -> bytes:
        lines = block.splitlines(keepends=True)
        begin = 0  # of the event
        for at, line in enumerate(lines):
            if line.startswith(b"data:"):
                lines[at] = self._pins.pin_delta(line) or self._other(line)
            elif not self.failed and line.rstrip() in {b"event: error", b"event:error"}:
                self._fail(Failure())
            elif not line.strip():
                if self._error is not None:
                    return b"".join(lines[:begin])  # nothing follows
                begin = at + 1
        return b"".join(lines if self._error is None else lines[:begin])

    def ending(self) -> bytes:
        """Raises the ``UpstreamError`` that a bare ``error`` event told of."""
        if self._error is not None:
            raise self._error
        return b""

    def _fail(self, failure: Failure) -> None:
        self.failed = self.complete = True
        self._error = failure_of(failure)

    def _other(self, line: bytes) -> bytes:
        """A ``data:`` line that is no ordinary delta. Upstream sends no ``[DONE]``, and none may come from here."""
        if b'"response"' in line or b'"error"' in line:
            self.note(line[5:])
        return b"" if line[5:].strip() == b"[DONE]" else self._pins.pin_line(line)

    def note(self, data: bytes) -> None:
        """One event's JSON. An oddity in what we read of it does not hide that the answer ended."""
        try:
            event = _decode_event(data)
        except UNREADABLE:
            try:
                event = StreamEvent(_decode_kind(data).type)
            except UNREADABLE:
                return
        if event.type in _ENDED:
            self.ended = self.complete = True
        elif event.type in _FAILED:
            self.failed = self.complete = True
            self.failure = data
            self._error = None
        elif event.type in ERRORS and (self._error is not None or not self.failed):
            self._fail(event.error or Failure(event.code, event.message))
        if event.response is not None:
            self.usage = usage_of(event.response, event.copilot_usage) or self.usage


def responses_usage(body: bytes) -> Usage | None:
    """Usage of a whole Responses reply, or None."""
    try:
        return usage_of(_decode_response(body), None)
    except UNREADABLE:
        return None


def rename_in_response_events(block: bytes, model: str) -> bytes:
    """Put ``model`` into every event that carries a ``response``; whole replies: ``passthrough.rename_in_reply``."""
    if b'"response"' not in block or b'"model"' not in block:
        return block
    return b"".join(
        line[:5] + rename_in_event(line[5:], model) if line.startswith(b"data:") else line
        for line in block.splitlines(keepends=True)
    )


def rename_in_event(data: bytes, model: str) -> bytes:
    """The same for one event's JSON, as in a WebSocket frame; what is not JSON stays as it is."""
    if b'"response"' not in data or b'"model"' not in data:
        return data
    try:
        response = splice.member(data, splice.whole(data), "response")
        at = response and splice.member(data, response, "model")
    except UNREADABLE_OR_ODD:
        return data
    if not at:
        return data
    edit = splice.Splice(data)
    edit.replace(at, _encode(model))
    return edit.apply()
