from __future__ import annotations

import msgspec
import pytest

from copilot_trio.dialects.envelope import has_image, initiator, peek
from copilot_trio.errors import BadRequest


def body(*messages: object, **fields: object) -> bytes:
    return msgspec.json.encode({"model": "m", "messages": list(messages) or [{"role": "user"}], **fields})


def user(*blocks: object) -> dict[str, object]:
    return {"role": "user", "content": list(blocks)}


def text(words: str) -> dict[str, object]:
    return {"type": "text", "text": words}


HI = {"role": "user", "content": "hi"}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}
RESULT = {"type": "tool_result", "tool_use_id": "t", "content": "r"}
REMINDER = text("\n <system-reminder>be brief</system-reminder>")
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}


def test_the_fields_that_routing_needs_are_read() -> None:
    envelope = peek(body(model="gpt-4.1", stream=True, unknown={"a": 1}))
    assert (envelope.model, envelope.stream, len(envelope.messages)) == ("gpt-4.1", True, 1)


@pytest.mark.parametrize("stream", [None, False])
def test_no_stream_is_asked_for_by_default(stream: bool | None) -> None:
    assert peek(body(stream=stream)).stream is False


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b"", "JSON"),
        (b"{", "JSON"),
        (b"[]", "wrong type"),
        (b'{"model":"m","messages":[{"role":"user","content":"\xff"}]}', "JSON"),
        (b'{"model":"m","messages":[%b%b]}' % (b"[" * 100_000, b"]" * 100_000), "nested"),
        (b'{"messages":[{}]}', "model"),
        (b'{"model":"","messages":[{}]}', "model"),
        (b'{"model":null,"messages":[{}]}', "model"),
        (b'{"model":5,"messages":[{}]}', r"\$\.model"),
        (b'{"model":"m"}', "messages"),
        (b'{"model":"m","messages":null}', "messages"),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":"hi"}', r"\$\.messages"),
        (b'{"model":"m","messages":[{}],"stream":"yes"}', r"\$\.stream"),
        (b'{"model":"m","messages":[{}],"thinking":true}', r"\$\.thinking"),
    ],
    ids=["empty", "cut off", "a list", "not UTF-8", "deep", "no model", "empty model", "null model", "odd model",
         "no messages", "null messages", "empty messages", "odd messages", "odd stream", "odd thinking"],
)  # fmt: skip
def test_what_no_upstream_could_read_is_refused_by_field(sent: bytes, names: str) -> None:
    with pytest.raises(BadRequest, match=names):
        peek(sent)


@pytest.mark.parametrize(
    ("fields", "thinks"),
    [
        ({}, False),
        ({"thinking": {"type": "enabled", "budget_tokens": 5}}, True),
        ({"thinking": {"type": "adaptive"}}, True),
        ({"thinking": {"type": "disabled"}}, False),
        ({"reasoning_effort": "high"}, True),
        ({"reasoning_effort": "none"}, False),
        ({"reasoning_effort": "minimal"}, False),
    ],
    ids=str,
)
def test_the_log_says_whether_the_model_is_to_think(fields: dict[str, object], thinks: bool) -> None:
    assert peek(body(**fields)).thinks is thinks


@pytest.mark.parametrize(
    ("messages", "who"),
    [
        ([HI], "user"),
        ([HI, {"role": "assistant", "content": "yes"}], "agent"),
        ([HI, CALL, {"role": "tool", "tool_call_id": "c", "content": "r"}], "agent"),
        ([HI, CALL, {"role": "function", "name": "f", "content": "r"}], "agent"),
        ([HI, {"role": "system", "content": "env"}], "user"),
        ([HI, {"role": "developer", "content": "env"}], "user"),
        (
            [HI, CALL, {"role": "tool", "tool_call_id": "c", "content": "r"}, {"role": "system", "content": "x"}],
            "agent",
        ),
        ([{"role": "system", "content": "alone"}], "user"),
        ([user(text("hi"))], "user"),
        ([user(RESULT)], "agent"),
        ([user(RESULT, RESULT)], "agent"),
        ([user(RESULT, REMINDER)], "agent"),
        ([user(REMINDER)], "user"),
        ([user(RESULT, text("and now this"))], "user"),
        ([user(RESULT, PICTURE)], "user"),
        ([user(REMINDER, text("hi"))], "user"),
        ([{"role": "user", "content": None}], "user"),
        ([{"role": "user", "content": 5}], "user"),
        (["odd"], "user"),
        ([{"role": "never heard of", "content": "x"}], "user"),
    ],
)
def test_who_began_the_turn_is_derived_from_its_newest_item(messages: list[object], who: str) -> None:
    assert initiator(peek(body(*messages)), subagent=False) == who


def test_a_subagent_is_an_agent_whatever_it_says() -> None:
    assert initiator(peek(body(HI)), subagent=True) == "agent"


@pytest.mark.parametrize(
    ("message", "answer"),
    [
        (user({"type": "image_url", "image_url": {"url": "data:"}}), True),
        (user(PICTURE), True),
        (user(text("a"), PICTURE), True),
        (user({**RESULT, "content": [text("a"), PICTURE]}), True),
        (user({**RESULT, "content": [text('"image"')]}), False),
        (user(text('{"type":"image"}')), False),
        (user({**RESULT, "content": "\"image"}), False),
        ({"role": "user", "content": '"image"'}, False),
        (user({"type": "tool_use", "input": {"type": "image"}}), False),
        (HI, False),
    ],
    ids=["chat", "messages", "beside text", "in a result", "in a result's text", "as text", "in a result's string",
         "in a string", "in a call's input", "none"],
)  # fmt: skip
def test_an_image_is_found_where_one_can_be(message: object, answer: bool) -> None:
    sent = body(message)
    assert has_image(peek(sent), sent) is answer
