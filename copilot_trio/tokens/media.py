"""What images, documents and hidden thinking cost: by the providers' rules, never by the text of their base64."""

from __future__ import annotations

import base64
import binascii
import math
import re
from typing import Literal

import msgspec

Vendor = Literal["anthropic", "google", "openai"]

HEAD = 256 * 1024  # base64 characters in which an image's size is looked for; a photo's metadata can be that long
DOCUMENT_HEAD = 8 * 1024 * 1024  # and in which a document's pages are counted
UNKNOWN_IMAGE: dict[Vendor, int] = {"anthropic": 1600, "google": 258, "openai": 765}
PAGE: dict[Vendor, int] = {"anthropic": 2500, "google": 258, "openai": 1500}  # its text and, but for Google, its image
PAGE_BYTES = 50_000  # of a document whose pages cannot be counted
CHARACTERS_PER_TOKEN = 4
SEAL_BYTES = 256  # of a signature that seals nothing

_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
_PDF_COUNT = re.compile(rb"/Count\s+(\d{1,5})")
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # the markers of frames
_JPEG_BARE = {0x01, *range(0xD0, 0xD9)}  # markers without a length


class Picture(msgspec.Struct, frozen=True):
    """``data`` is base64; empty for one that stands at a URL."""

    data: str = ""
    low_detail: bool = False


class Paper(msgspec.Struct, frozen=True):
    """A document whose text we don't have. ``data`` is base64; empty for one that stands elsewhere."""

    data: str = ""
    media_type: str = ""


def vendor_of(model: str) -> Vendor:
    """Who made the model, by its id; what is unknown counts as OpenAI's."""
    name = model.lower()
    if "claude" in name:
        return "anthropic"
    return "google" if "gemini" in name else "openai"


def picture_tokens(picture: Picture, vendor: Vendor) -> int:
    """https://docs.anthropic.com/en/docs/build-with-claude/vision, https://platform.openai.com/docs/guides/images-vision
    and https://ai.google.dev/gemini-api/docs/tokens.
    """
    if vendor == "openai" and picture.low_detail:
        return 85
    size = image_size(picture.data)
    if size is None:
        return UNKNOWN_IMAGE[vendor]
    width, height = size
    match vendor:
        case "anthropic":
            width, height = _shrunk(width, height, longest=1568)
            return min(1600, max(1, round(width * height / 750)))
        case "google":
            if max(width, height) <= 384:
                return 258
            return 258 * math.ceil(width / 768) * math.ceil(height / 768)
        case "openai":
            width, height = _shrunk(width, height, longest=2048)
            width, height = _shrunk(width, height, shortest=768)
            return 85 + 170 * math.ceil(width / 512) * math.ceil(height / 512)


def paper_tokens(paper: Paper, vendor: Vendor) -> int:
    size = len(paper.data) * 3 // 4
    if paper.media_type.startswith("text/"):
        return max(1, size // CHARACTERS_PER_TOKEN)
    return max(1, _pages(paper.data) or math.ceil(size / PAGE_BYTES)) * PAGE[vendor]


def sealed_tokens(length: int) -> int:
    """What thinking costs of which we have only the seal, ``length`` base64 characters: it grows with what it seals."""
    return max(0, length * 3 // 4 - SEAL_BYTES) // CHARACTERS_PER_TOKEN


def image_size(data: str) -> tuple[int, int] | None:
    """Width and height in pixels from the head of a PNG, GIF, WebP or JPEG in base64, or None."""
    head = _decoded(data[:64])
    size = None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        size = _big(head[16:20]), _big(head[20:24])
    elif head.startswith((b"GIF87a", b"GIF89a")):
        size = _little(head[6:8]), _little(head[8:10])
    elif head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        size = _webp_size(head)
    elif head.startswith(b"\xff\xd8"):
        size = _jpeg_size(_decoded(data[:HEAD]))
    return size if size is not None and min(size) > 0 else None


def _webp_size(head: bytes) -> tuple[int, int] | None:
    match head[12:16]:
        case b"VP8 ":
            return _little(head[26:28]) & 0x3FFF, _little(head[28:30]) & 0x3FFF
        case b"VP8L":
            bits = _little(head[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return _little(head[24:27]) + 1, _little(head[27:30]) + 1
        case _:
            return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    position = 2
    while position + 9 <= len(data) and data[position] == 0xFF:
        marker = data[position + 1]
        if marker in _JPEG_SIZES:
            return _big(data[position + 7 : position + 9]), _big(data[position + 5 : position + 7])
        if marker == 0xFF or marker in _JPEG_BARE:
            position += 1 if marker == 0xFF else 2
        else:
            position += 2 + _big(data[position + 2 : position + 4])
    return None


def _pages(data: str) -> int:
    """Pages of a PDF; 0 where it does not say so in the open."""
    content = _decoded(data[:DOCUMENT_HEAD])
    if not content.startswith(b"%PDF"):
        return 0
    return len(_PDF_PAGE.findall(content)) or max(map(int, _PDF_COUNT.findall(content)), default=0)


def _shrunk(width: int, height: int, *, longest: int = 0, shortest: int = 0) -> tuple[int, int]:
    excess = max(width, height) / longest if longest else min(width, height) / shortest
    return (round(width / excess), round(height / excess)) if excess > 1 else (width, height)


def _decoded(data: str) -> bytes:
    try:
        return base64.b64decode(data[: len(data) // 4 * 4])
    except (binascii.Error, ValueError):
        return b""


def _big(data: bytes) -> int:
    return int.from_bytes(data, "big")


def _little(data: bytes) -> int:
    return int.from_bytes(data, "little")
