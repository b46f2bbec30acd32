"""Whatever bytes a client sends, in whatever pieces: the connection ends in order."""

from __future__ import annotations

import logging

import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from raw_client import echo

from copilot_trio.server.connection import Connection, Limits, Serving
from copilot_trio.server.dispatch import refuse

PIECES = [
    b"GET / HTTP/1.1\r\n",
    b"POST /v1/messages HTTP/1.1\r\n",
    b"CONNECT a:1 HTTP/1.1\r\n",
    b"HEAD / HTTP/1.0\r\n",
    b"PRI * HTTP/2.0\r\n",
    b"host: a\r\n",
    b"content-length: 3\r\n",
    b"content-length: 99999\r\n",
    b"transfer-encoding: chunked\r\n",
    b"expect: 100-continue\r\n",
    b"connection: close\r\n",
    b"connection: upgrade\r\nupgrade: websocket\r\n",
    b" folded\r\n",
    b"\r\n",
    b"abc",
    b"3\r\nabc\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffff\r\n",
    b"x" * 3000,
]


class Records(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.seen.append(record.getMessage())


async def converse(pieces: list[bytes], *, patient: bool) -> None:
    ours, theirs = trio.testing.memory_stream_pair()
    ended = trio.Event()

    async def serve() -> None:
        await Connection(theirs, echo, Limits(max_head=2000, max_body=5000), Serving(), refuse).serve()
        ended.set()

    with trio.fail_after(1000):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve)
            try:
                for piece in pieces:
                    await ours.send_all(piece)
                    await trio.sleep(1 if patient else 0)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
            await ended.wait()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=20), max_size=12), st.booleans())
def test_no_bytes_of_a_client_break_the_server(pieces: list[bytes], patient: bool) -> None:
    records = Records()
    logger = logging.getLogger("copilot_trio.server.connection")
    logger.addHandler(records)
    try:
        trio.run(lambda: converse(pieces, patient=patient), clock=trio.testing.MockClock(autojump_threshold=0))
    finally:
        logger.removeHandler(records)
    assert records.seen == []
