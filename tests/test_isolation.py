"""Accounts are kept apart: own connections, own ids, own way out, for every call that is made for them."""

from __future__ import annotations

import msgspec
import pytest
import trio
from memory_network import post
from world import World, chat

from copilot_trio.accounts.account import Account
from copilot_trio.config import AccountSettings, Config
from copilot_trio.errors import RateLimited
from copilot_trio.twin import Fault
from copilot_trio.upstream.egress import Egress
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context

CALLS = {"/chat/completions", "/models", "/copilot_internal/v2/token", "/copilot_internal/user", "/_ping"}


class Ways:
    """Each account's own way out, with what went over it."""

    def __init__(self, world: World) -> None:
        self.dials: dict[str, int] = {}
        for account in world.app.accounts.accounts:
            account.change(machine_id=f"machine of {account.record.login}")
            self._separate(world, account)

    def _separate(self, world: World, account: Account) -> None:
        async def dial(host: str, port: int) -> trio.abc.Stream:
            self.dials[account.record.login] = self.dials.get(account.record.login, 0) + 1
            return await world.upstream.connect()

        egress = Egress(dial, f"the way of {account.id}", proxied=True)
        account.pool = AccountPool(egress.dial, shared_context, Timeouts())
        account.egress, account.proxied = egress.key, egress.proxied


async def test_no_call_carries_another_accounts_ids(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    ways = Ways(world)
    sessions = {account.record.login: account.session_id for account in world.app.accounts.accounts}
    nursery.start_soon(world.app.keep)
    for account in world.app.accounts.accounts:
        world.twin.add_fault(Fault(path="/chat/completions", account=account.record.login, stall=100))
    for number in range(3):
        client = await world.client()
        body = msgspec.json.encode(chat("hello", stream=True))
        await post(client.stream, "/v1/chat/completions", body, ("x-session-id", str(number)))
        await trio.sleep(5)
        for account in world.app.accounts.accounts:
            if account.in_flight:
                account.rest(1000, RateLimited("enough"))
    await trio.sleep(400)
    seen = {(record.account, record.path) for record in world.twin.records}
    assert seen == {(login, path) for login in sessions for path in CALLS}
    for record in world.twin.records:
        assert record.headers["vscode-machineid"] == f"machine of {record.account}"
        assert record.headers["vscode-sessionid"] == sessions[record.account]
    assert len(set(sessions.values())) == 3
    assert ways.dials.keys() == sessions.keys()


async def test_one_accounts_dead_way_out_is_its_own(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    Ways(world)
    first, second = world.app.accounts.accounts

    async def refuse(host: str, port: int) -> trio.abc.Stream:
        raise OSError("the proxy is down")

    first.pool = AccountPool(refuse, shared_context, Timeouts())
    full = {"x-quota-snapshot-premium_interactions": "ent=100&ov=0.0&ovPerm=false&rem=100.0&totRem=100"}
    world.app.accounts.heard(first, full)
    for number in range(5):
        answer = await world.ask("/v1/chat/completions", chat("hello"), ("x-session-id", str(number)))
        assert answer.headers["x-copilot-trio-account"] == second.label
    assert first.status == "error"
    assert second.status == "active"
    assert "the proxy is down" in first.status_message


async def test_accounts_with_the_same_dead_way_out_are_not_tried_in_vain(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=3)
    dials = 0

    async def refuse(host: str, port: int) -> trio.abc.Stream:
        nonlocal dials
        dials += 1
        raise OSError("the proxy is down")

    for account in world.app.accounts.accounts:
        account.pool = AccountPool(refuse, shared_context, Timeouts())
    answer = await world.ask("/v1/chat/completions", chat("hello"))
    assert answer.status == 502
    assert b"the proxy is down" in answer.body
    assert dials == 2  # on a new connection once more, and not through the others


async def test_one_account_alone_is_not_paced(nursery: trio.Nursery) -> None:
    world = World(nursery)
    for _ in range(5):
        assert (await world.ask("/v1/chat/completions", chat("hello"))).status == 200
    assert trio.current_time() < 1


async def test_the_pace_is_a_setting(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2, config=Config(accounts=AccountSettings(start_gap=0)))
    for _ in range(5):
        assert (await world.ask("/v1/chat/completions", chat("hello"), ("x-session-id", "1"))).status == 200
    assert trio.current_time() < 1


async def test_a_frame_tells_of_the_quota_too(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(upstream_websocket=True))
    answer = await world.ask("/v1/responses", {"model": "gpt-5.3-codex", "input": "hello", "stream": True})
    assert answer.status == 200
    quota = world.app.accounts.accounts[0].quota
    assert quota is not None
    assert quota.source == "frame"
    premium = quota.window("premium")
    assert premium is not None
    assert premium.percent_remaining == pytest.approx(70.2, abs=0.5)
