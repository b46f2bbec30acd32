from __future__ import annotations

import msgspec
import pytest
from recordings import events_in, recorded, sse

from copilot_trio.dialects.chat.decode import ChatStreamDecoder, parse_answer
from copilot_trio.dialects.chat.wire import Chunk, usage_of
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.turn import (
    Event,
    Finished,
    Part,
    Refusal,
    RefusalDelta,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)


def decode(stream: bytes) -> list[Event]:
    decoder = ChatStreamDecoder()
    return [
        turn for event in events_in(stream) if event.data != b"[DONE]" for turn in decoder.feed(event)
    ] + decoder.finish()


def chunk(delta: dict[str, object] | None = None, finish: str | None = None, **more: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": delta or {}, "finish_reason": finish}], "id": "x", "model": "m", **more}


def call(index: int | None, call_id: str | None, name: str | None, arguments: str | None) -> dict[str, object]:
    return {"tool_calls": [{"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}]}


def said(*deltas: dict[str, object], finish: str = "stop") -> list[Event]:
    """The events between the start and the end."""
    events = decode(sse(*(chunk(delta) for delta in deltas), chunk({}, finish)))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    return events[1:-1]


def test_text_is_passed_on_piece_by_piece() -> None:
    assert decode(recorded("chat/gpt-text.sse")) == [
        Started("chatcmpl-SynthAAAA", "gpt-4.1-2025-04-14"),
        TextDelta("Hello"),
        TextDelta(" world"),
        Finished("end_turn", Usage(9, 2)),
    ]


@pytest.mark.parametrize("name", ["claude-parallel-tools-same-index", "claude-bedrock-tools-distinct-index"])
def test_parallel_calls_are_told_apart_by_id(name: str) -> None:
    tools = [event for event in decode(recorded(f"chat/{name}.sse")) if isinstance(event, ToolCallStarted)]
    assert tools == [
        ToolCallStarted(0, "tooluse_SYNTHAAAAAAAAAAAAAAA", "edit_file"),
        ToolCallStarted(1, "tooluse_SYNTHBBBBBBBBBBBBBBB", "edit_file"),
    ]


@pytest.mark.parametrize(
    ("name", "spoken"),
    [
        ("gemini-opaque-on-finish", [ThinkingDelta, TextDelta, TextDelta, ThinkingSigned]),
        ("gemini-opaque-on-middle-text", [ThinkingDelta, ThinkingSigned, TextDelta, TextDelta]),
        (
            "gemini-opaque-on-text-before-tools",
            [ThinkingDelta, ThinkingSigned, TextDelta, *[ToolCallStarted, ToolCallDelta] * 2],
        ),
        ("gemini-opaque-without-thinking", [ThinkingSigned, *[ToolCallStarted, ToolCallDelta] * 2]),
        ("gemini-tools", [ThinkingDelta, ThinkingSigned, *[ToolCallStarted, ToolCallDelta] * 2]),
    ],
)  # fmt: skip
def test_opaque_reasoning_goes_before_what_shares_its_chunk(name: str, spoken: list[type[Event]]) -> None:
    assert [type(event) for event in decode(recorded(f"chat/{name}.sse"))[1:-1]] == spoken


@pytest.mark.parametrize(
    ("deltas", "events"),
    [
        (
            [{"reasoning_text": "h"}, {"content": "a"}, {"reasoning_opaque": "o", "content": "b"}, {"content": "c"}],
            [ThinkingDelta("h"), TextDelta("a"), TextDelta("b"), TextDelta("c"), ThinkingSigned("o")],
        ),
        (
            [{"content": "a"}, {"reasoning_opaque": "o", "content": "b"}, call(0, "c", "f", "{}")],
            [TextDelta("a"), TextDelta("b"), ThinkingSigned("o"), ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")],
        ),
        (
            [call(0, "c", "f", "{"), {"reasoning_opaque": "o", **call(0, None, None, "}")}],
            [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{"), ToolCallDelta(0, "}"), ThinkingSigned("o")],
        ),
        (
            [{"content": "a"}, {"reasoning_opaque": "o"}, {"reasoning_text": "h"}, {"reasoning_opaque": "p"}],
            [TextDelta("a"), ThinkingSigned("o"), ThinkingDelta("h"), ThinkingSigned("p")],
        ),
    ],
    ids=["within text", "before a call", "within arguments", "before more reasoning"],
)
def test_opaque_reasoning_that_comes_late_splits_nothing(deltas: list[dict[str, object]], events: list[Event]) -> None:
    assert said(*deltas) == events


def test_geminis_reasoning_counts_as_output() -> None:
    assert decode(recorded("chat/gemini-tools.sse"))[-1] == Finished(
        "tool_use", Usage(19581 - 17068, 53 + 134, 17068, 0, 134)
    )


def test_what_follows_the_finish_reason_is_still_read() -> None:
    assert decode(recorded("chat/gpt-cot-id-after-finish.sse"))[-1] == Finished("tool_use", Usage())


def test_a_filtered_answer_is_a_refusal() -> None:
    finished = decode(recorded("chat/gpt-content-filter.sse"))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "refusal"


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "end_turn"),
        ("length", "max_tokens"),
        ("tool_calls", "tool_use"),
        ("function_call", "tool_use"),
        ("content_filter", "refusal"),
        ("never_heard_of", "end_turn"),
    ],
)
def test_a_finish_reason_is_a_stop_reason(finish: str, reason: str) -> None:
    finished = decode(sse(chunk({"content": "a"}), chunk({}, finish)))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == reason


def test_an_answer_with_a_call_stops_for_it_whatever_upstream_says() -> None:
    finished = decode(sse(chunk(call(0, "c", "f", "{}")), chunk({}, "stop")))[-1]
    assert isinstance(finished, Finished)
    assert finished.reason == "tool_use"


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b"data: [DONE]\n\n",
        sse(chunk({"content": "a"})),
        sse(chunk({"content": "a"}, ""), "[DONE]"),
        sse({"choices": [], "usage": {"total_tokens": 5}}, "[DONE]"),
    ],
    ids=["empty", "only DONE", "no finish", "empty finish", "only usage"],
)
def test_a_stream_without_a_finish_reason_is_truncated(stream: bytes) -> None:
    with pytest.raises(StreamTruncated):
        decode(stream)


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        ({"error": {"code": 500, "message": "boom"}}, "boom"),
        ({"error": {"code": "overloaded"}}, "overloaded"),
        ({"error": "just text"}, "just text"),
        ({"error": {"message": {"odd": 1}}}, "odd"),
        (chunk({}, "error"), "upstream failed"),
    ],
    ids=["numeric code", "no message", "a string", "odd message", "finish reason"],
)
def test_an_error_in_the_stream_raises(frame: dict[str, object], words: str) -> None:
    with pytest.raises(UpstreamError, match=words):
        decode(sse(chunk({"content": "a"}), frame))


@pytest.mark.parametrize(
    "frame",
    ["not JSON", "{", '"text"', "[]", "5", '{"choices":null}', '{"choices":[]}', '{"unknown":1}', '{"id":5}'],
)
def test_frames_that_say_nothing_are_passed_over(frame: str) -> None:
    assert decode(sse(frame, chunk({"content": "a"}), frame, chunk({}, "stop"), frame))[1:-1] == [TextDelta("a")]


@pytest.mark.parametrize(
    "frame",
    [
        chunk({"content": ["a"]}),
        chunk({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"a": 1}}}]}),
        {"choices": "x"},
    ],
    ids=["content", "arguments", "choices"],
)
def test_a_frame_that_cannot_be_read_is_never_a_silent_gap(frame: dict[str, object]) -> None:
    with pytest.raises(UpstreamError, match="cannot read"):
        decode(sse(frame))


def test_a_call_without_an_id_gets_one() -> None:
    assert said(call(0, None, "f", '{"a"'), call(0, None, None, ":1}"), call(1, "", "g", "{}")) == [
        ToolCallStarted(0, "call_x_0", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallStarted(1, "call_x_1", "g"),
        ToolCallDelta(1, "{}"),
    ]


def test_a_call_whose_id_is_repeated_stays_one_call() -> None:
    assert said(call(0, "c", "f", '{"a"'), call(0, "c", "f", ":1}"), call(None, "", None, " ")) == [
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallDelta(0, " "),
    ]


@pytest.mark.parametrize(
    "deltas",
    [
        [call(0, "a", "f", None), call(1, "b", "g", None), call(0, None, None, "{}")],
        [call(0, "a", "f", None), call(1, "b", "g", None), call(0, "a", None, "{}")],
        [call(0, "a", "f", "{"), {"content": "text"}, call(0, None, None, "}")],
        [call(0, "a", "f", "{"), {"reasoning_text": "o"}, call(0, None, None, "}")],
        [call(0, None, None, "{}")],
    ],
    ids=["by index", "by id", "after text", "after reasoning", "of no call"],
)
def test_arguments_for_a_call_that_is_closed_are_an_error(deltas: list[dict[str, object]]) -> None:
    with pytest.raises(UpstreamError, match="mixed"):
        said(*deltas)


@pytest.mark.parametrize("nothing", [None, "", " "])
@pytest.mark.parametrize("after", [[], [{"content": "a"}], [{"reasoning_text": "h"}], [call(0, "d", "g", "{}")]])
def test_a_call_without_arguments_has_an_empty_objects(nothing: str | None, after: list[dict[str, object]]) -> None:
    events = said(call(0, "c", "f", nothing), *after)
    arguments = [event.arguments for event in events if isinstance(event, ToolCallDelta) and event.index == 0]
    assert "".join(arguments).strip() == "{}"
    assert events[: 1 + len(arguments)] == [ToolCallStarted(0, "c", "f"), *(ToolCallDelta(0, a) for a in arguments)]


def test_half_of_a_surrogate_pair_is_no_gap() -> None:
    frame = msgspec.json.encode(chunk({"content": "a CUT b"})).replace(b"CUT", rb"\ud83d").decode()
    assert decode(sse(frame, chunk({}, "stop")))[1:-1] == [TextDelta("a \ufffd b")]


def test_a_refusal_is_told_apart_from_text() -> None:
    assert said({"content": "Well. ", "refusal": "I won't."}) == [TextDelta("Well. "), RefusalDelta("I won't.")]


def test_empty_deltas_are_no_events() -> None:
    assert said({"content": "", "refusal": None, "role": "assistant"}, {"reasoning_text": ""}, {}) == []


# ---- usage


@pytest.mark.parametrize(
    ("fields", "usage"),
    [
        ({}, None),
        ({"usage": None}, None),
        ({"usage": {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}}, None),
        ({"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}}, Usage(9, 2)),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}},
            Usage(5, 2, 4),
        ),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16,
                       "completion_tokens_details": {"reasoning_tokens": 5}}},
            Usage(9, 7, reasoning_tokens=5),
        ),
        (
            {"usage": {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 16, "reasoning_tokens": 5}},
            Usage(9, 7, reasoning_tokens=5),
        ),
        (
            {"usage": {"prompt_tokens": 1, "completion_tokens": 1}, "copilot_usage": {"total_nano_aiu": 7}},
            Usage(1, 1, nano_aiu=7),
        ),
        (
            {"usage": {"prompt_tokens": 1, "completion_tokens": 1, "copilot_usage": {"total_nano_aiu": 7}}},
            Usage(1, 1, nano_aiu=7),
        ),
    ],
    ids=["absent", "null", "zeroes", "plain", "cached", "reasoning within", "reasoning beside", "cost beside",
         "cost within"],
)  # fmt: skip
def test_usage_is_read_from_every_placement(fields: dict[str, object], usage: Usage | None) -> None:
    assert usage_of(msgspec.convert(fields, Chunk)) == usage


# ---- whole replies


def reply(*choices: dict[str, object], **more: object) -> bytes:
    return msgspec.json.encode({"choices": list(choices), "id": "x", "model": "m", **more})


def choice(finish: str | None = "stop", **message: object) -> dict[str, object]:
    return {"finish_reason": finish, "index": 0, "message": message}


def tool(call_id: str | None, arguments: str) -> dict[str, object]:
    return {"id": call_id, "type": "function", "function": {"name": "f", "arguments": arguments}}


@pytest.mark.parametrize(
    ("choices", "parts", "reason"),
    [
        ([choice(content="Hello.", padding="abc")], [Text("Hello.")], "end_turn"),
        (
            [choice("tool_calls", content="On it."), choice("tool_calls", tool_calls=[tool("c", "{}")])],
            [Text("On it."), ToolCall("c", "f", "{}")],
            "tool_use",
        ),
        (
            [choice("stop", content="On it."), choice("tool_calls", tool_calls=[tool("c", "{}"), tool(None, "{")])],
            [Text("On it."), ToolCall("c", "f", "{}"), ToolCall("call_x_1", "f", "{")],
            "tool_use",
        ),
        (
            [choice(content="a"), choice("tool_calls", reasoning_opaque="o", tool_calls=[tool("c", "{}")])],
            [Thinking("", "o"), Text("a"), ToolCall("c", "f", "{}")],
            "tool_use",
        ),
        (
            [choice("tool_calls", tool_calls=[tool("c", ""), {"id": "d", "function": {"name": "g"}}])],
            [ToolCall("c", "f", "{}"), ToolCall("d", "g", "{}")],
            "tool_use",
        ),
        (
            [choice(content="a", reasoning_text="h", reasoning_opaque="o")],
            [Thinking("h", "o"), Text("a")],
            "end_turn",
        ),
        ([choice("length", content="Cut o")], [Text("Cut o")], "max_tokens"),
        ([choice("content_filter", content=None, refusal="No.")], [Refusal("No.")], "refusal"),
        ([choice(content="Well.", refusal="No.")], [Text("Well."), Refusal("No.")], "end_turn"),
        ([choice("content_filter", content=None)], [], "refusal"),
    ],
    ids=["text", "split choices", "split with stop first", "opaque in the second choice",
         "calls without arguments", "thinking", "length", "refusal", "text and refusal", "filtered"],
)  # fmt: skip
def test_a_whole_reply_is_read(choices: list[dict[str, object]], parts: list[Part], reason: str) -> None:
    turn = parse_answer(reply(*choices))
    assert (list(turn.parts), turn.reason, turn.id, turn.model) == (parts, reason, "x", "m")


def test_a_whole_replys_usage_is_read() -> None:
    body = reply(
        choice(content="a"), usage={"prompt_tokens": 9, "completion_tokens": 2}, copilot_usage={"total_nano_aiu": 7}
    )
    assert parse_answer(body).usage == Usage(9, 2, nano_aiu=7)


def test_half_of_a_surrogate_pair_does_not_spoil_a_whole_reply() -> None:
    body = reply(choice(content="a CUT")).replace(b"CUT", rb"\udc00")
    assert parse_answer(body).parts == (Text("a \ufffd"),)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        reply(),
        reply(choice(None, content="a")),
        reply(choice("error", content="a")),
        b'{"choices":null}',
        b'{"error":{"message":"m","code":500}}',
        b'{"error":"m"}',
    ],
    ids=["nothing", "HTML", "a list", "empty", "no choices", "no finish", "failed", "null", "error", "error text"],
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        parse_answer(body)
