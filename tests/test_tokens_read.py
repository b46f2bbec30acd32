"""What of a request is counted, in all dialects, and what does not change a piece's key."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.tokens.prompt import Piece, Prompt
from copilot_trio.tokens.read import read_prompt

IMAGE = base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\1\0\0\0\1\0" + bytes(90_000)).decode()
DATA_URL = f"data:image/png;base64,{IMAGE}"
KEYS = [
    "role",
    "type",
    "content",
    "text",
    "tools",
    "function",
    "input",
    "output",
    "source",
    "data",
    "image_url",
    "name",
]
SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}}}


def read(**request: Any) -> Prompt:
    return read_prompt(msgspec.json.encode(request))


def one(**message: Any) -> Piece:
    (piece,) = read(messages=[message]).pieces
    return piece


def by_length(text: str) -> float:
    return len(text) / 4


def test_messages_dialect() -> None:
    prompt = read(
        system=[{"type": "text", "text": "Be brief."}],
        tools=[{"name": "Read", "description": "reads", "input_schema": SCHEMA}],
        messages=[
            {"role": "user", "content": "hello"},
            {
                "role": "assistant",
                "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "A" * 40},
                    {"type": "redacted_thinking", "data": "B" * 50},
                    {"type": "text", "text": "I look."},
                    {"type": "tool_use", "id": "t1", "name": "Read", "input": {"path": "a.py"}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "t1",
                        "content": [{"type": "text", "text": "code"}, {"type": "image", "source": {"data": IMAGE}}],
                    },
                    {"type": "tool_reference", "tool_name": "Grep"},
                    {"type": "document", "title": "paper", "source": {"type": "base64", "data": "JVBERi0="}},
                    {"type": "document", "source": {"type": "text", "data": "plain"}},
                ],
            },
        ],
    )
    assert prompt.header.texts == (
        "Be brief.",
        "Read",
        "reads",
        '{"type":"object","properties":{"path":{"type":"string"}}}',
    )
    assert prompt.header.tools == 1
    user, assistant, result = prompt.pieces
    assert (user.texts, user.assistant) == (("hello",), False)
    assert (assistant.texts, assistant.assistant) == (("I look.", "Read", '{"path":"a.py"}'), True)
    assert [(thought.text, thought.sealed) for thought in assistant.thoughts] == [("hm", 40), ("", 50)]
    assert result.texts == ("code", "Grep", "paper", "plain")
    assert [picture.data for picture in result.pictures] == [IMAGE]
    assert [paper.data for paper in result.papers] == ["JVBERi0="]


def test_chat_dialect() -> None:
    prompt = read(
        tools=[{"type": "function", "function": {"name": "read", "description": "reads", "parameters": SCHEMA}}],
        messages=[
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [{"type": "image_url", "image_url": {"url": DATA_URL, "detail": "low"}}]},
            {
                "role": "assistant",
                "content": None,
                "reasoning_text": "hm",
                "reasoning_opaque": "C" * 30,
                "tool_calls": [{"id": "c", "function": {"name": "read", "arguments": '{"path": 1}'}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": "code"},
        ],
    )  # fmt: skip
    assert prompt.header.texts[:2] == ("read", "reads")
    system, user, assistant, tool = prompt.pieces
    assert system.texts == ("Be brief.",)
    assert (user.texts, user.pictures[0].data, user.pictures[0].low_detail) == ((), IMAGE, True)
    assert (assistant.texts, assistant.assistant) == (("read", '{"path": 1}'), True)
    assert [(thought.text, thought.sealed) for thought in assistant.thoughts] == [("hm", 30)]
    assert (tool.texts, tool.assistant) == (("code",), False)


def test_responses_dialect() -> None:
    picture = {"type": "input_image", "image_url": DATA_URL}
    custom = {"type": "custom", "name": "apply_patch", "description": "patches", "format": {"type": "grammar"}}
    prompt = read(
        instructions="Be brief.",
        tools=[{"type": "namespace", "name": "agents", "tools": [{"name": "spawn", "parameters": SCHEMA}]}],
        input=[
            {"type": "additional_tools", "role": "developer", "tools": [custom]},
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}, picture]},
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": "D" * 60},
            {"type": "function_call", "name": "spawn", "arguments": "{}", "call_id": "c"},
            {"type": "function_call_output", "call_id": "c", "output": "done"},
            {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "d"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "bye"}]},
        ],
    )  # fmt: skip
    assert prompt.header.texts[:2] == ("Be brief.", "spawn")
    more, user, reasoning, call, output, patch, message = prompt.pieces
    assert (more.tools, more.texts) == (1, ("apply_patch", "patches", '{"type":"grammar"}'))
    assert (user.texts, user.pictures[0].data) == (("hi",), IMAGE)
    assert (reasoning.texts, reasoning.thoughts[0].sealed) == ((), 60)
    assert [piece.assistant for piece in (reasoning, call, output, patch, message)] == [True, True, False, True, True]
    assert (call.texts, output.texts, patch.texts) == (("spawn", "{}"), ("done",), ("apply_patch", "*** Begin"))
    assert message.texts == ("bye",)


def test_a_lone_string_is_a_message() -> None:
    assert [piece.texts for piece in read(input="hello").pieces] == [("hello",)]


def test_what_moves_between_requests_changes_no_key() -> None:
    plain = one(role="user", content="hello")
    mark = {"type": "ephemeral"}
    assert one(role="user", content=[{"type": "text", "text": "hello", "cache_control": mark}]).key == plain.key
    assert one(content=[{"cache_control": mark, "text": "hello", "type": "text"}], role="user").key == plain.key
    unknown = {"type": "odd", "value": 1}
    assert one(role="user", content=[unknown]).key == one(role="user", content=[{**unknown, "cache_control": mark}]).key
    call = {"type": "tool_use", "id": "a", "name": "n", "input": {}}
    assert one(role="assistant", content=[call]).key == one(role="assistant", content=[{**call, "id": "b"}]).key
    header = read(system=[{"type": "text", "text": "Rules"}], messages=[]).header
    billed = [
        {"type": "text", "text": "x-anthropic-billing-header: cc_version=1; cch=77;"},
        {"type": "text", "text": "Rules"},
    ]
    assert read(system=billed, messages=[], thinking={"type": "enabled"}).header == header


@pytest.mark.parametrize(
    ("message", "other"),
    [
        ({"role": "user", "content": "a"}, {"role": "user", "content": "b"}),
        ({"role": "user", "content": "a"}, {"role": "assistant", "content": "a"}),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
            {"role": "user", "content": [{"type": "text", "text": "ab"}]},
        ),
        (
            {"role": "user", "content": [{"type": "image", "source": {"data": IMAGE}}]},
            {"role": "user", "content": [{"type": "image", "source": {"data": "Z" + IMAGE}}]},
        ),
        (
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "a", "signature": ""}]},
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "b", "signature": ""}]},
        ),
    ],
)
def test_what_differs_has_another_key(message: dict[str, Any], other: dict[str, Any]) -> None:
    assert one(**message).key != one(**other).key


def test_an_image_is_no_text() -> None:
    """A known mistake: tens of thousands of tokens for the base64 (peers.md §14)."""
    for block in (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": IMAGE}},
        {"type": "image_url", "image_url": {"url": DATA_URL}},
        {"type": "input_image", "image_url": DATA_URL},
        {"type": "tool_result", "content": [{"type": "image", "source": {"type": "base64", "data": IMAGE}}]},
    ):
        piece = one(role="user", content=[block])
        assert piece.cost(by_length, "anthropic") < 130  # 256 x 256 pixels are 87
        assert piece.cost(by_length, "openai") < 300


def test_deferred_tools_count_once_they_are_found() -> None:
    tools = [
        {"name": "Here", "description": "d", "input_schema": SCHEMA},
        {"name": "Hidden", "description": "d", "input_schema": SCHEMA, "defer_loading": True},
    ]
    assert read(tools=tools, messages=[]).header.tools == 1
    found = [{"type": "tool_result", "content": [{"type": "tool_reference", "tool_name": "Hidden"}]}]
    assert read(tools=tools, messages=[{"role": "user", "content": found}]).header.tools == 2


def test_a_server_tool_without_a_name_counts() -> None:
    """Another: a missing field made the whole count 1 (peers.md §14)."""
    prompt = read(tools=[{"type": "web_search_20250305", "max_uses": 8}, {}, None, 7], messages=[])
    assert "web_search_20250305" in prompt.header.texts[0]


def test_unknown_things_count_as_their_json() -> None:
    assert one(role="user", content=[{"type": "hologram", "beam": [1, 2]}]).texts == (
        '"type": "hologram", "beam": [1,2]',
    )
    assert read(input=[{"type": "odd_item", "value": "x"}]).pieces[0].texts == ('"type": "odd_item", "value": "x"',)
    assert one(role="user", content=[7, "loose"]).texts == ("7", '"loose"')


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"null",
        b'{"messages":',
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"messages":[' + b'{"content":[' * 50_000,
        b'{"messages":{"a":1}}',
        b'{"messages":7,"tools":7,"system":7}',
        b'{"messages":[1,null,"x",{"role":7,"content":7},{"role":"user","content":{"type":9}},[[]]]}',
        b'{"tools":[{"function":[]},{"tools":{}}],"messages":[{"tool_calls":[1]}]}',
        b'{"messages":[{"role":"user","content":"\\ud800"}]}',
        b'{"messages":[{"type":"tool_use","input":[1e999]}]}',
        b'{"messages":[{"type":"function_call","arguments":[' + b"9" * 400 + b"]}]}",
        b'{"messages":[{"type":"function_call","arguments":' + b"[" * 900 + b"]" * 900 + b"}]}",
    ],
)
def test_junk_is_counted_by_its_bytes_and_raises_nothing(body: bytes) -> None:
    prompt = read_prompt(body)
    cost = prompt.header.cost(by_length, "openai") + sum(piece.cost(by_length, "openai") for piece in prompt.pieces)
    assert 0 <= cost <= len(body) + 500


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(KEYS),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(_JSON, st.sampled_from(["messages", "input"]))
def test_any_json_can_be_read(value: object, key: str) -> None:
    prompt = read(**{key: value, "tools": value, "system": value})
    assert prompt.header.cost(by_length, "google") >= 0
    assert all(piece.cost(by_length, "google") > 0 for piece in prompt.pieces)
