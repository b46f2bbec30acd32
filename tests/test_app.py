from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
import trio
from memory_network import get
from world import World, chat

from copilot_trio.app import CannotListen, _harmless, connection_cap, serve
from copilot_trio.config import ApiKey
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.twin import Fault

ROUTES = (Path(__file__).parent.parent / "docs" / "api.md").read_text()


async def test_every_route_is_documented(nursery: trio.Nursery) -> None:
    for route in World(nursery).app.router.routes():
        path = route.pattern.removeprefix("/copilot").removeprefix("/v1").replace("/admin/accounts", "/api/accounts")
        if path != "/responses":  # answered only to say that it is not there yet
            assert path in ROUTES, f"docs/api.md does not mention {route.pattern}"


async def test_health_says_more_to_who_may_know(nursery: trio.Nursery) -> None:
    locked = World(nursery, access=Access(keys=(ApiKey("k", hash_key("secret"), ("inference",)),)))
    client = await locked.client()
    await get(client.stream, "/health")
    assert msgspec.json.decode((await client.response("GET")).body) == {"status": "ok"}
    open_to_all = await World(nursery).client()
    await get(open_to_all.stream, "/health")
    health = msgspec.json.decode((await open_to_all.response("GET")).body)
    assert health["accounts"] == {"total": 1, "active": 1}
    assert health["upstream"] == {"reachable": None}
    of_codex_proxy = {"total", "active", "account", "configPath"}
    assert health.keys() == {"status", "version", "uptime", "accounts", "upstream", *of_codex_proxy}


async def test_a_paused_account_is_not_active(nursery: trio.Nursery) -> None:
    client = await World(nursery, paused="spammy_user").client()
    await get(client.stream, "/health")
    assert msgspec.json.decode((await client.response("GET")).body)["accounts"]["active"] == 0


@pytest.mark.parametrize(("path", "status"), [("/", 200), ("/api/hello", 204), ("/v1/models", 200)])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_what_can_be_looked_at(nursery: trio.Nursery, method: str, path: str, status: int) -> None:
    client = await World(nursery).client()
    await get(client.stream, path, method=method)
    answer = await client.response(method)
    assert answer.status == status
    assert method == "GET" or answer.body == b""


async def test_a_model_is_shown_in_both_shapes_under_any_of_its_names(nursery: trio.Nursery) -> None:
    client = await World(nursery).client()
    await get(client.stream, "/v1/models/claude-sonnet-4-5")
    model = msgspec.json.decode((await client.response("GET")).body)
    assert (model["id"], model["object"], model["type"]) == ("claude-sonnet-4.5", "model", "model")
    assert model["copilot"]["endpoints"] == ["/chat/completions", "/v1/messages"]
    assert model["copilot"]["max_output_tokens"] == 32000


async def test_the_list_has_what_both_sdks_read(nursery: trio.Nursery) -> None:
    client = await World(nursery).client()
    await get(client.stream, "/v1/models?limit=1000")
    page = msgspec.json.decode((await client.response("GET")).body)
    assert (page["object"], page["has_more"]) == ("list", False)
    assert page["first_id"] == page["data"][0]["id"]
    assert {"gpt-5.3-codex", "text-embedding-3-small"} <= {model["id"] for model in page["data"]}


async def test_a_list_that_cannot_be_had_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/models", status=503, body="down"))
    client = await world.client()
    await get(client.stream, "/v1/models")
    assert (await client.response("GET")).status == 503


async def test_a_task_beside_the_server_can_fail_without_harm(caplog: pytest.LogCaptureFixture) -> None:
    async def broken() -> None:
        await trio.lowlevel.checkpoint()
        raise RuntimeError("oops")

    await _harmless(broken)
    assert "oops" in caplog.text


@pytest.mark.real_clock
async def test_an_address_that_is_not_ours_is_said_to_be(nursery: trio.Nursery) -> None:
    with pytest.raises(CannotListen, match=r"192\.0\.2\.1"):
        await serve(World(nursery).app, "192.0.2.1", 0, on_listening=lambda _host, _port: None)


async def test_closing_the_app_closes_its_connections(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    await world.app.aclose()
    assert repr(world.app.accounts.accounts[0].pool) == "<AccountPool 0 active, 0 idle, 0 draining>"


def test_the_connection_cap_leaves_descriptors_for_the_rest() -> None:
    assert connection_cap(10) == 10
    assert 1 <= connection_cap(10_000_000) < 10_000_000
