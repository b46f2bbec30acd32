"""``python -m bench.usage``: a month of requests written into a usage store, and what is asked of it then.

The load is made up, but of the real shape: 720 hours, 6 models, 3 accounts, one request of 20 refused. The store is a
temporary one; everything is written as the server writes it, in batches of 500.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import trio

from copilot_trio.usage import queries
from copilot_trio.usage.files import size_of
from copilot_trio.usage.ledger import BATCH, Ledger
from copilot_trio.usage.record import UsageRecord
from copilot_trio.usage.report import RANGES, Filters
from copilot_trio.usage.store import open_store
from copilot_trio.usage.tables import reading

MIB = 1024 * 1024
NOW = 1_790_000_000.0
MONTH = 30 * 24 * 3600
MODELS = ("claude-opus-4.6", "claude-sonnet-4.5", "gpt-5.3-codex", "gpt-5-mini", "gpt-4.1", "gemini-3-pro")
ACCOUNTS = ("work", "home", "spare")
ENDPOINTS = ("/v1/messages", "/v1/responses", "/v1/chat/completions")
STATUSES = (200,) * 95 + (429, 429, 400, 499, 502)


def made_up(rows: int) -> Iterator[UsageRecord]:
    dice = random.Random(5)
    for number in range(rows):
        model, status = dice.choice(MODELS), dice.choice(STATUSES)
        good = status == 200
        yield UsageRecord(
            time_ms=int((NOW - MONTH + MONTH * number / rows) * 1000),
            endpoint=dice.choice(ENDPOINTS),
            requested_model=model.replace(".", "-"),
            upstream_model=model,
            account=dice.choice(ACCOUNTS),
            group="github.com individual",
            stream=True,
            initiator=dice.choice(("user", "agent")),
            input_tokens=dice.randrange(8000) if good else 0,
            output_tokens=dice.randrange(2000) if good else 0,
            cache_read_tokens=dice.randrange(150_000) if good else 0,
            cache_write_tokens=dice.randrange(9000) if good else 0,
            nano_aiu=dice.randrange(8_000_000_000) if good else None,
            status=status,
            error="" if good else "rate_limited",
            ttft_ms=dice.randrange(300, 9000) if good else None,
            duration_ms=dice.randrange(400, 90_000),
            request_id=str(uuid.UUID(int=dice.getrandbits(128), version=4)),
        )


def write(path: Path, rows: int, cap: int) -> tuple[float, float, int]:
    """Seconds in all, seconds of the slowest batch, and the most bytes on disk after any batch."""
    store = open_store(path, cap, lambda: NOW)
    spent = slowest = 0.0
    largest = 0
    with contextlib.closing(store):
        batch = []
        for number, record in enumerate(made_up(rows), 1):
            batch.append(record)
            if len(batch) == BATCH or number == rows:
                began = time.perf_counter()
                store.write(batch)
                took = time.perf_counter() - began
                spent, slowest = spent + took, max(slowest, took)
                largest = max(largest, size_of(path))
                batch = []
    return spent, slowest, largest


def median_ms(run: Callable[[], object], times: int = 7) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        run()
        taken.append(time.perf_counter() - began)
    return sorted(taken)[times // 2] * 1000


def asked(path: Path) -> Iterator[tuple[str, float]]:
    """Each as a request of the admin API does it: a new connection, the query, closed."""

    def ask(query: Callable[..., object], filters: Filters) -> None:
        with reading(path) as connection:
            query(connection, filters, NOW)

    for name in RANGES:
        yield f"summary {name}", median_ms(partial(ask, queries.summary, Filters(range=name)))
    one = Filters(range="all", model=MODELS[0], account=ACCOUNTS[0], statuses=(200, 399))
    yield "summary all, one model, one account", median_ms(partial(ask, queries.summary, one))
    yield "recent", median_ms(partial(ask, queries.recent, Filters()))
    none = Filters(range="all", statuses=(418, 418))
    yield "recent, a status that no row has", median_ms(partial(ask, queries.recent, none))


def start_up_ms(path: Path, cap: int) -> float:
    """From ``Ledger.run`` to ready."""

    async def start() -> None:
        async with trio.open_nursery() as nursery:
            began = time.perf_counter()
            await nursery.start(Ledger(path, lambda: NOW, max_bytes=cap).run)
            taken.append(time.perf_counter() - began)
            nursery.cancel_scope.cancel("measured")

    taken: list[float] = []
    for _ in range(7):
        trio.run(start)
    return sorted(taken)[3] * 1000


def put_us(path: Path) -> float:
    """What a request pays on the event loop."""
    records = list(made_up(5000))

    async def put() -> float:
        ledger = Ledger(path, lambda: NOW)
        began = time.perf_counter()
        for record in records:
            ledger.put(record)
        return (time.perf_counter() - began) / len(records) * 1e6

    return trio.run(put)


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.usage", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--cap", type=float, default=64, metavar="MIB", help="of the file (64)")
    arguments = parser.parse_args(words)
    cap = int(arguments.cap * MIB)
    with tempfile.TemporaryDirectory(prefix="bench-usage-") as directory:
        path = Path(directory) / "usage.sqlite3"
        spent, slowest, largest = write(path, arguments.rows, cap)
        with reading(path) as connection:
            stored = queries.storage(connection, path, cap)
            counted = queries.summary(connection, Filters(range="all"), NOW).totals.request_count
            (hours,) = connection.execute("SELECT count(*) FROM hours").fetchone()
        each = spent / arguments.rows
        print(f"written: {arguments.rows} rows, {1 / each:.0f} a second, {each * 1e6:.1f} µs each")
        print(f"slowest batch of {BATCH}: {slowest * 1000:.1f} ms")
        sizes = f"largest ever, log included: {largest / MIB:.1f} MiB; now: {stored.size_bytes / MIB:.1f} MiB"
        print(f"cap: {cap / MIB:.1f} MiB; {sizes}")
        print(f"kept: {stored.rows} rows; counted in the summary: {counted}; sums by the hour: {hours}")
        for name, milliseconds in asked(path):
            print(f"{name}: {milliseconds:.2f} ms")
        print(f"start-up with this file: {start_up_ms(path, cap):.2f} ms")
        print(f"put: {put_us(path):.2f} µs on the event loop")
    return 0


if __name__ == "__main__":
    sys.exit(main())
