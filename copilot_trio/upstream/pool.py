"""The connections of one account. httpcore's exceptions end here: above, nobody has heard of it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, cast

import httpcore
import msgspec
import trio

from copilot_trio.errors import (
    StreamTruncated,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)

from .connection import IdlePlaces, StaleConnection, UpstreamConnection
from .network import Dial, NetworkBackend

if TYPE_CHECKING:
    from .websocket import UpgradeAnswer

KEEPALIVE_EXPIRY = 50.0  # seconds; below the 60 that upstream's balancers grant an idle connection
CLOSE_TIMEOUT = 2.0
READ_PATIENCE = 30.0  # for the whole of an answer that is not a model's
MAX_IDLE = 16  # the pool walks its list at every request (performance.md §3)

HeaderList = Sequence[tuple[str, str]]


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds (product.md §5.7). ``connect`` covers proxy and TLS; ``read`` ends with the response head."""

    connect: float = 15
    write: float = 60
    read: float = 120


DEFAULT_TIMEOUTS = Timeouts()


class PoolSnapshot(msgspec.Struct, frozen=True):
    active: int
    idle: int
    draining: int  # replaced pools with streams still running, so never more than there are streams
    connections: tuple[str, ...]


class Answer:
    """An upstream response under way: a status, headers, and a body to be read piece by piece."""

    quota_snapshots = b""

    def __init__(self, response: httpcore.Response) -> None:
        self.status = response.status
        self.headers = {
            name.decode("ascii", "replace").lower(): value.decode("latin-1") for name, value in response.headers
        }
        stream = response.stream
        assert hasattr(stream, "__aiter__")
        self._pieces = cast("AsyncGenerator[bytes]", stream.__aiter__())

    async def receive(self) -> bytes:
        """The next piece, as one network read brought it; empty at the end. A cancelled call loses the rest."""
        try:
            return await self._pieces.__anext__()
        except StopAsyncIteration:
            return b""
        except httpcore.TimeoutException as error:
            raise UpstreamTimeout("upstream fell silent in mid-answer") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise StreamTruncated(f"the connection to upstream broke in mid-answer: {error}") from error

    async def read(self, limit: int) -> bytes:
        """The whole of a small body. Raises ``UpstreamError`` beyond ``limit`` bytes or 30 s."""
        body = bytearray()
        with trio.move_on_after(READ_PATIENCE) as patience:
            while piece := await self.receive():
                body += piece
                if len(body) > limit:
                    raise UpstreamError(f"upstream's answer is over {limit} bytes")
        if patience.cancelled_caught:
            raise UpstreamTimeout("upstream began an answer and did not end it")
        return bytes(body)

    async def read_beginning(self, limit: int) -> bytes:
        """As much as there is, up to ``limit`` bytes: what a refusal says counts even where it breaks off."""
        body = bytearray()
        with trio.move_on_after(READ_PATIENCE), suppress(UpstreamError):
            while len(body) < limit and (piece := await self.receive()):
                body += piece
        return bytes(body[:limit])

    async def aclose(self) -> None:
        await self._pieces.aclose()


class _Pool(httpcore.AsyncConnectionPool):
    """httpcore's pool, holding our connections. It never queues: limits are the lease's (architecture.md §0)."""

    def __init__(self, backend: NetworkBackend, ssl_context: Callable[[], ssl.SSLContext]) -> None:
        super().__init__(network_backend=backend, max_connections=None, max_keepalive_connections=None)
        self._places = IdlePlaces(MAX_IDLE)
        self._backend = backend
        self._make_ssl_context = ssl_context
        self.in_flight = 0
        self.retired = False

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        context = self._make_ssl_context() if origin.scheme == b"https" else None
        return UpstreamConnection(origin, self._backend, context, KEEPALIVE_EXPIRY, self._places)

    async def drop_idle(self) -> None:
        for connection in self.connections:
            if connection.is_idle():
                await connection.aclose()


class _ReferencePool(_Pool):
    """The same with httpcore's own connection, which ours must equal; for tests."""

    def create_connection(self, origin: httpcore.Origin) -> httpcore.AsyncConnectionInterface:
        context = self._make_ssl_context() if origin.scheme == b"https" else None
        return httpcore.AsyncHTTPConnection(
            origin=origin,
            ssl_context=context,
            keepalive_expiry=KEEPALIVE_EXPIRY,
            network_backend=self._backend,
        )


class AccountPool:
    """``send`` requests; ``recycle`` to start afresh while running streams go on on the old connections."""

    def __init__(
        self,
        dial: Dial,
        ssl_context: Callable[[], ssl.SSLContext],
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        *,
        reference: bool = False,
    ) -> None:
        self._dial = dial
        self._ssl_context = ssl_context
        self._kind = _ReferencePool if reference else _Pool
        self._timeouts: dict[str, float | None] = {**msgspec.structs.asdict(timeouts), "pool": None}
        self._current = self._make()
        self._draining: set[_Pool] = set()

    def _make(self) -> _Pool:
        return self._kind(NetworkBackend(self._dial), self._ssl_context)

    def __repr__(self) -> str:
        shown = self.describe()
        return f"<AccountPool {shown.active} active, {shown.idle} idle, {shown.draining} draining>"

    @asynccontextmanager
    async def send(self, method: str, url: str, headers: HeaderList, body: bytes = b"") -> AsyncIterator[Answer]:
        """One request, sent again at most once, and only where nothing of it can have run (product.md §4.3).

        Raises ``UpstreamUnreachable``, ``UpstreamTimeout``, ``UpstreamError``. Leaving the block early, by
        cancellation too, closes the connection at once.
        """
        pool = self._current
        pool.in_flight += 1
        response: httpcore.Response | None = None
        answer: Answer | None = None
        try:
            response = await self._send_once_or_again(pool, _request(method, url, headers, body, self._timeouts))
            answer = Answer(response)
            yield answer
        finally:
            pool.in_flight -= 1
            with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
                if answer is not None:
                    await answer.aclose()
                if response is not None:
                    await response.aclose()
                await self._let_go_if_retired(pool)

    @asynccontextmanager
    async def send_frame(self, url: str, headers: HeaderList, frame: bytes) -> AsyncIterator[UpgradeAnswer]:
        """One request over a WebSocket of its own. ``websocket.send_frame`` says what it raises."""
        from .websocket import send_frame  # 40 ms and 2 MiB that most never need

        context = self._ssl_context() if url.startswith("https") else None
        connect, patience = self._timeouts["connect"], self._timeouts["read"]
        assert connect is not None
        assert patience is not None
        async with send_frame(self._dial, context, url, headers, frame, connect=connect, patience=patience) as answer:
            yield answer

    async def recycle(self) -> None:
        """Replace the pool; the old one keeps the sockets of its running streams only, each until its stream ends."""
        old, self._current = self._current, self._make()
        old.retired = True
        self._draining.add(old)
        with trio.move_on_after(CLOSE_TIMEOUT, shield=True):
            await self._let_go_if_retired(old)

    def describe(self) -> PoolSnapshot:
        pools = (self._current, *self._draining)
        connections = [each for pool in pools for each in pool.connections if not each.is_closed()]
        idle = sum(each.is_idle() for each in connections)
        shown = tuple(each.info() for each in connections)
        return PoolSnapshot(len(connections) - idle, idle, len(self._draining), shown)

    async def aclose(self) -> None:
        for pool in (self._current, *self._draining):
            await pool.aclose()

    async def _send_once_or_again(self, pool: _Pool, request: httpcore.Request) -> httpcore.Response:
        with _mapped_head():
            try:
                return await pool.handle_async_request(request)
            except (StaleConnection, httpcore.ConnectError, httpcore.ConnectTimeout):
                await pool.drop_idle()
                return await pool.handle_async_request(request)

    async def _let_go_if_retired(self, pool: _Pool) -> None:
        if not pool.retired:
            return
        if pool.in_flight:
            await pool.drop_idle()
        else:
            self._draining.discard(pool)
            await pool.aclose()


def _request(
    method: str, url: str, headers: HeaderList, body: bytes, timeouts: dict[str, float | None]
) -> httpcore.Request:
    parsed = httpcore.URL(url)
    standard_port = {b"http": 80, b"https": 443}.get(parsed.scheme)
    host = parsed.host.decode("ascii")
    shown = f"[{host}]" if ":" in host else host
    authority = shown if parsed.port in {None, standard_port} else f"{shown}:{parsed.port}"
    framing = [("content-length", str(len(body)))] if body or method not in {"GET", "HEAD"} else []
    encoded = [
        (name.encode("ascii"), value.encode("latin-1")) for name, value in [("Host", authority), *headers, *framing]
    ]
    return httpcore.Request(method, parsed, headers=encoded, content=body, extensions={"timeout": timeouts})


@contextmanager
def _mapped_head() -> Iterator[None]:
    try:
        yield
    except (httpcore.ConnectError, httpcore.ConnectTimeout, httpcore.ProxyError) as error:
        raise UpstreamUnreachable(f"upstream cannot be reached: {error}") from error
    except httpcore.TimeoutException as error:
        raise UpstreamTimeout("upstream did not answer in time") from error
    except (httpcore.NetworkError, httpcore.ProtocolError) as error:
        raise UpstreamError(f"the connection to upstream failed: {error}") from error
