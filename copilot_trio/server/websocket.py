"""WebSockets on a connection whose request h11 has read: trio-websocket on the stream, the head replayed to it."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import trio
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_server_stream
from wsproto.utilities import LocalProtocolError

from .exchange import Exchange
from .upgrade import GOING_AWAY, UpgradedStream

HANDSHAKE = 10.0  # seconds
CLOSE = 2.0
READ_SIZE = 64 * 1024

logger = logging.getLogger(__name__)


class Socket:
    """Messages in and out, as bytes. ``close_code`` is what the client is told at the end."""

    def __init__(self, connection: WebSocketConnection) -> None:
        self.close_code = 1000
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
    try:
        async with trio.open_nursery() as nursery:
            connection = await _shake_hands(exchange, stream, nursery, max_message)
            if connection is not None:
                socket = Socket(connection)
                code = GOING_AWAY
                try:
                    await run(socket)
                    code = socket.close_code
                finally:
                    with trio.move_on_after(CLOSE, shield=True):
                        await connection.aclose(code)
            nursery.cancel_scope.cancel("done")
    except* (LocalProtocolError, ConnectionClosed):  # the library's own task, at a ping that comes while we close
        logger.debug("the WebSocket ended untidily")


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
