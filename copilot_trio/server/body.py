"""Request bodies that come compressed: gzip always, zstd where a decoder is at hand (product.md §2.1)."""

from __future__ import annotations

import importlib
import zlib
from collections.abc import Callable

from copilot_trio.errors import BadRequest, TooLarge, UnsupportedMedia

from .exchange import Request

MAX_WINDOW = 128 * 1024 * 1024  # what `zstd --long` asks for

Decompress = Callable[[bytes, int], bytes]


def decoded_body(request: Request, limit: int) -> bytes:
    """Raises ``UnsupportedMedia``, ``BadRequest``, and ``TooLarge`` for what is over ``limit`` bytes when decoded."""
    encoding = request.headers["content-encoding"].strip().lower()
    if encoding in {"", "identity"}:
        return request.body
    if encoding in {"gzip", "x-gzip"}:
        return _gunzip(request.body, limit)
    if encoding == "zstd" and (unzstd := _zstd()) is not None:
        return unzstd(request.body, limit)
    raise UnsupportedMedia(
        f"bodies with Content-Encoding {encoding[:40]!r} cannot be decoded here",
        remedy="zstd needs `pip install copilot-trio[zstd]`." if encoding == "zstd" else "Send it plain, or as gzip.",
    )


def _gunzip(body: bytes, limit: int) -> bytes:
    decoder = zlib.decompressobj(wbits=31)
    try:
        plain = decoder.decompress(body, limit + 1)
    except zlib.error as error:
        raise BadRequest(f"the gzip body is damaged: {error}") from None
    if len(plain) > limit:
        raise _too_large(limit)
    if not decoder.eof:
        raise BadRequest("the gzip body is cut short")
    if decoder.unused_data:  # a second member is legal, but no client sends one, and a million of them cost minutes
        raise BadRequest("the gzip body goes on after its end")
    return plain


def _too_large(limit: int) -> TooLarge:
    return TooLarge(f"the decoded body is over {limit} bytes", remedy="Send less, or start with a larger --max-body.")


def _zstd() -> Decompress | None:
    try:
        zstandard = importlib.import_module("zstandard")
    except ImportError:
        return None

    def decompress(body: bytes, limit: int) -> bytes:
        decoder = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW)
        try:
            # Twice: the reader can be bounded, but a body cut short is nothing to it; the object tells that.
            if len(decoder.stream_reader(body).read(limit + 1)) > limit:
                raise _too_large(limit)
            whole = decoder.decompressobj()
            plain: bytes = whole.decompress(body)
        except zstandard.ZstdError as error:
            raise BadRequest(f"the zstd body is damaged: {error}") from None
        if not whole.eof:
            raise BadRequest("the zstd body is cut short")
        if whole.unused_data:
            raise BadRequest("the zstd body goes on after its end")
        return plain

    return decompress
