"""``/dashboard``: the web page, and the session by which it uses the admin API where a key is needed.

The page itself holds no data, so it is open to whoever passes the gate; all that it shows it asks of ``/api``.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.resources import files

import msgspec
import trio

from copilot_trio.errors import Forbidden, TooManyWrongKeys, Unauthorized
from copilot_trio.server.auth import Access, key_by_secret
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.files import StaticFile
from copilot_trio.server.router import Router
from copilot_trio.server.sessions import Sessions
from copilot_trio.server.wrong_keys import WrongKeys

from .refused import Refused, body_of

PAGE = (
    ("/dashboard", "index.html", "text/html; charset=utf-8"),
    ("/dashboard/app.js", "app.js", "text/javascript; charset=utf-8"),
    ("/dashboard/style.css", "style.css", "text/css; charset=utf-8"),
    ("/dashboard/icon.svg", "icon.svg", "image/svg+xml"),
)
NEVER_STORED = ("cache-control", "no-store")


class _Key(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str = ""


def add_routes(router: Router, sessions: Sessions, access: Callable[[], Access]) -> None:
    wrong_keys = WrongKeys()

    async def log_in(exchange: Exchange) -> None:
        keys = access().keys
        if not keys:
            raise Refused(409, "this server has no keys, so nobody needs a session")
        key = key_by_secret(body_of(exchange, _Key).key, keys)
        if key is None:
            raise _wrong(wrong_keys.count(exchange.request.peer, trio.current_time()))
        if "admin" not in key.rights:
            raise Forbidden(f"the API key {key.label!r} lacks the right 'admin'")
        cookie = sessions.open(key, trio.current_time())
        await _answer(exchange, {"success": True, "label": key.label}, cookie)

    async def log_out(exchange: Exchange) -> None:
        await _answer(exchange, {"success": True}, sessions.close(exchange.request.headers.get("cookie", "")))

    directory = files("copilot_trio.admin") / "dashboard"
    for path, name, content_type in PAGE:
        router.add("GET", path, StaticFile((directory / name).read_bytes(), content_type).serve, scope="open")
    router.add("POST", "/dashboard/session", log_in, scope="open")
    router.add("DELETE", "/dashboard/session", log_out, scope="open")


def _wrong(wait: float | None) -> Unauthorized:
    if wait is None:
        return Unauthorized("the API key is missing or wrong")
    return TooManyWrongKeys("the API key is missing or wrong", remedy=f"Try again in {wait:.0f} s.", retry_after=wait)


async def _answer(exchange: Exchange, value: dict[str, object], cookie: str) -> None:
    await exchange.respond(200, msgspec.json.encode(value), headers=[("set-cookie", cookie), NEVER_STORED])
