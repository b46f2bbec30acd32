from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, data_in, events_in, recorded, recorded_names

from copilot_trio.dialects.chat.encode import ChatStreamEncoder
from copilot_trio.dialects.messages.encode import MessagesStreamEncoder
from copilot_trio.dialects.responses.decode import ResponsesStreamDecoder, parse_answer
from copilot_trio.dialects.responses.wire_out import CopilotUsage, Response, usage_of
from copilot_trio.dialects.stream import StreamEncoder, StreamTranslator
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEEvent
from copilot_trio.turn import (
    AnswerContext,
    Event,
    Finished,
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
    Usage,
    WebSearch,
)

FAILING = {"cancelled", "contradiction", "error-event", "failed", "nested-error", "truncated"}
NAMES = recorded_names("responses")
WHOLE = [name for name in NAMES if name not in FAILING]
USED = Usage(195, 105, 1024, 0, 44, 150325000)
HITS = (SearchHit("https://trio.example/docs", "Trio"), SearchHit("https://notes.example/a?b=c", "Notes"))


def decode(stream: bytes) -> list[Event]:
    decoder = ResponsesStreamDecoder()
    return [turn for event in events_in(stream) for turn in decoder.feed(event)] + decoder.finish()


def said(name: str) -> list[Event]:
    """The events of a recording between its start and its end."""
    events = decode(recorded(f"responses/{name}.sse"))
    assert isinstance(events[0], Started)
    assert isinstance(events[-1], Finished)
    return events[1:-1]


def finished(name: str) -> Finished:
    event = decode(recorded(f"responses/{name}.sse"))[-1]
    assert isinstance(event, Finished)
    return event


def stream(*events: object) -> bytes:
    return b"".join(b"data: %b\n\n" % msgspec.json.encode(event) for event in events)


def completed(*output: object, **more: object) -> dict[str, object]:
    return {"type": "response.completed", "response": {"id": "r", "model": "m", "output": output, **more}}


def delta(kind: str, text: str, index: int = 0) -> dict[str, object]:
    return {"type": f"response.{kind}.delta", "delta": text, "output_index": index}


def item(event: str, index: int, kind: str, **fields: object) -> dict[str, object]:
    return {"type": f"response.output_item.{event}", "output_index": index, "item": {"type": kind, **fields}}


ENCODERS: dict[str, Callable[[AnswerContext], StreamEncoder]] = {
    "messages": MessagesStreamEncoder,
    "chat": ChatStreamEncoder,
}


def translator(dialect: str = "messages") -> StreamTranslator:
    return StreamTranslator(
        ResponsesStreamDecoder(), ENCODERS[dialect](AnswerContext("asked", 1790000000, seed="5eed"))
    )


def translate(chunks: list[bytes], dialect: str = "messages") -> bytes:
    """What the client gets, the error's own bytes left out."""
    relay = translator(dialect)
    out = b""
    try:
        for chunk in chunks:
            out += relay.feed(chunk)
        return out + relay.finish()
    except UpstreamError as error:
        return out + error.partial


# ---- recordings


@pytest.mark.parametrize("dialect", ENCODERS)
@pytest.mark.parametrize("name", NAMES)
def test_a_recorded_stream_translates_as_recorded(name: str, dialect: str) -> None:
    check_recorded(f"responses-to-{dialect}/{name}.sse", translate([recorded(f"responses/{name}.sse")], dialect))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_translation(name: str, data: st.DataObject) -> None:
    whole = recorded(f"responses/{name}.sse")
    assert translate(data.draw(cuttings(whole))) == translate([whole])


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_stream_cut_off_anywhere_is_truncated_or_whole(name: str, data: st.DataObject) -> None:
    whole = recorded(f"responses/{name}.sse")
    relay = translator()
    cut = whole[: data.draw(st.integers(0, len(whole)))]
    relay.feed(cut)
    if relay.complete:
        assert translate([cut]) == translate([whole])
        return
    try:
        relay.finish()
    except StreamTruncated:
        assert translate([whole]).startswith(translate([cut]))
    else:
        assert translate([cut]) == translate([whole])


@pytest.mark.parametrize("name", NAMES)
def test_calls_never_interleave_and_the_turn_starts_and_ends_once(name: str) -> None:
    decoder = ResponsesStreamDecoder()
    events: list[Event] = []
    try:
        for event in events_in(recorded(f"responses/{name}.sse")):
            events += decoder.feed(event)
        events += decoder.finish()
    except UpstreamError:
        assert name in FAILING
    else:
        assert name not in FAILING
        assert isinstance(events[-1], Finished)
        assert decoder.complete
    assert [at for at, event in enumerate(events) if isinstance(event, Started)] == [0]
    calls = -1
    for before, turn in pairwise(events):
        if isinstance(turn, ToolCallStarted):
            calls += 1
            assert turn.index == calls
        if isinstance(turn, ToolCallDelta):
            assert isinstance(before, ToolCallStarted | ToolCallDelta)
            assert turn.index == before.index == calls


def test_text_and_its_summary_come_piece_by_piece() -> None:
    assert said("text-with-summary") == [
        ThinkingDelta("**Greeting**"),
        TextDelta("Hello"),
        TextDelta(" there"),
        TextDelta("."),
    ]
    assert finished("text-with-summary") == Finished("end_turn", USED)


def test_the_proof_is_the_pair_of_the_done_event() -> None:
    done = next(event for event in data_in(recorded("responses/reasoning-then-call.sse"))
                if event["type"] == "response.output_item.done")  # fmt: skip
    pair = done["item"]
    assert isinstance(pair, dict)
    assert said("reasoning-then-call") == [
        ThinkingSigned(f"CIPHER-DONE-keep-this@{pair['id']}"),
        ToolCallStarted(0, "call_SYNTH1", "read_file"),
        ToolCallDelta(0, '{"path":'),
        ToolCallDelta(0, '"a.txt"}'),
    ]
    assert finished("reasoning-then-call").reason == "tool_use"


def test_a_blank_line_goes_between_parts_of_a_summary() -> None:
    thoughts = [event.text for event in said("summary-parts") if isinstance(event, ThinkingDelta)]
    assert "".join(thoughts) == "**First**\n\nLook.\n\n**Second**\n\nThink."


def test_a_blank_line_goes_between_two_messages() -> None:
    assert said("commentary-then-answer") == [TextDelta("Looking."), TextDelta("\n\nFound"), TextDelta(" it.")]


def test_calls_that_upstream_mixes_come_one_after_the_other() -> None:
    assert said("interleaved-calls") == [
        ToolCallStarted(0, "call_SYNTH1", "read_file"),
        ToolCallDelta(0, '{"path":'),
        ToolCallDelta(0, '"a.txt"}'),
        ToolCallStarted(1, "call_SYNTH2", "list_dir"),
        ToolCallDelta(1, '{"dir":'),
        ToolCallDelta(1, '"b"}'),
    ]


def test_freeform_calls_and_namespaces() -> None:
    assert said("custom-call")[0] == ToolCallStarted(0, "call_SYNTH1", "apply_patch", custom=True)
    assert said("namespaced-calls") == [
        ToolCallStarted(0, "call_SYNTH1", "spawn_agent", namespace="multi_agent_v1"),
        ToolCallDelta(0, '{"task":"x"}'),
        ToolCallStarted(1, "call_SYNTH2", "exec", custom=True, namespace="functions"),
        ToolCallDelta(1, "text('hi')"),
    ]


def test_a_refusal_is_told_from_text() -> None:
    assert said("refusal") == [RefusalDelta("I can't"), RefusalDelta(" help with that.")]
    assert finished("refusal").reason == "end_turn"


def test_a_search_has_what_the_text_cites_and_opening_a_page_is_none() -> None:
    *texts, searched = said("web-search")
    assert texts == [TextDelta("Trio"), TextDelta(" has"), TextDelta(" nurseries.")]
    assert isinstance(searched, Searched)
    assert (searched.search.query, searched.search.hits) == ("trio nursery", HITS)


def test_what_the_deltas_left_out_comes_from_the_done_events() -> None:
    assert said("missing-tails") == [
        TextDelta("Hello"),
        TextDelta(" there."),
        ToolCallStarted(0, "call_SYNTH1", "read_file"),
        ToolCallDelta(0, '{"path":'),
        ToolCallDelta(0, '"a.txt"}'),
    ]


def test_ciphertext_is_held_back_for_the_arguments_themselves() -> None:
    assert said("cipher-deltas") == [
        ToolCallStarted(0, "call_SYNTH1", "read_file"),
        ToolCallDelta(0, '{"path":"a.txt"}'),
    ]


def test_arguments_that_were_handed_on_cannot_be_taken_back() -> None:
    with pytest.raises(UpstreamError, match="took back the arguments"):
        decode(recorded("responses/contradiction.sse"))


def test_items_without_deltas_are_said_when_they_are_done() -> None:
    events = said("only-done-items")
    assert events[0] == ThinkingDelta("**Plan**")
    assert isinstance(events[1], ThinkingSigned)
    assert events[2:] == [TextDelta("Hello.")]


def test_what_only_the_last_event_carries_is_said_at_the_end() -> None:
    assert said("only-completed") == [
        TextDelta("Hello."),
        ToolCallStarted(0, "call_SYNTH1", "read_file"),
        ToolCallDelta(0, "{}"),
    ]
    assert finished("only-completed") == Finished("tool_use", USED)


def test_an_item_of_an_unknown_kind_is_passed_over() -> None:
    assert said("compaction") == [TextDelta("Ok.")]


def test_a_text_of_which_only_the_end_came_is_said() -> None:
    assert said("websocket-pong") == [TextDelta("pong")]


@pytest.mark.parametrize(("name", "reason"), [("max-tokens", "max_tokens"), ("filter", "refusal")])
def test_an_answer_cut_off_says_why(name: str, reason: str) -> None:
    assert finished(f"incomplete-{name}") == Finished(reason, Usage())  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "code", "words"),
    [
        ("failed", "server_error", "The server had an error"),
        ("error-event", "rate_limited", "rate limit exceeded"),
        ("nested-error", "service_unavailable", "temporarily unavailable"),
        ("cancelled", "upstream_error", "left the answer cancelled"),
    ],
)
def test_a_failed_answer_raises_with_upstreams_code(name: str, code: str, words: str) -> None:
    decoder = ResponsesStreamDecoder()
    *before, last = events_in(recorded(f"responses/{name}.sse"))
    for event in before:
        decoder.feed(event)
    with pytest.raises(UpstreamError, match=words) as caught:
        decoder.feed(last)
    assert caught.value.code == code
    assert decoder.complete


# ---- oddities


def test_events_without_a_beginning_are_understood() -> None:
    assert decode(stream(delta("output_text", "a"), completed()))[:2] == [Started("", ""), TextDelta("a")]


def test_a_call_waits_for_its_name() -> None:
    events = decode(
        stream(
            delta("function_call_arguments", '{"a":'),
            {"type": "response.function_call_arguments.done", "arguments": '{"a":1}', "output_index": 0},
            item("done", 0, "function_call", name="f", call_id="c", arguments='{"a":1}'),
            completed(),
        )
    )
    assert events[1:-1] == [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, '{"a":1}')]


def test_a_call_that_never_gets_a_name_is_an_error() -> None:
    with pytest.raises(UpstreamError, match="without a name"):
        decode(stream(delta("function_call_arguments", "{}"), completed()))


def test_blanks_before_arguments_decide_nothing() -> None:
    events = decode(
        stream(
            item("added", 0, "function_call", name="f", call_id="c"),
            delta("function_call_arguments", "\n "),
            delta("function_call_arguments", "{"),
            delta("function_call_arguments", "}"),
            completed(),
        )
    )
    assert events[1:-1] == [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "\n {"), ToolCallDelta(0, "}")]


@pytest.mark.parametrize(
    "events",
    [
        [item("added", 0, "function_call", name="f", call_id="c"), completed()],
        [item("done", 0, "function_call", name="f", call_id="c", arguments=""), completed()],
        [
            item("added", 0, "function_call", name="f", call_id="c"),
            {"type": "response.function_call_arguments.done", "arguments": "", "output_index": 0},
            completed({"type": "function_call", "name": "f", "call_id": "c", "arguments": ""}),
        ],
        [completed({"type": "function_call", "name": "f", "call_id": "c"})],
    ],
    ids=["never done", "done", "arguments done", "in the end"],
)
def test_a_function_call_without_arguments_has_an_empty_objects(events: list[dict[str, object]]) -> None:
    assert decode(stream(*events))[1:-1] == [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")]


def test_a_freeform_call_without_input_has_none() -> None:
    call = item("done", 0, "custom_tool_call", name="f", call_id="c", input="")
    assert decode(stream(call, completed()))[1:-1] == [ToolCallStarted(0, "c", "f", custom=True)]


def test_half_of_a_surrogate_pair_is_no_gap() -> None:
    cut = stream(delta("output_text", "a CUT b"), completed()).replace(b"CUT", rb"\udc00")
    assert decode(cut)[1:-1] == [TextDelta("a \ufffd b")]
    whole = msgspec.json.encode({"output": [{"type": "message", "content": [{"type": "output_text", "text": "CUT"}]}]})
    assert parse_answer(whole.replace(b"CUT", rb"\ud83d")).parts == (Text("\ufffd"),)


def test_a_text_that_changed_its_mind_stays_as_it_was_said() -> None:
    done = {"type": "response.output_text.done", "text": "other words", "output_index": 0}
    assert decode(stream(delta("output_text", "words"), done, completed()))[1:-1] == [TextDelta("words")]


def test_what_follows_an_items_end_is_not_said_again() -> None:
    events = decode(
        stream(
            item("done", 0, "function_call", name="f", call_id="c", arguments="{}"),
            {"type": "response.function_call_arguments.done", "arguments": "{}", "output_index": 0},
            delta("function_call_arguments", "{}"),
            item("done", 0, "function_call", name="f", call_id="c", arguments="{}"),
            completed(),
        )
    )
    assert events[1:-1] == [ToolCallStarted(0, "c", "f"), ToolCallDelta(0, "{}")]


def test_text_within_a_call_is_passed_over() -> None:
    events = decode(stream(item("added", 0, "function_call", name="f"), delta("output_text", "a"), completed()))
    assert events[1:-1] == [ToolCallStarted(0, "", "f"), ToolCallDelta(0, "{}")]


def test_a_final_list_that_disagrees_adds_nothing() -> None:
    message = {"type": "message", "content": [{"type": "output_text", "text": "a b"}]}
    call = {"type": "function_call", "name": "f", "call_id": "c", "arguments": "{}"}
    assert decode(stream(delta("output_text", "a"), completed(call, message)))[1:-1] == [TextDelta("a")]
    assert decode(stream(delta("output_text", "a"), completed(message)))[1:-1] == [TextDelta("a"), TextDelta(" b")]


def test_sources_belong_to_the_search_that_names_them() -> None:
    def search(query: str, *urls: str) -> dict[str, object]:
        sources = [{"type": "url", "url": url} for url in urls]
        return {"type": "web_search_call", "id": query, "action": {"type": "search", "queries": [query, "also"],
                                                                   "sources": sources}}  # fmt: skip

    cited = [{"type": "url_citation", "url": url, "title": url.upper()} for url in ("a", "c")]
    text = {"type": "message", "content": [{"type": "output_text", "text": "t", "annotations": cited}]}
    found = [event.search for event in decode(stream(completed(search("1", "a", "b"), search("2"), text)))
             if isinstance(event, Searched)]  # fmt: skip
    assert found == [
        WebSearch("1", "1, also", (SearchHit("a", "A"), SearchHit("b"))),
        WebSearch("2", "2, also", (SearchHit("c", "C"),)),
    ]


def test_done_completes_a_stream_but_ends_no_answer() -> None:
    decoder = ResponsesStreamDecoder()
    decoder.feed(SSEEvent(b"[DONE]"))
    assert decoder.complete
    with pytest.raises(StreamTruncated):
        decoder.finish()


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"null", b"\xff", b'{"type":"response.new"}', b'{"type":"x","delta":{"a":1}}',
             b'{"type":1}', b'{"type":"response.output_item.added","item":{"type":"tool_search_call","arguments":{}}}',
             b'{"type":"response.output_item.done","item":null}', b'{"type":"response.output_item.done"}']
)  # fmt: skip
def test_what_says_nothing_to_us_is_passed_over(data: bytes) -> None:
    assert ResponsesStreamDecoder().feed(SSEEvent(data)) == []


@pytest.mark.parametrize(
    "data", [b'{"type":"response.output_text.delta","delta":{"a":1}}', b'{"type":"response.completed","response":1}',
             b'{"type":"response.output_item.done","item":{"type":"function_call","name":1}}']
)  # fmt: skip
def test_what_says_something_we_cannot_read_is_an_error(data: bytes) -> None:
    with pytest.raises(UpstreamError, match="cannot read"):
        ResponsesStreamDecoder().feed(SSEEvent(data))


TYPES = ["response.created", "response.output_item.added", "response.output_item.done", "response.output_text.delta",
         "response.output_text.done", "response.function_call_arguments.delta", "response.refusal.delta",
         "response.function_call_arguments.done", "response.custom_tool_call_input.delta", "response.completed",
         "response.reasoning_summary_text.delta", "response.reasoning_summary_text.done", "response.new"]  # fmt: skip
ITEMS = st.fixed_dictionaries(
    {"type": st.sampled_from(["message", "reasoning", "function_call", "custom_tool_call", "web_search_call", "odd"])},
    optional={"name": st.sampled_from(["f", ""]), "arguments": st.sampled_from(["", '{"a":1}', "x"]),
              "call_id": st.just("c"), "encrypted_content": st.just("E"), "id": st.just("i"), "input": st.just("in"),
              "content": st.lists(st.fixed_dictionaries({"type": st.sampled_from(["output_text", "refusal"]),
                                                         "text": st.just("ab"), "refusal": st.just("no")}), max_size=2),
              "summary": st.lists(st.just({"type": "summary_text", "text": "s"}), max_size=2)},
)  # fmt: skip
ANY_EVENT = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES), "output_index": st.integers(0, 2)},
    optional={"delta": st.sampled_from(["a", "b", '{"a":', ""]), "text": st.sampled_from(["ab", "x"]), "item": ITEMS,
              "arguments": st.sampled_from(['{"a":1}', "{}"]), "content_index": st.integers(0, 1),
              "response": st.fixed_dictionaries({"output": st.lists(ITEMS, max_size=2)})},
)  # fmt: skip


@settings(max_examples=400, deadline=None)
@given(st.lists(ANY_EVENT, max_size=12))
def test_whatever_comes_the_turn_events_are_in_order(events: list[dict[str, object]]) -> None:
    decoder = ResponsesStreamDecoder()
    told: list[Event] = []
    try:
        for event in events_in(stream(*events)):
            told += decoder.feed(event)
        told += decoder.finish()
    except UpstreamError:
        pass
    assert [at for at, event in enumerate(told) if isinstance(event, Started)] == ([0] if told else [])
    latest = -1
    for before, turn in pairwise(told):
        if isinstance(turn, ToolCallStarted):
            latest += 1
            assert turn.index == latest
        if isinstance(turn, ToolCallDelta):
            assert isinstance(before, ToolCallStarted | ToolCallDelta)
            assert turn.index == latest


# ---- whole replies


def final(name: str) -> bytes:
    """What upstream would answer to the same request without streaming."""
    event = data_in(recorded(f"responses/{name}.sse"))[-1]
    response = event["response"]
    assert isinstance(response, dict)
    return msgspec.json.encode(response | {"copilot_usage": event.get("copilot_usage")})


@pytest.mark.parametrize("name", sorted(set(WHOLE) - {"incomplete-max-tokens", "incomplete-filter", "websocket-pong"}))
def test_a_whole_reply_says_what_its_stream_does(name: str) -> None:
    turn = parse_answer(final(name))
    events = decode(recorded(f"responses/{name}.sse"))
    texts = "".join(event.text for event in events if isinstance(event, TextDelta))
    arguments = "".join(event.arguments for event in events if isinstance(event, ToolCallDelta))
    assert "".join(part.text for part in turn.parts if isinstance(part, Text)) == texts
    assert "".join(part.arguments for part in turn.parts if isinstance(part, ToolCall)) == arguments
    assert Finished(turn.reason, turn.usage) == events[-1]


def test_a_whole_reply_has_one_part_for_each_thing_said() -> None:
    thinking, text, call = parse_answer(final("summary-parts")).parts
    assert isinstance(thinking, Thinking)
    assert thinking.text == "**First**\n\nLook.\n\n**Second**\n\nThink."
    assert thinking.signature.startswith("CIPHER-COMPLETED@")
    assert (text, call) == (Text("Reading."), ToolCall("call_SYNTH1", "read_file", "{}"))
    assert parse_answer(final("refusal")).parts == (Refusal("I can't help with that."),)
    assert isinstance(parse_answer(final("web-search")).parts[-1], WebSearch)


def test_thoughts_with_proofs_of_their_own_stay_apart() -> None:
    thoughts = [{"type": "reasoning", "id": f"i{n}", "encrypted_content": f"E{n}", "summary": []} for n in (1, 2)]
    body = msgspec.json.encode({"output": thoughts, "status": "completed"})
    assert parse_answer(body).parts == (Thinking("", "E1@i1"), Thinking("", "E2@i2"))


def test_a_refusal_in_two_parts_is_one() -> None:
    message = {"type": "message", "content": [{"type": "refusal", "refusal": word} for word in ("I ", "won't.")]}
    assert parse_answer(msgspec.json.encode({"output": [message]})).parts == (Refusal("I won't."),)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"no", "cannot read"),
        (b"{}", "without an answer"),
        (b'{"status":"failed","error":{"code":"server_error","message":"it broke"}}', "it broke"),
        (b'{"status":"queued","output":[]}', "queued"),
    ],
)
def test_what_is_no_reply_raises(body: bytes, words: str) -> None:
    with pytest.raises(UpstreamError, match=words):
        parse_answer(body)


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b"{}", None),
        (b'{"usage":null}', None),
        (b'{"usage":{"input_tokens":5,"output_tokens":2}}', Usage(5, 2)),
        (
            b'{"usage":{"input_tokens":9,"input_tokens_details":{"cached_tokens":4,"cache_write_tokens":3}}}',
            Usage(2, 0, 4, 3),
        ),
        (b'{"usage":{"input_tokens":1,"input_tokens_details":{"cached_tokens":4}}}', Usage(0, 0, 4)),
        (b'{"copilot_usage":{"total_nano_aiu":7}}', Usage(nano_aiu=7)),
    ],
)
def test_usage_counts_the_cache_apart(body: bytes, usage: Usage | None) -> None:
    assert usage_of(msgspec.json.decode(body, type=Response), None) == usage


def test_the_cost_stands_beside_the_response() -> None:
    assert usage_of(Response(), CopilotUsage(7)) == Usage(nano_aiu=7)
