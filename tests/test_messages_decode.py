"""Anthropic streams as turn events."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, events_in, recorded, recorded_names

from copilot_trio.dialects.messages.decode import MessagesStreamDecoder, parse_answer
from copilot_trio.dialects.messages.encode import MessagesStreamEncoder, render_answer
from copilot_trio.dialects.stream import StreamTranslator
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEEvent
from copilot_trio.turn import (
    AnswerContext,
    Event,
    Finished,
    Part,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    SearchHit,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Turn,
    Usage,
    WebSearch,
)

START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {"input_tokens": 3}}}
STOP = {"type": "message_stop"}
TOOL = {"type": "tool_use", "id": "c", "name": "f", "input": {}}
INPUT = {"type": "input_json_delta", "partial_json": "{}"}
WHOLE = [name for name in recorded_names("messages") if name != "error-event"]


def block(index: int, start: Mapping[str, object], *deltas: Mapping[str, object]) -> list[dict[str, object]]:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def ended(reason: str | None = "end_turn", **more: object) -> dict[str, object]:
    return {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None, **more}, "usage": {}}


def decode(events: list[SSEEvent]) -> list[Event]:
    decoder = MessagesStreamDecoder()
    out: list[Event] = []
    for event in events:
        out += decoder.feed(event)
        if decoder.complete:
            break
    return out + decoder.finish()


def said(*events: Mapping[str, object]) -> list[Event]:
    """The events between the start and the end."""
    made = [SSEEvent(msgspec.json.encode(event), str(event["type"])) for event in (START, *events, ended(), STOP)]
    found = decode(made)
    assert isinstance(found[0], Started)
    assert isinstance(found[-1], Finished)
    return found[1:-1]


def last(*events: object) -> Finished:
    found = decode([SSEEvent(msgspec.json.encode(event)) for event in (START, *events)])[-1]
    assert isinstance(found, Finished)
    return found


STARTED = Started("msg_vrtx_SYNTH0000000000000000", "claude-sonnet-4-6")


@pytest.mark.parametrize(
    ("name", "events"),
    [
        (
            "claude-thinking-text-tool",
            [
                ThinkingDelta("The user wants"),
                ThinkingDelta(" the file."),
                ThinkingSigned("RXNpZy1zeW50aGV0aWM="),
                TextDelta("Reading a.txt."),
                ToolCallStarted(0, "toolu_vrtx_SYNTH1", "read_file"),
                ToolCallDelta(0, '{"path": '),
                ToolCallDelta(0, '"a.txt"}'),
                Finished("tool_use", Usage(3, 326, 0, 18725, 41, 8262952500)),
            ],
        ),
        (
            "redacted-thinking",
            [
                ThinkingSigned("redacted:UkVEQUNURUQ="),
                Finished("tool_use", Usage(3, 326, 0, 18725, 41, 8262952500)),
            ],
        ),
        ("refusal", [RefusalDelta("e"), Finished("refusal", Usage(3, 3, 0, 18725))]),
        (
            "interleaved-thinking",
            [
                ThinkingDelta("First."),
                ThinkingSigned("U0lHMQ=="),
                TextDelta("One."),
                ThinkingDelta("Second."),
                ThinkingSigned("U0lHMg=="),
                TextDelta("Two."),
                Finished("end_turn", Usage(3, 40, 100)),
            ],
        ),
        (
            "parallel-tools",
            [
                TextDelta("Both ät once."),
                ToolCallStarted(0, "toolu_vrtx_SYNTH1", "read_file"),
                ToolCallDelta(0, '{"path"'),
                ToolCallDelta(0, ':"a.txt"}'),
                ToolCallStarted(1, "toolu_vrtx_SYNTH2", "read_file"),
                ToolCallDelta(1, '{"path":"b.txt"}'),
                ToolCallStarted(2, "toolu_vrtx_SYNTH3", "list"),
                ToolCallDelta(2, "{}"),
                Finished("tool_use", Usage(3, 40, 100, 0, 7)),
            ],
        ),
        (
            "web-search",
            [
                Searched(
                    WebSearch(
                        "srvtoolu_SYNTH1",
                        "trio nursery",
                        (SearchHit("https://trio.example/a", "Trio"), SearchHit("https://trio.example/b")),
                    )
                ),
                TextDelta("A nursery"),
                TextDelta(" is a scope."),
                Finished("end_turn", Usage(3, 40, 100)),
            ],
        ),
        ("tool-search", [TextDelta("Found it."), Finished("max_tokens", Usage(3, 40, 100))]),
    ],
)
def test_a_recorded_stream_is_read(name: str, events: list[Event]) -> None:
    assert decode(events_in(recorded(f"messages/{name}.sse"))) == [STARTED, *events]


def test_an_error_event_raises() -> None:
    with pytest.raises(UpstreamError, match="Overloaded"):
        decode(events_in(recorded("messages/error-event.sse")))


@pytest.mark.parametrize(
    "event",
    [
        SSEEvent(b'{"type":"error"}'),
        SSEEvent(b'{"error":{"message":"boom","code":"x"}}'),
        SSEEvent(b'{"error":"boom"}'),
        SSEEvent(b"not JSON", "error"),
        SSEEvent(b'{"message":"boom"}', "error"),
    ],
    ids=["no cause", "Copilot's own", "a string", "not JSON", "by its name"],
)
def test_an_error_of_any_shape_raises(event: SSEEvent) -> None:
    with pytest.raises(UpstreamError, match=r"in mid-answer|cannot read"):
        MessagesStreamDecoder().feed(event)


def test_half_of_a_surrogate_pair_is_no_gap() -> None:
    text = msgspec.json.encode({"type": "text_delta", "text": "a CUT b"}).replace(b"CUT", rb"\ud83d")
    events = [
        SSEEvent(b'{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}'),
        SSEEvent(b'{"type":"content_block_delta","index":0,"delta":%b}' % text),
    ]
    decoder = MessagesStreamDecoder()
    decoder.feed(events[0])
    assert decoder.feed(events[1]) == [TextDelta("a \ufffd b")]
    body = reply({"type": "text", "text": "CUT"}).replace(b"CUT", rb"\udc00")
    assert parse_answer(body).parts == (Text("\ufffd"),)


@pytest.mark.parametrize(
    "data",
    ["not JSON", "{", '{"type":5,', "[]", "5", '{"type":"ping"}', '{"type":"never_heard_of","index":{"odd":1}}', "{}",
     '{"type":"content_block_delta"}', '{"type":"content_block_delta","index":0,"delta":{"type":"new_delta"}}'],
)  # fmt: skip
def test_events_that_say_nothing_are_passed_over(data: str) -> None:
    odd = SSEEvent(data.encode())
    text = [SSEEvent(msgspec.json.encode(event)) for event in block(0, {"type": "text", "text": ""})]
    decoder = MessagesStreamDecoder()
    decoder.feed(text[0])
    assert decoder.feed(odd) == []


@pytest.mark.parametrize(
    "event",
    [
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ["a"]}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": 5}},
        {"type": "content_block_start", "index": "x", "content_block": {}},
        {"type": "message_delta", "delta": {"stop_reason": 5}},
    ],
    ids=["delta", "block", "index", "stop reason"],
)
def test_an_event_that_cannot_be_read_is_never_a_silent_gap(event: object) -> None:
    with pytest.raises(UpstreamError, match="cannot read"):
        MessagesStreamDecoder().feed(SSEEvent(msgspec.json.encode(event)))


def test_what_a_block_begins_with_is_said() -> None:
    assert said(
        *block(0, {"type": "thinking", "thinking": "h", "signature": "s"}),
        *block(1, {"type": "text", "text": "t"}, {"type": "text_delta", "text": "u"}),
        *block(2, {"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1}},
               {"type": "input_json_delta", "partial_json": '{"a":1}'}),
    ) == [
        ThinkingDelta("h"),
        ThinkingSigned("s"),
        TextDelta("t"),
        TextDelta("u"),
        ToolCallStarted(0, "c", "f"),
        ToolCallDelta(0, '{"a":1}'),
    ]  # fmt: skip


def test_a_call_without_input_has_an_empty_one_however_it_ends() -> None:
    silent = block(0, TOOL, {"type": "input_json_delta", "partial_json": ""})
    expected = [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}"), TextDelta("t")]
    assert said(*silent, *block(1, {"type": "text", "text": "t"})) == expected
    assert said(*silent[:-1], *block(1, {"type": "text", "text": "t"})) == expected


@pytest.mark.parametrize("raw", [{"type": "content_block_start", "index": 0}, {
    "type": "content_block_start", "index": 0, "content_block": "odd"}], ids=["absent", "no object"])  # fmt: skip
def test_a_block_of_nothing_says_nothing(raw: dict[str, object]) -> None:
    assert said(raw) == []


def test_a_block_that_we_do_not_know_is_passed_over_with_its_deltas() -> None:
    unknown = block(0, {"type": "mcp_tool_use", "input": 5}, {"type": "input_json_delta", "partial_json": "{}"})
    assert said(*unknown, *block(1, {"type": "text", "text": "t"})) == [TextDelta("t")]


WORDS = {"type": "text_delta", "text": "t"}


@pytest.mark.parametrize(
    "events",
    [
        [*block(0, TOOL, INPUT), {"type": "content_block_delta", "index": 0, "delta": INPUT}],
        [*block(0, TOOL)[:1], *block(1, {"type": "text", "text": ""}, WORDS)[:2], *block(0, TOOL, INPUT)[1:]],
        block(0, TOOL, WORDS),
        block(0, {"type": "text", "text": ""}, INPUT),
    ],
    ids=["after its end", "after another's start", "text in a call", "input in a text"],
)
def test_blocks_that_are_mixed_up_are_an_error(events: list[dict[str, object]]) -> None:
    with pytest.raises(UpstreamError, match=r"upstream (mixed|sent a)"):
        said(*events)


@pytest.mark.parametrize(
    ("content", "search"),
    [
        ([{"type": "web_search_result", "url": "u", "title": "t"}], WebSearch("s", "q", (SearchHit("u", "t"),))),
        ([], WebSearch("s", "q")),
        ({"type": "web_search_tool_result_error", "error_code": "e"}, WebSearch("s", "q", error="e")),
        ("odd", WebSearch("s", "q")),
    ],
    ids=["hits", "nothing", "failure", "odd"],
)
def test_a_search_is_told_with_what_it_found(content: object, search: WebSearch) -> None:
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "q"}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": content}
    assert said(*block(0, use), *block(1, result)) == [Searched(search)]
    body = {"content": [use, result], "stop_reason": "end_turn"}
    assert parse_answer(msgspec.json.encode(body)).parts == (search,)


def test_a_search_whose_query_was_cut_off_is_told_without_it() -> None:
    use = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}}
    result = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}
    half = {"type": "input_json_delta", "partial_json": '{"query":"tr'}
    assert said(*block(0, use, half), *block(1, result)) == [Searched(WebSearch("s", ""))]


# ---- the end


@pytest.mark.parametrize(
    ("stop", "reason"),
    [
        ("end_turn", "end_turn"),
        ("pause_turn", "end_turn"),
        ("tool_use", "tool_use"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("stop_sequence", "stop_sequence"),
        ("refusal", "refusal"),
        ("never_heard_of", "end_turn"),
        (None, "end_turn"),
    ],
)
def test_a_stop_reason_is_read(stop: str | None, reason: str) -> None:
    assert last(ended(stop), STOP).reason == reason


def test_an_answer_with_a_call_stops_for_it_whatever_upstream_says() -> None:
    assert last(*block(0, TOOL), ended("end_turn"), STOP).reason == "tool_use"
    assert last(*block(0, TOOL), ended("max_tokens"), STOP).reason == "max_tokens"


@pytest.mark.parametrize(
    "events",
    [[], [START], [START, *block(0, TOOL, INPUT)], [START, ended(None)]],
    ids=["nothing", "start", "content", "a delta without a reason"],
)
@pytest.mark.parametrize("done", [False, True], ids=["cut", "DONE"])
def test_a_stream_without_an_end_is_truncated(events: list[object], *, done: bool) -> None:
    made = [SSEEvent(msgspec.json.encode(event)) for event in events] + [SSEEvent(b"[DONE]")] * done
    with pytest.raises(StreamTruncated):
        decode(made)


def test_a_reason_is_end_enough() -> None:
    assert last(ended("end_turn")).reason == "end_turn"


@pytest.mark.parametrize("end", [b'{"type":"message_stop"}', b"[DONE]"], ids=["message_stop", "DONE"])
def test_the_terminal_event_completes(end: bytes) -> None:
    decoder = MessagesStreamDecoder()
    decoder.feed(SSEEvent(msgspec.json.encode(START)))
    assert not decoder.complete
    decoder.feed(SSEEvent(end))
    assert decoder.complete


def test_an_answer_without_message_start_starts_all_the_same() -> None:
    text = [SSEEvent(msgspec.json.encode(event)) for event in [*block(0, {"type": "text", "text": "t"}), STOP]]
    assert decode(text) == [Started("", ""), TextDelta("t"), Finished("end_turn", Usage())]


def test_usage_is_put_together_from_start_and_end() -> None:
    begun = {"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 4, "output_tokens": 1}
    delta = ended() | {
        "usage": {"output_tokens": 9, "output_tokens_details": {"thinking_tokens": 2}},
        "copilot_usage": {"total_nano_aiu": 7},
    }
    finished = last({"type": "message_start", "message": {"usage": begun}}, delta, STOP)
    assert finished.usage == Usage(3, 9, 0, 0, 2, 7)  # the helper's own start came first
    decoder = MessagesStreamDecoder()
    decoder.feed(SSEEvent(msgspec.json.encode({"type": "message_start", "message": {"usage": begun}})))
    decoder.feed(SSEEvent(msgspec.json.encode(delta)))
    assert decoder.finish() == [Finished("end_turn", Usage(3, 9, 10, 4, 2, 7))]


# ---- through the encoder and back


def translate(chunks: list[bytes]) -> bytes:
    """What a client of the same dialect would get, the error's own bytes left out."""
    relay = StreamTranslator(MessagesStreamDecoder(), MessagesStreamEncoder(AnswerContext("claude-asked")))
    out = b""
    try:
        for chunk in chunks:
            out += relay.feed(chunk)
        return out + relay.finish()
    except UpstreamError as error:
        return out + error.partial


@pytest.mark.parametrize("name", recorded_names("messages"))
def test_a_recorded_stream_is_rewritten_as_recorded(name: str) -> None:
    check_recorded(f"messages-to-messages/{name}.sse", translate([recorded(f"messages/{name}.sse")]))


@pytest.mark.parametrize("name", WHOLE)
def test_a_rewritten_stream_says_the_same(name: str) -> None:
    before = decode(events_in(recorded(f"messages/{name}.sse")))
    after = decode(events_in(translate([recorded(f"messages/{name}.sse")])))
    assert _kept(before) == _kept(after)


def _kept(events: list[Event]) -> list[object]:
    """Anthropic says refusals as text, and neither the names we changed nor what they cost us."""
    kept: list[object] = [TextDelta(e.text) if isinstance(e, RefusalDelta) else e for e in events[1:-1]]
    return [*kept, events[-1].reason] if isinstance(events[-1], Finished) else kept


@pytest.mark.parametrize("name", recorded_names("messages"))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_translation(name: str, data: st.DataObject) -> None:
    stream = recorded(f"messages/{name}.sse")
    assert translate(data.draw(cuttings(stream))) == translate([stream])


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_stream_cut_off_anywhere_ends_once_or_raises(name: str, data: st.DataObject) -> None:
    stream = recorded(f"messages/{name}.sse")
    cut = translate([stream[: data.draw(st.integers(0, len(stream)))]])
    assert cut.count(b"event: message_stop") <= 1
    assert translate([stream]).startswith(cut) or b"event: message_stop" in cut


# ---- whole replies


def reply(*content: object, reason: str | None = "end_turn", **more: object) -> bytes:
    return msgspec.json.encode({"id": "msg_1", "model": "m", "content": content, "stop_reason": reason, **more})


@pytest.mark.parametrize(
    ("content", "parts", "reason"),
    [
        ([{"type": "text", "text": "t"}], [Text("t")], "end_turn"),
        ([{"type": "text", "text": ""}, {"type": "never_heard_of", "text": 5}], [], "end_turn"),
        (
            [{"type": "thinking", "thinking": "h", "signature": "s"}, {"type": "redacted_thinking", "data": "d"}],
            [Thinking("h", "s"), RedactedThinking("d")],
            "end_turn",
        ),
        (
            [{"type": "tool_use", "id": "c", "name": "f", "input": {"a": 1.50}}],
            [ToolCall("c", "f", '{"a":1.5}')],
            "tool_use",
        ),
        ([{"type": "tool_use", "id": "c", "name": "f", "input": {}}], [ToolCall("c", "f", "{}")], "tool_use"),
    ],
    ids=["text", "nothing", "thinking", "call", "call without input"],
)
def test_a_whole_reply_is_read(content: list[object], parts: list[Part], reason: str) -> None:
    turn = parse_answer(reply(*content))
    assert (list(turn.parts), turn.reason, turn.id, turn.model) == (parts, reason, "msg_1", "m")


def test_a_whole_refusal_says_why() -> None:
    turn = parse_answer(reply(reason="refusal", stop_details={"category": None, "explanation": "e"}))
    assert (turn.parts, turn.reason) == ((Refusal("e"),), "refusal")


def test_a_whole_replys_usage_is_read() -> None:
    usage = {"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": 3, "cache_creation_input_tokens": 4}
    body = reply(usage=usage, copilot_usage={"total_nano_aiu": 7})
    assert parse_answer(body).usage == Usage(1, 2, 3, 4, nano_aiu=7)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        reply(reason=None),
        reply({"type": "text", "text": 5}),
        b'{"type":"error","error":{"type":"overloaded_error","message":"m"}}',
        b'{"error":"m"}',
    ],
    ids=["nothing", "HTML", "a list", "empty", "no stop reason", "odd text", "error", "error text"],
)
def test_what_is_no_answer_is_an_error(body: bytes) -> None:
    with pytest.raises(UpstreamError):
        parse_answer(body)


PARTS = st.one_of(
    st.builds(Text, st.text(min_size=1)),
    st.builds(Thinking, st.text(min_size=1), st.sampled_from(["", "c2ln"])),
    st.builds(RedactedThinking, st.sampled_from(["ZA==", "ZQ=="])),
    st.builds(ToolCall, st.from_regex(r"\A[a-zA-Z0-9_-]{1,9}\Z"), st.just("f"), st.sampled_from(["{}", '{"a":[1]}'])),
    st.builds(WebSearch, st.just("srvtoolu_1"), st.text(), st.just((SearchHit("https://x", "X"),))),
)


@given(st.lists(PARTS, max_size=6))
def test_a_whole_reply_survives_being_written_and_read(parts: list[Part]) -> None:
    reason: StopReason = "tool_use" if any(isinstance(part, ToolCall) for part in parts) else "end_turn"
    turn = Turn("msg_1", "m", tuple(parts), reason, Usage(1, 2, 3, 4))
    assert parse_answer(render_answer(turn, AnswerContext("m"))) == turn
