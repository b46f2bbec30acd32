"""``/api/requests``: the newest model requests (peers.md §1.2). Headers and bodies only where inspection is on."""

from __future__ import annotations

import msgspec

from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.usage.journal import Journal


def add_routes(router: Router, journal: Journal) -> None:
    async def recent(exchange: Exchange) -> None:
        value = {"inspecting": journal.inspecting, "requests": journal.recent()}
        await exchange.respond(200, msgspec.json.encode(value))

    async def forget(exchange: Exchange) -> None:
        journal.forget()
        await exchange.respond(200, msgspec.json.encode({"success": True}))

    router.add("GET", "/api/requests", recent, scope="admin")
    router.add("DELETE", "/api/requests", forget, scope="admin")
