from __future__ import annotations

import msgspec
import pytest

from copilot_trio.dialects.messages.parse import parse_request
from copilot_trio.errors import BadRequest
from copilot_trio.turn import (
    Conversation,
    Document,
    Image,
    Message,
    Part,
    Reasoning,
    RedactedThinking,
    SearchTool,
    Text,
    Thinking,
    ToolCall,
    ToolChoice,
    ToolResult,
)

HI = {"role": "user", "content": "hi"}
CACHE = {"type": "ephemeral"}


def parse(*messages: object, **fields: object) -> Conversation:
    return parse_request(msgspec.json.encode({"model": "m", "messages": list(messages) or [HI], **fields}))


def parts_of(*blocks: object) -> list[Part]:
    (message,) = parse({"role": "user", "content": list(blocks)}).messages
    return list(message.parts)


@pytest.mark.parametrize(
    ("system", "messages"),
    [
        (None, []),
        ("", []),
        ([], []),
        ("Be brief.", [Message("system", (Text("Be brief."),))]),
        (
            [{"type": "text", "text": "a"}, {"type": "text", "text": "b", "cache_control": CACHE}],
            [Message("system", (Text("a"), Text("b")), cache_breakpoint=True)],
        ),
        (
            [{"type": "text", "text": "x-anthropic-billing-header: v;"}, {"type": "text", "text": "a"}],
            [Message("system", (Text("a"),))],
        ),
        ([{"type": "text", "text": "x-anthropic-billing-header: v;"}], []),
    ],
    ids=["absent", "empty string", "no blocks", "string", "blocks", "billing header", "only the billing header"],
)
def test_the_system_prompt_comes_first(system: object, messages: list[Message]) -> None:
    assert list(parse(system=system).messages) == [*messages, Message("user", (Text("hi"),))]


def test_a_system_message_in_mid_conversation_stays_where_it_is() -> None:
    found = parse(HI, {"role": "system", "content": "env"}, {"role": "assistant", "content": "yes"}).messages
    assert [message.role for message in found] == ["user", "system", "assistant"]


@pytest.mark.parametrize(
    ("block", "part"),
    [
        ({"type": "text", "text": "a"}, Text("a")),
        (
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}},
            Image("image/png", "AA=="),
        ),
        ({"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}, Image(url="https://x/y.png")),
        ({"type": "thinking", "thinking": "h", "signature": "s"}, Thinking("h", "s")),
        ({"type": "thinking", "thinking": "h"}, Thinking("h")),
        ({"type": "redacted_thinking", "data": "d"}, RedactedThinking("d")),
        ({"type": "tool_use", "id": "t", "name": "f", "input": {"a": 1}}, ToolCall("t", "f", '{"a":1}')),
        ({"type": "tool_use", "id": "t", "name": "f"}, ToolCall("t", "f", "{}")),
        ({"type": "tool_result", "tool_use_id": "t"}, ToolResult("t")),
        ({"type": "tool_result", "tool_use_id": "t", "content": None}, ToolResult("t")),
        ({"type": "tool_result", "tool_use_id": "t", "content": []}, ToolResult("t")),
        ({"type": "tool_result", "tool_use_id": "t", "content": ""}, ToolResult("t", (Text(""),))),
        ({"type": "tool_result", "tool_use_id": "t", "content": "r"}, ToolResult("t", (Text("r"),))),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": "r", "is_error": True},
            ToolResult("t", (Text("r"),), is_error=True),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t", "is_error": None, "content": [
                {"type": "text", "text": "r"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}]},
            ToolResult("t", (Text("r"), Image("image/png", "AA=="))),
        ),
        (
            {"type": "tool_result", "tool_use_id": "t", "content": [{"type": "tool_reference", "tool_name": "Bash"}]},
            ToolResult("t", (Text("Tool Bash is now available."),)),
        ),
        (
            {"type": "document", "title": "T", "source": {"type": "text", "media_type": "text/plain", "data": "d"}},
            Document("text/plain", text="d", title="T"),
        ),
        ({"type": "document", "source": {"type": "url", "url": "https://x/y.pdf"}}, Document(url="https://x/y.pdf")),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="}},
            Document("application/pdf", data="AA=="),
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [{"type": "text", "text": "d"}]}},
            Document("text/plain", text="d"),
        ),
    ],
    ids=["text", "image data", "image url", "thinking", "unsigned thinking", "redacted thinking", "call",
         "call without input", "empty result", "null result", "result of no blocks", "result of no text", "result",
         "failed result", "result with an image", "result with a reference", "text document", "url document", "PDF",
         "content document"],
)  # fmt: skip
def test_a_block_is_a_part(block: object, part: Part) -> None:
    assert parts_of(block) == [part]


def test_what_is_said_of_a_document_stands_before_it() -> None:
    source = {"type": "text", "media_type": "text/plain", "data": "d"}
    block = {"type": "document", "context": "From the year 5.", "source": source}
    document = Document("text/plain", text="d")
    assert parts_of(block) == [Text("From the year 5."), document]
    result = {"type": "tool_result", "tool_use_id": "t", "content": [block]}
    assert parts_of(result) == [ToolResult("t", (Text("From the year 5."), document))]


@pytest.mark.parametrize(
    ("inner", "first"),
    [
        ([{"type": "text", "text": "d"}], [Document("text/plain", text="d", title="T")]),
        ([], [Text("T")]),
    ],
    ids=["words too", "images alone"],
)
def test_a_documents_images_stand_behind_it(inner: list[object], first: list[Part]) -> None:
    image = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
    block = {"type": "document", "title": "T", "source": {"type": "content", "content": [*inner, image]}}
    assert parts_of(block) == [*first, Image("image/png", "AA==")]


@pytest.mark.parametrize("kind", ["image", "document"])
def test_a_file_that_is_stored_elsewhere_cannot_be_passed_on(kind: str) -> None:
    with pytest.raises(BadRequest, match=rf"{kind} of source type `file`"):
        parts_of({"type": kind, "source": {"type": "file", "file_id": "file_1"}})


def test_a_calls_input_keeps_its_bytes() -> None:
    body = (
        b'{"messages":[{"role":"assistant","content":[{"type":"tool_use","id":"t","name":"f",'
        b'"input":{ "b" : 1.50, "a":"\\u00e9" }}]}]}'
    )
    (part,) = parse_request(body).messages[0].parts
    assert part == ToolCall("t", "f", '{ "b" : 1.50, "a":"\\u00e9" }')


@pytest.mark.parametrize(
    "block",
    [
        {"type": "server_tool_use", "id": "s", "name": "code_execution", "input": {"code": "1"}},
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": 5}},
        {"type": "search_result", "source": "https://x", "title": "T", "content": [{"type": "text", "text": "c"}]},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": "odd"},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": {"type": "odd"}},
        {"type": "never_heard_of", "text": 5, "data": {"deep": [1]}},
    ],
    ids=lambda block: block["type"],
)
def test_a_block_that_we_do_not_know_is_told_as_json(block: dict[str, object]) -> None:
    (part,) = parts_of(block)
    assert isinstance(part, Text)
    assert msgspec.json.decode(part.text) == block


@pytest.mark.parametrize(
    ("block", "text"),
    [
        (
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "trio"}},
            "\n(searched the web: trio)\n",
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": [
                {"type": "web_search_result", "url": "https://x", "title": "X", "page_age": "1 day"},
                {"type": "web_search_result", "url": "https://y", "title": None, "page_age": None}]},
            "\n(the search found 2)\n- X https://x (1 day)\n- https://y\n",
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
            "\n(the search found nothing)\n",
        ),
        (
            {"type": "web_search_tool_result", "tool_use_id": "s",
             "content": {"type": "web_search_tool_result_error", "error_code": "max_uses_exceeded"}},
            "\n(the search failed: max_uses_exceeded)\n",
        ),
    ],
    ids=["search", "results", "no results", "failure"],
)  # fmt: skip
def test_a_search_of_long_ago_is_told_in_words(block: object, text: str) -> None:
    assert parts_of(block) == [Text(text)]


def test_a_search_tool_is_no_tool_like_others() -> None:
    location = {"type": "approximate", "city": "Paris"}
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 8}
    domains = {"allowed_domains": ["a.example"], "blocked_domains": ["b.example"], "user_location": location}
    conversation = parse(tools=[{"name": "f"}, tool | domains])
    assert [found.name for found in conversation.tools] == ["f"]
    search = conversation.search
    assert search is not None
    assert (search.allowed_domains, search.blocked_domains) == (("a.example",), ("b.example",))
    assert msgspec.json.decode(search.location) == location
    assert parse(tools=[tool | {"user_location": None}]).search == SearchTool()
    assert parse(tools=[{"name": "f"}]).search is None


def test_a_users_identity_goes_nowhere() -> None:
    assert parse(metadata={"user_id": "somebody"}) == parse()


def test_an_unknown_block_in_a_result_is_told_as_json() -> None:
    inner = {"type": "search_result", "source": "https://x"}
    (part,) = parts_of({"type": "tool_result", "tool_use_id": "t", "content": [inner]})
    assert isinstance(part, ToolResult)
    assert [msgspec.json.decode(text.text) for text in part.parts if isinstance(text, Text)] == [inner]


def test_a_cache_breakpoint_is_remembered_with_its_message() -> None:
    marked = {"role": "user", "content": [{"type": "text", "text": "a", "cache_control": CACHE}]}
    assert [message.cache_breakpoint for message in parse(HI, marked).messages] == [False, True]


@pytest.mark.parametrize(
    ("choice", "expected", "parallel"),
    [
        (None, None, None),
        ({"type": "auto"}, ToolChoice("auto"), None),
        ({"type": "any"}, ToolChoice("any"), None),
        ({"type": "none"}, ToolChoice("none"), None),
        ({"type": "tool", "name": "f"}, ToolChoice("tool", "f"), None),
        ({"type": "auto", "disable_parallel_tool_use": True}, ToolChoice("auto"), False),
        ({"type": "auto", "disable_parallel_tool_use": False}, ToolChoice("auto"), None),
    ],
    ids=str,
)
def test_a_tool_choice_is_read(choice: object, expected: ToolChoice | None, parallel: bool | None) -> None:
    conversation = parse(tool_choice=choice)
    assert (conversation.tool_choice, conversation.parallel_tools) == (expected, parallel)


@pytest.mark.parametrize(
    ("fields", "reasoning"),
    [
        ({}, Reasoning()),
        ({"thinking": None}, Reasoning()),
        ({"thinking": {"type": "disabled"}}, Reasoning(wanted=False)),
        ({"thinking": {"type": "disabled"}, "output_config": {"effort": "high"}}, Reasoning(wanted=False)),
        ({"thinking": {"type": "enabled", "budget_tokens": 9}}, Reasoning(True, 9)),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "max"}}, Reasoning(True, None, "max")),
        ({"output_config": {"effort": "low"}}, Reasoning(None, None, "low")),
    ],
    ids=["silent", "null", "disabled", "disabled with effort", "budget", "adaptive", "effort alone"],
)
def test_reasoning_is_read(fields: dict[str, object], reasoning: Reasoning) -> None:
    assert parse(**fields).reasoning == reasoning


def test_tools_keep_the_bytes_of_their_schema() -> None:
    body = b'{"messages":[],"tools":[{"name":"f","description":"d","input_schema":{ "type":"object" , "x":1.0 }}]}'
    (tool,) = parse_request(body).tools
    assert (tool.name, tool.description, bytes(tool.schema)) == ("f", "d", b'{ "type":"object" , "x":1.0 }')


@pytest.mark.parametrize("tool", [{"name": "f"}, {"name": "f", "type": "custom", "input_schema": None}])
def test_a_tool_without_a_schema_takes_nothing(tool: dict[str, object]) -> None:
    (found,) = parse(tools=[tool]).tools
    assert bytes(found.schema) == b'{"type":"object","properties":{}}'


def test_settings_are_read() -> None:
    conversation = parse(max_tokens=9, temperature=0.5, top_p=0.9, stop_sequences=["a", "b"], stream=True)
    assert (conversation.max_tokens, conversation.temperature, conversation.top_p) == (9, 0.5, 0.9)
    assert (conversation.stop, conversation.stream) == (("a", "b"), True)


@pytest.mark.parametrize(
    ("config", "schema"),
    [
        (None, None),
        ({}, None),
        ({"format": {"type": "json_schema", "schema": {"type": "object"}}}, b'{"type":"object"}'),
        ({"format": {"type": "text"}}, None),
    ],
    ids=["absent", "empty", "schema", "other"],
)
def test_an_output_schema_is_read(config: object, schema: bytes | None) -> None:
    found = parse(output_config=config).output_schema
    assert (None if found is None else bytes(found)) == schema


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"messages": "x"}, r"\$\.messages"),
        ({"messages": [{"content": "x"}]}, "role"),
        ({"messages": [{"role": "user"}]}, "content"),
        ({"messages": [{"role": "user", "content": None}]}, "content"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "robot"),
        ({"messages": [HI, {"role": "user", "content": [{"type": "text", "text": 5}]}]}, r"messages\.1\.content\.0"),
        ({"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "file"}}]}]}, "file"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"system": 5}, "system"),
        ({"tools": [{"type": "bash_20250124", "name": "bash"}]}, "bash_20250124"),
        ({"tool_choice": {"type": "whatever"}}, "tool_choice"),
        ({"stop_sequences": "x"}, "stop_sequences"),
        ({"thinking": {"budget_tokens": "x"}}, "thinking"),
    ],
    ids=["messages", "no role", "no content", "null content", "role", "block", "image source", "max_tokens", "system",
         "server tool", "tool_choice", "stop", "thinking"],
)  # fmt: skip
def test_a_fault_is_named_by_its_field(fields: dict[str, object], names: str) -> None:
    with pytest.raises(BadRequest, match=names):
        parse_request(msgspec.json.encode({"model": "m", "messages": [HI], **fields}))


FUNCTION = {"name": "f", "input_schema": {"type": "object"}}
DISPENSABLE = [
    {"type": "tool_search_tool_regex_20251119", "name": "tool_search_tool_regex"},
    {"type": "web_fetch_20250910", "name": "web_fetch"},
    FUNCTION | {"name": "DeferredToolPlaceholder", "defer_loading": True},
]


@pytest.mark.parametrize("tool", DISPENSABLE, ids=lambda tool: str(tool["name"]))
def test_a_tool_that_the_model_can_do_without_is_left_out(tool: dict[str, object]) -> None:
    def names(tools: list[object], choice: object = None) -> list[str]:
        asked = {"messages": [], "tools": tools, "tool_choice": choice}
        return [found.name for found in parse_request(msgspec.json.encode(asked)).tools]

    assert names([tool]) == []
    assert names([tool, FUNCTION]) == ["f"]
    assert names([tool, FUNCTION], {"type": "any"}) == ["f"]
    assert names([FUNCTION, tool], {"type": "tool", "name": "f"}) == ["f"]
    for choice in ({"type": "tool", "name": tool["name"]}, {"type": "any"}):
        with pytest.raises(BadRequest, match="runs at Anthropic"):
            names([tool] if choice["type"] == "any" else [tool, FUNCTION], choice)
