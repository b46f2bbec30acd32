from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import trio
from memory_network import MemoryUpstream, UpstreamConnection

from copilot_trio.accounts.account import AccountRecord, Hosts
from copilot_trio.accounts.store import AccountsFile, Pause, with_pause
from copilot_trio.app import Seat
from copilot_trio.cli.asking import AT_ONCE, PATIENCE, Asking
from copilot_trio.config import Config
from copilot_trio.upstream.egress import Egress, unusable

BASE = "http://127.0.0.1:1"
PAYLOAD = {"copilot_plan": "business", "quota_snapshots": {"premium_interactions": {"percent_remaining": 60}}}
PAGE = b'<meta name="user-id" content="7">'
BUDGETS = {"budgets": [{"id": "x", "skus": "copilot", "limit": 10, "usage": 4}]}
WARNING = {"message": "This violates our Terms of Service"}

Replies = Mapping[str, tuple[int, object]]


def record(label: str, **fields: object) -> AccountRecord:
    return msgspec.structs.replace(
        AccountRecord(id=f"id-{label}", label=label, github_token=f"ghu_SYNTHETIC{label}"), **fields
    )


class GitHub:
    """Every path's reply can be chosen; ``hangs`` says which never come. Each account dials through ``seat``."""

    def __init__(self, nursery: trio.Nursery, replies: Replies | None = None, hangs: str = "") -> None:
        self._replies = {
            "/copilot_internal/user": (200, PAYLOAD),
            "/user": (200, {"id": 7, "login": "octo"}),
            "/settings/billing/budgets": (200, PAGE),
            "/settings/billing/budgets?page=1&page_size=10&scope=customer": (200, BUDGETS),
            **(replies or {}),
        }
        self._hangs = hangs
        self._upstream = MemoryUpstream(nursery, self._answer)
        self.dialled: list[str] = []
        self.asked: list[str] = []
        self.running = self.most = 0

    def seat(self, record: AccountRecord) -> Seat:
        async def dial(host: str, port: int) -> trio.abc.Stream:
            self.dialled.append(record.label)
            return await self._upstream.dial(host, port)

        return Seat(record, Hosts(BASE, BASE), Egress(dial, record.label, proxied=False))

    async def _answer(self, connection: UpstreamConnection) -> None:
        await connection.read_request()
        path = connection.path()
        self.asked.append(path)
        self.running += 1
        self.most = max(self.most, self.running)
        await trio.sleep(float("inf") if path == self._hangs else 0.5)
        self.running -= 1
        status, body = self._replies[path]
        await connection.reply(status, body if isinstance(body, bytes) else msgspec.json.encode(body))


def cookies(directory: Path, *labels: str) -> dict[str, str]:
    path = directory / "cookies"
    path.write_text("user_session=synthetic")
    path.chmod(0o600)
    return dict.fromkeys(labels, str(path))


async def test_accounts_are_asked_side_by_side_each_by_its_own_way(nursery: trio.Nursery, tmp_path: Path) -> None:
    github = GitHub(nursery)
    records = [record(str(number)) for number in range(AT_ONCE * 2)]
    usages = await Asking(tmp_path, Config(), github.seat).ask_all(AccountsFile(), records)
    assert [usage.label for usage in usages] == [one.label for one in records]
    assert [usage.quota is not None and usage.quota.plan for usage in usages] == ["business"] * len(records)
    assert sorted(github.dialled) == [one.label for one in records]
    assert github.most == AT_ONCE
    assert trio.current_time() == 1


async def test_nothing_is_sent_for_who_is_paused_or_switched_off(nursery: trio.Nursery, tmp_path: Path) -> None:
    github = GitHub(nursery)
    records = [record("off", status="disabled"), record("bad", status="banned", status_message="no"), record("warned")]
    file = with_pause(AccountsFile(), records[2].github_token, Pause("be nice", 1.0))
    usages = await Asking(tmp_path, Config(), github.seat).ask_all(file, records)
    assert [usage.problem for usage in usages] == [
        "Not asked: it is disabled",
        "Not asked: it is banned, no",
        "Not asked. GitHub warned about this account: be nice",
    ]
    assert github.dialled == []


async def test_one_that_fails_does_not_spoil_the_others(nursery: trio.Nursery, tmp_path: Path) -> None:
    github = GitHub(nursery)

    def equip(record: AccountRecord) -> Seat:
        seat = github.seat(record)
        return Seat(record, seat.hosts, unusable("the proxy is odd")) if record.label == "odd" else seat

    odd, fine = await Asking(tmp_path, Config(), equip).ask_all(AccountsFile(), [record("odd"), record("fine")])
    assert (odd.quota, fine.problem) == (None, "")
    assert "the proxy is odd" in odd.problem
    assert fine.quota is not None


async def test_nobody_waits_for_ever(nursery: trio.Nursery, tmp_path: Path) -> None:
    github = GitHub(nursery, hangs="/copilot_internal/user")
    (usage,) = await Asking(tmp_path, Config(), github.seat).ask_all(AccountsFile(), [record("a")])
    assert (usage.quota, usage.problem) == (None, "GitHub did not answer within 30 s")
    assert trio.current_time() == PATIENCE


@pytest.mark.parametrize("name", ["work", "id-work"])
async def test_budgets_are_asked_for_where_cookies_are_given(nursery: trio.Nursery, tmp_path: Path, name: str) -> None:
    github = GitHub(nursery)
    asking = Asking(tmp_path, Config(), github.seat, cookie_files=cookies(tmp_path, name))
    work, home = await asking.ask_all(AccountsFile(), [record("work"), record("home")])
    assert [(budget.id, budget.used_percent) for budget in work.budgets] == [("copilot-budget-x", 40)]
    assert (home.budgets, home.budget_problem, work.budget_problem) == ((), "", "")
    assert github.dialled.count("home") == 1


@pytest.mark.parametrize(
    ("replies", "hangs", "problem"),
    [
        ({"/settings/billing/budgets": (500, b"")}, "", "status 500"),
        ({"/settings/billing/budgets": (200, b"<html>")}, "", "nobody's"),
        ({}, "/user", "more than 30 s"),
        ({}, "/settings/billing/budgets", "within 15 s"),
    ],
)
async def test_the_quota_does_not_depend_on_budgets(
    nursery: trio.Nursery, tmp_path: Path, replies: Replies, hangs: str, problem: str
) -> None:
    asking = Asking(tmp_path, Config(), GitHub(nursery, replies, hangs).seat, cookie_files=cookies(tmp_path, "a"))
    (usage,) = await asking.ask_all(AccountsFile(), [record("a")])
    assert usage.quota is not None
    assert (usage.budgets, usage.problem) == ((), "")
    assert problem in usage.budget_problem


async def test_a_cookie_file_that_is_missing(nursery: trio.Nursery, tmp_path: Path) -> None:
    github = GitHub(nursery)
    asking = Asking(tmp_path, Config(), github.seat, cookie_files={"a": str(tmp_path / "none")})
    (usage,) = await asking.ask_all(AccountsFile(), [record("a")])
    assert "cannot be read" in usage.budget_problem
    assert github.asked == ["/copilot_internal/user"]
