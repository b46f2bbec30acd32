"""Responses over a WebSocket: frames, what they keep, how they end (upstream.md §9)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from trio_websocket import ConnectionClosed, wrap_client_stream
from twin_client import DEV, HANDSHAKE, Answer, Client, Socket, new_twin, open_socket

from copilot_trio.twin import Fault, Ports, Record, Twin, serve_twin
from copilot_trio.twin.delivery import Close, Delivery, Finish, Pause, Ping, Reset, Write, script_messages
from copilot_trio.twin.sockets import MAX_MESSAGE

TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": name, "parameters": {}} for name in ("write_file", "read_file")
]
SECRETS: dict[str, Any] = {"include": ["reasoning.encrypted_content"]}


def kinds(events: list[Any]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def said(events: list[Any]) -> str:
    output = events[-1]["response"]["output"]
    return "".join(part["text"] for item in output if item["type"] == "message" for part in item["content"])


def frames_of(twin: Twin) -> list[Record]:
    return [record for record in twin.records if record.websocket]


async def refused(nursery: trio.Nursery, twin: Twin, token: str = DEV) -> Answer:
    return await Client(nursery, twin.handle).ask("GET", "/responses", token=token, headers=HANDSHAKE)


async def closed(socket: Socket) -> int:
    """Read to the end; return the code."""
    while socket.connection.closed is None:
        with suppress(ConnectionClosed):
            await socket.raw()
    return int(socket.connection.closed.code)


async def test_an_answer_in_frames(nursery: trio.Nursery) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    await socket.create("SCENARIO:text REPLY=hello", **SECRETS)
    raw = [await socket.raw() for _ in range(9)]
    events = [msgspec.json.decode(text) for text in raw]
    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.done",
        "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert raw == [msgspec.json.encode(event, order="sorted").decode() for event in events]
    assert [event["sequence_number"] for event in events] == list(range(9))
    assert said(events) == "hello"
    [headers] = {msgspec.json.encode(event["headers"]) for event in events}
    assert list(msgspec.json.decode(headers)) == [
        "X-Copilot-API-Exp-Assignment-Context", "X-Copilot-Service-Request-Id", "X-Copilot-WebSocket-Session-Id",
        "X-GitHub-Copilot-Request-Te", "X-Request-Id",
    ]  # fmt: skip
    assert [number for number, event in enumerate(events) if "copilot_usage" in event] == [8]
    assert [number for number, event in enumerate(events) if "copilot_quota_snapshots" in event] == [8]
    assert events[8]["copilot_quota_snapshots"]["premium_interactions"] == {
        "entitlement": "1500", "overage_count": 0, "overage_permitted": False, "percent_remaining": 70.3,
        "reset_date": "2026-10-01T00:00:00Z",
    }  # fmt: skip


async def test_ids_of_a_socket_and_of_its_requests(nursery: trio.Nursery) -> None:
    twin = new_twin()
    one, other = [await open_socket(nursery, twin.handle) for _ in range(2)]
    headers = [(await socket.ask("hi"))[-1]["headers"] for socket in (one, one, other)]
    sessions = [each["X-Copilot-WebSocket-Session-Id"] for each in headers]
    assert sessions[0] == sessions[1] != sessions[2]
    assert len({each["X-Request-Id"] for each in headers}) == 3


async def test_each_frame_is_a_record(nursery: trio.Nursery) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle, headers={"x-initiator": "agent", "x-interaction-id": "i1"})
    await socket.ask("SCENARIO:text")
    await socket.ask("two", initiator="agent")
    await socket.connection.aclose()
    await trio.testing.wait_all_tasks_blocked()
    handshake, first, second = twin.records
    assert (handshake.method, handshake.path, handshake.status) == ("GET", "/responses", 101)
    assert (handshake.websocket, handshake.outcome) == (False, "finished")
    assert [(frame.method, frame.path, frame.websocket, frame.status) for frame in (first, second)] == [
        ("FRAME", "/responses", True, 200)
    ] * 2
    assert [frame.initiator for frame in (first, second)] == ["user", "agent"]
    assert [frame.outcome for frame in (first, second)] == ["finished"] * 2
    assert first.json()["input"] == "SCENARIO:text"
    assert (first.scenario, first.model, first.account) == ("text", "gpt-5.3-codex", "octo-dev")
    assert first.headers["x-interaction-id"] == "i1"
    assert first.sent > 1000


async def test_only_what_people_ask_is_charged(nursery: trio.Nursery) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    before = twin.accounts["octo-dev"].remaining
    await socket.ask("one", initiator="agent")
    assert twin.accounts["octo-dev"].remaining == before
    await socket.ask("two", initiator="user")
    assert twin.accounts["octo-dev"].remaining == before - 1


@pytest.mark.parametrize(("token", "status", "body"), [
    ("tid=unknown", 401, b"unauthorized: unauthorized: AuthenticateToken authentication failed"),
    ("ghp_SYNTHETIC", 400, b"checking third-party user token"),
])  # fmt: skip
async def test_who_may_not_call_gets_plain_http(nursery: trio.Nursery, token: str, status: int, body: bytes) -> None:
    twin = new_twin()
    answer = await refused(nursery, twin, token)
    assert (answer.status, answer.body[: len(body)]) == (status, body)
    assert [record.status for record in twin.records] == [status]


async def test_the_handshake_is_answered_with_ids(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle, headers={"x-request-id": "r1"})
    headers = dict(socket.connection.handshake_headers)
    assert headers[b"x-request-id"] == b"r1"
    assert headers[b"x-github-request-id"]


async def test_a_refused_upgrade_leaves_the_connection_to_http(nursery: trio.Nursery) -> None:
    client = Client(nursery, new_twin().handle)
    half = {name: value for name, value in HANDSHAKE.items() if name != "sec-websocket-key"}
    assert (await client.ask("GET", "/responses", token=DEV, headers=half)).status == 400
    assert (await client.ask("GET", "/_ping")).status == 200


@pytest.mark.parametrize(("status", "method"), [(426, "GET"), (421, "GET"), (503, "")])
async def test_upgrades_may_be_made_to_fail(nursery: trio.Nursery, status: int, method: str) -> None:
    twin = new_twin()
    twin.add_fault(Fault(path="/responses", method=method, status=status))
    assert (await refused(nursery, twin)).status == status
    assert said(await (await open_socket(nursery, twin.handle)).ask("SCENARIO:text")) == "RIG-TEXT-OK"


async def test_an_upgrade_may_be_late(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(path="/responses", method="GET", delay=7.0))
    began = trio.current_time()
    await open_socket(nursery, twin.handle)
    assert trio.current_time() == began + 7.0


async def test_a_conversation_goes_on_with_new_items_only(nursery: trio.Nursery) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    events = await socket.ask("SCENARIO:thinktool FILE=/a CONTENT=c", tools=TOOLS, **SECRETS)
    for step in range(2):
        call = events[-1]["response"]["output"][-1]
        assert call["type"] == "function_call", step
        result = [{"type": "function_call_output", "call_id": call["call_id"], "output": "ok"}]
        previous = events[-1]["response"]["id"]
        events = await socket.ask(result, tools=TOOLS, previous_response_id=previous, initiator="agent", **SECRETS)
    assert said(events) == "RIG-DONE c"
    assert events[-1]["response"]["usage"]["input_tokens"] > 300  # of the whole conversation
    assert [len(record.json()["input"]) for record in frames_of(twin)[1:]] == [1, 1]


async def not_found(socket: Socket, previous: str) -> bool:
    events = await socket.ask("more", previous_response_id=previous)
    return [event["error"]["code"] for event in events if event["type"] == "error"] == ["previous_response_not_found"]


async def test_a_previous_response_is_the_last_of_this_socket(nursery: trio.Nursery) -> None:
    twin = new_twin()
    one, other = [await open_socket(nursery, twin.handle) for _ in range(2)]
    first, second = [(await one.ask("x"))[-1]["response"]["id"] for _ in range(2)]
    assert await not_found(other, second)
    assert await not_found(other, "resp_SYNTH")
    assert await not_found(one, first)


async def test_any_id_of_the_last_response_will_do(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    events = await socket.ask("REPLY=a SCENARIO:text")
    again = await socket.ask("SCENARIO:text REPLY=b", previous_response_id=events[0]["response"]["id"])
    assert said(again) == "b"


@pytest.mark.parametrize("failing", ["SCENARIO:maxtok", "SCENARIO:errmid", "SCENARIO:err500"])
async def test_a_failure_is_forgotten_with_all_before_it(nursery: trio.Nursery, failing: str) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    previous = (await socket.ask("x"))[-1]["response"]["id"]
    assert (await socket.ask(failing))[-1]["type"] != "response.completed"
    assert await not_found(socket, previous)
    assert (await socket.ask("x"))[-1]["type"] == "response.completed"


async def test_previous_responses_belong_to_an_account(nursery: trio.Nursery) -> None:
    twin = new_twin()
    ours = await open_socket(nursery, twin.handle)
    theirs = await open_socket(nursery, twin.handle, token=twin.accounts["octo-work"].token)
    previous = (await ours.ask("x"))[-1]["response"]["id"]
    await theirs.ask("x")
    assert await not_found(theirs, previous)


async def error_of(socket: Socket, prompt: object, **more: Any) -> Any:
    [event] = await socket.ask(prompt, **more)
    assert event["type"] == "error"
    assert not {"headers", "status", "sequence_number"} & event.keys()
    return event


async def test_errors_are_nested_frames(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    limited = await error_of(socket, "SCENARIO:user_global_rate_limited")
    assert limited["error"]["code"] == "user_global_rate_limited:pro_plus"
    assert limited["copilot_quota_snapshots"]["premium_interactions"]["entitlement"] == "1500"
    broke = await error_of(socket, "SCENARIO:quota_exceeded")
    assert broke["error"] == {"code": "quota_exceeded", "message": "You have no quota"}
    overloaded = await error_of(socket, "SCENARIO:overloaded")
    assert overloaded == {
        "type": "error",
        "error": {
            "code": "service_unavailable", "message": "service temporarily unavailable, please retry",
        },
    }  # fmt: skip
    codes = {"row33": "request_too_large", "row30": "not_found", "row21": "bad_request", "unicorn": "internal_error",
             "row45": "service_unavailable", "prompt_filtered": "content_filter", "row29": "forbidden"}  # fmt: skip
    for row, code in codes.items():
        assert (await error_of(socket, f"SCENARIO:{row}"))["error"]["code"] == code


async def test_items_of_others(nursery: trio.Nursery) -> None:
    twin = new_twin()
    ours = await open_socket(nursery, twin.handle)
    theirs = await open_socket(nursery, twin.handle, token=twin.accounts["octo-work"].token)
    item = (await ours.ask("SCENARIO:thinking", **SECRETS))[-1]["response"]["output"][0]
    assert (await ours.ask([item, {"role": "user", "content": "x"}]))[-1]["type"] == "response.completed"
    foreign = await error_of(theirs, [item])
    assert foreign["error"] == {
        "code": "bad_request", "type": "websocket_error",
        "message": "input item ID does not belong to this connection",
    }  # fmt: skip
    without_id = {name: value for name, value in item.items() if name != "id"}
    sealed = await error_of(theirs, [without_id])
    assert sealed["error"]["code"] == "bad_request"
    assert "could not be decrypted or parsed" in sealed["error"]["message"]


@pytest.mark.parametrize(("frame", "code", "message"), [
    ("not json", "invalid_request_body", "invalid request body"),
    ([], "invalid_request_body", "invalid request body"),
    ({"type": "response.processed"}, "invalid_request_body", "Invalid value: 'response.processed'."),
    ({"type": "response.create", "stream": True}, "invalid_request_body", "Unknown parameter: 'stream'."),
    ({"type": "response.create", "model": "gpt-5.5", "input": "x", "generate": False}, "invalid_request_body",
     "Unknown parameter: 'generate'."),
    ({"type": "response.create", "model": "gpt-5.5"}, "invalid_request_body", "invalid request body"),
    ({"type": "response.create", "model": "nobody", "input": "x"}, "model_not_supported", "The requested model"),
    ({"type": "response.create", "model": "gpt-4.1", "input": "x"}, "unsupported_api_for_model",
     'model "gpt-4.1" is not accessible via the ws:/responses endpoint'),
    ({"type": "response.create", "model": "gpt-5.5", "input": "x", "service_tier": "fast"}, "invalid_request_body",
     "Unknown parameter: 'service_tier'."),
])  # fmt: skip
async def test_frames_that_are_refused(nursery: trio.Nursery, frame: object, code: str, message: str) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    await socket.send(frame)
    event = await socket.event()
    assert (event["type"], event["error"]["code"]) == ("error", code)
    assert event["error"]["message"].startswith(message)
    assert frames_of(twin)[0].status == 400
    assert said(await socket.ask("SCENARIO:text")) == "RIG-TEXT-OK"


async def test_a_model_of_http_alone_is_refused(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.accounts["octo-dev"].accepted.add("oswe-vscode-prime")
    socket = await open_socket(nursery, twin.handle)
    refused = await error_of(socket, "x", model="oswe-vscode-prime")
    assert refused["error"]["code"] == "unsupported_api_for_model"


async def test_errors_in_the_middle(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    broken = await socket.ask("SCENARIO:errmid")
    assert len(broken) > 2
    assert broken[-1] == {
        "type": "error",
        "error": {"code": "server_error", "message": "The server had an error processing your request."},
    }
    failed = (await socket.ask("SCENARIO:errmid VARIANT:failed"))[-1]
    assert (failed["type"], failed["response"]["error"]["code"]) == ("response.failed", "server_error")
    assert failed["headers"]
    assert failed["copilot_quota_snapshots"]


async def test_the_second_error_after_a_failure_meets_the_next_request(nursery: trio.Nursery) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    assert (await socket.ask("SCENARIO:errmid VARIANT:doubleerror"))[-1]["type"] == "response.failed"
    await socket.create("SCENARIO:text")
    stale = await socket.event()
    assert stale["type"] == "error"
    assert set(stale) == {"type", "error"}
    assert said(await socket.events()) == "RIG-TEXT-OK"


async def test_a_stream_takes_its_time(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    began = trio.current_time()
    await socket.ask("SCENARIO:slow5")
    assert trio.current_time() == began + 5
    await socket.create("SCENARIO:stall30")
    assert kinds([await socket.event(), await socket.event()]) == ["created", "in_progress"]
    assert trio.current_time() == began + 5
    assert (await socket.event())["type"] == "response.output_item.added"
    assert trio.current_time() == began + 35


async def test_signs_of_life_are_pings(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    began = trio.current_time()
    assert said(await socket.ask("SCENARIO:pings4")) == "RIG-TEXT-OK"
    assert trio.current_time() == began + 4


async def test_the_twin_answers_pings(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    with trio.fail_after(1):
        await socket.connection.ping()
    await socket.create("SCENARIO:stall30")
    await socket.event()
    with trio.fail_after(1):
        await socket.connection.ping()


@pytest.mark.parametrize(("prompt", "code"), [
    ("SCENARIO:truncate", 1000), ("SCENARIO:close1011", 1011), ("SCENARIO:close1008", 1008), ("SCENARIO:cut", 1006),
    ("SCENARIO:connection_reset", 1006),
])  # fmt: skip
async def test_how_a_socket_breaks(nursery: trio.Nursery, prompt: str, code: int) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    await socket.create(prompt)
    assert await closed(socket) == code
    assert frames_of(twin)[0].outcome == ("reset" if code == 1006 else "truncated")


async def test_a_close_before_the_first_event(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(method="FRAME", at="start", cut="truncate", close=1009))
    socket = await open_socket(nursery, twin.handle)
    await socket.create("x")
    assert await closed(socket) == 1009
    assert frames_of(twin)[0].sent == 0


async def test_faults_pick_frames(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(path="/responses", method="FRAME", error="rate_limited"))
    twin.add_fault(Fault(contains="special", scenario="refusal"))
    twin.add_fault(Fault(method="FRAME", events=["not json", '{"type":"response.completed"}']))
    socket = await open_socket(nursery, twin.handle)
    assert (await error_of(socket, "x"))["error"]["code"] == "rate_limited"
    assert said(await socket.ask("special")) == "no"
    await socket.create("x")
    assert [await socket.raw(), await socket.raw()] == ["not json", '{"type":"response.completed"}']
    assert [record.fault for record in twin.records] == [False, True, True, True]


@pytest.mark.parametrize("politely", [True, False])
async def test_a_peer_that_leaves_ends_the_answer_at_once(nursery: trio.Nursery, politely: bool) -> None:
    twin = new_twin()
    socket = await open_socket(nursery, twin.handle)
    await socket.create("SCENARIO:stall300")
    await socket.event()
    await trio.sleep(10)
    if politely:
        await socket.connection.aclose()
    else:
        await socket.vanish()
    await trio.sleep(1)
    handshake, frame = twin.records
    assert frame.outcome == "peer left"
    assert handshake.outcome == ("finished" if politely else "peer left")
    assert handshake.ended is not None


async def test_frames_wait_for_their_turn(nursery: trio.Nursery) -> None:
    socket = await open_socket(nursery, new_twin().handle)
    for name in ("one", "two"):
        await socket.create(f"SCENARIO:slow5 REPLY={name}")
    assert [said(await socket.events()), said(await socket.events())] == ["one", "two"]


async def test_big_frames(nursery: trio.Nursery) -> None:
    twin = new_twin(count_tokens=lambda _: 1)
    socket = await open_socket(nursery, twin.handle)
    assert MAX_MESSAGE == 64 * 1024 * 1024
    assert (await socket.ask("x" * 3_000_000))[-1]["type"] == "response.completed"


@pytest.mark.real_clock
async def test_over_real_sockets(nursery: trio.Nursery) -> None:
    twin = Twin(pace=0.0)
    ports: Ports = await nursery.start(serve_twin, twin)
    host, port = ports.base_url.removeprefix("http://").split(":")
    extra = [(b"authorization", f"Bearer {DEV}".encode())]
    async with await trio.open_tcp_stream(host, int(port)) as stream:  # trio-websocket leaves a broken one open
        socket = Socket(await wrap_client_stream(nursery, stream, host, "/responses", extra_headers=extra))
        assert said(await socket.ask("SCENARIO:text")) == "RIG-TEXT-OK"
        await socket.create("SCENARIO:cut")
        assert await closed(socket) == 1006
    assert [record.outcome for record in frames_of(twin)] == ["finished", "reset"]


MESSAGES = [b"1111", b"2222", b"3333", b"4444", b"end"]


@pytest.mark.parametrize(("delivery", "wanted"), [
    (Delivery(), [*map(Write, MESSAGES), Finish()]),
    (Delivery(chunk=1, crlf=True), [*map(Write, MESSAGES), Finish()]),
    (Delivery(pace=1.0, delay=2.0, at="first", cut="truncate", close=1001),
     [Pause(2.0), Pause(1.0), Write(b"1111"), Pause(1.0), Write(b"2222"), Close(1001)]),
    (Delivery(at=9, cut="reset"), [Write(b"1111"), Write(b"2222"), Pause(0.1), Reset()]),
    (Delivery(at="start", stall=3.0), [Pause(3.0), *map(Write, MESSAGES), Finish()]),
    (Delivery(at="headers", pings=2.0),
     [Pause(1.0), Ping(), Pause(1.0), Ping(), *map(Write, MESSAGES), Finish()]),
    (Delivery(at="ending", cut="truncate"), [*map(Write, MESSAGES[:4]), Close(1000)]),
])  # fmt: skip
def test_how_messages_are_delivered(delivery: Delivery, wanted: list[object]) -> None:
    assert script_messages(MESSAGES, 4, delivery) == wanted


def test_codes_that_no_socket_is_closed_with() -> None:
    with pytest.raises(ValueError, match="close must be"):
        Fault(close=99)
