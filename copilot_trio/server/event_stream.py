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
        self._writing = False
        self._started = False
        self._ended = False
        self._last_sent = trio.current_time()

    async def send(self, data: bytes) -> None:
        """Whole events, in one write."""
        if self._beating is not None:
            await self._beating.wait()
        self.committed = True
        await self._write(data)

    async def finish(self, data: bytes = b"") -> None:
        """End well. The last events and the end of the answer go out in one write."""
        self._ended = True
        if self._beating is not None:
            await self._beating.wait()
        self.committed = self.committed or bool(data)
        await self._start()
        await self._exchange.finish(data)

    async def fail(self, status: int, headers: Headers, body: bytes, events: bytes) -> None:
        """End with an error: as a status if there still is one to choose, else as events."""
        self._ended = True
        if self._beating is not None:
            await self._beating.wait()
        if self._exchange.started:
            await self._exchange.finish(events)
        else:
            await self._exchange.respond(status, body, headers=headers)

    async def beat(self) -> None:
        """Run beside the handler (``Exchange.start_soon``): a sign of life whenever nothing went out for 10 s."""
        while not self._over():
            now = trio.current_time()
            # While a write is under way, the client knows that we are here, and is the one that is slow.
            due = now + HEARTBEAT if self._writing else self._last_sent + HEARTBEAT
            if now < due:
                await trio.sleep_until(due)
                continue
            self._beating = trio.Event()
            try:
                await self._write(self._heartbeat)
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                return  # the connection's own watcher sees to a lost client
            finally:
                self._beating.set()
                self._beating = None

    def _over(self) -> bool:
        """Ended by us, or answered by others: an error that was raised past this stream."""
        return self._ended or (self._exchange.started and not self._started)

    async def _start(self) -> None:
        if not self._exchange.started:
            await self._exchange.start(200, [*STREAM_HEADERS, *self.headers])
            self._started = True

    async def _write(self, data: bytes) -> None:
        self._writing = True
        try:
            await self._start()
            await self._exchange.send(data)
        finally:
            self._writing = False
            self._last_sent = trio.current_time()
