"""One id for each output item, and one for the response, where Copilot gives every event another (upstream.md §8.2).

OpenAI's SDKs refuse a stream whose ids move, and Codex keys what a tool does by them. The id that an encrypted content
belongs to goes along inside it, for the gate to take out again. Every other byte stays.
"""

from __future__ import annotations

import msgspec

from copilot_trio.dialects import splice
from copilot_trio.unreadable import UNREADABLE_OR_ODD

from .wire_out import UNKNOWN, item_id, response_id

# In JSON a quote within a string is escaped, so these bytes are a key wherever they stand. Keys come sorted, with the
# type last. A delta that looks otherwise, by its spaces or its order, is walked like every other event.
_KEY = b'"item_id":"'
_INDEX = b'"output_index":'
_DELTA_ENDS = (b'.delta"}\n', b'.delta"}')

_encode = msgspec.json.Encoder().encode
_decode_int = msgspec.json.Decoder(int).decode


class IdPins:
    """The ids of one answer: prefix by the item's type, ``seed``, and the item's ``output_index``."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._response = _encode(response_id(seed))
        self._ids: dict[int, str] = {}
        self._keyed: dict[bytes, bytes] = {}  # digits of an index -> the member ``item_id``

    def pin_line(self, line: bytes) -> bytes:
        """A ``data:`` line, of a whole event."""
        pinned = self.pin_delta(line)
        return line[:5] + self._pin_object(line[5:]) if pinned is None else pinned

    def pin_event(self, data: bytes) -> bytes:
        """One event's JSON, as in a WebSocket frame. What is no JSON object stays as it is."""
        pinned = self.pin_delta(data)
        return self._pin_object(data) if pinned is None else pinned

    def pin_delta(self, text: bytes) -> bytes | None:
        """A delta as Copilot writes it, in a line or by itself; None for any other text."""
        start = text.find(_KEY)
        if start < 0 or not text.endswith(_DELTA_ENDS):
            return None
        end = text.find(b'"', start + len(_KEY))
        at = text.find(_INDEX, end)
        if at < 0 or text[end - 1] == ord("\\") or text.find(b'"item_id"', end) >= 0:
            return None
        digits = text[at + len(_INDEX) : text.find(b",", at)]
        pinned = self._keyed.get(digits)
        if pinned is None:
            if not digits.isdigit() or len(digits) > 9:
                return None
            pinned = self._keyed[digits] = b'"item_id":%b' % _encode(self._id_at(int(digits)))
        return b"%b%b%b" % (text[:start], pinned, text[end + 1 :])

    def _id_at(self, index: int, kind: str = "") -> str:
        """An item that was not seen to begin has no type in its id."""
        return self._ids.setdefault(index, item_id(kind, self._seed, index))

    def _pin_object(self, data: bytes) -> bytes:
        try:
            return self._walk(data)
        except UNREADABLE_OR_ODD:
            return data

    def _walk(self, data: bytes) -> bytes:
        members = {member.key: member for member in splice.members(data, splice.whole(data))}
        edit = splice.Splice(data)
        if "response" in members:
            self.pin_response(edit, members["response"])
        if "output_index" in members:
            index = _decode_int(splice.text_of(data, members["output_index"]))
            if "item" in members:
                self._pin_item(edit, members["item"], index)
            if "item_id" in members:
                _replace_id(edit, members["item_id"], _encode(self._id_at(index)))
        return edit.apply() if edit else data

    def pin_response(self, edit: splice.Splice, at: splice.Value) -> None:
        for member in splice.members(edit.body, at):
            if member.key == "id":
                _replace_id(edit, member, self._response)
            elif member.key == "output":
                for index, item in enumerate(splice.elements(edit.body, member)):
                    self._pin_item(edit, item, index)

    def _pin_item(self, edit: splice.Splice, at: splice.Value, index: int) -> None:
        members = {member.key: member for member in splice.members(edit.body, at)}
        kind = splice.string_at(edit.body, members.get("type")) or ""
        known = self._id_at(index, kind)
        if "id" in members:
            # The final list may count otherwise than the stream did: a message is no `rs_`.
            pinned = known if known.startswith(UNKNOWN) else item_id(kind, self._seed, index)
            if "encrypted_content" in members:
                _keep_id(edit, members["encrypted_content"], members["id"])
            _replace_id(edit, members["id"], _encode(pinned))


def pin_answer(body: bytes, seed: str) -> bytes:
    """The same for a whole reply."""
    edit = splice.Splice(body)
    try:
        IdPins(seed).pin_response(edit, splice.whole(body))
    except UNREADABLE_OR_ODD:
        return body
    return edit.apply()


def _keep_id(edit: splice.Splice, secret: splice.Value, identifier: splice.Value) -> None:
    """Upstream wants both back as one event had them, and the client keeps only one: it becomes ``secret@id``."""
    if splice.string_at(edit.body, secret) and splice.string_at(edit.body, identifier):
        edit.insert(secret.end - 1, b"@" + splice.text_of(edit.body, identifier)[1:-1])


def _replace_id(edit: splice.Splice, at: splice.Value, new: bytes) -> None:
    if splice.string_at(edit.body, at) is not None:
        edit.replace(at, new)
