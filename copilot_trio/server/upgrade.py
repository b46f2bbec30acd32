"""A connection that leaves HTTP: its stream, which begins with the request head that h11 has read already."""

from __future__ import annotations

import trio

from copilot_trio.errors import BadRequest, UpgradeRequired

from .exchange import Request

WRITE_SIZE = 256 * 1024
GOING_AWAY, POLICY_VIOLATION = 1001, 1008  # close codes of a WebSocket


class UpgradedStream(trio.abc.Stream):
    """``send_timeout``: seconds for 256 KiB to a peer that has stopped reading."""

    def __init__(self, stream: trio.abc.Stream, beginning: bytes, send_timeout: float) -> None:
        self._stream = stream
        self._beginning = beginning
        self._send_timeout = send_timeout

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        if not self._beginning:
            return bytes(await self._stream.receive_some(max_bytes))
        await trio.lowlevel.checkpoint()
        size = len(self._beginning) if max_bytes is None else max_bytes
        beginning, self._beginning = self._beginning[:size], self._beginning[size:]
        return beginning

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        """Raises ``trio.BrokenResourceError`` too where the peer does not read."""
        for start in range(0, len(data), WRITE_SIZE):  # slow is not stopped
            with trio.move_on_after(self._send_timeout) as scope:
                await self._stream.send_all(data if len(data) <= WRITE_SIZE else data[start : start + WRITE_SIZE])
            if scope.cancelled_caught:
                await trio.aclose_forcefully(self._stream)
                raise trio.BrokenResourceError("the peer stopped reading")

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


def check_handshake(request: Request) -> None:
    """Raises ``UpgradeRequired`` for a plain GET, ``BadRequest`` for a handshake that cannot succeed.

    Beforehand, because trio-websocket waits for ever for a handshake that it has refused.
    """
    headers = request.headers
    if headers.get("upgrade", "").lower() != "websocket":
        raise UpgradeRequired("this route speaks WebSocket on GET", remedy="Use POST, or a WebSocket client.")
    tokens = {token.strip().lower() for token in headers.get("connection", "").split(",")}
    if "upgrade" not in tokens or headers.get("sec-websocket-version") != "13" or not headers.get("sec-websocket-key"):
        raise BadRequest("this is not a WebSocket handshake of version 13")
