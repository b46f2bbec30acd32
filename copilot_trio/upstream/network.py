"""How bytes reach the upstream: direct, through a proxy, or in memory.

httpcore asks for a connection; this answers with a Trio stream. It differs from httpcore's own Trio backend: the
dialler is ours to choose, a *cancelled* TLS handshake closes its socket at once, and sockets keep themselves alive.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpcore
import trio

Dial = Callable[[str, int], Awaitable[trio.abc.Stream]]
"""Open a byte stream to a host and port. Raises ``OSError`` when it cannot; never falls back to another way."""

KEEPALIVE_IDLE = 30  # seconds; below the idle timeout of NATs and tunnels
PROXY_SCHEMES = {"http", "socks4", "socks5", "socks5h"}


async def dial_direct(host: str, port: int) -> trio.abc.Stream:
    stream = await trio.open_tcp_stream(host, port)
    _keep_alive(stream)
    return stream


def dial_through(proxy_url: str) -> Dial:
    """A dialler through a proxy. Raises ``ValueError`` for a URL that it cannot use: none is left out in silence."""
    from python_socks import ProxyError
    from python_socks.async_.trio import Proxy

    scheme, separator, _ = proxy_url.partition("://")
    if not separator or scheme not in PROXY_SCHEMES:
        known = ", ".join(f"{name}://" for name in sorted(PROXY_SCHEMES))
        # Not the URL itself: it may hold a password.
        raise ValueError(f"this proxy URL cannot be used: it must begin with one of {known}")
    # socks5h means "let the proxy resolve names", which python-socks spells rdns=True.
    proxy = Proxy.from_url(proxy_url.replace("socks5h://", "socks5://", 1), rdns=scheme != "socks4")

    async def dial(host: str, port: int) -> trio.abc.Stream:
        try:
            stream = trio.SocketStream(await proxy.connect(host, port))
        except ProxyError as error:
            raise OSError(f"the proxy refused: {error}") from error
        _keep_alive(stream)
        return stream

    return dial


def _keep_alive(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", KEEPALIVE_IDLE), ("TCP_KEEPINTVL", KEEPALIVE_IDLE), ("TCP_KEEPCNT", 4)):
        option = getattr(socket, name, None)
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, value)


class NetworkBackend(httpcore.AsyncNetworkBackend):
    def __init__(self, dial: Dial) -> None:
        self._dial = dial

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError), _fail_after(timeout):
            return NetworkStream(await self._dial(host, port))

    async def sleep(self, seconds: float) -> None:
        await trio.sleep(seconds)


class NetworkStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if timeout is not None:
            with _mapped(httpcore.ReadTimeout, httpcore.ReadError), trio.fail_after(timeout):
                return bytes(await self._stream.receive_some(max_bytes))
        try:  # the hot path: once per piece of a running answer, so no context manager
            return bytes(await self._stream.receive_some(max_bytes))
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            raise httpcore.ReadError(_said_by(error)) from error

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _mapped(httpcore.WriteTimeout, httpcore.WriteError), _fail_after(timeout):
            await self._stream.send_all(buffer)

    async def aclose(self) -> None:
        await trio.aclose_forcefully(self._stream)

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        tls = trio.SSLStream(self._stream, ssl_context, server_hostname=server_hostname, https_compatible=True)
        try:
            with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError), _fail_after(timeout):
                await tls.do_handshake()
        except BaseException:  # cancellation too: httpcore's own backend leaves that socket to the collector
            await trio.aclose_forcefully(self._stream)
            raise
        return NetworkStream(tls)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":  # an idle connection that is readable has been closed on us
            stream = self._stream
            while isinstance(stream, trio.SSLStream):
                stream = stream.transport_stream
            return isinstance(stream, trio.SocketStream) and stream.socket.is_readable()
        return None


def _fail_after(timeout: float | None) -> AbstractContextManager[trio.CancelScope]:
    return trio.fail_after(float("inf") if timeout is None else timeout)


@contextmanager
def _mapped(on_timeout: type[Exception], on_error: type[Exception]) -> Iterator[None]:
    try:
        yield
    except trio.TooSlowError as error:
        raise on_timeout("timed out") from error
    except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
        raise on_error(_said_by(error)) from error


def _said_by(error: Exception) -> str:
    return str(error) or str(error.__cause__ or type(error).__name__)
