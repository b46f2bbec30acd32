"""Server-sent events: bytes to events and back. No I/O.

https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

from __future__ import annotations

import re

import msgspec

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOUNDARY = re.compile(rb"\r?\n\r?\n|\r\r")

MAX_EVENT_SIZE = 8 * 1024 * 1024  # the largest single event seen carries a whole `response` object: well under 1 MiB


class SSEEvent(msgspec.Struct, frozen=True, gc=False):
    data: bytes
    name: str = ""


class SSETooLong(ValueError):
    """One event outgrew ``MAX_EVENT_SIZE``; the peer is broken or hostile."""


class SSEDecoder:
    """Feed it bytes as they come, get back whole events; comments are dropped.

    >>> decoder = SSEDecoder()
    >>> decoder.feed(b"data: he")
    []
    >>> decoder.feed(b"llo\\n\\n")
    [SSEEvent(data=b'hello', name='')]
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._name = ""
        self._size = 0

    def feed(self, chunk: bytes) -> list[SSEEvent]:
        """Raises :class:`SSETooLong`."""
        block = self._rest + chunk if self._rest else chunk
        if b"\r" in block:
            lines, self._rest = _split_any_ending(block)
        else:
            lines = block.split(b"\n")
            self._rest = lines.pop()
        events: list[SSEEvent] = []
        for line in lines:
            self._line(line, events)
        if len(self._rest) + self._size > MAX_EVENT_SIZE:
            raise SSETooLong(f"an event of more than {MAX_EVENT_SIZE} bytes")
        return events

    def finish(self) -> list[SSEEvent]:
        """End of stream. The standard drops an unfinished event; real servers mean it."""
        events: list[SSEEvent] = []
        if self._rest:
            self._line(self._rest.rstrip(b"\r"), events)
            self._rest = b""
        self._line(b"", events)
        return events

    def _line(self, line: bytes, events: list[SSEEvent]) -> None:
        if not line:
            if self._data:
                data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
                events.append(SSEEvent(data, self._name))
            self._data, self._name, self._size = [], "", 0
        elif line.startswith(b"data: "):
            self._data.append(line[6:])
            self._size += len(line)
        elif not line.startswith(b":"):
            field, _, value = line.partition(b":")
            value = value.removeprefix(b" ")
            if field == b"data":
                self._data.append(value)
                self._size += len(line)
            elif field == b"event":
                self._name = value.decode("utf-8", "replace")


def _split_any_ending(block: bytes) -> tuple[list[bytes], bytes]:
    lines: list[bytes] = []
    start = 0
    for match in _LINE_END.finditer(block):
        # A lone CR at the very end may be half of a CRLF: wait for the next byte.
        if match.group() == b"\r" and match.end() == len(block):
            break
        lines.append(block[start : match.start()])
        start = match.end()
    return lines, block[start:]


def last_boundary(block: bytes) -> int:
    """Where the last whole event in ``block`` ends: an index, 0 if no event is whole."""
    if b"\r" not in block:
        found = block.rfind(b"\n\n")
        return found + 2 if found >= 0 else 0
    end = 0
    for match in _BOUNDARY.finditer(block):
        end = match.end()
    return end


def encode(event: SSEEvent) -> bytes:
    name = f"event: {event.name}\n".encode() if event.name else b""
    if b"\n" not in event.data:
        return name + b"data: " + event.data + b"\n\n"
    return name + b"".join(b"data: " + line + b"\n" for line in event.data.split(b"\n")) + b"\n"
