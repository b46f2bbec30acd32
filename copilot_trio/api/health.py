"""The keyless routes: is it there, is it well."""

from __future__ import annotations

import msgspec
import trio

from copilot_trio import __version__
from copilot_trio.accounts.registry import Accounts
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router


def add_routes(router: Router, accounts: Accounts) -> None:
    began = trio.current_time()

    async def root(exchange: Exchange) -> None:
        await exchange.respond(200, b"Server running\n", "text/plain; charset=utf-8")

    async def hello(exchange: Exchange) -> None:
        await exchange.respond(204)  # Claude Code warms its connection up with this

    async def health(exchange: Exchange) -> None:
        fields: dict[str, object] = {"status": "ok"}
        if "admin" in exchange.rights:
            ready = [account for account in accounts.accounts if account.ready]
            fields |= {
                "version": __version__,
                "uptime": round(trio.current_time() - began),
                "accounts": {"total": len(accounts.accounts), "active": len(ready)},
            }
        await exchange.respond(200, msgspec.json.encode(fields))

    router.add("GET", "/", root, scope="open")
    router.add("GET", "/health", health, scope="open")
    router.add("GET", "/api/hello", hello, scope="open")
