"""Chat streams as Anthropic streams: recordings compared byte for byte, and what holds of every translation."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import check_recorded, cuttings, events_in, recorded, recorded_names

from copilot_trio.dialects.chat.decode import ChatStreamDecoder
from copilot_trio.dialects.messages.encode import MessagesStreamEncoder, message_id_of, render_answer
from copilot_trio.dialects.stream import StreamTranslator
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.turn import (
    AnswerContext,
    Event,
    Finished,
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
    Turn,
    Usage,
    WebSearch,
)

FAILING = {"error-frame", "truncated"}
WHOLE = [name for name in recorded_names("chat") if name not in FAILING]
CALL_EVENTS = list[Event]


def translator() -> StreamTranslator:
    return StreamTranslator(ChatStreamDecoder(), MessagesStreamEncoder(AnswerContext("claude-asked")))


def translate(chunks: list[bytes]) -> bytes:
    """What the client gets, the error's own bytes left out."""
    relay = translator()
    out = b""
    try:
        for chunk in chunks:
            out += relay.feed(chunk)
        return out + relay.finish()
    except UpstreamError as error:
        return out + error.partial


def encode(events: list[Event]) -> bytes:
    encoder = MessagesStreamEncoder(AnswerContext("m"))
    return b"".join(encoder.feed(event) for event in events)


def check_nesting(stream: bytes, *, whole: bool = True) -> None:
    """Blocks are numbered from 0, closed before the next, and hold deltas of their own kind only."""
    kinds = {
        "text_delta": {"text"},
        "thinking_delta": {"thinking"},
        "signature_delta": {"thinking"},
        "input_json_delta": {"tool_use", "server_tool_use"},
    }
    opened, current, types = -1, None, []
    for event in events_in(stream):
        body = msgspec.json.decode(event.data)
        assert body["type"] == event.name
        types.append(event.name)
        match event.name:
            case "content_block_start":
                assert current is None
                opened += 1
                assert body["index"] == opened
                current = body["content_block"]["type"]
            case "content_block_delta":
                assert body["index"] == opened
                assert current in kinds[body["delta"]["type"]]
            case "content_block_stop":
                assert current is not None
                assert body["index"] == opened
                current = None
            case "message_delta" | "message_stop":
                assert current is None
    if types:
        assert types[0] == "message_start"
        assert types.count("message_start") == 1
    if whole:
        assert types[-2:] == ["message_delta", "message_stop"]
        assert types.count("message_stop") == 1
    else:
        assert "message_stop" not in types


@pytest.mark.parametrize("name", recorded_names("chat"))
def test_a_recorded_chat_stream_translates_as_recorded(name: str) -> None:
    check_recorded(f"chat-to-messages/{name}.sse", translate([recorded(f"chat/{name}.sse")]))


@pytest.mark.parametrize("name", recorded_names("chat"))
def test_blocks_nest(name: str) -> None:
    check_nesting(translate([recorded(f"chat/{name}.sse")]), whole=name not in FAILING)


@pytest.mark.parametrize("name", recorded_names("chat"))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_gives_the_same_translation(name: str, data: st.DataObject) -> None:
    stream = recorded(f"chat/{name}.sse")
    assert translate(data.draw(cuttings(stream))) == translate([stream])


@pytest.mark.parametrize("name", recorded_names("chat"))
def test_crlf_gives_the_same_translation(name: str) -> None:
    stream = recorded(f"chat/{name}.sse")
    assert translate([stream.replace(b"\n", b"\r\n")]) == translate([stream])


@pytest.mark.parametrize("name", recorded_names("chat"))
def test_single_line_ends_between_frames_lose_nothing_of_the_last(name: str) -> None:
    stream = recorded(f"chat/{name}.sse").rstrip(b"\n")
    assert translate([stream]) == translate([stream + b"\n\n"])


@pytest.mark.parametrize("name", WHOLE)
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_stream_cut_off_anywhere_ends_or_raises(name: str, data: st.DataObject) -> None:
    stream = recorded(f"chat/{name}.sse")
    relay = translator()
    out = relay.feed(stream[: data.draw(st.integers(0, len(stream)))])
    try:
        out += relay.finish()
    except StreamTruncated as error:
        check_nesting(out + error.partial, whole=False)
    else:
        check_nesting(out)


def test_an_error_frame_raises_after_what_came_before_it() -> None:
    relay = translator()
    with pytest.raises(UpstreamError, match="upstream failure") as caught:
        relay.feed(recorded("chat/error-frame.sse"))
    assert b"Half an ans" in caught.value.partial


def test_a_truncated_stream_keeps_its_last_unfinished_frame() -> None:
    relay = translator()
    relay.feed(b'data: {"choices":[{"delta":{"content":"a"}}],"id":"x"}')
    with pytest.raises(StreamTruncated) as caught:
        relay.finish()
    assert b'"text":"a"' in caught.value.partial


def test_done_completes_the_stream() -> None:
    relay = translator()
    relay.feed(b"data: [DONE]\n")
    assert not relay.complete
    relay.feed(b"\n")
    assert relay.complete


def test_the_usage_is_known_at_the_end() -> None:
    relay = translator()
    relay.feed(recorded("chat/usage-with-cost.sse"))
    relay.finish()
    assert relay.usage == Usage(9, 1, nano_aiu=1210027500)


# ---- the encoder by itself

TEXT, THINK, SIGN, REFUSE = TextDelta("t"), ThinkingDelta("h"), ThinkingSigned("s"), RefusalDelta("r")
HIDDEN = ThinkingSigned("redacted:UkVE")
FOUND = WebSearch("ws:1", 'a "b"', (SearchHit("https://x", "X"),))
SEARCH = Searched(FOUND)
HIT = {"type": "web_search_result", "url": "https://x", "title": "X", "page_age": None, "encrypted_content": ""}
ENDS = Finished("end_turn", Usage())
CALLS = st.lists(st.sampled_from(['{"a":', "1}", "{}"]), max_size=3)


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    events: list[Event] = [Started("x", "m")]
    calls = 0
    for _ in range(draw(st.integers(0, 8))):
        if draw(st.booleans()):
            events.append(draw(st.sampled_from([TEXT, THINK, SIGN, REFUSE, HIDDEN, SEARCH])))
        else:
            events.append(ToolCallStarted(calls, f"call_{calls}", "f"))
            events += [ToolCallDelta(calls, arguments) for arguments in draw(CALLS)]
            calls += 1
    return [*events, ENDS]


@settings(max_examples=200, deadline=None)
@given(turns())
def test_blocks_nest_for_every_turn(events: list[Event]) -> None:
    check_nesting(encode(events))


@pytest.mark.parametrize(
    ("events", "kinds"),
    [
        ([TEXT, TEXT], ["text"]),
        ([THINK, SIGN, TEXT], ["thinking", "text"]),
        ([THINK, TEXT], ["thinking", "text"]),
        ([SIGN, TEXT], ["thinking", "text"]),
        ([TEXT, SIGN, TEXT], ["text", "thinking", "text"]),
        ([THINK, SIGN, THINK, SIGN], ["thinking", "thinking"]),
        ([ToolCallStarted(0, "a", "f"), ToolCallStarted(1, "b", "f"), TEXT], ["tool_use", "tool_use", "text"]),
        ([TEXT, REFUSE], ["text"]),
        ([HIDDEN, HIDDEN, TEXT], ["redacted_thinking", "redacted_thinking", "text"]),
        ([TEXT, SEARCH, SEARCH, TEXT], ["text", *["server_tool_use", "web_search_tool_result"] * 2, "text"]),
        ([], []),
    ],
    ids=["one text", "signed thinking", "thinking", "secret thinking", "signature in the middle", "two thoughts",
         "tools without arguments", "refusal", "redacted", "searches", "nothing"],
)  # fmt: skip
def test_each_kind_opens_its_own_block(events: list[Event], kinds: list[str]) -> None:
    stream = encode([Started("x", "m"), *events, ENDS])
    check_nesting(stream)
    starts = [msgspec.json.decode(event.data) for event in events_in(stream) if event.name == "content_block_start"]
    assert [start["content_block"]["type"] for start in starts] == kinds


def test_tool_arguments_come_as_deltas_never_in_the_start() -> None:
    stream = encode([Started("x", "m"), ToolCallStarted(0, "c", "f"), ToolCallDelta(0, '{"a":1}'), ENDS])
    start = next(event for event in events_in(stream) if event.name == "content_block_start")
    assert msgspec.json.decode(start.data)["content_block"] == {"type": "tool_use", "id": "c", "name": "f", "input": {}}


def test_a_search_comes_with_its_query_its_results_and_its_count() -> None:
    stream = encode([Started("x", "m"), SEARCH, TEXT, SEARCH, ENDS])
    bodies = [msgspec.json.decode(event.data) for event in events_in(stream)]
    starts = [body["content_block"] for body in bodies if body["type"] == "content_block_start"]
    assert starts[0] == {"type": "server_tool_use", "id": "srvtoolu_ws_1", "name": "web_search", "input": {}}
    assert starts[1] == {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_ws_1",
        "content": [HIT],
    }
    queries = [body["delta"]["partial_json"] for body in bodies if body.get("delta", {}).get("partial_json")]
    assert [msgspec.json.decode(query) for query in queries] == [{"query": 'a "b"'}] * 2
    assert bodies[-2]["usage"]["server_tool_use"] == {"web_search_requests": 2}


def test_a_search_that_failed_says_why() -> None:
    turn = Turn("x", "m", (WebSearch("srvtoolu_1", "q", error="unavailable"),), "end_turn", Usage())
    use, result = msgspec.json.decode(render_answer(turn, AnswerContext("m")))["content"]
    assert use["id"] == result["tool_use_id"] == "srvtoolu_1"
    assert result["content"] == {"type": "web_search_tool_result_error", "error_code": "unavailable"}


def test_the_client_sees_the_model_it_asked_for() -> None:
    start = events_in(encode([Started("x", "upstream-name")]))[0]
    assert msgspec.json.decode(start.data)["message"]["model"] == "m"


def test_usage_counts_the_cache_apart() -> None:
    stream = encode([Started("x", "m"), Finished("end_turn", Usage(10, 20, 30, 40, 5))])
    delta = next(event for event in events_in(stream) if event.name == "message_delta")
    assert msgspec.json.decode(delta.data)["usage"] == {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 30,
        "cache_creation_input_tokens": 40,
    }


# ---- whole answers


def test_a_whole_answer_has_its_parts_in_order() -> None:
    thoughts = (Thinking("h", "s"), RedactedThinking("d"), Thinking("", "redacted:e"))
    parts = (*thoughts, FOUND, Text("t"), Refusal("r"), ToolCall("call:1", "f", '{"a": 1}'))
    answer = msgspec.json.decode(
        render_answer(Turn("chatcmpl-1", "up", parts, "tool_use", Usage(1, 2)), AnswerContext("asked"))
    )
    assert answer["content"] == [
        {"type": "thinking", "thinking": "h", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "redacted_thinking", "data": "e"},
        {"type": "server_tool_use", "id": "srvtoolu_ws_1", "name": "web_search", "input": {"query": 'a "b"'}},
        {
            "type": "web_search_tool_result",
            "tool_use_id": "srvtoolu_ws_1",
            "content": [
                {
                    "type": "web_search_result",
                    "url": "https://x",
                    "title": "X",
                    "page_age": None,
                    "encrypted_content": "",
                }
            ],
        },
        {"type": "text", "text": "t"},
        {"type": "text", "text": "r"},
        {"type": "tool_use", "id": "call_1", "name": "f", "input": {"a": 1}},
    ]
    assert answer["usage"]["server_tool_use"] == {"web_search_requests": 1}
    assert (answer["model"], answer["stop_reason"], answer["id"]) == ("asked", "tool_use", "msg_chatcmpl-1")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("", {}),
        ("  ", {}),
        ('{"a":[1]}', {"a": [1]}),
        ('{"a":', {"INVALID_JSON": '{"a":'}),
        ("[1]", {"INVALID_JSON": "[1]"}),
        ('"x"', {"INVALID_JSON": '"x"'}),
        ('{"a":1} extra', {"INVALID_JSON": '{"a":1} extra'}),
    ],
)
def test_tool_arguments_are_always_an_object(arguments: str, expected: object) -> None:
    turn = Turn("x", "m", (ToolCall("c", "f", arguments),), "tool_use", Usage())
    assert msgspec.json.decode(render_answer(turn, AnswerContext("m")))["content"][0]["input"] == expected


@pytest.mark.parametrize(
    ("upstream", "shown"), [("msg_vrtx_1", "msg_vrtx_1"), ("chatcmpl-a:b", "msg_chatcmpl-a_b"), ("", "msg_")]
)
def test_message_ids_look_like_anthropics(upstream: str, shown: str) -> None:
    assert message_id_of(upstream) == shown
