from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

import pytest
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Answer, Hosts
from copilot_trio.accounts.keeper import Keepers
from copilot_trio.accounts.registry import Accounts
from copilot_trio.config import AccountSettings
from copilot_trio.errors import UpstreamError

HOUR = 3600.0


class CountedPool:
    """Connections that are never used, only replaced."""

    def __init__(self) -> None:
        self.recycled: list[float] = []

    def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> AbstractAsyncContextManager[Answer]:
        raise AssertionError

    def send_frame(
        self, url: str, headers: Sequence[tuple[str, str]], frame: bytes
    ) -> AbstractAsyncContextManager[Answer]:
        raise AssertionError

    async def recycle(self) -> None:
        self.recycled.append(trio.current_time())

    async def aclose(self) -> None:
        raise AssertionError


class BrokenPool(CountedPool):
    async def recycle(self) -> None:
        raise RuntimeError("a bug")


class Upkeep:
    """Keepers whose questions are noted: account and time."""

    def __init__(
        self, *proxied: bool, random: float = 0.5, fails: bool = False, retry_after: float | None = None
    ) -> None:
        self.pools = [CountedPool() for _ in proxied]
        self.accounts = [
            Account(AccountRecord(id=f"a{number}", label=f"a{number}", github_token="ghu_SYNTHETIC"), Hosts(), pool)
            for number, pool in enumerate(self.pools)
        ]
        for account, through_proxy in zip(self.accounts, proxied, strict=True):
            account.proxied = through_proxy
        self.asked: list[tuple[str, float]] = []
        self.pinged: list[tuple[str, float]] = []
        self._fails = fails
        self._retry_after = retry_after
        self.keepers = Keepers(AccountSettings(), lambda: random, follow_quota=self._ask, ping=self._ping)

    async def _ask(self, account: Account) -> None:
        self.asked.append((account.label, trio.current_time()))
        if self._fails:
            raise UpstreamError("GitHub is down", cost="none", retry_after=self._retry_after)
        account.quota_doubtful = False

    async def _ping(self, account: Account) -> None:
        self.pinged.append((account.label, trio.current_time()))
        if self._fails:
            raise UpstreamError("the proxy is down", cost="none")


@pytest.mark.parametrize(("random", "hours"), [(0.0, 3.0), (0.5, 4.0), (0.999999, 5.0)])
async def test_connections_are_renewed_every_four_hours_give_or_take_a_quarter(
    nursery: trio.Nursery, random: float, hours: float
) -> None:
    upkeep = Upkeep(False, random=random)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(2.5 * hours * HOUR)
    assert upkeep.pools[0].recycled == [pytest.approx(hours * HOUR, abs=1), pytest.approx(2 * hours * HOUR, abs=1)]


async def test_a_quota_is_asked_for_once_and_again_only_after_use(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(False)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(HOUR)
    assert len(upkeep.asked) == 1
    assert upkeep.asked[0][1] <= 5
    upkeep.accounts[0].quota_doubtful = True
    await trio.sleep(HOUR)
    assert len(upkeep.asked) == 2


@pytest.mark.parametrize(("told", "waited"), [(900.0, 900.0), (5.0, 315.0)])
async def test_github_is_not_asked_for_a_quota_before_it_said(
    nursery: trio.Nursery, *, told: float, waited: float
) -> None:
    upkeep = Upkeep(False, fails=True, retry_after=told)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(1000)
    first, second, *_ = (at for _, at in upkeep.asked)
    assert second - first == pytest.approx(waited)


async def test_a_quota_that_cannot_be_read_is_asked_for_again(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    upkeep = Upkeep(False, fails=True)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(HOUR)
    assert len(upkeep.asked) == 12  # every five minutes and a little
    assert "GitHub is down" in caplog.text


async def test_a_disabled_account_asks_nothing(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(True)
    upkeep.accounts[0].change(status="disabled")
    upkeep.accounts[0].in_flight = 1
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(HOUR)
    assert (upkeep.asked, upkeep.pinged) == ([], [])


async def test_a_tunnel_is_kept_warm_while_something_streams(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(True, False)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    for account in upkeep.accounts:
        account.in_flight = 1
    await trio.sleep(95)
    assert upkeep.pinged == [("a0", 30), ("a0", 60), ("a0", 90)]
    upkeep.accounts[0].in_flight = 0
    await trio.sleep(300)
    assert len(upkeep.pinged) == 3


async def test_a_dead_tunnel_ends_nothing(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(True, fails=True)
    upkeep.accounts[0].in_flight = 1
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(100)
    assert len(upkeep.pinged) == 3


async def test_accounts_come_and_go(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(False, False)
    accounts = Accounts(upkeep.accounts[:1])
    accounts.keepers = upkeep.keepers
    await nursery.start(upkeep.keepers.run, accounts.accounts)
    await trio.sleep(HOUR)
    accounts.add(upkeep.accounts[1])
    accounts.remove("a0")
    await trio.sleep(5 * HOUR)
    assert upkeep.pools[0].recycled == [HOUR]  # what it has drains
    assert upkeep.pools[1].recycled == [pytest.approx(5 * HOUR)]


async def test_what_nobody_uses_any_more_drains(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(False)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    old = CountedPool()
    upkeep.keepers.retire(old)
    await trio.testing.wait_all_tasks_blocked()
    assert len(old.recycled) == 1


async def test_a_bug_in_one_accounts_upkeep_is_its_own(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    upkeep = Upkeep(False, False)
    upkeep.accounts[0].pool = BrokenPool()
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(5 * HOUR)
    assert "a0: its upkeep failed" in caplog.text
    assert len(upkeep.pools[1].recycled) == 1


async def test_other_times_hold_at_once_and_nothing_begins_anew_for_less(nursery: trio.Nursery) -> None:
    upkeep = Upkeep(False)
    await nursery.start(upkeep.keepers.run, upkeep.accounts)
    await trio.sleep(HOUR)
    upkeep.keepers.adjust(AccountSettings(start_gap=5), upkeep.accounts)
    await trio.sleep(3 * HOUR + 1)
    assert upkeep.pools[0].recycled == [4 * HOUR]
    upkeep.keepers.adjust(AccountSettings(pool_seconds=60), upkeep.accounts)
    await trio.sleep(90)
    assert upkeep.pools[0].recycled == [4 * HOUR, 4 * HOUR + 61]
