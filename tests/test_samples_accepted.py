"""Every recorded request of a real client, through the whole proxy to the twin: accepted, whatever its model is."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from memory_network import get, read_response
from samples_of import Sample, load, names
from test_websocket import UPGRADE, ask, websocket
from world import World

from copilot_trio.config import Config

GENERATES = {"/v1/chat/completions", "/v1/messages", "/v1/responses"}
TARGETS = ("gpt-4.1", "gpt-5-mini", "gpt-5.3-codex", "claude-sonnet-4.5", "claude-opus-4.6", "gemini-2.5-pro")
FRAMES = ("codex_ws_frame1_prewarm", "codex_ws_frame2", "codex_ws_frame3_tool_output")


def mapped_to(target: str) -> Config:
    return Config(model_mapping={"*": target}, web_search_model="gpt-5-mini")


def headers_of(sample: Sample) -> list[tuple[str, str]]:
    unwanted = {"host", "content-length", "content-type", "connection", "accept-encoding", "content-encoding"}
    return [(name, value) for name, value in sample.headers.items() if name.lower() not in unwanted]


def body_of(name: str) -> bytes:
    """Two were recorded while the model was told to fail."""
    body = load(name).body
    for failing in (b"SCENARIO:err400", b"SCENARIO:errmid"):
        body = body.replace(failing, b"SCENARIO:text")
    return body


def posts(paths: set[str], *, within: bool = True) -> list[str]:
    return [name for name in names("POST") if (load(name).path.partition("?")[0] in paths) is within]


@pytest.mark.parametrize("name", posts(GENERATES))
async def test_a_request_is_accepted(nursery: trio.Nursery, name: str) -> None:
    """By the model it names, if that is offered, else by what ``*`` stands for."""
    sample = load(name)
    for target in TARGETS:
        world = World(nursery, config=mapped_to(target))
        answer = await world.ask(sample.path, body_of(name), *headers_of(sample))
        assert answer.status == 200, (target, answer.body)
        assert b"event: error" not in answer.body, (target, answer.body)
        assert b"response.failed" not in answer.body, (target, answer.body)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("name", posts(GENERATES))
async def test_a_request_is_accepted_by_every_model(nursery: trio.Nursery, name: str, target: str) -> None:
    sample = load(name)
    body: Any = msgspec.json.decode(body_of(name))
    body["model"] = target
    answer = await World(nursery, config=mapped_to(target)).ask(sample.path, body, *headers_of(sample))
    assert answer.status == 200, answer.body
    assert b"event: error" not in answer.body, answer.body


@pytest.mark.parametrize("target", TARGETS)
async def test_codexs_frames_are_accepted(nursery: trio.Nursery, target: str) -> None:
    """In the order in which they were sent, each going on from the answer to the one before."""
    world = World(nursery, config=mapped_to(target))
    previous = called = ""
    async with websocket(world) as socket:
        for name in FRAMES:
            frame: Any = msgspec.json.decode(load(name).body)
            if "previous_response_id" in frame:
                frame["previous_response_id"] = previous
            for item in frame["input"]:
                if item["type"] == "function_call_output":  # of a call in the answer before
                    item["call_id"] = called
            frames = await ask(socket, frame)
            assert frames[-1]["type"] == "response.completed", frames[-1]
            response = frames[-1]["response"]
            previous = response["id"]
            called = next((item["call_id"] for item in response["output"] if item["type"] == "function_call"), "")


@pytest.mark.parametrize("name", posts(GENERATES, within=False))
async def test_the_other_posts(nursery: trio.Nursery, name: str) -> None:
    sample = load(name)
    answer = await World(nursery, config=mapped_to("gpt-4.1")).ask(sample.path, sample.body, *headers_of(sample))
    assert answer.status == 200, answer.body


@pytest.mark.parametrize("name", names("GET") + names("HEAD"))
async def test_what_has_no_body(nursery: trio.Nursery, name: str) -> None:
    sample = load(name)
    stream = await World(nursery).downstream.connect()
    if name == "codex_ws_handshake":
        await get(stream, sample.path, *UPGRADE)
        beginning = bytes(await stream.receive_some())
        assert beginning.startswith(b"HTTP/1.1 101 ")
        return
    await get(stream, sample.path, *headers_of(sample), method=sample.method)
    answer = await read_response(stream, sample.method)
    assert answer.status in {200, 204}


def test_all_samples_are_covered() -> None:
    covered = {*posts(GENERATES), *posts(GENERATES, within=False), *names("GET"), *names("HEAD"), *FRAMES}
    assert covered == set(names())
    assert len(covered) == 56
