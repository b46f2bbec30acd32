"""One account in virtual time: an upstream that is slow, silent or odd, and what is stored of an account."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest
import trio
import trio.testing
from wires import read_head

from copilot_trio.accounts.account import AccountRecord, Hosts, StoredCooldown
from copilot_trio.accounts.health import PAID
from copilot_trio.config import Config
from copilot_trio.doctor.account import PATIENCE, TIMEOUTS, Patient, Report, check_account, check_standing
from copilot_trio.doctor.way import direct_way
from copilot_trio.upstream.egress import Egress
from copilot_trio.upstream.network import Dial, dial_direct

BASE = "http://127.0.0.1:9"
ANSWERS: dict[str, Any] = {
    "/user": {"login": "octo"},
    "/copilot_internal/user": {
        "copilot_plan": "individual",
        "quota_snapshots": {"premium_interactions": {"entitlement": 300, "remaining": 12, "percent_remaining": 4.0}},
    },
    "/copilot_internal/v2/token": {"token": "tid=SYNTHETIC", "refresh_in": 1500, "endpoints": {"api": BASE}},
    "/models": {"data": [{"id": "gpt-4.1"}, 5]},
}


class Upstream:
    """In memory; each answer comes after ``delay`` seconds."""

    def __init__(self, nursery: trio.Nursery, answers: Mapping[str, Any] = {}, delay: float = 0.0) -> None:
        self._nursery = nursery
        self._answers = {**ANSWERS, **answers}
        self._delay = delay
        self.asked: list[str] = []

    async def dial(self, host: str, port: int) -> trio.abc.Stream:
        near, far = trio.testing.memory_stream_pair()
        self._nursery.start_soon(self._serve, far)
        return near

    async def _serve(self, stream: trio.abc.Stream) -> None:
        try:
            while True:
                path = (await read_head(stream)).split()[1].decode()
                self.asked.append(path)
                await trio.sleep(self._delay)
                body = json.dumps(self._answers[path]).encode()
                await stream.send_all(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            await stream.aclose()


def patient(dial: Dial = dial_direct, *, warned: str | None = None, **fields: Any) -> Patient:
    record = AccountRecord(id="1", label="work", github_token="ghu_SYNTHETIC", **fields)
    hosts = Hosts(BASE, BASE, BASE if record.direct else None)
    return Patient(record=record, hosts=hosts, way=direct_way(Egress(dial, "", proxied=False), {}), warned=warned)


def states(report: Report) -> dict[str, str]:
    return {finding.check: finding.state for finding in report.findings}


async def test_the_account_is_followed_to_its_models(nursery: trio.Nursery) -> None:
    upstream = Upstream(nursery)
    report = await check_account(patient(upstream.dial), Config(), ca_file=None)
    assert upstream.asked == list(ANSWERS)
    assert states(report) == {
        "egress to GitHub": "ok",
        "GitHub token": "ok",
        "quota": "warning",
        "Copilot token": "ok",
        "models": "warning",
    }
    assert report.models is not None
    assert [model.id for model in report.models] == ["gpt-4.1"]
    assert (report.plan, report.skews) == ("individual", [])
    assert all(finding.account == "work" for finding in report.findings)


async def test_a_direct_account_exchanges_nothing(nursery: trio.Nursery) -> None:
    upstream = Upstream(nursery)
    report = await check_account(patient(upstream.dial, direct=True), Config(), ca_file=None)
    assert "/copilot_internal/v2/token" not in upstream.asked
    assert "without an exchange" in next(one.message for one in report.findings if one.check == "Copilot token")


async def test_a_list_of_models_that_cannot_be_read(nursery: trio.Nursery) -> None:
    report = await check_account(patient(Upstream(nursery, {"/models": ["?"]}).dial), Config(), ca_file=None)
    assert (states(report)["models"], report.models) == ("failed", None)


async def test_an_upstream_that_is_silent_is_not_waited_for_for_ever(nursery: trio.Nursery) -> None:
    began = trio.current_time()
    report = await check_account(patient(Upstream(nursery, delay=1000).dial), Config(), ca_file=None)
    assert states(report) == {"egress to GitHub": "ok", "GitHub token": "failed"}
    assert trio.current_time() - began == TIMEOUTS.read


async def test_one_that_is_slow_at_every_step_is_given_up(nursery: trio.Nursery) -> None:
    began = trio.current_time()
    report = await check_account(patient(Upstream(nursery, delay=12).dial), Config(), ca_file=None)
    assert states(report)["Copilot token"] == "ok"
    assert report.findings[-1].message == f"not all could be asked within {PATIENCE:.0f} s"
    assert trio.current_time() - began == PATIENCE


@pytest.mark.parametrize(
    ("fields", "state", "words", "asked"),
    [
        ({}, "ok", "in use", True),
        ({"status": "disabled"}, "warning", "switched off", False),
        ({"status": "banned", "status_message": "token refused"}, "failed", "given up: token refused", False),
        ({"warned": "GitHub warned: be nice"}, "failed", "paused: GitHub warned", False),
        ({"cooldowns": {PAID: StoredCooldown(700, "exhausted", "none left")}}, "warning", "for another 10 min", True),
        ({"cooldowns": {"": StoredCooldown(7300, "rate_limited", "slow")}}, "warning", "for another 2.0 h", True),
        ({"cooldowns": {"gpt-4.1": StoredCooldown(700, "rate_limited")}}, "ok", "in use; resting: gpt-4.1", True),
        ({"cooldowns": {PAID: StoredCooldown(50, "exhausted")}}, "ok", "in use", True),
    ],
)
def test_how_an_account_stands(fields: dict[str, Any], state: str, words: str, asked: bool) -> None:
    finding, may_ask = check_standing(patient(**fields), 100)
    assert (finding.state, words in finding.message, may_ask) == (state, True, asked), finding
