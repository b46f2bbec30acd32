from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.dialects.pairing import NO_RESULT, paired
from copilot_trio.turn import Image, Message, Part, Text, Thinking, ToolCall, ToolResult

HI = Message("user", (Text("hi"),))
ENV = Message("system", (Text("env"),))


def call(call_id: str, *, custom: bool = False) -> ToolCall:
    return ToolCall(call_id, "f", "{}", custom)


def result(call_id: str, text: str = "r") -> ToolResult:
    return ToolResult(call_id, (Text(text),))


def lost(call_id: str, *, custom: bool = False) -> ToolResult:
    return ToolResult(call_id, (NO_RESULT,), custom=custom)


def user(*parts: Part, mark: bool = False) -> Message:
    return Message("user", parts, mark)


def assistant(*parts: Part, mark: bool = False) -> Message:
    return Message("assistant", parts, mark)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [HI],
        [HI, assistant(), HI],
        [HI, assistant(Text("a"), call("c")), user(result("c"), Text("b"), mark=True), assistant(Text("d"))],
        [assistant(Thinking("h", "s")), assistant(call("c"), call("d")), user(result("d"), result("c"))],
    ],
    ids=["nothing", "words", "an empty answer", "a call", "two calls"],
)
def test_what_is_whole_stays(messages: list[Message]) -> None:
    assert paired(messages) == tuple(messages)


@pytest.mark.parametrize(
    ("messages", "expected"),
    [
        ([assistant(call("c"))], [assistant(call("c")), user(lost("c"))]),
        (
            [assistant(call("c", custom=True)), HI],
            [assistant(call("c", custom=True)), user(lost("c", custom=True), Text("hi"))],
        ),
        ([assistant(call("c")), assistant(Text("a"))], [assistant(call("c"), Text("a")), user(lost("c"))]),
        (
            [assistant(call("c"), call("d")), user(result("d"))],
            [assistant(call("c"), call("d")), user(result("d"), lost("c"))],
        ),
        ([HI, user(result("c"))], [HI, user(Text("The result of tool call c:"), Text("r"))]),
        (
            [assistant(call("c")), user(result("c")), assistant(Text("a")), user(result("c", "late"))],
            [
                assistant(call("c")),
                user(result("c")),
                assistant(Text("a")),
                user(Text("The result of tool call c:"), Text("late")),
            ],
        ),
        (
            [user(ToolResult("c", (Image(url="u"),)))],
            [user(Text("The result of tool call c:"), Image(url="u"))],
        ),
        (
            [assistant(call("c")), ENV, HI, user(result("c"), mark=True)],
            [assistant(call("c")), user(result("c"), mark=True), ENV, HI],
        ),
        (
            [assistant(call("c"), call("d")), user(result("c")), user(result("d"), mark=True)],
            [assistant(call("c"), call("d")), user(result("c"), result("d"), mark=True)],
        ),
        (
            [assistant(call("c")), user(), assistant(call("d")), user(result("d"), result("c"))],
            [assistant(call("c"), call("d")), user(result("d"), result("c"))],
        ),
        (
            [assistant(call("c"), call("d")), user(result("c")), assistant(Thinking("h")), user(result("d"))],
            [assistant(call("c"), call("d")), user(result("c"), result("d")), assistant(Thinking("h"))],
        ),
        (
            [assistant(call("c")), user(result("c")), assistant(call("c")), user(result("c", "s"))],
            [assistant(call("c")), user(result("c")), assistant(call("c-1")), user(result("c-1", "s"))],
        ),
        (
            [assistant(call("c"), call("c")), user(result("c"), result("c", "s"))],
            [assistant(call("c"), call("c-1")), user(result("c"), result("c-1", "s"))],
        ),
    ],
    ids=["lost at the end", "lost freeform", "more words behind a call", "one of two lost", "no call",
         "answered before", "image without a call", "result behind others", "results apart",
         "nothing said between", "nothing answered",
         "an id again", "an id twice"],
)  # fmt: skip
def test_what_is_not_is_repaired(messages: list[Message], expected: list[Message]) -> None:
    assert paired(messages) == tuple(expected)
    assert paired(expected) == tuple(expected)


def test_ids_are_made_upstreams_and_stay_apart() -> None:
    messages = [assistant(call("c:1"), call("c/1")), user(result("c/1"), result("c:1"))]
    assert paired(messages, lambda text: text.replace(":", "_").replace("/", "_")) == (
        assistant(call("c_1"), call("c_1-1")),
        user(result("c_1-1"), result("c_1")),
    )


IDS = st.sampled_from(["a", "b", "a-1", ""])
MESSAGES = st.one_of(
    st.just(ENV),
    st.builds(Message, st.just("user"), st.lists(st.builds(result, IDS) | st.just(Text("u")), max_size=3).map(tuple)),
    st.builds(
        Message,
        st.just("assistant"),
        st.lists(st.builds(call, IDS) | st.just(Text("a")) | st.just(Thinking("h")), max_size=3).map(tuple),
    ),
)


@given(st.lists(MESSAGES, max_size=8))
def test_every_call_has_its_result_right_behind_it(messages: list[Message]) -> None:
    found = paired(messages)
    taken: set[str] = set()
    waiting: set[str] = set()
    for message in found:
        calls = [part.id for part in message.parts if isinstance(part, ToolCall)]
        results = [part.call_id for part in message.parts if isinstance(part, ToolResult)]
        assert len(set(calls)) == len(calls)
        assert taken.isdisjoint(calls)
        assert set(results) == waiting  # none where none is waiting
        assert len(results) == len(waiting)
        taken |= set(calls)
        waiting = set(calls)
    assert not waiting
    assert paired(found) == found
