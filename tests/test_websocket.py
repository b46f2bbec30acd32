"""The Responses API over a WebSocket, through the whole proxy to the twin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from memory_network import get, read_response
from trio_websocket import ConnectionClosed, WebSocketConnection, wrap_client_stream
from world import World, error_of

from copilot_trio.config import ApiKey, Config
from copilot_trio.server.auth import Access, hash_key

MODEL = "gpt-5.3-codex"
ENDINGS = {"response.completed", "response.failed", "response.incomplete"}
UPGRADE = (
    ("connection", "Upgrade"),
    ("upgrade", "websocket"),
    ("sec-websocket-version", "13"),
    ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
)


@asynccontextmanager
async def websocket(world: World, *headers: tuple[str, str]) -> AsyncIterator[WebSocketConnection]:
    stream = await world.downstream.connect()
    async with trio.open_nursery() as nursery:
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        socket = await wrap_client_stream(
            nursery,
            stream,  # type: ignore[arg-type]
            "localhost",
            "/v1/responses",
            extra_headers=encoded,
            max_message_size=1 << 24,
        )
        try:
            yield socket
        finally:
            with trio.move_on_after(5, shield=True):
                await socket.aclose()
            await trio.aclose_forcefully(stream)
            nursery.cancel_scope.cancel()


async def refused(world: World, *headers: tuple[str, str]) -> int:
    """The status of a refused handshake."""
    stream = await world.downstream.connect()
    await get(stream, "/v1/responses", *UPGRADE, *headers)
    return (await read_response(stream, "GET")).status


def create(prompt: str, *, model: str = MODEL, **fields: object) -> dict[str, object]:
    message = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]}
    return {"type": "response.create", "model": model, "store": False, "input": [message], **fields}


async def ask(socket: WebSocketConnection, frame: object) -> list[dict[str, Any]]:
    """The frames of one answer, up to its end."""
    await socket.send_message(frame if isinstance(frame, str) else msgspec.json.encode(frame).decode())
    frames: list[dict[str, Any]] = []
    while not frames or not (frames[-1]["type"] in ENDINGS or "status" in frames[-1]):
        frames.append(msgspec.json.decode(await socket.get_message()))
    return frames


def text_of(frames: list[dict[str, Any]]) -> str:
    return "".join(frame["delta"] for frame in frames if frame["type"] == "response.output_text.delta")


async def test_a_turn(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with websocket(world) as socket:
        frames = await ask(socket, create("SCENARIO:text REPLY=hello"))
    assert text_of(frames) == "hello"
    assert [frame["type"] for frame in frames[:2]] == ["response.created", "response.in_progress"]
    assert frames[-1]["type"] == "response.completed"
    assert frames[0]["response"]["id"] == frames[-1]["response"]["id"]
    [call] = world.calls("/responses")
    assert call.headers["x-initiator"] == "user"
    assert "type" not in msgspec.json.decode(call.body)


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro", "gpt-5-mini"])
async def test_every_model_answers(nursery: trio.Nursery, model: str) -> None:
    async with websocket(World(nursery)) as socket:
        frames = await ask(socket, create("SCENARIO:text REPLY=hello", model=model))
    assert text_of(frames) == "hello"
    assert frames[-1]["response"]["model"] == model or model in {"claude-sonnet-4.5", "gpt-4.1", "gpt-5-mini"}


async def test_a_conversation_is_kept_by_the_connection(nursery: trio.Nursery) -> None:
    world = World(nursery)
    tool = {
        "type": "function",
        "name": "write_file",
        "parameters": {"type": "object", "properties": {"path": {"type": "string"}, "content": {"type": "string"}}},
    }
    async with websocket(world) as socket:
        frames = await ask(socket, create("SCENARIO:tool FILE=a.txt CONTENT=c", tools=[tool]))
        call = next(item for item in frames[-1]["response"]["output"] if item["type"] == "function_call")
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}
        previous = frames[-1]["response"]["id"]
        frames = await ask(
            socket, {"type": "response.create", "model": MODEL, "tools": [tool], "input": [output],
                     "previous_response_id": previous}
        )  # fmt: skip
    assert text_of(frames) == "RIG-DONE c"
    first, second = world.calls("/responses")
    assert (first.headers["x-initiator"], second.headers["x-initiator"]) == ("user", "agent")
    kinds = [item["type"] for item in msgspec.json.decode(second.body)["input"]]
    assert kinds[0] == "message"
    assert kinds[-2:] == ["function_call", "function_call_output"]


async def test_a_warm_up_costs_nothing(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with websocket(world) as socket:
        frames = await ask(socket, create("be helpful", generate=False))
        assert [frame["type"] for frame in frames] == [
            "response.created",
            "response.in_progress",
            "response.completed",
        ]
        assert world.calls("/responses") == []
        previous = frames[-1]["response"]["id"]
        frames = await ask(socket, create("SCENARIO:text REPLY=warm", previous_response_id=previous))
    assert text_of(frames) == "warm"
    [call] = world.calls("/responses")
    assert len(msgspec.json.decode(call.body)["input"]) == 2


async def test_an_unknown_previous_response(nursery: trio.Nursery) -> None:
    async with websocket(World(nursery)) as socket:
        [frame] = await ask(socket, create("hi", previous_response_id="resp_nobody"))
        assert (frame["type"], frame["status"], frame["error"]["code"]) == ("error", 400, "previous_response_not_found")
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=on"))) == "on"


@pytest.mark.parametrize("frame", ["", "{", "[]", '{"type":"nonsense"}', '{"type":"response.create"}'])
async def test_a_bad_frame_is_answered_and_the_connection_lives_on(nursery: trio.Nursery, frame: str) -> None:
    async with websocket(World(nursery)) as socket:
        [answer] = await ask(socket, frame)
        assert (answer["type"], answer["status"]) == ("error", 400)
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=on"))) == "on"


async def test_an_unknown_model(nursery: trio.Nursery) -> None:
    async with websocket(World(nursery)) as socket:
        [frame] = await ask(socket, create("hi", model="nobody"))
    assert (frame["status"], frame["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize(("scenario", "status"), [("ra429x9s7", 429), ("err400", 400), ("err503", 503)])
async def test_a_refusal_has_its_status(nursery: trio.Nursery, scenario: str, status: int) -> None:
    async with websocket(World(nursery)) as socket:
        [frame] = await ask(socket, create(f"SCENARIO:{scenario}"))
    assert (frame["type"], frame["status"]) == ("error", status)
    assert frame["headers"].get("retry-after") == ("7" if status == 429 else None)


@pytest.mark.parametrize("scenario", ["errmid", "truncate", "cut"])
async def test_a_failure_in_mid_answer_is_an_event(nursery: trio.Nursery, scenario: str) -> None:
    async with websocket(World(nursery)) as socket:
        frames = await ask(socket, create(f"SCENARIO:{scenario}"))
        assert frames[-1]["type"] == "response.failed"
        assert len(frames) > 1
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=on"))) == "on"


async def test_a_client_that_leaves_stops_its_request(nursery: trio.Nursery) -> None:
    world = World(nursery)
    stream = await world.downstream.connect()
    async with trio.open_nursery() as inner:
        socket = await wrap_client_stream(inner, stream, "localhost", "/v1/responses")  # type: ignore[arg-type]
        await socket.send_message(msgspec.json.encode(create("SCENARIO:slow60")).decode())
        await trio.testing.wait_all_tasks_blocked()
        await trio.aclose_forcefully(stream)
        inner.cancel_scope.cancel()
    await trio.testing.wait_all_tasks_blocked()
    [call] = world.calls("/responses")
    assert call.outcome == "peer left"


async def test_a_stopping_server_closes_idle_connections(nursery: trio.Nursery) -> None:
    world = World(nursery)
    async with websocket(world) as socket:
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=on"))) == "on"
        world.app.server.stop()
        with trio.fail_after(5), pytest.raises(ConnectionClosed):
            await socket.get_message()


async def test_without_an_upgrade_it_is_said_that_one_is_wanted(nursery: trio.Nursery) -> None:
    world = World(nursery)
    stream = await world.downstream.connect()
    await get(stream, "/v1/responses")
    assert (await read_response(stream, "GET")).status == 426


@pytest.mark.parametrize("left_out", ["connection", "sec-websocket-version", "sec-websocket-key"])
async def test_half_a_handshake_is_refused(nursery: trio.Nursery, left_out: str) -> None:
    stream = await World(nursery).downstream.connect()
    await get(stream, "/v1/responses", *(header for header in UPGRADE if header[0] != left_out))
    assert (await read_response(stream, "GET")).status == 400


async def test_switched_off_it_answers_what_makes_codex_fall_back(nursery: trio.Nursery) -> None:
    stream = await World(nursery, config=Config(websocket=False)).downstream.connect()
    await get(stream, "/v1/responses", *UPGRADE)
    answer = await read_response(stream, "GET")
    assert answer.status == 426
    assert error_of(answer)["code"] == "websocket_not_served"


async def test_a_key_is_wanted_before_the_upgrade(nursery: trio.Nursery) -> None:
    world = World(nursery, access=Access(keys=(ApiKey("k", hash_key("secret")),)))
    assert await refused(world) == 401
    async with websocket(world, ("authorization", "Bearer secret")) as socket:
        assert text_of(await ask(socket, create("SCENARIO:text REPLY=in"))) == "in"


async def test_a_web_page_of_another_origin_is_kept_out(nursery: trio.Nursery) -> None:
    assert await refused(World(nursery), ("origin", "https://elsewhere.example")) == 403
