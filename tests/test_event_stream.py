"""Streams of events: what can still be chosen, and signs of life when there is silence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from memory_network import Stream, connect, get, read_response
from raw_client import connect_lockstep, until_eof

from copilot_trio.errors import BadRequest
from copilot_trio.server.event_stream import EventStream
from copilot_trio.server.exchange import Exchange

BEAT = b": beat\n\n"
CHUNKED_BEAT = b"8\r\n: beat\n\n\r\n"
Script = Callable[[EventStream], Awaitable[None]]


def handler(script: Script, headers: list[tuple[str, str]] | None = None) -> Callable[[Exchange], Awaitable[None]]:
    async def handle(exchange: Exchange) -> None:
        out = EventStream(exchange, BEAT)
        out.headers = headers or ()
        exchange.start_soon(out.beat)
        await script(out)

    return handle


async def answer_to(nursery: trio.Nursery, script: Script) -> bytes:
    stream = connect(nursery, handler(script))
    await get(stream, "/")
    return (await read_response(stream)).body


class Reader:
    """Notes when which bytes of the body came, framing included."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.seen: list[tuple[float, bytes]] = []

    async def run(self) -> None:
        began = trio.current_time()
        first = True
        while data := await self.stream.receive_some():
            body = bytes(data).partition(b"\r\n\r\n")[2] if first else bytes(data)
            first = False
            self.seen.append((trio.current_time() - began, body))


async def seen(nursery: trio.Nursery, script: Script) -> list[tuple[float, bytes]]:
    stream = connect(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    reader = Reader(stream)
    await reader.run()
    return reader.seen


# ---- three states


async def test_nothing_is_committed_before_the_first_event(nursery: trio.Nursery) -> None:
    states: list[bool] = []

    async def script(out: EventStream) -> None:
        states.append(out.committed)
        await trio.sleep(15)
        states.append(out.committed)
        await out.send(b"data: 1\n\n")
        states.append(out.committed)
        await out.finish()

    await answer_to(nursery, script)
    assert states == [False, False, True]


async def test_a_stream_has_its_headers(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.finish(b"data: 1\n\n")

    stream = connect(nursery, handler(script, [("x-more", "yes")]))
    await get(stream, "/")
    headers = (await read_response(stream)).headers
    assert headers == {
        "content-type": "text/event-stream",
        "cache-control": "no-cache",
        "x-accel-buffering": "no",
        "x-more": "yes",
        "transfer-encoding": "chunked",
    }


async def test_an_error_before_the_start_has_its_status(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.fail(429, [("retry-after", "5")], b"{}", b"event: error\n\n")

    stream = connect(nursery, handler(script))
    await get(stream, "/")
    response = await read_response(stream)
    assert (response.status, response.body, response.headers["retry-after"]) == (429, b"{}", "5")


async def test_an_error_after_a_heartbeat_is_an_event(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(11)
        await out.fail(429, [], b"{}", b"event: error\n\n")

    assert await answer_to(nursery, script) == BEAT + b"event: error\n\n"


async def test_an_error_after_an_event_is_an_event(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.send(b"data: 1\n\n")
        await out.fail(429, [], b"{}", b"event: error\n\n")

    assert await answer_to(nursery, script) == b"data: 1\n\nevent: error\n\n"


async def test_finishing_without_an_event_is_an_empty_stream(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.finish()

    assert await answer_to(nursery, script) == b""


async def test_finishing_with_an_event_sends_it(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.send(b"data: 1\n\n")
        await out.finish(b"data: 2\n\n")

    assert await answer_to(nursery, script) == b"data: 1\n\ndata: 2\n\n"


async def test_the_last_event_and_the_end_are_one_write(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.send(b"1")
        await trio.sleep(1)
        await out.finish(b"2")

    assert await seen(nursery, script) == [(0, b"1\r\n1\r\n"), (1, b"1\r\n2\r\n0\r\n\r\n")]


# ---- heartbeats


async def test_heartbeats_come_every_ten_seconds_before_the_first_event(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(25)
        await out.finish(b"1")

    assert await seen(nursery, script) == [(10, CHUNKED_BEAT), (20, CHUNKED_BEAT), (25, b"1\r\n1\r\n0\r\n\r\n")]


async def test_heartbeats_come_ten_seconds_after_the_last_event(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(7)
        await out.send(b"1")
        await trio.sleep(14)
        await out.finish()

    assert await seen(nursery, script) == [(7, b"1\r\n1\r\n"), (17, CHUNKED_BEAT), (21, b"0\r\n\r\n")]


async def test_a_busy_stream_has_no_heartbeats(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        for _ in range(20):
            await trio.sleep(9.5)
            await out.send(b"1")
        await out.finish()

    assert await answer_to(nursery, script) == b"1" * 20


async def test_no_heartbeat_comes_after_the_end(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.finish(b"1")
        await trio.sleep(60)

    assert await seen(nursery, script) == [(0, b"1\r\n1\r\n0\r\n\r\n")]


async def test_no_heartbeat_comes_after_an_error_with_a_status(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.fail(400, [], b"{}", b"")
        await trio.sleep(60)

    assert await seen(nursery, script) == [(0, b"{}")]


async def test_no_heartbeat_goes_into_an_error_that_was_raised_past_the_stream(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(5)
        raise BadRequest("no")

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    await trio.sleep(30)
    received = await until_eof(stream)
    assert received.startswith(b"HTTP/1.1 400 ")
    assert BEAT not in received


@pytest.mark.parametrize("pause", [0, 5, 9.5])
async def test_no_heartbeat_comes_while_a_write_waits_for_the_client(nursery: trio.Nursery, pause: float) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(pause)
        await out.send(b"1")
        await out.finish()

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    await trio.sleep(pause + 45)
    assert (await until_eof(stream)).endswith(b"\r\n\r\n1\r\n1\r\n0\r\n\r\n")


async def test_no_heartbeat_comes_while_the_end_waits_for_the_client(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.send(b"1")
        await trio.sleep(5)
        await out.finish(b"2")

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    received = bytes(await stream.receive_some(1000))
    await trio.sleep(45)
    received += await until_eof(stream)
    assert received.endswith(b"\r\n\r\n1\r\n1\r\n1\r\n2\r\n0\r\n\r\n")


async def test_no_heartbeat_comes_while_an_error_waits_for_the_client(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.fail(400, [], b"{}", b"")

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    await trio.sleep(45)
    assert (await until_eof(stream)).endswith(b"\r\n\r\n{}")


async def test_the_ten_seconds_begin_when_the_client_has_taken_the_last_event(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await out.send(b"1")
        await trio.sleep(15)
        await out.finish()

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/")
    await trio.sleep(33)
    began = trio.current_time()
    await stream.receive_some(1000)
    assert bytes(await stream.receive_some(1000)) == CHUNKED_BEAT
    assert trio.current_time() == began + 10


@pytest.mark.parametrize("how", ["send", "finish", "fail"])
async def test_what_comes_during_a_heartbeat_waits_for_its_end(nursery: trio.Nursery, how: str) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(12)
        match how:
            case "send":
                await out.send(b"1")
                await out.finish()
            case "finish":
                await out.finish(b"1")
            case _:
                await out.fail(500, [], b"{}", b"1")

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    await trio.sleep(20)
    received = b""
    while data := await stream.receive_some(1):
        received += data
    assert received.endswith(b"\r\n\r\n" + CHUNKED_BEAT + b"1\r\n1\r\n0\r\n\r\n")


@pytest.mark.parametrize("attempt", range(20))
async def test_an_event_at_the_moment_of_a_heartbeat_never_interleaves(nursery: trio.Nursery, attempt: int) -> None:
    async def script(out: EventStream) -> None:
        for _ in range(5):
            await trio.sleep(10)
            await out.send(b"event")
        await out.finish()

    stream = connect_lockstep(nursery, handler(script))
    await get(stream, "/", ("connection", "close"))
    received = await until_eof(stream)
    chunks = received.partition(b"\r\n\r\n")[2].replace(CHUNKED_BEAT, b"")
    assert chunks == b"5\r\nevent\r\n" * 5 + b"0\r\n\r\n"


async def test_a_heartbeat_to_a_client_that_stopped_reading_ends_with_the_handler(nursery: trio.Nursery) -> None:
    cancelled = trio.Event()

    async def script(out: EventStream) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    stream = connect_lockstep(nursery, handler(script))
    began = trio.current_time()
    await get(stream, "/")
    await cancelled.wait()
    assert trio.current_time() == began + 10 + 60


async def test_head_of_a_stream_has_no_heartbeats(nursery: trio.Nursery) -> None:
    async def script(out: EventStream) -> None:
        await trio.sleep(25)
        await out.finish(b"1")

    stream = connect(nursery, handler(script))
    await get(stream, "/", ("connection", "close"), method="HEAD")
    assert (await until_eof(stream)).endswith(b"\r\n\r\n")
