from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import cuttings, events_in, recorded, recorded_names, sse

from copilot_trio.dialects.chat.strict import StrictChunks
from copilot_trio.dialects.passthrough import (
    ChatWatch,
    MessagesWatch,
    Passthrough,
    chat_usage,
    messages_usage,
    rename_in_events,
    rename_in_reply,
)
from copilot_trio.errors import StreamTruncated
from copilot_trio.sse import MAX_EVENT_SIZE
from copilot_trio.turn import Usage

DONE = b"data: [DONE]\n\n"
CHAT_WHOLE = [name for name in recorded_names("chat") if name not in {"truncated", "error-frame"}]


def chat(shown: str | None = None) -> Passthrough:
    return Passthrough(ChatWatch(), shown)


def messages(shown: str | None = None) -> Passthrough:
    return Passthrough(MessagesWatch(), shown)


def pass_on(relay: Passthrough, chunks: list[bytes]) -> bytes:
    """What the client gets; a truncated stream's own error left out."""
    out = b"".join(relay.feed(chunk) for chunk in chunks)
    try:
        return out + relay.finish()
    except StreamTruncated as error:
        return out + error.partial


# ---- bytes


@pytest.mark.parametrize("name", ["gpt-text", "gpt-tools", "gpt-content-filter", "gpt-cot-id-after-finish", "length"])
def test_a_chat_stream_goes_on_as_it_came(name: str) -> None:
    stream = recorded(f"chat/{name}.sse")
    assert pass_on(chat(), [stream]) == stream


@pytest.mark.parametrize("name", CHAT_WHOLE)
def test_nothing_but_what_strict_clients_miss_is_added_to_a_chat_stream(name: str) -> None:
    stream = recorded(f"chat/{name}.sse")
    assert pass_on(chat(), [stream]) == StrictChunks().mend(stream)


def test_null_for_no_choices_goes_on_as_an_empty_list() -> None:
    null = b'data: {"choices":null,"copilot_references":[],"object":"chat.completion.chunk"}\n\n'
    stream = recorded("chat/gpt-text.sse")
    assert pass_on(chat(), [null, stream]) == null.replace(b"null", b"[]") + stream


@pytest.mark.parametrize("name", recorded_names("messages"))
def test_a_messages_stream_goes_on_but_for_done(name: str) -> None:
    stream = recorded(f"messages/{name}.sse")
    assert pass_on(messages(), [stream]) == stream.replace(DONE, b"")


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("shown", [None, "asked"], ids=["as it is", "renamed"])
@pytest.mark.parametrize("name", recorded_names("chat"))
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_chunking_of_a_chat_stream_gives_the_same_bytes(
    name: str, shown: str | None, ending: bytes, data: st.DataObject
) -> None:
    stream = recorded(f"chat/{name}.sse").replace(b"\n", ending)
    assert pass_on(chat(shown), data.draw(cuttings(stream))) == pass_on(chat(shown), [stream])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("shown", [None, "asked"], ids=["as it is", "renamed"])
@pytest.mark.parametrize("name", recorded_names("messages"))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_any_chunking_of_a_messages_stream_gives_the_same_bytes(
    name: str, shown: str | None, ending: bytes, data: st.DataObject
) -> None:
    stream = recorded(f"messages/{name}.sse").replace(b"\n", ending)
    out = pass_on(messages(shown), data.draw(cuttings(stream)))
    assert out == pass_on(messages(shown), [stream])
    assert b"[DONE]" not in out


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_only_whole_events_are_handed_on(data: st.DataObject) -> None:
    stream = recorded("chat/gpt-tools.sse")
    relay = chat()
    passed = [relay.feed(chunk) for chunk in data.draw(cuttings(stream))]
    assert all(block.endswith(b"\n\n") for block in passed if block)


def test_a_chunk_of_whole_events_is_the_same_object() -> None:
    chunk = sse({"choices": [{"delta": {"content": "a"}}], "object": "chat.completion.chunk"})
    assert chat().feed(chunk) is chunk


def test_half_an_event_waits_for_its_other_half() -> None:
    relay = chat()
    assert relay.feed(b"data: a\n\ndata: b") == b"data: a\n\n"
    assert relay.feed(b"\n") == b""
    assert relay.feed(b"\ndata: c") == b"data: b\n\n"


def test_an_event_without_end_is_refused() -> None:
    relay = chat()
    relay.feed(b"x" * MAX_EVENT_SIZE)
    with pytest.raises(StreamTruncated):
        relay.feed(b"x")


# ---- the end

FINISH = sse({"choices": [{"delta": {}, "finish_reason": "stop"}], "object": "chat.completion.chunk"})
STOP = b'event: message_stop\ndata: {"type":"message_stop"}\n\n'


def test_done_is_added_to_a_chat_stream_that_lacks_it() -> None:
    assert pass_on(chat(), [FINISH]) == FINISH + DONE


@pytest.mark.parametrize("spacing", ['"finish_reason":"stop"', '"finish_reason" : "stop"', '"finish_reason":\t"stop"'])
def test_a_finish_reason_is_seen_however_it_is_spaced(spacing: str) -> None:
    stream = b'data: {"choices":[{%b}],"object":"chat.completion.chunk"}\n\n' % spacing.encode()
    assert pass_on(chat(), [stream]) == stream + DONE


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        sse({"choices": [{"delta": {"content": "a"}, "finish_reason": None}]}),
        sse({"choices": [{"delta": {"content": "a"}, "finish_reason": ""}]}),
        sse({"choices": [{"delta": {"content": '"finish_reason":"stop"'}}]}),
        sse({"choices": []}) + DONE,
        sse({"choices": [{"delta": {"content": "data: [DONE]"}}]}),
    ],
    ids=["empty", "null finish", "empty finish", "talk of a finish", "only DONE", "talk of DONE"],
)
def test_a_chat_stream_without_a_finish_reason_is_truncated(stream: bytes) -> None:
    relay = chat()
    relay.feed(stream)
    with pytest.raises(StreamTruncated):
        relay.finish()


@pytest.mark.parametrize(
    "stream",
    [
        b"",
        b'event: message_start\ndata: {"type":"message_start","message":{"usage":{"input_tokens":1}}}\n\n',
        b'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"}}\n\n',
        DONE,
        b'data: {"type":"content_block_delta","delta":{"text":"\\"type\\":\\"message_stop\\""}}\n\n',
        b'data: {"type":"content_block_start","content_block":{"input":{"type":"message_stop"}}}\n\n',
        b'data: {"type":"content_block_start","content_block":{"input":{"type":"error"}}}\n\n',
        b'data: {"type":"content_block_delta","delta":{"text":"event: error"}}\n\n',
    ],
    ids=["empty", "start", "delta", "DONE", "talk of a stop", "a stop in a tool's input", "an error in a tool's input",
         "talk of an error"],
)  # fmt: skip
def test_a_messages_stream_without_a_stop_is_truncated(stream: bytes) -> None:
    relay = messages()
    relay.feed(stream)
    with pytest.raises(StreamTruncated):
        relay.finish()


def test_a_truncated_stream_still_hands_on_its_last_event_if_it_is_whole() -> None:
    relay = chat()
    assert relay.feed(b'data: {"object":"chat.completion.chunk","choices":[]}\n') == b""
    with pytest.raises(StreamTruncated) as caught:
        relay.finish()
    assert caught.value.partial == b'data: {"object":"chat.completion.chunk","choices":[]}\n\n'


def test_a_truncated_stream_does_not_hand_on_half_an_event() -> None:
    relay = chat()
    relay.feed(b'data: {"choices":[')
    with pytest.raises(StreamTruncated) as caught:
        relay.finish()
    assert caught.value.partial == b""


def test_a_last_event_without_its_blank_line_counts() -> None:
    assert pass_on(messages(), [STOP.rstrip()]) == STOP


@pytest.mark.parametrize(
    "frame", [{"error": {"code": 500, "message": "m"}}, {"error": {"message": "m"}, "choices": None}], ids=str
)
def test_an_error_frame_ends_a_chat_stream(frame: dict[str, object]) -> None:
    stream = sse({"choices": [{"delta": {"content": "a"}}], "object": "chat.completion.chunk"}, frame)
    assert pass_on(chat(), [stream]) == stream + DONE


def test_a_filters_own_error_field_is_no_failure() -> None:
    stream = sse({"choices": [], "prompt_filter_results": [{"content_filter_results": {"error": {"code": ""}}}]})
    relay = chat()
    relay.feed(stream)
    with pytest.raises(StreamTruncated):
        relay.finish()


@pytest.mark.parametrize(
    "event",
    [
        b'event: error\ndata: {"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}\n\n',
        b'event: error\ndata: {"error":{"message":"no type"}}\n\n',
        b'data: {"type": "error", "message": "odd"}\n\n',
    ],
    ids=["plain", "by its name", "by its type"],
)
def test_an_error_event_ends_a_messages_stream(event: bytes) -> None:
    assert pass_on(messages(), [event]) == event


@pytest.mark.parametrize("done", [b"data: [DONE]\n\n", b"data:[DONE]\n\n", b"data: [DONE]\r\n\r\n"])
def test_done_completes_a_chat_stream(done: bytes) -> None:
    relay = chat()
    relay.feed(FINISH)
    assert not relay.complete
    relay.feed(done)
    assert relay.complete


def test_an_answer_about_done_does_not_complete_a_chat_stream() -> None:
    relay = chat()
    relay.feed(sse({"choices": [{"delta": {"content": "It ends with\ndata: [DONE]\n\n as you see"}}]}))
    assert not relay.complete


def test_message_stop_completes_a_messages_stream() -> None:
    relay = messages()
    relay.feed(STOP)
    assert relay.complete


def test_an_answer_about_done_keeps_its_words() -> None:
    event = b'data: {"type":"content_block_delta","delta":{"text":"\\ndata: [DONE]\\n\\n"}}\n\n'
    assert messages().feed(event) == event


# ---- usage


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("gpt-text", Usage(9, 2)),
        ("gpt-first-chunk-variant", Usage(5, 2, 4)),
        ("claude-parallel-tools-same-index", Usage(2128, 170)),
        ("gemini-tools", Usage(2513, 187, 17068, reasoning_tokens=134)),
        ("usage-with-cost", Usage(9, 1, nano_aiu=1210027500)),
        ("length", None),
    ],
    ids=["own chunk", "finish chunk", "Claude", "Gemini", "cost", "none"],
)
def test_chat_usage_is_read_on_the_way(name: str, usage: Usage | None) -> None:
    relay = chat()
    relay.feed(recorded(f"chat/{name}.sse"))
    assert relay.usage == usage


def test_chat_usage_is_read_however_it_is_spaced() -> None:
    relay = chat()
    relay.feed(b'data: {"choices":[], "usage" :  { "prompt_tokens": 9, "completion_tokens": 2 } }\n\n')
    assert relay.usage == Usage(9, 2)


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("claude-thinking-text-tool", Usage(3, 326, 0, 18725, 41, 8262952500)),
        ("refusal", Usage(3, 3, 0, 18725)),
        ("error-event", Usage(3, 7, 0, 18725)),
    ],
    ids=["repeated in the delta", "only output in the delta", "no delta"],
)
def test_messages_usage_is_read_on_the_way(name: str, usage: Usage) -> None:
    relay = messages()
    relay.feed(recorded(f"messages/{name}.sse"))
    assert relay.usage == usage


def test_odd_usage_does_not_disturb_the_stream() -> None:
    event = b'data: {"type":"message_delta","usage":{"output_tokens":"many"}}\n\n'
    assert pass_on(messages(), [event, STOP]) == event + STOP


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (b'{"usage":{"prompt_tokens":9},"copilot_usage":{"total_nano_aiu":7}}', Usage(9, nano_aiu=7)),
        (b'{"choices":[]}', None),
        (b"<html>", None),
    ],
    ids=["plain", "none", "no JSON"],
)  # fmt: skip
def test_usage_of_a_whole_chat_reply(body: bytes, usage: Usage | None) -> None:
    assert chat_usage(body) == usage


@pytest.mark.parametrize(
    ("body", "usage"),
    [
        (
            (
                b'{"id":null,"usage":{"input_tokens":3,"output_tokens":5,"cache_read_input_tokens":7},'
                b'"copilot_usage":{"total_nano_aiu":9}}'
            ),
            Usage(3, 5, 7, nano_aiu=9),
        ),
        (b'{"type":"message"}', None),
        (b"<html>", None),
    ],
    ids=["plain", "none", "no JSON"],
)
def test_usage_of_a_whole_messages_reply(body: bytes, usage: Usage | None) -> None:
    assert messages_usage(body) == usage


# ---- the model's name


@pytest.mark.parametrize("name", recorded_names("chat"))
def test_every_chat_chunk_shows_the_name_that_was_asked_for(name: str) -> None:
    stream = pass_on(chat("asked"), [recorded(f"chat/{name}.sse")])
    for event in events_in(stream):
        if event.data.startswith(b"{") and b'"model"' in event.data:
            assert msgspec.json.decode(event.data)["model"] == "asked"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b'{"model":"up","x":1}', b'{"model":"asked","x":1}'),
        (b'{ "x" : [1] , "model" : "up" }', b'{ "x" : [1] , "model" : "asked" }'),
        (b'{"x":{"model":"y"},"model":"up"}', b'{"x":{"model":"y"},"model":"asked"}'),
        (b'{"model":"up","x":{"model":"y"}}', b'{"model":"asked","x":{"model":"y"}}'),
        (b'{"x":[{"content":"model"}],"model":"up"}', b'{"x":[{"content":"model"}],"model":"asked"}'),
        (b'{"message":{"model":"up","usage":{"a":1}}}', b'{"message":{"model":"asked","usage":{"a":1}}}'),
        (b'{"content_block":{"input":{"model":"y"}}}', b'{"content_block":{"input":{"model":"y"}}}'),
        (b'{"copilot_usage":{"x":[{"model":"y"}]},"a":"b"}', b'{"copilot_usage":{"x":[{"model":"y"}]},"a":"b"}'),
        (b'{"delta":{"text":"\\"model\\":\\"y\\""}}', b'{"delta":{"text":"\\"model\\":\\"y\\""}}'),
        (b'{"x":{"a\\"model":"y"}}', b'{"x":{"a\\"model":"y"}}'),
        (b'{"model":"u\\u0070"}', b'{"model":"asked"}'),
        (b'{"x":"}","model":"up"}', b'{"x":"}","model":"asked"}'),
    ],
    ids=["top", "spaced", "after another", "before another", "as text", "message_start", "a tool's input",
         "in the cost", "talk of it", "another key's end", "escaped", "brace in a string"],
)  # fmt: skip
def test_the_name_is_put_where_the_protocol_has_it(before: bytes, after: bytes) -> None:
    assert rename_in_reply(before, "asked") == after
    assert rename_in_events(b"event: x\ndata: %b\n\n" % before, "asked") == b"event: x\ndata: %b\n\n" % after


def test_several_events_in_one_block_are_each_renamed() -> None:
    block = b'data: {"model":"up"}\n\ndata: {"x":{"model":"y"},"model":"up"}\n\n: model\n\n'
    expected = b'data: {"model":"a"}\n\ndata: {"x":{"model":"y"},"model":"a"}\n\n: model\n\n'
    assert rename_in_events(block, "a") == expected


def test_a_block_without_the_word_is_the_same_object() -> None:
    block = b'data: {"x":1}\n\n'
    assert rename_in_events(block, "a") is block


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"model":', b'[{"model":"x"}]', b'"model"'])
def test_what_is_no_object_keeps_its_bytes(body: bytes) -> None:
    assert rename_in_reply(body, "asked") == body


def test_odd_characters_in_the_name_are_escaped() -> None:
    assert msgspec.json.decode(rename_in_reply(b'{"model":"x"}', 'a"\n\\é')) == {"model": 'a"\n\\é'}
