"""The twin's end of a WebSocket: one frame of the client after the other, until either side has had enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from copilot_trio.server.exchange import Exchange

from .delivery import PING_EVERY, Close, Finish, Pause, Ping, Reset, Step, Write
from .records import Outcome, Record
from .reply import Headers

MAX_MESSAGE = 64 * 1024 * 1024
MAX_WAITING = 16  # frames that came while another was being answered
CLOSE_WAIT = 2.0
ABNORMAL = 1006

Hear = Callable[[WebSocketConnection, str | bytes], Awaitable[None]]


async def hold(exchange: Exchange, headers: Headers, hear: Hear) -> Outcome:
    """Shake hands and answer frames, in turn, until the socket is closed. Returns how it ended."""
    stream = await exchange.upgrade()
    async with trio.open_nursery() as nursery:
        request = await wrap_server_stream(nursery, stream, max_message_size=MAX_MESSAGE)
        connection = await request.accept(extra_headers=[(name.encode(), value.encode()) for name, value in headers])
        put, take = trio.open_memory_channel[str | bytes](MAX_WAITING)
        nursery.start_soon(_listen, connection, put, nursery.cancel_scope)
        try:
            async for message in take:
                await hear(connection, message)
        except ConnectionClosed:
            nursery.cancel_scope.cancel("closed while answering")
    closed = connection.closed
    return "finished" if closed is not None and closed.code != ABNORMAL else "peer left"


async def _listen(
    connection: WebSocketConnection, put: trio.MemorySendChannel[str | bytes], scope: trio.CancelScope
) -> None:
    """Hear of a close at once, even while a frame is being answered."""
    try:
        while True:
            await put.send(await connection.get_message())
    except ConnectionClosed:
        scope.cancel("closed")


async def perform(exchange: Exchange, connection: WebSocketConnection, steps: list[Step], record: Record) -> None:
    """Raises ``ConnectionClosed`` when the peer has left."""
    for step in steps:
        match step:
            case Write(data=data):
                await connection.send_message(data.decode())
                record.sent += len(data)
            case Pause(seconds=seconds):
                await trio.sleep(seconds)
            case Ping():
                with trio.move_on_after(PING_EVERY):
                    await connection.ping()
            case Finish():
                record.outcome = "finished"
            case Close(code=code):
                record.outcome = "truncated"
                with trio.move_on_after(CLOSE_WAIT):
                    await connection.aclose(code)
            case Reset():
                record.outcome = "reset"
                await exchange.abort()
