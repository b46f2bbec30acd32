"""The content of a Responses message or tool output, parsed into parts."""

from __future__ import annotations

import re

import msgspec

from copilot_trio.dialects.chat.parse import text_in
from copilot_trio.errors import BadRequest
from copilot_trio.turn import Document, Image, Refusal, Text

from .wire import ImageUrl, Kind, PartIn

ContentPart = Text | Refusal | Image | Document
TEXTS = {"input_text", "output_text", "text", "summary_text", "reasoning_text"}
KNOWN_PARTS = {*TEXTS, "refusal", "input_image", "image_url", "input_file"}

_decode_content = msgspec.json.Decoder(str | list[msgspec.Raw] | None).decode
_decode_kind = msgspec.json.Decoder(Kind).decode
_decode_part = msgspec.json.Decoder(PartIn).decode
_DATA_URL = re.compile(r"data:([^;,]*)(?:;[^;,]*)*;base64,", re.IGNORECASE)


def content_parts(content: msgspec.Raw) -> tuple[ContentPart, ...]:
    """Of a string or an array of parts. An empty text is none; a part that we don't know is a text of its JSON.

    Raises ``BadRequest`` for a file that would have to be stored here, ``ValidationError`` for a field of a wrong type.
    """
    found = _decode_content(content) if bytes(content) else None
    if isinstance(found, str):
        return (Text(found),) if found else ()
    parts = [_part(raw) for raw in found or ()]
    return tuple(part for part in parts if not isinstance(part, Text) or part.text)


def output_parts(output: msgspec.Raw) -> tuple[Text | Image | Document, ...]:
    """Of what a tool gave back: a string, parts, or by a client's mistake any other JSON, which is then the text."""
    text = bytes(output).decode()
    if text[:1] not in {"", '"', "[", "n"}:
        return (Text(text),)
    return tuple(Text(part.text) if isinstance(part, Refusal) else part for part in content_parts(output))


def _part(raw: msgspec.Raw) -> ContentPart:
    """A type we don't know may use our fields for something else, and need not be an object."""
    try:
        kind = _decode_kind(raw).type
    except msgspec.ValidationError:
        kind = None
    if kind not in KNOWN_PARTS:
        return Text(bytes(raw).decode())
    part = _decode_part(raw)
    if kind == "refusal":
        return Refusal(part.refusal or "")
    if kind in TEXTS:
        return Text(part.text or "")
    return _file(part) if kind == "input_file" else _image(part)


def _image(part: PartIn) -> Image:
    named = part.image_url if isinstance(part.image_url, ImageUrl) else ImageUrl(part.image_url or "")
    if not named.url:
        raise _not_stored("an image", part.file_id, "Send it as `image_url`.")
    detail = part.detail or named.detail or ""
    data = _data_url(named.url)
    return Image(url=named.url, detail=detail) if data is None else Image(*data, detail=detail)


def _file(part: PartIn) -> Document:
    title = part.filename or ""
    if part.file_url:
        return Document(url=part.file_url, title=title)
    if not part.file_data:
        raise _not_stored("a file", part.file_id, "Send it as `file_data`.")
    media_type, data = _data_url(part.file_data) or ("application/pdf", part.file_data)
    if media_type.startswith("text/"):
        text = text_in(data)
        if text is not None:
            return Document(media_type, text=text, title=title)
    return Document(media_type, data=data, title=title)


def _not_stored(what: str, file_id: str | None, remedy: str) -> BadRequest:
    named = f"{what} by its id `{file_id}`, but nothing is stored here" if file_id else f"{what} without its data"
    return BadRequest(f"the input has {named}", remedy=remedy, param="input")


def _data_url(url: str) -> tuple[str, str] | None:
    """Media type and base64."""
    match = _DATA_URL.match(url)
    return (match[1], url[match.end() :]) if match else None
