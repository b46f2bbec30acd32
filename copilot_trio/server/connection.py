"""HTTP/1.1 towards our clients: h11 decides, Trio moves the bytes.

One task per connection reads a request, calls the handler, and goes round again. Beside each handler one more
task watches the socket: it notices a client that left, and one that stopped reading.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import struct
from collections.abc import Iterator
from http import HTTPStatus

import h11
import msgspec
import trio

from copilot_trio.errors import BadRequest, HeadTooLarge, NotImplementedHere, ProxyError, RequestTimeout, TooLarge

from .exchange import AdmitHead, Exchange, H11Headers, Handler, Refuse, Request, joined_headers, refuse_in_plain_text
from .upgrade import UpgradedStream

logger = logging.getLogger(__name__)

READ_SIZE = 64 * 1024
WRITE_SIZE = 256 * 1024  # a longer answer goes out in pieces, each with its own send_timeout: slow is not stopped
UNCHECKED_BODY = 64 * 1024  # a larger body is read only after the caller has been let in
MAX_PIPELINED = 64 * 1024  # bytes of following requests we hold while answering this one; the kernel keeps the rest
MAX_DRAINED = 1024 * 1024  # of a refused body, so that the client gets to read why


class Limits(msgspec.Struct, frozen=True):
    """Durations in seconds, sizes in bytes (product.md §2.5, §5.7)."""

    max_head: int = 64 * 1024
    max_body: int = 64 * 1024 * 1024
    head_timeout: float = 10  # from the first byte of a request to the end of its headers
    body_timeout: float = 30  # without progress
    idle_timeout: float = 75  # between requests
    send_timeout: float = 60  # one write to a client that has stopped reading
    close_timeout: float = 2
    max_connections: int = 1000
    drain: float = 30  # for answers under way when we are told to stop


class Serving:
    """What the connections of one server share."""

    def __init__(self) -> None:
        self.idle: set[trio.CancelScope] = set()  # connections between two requests
        self.stopping = False


class Connection:
    def __init__(
        self,
        stream: trio.abc.HalfCloseableStream,
        handler: Handler,
        limits: Limits,
        serving: Serving,
        refuse: Refuse = refuse_in_plain_text,
        admit_head: AdmitHead | None = None,
    ) -> None:
        self._stream = stream
        self._admit_head = admit_head
        self._handler = handler
        self._refuse = refuse
        self._limits = limits
        self._serving = serving
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.max_head)
        self._peer = _peer_of(stream)
        self._chunked = False
        self._unsent = b""  # a response head waiting for its first body bytes
        self._write_began: float | None = None
        self._head: h11.Request | None = None
        self._watching = trio.CancelScope()  # of the task that reads while a handler runs
        self._watch_ended = trio.Event()

    async def serve(self) -> None:
        """Carry requests until one side is done. Raises nothing but cancellation."""
        try:
            while await self._serve_one():
                self._h11.start_next_cycle()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass  # the client left; there is nobody to tell
        except* Exception:
            # A bug outside the handler's own task. It costs this connection, not the server.
            logger.exception("connection failed")
        finally:
            with trio.move_on_after(self._limits.close_timeout, shield=True):
                await self._close()

    def usable(self) -> bool:
        return self._h11.our_state is not h11.ERROR

    # ---- reading

    async def _serve_one(self) -> bool:
        """Answer one request. Return whether the connection can carry another."""
        self._head = None
        try:
            request = await self._read_request()
        except ProxyError as error:
            exchange = Exchange(self._as_request(b""), self)
            exchange.extra_headers = [("connection", "close")]
            with trio.move_on_after(self._limits.send_timeout):
                await self._refuse(exchange, error)
            return False
        if request is None:
            return False
        async with trio.open_nursery() as nursery:
            exchange = Exchange(request, self, nursery)
            self._watching, self._watch_ended = trio.CancelScope(), trio.Event()
            nursery.start_soon(self._watch_until_taken, nursery.cancel_scope)
            await self._answer(exchange)
            nursery.cancel_scope.cancel("answered")
        return self._h11.our_state is h11.DONE and self._h11.their_state is h11.DONE

    async def _answer(self, exchange: Exchange) -> None:
        """Run the handler. Only cancellation escapes, so the nursery never raises a group."""
        try:
            try:
                await self._handler(exchange)
                if not exchange.started and self.usable():
                    raise RuntimeError("the handler gave no answer")  # noqa: TRY301
            except ProxyError as error:
                await self._refuse_late(exchange, error)
            except Exception as error:
                gone = isinstance(error, trio.BrokenResourceError | trio.ClosedResourceError)
                if gone and not self.usable():
                    raise
                logger.exception("handler failed: %s %s", exchange.request.method, exchange.request.path)
                await self._refuse_late(exchange, ProxyError("the proxy failed; its log says more", cost="unknown"))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            logger.debug("client went away: %s %s", exchange.request.method, exchange.request.path)

    async def _refuse_late(self, exchange: Exchange, error: ProxyError) -> None:
        if not exchange.started and exchange.usable():
            await self._refuse(exchange, error)

    async def _watch_until_taken(self, scope: trio.CancelScope) -> None:
        try:
            with self._watching:
                await self._watch_client(scope)
        finally:
            self._watch_ended.set()

    async def take_over(self) -> UpgradedStream:
        """Hand the stream to another protocol, request head first. HTTP ends here: nothing more is read or written."""
        assert self._head is not None
        self._watching.cancel("upgraded")
        await self._watch_ended.wait()
        lines = [b"%s %s HTTP/1.1" % (self._head.method, self._head.target)]
        lines += [b"%s: %s" % (name, value) for name, value in self._head.headers]
        beginning = b"\r\n".join(lines) + b"\r\n\r\n" + self._h11.trailing_data[0]
        self._h11.send_failed()  # no HTTP answer will follow
        return UpgradedStream(self._stream, beginning, self._limits.send_timeout)

    async def _watch_client(self, scope: trio.CancelScope) -> None:
        """Cancel the handler when the client hangs up or stops reading. Keep what it pipelines, up to a limit."""
        held = len(self._h11.trailing_data[0])
        while True:
            with trio.move_on_at(self._write_deadline()):
                if held >= MAX_PIPELINED:
                    await trio.sleep_forever()
                received = await self._receive()
                if not received:
                    scope.cancel("client disconnected")
                    return
                held += received
            if self._write_began is not None and trio.current_time() >= self._write_began + self._limits.send_timeout:
                scope.cancel("client stopped reading")
                return

    def _write_deadline(self) -> float:
        began = trio.current_time() if self._write_began is None else self._write_began
        return began + self._limits.send_timeout

    async def _read_request(self) -> Request | None:
        """Raises a ``ProxyError`` for what should be answered; returns None where nothing should."""
        if not await self._wait_for_first_byte():
            return None
        try:
            with trio.fail_after(self._limits.head_timeout):
                head = await self._next_event()
            if not isinstance(head, h11.Request):
                return None
            self._head = head
            self._check_head(head)
            body = await self._read_body(head)
        except trio.TooSlowError:
            where = "body" if self._head else "header"
            raise RequestTimeout(f"the request {where} took too long to arrive") from None
        except h11.RemoteProtocolError as error:
            raise _protocol_error(error) from None
        return None if body is None else self._as_request(body)

    def _check_head(self, head: h11.Request) -> None:
        if not head.http_version.startswith(b"1."):
            raise BadRequest(f"HTTP/{head.http_version.decode()} is not spoken here", remedy="Use HTTP/1.1.")
        if sum(len(name) + len(value) for name, value in head.headers) > self._limits.max_head:
            raise HeadTooLarge("the request header is too large")  # h11 lets one pass that came in two large reads
        names = [name for name, _ in head.headers]
        if b"transfer-encoding" in names and b"content-length" in names:
            raise BadRequest("Content-Length beside Transfer-Encoding: the length of this request is in doubt")
        if not head.target.startswith(b"/") and head.target != b"*":
            raise BadRequest(
                "the request target is not a path: this server is no forward proxy",
                remedy="Set it as the client's base URL, not as its HTTP proxy.",
            )
        declared = next((value for name, value in head.headers if name == b"content-length"), b"0")
        if int(declared) > self._limits.max_body:
            raise self._too_large()
        # Who may not call should not get to fill our memory first.
        if self._admit_head is not None and (int(declared) > UNCHECKED_BODY or b"transfer-encoding" in names):
            self._admit_head(self._as_request(b""))

    def _too_large(self) -> TooLarge:
        limit = self._limits.max_body
        return TooLarge(
            f"the request body is over {limit} bytes", remedy="Send less, or start with a larger --max-body."
        )

    async def _read_body(self, head: h11.Request) -> bytes | None:
        body = bytearray()  # not a list of parts: a client choosing tiny chunks would make each cost 50 bytes
        while True:
            with trio.fail_after(self._limits.body_timeout):
                part = await self._next_event()
            if isinstance(part, h11.EndOfMessage):
                return bytes(body)
            if not isinstance(part, h11.Data):
                return None
            body += part.data
            if len(body) > self._limits.max_body:
                raise self._too_large()

    def _as_request(self, body: bytes) -> Request:
        if self._head is None:
            return Request("", "", "", {}, b"", self._peer, trio.current_time())
        path, _, query = self._head.target.decode("latin-1").partition("?")
        headers = joined_headers(self._head)
        return Request(self._head.method.decode("ascii"), path, query, headers, body, self._peer, trio.current_time())

    async def _wait_for_first_byte(self) -> bool:
        """Between requests: wait, but not for ever, and not when the server is stopping."""
        if self._h11.trailing_data[0]:
            return True
        if self._serving.stopping:
            return False
        with trio.move_on_after(self._limits.idle_timeout) as timeout, self.idle() as stop:
            await self._receive()
        return not (timeout.cancelled_caught or stop.cancelled_caught)

    @contextlib.contextmanager
    def idle(self) -> Iterator[trio.CancelScope]:
        """Between two requests: a server that stops cancels this."""
        with trio.CancelScope() as scope:
            if self._serving.stopping:
                scope.cancel("shutting down")
            self._serving.idle.add(scope)
            try:
                yield scope
            finally:
                self._serving.idle.discard(scope)

    async def _next_event(self) -> h11.Event:
        while (event := self._h11.next_event()) is h11.NEED_DATA:
            if self._h11.they_are_waiting_for_100_continue:
                go_ahead = h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue")
                await self._write(self._h11.send(go_ahead) or b"")
            await self._receive()
        assert isinstance(event, h11.Event)
        return event

    async def _receive(self) -> int:
        try:
            data = await self._stream.receive_some(READ_SIZE)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        self._h11.receive_data(bytes(data))
        return len(data)

    # ---- writing

    async def start_response(self, status: int, headers: H11Headers, request: Request) -> None:
        self._unsent = self._response_head(status, headers)
        names = {name.lower() for name, _ in headers}
        http11 = (self._h11.their_http_version or b"") >= b"1.1"
        bodiless = request.method == "HEAD" or status in {204, 304}
        self._chunked = http11 and "content-length" not in names and not bodiless

    def _response_head(self, status: int, headers: H11Headers) -> bytes:
        if self._h11.our_state not in {h11.IDLE, h11.SEND_RESPONSE}:
            raise trio.BrokenResourceError("the connection cannot carry an answer any more")
        if self._serving.stopping and ("connection", "close") not in headers:
            headers = [*headers, ("connection", "close")]
        # h11 takes text for ASCII; what a header of a client or of upstream says may be more.
        encoded = [(name.encode("ascii"), value.encode("latin-1", "replace")) for name, value in headers]
        response = h11.Response(status_code=status, headers=encoded, reason=_REASONS.get(status, b""))
        return self._h11.send(response) or b""

    async def send_body(self, data: bytes) -> None:
        # h11's own framing costs 3 µs a chunk (performance.md §2), and its state does not count chunked bytes.
        if self._chunked:
            if self._h11.our_state not in {h11.SEND_BODY, h11.ERROR}:
                raise RuntimeError("body bytes outside an answer")
            framed = b"%s%x\r\n%s\r\n" % (self._unsent, len(data), data)
        else:
            framed = self._unsent + (self._h11_send(h11.Data(data=data)))
        self._unsent = b""
        await self._write(framed)

    async def finish_response(self, data: bytes = b"") -> None:
        """The last of the body, if any, and its end in one write."""
        if data:
            self._unsent += self._h11_send(h11.Data(data=data))
        ending = self._unsent + self._h11_send(h11.EndOfMessage())
        self._unsent = b""
        if ending:
            await self._write(ending)

    def whole_response(self, status: int, headers: H11Headers, body: bytes) -> bytes:
        """For :meth:`send_whole`. Where h11 finds the headers impossible, another answer can still be given."""
        whole = self._response_head(status, headers)
        if body:
            whole += self._h11_send(h11.Data(data=body))
        return whole + self._h11_send(h11.EndOfMessage())

    async def send_whole(self, response: bytes) -> None:
        await self._write(response)

    def _h11_send(self, event: h11.Event) -> bytes:
        if self._h11.our_state is h11.ERROR:
            raise trio.BrokenResourceError("an earlier write failed")
        return self._h11.send(event) or b""

    async def _write(self, data: bytes) -> None:
        if self._h11.our_state is h11.ERROR:
            raise trio.BrokenResourceError("an earlier write failed")
        try:
            for start in range(0, len(data), WRITE_SIZE):
                self._write_began = trio.current_time()
                await self._stream.send_all(data if len(data) <= WRITE_SIZE else data[start : start + WRITE_SIZE])
        except BaseException:
            # A cancelled send_all may have written part of it: the stream is done for.
            self._h11.send_failed()
            raise
        finally:
            self._write_began = None

    async def abort(self) -> None:
        self._h11.send_failed()
        if isinstance(self._stream, trio.SocketStream):
            with contextlib.suppress(OSError):  # closed already
                self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await trio.aclose_forcefully(self._stream)

    async def _close(self) -> None:
        """Say we are done, then read until the client is too, so it sees our last bytes."""
        drained = 0
        try:
            if self._h11.our_state is not h11.ERROR:
                await self._stream.send_eof()
                while drained < MAX_DRAINED and (data := await self._stream.receive_some(READ_SIZE)):
                    drained += len(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError):
            pass
        finally:
            await trio.aclose_forcefully(self._stream)


def _protocol_error(error: h11.RemoteProtocolError) -> ProxyError:
    hint = error.error_status_hint
    if hint == 431:
        return HeadTooLarge("the request header is too large")
    if hint == 501:
        return NotImplementedHere(f"this part of HTTP is not spoken here: {error}")
    said = str(error).partition(": bytearray")[0]  # h11 quotes the line, which may hold a key
    return BadRequest(f"this is not HTTP/1.1 as the standard has it: {said[:200]}")


def _peer_of(stream: trio.abc.HalfCloseableStream) -> str:
    if isinstance(stream, trio.SocketStream):
        try:
            return str(stream.socket.getpeername()[0])
        except OSError:
            return ""
    return ""


_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus} | {
    413: b"Content Too Large",
    422: b"Unprocessable Content",
    529: b"Overloaded",
}
