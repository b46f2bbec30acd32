"""Every client dialect to every kind of model, through the whole proxy to the twin: text, tools, thinking, errors."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
import trio
from memory_network import Response
from world import World, error_of, events

from copilot_trio.config import Config
from copilot_trio.twin import Fault

MODELS = (
    "gpt-4.1",  # chat alone
    "gpt-5-mini",  # chat and responses
    "gpt-5.3-codex",  # responses alone
    "claude-sonnet-4.5",  # chat and messages, budgets
    "claude-opus-4.6",  # the same, adaptive
    "gemini-2.5-pro",  # chat alone, odd chunks
)
DIALECTS = ("chat", "messages", "responses")
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}
SCHEMA = {
    "type": "object",
    "properties": {"path": {"type": "string"}, "content": {"type": "string"}},
    "required": ["path"],
}
TOOL_NAMES = ("write_file", "read_file")


class Talk:
    """A conversation in one dialect, kept as its clients keep it."""

    def __init__(self, dialect: str, model: str, prompt: str, *, stream: bool, tools: bool = False) -> None:
        self.dialect = dialect
        self.model = model
        self.stream = stream
        self.items: list[Any] = [{"role": "user", "content": prompt}]
        self.tools = [self._tool(name) for name in TOOL_NAMES] if tools else []

    def _tool(self, name: str) -> dict[str, Any]:
        match self.dialect:
            case "chat":
                return {"type": "function", "function": {"name": name, "description": name, "parameters": SCHEMA}}
            case "messages":
                return {"name": name, "description": name, "input_schema": SCHEMA}
            case _:
                return {"type": "function", "name": name, "description": name, "parameters": SCHEMA, "strict": False}

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {"model": self.model, "stream": self.stream}
        body["input" if self.dialect == "responses" else "messages"] = self.items
        if self.dialect == "messages":
            body["max_tokens"] = 9000
        if self.tools:
            body["tools"] = self.tools
        return body

    async def ask(self, world: World) -> Turn:
        answer = await world.ask(PATHS[self.dialect], self.body())
        assert answer.status == 200, answer.body
        turn = READERS[self.dialect](answer.body, self.stream)
        self.items += turn.replay
        return turn

    def answer_calls(self, turn: Turn, text: str) -> None:
        match self.dialect:
            case "chat":
                self.items += [{"role": "tool", "tool_call_id": call, "content": text} for call, _, _ in turn.calls]
            case "messages":
                blocks = [{"type": "tool_result", "tool_use_id": call, "content": text} for call, _, _ in turn.calls]
                self.items.append({"role": "user", "content": blocks})
            case _:
                self.items += [
                    {"type": "function_call_output", "call_id": call, "output": text} for call, _, _ in turn.calls
                ]


class Turn(msgspec.Struct):
    text: str
    thinking: str
    calls: list[tuple[str, str, Any]]
    stop: str
    input_tokens: int
    replay: list[Any]
    model: str


def read_chat(body: bytes, stream: bool) -> Turn:
    if not stream:
        reply = msgspec.json.decode(body)
        choice = reply["choices"][0]
        message = choice["message"]
        calls = [
            (call["id"], call["function"]["name"], msgspec.json.decode(call["function"]["arguments"]))
            for call in message.get("tool_calls") or []
        ]
        text, thinking = message.get("content") or "", message.get("reasoning_text") or ""
        return Turn(
            text, thinking, calls, choice["finish_reason"], reply["usage"]["prompt_tokens"], [message], reply["model"]
        )
    found = events(body)
    assert found[-1].data == b"[DONE]"
    chunks = [msgspec.json.decode(event.data) for event in found[:-1]]
    message = {"role": "assistant", "content": ""}
    pieces: dict[int, dict[str, Any]] = {}
    stop, thinking, usage = "", "", 0
    for chunk in chunks:
        usage = (chunk.get("usage") or {}).get("prompt_tokens") or usage
        for choice in chunk["choices"]:
            delta = choice["delta"]
            message["content"] += delta.get("content") or ""
            thinking += delta.get("reasoning_text") or ""
            for name in ("reasoning_text", "reasoning_opaque"):
                if delta.get(name):
                    message[name] = message.get(name, "") + delta[name]
            for call in delta.get("tool_calls") or []:
                kept = pieces.setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                kept["id"] = call.get("id") or kept["id"]
                kept["name"] = call["function"].get("name") or kept["name"]
                kept["arguments"] += call["function"].get("arguments") or ""
            stop = choice.get("finish_reason") or stop
    calls = [(call["id"], call["name"], msgspec.json.decode(call["arguments"])) for call in pieces.values()]
    if pieces:
        message["tool_calls"] = [
            {
                "id": call["id"],
                "type": "function",
                "function": {"name": call["name"], "arguments": call["arguments"]},
            }
            for call in pieces.values()
        ]
    return Turn(message["content"], thinking, calls, stop, usage, [message], chunks[-1]["model"])


def read_messages(body: bytes, stream: bool) -> Turn:
    if not stream:
        message = msgspec.json.decode(body)
    else:
        found = [msgspec.json.decode(event.data) for event in events(body)]
        assert found[-1]["type"] == "message_stop"
        message = found[0]["message"]
        open_block = -1
        for event in found:
            match event["type"]:
                case "content_block_start":
                    assert event["index"] == open_block + 1 == len(message["content"])
                    open_block = event["index"]
                    message["content"].append({**event["content_block"], "json": ""})
                case "content_block_delta":
                    assert event["index"] == open_block
                    block, delta = message["content"][-1], event["delta"]
                    for name in ("text", "thinking", "signature"):
                        if name in delta:
                            block[name] = block.get(name, "") + delta[name]
                    block["json"] += delta.get("partial_json", "")
                case "message_delta":
                    message |= event["delta"]
                    message["usage"] |= event["usage"]
        for block in message["content"]:
            text = block.pop("json")
            if block["type"] == "tool_use":
                block["input"] = msgspec.json.decode(text or "{}")
    usage = message["usage"]
    return Turn(
        "".join(block["text"] for block in message["content"] if block["type"] == "text"),
        "".join(block["thinking"] for block in message["content"] if block["type"] == "thinking"),
        [(block["id"], block["name"], block["input"]) for block in message["content"] if block["type"] == "tool_use"],
        message["stop_reason"],
        usage["input_tokens"] + usage.get("cache_read_input_tokens", 0) + usage.get("cache_creation_input_tokens", 0),
        [{"role": "assistant", "content": message["content"]}],
        message["model"],
    )


def read_responses(body: bytes, stream: bool) -> Turn:
    if not stream:
        response = msgspec.json.decode(body)
    else:
        found = [msgspec.json.decode(event.data) for event in events(body)]
        assert [event["sequence_number"] for event in found] == list(range(len(found)))
        response = found[-1]["response"]
        assert found[-1]["type"] in {"response.completed", "response.incomplete"}
        done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
        assert [item["id"] for item in done] == [item["id"] for item in response["output"]]
        ids = {event["output_index"]: event["item"]["id"] for event in found if event["type"].endswith("item.added")}
        assert all(ids[event["output_index"]] == event["item_id"] for event in found if "item_id" in event)
        assert len({event["response"]["id"] for event in found if "response" in event}) == 1
        response["output"] = done  # what Codex keeps
    output = response["output"]
    return Turn(
        "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"]),
        "".join(part["text"] for item in output if item["type"] == "reasoning" for part in item["summary"]),
        [
            (item["call_id"], item["name"], msgspec.json.decode(item["arguments"]))
            for item in output
            if item["type"] == "function_call"
        ],
        response["status"],
        response["usage"]["input_tokens"],
        output,
        response["model"],
    )


READERS = {"chat": read_chat, "messages": read_messages, "responses": read_responses}
STOPS = {
    "chat": {"end": "stop", "tool": "tool_calls"},
    "messages": {"end": "end_turn", "tool": "tool_use"},
    "responses": {"end": "completed", "tool": "completed"},
}

pytestmark = [
    pytest.mark.parametrize("model", MODELS),
    pytest.mark.parametrize("dialect", DIALECTS),
    pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"]),
]


async def test_text(nursery: trio.Nursery, dialect: str, model: str, stream: bool) -> None:
    world = World(nursery)
    turn = await Talk(dialect, model, "SCENARIO:text REPLY=hello", stream=stream).ask(world)
    assert (turn.text, turn.stop) == ("hello", STOPS[dialect]["end"])
    assert turn.input_tokens > 0


@pytest.mark.parametrize("scenario", ["tool", "thinktool", "bigtool"])
async def test_a_tool_loop(nursery: trio.Nursery, dialect: str, model: str, stream: bool, scenario: str) -> None:
    world = World(nursery)
    talk = Talk(dialect, model, f"SCENARIO:{scenario} FILE=a.txt CONTENT=c", stream=stream, tools=True)
    called: list[str] = []
    for _ in range(5):
        turn = await talk.ask(world)
        if not turn.calls:
            break
        assert turn.stop == STOPS[dialect]["tool"]
        called += [name for _, name, _ in turn.calls]
        assert all("a.txt" in arguments["path"] for _, _, arguments in turn.calls)
        talk.answer_calls(turn, "fine")
    else:
        pytest.fail("no end after five turns")
    assert called == ["write_file", "read_file"]
    assert turn.text == "RIG-DONE c"
    first, *rest = [record.initiator for record in world.twin.records if record.path in CALLS]
    assert first == "user"
    assert set(rest) == {"agent"}


CALLS = {"/chat/completions", "/v1/messages", "/responses"}


async def test_two_calls_at_once(nursery: trio.Nursery, dialect: str, model: str, stream: bool) -> None:
    world = World(nursery)
    talk = Talk(dialect, model, "SCENARIO:parallel FILE=a.txt CONTENT=c", stream=stream, tools=True)
    turn = await talk.ask(world)
    assert [arguments["path"] for _, _, arguments in turn.calls] == ["a.txt", "a.txt.2"]
    assert len({call for call, _, _ in turn.calls}) == 2
    talk.answer_calls(turn, "fine")
    assert (await talk.ask(world)).text == "RIG-DONE c"


async def test_thinking_is_shown(nursery: trio.Nursery, dialect: str, model: str, stream: bool) -> None:
    world = World(nursery)
    talk = Talk(dialect, model, "SCENARIO:thinking REPLY=hello", stream=stream)
    turn = await talk.ask(world)
    silent = model == "gpt-4.1" or (model, dialect) == ("gpt-5-mini", "chat")  # GPT's chat answers hold no thoughts
    assert (turn.thinking, turn.text) == ("" if silent else "RIG-THINKING about it", "hello")
    talk.items.append({"role": "user", "content": "SCENARIO:text REPLY=again"})
    assert (await talk.ask(world)).text == "again"
    assert [record.status for record in world.twin.records if record.path in CALLS] == [200, 200]


async def test_an_answer_cut_short_says_so(nursery: trio.Nursery, dialect: str, model: str, stream: bool) -> None:
    turn = await Talk(dialect, model, "SCENARIO:maxtok REPLY=hel", stream=stream).ask(World(nursery))
    assert turn.stop == {"chat": "length", "messages": "max_tokens", "responses": "incomplete"}[dialect]
    assert turn.text == "hel"


async def test_a_long_conversation_is_said_in_the_words_clients_know(
    nursery: trio.Nursery, dialect: str, model: str, stream: bool
) -> None:
    world = World(nursery)
    answer = await world.ask(
        PATHS[dialect], Talk(dialect, model, "SCENARIO:err400 VARIANT:ctxlen", stream=stream).body()
    )
    assert answer.status == 400
    assert answer.headers["x-should-retry"] == "false"
    error = error_of(answer)
    if dialect == "messages":
        assert str(error["message"]).startswith("prompt is too long: 250000 tokens > ")
        assert error["type"] == "invalid_request_error"
    else:
        assert error["code"] == "context_length_exceeded"


@pytest.mark.parametrize("scenario", ["errmid", "truncate", "cut"])
async def test_a_broken_answer_never_looks_whole(
    nursery: trio.Nursery, dialect: str, model: str, stream: bool, scenario: str
) -> None:
    answer = await World(nursery).ask(
        PATHS[dialect], Talk(dialect, model, f"SCENARIO:{scenario}", stream=stream).body()
    )
    if not stream:
        if scenario != "truncate":  # a whole reply has no terminal event to leave out
            assert answer.status >= 500
        return
    if answer.status == 200:
        check_broken(dialect, answer)
    else:  # nothing had been said yet: Gemini says all at once
        assert (answer.status, model) == (502, "gemini-2.5-pro")


def check_broken(dialect: str, answer: Response) -> None:
    found = events(answer.body)
    match dialect:
        case "chat":
            assert found[-1].data == b"[DONE]"
            assert found[-2].data.startswith(b'{"error":')
        case "messages":
            assert found[-1].name == "error"
        case _:
            assert found[-1].name == "response.failed"


async def test_the_answer_carries_the_name_that_was_asked_for(
    nursery: trio.Nursery, dialect: str, model: str, stream: bool
) -> None:
    world = World(nursery, config=Config(model_mapping={"my-model": model}))
    turn = await Talk(dialect, "my-model", "SCENARIO:text REPLY=hello", stream=stream).ask(world)
    assert (turn.text, turn.model) == ("hello", "my-model")


async def test_a_model_that_moves_is_asked_where_it_is(
    nursery: trio.Nursery, dialect: str, model: str, stream: bool
) -> None:
    """Upstream's list may be wrong about endpoints; its refusal is believed, and costs nothing."""
    world = World(nursery)
    talk = Talk(dialect, model, "SCENARIO:text REPLY=hello", stream=stream)
    world.twin.add_fault(
        Fault(
            method="POST",
            model=model,
            status=400,
            body='{"error":{"message":"not accessible via the /x endpoint","code":"unsupported_api_for_model"}}',
            times=1,
        )
    )
    answer = await world.ask(PATHS[dialect], talk.body())
    calls = [record.path for record in world.twin.records if record.path in CALLS]
    if model == "gpt-5.3-codex":  # there is nowhere else to ask
        assert (answer.status, calls) == (404, ["/responses"])
    elif model in {"gpt-4.1", "gemini-2.5-pro"}:  # Responses is the likely place, and here upstream refuses that too
        assert (answer.status, calls) == (400, ["/chat/completions", "/responses"])
    else:
        assert answer.status == 200
        assert len(set(calls)) == 2
