"""Chat-completions requests as conversations, and back through either renderer."""

from __future__ import annotations

import contextlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import GPT

from copilot_trio.dialects.chat.parse import parse_request
from copilot_trio.dialects.chat.render import render_request
from copilot_trio.errors import BadRequest
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    Refusal,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
)

HI = {"role": "user", "content": "hi"}
CACHE = {"type": "ephemeral"}
FUNCTION = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
PATCH = "*** Begin Patch\n*** Add File: a.txt\n+hello\n*** End Patch\n"
FLAT = {
    "type": "custom",
    "name": "ApplyPatch",
    "description": "Edits files",
    "format": {"type": "grammar", "syntax": "lark", "definition": "start: x"},
}


def parse(*messages: object, **fields: object) -> Conversation:
    return parse_request(msgspec.json.encode({"model": "m", "messages": list(messages) or [HI], **fields}))


def parts_of(role: str, **message: object) -> list[Part]:
    (found,) = parse({"role": role, **message}).messages
    return list(found.parts)


def call(call_id: str = "c", name: str = "f", arguments: object = "{}", **more: object) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}, **more}


def calling(*calls: object, **message: object) -> dict[str, object]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls), **message}


def result(call_id: str | None = "c", content: object = "r", **more: object) -> dict[str, object]:
    return {"role": "tool", "tool_call_id": call_id, "content": content, **more}


# ---- messages


@pytest.mark.parametrize(
    ("role", "expected"), [("system", "system"), ("developer", "system"), ("user", "user"), ("assistant", "assistant")]
)
def test_a_role_is_read(role: str, expected: str) -> None:
    (message,) = parse({"role": role, "content": "a"}).messages
    assert (message.role, message.parts) == (expected, (Text("a"),))


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("a", [Text("a")]),
        ("", []),
        (None, []),
        ([], []),
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], [Text("a"), Text("b")]),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}],
            [Image("image/png", "AA==", detail="low")],
        ),
        ([{"type": "image_url", "image_url": "https://x/y.png"}], [Image(url="https://x/y.png")]),
        (
            [{"type": "image_url", "image_url": {"url": "DATA:image/PNG;name=a;base64,AA==", "detail": None}}],
            [Image("image/png", "AA==")],
        ),
        (
            [{"type": "image_url", "image_url": {"url": "data:image/svg+xml,<svg/>"}}],
            [Image(url="data:image/svg+xml,<svg/>")],
        ),
        (
            [{"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"}}],
            [Document("application/pdf", "AA==", title="a.pdf")],
        ),
        ([{"type": "file", "file": {"file_data": "AA=="}}], [Document("application/pdf", "AA==")]),
        (
            [{"type": "file", "file": {"file_data": "data:text/plain;base64,d29yZHM=", "filename": "a.txt"}}],
            [Document("text/plain", text="words", title="a.txt")],
        ),
        (
            [{"type": "file", "file": {"file_data": "data:text/plain;base64,/w=="}}],
            [Document("text/plain", "/w==")],
        ),
        ([{"type": "input_audio", "input_audio": {"data": "AA==", "format": "mp3"}}], [Document("audio/mp3", "AA==")]),
        ([{"type": "refusal", "refusal": "No."}], [Refusal("No.")]),
    ],
    ids=["string", "empty", "null", "no parts", "texts", "image data", "image url", "image data oddly", "image of text",
         "file", "bare file", "file of text", "file of no UTF-8", "audio", "refusal"],
)  # fmt: skip
def test_content_is_parts(content: object, parts: list[Part]) -> None:
    assert parts_of("user", content=content) == parts


@pytest.mark.parametrize(
    "part",
    [
        {"type": "file", "file": {"file_id": "file-1"}},
        {"type": "image_url", "image_url": {"url": ""}},
        {"type": "input_audio", "input_audio": {}},
        {"type": "never_heard_of", "text": 5, "data": {"deep": [1]}},
        {},
    ],
    ids=["file id", "no url", "no audio", "unknown", "empty"],
)
def test_a_part_that_we_cannot_pass_on_is_told_as_json(part: object) -> None:
    (found,) = parts_of("user", content=[part])
    assert isinstance(found, Text)
    assert msgspec.json.decode(found.text) == part


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"content": "a", "reasoning_text": "h", "reasoning_opaque": "o"}, [Thinking("h", "o"), Text("a")]),
        ({"content": "a", "reasoning_content": "h"}, [Thinking("h"), Text("a")]),
        ({"reasoning_opaque": "o", "tool_calls": [call()]}, [Thinking("", "o"), ToolCall("c", "f", "{}")]),
        ({"content": "a", "refusal": "No."}, [Text("a"), Refusal("No.")]),
        ({"content": None, "refusal": "No."}, [Refusal("No.")]),
        ({"content": "a", "tool_calls": []}, [Text("a")]),
        ({"content": "", "tool_calls": [call(index=0), call("d", arguments="")]},
         [ToolCall("c", "f", "{}"), ToolCall("d", "f", "{}")]),
        ({"tool_calls": [{"id": "c", "type": "custom", "custom": {"name": "p", "input": PATCH}}]},
         [ToolCall("c", "p", PATCH, custom=True)]),
        ({"function_call": {"name": "f", "arguments": "{}"}}, [ToolCall("call_0", "f", "{}")]),
    ],
    ids=["Copilot's reasoning", "reasoning_content", "proof alone", "text and refusal", "refusal", "no calls", "calls",
         "custom call", "old call"],
)  # fmt: skip
def test_an_answer_is_thinking_then_text_then_calls(message: dict[str, object], parts: list[Part]) -> None:
    assert parts_of("assistant", **message) == parts


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ("r", (Text("r"),)),
        ("", ()),
        (None, ()),
        ([{"type": "text", "text": "r"}], (Text("r"),)),
        ([{"type": "image_url", "image_url": "data:image/png;base64,AA=="}], (Image("image/png", "AA=="),)),
        ([{"type": "refusal", "refusal": "No."}], (Text("No."),)),
    ],
    ids=["string", "empty", "null", "parts", "image", "refusal"],
)
def test_a_tool_message_is_a_result(content: object, parts: tuple[Text | Image | Document, ...]) -> None:
    assert parse(result(content=content)).messages == (Message("user", (ToolResult("c", parts),)),)


def test_results_in_a_row_are_one_message() -> None:
    found = parse(calling(call("a"), call("b")), result("a"), result("b"), HI, result("x"), result("y")).messages
    ids = [[part.call_id for part in message.parts if isinstance(part, ToolResult)] for message in found]
    assert [message.role for message in found] == ["assistant", "user", "user", "user"]
    assert ids == [[], ["a", "b"], [], ["x", "y"]]


def test_a_call_of_the_old_kind_gets_an_id_that_its_result_has_too() -> None:
    old = {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}}
    found = parse(HI, old, {"role": "function", "name": "f", "content": "r"}, old).messages
    assert [message.parts for message in found[1:]] == [
        (ToolCall("call_1", "f", "{}"),),
        (ToolResult("call_1", (Text("r"),)),),
        (ToolCall("call_3", "f", "{}"),),
    ]


@pytest.mark.parametrize(
    "marked",
    [
        {"role": "user", "content": "a", "cache_control": CACHE},
        {"role": "system", "content": "a", "copilot_cache_control": CACHE},
        {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": CACHE}]},
        calling(call(cache_control=CACHE)),
        result(cache_control=CACHE),
    ],
    ids=["message", "Copilot's own", "part", "call", "result"],
)
def test_a_cache_breakpoint_is_remembered_with_its_message(marked: dict[str, object]) -> None:
    assert [message.cache_breakpoint for message in parse(HI, marked, HI).messages] == [False, True, False]


def test_a_cache_breakpoint_of_one_result_is_that_of_all() -> None:
    (message,) = parse(result("a", cache_control=CACHE), result("b")).messages
    assert message.cache_breakpoint


# ---- tools


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (FUNCTION, Tool("f", "d", msgspec.Raw(b'{"type":"object"}'))),
        (
            {"type": "function", "function": {"name": "f", "strict": True, "parameters": None}},
            Tool("f", "", msgspec.Raw(b'{"type":"object","properties":{}}'), strict=True),
        ),
        (
            {"type": "function", "name": "f", "description": "d", "parameters": {}, "strict": False},
            Tool("f", "d", msgspec.Raw(b"{}"), strict=False),
        ),
        ({"function": {"name": "f"}}, Tool("f", "", msgspec.Raw(b'{"type":"object","properties":{}}'))),
        (
            FLAT,
            Tool("ApplyPatch", "Edits files", msgspec.Raw(), custom=True, flat=True,
                 format=msgspec.Raw(b'{"type":"grammar","syntax":"lark","definition":"start: x"}')),
        ),
        (
            {"type": "custom", "custom": {"name": "p", "format": {"type": "text"}}},
            Tool("p", "", msgspec.Raw(), custom=True, format=msgspec.Raw(b'{"type":"text"}')),
        ),
        (
            {"type": "custom", "custom": {"name": "p", "format": {
                "type": "grammar", "grammar": {"syntax": "regex", "definition": "a+"}}}},
            Tool("p", "", msgspec.Raw(), custom=True,
                 format=msgspec.Raw(b'{"type":"grammar","syntax":"regex","definition":"a+"}')),
        ),
        ({"type": "custom", "name": "p"}, Tool("p", "", msgspec.Raw(), custom=True, flat=True)),
    ],
    ids=["function", "bare function", "flat function", "no type", "Cursor's", "custom", "custom with a grammar",
         "flat custom without a format"],
)  # fmt: skip
def test_a_tool_is_read(tool: object, expected: Tool) -> None:
    assert [_plain(found) for found in parse(tools=[tool]).tools] == [_plain(expected)]


def _plain(tool: Tool) -> dict[str, object]:
    """``Raw`` does not compare."""
    fields = msgspec.structs.asdict(tool)
    return fields | {name: bytes(fields[name]) for name in ("schema", "format")}


def test_tools_keep_the_bytes_of_their_schema() -> None:
    body = b'{"messages":[],"tools":[{"function":{"name":"f","parameters":{ "type":"object" , "x":1.0 }}}]}'
    (tool,) = parse_request(body).tools
    assert bytes(tool.schema) == b'{ "type":"object" , "x":1.0 }'


def test_cursors_patch_comes_back_as_what_it_was() -> None:
    found = parse(
        calling(call("a", "ApplyPatch", PATCH), call("b")), result("a", "ok"), result("b", "ok"), tools=[FUNCTION, FLAT]
    ).messages
    assert found[0].parts == (ToolCall("a", "ApplyPatch", PATCH, custom=True), ToolCall("b", "f", "{}"))
    assert [part.custom for part in found[1].parts if isinstance(part, ToolResult)] == [True, False]


def test_a_functions_call_with_the_name_of_a_nested_custom_tool_is_a_functions() -> None:
    tools = [{"type": "custom", "custom": {"name": "p"}}]
    assert parse(calling(call("a", "p")), tools=tools).messages[0].parts == (ToolCall("a", "p", "{}"),)


@pytest.mark.parametrize(
    ("choice", "expected", "names"),
    [
        (None, None, ["f", "ApplyPatch"]),
        ("auto", ToolChoice("auto"), ["f", "ApplyPatch"]),
        ("none", ToolChoice("none"), ["f", "ApplyPatch"]),
        ("required", ToolChoice("any"), ["f", "ApplyPatch"]),
        ({"type": "function", "function": {"name": "f"}}, ToolChoice("tool", "f"), ["f", "ApplyPatch"]),
        ({"type": "function", "name": "f"}, ToolChoice("tool", "f"), ["f", "ApplyPatch"]),
        ({"type": "custom", "custom": {"name": "ApplyPatch"}}, ToolChoice("tool", "ApplyPatch"), ["f", "ApplyPatch"]),
        (
            {"type": "allowed_tools", "allowed_tools": {
                "mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]}},
            ToolChoice("any"),
            ["f"],
        ),
    ],
    ids=["silent", "auto", "none", "required", "function", "flat", "custom", "allowed tools"],
)  # fmt: skip
def test_a_tool_choice_is_read(choice: object, expected: ToolChoice | None, names: list[str]) -> None:
    conversation = parse(tools=[FUNCTION, FLAT], tool_choice=choice)
    assert conversation.tool_choice == expected
    assert [tool.name for tool in conversation.tools] == names


# ---- settings


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_tokens": 9}, {"max_tokens": 9}),
        ({"max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"max_tokens": 8, "max_completion_tokens": 9}, {"max_tokens": 9}),
        ({"temperature": 0, "top_p": 0.5}, {"temperature": 0.0, "top_p": 0.5}),
        ({"stop": "a"}, {"stop": ("a",)}),
        ({"stop": ["a", "b"]}, {"stop": ("a", "b")}),
        ({"stop": None}, {}),
        ({"stream": True}, {"stream": True}),
        ({"parallel_tool_calls": False}, {"parallel_tools": False}),
        ({"verbosity": "low"}, {"verbosity": "low"}),
        ({"prompt_cache_key": "k"}, {"cache_key": "k"}),
        ({"reasoning_effort": "high"}, {"reasoning": Reasoning(True, None, "high")}),
        ({"reasoning_effort": "none"}, {"reasoning": Reasoning(False)}),
        ({"thinking_budget": 4000}, {"reasoning": Reasoning(True, 4000)}),
        ({"thinking_budget": 0}, {"reasoning": Reasoning(False)}),
        ({"response_format": {"type": "text"}}, {}),
        ({"response_format": {"type": "json_object"}}, {"output_json": True}),
        ({"response_format": {"type": "json_schema"}}, {"output_json": True}),
        ({"n": 2, "seed": 1, "user": "u", "metadata": {"a": "b"}, "logit_bias": {"1": 2}, "service_tier": "auto"}, {}),
    ],
    ids=str,
)
def test_a_setting_is_read(fields: dict[str, object], expected: dict[str, Any]) -> None:
    assert parse(**fields) == msgspec.structs.replace(parse(), **expected)


def test_an_output_schema_is_read() -> None:
    form = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": {"type": "object"}}}
    found = parse(response_format=form)
    assert found.output_schema is not None
    assert bytes(found.output_schema) == b'{"type":"object"}'
    assert (found.output_name, found.output_strict, found.output_json) == ("n", True, False)


# ---- faults


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"messages": "x"}, r"\$\.messages"),
        ({"messages": [{"content": "x"}]}, "role"),
        ({"messages": [HI, {"role": "robot", "content": "x"}]}, r"messages\.1.*robot"),
        ({"messages": [HI, {"role": "user", "content": 5}]}, r"messages\[1\]\.content"),
        ({"messages": [HI, {"role": "user", "content": [{"type": "text", "text": 5}]}]}, r"messages\.1\.content\.0"),
        ({"messages": [HI, {"role": "user", "content": ["x"]}]}, r"messages\.1\.content\.0"),
        ({"messages": [result(None)]}, r"messages\.0 .*tool_call_id"),
        ({"messages": [{"role": "function", "name": "f", "content": "r"}]}, r"messages\.0 .*function_call"),
        ({"messages": [calling(call(""))]}, r"messages\.0\.tool_calls\.0 .*id"),
        ({"messages": [calling({"id": "c"})]}, r"messages\.0\.tool_calls\.0 .*function"),
        ({"messages": [calling(call(arguments=5))]}, "arguments"),
        ({"tools": [{"type": "web_search"}]}, r"tools\.0.*web_search"),
        ({"tools": [FUNCTION, {"type": "function", "function": {}}]}, r"tools\.1.*name"),
        ({"tools": [FLAT | {"format": "lark"}]}, "format"),
        ({"functions": [{"name": "f"}]}, "functions"),
        ({"tool_choice": "sometimes"}, "sometimes"),
        ({"tool_choice": {"type": "function"}}, "tool_choice"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"stop": 5}, "stop"),
    ],
    ids=["messages", "no role", "role", "content", "part", "part that is no object", "result of no call",
         "old result of no call", "call without id", "call of nothing", "arguments", "tool", "tool without name",
         "format", "functions", "tool_choice", "tool_choice of nothing", "max_tokens", "stop"],
)  # fmt: skip
def test_a_fault_is_named_by_its_field(fields: dict[str, object], names: str) -> None:
    with pytest.raises(BadRequest, match=names):
        parse_request(msgspec.json.encode({"model": "m", "messages": [HI], **fields}))


# ---- there and back

TEXTS = st.text(min_size=1, max_size=9)
ARGUMENTS = st.sampled_from(["{}", '{"a": [1.50]}', '{"a":', "not JSON"])


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, object]]:
    """Conversations as chat clients send them, every call with its result."""
    messages: list[dict[str, object]] = [{"role": "system", "content": draw(TEXTS)}]
    calls = 0
    for _ in range(draw(st.integers(0, 5))):
        messages.append({"role": "user", "content": draw(TEXTS)})
        if draw(st.booleans()):
            messages.append({"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x"}}]})
        answer: dict[str, object] = {"role": "assistant", "content": draw(st.one_of(st.none(), TEXTS))}
        if draw(st.booleans()):
            answer |= {"reasoning_text": draw(TEXTS), "reasoning_opaque": "c2ln"}
        ids = [f"call_{calls + number}" for number in range(draw(st.integers(0, 2)))]
        calls += len(ids)
        if ids:
            answer["tool_calls"] = [call(call_id, "f", draw(ARGUMENTS)) for call_id in ids]
        messages.append(answer)
        messages += [result(call_id, draw(TEXTS)) for call_id in ids]
    return [*messages, {"role": "user", "content": draw(TEXTS)}]


@given(histories())
def test_a_conversation_survives_being_written_and_read(messages: list[dict[str, object]]) -> None:
    conversation = parse(*messages)
    assert parse_request(render_request(conversation, GPT)).messages == conversation.messages


@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=3),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    ["role", "content", "type", "text", "image_url", "tool_calls", "id", "function", "name"]
                ),
                inner,
            )
        ),
    )
)
def test_any_message_is_read_or_refused(message: object) -> None:
    with contextlib.suppress(BadRequest):
        parse(HI, message)
