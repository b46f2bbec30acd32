"""What is no plain turn: Cursor's bodies, compaction, embeddings, searches, Codex's failures, WebSockets upstream."""

from __future__ import annotations

import struct
from base64 import b64decode, b64encode
from typing import Any

import msgspec
import pytest
import trio
from memory_network import Response
from world import World, chat, chat_text, error_of, events, messages

from copilot_trio.config import Config, TimeoutSettings
from copilot_trio.twin import Fault

CODEX = ("originator", "codex_exec")
PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hi\n*** End Patch\n"


def decoded(answer: Response) -> Any:
    return msgspec.json.decode(answer.body)


def item(prompt: str) -> dict[str, Any]:
    return {"role": "user", "content": [{"type": "input_text", "text": prompt}]}


def sent(world: World, path: str = "/responses") -> list[Any]:
    return [msgspec.json.decode(record.body) for record in world.calls(path)]


# ---- Cursor


def cursor_body(model: str, **fields: object) -> dict[str, Any]:
    tool = {"type": "custom", "name": "ApplyPatch", "description": "edit", "format": {"type": "text"}}
    return {
        "model": model,
        "stream": True,
        "store": False,
        "user": "auth0|user",
        "input": [{"role": "system", "content": "be kind"}, item("SCENARIO:tool FILE=a.txt CONTENT=hi")],
        "tools": [tool],
        "stream_options": {"include_usage": True},
        "include": ["reasoning.encrypted_content"],
        **fields,
    }


def script(call: dict[str, Any]) -> str:
    return "SCENARIO:script SCRIPT=" + b64encode(msgspec.json.encode([call])).decode()


@pytest.mark.parametrize("model", ["gpt-5-mini", "gpt-5.3-codex", "gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro"])
async def test_cursor_gets_chat_chunks_with_the_raw_patch(nursery: trio.Nursery, model: str) -> None:
    world = World(nursery)
    how: dict[str, Any] = {"input": PATCH} if model.startswith("gpt-5") else {"args": {"input": PATCH}}
    body = cursor_body(model, input=[item(script({"name": "ApplyPatch"} | how))])
    answer = await world.ask("/v1/chat/completions", body)
    assert answer.status == 200, answer.body
    chunks = [decoded_event(event.data) for event in events(answer.body)[:-1]]
    calls = [
        call for chunk in chunks for choice in chunk["choices"] for call in choice["delta"].get("tool_calls") or []
    ]
    assert {call["type"] for call in calls if "type" in call} == {"function"}
    assert "".join(call["function"].get("arguments") or "" for call in calls) == PATCH
    assert chunks[-1]["usage"]["prompt_tokens"] > 0
    call_id = calls[0]["id"]
    body["input"] += [
        {"type": "function_call", "call_id": call_id, "name": "ApplyPatch", "arguments": PATCH},
        {"type": "function_call_output", "call_id": call_id, "output": "ok"},
    ]
    answer = await world.ask("/v1/chat/completions", body)
    assert chat_text(answer.body).startswith("RIG-DONE")


def decoded_event(data: bytes) -> Any:
    return msgspec.json.decode(data)


async def test_cursors_replayed_patch_is_a_freeform_call_again(nursery: trio.Nursery) -> None:
    world = World(nursery)
    replayed = [
        item("go"),
        {"type": "function_call", "call_id": "c1", "name": "ApplyPatch", "arguments": PATCH},
        {"type": "function_call_output", "call_id": "c1", "output": "ok"},
    ]
    assert (await world.ask("/v1/chat/completions", cursor_body("gpt-5-mini", input=replayed))).status == 200
    [body] = sent(world)
    assert body["input"][1] == {"type": "custom_tool_call", "call_id": "c1", "name": "ApplyPatch", "input": PATCH}
    assert body["input"][2] == {"type": "custom_tool_call_output", "call_id": "c1", "output": "ok"}
    assert "stream_options" not in body


async def test_cursors_errors_are_chats(nursery: trio.Nursery) -> None:
    answer = await World(nursery).ask("/v1/chat/completions", cursor_body("nobody"))
    assert (answer.status, error_of(answer)["code"]) == (404, "model_not_found")


# ---- compaction


COMPACT: dict[str, Any] = {"model": "gpt-5.3-codex", "instructions": "be kind", "input": [item("long story")]}


@pytest.mark.parametrize(("model", "items"), [("gpt-5.3-codex", 1), ("gpt-5-mini", 2)])
async def test_a_responses_model_compacts_by_itself(nursery: trio.Nursery, model: str, items: int) -> None:
    world = World(nursery)
    answer = await world.ask("/v1/responses/compact", COMPACT | {"model": model})
    reply = decoded(answer)
    assert reply["object"] == "response.compaction"
    assert [found["type"] for found in reply["output"]] == ["compaction"] * items
    [record] = world.calls("/responses")
    assert record.headers["x-initiator"] == "agent"
    assert record.headers["x-interaction-type"] == "conversation-compaction"
    assert msgspec.json.decode(record.body)["input"][-1] == {"type": "compaction_trigger"}
    follow = {"model": model, "input": [*reply["output"], item("SCENARIO:text REPLY=on")]}
    assert (await world.ask("/v1/responses", follow)).status == 200


@pytest.mark.parametrize("model", ["gpt-4.1", "claude-sonnet-4.5", "gemini-2.5-pro"])
async def test_another_model_writes_a_summary(nursery: trio.Nursery, model: str) -> None:
    world = World(nursery)
    tool = {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    answer = await world.ask("/v1/responses/compact", COMPACT | {"model": model, "tools": [tool]})
    assert answer.status == 200, answer.body
    [message] = decoded(answer)["output"]
    assert (message["type"], message["role"]) == ("message", "user")
    assert len(message["content"][0]["text"]) > len("Summary of the conversation so far:\n\n")
    follow = {"model": model, "input": [message, item("SCENARIO:text REPLY=on")]}
    assert (await world.ask("/v1/responses", follow)).status == 200


async def test_what_cannot_be_compacted(nursery: trio.Nursery) -> None:
    world = World(nursery)
    assert (await world.ask("/v1/responses/compact", {"model": "gpt-5-mini", "input": "text"})).status == 400
    assert (await world.ask("/v1/responses/compact", {"model": "nobody", "input": [item("x")]})).status == 404
    assert (await world.ask("/v1/responses/compact", b"{")).status == 400
    assert world.calls("/responses") == []


async def test_a_compaction_that_is_none_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/responses", status=200, body='{"output":[{"type":"message"}]}'))
    answer = await world.ask("/v1/responses/compact", COMPACT)
    assert (answer.status, "did not compact" in str(error_of(answer)["message"])) == (502, True)


# ---- embeddings


async def test_embeddings_of_a_bare_string(nursery: trio.Nursery) -> None:
    world = World(nursery)
    answer = await world.ask("/v1/embeddings", {"model": "text-embedding-3-small", "input": "hi"})
    reply = decoded(answer)
    assert isinstance(reply["data"][0]["embedding"], list)
    [record] = world.calls("/embeddings")
    assert msgspec.json.decode(record.body) == {"model": "text-embedding-3-small", "input": ["hi"]}
    assert record.headers["openai-intent"] == "copilot-panel"
    assert answer.headers["x-copilot-trio-account"] == "work"


async def test_embeddings_as_base64(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = {"model": "text-embedding-3-small", "input": ["a", "b"], "encoding_format": "base64"}
    reply = decoded(await world.ask("/v1/embeddings", body))
    plain = decoded(await world.ask("/v1/embeddings", body | {"encoding_format": "float"}))
    for packed, floats in zip(reply["data"], plain["data"], strict=True):
        raw = b64decode(packed["embedding"])
        assert struct.unpack(f"<{len(raw) // 4}f", raw) == pytest.approx(floats["embedding"], rel=1e-6)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"model": "text-embedding-3-small"}, 400),
        ({"model": "gpt-4.1", "input": "x"}, 404),
        ({"model": "nobody", "input": "x"}, 404),
        ({"input": "x"}, 400),
        ({"model": "text-embedding-3-small", "input": [1, 2]}, 400),
    ],
)
async def test_what_cannot_be_embedded(nursery: trio.Nursery, body: object, status: int) -> None:
    world = World(nursery)
    assert (await world.ask("/v1/embeddings", body)).status == status
    assert world.calls("/embeddings") == []


async def test_upstreams_refusal_of_an_embedding(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/embeddings", status=429, headers={"retry-after": "90"}, body="slow"))
    answer = await world.ask("/v1/embeddings", {"model": "text-embedding-3-small", "input": "x"})
    assert (answer.status, answer.headers["retry-after"]) == (429, "90")
    assert answer.headers["x-copilot-trio-account"] == "work"


# ---- web search


def search(prompt: str, *, stream: bool = True, model: str = "claude-sonnet-4.5") -> dict[str, object]:
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    choice = {"type": "tool", "name": "web_search"}
    return messages(prompt, model=model, stream=stream, tools=[tool], tool_choice=choice)


def blocks_of(answer: Response) -> list[Any]:
    found = [decoded_event(event.data) for event in events(answer.body)]
    return [event["content_block"] for event in found if event["type"] == "content_block_start"]


@pytest.mark.parametrize("stream", [True, False])
async def test_a_search_is_run_by_the_model_that_was_chosen(nursery: trio.Nursery, stream: bool) -> None:
    world = World(nursery, config=Config(web_search_model="gpt-5-mini"))
    answer = await world.ask("/v1/messages", search("Perform a web search for trio", stream=stream))
    assert answer.status == 200, answer.body
    blocks = blocks_of(answer) if stream else decoded(answer)["content"]
    assert [block["type"] for block in blocks] == ["server_tool_use", "web_search_tool_result", "text"]
    assert blocks[0]["name"] == "web_search"
    assert blocks[1]["tool_use_id"] == blocks[0]["id"]
    assert {hit["type"] for hit in blocks[1]["content"]} == {"web_search_result"}
    assert blocks[1]["content"][0]["url"].startswith("https://example.com/")
    [record] = world.calls("/responses")
    assert msgspec.json.decode(record.body)["model"] == "gpt-5-mini"
    assert record.headers["x-initiator"] == "user"
    if stream:
        ending = decoded_event(events(answer.body)[-2].data)
        assert ending["usage"]["server_tool_use"] == {"web_search_requests": 1}
    else:
        assert decoded(answer)["model"] == "claude-sonnet-4.5"


@pytest.mark.parametrize("stream", [True, False])
async def test_switched_off_a_search_is_a_tool_error(nursery: trio.Nursery, stream: bool) -> None:
    world = World(nursery)
    answer = await world.ask("/v1/messages", search("Perform a web search for trio", stream=stream))
    assert answer.status == 200
    assert world.calls("/responses") == []
    assert world.calls() == []
    blocks = blocks_of(answer) if stream else decoded(answer)["content"]
    assert [block["type"] for block in blocks] == ["server_tool_use", "web_search_tool_result", "text"]
    assert blocks[1]["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}
    assert b"web_search_model" in answer.body
    assert b"message_stop" in answer.body if stream else decoded(answer)["stop_reason"] == "end_turn"


async def test_a_search_beside_other_tools_is_a_clear_refusal(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body: Any = search("find")
    body["tools"].append({"name": "f", "input_schema": {"type": "object"}})
    answer = await world.ask("/v1/messages", body)
    assert (answer.status, answer.headers["x-should-retry"]) == (400, "false")
    assert "web_search" in str(error_of(answer)["message"])


async def test_a_search_model_that_is_not_offered(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(web_search_model="nobody"))
    answer = await world.ask("/v1/messages", search("find"))
    assert (answer.status, "nobody" in str(error_of(answer)["message"])) == (404, True)


# ---- Codex


def responses(prompt: str, *, model: str = "gpt-5.3-codex", stream: bool = True, **fields: object) -> dict[str, object]:
    return {"model": model, "stream": stream, "input": [item(prompt)], **fields}


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_codex_is_told_of_failures_in_the_stream(nursery: trio.Nursery, status: int) -> None:
    world = World(nursery)
    answer = await world.ask("/v1/responses", responses(f"SCENARIO:err{status}"), CODEX)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/event-stream")
    [event] = events(answer.body)
    assert event.name == "response.failed"
    assert len(world.calls("/responses")) == 1


@pytest.mark.parametrize(("scenario", "status"), [("err400", 400), ("ra429x9s5", 429)])
async def test_codex_gets_other_refusals_as_a_status(nursery: trio.Nursery, scenario: str, status: int) -> None:
    answer = await World(nursery).ask("/v1/responses", responses(f"SCENARIO:{scenario}"), CODEX)
    assert answer.status == status
    assert answer.headers.get("retry-after") == ("5" if status == 429 else None)


async def test_others_get_a_status(nursery: trio.Nursery) -> None:
    assert (await World(nursery).ask("/v1/responses", responses("SCENARIO:err500"))).status == 500


# ---- ids and secrets of elsewhere


async def thought(world: World, model: str = "gpt-5.3-codex") -> list[Any]:
    """What a model answers that thinks first: reasoning and a message, as clients get them."""
    body = {"model": model, "input": [item("SCENARIO:thinking REPLY=x")], "include": ["reasoning.encrypted_content"]}
    output: list[Any] = decoded(await world.ask("/v1/responses", body))["output"]
    assert [found["type"] for found in output] == ["reasoning", "message"]
    return output


ROWS = {
    "row15": "item_id did not match",
    "row16": "could not be verified",
    "row17": "function output",
    "row18": "does not belong",
}


@pytest.mark.parametrize("row", ROWS)
async def test_foreign_ids_and_secrets_are_repaired_once(nursery: trio.Nursery, row: str) -> None:
    world = World(nursery)
    output = await thought(world)
    world.twin.add_fault(Fault(path="/responses", scenario=row, times=1))
    body = {"model": "gpt-5.3-codex", "input": [item("a"), *output, item("SCENARIO:text REPLY=ok")]}
    answer = await world.ask("/v1/responses", body)
    assert answer.status == 200, answer.body
    _, first, second = sent(world)
    assert len(first["input"][1]["id"]) > 300
    assert "@" not in first["input"][1]["encrypted_content"]
    if row in {"row16", "row17"}:
        assert [found.get("type") for found in second["input"]] == [None, "message", None]
    else:
        assert [found.get("id") for found in second["input"]] == [None] * 4
        assert second["input"][1]["encrypted_content"] == first["input"][1]["encrypted_content"]


async def test_ids_that_are_still_refused_take_the_secrets_with_them(nursery: trio.Nursery) -> None:
    world = World(nursery)
    output = await thought(world)
    world.twin.add_fault(Fault(path="/responses", scenario="row18", times=2))
    body = {"model": "gpt-5.3-codex", "input": [item("a"), *output, item("SCENARIO:text REPLY=ok")]}
    assert (await world.ask("/v1/responses", body)).status == 200
    assert [len(found["input"]) for found in sent(world)] == [1, 4, 4, 3]


async def test_what_another_account_encrypted_is_left_out_at_no_cost(nursery: trio.Nursery) -> None:
    """The real thing: ids and secrets that upstream itself finds foreign."""
    output = await thought(World(nursery))
    world = World(nursery)
    body = {"model": "gpt-5.3-codex", "input": [item("a"), *output, item("SCENARIO:text REPLY=ok")]}
    assert (await world.ask("/v1/responses", body)).status == 200
    assert len([record for record in world.twin.records if record.path.endswith("/v2/token")]) == 1


async def test_a_model_of_another_make_gets_no_proof_that_it_cannot_verify(nursery: trio.Nursery) -> None:
    world = World(nursery)
    output = await thought(world, model="claude-sonnet-4.5")
    assert output[0]["encrypted_content"].startswith("foreign:")
    body = {"model": "gpt-5.3-codex", "input": [item("a"), *output, item("SCENARIO:text REPLY=ok")]}
    assert (await world.ask("/v1/responses", body)).status == 200
    assert [found.get("type") for found in sent(world)[0]["input"]] == [None, "message", None]


async def test_a_repair_is_not_tried_for_ever(nursery: trio.Nursery) -> None:
    world = World(nursery)
    output = await thought(world)
    world.twin.add_fault(
        Fault(path="/responses", status=401, times=9, body="input item ID does not belong to this connection")
    )
    body = {"model": "gpt-5.3-codex", "input": [item("a"), *output, item("b")]}
    assert (await world.ask("/v1/responses", body)).status == 400
    assert len(sent(world)) == 1 + 3
    assert len([record for record in world.twin.records if record.path.endswith("/v2/token")]) == 1


async def test_what_a_repair_would_not_change_is_not_sent_again(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/responses", scenario="row18", times=9))
    body = {"model": "gpt-5.3-codex", "input": [item("a")]}
    assert (await world.ask("/v1/responses", body)).status == 400
    assert len(sent(world)) == 1


# ---- bytes


async def test_a_native_request_arrives_byte_for_byte(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = (
        b'{ "stream" : false,"input":[{"role":"user", "content":"\\u00e9 \\/ h\xc3\xa9" }],\n "store":false,'
        b'"reasoning":{"effort":"low","summary":null},"model":"gpt-5.3-codex", "metadata":{"a":1,"a":2}}'
    )
    assert (await world.ask("/v1/responses", body)).status == 200
    assert [record.body for record in world.calls("/responses")] == [body]


# ---- a WebSocket upstream


WEBSOCKET = Config(upstream_websocket=True)


async def test_upstream_is_asked_over_a_websocket_where_the_model_has_one(nursery: trio.Nursery) -> None:
    world = World(nursery, config=WEBSOCKET)
    answer = await world.ask("/v1/responses", responses("SCENARIO:text REPLY=hello"))
    assert answer.status == 200, answer.body
    assert events(answer.body)[-1].name == "response.completed"
    frames = [record for record in world.twin.records if record.websocket]
    assert [(record.initiator, record.status) for record in frames] == [("user", 200)]
    assert "x-initiator" not in next(record for record in world.twin.records if record.status == 101).headers


@pytest.mark.parametrize(("model", "stream"), [("gpt-4.1", True), ("gpt-5.3-codex", False)])
async def test_everything_else_goes_over_http(nursery: trio.Nursery, model: str, stream: bool) -> None:
    world = World(nursery, config=WEBSOCKET)
    assert (await world.ask("/v1/responses", responses("hi", model=model, stream=stream))).status == 200
    assert not any(record.websocket for record in world.twin.records)


@pytest.mark.parametrize("dialect", ["/v1/messages", "/v1/chat/completions"])
async def test_a_translated_answer_over_a_websocket(nursery: trio.Nursery, dialect: str) -> None:
    world = World(nursery, config=WEBSOCKET)
    answer = await world.ask(dialect, messages("SCENARIO:text REPLY=hello", model="gpt-5.3-codex", stream=True))
    assert answer.status == 200, answer.body
    assert b"hello" in answer.body
    assert any(record.websocket for record in world.twin.records)


async def test_a_refused_upgrade_costs_nothing_and_http_does(nursery: trio.Nursery) -> None:
    world = World(nursery, config=WEBSOCKET)
    world.twin.add_fault(Fault(method="GET", path="/responses", status=426, body="no"))
    for _ in range(2):
        assert (await world.ask("/v1/responses", responses("hi"))).status == 200
    shakes = [record for record in world.twin.records if record.path == "/responses" and record.method == "GET"]
    assert len(shakes) == 1
    assert len([record for record in world.calls("/responses") if record.method == "POST"]) == 2


async def test_an_expired_token_is_renewed_for_a_websocket_too(nursery: trio.Nursery) -> None:
    world = World(nursery, config=WEBSOCKET)
    assert (await world.ask("/v1/responses", responses("hi"))).status == 200
    world.twin.expire_tokens(next(iter(world.twin.accounts)).login)
    assert (await world.ask("/v1/responses", responses("hi"))).status == 200
    assert len([record for record in world.twin.records if record.websocket]) == 2


@pytest.mark.parametrize(("scenario", "status"), [("err400", 400), ("ra429x9s5", 429), ("row9", 400), ("err503", 500)])
async def test_an_error_frame_has_its_status(nursery: trio.Nursery, scenario: str, status: int) -> None:
    world = World(nursery, config=WEBSOCKET)
    answer = await world.ask("/v1/responses", responses(f"SCENARIO:{scenario}"))
    assert answer.status == status
    assert len([record for record in world.twin.records if record.websocket]) == 1


@pytest.mark.parametrize("scenario", ["errmid", "truncate", "cut", "close1011"])
async def test_a_websocket_that_breaks_never_looks_whole(nursery: trio.Nursery, scenario: str) -> None:
    world = World(nursery, config=WEBSOCKET)
    answer = await world.ask("/v1/responses", responses(f"SCENARIO:{scenario}"))
    assert answer.status >= 500 or events(answer.body)[-1].name == "response.failed"
    assert (await world.ask("/v1/responses", responses("SCENARIO:text REPLY=on"))).status == 200


async def test_a_silent_websocket_is_given_up(nursery: trio.Nursery) -> None:
    config = Config(upstream_websocket=True, timeouts=TimeoutSettings(silence=20, response_headers=5))
    world = World(nursery, config=config)
    answer = await world.ask("/v1/responses", responses("SCENARIO:stall100"))
    assert events(answer.body)[-1].name == "response.failed"
    answer = await world.ask("/v1/responses", responses("SCENARIO:slow100"))
    assert answer.status == 504


# ---- what happens to others meanwhile


async def test_nothing_is_sent_after_a_warning_not_even_what_waited_for_a_place(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(concurrency={"default": 1}))
    world.twin.add_fault(Fault(path="/chat/completions", scenario="row28", times=1, delay=5))
    statuses: list[int] = []

    async def one() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hi"))).status)

    async with trio.open_nursery() as inner:
        for _ in range(4):
            inner.start_soon(one)
    assert statuses == [403] * 4
    assert len(world.calls()) == 1


async def test_a_limit_holds_for_what_waited_for_a_place(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(concurrency={"default": 1}))
    world.twin.add_fault(
        Fault(path="/chat/completions", status=429, headers={"retry-after": "600"}, body="slow", times=1, delay=5)
    )
    statuses: list[int] = []

    async def one() -> None:
        statuses.append((await world.ask("/v1/chat/completions", chat("hi"))).status)

    async with trio.open_nursery() as inner:
        for _ in range(3):
            inner.start_soon(one)
    assert statuses == [429] * 3
    assert len(world.calls()) == 1


async def test_a_limit_told_in_mid_answer_holds(nursery: trio.Nursery) -> None:
    world = World(nursery)
    events_told: list[dict[str, Any]] = [
        {"type": "response.created", "response": {"id": "x"}},
        {"type": "error", "code": "user_global_rate_limited:pro", "message": "Please retry after 2733 seconds."},
    ]
    world.twin.add_fault(
        Fault(
            path="/responses",
            status=200,
            headers={"content-type": "text/event-stream"},
            body="".join(
                f"event: {told['type']}\ndata: {msgspec.json.encode(told).decode()}\n\n" for told in events_told
            ),
            times=1,
        )
    )
    answer = await world.ask("/v1/responses", responses("hi"))
    assert events(answer.body)[-1].name == "response.failed"
    assert decoded_event(events(answer.body)[-1].data)["response"]["error"]["code"] == "rate_limit_exceeded"
    again = await world.ask("/v1/responses", responses("hi"))
    assert again.status == 429
    assert int(again.headers["retry-after"]) > 2000
    assert len(world.calls("/responses")) == 1


async def test_a_refused_credential_is_not_tried_by_every_request(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", scenario="row23", times=9))
    for _ in range(3):
        answer = await world.ask("/v1/chat/completions", chat("hi"))
        assert (answer.status, answer.headers["x-should-retry"]) == (502, "false")
    assert len(world.calls()) == 2  # the second with a new token


# ---- Codex and what it would repeat


@pytest.mark.parametrize("scenario", ["err500", "errmid", "cut", "truncate"])
async def test_codex_is_told_at_the_second_failure_that_it_had_better_stop(
    nursery: trio.Nursery, scenario: str
) -> None:
    world = World(nursery)
    codes = []
    for _ in range(2):
        answer = await world.ask("/v1/responses", responses(f"SCENARIO:{scenario}"), CODEX)
        codes.append(decoded_event(events(answer.body)[-1].data)["response"]["error"]["code"])
    assert codes == ["server_error", "invalid_prompt"]


@pytest.mark.parametrize("status", [403, 404, 413])
async def test_codex_is_told_in_the_stream_what_no_repetition_mends(nursery: trio.Nursery, status: int) -> None:
    answer = await World(nursery).ask("/v1/responses", responses(f"SCENARIO:err{status}"), CODEX)
    assert answer.status == 200
    assert decoded_event(events(answer.body)[-1].data)["response"]["error"]["code"] == "invalid_prompt"


# ---- odds and ends


async def test_embeddings_carry_the_name_that_was_asked_for(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(model_mapping={"text-embedding-ada-002": "text-embedding-3-small"}))
    reply = decoded(await world.ask("/v1/embeddings", {"model": "text-embedding-ada-002", "input": "hi"}))
    assert reply["model"] == "text-embedding-ada-002"


async def test_odd_bytes_to_embeddings_are_the_clients_fault(nursery: trio.Nursery) -> None:
    answer = await World(nursery).ask("/v1/embeddings", b'{"model":"text-embedding-3-small","input":"x","\xff":1}')
    assert answer.status == 400


async def test_half_an_emoji_is_mended_everywhere(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = b'{"model":"text-embedding-3-small","input":"a \\ud83d b"}'
    assert (await world.ask("/v1/embeddings", body)).status == 200


async def test_a_whole_chat_answer_says_what_it_is(nursery: trio.Nursery) -> None:
    assert decoded(await World(nursery).ask("/v1/chat/completions", chat("hi")))["object"] == "chat.completion"


async def test_a_string_of_input_on_the_chat_route(nursery: trio.Nursery) -> None:
    body = {"model": "gpt-5-mini", "input": "SCENARIO:text REPLY=hello"}
    assert (
        decoded(await World(nursery).ask("/v1/chat/completions", body))["choices"][0]["message"]["content"] == "hello"
    )


async def test_what_we_added_and_upstream_refuses_is_left_out_from_then_on(nursery: trio.Nursery) -> None:
    world = World(nursery)
    refusal = '{"error":{"message":"Unrecognized request argument supplied: reasoning","code":"invalid_request_body"}}'
    world.twin.add_fault(Fault(path="/responses", status=400, body=refusal, times=1))
    for _ in range(2):
        assert (await world.ask("/v1/responses", responses("SCENARIO:text REPLY=hi"))).status == 200
    assert ["reasoning" in body for body in sent(world)] == [True, False, False]


async def test_what_the_client_asked_for_and_upstream_refuses_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    refusal = '{"error":{"message":"Unrecognized request argument supplied: reasoning","code":"invalid_request_body"}}'
    world.twin.add_fault(Fault(path="/responses", status=400, body=refusal, times=9))
    assert (await world.ask("/v1/responses", responses("hi", reasoning={"effort": "low"}))).status == 400
    assert len(sent(world)) == 1
