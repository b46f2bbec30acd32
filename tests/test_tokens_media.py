"""Sizes of images, and the rules for what is no text."""

from __future__ import annotations

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copilot_trio.tokens.media import (
    Paper,
    Picture,
    Vendor,
    image_size,
    paper_tokens,
    picture_tokens,
    sealed_tokens,
    vendor_of,
)


def png(width: int, height: int) -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + bytes(40)


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + bytes(40)


def webp_lossy(width: int, height: int) -> bytes:
    return b"RIFF\0\0\0\0WEBPVP8 \0\0\0\0\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height) + bytes(40)


def webp_lossless(width: int, height: int) -> bytes:
    return b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0\x2f" + struct.pack("<I", width - 1 | (height - 1) << 14) + bytes(40)


def webp_extended(width: int, height: int) -> bytes:
    canvas = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + canvas + bytes(40)


def jpeg(width: int, height: int) -> bytes:
    """With metadata of 40 KB before the frame, a fill byte, and a Huffman table, which is no frame."""
    metadata = b"\xff\xe1" + struct.pack(">H", 40_002) + bytes(40_000)
    table = b"\xff\xff\xc4\0\x05\1\2\3"
    return b"\xff\xd8" + metadata + table + b"\xff\xc2\0\x11\x08" + struct.pack(">HH", height, width) + bytes(40)


def encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("make", [png, gif, webp_lossy, webp_lossless, webp_extended, jpeg])
def test_the_size_is_read(make: object) -> None:
    assert callable(make)
    assert image_size(encoded(make(1234, 567))) == (1234, 567)


@pytest.mark.parametrize(
    "data",
    [
        "",
        "####",
        "é" * 100,
        encoded(b"plain text that is no image at all"),
        encoded(png(10, 10)[:18]),
        encoded(png(0, 10)),
        encoded(jpeg(10, 10)[:100]),
        encoded(b"\xff\xd8" + b"\xff" * 5000),
        encoded(b"RIFF\0\0\0\0WEBPJUNK" + bytes(50)),
    ],
)
def test_no_size_is_made_up(data: str) -> None:
    assert image_size(data) is None
    assert picture_tokens(Picture(data), "anthropic") == 1600


@given(
    st.binary(max_size=200), st.sampled_from([b"\xff\xd8", b"RIFF\0\0\0\0WEBPVP8X", b"\x89PNG\r\n\x1a\n", b"GIF89a"])
)
def test_junk_is_only_unknown(data: bytes, magic: bytes) -> None:
    for vendor in ("anthropic", "google", "openai"):
        assert picture_tokens(Picture(encoded(magic + data)), vendor) > 0


@pytest.mark.parametrize(
    ("vendor", "width", "height", "tokens"),
    [
        ("anthropic", 200, 200, 53),
        ("anthropic", 1000, 1000, 1333),
        ("anthropic", 1092, 1092, 1590),
        ("anthropic", 8000, 8000, 1600),
        ("openai", 512, 512, 255),
        ("openai", 1024, 1024, 765),
        ("openai", 2048, 4096, 1105),
        ("google", 300, 384, 258),
        ("google", 1000, 700, 516),
    ],
)
def test_pictures_by_the_rules_of_vendors(vendor: Vendor, width: int, height: int, tokens: int) -> None:
    assert picture_tokens(Picture(encoded(png(width, height))), vendor) == tokens


def test_low_detail_has_one_price() -> None:
    assert picture_tokens(Picture(encoded(png(4000, 4000)), low_detail=True), "openai") == 85


def test_pages_are_counted() -> None:
    pages = b"%PDF-1.7\n<< /Type /Pages /Count 3 >><< /Type /Page /Parent 1 0 R >>\n<</Type/Page>><</Type/Page\n>>"
    assert paper_tokens(Paper(encoded(pages)), "anthropic") == 3 * 2500
    counted = b"%PDF-1.7\n<< /Type /Pages /Count 12 >>"
    assert paper_tokens(Paper(encoded(counted)), "openai") == 12 * 1500


def test_pages_that_are_hidden_go_by_size() -> None:
    hidden = encoded(b"%PDF-1.7\n" + bytes(120_000))
    assert paper_tokens(Paper(hidden), "anthropic") == 3 * 2500
    assert paper_tokens(Paper(), "anthropic") == 2500


def test_a_text_file_goes_by_its_length() -> None:
    assert paper_tokens(Paper(encoded(b"word " * 800), "text/plain"), "anthropic") == pytest.approx(1000, rel=0.01)


def test_a_seal_costs_what_it_seals() -> None:
    assert sealed_tokens(0) == 0
    assert sealed_tokens(len(encoded(bytes(256)))) <= 1
    assert sealed_tokens(len(encoded(bytes(256 + 8000)))) == pytest.approx(2000, abs=2)


@pytest.mark.parametrize(
    ("model", "vendor"),
    [("claude-opus-4.6", "anthropic"), ("Gemini-2.5-pro", "google"), ("gpt-4.1", "openai"), ("grok-code", "openai")],
)
def test_vendors(model: str, vendor: Vendor) -> None:
    assert vendor_of(model) == vendor
