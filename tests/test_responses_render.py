from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recordings import CODEX, GPT, GPT5

from copilot_trio.dialects.responses.parse import parse_request
from copilot_trio.dialects.responses.render import render_request
from copilot_trio.models.model import Capabilities, Model, ModelLimits, Supports
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    RedactedThinking,
    Refusal,
    SearchHit,
    SearchTool,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    WebSearch,
)

HI = Message("user", (Text("hi"),))
SCHEMA = msgspec.Raw(b'{"type":"object"}')
GRAMMAR = msgspec.Raw(b'{"type":"grammar","syntax":"lark","definition":"start: /.+/"}')
F = Tool("f", "d", SCHEMA)
EXEC = Tool("exec", "runs", msgspec.Raw(), custom=True, format=GRAMMAR)
NONE_TOO = Model(
    id="gpt-5.2",
    capabilities=Capabilities(
        limits=ModelLimits(max_output_tokens=128000), supports=Supports(reasoning_effort=("none", "low", "high"))
    ),
)


def rendered(*messages: Message, model: Model = GPT5, **fields: Any) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.json.decode(render_request(Conversation(messages or (HI,), **fields), model))
    return made


def items(*messages: Message) -> Any:
    return rendered(*messages)["input"]


def user(*parts: Part) -> Message:
    return Message("user", parts)


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


def put_in(text: str) -> dict[str, object]:
    return {"type": "input_text", "text": text}


def answered(text: str) -> dict[str, object]:
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "role": "assistant", "content": content}


def thought(**more: object) -> dict[str, object]:
    return {"type": "reasoning", "summary": [], "encrypted_content": "E", **more}


CALL = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}


def test_the_least_that_is_sent() -> None:
    assert rendered(model=CODEX) == {
        "model": "gpt-5.3-codex",
        "input": [{"role": "user", "content": [put_in("hi")]}],
        "store": False,
    }


# ---- input


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (Text("a"), put_in("a")),
        (Refusal("no"), put_in("no")),
        (
            Image("image/png", "AA==", detail="high"),
            {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "high"},
        ),
        (Image(url="https://x/y"), {"type": "input_image", "image_url": "https://x/y", "detail": "auto"}),
        (Image(url="u", detail="huge"), {"type": "input_image", "image_url": "u", "detail": "auto"}),
        (
            Document("application/pdf", "AA==", title="a.pdf"),
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
        ),
        (
            Document("application/pdf", "AA=="),
            {"type": "input_file", "filename": "document.pdf", "file_data": "data:application/pdf;base64,AA=="},
        ),
        (Document(url="https://x/a.pdf"), {"type": "input_file", "file_url": "https://x/a.pdf"}),
        (
            Document("application/msword", "AA=="),
            {"type": "input_file", "filename": "document", "file_data": "data:application/msword;base64,AA=="},
        ),
        (
            Document("audio/wav", "AA=="),
            put_in("(a document that this model's API cannot take: untitled, audio/wav)"),
        ),
        (Document("text/plain", text="words", title="T"), put_in("T\nwords")),
        (Document("text/plain", data="d3c=", text="words"), put_in("words")),
        (WebSearch("w", "q", (SearchHit("https://x", "X"),)), put_in("(searched the web: q)\n- X https://x")),
    ],
    ids=["text", "refusal", "image data", "image url", "odd detail", "PDF", "PDF without a name", "file url",
         "file without a name", "sound", "document", "text with its data", "search"],
)  # fmt: skip
def test_what_a_user_says(part: Part, expected: object) -> None:
    assert items(user(part)) == [{"role": "user", "content": [expected]}]


def test_the_title_of_a_file_that_has_an_address_stands_before_it() -> None:
    titled = Document(url="https://x/a.pdf", title="A")
    told = [put_in("A"), {"type": "input_file", "file_url": "https://x/a.pdf"}]
    assert items(user(titled)) == [{"role": "user", "content": told}]


def test_a_system_message_stays_where_it_is() -> None:
    assert items(Message("system", (Text("a"), Text("b"))), HI, Message("system", (Text("c"),))) == [
        {"role": "system", "content": [put_in("a"), put_in("b")]},
        {"role": "user", "content": [put_in("hi")]},
        {"role": "system", "content": [put_in("c")]},
    ]


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([Text("a")], [answered("a")]),
        ([Text("a"), Text("b")], [answered("a"), answered("b")]),
        ([Refusal("no")], [answered("") | {"content": [{"type": "refusal", "refusal": "no"}]}]),
        ([ToolCall("c", "f", "{}")], [CALL]),
        ([ToolCall("c", "f", "{}", namespace="n")], [CALL | {"namespace": "n"}]),
        (
            [ToolCall("c", "exec", "x", custom=True, namespace="functions")],
            [{"type": "custom_tool_call", "call_id": "c", "name": "exec", "input": "x", "namespace": "functions"}],
        ),
        (
            [Thinking("h", "E@rs_1"), Text("a"), Thinking("", "E@"), ToolCall("c", "f", "{}")],
            [
                thought(id="rs_1", summary=[{"type": "summary_text", "text": "h"}]),
                answered("a"),
                thought(),
                CALL,
            ],
        ),
        ([Thinking("", "a@b@rs_1"), Text("a")], [thought(encrypted_content="a@b", id="rs_1"), answered("a")]),
        ([Thinking("h", "S=="), Thinking("h"), RedactedThinking("d"), Text("a")], [answered("a")]),
        ([Thinking("", "E@"), Text(""), Text("a")], [thought(), answered("a")]),
        ([Text("a"), Thinking("h", "E@rs_1"), RedactedThinking("d"), Text("")], [answered("a")]),
        ([WebSearch("w", "q"), Text("a")], [answered("(searched the web: q)"), answered("a")]),
        (
            [Text("a"), Image(url="u")],
            [answered("a"), {"role": "user", "content": [{"type": "input_image", "image_url": "u", "detail": "auto"}]}],
        ),
        ([], []),
        ([Text("")], []),
    ],
    ids=["text", "texts", "refusal", "call", "namespace", "freeform", "thinking before what followed it",
         "split at the last @", "foreign thinking", "over an empty text", "thinking that nothing follows", "search",
         "an image", "nothing", "empty text"],
)  # fmt: skip
def test_what_an_assistant_said(parts: list[Part], expected: list[object]) -> None:
    calls = [part for part in parts if isinstance(part, ToolCall)]
    results = [user(ToolResult(call.id)) for call in calls]
    assert items(assistant(*parts), *results)[: -len(calls) or None] == expected


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ToolResult("c", (Text("r"),)), "r"),
        (ToolResult("c"), ""),
        (ToolResult("c", (Text("a"), Document(text="b"))), "a\nb"),
        (ToolResult("c", (Text("r"),), is_error=True), "Error: r"),
        (ToolResult("c", is_error=True), "Error: "),
        (
            ToolResult("c", (Text("a"), Image(url="u"))),
            [put_in("a"), {"type": "input_image", "image_url": "u", "detail": "auto"}],
        ),
        (
            ToolResult("c", (Image(url="u"),), is_error=True),
            [put_in("Error:"), {"type": "input_image", "image_url": "u", "detail": "auto"}],
        ),
    ],
    ids=["text", "nothing", "texts", "failure", "failure of nothing", "image", "failure with an image"],
)
def test_what_a_tool_gave(result: ToolResult, expected: object) -> None:
    called = assistant(ToolCall("c", "f", "{}"))
    assert items(called, user(result))[1:] == [{"type": "function_call_output", "call_id": "c", "output": expected}]


@pytest.mark.parametrize(
    "messages",
    [
        [assistant(ToolCall("c", "exec", "x")), user(ToolResult("c", (Text("r"),), custom=True))],
        [assistant(ToolCall("c", "exec", "x", custom=True)), user(ToolResult("c", (Text("r"),)))],
    ],
    ids=["marked", "by its call"],
)
def test_what_a_freeform_tool_gave(messages: list[Message]) -> None:
    assert items(*messages)[-1] == {"type": "custom_tool_call_output", "call_id": "c", "output": "r"}


def test_outputs_come_before_words() -> None:
    called = assistant(ToolCall("c", "f", "{}"), ToolCall("d", "f", "{}"))
    heard = items(called, user(Text("a"), ToolResult("c"), Text("b"), ToolResult("d")))[2:]
    assert [item.get("type") for item in heard] == ["function_call_output", "function_call_output", None]


def test_a_call_without_its_result_and_a_result_without_its_call() -> None:
    freeform = ToolCall("d", "exec", "x", custom=True)
    assert items(assistant(ToolCall("c", "f", "{}"), freeform), user(ToolResult("z", (Text("r"),))))[2:] == [
        {"type": "function_call_output", "call_id": "c", "output": "(no result)"},
        {"type": "custom_tool_call_output", "call_id": "d", "output": "(no result)"},
        {"role": "user", "content": [put_in("The result of tool call z:"), put_in("r")]},
    ]


# ---- tools


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (F, {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": False}),
        (
            Tool("f", "d", SCHEMA, strict=True),
            {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        ),
        (EXEC, {"type": "custom", "name": "exec", "description": "runs", "format": msgspec.json.decode(GRAMMAR)}),
        (
            Tool("say", "says", msgspec.Raw(), custom=True),
            {"type": "custom", "name": "say", "description": "says"},
        ),
    ],
    ids=["function", "strict", "freeform", "freeform without format"],
)
def test_a_tool(tool: Tool, expected: object) -> None:
    assert rendered(tools=(tool,))["tools"] == [expected]


def test_a_namespace_is_put_together_again() -> None:
    tools = tuple(msgspec.structs.replace(tool, namespace=space) for tool, space in [(EXEC, "a"), (F, ""), (F, "a")])
    space, plain = rendered(tools=tools)["tools"]
    assert (space["type"], space["name"], plain["name"]) == ("namespace", "a", "f")
    assert [tool["name"] for tool in space["tools"]] == ["exec", "f"]


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        (SearchTool(), {}),
        (SearchTool(("a", "b"), ("c",)), {"filters": {"allowed_domains": ["a", "b"]}}),
        (SearchTool(location=msgspec.Raw(b'{"type":"approximate"}')), {"user_location": {"type": "approximate"}}),
    ],
    ids=["bare", "domains", "location"],
)
def test_a_search(search: SearchTool, expected: dict[str, object]) -> None:
    assert rendered(search=search)["tools"] == [{"type": "web_search"} | expected]


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (ToolChoice("auto"), "auto"),
        (ToolChoice("none"), "none"),
        (ToolChoice("any"), "required"),
        (ToolChoice("tool", "f"), {"type": "function", "name": "f"}),
        (ToolChoice("tool", "exec"), {"type": "custom", "name": "exec"}),
        (ToolChoice("tool", "web_search"), {"type": "web_search"}),
    ],
    ids=["auto", "none", "any", "function", "freeform", "search"],
)
def test_tool_choice(choice: ToolChoice, expected: object) -> None:
    fields = rendered(tools=(F, EXEC), search=SearchTool(), tool_choice=choice, parallel_tools=False)
    assert (fields["tool_choice"], fields["parallel_tool_calls"]) == (expected, False)


def test_without_tools_nothing_is_chosen() -> None:
    fields = rendered(tool_choice=ToolChoice("auto"), parallel_tools=True)
    assert not {"tools", "tool_choice", "parallel_tool_calls"} & set(fields)


# ---- the rest


@pytest.mark.parametrize(
    ("reasoning", "model", "expected"),
    [
        (Reasoning(), GPT5, None),
        (Reasoning(True), GPT5, {"effort": "medium", "summary": "auto"}),
        (Reasoning(True, None, None, "detailed"), GPT5, {"effort": "medium", "summary": "detailed"}),
        (Reasoning(True, None, "high", "concise"), GPT5, {"effort": "high", "summary": "concise"}),
        (Reasoning(None, None, "low"), GPT5, {"effort": "low", "summary": "auto"}),
        (Reasoning(True, None, "max"), GPT5, {"effort": "high", "summary": "auto"}),
        (Reasoning(True, None, "minimal"), GPT5, {"effort": "low", "summary": "auto"}),
        (Reasoning(True, 2000), GPT5, {"effort": "low", "summary": "auto"}),
        (Reasoning(None, 9000), GPT5, {"effort": "medium", "summary": "auto"}),
        (Reasoning(True, 30000), GPT5, {"effort": "high", "summary": "auto"}),
        (Reasoning(False), GPT5, {"effort": "low"}),
        (Reasoning(False), NONE_TOO, {"effort": "none"}),
        (Reasoning(True, None, "high"), GPT, None),
        (Reasoning(False), GPT, None),
    ],
    ids=["silence", "wanted", "summary", "effort and summary", "effort alone", "too much", "too little", "small budget",
         "middling budget", "big budget", "unwanted", "unwanted, and may be", "a model without", "unwanted there"],
)  # fmt: skip
def test_reasoning(reasoning: Reasoning, model: Model, expected: object) -> None:
    fields = rendered(model=model, reasoning=reasoning)
    assert fields.get("reasoning") == expected
    assert fields.get("include") == (["reasoning.encrypted_content"] if model.supports.reasoning_effort else None)


@pytest.mark.parametrize(
    ("wanted", "model", "sent"),
    [(1, GPT5, 16), (16, GPT5, 16), (1000, GPT5, 1000), (10**6, GPT5, 64000), (10**6, CODEX, 10**6), (0, GPT5, 16)],
)
def test_the_most_output_is_within_what_the_api_and_the_model_take(wanted: int, model: Model, sent: int) -> None:
    assert rendered(model=model, max_tokens=wanted)["max_output_tokens"] == sent


def test_temperatures_are_for_models_that_do_not_reason() -> None:
    sampling = {"temperature": 0.5, "top_p": 0.9}
    assert sampling.items() <= rendered(model=GPT, **sampling).items()
    assert not sampling.keys() & rendered(model=GPT5, **sampling).keys()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, None),
        ({"verbosity": "low"}, {"verbosity": "low"}),
        ({"output_json": True}, {"format": {"type": "json_object"}}),
        (
            {"output_schema": SCHEMA},
            {"format": {"type": "json_schema", "name": "output", "schema": {"type": "object"}}},
        ),
        (
            {"output_schema": SCHEMA, "output_name": "n", "output_strict": False, "verbosity": "high"},
            {
                "format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": False},
                "verbosity": "high",
            },
        ),
    ],
    ids=["silence", "verbosity", "any object", "schema", "all of it"],
)
def test_the_format_of_the_answer(fields: dict[str, Any], expected: object) -> None:
    assert rendered(**fields).get("text") == expected


def test_streams_and_cache_keys() -> None:
    fields = rendered(stream=True, cache_key="k", stop=("x",))
    assert (fields["stream"], fields["prompt_cache_key"]) == (True, "k")
    assert "stop" not in fields


# ---- there and back

WORDS = st.text(min_size=1, max_size=20)
PICTURES = st.just(Image("image/png", "AA==", detail="low")) | st.just(Image(url="https://x/y", detail="auto"))
SAID = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Refusal, WORDS),
    st.builds(Thinking, WORDS, st.just("E@rs_1") | st.just("ab@")),
)


@st.composite
def conversations(draw: st.DrawFn) -> tuple[Message, ...]:
    """Turns of a user, of an assistant with calls, and of the results in one part each."""
    messages: list[Message] = []
    number = 0
    for _ in range(draw(st.integers(1, 5))):
        messages.append(user(*draw(st.lists(st.builds(Text, WORDS) | PICTURES, min_size=1, max_size=3))))
        calls: list[ToolCall] = []
        for _ in range(draw(st.integers(0, 3))):
            number += 1
            space = draw(st.sampled_from(["", "n"]))
            if draw(st.booleans()):
                calls.append(ToolCall(f"c{number}", "exec", draw(st.text()), custom=True, namespace=space))
            else:
                calls.append(ToolCall(f"c{number}", "f", '{"a":1}', namespace=space))
        messages.append(assistant(*draw(st.lists(SAID, max_size=3)), *calls, *[] if calls else [Text("done")]))
        if calls:
            parts = st.builds(Text, WORDS) | PICTURES
            messages.append(user(*(ToolResult(call.id, (draw(parts),), custom=call.custom) for call in calls)))
    return tuple(messages)


@given(conversations())
def test_a_conversation_survives_the_way_there_and_back(messages: tuple[Message, ...]) -> None:
    tools = (F, EXEC, msgspec.structs.replace(F, namespace="n"), msgspec.structs.replace(EXEC, namespace="n"))
    asked = Conversation(
        messages,
        tools,
        ToolChoice("tool", "exec"),
        reasoning=Reasoning(True, None, "low", "auto"),
        search=SearchTool(("a",)),
        cache_key="k",
        stream=True,
    )
    found = parse_request(render_request(asked, GPT5))
    assert found.messages == messages
    assert found.tools == tuple(msgspec.structs.replace(tool, strict=None if tool.custom else False) for tool in tools)
    assert msgspec.structs.replace(found, messages=messages, tools=tools) == asked


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(0, 9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "type", "x"]), inner, max_size=3)
    ),
    max_leaves=5,
)
ITEMS = st.one_of(
    st.fixed_dictionaries({"type": st.just("x_call"), "junk": JUNK}),
    st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "developer"]), "content": WORDS}),
    st.fixed_dictionaries({
        "type": st.sampled_from(["function_call", "custom_tool_call"]), "call_id": st.sampled_from("ab"),
        "name": WORDS, "arguments": WORDS, "input": WORDS}),
    st.fixed_dictionaries({
        "type": st.sampled_from(["function_call_output", "custom_tool_call_output"]),
        "call_id": st.sampled_from("abc"), "output": WORDS | JUNK.filter(lambda junk: not isinstance(junk, list))}),
)  # fmt: skip


@given(st.lists(ITEMS, max_size=12))
def test_what_was_repaired_once_stays(sent: list[dict[str, object]]) -> None:
    once = parse_request(msgspec.json.encode({"input": sent}))
    again = parse_request(render_request(once, GPT))
    assert render_request(parse_request(render_request(again, GPT)), GPT) == render_request(again, GPT)
