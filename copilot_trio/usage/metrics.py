"""``GET /metrics``: the counters that there are anyway, as Prometheus reads them. Nothing is counted for this alone.

The text format, version 0.0.4. Seconds, bytes and ratios are base units, as Prometheus wants them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import get_args

from copilot_trio import __version__
from copilot_trio.accounts.account import Account
from copilot_trio.accounts.outcome import Status
from copilot_trio.accounts.quota import Quota
from copilot_trio.models.queue import QueueState

from .journal import SECONDS, Journal, Spread
from .price import NANO

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "copilot_trio_"

Labels = Mapping[str, str]
Sample = tuple[Labels, float]


class Page:
    """What has been written so far. A metric without samples is left out."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def gauge(self, name: str, what: str, samples: Iterable[Sample]) -> None:
        self._metric(name, "gauge", what, [(name, labels, value) for labels, value in samples])

    def counter(self, name: str, what: str, samples: Iterable[Sample]) -> None:
        self._metric(name, "counter", what, [(name, labels, value) for labels, value in samples])

    def histogram(self, name: str, what: str, spreads: Iterable[tuple[Labels, Spread]]) -> None:
        samples: list[tuple[str, Labels, float]] = []
        for labels, spread in spreads:
            total = 0
            for most, count in zip((*map(str, SECONDS), "+Inf"), spread.counts, strict=True):
                total += count
                samples.append((f"{name}_bucket", {**labels, "le": most}, total))
            samples += [(f"{name}_sum", labels, spread.sum), (f"{name}_count", labels, total)]
        self._metric(name, "histogram", what, samples)

    def text(self) -> bytes:
        return "".join(f"{line}\n" for line in self._lines).encode("utf-8", "replace")

    def _metric(self, name: str, kind: str, what: str, samples: list[tuple[str, Labels, float]]) -> None:
        if samples:
            self._lines += [f"# HELP {name} {what}", f"# TYPE {name} {kind}"]
            self._lines += [f"{sample}{_shown(labels)} {value!r}" for sample, labels, value in samples]


def _shown(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items()) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def render(
    journal: Journal, accounts: Iterable[Account], queues: Mapping[str, QueueState], *, uptime: float, unrecorded: int
) -> bytes:
    """``unrecorded``: requests that did not get into the usage store."""
    page = Page()
    page.gauge(f"{PREFIX}info", "This program.", [({"version": __version__}, 1)])
    page.gauge(f"{PREFIX}uptime_seconds", "Since it was started.", [({}, round(uptime, 3))])
    _requests(page, journal, unrecorded)
    _models(page, journal, queues)
    _accounts(page, list(accounts))
    _process(page)
    return page.text()


def _requests(page: Page, journal: Journal, unrecorded: int) -> None:
    page.counter(
        f"{PREFIX}requests_total",
        "Model requests that have ended; 499 is a client that left.",
        (
            ({"endpoint": endpoint, "status": str(status)}, count)
            for (endpoint, status), count in sorted(journal.ended_by_status.items())
        ),
    )
    page.gauge(f"{PREFIX}requests_under_way", "Model requests at this moment.", [({}, journal.running)])
    for name, what, spreads in (
        ("request_duration_seconds", "From a whole request to the end of its answer.", journal.durations),
        ("first_piece_seconds", "From a whole request to the first piece of a streamed answer.", journal.first_pieces),
    ):
        page.histogram(
            PREFIX + name, what, (({"endpoint": endpoint}, spread) for endpoint, spread in sorted(spreads.items()))
        )
    page.counter(f"{PREFIX}usage_records_lost_total", "Requests that are not in usage.sqlite3.", [({}, unrecorded)])


def _models(page: Page, journal: Journal, queues: Mapping[str, QueueState]) -> None:
    page.counter(
        f"{PREFIX}tokens_total",
        "Tokens by upstream's count; input excludes what was read from or written to the cache.",
        (
            ({"model": model, "kind": kind}, getattr(spent, kind))
            for model, spent in sorted(journal.spent.items())
            for kind in ("input", "output", "cache_read", "cache_write")
        ),
    )
    page.counter(
        f"{PREFIX}credits_total",
        "AI credits, as far as their price is known.",
        (({"model": model}, spent.nano_aiu / NANO) for model, spent in sorted(journal.spent.items())),
    )
    for name, what in (
        ("active", "Requests that have one of the model's places."),
        ("queued", "Requests that wait for one."),
        ("limit", "Its places."),
    ):
        page.gauge(
            f"{PREFIX}model_{name}",
            what,
            (({"model": model}, getattr(state, name)) for model, state in sorted(queues.items())),
        )
    page.counter(
        f"{PREFIX}model_requests_total",
        "Requests that got one.",
        (({"model": model}, state.total) for model, state in sorted(queues.items())),
    )


def _accounts(page: Page, accounts: list[Account]) -> None:
    named: list[tuple[Labels, Account]] = [
        ({"id": account.id, "account": account.label}, account) for account in accounts
    ]
    page.gauge(
        f"{PREFIX}account_status",
        "1 for the status that the account has.",
        (
            ({**labels, "status": status}, int(account.status == status))
            for labels, account in named
            for status in get_args(Status)
        ),
    )
    page.gauge(
        f"{PREFIX}account_in_flight",
        "Requests on the account at this moment.",
        ((labels, account.in_flight) for labels, account in named),
    )
    page.gauge(
        f"{PREFIX}account_cooldown_seconds",
        "Until what rests longest on the account, or on one of its models, ends.",
        (
            (labels, round(max((seconds for _, seconds, _, _ in account.cooldowns()), default=0.0), 3))
            for labels, account in named
        ),
    )
    windows = [
        ({**labels, "window": window.name}, window)
        for labels, account in named
        for window in {window.name: window for window in (account.quota or Quota()).windows}.values()
    ]
    page.gauge(
        f"{PREFIX}quota_remaining_ratio",
        "What is left of a quota; negative beyond it.",
        (
            (labels, window.percent_remaining / 100)
            for labels, window in windows
            if window.percent_remaining is not None
        ),
    )
    page.gauge(
        f"{PREFIX}quota_remaining",
        "The same in premium requests or credits, where there is a limit.",
        (
            (labels, window.remaining)
            for labels, window in windows
            if window.remaining is not None and not window.unlimited
        ),
    )


def _process(page: Page) -> None:
    """Under the names that every Prometheus client library uses."""
    page.counter("process_cpu_seconds_total", "User and system time.", [({}, time.process_time())])
    proc = Path("/proc/self")
    try:
        pages = int((proc / "statm").read_text().split()[1])
        open_files = sum(1 for _ in (proc / "fd").iterdir())
    except OSError:
        return
    page.gauge("process_resident_memory_bytes", "Resident memory.", [({}, pages * os.sysconf("SC_PAGE_SIZE"))])
    page.gauge("process_open_fds", "Open file descriptors.", [({}, open_files)])
