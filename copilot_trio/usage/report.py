"""What can be asked of the usage store, and the answers, named as in systems.md §1.11."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

RANGES: dict[str, int | None] = {"24h": 24, "7d": 7 * 24, "30d": 30 * 24, "all": None}  # hours
STATUSES: dict[str, tuple[int, int]] = {"success": (200, 399), "error": (400, 999)}


class Filters(msgspec.Struct, frozen=True):
    """``model`` is upstream's, ``account`` a label; empty for all. ``statuses``: from, to."""

    range: str = "24h"
    model: str = ""
    account: str = ""
    statuses: tuple[int, int] | None = None
    limit: int = 50


def read_filters(query: Mapping[str, str]) -> Filters:
    """From a query string's fields. An unknown range means 24h, a limit is clamped; ``ValueError`` for a status."""
    status = query.get("status", "")
    statuses = STATUSES.get(status)
    if status and statuses is None:
        if not _is_number(status):
            raise ValueError("status must be success, error or a number")
        statuses = (int(status), int(status))
    limit = query.get("limit", "")
    return Filters(
        range=query["range"] if query.get("range") in RANGES else "24h",
        model=query.get("model", ""),
        account=query.get("account", ""),
        statuses=statuses,
        limit=min(max(int(limit), 1), 100) if _is_number(limit) else 50,
    )


class Totals(msgspec.Struct, frozen=True, rename="camel"):
    """``unpriced_count``: requests that used tokens whose price is not known; their ``credits`` are missing."""

    request_count: int = 0
    success_count: int = 0
    error_count: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_input_tokens: int = 0
    cache_write_input_tokens: int = 0
    total_tokens: int = 0
    credits: float = 0.0
    unpriced_count: int = 0
    average_duration_ms: int = 0
    average_ttft_ms: int | None = None


class OfModel(msgspec.Struct, frozen=True, rename="camel"):
    model: str
    request_count: int
    total_tokens: int
    input_tokens: int
    output_tokens: int
    credits: float


class OfAccount(msgspec.Struct, frozen=True, rename="camel"):
    account_label: str
    request_count: int
    total_tokens: int
    credits: float


class Bucket(msgspec.Struct, frozen=True, rename="camel"):
    bucket: str
    request_count: int
    total_tokens: int
    credits: float


class Summary(msgspec.Struct, frozen=True, rename="camel"):
    range: str
    totals: Totals
    by_model: list[OfModel]
    by_account: list[OfAccount]
    timeline: list[Bucket]


class Event(msgspec.Struct, frozen=True, rename="camel"):
    id: int
    started_at: str
    completed_at: str
    endpoint: str
    requested_model: str
    upstream_model: str
    account_label: str
    group: str
    stream: bool
    initiator: str
    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int
    cache_write_input_tokens: int
    total_tokens: int
    credits: float | None
    status: int
    error_type: str | None
    ttft_ms: int | None
    duration_ms: int
    request_id: str


class Storage(msgspec.Struct, frozen=True, rename="camel"):
    """``size_bytes`` with what SQLite has beside the file. A compaction drops the oldest rows.

    ``lost``: requests that this run could not record; ``last_compaction_error``: why it cannot write, while it cannot.
    """

    db_path: str
    size_bytes: int
    max_bytes: int
    over_limit: bool
    rows: int
    oldest_at: str | None
    last_compaction_attempt_at: str | None
    last_compaction_before_bytes: int | None
    last_compaction_after_bytes: int | None
    last_compaction_error: str | None = None
    lost: int = 0


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 10
