"""From a request to its handler: request id, log lines, gate, route; and errors in the client's dialect."""

from __future__ import annotations

import logging
import math
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec
import trio

from copilot_trio.dialects.dialect import dialect_for
from copilot_trio.errors import MethodNotAllowed, ProxyError, TooManyWrongKeys, Unauthorized, UpgradeRequired
from copilot_trio.logs import ACCESS
from copilot_trio.usage.journal import LEFT, Journal, endpoint_of
from copilot_trio.usage.note import duration

from .auth import Access, Admitted, admit, cors_headers, preflight
from .body import decoded_body
from .exchange import Exchange, Request
from .router import Route, Router
from .sessions import Sessions
from .wrong_keys import WrongKeys

access_log = logging.getLogger(ACCESS)

PLAIN = ("/api/", "/admin/", "/v0/management/", "/dashboard/")
MONITORING = {"/usage", "/token", "/metrics", "/dashboard"}
CODEX_PROXY = re.compile("/(account|accounts|settings|claude/config)(/|$)")
LONG_WAIT = 60.0  # seconds: a client told to wait longer had better not retry at all (product.md §5.8)


class Dispatcher:
    def __init__(
        self,
        router: Router,
        access: Access,
        max_body: int,
        journal: Journal | None = None,
        sessions: Sessions | None = None,
    ) -> None:
        self._router = router
        self.access = access  # may be replaced: it holds from the next request on
        self._max_body = max_body
        self._journal = journal or Journal()
        self._sessions = Sessions() if sessions is None else sessions
        self._wrong_keys = WrongKeys()

    def admit_head(self, request: Request) -> None:
        """An ``AdmitHead``: what can be refused without the body."""
        route = self._router.find(request.path)
        self._admit(request, route)
        self._router.handler(route, request.method)

    def _admit(self, request: Request, route: Route) -> Admitted:
        session = None
        if route.scope == "admin" and self.access.keys and "cookie" in request.headers:
            session = self._sessions.key_of(request.headers["cookie"], self.access.keys, trio.current_time())
        try:
            return admit(request, route.scope, self.access, session)
        except Unauthorized as error:
            wait = self._wrong_keys.count(request.peer, trio.current_time()) if route.scope == "management" else None
            if wait is None:
                raise
            raise TooManyWrongKeys(error.cause, remedy=f"Try again in {wait:.0f} s.", retry_after=wait) from None

    async def handle(self, exchange: Exchange) -> None:
        """A ``Handler``: answers every request, writes its two log lines."""
        began = trio.current_time()
        note, exchange.journal = exchange.note, self._journal
        _identify(exchange)
        status = 0
        try:
            await self._route(exchange)
            if not exchange.started and exchange.usable():
                status = 500  # the connection sees to it
        except ProxyError as error:
            note.error = note.error or str(error.code or error.kind)
            if exchange.started or not exchange.usable():
                status = exchange.status
                raise
            await _respond(exchange, error)
        except Exception:
            if exchange.usable():  # a bug; the connection makes a 500 of it, if it still can
                note.error = note.error or "internal"
                status = exchange.status or 500
            raise
        finally:
            _log_end(exchange, began, status)

    async def _route(self, exchange: Exchange) -> None:
        request = exchange.request
        route = self._router.find(request.path)
        if request.method == "OPTIONS":
            await exchange.respond(204, headers=preflight(request, self.access, route.scope))
            return
        exchange.extra_headers += cors_headers(request, self.access, route.scope)  # refusals are to be readable too

        def readmit() -> None:
            admitted = self._admit(request, route)
            exchange.rights, exchange.pin = admitted.rights, admitted.pin

        readmit()
        exchange.readmit = readmit
        exchange.note.endpoint = endpoint_of(request.path) if request.method == "POST" else ""
        exchange.quiet = route.scope == "admin" and request.method in {"GET", "HEAD"}
        handler = self._router.handler(route, request.method)
        if request.body and "content-encoding" in request.headers:
            exchange.request = msgspec.structs.replace(request, body=decoded_body(request, self._max_body))
        await handler(exchange)


@contextmanager
def logged(exchange: Exchange) -> Iterator[None]:
    """One request on an upgraded connection: its id and its two log lines."""
    began = trio.current_time()
    _identify(exchange)
    exchange.note.endpoint = endpoint_of(exchange.request.path)
    try:
        yield
    finally:
        _log_end(exchange, began)


async def refuse(exchange: Exchange, error: ProxyError) -> None:
    """A ``Refuse``: the error as a whole answer in the dialect of the route.

    Also for what never became a request: that gets its id and its log lines here.
    """
    if exchange.request_id:
        await _respond(exchange, error)
        return
    began = trio.current_time()
    _identify(exchange)
    exchange.note.error = str(error.code or error.kind)
    try:
        await _respond(exchange, error)
    finally:
        _log_end(exchange, began)


def _identify(exchange: Exchange) -> None:
    exchange.request_id = str(uuid.uuid4())
    exchange.extra_headers.append(("x-request-id", exchange.request_id))


async def _respond(exchange: Exchange, error: ProxyError) -> None:
    request = exchange.request
    if request.path.startswith(PLAIN) or request.path.rstrip("/") in MONITORING:
        body = msgspec.json.encode({"error": str(error)})
    elif CODEX_PROXY.match(request.path):
        body = msgspec.json.encode({"success": False, "error": str(error)})
    else:
        body = dialect_for(request.path, request.headers).render_error(error)
    await exchange.respond(error.status, body, headers=error_headers(error))


def error_headers(error: ProxyError, *, seen_before: bool = False) -> list[tuple[str, str]]:
    """Retry hints are deliberate: clients multiply every failure by 6 to 30 calls (product.md §5.8)."""
    headers = list(error.headers)
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, math.ceil(error.retry_after)))))
    hopeless = 400 <= error.status < 500 and error.status not in {408, 409, 429}
    hopeless = hopeless or error.kind == "account_rejected"  # a person has to sign in
    if hopeless or seen_before or (error.retry_after is not None and error.retry_after > LONG_WAIT):
        headers.append(("x-should-retry", "false"))
    if isinstance(error, MethodNotAllowed):
        headers.append(("allow", error.allow))
    if isinstance(error, UpgradeRequired):
        headers.append(("connection", "close"))
    return headers


def announce(exchange: Exchange) -> None:
    """The first log line, once."""
    if not exchange.announced:
        exchange.announced = True
        if exchange.journal is not None:
            exchange.journal.begun(exchange.note, exchange.request_id, exchange.request)
        if not exchange.quiet:
            _log_beginning(exchange)


def _log_beginning(exchange: Exchange) -> None:
    access_log.info("%s%s <-- %s", _printable(exchange.note.prefix()), _clock(), _shown(exchange))


def _log_end(exchange: Exchange, began: float, status: int = 0) -> None:
    """The second log line, after the first. Without a ``status``: the answer's own, if it arrived whole."""
    announce(exchange)  # where the handler has not, for want of a model to name
    note = exchange.note
    status = status or (exchange.status if exchange.finished else LEFT)
    if exchange.journal is not None:
        exchange.journal.ended(note, status, began)
    if exchange.quiet:
        if status < 400 or status == LEFT:
            return  # pages ask every second
        _log_beginning(exchange)
    prefix, suffix = _printable(note.prefix()), _printable(note.suffix())
    took = duration(trio.current_time() - began)
    line = (prefix, _clock(), _shown(exchange), status, took, suffix)
    access_log.info("%s%s --> %s %d %s%s", *line, extra={"status": status})


def _clock() -> str:
    return time.strftime("%H:%M:%S")


def _printable(text: str) -> str:
    """A model's name is the client's text: it must not begin a line of its own, nor speak to the terminal."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _shown(exchange: Exchange) -> str:
    """Method and path. Of a query only what is known to be harmless: some clients put keys there."""
    request = exchange.request
    query = "?beta=true" if request.query == "beta=true" else "?…" if request.query else ""
    path = request.path[:200].encode("ascii", "backslashreplace").decode()
    return f"{request.method or '?'} {path or '?'}{query}"
