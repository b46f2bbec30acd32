"""Which conversation a request belongs to, so that it stays with one account. Pure (product.md §4.4).

By what the client says of its session, else by what stays the same in a conversation from turn to turn: how it begins.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .envelope import Envelope

# Claude Code's, Codex's, opencode's (clients.md §3.1, §4.1, §5.1).
SESSION_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "x-session-affinity",
    "x-session-id",
)
BEGINNING = 2  # messages: a system prompt and a person's first words, or the latter alone
HASHED = 64 * 1024  # bytes of each part; what differs only behind them is the same conversation
# Clients move this mark towards the end, turn by turn.
_CACHE_MARK = re.compile(rb',?\s*"cache_control"\s*:\s*(?:\{[^{}]*\}|null)')


class _Metadata(msgspec.Struct):
    user_id: str = ""


class _UserId(msgspec.Struct):
    session_id: str = ""


_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_user_id = msgspec.json.Decoder(_UserId).decode
_decode_text = msgspec.json.Decoder(str).decode


def conversation_key(headers: Mapping[str, str], envelope: Envelope, scope: str = "") -> str:
    """Hexadecimal. ``scope`` keeps apart what is never the same conversation, such as the keys of two callers."""
    digest = hashlib.blake2b(scope.encode(), digest_size=12)
    session = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), "")
    session = session or _user_of(envelope.metadata) or _text(envelope.prompt_cache_key)
    if session:
        digest.update(b"\0session\0" + session[:1000].encode(errors="replace"))
        return digest.hexdigest()
    beginning = [envelope.system, *envelope.messages[:BEGINNING]]
    for part in beginning:
        digest.update(b"\0" + _CACHE_MARK.sub(b"", bytes(part)[:HASHED]))
    digest.update((envelope.instructions or "")[:HASHED].encode(errors="replace"))
    return digest.hexdigest()


def _user_of(raw: msgspec.Raw) -> str:
    """Claude Code's holds JSON with the session's id; others may name a user, which is as good."""
    try:
        said = _decode_metadata(raw).user_id
    except UNREADABLE:
        return ""
    try:
        return _decode_user_id(said).session_id or said
    except UNREADABLE:
        return said


def _text(raw: msgspec.Raw) -> str:
    try:
        return _decode_text(raw)
    except UNREADABLE:
        return ""
