from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_trio import sse
from copilot_trio.sse import SSEDecoder, SSEEvent, SSETooLong, encode, last_boundary

LINE = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=12)
EVENTS = st.lists(
    st.builds(
        SSEEvent,
        st.lists(LINE, min_size=1, max_size=3).map(lambda lines: "\n".join(lines).encode()),
        st.sampled_from(["", "message_start", "ping"]),
    ),
    max_size=6,
)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def decode(chunks: list[bytes]) -> list[SSEEvent]:
    decoder = SSEDecoder()
    return [event for chunk in chunks for event in decoder.feed(chunk)] + decoder.finish()


@settings(max_examples=300, deadline=None)
@given(EVENTS, st.sampled_from([b"\n", b"\r\n", b"\r"]), st.lists(st.integers(0, 10_000), max_size=20))
def test_any_chunking_and_any_line_ending_gives_the_same_events(
    events: list[SSEEvent], ending: bytes, cuts: list[int]
) -> None:
    wire = b"".join(encode(event) for event in events).replace(b"\n", ending)
    assert decode(pieces(wire, cuts)) == events


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.sampled_from([b"data: a", b"data:b", b"event: x", b": c", b"id: 1", b"", b"data", b"\n", b"\r\n"])),
    st.lists(st.sampled_from([b"\n", b"\r\n", b"\r"]), min_size=1),
    st.lists(st.integers(0, 10_000), max_size=20),
)
def test_mixed_line_endings_do_not_depend_on_the_chunking(
    lines: list[bytes], endings: list[bytes], cuts: list[int]
) -> None:
    wire = b"".join(line + endings[number % len(endings)] for number, line in enumerate(lines))
    assert decode(pieces(wire, cuts)) == decode([wire])


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"data: a\n\n", [SSEEvent(b"a")]),
        (b"data:a\n\n", [SSEEvent(b"a")]),
        (b"data:  a\n\n", [SSEEvent(b" a")]),
        (b"event: ping\ndata: {}\n\n", [SSEEvent(b"{}", "ping")]),
        (b"data: a\ndata: b\n\n", [SSEEvent(b"a\nb")]),
        (b"data\n\n", [SSEEvent(b"")]),
        (b": comment\n\ndata: a\n\n", [SSEEvent(b"a")]),
        (b"id: 7\nretry: 9\nfuture: x\ndata: a\n\n", [SSEEvent(b"a")]),
        (b"event: lost\n\ndata: a\n\n", [SSEEvent(b"a")]),
        (b"\n\n\n", []),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [SSEEvent(b"a"), SSEEvent(b"b")]),
        (b"data: unfinished", [SSEEvent(b"unfinished")]),
        (b"data: unfinished\r", [SSEEvent(b"unfinished")]),
    ],
    ids=["plain", "no space", "one space only", "named", "joined", "empty", "comment", "other fields",
         "name without data", "blank lines", "CRLF", "no blank line", "half a CRLF at the end"],
)  # fmt: skip
def test_lines_mean_what_the_standard_says(wire: bytes, events: list[SSEEvent]) -> None:
    assert decode([wire]) == events


def feed_again_and_again(decoder: SSEDecoder, chunk: bytes) -> None:
    for _ in range(sse.MAX_EVENT_SIZE // 1000):
        decoder.feed(chunk)


@pytest.mark.parametrize("line", [b"x" * 1000, b"data: x\n", b"data:\n", b"data\n"], ids=["one line", *"abc"])
def test_an_event_that_grows_without_end_is_refused(line: bytes) -> None:
    with pytest.raises(SSETooLong):
        feed_again_and_again(SSEDecoder(), line * 1000)


def test_many_events_are_never_too_long() -> None:
    decoder = SSEDecoder()
    event = encode(SSEEvent(b"x" * 100_000))
    assert sum(len(decoder.feed(event)) for _ in range(200)) == 200


@pytest.mark.parametrize(
    ("block", "end"),
    [
        (b"", 0),
        (b"data: a", 0),
        (b"data: a\n", 0),
        (b"data: a\n\n", 9),
        (b"data: a\n\ndata: b\n", 9),
        (b"data: a\r\n\r\ndata: b", 11),
        (b"data: a\r\n\r", 0),
        (b"data: a\r\rdata: b", 9),
        (b"data: a\n\r\ndata: b", 10),
        (b"data: a\r\ndata: b\r\n", 0),
    ],
    ids=["empty", "no line", "no blank line", "whole", "one and a half", "CRLF", "half a CRLF", "CR", "mixed",
         "lines of one event"],
)  # fmt: skip
def test_the_last_boundary_is_behind_the_last_whole_event(block: bytes, end: int) -> None:
    assert last_boundary(block) == end


def test_an_encoded_event_has_one_data_line_for_each_of_its_lines() -> None:
    assert encode(SSEEvent(b"a\nb", "x")) == b"event: x\ndata: a\ndata: b\n\n"
