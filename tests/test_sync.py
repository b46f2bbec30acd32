from __future__ import annotations

import itertools
import logging
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
import trio
import trio.lowlevel

from copilot_trio.accounts.account import Account, AccountRecord, Hosts, StoredCooldown
from copilot_trio.accounts.health import PAID
from copilot_trio.accounts.outcome import classify
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.registry import Accounts
from copilot_trio.accounts.store import (
    AccountsFile,
    Pause,
    Store,
    load_accounts,
    pause_of,
    with_account,
    with_fields,
    with_pause,
    without_account,
    without_pause,
)
from copilot_trio.accounts.sync import Sync
from copilot_trio.config import DamagedFile
from copilot_trio.errors import AccountPaused, RateLimited
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

NOW = 1_790_000_000.0
pytestmark = pytest.mark.real_clock  # the file is written in a thread, which virtual time does not wait for


def record(name: str, **fields: object) -> AccountRecord:
    made = AccountRecord(id=name, label=name, github_token=f"ghu_SYNTHETIC{name}")
    return msgspec.structs.replace(made, **fields)


class Office:
    """A running server's accounts beside its file."""

    def __init__(self, path: Path, *records: AccountRecord, follow: bool = True) -> None:
        self.store = Store(path)
        self.path = path
        for one in records:
            self.store.update(lambda file, one=one: with_account(file, one))  # type: ignore[misc]
        self.accounts = Accounts(now=self.now)
        self.rerouted: list[str] = []
        self.sync = Sync(path, self.accounts, self.equip, self.reroute, self.now, follow=follow)

    def now(self) -> float:
        return NOW + trio.current_time()

    def equip(self, made: AccountRecord) -> Account:
        return Account(made, Hosts(), AccountPool(dial_direct, shared_context))

    def reroute(self, account: Account) -> None:
        self.rerouted.append(account.label)

    def stored(self, name: str) -> AccountRecord:
        return next(one for one in load_accounts(self.path).accounts if one.id == name)

    def account(self, name: str) -> Account:
        found = self.accounts.get(name)
        assert found is not None
        return found

    async def change(self, **fields: object) -> None:
        """As another program does: by the file alone."""
        self.store.update(lambda file: with_fields(file, "a", **fields))
        self.sync.adopt(load_accounts(self.path))


async def until(condition: Callable[[], object]) -> None:
    """What a thread does cannot be waited for otherwise."""
    with trio.fail_after(30):
        for _ in itertools.count():
            if condition():
                return
            await trio.lowlevel.checkpoint()


def damage(path: Path) -> None:
    path.write_text("{")


def mend(path: Path, text: str) -> None:
    path.write_text(text)


def content(path: Path) -> str:
    return path.read_text()


def remove(path: Path) -> None:
    path.unlink()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "accounts.json"


async def test_the_files_accounts_are_the_servers_in_their_order(path: Path) -> None:
    office = Office(path, record("b"), record("a", status="disabled"))
    office.sync.load()
    assert [account.label for account in office.accounts.accounts] == ["b", "a"]
    assert office.account("a").status == "disabled"


async def test_limits_hold_over_a_restart(path: Path) -> None:
    cooldowns = {
        "": StoredCooldown(NOW + trio.current_time() + 500, "rate_limited", "too fast", "rate_limited"),
        "gpt-5": StoredCooldown(NOW + trio.current_time() - 1, "rate_limited", "long gone"),
        PAID: StoredCooldown(NOW + trio.current_time() + 9e9, "exhausted", "used up"),
    }
    office = Office(path, record("a", cooldowns=cooldowns))
    office.sync.load()
    account = office.account("a")
    rest = account.resting("any", free=True)
    assert rest is not None
    assert rest[0] == pytest.approx(500, abs=5)
    assert isinstance(rest[1], RateLimited)
    assert account.status == "exhausted"
    assert {key for key, *_ in account.cooldowns()} == {"", PAID}
    paid = account.resting("any")
    assert paid is not None
    assert paid[0] <= 33 * 24 * 3600  # an absurd time is not believed


async def test_what_becomes_of_an_account_is_stored(nursery: trio.Nursery, path: Path) -> None:
    office = Office(path, record("a"), record("b"))
    office.sync.load()
    await nursery.start(office.sync.run)
    account = office.account("a")
    account.last_used = NOW
    outcome = classify("/responses", 429, {"retry-after": "900"}, b'{"error":{"code":"rate_limited"}}', now=NOW)
    office.accounts.judge(account, outcome)
    await until(lambda: office.stored("a").cooldowns)  # a second is gathered first
    stored = office.stored("a")
    assert stored.cooldowns[""].status == "rate_limited"
    assert stored.cooldowns[""].until == pytest.approx(office.now() + 900, abs=10)
    assert stored.last_used == NOW
    assert office.stored("b") == record("b")


async def test_what_is_not_stored_yet_is_at_the_end(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(office.sync.run)
        office.account("a").quota = Quota(plan="business", read_at=NOW)
        office.accounts.ban(office.account("a"), "GitHub refuses the account's token")
        nursery.cancel_scope.cancel("the server stops")
    stored = office.stored("a")
    assert (stored.status, stored.status_message) == ("banned", "GitHub refuses the account's token")
    assert stored.quota is not None
    assert stored.quota.plan == "business"


async def test_two_writers_lose_nothing_of_each_other(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    async with trio.open_nursery() as nursery:
        await nursery.start(office.sync.run)
        office.store.update(lambda file: with_fields(file, "a", label="renamed"))
        office.accounts.ban(office.account("a"), "refused")
        nursery.cancel_scope.cancel("the server stops")
    assert (office.stored("a").label, office.stored("a").status) == ("renamed", "banned")
    assert office.account("a").label == "renamed"


async def test_another_programs_changes_happen_here(path: Path) -> None:
    office = Office(path, record("a"), record("b"))
    office.sync.load()
    account = office.account("a")
    account.rest(600, RateLimited("too fast"))
    statuses: list[str] = []
    await office.change(status="disabled")
    statuses.append(account.status)
    await office.change(status="active", cooldowns={})
    statuses.append(account.status)
    assert statuses == ["disabled", "active"]
    assert account.resting("m") is None
    await office.change(label="renamed", proxy="http://127.0.0.1:3128")
    assert (account.label, office.rerouted) == ("renamed", ["renamed"])
    before = account.token_lock
    await office.change(github_token="ghu_SYNTHETICnew")
    assert account.token is None
    assert account.token_lock is before  # the same account, not another
    office.store.update(lambda file: with_account(without_account(file, "a"), record("c")))
    office.sync.adopt(load_accounts(path))
    assert [one.label for one in office.accounts.accounts] == ["b", "c"]


async def test_a_running_server_sees_the_file_change(nursery: trio.Nursery, path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    await nursery.start(office.sync.run)
    office.store.update(lambda file: with_account(file, record("b")))
    await until(lambda: office.accounts.get("b") is not None)


async def test_what_goes_on_here_is_kept_when_others_write(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    office.account("a").rest(600, RateLimited("too fast"))
    await office.change(label="renamed")
    assert office.account("a").resting("m") is not None


async def test_a_warning_is_stored_at_once_and_holds(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    account = office.account("a")
    office.accounts.affinity.bind("conversation", "m", "a", trio.current_time())
    office.accounts.judge(account, classify("/responses", 403, {}, b"spammy_user", now=NOW))
    pause = pause_of(load_accounts(path), account.record.github_token)
    assert pause is not None
    assert pause.conversations == ("conversation",)
    again = Office(path)
    again.sync.load()
    assert again.account("a").status == "banned"
    assert again.account("a").status_message == account.status_message
    assert again.accounts.affinity.holder("conversation") == "a"
    again.store.update(lambda file: without_pause(file, account.record.github_token))
    again.sync.adopt(load_accounts(path))
    assert again.account("a").status == "active"
    assert again.accounts.affinity.holder("conversation") is None


async def test_an_account_of_this_run_alone_is_not_stored_but_its_warning_is(nursery: trio.Nursery, path: Path) -> None:
    office = Office(path, record("stored"), follow=False)
    outside = office.equip(record("outside"))
    office.accounts.add(outside)
    office.sync.load()
    assert [account.label for account in office.accounts.accounts] == ["outside"]
    await nursery.start(office.sync.run)
    office.accounts.judge(outside, classify("/responses", 403, {}, b"spammy_user", now=NOW))
    stored = load_accounts(path)
    assert [one.label for one in stored.accounts] == ["stored"]
    assert pause_of(stored, "ghu_SYNTHETICoutside") is not None
    office.store.update(lambda file: without_pause(file, "ghu_SYNTHETICoutside"))
    await until(lambda: outside.warning is None)


async def test_a_damaged_file_changes_nothing_and_is_left_alone(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    damage(path)
    async with trio.open_nursery() as nursery:
        await nursery.start(office.sync.run)
        office.accounts.ban(office.account("a"), "refused")
        with pytest.raises(DamagedFile):
            await office.sync.update(lambda file: file)
        nursery.cancel_scope.cancel("the server stops")
    assert content(path) == "{"
    assert "could not be stored" in caplog.text
    assert [account.label for account in office.accounts.accounts] == ["a"]


async def test_a_warning_stops_the_account_though_it_cannot_be_stored_yet(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    whole = content(path)
    async with trio.open_nursery() as nursery:
        await nursery.start(office.sync.run)
        damage(path)
        office.accounts.judge(office.account("a"), classify("/responses", 403, {}, b"spammy_user", now=NOW))
        assert "the pause could not be stored" in caplog.text
        mend(path, whole)
        await office.sync.update(lambda file: with_fields(file, "a", label="renamed"))
        assert isinstance(office.account("a").warning, AccountPaused)  # that it is not in the file means nothing
        nursery.cancel_scope.cancel("the server stops")
    assert pause_of(load_accounts(path), "ghu_SYNTHETICa") is not None


async def test_a_warning_that_is_not_stored_can_be_acknowledged(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()
    whole = content(path)
    damage(path)
    office.accounts.judge(office.account("a"), classify("/responses", 403, {}, b"spammy_user", now=NOW))
    mend(path, whole)
    await office.sync.acknowledge(office.account("a"))
    assert office.account("a").status == "active"
    assert pause_of(load_accounts(path), "ghu_SYNTHETICa") is None


async def test_a_file_that_is_gone_has_no_accounts(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    office = Office(path, record("a"))
    office.sync.load()
    remove(path)
    office.sync.adopt(load_accounts(path))
    assert office.accounts.accounts == []
    assert "a was removed" in caplog.text


async def test_a_pause_in_the_file_alone_holds_too(path: Path) -> None:
    office = Office(path, record("a"))
    office.sync.load()

    def warn(file: AccountsFile) -> AccountsFile:
        return with_pause(file, "ghu_SYNTHETICa", Pause("spammy_user", NOW))

    await office.sync.update(warn)
    assert office.account("a").status == "banned"
