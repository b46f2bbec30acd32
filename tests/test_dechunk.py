from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copilot_trio.upstream.dechunk import MAX_LINE, MAX_TRAILERS, Chunked, ContentLength, FramingError, UntilClose

PAYLOADS = st.lists(st.binary(min_size=1, max_size=40), max_size=6)


def chunked(payloads: list[bytes], extension: bytes = b"", trailers: bytes = b"") -> bytes:
    return (
        b"".join(b"%x%b\r\n%b\r\n" % (len(payload), extension, payload) for payload in payloads)
        + b"0\r\n"
        + trailers
        + b"\r\n"
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


@settings(max_examples=300, deadline=None)
@given(
    PAYLOADS,
    st.sampled_from([b"", b";name=value", b" \t;x"]),
    st.sampled_from([b"", b"x-trailer: 1\r\n"]),
    st.lists(st.integers(0, 1000), max_size=20),
)
def test_any_split_gives_the_same_payload(
    payloads: list[bytes], extension: bytes, trailers: bytes, cuts: list[int]
) -> None:
    framing = Chunked()
    got = b"".join(framing.feed(piece) for piece in split(chunked(payloads, extension, trailers), cuts))
    assert (got, framing.done, framing.extra) == (b"".join(payloads), True, False)
    framing.close()


def test_one_byte_at_a_time_is_enough() -> None:
    framing = Chunked()
    wire = chunked([b"hello", b"\r\n", b"world"])
    assert b"".join(framing.feed(wire[at : at + 1]) for at in range(len(wire))) == b"hello\r\nworld"
    assert framing.done


def feed_all(framing: Chunked, wire: bytes) -> None:
    for at in range(0, len(wire), 3):
        framing.feed(wire[at : at + 3])


BAD = {
    "0x prefix": b"0x5\r\nhello\r\n",
    "plus sign": b"+5\r\nhello\r\n",
    "minus sign": b"-1\r\n",
    "underscore": b"5_0\r\n",
    "space before": b" 5\r\nhello\r\n",
    "no size": b"\r\nhello",
    "no hex": b"xyz\r\n",
    "sixteen digits": b"1000000000000000\r\n",
    "full-width digit": "\uff15\r\n".encode(),
    "bare LF": b"5\nhello\n0\n\n\r\n",
    "no CRLF after the chunk": b"5\r\nhelloXX0\r\n\r\n",
    "LF after the chunk": b"5\r\nhello\n\n0\r\n\r\n",
    "longer than it said": b"3\r\nhello\r\n0\r\n\r\n",
    "huge line": b"5;" + b"x" * (MAX_LINE + 1) + b"\r\nhello\r\n",
    "huge line without end": b"1" * (MAX_LINE + 10),
    "too many trailers": b"0\r\n" + b"x: yyyyyyyyyyyyyyyyyyyy\r\n" * (MAX_TRAILERS // 20) + b"\r\n",
}


@pytest.mark.parametrize("wire", BAD.values(), ids=BAD)
def test_bad_framing_is_refused(wire: bytes) -> None:
    with pytest.raises(FramingError):
        Chunked().feed(wire)


@pytest.mark.parametrize("wire", BAD.values(), ids=BAD)
def test_bad_framing_is_refused_in_small_reads_too(wire: bytes) -> None:
    with pytest.raises(FramingError):
        feed_all(Chunked(), wire)


@pytest.mark.parametrize("size", [MAX_LINE - 2, 1])
def test_a_line_up_to_the_limit_passes_however_it_is_read(size: int) -> None:
    wire = b"5;" + b"x" * (MAX_LINE - 2) + b"\r\nhello\r\n0\r\n\r\n"
    framing = Chunked()
    assert b"".join(framing.feed(wire[at : at + size]) for at in range(0, len(wire), size)) == b"hello"


def test_bytes_behind_a_chunked_body_are_noticed() -> None:
    framing = Chunked()
    assert framing.feed(chunked([b"a"]) + b"HTTP/1.1 200 OK") == b"a"
    assert framing.extra


@pytest.mark.parametrize("wire", [b"", b"5\r\nhel", b"5\r\nhello\r\n", b"0\r\n", b"0\r\nx: y\r\n"])
def test_a_chunked_body_that_ends_early_is_an_error(wire: bytes) -> None:
    framing = Chunked()
    framing.feed(wire)
    with pytest.raises(FramingError):
        framing.close()


@given(st.binary(max_size=60), st.lists(st.integers(0, 100), max_size=8))
def test_a_counted_body_is_done_at_its_last_byte(body: bytes, cuts: list[int]) -> None:
    framing = ContentLength(len(body))
    assert b"".join(framing.feed(piece) for piece in split(body, cuts)) == body
    assert (framing.done, framing.extra) == (True, False)
    framing.close()


def test_bytes_behind_a_counted_body_are_noticed() -> None:
    framing = ContentLength(2)
    assert framing.feed(b"abc") == b"ab"
    assert framing.extra


def test_a_counted_body_that_ends_early_is_an_error() -> None:
    framing = ContentLength(5)
    framing.feed(b"abc")
    with pytest.raises(FramingError, match="2 bytes"):
        framing.close()


def test_a_body_until_close_is_done_when_the_connection_closes() -> None:
    framing = UntilClose()
    assert (framing.feed(b"abc"), framing.done) == (b"abc", False)
    framing.close()
    assert framing.done
