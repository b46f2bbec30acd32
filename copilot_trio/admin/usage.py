"""``GET /usage``: what GitHub says of an account's plan and quota, word for word (product.md §2.2)."""

from __future__ import annotations

from contextlib import suppress

from copilot_trio.accounts.quota_user import QuotaUnreadable, parse_user
from copilot_trio.errors import AccountPaused, AccountRejected, ProxyError
from copilot_trio.github.quota import fetch_user_payload
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .office import Office
from .query import chosen_account
from .refused import Refused


def add_routes(router: Router, office: Office) -> None:
    async def usage(exchange: Exchange) -> None:
        account = chosen_account(office, exchange)
        try:
            body = await fetch_user_payload(account, office.identity, office.accounts.judge, office.now)
        except ProxyError as error:
            raise refused(error, f"GitHub does not tell the usage of {account.label}") from None
        with suppress(QuotaUnreadable):  # of use to us too
            office.accounts.told(account, parse_user(body, office.now()))
        await exchange.respond(200, body)

    router.add("GET", "/usage", usage, scope="admin")


def refused(error: ProxyError, what: str) -> Refused:
    """What GitHub's refusal of one of our own questions is to whoever asked us."""
    if isinstance(error, AccountPaused):
        return Refused(403, error.cause, error.remedy)
    status = 409 if isinstance(error, AccountRejected) else error.status if error.status in {429, 504} else 502
    return Refused(status, f"{what}: {error.cause}", error.remedy, retry_after=error.retry_after)
