"""All that only looks on: usage, quota, counts, logs, live events (product.md §2.2, §2.3)."""

from __future__ import annotations

from copilot_trio.github.token import TokenSource
from copilot_trio.logs import LogRing
from copilot_trio.models.queue import ModelQueues
from copilot_trio.server.router import Router
from copilot_trio.usage.journal import Journal
from copilot_trio.usage.ledger import Ledger

from . import live, logs, metrics, quota, requests, stats, token, usage
from .office import Office


def add_routes(
    router: Router,
    office: Office,
    queues: ModelQueues,
    journal: Journal,
    ledger: Ledger | None,
    ring: LogRing,
    tokens: TokenSource,
    *,
    show_token: bool,
) -> None:
    usage.add_routes(router, office)
    token.add_routes(router, office, tokens, shown=show_token)
    quota.add_routes(router, office)
    stats.add_routes(router, office.accounts, queues)
    requests.add_routes(router, journal)
    metrics.add_routes(router, office.accounts, queues, journal, ledger)
    logs.add_routes(router, ring)
    live.add_routes(router, office, queues, journal)
