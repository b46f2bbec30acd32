from __future__ import annotations

import itertools
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import h11
import pytest
import trio
import trio.testing
import trustme
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_network import MemoryUpstream, Script, UpstreamConnection

from copilot_trio.errors import (
    ProxyError,
    StreamTruncated,
    UpstreamError,
    UpstreamTimeout,
    UpstreamUnreachable,
)
from copilot_trio.upstream.network import Dial
from copilot_trio.upstream.pool import AccountPool, Timeouts

URL = "http://upstream.test/path"
Raw = Callable[[trio.abc.HalfCloseableStream], Awaitable[None]]


def no_tls() -> ssl.SSLContext:
    raise AssertionError("plain http needs no TLS context")


def pool_of(dial: Dial, *, reference: bool = False, timeouts: Timeouts | None = None) -> AccountPool:
    return AccountPool(dial, no_tls, timeouts or Timeouts(), reference=reference)


async def hello(connection: UpstreamConnection) -> None:
    await connection.read_request()
    await connection.reply(200, b"hello")


async def endless(connection: UpstreamConnection) -> None:
    await connection.read_request()
    await connection.start()
    while True:
        await connection.data(b"x")
        await trio.sleep(1)


async def fetch(pool: AccountPool, method: str = "GET", body: bytes = b"") -> tuple[int, bytes]:
    async with pool.send(method, URL, [], body) as answer:
        return answer.status, await answer.read(1_000_000)


async def test_a_request_arrives_whole_and_in_one_write(nursery: trio.Nursery) -> None:
    seen: list[bytes] = []

    async def dial(host: str, port: int) -> trio.abc.Stream:
        assert (host, port) == ("upstream.test", 80)
        ours, theirs = trio.testing.memory_stream_pair()
        nursery.start_soon(answer, theirs)
        return ours

    async def answer(stream: trio.abc.HalfCloseableStream) -> None:
        seen.append(bytes(await stream.receive_some()))
        await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    async with pool_of(dial).send("POST", URL, [("X-A", "b")], b"{}") as reply:
        assert await reply.read(10) == b"ok"
    assert seen == [b"POST /path HTTP/1.1\r\nHost: upstream.test\r\nX-A: b\r\ncontent-length: 2\r\n\r\n{}"]


async def test_a_finished_connection_is_used_again(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, hello)
    pool = pool_of(upstream.dial)
    assert [await fetch(pool) for _ in range(3)] == [(200, b"hello")] * 3
    assert len(upstream.connections) == 1
    assert repr(pool) == "<AccountPool 0 active, 1 idle, 0 draining>"


async def test_an_idle_connection_expires(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, hello)
    pool = pool_of(upstream.dial)
    await fetch(pool)
    await trio.sleep(51)
    await fetch(pool)
    assert len(upstream.connections) == 2


async def test_more_requests_at_once_than_may_idle_still_reuse_connections(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, hello)
    pool = pool_of(upstream.dial)
    running: list[int] = []

    async def one_after_another() -> None:
        for _ in range(5):
            assert await fetch(pool) == (200, b"hello")
            running.append(pool.describe().idle)

    async with trio.open_nursery() as clients:
        for _ in range(40):
            clients.start_soon(one_after_another)
    assert len(upstream.connections) < 200 / 2
    assert max(running) <= 16
    assert pool.describe().idle <= 16


async def test_an_idle_connection_that_upstream_closed_is_not_used(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, hello)
    pool = pool_of(upstream.dial)
    await fetch(pool)
    await upstream.connections[0].stream.aclose()
    assert await fetch(pool) == (200, b"hello")
    assert (len(upstream.connections), pool.describe().idle) == (2, 1)


async def test_one_network_read_is_one_piece_of_body(nursery: trio.Nursery) -> None:
    async def burst(connection: UpstreamConnection) -> None:
        await connection.read_request()
        await connection.start()
        chunks = [connection.h11.send(h11.Data(data=b"chunk%d" % number)) or b"" for number in range(50)]
        await connection.stream.send_all(b"".join(chunks))
        await connection.finish()

    async with pool_of(MemoryUpstream(nursery, burst).dial).send("GET", URL, []) as answer:
        pieces: list[bytes] = []
        while piece := await answer.receive():
            pieces.append(piece)
    assert b"".join(pieces) == b"".join(b"chunk%d" % number for number in range(50))
    assert len(pieces) <= 2


async def test_leaving_early_closes_the_connection_at_once(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, endless)
    pool = pool_of(upstream.dial)
    async with pool.send("GET", URL, []) as answer:
        await answer.receive()
    assert await upstream.connections[0].hung_up()
    assert pool.describe().connections == ()


@pytest.mark.parametrize("phase", ["dial", "head", "body"])
async def test_cancellation_frees_everything_in_every_phase(nursery: trio.Nursery, phase: str) -> None:
    async def script(connection: UpstreamConnection) -> None:
        await connection.read_request()
        if phase == "body":
            await connection.start()
            await connection.data(b"x")
        await trio.sleep_forever()

    upstream = MemoryUpstream(nursery, script)

    async def dial(host: str, port: int) -> trio.abc.Stream:
        if phase == "dial":
            await trio.sleep_forever()
        return await upstream.dial(host, port)

    pool = pool_of(dial)
    with trio.move_on_after(5) as scope:
        await fetch(pool)
    assert scope.cancelled_caught
    assert pool.describe().connections == ()
    for connection in upstream.connections:
        assert await connection.hung_up()


async def test_a_connection_that_cannot_be_made_is_tried_twice(nursery: trio.Nursery) -> None:
    tries = itertools.count(1)

    async def dial(host: str, port: int) -> trio.abc.Stream:
        next(tries)
        raise OSError("no route")

    with pytest.raises(UpstreamUnreachable, match="no route") as caught:
        await fetch(pool_of(dial))
    assert caught.value.cost == "none"
    assert next(tries) == 3


async def test_a_connect_timeout_covers_dial_and_is_not_a_read_timeout(nursery: trio.Nursery) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    began = trio.current_time()
    with pytest.raises(UpstreamUnreachable):
        await fetch(pool_of(dial, timeouts=Timeouts(connect=15)))
    assert trio.current_time() - began == 30  # the dial is tried twice


async def test_silence_before_the_head_is_a_timeout(nursery: trio.Nursery) -> None:
    async def silent(connection: UpstreamConnection) -> None:
        await connection.read_request()
        await trio.sleep_forever()

    began = trio.current_time()
    with pytest.raises(UpstreamTimeout):
        await fetch(pool_of(MemoryUpstream(nursery, silent).dial))
    assert trio.current_time() - began == 120


async def test_a_head_that_drips_is_a_timeout_too(nursery: trio.Nursery) -> None:
    async def drip(connection: UpstreamConnection) -> None:
        await connection.read_request()
        for byte in itertools.cycle(b"HTTP/1.1 200 OK\r\nx: y"):
            await connection.stream.send_all(bytes([byte]))
            await trio.sleep(10)

    began = trio.current_time()
    with pytest.raises(UpstreamTimeout):
        await fetch(pool_of(MemoryUpstream(nursery, drip).dial))
    assert trio.current_time() - began <= 121


async def test_a_new_connection_that_closes_before_its_answer_is_not_asked_again(nursery: trio.Nursery) -> None:
    async def rude(connection: UpstreamConnection) -> None:
        await connection.read_request()
        await connection.stream.aclose()

    upstream = MemoryUpstream(nursery, rude)
    with pytest.raises(UpstreamError, match="closed the connection before its answer") as caught:
        await fetch(pool_of(upstream.dial))
    assert caught.value.cost == "unknown"
    assert len(upstream.connections) == 1


async def test_a_reused_connection_that_closes_before_its_answer_is_replaced_once(nursery: trio.Nursery) -> None:
    async def once(connection: UpstreamConnection) -> None:
        await connection.read_request()
        if len(connection.requests) == 2:
            await connection.stream.aclose()
        else:
            await connection.reply(200, b"hello")

    upstream = MemoryUpstream(nursery, once)
    pool = pool_of(upstream.dial)
    assert [await fetch(pool), await fetch(pool)] == [(200, b"hello")] * 2
    assert len(upstream.connections) == 2


async def test_an_early_answer_to_a_big_body_is_read(nursery: trio.Nursery) -> None:
    async def too_large(stream: trio.abc.HalfCloseableStream) -> None:
        await stream.receive_some(10)
        await stream.send_all(b"HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno")
        await stream.aclose()

    status, body = await fetch(pool_of(raw_dial(nursery, too_large)), "POST", b"x" * 100_000)
    assert (status, body) == (413, b"no")


async def test_an_answer_over_the_limit_is_refused(nursery: trio.Nursery) -> None:
    async with pool_of(MemoryUpstream(nursery, hello).dial).send("GET", URL, []) as answer:
        with pytest.raises(UpstreamError, match="over 4 bytes"):
            await answer.read(4)


async def stalled_body(connection: UpstreamConnection) -> None:
    await connection.read_request()
    await connection.start(500)
    await connection.data(b"oops")
    await trio.sleep_forever()


async def test_a_small_answer_that_does_not_end_is_a_timeout(nursery: trio.Nursery) -> None:
    pool = pool_of(MemoryUpstream(nursery, stalled_body).dial)
    with pytest.raises(UpstreamTimeout, match="did not end it"):
        await fetch(pool)
    assert trio.current_time() == 30


@pytest.mark.parametrize(("limit", "beginning"), [(100, b"oops"), (2, b"oo")])
async def test_the_beginning_of_a_refusal_counts_wherever_it_breaks_off(
    nursery: trio.Nursery, limit: int, beginning: bytes
) -> None:
    async with pool_of(MemoryUpstream(nursery, stalled_body).dial).send("GET", URL, []) as answer:
        assert await answer.read_beginning(limit) == beginning


async def test_recycling_lets_running_streams_go_on_and_closes_the_rest(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, endless)
    pool = pool_of(upstream.dial)
    async with pool.send("GET", URL, []) as running:
        await running.receive()
        await pool.recycle()
        assert "1 draining" in repr(pool)
        await running.receive()
        async with pool.send("GET", URL, []) as fresh:
            await fresh.receive()
        assert len(upstream.connections) == 2
    assert repr(pool) == "<AccountPool 0 active, 0 idle, 0 draining>"


async def test_recycling_under_fifty_running_streams_breaks_none(nursery: trio.Nursery) -> None:
    numbers = itertools.count()

    async def counted(connection: UpstreamConnection) -> None:
        await connection.read_request()
        await connection.start()
        length = 60 + next(numbers)
        for second in range(length):
            await connection.data(b"%d of %d\n" % (second, length))
            await trio.sleep(1)
        await connection.finish()

    upstream = MemoryUpstream(nursery, counted)
    pool = pool_of(upstream.dial)
    lengths: list[int] = []

    async def one_stream() -> None:
        body = b""
        async with pool.send("GET", URL, []) as answer:
            while piece := await answer.receive():
                body += piece
        length = int(body.split()[2])
        assert body == b"".join(b"%d of %d\n" % (second, length) for second in range(length))
        lengths.append(length)

    async with trio.open_nursery() as clients:
        for batch in range(5):
            for _ in range(10):
                clients.start_soon(one_stream)
            await trio.sleep(10)
            if batch < 3:
                await pool.recycle()
        shown = pool.describe()
        assert (shown.active, shown.draining) == (50, 3)
    assert sorted(lengths) == list(range(60, 110))
    assert pool.describe().draining == 0
    for connection in upstream.connections[:30]:
        assert await connection.hung_up()


async def test_a_pool_replaced_again_and_again_keeps_only_pools_with_streams(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, endless)
    pool = pool_of(upstream.dial)
    async with pool.send("GET", URL, []) as running:
        for _ in range(3600):
            await running.receive()
            async with trio.open_nursery() as at_once:
                for _ in range(3):
                    at_once.start_soon(pool.recycle)
            assert pool.describe().draining == 1
    assert pool.describe().draining == 0


async def test_a_replaced_pool_keeps_no_idle_connection_beside_its_streams(nursery: trio.Nursery) -> None:
    async def endless_then_brief(connection: UpstreamConnection) -> None:
        await (endless if connection is upstream.connections[0] else hello)(connection)

    upstream = MemoryUpstream(nursery, endless_then_brief)
    pool = pool_of(upstream.dial)
    async with pool.send("GET", URL, []) as running:
        async with pool.send("GET", URL, []) as brief:
            await pool.recycle()
            assert await brief.read(100) == b"hello"
        assert await upstream.connections[1].hung_up()
        assert (pool.describe().active, pool.describe().idle, pool.describe().draining) == (1, 0, 1)
        assert await running.receive()
    assert pool.describe().connections == ()


async def test_a_cancelled_recycling_still_closes_what_is_left(nursery: trio.Nursery) -> None:
    async def first_endless(connection: UpstreamConnection) -> None:
        await (endless if connection is upstream.connections[0] else hello)(connection)

    upstream = MemoryUpstream(nursery, first_endless)
    pool = pool_of(upstream.dial)
    async with pool.send("GET", URL, []) as running:
        async with trio.open_nursery() as at_once:
            for _ in range(3):
                at_once.start_soon(fetch, pool)
        with trio.CancelScope() as scope:
            scope.cancel()
            await pool.recycle()
        for idle in upstream.connections[1:]:
            assert await idle.hung_up()
        assert await running.receive()


async def test_closing_the_pool_closes_its_connections(nursery: trio.Nursery) -> None:
    upstream = MemoryUpstream(nursery, hello)
    pool = pool_of(upstream.dial)
    await fetch(pool)
    await pool.aclose()
    assert await upstream.connections[0].hung_up()


# ---- our connection against httpcore's own


def raw_dial(nursery: trio.Nursery, script: Raw) -> Dial:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()

        async def run() -> None:
            with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
                await script(theirs)

        nursery.start_soon(run)
        return ours

    return dial


RESPONSES: dict[str, bytes] = {
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1;x=y\r\n!\r\n0\r\nt: v\r\n\r\n",
    "until close": b"HTTP/1.1 200 OK\r\n\r\nhello",
    "http/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "connection close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello",
    "no content": b"HTTP/1.1 204 No Content\r\n\r\n",
    "early hints": b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "error": b"HTTP/1.1 429 Too Many\r\nRetry-After: 3\r\nContent-Length: 4\r\n\r\nslow",
    "short length": b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nhello",
    "cut chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n50\r\nhello",
    "no last chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    "bad chunk size": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n",
    "garbage": b"this is not HTTP\r\n\r\n",
    "nothing": b"",
    "half a head": b"HTTP/1.1 200 OK\r\nContent-",
    "empty body": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
}


async def play(nursery: trio.Nursery, pieces: list[bytes], *, reference: bool) -> tuple[object, ...]:
    """What comes of a response cut into ``pieces``: status, body, kind of error, and whether the connection stays."""

    async def script(stream: trio.abc.HalfCloseableStream) -> None:
        await stream.receive_some(65536)
        for piece in pieces:
            await stream.send_all(piece)
            await trio.sleep(0.001)
        await trio.sleep(1)
        await stream.send_eof()

    pool = pool_of(raw_dial(nursery, script), reference=reference)
    try:
        async with pool.send("GET", URL, []) as answer:
            body = b""
            try:
                while piece := await answer.receive():
                    body += piece
            except StreamTruncated as error:
                return answer.status, body, type(error).__name__, False
        # httpcore leaves a connection without framing in its pool until it next looks at the socket; ours is closed.
        framed = {"content-length", "transfer-encoding"} & answer.headers.keys()
        return answer.status, body, "", bool(framed) and bool(pool.describe().idle)
    except ProxyError as error:
        return 0, b"", type(error).__name__, False


def run_both(pieces: list[bytes]) -> tuple[tuple[object, ...], tuple[object, ...]]:
    async def both() -> tuple[tuple[object, ...], tuple[object, ...]]:
        async with trio.open_nursery() as nursery:
            results = (await play(nursery, pieces, reference=False), await play(nursery, pieces, reference=True))
            nursery.cancel_scope.cancel()
        return results

    return trio.run(both, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@pytest.mark.parametrize("name", RESPONSES)
def test_our_connection_equals_httpcores_own(name: str) -> None:
    ours, reference = run_both([RESPONSES[name]])
    assert ours == reference


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.filterwarnings("ignore:Async generator:ResourceWarning")
@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(RESPONSES)), st.lists(st.integers(0, 120), max_size=6))
def test_our_connection_equals_httpcores_own_however_it_is_cut(name: str, cuts: list[int]) -> None:
    wire = RESPONSES[name]
    edges = [0, *sorted(min(cut, len(wire)) for cut in cuts), len(wire)]
    ours, reference = run_both([wire[a:b] for a, b in itertools.pairwise(edges)])
    assert ours == reference


# ---- TLS


async def _serve_tls(nursery: trio.Nursery, context: ssl.SSLContext, script: Script) -> Dial:
    async def run(stream: trio.abc.HalfCloseableStream) -> None:
        tls = trio.SSLStream(stream, context, server_side=True, https_compatible=True)
        try:
            await tls.do_handshake()
            await script(UpstreamConnection(tls))  # type: ignore[arg-type]
        except trio.BrokenResourceError:
            pass

    return raw_dial(nursery, run)


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    authority = trustme.CA()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("upstream.test").configure_cert(server)
    client = ssl.create_default_context()
    authority.configure_trust(client)
    return server, client


async def test_https_goes_through_the_given_context(nursery: trio.Nursery) -> None:
    server, client = contexts()
    dial = await _serve_tls(nursery, server, hello)
    async with AccountPool(dial, lambda: client).send("GET", "https://upstream.test/", []) as answer:
        assert await answer.read(100) == b"hello"


async def test_a_certificate_that_is_not_trusted_is_an_error(nursery: trio.Nursery) -> None:
    server, _ = contexts()
    dial = await _serve_tls(nursery, server, hello)
    with pytest.raises(UpstreamUnreachable, match="certificate verify failed"):
        async with AccountPool(dial, ssl.create_default_context).send("GET", "https://upstream.test/", []):
            raise AssertionError


async def test_a_handshake_that_hangs_ends_with_the_connect_timeout_and_its_socket(
    nursery: trio.Nursery,
) -> None:
    closed: list[bool] = []

    async def mute(stream: trio.abc.HalfCloseableStream) -> None:
        while await stream.receive_some():
            pass
        closed.append(True)

    _, client = contexts()
    began = trio.current_time()
    with pytest.raises(UpstreamUnreachable):
        async with AccountPool(raw_dial(nursery, mute), lambda: client).send("GET", "https://upstream.test/", []):
            raise AssertionError
    assert trio.current_time() - began == 30  # two tries
    await trio.testing.wait_all_tasks_blocked()
    assert closed == [True, True]
