"""Turns as chat-completion streams: recordings compared byte for byte, and what holds of every translation."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, data_in, events_in, recorded, recorded_names

from copilot_trio.dialects.chat.decode import ChatStreamDecoder, parse_answer
from copilot_trio.dialects.chat.encode import ChatStreamEncoder, render_answer
from copilot_trio.dialects.messages.decode import MessagesStreamDecoder
from copilot_trio.dialects.stream import StreamDecoder, StreamTranslator
from copilot_trio.errors import UpstreamError
from copilot_trio.turn import (
    AnswerContext,
    Conversation,
    Event,
    Finished,
    Part,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    Tool,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Turn,
    Usage,
    WebSearch,
)

RAW = msgspec.Raw()
TOOLS = (Tool("patch", "", RAW, custom=True, flat=True), Tool("free", "", RAW, custom=True))
CONTEXT = AnswerContext("asked", 1790000000, "seed", Conversation((), tools=TOOLS))
DECODERS: dict[str, type[StreamDecoder]] = {"chat": ChatStreamDecoder, "messages": MessagesStreamDecoder}
RECORDED = [(dialect, name) for dialect in DECODERS for name in recorded_names(dialect)]
FAILING = {"error-frame", "truncated", "error-event"}
ENDS = Finished("end_turn", Usage())


def translate(dialect: str, chunks: list[bytes]) -> bytes:
    """What the client gets, the error's own bytes left out."""
    relay = StreamTranslator(DECODERS[dialect](), ChatStreamEncoder(CONTEXT))
    out = b""
    try:
        for chunk in chunks:
            out += relay.feed(chunk)
        return out + relay.finish()
    except UpstreamError as error:
        return out + error.partial


def encode(*events: Event, context: AnswerContext = CONTEXT) -> bytes:
    encoder = ChatStreamEncoder(context)
    return b"".join(encoder.feed(event) for event in events)


def decode(stream: bytes) -> list[Event]:
    decoder = ChatStreamDecoder()
    return [turn for event in events_in(stream) for turn in decoder.feed(event)] + decoder.finish()


def deltas(*events: Event) -> list[dict[str, Any]]:
    chunks: list[Any] = data_in(encode(Started("x", "m"), *events))
    return [chunk["choices"][0]["delta"] for chunk in chunks][1:]


def check_form(stream: bytes, *, whole: bool) -> None:
    """What OpenAI's strict helper wants: whole chunks, one role, calls numbered from 0, one end, then usage."""
    frames = stream.split(b"\n\n")
    assert frames.pop() == b""
    if whole:
        assert frames.pop() == b"data: [DONE]"
    assert b"data: [DONE]" not in frames
    chunks = [msgspec.json.decode(frame.removeprefix(b"data: ")) for frame in frames]
    for chunk in chunks:
        head = (chunk["object"], chunk["id"], chunk["created"], chunk["model"])
        assert head == ("chat.completion.chunk", "chatcmpl-seed", 1790000000, "asked")
    if whole:
        last = chunks.pop()
        assert (last["choices"], set(last["usage"]) >= {"prompt_tokens", "completion_tokens", "total_tokens"}) == (
            [],
            True,
        )
    choices = [chunk["choices"][0] for chunk in chunks]
    assert [choice["index"] for choice in choices] == [0] * len(choices)
    assert ["role" in choice["delta"] for choice in choices] == [True, *[False] * (len(choices) - 1)][: len(choices)]
    finishes = [choice["finish_reason"] for choice in choices]
    assert finishes[:-1] == [None] * len(finishes[:-1])
    if finishes:
        assert (finishes[-1] is not None) == whole
    calls = [call for choice in choices for call in choice["delta"].get("tool_calls", ())]
    assert [call["index"] for call in calls] == sorted(call["index"] for call in calls)
    assert [call["index"] for call in calls if "id" in call] == list(range(sum("id" in call for call in calls)))


@pytest.mark.parametrize(("dialect", "name"), RECORDED)
def test_a_recorded_stream_translates_as_recorded(dialect: str, name: str) -> None:
    check_recorded(f"{dialect}-to-chat/{name}.sse", translate(dialect, [recorded(f"{dialect}/{name}.sse")]))


@pytest.mark.parametrize(("dialect", "name"), RECORDED)
def test_the_form_is_what_strict_clients_want(dialect: str, name: str) -> None:
    check_form(translate(dialect, [recorded(f"{dialect}/{name}.sse")]), whole=name not in FAILING)


@pytest.mark.parametrize(("dialect", "name"), RECORDED)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_translation(dialect: str, name: str, data: st.DataObject) -> None:
    stream = recorded(f"{dialect}/{name}.sse")
    assert translate(dialect, data.draw(cuttings(stream))) == translate(dialect, [stream])


@pytest.mark.parametrize(("dialect", "name"), [pair for pair in RECORDED if pair[1] not in FAILING])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_stream_cut_off_anywhere_has_one_end_or_none(dialect: str, name: str, data: st.DataObject) -> None:
    stream = recorded(f"{dialect}/{name}.sse")
    cut = translate(dialect, [stream[: data.draw(st.integers(0, len(stream)))]])
    check_form(cut, whole=b"[DONE]" in cut)


# ---- the encoder by itself

THINK, SIGN, WORDS = ThinkingDelta("h"), ThinkingSigned("s"), TextDelta("t")


def test_text_and_refusals_are_deltas_of_their_own() -> None:
    said = [TextDelta('a "b"\n'), RefusalDelta("No."), TextDelta("\u2028é")]
    assert deltas(*said) == [{"content": 'a "b"\n'}, {"refusal": "No."}, {"content": "\u2028é"}]


def test_reasoning_has_copilots_name_and_its_proof_comes_last() -> None:
    assert deltas(THINK, SIGN, WORDS) == [{"reasoning_text": "h"}, {"content": "t"}]
    end: Any = data_in(encode(THINK, SIGN, WORDS, ENDS))[-2]
    assert end["choices"][0] == {"index": 0, "delta": {"reasoning_opaque": "s"}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    ("events", "proof"),
    [
        ([], None),
        ([THINK], None),
        ([SIGN], "s"),
        ([THINK, THINK, SIGN], "s"),
        ([THINK, WORDS, SIGN], "s"),
        ([THINK, SIGN, WORDS, THINK, SIGN], None),
        ([THINK, SIGN, WORDS, THINK], None),
        ([SIGN, SIGN], None),
        ([THINK, ThinkingSigned("e@1"), THINK, ThinkingSigned("e@2")], "e@2"),
        ([ThinkingSigned("redacted:ZA==")], "redacted:ZA=="),
    ],
    ids=["none", "unsigned", "secret", "one", "late", "two thoughts", "a second one unsigned", "two secrets",
         "a Responses model's", "redacted"],
)  # fmt: skip
def test_a_proof_is_told_where_it_proves_the_whole_thinking(events: list[Event], proof: str | None) -> None:
    end: Any = data_in(encode(Started("x", "m"), *events, ENDS))[-2]
    assert end["choices"][0]["delta"].get("reasoning_opaque") == proof
    parts = _parts(events)
    message = msgspec.json.decode(render_answer(Turn("x", "m", parts, "end_turn", Usage()), CONTEXT))
    assert message["choices"][0]["message"].get("reasoning_opaque") == proof


def _parts(events: list[Event]) -> tuple[Part, ...]:
    """The same thoughts as a whole answer has them."""
    parts: list[Part] = []
    text = ""
    for event in events:
        if isinstance(event, ThinkingDelta):
            text += event.text
        elif isinstance(event, ThinkingSigned):
            redacted = event.signature.startswith("redacted:")
            parts.append(RedactedThinking("ZA==") if redacted else Thinking(text, event.signature))
            text = ""
    return (*parts, Thinking(text)) if text else tuple(parts)


def test_a_call_is_a_function_with_its_arguments_in_deltas() -> None:
    events = (
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, '{"a"'),
        ToolCallDelta(0, ":1}"),
        ToolCallStarted(1, "d", "g"),
    )
    assert [delta["tool_calls"] for delta in deltas(*events)] == [
        [{"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}],
        [{"index": 0, "function": {"arguments": '{"a"'}}],
        [{"index": 0, "function": {"arguments": ":1}"}}],
        [{"index": 1, "id": "d", "type": "function", "function": {"name": "g", "arguments": ""}}],
    ]


def test_a_custom_call_is_custom_and_cursors_is_a_function_with_raw_text() -> None:
    events = [
        ToolCallStarted(0, "a", "patch", custom=True),
        ToolCallDelta(0, "*** Begin\n"),
        ToolCallStarted(1, "b", "free", custom=True),
        ToolCallDelta(1, "raw"),
        ToolCallStarted(2, "c", "f"),
        ToolCallDelta(2, "{}"),
    ]
    assert [delta["tool_calls"][0] for delta in deltas(*events)] == [
        {"index": 0, "id": "a", "type": "function", "function": {"name": "patch", "arguments": ""}},
        {"index": 0, "function": {"arguments": "*** Begin\n"}},
        {"index": 1, "id": "b", "type": "custom", "custom": {"name": "free", "input": ""}},
        {"index": 1, "custom": {"input": "raw"}},
        {"index": 2, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 2, "function": {"arguments": "{}"}},
    ]


def test_a_search_says_nothing() -> None:
    assert encode(Searched(WebSearch("s", "q"))) == b""


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("refusal", "content_filter"),
    ],
)
def test_a_stop_reason_is_a_finish_reason(reason: StopReason, finish: str) -> None:
    end: Any = data_in(encode(Started("x", "m"), Finished(reason, Usage())))[-2]
    assert end["choices"][0]["finish_reason"] == finish
    whole = msgspec.json.decode(render_answer(Turn("x", "m", (), reason, Usage()), CONTEXT))
    assert whole["choices"][0]["finish_reason"] == finish


def test_usage_counts_the_cache_with_the_prompt() -> None:
    usage = data_in(encode(Finished("end_turn", Usage(10, 20, 30, 40, 5))))[-1]["usage"]
    assert usage == {
        "prompt_tokens": 80,
        "completion_tokens": 20,
        "total_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 30},
        "completion_tokens_details": {"reasoning_tokens": 5},
    }


@pytest.mark.parametrize(
    ("seed", "upstream", "shown"),
    [("s", "msg_1", "chatcmpl-s"), ("", "msg_1", "chatcmpl-msg_1"), ("", "chatcmpl-1", "chatcmpl-1")],
)
def test_an_answer_has_an_id_like_openais(seed: str, upstream: str, shown: str) -> None:
    context = AnswerContext("m", seed=seed)
    stream = encode(Started(upstream, "m"), WORDS, ENDS, context=context)
    assert {chunk["id"] for chunk in data_in(stream)} == {shown}
    assert msgspec.json.decode(render_answer(Turn(upstream, "m", (), "end_turn", Usage()), context))["id"] == shown


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [Started("x", "m")]
    calls = 0
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            events.append(draw(st.sampled_from([WORDS, THINK, SIGN, RefusalDelta("r")])))
        else:
            events.append(ToolCallStarted(calls, f"call_{calls}", "f"))
            pieces = draw(st.lists(st.sampled_from(['{"a":', "1}", "{}"]), min_size=1, max_size=3))
            events += [ToolCallDelta(calls, arguments) for arguments in pieces]
            calls += 1
    return [*events, Finished("tool_use" if calls else "end_turn", Usage(1, 2, 3, 0, 4))]


@settings(max_examples=200, deadline=None)
@given(turns())
def test_every_turn_has_a_good_form_and_is_read_as_it_was(events: list[Event]) -> None:
    stream = encode(*events)
    check_form(stream, whole=True)
    kept = [event for event in events[1:] if not isinstance(event, ThinkingSigned)]
    assert [event for event in decode(stream)[1:] if not isinstance(event, ThinkingSigned)] == kept


# ---- whole answers


def test_a_whole_answer_has_each_part_in_its_place() -> None:
    parts = (Thinking("h", "s"), WebSearch("w", "q"), Text("t"), Text("u"), ToolCall("c", "f", '{"a": 1}'))
    answer = msgspec.json.decode(render_answer(Turn("x", "up", parts, "tool_use", Usage(1, 2)), CONTEXT))
    assert answer == {
        "id": "chatcmpl-seed",
        "object": "chat.completion",
        "created": 1790000000,
        "model": "asked",
        "choices": [
            {
                "index": 0,
                "message": {
                    "role": "assistant",
                    "content": "tu",
                    "refusal": None,
                    "reasoning_text": "h",
                    "reasoning_opaque": "s",
                    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}],
                },
                "finish_reason": "tool_calls",
            }
        ],
        "usage": {
            "prompt_tokens": 1,
            "completion_tokens": 2,
            "total_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }


@pytest.mark.parametrize(
    ("parts", "content", "refusal"),
    [
        ((), "", None),
        ((Text("t"),), "t", None),
        ((ToolCall("c", "f", "{}"),), None, None),
        ((Refusal("No."),), None, "No."),
        ((Text("t"), Refusal("No.")), "t", "No."),
    ],
    ids=["nothing", "text", "call", "refusal", "both"],
)
def test_content_is_null_where_the_answer_is_something_else(
    parts: tuple[Part, ...], content: str | None, refusal: str | None
) -> None:
    answer = msgspec.json.decode(render_answer(Turn("x", "m", parts, "end_turn", Usage()), CONTEXT))
    message = answer["choices"][0]["message"]
    assert (message["content"], message["refusal"]) == (content, refusal)


def test_whole_custom_calls_have_the_form_that_the_client_reads() -> None:
    parts = (ToolCall("a", "patch", "raw", custom=True), ToolCall("b", "free", "raw", custom=True))
    answer = msgspec.json.decode(render_answer(Turn("x", "m", parts, "tool_use", Usage()), CONTEXT))
    assert answer["choices"][0]["message"]["tool_calls"] == [
        {"id": "a", "type": "function", "function": {"name": "patch", "arguments": "raw"}},
        {"id": "b", "type": "custom", "custom": {"name": "free", "input": "raw"}},
    ]


def test_a_whole_answer_survives_being_written_and_read() -> None:
    parts = (Thinking("h", "s"), Text("t"), Refusal("r"), ToolCall("c", "f", "{}"))
    turn = Turn("chatcmpl-seed", "asked", parts, "tool_use", Usage(1, 2, 3, 0, 4))
    assert parse_answer(render_answer(turn, CONTEXT)) == turn
