"""Our connection inside httpcore's pool: h11 parses the head, a tight loop carries the body.

h11 costs 5 µs a received chunk and httpcore's wrappers as much again (performance.md §2); a response head is small
and untrusted, so h11 keeps that. One network read becomes one piece of body, however many chunks it held.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import suppress
from enum import Enum
from typing import cast

import h11
import httpcore
import trio

from .dechunk import Chunked, ContentLength, Framing, FramingError, UntilClose

READ_SIZE = 64 * 1024
MAX_HEAD = 64 * 1024
TRUSTED = 1.0  # seconds for which an idle connection is not asked whether it is still there: that is a system call


class StaleConnection(httpcore.RemoteProtocolError):
    """A reused connection was closed before any response byte: the keep-alive race, safe to send again."""


class IdlePlaces:
    """How many connections of one pool may idle. httpcore 1.0.9's own limit counts the busy ones too, and so closes
    every connection after use as soon as more requests than that are under way."""

    def __init__(self, limit: int) -> None:
        self._free = limit

    def take(self) -> bool:
        if not self._free:
            return False
        self._free -= 1
        return True

    def give_back(self) -> None:
        self._free += 1


class State(Enum):
    NEW = "NEW"
    CONNECTING = "CONNECTING"
    ACTIVE = "ACTIVE"
    IDLE = "IDLE"
    CLOSED = "CLOSED"


class UpstreamConnection(httpcore.AsyncConnectionInterface):
    def __init__(
        self,
        origin: httpcore.Origin,
        backend: httpcore.AsyncNetworkBackend,
        ssl_context: ssl.SSLContext | None,
        keepalive_expiry: float,
        places: IdlePlaces,
    ) -> None:
        self._origin = origin
        self._backend = backend
        self._ssl_context = ssl_context
        self._keepalive_expiry = keepalive_expiry
        self._state = State.NEW
        self._stream: httpcore.AsyncNetworkStream | None = None
        self._places = places
        self._idle_since = 0.0
        self._requests = 0

    # ---- what the pool asks

    def can_handle_request(self, origin: httpcore.Origin) -> bool:
        return origin == self._origin

    def is_available(self) -> bool:
        return self._state is State.IDLE

    def is_idle(self) -> bool:
        return self._state is State.IDLE

    def is_closed(self) -> bool:
        return self._state is State.CLOSED

    def has_expired(self) -> bool:
        if self._state is not State.IDLE or self._stream is None:
            return False
        idle = trio.current_time() - self._idle_since
        if idle < TRUSTED:
            return False  # if upstream has just closed it after all, the request is sent again at no cost
        return idle >= self._keepalive_expiry or bool(self._stream.get_extra_info("is_readable"))

    def info(self) -> str:
        return f"{str(self._origin)!r}, HTTP/1.1, {self._state.value}, Request Count: {self._requests}"

    def __repr__(self) -> str:
        return f"<UpstreamConnection [{self.info()}]>"

    # ---- one request

    async def handle_async_request(self, request: httpcore.Request) -> httpcore.Response:
        """Raises httpcore's exceptions; whatever is raised, cancellation too, closes the connection."""
        if self._state not in {State.NEW, State.IDLE}:
            raise httpcore.ConnectionNotAvailable
        reused = self._state is State.IDLE
        timeouts = request.extensions.get("timeout", {})
        if reused:
            self._places.give_back()
        self._state = State.ACTIVE if reused else State.CONNECTING
        try:
            if not reused:
                self._stream = await self._connect(timeouts.get("connect"))
            self._state = State.ACTIVE
            self._requests += 1
            return await self._exchange(request, timeouts, reused=reused)
        except BaseException:
            await self.aclose()
            raise

    async def aclose(self) -> None:
        if self._state is State.IDLE:
            self._places.give_back()
        self._state = State.CLOSED
        if self._stream is not None:
            await self._stream.aclose()

    def finished(self, *, reusable: bool) -> bool:
        """The body is complete. Returns whether the connection stays open."""
        if not reusable or self._state is not State.ACTIVE or not self._places.take():
            return False
        self._state = State.IDLE
        self._idle_since = trio.current_time()
        return True

    async def read(self) -> bytes:
        assert self._stream is not None
        return await self._stream.read(READ_SIZE)

    async def _connect(self, timeout: float | None) -> httpcore.AsyncNetworkStream:
        deadline = trio.current_time() + (float("inf") if timeout is None else timeout)
        host = self._origin.host.decode("ascii")
        stream = await self._backend.connect_tcp(host, self._origin.port, timeout=timeout)
        if self._origin.scheme != b"https":
            return stream
        assert self._ssl_context is not None
        return await stream.start_tls(self._ssl_context, host, timeout=max(0.0, deadline - trio.current_time()))

    async def _exchange(
        self, request: httpcore.Request, timeouts: dict[str, float], *, reused: bool
    ) -> httpcore.Response:
        machine = h11.Connection(h11.CLIENT, max_incomplete_event_size=MAX_HEAD)
        body = await _whole(request)
        with suppress(httpcore.WriteError):  # upstream may have answered early (413): what it said counts
            await self._send(machine, request, body, timeouts.get("write"))
        try:
            head = await self._receive_head(machine, timeouts.get("read"), reused=reused)
        except h11.RemoteProtocolError as error:
            raise httpcore.RemoteProtocolError(f"upstream's answer is not HTTP: {error}") from error
        framing = _framing_of(request.method, head)
        rest = machine.trailing_data[0]
        keep_alive = head.http_version == b"1.1" and b"close" not in _tokens(head, b"connection")
        body_stream = ResponseBody(self, framing, rest, keep_alive=keep_alive)
        return httpcore.Response(head.status_code, headers=head.headers.raw_items(), content=body_stream)

    async def _send(
        self, machine: h11.Connection, request: httpcore.Request, body: bytes, timeout: float | None
    ) -> None:
        assert self._stream is not None
        target = request.url.target
        head = machine.send(h11.Request(method=request.method, target=target, headers=request.headers)) or b""
        # One write for both: upstream then sees no half request, and the kernel sends no half packet.
        await self._stream.write(head + body, timeout)

    async def _receive_head(self, machine: h11.Connection, timeout: float | None, *, reused: bool) -> h11.Response:
        assert self._stream is not None
        deadline = trio.current_time() + (float("inf") if timeout is None else timeout)
        silent = True
        while True:
            event = machine.next_event()
            if isinstance(event, h11.Response):
                return event
            if event is not h11.NEED_DATA:
                continue  # 100 and 103
            try:
                data = await self._stream.read(READ_SIZE, max(0.0, deadline - trio.current_time()))
            except httpcore.ReadError as error:
                raise (StaleConnection if silent and reused else httpcore.RemoteProtocolError)(
                    f"upstream reset the connection before its answer: {error}"
                ) from error
            if not data:
                raise (StaleConnection if silent and reused else httpcore.RemoteProtocolError)(
                    "upstream closed the connection before its answer"
                )
            silent = False
            machine.receive_data(data)


class ResponseBody:
    """The body as an async iterator: one item a network read. Closing it early closes the connection."""

    def __init__(self, connection: UpstreamConnection, framing: Framing, rest: bytes, *, keep_alive: bool) -> None:
        self._connection = connection
        self._framing = framing
        self._rest = rest
        self._keep_alive = keep_alive
        self._closed = False

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        framing = self._framing
        while not framing.done:
            if self._rest:
                data, self._rest = self._rest, b""
            else:
                data = await self._connection.read()
            try:
                if not data:
                    framing.close()
                    break
                payload = framing.feed(data)
            except FramingError as error:
                raise httpcore.RemoteProtocolError(str(error)) from error
            if payload:
                return payload
        raise StopAsyncIteration

    async def aclose(self) -> None:
        if self._closed:
            return
        self._closed = True
        framing = self._framing
        reusable = framing.done and not framing.extra and not self._rest and self._keep_alive
        if not self._connection.finished(reusable=reusable and not isinstance(framing, UntilClose)):
            await self._connection.aclose()


async def _whole(request: httpcore.Request) -> bytes:
    """Our requests are always one piece of bytes."""
    parts = [part async for part in cast("AsyncIterable[bytes]", request.stream)]
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _framing_of(method: bytes, head: h11.Response) -> Framing:
    if method == b"HEAD" or head.status_code in {204, 304}:
        return ContentLength(0)
    if b"chunked" in _tokens(head, b"transfer-encoding"):
        return Chunked()
    lengths = _tokens(head, b"content-length")
    return ContentLength(int(lengths[0])) if lengths else UntilClose()


def _tokens(head: h11.Response, name: bytes) -> list[bytes]:
    values = b",".join(value for key, value in head.headers if key == name)
    return [token.strip().lower() for token in values.split(b",") if token.strip()]
