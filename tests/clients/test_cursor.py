from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.clients.cursor import (
    APPLY_PATCH,
    FLAT,
    NESTED,
    PATCH,
    Answer,
    Malformed,
    agent_body,
    agent_turn,
    ask_body,
    ask_turn,
    picture_items,
    request,
    send,
)
from tests.clients.rig import draw

Body = Callable[..., dict[str, Any]]
BODIES: dict[str, Body] = {"agent": agent_body, "ask": ask_body}
TURNS = {"agent": agent_turn, "ask": ask_turn}
TOOLS = {"agent": FLAT, "ask": NESTED}
EDITOR = "vscode-file://vscode-app"


@pytest.fixture(params=BODIES)
def kind(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(params=[True, False], ids=["streamed", "whole"])
def stream(request: pytest.FixtureRequest) -> bool:
    value: bool = request.param
    return value


def test_the_verify_button(base_url: str, model: str) -> None:
    headers = {
        "Origin": EDITOR,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    asked = request(base_url, "OPTIONS", "/v1/chat/completions", headers=headers)
    asked.read()
    assert asked.status == 204
    assert asked.getheader("access-control-allow-origin") == EDITOR
    assert "authorization" in (asked.getheader("access-control-allow-headers") or "").lower()
    messages = [
        {"role": "system", "content": "You are a test assistant."},
        {"role": "user", "content": "Testing. Just say hi and nothing else."},
    ]
    body = {"messages": messages, "model": model}
    answered = request(base_url, "POST", "/v1/chat/completions", body, {"Origin": EDITOR})
    assert answered.getheader("access-control-allow-origin") == EDITOR
    assert Answer(answered, streamed=False).text


def test_models_are_listed(base_url: str) -> None:
    listed = json.loads(request(base_url, "GET", "/v1/models").read())
    assert listed["object"] == "list"
    assert listed["data"][0]["id"]


def test_text(base_url: str, model: str, kind: str, *, stream: bool) -> None:
    answer = send(base_url, BODIES[kind](model, "SCENARIO:text REPLY=yes", stream=stream))
    assert (answer.text, answer.finish) == ("yes", "stop")
    assert answer.usage["total_tokens"] > 0


def test_words_come_as_they_are_said(base_url: str, model: str, kind: str) -> None:
    answer = send(base_url, BODIES[kind](model, "SCENARIO:stream REPLY=s"))
    assert len(answer.arrived) > 4
    assert answer.arrived[-1] - answer.arrived[0] > 1


def test_thoughts_and_length_and_long_answers(base_url: str, model: str, kind: str) -> None:
    body = BODIES[kind]
    assert send(base_url, body(model, "SCENARIO:thinking REPLY=t")).text == "t"
    assert send(base_url, body(model, "SCENARIO:maxtok REPLY=x")).finish == "length"
    assert send(base_url, body(model, "SCENARIO:long REPLY=w")).text.endswith("w-3999")


@pytest.mark.parametrize("scenario", ["tool", "parallel", "thinktool"])
@pytest.mark.parametrize("more", [[], [APPLY_PATCH]], ids=["plain", "with-a-custom-tool"])
def test_a_tool_loop_ends(
    base_url: str, model: str, kind: str, scenario: str, more: list[Any], *, stream: bool
) -> None:
    done: list[str] = []
    turns: list[Any] = []
    prompt = f"SCENARIO:{scenario} FILE=x.txt CONTENT=cc RUN:{uuid.uuid4().hex}"
    for _ in range(6):
        answer = send(base_url, BODIES[kind](model, prompt, turns, tools=[*TOOLS[kind], *more], stream=stream))
        if not answer.calls:
            assert "RIG-DONE cc" in answer.text
            assert answer.finish == "stop"
            assert len(done) == (2 if scenario == "parallel" else 3)
            return
        assert answer.finish == "tool_calls"
        done += [call["function"]["name"] for call in answer.calls.values()]
        turns += TURNS[kind](answer, ["ok cc"] * len(answer.calls))
    pytest.fail("no end after six turns")


def _patched(answer: Answer) -> list[Any]:
    (call,) = answer.calls.values()
    return [
        {"type": "custom_tool_call", "call_id": call["id"], "name": "ApplyPatch", "input": PATCH},
        {"type": "custom_tool_call_output", "call_id": call["id"], "output": "ok"},
    ]


@pytest.mark.parametrize(
    ("kind", "turn"),
    [
        ("agent", _patched),
        ("agent", lambda answer: agent_turn(answer, ["ok"])),
        ("ask", lambda answer: ask_turn(answer, ["ok"])),
    ],
    ids=["agent", "agent-replays-a-function", "ask"],
)
def test_a_custom_tool_comes_as_a_function_with_the_raw_patch(
    base_url: str, model: str, kind: str, turn: Callable[[Answer], list[Any]], *, stream: bool
) -> None:
    script = base64.b64encode(json.dumps([{"name": "ApplyPatch", "input": PATCH}]).encode()).decode()
    prompt, tools = f"SCENARIO:script SCRIPT={script} REPLY=pp", [*TOOLS[kind], APPLY_PATCH]
    answer = send(base_url, BODIES[kind](model, prompt, tools=tools, stream=stream))
    (call,) = answer.calls.values()
    assert call["function"] == {"name": "ApplyPatch", "arguments": PATCH}
    after = send(base_url, BODIES[kind](model, prompt, turn(answer), tools=tools, stream=stream))
    assert after.text == "RIG-DONE pp"


def test_an_image(base_url: str, model: str, kind: str, tmp_path: Path) -> None:
    draw(tmp_path / "red.png")
    items = picture_items(kind, tmp_path / "red.png")
    assert send(base_url, BODIES[kind](model, "SCENARIO:text REPLY=seen", items)).text == "seen"


def test_odd_agent_bodies(base_url: str, model: str) -> None:
    body = agent_body(model, "")
    assert send(base_url, body | {"input": "SCENARIO:text REPLY=string"}).text == "string"
    assert send(base_url, agent_body(model, "SCENARIO:text REPLY=bare", tools=[])).text == "bare"


def test_messages_win_over_input(base_url: str, model: str) -> None:
    body = ask_body(model, "SCENARIO:text REPLY=messages")
    assert (
        send(base_url, body | {"input": [{"role": "user", "content": "SCENARIO:text REPLY=input"}]}).text == "messages"
    )


@pytest.mark.parametrize("status", [400, 403, 404, 500, 503])
def test_errors_are_openai_s(base_url: str, model: str, kind: str, status: int) -> None:
    body = BODIES[kind](model, f"SCENARIO:err{status} RUN:{uuid.uuid4().hex}")
    answered = request(base_url, "POST", "/v1/chat/completions", body)
    assert answered.status == status
    assert "charged" in json.loads(answered.read())["error"]["message"]


@pytest.mark.parametrize("scenario", ["errmid", "cut"])
def test_a_stream_that_fails_says_so(base_url: str, model: str, kind: str, scenario: str) -> None:
    with pytest.raises(Malformed, match="an error"):
        send(base_url, BODIES[kind](model, f"SCENARIO:{scenario} RUN:{uuid.uuid4().hex}"))
