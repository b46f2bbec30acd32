"""What is noted of a request, told on and counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest
import trio

from copilot_trio.turn import Usage
from copilot_trio.usage.journal import COUNTING, KEPT, MAX_MODELS, SECONDS, Journal, Spread, endpoint_of
from copilot_trio.usage.note import RequestNote
from copilot_trio.usage.record import UsageRecord

NOW = 1_790_000_000.0
KINDS = ("input_price", "output_price", "cache_price", "cache_write_price")
BILLING = {"token_prices": {"batch_size": 10, "default": dict.fromkeys(KINDS, 1)}}


class Asked:
    method, path, query, body = "POST", "/v1/messages", "beta=true", b'{"model":"m"}'
    headers: Mapping[str, str] = {"content-type": "application/json", "x-api-key": "k"}


def note(**fields: Any) -> RequestNote:
    made = RequestNote()
    for name, value in {"endpoint": "/v1/messages", "model": "opus", "stream": True, **fields}.items():
        setattr(made, name, value)
    return made


class Kept:
    """A journal, and what it had recorded."""

    def __init__(self, *, inspecting: bool = False) -> None:
        self.records: list[UsageRecord] = []
        self.journal = Journal(self.records.append, lambda: NOW + trio.current_time(), inspecting=inspecting)

    async def carry(self, made: RequestNote, status: int = 200, seconds: float = 2.0) -> None:
        began = trio.current_time()
        self.journal.begun(made, "id-1", Asked())
        await trio.sleep(seconds)
        self.journal.ended(made, status, began)


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/messages", "/v1/messages"),
        ("/messages/", "/v1/messages"),
        ("/copilot/v1/chat/completions", "/v1/chat/completions"),
        ("/v1/messages/count_tokens", COUNTING),
        ("/responses/compact", "/v1/responses/compact"),
        ("/v1/embeddings", "/v1/embeddings"),
        ("/v1/models", ""),
        ("/api/accounts", ""),
        ("/", ""),
        ("", ""),
        ("/v1/v1/messages", ""),
        ("*", ""),
    ],
)
def test_the_endpoint_is_the_same_by_every_way_to_it(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint


async def test_a_request_is_recorded_with_all_that_is_known() -> None:
    kept = Kept()
    made = note(
        upstream_model="claude-opus-4.6", account="work", group="g", initiator="user", usage=Usage(10, 20, 30, 40)
    )
    made.billing = BILLING
    made.first_piece = trio.current_time() + 0.5
    before = round((NOW + trio.current_time()) * 1000)
    await kept.carry(made)
    assert kept.records == [
        UsageRecord(
            time_ms=before,
            endpoint="/v1/messages",
            requested_model="opus",
            upstream_model="claude-opus-4.6",
            account="work",
            group="g",
            stream=True,
            initiator="user",
            input_tokens=10,
            output_tokens=20,
            cache_read_tokens=30,
            cache_write_tokens=40,
            nano_aiu=10_000_000_000,
            status=200,
            error="",
            ttft_ms=500,
            duration_ms=2000,
            request_id="id-1",
        )
    ]


async def test_what_never_got_upstream_has_gaps() -> None:
    kept = Kept()
    await kept.carry(note(error="invalid_request"), 400, 0)
    (record,) = kept.records
    assert (record.status, record.error, record.upstream_model, record.account) == (400, "invalid_request", "", "")
    assert (record.nano_aiu, record.ttft_ms, record.input_tokens) == (None, None, 0)
    (entry,) = kept.journal.recent()
    assert (entry["inputTokens"], entry["credits"], entry["accountLabel"]) == (None, None, None)


async def test_a_client_that_left_is_an_error_of_its_own() -> None:
    kept = Kept()
    await kept.carry(note(), 499)
    await kept.carry(note(error="upstream"), 499)
    assert [record.error for record in kept.records] == ["client_left", "upstream"]


async def test_what_asks_no_model_is_none_of_its_business() -> None:
    kept = Kept()
    await kept.carry(note(endpoint=""))
    assert (kept.records, kept.journal.recent(), kept.journal.ended_by_status) == ([], [], {})


async def test_counting_is_listed_but_not_stored() -> None:
    kept = Kept()
    await kept.carry(note(endpoint=COUNTING))
    assert kept.records == []
    assert [entry["endpoint"] for entry in kept.journal.recent()] == [COUNTING]


async def test_the_newest_are_listed_first_and_the_oldest_go() -> None:
    kept = Kept()
    for number in range(KEPT + 2):
        await kept.carry(note(model=f"m{number}"), seconds=0)
    models = [entry["model"] for entry in kept.journal.recent()]
    assert (len(models), models[0], models[-1]) == (KEPT, f"m{KEPT + 1}", "m2")
    kept.journal.forget()
    assert kept.journal.recent() == []


async def test_an_entry_has_the_shape_that_pages_know() -> None:
    kept = Kept()
    await kept.carry(note(usage=Usage(1, 2, nano_aiu=500_000_000)))
    (entry,) = kept.journal.recent()
    assert entry["timestamp"].startswith("2026-09-21T14:13:2")
    assert {
        name: entry[name]
        for name in ("id", "method", "path", "query", "status", "durationMs", "model", "stream", "contentType")
    } == {
        "id": "id-1", "method": "POST", "path": "/v1/messages", "query": "beta=true", "status": 200,
        "durationMs": 2000, "model": "opus", "stream": True, "contentType": "application/json",
    }  # fmt: skip
    assert (entry["requestBytes"], entry["bodyPreview"], entry["headers"]) == (13, None, None)
    assert (entry["credits"], entry["outputTokens"]) == (0.5, 2)


async def test_inspection_keeps_headers_and_bodies_and_tells_nobody_who_watches() -> None:
    kept = Kept(inspecting=True)
    with kept.journal.events.follow() as follower:
        await kept.carry(note())
        (entry,) = kept.journal.recent()
        assert entry["bodyPreview"] == '{"model":"m"}'
        assert entry["headers"] == {"content-type": "application/json", "x-api-key": "[redacted]"}
        events, _ = await follower.next()
    assert b"bodyPreview" not in b"".join(events)
    kept.journal.inspect(on=False)
    await kept.carry(note())
    assert [entry["bodyPreview"] for entry in kept.journal.recent()] == [None, None]
    assert [entry["headers"] for entry in kept.journal.recent()] == [None, None]


async def test_who_follows_is_told_of_both_ends() -> None:
    kept = Kept()
    made = note()
    with kept.journal.events.follow() as follower:
        kept.journal.begun(made, "id-1", Asked())
        assert [entry["id"] for entry in kept.journal.under_way()] == ["id-1"]
        assert kept.journal.running == 1
        kept.journal.ended(made, 200, trio.current_time())
        assert kept.journal.under_way() == []
        events, missed = await follower.next()
    told = [msgspec.json.decode(each) for each in events]
    assert (missed, [each["type"] for each in told]) == (0, ["request_begun", "request_ended"])
    assert told[0]["at"] == pytest.approx((NOW + trio.current_time()) * 1000, abs=1000)
    assert (told[1]["request"]["id"], told[1]["request"]["status"]) == ("id-1", 200)


async def test_the_sums() -> None:
    kept = Kept()
    await kept.carry(note(upstream_model="m", usage=Usage(1, 2, 3, 4, nano_aiu=5)), seconds=0.3)
    await kept.carry(note(upstream_model="m", usage=Usage(10, 20)), seconds=700)
    await kept.carry(note(upstream_model="m"), 502, 0)
    journal = kept.journal
    assert journal.ended_by_status == {("/v1/messages", 200): 2, ("/v1/messages", 502): 1}
    assert msgspec.to_builtins(journal.spent) == {
        "m": {"requests": 2, "input": 11, "output": 22, "cache_read": 3, "cache_write": 4, "nano_aiu": 5}
    }
    spread = journal.durations["/v1/messages"]
    assert (spread.counts[SECONDS.index(0.5)], spread.counts[-1], sum(spread.counts)) == (1, 1, 3)
    assert spread.sum == pytest.approx(700.3)
    assert journal.first_pieces == {}


async def test_models_beyond_many_are_counted_together() -> None:
    kept = Kept()
    for number in range(MAX_MODELS + 5):
        await kept.carry(note(upstream_model=f"m{number}", usage=Usage(1)), seconds=0)
    assert len(kept.journal.spent) == MAX_MODELS + 1
    assert kept.journal.spent["other"].input == 5


def test_a_bound_of_a_spread_is_within_it() -> None:
    spread = Spread()
    spread.add(0.1)
    spread.add(0.1001)
    assert spread.counts[:2] == [1, 1]
