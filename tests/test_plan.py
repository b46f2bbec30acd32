from __future__ import annotations

import msgspec
import pytest
from recordings import CODEX, GEMINI, GPT, GPT5, OPUS, SONNET, recorded

from copilot_trio.dialects.dialect import CHAT, MESSAGES, Dialect
from copilot_trio.dialects.gate import GateSettings
from copilot_trio.dialects.passthrough import Passthrough
from copilot_trio.dialects.plan import Plan, make_plan
from copilot_trio.dialects.stream import StreamTranslator
from copilot_trio.errors import BadRequest, ModelNotFound, UpstreamError
from copilot_trio.models.model import Model
from copilot_trio.turn import Usage


def plan(model: Model, dialect: Dialect, *, asked: str = "", body: bytes = b"", betas: str | None = None) -> Plan:
    sent = body or b'{ "model":"%b","messages":[{"role":"user","content":"hi"}]}' % (asked or model.id).encode()
    return make_plan(sent, asked or model.id, dialect, model, GateSettings(), betas)


@pytest.mark.parametrize(
    ("model", "downstream", "upstream"),
    [
        (GPT, CHAT, CHAT),
        (GPT, MESSAGES, CHAT),
        (GPT5, MESSAGES, CHAT),
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


@pytest.mark.parametrize(
    ("model", "dialect"),
    [(CODEX, CHAT), (CODEX, MESSAGES), (Model(id="m", supported_endpoints=("/v1/messages",)), CHAT)],
    ids=["responses only", "responses only for messages", "messages only for chat"],
)
def test_a_model_out_of_reach_is_not_found(model: Model, dialect: Dialect) -> None:
    with pytest.raises(ModelNotFound, match=model.endpoints[0]):
        plan(model, dialect)


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


REPLY = b'{"choices":[{"finish_reason":"stop","message":{"content":"Hello."}}],"id":"x","model":"up","usage":{"prompt_tokens":9,"completion_tokens":2}}'  # noqa: E501


def test_a_whole_native_answer_is_the_same_object() -> None:
    shown, usage = plan(GPT, CHAT).whole_answer(REPLY)
    assert shown is REPLY
    assert usage == Usage(9, 2)


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
