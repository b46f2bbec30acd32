"""POST chat/completions and messages: one handler, one dialect each."""

from __future__ import annotations

from copilot_trio.dialects.dialect import DIALECTS, Dialect
from copilot_trio.errors import UpgradeRequired
from copilot_trio.relay import Relay
from copilot_trio.server.exchange import Exchange, Handler
from copilot_trio.server.router import Router

PATHS = {"chat": "/chat/completions", "messages": "/messages"}


def add_routes(router: Router, relay: Relay) -> None:
    for dialect in DIALECTS:
        router.add_model_route("POST", PATHS[dialect.name], _handler(relay, dialect))
    router.add_model_route("GET", "/responses", _no_websocket)


def _handler(relay: Relay, dialect: Dialect) -> Handler:
    async def generate(exchange: Exchange) -> None:
        await relay.generate(exchange, dialect)

    return generate


async def _no_websocket(_: Exchange) -> None:
    raise UpgradeRequired("Responses over WebSocket is not served", remedy="Use POST /v1/chat/completions.")
