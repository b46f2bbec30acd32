"""``GET /metrics`` for Prometheus, and ``/api/metrics/*`` from the usage store (systems.md §1.11)."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

import msgspec
import trio

from copilot_trio.accounts.registry import Accounts
from copilot_trio.models.queue import ModelQueues
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.usage.journal import Journal
from copilot_trio.usage.ledger import Ledger
from copilot_trio.usage.metrics import CONTENT_TYPE, render
from copilot_trio.usage.report import Filters, Summary, read_filters
from copilot_trio.usage.tables import UsageUnavailable

from .query import query_of
from .refused import Refused, values_checked

T = TypeVar("T")
FRESH = 2.0  # seconds that a summary is good for: it may read a hundred thousand rows
MAX_KEPT = 32


class Summaries:
    """The newest summary for each question. Who asks the same while one is made gets that one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._kept: dict[Filters, tuple[float, Summary]] = {}  # by age, the oldest first
        self._making = trio.Lock()

    async def get(self, filters: Filters) -> Summary:
        """Raises ``UsageUnavailable``."""
        async with self._making:
            found = self._kept.pop(filters, None)
            if found is None or trio.current_time() >= found[0] + FRESH:
                found = (trio.current_time(), await self._ledger.summary(filters))
            self._kept[filters] = found
            while len(self._kept) > MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            return found[1]


def add_routes(
    router: Router, accounts: Accounts, queues: ModelQueues, journal: Journal, ledger: Ledger | None
) -> None:
    began = trio.current_time()

    async def prometheus(exchange: Exchange) -> None:
        lost = 0 if ledger is None else ledger.lost
        uptime = trio.current_time() - began
        text = render(journal, accounts.accounts, queues.snapshot(), uptime=uptime, unrecorded=lost)
        await exchange.respond(200, text, CONTENT_TYPE)

    router.add("GET", "/metrics", prometheus, scope="admin")
    if ledger is not None:
        _add_stored(router, ledger)


def _add_stored(router: Router, ledger: Ledger) -> None:
    summaries = Summaries(ledger)

    async def summary(exchange: Exchange) -> None:
        filters = _filters(exchange)
        await _answer(exchange, summary=await _read(summaries.get(filters)))

    async def recent(exchange: Exchange) -> None:
        filters = _filters(exchange)
        await _answer(exchange, range=filters.range, events=await _read(ledger.recent(filters)))

    async def storage(exchange: Exchange) -> None:
        await _answer(exchange, storage=await _read(ledger.storage()))

    router.add("GET", "/api/metrics/summary", summary, scope="admin")
    router.add("GET", "/api/metrics/recent", recent, scope="admin")
    router.add("GET", "/api/metrics/storage", storage, scope="admin")


def _filters(exchange: Exchange) -> Filters:
    with values_checked():
        return read_filters(query_of(exchange))


async def _read(answer: Awaitable[T]) -> T:
    try:
        return await answer
    except UsageUnavailable as error:
        raise Refused(503, str(error)) from None


async def _answer(exchange: Exchange, **fields: Any) -> None:
    await exchange.respond(200, msgspec.json.encode({"success": True, **fields}))
