"""Turn events as Responses streams: recordings compared byte for byte, and what strict clients need of every stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, events_in, recorded, recorded_names

from copilot_trio.dialects.chat.decode import ChatStreamDecoder
from copilot_trio.dialects.messages.decode import MessagesStreamDecoder
from copilot_trio.dialects.responses.decode import ResponsesStreamDecoder, parse_answer
from copilot_trio.dialects.responses.encode import ResponsesStreamEncoder, render_answer
from copilot_trio.dialects.responses.parse import parse_request
from copilot_trio.dialects.stream import StreamDecoder, StreamTranslator
from copilot_trio.errors import UpstreamError
from copilot_trio.turn import (
    AnswerContext,
    Conversation,
    Event,
    Finished,
    Part,
    Reasoning,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    SearchHit,
    Started,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    ToolChoice,
    Turn,
    Usage,
    WebSearch,
)

JSON = dict[str, Any]
CONTEXT = AnswerContext("asked", 1790000000, "5eed")
TEXT = TextDelta("t")
ENDS = Finished("end_turn", Usage())
SEARCH = WebSearch("up", "q", (SearchHit("https://a.example", "A"),))


def encode(*events: Event, context: AnswerContext = CONTEXT) -> list[JSON]:
    """The events between ``Started`` and ``Finished``, as a client reads them."""
    encoder = ResponsesStreamEncoder(context)
    return read(b"".join(encoder.feed(event) for event in [Started("up", "up"), *events]))


def read(stream: bytes) -> list[JSON]:
    found = []
    for event in events_in(stream):
        body = msgspec.json.decode(event.data)
        assert event.name == body["type"]
        found.append(body)
    return found


def kinds(events: list[JSON]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]


def check_stream(events: list[JSON], *, whole: bool = True) -> None:
    """What the accumulators of OpenAI's SDKs rely on, and that all of it adds up to the last event."""
    assert [event["sequence_number"] for event in events] == list(range(len(events)))
    assert kinds(events[:2]) == ["created", "in_progress"]
    items: list[JSON] = []
    current: JSON | None = None
    part: str | None = None
    written, parts = "", 0
    for event in events[2 : -1 if whole else None]:
        match event["type"].removeprefix("response.").split("."):
            case ["output_item", "added"]:
                assert current is None
                assert event["output_index"] == len(items)
                current, parts = event["item"], 0
                written = ""
            case ["output_item", "done"]:
                assert current is not None
                assert part is None
                assert (event["output_index"], event["item"]["id"]) == (len(items), current["id"])
                assert event["item"]["type"] == current["type"]
                shown = event["item"].get("content", event["item"].get("summary"))
                assert shown is None or len(shown) == parts
                items.append(event["item"])
                current = None
            case [("content_part" | "reasoning_summary_part"), "added"]:
                assert part is None
                assert event.get("content_index", event.get("summary_index")) == parts
                part, written = event["part"]["type"], ""
            case [("content_part" | "reasoning_summary_part"), "done"]:
                assert event["part"].get("text", event["part"].get("refusal")) == written
                part = None
                parts += 1
            case [_, "delta"]:
                written += event["delta"]
            case [_, "done"]:
                whole_text = next(event[key] for key in ("text", "refusal", "arguments", "input") if key in event)
                assert whole_text == written
        if current is not None and "item" not in event:
            assert (event["item_id"], event["output_index"]) == (current["id"], len(items))
    if whole:
        assert current is None
        last = events[-1]
        assert last["type"] == f"response.{last['response']['status']}"
        assert last["type"] in {"response.completed", "response.incomplete"}
        assert last["response"]["output"] == items
        assert len({item["id"] for item in items}) == len(items)
    ids = {event["response"]["id"] for event in events if "response" in event}
    assert ids == {"resp_5eed"}


STREAMS = [(dialect, name) for dialect in ("chat", "messages") for name in recorded_names(dialect)]
FAILING = {"error-frame", "truncated", "error-event"}
DECODERS: dict[str, Callable[[], StreamDecoder]] = {"chat": ChatStreamDecoder, "messages": MessagesStreamDecoder}


def translate(dialect: str, chunks: list[bytes]) -> bytes:
    relay = StreamTranslator(DECODERS[dialect](), ResponsesStreamEncoder(CONTEXT))
    out = b""
    try:
        for chunk in chunks:
            out += relay.feed(chunk)
        return out + relay.finish()
    except UpstreamError as error:
        return out + error.partial


@pytest.mark.parametrize(("dialect", "name"), STREAMS)
def test_a_recorded_stream_translates_as_recorded(dialect: str, name: str) -> None:
    stream = translate(dialect, [recorded(f"{dialect}/{name}.sse")])
    check_recorded(f"{dialect}-to-responses/{name}.sse", stream)
    check_stream(read(stream), whole=name not in FAILING)


@pytest.mark.parametrize(("dialect", "name"), STREAMS)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_translation(dialect: str, name: str, data: st.DataObject) -> None:
    stream = recorded(f"{dialect}/{name}.sse")
    assert translate(dialect, data.draw(cuttings(stream))) == translate(dialect, [stream])


CALLS = st.lists(st.sampled_from(['{"a":', "1}", "{}"]), max_size=3)
PLAIN: list[Event] = [TextDelta("t"), RefusalDelta("no"), ThinkingDelta("h"), ThinkingSigned("s"), Searched(SEARCH)]


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = []
    calls = 0
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            events.append(draw(st.sampled_from(PLAIN)))
        else:
            events.append(ToolCallStarted(calls, f"call_{calls}", "f", custom=draw(st.booleans())))
            events += [ToolCallDelta(calls, arguments) for arguments in draw(CALLS)]
            calls += 1
    reason = draw(st.sampled_from(["end_turn", "max_tokens", "refusal", "tool_use", "stop_sequence"]))
    return [*events, Finished(reason, Usage(1, 2, 3, 4, 5))]  # type: ignore[arg-type]


@settings(max_examples=300, deadline=None)
@given(turns())
def test_every_turn_is_a_stream_that_strict_clients_take(events: list[Event]) -> None:
    check_stream(encode(*events))


@settings(max_examples=200, deadline=None)
@given(turns())
def test_our_own_decoder_reads_back_what_was_said(events: list[Event]) -> None:
    encoder, decoder = ResponsesStreamEncoder(CONTEXT), ResponsesStreamDecoder()
    stream = b"".join(encoder.feed(event) for event in [Started("up", "up"), *events])
    back = [turn for event in events_in(stream) for turn in decoder.feed(event)] + decoder.finish()
    assert spoken(back) == spoken(events)
    assert isinstance(back[-1], Finished)
    assert back[-1].usage == Usage(1, 2, 3, 4, 5)


def spoken(events: list[Event]) -> tuple[list[str], ...]:
    """Calls, their arguments, and words, pieces put together; blank lines go between what are several items."""
    calls = [f"{event.id} {event.name} {event.custom}" for event in events if isinstance(event, ToolCallStarted)]
    arguments = [""] * len(calls)
    for event in events:
        if isinstance(event, ToolCallDelta):
            arguments[event.index] += event.arguments
    for event in events:
        if isinstance(event, ToolCallStarted) and not event.custom:
            arguments[event.index] = arguments[event.index] or "{}"
    words = [
        "".join(event.text for event in events if isinstance(event, kind)).replace("\n\n", "")
        for kind in (TextDelta, RefusalDelta, ThinkingDelta)
    ]
    return calls, arguments, words


# ---- single shapes


def test_a_text_is_a_message_with_one_part() -> None:
    events = encode(TextDelta("Hel"), TextDelta("lo"), ENDS)
    assert kinds(events) == [
        "created", "in_progress", "output_item.added", "content_part.added", "output_text.delta", "output_text.delta",
        "output_text.done", "content_part.done", "output_item.done", "completed",
    ]  # fmt: skip
    assert events[4] == {
        "type": "response.output_text.delta",
        "item_id": "msg_5eed0",
        "output_index": 0,
        "content_index": 0,
        "logprobs": [],
        "delta": "Hel",
        "sequence_number": 4,
    }
    assert events[-1]["response"]["output"] == [
        {
            "id": "msg_5eed0",
            "type": "message",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ]


def test_a_refusal_is_a_part_of_its_own() -> None:
    events = encode(TextDelta("a"), RefusalDelta("no"), ENDS)
    (message,) = events[-1]["response"]["output"]
    assert message["content"][1] == {"type": "refusal", "refusal": "no"}
    assert {"refusal.delta", "refusal.done"} <= set(kinds(events))


@pytest.mark.parametrize(
    ("call", "field", "item_id"),
    [
        (ToolCallStarted(0, "call_1", "f"), "arguments", "fc_5eed0"),
        (ToolCallStarted(0, "call_1", "f", custom=True), "input", "ctc_5eed0"),
    ],
    ids=["function", "freeform"],
)
def test_a_call_is_of_its_tools_kind(call: ToolCallStarted, field: str, item_id: str) -> None:
    events = encode(call, ToolCallDelta(0, "{"), ToolCallDelta(0, "}"), Finished("tool_use", Usage()))
    kind = "custom_tool_call" if call.custom else "function_call"
    stem = f"{kind}_{field}"
    assert kinds(events)[2:] == [
        "output_item.added", f"{stem}.delta", f"{stem}.delta", f"{stem}.done", "output_item.done", "completed"
    ]  # fmt: skip
    done = {"id": item_id, "type": kind, "status": "completed", "call_id": "call_1", "name": "f", field: "{}"}
    assert events[-1]["response"]["output"] == [done]
    assert events[2]["item"] == done | {field: "", "status": "in_progress"}


def test_a_namespace_stands_beside_the_name() -> None:
    events = encode(ToolCallStarted(0, "c", "f", namespace="n"), ENDS)
    assert events[-1]["response"]["output"][0]["namespace"] == "n"


@pytest.mark.parametrize(
    ("signature", "content"),
    [
        ("a+/=", "foreign:a+/="),
        ("content@id", "content@id"),
        ("", None),
    ],
    ids=["another's", "a Responses model's", "none"],
)
def test_the_proof_is_the_encrypted_content(signature: str, content: str | None) -> None:
    events = encode(ThinkingDelta("h"), ThinkingSigned(signature), ENDS)
    (thought,) = events[-1]["response"]["output"]
    assert thought["encrypted_content"] == content
    assert thought["summary"] == [{"type": "summary_text", "text": "h"}]
    assert thought["id"] == "rs_5eed0"


def test_another_models_proof_comes_back_to_us_as_it_was() -> None:
    (thought,) = encode(ThinkingDelta("h"), ThinkingSigned("a+/="), ENDS)[-1]["response"]["output"]
    asked = {"model": "m", "input": [{"role": "user", "content": "q"}, thought]}
    replayed = parse_request(msgspec.json.encode(asked)).messages[-1]
    assert replayed.parts == (Thinking("h", "a+/="),)


def test_each_signature_ends_an_item() -> None:
    events = encode(
        ThinkingDelta("a"), ThinkingSigned("1"), ThinkingSigned("2"), ThinkingDelta("b"), TextDelta("t"), ENDS
    )
    output = events[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "reasoning", "message"]
    assert [item.get("encrypted_content") for item in output] == ["foreign:1", "foreign:2", None, None]
    assert output[1]["summary"] == []


@pytest.mark.parametrize("error", ["", "unavailable"])
def test_a_search_tells_what_it_found(error: str) -> None:
    events = encode(Searched(WebSearch("up", "q", SEARCH.hits, error)), ENDS)
    assert ("web_search_call.completed" in kinds(events)) is not bool(error)
    (search,) = events[-1]["response"]["output"]
    assert search == {
        "id": "ws_5eed0",
        "type": "web_search_call",
        "status": "completed",
        "action": {
            "type": "search",
            "query": "q",
            "queries": ["q"],
            "sources": [{"type": "url", "url": "https://a.example", "title": "A"}],
        },
    }


@pytest.mark.parametrize(
    ("reason", "status", "details"),
    [
        ("end_turn", "completed", None),
        ("tool_use", "completed", None),
        ("stop_sequence", "completed", None),
        ("max_tokens", "incomplete", {"reason": "max_output_tokens"}),
        ("refusal", "incomplete", {"reason": "content_filter"}),
    ],
)
def test_a_stop_reason_is_a_status(reason: Any, status: str, details: object) -> None:
    events = encode(TextDelta("a"), Finished(reason, Usage()))
    response = events[-1]["response"]
    assert (response["status"], response["incomplete_details"]) == (status, details)
    assert response["output"][0]["status"] == status


def test_the_response_has_what_the_sdks_expect() -> None:
    asked = Conversation(
        (),
        tool_choice=ToolChoice("tool", "f"),
        parallel_tools=False,
        temperature=0.5,
        max_tokens=9,
        reasoning=Reasoning(effort="low"),
    )
    first = encode(context=AnswerContext("asked", 1790000000, "5eed", asked))[0]["response"]
    assert first == {
        "id": "resp_5eed",
        "object": "response",
        "created_at": 1790000000,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": 9,
        "metadata": {},
        "model": "asked",
        "output": [],
        "parallel_tool_calls": False,
        "previous_response_id": None,
        "reasoning": {"effort": "low", "summary": None},
        "store": False,
        "temperature": 0.5,
        "text": {"format": {"type": "text"}},
        "tool_choice": {"type": "function", "name": "f"},
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None,
        "user": None,
    }


@pytest.mark.parametrize(("mode", "shown"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_a_tool_choice_has_openais_words(mode: Any, shown: str) -> None:
    asked = Conversation((), tool_choice=ToolChoice(mode))
    assert encode(context=AnswerContext("m", 0, "5eed", asked))[0]["response"]["tool_choice"] == shown


def test_usage_counts_the_cache_among_the_input() -> None:
    assert encode(Finished("end_turn", Usage(10, 20, 30, 40, 5)))[-1]["response"]["usage"] == {
        "input_tokens": 80,
        "input_tokens_details": {"cached_tokens": 30, "cache_write_tokens": 40},
        "output_tokens": 20,
        "output_tokens_details": {"reasoning_tokens": 5},
        "total_tokens": 100,
    }


def test_every_line_end_within_a_text_stays_in_its_event() -> None:
    text = 'a\nb\r\nc\r"\\\u2028 é'
    assert encode(TextDelta(text), ENDS)[4]["delta"] == text


# ---- whole answers

PARTS: tuple[Part, ...] = (
    Thinking("h", "s"),
    Thinking("", "t"),
    Thinking("unsigned"),
    RedactedThinking("d"),
    Text("a"),
    Text("b"),
    Refusal("no"),
    ToolCall("call_1", "f", '{"a": 1}'),
    ToolCall("call_2", "g", "raw", custom=True, namespace="n"),
    SEARCH,
)


def test_a_whole_answer_has_its_items_in_order() -> None:
    turn = Turn("up", "up", PARTS, "tool_use", Usage(1, 2))
    answer = msgspec.json.decode(render_answer(turn, CONTEXT))
    assert [item["id"] for item in answer["output"]] == [
        "rs_5eed0", "rs_5eed1", "rs_5eed2", "rs_5eed3", "msg_5eed4", "fc_5eed5", "ctc_5eed6", "ws_5eed7",
    ]  # fmt: skip
    assert [item.get("encrypted_content") for item in answer["output"][:4]] == [
        "foreign:s",
        "foreign:t",
        None,
        "foreign:redacted:d",
    ]
    assert [part["type"] for part in answer["output"][4]["content"]] == ["output_text", "refusal"]
    assert (answer["status"], answer["model"], answer["usage"]["total_tokens"]) == ("completed", "asked", 3)


def test_a_whole_answer_is_what_its_stream_ends_with() -> None:
    events: list[Event] = [ThinkingDelta("h"), ThinkingSigned("s"), TextDelta("t"), Finished("max_tokens", Usage(1, 2))]
    turn = Turn("up", "up", (Thinking("h", "s"), Text("t")), "max_tokens", Usage(1, 2))
    assert msgspec.json.decode(render_answer(turn, CONTEXT)) == encode(*events)[-1]["response"]


def test_our_own_parser_reads_a_whole_answer_back() -> None:
    parts = (Text("a"), Refusal("no"), ToolCall("call_1", "f", "{}"), ToolCall("call_2", "g", "raw", custom=True))
    turn = Turn("resp_5eed", "asked", parts, "tool_use", Usage(1, 2, 3, 4, 1))
    assert parse_answer(render_answer(turn, CONTEXT)) == turn


def test_an_empty_thought_is_none() -> None:
    turn = Turn("", "", (Thinking(""), Text("t")), "end_turn", Usage())
    assert [item["type"] for item in msgspec.json.decode(render_answer(turn, CONTEXT))["output"]] == ["message"]
