"""Which conversation a request belongs to, so that it stays with one account. Pure (product.md §4.4).

By what the client says of its session, else by what stays the same in a conversation from turn to turn: how it begins.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

import msgspec

from copilot_trio.unreadable import UNREADABLE

from .envelope import MODELS_OWN, Block, Envelope, Item

# Claude Code's, Codex's, opencode's (clients.md §3.1, §4.1, §5.1).
SESSION_HEADERS = (
    "x-claude-code-session-id",
    "session-id",
    "session_id",
    "thread-id",
    "x-session-affinity",
    "x-session-id",
)
BEGINNING = 8  # items looked at
HASHED = 64 * 1024  # characters of each part; what differs only behind them is the same conversation
SYSTEM = {"system", "developer"}
MODELS_ROLES = {"assistant", "tool", "function"}


class _Metadata(msgspec.Struct):
    user_id: str = ""


class _UserId(msgspec.Struct):
    session_id: str = ""


_decode_metadata = msgspec.json.Decoder(_Metadata).decode
_decode_user_id = msgspec.json.Decoder(_UserId).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_content = msgspec.json.Decoder(str | list[Block] | None).decode
_decode_item = msgspec.json.Decoder(Item).decode


def conversation_key(headers: Mapping[str, str], envelope: Envelope, scope: str = "") -> str:
    """Hexadecimal; empty for what stands alone, a prompt without a history.

    ``scope`` keeps apart what is never the same conversation, such as the keys of two callers.
    """
    digest = hashlib.blake2b(scope.encode(errors="replace"), digest_size=12)
    session = next((headers[name] for name in SESSION_HEADERS if headers.get(name)), "")
    session = session or _user_of(envelope.metadata) or _text(envelope.prompt_cache_key)
    if session:
        digest.update(b"\0session\0" + session[:1000].encode(errors="replace"))
        return digest.hexdigest()
    if not envelope.messages:
        return ""
    for part in (_content(envelope.system), envelope.instructions or "", *_beginning(envelope.messages)):
        digest.update(b"\0" + part[:HASHED].encode(errors="replace"))
    return digest.hexdigest()


def _beginning(items: list[msgspec.Raw]) -> Iterator[str]:
    """What stands before the model's first word, as text alone: clients move cache marks about, and write a text now as
    a string, now as a block. What they add of their own behind a person's words is there in the last turn only.
    """
    asked = False
    for number, raw in enumerate(items[:BEGINNING]):
        try:
            item = _decode_item(raw)
        except UNREADABLE:
            yield bytes(raw)[:HASHED].decode(errors="replace")
            continue
        models = item.role in MODELS_ROLES or item.type in MODELS_OWN or item.type.endswith(("_call", "_output"))
        if models and number > 0:
            return
        if item.role in SYSTEM and asked:
            continue
        asked = asked or item.role not in SYSTEM
        yield f"{item.role}:{_plain(item.content)}"


def _content(raw: msgspec.Raw) -> str:
    try:
        return _plain(_decode_content(raw))
    except UNREADABLE:
        return bytes(raw)[:HASHED].decode(errors="replace")


def _plain(content: str | list[Block] | None) -> str:
    return "\n".join(block.text for block in content) if isinstance(content, list) else content or ""


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
