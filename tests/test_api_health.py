from __future__ import annotations

import trio
from accounts_of import an_account
from monitoring_of import told
from world import World, chat

from copilot_trio.accounts.account import Account, CopilotToken
from copilot_trio.api.health import reachable
from copilot_trio.errors import NoAccount, UpstreamUnreachable
from copilot_trio.twin import Fault


def known(label: str) -> Account:
    """It has had a token, so that upstream has answered once."""
    account = an_account(label)
    account.token = CopilotToken("tid=x", 1e9, 1e9, "https://api.example")
    return account


async def test_nobody_knows_before_anything_was_asked() -> None:
    assert reachable([]) is None
    assert reachable([an_account("new")]) is None


async def test_one_that_gets_through_is_enough() -> None:
    failing = known("failing")
    failing.health.failed(trio.current_time(), UpstreamUnreachable("no route"))
    assert reachable([failing]) is False
    assert reachable([failing, an_account("new")]) is False
    assert reachable([failing, known("good")]) is True


async def test_an_account_that_rests_for_its_failures_does_not_get_through() -> None:
    account = known("tired")
    account.rest(60, NoAccount("it failed"), status="error")
    assert reachable([account]) is False


async def test_health_follows_what_becomes_of_requests(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    assert (await told(world, "/health"))["upstream"] == {"reachable": True}
    world.twin.add_fault(Fault(path="/chat/completions", status=503, body="down"))
    world.twin.add_fault(Fault(path="/chat/completions", status=500, body="down"))
    for _ in range(2):
        await world.ask("/v1/chat/completions", chat("hi"))
    assert (await told(world, "/health"))["upstream"] == {"reachable": False}


async def test_an_account_at_its_limit_is_not_active(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    world.app.accounts.accounts[0].rest(60, NoAccount("later"))
    assert (await told(world, "/health"))["accounts"] == {"total": 2, "active": 1}
