"""How bytes reach the upstream: over a socket, whatever ``Dial`` gives, or in memory.

httpcore asks for a connection; this answers with a Trio stream. It differs from httpcore's own Trio backend: the
dialler is ours to choose, a *cancelled* TLS handshake closes its socket at once, and sockets keep themselves alive.
"""

from __future__ import annotations

import os
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
# OpenSSL's codes for a chain that ends at no CA we know (X509_V_ERR_*): one more CA file cures these.
UNKNOWN_CA = {2, 18, 19, 20, 21}


async def dial_direct(host: str, port: int) -> trio.abc.Stream:
    try:
        return await open_socket(host, port)
    except OSError as error:
        raise OSError(f"{host}:{port}: {error}") from error


async def open_socket(host: str, port: int) -> trio.SocketStream:
    """Raises ``OSError`` in the system's own words: the caller knows what it dialled."""
    try:
        stream = await trio.open_tcp_stream(host, port)
    except OSError as error:
        raise OSError(dial_failure(error)) from error
    keep_alive(stream)
    return stream


def keep_alive(stream: trio.SocketStream) -> None:
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", KEEPALIVE_IDLE), ("TCP_KEEPINTVL", KEEPALIVE_IDLE), ("TCP_KEEPCNT", 4)):
        option = getattr(socket, name, None)
        if option is not None:
            stream.setsockopt(socket.IPPROTO_TCP, option, value)


async def secure(stream: trio.abc.Stream, context: ssl.SSLContext, host: str, who: str) -> trio.abc.Stream:
    """TLS over ``stream``, which is closed at once where this fails or is cancelled. Raises ``OSError``."""
    tls = trio.SSLStream(stream, context, server_hostname=host, https_compatible=True)
    try:
        await tls.do_handshake()
    except trio.BrokenResourceError as error:
        await trio.aclose_forcefully(stream)
        raise OSError(_handshake_failure(error.__cause__ or error, who)) from error
    except BaseException:  # cancellation too: httpcore's own backend leaves that socket to the collector
        await trio.aclose_forcefully(stream)
        raise
    return tls


def _handshake_failure(cause: BaseException, who: str) -> str:
    if not isinstance(cause, ssl.SSLCertVerificationError):
        return f"TLS with {who} failed: {said_by(cause)}"
    remedy = "; --ca-file takes the CA that signed it" if cause.verify_code in UNKNOWN_CA else ""
    return f"the TLS certificate of {who} is not trusted (certificate verify failed: {cause.verify_message}){remedy}"


def dial_failure(error: BaseException) -> str:
    """The system's words for why a socket could not be opened, from under Trio's own."""
    cause = error.__cause__ or error
    causes = cause.exceptions if isinstance(cause, BaseExceptionGroup) else (cause,)
    return ", ".join(dict.fromkeys(map(_without_address, causes)))


def _without_address(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno and not isinstance(error, socket.gaierror):
        return os.strerror(error.errno)
    return said_by(error)


def said_by(error: BaseException) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or (said_by(error.__cause__) if error.__cause__ else type(error).__name__)


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
            raise httpcore.ReadError(said_by(error)) from error

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
        host = server_hostname or ""
        with _mapped(httpcore.ConnectTimeout, httpcore.ConnectError), _fail_after(timeout):
            return NetworkStream(await secure(self._stream, ssl_context, host, host))

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
        raise on_error(said_by(error)) from error
