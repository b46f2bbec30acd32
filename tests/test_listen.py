"""Accepting, stopping, and surviving what the machine runs out of."""

from __future__ import annotations

import errno

import pytest
import trio
import trio.testing
from memory_network import Client, MemoryListener, Stream, get, post, read_response
from raw_client import closes, echo, until_eof

from copilot_trio.server.exchange import Exchange
from copilot_trio.server.listen import Limits, Listener, Server


class FailingListener(trio.abc.Listener[trio.abc.HalfCloseableStream]):
    """Raises these errors first, then hands out one stream, then nothing."""

    def __init__(self, *errors: int) -> None:
        self.client, self._ours = trio.testing.memory_stream_pair()
        self.closed = False
        self._errors = list(errors)
        self._given = False

    async def accept(self) -> Stream:
        await trio.lowlevel.checkpoint()
        if self._errors:
            raise OSError(self._errors.pop(0), "as the test wants it")
        if self._given:
            await trio.sleep_forever()
        self._given = True
        return self._ours

    async def aclose(self) -> None:
        self.closed = True
        await trio.lowlevel.checkpoint()


class Running:
    """A server, and when it ended."""

    def __init__(self, server: Server, listeners: list[Listener]) -> None:
        self.server = server
        self.ended = trio.Event()
        self.scope = trio.CancelScope()
        self._listeners = listeners

    async def run(self, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        with self.scope:
            await self.server.serve(self._listeners, task_status=task_status)
        self.ended.set()


async def slow(exchange: Exchange) -> None:
    await trio.sleep(10)
    await echo(exchange)


async def streaming(exchange: Exchange) -> None:
    await exchange.start(200, [])
    for _ in range(10):
        await exchange.send(b"x")
        await trio.sleep(10)
    await exchange.finish()


async def start(
    nursery: trio.Nursery, server: Server, listener: Listener | None = None
) -> tuple[Running, MemoryListener]:
    memory = MemoryListener()
    running = Running(server, [memory if listener is None else listener])
    await nursery.start(running.run)
    return running, memory


@pytest.mark.parametrize(
    "sent", [b"hello\r\n\r\n", b"", b"GET / HT", b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab"]
)
async def test_the_server_goes_on_after_a_client_that_misbehaves(nursery: trio.Nursery, sent: bytes) -> None:
    _, listener = await start(nursery, Server(echo, Limits()))
    bad = await listener.connect()
    await bad.send_all(sent)
    await until_eof(bad)
    good = await listener.connect()
    await post(good, "/", b"fine")
    assert (await read_response(good)).body == b"fine"


async def test_a_slow_client_does_not_hold_others_up(nursery: trio.Nursery) -> None:
    _, listener = await start(nursery, Server(echo, Limits()))
    slow_client = await listener.connect()
    await slow_client.send_all(b"GET / HT")
    began = trio.current_time()
    quick = await listener.connect()
    await post(quick, "/", b"")
    await read_response(quick)
    assert trio.current_time() == began


# ---- stopping


async def test_stopping_lets_answers_finish(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(slow, Limits()))
    stream = await listener.connect()
    await post(stream, "/", b"x")
    await trio.sleep(5)
    running.server.stop()
    assert (await read_response(stream)).body == b"x"


async def test_the_server_ends_when_its_last_answer_has(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(slow, Limits()))
    stream = await listener.connect()
    await post(stream, "/", b"x")
    await trio.sleep(5)
    began = trio.current_time()
    running.server.stop()
    await read_response(stream)
    await stream.aclose()
    await running.ended.wait()
    assert trio.current_time() == began + 5


async def test_an_answer_begun_while_stopping_says_that_it_is_the_last(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(slow, Limits()))
    stream = await listener.connect()
    await post(stream, "/", b"x")
    await trio.sleep(5)
    running.server.stop()
    assert (await read_response(stream)).headers["connection"] == "close"


async def test_stopping_says_close_only_once(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(slow, Limits()))
    stream = await listener.connect()
    await post(stream, "/", b"x", ("connection", "close"))
    await trio.sleep(5)
    running.server.stop()
    assert (await until_eof(stream)).lower().count(b"connection: close") == 1


async def test_a_pipelined_request_is_not_answered_any_more_after_the_last_answer(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(slow, Limits()))
    stream = await listener.connect()
    await post(stream, "/", b"x")
    await post(stream, "/", b"y")
    await trio.sleep(5)
    running.server.stop()
    assert (await until_eof(stream)).count(b"HTTP/1.1") == 1


async def test_stopping_closes_idle_connections_at_once(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(echo, Limits()))
    used, unused = Client(await listener.connect()), await listener.connect()
    await post(used.stream, "/", b"")
    await used.response()
    await trio.testing.wait_all_tasks_blocked()
    began = trio.current_time()
    running.server.stop()
    assert await until_eof(used.stream) == await until_eof(unused) == b""
    assert trio.current_time() == began


async def test_stopping_cuts_off_what_takes_longer_than_the_drain(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(streaming, Limits(drain=30)))
    stream = await listener.connect()
    await get(stream, "/")
    await trio.sleep(5)
    began = trio.current_time()
    running.server.stop()
    received = await until_eof(stream)
    assert trio.current_time() == began + 30
    assert not received.endswith(b"0\r\n\r\n")


async def test_the_server_ends_after_the_drain_though_clients_stay(nursery: trio.Nursery) -> None:
    running, listener = await start(nursery, Server(streaming, Limits(drain=30, close_timeout=2)))
    stream = await listener.connect()
    await get(stream, "/")
    await trio.sleep(5)
    began = trio.current_time()
    running.server.stop()
    await running.ended.wait()
    assert trio.current_time() == began + 32


async def test_stopping_an_unused_server_ends_it_at_once(nursery: trio.Nursery) -> None:
    running, _ = await start(nursery, Server(echo, Limits()))
    began = trio.current_time()
    running.server.stop()
    await running.ended.wait()
    assert trio.current_time() == began


async def test_stopping_closes_the_listeners(nursery: trio.Nursery) -> None:
    listener = FailingListener()
    running, _ = await start(nursery, Server(echo, Limits()), listener)
    running.server.stop()
    await listener.client.aclose()
    await running.ended.wait()
    assert listener.closed


async def test_cancelling_the_server_closes_the_listeners_too(nursery: trio.Nursery) -> None:
    listener = FailingListener()
    running, _ = await start(nursery, Server(echo, Limits()), listener)
    running.scope.cancel()
    await running.ended.wait()
    assert listener.closed


# ---- limits and failures of accept


async def test_connections_over_the_cap_wait_for_a_place(nursery: trio.Nursery) -> None:
    _, listener = await start(nursery, Server(slow, Limits(max_connections=2)))
    began = trio.current_time()
    streams = [await listener.connect() for _ in range(3)]
    ended: list[float] = []

    async def ask(stream: Stream) -> None:
        await post(stream, "/", b"", ("connection", "close"))
        await until_eof(stream)
        await stream.aclose()
        ended.append(trio.current_time() - began)

    async with trio.open_nursery() as clients:
        for stream in streams:
            clients.start_soon(ask, stream)
    assert ended == [10, 10, 20]


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS])
async def test_running_out_of_descriptors_or_memory_is_survived(nursery: trio.Nursery, code: int) -> None:
    listener = FailingListener(*[code] * 5)
    await start(nursery, Server(echo, Limits(max_connections=1)), listener)
    await post(listener.client, "/", b"x")
    began = trio.current_time()
    assert (await read_response(listener.client)).body == b"x"
    assert trio.current_time() == pytest.approx(began + 0.5)


async def test_running_out_is_logged_once_a_minute(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    listener = FailingListener(*[errno.EMFILE] * 1300)
    await start(nursery, Server(echo, Limits()), listener)
    await post(listener.client, "/", b"x")
    await read_response(listener.client)
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["cannot accept connections"] * 3


@pytest.mark.parametrize("code", [errno.ECONNABORTED, errno.EPROTO, errno.ENETDOWN, errno.EHOSTUNREACH])
async def test_a_connection_that_died_before_it_was_accepted_is_passed_over(
    nursery: trio.Nursery, code: int, caplog: pytest.LogCaptureFixture
) -> None:
    listener = FailingListener(code, code)
    await start(nursery, Server(echo, Limits(max_connections=1)), listener)
    await post(listener.client, "/", b"x")
    began = trio.current_time()
    assert (await read_response(listener.client)).body == b"x"
    assert trio.current_time() == began
    assert not caplog.records


async def test_any_other_failure_to_accept_surfaces() -> None:
    listener = FailingListener(errno.EINVAL)
    with pytest.RaisesGroup(OSError, flatten_subgroups=True):
        await Server(echo, Limits()).serve([listener])
    assert listener.closed


async def test_a_server_listens_in_several_places(nursery: trio.Nursery) -> None:
    listeners = [MemoryListener(), MemoryListener()]
    await nursery.start(Running(Server(echo, Limits()), [*listeners]).run)
    for listener in listeners:
        stream = await listener.connect()
        await post(stream, "/", b"x")
        assert (await read_response(stream)).body == b"x"


async def test_a_place_is_given_back_by_a_client_that_left(nursery: trio.Nursery) -> None:
    _, listener = await start(nursery, Server(echo, Limits(max_connections=1)))
    for _ in range(3):
        stream = await listener.connect()
        await stream.aclose()
    last = await listener.connect()
    await post(last, "/", b"x", ("connection", "close"))
    assert (await read_response(last)).body == b"x"
    assert await closes(last)
