"""Summary, newest requests and size, as systems.md §1.11 has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from usage_of import HOUR, NOW, answer, fill, record

from copilot_trio.usage import queries
from copilot_trio.usage.record import UsageRecord
from copilot_trio.usage.report import Event, Filters, Storage, Summary, read_filters
from copilot_trio.usage.store import MAX_BYTES
from copilot_trio.usage.tables import reading


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite3"


def summary(path: Path, **query: str) -> Summary:
    with reading(path) as connection:
        return queries.summary(connection, read_filters(query), NOW)


def recent(path: Path, **query: str) -> list[Event]:
    with reading(path) as connection:
        return queries.recent(connection, read_filters(query), NOW)


def storage(path: Path, max_bytes: int = MAX_BYTES) -> Storage:
    with reading(path) as connection:
        return queries.storage(connection, path, max_bytes)


def requests(path: Path, **query: str) -> int:
    counted = summary(path, **query).totals.request_count
    assert counted == len(recent(path, limit="100", **query))
    return counted


def test_the_recorded_fixture(path: Path) -> None:
    fill(path, [
        record(at=NOW - HOUR, upstream_model="gpt-5.5", cache_write_tokens=0),
        record(upstream_model="gpt-5.4", input_tokens=4, output_tokens=5, cache_read_tokens=0, cache_write_tokens=0,
               duration_ms=500),
    ])  # fmt: skip
    found = msgspec.to_builtins(summary(path))
    assert found["range"] == "24h"
    expected = {"requestCount": 2, "successCount": 2, "errorCount": 0, "inputTokens": 14, "outputTokens": 12,
                "cacheReadInputTokens": 3, "totalTokens": 26, "averageDurationMs": 875}  # fmt: skip
    assert expected.items() <= found["totals"].items()
    assert (found["byModel"][0]["model"], found["byModel"][0]["totalTokens"]) == ("gpt-5.5", 17)
    assert found["byAccount"] == [{"accountLabel": "work", "requestCount": 2, "totalTokens": 26, "credits": 3.0}]
    assert [bucket["bucket"] for bucket in found["timeline"]] == ["2026-09-21 13:00", "2026-09-21 14:00"]


def test_a_cap_that_nothing_fits_under_keeps_the_newest_and_says_so(path: Path) -> None:
    fill(path, [record()], max_bytes=1)
    found = storage(path, 1)
    assert (found.over_limit, found.max_bytes, found.rows) == (True, 1, 1)
    assert found.last_compaction_attempt_at == "2026-09-21T14:13:20.000Z"
    assert requests(path) == 1


def test_no_file_and_no_rows_are_nothing(path: Path) -> None:
    for _ in range(2):
        found = summary(path, range="all")
        assert msgspec.to_builtins(found.totals) == {
            "requestCount": 0, "successCount": 0, "errorCount": 0, "inputTokens": 0, "outputTokens": 0,
            "cacheReadInputTokens": 0, "cacheWriteInputTokens": 0, "totalTokens": 0, "credits": 0.0, "unpricedCount": 0,
            "averageDurationMs": 0, "averageTtftMs": None,
        }  # fmt: skip
        assert not any((found.by_model, found.by_account, found.timeline, recent(path)))
        assert (storage(path).rows, storage(path).oldest_at) == (0, None)
        fill(path, [])


def test_credits_first_tokens_and_what_has_no_price(path: Path) -> None:
    fill(path, [
        record(ttft_ms=100),
        record(ttft_ms=301, nano_aiu=250_000_000, upstream_model="gpt-4.1"),
        record(ttft_ms=None, nano_aiu=None),
        record(ttft_ms=None, nano_aiu=None, status=400, input_tokens=0, output_tokens=0, cache_read_tokens=0,
               cache_write_tokens=0),
    ])  # fmt: skip
    found = summary(path)
    assert (found.totals.credits, found.totals.unpriced_count, found.totals.average_ttft_ms) == (1.75, 1, 200)
    assert [(each.model, each.credits) for each in found.by_model] == [("claude-opus-4.6", 1.5), ("gpt-4.1", 0.25)]
    assert [each.credits for each in found.timeline] == [1.75]
    assert [event.credits for event in recent(path)] == [None, None, 0.25, 1.5]


@pytest.mark.parametrize(("query", "count"), [
    ({"range": "24h"}, 3), ({"range": "7d"}, 4), ({"range": "30d"}, 5), ({"range": "all"}, 6), ({"range": "x"}, 3),
    ({"model": "gpt-4.1"}, 1), ({"model": "gpt-4"}, 0), ({"account": "home"}, 1), ({"account": "none"}, 0),
    ({"status": "success"}, 2), ({"status": "error"}, 1), ({"status": "429"}, 1), ({"status": "404"}, 0),
    ({"model": "gpt-4.1", "account": "work", "status": "success"}, 1), ({"model": "gpt-4.1", "account": "home"}, 0),
    ({"model": "' OR 1 --"}, 0), ({"account": "\udc80"}, 0),
])  # fmt: skip
def test_filters(path: Path, query: dict[str, str], count: int) -> None:
    fill(path, [
        record(at=NOW - 400 * 24 * HOUR),
        record(at=NOW - 20 * 24 * HOUR),
        record(at=NOW - 3 * 24 * HOUR),
        record(at=NOW - 23 * HOUR, upstream_model="gpt-4.1"),
        record(account="home"),
        record(status=429, error="rate_limited"),
    ])  # fmt: skip
    assert requests(path, **query) == count


def test_a_range_begins_with_its_full_hour(path: Path) -> None:
    start = NOW // HOUR * HOUR - 24 * HOUR
    fill(path, [record(at=start - 0.001), record(at=start)])
    assert requests(path) == 1


def test_a_timeline_keeps_the_newest_hours_in_order(path: Path) -> None:
    fill(path, [record(at=NOW - hour * HOUR) for hour in range(100)])
    timeline = summary(path, range="7d").timeline
    assert len(timeline) == 72
    assert timeline[-1].bucket == "2026-09-21 14:00"
    assert timeline[0].bucket == "2026-09-18 15:00"
    assert [each.bucket for each in timeline] == sorted(each.bucket for each in timeline)


def test_the_largest_twelve_are_listed(path: Path) -> None:
    fill(path, [record(upstream_model=f"m{n}", account=f"a{n}", input_tokens=n) for n in range(20)])
    found = summary(path)
    assert [each.model for each in found.by_model] == [f"m{n}" for n in range(19, 7, -1)]
    assert [each.account_label for each in found.by_account] == [f"a{n}" for n in range(19, 7, -1)]
    assert found.totals.request_count == 20


def test_an_event_says_all_that_was_recorded(path: Path) -> None:
    fill(path, [record(at=NOW + 0.25, error="cut")])
    assert msgspec.to_builtins(recent(path)) == [{
        "id": 1, "startedAt": "2026-09-21T14:13:20.250Z", "completedAt": "2026-09-21T14:13:21.500Z",
        "endpoint": "/v1/messages", "requestedModel": "claude-opus-4-6", "upstreamModel": "claude-opus-4.6",
        "accountLabel": "work", "group": "individual", "stream": True, "initiator": "user", "inputTokens": 10,
        "outputTokens": 7, "cacheReadInputTokens": 3, "cacheWriteInputTokens": 2, "totalTokens": 17, "credits": 1.5,
        "status": 200, "errorType": "cut", "ttftMs": 400, "durationMs": 1250,
        "requestId": "7d0c2f0a-3c7e-4a52-9f0e-000000000001",
    }]  # fmt: skip


def test_the_newest_come_first_as_many_as_asked_for(path: Path) -> None:
    fill(path, [record(duration_ms=n) for n in range(150)])
    assert [event.duration_ms for event in recent(path, limit="3")] == [149, 148, 147]
    assert len(recent(path)) == 50
    assert len(recent(path, limit="500")) == 100
    assert recent(path)[0].error_type is None


def test_the_sums_are_those_of_the_rows(path: Path) -> None:
    rows = [
        record(at=NOW - n % 5 * HOUR, status=(200, 429)[n % 2], account=("work", "home")[n % 3 % 2],
               nano_aiu=None if n % 7 == 0 else n, ttft_ms=None if n % 4 == 0 else n, input_tokens=n, duration_ms=n)
        for n in range(200)
    ]  # fmt: skip
    for start in range(0, 200, 30):
        fill(path, rows[start : start + 30])
    sums = "count(*), sum(input), sum(output), sum(cached), sum(written), sum(nano), sum(duration), sum(ttft)"
    kept = "sum(requests), sum(input), sum(output), sum(cached), sum(written), sum(nano), sum(duration), sum(ttft)"
    for by in ("1", "model", "account", "status"):
        rows_of = answer(path, f"SELECT {by}, {sums} FROM requests GROUP BY {by} ORDER BY 1")
        assert rows_of == answer(path, f"SELECT {by}, {kept} FROM hours GROUP BY {by} ORDER BY 1")


def test_storage_tells_size_and_age(path: Path) -> None:
    fill(path, [record(at=NOW - 10), record()])
    found = storage(path)
    assert found.db_path == str(path)
    assert found.size_bytes >= path.stat().st_size > 0
    assert (found.over_limit, found.rows, found.oldest_at) == (False, 2, "2026-09-21T14:13:10.000Z")
    assert found.last_compaction_attempt_at is None
    assert (found.lost, found.last_compaction_error) == (0, None)


@pytest.mark.parametrize("odd", [
    {"input_tokens": 1 << 200}, {"output_tokens": -5}, {"nano_aiu": 1 << 200}, {"duration_ms": 1 << 70},
    {"time_ms": 1 << 80}, {"time_ms": -1}, {"status": 10_000}, {"requested_model": "\udc80" * 300},
    {"request_id": "\udc80"}, {"error": "\x00"}, {"upstream_model": "'; DROP TABLE requests; --"},
])  # fmt: skip
def test_no_value_is_too_odd(path: Path, odd: dict[str, Any]) -> None:
    fill(path, [msgspec.structs.replace(record(), **odd) for _ in range(50)])
    with reading(path) as connection:
        everything = Filters(range="all", limit=100)
        assert queries.summary(connection, everything, NOW).totals.request_count == 50
        assert len(queries.recent(connection, everything, NOW)) == 50


def test_a_record_of_nothing(path: Path) -> None:
    fill(path, [UsageRecord(time_ms=int(NOW * 1000), endpoint="/v1/messages")])
    assert [each.model for each in summary(path).by_model] == [""]
    assert recent(path)[0].request_id == ""
