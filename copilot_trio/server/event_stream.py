"""Writing server-sent events to a client: whole events only, and a heartbeat when quiet."""

from __future__ import annotations

import trio

from .exchange import Exchange, Headers

HEARTBEAT = 10.0  # seconds; the least patient client or load balancer gives up after 20
STREAM_HEADERS = [("content-type", "text/event-stream"), ("cache-control", "no-cache"), ("x-accel-buffering", "no")]


class EventStream:
    """An answer goes through three states, and what can still be changed shrinks with each:

    nothing sent         any status
    status line sent     errors must be events
    committed            an event is out: this answer is the answer

    Heartbeats may take it from the first to the second, never to the third.
    """

    def __init__(self, exchange: Exchange, heartbeat: bytes) -> None:
        self.committed = False
        self.headers: Headers = ()  # beside the stream's own; taken when the status line goes out
        self._exchange = exchange
        self._heartbeat = heartbeat
        self._beating: trio.Event | None = None  # a heartbeat's write is under way
        self._ended = False
        self._last_sent = trio.current_time()

    async def send(self, data: bytes) -> None:
        """Whole events, in one write."""
        if self._beating is not None:
            await self._beating.wait()
        self.committed = True
        await self._write(data)

    async def finish(self, data: bytes = b"") -> None:
        if data:
            await self.send(data)
        elif self._beating is not None:
            await self._beating.wait()
        self._ended = True
        if not self._exchange.started:
            await self._exchange.start(200, [*STREAM_HEADERS, *self.headers])
        await self._exchange.finish()

    async def fail(self, status: int, headers: Headers, body: bytes, events: bytes) -> None:
        """End with an error: as a status if there still is one to choose, else as events."""
        if self._beating is not None:
            await self._beating.wait()
        self._ended = True
        if self._exchange.started:
            await self._write(events)
            await self._exchange.finish()
        else:
            await self._exchange.respond(status, body, headers=headers)

    async def beat(self) -> None:
        """Run beside the handler (``Exchange.start_soon``): a sign of life whenever nothing went out for 10 s."""
        while not self._ended:
            await trio.sleep_until(self._last_sent + HEARTBEAT)
            if trio.current_time() < self._last_sent + HEARTBEAT:
                continue
            self._beating = trio.Event()
            try:
                await self._write(self._heartbeat)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the connection's own watcher sees to a lost client
            finally:
                self._beating.set()
                self._beating = None

    async def _write(self, data: bytes) -> None:
        # Before the write: one that is under way needs no heartbeat, and the connection bounds how long it takes.
        self._last_sent = trio.current_time()
        if not self._exchange.started:
            await self._exchange.start(200, [*STREAM_HEADERS, *self.headers])
        await self._exchange.send(data)
