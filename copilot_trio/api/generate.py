"""POST chat/completions, messages and responses: one handler, one dialect each."""

from __future__ import annotations

from copilot_trio.dialects.dialect import DIALECTS, Dialect
from copilot_trio.relay import Relay
from copilot_trio.server.exchange import Exchange, Handler
from copilot_trio.server.router import Router

PATHS = {"chat": "/chat/completions", "messages": "/messages", "responses": "/responses"}


def add_routes(router: Router, relay: Relay) -> None:
    for dialect in DIALECTS:
        router.add_model_route("POST", PATHS[dialect.name], _handler(relay, dialect))


def _handler(relay: Relay, dialect: Dialect) -> Handler:
    async def generate(exchange: Exchange) -> None:
        await relay.generate(exchange, dialect)

    return generate
