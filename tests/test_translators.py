"""What holds of every translator: any cutting gives the same bytes, blocks nest, and each stream has one end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recordings import RECORDED, cuttings, events_in, recorded, recorded_names

from copilot_trio.dialects.dialect import DIALECTS, Dialect
from copilot_trio.dialects.stream import StreamTranslator
from copilot_trio.errors import UpstreamError
from copilot_trio.turn import (
    AnswerContext,
    Event,
    Finished,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
    Usage,
)

PAIRS = [(upstream, downstream) for upstream in DIALECTS for downstream in DIALECTS if upstream is not downstream]
pairs = pytest.mark.parametrize(
    ("upstream", "downstream"), PAIRS, ids=[f"{upstream.name}-{downstream.name}" for upstream, downstream in PAIRS]
)
CONTEXT = AnswerContext("asked", 1_790_000_000, "5eed")


def translate(upstream: Dialect, downstream: Dialect, pieces: list[bytes]) -> bytes:
    """The whole stream, with its error event where it fails."""
    translator = StreamTranslator(upstream.decoder(), downstream.encoder(CONTEXT))
    out = b""
    try:
        for piece in pieces:
            out += translator.feed(piece)
            if translator.complete:
                break
        out += translator.finish()
    except UpstreamError as error:
        out += error.partial + downstream.render_stream_error(error, CONTEXT.seed)
    return out


# ---- what clients may rely on


def check_chat(stream: bytes) -> None:
    found = events_in(stream)
    assert [event.data for event in found if event.data == b"[DONE]"] == [b"[DONE]"]
    assert found[-1].data == b"[DONE]"
    chunks: list[Any] = [msgspec.json.decode(event.data) for event in found[:-1]]
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk.get("choices", ())]
    failed = "error" in chunks[-1]
    assert [reason for reason in reasons if reason] == ([] if failed else [reasons[-1]])
    latest = -1
    for chunk in chunks:
        for choice in chunk.get("choices", ()):
            for call in choice["delta"].get("tool_calls", ()):
                if "id" in call:
                    assert call["index"] == latest + 1
                    latest = call["index"]
                assert call["index"] == latest


def check_messages(stream: bytes) -> None:
    found = events_in(stream)
    decoded: list[Any] = [msgspec.json.decode(event.data) for event in found]
    assert [event.name for event in found] == [event["type"] for event in decoded]
    kinds = [event["type"] for event in decoded]
    assert kinds[-1] in {"message_stop", "error"}
    assert sum(kind in {"message_stop", "error"} for kind in kinds) == 1
    if kinds[0] != "error":
        assert kinds[0] == "message_start"
    assert kinds.count("message_start") <= 1
    opened, number = False, -1
    for event in decoded:
        match event["type"]:
            case "content_block_start":
                assert not opened
                opened, number = True, number + 1
                assert event["index"] == number
            case "content_block_delta":
                assert opened
                assert event["index"] == number
            case "content_block_stop":
                assert opened
                assert event["index"] == number
                opened = False
            case "message_delta":
                assert not opened
    assert not opened or kinds[-1] == "error"


def check_responses(stream: bytes) -> None:
    found = events_in(stream)
    decoded: list[Any] = [msgspec.json.decode(event.data) for event in found]
    assert [event.name for event in found] == [event["type"] for event in decoded]
    endings = {"response.completed", "response.incomplete", "response.failed"}
    assert decoded[-1]["type"] in endings
    assert sum(event["type"] in endings for event in decoded) == 1
    failed = decoded[-1]["type"] == "response.failed"
    counted = decoded[:-1] if failed else decoded
    assert [event["sequence_number"] for event in counted] == list(range(len(counted)))
    assert len({event["response"]["id"] for event in decoded if "response" in event}) == 1
    items: list[str] = []
    done = 0
    for event in counted:
        match event["type"]:
            case "response.output_item.added":
                assert len(items) == done == event["output_index"]
                items.append(event["item"]["id"])
            case "response.output_item.done":
                assert event["item"]["id"] == items[done]
                done += 1
            case _ if "item_id" in event:
                assert (event["output_index"], event["item_id"]) == (done, items[done])
    if not failed:
        assert done == len(items)
        assert [item["id"] for item in decoded[-1]["response"]["output"]] == items


CHECKS: dict[str, Callable[[bytes], None]] = {
    "chat": check_chat,
    "messages": check_messages,
    "responses": check_responses,
}


# ---- recorded streams


RECORDINGS = [(upstream, downstream, name) for upstream, downstream in PAIRS for name in recorded_names(upstream.name)]
recordings = pytest.mark.parametrize(
    ("upstream", "downstream", "name"),
    RECORDINGS,
    ids=[f"{upstream.name}-{downstream.name}-{name}" for upstream, downstream, name in RECORDINGS],
)


@recordings
def test_a_recording_translates_into_what_clients_rely_on(upstream: Dialect, downstream: Dialect, name: str) -> None:
    """The bytes themselves are in ``recorded/<upstream>-to-<downstream>``, checked beside each encoder's tests."""
    assert (RECORDED / f"{upstream.name}-to-{downstream.name}" / f"{name}.sse").exists()
    CHECKS[downstream.name](translate(upstream, downstream, [recorded(f"{upstream.name}/{name}.sse")]))


@recordings
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_however_a_recording_is_cut_the_output_is_the_same(
    upstream: Dialect, downstream: Dialect, name: str, data: st.DataObject
) -> None:
    stream = recorded(f"{upstream.name}/{name}.sse")
    pieces = data.draw(cuttings(stream))
    assert translate(upstream, downstream, pieces) == translate(upstream, downstream, [stream])


@recordings
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_a_stream_that_breaks_off_ends_in_an_error(
    upstream: Dialect, downstream: Dialect, name: str, data: st.DataObject
) -> None:
    """Unless it broke off behind its end; half a stream never looks whole."""
    stream = recorded(f"{upstream.name}/{name}.sse")
    made = translate(upstream, downstream, [stream[: data.draw(st.integers(0, len(stream)))]])
    CHECKS[downstream.name](made)


# ---- generated streams


WORDS = st.text(min_size=1, max_size=12)
ARGUMENTS = st.dictionaries(WORDS, WORDS | st.integers(-9, 9) | st.booleans(), max_size=3)


@st.composite
def turns(draw: st.DrawFn) -> list[Event]:
    """What a model may say: thoughts, then text and calls in any order."""
    events: list[Event] = [Started("id_1", "up")]
    if draw(st.booleans()):
        events += [ThinkingDelta(text) for text in draw(st.lists(WORDS, max_size=3))]
        events.append(ThinkingSigned(draw(st.sampled_from(["S/+=", "secret@real"]))))
    calls = 0
    for kind in draw(st.lists(st.sampled_from(["text", "refusal", "call"]), max_size=5)):
        if kind == "call":
            text = msgspec.json.encode(draw(ARGUMENTS)).decode()
            cut = draw(st.integers(0, len(text)))
            events.append(ToolCallStarted(calls, f"call_{calls}", "tool"))
            events += [ToolCallDelta(calls, piece) for piece in (text[:cut], text[cut:]) if piece]
            calls += 1
        elif kind == "text":
            events += [TextDelta(text) for text in draw(st.lists(WORDS, min_size=1, max_size=3))]
        elif not calls:
            events.append(RefusalDelta(draw(WORDS)))
    reason = "tool_use" if calls else draw(st.sampled_from(["end_turn", "max_tokens"]))
    events.append(Finished(reason, Usage(draw(st.integers(1, 999)), draw(st.integers(1, 99)))))  # type: ignore[arg-type]
    return events


def said(events: list[Event]) -> tuple[str, str, list[tuple[str, str, Any]]]:
    """Text, thoughts and calls, as far as every dialect tells them."""
    text = "".join(event.text for event in events if isinstance(event, TextDelta | RefusalDelta))
    thoughts = "".join(event.text for event in events if isinstance(event, ThinkingDelta))
    calls: list[tuple[str, str, str]] = []
    for event in events:
        if isinstance(event, ToolCallStarted):
            calls.append((event.id, event.name, ""))
        elif isinstance(event, ToolCallDelta):
            call_id, name, arguments = calls[-1]
            calls[-1] = (call_id, name, arguments + event.arguments)
    return text, thoughts, [(call_id, name, msgspec.json.decode(text or "{}")) for call_id, name, text in calls]


def decoded(dialect: Dialect, stream: bytes) -> list[Event]:
    decoder = dialect.decoder()
    found = [turn for event in events_in(stream) for turn in decoder.feed(event)]
    return [*found, *decoder.finish()]


@pairs
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_what_a_model_said_arrives_whole_and_once(upstream: Dialect, downstream: Dialect, data: st.DataObject) -> None:
    turn = data.draw(turns())
    encoder = upstream.encoder(AnswerContext("up", 1, "0f"))
    stream = b"".join(encoder.feed(event) for event in turn)
    pieces = data.draw(cuttings(stream))
    made = translate(upstream, downstream, pieces)
    CHECKS[downstream.name](made)
    text, thoughts, calls = said(turn)
    found_text, found_thoughts, found_calls = said(decoded(downstream, made))
    assert found_calls == calls
    assert found_text.replace("\n\n", "") == text.replace("\n\n", "")
    assert found_thoughts.replace("\n\n", "") == thoughts.replace("\n\n", "")
    ending, ended = turn[-1], decoded(downstream, made)[-1]
    assert isinstance(ending, Finished)
    assert isinstance(ended, Finished)
    assert (ended.usage.input_tokens, ended.usage.output_tokens) == (
        ending.usage.input_tokens,
        ending.usage.output_tokens,
    )
    assert ended.reason == ending.reason


@pairs
@settings(max_examples=60, deadline=None)
@given(junk=st.binary(max_size=200), cut=st.integers(0, 200))
def test_junk_ends_in_an_error(upstream: Dialect, downstream: Dialect, junk: bytes, cut: int) -> None:
    made = translate(upstream, downstream, [junk[:cut], junk[cut:]])
    CHECKS[downstream.name](made)
    assert b'"error"' in made
