from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.dialects.responses.parse import parse_request
from copilot_trio.errors import BadRequest
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
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

HI = {"role": "user", "content": "hi"}
PNG = "data:image/png;base64,AA=="
SCHEMA = {"type": "object"}
RAW_SCHEMA = msgspec.Raw(b'{"type":"object"}')
GRAMMAR = {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"}
PATCH = {"type": "custom", "name": "apply_patch", "description": "d", "format": GRAMMAR}
SHELL = {"type": "function", "name": "shell", "description": "d", "parameters": SCHEMA, "strict": False}
SPACE = {"type": "namespace", "name": "agents", "description": "Of agents.", "tools": [
    {"type": "function", "name": "spawn", "description": "Spawns.", "parameters": SCHEMA},
    {"type": "function", "name": "wait", "description": "Waits.", "parameters": SCHEMA},
]}  # fmt: skip


def parse(*items: object, **fields: object) -> Conversation:
    return parse_request(msgspec.json.encode({"model": "m", "input": list(items) or [HI], **fields}))


def call(number: int, **more: object) -> dict[str, object]:
    return {
        "type": "function_call",
        "id": f"fc_{number}",
        "call_id": f"c{number}",
        "name": "f",
        "arguments": "{}",
    } | more


def output(number: int, said: object = "r", **more: object) -> dict[str, object]:
    return {"type": "function_call_output", "id": f"o{number}", "call_id": f"c{number}", "output": said} | more


def said(text: str) -> dict[str, object]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


def thought(**more: object) -> dict[str, object]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E", **more}


def refused(*items: object, **fields: object) -> BadRequest:
    with pytest.raises(BadRequest) as caught:
        parse(*items, **fields)
    return caught.value


# ---- input


@pytest.mark.parametrize(
    ("fields", "messages"),
    [
        ({"input": "hi"}, [Message("user", (Text("hi"),))]),
        ({"input": ""}, []),
        ({"input": []}, []),
        ({"input": "hi", "instructions": "Be."}, [Message("system", (Text("Be."),)), Message("user", (Text("hi"),))]),
        ({"input": "hi", "instructions": ""}, [Message("user", (Text("hi"),))]),
        ({"input": "hi", "instructions": None}, [Message("user", (Text("hi"),))]),
    ],
    ids=["string", "empty string", "no items", "instructions", "empty instructions", "null instructions"],
)
def test_input_is_a_string_or_items_and_instructions_come_first(
    fields: dict[str, object], messages: list[Message]
) -> None:
    assert list(parse(**fields).messages) == messages


@pytest.mark.parametrize(
    ("role", "expected"),
    [("user", "user"), ("assistant", "assistant"), ("system", "system"), ("developer", "system")],
)
def test_roles(role: str, expected: str) -> None:
    for item in ({"role": role, "content": "a"}, {"type": "message", "id": "msg_1", "role": role, "content": "a"}):
        (message,) = parse(item).messages
        assert (message.role, message.parts) == (expected, (Text("a"),))


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "input_text", "text": "a"}, Text("a")),
        ({"type": "output_text", "text": "a", "annotations": []}, Text("a")),
        ({"type": "text", "text": "a"}, Text("a")),
        ({"type": "refusal", "refusal": "no"}, Refusal("no")),
        ({"type": "input_image", "image_url": PNG, "detail": "high"}, Image("image/png", "AA==", detail="high")),
        ({"type": "input_image", "image_url": "https://x/y.png"}, Image(url="https://x/y.png")),
        ({"type": "input_image", "image_url": "data:image/png,raw"}, Image(url="data:image/png,raw")),
        ({"type": "input_image", "image_url": {"url": PNG, "detail": "low"}}, Image("image/png", "AA==", detail="low")),
        ({"type": "image_url", "image_url": {"url": PNG}}, Image("image/png", "AA==")),
        (
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
            Document("application/pdf", "AA==", title="a.pdf"),
        ),
        ({"type": "input_file", "file_data": "AA=="}, Document("application/pdf", "AA==")),
        (
            {"type": "input_file", "filename": "a.md", "file_data": "data:text/markdown;charset=utf-8;base64,w6k="},
            Document("text/markdown", text="é", title="a.md"),
        ),
        (
            {"type": "input_file", "file_data": "data:text/plain;base64,gA=="},
            Document("text/plain", "gA=="),
        ),
        ({"type": "input_file", "file_url": "https://x/a.pdf"}, Document(url="https://x/a.pdf")),
        ({"type": "never_heard_of", "text": 5}, Text('{"type":"never_heard_of","text":5}')),
        ("bare", Text('"bare"')),
    ],
    ids=["input text", "output text", "text", "refusal", "image data", "image url", "odd data url", "image object",
         "chat's image", "PDF", "PDF without a name", "text file", "text file that is none", "file url", "unknown",
         "no object"],
)  # fmt: skip
def test_a_part(part: object, expected: Part) -> None:
    (message,) = parse({"role": "user", "content": [part]}).messages
    assert message.parts == (expected,)


@pytest.mark.parametrize("content", [None, "", [], [{"type": "input_text", "text": ""}]])
def test_a_message_of_nothing_is_none(content: object) -> None:
    assert parse({"role": "user", "content": content}).messages == ()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (thought(), Thinking("", "E@rs_1")),
        (thought(id=None), Thinking("", "E@")),
        (thought(encrypted_content=None, summary=[{"type": "summary_text", "text": "a"}]), Thinking("a")),
        (
            thought(summary=[{"type": "summary_text", "text": text} for text in "ab"], content=None),
            Thinking("a\n\nb", "E@rs_1"),
        ),
        (thought(content=[{"type": "reasoning_text", "text": "c"}]), Thinking("c", "E@rs_1")),
        (thought(encrypted_content="foreign:S=="), Thinking("", "S==")),
        (
            {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {
                "type": "search", "query": "q", "sources": [{"type": "url", "url": "https://x"}]}},
            WebSearch("ws_1", "q", (SearchHit("https://x"),)),
        ),
        (
            {"type": "web_search_call", "id": "ws_1", "action": {"type": "search", "queries": ["p", "q"]}},
            WebSearch("ws_1", "p; q"),
        ),
        (
            {"type": "web_search_call", "id": "ws_1", "action": {
                "type": "search", "query": "q", "queries": ["q", "r"]}},
            WebSearch("ws_1", "q; r"),
        ),
        (call(1), ToolCall("c1", "f", "{}")),
        (call(1, arguments=""), ToolCall("c1", "f", "{}")),
        (call(1, arguments={"a": 1}), ToolCall("c1", "f", '{"a":1}')),
        (call(1, call_id=None), ToolCall("fc_1", "f", "{}")),
        (call(1, namespace="agents"), ToolCall("c1", "f", "{}", namespace="agents")),
        (
            {"type": "custom_tool_call", "call_id": "c1", "name": "exec", "namespace": "functions", "input": "x\n"},
            ToolCall("c1", "exec", "x\n", custom=True, namespace="functions"),
        ),
        ({"type": "custom_tool_call", "call_id": "c1", "name": "exec"}, ToolCall("c1", "exec", "", custom=True)),
    ],
    ids=["proof", "proof without id", "summary without proof", "summaries", "own words", "another API's proof",
         "search", "searches", "searches and a query", "call", "call without arguments", "arguments as an object",
         "call without call id", "namespace", "freeform call", "freeform call of nothing"],
)  # fmt: skip
def test_what_a_model_says_is_the_assistants(item: object, expected: Part) -> None:
    assert parse(item).messages == (Message("assistant", (expected,)),)


def test_a_thought_of_nothing_is_none() -> None:
    assert parse(thought(encrypted_content=None)).messages == ()


@pytest.mark.parametrize(
    ("said_back", "expected"),
    [
        ("r", (Text("r"),)),
        ("", ()),
        (None, ()),
        ([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}], (Text("a"), Text("b"))),
        ([{"type": "input_image", "image_url": PNG, "detail": "high"}], (Image("image/png", "AA==", detail="high"),)),
        ([{"type": "refusal", "refusal": "no"}], (Text("no"),)),
        ({"exit": 0}, (Text('{"exit":0}'),)),
        (5, (Text("5"),)),
    ],
    ids=["string", "empty", "null", "parts", "image", "refusal", "object", "number"],
)
def test_an_output(said_back: object, expected: tuple[Part, ...]) -> None:
    assert parse(call(1), output(1, said_back)).messages[1].parts == (ToolResult("c1", expected),)  # type: ignore[arg-type]


def test_the_output_of_a_freeform_call_is_marked_whatever_it_calls_itself() -> None:
    for kind in ("custom_tool_call_output", "function_call_output"):
        made = {"type": "custom_tool_call", "call_id": "c1", "name": "exec", "input": "x"}
        assert parse(made, output(1, type=kind)).messages[1].parts == (ToolResult("c1", (Text("r"),), custom=True),)


def test_a_function_call_of_a_freeform_tool_is_a_freeform_call() -> None:
    found = parse(call(1, name="apply_patch", arguments="*** Begin Patch"), output(1), tools=[PATCH])
    assert [message.parts for message in found.messages] == [
        (ToolCall("c1", "apply_patch", "*** Begin Patch", custom=True),),
        (ToolResult("c1", (Text("r"),), custom=True),),
    ]


@pytest.mark.parametrize(
    ("item", "role"),
    [
        ({"type": "local_shell_call", "call_id": "c", "action": {"type": "exec", "command": ["ls"]}}, "assistant"),
        ({"type": "web_search_call", "id": "w", "action": {"type": "open_page", "url": "https://x"}}, "assistant"),
        ({"type": "image_generation_call", "id": "i", "result": "AA=="}, "assistant"),
        ({"type": "mcp_list_tools", "server_label": "s", "tools": [{"name": "f"}]}, "user"),
        ({"type": "agent_message", "author": "/root", "content": [{"type": "input_text", "text": "a"}]}, "user"),
        ({"type": "never_heard_of", "role": "assistant", "content": {"deep": [1]}, "summary": 5}, "assistant"),
        ({"type": "compaction", "id": "cmp_1", "summary": [{"type": "summary_text", "text": "readable"}]}, "user"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else value,
)
def test_an_item_that_we_do_not_know_is_told_as_json(item: dict[str, object], role: str) -> None:
    (message,) = parse(item).messages
    (part,) = message.parts
    assert isinstance(part, Text)
    assert (message.role, msgspec.json.decode(part.text)) == (role, item)


def test_text_that_is_told_as_json_keeps_its_bytes() -> None:
    body = b'{"input":[{"type":"shell_call", "n": 1.50, "a":"\\u00e9"}]}'
    assert parse_request(body).messages[0].parts == (Text('{"type":"shell_call", "n": 1.50, "a":"\\u00e9"}'),)


# ---- items become messages


def kinds(*items: object) -> list[str]:
    """``A`` or ``U`` and the initials of the parts."""
    initials = {Text: "t", Thinking: "h", ToolCall: "c", ToolResult: "r"}
    return [
        message.role[0].upper() + "".join(initials[type(part)] for part in message.parts)
        for message in parse(*items).messages
    ]


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        ([thought(), said("a"), call(1), output(1), said("b")], ["Ahtc", "Ur", "At"]),
        ([thought(), call(1), call(2), output(1), output(2)], ["Ahcc", "Urr"]),
        ([call(1), output(1), call(2), output(2)], ["Ac", "Ur", "Ac", "Ur"]),
        ([call(1), output(1), thought(), call(2), output(2)], ["Ac", "Ur", "Ahc", "Ur"]),
        ([said("a"), thought(), said("b")], ["Atht"]),
        ([HI, HI], ["Ut", "Ut"]),
        ([call(1), HI, output(1)], ["Ac", "Ur", "Ut"]),
        ([call(1), HI, call(2), output(1), output(2)], ["Ac", "Ur", "Ut", "Ac", "Ur"]),
        ([call(1), output(1), output(1)], ["Ac", "Ur", "Utt"]),
        ([HI, output(9)], ["Ut", "Utt"]),
        ([call(1), output(1), call(1), output(1)], ["Ac", "Ur", "Ac", "Ur"]),
    ],
    ids=["a turn", "parallel calls", "one after another", "thinking between", "thinking amid words", "two messages",
         "a message between", "messages between", "answered twice", "without a call", "an id used again"],
)  # fmt: skip
def test_a_turns_items_are_one_message_and_results_stand_behind_their_calls(
    items: list[object], expected: list[str]
) -> None:
    assert kinds(*items) == expected


def test_an_output_without_its_call_is_told_in_words_and_keeps_its_image() -> None:
    (message,) = parse(output(9, [{"type": "input_image", "image_url": PNG}])).messages
    assert message == Message("user", (Text("The output of tool call c9:"), Image("image/png", "AA==")))


STEPS = st.sampled_from(["user", "said", "thought", "call", "output"])


@given(st.lists(STEPS, max_size=30), st.randoms(use_true_random=False))
def test_whatever_the_order_each_result_stands_right_behind_its_call_and_nothing_is_lost(
    steps: list[str], random: Any
) -> None:
    items: list[dict[str, object]] = []
    open_calls: list[int] = []
    for number, step in enumerate(steps):
        if step == "call":
            open_calls.append(number)
            items.append(call(number))
        elif step == "output" and open_calls:
            answered = open_calls.pop(random.randrange(len(open_calls)))
            items.append(output(answered, f"text {number}"))
        else:
            items.append(said(f"text {number}") if step == "said" else {"role": "user", "content": f"text {number}"})
    messages = parse_request(msgspec.json.encode({"input": items})).messages
    before: set[str] = set()
    for message in messages:
        results = {part.call_id for part in message.parts if isinstance(part, ToolResult)}
        assert results <= before
        assert not results or len(results) == len(message.parts)
        before = {part.id for part in message.parts if isinstance(part, ToolCall)}
    texts = [part.text for message in messages for part in _flat(message.parts) if isinstance(part, Text)]
    assert sorted(texts) == sorted(f"text {number}" for number, step in enumerate(steps) if step != "call")
    assert sum(isinstance(part, ToolCall) for message in messages for part in message.parts) == steps.count("call")


def _flat(parts: tuple[Part, ...]) -> list[Part]:
    return [inner for part in parts for inner in (part.parts if isinstance(part, ToolResult) else (part,))]


# ---- tools


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        (SHELL, Tool("shell", "d", RAW_SCHEMA, strict=False)),
        ({"type": "function", "name": "f"}, Tool("f", "", msgspec.Raw(b'{"type":"object","properties":{}}'))),
        (
            {"type": "function", "name": "f", "parameters": None, "description": None},
            Tool("f", "", msgspec.Raw(b'{"type":"object","properties":{}}')),
        ),
        (
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            Tool("f", "d", RAW_SCHEMA, strict=True),
        ),
        (PATCH, Tool("apply_patch", "d", msgspec.Raw(), custom=True, format=msgspec.Raw(msgspec.json.encode(GRAMMAR)))),
        ({"type": "custom", "name": "say"}, Tool("say", "", msgspec.Raw(), custom=True)),
    ],
    ids=["flat", "bare", "nulls", "nested", "freeform", "freeform without format"],
)
def test_a_tool(tool: object, expected: Tool) -> None:
    assert parse(tools=[tool]).tools == (expected,)


def test_a_namespace_is_flattened_and_what_it_says_is_kept() -> None:
    assert parse(tools=[SPACE, SHELL]).tools == (
        Tool("spawn", "Spawns.\n\nOf all tools of agents: Of agents.", RAW_SCHEMA, namespace="agents"),
        Tool("wait", "Waits.", RAW_SCHEMA, namespace="agents"),
        Tool("shell", "d", RAW_SCHEMA, strict=False),
    )


def test_tools_in_the_input_are_tools_and_the_first_of_a_name_counts() -> None:
    extra = {"type": "additional_tools", "id": "at_1", "role": "developer", "tools": [PATCH, SPACE, SHELL]}
    found = parse(extra, HI, tools=[{"type": "function", "name": "shell", "description": "first"}])
    assert [(tool.namespace, tool.name) for tool in found.tools] == [
        ("", "shell"), ("", "apply_patch"), ("agents", "spawn"), ("agents", "wait"),
    ]  # fmt: skip
    assert found.tools[0].description == "first"
    assert found.messages == (Message("user", (Text("hi"),)),)


def test_tools_that_a_search_found_are_tools() -> None:
    items = [
        {"type": "tool_search_call", "call_id": "c", "execution": "client", "arguments": {"query": "agents"}},
        {"type": "tool_search_output", "call_id": "c", "status": "completed", "execution": "client", "tools": [SPACE]},
    ]
    found = parse(HI, *items)
    assert [tool.name for tool in found.tools] == ["spawn", "wait"]
    assert found.messages[2] == Message("user", (Text("Tools now available: spawn, wait."),))


@pytest.mark.parametrize(
    "kind",
    ["tool_search", "image_generation", "local_shell", "shell", "computer_use_preview", "mcp", "file_search", "x_y"],
)
def test_a_tool_of_openais_own_is_left_out(kind: str) -> None:
    found = parse(tools=[{"type": kind, "execution": "client", "name": 5, "format": "png", "tools": 1}, SHELL])
    assert [tool.name for tool in found.tools] == ["shell"]
    assert found.search is None


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ({"type": "web_search", "external_web_access": True, "search_content_types": ["text"]}, SearchTool()),
        ({"type": "web_search_preview_2025_03_11", "user_location": None, "filters": None}, SearchTool()),
        (
            {"type": "web_search", "filters": {"allowed_domains": ["a", "b"], "blocked_domains": ["c"]}},
            SearchTool(("a", "b"), ("c",)),
        ),
        (
            {"type": "web_search", "user_location": {"type": "approximate", "city": "Bern"}},
            SearchTool(location=msgspec.Raw(b'{"type":"approximate","city":"Bern"}')),
        ),
    ],
    ids=["Codex's", "preview", "domains", "location"],
)
def test_a_search(tool: object, expected: SearchTool) -> None:
    found = parse(tools=[tool])
    assert (found.search, found.tools) == (expected, ())


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, None),
        ("auto", ToolChoice("auto")),
        ("none", ToolChoice("none")),
        ("required", ToolChoice("any")),
        ({"type": "required"}, ToolChoice("any")),
        ({"type": "function", "name": "shell"}, ToolChoice("tool", "shell")),
        ({"type": "function", "function": {"name": "shell"}}, ToolChoice("tool", "shell")),
        ({"type": "custom", "name": "apply_patch"}, ToolChoice("tool", "apply_patch")),
        ({"type": "web_search_preview"}, ToolChoice("tool", "web_search")),
        ({"type": "function", "name": "gone"}, None),
        ({"type": "image_generation"}, None),
    ],
    ids=str,
)
def test_tool_choice(choice: object, expected: ToolChoice | None) -> None:
    found = parse(tools=[SHELL, PATCH, {"type": "web_search"}], tool_choice=choice)
    assert found.tool_choice == expected
    assert len(found.tools) == 2


@pytest.mark.parametrize(
    ("allowed", "names", "searches"),
    [
        ([{"type": "function", "name": "shell"}], ["shell"], False),
        ([{"type": "custom", "name": "apply_patch"}, {"type": "web_search"}], ["apply_patch"], True),
        ([{"type": "namespace", "name": "agents"}], ["spawn", "wait"], False),
        ([{"type": "function", "function": {"name": "wait"}}], ["wait"], False),
        ([], [], False),
    ],
    ids=["function", "freeform and search", "namespace", "nested", "none"],
)
def test_only_allowed_tools_are_shown(allowed: list[object], names: list[str], searches: bool) -> None:
    choice = {"type": "allowed_tools", "mode": "required", "tools": allowed}
    found = parse(tools=[SHELL, PATCH, SPACE, {"type": "web_search"}], tool_choice=choice)
    assert [tool.name for tool in found.tools] == names
    assert (found.search is not None) == searches
    assert found.tool_choice == ToolChoice("any")


# ---- the rest


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (None, Reasoning()),
        ({}, Reasoning()),
        ({"context": "all_turns"}, Reasoning()),
        ({"effort": "medium", "context": "all_turns"}, Reasoning(True, None, "medium")),
        ({"summary": "auto"}, Reasoning(True, None, None, "auto")),
        ({"effort": "high", "summary": "detailed"}, Reasoning(True, None, "high", "detailed")),
        ({"effort": "none", "summary": "auto"}, Reasoning(False)),
    ],
    ids=str,
)
def test_reasoning(asked: object, expected: Reasoning) -> None:
    assert parse(reasoning=asked).reasoning == expected


def test_the_other_fields() -> None:
    found = parse(
        max_output_tokens=9, temperature=0.5, top_p=1, parallel_tool_calls=False, prompt_cache_key="k", stream=True,
        store=False, include=["reasoning.encrypted_content"], truncation="disabled", service_tier="priority",
        client_metadata={"a": "b"}, stream_options={"include_usage": True}, user="u",
        text={"verbosity": "low", "format": {
            "type": "json_schema", "name": "n", "strict": True, "schema": {"type": "object"}}},
    )  # fmt: skip
    assert found == Conversation(
        (Message("user", (Text("hi"),)),),
        max_tokens=9,
        temperature=0.5,
        top_p=1,
        parallel_tools=False,
        cache_key="k",
        stream=True,
        output_schema=RAW_SCHEMA,
        output_name="n",
        output_strict=True,
        verbosity="low",
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, (None, "", None, False)),
        ({"format": {"type": "text"}}, (None, "", None, False)),
        ({"format": {"type": "json_object"}}, (None, "", None, True)),
        ({"format": {"type": "json_schema", "schema": SCHEMA}}, (RAW_SCHEMA, "", None, False)),
        ({"format": {"type": "json_schema", "name": "n", "strict": True}}, (None, "", None, False)),
    ],
    ids=["absent", "text", "object", "schema", "schema without one"],
)
def test_the_format_of_the_answer(text: object, expected: object) -> None:
    found = parse(text=text)
    assert (found.output_schema, found.output_name, found.output_strict, found.output_json) == expected


def test_silence_is_silence() -> None:
    assert parse() == Conversation((Message("user", (Text("hi"),)),))


# ---- what cannot be carried


@pytest.mark.parametrize(
    ("items", "fields", "words", "param"),
    [
        ([], {"previous_response_id": "resp_1"}, "Send the whole input.", "previous_response_id"),
        ([], {"conversation": "conv_1"}, "no conversation is stored", "conversation"),
        ([], {"prompt": {"id": "pmpt_1"}}, "no prompt is stored", "prompt"),
        ([], {"background": True}, "in the background", "background"),
        ([], {"input": None}, "has no input", "input"),
        ([], {"input": 5}, "$.input", None),
        ([], {"stream": "yes"}, "$.stream", None),
        ([{"type": "item_reference", "id": "msg_9"}], {}, "`msg_9` refers to nothing", "input"),
        ([{"id": "msg_9"}], {}, "Send the whole item.", "input"),
        ([{"type": "compaction", "id": "x", "encrypted_content": "E"}], {}, "only the provider that wrote it", "input"),
        ([{"type": "compaction_trigger"}], {}, "cannot compact", "input"),
        ([{"role": "tool", "content": "x"}], {}, "`tool` is none of", "input"),
        ([HI, {"role": "user", "content": 5}], {}, "input.1: ", "input"),
        ([HI, call(1, name=5)], {}, "input.1: ", "input"),
        ([HI, 5], {}, "input.1: ", "input"),
        ([{"role": "user", "content": [{"type": "input_image", "file_id": "file_1"}]}], {}, "`file_1`", "input"),
        ([{"role": "user", "content": [{"type": "input_image"}]}], {}, "an image without its data", "input"),
        ([{"role": "user", "content": [{"type": "input_file", "file_id": "file_1"}]}], {}, "`file_data`", "input"),
        ([], {"tools": [SHELL, {"type": "function"}]}, "has no name", "tools"),
        ([], {"tools": [SHELL, {"type": "function", "name": 5}]}, "tools.1: ", "tools"),
        ([], {"tools": [{"type": "namespace", "tools": []}]}, "has no name", "tools"),
        ([], {"tool_choice": "sometimes"}, "`sometimes` is none of", "tool_choice"),
        ([], {"tool_choice": {"type": "allowed_tools", "mode": "x", "tools": []}}, "`x` is none of", "tool_choice"),
        ([], {"tool_choice": {"type": "function"}}, "names no tool", "tool_choice"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_refused_is_named(items: list[object], fields: dict[str, object], words: str, param: str) -> None:
    error = refused(*items, **fields)
    assert words in str(error)
    assert error.param == param


def test_a_response_that_is_not_stored_is_told_in_openais_code() -> None:
    assert refused(previous_response_id="resp_1").code == "previous_response_not_found"


def test_null_is_absence() -> None:
    names = ("previous_response_id", "conversation", "prompt", "background", "tools", "tool_choice", "reasoning",
             "text", "max_output_tokens", "stream", "prompt_cache_key", "parallel_tool_calls")  # fmt: skip
    assert parse(**dict.fromkeys(names)) == parse()


# ---- what clients send (excerpts)


@pytest.mark.parametrize(
    ("body", "roles", "tools"),
    [
        (
            {"model": "gpt-5.5", "stream": True, "input": [
                {"type": "message", "id": "msg_0", "role": "developer", "content": [
                    {"type": "input_text", "text": "You are Codex."}],
                 "internal_chat_message_metadata_passthrough": {"content_item_kinds": ["model.base_instructions"]}},
                {"type": "message", "id": "msg_1", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                thought(summary=[{"type": "summary_text", "text": "s"}], content=None), said("Step 0."),
                call(1, status="completed"), output(1),
                {"type": "custom_tool_call", "id": "ctc_1", "status": "completed", "call_id": "c2",
                 "name": "apply_patch", "input": "*** Begin Patch"},
                {"type": "custom_tool_call_output", "id": "ctco_1", "call_id": "c2", "output": "Exit code: 0"}],
             "tools": [SHELL, PATCH, {"type": "tool_search", "execution": "client", "parameters": SCHEMA},
                       {"type": "web_search", "external_web_access": True}],
             "tool_choice": "auto", "parallel_tool_calls": True, "reasoning": {"effort": "medium"}, "store": False,
             "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k", "text": {"verbosity": "low"},
             "client_metadata": {"turn_id": "t"}},
            "system user assistant user assistant user", 2,
        ),
        (
            {"model": "gpt-6-sol", "stream": True, "input": [
                {"type": "additional_tools", "id": "at_0", "role": "developer", "tools": [
                    {"type": "namespace", "name": "functions", "description": "", "tools": [
                        {"type": "custom", "name": "exec", "description": "d", "format": GRAMMAR}, SHELL]}]},
                {"type": "message", "id": "m", "role": "user", "content": [{"type": "input_text", "text": "go"}]},
                {"type": "custom_tool_call", "id": "ctc_1", "status": "completed", "call_id": "c1", "name": "exec",
                 "namespace": "functions", "input": "text(1)"},
                {"type": "custom_tool_call_output", "id": "o", "call_id": "c1", "output": [
                    {"type": "input_text", "text": "Script completed\n"}, {"type": "input_text", "text": "1"}]}],
             "tool_choice": "auto", "parallel_tool_calls": False,
             "reasoning": {"effort": "medium", "context": "all_turns"}, "store": False},
            "user assistant user", 2,
        ),
        (
            {"model": "gpt-5.4-nano", "input": [
                {"role": "developer", "content": "You are a title generator."},
                {"role": "user", "content": [{"type": "input_text", "text": "Generate a title:\n"}]}],
             "temperature": 0.5, "max_output_tokens": 32000, "store": False, "stream": True,
             "include": ["reasoning.encrypted_content"], "reasoning": {"effort": "none", "summary": "auto"}},
            "system user", 0,
        ),
        (
            {"model": "gpt-5.5", "stream": True, "input": [
                {"role": "user", "content": "go"},
                {"id": "rs_1", "type": "reasoning", "encrypted_content": "E",
                 "summary": [{"text": "s", "type": "summary_text"}]},
                {"id": "msg_1", "content": [{"annotations": [], "text": "a", "type": "output_text", "logprobs": []}],
                 "role": "assistant", "status": "completed", "type": "message"},
                call(1), output(1)], "reasoning": {"effort": "low", "summary": "auto"}, "tools": [SHELL]},
            "user assistant user", 1,
        ),
        (
            {"model": "gpt-5.5", "stream": True, "user": "u", "store": False, "input": [
                {"role": "system", "content": "You operate in Cursor."},
                {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
                call(1, name="apply_patch", arguments="*** Begin Patch"), output(1)],
             "tools": [SHELL, PATCH], "tool_choice": "auto", "stream_options": {"include_usage": True},
             "text": {"verbosity": "medium"}},
            "system user assistant user", 2,
        ),
    ],
    ids=["Codex", "Codex in code mode", "opencode's title", "openai's SDK", "Cursor's agent"],
)  # fmt: skip
def test_what_clients_send_is_understood(body: dict[str, object], roles: str, tools: int) -> None:
    found = parse_request(msgspec.json.encode(body))
    assert [message.role for message in found.messages] == roles.split()
    assert len(found.tools) == tools
