"""Conversations as Anthropic requests, judged by what the twin of upstream refuses."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import OPUS, SONNET

from copilot_trio.dialects.chat import parse as chat
from copilot_trio.dialects.messages.parse import parse_request
from copilot_trio.dialects.messages.render import render_request
from copilot_trio.models.model import Model
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
from copilot_trio.twin.catalogue import Model as TwinModel
from copilot_trio.twin.identifiers import Identifiers, Seal
from copilot_trio.twin.messages_rules import Context, check_messages
from copilot_trio.twin.prompt import read_messages

Body = dict[str, Any]

HI = Message("user", (Text("hi"),))
HI_BLOCK = {"type": "text", "text": "hi"}
SCHEMA = msgspec.Raw(b'{"type":"object"}')
TOOL = Tool("f", "d", SCHEMA)
EPHEMERAL = {"type": "ephemeral"}
GO_ON = {"role": "user", "content": [{"type": "text", "text": "Please continue."}]}
SEAL = Seal(Identifiers(1))
SIGNATURE = SEAL.sign("thought", "octo/claude-opus-4.6")
TWINS = {
    "claude-opus-4.6": TwinModel(
        id="claude-opus-4.6", name="", vendor="Anthropic", echo="", thinking=(1024, 32_000), adaptive=True,
        efforts=("low", "medium", "high"),
    ),
    "claude-sonnet-4.5": TwinModel(
        id="claude-sonnet-4.5", name="", vendor="Anthropic", echo="", thinking=(1024, 32_000)
    ),
}  # fmt: skip


def rendered(*messages: Message, model: Model = SONNET, **fields: Any) -> Body:
    conversation = msgspec.structs.replace(Conversation(messages or (HI,)), **fields)
    body: Body = msgspec.json.decode(render_request(conversation, model))
    return body


def refusal_of(body: Body, model: Model) -> bytes | None:
    """What upstream would say to it."""
    context = Context(model=TWINS[model.id], login="octo", seal=SEAL, betas=())
    reply = check_messages(read_messages(body), context)
    return None if reply is None else reply.body


def user(*parts: Part) -> Message:
    return Message("user", parts)


def assistant(*parts: Part) -> Message:
    return Message("assistant", parts)


def system(text: str) -> Message:
    return Message("system", (Text(text),))


def use(call_id: str, **arguments: object) -> Body:
    return {"type": "tool_use", "id": call_id, "name": "f", "input": arguments}


def answer(call_id: str, *content: object) -> Body:
    return {"type": "tool_result", "tool_use_id": call_id, "content": list(content)}


def text(words: str) -> Body:
    return {"type": "text", "text": words}


# ---- messages

CALL = ToolCall("c", "f", '{"a":1}')
AGAIN = ToolCall("d", "f", "{}")
RESULT = ToolResult("c", (Text("r"),))


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([HI], [("user", [HI_BLOCK])]),
        ([HI, user(Text("you"))], [("user", [HI_BLOCK, text("you")])]),
        ([user(Text("a"), Text(" \n"), Text(""))], [("user", [text("a")])]),
        (
            [HI, assistant(Text("On it."), CALL), user(RESULT)],
            [("user", [HI_BLOCK]), ("assistant", [text("On it."), use("c", a=1)]), ("user", [answer("c", text("r"))])],
        ),
        (
            [assistant(CALL), HI, user(RESULT)],
            [("assistant", [use("c", a=1)]), ("user", [answer("c", text("r")), HI_BLOCK])],
        ),
        (
            [assistant(CALL), system("env"), user(RESULT)],
            [
                ("assistant", [use("c", a=1)]),
                ("user", [answer("c", text("r")), text("<system-reminder>\nenv\n</system-reminder>")]),
            ],
        ),
        (
            [assistant(CALL), HI],
            [("assistant", [use("c", a=1)]), ("user", [answer("c", text("(no result)")), HI_BLOCK])],
        ),
        ([assistant(CALL)], [("assistant", [use("c", a=1)]), ("user", [answer("c", text("(no result)"))])]),
        (
            [HI, user(RESULT)],
            [("user", [HI_BLOCK, text("The result of tool call c:"), text("r")])],
        ),
        (
            [assistant(CALL), user(RESULT, RESULT)],
            [
                ("assistant", [use("c", a=1)]),
                ("user", [answer("c", text("r")), text("The result of tool call c:"), text("r")]),
            ],
        ),
        (
            [assistant(ToolCall("call:1|x", "f", "")), user(ToolResult("call:1|x"))],
            [("assistant", [use("call_1_x")]), ("user", [answer("call_1_x")])],
        ),
        (
            [assistant(ToolCall("c", "f", '{"a":')), user(RESULT)],
            [("assistant", [use("c", INVALID_JSON='{"a":')]), ("user", [answer("c", text("r"))])],
        ),
        (
            [assistant(CALL), user(RESULT), assistant(CALL), user(RESULT)],
            [
                ("assistant", [use("c", a=1)]),
                ("user", [answer("c", text("r"))]),
                ("assistant", [use("c-1", a=1)]),
                ("user", [answer("c-1", text("r"))]),
            ],
        ),
        ([HI, system("a"), system("b")], [
            ("user", [HI_BLOCK, text("<system-reminder>\na\n</system-reminder>"),
                      text("<system-reminder>\nb\n</system-reminder>")])]),
        (
            [HI, assistant(Text("a")), assistant(Refusal("No.")), HI],
            [("user", [HI_BLOCK]), ("assistant", [text("a"), text("No.")]), ("user", [HI_BLOCK])],
        ),
        (
            [HI, assistant(WebSearch("s", "q", (SearchHit("https://x", "X"),))), HI],
            [("user", [HI_BLOCK]), ("assistant", [text("(searched the web: q)\n- X https://x")]), ("user", [HI_BLOCK])],
        ),
        ([HI, assistant(), HI], [("user", [HI_BLOCK, HI_BLOCK])]),
        (
            [HI, assistant(Image(url="https://x")), HI],
            [("user", [HI_BLOCK]), ("assistant", [text("(an image)")]), ("user", [HI_BLOCK])],
        ),
    ],
    ids=["text", "two of a user", "blank texts", "call and result", "result after a text",
         "result after a system message", "lost result", "lost result at the end", "lost call", "result twice",
         "foreign id", "broken arguments", "id used again", "system in mid-conversation", "two of an assistant",
         "search", "empty answer", "image of an assistant"],
)  # fmt: skip
def test_messages_are_rendered(messages: list[Message], expected: list[tuple[str, list[Body]]]) -> None:
    body = rendered(*messages)
    assert [(message["role"], message["content"]) for message in body["messages"]] == expected
    assert refusal_of(body, SONNET) is None


@pytest.mark.parametrize(
    "messages",
    [[], [system("s")], [HI, assistant(Text("Half an ans"))], [HI, assistant(Text("a")), system("  ")]],
    ids=["nothing", "only a system prompt", "prefill", "blank system message behind"],
)
def test_a_user_has_the_last_word(messages: list[Message]) -> None:
    body = msgspec.json.decode(render_request(Conversation(tuple(messages)), SONNET))
    assert body["messages"][-1] == GO_ON
    assert refusal_of(body, SONNET) is None


def test_the_system_prompt_is_blocks() -> None:
    messages = (Message("system", (Text("a"), Text(" "), Text("b"))), system("c"), HI)
    assert rendered(*messages)["system"] == [text("a"), text("b"), text("c")]
    assert "system" not in rendered()


@pytest.mark.parametrize(
    ("part", "block"),
    [
        (Image("image/png", "AA=="), {"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "AA=="}}),
        (Image(url="https://x"), {"type": "image", "source": {"type": "url", "url": "https://x"}}),
        (Document("application/pdf", "AA==", title="T"), {"type": "document", "title": "T", "source": {
            "type": "base64", "media_type": "application/pdf", "data": "AA=="}}),
        (Document("text/plain", text="words"), {"type": "document", "source": {
            "type": "text", "media_type": "text/plain", "data": "words"}}),
        (Document(url="https://x"), {"type": "document", "source": {"type": "url", "url": "https://x"}}),
        (Document("audio/wav", "AA=="), text("(a document that this model's API cannot take: untitled, audio/wav)")),
    ],
    ids=["image data", "image url", "PDF", "text", "document url", "audio"],
)  # fmt: skip
def test_a_file_is_a_block_in_messages_and_in_results(part: Image | Document, block: Body) -> None:
    body = rendered(user(part), assistant(CALL), user(ToolResult("c", (part,))))
    assert body["messages"][0]["content"] == [block]
    assert body["messages"][2]["content"] == [answer("c", block)]
    assert refusal_of(body, SONNET) is None


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (ToolResult("c"), answer("c")),
        (ToolResult("c", (Text(" "),)), answer("c")),
        (ToolResult("c", (Text("r"),), is_error=True), answer("c", text("r")) | {"is_error": True}),
        (ToolResult("c", is_error=True), answer("c", text("(no result)")) | {"is_error": True}),
    ],
    ids=["empty", "blank", "failed", "failed without words"],
)
def test_a_result_is_rendered(result: ToolResult, expected: Body) -> None:
    body = rendered(assistant(CALL), user(result))
    assert body["messages"][1]["content"] == [expected]
    assert refusal_of(body, SONNET) is None


@pytest.mark.parametrize(
    ("thought", "blocks"),
    [
        (Thinking("h", "s"), [{"type": "thinking", "thinking": "h", "signature": "s"}]),
        (Thinking("", "s"), [{"type": "thinking", "thinking": "", "signature": "s"}]),
        (Thinking("h"), []),
        (Thinking("h", "enc@rs_1"), []),
        (RedactedThinking("ZA=="), [{"type": "redacted_thinking", "data": "ZA=="}]),
        (Thinking("", "redacted:ZA=="), [{"type": "redacted_thinking", "data": "ZA=="}]),
    ],
    ids=["signed", "signed secret", "unsigned", "a Responses model's", "redacted", "redacted by way of chat"],
)
def test_thinking_goes_back_with_its_own_proof_alone(thought: Part, blocks: list[Body]) -> None:
    body = rendered(HI, assistant(thought, Text("a")), HI)
    assert body["messages"][1]["content"] == [*blocks, text("a")]


@pytest.mark.parametrize(
    ("parts", "blocks"),
    [
        ([Thinking("h", "s")], None),
        ([Thinking("h", "s"), RedactedThinking("d"), Text(" ")], None),
        ([Text("a"), Thinking("h", "s")], ["text"]),
        ([Thinking("h", "s"), CALL, RedactedThinking("d")], ["thinking", "tool_use"]),
        ([Thinking("h", "s"), CALL], ["thinking", "tool_use"]),
    ],
    ids=["alone", "two and a blank", "behind text", "behind a call", "before a call"],
)
def test_thinking_that_nothing_follows_is_left_out(parts: list[Part], blocks: list[str] | None) -> None:
    messages = rendered(HI, assistant(*parts), user(Text("b")))["messages"]
    if blocks is None:
        assert messages == [{"role": "user", "content": [HI_BLOCK, text("b")]}]
    else:
        assert [block["type"] for block in messages[1]["content"]] == blocks


def test_thinking_stays_where_the_next_message_goes_on() -> None:
    messages = rendered(HI, assistant(Thinking("h", "s")), assistant(Text("a")), HI)["messages"]
    assert [block["type"] for block in messages[1]["content"]] == ["thinking", "text"]


def test_nothing_but_thinking_is_not_an_answer() -> None:
    assert rendered(assistant(Thinking("h", "s")))["messages"] == [GO_ON]


# ---- cache breakpoints


def test_breakpoints_are_on_the_last_block_that_may_have_one() -> None:
    messages = (
        Message("system", (Text("a"), Text("b")), cache_breakpoint=True),
        Message("user", (Text("c"), Text("d")), cache_breakpoint=True),
        Message("assistant", (Text("e"), Thinking("h", "s")), cache_breakpoint=True),
        assistant(Text("f")),
        HI,
    )
    body = rendered(*messages)
    assert body["system"] == [text("a"), text("b") | {"cache_control": EPHEMERAL}]
    assert body["messages"][0]["content"] == [text("c"), text("d") | {"cache_control": EPHEMERAL}]
    assert body["messages"][1]["content"][0] == text("e") | {"cache_control": EPHEMERAL}
    assert "cache_control" not in body["messages"][1]["content"][1]


def test_of_many_breakpoints_the_first_and_the_latest_stay() -> None:
    marked = [Message("user", (Text(str(number)),), cache_breakpoint=True) for number in range(6)]
    body = rendered(Message("system", (Text("s"),), cache_breakpoint=True), *marked)
    blocks = body["system"] + body["messages"][0]["content"]
    assert [block["text"] for block in blocks if "cache_control" in block] == ["s", "3", "4", "5"]


# ---- tools


@pytest.mark.parametrize(
    ("schema", "expected", "told"),
    [
        (b'{"type":"object","x":1.5}', {"type": "object", "x": 1.5}, False),
        (b"{}", {"type": "object"}, False),
        (b'{"type":["object","null"]}', {"type": "object"}, False),
        (
            b'{"oneOf":[{"properties":{"a":{"type":"string"}}},{"properties":{"b":{},"a":{}},"required":["b"]}]}',
            {"type": "object", "properties": {"a": {"type": "string"}, "b": {}}},
            True,
        ),
        (
            b'{"type":"object","properties":{"a":{}},"anyOf":[{"required":["a"]}]}',
            {"type": "object", "properties": {"a": {}}},
            True,
        ),
    ],
    ids=["plain", "without a type", "of two types", "a choice of shapes", "a choice beside properties"],
)
def test_a_schema_has_the_form_that_upstream_takes(schema: bytes, expected: Body, *, told: bool) -> None:
    body = rendered(tools=(Tool("f", "", msgspec.Raw(schema)),))
    (tool,) = body["tools"]
    assert (tool["name"], tool["input_schema"]) == ("f", expected)
    assert ("The input must satisfy" in tool.get("description", "")) == told
    assert refusal_of(body, SONNET) is None


def test_a_good_schema_goes_on_byte_for_byte() -> None:
    schema = b'{ "type":"object" , "x":1.0 }'
    assert schema in render_request(Conversation((HI,), tools=(Tool("f", "d", msgspec.Raw(schema)),)), SONNET)


@pytest.mark.parametrize(
    ("choice", "parallel", "expected"),
    [
        (None, None, None),
        (None, True, None),
        (None, False, {"type": "auto", "disable_parallel_tool_use": True}),
        (ToolChoice("auto"), None, {"type": "auto"}),
        (ToolChoice("any"), False, {"type": "any", "disable_parallel_tool_use": True}),
        (ToolChoice("none"), False, {"type": "none"}),
        (ToolChoice("tool", "f"), None, {"type": "tool", "name": "f"}),
        (ToolChoice("tool", "web_search"), None, {"type": "auto"}),
    ],
    ids=["silent", "parallel", "not parallel", "auto", "any", "none", "tool", "tool that is not there"],
)
def test_a_tool_choice_has_its_counterpart(
    choice: ToolChoice | None, parallel: bool | None, expected: Body | None
) -> None:
    body = rendered(tools=(TOOL,), tool_choice=choice, parallel_tools=parallel)
    assert body.get("tool_choice") == expected


def test_a_tool_choice_without_tools_is_left_out() -> None:
    assert "tool_choice" not in rendered(tool_choice=ToolChoice("auto"), parallel_tools=False)


def test_a_search_is_sent_where_it_is_all_that_is_asked() -> None:
    search = SearchTool(("a.example",), ("b.example",), msgspec.Raw(b'{"city":"Paris"}'))
    body = rendered(search=search, tool_choice=ToolChoice("tool", "web_search"))
    assert body["tools"] == [
        {
            "type": "web_search_20250305",
            "name": "web_search",
            "allowed_domains": ["a.example"],
            "user_location": {"city": "Paris"},
        }
    ]
    assert body["tool_choice"] == {"type": "tool", "name": "web_search"}
    assert rendered(search=SearchTool((), ("b.example",)))["tools"][0]["blocked_domains"] == ["b.example"]
    assert [tool["name"] for tool in rendered(search=search, tools=(TOOL,))["tools"]] == ["f"]


# ---- settings


def limited(most: int, whole: int) -> Model:
    limits = msgspec.structs.replace(SONNET.limits, max_output_tokens=most, max_non_streaming_output_tokens=whole)
    return msgspec.structs.replace(SONNET, capabilities=msgspec.structs.replace(SONNET.capabilities, limits=limits))


@pytest.mark.parametrize(
    ("model", "asked", "stream", "sent"),
    [
        (limited(32000, 16000), None, True, 32000),
        (limited(32000, 16000), None, False, 16000),
        (limited(32000, 16000), 100, True, 100),
        (limited(32000, 16000), 64000, True, 32000),
        (limited(32000, 16000), 32000, False, 16000),
        (limited(0, 0), None, True, 16000),
        (limited(0, 0), 64000, True, 64000),
    ],
    ids=["silent", "silent and whole", "as asked", "clamped", "clamped and whole", "unknown", "unknown, as asked"],
)
def test_max_tokens_is_always_sent_and_within_the_limit(
    model: Model, asked: int | None, *, stream: bool, sent: int
) -> None:
    assert rendered(model=model, max_tokens=asked, stream=stream)["max_tokens"] == sent


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        (SONNET, {"temperature": 0.5}, {"temperature": 0.5}),
        (SONNET, {"temperature": 1.7}, {"temperature": 1.0}),
        (SONNET, {"top_p": 0.5}, {"top_p": 0.5}),
        (SONNET, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}),
        (SONNET, {"temperature": 0.5, "reasoning": Reasoning(True)}, {}),
        (SONNET, {"temperature": 0.5, "reasoning": Reasoning(False)}, {"temperature": 0.5}),
        (Model(id="claude-opus-4.7"), {"temperature": 0.5, "top_p": 0.5}, {}),
        (Model(id="claude-sonnet-5"), {"temperature": 0.5}, {}),
    ],
    ids=["temperature", "OpenAI's range", "top_p", "both", "beside thinking", "without thinking", "newest", "newer"],
)
def test_sampling_is_what_the_model_takes(model: Model, fields: Body, expected: Body) -> None:
    body = rendered(model=model, **fields)
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == expected


def test_other_settings_have_their_counterparts() -> None:
    body = rendered(
        stop=("a", "\n"), stream=True, output_schema=SCHEMA, output_name="n", output_strict=True, verbosity="low",
        cache_key="k", output_json=True,
    )  # fmt: skip
    assert set(body) == {"model", "max_tokens", "messages", "stop_sequences", "stream", "output_config"}
    assert (body["stop_sequences"], body["stream"]) == (["a"], True)
    assert body["output_config"] == {"format": {"type": "json_schema", "schema": {"type": "object"}}}
    assert set(rendered()) == {"model", "max_tokens", "messages"}


# ---- reasoning

FORCED = {"tools": (TOOL,), "tool_choice": ToolChoice("any")}


@pytest.mark.parametrize(
    ("model", "fields", "thinking", "effort"),
    [
        (OPUS, {}, None, None),
        (OPUS, {"reasoning": Reasoning(False, None, "high")}, None, None),
        (OPUS, {"reasoning": Reasoning(None, None, "low")}, None, "low"),
        (OPUS, {"reasoning": Reasoning(True)}, {"type": "adaptive"}, None),
        (OPUS, {"reasoning": Reasoning(True, None, "max")}, {"type": "adaptive"}, "high"),
        (OPUS, {"reasoning": Reasoning(True, None, "minimal")}, {"type": "adaptive"}, "low"),
        (OPUS, {"reasoning": Reasoning(True, 1024)}, {"type": "adaptive"}, "low"),
        (OPUS, {"reasoning": Reasoning(True, None, "high"), **FORCED}, None, "high"),
        (SONNET, {"reasoning": Reasoning(True)}, {"type": "enabled", "budget_tokens": 31999}, None),
        (SONNET, {"reasoning": Reasoning(True, None, "minimal")}, {"type": "enabled", "budget_tokens": 1024}, None),
        (SONNET, {"reasoning": Reasoning(True, None, "low")}, {"type": "enabled", "budget_tokens": 4096}, None),
        (SONNET, {"reasoning": Reasoning(True, None, "medium")}, {"type": "enabled", "budget_tokens": 16384}, None),
        (SONNET, {"reasoning": Reasoning(True, None, "xhigh")}, {"type": "enabled", "budget_tokens": 31999}, None),
        (SONNET, {"reasoning": Reasoning(True, 5000)}, {"type": "enabled", "budget_tokens": 5000}, None),
        (SONNET, {"reasoning": Reasoning(True, 1)}, {"type": "enabled", "budget_tokens": 1024}, None),
        (
            SONNET,
            {"reasoning": Reasoning(True, 5000), "max_tokens": 3000},
            {"type": "enabled", "budget_tokens": 2999},
            None,
        ),
        (SONNET, {"reasoning": Reasoning(True, 5000), "max_tokens": 1024}, None, None),
        (SONNET, {"reasoning": Reasoning(True, 5000), **FORCED}, None, None),
        (Model(id="claude-3.5-sonnet"), {"reasoning": Reasoning(True, 5000)}, None, None),
    ],
    ids=["silent", "off", "effort alone", "adaptive", "highest", "lowest", "budget as effort", "forced tool",
         "budget", "minimal", "low", "medium", "xhigh", "as asked", "too small", "below max_tokens", "no room",
         "forced tool with a budget", "a model that does not think"],
)  # fmt: skip
def test_reasoning_is_what_the_model_lists(
    model: Model, fields: Body, thinking: Body | None, effort: str | None
) -> None:
    body = rendered(model=model, stream=True, **fields)
    assert (body.get("thinking"), body.get("output_config", {}).get("effort")) == (thinking, effort)
    if model.id in TWINS:
        assert refusal_of(body, model) is None


@pytest.mark.parametrize(
    ("model", "parts", "thinks"),
    [
        (SONNET, (Thinking("h", "s"), CALL), True),
        (SONNET, (RedactedThinking("d"), CALL), True),
        (SONNET, (Thinking("h"), CALL), False),
        (SONNET, (Text("a"), CALL), False),
        (SONNET, (Text("a"),), True),
        (OPUS, (CALL,), True),
    ],
    ids=["proven", "redacted", "unproven", "without", "no call", "adaptive"],
)
def test_a_turn_that_acted_without_thinking_goes_on_without(
    model: Model, parts: tuple[Part, ...], *, thinks: bool
) -> None:
    body = rendered(HI, assistant(*parts), user(RESULT), model=model, reasoning=Reasoning(True))
    assert ("thinking" in body) == thinks


@pytest.mark.parametrize(
    ("first", "second", "thinks"),
    [
        ((Thinking("h", "s"), CALL), (AGAIN,), True),
        ((CALL,), (Thinking("h", "s"), AGAIN), False),
    ],
    ids=["began with a thought", "began without"],
)
def test_thinking_stays_as_it_was_when_the_turn_began(
    first: tuple[Part, ...], second: tuple[Part, ...], *, thinks: bool
) -> None:
    before = (assistant(CALL), user(RESULT), assistant(Text("done")), HI)
    turn = (assistant(*first), user(RESULT), assistant(*second), user(ToolResult("d", (Text("s"),))))
    for messages in ((HI, *turn[:2]), (HI, *turn), (HI, *before, *turn[:2]), (HI, *before, *turn)):
        assert ("thinking" in rendered(*messages, reasoning=Reasoning(True))) == thinks
    assert "thinking" in rendered(HI, *turn, assistant(Text("done")), HI, reasoning=Reasoning(True))


# ---- bytes that caches depend on


def test_a_longer_conversation_keeps_the_bytes_of_the_shorter() -> None:
    shorter = (system("s"), HI, assistant(Text("b"), CALL), user(RESULT))
    longer = (*shorter, assistant(Text("c")), user(Text("d")))
    fields: Body = {"max_tokens": 9, "reasoning": Reasoning(False)}
    prefix = render_request(msgspec.structs.replace(Conversation(shorter), **fields), SONNET).removesuffix(b"]}")
    assert render_request(msgspec.structs.replace(Conversation(longer), **fields), SONNET).startswith(prefix + b",")


# ---- any conversation

WORDS = st.text(max_size=5)
IDS = st.sampled_from(["c1", "c2", "c:3", "c/3", ""])
PARTS = st.one_of(
    st.builds(Text, WORDS),
    st.builds(Image, url=st.just("https://x")),
    st.builds(Document, st.sampled_from(["application/pdf", "audio/wav"]), st.just("AA==")),
    st.builds(Thinking, st.just("thought"), st.sampled_from(["", SIGNATURE, "e@rs_1"])),
    st.builds(WebSearch, st.just("s"), WORDS),
)
CALLS = st.builds(ToolCall, IDS, st.just("f"), st.sampled_from(["", "{}", "[]", '{"a":', '{"a":1}']))
RESULTS = st.builds(ToolResult, IDS, st.tuples(st.builds(Text, WORDS)), st.booleans())
MARKED = st.booleans()
MESSAGES = st.one_of(
    st.builds(Message, st.just("system"), st.tuples(st.builds(Text, WORDS)), MARKED),
    st.builds(Message, st.just("user"), st.lists(st.one_of(PARTS, RESULTS), max_size=3).map(tuple), MARKED),
    st.builds(
        Message,
        st.just("assistant"),
        st.lists(st.one_of(PARTS, CALLS), max_size=3, unique_by=lambda part: getattr(part, "id", id(part))).map(tuple),
        MARKED,
    ),
)
REASONING = st.builds(
    Reasoning, st.sampled_from([None, True, False]), st.sampled_from([None, 0, 2000, 10**6]),
    st.sampled_from([None, "minimal", "high", "max"]),
)  # fmt: skip
CHOICES = st.sampled_from([None, ToolChoice("auto"), ToolChoice("any"), ToolChoice("tool", "f"), ToolChoice("none")])


@settings(max_examples=300, deadline=None)
@given(st.lists(MESSAGES, max_size=8), REASONING, CHOICES, st.sampled_from([None, 1, 1025, 50_000]), st.booleans())
def test_upstream_refuses_no_conversation(
    messages: list[Message], reasoning: Reasoning, choice: ToolChoice | None, max_tokens: int | None, stream: bool
) -> None:
    fields: Body = {
        "tools": (TOOL, Tool("g", "", msgspec.Raw(b'{"anyOf":[{}]}'))), "tool_choice": choice, "reasoning": reasoning,
        "max_tokens": max_tokens, "stream": stream, "temperature": 0.3,
    }  # fmt: skip
    body = msgspec.json.decode(render_request(msgspec.structs.replace(Conversation(tuple(messages)), **fields), OPUS))
    assert refusal_of(body, OPUS) is None
    roles = [message["role"] for message in body["messages"]]
    assert all(before != after for before, after in pairwise(roles))
    ids = [block["id"] for message in body["messages"] for block in message["content"] if block["type"] == "tool_use"]
    assert len(ids) == len(set(ids))
    for message in body["messages"]:
        kinds = [block["type"] for block in message["content"]]
        assert "tool_result" not in kinds[kinds.count("tool_result") :]  # they come first


@st.composite
def histories(draw: st.DrawFn) -> list[Body]:
    """Conversations as chat clients send them, every call with its result."""
    words = st.text(min_size=1, max_size=9).filter(str.strip)
    messages: list[Body] = [{"role": "system", "content": draw(words)}]
    calls = 0
    for _ in range(draw(st.integers(0, 4))):
        messages.append({"role": "user", "content": draw(words)})
        said: Body = {"role": "assistant", "content": draw(words), "reasoning_text": "thought"}
        if draw(st.booleans()):
            said["reasoning_opaque"] = draw(st.sampled_from([SIGNATURE, "redacted:ZA=="]))
        ids = [f"call_{calls + number}" for number in range(draw(st.integers(0, 2)))]
        calls += len(ids)
        said["tool_calls"] = [{"id": each, "function": {"name": "f", "arguments": '{"a": [1.50]}'}} for each in ids]
        messages.append(said)
        messages += [{"role": "tool", "tool_call_id": each, "content": draw(words)} for each in ids]
    return [*messages, {"role": "user", "content": draw(words)}]


def told(conversation: Conversation, *kinds: type[Part]) -> list[Part]:
    return [part for message in conversation.messages for part in message.parts if isinstance(part, kinds)]


@given(histories())
def test_a_chat_clients_conversation_survives_being_written_and_read(messages: list[Body]) -> None:
    before = chat.parse_request(msgspec.json.encode({"messages": messages}))
    after = parse_request(render_request(before, OPUS))
    assert told(after, Text) == told(before, Text)
    assert told(after, ToolCall) == told(before, ToolCall)
    assert told(after, ToolResult) == told(before, ToolResult)
    proven = [part for part in told(before, Thinking) if isinstance(part, Thinking) and part.signature]
    hidden = [part for part in proven if part.signature.startswith("redacted:")]
    assert told(after, Thinking) == [part for part in proven if part not in hidden]
    assert told(after, RedactedThinking) == [RedactedThinking("ZA==") for _ in hidden]
