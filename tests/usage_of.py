"""Records of requests for tests of the usage store."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.usage.record import UsageRecord
from copilot_trio.usage.store import open_store

NOW = 1_790_000_000.0  # 2026-09-21T14:13:20Z
HOUR = 3600.0

PLAIN = UsageRecord(
    time_ms=int(NOW * 1000),
    endpoint="/v1/messages",
    requested_model="claude-opus-4-6",
    upstream_model="claude-opus-4.6",
    account="work",
    group="individual",
    stream=True,
    initiator="user",
    input_tokens=10,
    output_tokens=7,
    cache_read_tokens=3,
    cache_write_tokens=2,
    nano_aiu=1_500_000_000,
    status=200,
    ttft_ms=400,
    duration_ms=1250,
    request_id="7d0c2f0a-3c7e-4a52-9f0e-000000000001",
)


def record(*, at: float = NOW, **changes: Any) -> UsageRecord:
    """``at``: Unix seconds."""
    return msgspec.structs.replace(PLAIN, time_ms=int(at * 1000), **changes)


def fill(path: Path, records: Sequence[UsageRecord], *, max_bytes: int = 1 << 26) -> None:
    with closing(open_store(path, max_bytes, lambda: NOW)) as store:
        store.write(records)


def answer(path: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


def damage(path: Path) -> None:
    """All pages but the first: it opens, and fails where it is read."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * (size - 4096))
