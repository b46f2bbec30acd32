from __future__ import annotations

import itertools

import pytest
import trio
from memory_network import MemoryListener

from copilot_trio.accounts.account import Hosts
from copilot_trio.config import Config, Identity
from copilot_trio.errors import UpstreamError
from copilot_trio.github.device import DeviceFlowFailed, poll_for_token, request_code
from copilot_trio.server.listen import Limits, Server
from copilot_trio.twin import Fault, Twin
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

BASE = "http://127.0.0.1:1"
HOSTS = Hosts(BASE, BASE)
IDENTITY: Identity = Config().identity


def world(nursery: trio.Nursery) -> tuple[Twin, AccountPool]:
    twin = Twin(now=lambda: 1_790_000_000 + trio.current_time(), monotonic=trio.current_time)
    twin.base_url = BASE
    listener = MemoryListener()
    nursery.start_soon(Server(twin.handle, Limits()).serve, [listener])

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return await listener.connect()

    return twin, AccountPool(dial, shared_context)


async def test_a_person_enters_the_code_and_the_token_comes(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    assert code.verification_uri == f"{BASE}/login/device"
    assert code.device_code not in repr(code)

    async def person() -> None:
        await trio.sleep(60)
        twin.approve(code.user_code)

    nursery.start_soon(person)
    assert (await poll_for_token(pool, HOSTS, IDENTITY, code)).startswith("ghu_")
    assert trio.current_time() < 70


async def test_polling_keeps_to_the_interval(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    with trio.move_on_after(100):
        await poll_for_token(pool, HOSTS, IDENTITY, code)
    polls = [record for record in twin.records if record.path == "/login/oauth/access_token"]
    gaps = {round(b.received - a.received, 3) for a, b in itertools.pairwise(polls)}
    assert gaps == {6.0}


async def test_slow_down_is_obeyed_for_the_rest_of_the_flow(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    for body in ({"error": "slow_down", "interval": 20}, {"error": "slow_down"}):
        twin.add_fault(Fault(path="/login/oauth/access_token", status=200, body=body))
    with trio.move_on_after(120):
        await poll_for_token(pool, HOSTS, IDENTITY, code)
    polls = [record.received for record in twin.records if record.path == "/login/oauth/access_token"]
    assert [round(b - a) for a, b in itertools.pairwise(polls)][:3] == [21, 26, 26]


async def test_a_refusal_ends_the_flow(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    twin.add_fault(Fault(path="/login/oauth/access_token", status=200, body={"error": "access_denied"}))
    with pytest.raises(DeviceFlowFailed, match="refused at GitHub"):
        await poll_for_token(pool, HOSTS, IDENTITY, code)


async def test_a_code_that_runs_out_ends_the_flow_on_our_own_clock(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    pending = {"error": "authorization_pending"}
    twin.add_fault(Fault(path="/login/oauth/access_token", status=200, body=pending, times=None))
    with pytest.raises(DeviceFlowFailed, match="start again"):
        await poll_for_token(pool, HOSTS, IDENTITY, code)
    assert trio.current_time() == pytest.approx(code.expires_in, abs=7)


async def test_an_outage_between_two_polls_costs_no_code(nursery: trio.Nursery) -> None:
    twin, pool = world(nursery)
    code = await request_code(pool, HOSTS, IDENTITY)
    twin.add_fault(Fault(path="/login/oauth/access_token", status=503, body="<html>"))
    twin.add_fault(Fault(path="/login/oauth/access_token", status=200, body="<html>not JSON"))
    twin.approve(code.user_code)
    assert await poll_for_token(pool, HOSTS, IDENTITY, code)


@pytest.mark.parametrize("fault", [Fault(status=500, body="x"), Fault(status=200, body="not json")])
async def test_a_code_that_cannot_be_had_is_an_error(nursery: trio.Nursery, fault: Fault) -> None:
    twin, pool = world(nursery)
    twin.add_fault(fault)
    with pytest.raises(UpstreamError, match="sign-in code"):
        await request_code(pool, HOSTS, IDENTITY)
