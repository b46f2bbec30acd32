"""Every way a WebSocket upstream can go, scripted byte for byte: what was not asked yet can still go over HTTP."""

from __future__ import annotations

import hashlib
import ssl
from base64 import b64encode
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from world import World, error_of, events

from copilot_trio.accounts.outcome import Refusal
from copilot_trio.config import Config
from copilot_trio.errors import NoWebSocket, StreamTruncated, UpstreamError, UpstreamTimeout, UpstreamUnreachable
from copilot_trio.twin import Fault
from copilot_trio.upstream.copilot import WEBSOCKET_PAUSE
from copilot_trio.upstream.network import Dial
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.websocket import HANDSHAKE, MAX_FRAME, MEANT

URL = "http://upstream.test/responses"
FIRST = b'{"type":"response.created"}'
LAST = b'{"type":"response.completed"}'
Stream = trio.abc.HalfCloseableStream
Script = Callable[["Peer"], Awaitable[None]]


def framed(payload: bytes, opcode: int = 0x81) -> bytes:
    if len(payload) < 126:
        return bytes([opcode, len(payload)]) + payload
    if len(payload) < 1 << 16:
        return bytes([opcode, 126]) + len(payload).to_bytes(2, "big") + payload
    return bytes([opcode, 127]) + len(payload).to_bytes(8, "big") + payload


class Peer:
    """Upstream's end of one connection, after the head of the request was read."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.head = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send_all(data)

    def welcome(self) -> bytes:
        lines = [line.partition(b":") for line in self.head.split(b"\r\n")]
        key = next(value.strip() for name, _, value in lines if name.lower() == b"sec-websocket-key")
        proof = b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        return (
            b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            b"x-github-request-id: R1\r\nsec-websocket-accept: " + proof + b"\r\n\r\n"
        )

    async def accept(self) -> None:
        """Shake hands, and read a frame, or enough of it."""
        await self.send(self.welcome())
        await self.stream.receive_some()


class Upstream:
    def __init__(self, nursery: trio.Nursery, script: Script) -> None:
        self._nursery = nursery
        self._script = script
        self._streams: list[Stream] = []
        self.peers: list[Peer] = []

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        peer = Peer(theirs)
        self.peers.append(peer)
        self._streams.append(ours)
        self._nursery.start_soon(self._run, peer)
        return ours

    async def _run(self, peer: Peer) -> None:
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            while b"\r\n\r\n" not in peer.head and (data := await peer.stream.receive_some()):
                peer.head += data
            await self._script(peer)

    async def all_closed(self) -> bool:
        """Has the proxy closed its ends?"""
        for stream in self._streams:
            with pytest.raises(trio.ClosedResourceError):
                await stream.receive_some()
        return bool(self._streams)


def no_tls() -> ssl.SSLContext:
    raise AssertionError("plain http needs no TLS context")


def pool_of(dial: Dial) -> AccountPool:
    return AccountPool(dial, no_tls, Timeouts())


async def ask(pool: AccountPool, url: str = URL) -> tuple[int, bytes]:
    async with pool.send_frame(url, [("X-A", "b")], b'{"type":"response.create"}') as answer:
        return answer.status, await answer.read(2 * MAX_FRAME)


def plays(*pieces: bytes, then: str = "wait") -> Script:
    """Sends ``pieces`` in place of a handshake, then waits or closes."""

    async def script(peer: Peer) -> None:
        for piece in pieces:
            await peer.send(piece)
            await trio.sleep(0.01)
        if then == "close":
            await peer.stream.aclose()

    return script


def answers(*pieces: bytes, then: str = "wait") -> Script:
    """Shakes hands, and then ``plays``."""

    async def script(peer: Peer) -> None:
        await peer.accept()
        await plays(*pieces, then=then)(peer)

    return script


def status_line(status: int) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\n" % status


def refusal(status: int, body: bytes = b"no") -> bytes:
    return status_line(status) + b"content-length: %d\r\n\r\n" % len(body) + body


async def test_the_frames_are_an_event_stream_and_the_handshakes_headers_are_the_answers(nursery: trio.Nursery) -> None:
    upstream = Upstream(nursery, answers(framed(FIRST), framed(LAST)))
    async with pool_of(upstream.dial).send_frame(URL, [("X-A", "b")], b"{}") as answer:
        assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
        assert answer.headers["x-github-request-id"] == "R1"
        assert await answer.receive() == b"event: response.created\ndata: %b\n\n" % FIRST
        assert await answer.read_beginning(22) == b"event: response.comple"
        assert await answer.receive() == b""
    assert b"\r\nX-A: b\r\n" in upstream.peers[0].head
    assert await upstream.all_closed()


async def test_an_answer_over_the_limit_is_refused(nursery: trio.Nursery) -> None:
    async with pool_of(Upstream(nursery, answers(framed(FIRST))).dial).send_frame(URL, [], b"{}") as answer:
        with pytest.raises(UpstreamError, match="over 4 bytes"):
            await answer.read(4)


@pytest.mark.parametrize("newline", [b"\n", b"\r\n", b"\r"])
async def test_a_frame_of_many_lines_is_one_event(nursery: trio.Nursery, newline: bytes) -> None:
    first = newline.join([b"{", b'"type": "response.created",', b'"text": "a\\nb"}', b""])
    _, body = await ask(pool_of(Upstream(nursery, answers(framed(first), framed(LAST))).dial))
    found = events(body)
    assert [event.name for event in found] == ["response.created", "response.completed"]
    assert msgspec.json.decode(found[0].data) == {"type": "response.created", "text": "a\nb"}


async def test_a_line_in_a_frames_type_makes_no_event(nursery: trio.Nursery) -> None:
    odd = b'{"type":"a\\n\\ndata: {}\\n\\n"}'
    _, body = await ask(pool_of(Upstream(nursery, answers(framed(FIRST), framed(odd), framed(LAST))).dial))
    assert [event.data for event in events(body)] == [FIRST, odd, LAST]


async def test_a_frame_that_cannot_be_read_is_passed_on(nursery: trio.Nursery) -> None:
    _, body = await ask(pool_of(Upstream(nursery, answers(framed(b"{odd"), framed(LAST))).dial))
    assert [event.data for event in events(body)] == [b"{odd", LAST]


async def test_pings_binary_frames_and_fragments_are_no_trouble(nursery: trio.Nursery) -> None:
    pieces = [framed(b"x", 0x89), framed(b"\xff", 0x82), framed(FIRST[:5], 0x01), framed(FIRST[5:], 0x80), framed(LAST)]
    _, body = await ask(pool_of(Upstream(nursery, answers(*pieces)).dial))
    assert [event.data for event in events(body)] == [FIRST, LAST]


# ---- before anything was asked


SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
ALREADY_CLOSED = framed((1011).to_bytes(2, "big"), 0x88)


async def closed_with_the_welcome(peer: Peer) -> None:
    await peer.send(peer.welcome() + ALREADY_CLOSED)


async def junk_with_the_welcome(peer: Peer) -> None:
    await peer.send(peer.welcome() + b"\xff" * 10)


async def endless(peer: Peer, head: bytes) -> None:
    await peer.send(head)
    while True:
        await peer.send(b"x" * 50_000)
        await trio.sleep(0.001)


async def endless_refusal(peer: Peer) -> None:
    await endless(peer, status_line(403) + b"content-length: 9999999999\r\n\r\n")


async def endless_head(peer: Peer) -> None:
    await endless(peer, status_line(101) + b"x: ")


async def endless_page(peer: Peer) -> None:
    await endless(peer, status_line(403) + b"\r\n")


STATUSES = {
    200,
    203,
    301,
    302,
    307,
    400,
    404,
    405,
    406,
    407,
    409,
    410,
    411,
    418,
    426,
    431,
    451,
    499,
    500,
    501,
    502,
    503,
    504,
}
HANDSHAKES: dict[str, Script] = {
    "swallowed": plays(),
    "closed": plays(then="close"),
    "garbage": plays(b"SSH-2.0-x\r\n"),
    "garbage and closed": plays(b"SSH-2.0-x\r\n", then="close"),
    "garbage in a head's place": plays(b"hello\r\n\r\n"),
    "binary": plays(bytes(range(256)) * 4),
    "half a head": plays(status_line(101), then="close"),
    "accepted without proof": plays(SWITCHING + b"\r\n"),
    "accepted with a wrong proof": plays(SWITCHING + b"sec-websocket-accept: xx\r\n\r\n"),
    "accepted for nothing": plays(status_line(101) + b"\r\n"),
    "accepted in no language": plays(status_line(101) + b"connection: \xff\r\n\r\n"),
    "a protocol that nobody asked for": plays(SWITCHING + b"sec-websocket-protocol: \xff\r\n\r\n"),
    "early hints": plays(status_line(103) + b"\r\n"),
    "http/1.0": plays(b"HTTP/1.0 400 Bad\r\n\r\n", then="close"),
    "http/1.0, kept open": plays(b"HTTP/1.0 400 Bad\r\n\r\n"),
    "a body that breaks off": plays(refusal(403, b"x" * 100)[:-50], then="close"),
    "a body that never ends": plays(refusal(403, b"x" * 100)[:-50]),
    "some proxy's page": plays(refusal(403, b"\n<!DOCTYPE html><title>Terms of Service</title>")),
    "closed with the welcome": closed_with_the_welcome,
    "junk with the welcome": junk_with_the_welcome,
    "an endless refusal": endless_refusal,
    "an endless head": endless_head,
    "an endless page": endless_page,
    **{str(status): plays(refusal(status)) for status in STATUSES},
}


@pytest.mark.parametrize("how", HANDSHAKES)
async def test_whatever_becomes_of_a_handshake_http_is_left(nursery: trio.Nursery, how: str) -> None:
    upstream = Upstream(nursery, HANDSHAKES[how])
    with pytest.raises(NoWebSocket):
        await ask(pool_of(upstream.dial))
    assert trio.current_time() <= HANDSHAKE
    assert len(upstream.peers) == 1
    assert await upstream.all_closed()


@pytest.mark.parametrize("how", ["closed", "garbage and closed", "half a head", "http/1.0", "a body that breaks off"])
async def test_an_upstream_that_hung_up_is_not_waited_for(nursery: trio.Nursery, how: str) -> None:
    with pytest.raises(NoWebSocket):
        await ask(pool_of(Upstream(nursery, HANDSHAKES[how]).dial))
    assert trio.current_time() < 1


async def test_an_upstream_that_hung_up_before_it_was_spoken_to(nursery: trio.Nursery) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        ours, theirs = trio.testing.memory_stream_pair()
        await theirs.aclose()
        return ours

    with pytest.raises(NoWebSocket):
        await ask(pool_of(dial))
    assert trio.current_time() < 1


@pytest.mark.parametrize("status", sorted(MEANT))
async def test_a_refusal_that_speaks_of_the_account_or_the_request_is_an_answer(
    nursery: trio.Nursery, status: int
) -> None:
    upstream = Upstream(nursery, plays(status_line(status) + b"X-RateLimit-A: 1\r\ncontent-length: 2\r\n\r\nno"))
    async with pool_of(upstream.dial).send_frame(URL, [], b"{}") as answer:
        assert (answer.status, answer.headers["x-ratelimit-a"]) == (status, "1")
        assert await upstream.all_closed()
        assert await answer.read_beginning(100) == b"no"
        assert await answer.receive() == b""


async def test_a_socket_that_closes_before_it_has_the_whole_question_was_not_asked(nursery: trio.Nursery) -> None:
    async def script(peer: Peer) -> None:
        await peer.send(peer.welcome())
        await peer.stream.aclose()

    upstream = Upstream(nursery, script)
    with pytest.raises(NoWebSocket, match="before it was asked"):
        await ask(pool_of(upstream.dial))
    assert await upstream.all_closed()


# ---- the dial


@pytest.mark.parametrize(
    "wrong", [OSError("no route"), trio.BrokenResourceError("no route"), trio.ClosedResourceError()]
)
async def test_a_dial_that_fails_is_tried_once_more(nursery: trio.Nursery, wrong: Exception) -> None:
    upstream = Upstream(nursery, answers(framed(LAST)))
    dials = 0

    async def dial(host: str, port: int) -> trio.abc.Stream:
        nonlocal dials
        dials += 1
        if dials % 3 != 0:
            raise wrong
        return await upstream.dial(host, port)

    with pytest.raises(UpstreamUnreachable, match=str(wrong) or "ClosedResourceError") as caught:
        await ask(pool_of(dial))
    assert (dials, caught.value.cost) == (2, "none")
    status, _ = await ask(pool_of(dial))
    assert (dials, status) == (3, 200)


async def test_a_dial_that_takes_too_long_is_tried_once_more(nursery: trio.Nursery) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        await trio.sleep_forever()
        raise AssertionError

    with pytest.raises(UpstreamUnreachable, match="timed out"):
        await ask(pool_of(dial))
    assert trio.current_time() == 30


@pytest.mark.parametrize("then", ["wait", "close"])
async def test_tls_that_fails_is_a_failed_dial(nursery: trio.Nursery, then: str) -> None:
    upstream = Upstream(nursery, plays())

    async def dial(host: str, port: int) -> trio.abc.Stream:
        assert port == 443
        ours = await upstream.dial(host, port)
        await upstream.peers[-1].send(b"this is not TLS\r\n")
        if then == "close":
            await upstream.peers[-1].stream.send_eof()
        return ours

    with pytest.raises(UpstreamUnreachable, match="SSL"):
        await ask(AccountPool(dial, ssl.create_default_context), "https://upstream.test/responses")
    assert len(upstream.peers) == 2
    assert await upstream.all_closed()


async def test_a_bug_in_a_dial_is_not_hidden(nursery: trio.Nursery) -> None:
    async def dial(host: str, port: int) -> trio.abc.Stream:
        raise LookupError("bug")

    with pytest.raises(LookupError):
        await ask(pool_of(dial))


# ---- once it was asked


async def test_silence_is_a_timeout(nursery: trio.Nursery) -> None:
    upstream = Upstream(nursery, answers())
    with pytest.raises(UpstreamTimeout) as caught:
        await ask(pool_of(upstream.dial))
    assert (trio.current_time(), caught.value.cost) == (120, "unknown")
    assert await upstream.all_closed()


BREAKS: dict[str, bytes] = {
    "nothing": b"",
    "a reserved opcode": b"\xff\xff\xff\xff",
    "bad utf-8": framed(b"\xff\xfe"),
    "a close": ALREADY_CLOSED,
    "a bad close": framed(b"\x03", 0x88),
    "a close and more": ALREADY_CLOSED + framed(b"", 0x89) + framed(FIRST),
    "a masked frame": b"\x81\x81abcdx",
    "too much": framed(b"x" * (MAX_FRAME + 1)),
}


@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize(
    ("name", "then"),
    [*((name, "close") for name in BREAKS), *((name, "wait") for name, junk in BREAKS.items() if junk)],
)
async def test_a_break_is_never_an_end(nursery: trio.Nursery, name: str, then: str, begun: bool) -> None:
    upstream = Upstream(nursery, answers(*[framed(FIRST)] * begun, BREAKS[name], then=then))
    with pytest.raises(StreamTruncated) as caught:
        await ask(pool_of(upstream.dial))
    assert caught.value.cost == "unknown"
    assert trio.current_time() < 1
    assert await upstream.all_closed()


async def test_an_error_before_anything_is_a_refusal(nursery: trio.Nursery) -> None:
    error = msgspec.json.encode({"type": "error", "error": {"code": "rate_limited", "message": "slow"}})
    upstream = Upstream(nursery, answers(framed(error)))
    with pytest.raises(Refusal, match="slow"):
        await ask(pool_of(upstream.dial))
    assert await upstream.all_closed()


class Failing(trio.abc.Stream):
    """A stream that fails as none should, from the ``at``-th reading on: the library's task dies of it."""

    def __init__(self, stream: trio.abc.Stream, at: int) -> None:
        self._stream = stream
        self._left = at

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        self._left -= 1
        if self._left < 0:
            raise LookupError("kaputt")
        return await self._stream.receive_some(max_bytes)

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self._stream.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self._stream.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self._stream.aclose()


@pytest.mark.parametrize(("at", "expected"), [(0, NoWebSocket), (1, StreamTruncated), (2, StreamTruncated)])
async def test_what_the_librarys_task_dies_of_is_told_apart_by_what_was_asked(
    nursery: trio.Nursery, at: int, expected: type[Exception]
) -> None:
    upstream = Upstream(nursery, answers(framed(FIRST)))

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return Failing(await upstream.dial(host, port), at)

    with pytest.raises(expected) as caught:
        await ask(pool_of(dial))
    assert not isinstance(caught.value, BaseExceptionGroup)
    assert await upstream.all_closed()


@pytest.mark.parametrize(
    "error", [ValueError("mine"), trio.TooSlowError(), trio.BrokenResourceError(), NoWebSocket("?")]
)
async def test_what_the_caller_raises_is_the_callers(nursery: trio.Nursery, error: Exception) -> None:
    upstream = Upstream(nursery, answers(framed(FIRST)))
    with pytest.raises(type(error)) as caught:
        async with pool_of(upstream.dial).send_frame(URL, [], b"{}"):
            raise error
    assert caught.value is error
    assert await upstream.all_closed()


PHASES: dict[str, Script] = {
    "tls": plays(),
    "handshake": plays(),
    "refusal": plays(refusal(403, b"x" * 100)[:-50]),
    "first frame": answers(),
    "answer": answers(framed(FIRST)),
}


@pytest.mark.parametrize("phase", ["dial", *PHASES])
async def test_cancellation_frees_everything_in_every_phase(nursery: trio.Nursery, phase: str) -> None:
    upstream = Upstream(nursery, PHASES.get(phase, plays()))

    async def dial(host: str, port: int) -> trio.abc.Stream:
        if phase == "dial":
            await trio.sleep_forever()
        return await upstream.dial(host, port)

    url = URL.replace("http:", "https:") if phase == "tls" else URL
    seen: list[BaseException] = []
    with trio.move_on_after(1) as scope:
        try:
            await ask(AccountPool(dial, ssl.create_default_context), url)
        except BaseException as error:
            seen.append(error)
            raise
    assert scope.cancelled_caught
    assert not any(isinstance(error, Exception) for error in seen)  # nor a group of any but cancellations
    assert trio.current_time() == 1
    assert phase == "dial" or await upstream.all_closed()


async def test_leaving_early_closes_the_socket_at_once(nursery: trio.Nursery) -> None:
    upstream = Upstream(nursery, answers(framed(FIRST)))
    async with pool_of(upstream.dial).send_frame(URL, [], b"{}") as answer:
        await answer.receive()
    assert await upstream.all_closed()
    assert trio.current_time() < 1


# ---- through the whole proxy


def question(prompt: str = "SCENARIO:text REPLY=hello") -> dict[str, Any]:
    content = [{"type": "input_text", "text": prompt}]
    return {"model": "gpt-5.3-codex", "stream": True, "input": [{"role": "user", "content": content}]}


def roads(world: World) -> list[str]:
    """How upstream was asked: GET is a handshake, FRAME a question over it, POST one over HTTP."""
    return [record.method for record in world.twin.records if record.path == "/responses"]


@pytest.mark.parametrize("status", [200, 302, 400, 404, 407, 426, 501, 504])
async def test_http_for_a_while_where_no_websocket_is_to_be_had(nursery: trio.Nursery, status: int) -> None:
    world = World(nursery, config=Config(upstream_websocket=True))
    world.twin.add_fault(Fault(method="GET", path="/responses", status=status, body="no"))
    for _ in range(2):
        assert (await world.ask("/v1/responses", question())).status == 200
    assert roads(world) == ["GET", "POST", "POST"]
    await trio.sleep(WEBSOCKET_PAUSE)
    assert (await world.ask("/v1/responses", question())).status == 200
    assert roads(world)[3:] == ["GET", "FRAME"]


async def test_a_refused_upgrade_has_upstreams_headers(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(upstream_websocket=True))
    told = {"x-github-request-id": "R7", "x-ratelimit-remaining": "0", "retry-after": "90", "x-secret": "s"}
    world.twin.add_fault(Fault(method="GET", path="/responses", status=429, headers=told, body="slow"))
    answer = await world.ask("/v1/responses", question())
    assert (answer.status, "slow" in str(error_of(answer)["message"])) == (429, True)
    assert {name: answer.headers.get(name) for name in told} == told | {"x-secret": None}
    assert roads(world) == ["GET"]


async def test_a_warning_at_the_upgrade_pauses_the_account(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(upstream_websocket=True))
    world.twin.add_fault(Fault(method="GET", path="/responses", error="tos_block"))
    for _ in range(2):
        answer = await world.ask("/v1/responses", question())
        assert (answer.status, error_of(answer)["code"]) == (403, "account_paused")
    assert roads(world) == ["GET"]
