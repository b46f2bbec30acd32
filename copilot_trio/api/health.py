"""The keyless routes: is it there, is it well."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
import trio

from copilot_trio import __version__
from copilot_trio.accounts.account import Account
from copilot_trio.accounts.registry import Accounts
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router


def add_routes(router: Router, accounts: Accounts, more: Callable[[], Mapping[str, object]] = dict) -> None:
    """``more``: what else is told to who may know."""
    began = trio.current_time()

    async def root(exchange: Exchange) -> None:
        await exchange.respond(200, b"Server running\n", "text/plain; charset=utf-8")

    async def hello(exchange: Exchange) -> None:
        await exchange.respond(204)  # Claude Code warms its connection up with this

    async def health(exchange: Exchange) -> None:
        fields: dict[str, object] = {"status": "ok"}
        if "admin" in exchange.rights:
            active = sum(account.status == "active" for account in accounts.accounts)
            fields |= {
                "version": __version__,
                "uptime": round(trio.current_time() - began),
                "accounts": {"total": len(accounts.accounts), "active": active},
                "upstream": {"reachable": reachable(accounts.accounts)},
                **more(),
            }
        await exchange.respond(200, msgspec.json.encode(fields))

    router.add("GET", "/", root, scope="open")
    router.add("GET", "/health", health, scope="open")
    router.add("GET", "/api/hello", hello, scope="open")


def reachable(accounts: Iterable[Account]) -> bool | None:
    """As it was when we last asked: whether one account at least gets through. None where nothing was asked yet."""
    failing = False
    for account in accounts:
        if account.health.failures or account.status == "error":
            failing = True
        elif account.token is not None:
            return True
    return False if failing else None
