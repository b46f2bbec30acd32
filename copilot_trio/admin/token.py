"""``GET /token``: the one route that gives a secret away, and only where the server was told to (product.md §2.2)."""

from __future__ import annotations

import msgspec

from copilot_trio.errors import ProxyError
from copilot_trio.github.token import TokenSource
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .office import Office
from .query import chosen_account
from .refused import Refused
from .usage import refused

NEVER_STORED = [("cache-control", "no-store")]


def add_routes(router: Router, office: Office, tokens: TokenSource, *, shown: bool) -> None:
    async def token(exchange: Exchange) -> None:
        if not shown:
            raise Refused(
                403,
                "this server shows no tokens: whoever has one can use the subscription until it ends",
                "Start it with --show-token if that is what you want.",
            )
        account = chosen_account(office, exchange)
        if account.record.direct:
            raise Refused(409, f"{account.label} has no Copilot token: its GitHub token is used itself, and not shown")
        try:
            found = await tokens.token(account)
        except ProxyError as error:
            raise refused(error, f"no token could be had for {account.label}") from None
        await exchange.respond(200, msgspec.json.encode({"token": found.value}), headers=NEVER_STORED)

    router.add("GET", "/token", token, scope="admin")
