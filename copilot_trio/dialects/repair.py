"""What may be done to a request before its one free re-send, by byte offsets: the rest stays (upstream.md §12)."""

from __future__ import annotations

import msgspec

from . import splice
from .splice import Splice, Value

ENCRYPTED_ITEMS = ("reasoning", "compaction")  # nothing of them can be read without the secret
KEPT_KINDS = {"compaction_trigger"}
ENCRYPTED_PART = "encrypted_content"

_encode = msgspec.json.Encoder().encode


def without_thinking(body: bytes) -> bytes:
    """All assistant thinking cut out, for a signature that upstream refuses; in Anthropic's and the chat dialect.

    A turn of tools under way that has lost its thinking can only go on without any: then ``thinking`` with a budget
    goes too (peers.md §14 item 3). upstream.md §12 row 14.
    """
    edit = Splice(body)
    top = splice.members(body, splice.whole(body))
    messages = _named(top, "messages")
    under_way = False
    for message in [] if messages is None else splice.elements(body, messages):
        fields = splice.members(body, message)
        for field in fields:
            if field.key in {"reasoning_text", "reasoning_opaque"}:
                edit.cut(fields, field)
        content = _named(fields, "content")
        blocks = [] if content is None else splice.elements(body, content)
        kinds = [_kind(body, block) for block in blocks]
        unwanted = [
            block for block, kind in zip(blocks, kinds, strict=True) if kind in {"thinking", "redacted_thinking"}
        ]
        if splice.string_at(body, _named(fields, "role")) == "assistant":
            under_way = bool(unwanted) and "tool_use" in kinds
        if unwanted and len(unwanted) == len(blocks) and content is not None:
            edit.replace(content, b'[{"type":"text","text":"(thinking left out)"}]')
            continue
        for block in unwanted:
            edit.cut(blocks, block)
    thinking = _named(top, "thinking")
    if under_way and thinking is not None and _kind(body, thinking) == "enabled":
        edit.cut(top, thinking)
    return edit.apply() if edit else body


def without_item_ids(body: bytes) -> bytes:
    """The ids of all input items cut out, their contents and ``call_id`` kept. upstream.md §12 rows 15 and 18."""
    edit = Splice(body)
    for item in _items(body):
        fields = splice.members(body, item)
        if splice.string_at(body, _named(fields, "type")) == "item_reference":
            continue  # it is nothing but an id
        for field in fields:
            if field.key == "id":
                edit.cut(fields, field)
    return edit.apply() if edit else body


def without_encrypted(body: bytes) -> bytes:
    """What another account or model encrypted cut out: reasoning and compaction items, and parts of tool outputs.

    Some clients put plain text where a secret belongs; that text stays. upstream.md §12 rows 16 and 17.
    """
    edit = Splice(body)
    items = _items(body)
    for item in items:
        fields = splice.members(body, item)
        kind = splice.string_at(body, _named(fields, "type")) or ""
        if kind.startswith(ENCRYPTED_ITEMS) and kind not in KEPT_KINDS:
            edit.cut(items, item)
            continue
        for field in fields:
            if field.key == ENCRYPTED_PART:
                edit.cut(fields, field)
            elif field.key in {"output", "content"}:
                for part in splice.elements(body, field):
                    if _kind(body, part) == ENCRYPTED_PART:
                        edit.replace(part, _flat(body, part))
    return edit.apply() if edit else body


def _flat(body: bytes, part: Value) -> bytes:
    text = splice.string_at(body, splice.member(body, part, ENCRYPTED_PART)) or ""
    plain = any(character.isspace() for character in text)  # which no cipher text has
    return _encode({"type": "input_text", "text": text if plain else "(encrypted content left out)"})


def _items(body: bytes) -> list[Value]:
    items = splice.member(body, splice.whole(body), "input")
    return [] if items is None else splice.elements(body, items)


def _named(fields: list[Value], key: str) -> Value | None:
    return next((field for field in reversed(fields) if field.key == key), None)


def _kind(body: bytes, of: Value) -> str | None:
    return splice.string_at(body, splice.member(body, of, "type"))
