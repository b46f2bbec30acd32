"""Responses over a WebSocket: what one connection remembers, so that each request can go upstream whole.

A client sends ``previous_response_id`` and only what is new (upstream.md §9.2, clients.md §4.3). Upstream keeps nothing
over HTTP, so the conversation up to each recent response is kept here, as the bytes in which it came.
"""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from copilot_trio.dialects import splice
from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import BadRequest, TooLarge, reading
from copilot_trio.unreadable import UNREADABLE

REMEMBERED = 4  # responses a client may go on from; Codex goes on from the latest
OURS = {"type", "generate", "previous_response_id", "initiator", "stream", "background"}


class FrameHead(msgspec.Struct, frozen=True):
    type: str = ""
    generate: bool = True
    previous_response_id: str | None = None


class Asking(msgspec.Struct, frozen=True):
    """``body`` is a whole request for ``POST /responses``; ``items`` its input's elements, without the brackets."""

    body: bytes
    items: bytes
    generate: bool


_decode_head = msgspec.json.Decoder(FrameHead).decode


class Session:
    """``max_size``: bytes of a whole request."""

    def __init__(self, max_size: int) -> None:
        self._max_size = max_size
        self._items: OrderedDict[str, bytes] = OrderedDict()  # response id -> its input and output, elements joined

    def read(self, frame: bytes) -> Asking | None:
        """A request, or None for a frame that wants no answer. Raises ``BadRequest`` and ``TooLarge``."""
        frame = without_half_pairs(frame)
        try:
            head = _decode_head(frame)
        except UNREADABLE as error:
            raise BadRequest(f"the frame is no JSON object that this API knows: {error}") from None
        if head.type == "response.processed":
            return None
        if head.type != "response.create":
            raise BadRequest(f"frames of type {head.type[:60]!r} are unknown", remedy="Send response.create.")
        with reading("the frame"):
            return self._read(frame, head)

    def _read(self, frame: bytes, head: FrameHead) -> Asking:
        top = splice.members(frame, splice.whole(frame))
        given = next((value for value in reversed(top) if value.key == "input"), None)
        if given is None:
            raise BadRequest("the request has no input", remedy="Send `input`.", param="input")
        items = _joined(self._before(head.previous_response_id), _elements(frame, given))
        edit = splice.Splice(frame)
        for value in top:
            if value.key in OURS:
                edit.cut(top, value)
        edit.replace(given, b"[" + items + b"]")
        body = edit.apply().rstrip()
        body = body[:-1] + b',"stream":true}'
        if len(body) > self._max_size:
            raise TooLarge(f"the conversation is over {self._max_size} bytes", remedy="Compact it, or begin a new one.")
        return Asking(body, items, head.generate)

    def _before(self, previous: str | None) -> bytes:
        if previous is None:
            return b""
        if previous not in self._items:
            raise BadRequest(
                "previous_response_id names no response of this connection",
                remedy="Send the whole input without it.",
                code="previous_response_not_found",
                param="previous_response_id",
            )
        return self._items[previous]

    def remember(self, response_id: str, items: bytes, output: list[bytes]) -> None:
        """``output``: the items of the answer, as the client got them."""
        self._items[response_id] = _joined(items, *output)
        self._items.move_to_end(response_id)
        while len(self._items) > REMEMBERED or (len(self._items) > 1 and self._size() > self._max_size):
            self._items.popitem(last=False)

    def _size(self) -> int:
        return sum(map(len, self._items.values()))


def _elements(frame: bytes, given: splice.Value) -> bytes:
    """The elements of an input, joined by commas; a string is a user's message."""
    text = splice.text_of(frame, given)
    if text.startswith(b"["):
        return text[1:-1].strip()
    if not text.startswith(b'"'):
        raise BadRequest("`input` is neither a string nor an array", param="input")
    return b'{"type":"message","role":"user","content":[{"type":"input_text","text":%b}]}' % text


def _joined(*parts: bytes) -> bytes:
    return b",".join(part for part in parts if part)


def request_frame(body: bytes, initiator: str) -> bytes:
    """The body of a ``POST /responses`` as a ``response.create`` frame: the initiator is in it, ``stream`` is not."""
    edit = splice.Splice(body)
    whole = splice.whole(body)
    top = splice.members(body, whole)
    for value in top:
        if value.key == "stream":
            edit.cut(top, value)
    edit.insert(whole.value + 1, b'"type":"response.create","initiator":"%b",' % initiator.encode())
    return edit.apply()


class Noted(msgspec.Struct):
    """What of an answer the session has to remember: its id and its items."""

    response_id: str = ""
    output: list[bytes] = []
    completed: bool = False

    def look(self, event: bytes) -> None:
        """Reads one event's JSON, if it is of a kind that matters."""
        if b'"response.output_item.done"' in event:
            item = _decode_item(event)
            if item is not None:
                self.output.append(item)
        elif b'"response.completed"' in event or b'"response.incomplete"' in event:
            self.response_id = _decode_id(event) or self.response_id
            self.completed = bool(self.response_id)


class _ItemDone(msgspec.Struct):
    type: str = ""
    item: msgspec.Raw = msgspec.Raw()


class _ResponseHead(msgspec.Struct, frozen=True):
    id: str = ""


class _Terminal(msgspec.Struct):
    type: str = ""
    response: _ResponseHead = _ResponseHead()


_decode_done = msgspec.json.Decoder(_ItemDone).decode
_decode_terminal = msgspec.json.Decoder(_Terminal).decode


def _decode_item(event: bytes) -> bytes | None:
    try:
        done = _decode_done(event)
    except UNREADABLE:
        return None
    return bytes(done.item) if done.type == "response.output_item.done" else None


def _decode_id(event: bytes) -> str:
    try:
        terminal = _decode_terminal(event)
    except UNREADABLE:
        return ""
    return terminal.response.id if terminal.type in {"response.completed", "response.incomplete"} else ""
