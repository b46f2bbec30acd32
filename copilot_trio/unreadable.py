"""What decoding somebody else's JSON can raise: bad syntax, bad UTF-8, and nesting too deep for the decoder."""

from __future__ import annotations

import msgspec

UNREADABLE: tuple[type[Exception], ...] = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
UNREADABLE_OR_ODD: tuple[type[Exception], ...] = (*UNREADABLE, ValueError)  # what walking a text by offsets adds
