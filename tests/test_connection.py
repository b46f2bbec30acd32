"""HTTP/1.1 as clients meet it: framing, keep-alive, bad input, and clients that leave."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import pytest
import trio
import trio.testing
from memory_network import Client, Stream, connect, get, post, read_response
from raw_client import closes, connect_lockstep, connect_recorded, echo, head, until_eof

from copilot_trio.errors import BadRequest
from copilot_trio.server.auth import Access
from copilot_trio.server.connection import MAX_PIPELINED, WRITE_SIZE, Connection, Limits, Serving
from copilot_trio.server.dispatch import Dispatcher, refuse
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

LINE = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
GET = b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"
CHUNKED = LINE + b"transfer-encoding: chunked\r\n\r\n"


async def stream_three(exchange: Exchange) -> None:
    await exchange.start(200, [("content-type", "text/event-stream")])
    for piece in (b"one", b"two", b"three"):
        await exchange.send(piece)
    await exchange.finish()


def proxy(nursery: trio.Nursery, limits: Limits | None = None) -> Stream:
    """A client of the echo behind the whole edge, with its dialects."""
    limits = limits or Limits()
    router = Router()
    router.add_model_route("POST", "/messages", echo)
    router.add_model_route("POST", "/chat/completions", echo)
    router.add("GET", "/", echo, scope="open")
    return connect(nursery, Dispatcher(router, Access(), limits.max_body).handle, limits, refuse)


class Waiting:
    """A handler that waits for ever, and remembers that it was cancelled."""

    def __init__(self, before: Callable[[Exchange], Awaitable[None]] | None = None) -> None:
        self.began = trio.Event()
        self.cancelled = trio.Event()
        self._before = before

    async def __call__(self, exchange: Exchange) -> None:
        try:
            self.began.set()
            if self._before is not None:
                await self._before(exchange)
            await trio.sleep_forever()
        finally:
            self.cancelled.set()


# ---- requests


async def test_a_second_request_is_answered_on_the_same_connection(nursery: trio.Nursery) -> None:
    client = Client(connect(nursery, echo))
    for body in (b"first", b"second"):
        await post(client.stream, "/", body)
        assert (await client.response()).body == body


async def test_pipelined_requests_are_answered_in_order(nursery: trio.Nursery) -> None:
    async def slow_first(exchange: Exchange) -> None:
        await trio.sleep(5 if exchange.request.body == b"first" else 0)
        await echo(exchange)

    client = Client(connect(nursery, slow_first))
    for body in (b"first", b"second", b"third"):
        await post(client.stream, "/", body)
    assert [(await client.response()).body for _ in range(3)] == [b"first", b"second", b"third"]


async def test_pipelined_requests_may_have_chunked_bodies(nursery: trio.Nursery) -> None:
    client = Client(connect(nursery, echo))
    await client.stream.send_all((CHUNKED + b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n") * 2)
    assert [(await client.response()).body for _ in range(2)] == [b"abcde", b"abcde"]


async def test_what_a_client_pipelines_is_held_only_up_to_a_limit(nursery: trio.Nursery) -> None:
    async def slow(exchange: Exchange) -> None:
        await trio.sleep(1)
        await echo(exchange)

    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(Connection(theirs, slow, Limits(), Serving()).serve)
    taken = 0

    async def flood() -> None:
        nonlocal taken
        while True:
            await ours.send_all(GET * 100)
            taken += len(GET) * 100

    async def read() -> None:
        while True:
            await ours.receive_some()

    nursery.start_soon(flood)
    nursery.start_soon(read)
    await trio.sleep(100.5)
    assert taken <= 2 * MAX_PIPELINED + 101 * len(GET)


async def test_a_chunked_body_arrives_whole(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await stream.send_all(CHUNKED)
    for byte in b"abc":
        await stream.send_all(b"1\r\n%c\r\n" % byte)
        await trio.sleep(20)
    await stream.send_all(b"0\r\ntrailer: ignored\r\n\r\n")
    assert (await read_response(stream)).body == b"abc"


async def test_expect_100_continue_is_answered_where_the_body_waits_for_it(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await stream.send_all(LINE + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 100 ")
    await stream.send_all(b"ok")
    assert (await read_response(stream)).body == b"ok"


async def test_expect_100_continue_is_not_answered_where_the_body_is_there(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await stream.send_all(LINE + b"content-length: 2\r\nexpect: 100-continue\r\n\r\nok")
    assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_expect_100_continue_is_not_answered_where_the_body_is_refused(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo, Limits(max_body=10))
    await stream.send_all(LINE + b"content-length: 11\r\nexpect: 100-continue\r\n\r\n")
    assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_waits_for_nothing_before_a_bodiless_request_is_answered(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await get(stream, "/", ("expect", "100-continue"))
    assert bytes(await stream.receive_some()).startswith(b"HTTP/1.1 200 ")


async def test_head_has_the_length_and_no_body(nursery: trio.Nursery) -> None:
    async def five(exchange: Exchange) -> None:
        await exchange.respond(200, b"12345")

    client = Client(connect(nursery, five))
    await get(client.stream, "/", method="HEAD")
    response = await client.response("HEAD")
    assert (response.headers["content-length"], response.body) == ("5", b"")


async def test_head_of_a_stream_has_no_body_and_keeps_the_connection(nursery: trio.Nursery) -> None:
    client = Client(connect(nursery, stream_three))
    for _ in range(2):
        await get(client.stream, "/", method="HEAD")
        assert (await client.response("HEAD")).body == b""


async def test_an_http_1_0_client_gets_no_chunks(nursery: trio.Nursery) -> None:
    stream = connect(nursery, stream_three)
    await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
    received = await until_eof(stream)
    assert head(received) == ["HTTP/1.1 200 OK", "connection: close", "content-type: text/event-stream"]
    assert received.endswith(b"\r\n\r\nonetwothree")


async def test_connection_close_is_obeyed(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await get(stream, "/", ("connection", "close"))
    assert "connection: close" in head(await until_eof(stream))


async def test_the_absolute_form_is_refused_with_a_hint(nursery: trio.Nursery) -> None:
    stream = proxy(nursery)
    await get(stream, "http://localhost:4141/v1/models")
    response = await read_response(stream)
    assert response.status == 400
    assert b"base URL" in response.body


async def test_connect_is_refused_with_a_hint(nursery: trio.Nursery) -> None:
    stream = proxy(nursery)
    await stream.send_all(b"CONNECT api.github.com:443 HTTP/1.1\r\nhost: api.github.com:443\r\n\r\n")
    response = await read_response(stream, "CONNECT")
    assert response.status == 400
    assert b"no forward proxy" in response.body


async def test_connect_to_a_path_is_answered_like_any_method(nursery: trio.Nursery) -> None:
    stream = proxy(nursery)
    await get(stream, "/", method="CONNECT")
    assert (await read_response(stream, "CONNECT")).status == 405


async def test_options_for_the_whole_server_gets_a_404(nursery: trio.Nursery) -> None:
    stream = proxy(nursery)
    await get(stream, "*", method="OPTIONS")
    assert (await read_response(stream)).status == 404


async def test_an_upgrade_that_nobody_takes_up_leaves_the_connection_usable(nursery: trio.Nursery) -> None:
    client = Client(connect(nursery, echo))
    for _ in range(2):
        await post(client.stream, "/", b"x", ("connection", "upgrade"), ("upgrade", "h2c"))
        assert (await client.response()).body == b"x"


async def test_repeated_headers_are_joined(nursery: trio.Nursery) -> None:
    async def show(exchange: Exchange) -> None:
        await exchange.respond(200, exchange.request.headers["x-a"].encode())

    stream = connect(nursery, show)
    await get(stream, "/", ("x-a", "1"), ("X-A", "2"))
    assert (await read_response(stream)).body == b"1, 2"


async def test_the_query_is_taken_off_the_path(nursery: trio.Nursery) -> None:
    async def show(exchange: Exchange) -> None:
        await exchange.respond(200, f"{exchange.request.path} {exchange.request.query}".encode())

    stream = connect(nursery, show)
    await get(stream, "/a%20b?c=d?e")
    assert (await read_response(stream)).body == b"/a%20b c=d?e"


# ---- bad input

BAD: list[tuple[str, bytes, int, str]] = [
    ("no header line", b"GET / HTTP/1.1\r\nhost: localhost\r\nbroken\r\n\r\n", 400, "standard"),
    ("no request line", b"hello\r\n\r\n", 400, "standard"),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400, "standard"),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "HTTP/2.0"),
    ("no host", b"GET / HTTP/1.1\r\n\r\n", 400, "Host"),
    ("two hosts", b"GET / HTTP/1.1\r\nhost: localhost\r\nhost: b\r\n\r\n", 400, "Host"),
    ("long header", b"GET / HTTP/1.1\r\nhost: localhost\r\nx: " + b"x" * 70_000, 431, "too large"),
    ("long whole header", GET[:-2] + b"x: " + b"x" * 70_000 + b"\r\n\r\n", 431, "too large"),
    ("long by length", LINE + b"content-length: 1001\r\n\r\n", 413, "over 1000 bytes"),
    ("long by chunks", CHUNKED + b"3e9\r\n" + b"x" * 1001, 413, "over 1000 bytes"),
    ("both lengths", LINE + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400, "in doubt"),
    ("bad chunk", CHUNKED + b"zz\r\n", 400, "chunk"),
    ("long chunk", CHUNKED + b"1\r\nabc\r\n", 400, "chunk"),
    ("bad length", LINE + b"content-length: -1\r\n\r\n", 400, "Content-Length"),
    ("two lengths", LINE + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 400, "Content-Length"),
    ("gzip framing", LINE + b"transfer-encoding: gzip, chunked\r\n\r\n", 501, "Transfer-Encoding"),
    ("half a body", LINE + b"content-length: 5\r\n\r\nab", 408, "body took too long"),
    ("half a header", GET[:-4], 408, "header took too long"),
]


@pytest.mark.parametrize(("sent", "status", "words"), [case[1:] for case in BAD], ids=[case[0] for case in BAD])
async def test_bad_input_is_refused_with_a_reason_and_a_close(
    nursery: trio.Nursery, sent: bytes, status: int, words: str
) -> None:
    stream = proxy(nursery, Limits(max_body=1000))
    await stream.send_all(sent)
    received = await until_eof(stream)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert words in received.decode()
    assert "connection: close" in head(received)


@pytest.mark.parametrize(
    ("path", "beginning"),
    [("/v1/messages", b'{"type":"error","error":{'), ("/v1/chat/completions", b'{"error":{"message":')],
)
@pytest.mark.parametrize("framing", [b"content-length: 9999\r\n\r\n", b"content-length: 5\r\n\r\n"])
async def test_a_refusal_speaks_the_dialect_of_the_route(
    nursery: trio.Nursery, path: str, beginning: bytes, framing: bytes
) -> None:
    stream = proxy(nursery, Limits(max_body=1000))
    await stream.send_all(b"POST %s HTTP/1.1\r\nhost: localhost\r\n%s" % (path.encode(), framing))
    assert (await read_response(stream)).body.startswith(beginning)


async def test_a_refusal_carries_a_request_id(nursery: trio.Nursery) -> None:
    stream = proxy(nursery)
    await stream.send_all(b"hello\r\n\r\n")
    assert (await read_response(stream)).headers["x-request-id"]


async def test_the_refusal_of_a_pipelined_request_comes_after_the_answers_before_it(nursery: trio.Nursery) -> None:
    client = Client(proxy(nursery))
    await client.stream.send_all(GET + b"hello\r\n\r\n")
    assert [(await client.response()).status for _ in range(2)] == [200, 400]


async def test_a_body_too_large_is_refused_before_any_of_it_is_read(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo, Limits(max_body=10))
    await stream.send_all(LINE + b"content-length: 11\r\n\r\n")
    began = trio.current_time()
    assert (await read_response(stream)).status == 413
    assert trio.current_time() == began


async def test_a_client_that_goes_on_sending_gets_to_read_why_it_was_refused(nursery: trio.Nursery) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    nursery.start_soon(Connection(theirs, echo, Limits(max_body=10), Serving()).serve)
    await ours.send_all(LINE + b"content-length: 500000\r\n\r\n")
    nursery.start_soon(ours.send_all, b"x" * 500_000)
    assert (await read_response(ours)).status == 413


async def test_a_stalled_body_is_given_up_after_30_seconds_without_progress(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    began = trio.current_time()
    await stream.send_all(LINE + b"content-length: 5\r\n\r\na")
    await trio.sleep(29)
    await stream.send_all(b"b")
    assert (await read_response(stream)).status == 408
    assert trio.current_time() == began + 59


async def test_a_slow_body_that_makes_progress_is_waited_for(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await stream.send_all(LINE + b"content-length: 5\r\n\r\n")
    for byte in b"abcde":
        await trio.sleep(29)
        await stream.send_all(bytes([byte]))
    assert (await read_response(stream)).body == b"abcde"


async def test_a_dripping_header_is_given_up_10_seconds_after_its_first_byte(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await trio.sleep(50)
    began = trio.current_time()

    async def drip() -> None:
        for byte in GET[:-1]:
            await stream.send_all(bytes([byte]))
            await trio.sleep(0.9)

    nursery.start_soon(drip)
    assert (await read_response(stream)).status == 408
    assert trio.current_time() == began + 10


async def test_a_connection_without_a_request_is_closed_after_75_seconds(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    began = trio.current_time()
    assert await until_eof(stream) == b""
    assert trio.current_time() == began + 75


async def test_an_idle_connection_is_closed_75_seconds_after_its_last_answer(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await trio.sleep(70)
    await post(stream, "/", b"")
    await read_response(stream)
    began = trio.current_time()
    assert await until_eof(stream) == b""
    assert trio.current_time() == began + 75


@pytest.mark.parametrize("sent", [GET[:20], LINE + b"content-length: 5\r\n\r\nab", CHUNKED + b"5\r\nab"])
async def test_a_client_that_breaks_off_in_its_request_never_reaches_the_handler(
    nursery: trio.Nursery, sent: bytes
) -> None:
    waiting = Waiting()
    stream = connect(nursery, waiting)
    await stream.send_all(sent)
    await stream.send_eof()
    assert (await read_response(stream)).status == 400
    assert not waiting.began.is_set()


async def test_tiny_chunks_make_one_body(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    await stream.send_all(CHUNKED + b"1\r\nx\r\n" * 5000 + b"0\r\n\r\n")
    assert (await read_response(stream)).body == b"x" * 5000


# ---- answers


async def test_a_whole_answer_is_one_write(nursery: trio.Nursery) -> None:
    stream, writes = connect_recorded(nursery, echo)
    await post(stream, "/", b"hi")
    await trio.testing.wait_all_tasks_blocked()
    assert writes == [b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 2\r\n\r\nhi"]


async def test_the_header_of_a_stream_goes_out_with_its_first_bytes(nursery: trio.Nursery) -> None:
    stream, writes = connect_recorded(nursery, stream_three)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    assert writes == [
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n",
        b"3\r\ntwo\r\n",
        b"5\r\nthree\r\n",
        b"0\r\n\r\n",
    ]


async def test_the_last_bytes_of_a_stream_go_out_with_its_end(nursery: trio.Nursery) -> None:
    async def once(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.finish(b"all")

    stream, writes = connect_recorded(nursery, once)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    assert writes == [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n0\r\n\r\n"]


async def test_nothing_to_send_is_no_chunk(nursery: trio.Nursery) -> None:
    async def empty(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.send(b"")
        await exchange.send(b"x")
        await exchange.finish()

    stream = connect(nursery, empty)
    await get(stream, "/")
    assert (await read_response(stream)).body == b"x"


async def test_a_handlers_own_transfer_encoding_is_not_sent_twice(nursery: trio.Nursery) -> None:
    async def chunky(exchange: Exchange) -> None:
        await exchange.start(200, [("Transfer-Encoding", "chunked")])
        await exchange.finish(b"x")

    stream, writes = connect_recorded(nursery, chunky)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    assert writes[0].lower().count(b"transfer-encoding") == 1


async def test_a_streamed_answer_of_known_length_is_not_chunked(nursery: trio.Nursery) -> None:
    async def known(exchange: Exchange) -> None:
        await exchange.start(200, [("content-length", "2")])
        await exchange.send(b"h")
        await exchange.finish(b"i")

    client = Client(connect(nursery, known))
    for _ in range(2):
        await get(client.stream, "/")
        response = await client.response()
        assert (response.body, "transfer-encoding" in response.headers) == (b"hi", False)


@pytest.mark.parametrize("status", [204, 304])
async def test_an_answer_that_may_have_no_body_has_none(nursery: trio.Nursery, status: int) -> None:
    async def bodiless(exchange: Exchange) -> None:
        await exchange.respond(status, b"ignored")

    client = Client(connect(nursery, bodiless))
    for _ in range(2):
        await get(client.stream, "/")
        response = await client.response()
        assert (response.status, response.body, response.headers) == (status, b"", {})


async def test_a_header_beyond_ascii_is_sent_as_latin_1(nursery: trio.Nursery) -> None:
    async def umlaut(exchange: Exchange) -> None:
        await exchange.respond(200, headers=[("x-a", "gr\u00fcn \u2713")])

    stream, writes = connect_recorded(nursery, umlaut)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    assert b"x-a: gr\xfcn ?\r\n" in writes[0]


@pytest.mark.parametrize("headers", [[("x-a", "b\r\nx-c: d")], [("bad name", "x")], [("content-length", "77")]])
async def test_a_header_that_cannot_be_sent_becomes_a_500(
    nursery: trio.Nursery, headers: list[tuple[str, str]], caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.respond(200, b"x", headers=headers)

    stream = connect(nursery, broken)
    await get(stream, "/")
    assert (await read_response(stream)).status == 500
    assert caplog.text.count("handler failed") == 1


async def test_a_stream_whose_headers_cannot_be_sent_becomes_a_500(nursery: trio.Nursery) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.start(200, [("x", "a\nb")])

    stream = connect(nursery, broken)
    await get(stream, "/")
    assert (await read_response(stream)).status == 500


async def test_bytes_after_the_end_of_an_answer_are_not_sent(nursery: trio.Nursery) -> None:
    async def too_much(exchange: Exchange) -> None:
        await stream_three(exchange)
        await exchange.send(b"more")

    client = Client(connect(nursery, too_much))
    for _ in range(2):
        await get(client.stream, "/")
        assert (await client.response()).body == b"onetwothree"


async def test_an_answer_shorter_than_it_said_is_cut_off(nursery: trio.Nursery) -> None:
    async def short(exchange: Exchange) -> None:
        await exchange.start(200, [("content-length", "5")])
        await exchange.send(b"ab")
        await exchange.finish()

    stream = connect(nursery, short)
    await get(stream, "/")
    assert (await until_eof(stream)).endswith(b"\r\n\r\nab")


async def test_a_handler_that_gives_no_answer_is_a_500(nursery: trio.Nursery) -> None:
    async def nothing(exchange: Exchange) -> None:
        pass

    stream = connect(nursery, nothing)
    await get(stream, "/")
    assert (await read_response(stream)).status == 500


# ---- handlers that fail


async def test_a_failing_handler_is_a_500_in_the_dialect_of_the_route(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(exchange: Exchange) -> None:
        raise ZeroDivisionError

    client = Client(connect(nursery, broken, refuse=refuse))
    await post(client.stream, "/v1/messages", b"")
    response = await client.response()
    assert response.status == 500
    assert response.body.startswith(b'{"type":"error","error":{"type":"api_error"')


async def test_a_failing_handler_is_logged_once(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(exchange: Exchange) -> None:
        raise ZeroDivisionError

    stream = connect(nursery, broken)
    await get(stream, "/")
    await read_response(stream)
    assert [record.message for record in caplog.records] == ["handler failed: GET /"]


async def test_the_connection_is_good_for_another_request_after_a_500(nursery: trio.Nursery) -> None:
    async def sometimes(exchange: Exchange) -> None:
        if not exchange.request.body:
            raise ZeroDivisionError
        await echo(exchange)

    client = Client(connect(nursery, sometimes))
    await post(client.stream, "/", b"")
    await post(client.stream, "/", b"x")
    assert [(await client.response()).status for _ in range(2)] == [500, 200]


@pytest.mark.parametrize("error", [ZeroDivisionError(), BadRequest("no")])
async def test_a_handler_that_fails_in_its_answer_has_it_cut_off(nursery: trio.Nursery, error: Exception) -> None:
    async def broken(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.send(b"begun")
        raise error

    stream = connect(nursery, broken)
    await get(stream, "/")
    assert (await until_eof(stream)).endswith(b"5\r\nbegun\r\n")


async def test_a_proxy_error_becomes_its_status(nursery: trio.Nursery) -> None:
    async def refusing(exchange: Exchange) -> None:
        raise BadRequest("no such thing")

    stream = connect(nursery, refusing)
    await get(stream, "/")
    response = await read_response(stream)
    assert (response.status, response.body) == (400, b"no such thing. Nothing was charged.\n")


async def test_a_broken_stream_of_the_handlers_own_is_a_500_and_not_a_client_that_left(nursery: trio.Nursery) -> None:
    async def broken(exchange: Exchange) -> None:
        raise trio.BrokenResourceError("some other stream")

    stream = connect(nursery, broken)
    await get(stream, "/")
    assert (await read_response(stream)).status == 500


async def test_a_task_beside_the_handler_that_fails_costs_the_connection_only(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken() -> None:
        raise ZeroDivisionError

    async def handler(exchange: Exchange) -> None:
        exchange.start_soon(broken)
        await trio.sleep_forever()

    stream = connect(nursery, handler)
    await get(stream, "/")
    assert await closes(stream)
    assert [record.message for record in caplog.records] == ["connection failed"]


async def test_a_handler_that_fails_while_it_is_cancelled_costs_the_connection_only(nursery: trio.Nursery) -> None:
    async def wait() -> None:
        await trio.sleep_forever()

    async def handler(exchange: Exchange) -> None:
        async with trio.open_nursery() as inner:
            inner.start_soon(wait)
            try:
                await trio.sleep_forever()
            finally:
                raise ZeroDivisionError

    stream = connect(nursery, handler)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    await stream.send_eof()
    assert await closes(stream)


async def test_a_task_beside_the_handler_ends_with_it(nursery: trio.Nursery) -> None:
    ended = trio.Event()

    async def beside() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async def handler(exchange: Exchange) -> None:
        exchange.start_soon(beside)
        await trio.testing.wait_all_tasks_blocked()
        await echo(exchange)

    stream = connect(nursery, handler)
    await get(stream, "/")
    await read_response(stream)
    await trio.testing.wait_all_tasks_blocked()
    assert ended.is_set()


async def test_a_task_begun_after_the_client_left_is_cancelled_at_once(nursery: trio.Nursery) -> None:
    ended = trio.Event()

    async def beside() -> None:
        try:
            await trio.sleep_forever()
        finally:
            ended.set()

    async def handler(exchange: Exchange) -> None:
        try:
            await trio.sleep_forever()
        finally:
            exchange.start_soon(beside)

    stream = connect(nursery, handler)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()
    await ended.wait()


# ---- clients that leave


async def send_one(exchange: Exchange) -> None:
    await exchange.start(200, [])
    await exchange.send(b"one")


@pytest.mark.parametrize("before", [None, send_one], ids=["before the answer", "in the answer"])
async def test_a_client_that_leaves_cancels_the_handler_in_the_same_moment(
    nursery: trio.Nursery, before: Callable[[Exchange], Awaitable[None]] | None
) -> None:
    waiting = Waiting(before)
    stream = connect(nursery, waiting)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    left = trio.current_time()
    await stream.aclose()
    await waiting.cancelled.wait()
    assert trio.current_time() == left


async def test_a_client_that_leaves_cancels_a_write_under_way(nursery: trio.Nursery) -> None:
    waiting = Waiting(send_one)
    stream = connect_lockstep(nursery, waiting)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()
    with trio.fail_after(1):
        await waiting.cancelled.wait()


async def test_a_client_that_closes_its_sending_side_counts_as_gone(nursery: trio.Nursery) -> None:
    waiting = Waiting()
    stream = connect(nursery, waiting)
    await get(stream, "/")
    await waiting.began.wait()
    await stream.send_eof()
    await waiting.cancelled.wait()
    assert await closes(stream)


async def test_a_client_that_leaves_after_pipelining_cancels_the_handler(nursery: trio.Nursery) -> None:
    waiting = Waiting()
    stream = connect(nursery, waiting)
    await stream.send_all(GET + GET)
    await waiting.began.wait()
    await stream.aclose()
    with trio.fail_after(1):
        await waiting.cancelled.wait()


async def test_a_client_that_stops_reading_is_dropped_after_the_send_timeout_exactly(nursery: trio.Nursery) -> None:
    async def late(exchange: Exchange) -> None:
        await trio.sleep(47)
        await send_one(exchange)

    waiting = Waiting(late)
    stream = connect_lockstep(nursery, waiting)
    began = trio.current_time()
    await get(stream, "/")
    await waiting.cancelled.wait()
    assert trio.current_time() == began + 47 + 60


async def test_the_time_for_a_write_begins_anew_with_each_write(nursery: trio.Nursery) -> None:
    async def two(exchange: Exchange) -> None:
        await send_one(exchange)
        await exchange.send(b"two")

    waiting = Waiting(two)
    stream = connect_lockstep(nursery, waiting)
    began = trio.current_time()
    await get(stream, "/")
    await trio.sleep(50)
    await stream.receive_some(1000)
    await waiting.cancelled.wait()
    assert trio.current_time() == began + 50 + 60


async def test_a_large_answer_to_a_slow_client_may_take_longer_than_one_send_timeout(nursery: trio.Nursery) -> None:
    async def large(exchange: Exchange) -> None:
        await exchange.respond(200, b"x" * 4 * WRITE_SIZE)

    stream = connect_lockstep(nursery, large)
    await get(stream, "/", ("connection", "close"))
    received = 0
    while data := await stream.receive_some(WRITE_SIZE // 2):
        received += len(data)
        await trio.sleep(25)
    assert received > 4 * WRITE_SIZE


async def test_a_client_that_stops_reading_a_refusal_is_dropped(nursery: trio.Nursery) -> None:
    ours, theirs = trio.testing.lockstep_stream_pair()
    ended = trio.Event()

    async def serve() -> None:
        await Connection(theirs, echo, Limits(), Serving()).serve()
        ended.set()

    nursery.start_soon(serve)
    began = trio.current_time()
    await ours.send_all(b"hello\r\n\r\n")
    await ended.wait()
    assert trio.current_time() == began + 60


async def test_a_client_that_does_not_close_after_us_is_left_after_two_seconds(nursery: trio.Nursery) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    began = trio.current_time()
    nursery.start_soon(get, ours, "/", ("connection", "close"))
    await Connection(theirs, echo, Limits(), Serving()).serve()
    assert trio.current_time() == began + 2


async def test_writing_after_a_cancelled_write_raises_broken_resource_error(nursery: trio.Nursery) -> None:
    raised = trio.Event()

    async def handler(exchange: Exchange) -> None:
        await exchange.start(200, [])
        with trio.move_on_after(1):
            await exchange.send(b"never read")
        with pytest.raises(trio.BrokenResourceError):
            await exchange.send(b"more")
        raised.set()

    stream = connect_lockstep(nursery, handler)
    await get(stream, "/")
    await raised.wait()


async def test_abort_ends_the_connection_at_any_moment(nursery: trio.Nursery) -> None:
    async def handler(exchange: Exchange) -> None:
        await send_one(exchange)
        await exchange.abort()

    stream = connect(nursery, handler)
    await get(stream, "/")
    assert (await until_eof(stream)).endswith(b"3\r\none\r\n")


async def test_aborting_twice_does_no_harm(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(exchange: Exchange) -> None:
        with trio.CancelScope(shield=True):
            await exchange.abort()
            await exchange.abort()

    stream = connect(nursery, handler)
    await get(stream, "/")
    assert await closes(stream)
    assert not caplog.records


async def test_an_exchange_is_unusable_after_abort(nursery: trio.Nursery) -> None:
    usable: list[bool] = []

    async def handler(exchange: Exchange) -> None:
        usable.append(exchange.usable())
        with trio.CancelScope(shield=True):
            await exchange.abort()
        usable.append(exchange.usable())

    stream = connect(nursery, handler)
    await get(stream, "/")
    assert await closes(stream)
    await trio.testing.wait_all_tasks_blocked()
    assert usable == [True, False]


async def test_a_client_that_leaves_is_not_logged_as_a_failure(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    waiting = Waiting(send_one)
    stream = connect(nursery, waiting)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()
    await waiting.cancelled.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert not caplog.records


async def test_a_client_told_to_continue_that_sends_nothing_is_given_up(nursery: trio.Nursery) -> None:
    stream = connect(nursery, echo)
    began = trio.current_time()
    await stream.send_all(LINE + b"content-length: 2\r\nexpect: 100-continue\r\n\r\n")
    assert (await until_eof(stream)).count(b"HTTP/1.1 408 ") == 1
    assert trio.current_time() == began + 30


async def test_a_write_to_a_client_that_left_is_not_logged_as_a_failure(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    raised = trio.Event()

    async def stubborn(exchange: Exchange) -> None:
        with trio.CancelScope(shield=True):
            await trio.sleep(1)
            try:
                await echo(exchange)
            except trio.BrokenResourceError:
                raised.set()
                raise

    stream = connect(nursery, stubborn)
    await get(stream, "/")
    await trio.testing.wait_all_tasks_blocked()
    await stream.aclose()
    await raised.wait()
    await trio.testing.wait_all_tasks_blocked()
    assert not caplog.records
