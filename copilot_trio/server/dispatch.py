"""From a request to its handler: request id, log lines, gate, route; and errors in the client's dialect."""

from __future__ import annotations

import logging
import uuid
from datetime import datetime

import msgspec
import trio

from copilot_trio.dialects.dialect import dialect_for
from copilot_trio.errors import MethodNotAllowed, ProxyError, UpgradeRequired
from copilot_trio.usage.note import RequestNote, duration

from .auth import Access, admit, cors_headers, preflight
from .body import decoded_body
from .exchange import Exchange
from .router import Router

access_log = logging.getLogger("copilot_trio.access")

LONG_WAIT = 60.0  # seconds: a client told to wait longer had better not retry at all (product.md §5.8)


class Dispatcher:
    def __init__(self, router: Router, access: Access, max_body: int) -> None:
        self._router = router
        self._access = access
        self._max_body = max_body

    async def handle(self, exchange: Exchange) -> None:
        """A ``Handler``: answers every request, writes its two log lines."""
        began = trio.current_time()
        exchange.note = note = RequestNote()
        exchange.request_id = str(uuid.uuid4())
        exchange.extra_headers = [("x-request-id", exchange.request_id)]
        try:
            await self._route(exchange)
        except ProxyError as error:
            note.error = note.error or str(error.code or error.kind)
            if exchange.started or not exchange.usable():
                raise
            await refuse(exchange, error)
        finally:
            announce(exchange)  # where the handler has not, for want of a model to name
            status = exchange.status if exchange.usable() and exchange.status else 499
            took = duration(trio.current_time() - began)
            access_log.info(
                "%s%s --> %s %d %s%s", note.prefix(), _clock(), _shown(exchange), status, took, note.suffix()
            )

    async def _route(self, exchange: Exchange) -> None:
        request = exchange.request
        if request.method == "OPTIONS":
            await exchange.respond(204, headers=preflight(request, self._access))
            return
        route = self._router.find(request.path)
        exchange.rights = admit(request, route.scope, self._access)
        exchange.extra_headers += cors_headers(request, self._access)
        handler = self._router.handler(route, request.method)
        if "content-encoding" in request.headers:
            exchange.request = msgspec.structs.replace(request, body=decoded_body(request, self._max_body))
        await handler(exchange)


async def refuse(exchange: Exchange, error: ProxyError) -> None:
    """A ``Refuse``: the error as a whole answer in the dialect of the route."""
    request = exchange.request
    if request.path.startswith(("/api/", "/admin/")):
        body = msgspec.json.encode({"error": str(error)})
    else:
        body = dialect_for(request.path, request.headers).render_error(error)
    await exchange.respond(error.status, body, headers=error_headers(error))


def error_headers(error: ProxyError, *, seen_before: bool = False) -> list[tuple[str, str]]:
    """Retry hints are deliberate: clients multiply every failure by 6 to 30 calls (product.md §5.8)."""
    headers: list[tuple[str, str]] = []
    if error.retry_after is not None:
        headers.append(("retry-after", str(max(1, round(error.retry_after)))))
    hopeless = 400 <= error.status < 500 and error.status not in {408, 409, 429}
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
        access_log.info("%s%s <-- %s", exchange.note.prefix(), _clock(), _shown(exchange))


def _clock() -> str:
    return datetime.now().astimezone().strftime("%H:%M:%S")


def _shown(exchange: Exchange) -> str:
    """Method and path. Of a query only what is known to be harmless: some clients put keys there."""
    request = exchange.request
    query = "?beta=true" if request.query == "beta=true" else "?…" if request.query else ""
    path = request.path[:200].encode("ascii", "backslashreplace").decode()
    return f"{request.method or '?'} {path or '?'}{query}"
