"""Fifty streams run over real sockets while their pool is replaced three times under them.

    cd tests && PYTHONPATH=.. python recycling.py

Fails where a stream breaks or loses a byte, or where a replaced pool keeps a socket after its last stream.
"""

from __future__ import annotations

from pathlib import Path

import trio
from wires import read_head

from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

STREAMS = 50
LINES = 200
PACE = 0.01  # seconds between an upstream's lines
LINE = b"data: " + b"x" * 100 + b" %05d\n\n"
WHOLE = b"".join(LINE % number for number in range(LINES))


class Upstream:
    """``/stream`` is slow, ``/short`` is not. Counts the sockets it holds."""

    def __init__(self) -> None:
        self.open = 0
        self.closed = trio.Condition()

    async def serve(self, stream: trio.SocketStream) -> None:
        self.open += 1
        try:
            while True:
                head = await read_head(stream)
                await self._answer(stream, LINES if b" /stream " in head else 1)
        except trio.BrokenResourceError:  # at EOF too
            async with self.closed:
                self.open -= 1
                self.closed.notify_all()

    async def _answer(self, stream: trio.SocketStream, lines: int) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(lines):
            line = LINE % number
            await stream.send_all(b"%x\r\n%s\r\n" % (len(line), line))
            await trio.sleep(PACE)
        await stream.send_all(b"0\r\n\r\n")


class Streams:
    """Reads them all, and tells how far the last of them is."""

    def __init__(self, pool: AccountPool, base: str) -> None:
        self._pool = pool
        self._base = base
        self.received = [0] * STREAMS
        self.whole = 0
        self.moved = trio.Condition()

    async def run(self, number: int) -> None:
        body = b""
        async with self._pool.send("GET", f"{self._base}/stream", []) as answer:
            while piece := await answer.receive():
                body += piece
                async with self.moved:
                    self.received[number] = len(body)
                    self.moved.notify_all()
        assert body == WHOLE, f"stream {number}: {len(body)} of {len(WHOLE)} bytes"
        self.whole += 1

    async def all_beyond(self, share: float) -> None:
        async with self.moved:
            while min(self.received) < share * len(WHOLE):
                await self.moved.wait()


async def main() -> None:
    upstream = Upstream()
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, upstream.serve, listeners)
        base = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}"
        before = _sockets()
        pool = AccountPool(trio.open_tcp_stream, shared_context)
        streams = Streams(pool, base)
        short = 0
        async with trio.open_nursery() as clients:
            for number in range(STREAMS):
                clients.start_soon(streams.run, number)
            for share in (0.1, 0.3, 0.5):
                await streams.all_beyond(share)
                await pool.recycle()
                async with trio.open_nursery() as more:
                    for _ in range(10):
                        more.start_soon(_ask_shortly, pool, base)
                short += 10
            under_way = pool.describe()
            at_most = _sockets() - before - upstream.open
            assert under_way.active == STREAMS, under_way
        await _until_closed(upstream, pool)
        left, idle = _sockets() - before - upstream.open, pool.describe().idle
        assert (streams.whole, pool.describe().draining) == (STREAMS, 0)
        assert left == idle == upstream.open == 10, (left, idle, upstream.open)
        print(
            f"{STREAMS} streams of {len(WHOLE)} bytes, the pool replaced 3 times under them, {short} requests "
            f"in between: {streams.whole} whole, {STREAMS - streams.whole} broken; "
            f"client sockets {at_most} while they ran, {left} after the last ended, all of the present pool and idle"
        )
        await pool.aclose()
        nursery.cancel_scope.cancel()


async def _ask_shortly(pool: AccountPool, base: str) -> None:
    async with pool.send("GET", f"{base}/short", []) as answer:
        assert await answer.read(1000) == LINE % 0


async def _until_closed(upstream: Upstream, pool: AccountPool) -> None:
    """The far ends hear of it a little later."""
    with trio.fail_after(10):
        async with upstream.closed:
            while upstream.open > pool.describe().idle:
                await upstream.closed.wait()


def _sockets() -> int:
    held = 0
    for each in Path("/proc/self/fd").iterdir():
        try:
            held += str(each.readlink()).startswith("socket:")
        except FileNotFoundError:  # the one that lists them
            continue
    return held


if __name__ == "__main__":
    trio.run(main)
