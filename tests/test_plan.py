from __future__ import annotations

import msgspec
import pytest
from recordings import CODEX, GEMINI, GPT, GPT5, OPUS, SONNET, recorded

from copilot_trio.dialects.dialect import CHAT, MESSAGES, RESPONSES, Dialect
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.dialects.passthrough import Passthrough
from copilot_trio.dialects.plan import Asked, Plan, make_plan, search_asked
from copilot_trio.dialects.stream import StreamTranslator
from copilot_trio.errors import BadRequest, ModelNotFound, UpstreamError
from copilot_trio.models.model import Model
from copilot_trio.turn import Usage

ONLY_MESSAGES = Model(id="m", supported_endpoints=("/v1/messages",))
QUIET = GateSettings(auto_thinking=False)
PROMPTS = {
    "chat": b'"messages":[{"role":"user","content":"hi"}]',
    "messages": b'"messages":[{"role":"user","content":"hi"}]',
    "responses": b'"input":"hi"',
}


def plan(
    model: Model,
    dialect: Dialect,
    *,
    asked: str = "",
    body: bytes = b"",
    betas: str | None = None,
    downstream: Dialect | None = None,
    settings: GateSettings = QUIET,
) -> Plan:
    sent = body or b'{ "model":"%b",%b}' % ((asked or model.id).encode(), PROMPTS[dialect.name])
    return make_plan(Asked(sent, asked or model.id, dialect, downstream or dialect, betas), model, settings)


@pytest.mark.parametrize(
    ("model", "downstream", "upstream"),
    [
        (GPT, CHAT, CHAT),
        (GPT, MESSAGES, CHAT),
        (GPT5, MESSAGES, RESPONSES),
        (GPT5, CHAT, CHAT),
        (GPT5, RESPONSES, RESPONSES),
        (CODEX, CHAT, RESPONSES),
        (CODEX, MESSAGES, RESPONSES),
        (GPT, RESPONSES, CHAT),
        (GEMINI, RESPONSES, CHAT),
        (SONNET, RESPONSES, MESSAGES),
        (ONLY_MESSAGES, CHAT, MESSAGES),
        (GEMINI, MESSAGES, CHAT),
        (SONNET, CHAT, CHAT),
        (SONNET, MESSAGES, MESSAGES),
        (OPUS, MESSAGES, MESSAGES),
    ],
    ids=lambda value: value.id if isinstance(value, Model) else value.name,
)
def test_the_clients_own_dialect_is_used_where_the_model_has_it(
    model: Model, downstream: Dialect, upstream: Dialect
) -> None:
    made = plan(model, downstream)
    assert made.upstream is upstream
    assert made.translated is (upstream is not downstream)


@pytest.mark.parametrize("dialect", [CHAT, MESSAGES, RESPONSES], ids=lambda dialect: dialect.name)
def test_a_model_out_of_reach_is_not_found(dialect: Dialect) -> None:
    with pytest.raises(ModelNotFound, match="/v2/odd"):
        plan(Model(id="m", supported_endpoints=("/v2/odd",)), dialect)


CUSTOM = b'{"type":"custom","name":"ApplyPatch","format":{"type":"grammar","syntax":"lark","definition":"start: x"}}'


def test_freeform_tools_go_to_an_api_that_knows_them() -> None:
    body = b'{"model":"gpt-5-mini","messages":[{"role":"user","content":"hi"}],"tools":[%b]}' % CUSTOM
    made = plan(GPT5, CHAT, body=body)
    assert made.upstream is RESPONSES
    assert msgspec.json.decode(made.body)["tools"][0]["type"] == "custom"


def test_where_none_knows_them_they_are_made_functions() -> None:
    body = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}],"tools":[%b]}' % CUSTOM
    made = plan(GPT, CHAT, body=body)
    assert (made.upstream, made.translated) == (CHAT, True)
    assert msgspec.json.decode(made.body)["tools"][0]["function"]["name"] == "ApplyPatch"


def test_cursor_asks_in_one_dialect_and_is_answered_in_another() -> None:
    body = b'{"model":"gpt-5-mini","input":[{"role":"user","content":"hi"}],"stream_options":{},"tools":[%b]}' % CUSTOM
    made = plan(GPT5, RESPONSES, body=body, downstream=CHAT)
    assert (made.upstream, made.downstream, made.translated) == (RESPONSES, CHAT, True)
    assert made.body == body.replace(b'"stream_options":{},', b"")
    assert [tool.flat for tool in made.context.conversation.tools] == [True]


@pytest.mark.parametrize(
    ("dialect", "upstream", "model", "added"),
    [
        (MESSAGES, MESSAGES, OPUS, b'"thinking":{"type":"adaptive"}'),
        (RESPONSES, RESPONSES, GPT5, b'"reasoning":{"effort":"medium","summary":"auto"}'),
        (MESSAGES, RESPONSES, GPT5, b'"reasoning":{"effort":"medium","summary":"auto"}'),
        (CHAT, CHAT, GPT5, b'"reasoning_effort":"medium"'),
        (CHAT, CHAT, GPT, b""),
    ],
    ids=lambda value: getattr(value, "name", None) or getattr(value, "id", None),
)
def test_thinking_is_added_where_the_client_is_silent(
    dialect: Dialect, upstream: Dialect, model: Model, added: bytes
) -> None:
    made = plan(model, dialect, settings=GateSettings())
    assert made.upstream is upstream
    assert made.thinking_added is bool(added)
    assert added in made.body


def test_a_search_goes_to_the_responses_api_and_comes_back_in_order() -> None:
    body = (
        b'{"model":"claude-sonnet-4.5","messages":[{"role":"user","content":"find it"}],'
        b'"tools":[{"type":"web_search_20250305","name":"web_search","allowed_domains":["example.com"]}],'
        b'"tool_choice":{"type":"tool","name":"web_search"}}'
    )
    assert search_asked(body) == "find it"
    made = make_plan(Asked(body, "claude-sonnet-4.5", MESSAGES, MESSAGES, search=True), GPT5, QUIET)
    sent = msgspec.json.decode(made.body)
    assert (made.upstream, sent["model"], made.context.model) == (RESPONSES, "gpt-5-mini", "claude-sonnet-4.5")
    assert sent["tools"] == [{"type": "web_search", "filters": {"allowed_domains": ["example.com"]}}]
    assert "tool_choice" not in sent


def test_a_search_beside_other_tools_is_refused() -> None:
    tools = b'[{"type":"web_search_20250305","name":"web_search"},{"name":"f","input_schema":{"type":"object"}}]'
    with pytest.raises(BadRequest, match="web_search"):
        search_asked(b'{"messages":[{"role":"user","content":"x"}],"tools":%b}' % tools)


@pytest.mark.parametrize(
    "body",
    [b'{"messages":[{"role":"user","content":"what is web_search_20250305?"}]}', b'{"messages":[]}', b"{"],
)
def test_no_search_is_asked_for(body: bytes) -> None:
    assert search_asked(body) is None


def test_a_native_request_is_the_same_object() -> None:
    body = b'{"model":"gpt-4.1","messages":[{"role":"user","content":"hi"}]}'
    assert plan(GPT, CHAT, body=body).body is body


def test_a_renamed_request_differs_in_the_name_only() -> None:
    made = plan(SONNET, MESSAGES, asked="claude-sonnet-4-5")
    assert made.body == b'{ "model":"claude-sonnet-4.5","messages":[{"role":"user","content":"hi"}]}'
    assert made.shown_model == "claude-sonnet-4-5"


def test_nothing_is_shown_under_another_name_without_a_renaming() -> None:
    assert plan(SONNET, MESSAGES).shown_model is None


def test_betas_go_to_the_messages_endpoint_only() -> None:
    betas = "interleaved-thinking-2025-05-14,unknown-1"
    assert plan(SONNET, MESSAGES, betas=betas).betas == "interleaved-thinking-2025-05-14"
    assert plan(SONNET, CHAT, betas=betas).betas is None
    assert plan(GPT, MESSAGES, betas=betas).betas is None


@pytest.mark.parametrize(
    "body",
    [
        b'{"model":"m","messages":[{"role":"user","content":{}}]}',
        b'{"model":"m","messages":',
        b'{"model":"m","messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"model":"m","messages":[{"role":"user","content":%b%b}]}' % (b"[" * 100_000, b"]" * 100_000),
    ],
    ids=["odd content", "cut off", "half a surrogate pair", "deep"],
)
@pytest.mark.parametrize("asked", ["gpt-4.1", "alias"])
def test_a_body_that_cannot_be_translated_is_the_clients_fault(body: bytes, asked: str) -> None:
    with pytest.raises(BadRequest):
        plan(GPT, MESSAGES, asked=asked, body=body)


def test_a_body_that_cannot_be_renamed_is_the_clients_fault() -> None:
    with pytest.raises(BadRequest):
        plan(GPT, CHAT, asked="alias", body=b'{"model":"alias","messages":')


def test_a_translated_answer_streams_through_a_translator() -> None:
    relay = plan(GPT, MESSAGES, asked="opus").body_relay()
    assert isinstance(relay, StreamTranslator)
    out = relay.feed(recorded("chat/gpt-text.sse")) + relay.finish()
    assert b'"model":"opus"' in out
    assert relay.usage == Usage(9, 2)


def test_a_native_answer_streams_through_as_it_is() -> None:
    relay = plan(GPT, CHAT).body_relay()
    assert isinstance(relay, Passthrough)
    stream = recorded("chat/gpt-text.sse")
    assert relay.feed(stream) + relay.finish() == stream


def test_each_attempt_has_a_relay_of_its_own() -> None:
    made = plan(GPT, CHAT)
    assert made.body_relay() is not made.body_relay()


REPLY = b'{"object":"chat.completion","choices":[{"finish_reason":"stop","message":{"content":"Hello."}}],"id":"x","model":"up","usage":{"prompt_tokens":9,"completion_tokens":2}}'  # noqa: E501


def test_a_whole_native_answer_is_the_same_object() -> None:
    shown, usage = plan(GPT, CHAT).whole_answer(REPLY)
    assert shown is REPLY
    assert usage == Usage(9, 2)


def test_a_whole_chat_answer_says_what_it_is() -> None:
    bare = REPLY.replace(b'"object":"chat.completion",', b"")
    assert plan(GPT, CHAT).whole_answer(bare)[0] == REPLY


def test_a_whole_answer_shows_the_name_that_was_asked_for() -> None:
    shown, _ = plan(GPT, CHAT, asked="alias").whole_answer(REPLY)
    assert shown == REPLY.replace(b'"up"', b'"alias"')


def test_a_whole_translated_answer_is_a_message() -> None:
    shown, usage = plan(GPT, MESSAGES, asked="alias").whole_answer(REPLY)
    message = msgspec.json.decode(shown)
    assert (message["model"], message["content"]) == ("alias", [{"type": "text", "text": "Hello."}])
    assert (message["usage"]["input_tokens"], usage) == (9, Usage(9, 2))


def test_a_whole_answer_that_is_none_is_an_error() -> None:
    with pytest.raises(UpstreamError):
        plan(GPT, MESSAGES).whole_answer(b"<html>")


def test_claude_caches_for_clients_that_cannot_ask_for_it() -> None:
    body = b'{"model":"claude-sonnet-4.5","instructions":"be kind","input":[{"role":"user","content":"hi"}]}'
    sent = msgspec.json.decode(plan(SONNET, RESPONSES, body=body).body)
    assert sent["system"][-1]["cache_control"] == {"type": "ephemeral"}
    assert sent["messages"][-1]["content"][-1]["cache_control"] == {"type": "ephemeral"}


def test_a_clients_own_marks_are_the_only_ones() -> None:
    marked = b'{"role":"system","content":"be kind","copilot_cache_control":{"type":"ephemeral"}}'
    body = b'{"model":"m","messages":[%b,{"role":"user","content":"hi"}]}' % marked
    assert plan(ONLY_MESSAGES, CHAT, body=body).body.count(b"cache_control") == 1


def test_the_first_prompt_stays_marked_when_instructions_come_later() -> None:
    body = (
        b'{"model":"claude-sonnet-4.5","instructions":"base","input":[{"role":"user","content":"a"},'
        b'{"role":"developer","content":"late"},{"role":"user","content":"b"}]}'
    )
    sent = msgspec.json.decode(plan(SONNET, RESPONSES, body=body).body)
    assert sent["system"][0]["cache_control"] == {"type": "ephemeral"}


@pytest.mark.parametrize(
    ("dialect", "model", "betas"),
    [(RESPONSES, SONNET, "interleaved-thinking-2025-05-14"), (RESPONSES, OPUS, None), (RESPONSES, GEMINI, None)],
    ids=["budgets", "adaptive", "chat"],
)
def test_a_model_with_budgets_is_to_think_between_calls(dialect: Dialect, model: Model, betas: str | None) -> None:
    assert plan(model, dialect).betas == betas


def test_where_the_client_is_silent_we_ask_for_the_beta_with_the_thinking() -> None:
    body = b'{"model":"claude-sonnet-4.5","max_tokens":9000,"messages":[{"role":"user","content":"hi"}]}'
    assert plan(SONNET, MESSAGES, body=body, settings=GateSettings()).betas == "interleaved-thinking-2025-05-14"
    assert plan(SONNET, MESSAGES, body=body).betas is None


@pytest.mark.parametrize(("model", "upstream"), [(GPT, CHAT), (GPT5, RESPONSES)], ids=["chat", "responses"])
def test_a_tools_name_that_upstream_would_refuse_is_fitted_and_given_back(model: Model, upstream: Dialect) -> None:
    name = "mcp__" + "a" * 80
    tool = {"name": name, "input_schema": {"type": "object", "properties": {}}}
    body = msgspec.json.encode({"model": "m", "messages": [{"role": "user", "content": "hi"}], "tools": [tool]})
    made = plan(model, MESSAGES, body=body)
    sent = msgspec.json.decode(made.body)["tools"][0]
    fitted = sent.get("function", sent)["name"]
    assert made.upstream is upstream
    assert len(fitted) <= 64
    call = {"type": "function_call", "call_id": "c", "name": fitted, "arguments": "{}"}
    reply = {"id": "r", "output": [call], "status": "completed", "usage": {"input_tokens": 1, "output_tokens": 1}}
    if upstream is CHAT:
        message = {"tool_calls": [{"id": "c", "function": {"name": fitted, "arguments": "{}"}}]}
        reply = {"id": "r", "choices": [{"message": message, "finish_reason": "tool_calls"}]}
    shown = msgspec.json.decode(made.whole_answer(msgspec.json.encode(reply))[0])
    assert shown["content"][0]["name"] == name
