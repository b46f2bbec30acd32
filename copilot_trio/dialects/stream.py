"""A translator is a decoder for one dialect joined to an encoder for another. No I/O."""

from __future__ import annotations

from typing import Protocol

from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEDecoder, SSEEvent, SSETooLong
from copilot_trio.turn import Event, Finished, Turn, Usage


class StreamDecoder(Protocol):
    """Wire to turn. Raises ``UpstreamError`` for an error in the stream, and in ``finish`` for an unfinished turn.

    ``complete``: the terminal event was seen. ``Finished`` comes from ``finish`` alone.
    """

    complete: bool

    def feed(self, event: SSEEvent, /) -> list[Event]: ...
    def finish(self) -> list[Event]: ...


class StreamEncoder(Protocol):
    """Turn to wire."""

    def feed(self, event: Event, /) -> bytes: ...


class Reshape(Protocol):
    """Changes a turn on its way from decoder to encoder. One of its own for each stream."""

    def raise_event(self, event: Event, /) -> list[Event]: ...
    def raise_turn(self, turn: Turn, /) -> Turn: ...


class BodyRelay(Protocol):
    """What carries a streamed body downstream: translated, or byte for byte.

    ``feed`` takes what one upstream read brought and returns what one downstream write sends: whole events only.
    ``finish`` returns the rest, or raises ``UpstreamError`` where the answer is not complete.
    """

    @property
    def usage(self) -> Usage | None: ...
    @property
    def failure(self) -> bytes: ...  # the JSON of an error event that was handed on
    @property
    def complete(self) -> bool: ...  # the terminal event was seen: what follows says nothing
    def feed(self, chunk: bytes, /) -> bytes: ...
    def finish(self) -> bytes: ...


class StreamTranslator:
    """One dialect's decoder joined to another's encoder: bytes to bytes, any chunking gives the same output."""

    def __init__(self, decoder: StreamDecoder, encoder: StreamEncoder, reshape: Reshape | None = None) -> None:
        self._sse = SSEDecoder()
        self._decoder = decoder
        self._encoder = encoder
        self._reshape = reshape
        self.usage: Usage | None = None
        self.complete = False
        self.failure = b""  # a failure is raised here

    def feed(self, chunk: bytes) -> bytes:
        try:
            events = self._sse.feed(chunk)
        except SSETooLong as error:
            raise StreamTruncated(f"upstream sent {error}") from error
        return self._translate(events)

    def finish(self) -> bytes:
        ending = self._translate(self._sse.finish())
        try:
            return ending + self._encode(self._decoder.finish())
        except UpstreamError as error:
            error.partial = ending
            raise

    def _translate(self, events: list[SSEEvent]) -> bytes:
        out: list[bytes] = []
        decode = self._decoder.feed
        encode = self._encoder.feed if self._reshape is None else self._encode_reshaped
        try:
            for event in events:
                out += [encode(turn) for turn in decode(event)]
                if self._decoder.complete:
                    self.complete = True
                    break  # what follows says nothing
        except UpstreamError as error:
            # What came before the failure in this very read is the client's all the same.
            error.partial = b"".join(out)
            raise
        return b"".join(out)

    def _encode(self, turns: list[Event]) -> bytes:
        for turn in turns:
            if isinstance(turn, Finished):
                self.usage = turn.usage
        encode = self._encoder.feed if self._reshape is None else self._encode_reshaped
        return b"".join(encode(turn) for turn in turns)

    def _encode_reshaped(self, event: Event) -> bytes:
        assert self._reshape is not None
        return b"".join(self._encoder.feed(turn) for turn in self._reshape.raise_event(event))
