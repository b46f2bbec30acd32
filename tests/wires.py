"""Far ends of real sockets, scripted: plain, over TLS, and as proxies."""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import trio
import trustme

Serve = Callable[[trio.abc.Stream], Awaitable[None]]
ESTABLISHED = b"HTTP/1.1 200 Connection established\r\n\r\n"


async def listen(nursery: trio.Nursery, serve: Serve) -> int:
    """``serve`` has each connection, which is closed after it. Returns the port."""

    async def one(stream: trio.SocketStream) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await serve(stream)

    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, one, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


def secured(authority: trustme.CA, name: str, serve: Serve) -> Serve:
    """The same over TLS, with a certificate for ``name``."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)

    async def over_tls(stream: trio.abc.Stream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        await serve(tls)
        await tls.aclose()

    return over_tls


async def read_head(stream: trio.abc.Stream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        piece = await stream.receive_some()
        if not piece:
            raise trio.BrokenResourceError
        head += piece
    return head


async def tell_ok(stream: trio.abc.Stream) -> None:
    """An upstream that answers one request with ``ok``."""
    await read_head(stream)
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


def connect_proxy(seen: list[bytes], answer: bytes = ESTABLISHED) -> Serve:
    """Keeps the heads it was sent. Answers each byte of its answer apart; a 200 is followed by one exchange."""

    async def serve(stream: trio.abc.Stream) -> None:
        head = await read_head(stream)
        seen.append(head)
        for byte in answer:
            await stream.send_all(bytes([byte]))
        if b" 200 " not in answer:
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        async with await trio.open_tcp_stream(host, int(port)) as far:
            await far.send_all(await stream.receive_some())
            await stream.send_all(await far.receive_some())

    return serve
