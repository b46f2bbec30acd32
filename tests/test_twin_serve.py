"""The twin behind the real server: records and how they end, faults on the wire, the control API, real sockets."""

from __future__ import annotations

import itertools
import time
from typing import Any

import h11
import httpcore
import pytest
import trio
import trio.testing
from twin_client import DEV, WEATHER, Answer, Client, chat, function, message, new_twin

from copilot_trio.twin import Fault, Ports, Twin, serve_twin
from copilot_trio.twin.records import MAX_BODY, Records, shown_header

CHAT = "/chat/completions"


async def ask(nursery: trio.Nursery, twin: Twin, body: object, path: str = CHAT) -> Answer:
    return await Client(nursery, twin.handle).ask("POST", path, body, token=DEV, headers={"x-initiator": "agent"})


async def control(nursery: trio.Nursery, twin: Twin, method: str, path: str, body: object = None) -> Any:
    answer = await Client(nursery, twin.control).ask(method, path, body)
    assert answer.headers["content-type"] == "application/json"
    return answer.json() | {"status": answer.status}


async def test_a_request_is_recorded(nursery: trio.Nursery) -> None:
    twin = new_twin()
    before = time.monotonic()
    answer = await ask(nursery, twin, chat("SCENARIO:text REPLY=hello"))
    assert answer.json()["choices"][0]["message"]["content"] == "hello"
    [record] = twin.records
    assert (record.seq, record.method, record.path, record.account) == (1, "POST", CHAT, "octo-dev")
    assert (record.token_kind, record.initiator, record.model) == ("github", "agent", "gpt-4.1")
    assert (record.status, record.outcome, record.scenario, record.fault) == (200, "finished", "text", False)
    assert record.sent == len(answer.body)
    assert record.json()["model"] == "gpt-4.1"
    assert record.ended is not None
    assert before <= record.received <= record.ended <= time.monotonic()


async def test_one_connection_carries_many_requests(nursery: trio.Nursery) -> None:
    twin = new_twin()
    client = Client(nursery, twin.handle)
    for path in ("/_ping", "/models", "/nowhere"):
        await client.ask("GET", path, token=DEV)
    assert [record.status for record in twin.records] == [200, 200, 404]
    github = await client.ask("GET", "/copilot_internal/none", token=DEV)
    assert (github.status, github.json()["message"]) == (404, "Not Found")
    wrong = await client.ask("DELETE", "/user")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET")


async def test_an_exchanged_token_is_followed_to_its_account(nursery: trio.Nursery) -> None:
    twin = new_twin()
    client = Client(nursery, twin.handle)
    token = (await client.ask("GET", "/copilot_internal/v2/token", token=DEV)).json()["token"]
    headers = {"editor-version": "vscode/1.113.0"}
    assert (await client.ask("POST", CHAT, chat("hi"), token=token, headers=headers)).status == 200
    record = twin.records.to(CHAT)[0]
    assert (record.account, record.token_kind, record.token_age) == ("octo-dev", "copilot", 0.0)
    twin.expire_tokens("octo-dev")
    assert (await client.ask("POST", CHAT, chat("hi"), token=token, headers=headers)).status == 401


async def test_words_come_one_by_one(nursery: trio.Nursery) -> None:
    twin = new_twin(pace=0.25)
    client = Client(nursery, twin.handle)
    await client.send("POST", CHAT, chat("hello", stream=True), token=DEV)
    times = []
    while not isinstance(event := await client.event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            times.append(trio.current_time())
    assert len(times) > 10
    assert {round(later - earlier, 6) for earlier, later in itertools.pairwise(times)} == {0.25}


def ends(twin: Twin) -> list[tuple[str, int, bool]]:
    return [(record.outcome, record.status, record.ended is not None) for record in twin.records]


async def test_the_peer_leaving_is_noticed(nursery: trio.Nursery) -> None:
    twin = new_twin()
    client = Client(nursery, twin.handle)
    await client.send("POST", CHAT, chat("SCENARIO:stall60", stream=True), token=DEV)
    assert isinstance(await client.event(), h11.Response)
    await trio.sleep(5)
    assert ends(twin) == [("", 200, False)]
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert ends(twin) == [("peer left", 200, True)]


async def test_leaving_before_the_status_line(nursery: trio.Nursery) -> None:
    twin = new_twin()
    client = Client(nursery, twin.handle)
    await client.send("POST", CHAT, chat("SCENARIO:slow60"), token=DEV)
    await trio.sleep(1)
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert (twin.records[0].outcome, twin.records[0].status) == ("peer left", 0)


async def test_silence_before_the_status_line(nursery: trio.Nursery) -> None:
    began = trio.current_time()
    assert (await ask(nursery, new_twin(), chat("SCENARIO:slow60"))).status == 200
    assert trio.current_time() - began == 60


async def test_a_reset_in_mid_stream(nursery: trio.Nursery) -> None:
    twin = new_twin()
    with pytest.raises(h11.RemoteProtocolError):
        await ask(nursery, twin, chat("SCENARIO:cut", stream=True))
    assert twin.records[0].outcome == "reset"
    assert twin.records[0].sent > 0


async def test_a_reset_before_the_status_line(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(at="start", cut="reset"))
    with pytest.raises(h11.RemoteProtocolError):
        await ask(nursery, twin, chat("hi"))
    assert (twin.records[0].outcome, twin.records[0].status, twin.records[0].fault) == ("reset", 0, True)


async def test_a_clean_end_without_a_terminal_event(nursery: trio.Nursery) -> None:
    twin = new_twin()
    answer = await ask(nursery, twin, message("SCENARIO:truncate", stream=True), "/v1/messages")
    assert b"content_block_stop" in answer.body
    assert b"message_stop" not in answer.body
    assert b"[DONE]" not in answer.body
    assert twin.records[0].outcome == "truncated"


async def test_a_body_cut_short(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(path=CHAT, cut="truncate"))
    with pytest.raises(h11.RemoteProtocolError):
        await ask(nursery, twin, chat("hi"))
    assert twin.records[0].outcome == "reset"


async def test_one_byte_at_a_time(nursery: trio.Nursery) -> None:
    twin = new_twin()
    body = chat("SCENARIO:text REPLY=ünïcödé", stream=True)
    twin.add_fault(Fault(chunk=1))
    client = Client(nursery, twin.handle)
    await client.send("POST", CHAT, body, token=DEV)
    pieces = []
    while not isinstance(event := await client.event(), h11.EndOfMessage):
        if isinstance(event, h11.Data):
            pieces.append(bytes(event.data))
    assert {len(piece) for piece in pieces} == {1}
    assert b"".join(pieces).endswith(b"data: [DONE]\n\n")


async def test_a_stall_after_the_headers(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(at="headers", stall=30))
    client = Client(nursery, twin.handle)
    await client.send("POST", CHAT, chat("hi", stream=True), token=DEV)
    assert isinstance(await client.event(), h11.Response)
    began = trio.current_time()
    answer = await client.receive()
    assert trio.current_time() - began == 30
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_faults_by_account_with_any_answer(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(account="octo-work", error="row38", times=None))
    twin.add_fault(Fault(path=CHAT, status=418, body={"short": "and stout"}, headers={"X-Pot": "tea"}))
    answer = await ask(nursery, twin, chat("hi"))
    assert (answer.status, answer.json(), answer.headers["x-pot"]) == (418, {"short": "and stout"}, "tea")
    work = twin.accounts["octo-work"].token
    limited = await Client(nursery, twin.handle).ask("POST", CHAT, chat("hi"), token=work)
    assert limited.status == 429
    assert limited.headers["content-type"] == "text/plain; charset=utf-8"
    assert (await ask(nursery, twin, chat("hi"))).status == 200


async def test_faults_reach_github_too(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(path="/copilot_internal/*", error="unicorn"))
    client = Client(nursery, twin.handle)
    assert (
        (await client.ask("GET", "/copilot_internal/v2/token", token=DEV))
        .headers["content-type"]
        .startswith("text/html")
    )
    assert (await client.ask("GET", "/copilot_internal/v2/token", token=DEV)).status == 200


async def test_a_fault_may_pick_a_scenario_or_a_stream_of_its_own(nursery: trio.Nursery) -> None:
    twin = new_twin()
    twin.add_fault(Fault(scenario="refusal"))
    twin.add_fault(Fault(events=['{"choices":[]}', "not json"]))
    assert (await ask(nursery, twin, chat("hi"))).json()["choices"][0]["finish_reason"] == "content_filter"
    assert (await ask(nursery, twin, chat("hi"))).body == b'data: {"choices":[]}\n\ndata: not json\n\n'


async def test_a_tool_round_trip(nursery: trio.Nursery) -> None:
    twin = new_twin()
    body = chat("use get_weather for Paris", tools=[function("get_weather", WEATHER)])
    called = (await ask(nursery, twin, body)).json()["choices"][0]["message"]
    [call] = called["tool_calls"]
    del called["padding"]  # which is not taken back
    body["messages"] += [called, {"role": "tool", "tool_call_id": call["id"], "content": "21 degrees"}]
    final = (await ask(nursery, twin, body)).json()["choices"][0]
    assert "21 degrees" in final["message"]["content"]
    assert final["finish_reason"] == "stop"


async def test_control_records_hide_tokens(nursery: trio.Nursery) -> None:
    twin = new_twin()
    await ask(nursery, twin, chat("hi"))
    await ask(nursery, twin, chat("there"))
    shown = await control(nursery, twin, "GET", f"/records?since=1&path={CHAT}")
    [record] = shown["records"]
    assert record["headers"]["authorization"] == "Bearer …0000"
    assert "there" in record["body"]
    assert DEV not in str(shown)
    assert (await control(nursery, twin, "GET", "/records?path=/models"))["records"] == []
    await control(nursery, twin, "DELETE", "/records")
    assert len(twin.records) == 0


async def test_control_scenarios(nursery: trio.Nursery) -> None:
    twin = new_twin()
    queued = await control(nursery, twin, "POST", "/scenarios", [{"path": CHAT, "error": "misdirected", "times": 1}])
    assert queued["faults"][0]["left"] == 1
    assert (await ask(nursery, twin, chat("hi"))).status == 421
    assert (await control(nursery, twin, "GET", "/scenarios"))["faults"] == []
    changes = {"faults": [{"status": 500}], "accounts": [{"login": "octo-dev", "blocked": "spammy_user"}]}
    await control(nursery, twin, "POST", "/scenarios", changes)
    assert twin.accounts["octo-dev"].blocked == "spammy_user"
    assert (await control(nursery, twin, "DELETE", "/scenarios"))["faults"] == []
    wrong = await control(nursery, twin, "POST", "/scenarios", [{"stat": 1}])
    assert (wrong["status"], "unknown field `stat`" in wrong["error"]) == (400, True)


async def test_control_devices(nursery: trio.Nursery) -> None:
    twin = new_twin()
    body = {"client_id": "Iv1.x"}
    client = Client(nursery, twin.handle)
    started = await client.ask("POST", "/login/device/code", body, headers={"accept": "application/json"})
    code = started.json()["user_code"]
    assert (await control(nursery, twin, "GET", "/device"))["codes"] == [{"user_code": code, "client_id": "Iv1.x"}]
    decided = await control(nursery, twin, "POST", f"/device/{code}", {"state": "approved", "login": "octo-work"})
    assert (decided["status"], decided["login"]) == (200, "octo-work")
    assert (await control(nursery, twin, "POST", f"/device/{code}", {"state": "denied"}))["status"] == 409
    assert (await control(nursery, twin, "POST", "/device/NONE", {"state": "denied"}))["status"] == 404
    assert (await control(nursery, twin, "POST", f"/device/{code}", {"state": "maybe"}))["status"] == 400
    with pytest.raises(ValueError, match="approved already"):
        twin.approve(code)


async def test_control_accounts(nursery: trio.Nursery) -> None:
    twin = new_twin()
    shown = await control(nursery, twin, "GET", "/accounts")
    assert [account["login"] for account in shown["accounts"]] == ["octo-dev", "octo-home", "octo-work"]
    assert DEV not in str(shown)
    changed = await control(
        nursery, twin, "POST", "/accounts", {"login": "octo-dev", "remaining": 0, "models": ["gpt-4.1"]}
    )
    assert (changed["remaining"], changed["models"]) == (0, ["gpt-4.1"])
    await control(nursery, twin, "POST", "/accounts", {"login": "new", "plan": "free", "token": "ghu_SYNTHETICnew"})
    assert twin.accounts.by_token("ghu_SYNTHETICnew") is twin.accounts["new"]
    assert (await control(nursery, twin, "POST", "/accounts/new/expire"))["status"] == 200
    assert (await control(nursery, twin, "POST", "/accounts/none/expire"))["status"] == 404
    assert (await control(nursery, twin, "POST", "/accounts", {"login": "new", "plan": "gold"}))["status"] == 400


async def test_control_refuses_what_it_does_not_know(nursery: trio.Nursery) -> None:
    twin = new_twin()
    assert "paths" in await control(nursery, twin, "GET", "/")
    assert (await control(nursery, twin, "GET", "/elsewhere"))["status"] == 404
    assert (await control(nursery, twin, "PUT", "/records"))["status"] == 405
    assert (await control(nursery, twin, "POST", "/accounts", b"{"))["status"] == 400
    assert (await control(nursery, twin, "GET", "/records?since=x"))["status"] == 400
    foreign = await Client(nursery, twin.control).ask("DELETE", "/records", headers={"origin": "http://evil.example"})
    assert foreign.status == 403


def test_records_are_bounded() -> None:
    records = Records()
    for _ in range(40):
        records.open("POST", "/x", "", {}, b"x" * (MAX_BODY + 1), 0.0)
    assert [len(record.body) for record in records] == [0] * 8 + [MAX_BODY] * 32
    assert records[0].body_size == MAX_BODY + 1
    for _ in range(10_000):
        records.open("GET", "/y", "", {}, b"", 0.0)
    assert len(records) == 10_000
    assert records[0].path == "/y"
    assert sum(len(record.body) for record in records) == 0


@pytest.mark.parametrize(("name", "value", "shown"), [
    ("authorization", "Bearer tid=123456789;abcd", "Bearer …abcd"),
    ("authorization", "token ghu_SYNTHETIC1234", "token …1234"),
    ("authorization", "Bearer short", "Bearer …"),
    ("x-api-key", "0123456789", "…6789"),
    ("accept", "text/html", "text/html"),
])  # fmt: skip
def test_shown_headers(name: str, value: str, shown: str) -> None:
    assert shown_header(name, value) == shown


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1", "example.com", ""])
async def test_only_loopback(host: str) -> None:
    with pytest.raises(ValueError, match="loopback"):
        await serve_twin(new_twin(), host)


async def serve(nursery: trio.Nursery, twin: Twin, host: str = "127.0.0.1") -> Ports:
    ports: Ports = await nursery.start(serve_twin, twin, host)
    return ports


async def read_into(received: bytearray, stream: trio.SocketStream) -> None:
    while data := await stream.receive_some():
        received += data


@pytest.mark.real_clock
async def test_over_real_sockets(nursery: trio.Nursery) -> None:
    twin = new_twin()
    ports = await serve(nursery, twin, "localhost")
    assert twin.base_url == ports.base_url != ports.control_url
    async with httpcore.AsyncConnectionPool() as pool:
        headers = [("authorization", f"Bearer {DEV}")]
        envelope = await pool.request("GET", f"{ports.base_url}/copilot_internal/v2/token", headers=headers)
        assert ports.base_url.encode() in envelope.content
        models = await pool.request("GET", f"{ports.base_url}/models", headers=headers)
        assert b"claude-opus-4.6" in models.content
        records = await pool.request("GET", f"{ports.control_url}/records")
        assert records.content.count(b'"seq"') == 2


@pytest.mark.real_clock
async def test_a_reset_is_a_real_reset(nursery: trio.Nursery) -> None:
    twin = new_twin()
    ports = await serve(nursery, twin)
    twin.add_fault(Fault(cut="reset", at="middle"))
    host, port = ports.base_url.removeprefix("http://").split(":")
    stream = await trio.open_tcp_stream(host, int(port))
    body = b'{"model":"gpt-4.1","stream":true,"messages":[{"role":"user","content":"hi"}]}'
    head = f"POST {CHAT} HTTP/1.1\r\nhost: t\r\nauthorization: Bearer {DEV}\r\ncontent-length: {len(body)}\r\n\r\n"
    await stream.send_all(head.encode() + body)
    received = bytearray()
    with pytest.raises(trio.BrokenResourceError):
        await read_into(received, stream)
    await stream.aclose()
    assert b"prompt_filter_results" in received
    assert b"[DONE]" not in received
    assert twin.records[0].outcome == "reset"


@pytest.mark.real_clock
async def test_a_port_that_is_taken_leaves_nothing_open(nursery: trio.Nursery) -> None:
    ports = await serve(nursery, new_twin())
    taken = int(ports.control_url.rpartition(":")[2])
    with pytest.raises(OSError, match=r"[Aa]ddress already in use"):
        await serve_twin(new_twin(), control_port=taken)
