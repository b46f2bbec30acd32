"""Several accounts over the whole proxy: which one carries a request, and what its failures do to the others."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
import trio
from accounts_of import refusal, wake
from memory_network import post
from world import World, chat, chat_text, error_of, messages

from copilot_trio.config import AccountSettings, ApiKey, Config, TimeoutSettings
from copilot_trio.errors import RateLimited
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.twin import Fault
from copilot_trio.twin.accounts import AccountChange

SESSION = ("x-session-id", "ses_1")


def used(world: World) -> list[str]:
    """Which account carried each call that reached upstream, refusals included."""
    return [record.account for record in world.calls()]


async def test_a_limited_account_hands_over_and_the_client_never_notices(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    world.twin.add_fault(Fault(path="/chat/completions", error="rate_limited", headers={"retry-after": "600"}))
    answer = await world.ask("/v1/chat/completions", chat("hello", stream=True), SESSION)
    assert answer.status == 200
    assert chat_text(answer.body)
    first, second = used(world)
    assert first != second
    assert answer.headers["x-copilot-trio-account"] == next(
        account.label for account in world.app.accounts.accounts if account.record.login == second
    )
    assert 1 <= trio.current_time() <= 6  # a conversation that moves is in no hurry


async def test_a_conversation_stays_where_it_moved(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    world.twin.add_fault(Fault(path="/chat/completions", error="rate_limited", headers={"retry-after": "5"}))
    for _ in range(4):
        assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
        await trio.sleep(60)
    assert len(set(used(world)[1:])) == 1
    assert used(world)[0] != used(world)[1]


async def test_new_conversations_go_where_most_is_left(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    for account, left in zip(world.app.accounts.accounts, (20.0, 90.0, 50.0), strict=True):
        told = {"x-quota-snapshot-premium_interactions": f"ent=100&ov=0.0&ovPerm=false&rem={left}&totRem={left}"}
        world.app.accounts.heard(account, told)
    await world.ask("/v1/chat/completions", chat("hello", model="claude-sonnet-4.5"), SESSION)
    assert used(world) == [world.app.accounts.accounts[1].record.login]


async def test_what_upstream_may_have_run_is_not_sent_to_another(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    for status in (500, 502, 503, 504):
        world.twin.add_fault(Fault(path="/chat/completions", status=status, body="no"))
        answer = await world.ask("/v1/chat/completions", chat(f"hello {status}"))
        assert answer.status == status
    assert len(used(world)) == 4


async def test_the_requests_own_fault_harms_no_account(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    for error, status in (("invalid_request_body", 400), ("model_max_prompt_tokens_exceeded", 400)):
        world.twin.add_fault(Fault(path="/chat/completions", error=error))
        answer = await world.ask("/v1/chat/completions", chat(error))
        assert answer.status == status
    assert len(used(world)) == 2
    assert [account.status for account in world.app.accounts.accounts] == ["active"] * 3


async def test_quota_that_is_used_up_rests_what_costs_only(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=1)
    world.twin.add_fault(Fault(path="/v1/messages", error="quota_exceeded"))
    answer = await world.ask("/v1/messages", messages("hello", model="claude-sonnet-4.5"))
    assert answer.status == 429
    assert error_of(answer)["type"] == "billing_error"
    assert world.app.accounts.accounts[0].status == "exhausted"
    again = await world.ask("/v1/messages", messages("hello", model="claude-sonnet-4.5"))
    assert (again.status, len(world.calls())) == (429, 1)
    free = await world.ask("/v1/chat/completions", chat("hello", model="gpt-4.1"))
    assert free.status == 200


@pytest.mark.parametrize("moves", [True, False])
async def test_whether_a_used_up_quota_moves_a_request_is_a_setting(nursery: trio.Nursery, moves: bool) -> None:
    config = Config(accounts=AccountSettings(failover_on_quota=moves))
    world = World(nursery, accounts=2, config=config)
    world.twin.add_fault(Fault(path="/v1/messages", error="quota_exceeded"))
    for _ in range(2):
        answer = await world.ask("/v1/messages", messages("hello", model="claude-sonnet-4.5"), SESSION)
        assert answer.status == (200 if moves else 429)
    assert len(used(world)) == (3 if moves else 1)


async def test_a_dead_credential_costs_one_account_only(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    first = world.app.accounts.accounts[0]
    world.twin.accounts.apply(AccountChange(login=first.record.login, revoked=True))
    answer = await world.ask("/v1/chat/completions", chat("hello"))
    assert answer.status == 200
    assert (first.status, world.app.accounts.accounts[1].status) == ("banned", "active")
    assert "token" in first.status_message


async def test_a_warning_stops_its_conversations_and_no_others(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    other = ("x-session-id", "ses_2")
    await world.ask("/v1/chat/completions", chat("hello"), SESSION)
    nearly_empty = {"x-quota-snapshot-premium_interactions": "ent=100&ov=0.0&ovPerm=false&rem=1.0&totRem=1"}
    world.app.accounts.heard(world.app.accounts.accounts[0], nearly_empty)
    await world.ask("/v1/chat/completions", chat("hello"), other)
    warned, going_on = used(world)
    assert warned != going_on
    world.twin.add_fault(Fault(path="/chat/completions", account=warned, error="tos_block"))
    for _ in range(2):
        answer = await world.ask("/v1/chat/completions", chat("hello"), SESSION)
        assert answer.status == 403
        await trio.sleep(2 * 3600)  # longer than affinity lasts
    assert (await world.ask("/v1/chat/completions", chat("hello"), other)).status == 200
    assert used(world) == [warned, going_on, warned, going_on]
    account = next(one for one in world.app.accounts.accounts if one.record.login == warned)
    assert account.status == "banned"
    world.app.accounts.acknowledge(account)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200


async def test_all_limited_is_said_with_each_ones_reason(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    for seconds in ("400", "300"):
        world.twin.add_fault(Fault(path="/chat/completions", error="rate_limited", headers={"retry-after": seconds}))
    answer = await world.ask("/v1/chat/completions", chat("hello"))
    assert answer.status == 429
    assert all(account.label in str(error_of(answer)["message"]) for account in world.app.accounts.accounts)
    assert 290 <= int(answer.headers["retry-after"]) <= 300
    await trio.sleep(10)
    again = await world.ask("/v1/chat/completions", chat("hello"))
    assert (again.status, len(world.calls())) == (429, 2)


async def test_a_short_cooldown_of_all_is_waited_for(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    for account in world.app.accounts.accounts:
        world.twin.add_fault(
            Fault(
                path="/chat/completions",
                account=account.record.login,
                error="rate_limited",
                headers={"retry-after": "20"},
            )
        )
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 429
    began = trio.current_time()
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200
    assert trio.current_time() - began <= 26


async def test_a_key_keeps_its_requests_in_its_group(nursery: trio.Nursery) -> None:
    keys = (
        ApiKey("one", hash_key("key-one"), group="solo"),
        ApiKey("two", hash_key("key-two"), account="a1"),
        ApiKey("lost", hash_key("key-lost"), group="nowhere"),
    )
    world = World(nursery, accounts=3, access=Access(keys=keys))
    third = world.app.accounts.accounts[2]
    world.app.accounts.regroup({"solo": (third.id,)})
    for _ in range(3):
        answer = await world.ask("/v1/chat/completions", chat("hello"), ("x-api-key", "key-one"))
        assert answer.headers["x-copilot-trio-account"] == third.label
    world.twin.add_fault(
        Fault(
            path="/chat/completions", account=third.record.login, error="rate_limited", headers={"retry-after": "300"}
        )
    )
    limited = await world.ask("/v1/chat/completions", chat("hello"), ("x-api-key", "key-one"))
    assert limited.status == 429
    assert {record.account for record in world.calls()} == {third.record.login}
    other = await world.ask("/v1/chat/completions", chat("hello"), ("x-api-key", "key-two"))
    assert other.headers["x-copilot-trio-account"] == "work"
    lost = await world.ask("/v1/chat/completions", chat("hello"), ("x-api-key", "key-lost"))
    assert lost.status == 403
    assert "nowhere" in str(error_of(lost)["message"])


async def test_a_model_is_asked_for_where_it_is_offered(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    first, second = world.app.accounts.accounts
    world.twin.accounts.apply(AccountChange(login=first.record.login, models=["gpt-4.1"]))
    for _ in range(2):
        answer = await world.ask("/v1/messages", messages("hello", model="claude-sonnet-4.5"))
        assert answer.headers["x-copilot-trio-account"] == second.label
    listed = msgspec.json.decode((await world.ask_get("/v1/models")).body)
    assert "claude-sonnet-4.5" in [model["id"] for model in listed["data"]]
    nobody = await world.ask("/v1/messages", messages("hello", model="claude-none-9"))
    assert nobody.status == 404
    assert "none of the accounts" in str(error_of(nobody)["message"])


async def test_starts_of_an_account_are_a_second_apart(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    answers: list[int] = []

    async def ask(number: int) -> None:
        answer = await world.ask("/v1/chat/completions", chat(f"hello {number}"), ("x-session-id", str(number % 2)))
        answers.append(answer.status)

    async with trio.open_nursery() as asking:
        for number in range(10):
            asking.start_soon(ask, number)
    assert answers == [200] * 10
    for login in set(used(world)):
        times = sorted(record.received for record in world.calls() if record.account == login)
        assert all(later - earlier >= 0.99 for earlier, later in pairwise(times))


async def test_three_failures_in_a_row_rest_an_account(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=1)
    for _ in range(3):
        world.twin.add_fault(Fault(path="/chat/completions", status=500, body="no"))
        await world.ask("/v1/chat/completions", chat("hello"))
    answer = await world.ask("/v1/chat/completions", chat("hello"))
    assert (answer.status, len(world.calls())) == (503, 3)
    assert "in a row" in str(error_of(answer)["message"])
    assert world.app.accounts.accounts[0].status == "error"
    await trio.sleep(61)
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200


async def test_an_account_is_removed_under_a_running_answer(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    world.twin.add_fault(Fault(path="/chat/completions", stall=50))

    async def remove() -> None:
        await trio.sleep(10)
        world.app.accounts.remove(world.app.accounts.accounts[0].id)

    nursery.start_soon(remove)
    answer = await world.ask("/v1/chat/completions", chat("hello", stream=True), SESSION)
    assert b"was removed" in answer.body
    assert all(account.in_flight == 0 for account in world.app.accounts.accounts)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200


@pytest.mark.parametrize("accounts", [1, 2])
async def test_a_hundred_requests_at_expiry_make_one_exchange(nursery: trio.Nursery, accounts: int) -> None:
    config = Config(concurrency={"default": 100}, accounts=AccountSettings(start_gap=0))
    world = World(nursery, accounts=accounts, config=config)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    await trio.sleep(2000)
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status)

    async with trio.open_nursery() as asking:
        for _ in range(100):
            asking.start_soon(ask)
    assert statuses == [200] * 100
    assert len(world.calls("/copilot_internal/v2/token")) == 2


async def test_a_hundred_refused_tokens_are_renewed_by_one_exchange(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(concurrency={"default": 100}))
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200
    world.twin.add_fault(Fault(path="/chat/completions", error="token_expired", times=100))
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", delay=5))  # until then all have been refused
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hello"))).status)

    async with trio.open_nursery() as asking:
        for _ in range(100):
            asking.start_soon(ask)
    assert statuses == [200] * 100
    assert len(world.calls("/copilot_internal/v2/token")) == 2


@pytest.mark.parametrize("phase", ["cooldown", "turn", "move"])
async def test_who_leaves_while_waiting_gives_everything_back(nursery: trio.Nursery, phase: str) -> None:
    slow = AccountSettings(start_gap=25, move_delay=(20, 20))
    world = World(nursery, accounts=2, config=Config(accounts=slow))
    accounts = world.app.accounts.accounts
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    owner = next(account for account in accounts if account.record.login == used(world)[0])
    if phase == "cooldown":
        for account in accounts:
            account.rest(25, RateLimited("too fast"))
    elif phase == "move":
        owner.rest(3000, RateLimited("too fast"))
    client = await world.client()
    await post(client.stream, "/v1/chat/completions", msgspec.json.encode(chat("hello", stream=True)), SESSION)
    await trio.sleep(15)
    assert client.stream is not None
    await client.stream.aclose()
    await trio.sleep(1)
    assert [account.in_flight for account in accounts] == [0, 0]
    assert [account.reserved for account in accounts] == [0, 0]
    assert all(queue.active == queue.queued == 0 for queue in world.app.queues.snapshot().values())
    await trio.sleep(60)
    assert len(used(world)) == 1
    began = trio.current_time()
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    assert trio.current_time() - began <= 20  # of a move; a turn is free at once


async def test_who_waits_in_vain_for_a_turn_is_served_by_another(nursery: trio.Nursery) -> None:
    config = Config(accounts=AccountSettings(start_gap=20), timeouts=TimeoutSettings(wait=30))
    world = World(nursery, accounts=2, config=config)
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status)

    async with trio.open_nursery() as clients:
        for _ in range(4):
            clients.start_soon(ask)
    assert statuses == [200] * 4


async def test_a_removed_account_hands_over_what_it_has_not_sent(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2, config=Config(accounts=AccountSettings(start_gap=20)))
    first = world.app.accounts.accounts[0]
    statuses: list[int] = []

    async def ask() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status)

    wake(nursery, 10, lambda: world.app.accounts.remove(first.id))
    async with trio.open_nursery() as clients:
        for _ in range(2):
            clients.start_soon(ask)
    assert statuses == [200, 200]


async def test_a_refresh_that_github_limits_keeps_the_account_in_use(nursery: trio.Nursery) -> None:
    world = World(nursery)
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200
    account = world.app.accounts.accounts[0]
    assert account.token is not None
    await trio.sleep(account.token.refresh - trio.current_time() + 1)
    headers = {"retry-after": "600"}
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", status=429, body="slow", headers=headers, times=None))
    assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200
    assert account.status == "active"


async def test_a_cooldown_that_begins_during_a_repair_moves_the_request(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    first = world.app.accounts.accounts[0]
    world.twin.add_fault(Fault(path="/chat/completions", error="row22"))
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", delay=5))
    wake(nursery, 3, lambda: world.app.accounts.judge(first, refusal(429, "rate_limited", 600)))
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200


async def test_a_model_that_one_account_refuses_at_every_endpoint_is_asked_on_the_next(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    body = {"model": "gpt-5.3-codex", "input": "hello"}
    assert (await world.ask("/v1/responses", body, SESSION)).status == 200
    world.twin.add_fault(Fault(path="/responses", error="unsupported_api_for_model"))
    for _ in range(2):
        assert (await world.ask("/v1/responses", body, SESSION)).status == 200
    first, refused, *others = [record.account for record in world.twin.records.to("/responses")]
    assert first == refused
    assert len(others) == 2
    assert set(others) == {account.record.login for account in world.app.accounts.accounts} - {first}


async def test_a_conversation_stays_where_its_prompt_is_cached_though_another_was_tried(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    (first,) = used(world)
    other = next(a.record.login for a in world.app.accounts.accounts if a.record.login != first)
    world.twin.add_fault(
        Fault(path="/chat/completions", account=first, error="rate_limited", headers={"retry-after": "60"})
    )
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", account=other, status=502, body="no"))
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 429
    await trio.sleep(61)
    assert (await world.ask("/v1/chat/completions", chat("hello"), SESSION)).status == 200
    assert used(world) == [first, first, first]
