"""WebSockets on a connection whose request h11 has read: trio-websocket on the stream, the head replayed to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream

from .exchange import Exchange
from .upgrade import UpgradedStream

HANDSHAKE = 10.0  # seconds
CLOSE = 2.0
READ_SIZE = 64 * 1024


class Socket:
    """Messages in and out, as bytes."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self._connection = connection

    async def send(self, message: bytes) -> None:
        """One text message. Raises ``trio.BrokenResourceError`` once the client is gone."""
        try:
            await self._connection.send_message(message.decode("utf-8", "replace"))
        except ConnectionClosed as error:
            raise trio.BrokenResourceError("the client closed the WebSocket") from error

    async def receive(self) -> bytes | None:
        """The next message; None once the client is gone."""
        try:
            message = await self._connection.get_message()
        except ConnectionClosed:
            return None
        return message.encode() if isinstance(message, str) else message


async def serve_websocket(exchange: Exchange, max_message: int, run: Callable[[Socket], Awaitable[None]]) -> None:
    """Upgrade, and ``run`` until it returns; then the WebSocket is closed. ``max_message`` is in characters."""
    stream = await exchange.upgrade()
    async with trio.open_nursery() as nursery:
        socket = await _shake_hands(exchange, stream, nursery, max_message)
        if socket is not None:
            try:
                await run(Socket(socket))
            finally:
                with trio.move_on_after(CLOSE, shield=True):
                    await socket.aclose()
        nursery.cancel_scope.cancel("done")


async def _shake_hands(
    exchange: Exchange, stream: UpgradedStream, nursery: trio.Nursery, max_message: int
) -> WebSocketConnection | None:
    """None where the client left, or its handshake is none after all."""
    headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in exchange.extra_headers]
    with trio.move_on_after(HANDSHAKE):
        request = await wrap_server_stream(nursery, stream, max_message_size=max_message, receive_buffer_size=READ_SIZE)
        try:
            return await request.accept(extra_headers=headers)
        except ConnectionClosed:
            return None
    return None
