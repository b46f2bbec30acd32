"""``GET /api/quota``: windows, credits and pace by account, as last told; GitHub is not asked (product.md §4.8)."""

from __future__ import annotations

import msgspec

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.quota_view import AccountUsage, shown_usages
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .office import Office
from .query import chosen_account, query_of


def add_routes(router: Router, office: Office) -> None:
    async def quota(exchange: Exchange) -> None:
        one = query_of(exchange).get("account")
        accounts = [chosen_account(office, exchange)] if one else office.accounts.accounts
        await exchange.respond(200, msgspec.json.encode(shown_usages(map(_known, accounts), office.now())))

    router.add("GET", "/api/quota", quota, scope="admin")


def _known(account: Account) -> AccountUsage:
    return AccountUsage(
        id=account.id,
        label=account.label,
        login=account.record.login,
        quota=account.quota,
        problem="" if account.ready else account.status_message or account.status,
    )
