"""POST messages/count_tokens: from what replies have said, and an estimate of the rest; upstream is not asked."""

from __future__ import annotations

import msgspec
import trio

from copilot_trio.accounts.groups import Pin
from copilot_trio.accounts.registry import Accounts
from copilot_trio.dialects.envelope import peek
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import ProxyError
from copilot_trio.server.dispatch import announce
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.tokens.exact import counts_exactly
from copilot_trio.tokens.ledger import TokenLedger
from copilot_trio.tokens.read import read_prompt

QUICK = 256 * 1024  # bytes that are counted on the event loop: some ms


def add_routes(router: Router, accounts: Accounts, ledger: TokenLedger) -> None:
    def count_now(body: bytes, model: str) -> int:
        return ledger.count(read_prompt(body), model)

    async def count(exchange: Exchange) -> None:
        body = without_half_pairs(exchange.request.body)
        asked = peek(body, "messages").model
        exchange.note.model = asked[:100]
        announce(exchange)
        model = _model(accounts, asked, exchange.pin)
        if counts_exactly(model) or len(body) > QUICK:  # the first exact count loads tables for 0.2 s
            counted = await trio.to_thread.run_sync(count_now, body, model)
        else:
            counted = count_now(body, model)
        await exchange.respond(200, msgspec.json.encode({"input_tokens": counted}))

    router.add_model_route("POST", "/messages/count_tokens", count)


def _model(accounts: Accounts, asked: str, pin: Pin) -> str:
    """The model that replies were counted for. One that nobody offers is estimated all the same (product.md §6)."""
    try:
        catalogue = accounts.preferred(pin).catalogue
    except ProxyError:
        return asked
    found = None if catalogue is None else catalogue.known(asked)
    return asked if found is None else found.id
