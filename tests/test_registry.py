from __future__ import annotations

import pytest
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts, Status
from copilot_trio.accounts.outcome import Outcome, classify
from copilot_trio.accounts.registry import Accounts
from copilot_trio.errors import AccountPaused, AccountRejected, NoAccount, ProxyError, RateLimited
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context


def account(label: str, status: Status = "active") -> Account:
    record = AccountRecord(id=label, label=label, github_token="ghu_SYNTHETIC", status=status)
    return Account(record, Hosts(), AccountPool(dial_direct, shared_context))


def limited(seconds: int, code: str = "rate_limited") -> Outcome:
    return classify("/chat/completions", 429, {"retry-after": str(seconds)}, b'{"error":{"code":"%b"}}' % code.encode(), now=0)


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
    accounts.judge(accounts.accounts[0], classify("/chat/completions", 400, {}, b"no", now=0), "m")
    assert accounts.accounts[0].resting("m") is None


async def test_a_warning_pauses_the_account_and_sends_nobody_elsewhere() -> None:
    told: list[str] = []
    accounts = Accounts([account("a"), account("b")], on_paused=lambda paused: told.append(paused.label))
    accounts.judge(accounts.accounts[0], classify("/chat/completions", 403, {}, b"spammy_user", now=0), "m")
    with pytest.raises(AccountPaused):
        async with accounts.lease():
            raise AssertionError
    assert told == ["a"]
    assert not accounts.accounts[0].ready


async def test_what_is_shown_of_an_account_is_no_secret() -> None:
    shown = repr(Accounts([account("a")]))
    assert shown == "<Accounts [<Account 'a' active, 0 in flight>]>"


async def test_of_two_cooldowns_the_later_end_holds() -> None:
    resting = account("a")
    resting.rest(3600, RateLimited("weekly"))
    resting.rest(5, RateLimited("burst"))
    found = resting.resting("")
    assert found is not None
    assert (found[0], found[1].cause) == (3600, "weekly")
    resting.rest(7200, RateLimited("monthly"), model="m")
    assert resting.resting("") == found
    await trio.sleep(3599)
    resting.rest(5, RateLimited("burst"))
    found = resting.resting("")
    assert found is not None
    assert (found[0], found[1].cause) == (5, "burst")


def frames(error: ProxyError) -> int:
    found, trace = 0, error.__traceback__
    while trace is not None:
        found, trace = found + 1, trace.tb_next
    return found


@pytest.mark.parametrize("error", [AccountPaused("warned"), AccountRejected("revoked")], ids=lambda error: error.kind)
async def test_what_is_kept_of_a_failure_is_never_what_is_raised(error: ProxyError) -> None:
    accounts = Accounts([account("a")])
    only = accounts.accounts[0]
    error.headers = [("x-github-request-id", "the first request's")]
    try:
        raise error
    except AccountPaused as warning:
        accounts.judge(only, Outcome(warning, "warning"), "m")
    except AccountRejected as rejection:
        accounts.judge(only, Outcome(rejection, "account", cooldown=100), "m")
    raised: list[ProxyError] = []
    for _ in range(5):
        with pytest.raises(type(error)) as caught:
            async with accounts.lease():
                raise AssertionError
        assert (str(caught.value), caught.value.headers) == (str(error), [])
        caught.value.headers.append(("x", "of this request alone"))
        raised.append(caught.value)
    assert len({frames(one) for one in raised}) == 1
    assert len({id(one) for one in [error, *raised]}) == 6
    resting = only.resting("")
    kept = only.warning if resting is None else resting[1]
    assert kept is not None
    assert (kept.__traceback__, kept.__context__, kept.headers) == (None, None, [])


async def test_a_check_waits_for_nothing() -> None:
    accounts = Accounts([account("a")])
    only = accounts.accounts[0]
    accounts.check(only, "m")
    accounts.judge(only, limited(5, "model_overloaded"), "m")
    with pytest.raises(RateLimited, match="cooling down for 5 s") as caught:
        accounts.check(only, "m")
    assert (caught.value.retry_after, trio.current_time()) == (5, 0)
    accounts.check(only, "other")
    accounts.check(only)
    assert (only.usable("m"), only.usable("other")) == (False, True)
    await trio.sleep(5)
    accounts.check(only, "m")
    assert only.usable("m")


async def test_a_check_says_what_no_waiting_mends() -> None:
    accounts = Accounts([account("a"), account("off", "disabled")])
    only, off = accounts.accounts
    only.rest(20, AccountRejected("revoked"))
    with pytest.raises(AccountRejected):
        accounts.check(only, "m")
    accounts.judge(only, classify("/chat/completions", 403, {}, b"spammy_user", now=0), "m")
    with pytest.raises(AccountPaused):
        accounts.check(only, "m")
    with pytest.raises(NoAccount, match="off is disabled"):
        accounts.check(off, "m")
    assert not only.usable("m")
    assert not off.usable("m")


async def test_a_warning_ends_the_wait_for_a_cooldown() -> None:
    accounts = Accounts([account("a")])
    only = accounts.accounts[0]
    accounts.judge(only, limited(20), "m")

    async def warn() -> None:
        await trio.sleep(10)
        accounts.judge(only, limited(15), "m")
        accounts.judge(only, classify("/chat/completions", 403, {}, b"spammy_user", now=0), "m")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(warn)
        with pytest.raises(AccountPaused):
            await accounts.rested(only, "m")
    assert trio.current_time() == 20
