"""Compressed request bodies: decoded within the limit, or refused with the reason."""

from __future__ import annotations

import gzip

import pytest
import zstandard

from copilot_trio.errors import BadRequest, TooLarge, UnsupportedMedia
from copilot_trio.server.body import decoded_body
from copilot_trio.server.exchange import Request

PLAIN = b'{"model":"gpt-5","messages":[]}' * 20
LIMIT = 10_000


def decoded(encoding: str, body: bytes, limit: int = LIMIT) -> bytes:
    return decoded_body(Request("POST", "/", "", {"content-encoding": encoding}, body), limit)


def zstd_streamed(plain: bytes) -> bytes:
    """Without the plain size in its header."""
    encoder = zstandard.ZstdCompressor().compressobj()
    return encoder.compress(plain) + encoder.flush()


@pytest.mark.parametrize("encoding", ["", "identity", "Identity "])
def test_a_plain_body_stays_as_it_is(encoding: str) -> None:
    assert decoded(encoding, PLAIN) == PLAIN


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", " GZIP "])
def test_gzip_is_decoded(encoding: str) -> None:
    assert decoded(encoding, gzip.compress(PLAIN)) == PLAIN


@pytest.mark.parametrize("body", [zstandard.compress(PLAIN), zstd_streamed(PLAIN)])
def test_zstd_is_decoded(body: bytes) -> None:
    assert decoded("zstd", body) == PLAIN


@pytest.mark.parametrize(
    ("encoding", "body"),
    [("gzip", gzip.compress(b"x" * LIMIT)), ("zstd", zstandard.compress(b"x" * LIMIT))],
    ids=["gzip", "zstd"],
)
def test_a_body_of_exactly_the_limit_passes(encoding: str, body: bytes) -> None:
    assert len(decoded(encoding, body)) == LIMIT


BOMB = b"\0" * 50_000_000


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(b"x" * (LIMIT + 1))),
        ("gzip", gzip.compress(BOMB)),
        ("zstd", zstandard.compress(b"x" * (LIMIT + 1))),
        ("zstd", zstandard.compress(BOMB)),
        ("zstd", zstd_streamed(BOMB)),
    ],
    ids=["gzip by one", "gzip bomb", "zstd by one", "zstd bomb", "zstd bomb of unknown size"],
)
def test_a_body_over_the_limit_when_decoded_is_too_large(encoding: str, body: bytes) -> None:
    with pytest.raises(TooLarge):
        decoded(encoding, body)


@pytest.mark.parametrize(
    ("encoding", "body", "words"),
    [
        ("gzip", b"", "cut short"),
        ("gzip", gzip.compress(PLAIN)[:-1], "cut short"),
        ("gzip", gzip.compress(PLAIN)[:12], "cut short"),
        ("gzip", b"{}", "damaged"),
        ("gzip", gzip.compress(PLAIN)[:-8] + b"\0" * 8, "damaged"),
        ("gzip", gzip.compress(PLAIN) + b"more", "goes on"),
        ("gzip", gzip.compress(b"") * 1000, "goes on"),
        ("zstd", b"", "cut short"),
        ("zstd", zstandard.compress(PLAIN)[:-1], "cut short"),
        ("zstd", zstd_streamed(PLAIN)[:-1], "cut short"),
        ("zstd", b'{"model":"gpt-5"}', "damaged"),
        ("zstd", zstandard.compress(PLAIN) + b"more", "goes on"),
    ],
)
def test_a_damaged_body_is_a_bad_request_with_the_reason(encoding: str, body: bytes, words: str) -> None:
    with pytest.raises(BadRequest, match=words):
        decoded(encoding, body)


@pytest.mark.parametrize("encoding", ["br", "deflate", "gzip, gzip", "x" * 500])
def test_another_encoding_is_unsupported(encoding: str) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        decoded(encoding, PLAIN)
    assert len(str(caught.value)) < 200
