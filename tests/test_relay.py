from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest
import trio
import trio.testing
from memory_network import post
from world import World, chat, chat_text, error_of, events, messages, messages_text, names

from copilot_trio.accounts.store import load_accounts, pause_of
from copilot_trio.config import Config, TimeoutSettings
from copilot_trio.job import Stopwatch
from copilot_trio.relay import SilenceWatch
from copilot_trio.twin import Fault

ANTHROPIC_ORDER = [
    "message_start",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "message_delta",
    "message_stop",
]


# ---- the four roads


async def test_chat_streams_through(nursery: trio.Nursery) -> None:
    answer = await World(nursery).ask("/v1/chat/completions", chat("SCENARIO:text REPLY=hello", stream=True))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream"
    assert chat_text(answer.body) == "hello"
    assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_chat_answers_whole(nursery: trio.Nursery) -> None:
    answer = await World(nursery).ask("/v1/chat/completions", chat("SCENARIO:text REPLY=hello"))
    assert answer.status == 200
    assert msgspec.json.decode(answer.body)["choices"][0]["message"]["content"] == "hello"


@pytest.mark.parametrize("model", ["gpt-4.1", "gemini-2.5-pro", "claude-sonnet-4.5"])
async def test_messages_stream_for_every_vendor(nursery: trio.Nursery, model: str) -> None:
    answer = await World(nursery).ask("/v1/messages", messages("SCENARIO:text REPLY=hello", model=model, stream=True))
    assert answer.status == 200
    assert names(answer.body) == ANTHROPIC_ORDER
    assert messages_text(answer.body) == "hello"
    assert b"[DONE]" not in answer.body


@pytest.mark.parametrize("model", ["gpt-4.1", "gemini-2.5-pro", "claude-sonnet-4.5"])
async def test_messages_answer_whole_for_every_vendor(nursery: trio.Nursery, model: str) -> None:
    answer = await World(nursery).ask("/v1/messages", messages("SCENARIO:text REPLY=hello", model=model))
    message = msgspec.json.decode(answer.body)
    assert (message["type"], message["content"][0]["text"], message["stop_reason"]) == ("message", "hello", "end_turn")
    assert message["usage"]["input_tokens"] > 0


@pytest.mark.parametrize("prefix", ["", "/v1", "/copilot/v1"])
async def test_model_routes_are_served_under_every_prefix(nursery: trio.Nursery, prefix: str) -> None:
    world = World(nursery)
    assert (await world.ask(f"{prefix}/chat/completions", chat("hi"))).status == 200
    assert (await world.ask(f"{prefix}/messages", messages("hi"))).status == 200


async def test_the_connection_upstream_is_used_again(nursery: trio.Nursery) -> None:
    world = World(nursery)
    for _ in range(3):
        await world.ask("/v1/chat/completions", chat("hi", stream=True))
        await trio.testing.wait_all_tasks_blocked()
    assert world.dials == 1


# ---- bytes


async def test_a_native_request_arrives_byte_for_byte(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = (
        b'{ "max_tokens" : 1000,"model":"claude-sonnet-4.5" ,\n\t"metadata":'
        b'{"user_id":"a\\u0062","n":123456789012345678901234567890},'
        b'"metadata":{"user_id":"\\ud83d\\ude00 twice"},"temperature":1e0,\r\n "messages":[ {"content":"SCENARIO:text '
        b'\\u00e9 \xc3\xa9 \\/ REPLY=x","role":"user"} ] }'
    )
    answer = await world.ask("/v1/messages", body)
    assert answer.status == 200
    assert world.calls()[0].body == body


async def test_only_the_models_value_changes_where_the_name_is_another(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = b'{"messages":[{"role":"user","content":"hi"}],  "model" : "claude-sonnet-4-5-20250929", "max_tokens":9}'
    answer = await world.ask("/v1/messages", body)
    assert world.calls()[0].body == body.replace(b"claude-sonnet-4-5-20250929", b"claude-sonnet-4.5")
    assert msgspec.json.decode(answer.body)["model"] == "claude-sonnet-4-5-20250929"


async def test_response_bytes_go_on_as_they_came(nursery: trio.Nursery) -> None:
    world = World(nursery)
    odd = [
        '{"choices":[{"delta":{"content":"a"},"index":0}],  "id" : "x" ,"object":"chat.completion.chunk"}',
        '{"object":"chat.completion.chunk","choices":[{"finish_reason": "stop"}]}',
    ]
    world.twin.add_fault(Fault(path="/chat/completions", events=[*odd, "[DONE]"]))
    answer = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    assert answer.body == b"".join(b"data: %b\n\n" % data.encode() for data in [*odd, "[DONE]"])


@pytest.mark.parametrize("size", [1, 2, 7, 1000])
async def test_any_chunking_upstream_gives_the_same_answer(nursery: trio.Nursery, size: int) -> None:
    world = World(nursery)
    whole = await world.ask("/v1/messages", messages("SCENARIO:text REPLY=same", stream=True))
    world.twin.add_fault(Fault(path="/chat/completions", chunk=size))
    cut = await world.ask("/v1/messages", messages("SCENARIO:text REPLY=same", stream=True))
    assert messages_text(cut.body) == messages_text(whole.body) == "same"
    assert names(cut.body) == names(whole.body)


# ---- headers, identity, billing


async def test_upstream_sees_the_identity_and_the_accounts_own_ids(nursery: trio.Nursery) -> None:
    world = World(nursery)
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    sent = world.calls()[0].headers
    assert sent["editor-version"] == "vscode/1.113.0"
    assert sent["copilot-integration-id"] == "vscode-chat"
    assert sent["accept-encoding"] == "identity"
    assert sent["vscode-machineid"] == "m" * 64
    assert sent["x-request-id"] == answer.headers["x-request-id"]
    assert "copilot-vision-request" not in sent


async def test_every_answer_names_account_and_overhead(nursery: trio.Nursery) -> None:
    answer = await World(nursery).ask("/v1/chat/completions", chat("hi", stream=True))
    assert answer.headers["x-copilot-trio-account"] == "work"
    assert float(answer.headers["x-copilot-trio-overhead-ms"]) >= 0
    assert answer.headers["x-quota-snapshot-premium_interactions"].startswith("ent=")
    assert "content-security-policy" not in answer.headers


@pytest.mark.parametrize(
    ("last", "initiator"),
    [
        ([{"role": "user", "content": "hi"}], "user"),
        ([{"role": "user", "content": "hi"}, {"role": "system", "content": "env"}], "user"),
        (
            [
                {"role": "user", "content": "hi"},
                {"role": "assistant", "content": None, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
                {"role": "tool", "tool_call_id": "c1", "content": "r"},
            ],
            "agent",
        ),
    ],
    ids=["person", "system after person", "tool result"],
)  # fmt: skip
async def test_the_initiator_is_derived_from_the_newest_item(
    nursery: trio.Nursery, last: list[object], initiator: str
) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", {"model": "gpt-4.1", "messages": last})
    assert world.calls()[0].headers["x-initiator"] == initiator


async def test_a_subagent_says_so_itself(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/messages", messages("hi"), ("x-claude-code-agent-id", "a1"))
    assert world.calls()[0].headers["x-initiator"] == "agent"


async def test_images_are_announced(nursery: trio.Nursery) -> None:
    world = World(nursery)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    await world.ask("/v1/chat/completions", chat("", messages=[{"role": "user", "content": [image]}]))
    assert world.calls()[0].headers["copilot-vision-request"] == "true"


async def test_betas_that_upstream_does_not_know_are_left_out(nursery: trio.Nursery) -> None:
    world = World(nursery)
    betas = ("anthropic-beta", "claude-code-20250219,interleaved-thinking-2025-05-14")
    answer = await world.ask("/v1/messages", messages("hi", model="claude-sonnet-4.5"), betas)
    assert answer.status == 200
    assert world.calls()[0].headers["anthropic-beta"] == "interleaved-thinking-2025-05-14"


# ---- repairs that are free, and everything else once


async def test_an_expired_token_is_refreshed_once(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", error="token_expired"))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200
    assert len([r for r in world.twin.records if r.path == "/copilot_internal/v2/token"]) == 2
    assert len({record.headers["x-initiator"] for record in world.calls()}) == 1


async def test_a_credential_that_stays_refused_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", error="token_expired", times=None))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, len(world.calls())) == (502, 2)
    assert "copilot-trio auth" in str(error_of(answer)["message"])


async def test_a_body_that_upstream_timed_out_reading_is_sent_again(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", error="user_request_timeout"))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_misdirected_request_goes_where_a_new_token_says(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", error="misdirected"))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200
    assert len(world.calls()) == 2


async def test_a_wrong_endpoint_is_learned(nursery: trio.Nursery) -> None:
    world = World(nursery)
    refused = {
        "error": {
            "message": "model is not accessible via the /v1/messages endpoint",
            "code": "unsupported_api_for_model",
        }
    }
    world.twin.add_fault(Fault(path="/v1/messages", status=400, body=refused))
    for _ in range(2):
        answer = await world.ask("/v1/messages", messages("SCENARIO:text REPLY=ok", model="claude-sonnet-4.5"))
        assert msgspec.json.decode(answer.body)["content"][0]["text"] == "ok"
    assert [record.path for record in world.calls()] == ["/v1/messages", "/chat/completions", "/chat/completions"]


async def test_foreign_thinking_is_dropped_and_sent_again(nursery: trio.Nursery) -> None:
    world = World(nursery)
    history = [
        {"role": "user", "content": "SCENARIO:text REPLY=ok"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "hm", "signature": "Zm9yZWlnbg=="}, {"type": "text", "text": "yes"}]},
        {"role": "user", "content": "go on"},
    ]  # fmt: skip
    answer = await world.ask("/v1/messages", messages("", model="claude-sonnet-4.5", messages=history))
    assert answer.status == 200
    first, second = world.calls()
    assert b"Zm9yZWlnbg==" in first.body
    assert b"thinking" not in second.body


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_failure_upstream_is_passed_on_and_never_sent_again(nursery: trio.Nursery, status: int) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=status, body="oops", headers={"retry-after": "7"}))
    answer = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    assert (answer.status, len(world.calls())) == (status, 1)
    assert answer.headers["retry-after"] == "7"
    assert "x-should-retry" not in answer.headers


async def test_the_second_identical_failure_says_stop(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=500, body="oops", times=3))
    first = await world.ask("/v1/chat/completions", chat("hi"))
    second = await world.ask("/v1/chat/completions", chat("hi"))
    other = await world.ask("/v1/chat/completions", chat("something else"))
    assert [answer.headers.get("x-should-retry") for answer in (first, second, other)] == [None, "false", None]


async def test_silence_before_the_answer_is_a_timeout_not_a_second_request(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", delay=1000))
    began = trio.current_time()
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, len(world.calls())) == (504, 1)
    assert trio.current_time() - began == pytest.approx(120)
    assert "may have been charged" in str(error_of(answer)["message"])


async def test_a_reset_before_the_answer_is_an_error_not_a_second_request(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    await world.app.accounts.accounts[0].pool.recycle()
    world.twin.add_fault(Fault(path="/chat/completions", cut="reset", at="start"))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, len(world.calls())) == (502, 2)


async def test_a_reused_connection_that_dies_in_silence_is_replaced_once(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    world.twin.add_fault(Fault(path="/chat/completions", cut="reset", at="start"))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, world.dials) == (200, 2)


# ---- limits and warnings


async def test_a_short_cooldown_is_waited_for(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(
        Fault(
            path="/chat/completions",
            status=429,
            body={"error": {"code": "rate_limited"}},
            headers={"retry-after": "20"},
        )
    )
    limited = await world.ask("/v1/chat/completions", chat("hi"))
    assert (limited.status, limited.headers["retry-after"]) == (429, "20")
    began = trio.current_time()
    assert (await world.ask("/v1/chat/completions", chat("hi", stream=True))).status == 200
    assert trio.current_time() - began == pytest.approx(20)


async def test_a_long_cooldown_is_a_429_that_costs_nothing(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(
        Fault(
            path="/chat/completions",
            status=429,
            body={"error": {"code": "rate_limited"}},
            headers={"retry-after": "600"},
        )
    )
    await world.ask("/v1/chat/completions", chat("hi"))
    answer = await world.ask("/v1/messages", messages("hi"))
    assert (answer.status, len(world.calls())) == (429, 1)
    assert (answer.headers["retry-after"], answer.headers["x-should-retry"]) == ("600", "false")
    assert error_of(answer)["type"] == "rate_limit_error"
    await trio.sleep(600)
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_models_limit_leaves_other_models_alone(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = {"error": {"code": "user_model_rate_limited:pro"}}
    world.twin.add_fault(Fault(path="/chat/completions", status=429, body=body, headers={"retry-after": "600"}))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 429
    assert (await world.ask("/v1/chat/completions", chat("hi", model="gemini-2.5-pro"))).status == 200
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 429


async def test_a_used_up_quota_says_so(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", error="quota_exceeded"))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, error_of(answer)["type"]) == (429, "insufficient_quota")
    assert answer.headers["x-should-retry"] == "false"


async def test_after_a_warning_nothing_more_is_sent(nursery: trio.Nursery, tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    world = World(nursery, accounts_file=path)
    world.twin.add_fault(Fault(path="/chat/completions", error="tos_block"))
    first = await world.ask("/v1/chat/completions", chat("hi"))
    sent = len(world.twin.records)
    second = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    third = await world.ask("/v1/messages", messages("hi"))
    assert [first.status, second.status, third.status] == [403, 403, 403]
    assert len(world.twin.records) == sent
    assert "acknowledge" in str(error_of(third)["message"])
    assert pause_of(load_accounts(path), world.app.accounts.accounts[0].record.github_token) is not None


async def test_a_stored_warning_holds_over_a_restart(nursery: trio.Nursery) -> None:
    world = World(nursery, paused="spammy_user")
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, len(world.twin.records)) == (403, 0)


async def test_a_context_that_is_too_long_has_claude_codes_words(nursery: trio.Nursery) -> None:
    world = World(nursery)
    body = {"error": {"message": "prompt token count of 138898 exceeds the limit of 64000", "code": ""}}
    world.twin.add_fault(Fault(path="/chat/completions", status=400, body=body))
    answer = await world.ask("/v1/messages", messages("hi", stream=True))
    assert answer.status == 400
    assert str(error_of(answer)["message"]).startswith("prompt is too long: 138898 tokens > 64000 maximum")


# ---- streams that go wrong


async def test_a_truncated_stream_ends_in_an_error_not_in_an_answer(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", cut="truncate", at="middle", times=2))
    translated = await world.ask("/v1/messages", messages("SCENARIO:long REPLY=x", stream=True))
    assert names(translated.body)[-1] == "error"
    same = await world.ask("/v1/chat/completions", chat("SCENARIO:long REPLY=x", stream=True))
    last, done = events(same.body)[-2:]
    assert msgspec.json.decode(last.data)["error"]["code"] == "stream_truncated"
    assert done.data == b"[DONE]"


async def test_a_reset_in_mid_stream_ends_in_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/v1/messages", cut="reset", at="middle"))
    answer = await world.ask("/v1/messages", messages("SCENARIO:long REPLY=x", model="claude-sonnet-4.5", stream=True))
    assert names(answer.body)[-1] == "error"
    assert (await world.ask("/v1/messages", messages("hi", model="claude-sonnet-4.5"))).status == 200


async def test_an_error_frame_before_any_text_keeps_its_status(nursery: trio.Nursery) -> None:
    world = World(nursery)
    frame = '{"error":{"code":500,"message":"upstream failure","metadata":{}},"model":"gpt-4.1"}'
    world.twin.add_fault(Fault(path="/chat/completions", events=[frame]))
    answer = await world.ask("/v1/messages", messages("hi", stream=True))
    assert answer.status == 502
    assert "upstream failure" in str(error_of(answer)["message"])


async def test_a_long_silence_in_mid_stream_is_an_error_event(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", stall=10_000, at="middle"))
    began = trio.current_time()
    answer = await world.ask("/v1/messages", messages("SCENARIO:long REPLY=x", stream=True))
    assert trio.current_time() - began == pytest.approx(300)
    found = names(answer.body)
    assert found[-1] == "error"
    assert answer.body.count(b"event: ping") in {29, 30}  # the last one and the error are due at the same moment


async def test_silence_in_a_whole_answer_is_a_timeout(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(timeouts=TimeoutSettings(silence=50)))
    world.twin.add_fault(Fault(path="/chat/completions", stall=10_000, at="middle"))
    answer = await world.ask("/v1/chat/completions", chat("SCENARIO:text REPLY=x"))
    assert answer.status == 504


async def test_heartbeats_go_out_before_upstream_answers(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", delay=35))
    answer = await world.ask("/v1/messages", messages("SCENARIO:text REPLY=late", stream=True))
    assert answer.body.count(b"event: ping") == 3
    assert messages_text(answer.body.replace(b'event: ping\ndata: {"type":"ping"}\n\n', b"")) == "late"


async def test_an_early_refusal_after_a_heartbeat_is_an_event(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", delay=15, status=400, body={"error": {"message": "no"}}))
    answer = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    assert answer.status == 200
    assert answer.body.startswith(b": keep-alive\n\n")
    assert msgspec.json.decode(events(answer.body)[0].data)["error"]["message"].startswith("no")


# ---- the client leaves


async def _leaves(world: World, body: dict[str, object], after: float) -> None:
    client = await world.client()
    await post(client.stream, "/v1/chat/completions", msgspec.json.encode(body))
    await trio.sleep(after)
    await client.stream.aclose()
    await trio.testing.wait_all_tasks_blocked()


@pytest.mark.parametrize("stream", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("fault", [Fault(delay=100), Fault(stall=100, at="middle")], ids=["headers", "body"])
async def test_a_client_that_leaves_cancels_its_upstream(nursery: trio.Nursery, fault: Fault, stream: bool) -> None:
    world = World(nursery)
    await world.ask("/v1/models", b"")  # 405: the account's token and models are fetched with the first request
    world.twin.add_fault(msgspec.structs.replace(fault, path="/chat/completions"))
    await _leaves(world, chat("SCENARIO:long REPLY=x", stream=stream), 5)
    record = world.calls()[0]
    assert record.outcome == "peer left"
    assert record.ended == pytest.approx(trio.current_time())
    assert world.app.accounts.accounts[0].in_flight == 0
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_client_that_leaves_while_we_dial(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.unreachable = True
    await _leaves(world, chat("hi", stream=True), 5)
    assert world.app.accounts.accounts[0].in_flight == 0
    assert repr(world.app.accounts.accounts[0].pool) == "<AccountPool 0 active, 0 idle, 0 draining>"


async def test_a_client_that_leaves_gives_its_place_in_a_cooldown_back(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=429, headers={"retry-after": "25"}, body="slow"))
    await world.ask("/v1/chat/completions", chat("hi"))
    await _leaves(world, chat("hi", stream=True), 5)
    await trio.sleep(60)
    assert len(world.calls()) == 1


# ---- errors of the client's own


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not valid JSON"),
        (b"[]", 400, "wrong type"),
        (b'{"messages":[]}', 400, "no model"),
        (b'{"model":"gpt-4.1"}', 400, "no messages"),
        (b'{"model":"gpt-4.1","messages":"hi"}', 400, "messages"),
        (b'{"model":1,"messages":[]}', 400, "model"),
        (b'{"model":"gpt-4.1","messages":[]}', 400, "empty"),
        (b'{"model":"nobody","messages":[{"role":"user","content":"hi"}]}', 404, "This account is offered"),
        (b'{"model":"text-embedding-3-small","messages":[{"role":"user","content":"hi"}]}', 404, "embeddings"),
        (b'{"model":"gpt-4.1","messages":[{"role":"user","content":"\xff"}]}', 400, ""),
    ],
)
async def test_bad_requests_are_refused_before_anything_is_sent(
    nursery: trio.Nursery, path: str, body: bytes, status: int, words: str
) -> None:
    world = World(nursery)
    answer = await world.ask(path, body)
    assert (answer.status, len(world.calls())) == (status, 0)
    assert answer.headers["x-should-retry"] == "false"
    error = error_of(answer)
    assert words in str(error["message"])
    assert "Nothing was charged." in str(error["message"])
    assert (b'"type":"error"' in answer.body) == (path == "/v1/messages")


# ---- what nobody should answer


async def test_a_token_answer_that_stalls_does_not_hang_the_proxy(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", stall=10_000, at="middle"))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert (answer.status, trio.current_time()) == (504, 30)
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_refusal_that_stalls_counts_as_far_as_it_came(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/chat/completions", status=500, body="x" * 1000, stall=10_000, at="middle"))
    answer = await world.ask("/v1/chat/completions", chat("hi", stream=True))
    assert answer.status == 200  # heartbeats had begun
    assert msgspec.json.decode(events(answer.body)[0].data)["error"]["code"] == "upstream_error"
    assert trio.current_time() < 40


async def test_a_long_refusal_keeps_its_meaning(nursery: trio.Nursery) -> None:
    world = World(nursery)
    forbidden = "Access to this endpoint is forbidden. Please review our Terms of Service." + "x" * 100_000
    world.twin.add_fault(Fault(path="/chat/completions", status=403, body=forbidden))
    assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 403
    assert not world.app.accounts.accounts[0].ready


async def test_a_body_that_breaks_off_after_its_end_is_a_whole_answer(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(nursery)
    for path, model in (("/chat/completions", "gpt-4.1"), ("/v1/messages", "claude-sonnet-4.5")):
        world.twin.add_fault(Fault(path=path, cut="reset", at=1_000_000))
        answer = await world.ask("/v1/messages", messages("SCENARIO:text REPLY=whole", model=model, stream=True))
        assert names(answer.body) == ANTHROPIC_ORDER
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=200, body="<html>sign in</html>", content_type="text/html"),
        Fault(status=200, body="", content_type="application/json"),
        Fault(status=200, body='{"choices":[', content_type="application/json"),
        Fault(status=200, body="{}", headers={"content-encoding": "gzip"}, content_type="application/json"),
        Fault(status=302, body="", headers={"location": "http://127.0.0.1:1/"}),
        Fault(status=201, body="{}"),
        Fault(status=200, body="[" * 100_000, content_type="application/json"),
    ],
    ids=["page", "nothing", "half", "gzip", "redirect", "created", "deep"],
)
@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_what_is_no_answer_is_an_error_that_may_have_cost(nursery: trio.Nursery, fault: Fault, path: str) -> None:
    world = World(nursery)
    world.twin.add_fault(msgspec.structs.replace(fault, path="/chat/completions"))
    answer = await world.ask(path, messages("hi"))
    assert (answer.status, len(world.calls())) == (502, 1)
    assert "may have been charged" in str(error_of(answer)["message"])


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages"])
async def test_a_frame_that_cannot_be_read_in_mid_stream_does_no_harm(nursery: trio.Nursery, path: str) -> None:
    world = World(nursery)
    odd = '{"error":' + "[" * 5000
    frames = ['{"choices":[{"delta":{"content":"a"}}]}', odd, '{"choices":[{"finish_reason":"stop"}]}']
    world.twin.add_fault(Fault(path="/chat/completions", events=[*frames, "[DONE]"]))
    answer = await world.ask(path, messages("hi", stream=True))
    assert answer.status == 200
    assert answer.body.endswith((b"data: [DONE]\n\n", b'data: {"type":"message_stop"}\n\n'))


async def test_a_warning_on_the_model_list_pauses_too(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.twin.add_fault(Fault(path="/models", error="tos_block", times=None))
    for _ in range(3):
        assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 403
    assert len(world.calls("/models")) == 1


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (Fault(status=429, body="slow", headers={"retry-after": "600"}), 429),
        (Fault(status=401, body={"message": "Bad credentials"}), 502),
    ],
    ids=["limit", "revoked"],
)
async def test_githubs_own_refusals_are_not_hammered(nursery: trio.Nursery, fault: Fault, status: int) -> None:
    world = World(nursery)
    world.twin.add_fault(msgspec.structs.replace(fault, path="/copilot_internal/v2/token", times=None))
    answers = [await world.ask("/v1/chat/completions", chat("hi")) for _ in range(4)]
    assert [answer.status for answer in answers] == [status] * 4
    assert {answer.headers["x-should-retry"] for answer in answers} == {"false"}
    assert len(world.calls("/copilot_internal/v2/token")) == 1


async def test_a_failure_carries_account_and_upstreams_headers(nursery: trio.Nursery) -> None:
    world = World(nursery)
    headers = {"x-github-request-id": "A:B", "x-ratelimit-exceeded": "key", "x-secret": "no"}
    world.twin.add_fault(Fault(path="/chat/completions", status=500, body="oops", headers=headers))
    answer = await world.ask("/v1/chat/completions", chat("hi"))
    assert answer.headers["x-copilot-trio-account"] == "work"
    assert (answer.headers["x-github-request-id"], answer.headers["x-ratelimit-exceeded"]) == ("A:B", "key")
    assert "x-secret" not in answer.headers


async def test_a_success_in_between_forgets_a_failure(nursery: trio.Nursery) -> None:
    world = World(nursery)
    for _ in range(2):
        world.twin.add_fault(Fault(path="/chat/completions", status=500, body="oops"))
        failed = await world.ask("/v1/chat/completions", chat("hi"))
        assert "x-should-retry" not in failed.headers
        assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 200


async def test_a_slow_whole_answer_is_not_silence(nursery: trio.Nursery) -> None:
    world = World(nursery, config=Config(timeouts=TimeoutSettings(silence=5)))
    world.twin.add_fault(Fault(path="/chat/completions", chunk=50, pace=2))
    assert (await world.ask("/v1/chat/completions", chat("SCENARIO:text REPLY=x"))).status == 200
    assert trio.current_time() > 10


# ---- the log


async def test_two_log_lines_tell_what_it_took(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "copilot_trio.access")
    world = World(nursery)
    await world.ask("/v1/messages?beta=true", messages("hi", model="claude-opus-4-6", thinking={"type": "adaptive"}))
    first, second = [record.getMessage() for record in caplog.records if record.name == "copilot_trio.access"]
    assert first.startswith("[claude-opus-4-6 thinking] ")
    assert first.endswith(" <-- POST /v1/messages?beta=true")
    assert " --> POST /v1/messages?beta=true 200 " in second
    for field in (" in:", " out:", " acct:work", " cost:"):
        assert field in second


async def test_waits_for_others_are_not_our_overhead() -> None:
    await trio.sleep(1)
    watch = Stopwatch(trio.current_time())
    await trio.sleep(2)
    watch.stop()
    await trio.sleep(100)
    watch.stop()  # a second wait right after the first
    assert watch.overhead_ms() == pytest.approx(2000)
    watch.go()
    await trio.sleep(3)
    assert watch.overhead_ms() == pytest.approx(5000)


async def test_an_answer_that_took_long_upstream_has_little_overhead(nursery: trio.Nursery) -> None:
    world = World(nursery)
    for path in ("/copilot_internal/v2/token", "/models", "/chat/completions"):
        world.twin.add_fault(Fault(path=path, delay=5))
    for status in (200, 500):
        answer = await world.ask("/v1/chat/completions", chat("hi"))
        assert answer.status == status
        assert float(answer.headers["x-copilot-trio-overhead-ms"]) == 0
        world.twin.add_fault(Fault(path="/chat/completions", delay=5, status=500, body="oops"))


async def test_the_silence_watch_cancels_at_the_exact_moment(nursery: trio.Nursery) -> None:
    watch = SilenceWatch(10)
    nursery.start_soon(watch.run)
    with watch.scope:
        await trio.sleep(8)
        watch.heard = trio.current_time()
        await trio.sleep_forever()
    assert trio.current_time() == pytest.approx(18)


@pytest.mark.parametrize("model", ["claude-sonnet-4.5", "gpt-4.1"])
async def test_a_string_cut_inside_an_emoji_is_mended_and_sent(nursery: trio.Nursery, model: str) -> None:
    world = World(nursery)
    body = b'{"model":"%b","max_tokens":9,"messages":[{"role":"user","content":"cut \\ud83d"}]}' % model.encode()
    assert (await world.ask("/v1/messages", body)).status == 200
    assert world.calls()[0].json()["messages"][0]["content"] == "cut \ufffd"
