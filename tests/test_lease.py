from __future__ import annotations

import pytest
import trio
from accounts_of import an_account

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.lease import AccountRemoved, Lease
from copilot_trio.errors import UpstreamError


async def test_a_lease_counts_and_reserves_while_it_lasts() -> None:
    account = an_account("a")
    with Lease(account, 3.0), Lease(account, 0.5):
        assert (account.in_flight, account.reserved, len(account.leases)) == (2, 3.5, 2)
    assert (account.in_flight, account.reserved, account.leases) == (0, 0, set())


async def test_a_lease_ends_whatever_happens_in_it() -> None:
    account = an_account("a")
    with pytest.raises(RuntimeError), Lease(account, 3.0):
        raise RuntimeError
    with trio.move_on_after(1), Lease(account, 3.0):
        await trio.sleep_forever()
    assert (account.in_flight, account.reserved, account.leases) == (0, 0, set())


async def test_a_client_that_leaves_is_no_removal() -> None:
    account = an_account("a")
    with trio.move_on_after(1) as leaving:
        with Lease(account):
            await trio.sleep_forever()
    assert leaving.cancelled_caught


@pytest.mark.parametrize(("sent", "cost"), [(True, "unknown"), (False, "none")])
async def test_a_removed_account_ends_what_runs_on_it(nursery: trio.Nursery, sent: bool, cost: str) -> None:
    account = an_account("a")
    nursery.start_soon(_cancel_in, 5, account)
    lease = Lease(account, 3.0)
    lease.sent = sent
    with pytest.raises(AccountRemoved, match="account a was removed") as caught, lease:
        await trio.sleep_forever()
    assert trio.current_time() == 5
    assert caught.value.cost == cost
    assert (account.in_flight, account.reserved, account.leases) == (0, 0, set())


async def test_what_has_ended_before_a_removal_takes_effect_is_no_failure() -> None:
    account = an_account("a")
    with Lease(account):
        for scope in account.leases:
            scope.cancel()


async def test_removal_ends_every_lease_and_no_other_accounts(nursery: trio.Nursery) -> None:
    account, other = an_account("a"), an_account("b")
    ended: list[float] = []

    async def use() -> None:
        with pytest.raises(UpstreamError), Lease(account):
            await trio.sleep_forever()
        ended.append(trio.current_time())

    nursery.start_soon(_cancel_in, 5, account)
    async with trio.open_nursery() as users:
        for _ in range(3):
            users.start_soon(use)
        with Lease(other):
            await trio.sleep(9)
    assert ended == [5, 5, 5]


async def _cancel_in(seconds: float, account: Account) -> None:
    await trio.sleep(seconds)
    for scope in list(account.leases):
        scope.cancel()
