"""``/api/stats``: accounts and the queues of models (peers.md §1.2)."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from copilot_trio.accounts.registry import Accounts
from copilot_trio.models.queue import ModelQueues, QueueState
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router


def add_routes(router: Router, accounts: Accounts, queues: ModelQueues) -> None:
    began = trio.current_time()
    before: dict[str, int] = {}  # by model, the requests that are not counted any more

    async def stats(exchange: Exchange) -> None:
        value = {
            "accounts": counted(accounts),
            "models": shown_queues(queues.snapshot(), before),
            "uptime": round(trio.current_time() - began, 3),
        }
        await exchange.respond(200, msgspec.json.encode(value))

    async def reset(exchange: Exchange) -> None:
        before.clear()
        before.update({model: state.total for model, state in queues.snapshot().items()})
        await exchange.respond(200, msgspec.json.encode({"success": True}))

    router.add("GET", "/api/stats", stats, scope="admin")
    router.add("DELETE", "/api/stats", reset, scope="admin")


def counted(accounts: Accounts) -> dict[str, int]:
    active = sum(account.status == "active" for account in accounts.accounts)
    return {"total": len(accounts.accounts), "active": active}


def shown_queues(queues: dict[str, QueueState], before: dict[str, int]) -> dict[str, dict[str, Any]]:
    return {
        model: {
            "active": state.active,
            "queued": state.queued,
            "maxConcurrency": state.limit,
            "totalRequests": max(0, state.total - before.get(model, 0)),
        }
        for model, state in queues.items()
    }
