from __future__ import annotations

import itertools
import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.dialects.lowering import Lowered, lower, unwrapped
from copilot_trio.turn import (
    Conversation,
    Event,
    Finished,
    Message,
    Part,
    Started,
    Text,
    TextDelta,
    ThinkingDelta,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    ToolResult,
    Turn,
    Usage,
)

SCHEMA = msgspec.Raw(b'{"type":"object"}')
GRAMMAR = msgspec.Raw(b'{"type":"grammar","syntax":"lark","definition":"start: /.+/"}')
PATCH = '*** Begin Patch\n+"hi" \\ é 😀\n*** End Patch'
DONE = Finished("tool_use", Usage())
VALID = re.compile(r"[a-zA-Z0-9_-]{1,64}")


def function(name: str, namespace: str = "") -> Tool:
    return Tool(name, "does", SCHEMA, namespace=namespace)


def custom(name: str, namespace: str = "", form: msgspec.Raw = GRAMMAR) -> Tool:
    return Tool(name, "edits", msgspec.Raw(), custom=True, format=form, namespace=namespace)


def lowered(
    *tools: Tool, parts: tuple[Part, ...] = (), choice: ToolChoice | None = None
) -> tuple[Conversation, Lowered]:
    """What it is called with must need lowering."""
    found, back = lower(Conversation((Message("assistant", parts),), tools, choice))
    assert back is not None
    return found, back


def names(*tools: Tool) -> list[str]:
    return [tool.name for tool in lowered(*tools)[0].tools]


def raised(back: Lowered, *events: Event) -> list[Event]:
    return [out for event in events for out in back.raise_event(event)]


@pytest.mark.parametrize(
    "conversation",
    [
        Conversation(()),
        Conversation((Message("user", (Text("hi"),)),), (function("f"),)),
        Conversation((Message("assistant", (ToolCall("c", "f", "{}"),)), Message("user", (ToolResult("c"),)))),
    ],
    ids=["nothing", "a function", "a call and its result"],
)
def test_what_every_api_knows_stays_as_it_is(conversation: Conversation) -> None:
    found, back = lower(conversation)
    assert found is conversation
    assert back is None


# ---- tools


def test_a_freeform_tool_becomes_a_function_with_one_string() -> None:
    (tool,) = lowered(custom("apply_patch"))[0].tools
    schema = json.loads(bytes(tool.schema))
    assert (tool.name, tool.custom, bytes(tool.format)) == ("apply_patch", False, b"")
    assert schema["required"] == ["input"]
    assert schema["properties"]["input"]["type"] == "string"
    assert tool.description.startswith("edits\n\n")
    assert tool.description.endswith("lark grammar:\nstart: /.+/")


@pytest.mark.parametrize(
    "form",
    [b"", b'{"type":"text"}', b"[]", b'{"definition":5}', b"nonsense"],
    ids=["none", "text", "no object", "odd", "junk"],
)
def test_a_freeform_tool_without_a_grammar_is_described_without_one(form: bytes) -> None:
    (tool,) = lowered(custom("say", form=msgspec.Raw(form)))[0].tools
    assert "plain text" in tool.description
    assert "grammar" not in tool.description


def test_a_function_keeps_all_but_its_name() -> None:
    tool = Tool("sleep", "waits", SCHEMA, strict=True, namespace="clock")
    assert lowered(tool)[0].tools == (Tool("clock__sleep", "waits", SCHEMA, strict=True),)


@pytest.mark.parametrize(
    ("tools", "expected"),
    [
        ([custom("apply_patch")], ["apply_patch"]),
        ([function("sleep", "clock")], ["clock__sleep"]),
        ([function("exec", "functions"), function("f")], ["exec", "f"]),
        ([function("exec", "functions"), function("exec")], ["functions__exec", "exec"]),
        ([function("f", "a"), function("f", "b")], ["a__f", "b__f"]),
        ([function("my_tool"), custom("c")], ["my_tool", "c"]),
        ([function("f", "a"), function("f", "a")], ["a__f", "a__f"]),
    ],
    ids=[
        "freeform",
        "namespace",
        "everyday namespace",
        "its name is taken",
        "two namespaces",
        "its own",
        "said twice",
    ],
)
def test_names(tools: list[Tool], expected: list[str]) -> None:
    assert names(*tools) == expected


@pytest.mark.parametrize(
    "tool",
    [function("f" * 60, "namespace"), function("f.g", "a b"), function("f", "é" * 200), custom("apply patch")],
    ids=["long", "odd letters", "both", "a freeform tool's"],
)
def test_a_name_that_will_not_do_is_cut_and_told_apart_by_a_digest(tool: Tool) -> None:
    (name,) = names(tool)
    assert VALID.fullmatch(name)
    assert re.search(r"_[0-9a-f]{8}$", name)
    assert names(tool) == [name]  # in the next request too


def test_two_names_that_would_be_one_stay_two() -> None:
    first, second = names(function("b__c", "a"), function("c", "a__b"))
    assert first == "a__b__c"
    assert second.startswith("a__b__c_")


def test_the_forced_tool_is_forced_by_its_new_name() -> None:
    found, _ = lowered(function("sleep", "clock"), choice=ToolChoice("tool", "sleep"))
    assert found.tool_choice == ToolChoice("tool", "clock__sleep")


@pytest.mark.parametrize("choice", [None, ToolChoice("auto"), ToolChoice("any"), ToolChoice("tool", "web_search")])
def test_any_other_choice_stays(choice: ToolChoice | None) -> None:
    assert lowered(custom("c"), choice=choice)[0].tool_choice == choice


TOOLS = st.builds(
    Tool,
    st.text(max_size=80) | st.sampled_from(["f", "g", "f__g"]),
    st.just(""),
    st.just(SCHEMA),
    custom=st.booleans(),
    namespace=st.text(max_size=80) | st.sampled_from(["", "functions", "f", "g"]),
)


@given(st.lists(TOOLS, max_size=20, unique_by=lambda tool: (tool.namespace, tool.name)))
def test_names_are_unique_and_given_back_for_all_tools(tools: list[Tool]) -> None:
    found, back = lower(Conversation((), tuple(tools)))
    flat = [tool.name for tool in found.tools]
    assert len(set(flat)) == len(flat)
    assert all(VALID.fullmatch(name) for name in flat)
    for name, tool in zip(flat, tools, strict=True):
        started = ToolCallStarted(0, "c", name)
        (said,) = [started] if back is None else back.fresh().raise_event(started)
        assert said == ToolCallStarted(0, "c", tool.name, tool.custom, tool.namespace)


ODD = "mcp__" + "a" * 70


@pytest.mark.parametrize("name", [ODD, "a.b", "é", ""], ids=["long", "dot", "letter", "nothing"])
@pytest.mark.parametrize("names_only", [False, True])
def test_a_name_that_upstream_refuses_is_changed_and_given_back(name: str, *, names_only: bool) -> None:
    call = ToolCall("c", name, "{}")
    asked = Conversation((Message("assistant", (call,)),), (function(name), function("f")), ToolChoice("tool", name))
    found, back = lower(asked, names_only=names_only)
    (flat, other) = [tool.name for tool in found.tools]
    assert VALID.fullmatch(flat)
    assert other == "f"
    assert found.messages[0].parts == (ToolCall("c", flat, "{}"),)
    assert found.tool_choice == ToolChoice("tool", flat)
    assert back is not None
    assert back.raise_event(ToolCallStarted(0, "c", flat)) == [ToolCallStarted(0, "c", name)]
    assert back.raise_turn(Turn("m", "x", (ToolCall("c", flat, "{}"),), "tool_use", Usage())).parts == (call,)


def test_a_name_that_only_history_has_is_changed_too() -> None:
    found, _ = lower(Conversation((Message("assistant", (ToolCall("c", "a.b", "{}"),)),)))
    (call,) = found.messages[0].parts
    assert isinstance(call, ToolCall)
    assert VALID.fullmatch(call.name)


def test_a_name_that_fits_is_never_taken_by_one_that_does_not() -> None:
    digest = names(function("a.b"))[0]
    assert names(function("a.b"), function(digest))[1] == digest


def test_names_alone_leave_kinds_and_namespaces() -> None:
    kept = (custom("apply_patch"), function("sleep", "clock"))
    calls = (ToolCall("c", "apply_patch", PATCH, custom=True), ToolCall("d", "sleep", "{}", namespace="clock"))
    asked = Conversation((Message("assistant", calls),), kept)
    assert lower(asked, names_only=True) == (asked, None)

    odd = (custom("a.b"), function("a.b", "clock"))
    said = (ToolCall("e", "a.b", "x", custom=True), ToolResult("e", (Text("r"),), custom=True))
    found, back = lower(Conversation((Message("assistant", (*calls, *said)),), (*kept, *odd)), names_only=True)
    flat = found.tools[2].name
    assert VALID.fullmatch(flat)
    assert found.tools == (*kept, *(msgspec.structs.replace(tool, name=flat) for tool in odd))
    assert found.messages[0].parts == (*calls, ToolCall("e", flat, "x", custom=True), said[1])
    assert back is not None
    started = ToolCallStarted(0, "c", flat, custom=True, namespace="n")
    assert raised(back, started, ToolCallDelta(0, "x")) == [
        ToolCallStarted(0, "c", "a.b", custom=True, namespace="n"),
        ToolCallDelta(0, "x"),
    ]
    (call,) = back.raise_turn(Turn("m", "x", (ToolCall("c", flat, "x", True, "n"),), "tool_use", Usage())).parts
    assert call == ToolCall("c", "a.b", "x", True, "n")


# ---- history


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ToolCall("c", "apply_patch", PATCH, custom=True), ToolCall("c", "apply_patch", json.dumps({"input": PATCH}))),
        (ToolCall("c", "apply_patch", PATCH), ToolCall("c", "apply_patch", json.dumps({"input": PATCH}))),
        (ToolCall("c", "sleep", '{"s":1}', namespace="clock"), ToolCall("c", "clock__sleep", '{"s":1}')),
        (ToolCall("c", "sleep", '{"s":1}'), ToolCall("c", "clock__sleep", '{"s":1}')),
        (ToolCall("c", "wait", "{}"), ToolCall("c", "wait", "{}")),
        (ToolCall("c", "gone", "{}", namespace="mcp"), ToolCall("c", "mcp__gone", "{}")),
        (ToolCall("c", "gone", "x", custom=True), ToolCall("c", "gone", '{"input":"x"}')),
        (ToolResult("c", (Text("ok"),), custom=True), ToolResult("c", (Text("ok"),))),
        (ToolResult("c", (Text("ok"),)), ToolResult("c", (Text("ok"),))),
        (Text("words"), Text("words")),
    ],
    ids=["freeform", "freeform, but said to be a function's", "namespace", "namespace left out", "everyday namespace",
         "a tool that is gone", "a freeform tool that is gone", "freeform result", "result", "text"],
)  # fmt: skip
def test_history_is_told_in_the_same_words(part: Part, expected: Part) -> None:
    tools = (custom("apply_patch"), function("sleep", "clock"), function("wait", "functions"), function("wait", "b"))
    (message,) = lowered(*tools, parts=(part,))[0].messages
    (found,) = message.parts
    if isinstance(found, ToolCall) and isinstance(expected, ToolCall):
        assert json.loads(found.arguments) == json.loads(expected.arguments)
        found = msgspec.structs.replace(found, arguments=expected.arguments)
    assert found == expected


def test_history_alone_is_reason_enough() -> None:
    found, back = lowered(parts=(ToolCall("c", "exec", "x", custom=True, namespace="functions"),))
    assert found.messages[0].parts == (ToolCall("c", "exec", '{"input":"x"}'),)
    assert back.raise_event(ToolCallStarted(0, "d", "exec")) == [ToolCallStarted(0, "d", "exec", True, "functions")]


# ---- answers


def test_a_freeform_call_is_raised_to_raw_text_at_its_end() -> None:
    _, back = lowered(custom("apply_patch"))
    arguments = json.dumps({"input": PATCH})
    start = ToolCallStarted(0, "c", "apply_patch")
    assert raised(back, Started("m", "x"), start, ToolCallDelta(0, arguments[:9]), ToolCallDelta(0, arguments[9:])) == [
        Started("m", "x"),
        ToolCallStarted(0, "c", "apply_patch", custom=True),
    ]
    assert back.raise_event(DONE) == [ToolCallDelta(0, PATCH), DONE]


@pytest.mark.parametrize(
    "following",
    [TextDelta("t"), ThinkingDelta("h"), ToolCallStarted(1, "d", "f"), DONE],
    ids=lambda event: type(event).__name__,
)
def test_whatever_follows_ends_a_call(following: Event) -> None:
    _, back = lowered(custom("say"), function("f"))
    events = raised(back, ToolCallStarted(0, "c", "say"), ToolCallDelta(0, '{"input":"x"}'), following)
    assert events[1:] == [ToolCallDelta(0, "x"), following]


def test_a_functions_deltas_pass_at_once_also_behind_a_freeform_call() -> None:
    _, back = lowered(custom("say"), function("sleep", "clock"))
    assert raised(
        back,
        ToolCallStarted(0, "c", "say"),
        ToolCallDelta(0, '{"input":"x"}'),
        ToolCallStarted(1, "d", "clock__sleep"),
        ToolCallDelta(1, '{"s"'),
        ToolCallDelta(1, ":1}"),
    ) == [
        ToolCallStarted(0, "c", "say", custom=True),
        ToolCallDelta(0, "x"),
        ToolCallStarted(1, "d", "sleep", namespace="clock"),
        ToolCallDelta(1, '{"s"'),
        ToolCallDelta(1, ":1}"),
    ]


def test_a_call_of_nothing_has_no_delta() -> None:
    _, back = lowered(custom("say"))
    assert raised(back, ToolCallStarted(0, "c", "say"), DONE) == [ToolCallStarted(0, "c", "say", custom=True), DONE]


def test_a_tool_that_was_not_lowered_keeps_its_name() -> None:
    _, back = lowered(custom("say"))
    assert raised(back, ToolCallStarted(0, "c", "f")) == [ToolCallStarted(0, "c", "f")]


def test_a_fresh_one_knows_nothing_of_another_stream() -> None:
    _, back = lowered(custom("say"))
    raised(back, ToolCallStarted(0, "c", "say"), ToolCallDelta(0, "half"))
    assert back.fresh().raise_event(DONE) == [DONE]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"input":"a\\nb"}', "a\nb"),
        ('{"why":"because","input":"a"}', "a"),
        ("*** Begin Patch", "*** Begin Patch"),
        ('{"input":5}', '{"input":5}'),
        ('{"text":"a"}', '{"text":"a"}'),
        ('{"input":"cut', "cut"),
        ('{ "input" : "', ""),
        ('{"input":"a\\n\\"b\\', 'a\n"b'),
        ('{"input":"a\\u00', "a"),
        ('{"input":"a\\ud83d', "a"),
        ('{"input":"a\\ud83d\\ude', "a"),
        ('{"input":"a\\\\ud83d', "a\\ud83d"),
        ('{"input":"a\\ud83db', '{"input":"a\\ud83db'),
        ('{"input":"a\\q', '{"input":"a\\q'),
        ('{"input":"' + "\\\\" * 500_000, "\\" * 500_000),
        ('{"inp', '{"inp'),
        ('"a"', '"a"'),
        ('{"input":"\\ud83d"}', '{"input":"\\ud83d"}'),
        ("[" * 100_000, "[" * 100_000),
        ("", ""),
    ],
    ids=["wrapped", "more members", "raw text", "no string", "another name", "cut", "cut at once",
         "cut in an escape", "cut in a code",
         "cut in a pair", "cut in a pair's second", "no pair", "cut, but odd before", "no escape", "long",
         "cut before it", "a string", "half a pair", "deep",
         "nothing"],
)  # fmt: skip
def test_text_that_is_not_wrapped_is_the_text(arguments: str, text: str) -> None:
    assert unwrapped(arguments) == text


@given(st.text(), st.lists(st.integers(0, 60), max_size=6))
def test_any_text_survives_however_its_json_is_cut(text: str, cuts: list[int]) -> None:
    found, back = lowered(custom("say"), parts=(ToolCall("c", "say", text, custom=True),))
    (call,) = found.messages[0].parts
    assert isinstance(call, ToolCall)
    edges = [0, *sorted(cuts), len(call.arguments)]
    pieces = [call.arguments[start:end] for start, end in itertools.pairwise(edges)]
    events = raised(back, ToolCallStarted(0, "c", "say"), *(ToolCallDelta(0, piece) for piece in pieces), DONE)
    assert "".join(event.arguments for event in events if isinstance(event, ToolCallDelta)) == text


def test_a_whole_answer_is_raised_too() -> None:
    _, back = lowered(custom("say"), function("sleep", "clock"))
    parts: tuple[Part, ...] = (
        Text("a"),
        ToolCall("c", "say", '{"input":"x"}'),
        ToolCall("d", "clock__sleep", '{"s":1}'),
        ToolCall("e", "other", "{}"),
    )
    turn = back.raise_turn(Turn("m", "x", parts, "tool_use", Usage(1, 2)))
    assert turn == Turn(
        "m",
        "x",
        (
            Text("a"),
            ToolCall("c", "say", "x", custom=True),
            ToolCall("d", "sleep", '{"s":1}', namespace="clock"),
            ToolCall("e", "other", "{}"),
        ),
        "tool_use",
        Usage(1, 2),
    )
