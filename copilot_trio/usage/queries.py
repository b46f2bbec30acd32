"""The usage store asked: for a summary, the newest requests, its size. Blocks.

A range begins with a full hour, so that every bucket of a timeline is whole.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .files import size_of
from .report import RANGES, STATUSES, Bucket, Event, Filters, OfAccount, OfModel, Storage, Summary, Totals
from .tables import LAST_MOMENT, storable, unpack_id

LISTED = 12  # models, accounts
BUCKETS = 72  # of a timeline, the newest
NANO = 1_000_000_000
SUMMED = ("requests", "input", "output", "cached", "written", "nano", "unpriced", "duration", "ttft", "timed")

Names = Callable[[int], str]


def summary(connection: sqlite3.Connection, filters: Filters, now: float) -> Summary:
    """``now``: Unix seconds."""
    where, values = _where(filters, now, "hour", 1)

    def grouped(by: str, rest: str) -> list[tuple[int, int, int, int, int]]:
        sums = "sum(requests), sum(input), sum(output), sum(nano)"
        sql = f"SELECT {by}, {sums} FROM hours WHERE {where} GROUP BY 1 {rest}"  # noqa: S608 (our own words)
        return connection.execute(sql, values).fetchall()

    most = f"ORDER BY sum(input) + sum(output) DESC, sum(requests) DESC, 1 LIMIT {LISTED}"
    names = _names(connection)
    return Summary(
        range=filters.range,
        totals=_totals(connection, where, values),
        by_model=[
            OfModel(names(model), requests, given + made, given, made, nano / NANO)
            for model, requests, given, made, nano in grouped("model", most)
        ],
        by_account=[
            OfAccount(names(account), requests, given + made, nano / NANO)
            for account, requests, given, made, nano in grouped("account", most)
        ],
        timeline=[
            Bucket(_bucket(hour), requests, given + made, nano / NANO)
            for hour, requests, given, made, nano in reversed(grouped("hour", f"ORDER BY 1 DESC LIMIT {BUCKETS}"))
        ],
    )


def _totals(connection: sqlite3.Connection, where: str, values: list[int | str]) -> Totals:
    good, bad = (
        f"coalesce(sum(requests) FILTER (WHERE status BETWEEN {least} AND {most}), 0)"
        for least, most in STATUSES.values()
    )
    sums = ", ".join(f"coalesce(sum({column}), 0)" for column in SUMMED)
    row = connection.execute(f"SELECT {good}, {bad}, {sums} FROM hours WHERE {where}", values).fetchone()  # noqa: S608
    succeeded, failed, requests, given, made, cached, written, nano, unpriced, duration, ttft, timed = row
    return Totals(
        request_count=requests,
        success_count=succeeded,
        error_count=failed,
        input_tokens=given,
        output_tokens=made,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=written,
        total_tokens=given + made,
        credits=nano / NANO,
        unpriced_count=unpriced,
        average_duration_ms=round(duration / requests) if requests else 0,
        average_ttft_ms=round(ttft / timed) if timed else None,
    )


def recent(connection: sqlite3.Connection, filters: Filters, now: float) -> list[Event]:
    """The newest first: in the order in which they ended."""
    where, values = _where(filters, now, "time", 3_600_000)
    sql = f"SELECT * FROM requests WHERE {where} ORDER BY id DESC LIMIT ?"  # noqa: S608 (our own words)
    names = _names(connection)
    return [_event(row, names) for row in connection.execute(sql, [*values, filters.limit])]


def _event(row: tuple[Any, ...], names: Names) -> Event:
    (number, time, endpoint, requested, model, account, group, stream, initiator, given, made, cached, written, nano,
     status, error, ttft, duration, request) = row  # fmt: skip
    return Event(
        id=number,
        started_at=_moment(time),
        completed_at=_moment(time + duration),
        endpoint=names(endpoint),
        requested_model=names(requested),
        upstream_model=names(model),
        account_label=names(account),
        group=names(group),
        stream=bool(stream),
        initiator=names(initiator),
        input_tokens=given,
        output_tokens=made,
        cache_read_input_tokens=cached,
        cache_write_input_tokens=written,
        total_tokens=given + made,
        credits=None if nano is None else nano / NANO,
        status=status,
        error_type=names(error) or None,
        ttft_ms=ttft,
        duration_ms=duration,
        request_id=unpack_id(request),
    )


def storage(connection: sqlite3.Connection, path: Path, max_bytes: int) -> Storage:
    # Only the oldest rows ever go, and no id is left out: counting a million of them takes long.
    rows, oldest = connection.execute("SELECT coalesce(max(id) - min(id) + 1, 0), min(id) FROM requests").fetchone()
    since = connection.execute("SELECT time FROM requests WHERE id = ?", (oldest,)).fetchone()
    trim = connection.execute("SELECT time, before, after FROM trims").fetchone() or (None, None, None)
    size = size_of(path)
    return Storage(
        db_path=str(path),
        size_bytes=size,
        max_bytes=max_bytes,
        over_limit=size > max_bytes,
        rows=rows,
        oldest_at=_moment(since[0]) if since else None,
        last_compaction_attempt_at=None if trim[0] is None else _moment(trim[0]),
        last_compaction_before_bytes=trim[1],
        last_compaction_after_bytes=trim[2],
    )


def _where(filters: Filters, now: float, clock: str, unit: int) -> tuple[str, list[int | str]]:
    """``clock``: the column that has the time, ``unit``: how many of it are an hour."""
    conditions, values = ["1"], list[int | str]()
    hours = RANGES[filters.range]
    if hours is not None:
        conditions.append(f"{clock} >= ?")
        values.append((int(now) // 3600 - hours) * unit)
    for column, name in (("model", filters.model), ("account", filters.account)):
        if name:
            conditions.append(f"{column} = (SELECT id FROM names WHERE text = ?)")  # noqa: S608
            values.append(storable(name))
    if filters.statuses is not None:
        conditions.append("status BETWEEN ? AND ?")
        values += filters.statuses
    return " AND ".join(conditions), values


def _names(connection: sqlite3.Connection) -> Names:
    known: dict[int, str] = {}

    def name(number: int) -> str:
        if number not in known:
            found = connection.execute("SELECT text FROM names WHERE id = ?", (number,)).fetchone()
            known[number] = found[0] if found else ""
        return known[number]

    return name


def _bucket(hour: int) -> str:
    return f"{datetime.fromtimestamp(hour * 3600, UTC):%Y-%m-%d %H:00}"


def _moment(time_ms: int) -> str:
    """ISO 8601 in UTC, to the millisecond."""
    moment = datetime.fromtimestamp(min(time_ms, LAST_MOMENT) / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
