"""The account that a person prefers: first of its group for new conversations, for as long as it can serve."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from accounts_of import an_account, left, refusal
from test_registry import chosen, in_turn, registry
from world import World, chat

from copilot_trio.accounts.groups import Pin
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.store import Store, load_accounts, with_fields
from copilot_trio.errors import ProxyError


async def test_new_conversations_go_to_the_preferred_first() -> None:
    accounts = registry(an_account("a", quota=left(99)), an_account("b", quota=left(1)), an_account("c"))
    accounts.prefer(accounts.accounts[1])
    assert await in_turn(accounts, 3) == ["b", "b", "b"]


async def test_a_running_conversation_stays_where_it_is() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    assert await chosen(accounts, conversation="one") == "a"
    accounts.prefer(accounts.accounts[1])
    assert await chosen(accounts, conversation="one") == "a"
    assert await chosen(accounts, conversation="two") == "b"


async def test_only_one_of_a_group_is_preferred_and_other_groups_are_left_alone() -> None:
    accounts = registry(an_account("a"), an_account("b"), an_account("w", kind="business"))
    for account in (accounts.accounts[2], accounts.accounts[0], accounts.accounts[1]):
        accounts.prefer(account)
    assert [account.record.preferred for account in accounts.accounts] == [False, True, True]
    assert await chosen(accounts) == "b"
    assert accounts.preferred().label == "b"
    assert accounts.preferred(Pin(group="github.com/business")).label == "w"


@pytest.mark.parametrize("quota", [left(0), left(-5)])
async def test_one_whose_quota_is_used_up_is_not_first(quota: Quota) -> None:
    accounts = registry(an_account("a", quota=left(10)), an_account("b", quota=quota))
    accounts.prefer(accounts.accounts[1])
    assert await chosen(accounts) == "a"


async def test_one_that_rests_or_is_off_is_passed_over_and_comes_back() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    first, second = accounts.accounts
    accounts.prefer(second)
    accounts.judge(second, refusal(429, "user_global_rate_limited", 60))
    assert await chosen(accounts) == "a"
    await trio.sleep(61)
    assert await chosen(accounts) == "b"
    accounts.disable(second)
    assert await chosen(accounts) == "a"
    assert accounts.preferred() is first


async def test_it_is_stored_and_another_program_may_change_it(nursery: trio.Nursery, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    world = World(nursery, accounts_file=path, stored=True, accounts=2, keep=True)
    assert (await world.call("POST", "/accounts/switch", {"email": "a2"})).status == 200
    assert [record.preferred for record in load_accounts(path).accounts] == [False, True]
    await world.ask("/v1/chat/completions", chat("hi"))
    assert world.app.accounts.accounts[1].last_turn
    await trio.to_thread.run_sync(Store(path).update, lambda file: with_fields(file, "a2", preferred=False))
    await trio.sleep(5)
    assert [account.record.preferred for account in world.app.accounts.accounts] == [False, False]


async def test_an_account_that_is_gone_is_not_preferred(nursery: trio.Nursery, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    world = World(nursery, accounts_file=path, stored=True, accounts=2)
    await trio.to_thread.run_sync(path.write_text, '{"version": 2, "accounts": []}')
    answer = await world.call("POST", "/accounts/switch", {"email": "a2"})
    assert answer.status == 404
    assert not any(account.record.preferred for account in world.app.accounts.accounts)


async def test_one_of_this_run_only_is_preferred_for_this_run(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, accounts=2, accounts_file=tmp_path / "accounts.json")
    assert (await world.call("POST", "/accounts/switch", {"email": "a2"})).status == 200
    assert [account.record.preferred for account in world.app.accounts.accounts] == [False, True]
    assert load_accounts(tmp_path / "accounts.json").accounts == ()


def test_who_asks_for_a_group_that_there_is_not_hears_so() -> None:
    with pytest.raises(ProxyError):
        registry(an_account("a")).preferred(Pin(group="nowhere"))
