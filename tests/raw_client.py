"""Clients that speak bytes: for what a well-behaved HTTP client would not send, or not notice."""

from __future__ import annotations

import trio
import trio.testing
from memory_network import Stream

from copilot_trio.server.connection import Connection, Limits, Serving
from copilot_trio.server.exchange import Exchange, Handler, Refuse, refuse_in_plain_text


async def echo(exchange: Exchange) -> None:
    await exchange.respond(200, exchange.request.body, "text/plain")


async def until_eof(stream: trio.abc.Stream) -> bytes:
    received = b""
    while data := await stream.receive_some():
        received += data
    return received


async def closes(stream: trio.abc.Stream) -> bool:
    """Does the server close, now or soon?"""
    with trio.move_on_after(5):
        try:
            return await until_eof(stream) == b""
        except trio.BrokenResourceError:
            return True
    return False


def head(received: bytes) -> list[str]:
    """The header's lines in lower case, sorted behind the status line."""
    status, *lines = received.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    return [status, *sorted(line.lower() for line in lines)]


def connect_recorded(
    nursery: trio.Nursery,
    handler: Handler,
    limits: Limits | None = None,
    refuse: Refuse = refuse_in_plain_text,
) -> tuple[Stream, list[bytes]]:
    """A client, and the list of the server's writes. They reach the list only."""
    ours, theirs = trio.testing.memory_stream_pair()
    writes: list[bytes] = []

    async def record() -> None:
        writes.append(bytes(theirs.send_stream.get_data_nowait()))

    theirs.send_stream.send_all_hook = record
    nursery.start_soon(Connection(theirs, handler, limits or Limits(), Serving(), refuse).serve)
    return ours, writes


def connect_lockstep(nursery: trio.Nursery, handler: Handler, limits: Limits | None = None) -> Stream:
    """A client that has no buffer: a write to it ends when it has read all of it."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(Connection(theirs, handler, limits or Limits(), Serving()).serve)
    return ours
