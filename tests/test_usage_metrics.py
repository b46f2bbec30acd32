"""The page for Prometheus, read by Prometheus' own parser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest
import trio
from accounts_of import an_account
from prometheus_client.parser import text_string_to_metric_families

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.errors import RateLimited
from copilot_trio.models.queue import QueueState
from copilot_trio.turn import Usage
from copilot_trio.usage.journal import SECONDS, Journal
from copilot_trio.usage.metrics import render
from copilot_trio.usage.note import RequestNote

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


class Asked:
    method, path, query, body = "POST", "/v1/messages", "", b"{}"
    headers: Mapping[str, str] = {}


def read(
    journal: Journal | None = None, accounts: Sequence[Account] = (), queues: Mapping[str, QueueState] | None = None
) -> Samples:
    page = render(journal or Journal(), accounts, queues or {}, uptime=12.5, unrecorded=3).decode()
    found: Samples = {}
    for family in text_string_to_metric_families(page):
        assert family.type in {"counter", "gauge", "histogram"}
        assert family.documentation
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "Prometheus refuses a page that says something twice"
            found[key] = sample.value
    return found


def value(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, frozenset(labels.items())]


def carried(status: int = 200, model: str = "m", usage: Usage | None = None, seconds: float = 0.0) -> RequestNote:
    note = RequestNote()
    note.endpoint, note.upstream_model, note.usage = "/v1/messages", model, usage
    return note


async def test_an_idle_server_has_a_page_too() -> None:
    samples = read()
    assert value(samples, "copilot_trio_uptime_seconds") == 12.5
    assert value(samples, "copilot_trio_usage_records_lost_total") == 3
    assert value(samples, "copilot_trio_requests_under_way") == 0
    assert value(samples, "process_cpu_seconds_total") > 0
    assert not any(name.startswith("copilot_trio_requests_total") for name, _ in samples)


async def test_requests_and_what_they_used() -> None:
    journal = Journal()
    for usage, seconds, status in ((Usage(1, 2, 3, 4, nano_aiu=500_000_000), 0.2, 200), (None, 3.0, 502)):
        note = carried(usage=usage)
        began = trio.current_time()
        journal.begun(note, "id", Asked())
        note.first_piece = began + 0.1
        await trio.sleep(seconds)
        journal.ended(note, status, began)
    journal.begun(carried(), "id", Asked())
    samples = read(journal)
    assert value(samples, "copilot_trio_requests_total", endpoint="/v1/messages", status="200") == 1
    assert value(samples, "copilot_trio_requests_total", endpoint="/v1/messages", status="502") == 1
    assert value(samples, "copilot_trio_requests_under_way") == 1
    for kind, count in {"input": 1, "output": 2, "cache_read": 3, "cache_write": 4}.items():
        assert value(samples, "copilot_trio_tokens_total", model="m", kind=kind) == count
    assert value(samples, "copilot_trio_credits_total", model="m") == 0.5
    duration = "copilot_trio_request_duration_seconds"
    counts = [value(samples, f"{duration}_bucket", endpoint="/v1/messages", le=str(most)) for most in SECONDS]
    assert counts == sorted(counts)
    assert (counts[0], counts[1], counts[-1]) == (0, 1, 2)
    assert value(samples, f"{duration}_bucket", endpoint="/v1/messages", le="+Inf") == 2
    assert value(samples, f"{duration}_count", endpoint="/v1/messages") == 2
    assert value(samples, f"{duration}_sum", endpoint="/v1/messages") == pytest.approx(3.2)
    assert value(samples, "copilot_trio_first_piece_seconds_count", endpoint="/v1/messages") == 2


async def test_queues_of_models() -> None:
    samples = read(queues={"gpt-4.1": QueueState(active=2, queued=1, limit=10, total=40)})
    for name, count in {"active": 2, "queued": 1, "limit": 10, "requests_total": 40}.items():
        assert value(samples, f"copilot_trio_model_{name}", model="gpt-4.1") == count


async def test_accounts_and_their_quota() -> None:
    quota = Quota(
        windows=(
            Window(name="premium", entitlement=300, remaining=75, percent_remaining=25),
            Window(name="chat", remaining=0, percent_remaining=100, unlimited=True),
            Window(name="weekly", percent_remaining=-10),
            Window(name="weekly", percent_remaining=-10),
            Window(name="session"),
        )
    )
    work, home = an_account("work", quota=quota), an_account("home")
    home.rest(90, RateLimited("slow down"))
    work.in_flight = 2
    samples = read(accounts=[work, home])
    named = {"id": "id-work", "account": "work"}
    assert value(samples, "copilot_trio_account_in_flight", **named) == 2
    assert value(samples, "copilot_trio_account_status", **named, status="active") == 1
    assert value(samples, "copilot_trio_account_status", **named, status="rate_limited") == 0
    assert value(samples, "copilot_trio_quota_remaining_ratio", **named, window="premium") == 0.25
    assert value(samples, "copilot_trio_quota_remaining_ratio", **named, window="weekly") == -0.1
    assert value(samples, "copilot_trio_quota_remaining", **named, window="premium") == 75
    assert ("copilot_trio_quota_remaining", frozenset({*named.items(), ("window", "chat")})) not in samples
    other = {"id": "id-home", "account": "home"}
    assert value(samples, "copilot_trio_account_status", **other, status="rate_limited") == 1
    assert value(samples, "copilot_trio_account_cooldown_seconds", **other) == 90


@pytest.mark.parametrize("label", ['a"b', "a\\b", "a\nb", "naïve {x}", "\\n", "\udc80"])
async def test_any_label_can_be_written(label: str) -> None:
    samples = read(accounts=[an_account(label)])
    shown = label.encode("utf-8", "replace").decode()
    assert value(samples, "copilot_trio_account_in_flight", id=f"id-{shown}", account=shown) == 0
