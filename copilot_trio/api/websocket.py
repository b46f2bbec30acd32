"""GET responses with an upgrade: the Responses API over a WebSocket, one request at a time (upstream.md §9)."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import trio

from copilot_trio.dialects.dialect import RESPONSES
from copilot_trio.dialects.responses.session import Asking, Noted, Session
from copilot_trio.errors import ProxyError, UpgradeRequired
from copilot_trio.job import seed_of
from copilot_trio.relay import Relay
from copilot_trio.server.dispatch import announce, error_headers, logged
from copilot_trio.server.exchange import Exchange, Headers
from copilot_trio.server.router import Router
from copilot_trio.server.upgrade import GOING_AWAY, POLICY_VIOLATION, check_handshake
from copilot_trio.sse import SSEDecoder
from copilot_trio.turn import AnswerContext, Finished, Started, Usage
from copilot_trio.unreadable import UNREADABLE

if TYPE_CHECKING:
    from copilot_trio.server.websocket import Socket

logger = logging.getLogger(__name__)

IDLE = 3600.0  # seconds between two requests
MAX_FRAME = 16 * 1024 * 1024  # bytes; a connection keeps the rest of the conversation
WAITING = 4  # requests a client may send ahead; clients send one at a time


class FrameStream:
    """A ``Sink`` that sends each event as a frame, and notes what the session has to remember."""

    def __init__(self, socket: Socket, exchange: Exchange) -> None:
        self.committed = False
        self.headers: Headers = ()  # a frame has none; the account and the costs are in the log
        self.noted = Noted()
        self._socket = socket
        self._exchange = exchange
        self._decoder = SSEDecoder()

    async def send(self, data: bytes) -> None:
        for event in self._decoder.feed(data):
            self.committed = True
            self.noted.look(event.data)
            await self.send_frame(event.data)

    async def finish(self, data: bytes = b"") -> None:
        await self.send(data)
        self._end(200)

    async def fail(self, status: int, headers: Headers, body: bytes, events: bytes) -> None:
        """As an event if something was said already, else as the frame that counts as a status (§9.5)."""
        if self.committed:
            await self.send(events)
        else:
            await self.send_frame(error_frame(status, [*headers, *self._exchange.extra_headers], body))
        self._end(status)

    async def send_frame(self, data: bytes) -> None:
        """Raises ``trio.BrokenResourceError`` once the client is gone."""
        await self._socket.send(data)

    def _end(self, status: int) -> None:
        self._exchange.started, self._exchange.finished, self._exchange.status = True, True, status


class _Body(msgspec.Struct):
    error: msgspec.Raw


def error_frame(status: int, headers: Headers, body: bytes) -> bytes:
    """Codex takes an error frame for an answer only if it has a status."""
    shown = {name: value for name, value in headers if name in {"retry-after", "x-request-id", "x-should-retry"}}
    error = msgspec.json.decode(body, type=_Body).error
    return msgspec.json.encode({"type": "error", "status": status, "error": error, "headers": shown})


class Connection:
    """One client's WebSocket. Reading never stops while a request runs, so a client that leaves is noticed."""

    def __init__(self, relay: Relay, exchange: Exchange, socket: Socket, max_message: int) -> None:
        self._relay = relay
        self._exchange = exchange
        self._socket = socket
        self._session = Session(max_message)

    async def run(self) -> None:
        send, receive = trio.open_memory_channel[bytes](WAITING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, send, nursery.cancel_scope)
            async with receive:
                while (frame := await self._next(receive)) is not None:
                    await self._answer(frame)
                else:
                    self._socket.close_code = GOING_AWAY
            nursery.cancel_scope.cancel("idle")

    async def _next(self, receive: trio.MemoryReceiveChannel[bytes]) -> bytes | None:
        with trio.move_on_after(IDLE), self._exchange.idle():
            return await receive.receive()
        return None

    async def _read(self, send: trio.MemorySendChannel[bytes], scope: trio.CancelScope) -> None:
        try:
            while (message := await self._socket.receive()) is not None:
                send.send_nowait(message)
            scope.cancel("the client left")
        except trio.WouldBlock:
            logger.info("a WebSocket client sent too many requests at once")
            self._socket.close_code = POLICY_VIOLATION
            scope.cancel("too many requests")

    async def _answer(self, frame: bytes) -> None:
        refused: ProxyError | None = None
        asking: Asking | None = None
        try:
            self._exchange.readmit()  # its key may have been revoked since
            asking = self._session.read(frame)
        except ProxyError as error:
            refused = error
        if asking is None and refused is None:
            return  # a frame that wants no answer
        async with trio.open_nursery() as nursery:
            exchange = self._exchange.child(b"" if asking is None else asking.body, nursery)
            sink = FrameStream(self._socket, exchange)
            with logged(exchange):
                try:
                    if refused is not None:
                        raise refused
                    assert asking is not None
                    await self._generate(exchange, sink, asking)
                except ProxyError as error:
                    exchange.note.error = exchange.note.error or str(error.code or error.kind)
                    await sink.fail(error.status, error_headers(error), RESPONSES.render_error(error), b"")
            nursery.cancel_scope.cancel("answered")

    async def _generate(self, exchange: Exchange, sink: FrameStream, asking: Asking) -> None:
        if asking.generate:
            await self._relay.generate(exchange, RESPONSES, sink)
        else:  # a warm-up: remember what was said, and ask nobody
            context = AnswerContext(_model_of(asking.body), int(time.time()), seed_of(exchange.request_id))
            encoder = RESPONSES.encoder(context)
            await sink.send(encoder.feed(Started("", "")))
            await sink.finish(encoder.feed(Finished("end_turn", Usage())))
        if sink.noted.completed:
            self._session.remember(sink.noted.response_id, asking.items, sink.noted.output)


class _ModelName(msgspec.Struct):
    model: str = ""


def _model_of(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_ModelName).model
    except UNREADABLE:
        return ""


def add_routes(router: Router, relay: Relay, max_message: int, *, served: Callable[[], bool]) -> None:
    async def open_session(exchange: Exchange) -> None:
        if not served():
            raise UpgradeRequired("Responses over WebSocket is switched off here", remedy="Use POST.")
        check_handshake(exchange.request)
        announce(exchange)

        from copilot_trio.server.websocket import serve_websocket  # 40 ms and 2 MiB that many never need

        async def run(socket: Socket) -> None:
            await Connection(relay, exchange, socket, max_message).run()

        await serve_websocket(exchange, min(max_message, MAX_FRAME), run)

    router.add_model_route("GET", "/responses", open_session)
