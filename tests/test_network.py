from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
import trio
import trustme
from proxy_servers import free_port
from wires import listen, secured

from copilot_trio.upstream.network import (
    NetworkBackend,
    NetworkStream,
    dial_direct,
    dial_failure,
    open_socket,
    said_by,
    secure,
)
from copilot_trio.upstream.tls import shared_context

pytestmark = pytest.mark.real_clock


async def silent(stream: trio.abc.Stream) -> None:
    while await stream.receive_some():
        pass


async def test_a_direct_socket_has_no_delay_and_keeps_itself_alive(nursery: trio.Nursery) -> None:
    stream = await dial_direct("127.0.0.1", await listen(nursery, silent))
    assert isinstance(stream, trio.SocketStream)
    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
    await stream.aclose()


async def test_a_direct_dial_that_fails_says_where_to_and_why() -> None:
    down = free_port()
    with pytest.raises(OSError, match=f"^127.0.0.1:{down}: Connection refused$"):
        await dial_direct("127.0.0.1", down)


async def test_several_addresses_that_fail_alike_are_one_reason() -> None:
    refused = ConnectionRefusedError(111, "Connection refused")
    error = OSError("all attempts failed")
    error.__cause__ = ExceptionGroup("attempts", [refused, refused, OSError(101, "Network is unreachable")])
    assert dial_failure(error) == "Connection refused, Network is unreachable"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(111, "Connection refused"), "Connection refused"),
        (OSError("in our own words"), "in our own words"),
        (trio.BrokenResourceError(), "BrokenResourceError"),
    ],
)
def test_what_an_error_says(error: Exception, said: str) -> None:
    assert said_by(error) == said


def test_an_error_without_words_has_its_causes() -> None:
    error = trio.BrokenResourceError()
    error.__cause__ = OSError(104, "Connection reset by peer")
    assert said_by(error) == "Connection reset by peer"


async def test_tls_in_tls_carries_bytes_and_its_socket_is_still_found(nursery: trio.Nursery, tmp_path: Path) -> None:
    authority = trustme.CA()
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))

    async def inner(outer: trio.abc.Stream) -> None:
        await secured(authority, "inner.test", greet)(outer)

    async def greet(stream: trio.abc.Stream) -> None:
        await stream.send_all(await stream.receive_some())

    port = await listen(nursery, secured(authority, "outer.test", inner))
    context = shared_context(str(ca_file))
    outer = await secure(await open_socket("127.0.0.1", port), context, "outer.test", "the outer end")
    stream = NetworkStream(await secure(outer, context, "inner.test", "the inner end"))
    await stream.write(b"hello")
    assert await stream.read(100) == b"hello"
    assert await stream.read(100) == b""
    assert stream.get_extra_info("is_readable")
    assert stream.get_extra_info("socket") is None
    await stream.aclose()


@pytest.mark.parametrize(
    ("name", "trusted", "said"),
    [
        ("outer.test", False, r"certificate of the far end is not trusted .*; --ca-file takes"),
        ("other.test", True, r"certificate of the far end is not trusted .*Hostname mismatch.*\)$"),
    ],
)
async def test_a_certificate_that_is_not_trusted_says_why(
    nursery: trio.Nursery, tmp_path: Path, name: str, trusted: bool, said: str
) -> None:
    authority, other = trustme.CA(), trustme.CA()
    ca_file = tmp_path / "ca.pem"
    (authority if trusted else other).cert_pem.write_to_path(str(ca_file))
    port = await listen(nursery, secured(authority, "outer.test", silent))
    with pytest.raises(OSError, match=said):
        await secure(await open_socket("127.0.0.1", port), shared_context(str(ca_file)), name, "the far end")


async def test_what_is_no_tls_is_told_apart(nursery: trio.Nursery) -> None:
    async def plain(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    port = await listen(nursery, plain)
    with pytest.raises(OSError, match=r"^TLS with the far end failed: .*WRONG_VERSION_NUMBER"):
        await secure(await open_socket("127.0.0.1", port), ssl.create_default_context(), "x.test", "the far end")


async def test_a_cancelled_handshake_closes_its_socket(nursery: trio.Nursery) -> None:
    closed = trio.Event()

    async def stall(stream: trio.abc.Stream) -> None:
        await silent(stream)
        closed.set()

    stream = await open_socket("127.0.0.1", await listen(nursery, stall))
    with trio.move_on_after(0.05):
        await secure(stream, ssl.create_default_context(), "x.test", "the far end")
    with trio.fail_after(2):
        await closed.wait()


def test_the_tls_context_is_made_once() -> None:
    assert shared_context() is shared_context()


async def test_httpcore_may_sleep() -> None:
    await NetworkBackend(dial_direct).sleep(0)
