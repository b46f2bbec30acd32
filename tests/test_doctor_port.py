from __future__ import annotations

import socket

import pytest
import trio
from proxy_servers import free_port
from wires import listen, read_head

from copilot_trio import __version__
from copilot_trio.doctor.port import check_port

pytestmark = pytest.mark.real_clock


async def serve(nursery: trio.Nursery, root: bytes, health: bytes) -> int:
    async def answer(stream: trio.abc.Stream) -> None:
        body = health if b"/health" in await read_head(stream) else root
        await stream.send_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    return await listen(nursery, answer)


async def test_a_free_port() -> None:
    found = await check_port(free_port())
    assert (found.state, found.message) == ("ok", "free: no server runs there")


@pytest.mark.parametrize(
    ("root", "health", "state", "words"),
    [
        (b"Server running\n", b'{"status":"ok"}', "ok", "only to who has a key"),
        (b"Server running\n", b'{"status":"degraded"}', "warning", "says it is 'degraded'"),
        (b"Server running\n", b'{"status":"ok","version":"0.0.0"}', "warning", "of version 0.0.0; this is"),
        (
            b"Server running\n",
            b'{"status":"ok","version":"%s","accounts":{"total":2,"active":0}}',
            "warning",
            "without",
        ),
        (b"Server running\n", b'{"status":"ok","version":"%s","accounts":{"total":2,"active":1}}', "ok", "1 of 2"),
        (b"<html>", b"{}", "failed", "another program has it"),
    ],
)
async def test_who_is_there(nursery: trio.Nursery, root: bytes, health: bytes, state: str, words: str) -> None:
    health = health.replace(b"%s", __version__.encode())
    found = await check_port(await serve(nursery, root, health))
    assert (found.state, words in found.message) == (state, True), found


async def test_something_that_does_not_speak_http(nursery: trio.Nursery) -> None:
    async def garble(stream: trio.abc.Stream) -> None:
        await stream.receive_some()
        await stream.send_all(b"220 mail.example ESMTP\r\n")

    found = await check_port(await listen(nursery, garble))
    assert (found.state, "another program has it" in found.message) == ("failed", True)


async def test_a_port_that_is_bound_and_silent_to_us() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # and nobody listens
        found = await check_port(bound.getsockname()[1])
    assert (found.state, "cannot be listened on: Address already in use" in found.message) == ("failed", True)
