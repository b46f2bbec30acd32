from __future__ import annotations

import pytest
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts, Status
from copilot_trio.accounts.outcome import Outcome, classify
from copilot_trio.accounts.registry import Accounts
from copilot_trio.errors import AccountPaused, AccountRejected, NoAccount, RateLimited
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context


def account(label: str, status: Status = "active") -> Account:
    record = AccountRecord(id=label, label=label, github_token="ghu_SYNTHETIC", status=status)
    return Account(record, Hosts(), AccountPool(dial_direct, shared_context))


def limited(seconds: int, code: str = "rate_limited") -> Outcome:
    return classify(429, {"retry-after": str(seconds)}, b'{"error":{"code":"%b"}}' % code.encode(), now=0)


async def test_the_first_active_account_is_leased() -> None:
    accounts = Accounts([account("off", "disabled"), account("on"), account("other")])
    async with accounts.lease() as leased:
        assert (leased.label, leased.in_flight) == ("on", 1)
    assert leased.in_flight == 0


async def test_no_account_is_an_error_with_a_remedy() -> None:
    with pytest.raises(NoAccount, match="copilot-trio auth"):
        async with Accounts([account("off", "disabled")]).lease():
            raise AssertionError


async def test_a_lease_ends_whatever_happens_in_it() -> None:
    accounts = Accounts([account("a")])
    with pytest.raises(RuntimeError):
        async with accounts.lease():
            raise RuntimeError
    assert accounts.accounts[0].in_flight == 0


async def test_a_cooldown_within_reach_is_waited_for() -> None:
    accounts = Accounts([account("a")])
    accounts.judge(accounts.accounts[0], limited(20), "m")
    async with accounts.lease():
        assert trio.current_time() == pytest.approx(20)


async def test_a_cooldown_out_of_reach_says_how_long() -> None:
    accounts = Accounts([account("a")])
    accounts.judge(accounts.accounts[0], limited(400), "m")
    await trio.sleep(100)
    with pytest.raises(RateLimited) as caught:
        async with accounts.lease():
            raise AssertionError
    assert caught.value.retry_after == pytest.approx(300)
    assert caught.value.cost == "none"


async def test_waits_do_not_add_up_beyond_the_limit() -> None:
    accounts = Accounts([account("a")])
    accounts.judge(accounts.accounts[0], limited(20), "m")

    async def again() -> None:
        await trio.sleep(10)
        accounts.judge(accounts.accounts[0], limited(25), "m")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(again)
        with pytest.raises(RateLimited):
            async with accounts.lease():
                raise AssertionError


async def test_a_models_cooldown_is_the_models_alone() -> None:
    accounts = Accounts([account("a")])
    accounts.judge(accounts.accounts[0], limited(400, "model_overloaded"), "m")
    async with accounts.lease() as leased:
        await accounts.rested(leased, "other")
        with pytest.raises(RateLimited):
            await accounts.rested(leased, "m")


async def test_what_no_waiting_mends_is_not_waited_for() -> None:
    accounts = Accounts([account("a")])
    accounts.accounts[0].rest(20, AccountRejected("revoked"))
    with pytest.raises(AccountRejected):
        async with accounts.lease():
            raise AssertionError
    assert trio.current_time() == 0


async def test_a_request_at_fault_has_no_effect() -> None:
    accounts = Accounts([account("a")])
    accounts.judge(accounts.accounts[0], classify(400, {}, b"no", now=0), "m")
    assert accounts.accounts[0].resting("m") is None


async def test_a_warning_pauses_the_account_and_sends_nobody_elsewhere() -> None:
    told: list[str] = []
    accounts = Accounts([account("a"), account("b")], on_paused=lambda paused: told.append(paused.label))
    accounts.judge(accounts.accounts[0], classify(403, {}, b"spammy_user", now=0), "m")
    with pytest.raises(AccountPaused):
        async with accounts.lease():
            raise AssertionError
    assert told == ["a"]
    assert not accounts.accounts[0].ready


async def test_what_is_shown_of_an_account_is_no_secret() -> None:
    shown = repr(Accounts([account("a")]))
    assert shown == "<Accounts [<Account 'a' active, 0 in flight>]>"
