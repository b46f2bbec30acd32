"""Responses over a WebSocket upstream: one socket a request, its frames handed on as server-sent events.

A socket is never used again: a failed answer can leave a stale frame behind for the next (upstream.md §9.4).
"""

from __future__ import annotations

import ssl
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
import trio
from trio_websocket import ConnectionClosed, ConnectionRejected, WebSocketConnection, wrap_client_stream

from copilot_trio.accounts import frame as frames
from copilot_trio.accounts import outcome
from copilot_trio.errors import NoWebSocket, StreamTruncated, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from copilot_trio.unreadable import UNREADABLE

from .network import Dial, secure

MAX_FRAME = 8 * 1024 * 1024
MAX_HANDSHAKE = 128 * 1024  # bytes, the body of a refusal included
READ_SIZE = 64 * 1024
HANDSHAKE = 4.0  # seconds; whoever is slower is asked over HTTP
CLOSE = 2.0
TERMINAL = {"response.completed", "response.failed", "response.incomplete", "response.cancelled", "error"}
# Refusals that speak of the account or the request, so that HTTP would fare no better (upstream.md §9.1). Every other
# is of the WebSocket alone.
MEANT = {401, 402, 403, 408, 413, 421, 422, 429}
# Outside of JSON's strings a line's end is white space, and inside there is none.
ONE_LINE = bytes.maketrans(b"\r\n", b"  ")


class _Kind(msgspec.Struct):
    type: str = ""


class _Snapshots(msgspec.Struct):
    copilot_quota_snapshots: msgspec.Raw = msgspec.Raw()


_decode_snapshots = msgspec.json.Decoder(_Snapshots).decode
_decode_kind = msgspec.json.Decoder(_Kind).decode


class UpgradeAnswer(ABC):
    """An ``Answer`` to a request for a WebSocket."""

    status: int
    headers: dict[str, str]
    quota_snapshots = b""

    @abstractmethod
    async def receive(self) -> bytes: ...

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


class FrameAnswer(UpgradeAnswer):
    """A 200 whose body are the frames as server-sent events."""

    status = 200

    def __init__(self, socket: WebSocketConnection, first: bytes) -> None:
        self.headers = {**_readable(socket.handshake_headers), "content-type": "text/event-stream"}
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
        if self._ended:
            self.quota_snapshots = _snapshots_in(frame)
        return b"event: %b\ndata: %b\n\n" % (kind.encode().translate(ONE_LINE), frame.translate(ONE_LINE))


class RefusedUpgrade(UpgradeAnswer):
    """The HTTP answer that came instead of a WebSocket."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self._body = body

    async def receive(self) -> bytes:
        body, self._body = self._body, b""
        return body


class _Noticed(trio.abc.Stream):
    """``stream``, whose end cancels ``handshake``: the library waits for ever for one that never comes to its end."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self.handshake = trio.CancelScope()
        self._stream = stream
        self._heard = 0

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        try:
            await self._stream.send_all(data)
        except trio.BrokenResourceError:
            self.handshake.cancel("upstream closed the connection")
            raise

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data: bytes | bytearray = b""
        try:
            data = await self._stream.receive_some(max_bytes)
        finally:
            self._heard += len(data)
            if not data or self._heard > MAX_HANDSHAKE:
                self.handshake.cancel("upstream closed the connection, or has no end of words")
        return data

    async def aclose(self) -> None:
        await self._stream.aclose()


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
) -> AsyncIterator[UpgradeAnswer]:
    """One request over a socket of its own. ``connect`` and ``patience`` (for the first frame) are in seconds.

    Yields a 200, or upstream's refusal of the upgrade where that speaks of the account or the request. Raises
    ``NoWebSocket`` while nothing can have been asked; ``Refusal``, ``UpstreamUnreachable``, ``UpstreamTimeout``,
    ``StreamTruncated``.
    """
    failure: Exception | None = None
    crash: BaseExceptionGroup[Exception] | None = None
    asked = False
    stream = _Noticed(await _dialled(dial, context, url, connect))
    try:
        async with trio.open_nursery() as nursery:
            try:
                socket = await _shake_hands(nursery, stream, url, headers, min(connect, HANDSHAKE))
                asked = True
                yield FrameAnswer(socket, await _first_frame(socket, frame, patience))
            except Exception as error:  # out of the nursery as it is, not in a group
                failure = error
            nursery.cancel_scope.cancel("answered")
    except* Exception as group:  # from the library's own task
        crash = group
    finally:
        with trio.move_on_after(CLOSE, shield=True):
            await trio.aclose_forcefully(stream)
    if failure is not None:
        raise failure
    if crash is None:
        return
    cause = _first(crash)
    if asked:
        raise StreamTruncated(f"upstream broke the WebSocket's protocol: {cause}") from cause
    if not isinstance(cause, ConnectionRejected):
        raise NoWebSocket(f"the WebSocket's handshake failed: {cause}") from cause
    yield _refused(cause)


async def _dialled(dial: Dial, context: ssl.SSLContext | None, url: str, timeout: float) -> trio.abc.Stream:
    """Tried twice, as the pool does. Raises ``UpstreamUnreachable``."""
    try:
        return await _dialled_once(dial, context, url, timeout)
    except UpstreamUnreachable:
        return await _dialled_once(dial, context, url, timeout)


async def _dialled_once(dial: Dial, context: ssl.SSLContext | None, url: str, timeout: float) -> trio.abc.Stream:
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        with trio.fail_after(timeout):
            stream = await dial(host, port)
            return stream if context is None else await secure(stream, context, host, host)
    except trio.TooSlowError as error:
        raise UpstreamUnreachable("upstream cannot be reached: timed out") from error
    except (OSError, trio.BrokenResourceError, trio.ClosedResourceError) as error:
        why = str(error) or str(error.__cause__ or type(error).__name__)
        raise UpstreamUnreachable(f"upstream cannot be reached: {why}") from error


async def _shake_hands(
    nursery: trio.Nursery, stream: _Noticed, url: str, headers: Sequence[tuple[str, str]], timeout: float
) -> WebSocketConnection:
    """Raises ``NoWebSocket``. What else goes wrong, the library's task raises in ``nursery``."""
    parts = urlsplit(url)
    encoded = [(name.encode("ascii"), value.encode("latin-1")) for name, value in headers]
    stream.handshake.deadline = trio.current_time() + timeout
    with stream.handshake:
        socket = await wrap_client_stream(
            nursery,
            stream,  # type: ignore[arg-type]  # any stream will do
            parts.netloc.rpartition("@")[2],
            parts.path,
            extra_headers=encoded,
            max_message_size=MAX_FRAME,
            receive_buffer_size=READ_SIZE,
        )
        if socket.closed is None:
            return socket
    raise NoWebSocket("the WebSocket's handshake came to nothing")


async def _first_frame(socket: WebSocketConnection, frame: bytes, patience: float) -> bytes:
    """Ask, and wait for the first word. Raises as ``send_frame`` does."""
    try:
        with trio.fail_after(patience):
            try:
                await socket.send_message(frame.decode())
            except ConnectionClosed as error:  # half a frame is no request
                raise NoWebSocket(f"upstream closed the WebSocket before it was asked: {error.reason}") from error
            first = await _frame(socket)
    except trio.TooSlowError as error:
        raise UpstreamTimeout("upstream did not answer in time") from error
    if _kind_of(first) == "error":
        raise outcome.Refusal(frames.classify_frame(first))
    return first


def _first(group: BaseExceptionGroup[Exception]) -> BaseException:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def _refused(rejected: ConnectionRejected) -> RefusedUpgrade:
    status, body = rejected.status_code, rejected.body or b""
    if status not in MEANT or body.lstrip().startswith(b"<"):  # a page is some proxy's on the way
        raise NoWebSocket(f"upstream answered {status} to a WebSocket")
    return RefusedUpgrade(status, _readable(rejected.headers or ()), body)


def _readable(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    return {name.decode().lower(): value.decode("latin-1") for name, value in headers}


async def _frame(socket: WebSocketConnection) -> bytes:
    """The next text frame. Raises ``StreamTruncated`` where there is none."""
    try:
        while True:
            message = await socket.get_message()
            if isinstance(message, str):
                return message.encode()
    except ConnectionClosed as error:
        raise StreamTruncated(f"upstream closed the WebSocket before the end of the answer: {error.reason}") from None


def _snapshots_in(frame: bytes) -> bytes:
    """What it says of the quota, which over HTTP stands in headers (upstream.md §5.2)."""
    try:
        return bytes(_decode_snapshots(frame).copilot_quota_snapshots)
    except UNREADABLE:
        return b""


def _kind_of(frame: bytes) -> str:
    try:
        return _decode_kind(frame).type
    except UNREADABLE:
        return ""
