"""Responses over a WebSocket upstream: one socket a request, its frames handed on as server-sent events.

A socket is never used again: a failed answer can leave a stale frame behind for the next (upstream.md §9.4).
"""

from __future__ import annotations

import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import (
    ConnectionClosed,
    ConnectionRejected,
    ConnectionTimeout,
    HandshakeError,
    WebSocketConnection,
    wrap_client_stream,
)

from copilot_trio.accounts import frame as frames
from copilot_trio.accounts import outcome
from copilot_trio.errors import NoWebSocket, StreamTruncated, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from copilot_trio.unreadable import UNREADABLE

from .network import Dial

MAX_FRAME = 8 * 1024 * 1024
READ_SIZE = 64 * 1024
CLOSE = 2.0  # seconds
TERMINAL = {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "error"}
# A refusal of the upgrade alone: the same request can go over HTTP, for nothing has run.
NO_WEBSOCKET = {400, 404, 405, 426, 500, 501, 502, 503}


class _Kind(msgspec.Struct):
    type: str = ""


_decode_kind = msgspec.json.Decoder(_Kind).decode


class FrameAnswer:
    """An ``Answer``: a 200 whose body are the frames as server-sent events."""

    status = 200

    def __init__(self, socket: WebSocketConnection, headers: dict[str, str], first: bytes) -> None:
        self.headers = {**headers, "content-type": "text/event-stream"}
        self._socket = socket
        self._next: bytes | None = first
        self._ended = False

    async def receive(self) -> bytes:
        if self._ended:
            return b""
        frame = self._next
        self._next = None
        if frame is None:
            frame = await _frame(self._socket)
        kind = _kind_of(frame)
        self._ended = kind in TERMINAL
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), frame)

    async def read(self, limit: int) -> bytes:
        """The rest as it comes, up to ``limit`` bytes. Raises ``UpstreamError`` beyond."""
        body = bytearray()
        while piece := await self.receive():
            body += piece
            if len(body) > limit:
                raise UpstreamError(f"upstream's answer is over {limit} bytes")
        return bytes(body)

    async def read_beginning(self, limit: int) -> bytes:
        return (await self.read(MAX_FRAME))[:limit]


@asynccontextmanager
async def send_frame(
    dial: Dial,
    context: ssl.SSLContext | None,
    url: str,
    headers: Sequence[tuple[str, str]],
    frame: bytes,
    *,
    connect: float,
    patience: float,
) -> AsyncIterator[FrameAnswer]:
    """One request over a socket of its own. ``connect`` and ``patience`` (for the first frame) are in seconds.

    Raises ``NoWebSocket``, ``Refusal``, ``UpstreamUnreachable``, ``UpstreamTimeout``, ``StreamTruncated``.
    """
    failure: Exception | None = None
    rejected: ConnectionRejected | None = None
    stream = await _dialled(dial, context, url, connect)
    try:
        async with trio.open_nursery() as nursery:
            try:
                socket = await _shake_hands(nursery, stream, url, headers, connect)
                with trio.fail_after(patience):
                    await socket.send_message(frame.decode())
                    first = await _frame(socket)
                if _kind_of(first) == "error":
                    raise outcome.Refusal(frames.classify_frame(first))  # noqa: TRY301
                yield FrameAnswer(socket, _handshake_headers(socket), first)
            except trio.TooSlowError:
                failure = UpstreamTimeout("upstream did not answer in time")
            except ConnectionClosed as error:
                failure = StreamTruncated(f"upstream closed the WebSocket: {error.reason}")
            except Exception as error:  # out of the nursery as it is, not in a group
                failure = error
            nursery.cancel_scope.cancel("answered")
    except* ConnectionRejected as group:  # it comes from the library's own task
        rejected = _first(group)
    finally:
        with trio.move_on_after(CLOSE, shield=True):
            await trio.aclose_forcefully(stream)
    if rejected is not None:
        raise _refused(rejected)
    if failure is not None:
        raise failure


async def _dialled(dial: Dial, context: ssl.SSLContext | None, url: str, timeout: float) -> trio.abc.Stream:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    stream: trio.abc.Stream | None = None
    try:
        with trio.fail_after(timeout):
            stream = await dial(host, port)
            if parts.scheme == "https":
                assert context is not None
                secured = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
                stream = secured
                await secured.do_handshake()
            return stream
    except (OSError, trio.TooSlowError, trio.BrokenResourceError, ssl.SSLError) as error:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        raise UpstreamUnreachable(f"upstream cannot be reached: {str(error) or 'it took too long'}") from error
    except BaseException:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        raise


async def _shake_hands(
    nursery: trio.Nursery, stream: trio.abc.Stream, url: str, headers: Sequence[tuple[str, str]], timeout: float
) -> WebSocketConnection:
    parts = urlsplit(url)
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
    try:
        with trio.fail_after(timeout):
            return await wrap_client_stream(
                nursery,
                stream,  # type: ignore[arg-type]  # any stream will do
                parts.netloc.rpartition("@")[2],
                parts.path,
                extra_headers=encoded,
                max_message_size=MAX_FRAME,
                receive_buffer_size=READ_SIZE,
            )
    except (HandshakeError, ConnectionClosed, ConnectionTimeout) as error:
        raise NoWebSocket(f"the WebSocket's handshake failed: {error!r}") from None


def _first(group: BaseExceptionGroup[ConnectionRejected]) -> ConnectionRejected:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    assert isinstance(found, ConnectionRejected)
    return found


def _refused(rejected: ConnectionRejected) -> Exception:
    status = rejected.status_code
    if status in NO_WEBSOCKET:
        return NoWebSocket(f"upstream answered {status} to a WebSocket")
    headers = {name.decode().lower(): value.decode("latin-1") for name, value in rejected.headers or ()}
    return outcome.Refusal(outcome.classify(status, headers, rejected.body or b"", now=time.time()))


def _handshake_headers(socket: WebSocketConnection) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in socket.handshake_headers}


async def _frame(socket: WebSocketConnection) -> bytes:
    """The next text frame. Raises ``StreamTruncated`` where there is none."""
    try:
        while True:
            message = await socket.get_message()
            if isinstance(message, str):
                return message.encode()
    except ConnectionClosed as error:
        raise StreamTruncated(f"upstream closed the WebSocket before the end of the answer: {error.reason}") from None


def _kind_of(frame: bytes) -> str:
    try:
        return _decode_kind(frame).type
    except UNREADABLE:
        return ""
