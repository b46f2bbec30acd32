"""Live events over a WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from memory_network import get, read_response
from monitoring_of import KEYS, bearer
from test_websocket import UPGRADE
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from world import World, chat

from copilot_trio.admin.live import MAX_CLIENTS, PULSE
from copilot_trio.twin import Fault
from copilot_trio.usage.journal import EVENTS


@asynccontextmanager
async def live(world: World, *headers: tuple[str, str]) -> AsyncIterator[WebSocketConnection]:
    stream = await world.downstream.connect()
    async with trio.open_nursery() as nursery:
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        socket = await wrap_client_stream(
            nursery,
            stream,  # type: ignore[arg-type]
            "localhost",
            "/api/live",
            extra_headers=encoded,
        )
        try:
            yield socket
        finally:
            with trio.move_on_after(5, shield=True):
                await socket.aclose()
            await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


async def message(socket: WebSocketConnection) -> dict[str, Any]:
    decoded = msgspec.json.decode(await socket.get_message())
    assert isinstance(decoded, dict)
    return decoded


async def until(socket: WebSocketConnection, kind: str) -> dict[str, Any]:
    while (found := await message(socket))["type"] != kind:
        pass
    return found


async def test_it_begins_with_a_snapshot(nursery: trio.Nursery) -> None:
    world = World(nursery, accounts=2)
    await world.ask("/v1/chat/completions", chat("hi"))
    async with live(world) as socket:
        snapshot = await message(socket)
    assert (snapshot["type"], snapshot["requests"]) == ("snapshot", [])
    assert snapshot["at"] == pytest.approx(world.now() * 1000, abs=5000)
    assert [account["label"] for account in snapshot["accounts"]] == ["work", "side project"]
    assert snapshot["queues"]["gpt-4.1"] == {"active": 0, "queued": 0, "maxConcurrency": 10, "totalRequests": 1}
    assert world.app.accounts.accounts[0].record.github_token not in msgspec.json.encode(snapshot).decode()


async def test_a_request_is_told_of_when_it_begins_and_when_it_ends(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", delay=30))
    async with live(world) as socket:
        await message(socket)
        nursery.start_soon(world.ask, "/v1/chat/completions", chat("hi", stream=True))
        begun = await message(socket)
        assert (begun["type"], begun["request"]["model"], begun["request"]["stream"]) == (
            "request_begun",
            "gpt-4.1",
            True,
        )
        queues = await until(socket, "queues")
        assert queues["queues"]["gpt-4.1"]["active"] == 1
        async with live(world) as other:
            assert [each["id"] for each in (await message(other))["requests"]] == [begun["request"]["id"]]
        ended = await until(socket, "request_ended")
        assert (ended["request"]["id"], ended["request"]["status"]) == (begun["request"]["id"], 200)
        assert (await until(socket, "queues"))["queues"]["gpt-4.1"]["active"] == 0


async def test_an_account_that_changes_is_told_of_with_the_cause(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body="slow", headers={"retry-after": "600"}))
    async with live(world) as socket:
        await message(socket)
        await world.ask("/v1/chat/completions", chat("hi"))
        told = await until(socket, "account")
    assert (told["account"]["label"], told["account"]["status"]) == ("work", "rate_limited")
    assert "limits the rate" in told["cause"]
    assert world.app.accounts.accounts[0].record.github_token not in msgspec.json.encode(told).decode()


async def test_a_quiet_hour_has_a_pulse(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with live(world) as socket:
        began = trio.current_time()
        await message(socket)
        assert (await message(socket))["type"] == "pulse"
        assert PULSE <= trio.current_time() - began <= PULSE + 2


async def test_who_does_not_read_holds_nothing_up_and_begins_anew(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with live(world) as socket:
        await message(socket)
        for _ in range(EVENTS + 7):  # all at once: its task cannot run meanwhile
            world.app.journal.tell("account")
        assert (await message(socket))["type"] == "lost"
        assert (await message(socket))["type"] == "snapshot"
        await world.ask("/v1/chat/completions", chat("hi"))
        assert (await message(socket))["type"] == "request_begun"


async def test_what_a_client_says_is_of_no_interest(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with live(world) as socket:
        await message(socket)
        await socket.send_message("hello?")
        assert (await message(socket))["type"] == "pulse"


async def test_a_client_that_leaves_is_forgotten(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with live(world) as socket:
        await message(socket)
        assert world.app.journal.events.followers == 1
    await trio.sleep(3)
    assert world.app.journal.events.followers == 0


async def test_it_ends_when_the_server_stops(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with live(world) as socket:
        await message(socket)
        world.app.server.stop()
        with trio.fail_after(5), pytest.raises(ConnectionClosed) as closed:
            await message(socket)
    assert closed.value.reason is not None
    assert closed.value.reason.code == 1001


async def refused(world: World, *headers: tuple[str, str]) -> int:
    stream = await world.downstream.connect()
    await get(stream, "/api/live", *headers)
    return (await read_response(stream, "GET")).status


async def test_who_may_watch(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    assert await refused(world, *UPGRADE) == 401
    assert await refused(world, *UPGRADE, bearer("inference-key")) == 403
    assert await refused(world, *UPGRADE, bearer("admin-key"), ("origin", "https://evil.example")) == 403
    assert await refused(world, bearer("admin-key")) == 426
    async with live(world, bearer("admin-key")) as socket:
        assert (await message(socket))["type"] == "snapshot"


async def test_only_so_many_may_watch(nursery: trio.Nursery) -> None:
    world = World(nursery)
    for _ in range(MAX_CLIENTS):
        stream = await world.downstream.connect()
        await get(stream, "/api/live", *UPGRADE)
    await trio.testing.wait_all_tasks_blocked()
    assert await refused(world, *UPGRADE) == 503
