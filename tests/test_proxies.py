"""Proxies that a test scripts, for what real ones do not do at will. ``test_egress_servers.py`` has the real ones."""

from __future__ import annotations

import base64
import socket
from pathlib import Path
from typing import NoReturn

import pytest
import trio
import trustme
from proxy_servers import free_port
from wires import ESTABLISHED, Serve, connect_proxy, listen, read_head, secured, tell_ok

from copilot_trio.errors import UpstreamUnreachable
from copilot_trio.upstream.network import Dial
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.proxies import dial_through
from copilot_trio.upstream.tls import shared_context

pytestmark = pytest.mark.real_clock


async def fetch(dial: Dial, port: int, timeouts: Timeouts | None = None) -> bytes:
    pool = AccountPool(dial, shared_context, timeouts or Timeouts())
    try:
        async with pool.send("GET", f"http://127.0.0.1:{port}/", []) as answer:
            return await answer.read(100)
    finally:
        await pool.aclose()


async def silent(stream: trio.abc.Stream) -> None:
    while await stream.receive_some():
        pass


# ---- CONNECT


async def test_an_http_proxy_is_asked_to_connect_with_credentials(nursery: trio.Nursery) -> None:
    port = await listen(nursery, tell_ok)
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen))
    assert await fetch(dial_through(f"http://us%C3%A9r:s%3Acret@127.0.0.1:{proxy}"), port) == b"ok"
    lines = seen[0].decode().split("\r\n")
    assert lines[0] == f"CONNECT 127.0.0.1:{port} HTTP/1.1"
    assert lines[1].lower() == f"host: 127.0.0.1:{port}"
    name, value = lines[2].split(": ")
    assert name.lower() == "proxy-authorization"
    assert base64.b64decode(value.removeprefix("Basic ")).decode() == "usér:s:cret"
    assert lines[3:] == ["", ""]


async def test_an_address_of_ipv6_is_asked_for_in_brackets(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen, b"HTTP/1.1 502 Bad Gateway\r\n\r\n"))
    with pytest.raises(OSError, match=r"refused the connection to \[2001:db8::1\]:443: 502 Bad Gateway"):
        await dial_through(f"http://127.0.0.1:{proxy}")("2001:db8::1", 443)
    assert seen[0].startswith(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n")


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.0 200 OK\r\n\r\n", b"HTTP/1.1 102 Processing\r\n\r\n" + ESTABLISHED, b"HTTP/1.1 201 \r\n\r\n"]
)
async def test_any_answer_of_success_will_do(nursery: trio.Nursery, answer: bytes) -> None:
    proxy = await listen(nursery, connect_proxy([], answer))
    stream = await dial_through(f"http://127.0.0.1:{proxy}")("127.0.0.1", await listen(nursery, tell_ok))
    await stream.aclose()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.1 403 Filtered\x01\xff\r\n\r\n", r"refused the connection to far.test:443: 403 Filtered"),
        (b"HTTP/1.1 407 Authentication Required\r\n\r\n", "wants credentials: user:password@ before its host"),
        (b"HTTP/1.1 500 " + b"x" * 500 + b"\r\n\r\n", r"far.test:443: 500 x{100}$"),
        (b"", "closed the connection before it answered"),
        (b"HTTP/1.1 200", "closed the connection before it answered"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer as an HTTP proxy does"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"y" * 70_000, "does not answer as an HTTP proxy does"),
        (ESTABLISHED + b"too early", "sent more than its answer"),
    ],
)
async def test_a_connect_that_comes_to_nothing_says_which_hop_and_why(
    nursery: trio.Nursery, answer: bytes, said: str
) -> None:
    async def serve(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(answer)

    proxy = await listen(nursery, serve)
    with pytest.raises(OSError, match=f"^the proxy 127.0.0.1:{proxy} .*{said}"):
        await dial_through(f"http://127.0.0.1:{proxy}")("far.test", 443)


async def test_refused_credentials_are_not_told(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []
    proxy = await listen(nursery, connect_proxy(seen, b"HTTP/1.1 407 No, alice, not hunter2\r\n\r\n"))
    with pytest.raises(UpstreamUnreachable, match="wants other credentials") as caught:
        await fetch(dial_through(f"http://alice:hunter2@127.0.0.1:{proxy}"), 1)
    assert "alice" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert len(seen) == 2  # once, and once more on a new connection


async def test_a_proxy_that_resets_the_connection_is_named(nursery: trio.Nursery) -> None:
    async def reset(stream: trio.abc.Stream) -> None:
        assert isinstance(stream, trio.SocketStream)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await read_head(stream)
        await stream.aclose()

    proxy = await listen(nursery, reset)
    with pytest.raises(OSError, match=f"the proxy 127.0.0.1:{proxy} broke the connection: .*reset"):
        await dial_through(f"http://127.0.0.1:{proxy}")("far.test", 443)


async def test_the_socket_to_a_proxy_keeps_itself_alive(nursery: trio.Nursery) -> None:
    proxies = {
        "http": await listen(nursery, connect_proxy([])),
        "socks5h": await listen(nursery, socks_proxy([])),
    }
    port = await listen(nursery, tell_ok)
    for scheme, proxy in proxies.items():
        stream = await dial_through(f"{scheme}://127.0.0.1:{proxy}")("127.0.0.1", port)
        assert isinstance(stream, trio.SocketStream)
        assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        await stream.aclose()


# ---- CONNECT over TLS


async def test_an_https_proxy_is_spoken_to_over_tls(nursery: trio.Nursery, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    seen: list[bytes] = []
    proxy = await listen(nursery, secured(authority, "127.0.0.1", connect_proxy(seen)))
    dial = dial_through(f"https://127.0.0.1:{proxy}", ca_file=str(tmp_path / "ca.pem"))
    assert await fetch(dial, await listen(nursery, tell_ok)) == b"ok"
    assert len(seen) == 1


async def test_an_https_proxy_that_speaks_plain_http_is_told_apart(nursery: trio.Nursery) -> None:
    async def plain(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    proxy = await listen(nursery, plain)
    with pytest.raises(OSError, match=f"TLS with the proxy 127.0.0.1:{proxy} failed"):
        await dial_through(f"https://127.0.0.1:{proxy}")("far.test", 443)


# ---- SOCKS5


def socks_proxy(seen: list[bytes], *, method: bytes = b"\5\0", verdict: bytes = b"\5\0\0\1\0\0\0\0\0\0") -> Serve:
    """Keeps the requests it was sent; gives ``verdict`` on each, and goes no further."""

    async def serve(stream: trio.abc.Stream) -> None:
        seen.append(bytes(await stream.receive_some()))
        await stream.send_all(method)
        if method == b"\5\2":
            seen.append(bytes(await stream.receive_some()))
            await stream.send_all(b"\1\1" if b"wrong" in seen[-1] else b"\1\0")
        seen.append(bytes(await stream.receive_some()))
        await stream.send_all(verdict)
        await silent(stream)

    return serve


@pytest.mark.parametrize(
    ("scheme", "host", "request_sent"),
    [
        ("socks5h", "localhost", b"\5\1\0\3\x09localhost\1\xbb"),
        ("socks5", "localhost", b"\5\1\0\1\x7f\0\0\1\1\xbb"),
        ("socks5h", "192.0.2.1", b"\5\1\0\1\xc0\0\2\1\1\xbb"),
        ("socks5h", "2001:db8::1", b"\5\1\0\4\x20\1\x0d\xb8" + bytes(11) + b"\1\1\xbb"),
    ],
)
async def test_socks5_resolves_names_here_and_socks5h_at_the_proxy(
    nursery: trio.Nursery, scheme: str, host: str, request_sent: bytes
) -> None:
    seen: list[bytes] = []
    stream = await dial_through(f"{scheme}://127.0.0.1:{await listen(nursery, socks_proxy(seen))}")(host, 443)
    await stream.aclose()
    assert seen == [b"\5\1\0", request_sent]


async def test_socks5_credentials_are_offered_decoded(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []
    proxy = await listen(nursery, socks_proxy(seen, method=b"\5\2"))
    stream = await dial_through(f"socks5h://al%40ice:s%3Acret@127.0.0.1:{proxy}")("far.test", 443)
    await stream.aclose()
    assert seen[:2] == [b"\5\2\0\2", b"\1\6al@ice\6s:cret"]


@pytest.mark.parametrize(
    ("user", "method", "verdict", "said"),
    [
        ("", b"\5\xff", b"", "wants credentials: user:password@ before its host"),
        ("alice:wrong@", b"\5\2", b"", "wants other credentials"),
        ("alice:right@", b"\5\xff", b"", "wants other credentials"),
        ("", b"\5\0", b"\5\5\0\1\0\0\0\0\0\0", "refused the connection to far.test:443: Connection refused"),
        ("", b"\5\0", b"\5\2\0\1\0\0\0\0\0\0", "refused the connection to far.test:443: Connection not allowed"),
        ("", b"HT", b"", "refused the connection to far.test:443"),
        ("", b"\5\0", b"\5\0\0\3\2\xff\xff\0\0", "does not answer as a SOCKS5 proxy does"),
    ],
)
async def test_socks5_that_comes_to_nothing_says_which_hop_and_why(
    nursery: trio.Nursery, user: str, method: bytes, verdict: bytes, said: str
) -> None:
    proxy = await listen(nursery, socks_proxy([], method=method, verdict=verdict))
    with pytest.raises(OSError, match=f"^the proxy 127.0.0.1:{proxy} {said}") as caught:
        await dial_through(f"socks5h://{user}127.0.0.1:{proxy}")("far.test", 443)
    for secret in ("alice", "wrong", "right"):
        assert secret not in str(caught.value)


async def test_a_socks5_proxy_that_hangs_up_is_named(nursery: trio.Nursery) -> None:
    async def hang_up(stream: trio.abc.Stream) -> None:
        await stream.receive_some()

    proxy = await listen(nursery, hang_up)
    with pytest.raises(OSError, match=f"^the proxy 127.0.0.1:{proxy} "):
        await dial_through(f"socks5h://127.0.0.1:{proxy}")("far.test", 443)


class NoNames(trio.abc.HostnameResolver):
    """A machine without a name server."""

    async def getaddrinfo(self, *_: object, **__: object) -> NoReturn:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def getnameinfo(self, *_: object) -> NoReturn:
        raise AssertionError


async def test_a_name_that_socks5_cannot_resolve_here_is_an_error_with_a_remedy(nursery: trio.Nursery) -> None:
    trio.socket.set_custom_hostname_resolver(NoNames())
    proxy = await listen(nursery, socks_proxy([]))
    with pytest.raises(OSError, match=r"^far.test cannot be resolved: Name or service not known; socks5h://"):
        await dial_through(f"socks5://127.0.0.1:{proxy}")("far.test", 443)


# ---- every kind


SCHEMES = ("http", "https", "socks5", "socks5h")


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_that_is_down_is_an_error_and_nothing_goes_direct(nursery: trio.Nursery, scheme: str) -> None:
    reached: list[bool] = []

    async def target(stream: trio.abc.Stream) -> None:
        reached.append(True)

    port = await listen(nursery, target)
    down = free_port()
    with pytest.raises(UpstreamUnreachable) as caught:
        await fetch(dial_through(f"{scheme}://alice:hunter2@127.0.0.1:{down}"), port)
    assert (
        str(caught.value) == f"upstream cannot be reached: the proxy 127.0.0.1:{down} cannot be reached: "
        "Connection refused. Nothing was charged."
    )
    assert reached == []


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_whose_name_is_unknown_is_an_error(scheme: str) -> None:
    trio.socket.set_custom_hostname_resolver(NoNames())
    with pytest.raises(OSError, match=r"^the proxy proxy\.test:1 cannot be reached: Name or service not known$"):
        await dial_through(f"{scheme}://proxy.test:1")("far.test", 443)


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_a_proxy_that_keeps_silent_is_named_before_the_time_is_up(nursery: trio.Nursery, scheme: str) -> None:
    proxy = await listen(nursery, silent)
    with pytest.raises(UpstreamUnreachable, match=f"the proxy 127.0.0.1:{proxy} did not open .* 127.0.0.1:1 in time"):
        await fetch(dial_through(f"{scheme}://127.0.0.1:{proxy}"), 1, Timeouts(connect=0.2))


@pytest.mark.parametrize("scheme", SCHEMES)
async def test_cancelling_while_a_proxy_stalls_closes_its_socket(nursery: trio.Nursery, scheme: str) -> None:
    accepted, closed = trio.Event(), trio.Event()

    async def stall(stream: trio.abc.Stream) -> None:
        accepted.set()
        await silent(stream)
        closed.set()

    dial = dial_through(f"{scheme}://127.0.0.1:{await listen(nursery, stall)}")
    with trio.fail_after(10):
        async with trio.open_nursery() as dialling:
            dialling.start_soon(dial, "127.0.0.1", 1)
            await accepted.wait()
            dialling.cancel_scope.cancel()
        await closed.wait()


@pytest.mark.parametrize("url", ["ftp://x", "127.0.0.1:8080", "", "socks9://x:1"])
def test_a_proxy_url_that_cannot_be_used_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="cannot be used"):
        dial_through(url)
