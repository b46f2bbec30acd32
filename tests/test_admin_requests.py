"""The newest requests, as every kind of them is noted on its way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from memory_network import post
from monitoring_of import decoded, told
from test_websocket import ask as ask_frame
from test_websocket import create, websocket
from world import World, chat, messages

from copilot_trio.config import Config
from copilot_trio.twin import Fault


async def newest(world: World) -> dict[str, Any]:
    found = (await told(world, "/api/requests"))["requests"][0]
    assert isinstance(found, dict)
    return found


async def test_a_streamed_request(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/messages?beta=true", messages("hi", model="claude-sonnet-4-5", stream=True))
    request = await newest(world)
    assert (request["endpoint"], request["path"], request["query"]) == ("/v1/messages", "/v1/messages", "beta=true")
    assert (request["model"], request["upstreamModel"]) == ("claude-sonnet-4-5", "claude-sonnet-4.5")
    assert (request["stream"], request["status"], request["errorType"]) == (True, 200, None)
    assert (request["accountLabel"], request["initiator"]) == ("work", "user")
    assert request["inputTokens"] > 0
    assert request["outputTokens"] > 0
    assert request["credits"] is not None
    assert isinstance(request["ttftMs"], int)
    assert len(request["id"]) == 36


@pytest.mark.parametrize(
    ("path", "body", "initiator"),
    [
        ("/chat/completions", chat("hi"), "user"),
        ("/copilot/v1/responses", {"model": "gpt-5.3-codex", "input": "hi"}, "user"),
        ("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"}, "user"),
        (
            "/v1/responses/compact",
            {"model": "gpt-5.3-codex", "input": [{"type": "message", "role": "user", "content": "hi"}]},
            "agent",
        ),
    ],
    ids=["chat", "responses", "embeddings", "compact"],
)
async def test_an_answer_in_one_piece(
    nursery: trio.Nursery, path: str, body: dict[str, object], initiator: str
) -> None:
    world = World(nursery)
    answer = await world.ask(path, body)
    request = await newest(world)
    assert (request["status"], request["stream"], request["ttftMs"]) == (200, False, None)
    assert request["id"] == answer.headers["x-request-id"]
    assert (request["model"], request["upstreamModel"]) == (body["model"], body["model"])
    assert request["initiator"] == initiator
    assert request["inputTokens"] is not None


async def test_counting_is_listed(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/messages/count_tokens", messages("hi"))
    request = await newest(world)
    assert (request["endpoint"], request["accountLabel"]) == ("/v1/messages/count_tokens", None)


async def test_a_request_over_a_websocket(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with websocket(world) as socket:
        await ask_frame(socket, create("hi"))
        request = await newest(world)
    assert (request["method"], request["endpoint"], request["status"]) == ("WS", "/v1/responses", 200)
    assert (request["stream"], request["upstreamModel"]) == (True, "gpt-5.3-codex")


async def test_what_failed_says_how(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body="slow", headers={"retry-after": "600"}))
    await world.ask("/v1/chat/completions", chat("hi"))
    limited = await newest(world)
    assert (limited["status"], limited["accountLabel"]) == (429, "work")
    assert limited["errorType"]
    await world.ask("/v1/chat/completions", b"{")
    broken = await newest(world)
    assert (broken["status"], broken["errorType"], broken["model"]) == (400, "invalid_request", "")
    assert broken["inputTokens"] is None


async def test_a_client_that_leaves(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", delay=60))
    client = await world.client()
    await post(client.stream, "/v1/chat/completions", b'{"model":"gpt-4.1","messages":[{"role":"user","content":"x"}]}')
    await trio.sleep(5)
    assert world.app.journal.running == 1
    await client.stream.aclose()
    await trio.sleep(1)
    request = await newest(world)
    assert (request["status"], request["errorType"]) == (499, "client_left")
    assert world.app.journal.running == 0


async def test_who_is_not_let_in_is_not_listed(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"), ("origin", "https://evil.example"))
    assert (await told(world, "/api/requests"))["requests"] == []


async def test_the_list_is_cleared(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    assert decoded(await world.call("DELETE", "/api/requests")) == {"success": True}
    assert await told(world, "/api/requests") == {"inspecting": False, "requests": []}


async def test_bodies_are_kept_only_where_inspection_is_on(nursery: trio.Nursery) -> None:
    quiet, loud = World(nursery), World(nursery, config=Config(inspect_bodies=True))
    for world in (quiet, loud):
        await world.ask("/v1/chat/completions", chat("my token is ghu_0123456789"), ("x-api-key", "k"))
    assert ((await newest(quiet))["bodyPreview"], (await newest(quiet))["headers"]) == (None, None)
    request = await newest(loud)
    assert "my token is ghu_***" in request["bodyPreview"]
    assert request["headers"]["x-api-key"] == "[redacted]"
    assert (await told(loud, "/api/requests"))["inspecting"] is True


async def test_inspection_is_switched_while_the_server_runs(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, config_file=tmp_path / "config.json")
    for on in (True, False):
        assert (await world.call("PUT", "/api/config", {"inspect_bodies": on})).status == 200
        await world.ask("/v1/chat/completions", chat("hi"))
        requests = (await told(world, "/api/requests"))["requests"]
        assert {request["bodyPreview"] is not None for request in requests} == {on}
