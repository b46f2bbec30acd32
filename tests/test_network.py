from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

import pytest
import trio

from copilot_trio.upstream.network import NetworkBackend, dial_direct, dial_through
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.proxies import dial_by_environment, is_exempt
from copilot_trio.upstream.tls import shared_context

pytestmark = pytest.mark.real_clock

Serve = Callable[[trio.SocketStream], Awaitable[None]]


async def listen(nursery: trio.Nursery, serve: Serve) -> int:
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    nursery.start_soon(trio.serve_listeners, serve, listeners)
    port: int = listeners[0].socket.getsockname()[1]
    return port


async def upstream(stream: trio.SocketStream) -> None:
    await stream.receive_some()
    await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")


async def read_head(stream: trio.SocketStream) -> bytes:
    head = b""
    while b"\r\n\r\n" not in head:
        head += await stream.receive_some()
    return head


def connect_proxy(seen: list[bytes], answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n") -> Serve:
    async def serve(stream: trio.SocketStream) -> None:
        head = await read_head(stream)
        seen.append(head)
        await stream.send_all(answer)
        if b" 200 " not in answer:
            await stream.aclose()
            return
        host, _, port = head.split()[1].decode().rpartition(":")
        far = await trio.open_tcp_stream(host, int(port))
        await far.send_all(await stream.receive_some())
        await stream.send_all(await far.receive_some())
        await far.aclose()
        await stream.aclose()

    return serve


async def fetch(pool: AccountPool, port: int) -> bytes:
    try:
        async with pool.send("GET", f"http://127.0.0.1:{port}/", []) as answer:
            return await answer.read(100)
    finally:
        await pool.aclose()


async def test_a_direct_socket_has_no_delay_and_keeps_itself_alive(nursery: trio.Nursery) -> None:
    port = await listen(nursery, upstream)
    stream = await dial_direct("127.0.0.1", port)
    assert isinstance(stream, trio.SocketStream)
    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    await stream.aclose()


async def test_an_http_proxy_is_asked_to_connect(nursery: trio.Nursery) -> None:
    port = await listen(nursery, upstream)
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen))
    pool = AccountPool(dial_through(f"http://user:secret@127.0.0.1:{proxy}"), shared_context)
    assert await fetch(pool, port) == b"ok"
    assert seen[0].startswith(b"CONNECT 127.0.0.1:%d HTTP/1.1\r\n" % port)
    assert b"Proxy-Authorization: Basic" in seen[0]


async def test_a_proxy_that_refuses_is_an_error_and_nothing_goes_direct(nursery: trio.Nursery) -> None:
    reached: list[bool] = []

    async def target(stream: trio.SocketStream) -> None:
        reached.append(True)

    port = await listen(nursery, target)
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen, b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"))
    with pytest.raises(Exception, match="407"):
        await fetch(AccountPool(dial_through(f"http://127.0.0.1:{proxy}"), shared_context), port)
    assert len(seen) == 2  # once, and once more on a new connection
    assert reached == []


async def test_a_proxy_that_is_down_is_an_error_and_nothing_goes_direct(nursery: trio.Nursery) -> None:
    reached: list[bool] = []

    async def target(stream: trio.SocketStream) -> None:
        reached.append(True)

    port = await listen(nursery, target)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        down = unused.getsockname()[1]
    for scheme in ("http", "socks5", "socks5h", "socks4"):
        with pytest.raises(Exception, match="cannot be reached"):
            await fetch(AccountPool(dial_through(f"{scheme}://127.0.0.1:{down}"), shared_context), port)
    assert reached == []


async def test_cancelling_while_a_proxy_stalls_closes_its_socket(nursery: trio.Nursery) -> None:
    closed = trio.Event()

    async def stall(stream: trio.SocketStream) -> None:
        await read_head(stream)
        assert not await stream.receive_some()
        closed.set()

    proxy = await listen(nursery, stall)
    pool = AccountPool(dial_through(f"http://127.0.0.1:{proxy}"), shared_context)
    with trio.move_on_after(0.1):
        await fetch(pool, 1)
    with trio.fail_after(2):
        await closed.wait()


@pytest.mark.parametrize("url", ["https://127.0.0.1:1", "ftp://x", "127.0.0.1:8080", "", "socks9://x:1"])
def test_a_proxy_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        dial_through(url)


def test_no_proxy_in_the_environment_is_an_error() -> None:
    with pytest.raises(ValueError, match="none of HTTPS_PROXY"):
        dial_by_environment({})


async def test_the_environments_proxy_is_used_but_for_exempt_hosts(nursery: trio.Nursery) -> None:
    port = await listen(nursery, upstream)
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen))
    through = dial_by_environment({"http_proxy": f"http://127.0.0.1:{proxy}"})
    assert await fetch(AccountPool(through, shared_context), port) == b"ok"
    exempt = dial_by_environment({"ALL_PROXY": f"http://127.0.0.1:{proxy}", "NO_PROXY": "127.0.0.1"})
    assert await fetch(AccountPool(exempt, shared_context), port) == b"ok"
    assert len(seen) == 1


async def test_without_a_proxy_for_https_other_hosts_are_refused_not_dialled() -> None:
    dial = dial_by_environment({"HTTP_PROXY": "http://127.0.0.1:9"})
    with pytest.raises(OSError, match="does not go direct"):
        await dial("upstream.example", 8443)


@pytest.mark.parametrize(
    ("host", "no_proxy", "exempt"),
    [
        ("a.example.com", "example.com", True),
        ("a.example.com", ".example.com", True),
        ("badexample.com", "example.com", False),
        ("example.com", "other, Example.com", True),
        ("example.com", "example.com:443", True),
        ("example.com", "example.com:80", False),
        ("::1", "[::1]", True),
        ("x", "*", True),
        ("x", "", False),
    ],
)
def test_no_proxy(host: str, no_proxy: str, exempt: bool) -> None:
    assert is_exempt(host, 443, no_proxy) == exempt


def test_the_tls_context_is_made_once() -> None:
    assert shared_context() is shared_context()


async def test_httpcore_may_sleep(nursery: trio.Nursery) -> None:
    await NetworkBackend(dial_direct).sleep(0)
