"""How an answer's bytes go out: as one list of steps that says every write, pause, cut and reset beforehand.

Pure, so that what a fault does to the bytes can be tested without a connection.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .reply import EVENTS, Frame, Headers, Reply

Place = Literal["start", "headers", "first", "middle", "ending"]
Cut = Literal["", "reset", "truncate"]

FIRST_FRAMES = 2  # "first": the stream has begun, nothing has been said yet
# A reset throws away what the peer's kernel holds unread: give it time to read what came before.
FLUSH_PAUSE = 0.1
PING_EVERY = 1.0


class Head(msgspec.Struct, frozen=True):
    status: int
    headers: Headers


class Write(msgspec.Struct, frozen=True):
    data: bytes


class Pause(msgspec.Struct, frozen=True):
    seconds: float


class Reset(msgspec.Struct, frozen=True):
    pass


class Ping(msgspec.Struct, frozen=True):
    pass


class Close(msgspec.Struct, frozen=True):
    code: int


class Finish(msgspec.Struct, frozen=True):
    complete: bool = True


Step = Head | Write | Pause | Ping | Close | Reset | Finish


class Delivery(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """``stall`` and ``cut`` happen at ``at``: a named place, or after that many bytes of the body.

    ``start`` is before the status line. ``headers`` is after it; since a server sends the headers together with
    the first body byte, that one goes out too. ``first`` is after the opening frames, ``middle`` after half of
    them, ``ending`` before the terminal ones. Over a WebSocket, messages stay whole: ``chunk`` and the forms of a
    stream's lines mean nothing, and a truncation is a close with the code ``close``.
    """

    delay: float = 0.0  # before the status line
    at: Place | int = "middle"
    stall: float = 0.0  # seconds of silence
    pings: float = 0.0  # like stall, but with a comment or a ping each second
    cut: Cut = ""
    close: int = 1000
    chunk: int = 0  # bytes a write; 0: one frame a write
    pace: float = 0.0  # seconds between writes
    crlf: bool = False
    comments: bool = False  # a comment line before each frame

    def over(self, other: Delivery) -> Delivery:
        """This one's settings where it has any, else the other's."""
        given = {
            name: value
            for name in self.__struct_fields__
            if (value := getattr(self, name)) != getattr(PLAIN, name)
            or (name == "at" and (self.stall or self.pings or self.cut))
        }
        return msgspec.structs.replace(other, **given)


PLAIN = Delivery()


def script(reply: Reply, delivery: Delivery = PLAIN, *, ping: Frame | None = None) -> list[Step]:
    """The steps that deliver ``reply``. ``ping`` is the stream's own kind of sign of life, if it has one."""
    pieces, ending = _pieces(reply, delivery)
    place = _place(pieces, ending, delivery.at)
    interrupted = bool(delivery.stall or delivery.pings or delivery.cut)
    steps: list[Step] = [Pause(delivery.delay)] if delivery.delay else []
    if interrupted and delivery.at == "start":
        steps += _interruption(delivery, reply, ping, begun=False)
        if delivery.cut:
            return steps
        interrupted = False
    steps.append(_head(reply))
    if not interrupted:
        return [*steps, *_writes(pieces, delivery), Finish()]
    before, after = _split(pieces, place)
    steps += _writes(before, delivery)
    steps += _interruption(delivery, reply, ping, begun=True)
    if not delivery.cut:
        steps += [*_writes(after, delivery), Finish()]
    return steps


def script_messages(messages: Sequence[bytes], ending: int, delivery: Delivery = PLAIN) -> list[Step]:
    """The steps that deliver an answer over a WebSocket. ``ending``: index of the first terminal message."""
    before, after = [], list(messages)
    interrupted = bool(delivery.stall or delivery.pings or delivery.cut)
    room = _place(after, ending, delivery.at) if interrupted else 0
    while after and len(after[0]) <= room:
        room -= len(after[0])
        before.append(after.pop(0))
    steps: list[Step] = [Pause(delivery.delay)] if delivery.delay else []
    steps += _messages(before, delivery)
    steps += [Pause(delivery.stall)] if delivery.stall else []
    steps += [step for _ in range(int(delivery.pings / PING_EVERY)) for step in (Pause(PING_EVERY), Ping())]
    if delivery.cut == "truncate":
        return [*steps, Close(delivery.close)]
    if delivery.cut:
        return [*steps, Pause(FLUSH_PAUSE), Reset()]
    return [*steps, *_messages(after, delivery), Finish()]


def _messages(messages: list[bytes], delivery: Delivery) -> list[Step]:
    return _writes(messages, msgspec.structs.replace(delivery, chunk=0))


def _pieces(reply: Reply, delivery: Delivery) -> tuple[list[bytes], int]:
    """The body as it would be written whole, and the index of the first terminal piece."""
    if reply.frames is None:
        return ([reply.body] if reply.body else []), 1
    pieces = [frame_bytes(frame, delivery) for frame in reply.frames]
    ending = next((index for index, frame in enumerate(reply.frames) if frame.ending), len(pieces))
    return pieces, ending


def frame_bytes(frame: Frame, delivery: Delivery = PLAIN) -> bytes:
    line_end = b"\r\n" if delivery.crlf else b"\n"
    name = b"event: " + frame.name.encode() + line_end if frame.name else b""
    comment = b": twin" + line_end if delivery.comments else b""
    return comment + name + b"data: " + frame.data + line_end + line_end


def _place(pieces: list[bytes], ending: int, at: Place | int) -> int:
    """Where in the body, in bytes."""
    size = sum(map(len, pieces))
    if isinstance(at, int):
        return min(at, size)
    if len(pieces) == 1:  # a JSON body has no frames to count
        return {"start": 0, "headers": min(1, size), "first": min(1, size)}.get(at, size // 2)
    count = {
        "start": 0,
        "headers": 0,
        "first": min(FIRST_FRAMES, len(pieces)),
        "middle": min(max(FIRST_FRAMES, len(pieces) // 2), len(pieces)),
        "ending": ending,
    }[at]
    return min(1, size) if at == "headers" else sum(map(len, pieces[:count]))


def _split(pieces: list[bytes], place: int) -> tuple[list[bytes], list[bytes]]:
    before: list[bytes] = []
    for index, piece in enumerate(pieces):
        if place < len(piece):
            rest = [piece[place:], *pieces[index + 1 :]]
            return ([*before, piece[:place]] if place else before), rest
        before.append(piece)
        place -= len(piece)
    return before, []


def _writes(pieces: list[bytes], delivery: Delivery) -> list[Step]:
    if delivery.chunk > 0:
        body = b"".join(pieces)
        pieces = [body[start : start + delivery.chunk] for start in range(0, len(body), delivery.chunk)]
    steps: list[Step] = []
    for piece in pieces:
        if delivery.pace:
            steps.append(Pause(delivery.pace))
        steps.append(Write(piece))
    return steps


def _interruption(delivery: Delivery, reply: Reply, ping: Frame | None, *, begun: bool) -> list[Step]:
    steps: list[Step] = [Pause(delivery.stall)] if delivery.stall else []
    if begun and reply.frames is not None:
        sign = frame_bytes(ping, delivery) if ping else b": ping\r\n\r\n" if delivery.crlf else b": ping\n\n"
        for _ in range(int(delivery.pings / PING_EVERY)):
            steps += [Pause(PING_EVERY), Write(sign)]
    elif delivery.pings:
        steps.append(Pause(delivery.pings))
    if delivery.cut == "truncate" and begun and reply.frames is not None:
        steps.append(Finish(complete=False))
    elif delivery.cut:  # a body with a content-length cannot end early but by breaking off
        steps += [Pause(FLUSH_PAUSE), Reset()]
    return steps


def _head(reply: Reply) -> Head:
    if reply.frames is not None:
        return Head(reply.status, (("content-type", EVENTS), ("cache-control", "no-cache"), *reply.headers))
    return Head(
        reply.status,
        (("content-type", reply.content_type), ("content-length", str(len(reply.body))), *reply.headers),
    )
