from __future__ import annotations

from collections.abc import Mapping

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
        (b'{"model":"m","messages":5}', r"\$\.messages"),
        (b'{"model":"m","input":5,"messages":[{}]}', r"\$\.input"),
        (b'{"model":"m","messages":[{}],"reasoning":"low"}', r"\$\.reasoning"),
    ],
    ids=["empty", "cut off", "a list", "not UTF-8", "deep", "no model", "empty model", "null model", "odd model",
         "no messages", "null messages", "empty messages", "odd messages", "odd stream", "odd thinking",
         "a number for messages", "odd input", "odd reasoning"],
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
        ({"reasoning": {"effort": "low"}}, True),
        ({"reasoning": {"summary": "auto"}}, True),
        ({"reasoning": {"effort": "none", "summary": "auto"}}, False),
        ({"reasoning": {}}, False),
        ({"thinking": {"type": "disabled"}, "reasoning_effort": "low"}, True),
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


# ---- Responses


def items(*given: object, **fields: object) -> bytes:
    return msgspec.json.encode({"model": "m", "input": list(given), **fields})


def said(role: str, *parts: Mapping[str, object]) -> dict[str, object]:
    return {"type": "message", "role": role, "content": list(parts) or [{"type": "input_text", "text": "hi"}]}


def of_type(kind: str, **fields: object) -> dict[str, object]:
    return {"type": kind, "call_id": "c", **fields}


ASKED = said("user")
NOTICE = said("user", {"type": "input_text", "text": '<subagent_notification>\n{"agent_path":"x"}'})
ANSWER = of_type("function_call_output", output="r")
IMAGE = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"}


def test_a_responses_request_is_read_by_its_input() -> None:
    envelope = peek(items(ASKED, instructions="be brief", stream=True, reasoning={"effort": "low"}), "responses")
    assert (envelope.model, envelope.stream, len(envelope.messages)) == ("m", True, 1)
    assert (envelope.instructions, envelope.reasoning) == ("be brief", {"effort": "low"})


@pytest.mark.parametrize(
    ("sent", "names"),
    [
        (b'{"model":"m"}', "input"),
        (b'{"model":"m","input":null}', "input"),
        (b'{"model":"m","input":[]}', "input"),
        (b'{"model":"m","input":""}', "input"),
        (b'{"model":"m","input":{}}', r"\$\.input"),
        (b'{"model":"m","messages":[{}]}', "input"),
        (b'{"input":"hi"}', "model"),
        (b'{"model":"m","input":"hi","instructions":["x"]}', r"\$\.instructions"),
    ],
    ids=["none", "null", "empty", "empty text", "odd", "messages instead", "no model", "odd instructions"],
)
def test_what_no_responses_upstream_could_read_is_refused_by_field(sent: bytes, names: str) -> None:
    with pytest.raises(BadRequest, match=names):
        peek(sent, "responses")


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"input": [ASKED]}, True),
        ({"input": [ASKED], "messages": None}, True),
        ({"input": [ASKED], "messages": "none"}, True),
        ({"input": [ASKED], "messages": [HI]}, False),
        ({"input": "hi", "messages": [HI]}, False),
        ({"messages": [HI]}, False),
    ],
    ids=["input only", "null messages", "odd messages", "both", "text and messages", "messages only"],
)
def test_a_responses_body_on_the_chat_route_is_known_by_its_shape(fields: dict[str, object], answer: bool) -> None:
    assert peek(msgspec.json.encode({"model": "m", **fields})).of_responses is answer


def test_the_messages_route_takes_messages_only() -> None:
    with pytest.raises(BadRequest, match="messages"):
        peek(items(ASKED), "messages")


@pytest.mark.parametrize(
    ("given", "who"),
    [
        ([ASKED], "user"),
        ([{"role": "user", "content": "hi"}], "user"),
        ([ASKED, said("assistant"), ASKED], "user"),
        ([ASKED, of_type("function_call", name="f", arguments="{}"), ANSWER], "agent"),
        ([ASKED, of_type("custom_tool_call_output", output=[{"type": "input_text", "text": "r"}])], "agent"),
        ([ASKED, of_type("local_shell_call_output", output="r")], "agent"),
        ([ASKED, of_type("computer_call_output", output={"type": "computer_screenshot"})], "agent"),
        ([ASKED, said("assistant")], "agent"),
        ([ASKED, {"role": "assistant", "content": "x"}], "agent"),
        ([ASKED, of_type("reasoning", summary=[], content=None)], "agent"),
        ([ASKED, of_type("function_call", name="f", arguments="{}")], "agent"),
        ([ASKED, of_type("compaction_trigger")], "agent"),
        ([ASKED, said("developer")], "user"),
        ([ASKED, ANSWER, said("developer"), said("system")], "agent"),
        ([of_type("additional_tools", role="developer", tools=[]), ASKED], "user"),
        ([ASKED, ANSWER, NOTICE], "agent"),
        ([ASKED, said("assistant"), ASKED, NOTICE], "user"),
        ([ASKED, ANSWER, said("user", {"type": "input_text", "text": "about <subagent_notification>"})], "user"),
        ([ASKED, ANSWER, said("user", IMAGE)], "user"),
        ([NOTICE], "user"),
        ([of_type("item_reference", id="x")], "user"),
        ([of_type("mcp_approval_response", approve=True)], "user"),
        ([ANSWER, of_type("never heard of")], "user"),
        ([ANSWER, "odd"], "user"),
        ([ANSWER, {"type": 5}], "user"),
    ],
)
def test_who_began_the_turn_is_derived_from_the_newest_item(given: list[object], who: str) -> None:
    assert initiator(peek(items(*given), "responses"), subagent=False) == who


def test_a_string_of_input_is_a_persons() -> None:
    assert initiator(peek(b'{"model":"m","input":"hi"}', "responses"), subagent=False) == "user"


@pytest.mark.parametrize(
    ("item", "answer"),
    [
        (said("user", IMAGE), True),
        (of_type("function_call_output", output=[{"type": "input_text", "text": "a"}, IMAGE]), True),
        (of_type("custom_tool_call_output", output=[IMAGE]), True),
        (of_type("function_call_output", output='[{"type":"input_image"}]'), False),
        (said("user", {"type": "input_text", "text": '{"type":"input_image"}'}), False),
        (of_type("function_call_output", output={"type": "input_image"}), False),
        (ASKED, False),
    ],
    ids=["in a message", "in an output", "in a custom output", "in an output's text", "as text", "no list", "none"],
)
def test_an_image_is_found_in_messages_and_outputs(item: object, answer: bool) -> None:
    sent = items(item)
    assert has_image(peek(sent, "responses"), sent) is answer
