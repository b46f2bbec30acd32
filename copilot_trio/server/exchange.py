"""One downstream request and the writing of its answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import h11
import msgspec
import trio

from copilot_trio.accounts.groups import NO_PIN
from copilot_trio.config import Right
from copilot_trio.errors import ProxyError
from copilot_trio.usage.journal import Journal
from copilot_trio.usage.note import RequestNote

if TYPE_CHECKING:
    from .connection import Connection
    from .upgrade import UpgradedStream

Headers = Sequence[tuple[str, str]]


class Request(msgspec.Struct, frozen=True):
    method: str
    path: str
    query: str
    headers: dict[str, str]  # names in lower case; repeated ones joined with ", "
    body: bytes
    peer: str = ""  # the socket's address, never a header's claim
    received: float = 0.0  # trio.current_time() when the body was complete


class Exchange:
    """Handlers write their answer through this; nothing here is an async generator.

    ``started`` turns true when a status line has been chosen: from then on no other status can be sent.
    """

    def __init__(self, request: Request, connection: Connection, nursery: trio.Nursery | None = None) -> None:
        self.request = request
        self.started = False
        self.finished = False  # the last byte of the answer is written
        self.status = 0
        self.extra_headers: list[tuple[str, str]] = []  # what every answer to this request carries
        self.request_id = ""
        self.rights: tuple[Right, ...] = ()
        self.pin = NO_PIN  # where its key's requests go
        self.readmit: Callable[[], None] = lambda: None  # raises once its caller may call no longer
        self.note = RequestNote()
        self.journal: Journal | None = None
        self.quiet = False  # of no interest to the log, unless it fails
        self.announced = False  # the first of its two log lines is out
        self._connection = connection
        self._nursery = nursery

    def __repr__(self) -> str:
        return f"<Exchange {self.request.method} {self.request.path} {self.status or 'unanswered'}>"

    def start_soon(self, run: Callable[[], Awaitable[object]]) -> None:
        """Run something beside the handler; it is cancelled when the handler ends. It must not raise."""
        if self._nursery is None:
            raise RuntimeError("this exchange has no nursery")
        self._nursery.start_soon(run)

    async def start(self, status: int, headers: Headers) -> None:
        """Choose status and headers. They go out with the first body bytes."""
        await self._connection.start_response(status, [*headers, *self.extra_headers], self.request)
        self.started, self.status = True, status

    async def send(self, data: bytes) -> None:
        """One write of body bytes. Raises ``trio.BrokenResourceError`` once the client is gone."""
        if self.request.method != "HEAD" and data:
            await self._connection.send_body(data)

    async def finish(self, data: bytes = b"") -> None:
        """End the answer, with the last of its body in the same write."""
        await self._connection.finish_response(b"" if self.request.method == "HEAD" else data)
        self.finished = True

    async def respond(
        self, status: int, body: bytes = b"", content_type: str = "application/json", headers: Headers = ()
    ) -> None:
        """A whole answer in one write."""
        bodiless = status in {204, 304}
        framing = [] if bodiless else [("content-type", content_type), ("content-length", str(len(body)))]
        shown = b"" if self.request.method == "HEAD" or bodiless else body
        whole = self._connection.whole_response(status, [*framing, *headers, *self.extra_headers], shown)
        self.started, self.status = True, status
        await self._connection.send_whole(whole)
        self.finished = True

    def child(self, body: bytes, nursery: trio.Nursery) -> Exchange:
        """One of several requests on an upgraded connection, with a note and an id of its own."""
        request = msgspec.structs.replace(self.request, method="WS", body=body, received=trio.current_time())
        exchange = Exchange(request, self._connection, nursery)
        exchange.rights, exchange.pin, exchange.journal = self.rights, self.pin, self.journal
        return exchange

    def idle(self) -> AbstractContextManager[trio.CancelScope]:
        """While an upgraded connection waits for its next request: a stopping server cancels what is inside."""
        return self._connection.idle()

    async def upgrade(self) -> UpgradedStream:
        """Leave HTTP: the raw stream, request head first. The connection closes when the handler returns."""
        stream = await self._connection.take_over()
        self.started, self.status, self.finished = True, 101, True
        return stream

    async def abort(self) -> None:
        """Reset the connection, at any moment: the peer sees an RST."""
        await self._connection.abort()

    def usable(self) -> bool:
        return self._connection.usable()


Handler = Callable[[Exchange], Awaitable[None]]
Refuse = Callable[[Exchange, ProxyError], Awaitable[None]]
AdmitHead = Callable[[Request], object]
"""Looks at a request whose body has not been read; raises ``ProxyError`` for one that it need not be."""


async def refuse_in_plain_text(exchange: Exchange, error: ProxyError) -> None:
    await exchange.respond(error.status, f"{error}\n".encode(), "text/plain; charset=utf-8")


H11Headers = list[tuple[str, str]]


def joined_headers(head: h11.Request) -> dict[str, str]:
    """Lower-case names; values of a repeated name joined, as RFC 9110 §5.3 allows."""
    headers: dict[str, list[str]] = {}  # joined once at the end: 16,000 times the same name fit into a header
    for name, value in head.headers:
        headers.setdefault(name.decode("ascii"), []).append(value.decode("latin-1"))
    return {name: ", ".join(values) for name, values in headers.items()}
