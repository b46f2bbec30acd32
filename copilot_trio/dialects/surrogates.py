"""Halves of surrogate pairs in JSON escapes, which clients send when they cut a string inside an emoji.

Anthropic refuses such a body, and so does our parser; other upstreams read U+FFFD for each half. That is what is put in
their place: an escape for an escape of the same length, and no other byte changes.
"""

from __future__ import annotations

import re

_ESCAPE = re.compile(rb"\\(?:u([0-9a-fA-F]{4})|.)", re.DOTALL)
REPLACEMENT = rb"\ufffd"


def without_half_pairs(body: bytes) -> bytes:
    """The same object where there is nothing to mend, which two searches at memory speed tell."""
    if b"\\ud" not in body and b"\\uD" not in body:
        return body
    halves = _half_pairs(body)
    if not halves:
        return body
    mended = bytearray(body)
    for start in halves:
        mended[start : start + len(REPLACEMENT)] = REPLACEMENT
    return bytes(mended)


def _half_pairs(body: bytes) -> list[int]:
    """Where they begin. Escapes are taken one by one, so that ``\\\\ud83d``, an escaped backslash, is not one."""
    found: list[int] = []
    high: tuple[int, int] | None = None  # a first half waiting for its second: where it begins and ends
    for match in _ESCAPE.finditer(body):
        code = int(match[1], 16) if match[1] else 0
        if high is not None and not (0xDC00 <= code <= 0xDFFF and match.start() == high[1]):
            found.append(high[0])
            high = None
        if 0xD800 <= code <= 0xDBFF:
            high = match.span()
        elif 0xDC00 <= code <= 0xDFFF:
            if high is None:
                found.append(match.start())
            high = None
    if high is not None:
        found.append(high[0])
    return found
