"""The server on real sockets: few, and quick."""

from __future__ import annotations

import socket
import struct

import pytest
import trio
from memory_network import Client, get, post, read_response
from raw_client import echo, until_eof

from copilot_trio.server.exchange import Exchange, Handler
from copilot_trio.server.listen import Limits, Server

pytestmark = pytest.mark.real_clock
PATIENCE = 5.0


async def listen(nursery: trio.Nursery, handler: Handler, limits: Limits | None = None) -> tuple[Server, int]:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(handler, limits or Limits())
    await nursery.start(server.serve, listeners)
    return server, listeners[0].socket.getsockname()[1]


async def test_a_request_over_tcp_is_answered(nursery: trio.Nursery) -> None:
    _, port = await listen(nursery, echo)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        client = Client(stream)
        for body in (b"small", b"x" * 1_000_000):
            await post(stream, "/", body)
            assert (await client.response()).body == body


async def test_the_peer_is_the_sockets_address(nursery: trio.Nursery) -> None:
    async def show(exchange: Exchange) -> None:
        await exchange.respond(200, exchange.request.peer.encode())

    _, port = await listen(nursery, show)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await get(stream, "/", ("x-forwarded-for", "6.6.6.6"))
        assert (await read_response(stream)).body == b"127.0.0.1"


async def test_a_client_that_resets_in_mid_stream_cancels_the_handler(nursery: trio.Nursery) -> None:
    cancelled = trio.Event()

    async def streaming(exchange: Exchange) -> None:
        try:
            await exchange.start(200, [])
            await exchange.send(b"x")
            await trio.sleep_forever()
        finally:
            cancelled.set()

    _, port = await listen(nursery, streaming)
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    await get(stream, "/")
    await stream.receive_some()
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await stream.aclose()
    with trio.fail_after(PATIENCE):
        await cancelled.wait()


async def test_a_client_that_does_not_read_is_dropped(nursery: trio.Nursery) -> None:
    cancelled = trio.Event()

    async def flood(exchange: Exchange) -> None:
        try:
            await exchange.start(200, [])
            while True:
                await exchange.send(b"x" * 1_000_000)
        finally:
            cancelled.set()

    _, port = await listen(nursery, flood, Limits(send_timeout=0.1))
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await get(stream, "/")
        with trio.fail_after(PATIENCE):
            await cancelled.wait()


async def test_abort_resets_the_connection(nursery: trio.Nursery) -> None:
    async def reset(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.send(b"x")
        await exchange.abort()

    _, port = await listen(nursery, reset)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await get(stream, "/")
        with trio.fail_after(PATIENCE), pytest.raises(trio.BrokenResourceError) as caught:
            await until_eof(stream)
    assert isinstance(caught.value.__cause__, ConnectionResetError)


async def test_aborting_twice_on_a_socket_does_no_harm(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    async def reset(exchange: Exchange) -> None:
        with trio.CancelScope(shield=True):
            await exchange.abort()
            await exchange.abort()

    _, port = await listen(nursery, reset)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await get(stream, "/")
        with trio.fail_after(PATIENCE), pytest.raises(trio.BrokenResourceError):
            await until_eof(stream)
    assert not caplog.records


async def test_a_refused_upload_over_tcp_gets_its_reason(nursery: trio.Nursery) -> None:
    _, port = await listen(nursery, echo, Limits(max_body=1000))
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await post(stream, "/", b"x" * 500_000)
        with trio.fail_after(PATIENCE):
            assert (await read_response(stream)).status == 413


async def test_accepted_sockets_send_without_delay(nursery: trio.Nursery) -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    async with listener, await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1]):
        async with await listener.accept() as accepted:
            assert accepted.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_stopping_closes_sockets(nursery: trio.Nursery) -> None:
    server, port = await listen(nursery, echo)
    async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
        await post(stream, "/", b"")
        await read_response(stream)
        server.stop()
        with trio.fail_after(PATIENCE):
            assert await until_eof(stream) == b""
    with pytest.raises(OSError, match="all attempts to connect"):
        await trio.open_tcp_stream("127.0.0.1", port)
