"""``/api/metrics``, and the way of a request into the usage store."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from monitoring_of import error, told
from world import World, chat, messages

from copilot_trio.admin.metrics import FRESH, MAX_KEPT, Summaries
from copilot_trio.twin import Fault
from copilot_trio.usage.ledger import Ledger
from copilot_trio.usage.record import UsageRecord
from copilot_trio.usage.report import Filters

WRITTEN = 1.0  # seconds, and more than it takes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite3"


async def test_a_request_is_in_the_summary(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, usage_file=path)
    await world.ask("/v1/messages", messages("hi", model="claude-sonnet-4-5", stream=True))
    await world.ask("/v1/messages/count_tokens", messages("hi"))
    await trio.sleep(WRITTEN)
    answer = await told(world, "/api/metrics/summary?range=7d&status=success")
    assert (answer["success"], answer["summary"]["range"]) == (True, "7d")
    totals = answer["summary"]["totals"]
    assert (totals["requestCount"], totals["successCount"], totals["errorCount"]) == (1, 1, 0)
    assert totals["credits"] > 0
    assert totals["averageTtftMs"] is not None
    assert [each["model"] for each in answer["summary"]["byModel"]] == ["claude-sonnet-4.5"]
    assert [each["accountLabel"] for each in answer["summary"]["byAccount"]] == ["work"]


async def test_the_newest_are_listed(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, usage_file=path)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body="slow", headers={"retry-after": "600"}))
    answers = [await world.ask("/v1/chat/completions", chat("hi")) for _ in range(2)]
    await trio.sleep(WRITTEN)
    answer = await told(world, "/api/metrics/recent?limit=1")
    assert (answer["success"], answer["range"], len(answer["events"])) == (True, "24h", 1)
    event = answer["events"][0]
    assert event["requestId"] == answers[1].headers["x-request-id"]
    assert (event["endpoint"], event["status"], event["initiator"]) == ("/v1/chat/completions", 429, "user")
    first = (await told(world, "/api/metrics/recent?status=429"))["events"][1]
    assert (first["upstreamModel"], first["accountLabel"], first["group"]) == (
        "gpt-4.1",
        "work",
        "github.com/individual",
    )
    assert first["errorType"]


async def test_the_size_of_the_store(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, usage_file=path)
    await world.ask("/v1/chat/completions", chat("hi"))
    await trio.sleep(WRITTEN)
    storage = (await told(world, "/api/metrics/storage"))["storage"]
    assert (storage["dbPath"], storage["rows"], storage["overLimit"], storage["lost"]) == (str(path), 1, False, 0)


async def test_bad_questions(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, usage_file=path)
    await trio.sleep(WRITTEN)
    assert "status" in await error(world, "/api/metrics/recent?status=odd", 400)
    assert (await told(world, "/api/metrics/summary?range=century&model=%00%ff"))["summary"]["range"] == "24h"


async def test_a_store_that_is_none_is_left_alone(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, usage_file=tmp_path)  # a directory
    await world.ask("/v1/chat/completions", chat("hi"))
    await trio.sleep(WRITTEN)
    for name in ("summary", "recent", "storage"):
        await error(world, f"/api/metrics/{name}", 503)
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_without_a_store_there_is_nothing_to_ask(nursery: trio.Nursery) -> None:
    await error(World(nursery), "/api/metrics/summary", 404)


async def test_a_summary_is_made_once_in_a_while(nursery: trio.Nursery, path: Path) -> None:
    ledger = Ledger(path, lambda: 1_790_000_000.0)
    await nursery.start(ledger.run)
    summaries = Summaries(ledger)
    asked = Filters(range="all")
    assert (await summaries.get(asked)).totals.request_count == 0
    ledger.put(UsageRecord(1_790_000_000_000, "/v1/messages", status=200))
    await trio.sleep(FRESH / 2)
    assert (await summaries.get(asked)).totals.request_count == 0
    assert (await summaries.get(Filters(range="7d"))).totals.request_count == 1
    await trio.sleep(FRESH / 2)
    assert (await summaries.get(asked)).totals.request_count == 1


async def test_only_so_many_summaries_are_kept(nursery: trio.Nursery, path: Path) -> None:
    summaries = Summaries(Ledger(path, lambda: 1_790_000_000.0))
    for number in range(MAX_KEPT + 5):
        await summaries.get(Filters(model=f"m{number}"))
    assert len(summaries._kept) == MAX_KEPT
