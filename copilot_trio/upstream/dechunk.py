"""The body of an HTTP/1.1 response, freed of its framing. Pure; strict where attackers are not (RFC 9112 §7.1)."""

from __future__ import annotations

import re
from typing import Protocol

_SIZE = re.compile(rb"([0-9a-fA-F]{1,15})(?:[ \t]*;[^\r\n]*)?", re.ASCII)

MAX_LINE = 4096  # a chunk's size line, or one trailer
MAX_TRAILERS = 16 * 1024


class FramingError(ValueError):
    """The peer broke the framing; the connection is of no further use."""


class Framing(Protocol):
    """``done`` once the body is complete; ``extra`` if bytes came beyond it. ``close`` raises if EOF is no end."""

    done: bool
    extra: bool

    def feed(self, data: bytes, /) -> bytes: ...
    def close(self) -> None: ...


class Chunked:
    def __init__(self) -> None:
        self.done = False
        self.extra = False
        self._held = b""  # an incomplete line
        self._remaining = 0  # of the chunk under way, its closing CRLF included
        self._in_trailers = False
        self._trailer_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """All payload in ``data``, joined. Raises :class:`FramingError`."""
        if self._held:
            data, self._held = self._held + data, b""
        parts: list[bytes] = []
        position, length = 0, len(data)
        while position < length and not self.done:
            if self._remaining:
                position = self._payload(data, position, parts)
                continue
            end = data.find(b"\r\n", position)
            if end < 0:
                self._hold(data[position:])
                return b"".join(parts)
            line, position = data[position:end], end + 2
            self._line(line)
        self.extra = self.extra or position < length
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        if not self.done:
            raise FramingError("the connection closed in the middle of the body")

    def _payload(self, data: bytes, position: int, parts: list[bytes]) -> int:
        end = position + self._remaining
        payload_end = end - 2
        if len(data) >= end:
            if data[payload_end:end] != b"\r\n":
                raise FramingError("a chunk is longer than it said")
            parts.append(data[position:payload_end])
            self._remaining = 0
            return end
        if len(data) > payload_end:  # half of the closing CRLF: keep the one byte of it
            parts.append(data[position:payload_end])
            self._remaining = 2
            self._hold(data[payload_end:])
            return len(data)
        parts.append(data[position:])
        self._remaining -= len(data) - position
        return len(data)

    def _line(self, line: bytes) -> None:
        if len(line) > MAX_LINE:
            raise FramingError("a line of the framing is too long")
        if self._in_trailers:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > MAX_TRAILERS:
                raise FramingError("too many trailers")
            self.done = not line
            return
        match = _SIZE.fullmatch(line)
        if match is None:
            raise FramingError(f"no chunk size: {line[:20]!r}")
        size = int(match.group(1), 16)
        if size:
            self._remaining = size + 2
        else:
            self._in_trailers = True

    def _hold(self, line: bytes) -> None:
        if len(line) > MAX_LINE + 1:  # half of its CRLF may be there
            raise FramingError("a line of the framing is too long")
        self._held = line


class ContentLength:
    def __init__(self, length: int) -> None:
        self.done = length == 0
        self.extra = False
        self._remaining = length

    def feed(self, data: bytes) -> bytes:
        payload = data[: self._remaining]
        self.extra = self.extra or len(data) > self._remaining
        self._remaining -= len(payload)
        self.done = self._remaining == 0
        return payload

    def close(self) -> None:
        if not self.done:
            raise FramingError(f"the connection closed {self._remaining} bytes before the end of the body")


class UntilClose:
    """No framing but the connection's end, so a truncated body cannot be told from a whole one here."""

    def __init__(self) -> None:
        self.done = False
        self.extra = False

    def feed(self, data: bytes) -> bytes:
        return data

    def close(self) -> None:
        self.done = True
