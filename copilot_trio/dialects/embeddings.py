"""Embeddings: what Copilot's endpoint takes and what OpenAI's clients send and want (upstream.md §11.1). Pure."""

from __future__ import annotations

import struct
from base64 import b64encode
from typing import Self

import msgspec

from copilot_trio.errors import BadRequest, UpstreamError
from copilot_trio.models.model import Model
from copilot_trio.unreadable import UNREADABLE

from . import splice
from .passthrough import rename_in_reply
from .plan import is_object
from .splice import Splice

_encode = msgspec.json.Encoder().encode


class EmbeddingsRequest(msgspec.Struct, frozen=True):
    model: str = ""
    input: msgspec.Raw = msgspec.Raw()
    encoding_format: str | None = None


class EmbeddingsPlan(msgspec.Struct, frozen=True):
    model: Model
    body: bytes
    asked: str  # the model as the client named it
    base64: bool  # the client wants its vectors packed
    betas: str | None = None

    @property
    def endpoint(self) -> str:
        return "/embeddings"

    def with_body(self, body: bytes) -> Self:
        return msgspec.structs.replace(self, body=body)

    def without_additions(self) -> Self | None:
        return None

    def whole_answer(self, body: bytes) -> bytes:
        """Raises ``UpstreamError``."""
        if not is_object(body):
            raise UpstreamError("upstream's answer is no JSON object")
        shown = body if self.asked == self.model.id else rename_in_reply(body, self.asked)
        return packed(shown) if self.base64 else shown


_decode_request = msgspec.json.Decoder(EmbeddingsRequest).decode


def read_request(body: bytes) -> EmbeddingsRequest:
    """Raises ``BadRequest`` for what the endpoint cannot answer."""
    try:
        body.decode()  # msgspec checks only what it reads
        request = _decode_request(body)
        given = msgspec.json.decode(request.input, type=str | list[msgspec.Raw]) if bytes(request.input) else None
    except UNREADABLE as error:
        raise BadRequest(f"the request does not follow the Embeddings API: {error}") from None
    if not request.model:
        raise BadRequest("the request names no model", remedy="GET /v1/models lists them.", param="model")
    if not given:
        raise BadRequest("the request has no input", remedy="Send a string or an array of strings.", param="input")
    if isinstance(given, list) and not all(bytes(item).startswith(b'"') for item in given):
        raise BadRequest(
            "`input` holds something else than strings", remedy="Copilot takes text, not token ids.", param="input"
        )
    if request.encoding_format not in {None, "float", "base64"}:
        raise BadRequest(f"encoding_format {request.encoding_format!r} is unknown", param="encoding_format")
    return request


def make_plan(body: bytes, request: EmbeddingsRequest, model: Model) -> EmbeddingsPlan:
    """A bare string is wrapped, for upstream takes arrays only. Raises ``BadRequest`` for a model of another kind."""
    if "/embeddings" not in model.endpoints:
        raise BadRequest(f"{model.id} is no embeddings model", remedy="Choose one of type embeddings.", param="model")
    edit = Splice(body)
    top = splice.members(body, splice.whole(body))
    for value in top:
        if value.key == "model" and request.model != model.id:
            edit.replace(value, _encode(model.id))
        elif value.key == "input" and splice.text_of(body, value).startswith(b'"'):
            edit.replace(value, b"[" + splice.text_of(body, value) + b"]")
        elif value.key == "encoding_format":
            edit.cut(top, value)  # whether upstream knows base64 is unsure; floats it does
    return EmbeddingsPlan(model, edit.apply() if edit else body, request.model, request.encoding_format == "base64")


class _Vector(msgspec.Struct):
    embedding: list[float] | str
    index: int = 0
    object: str = "embedding"


class _Reply(msgspec.Struct):
    data: list[_Vector]
    model: str = ""
    usage: msgspec.Raw = msgspec.Raw(b'{"prompt_tokens":0,"total_tokens":0}')
    object: str = "list"


_decode_reply = msgspec.json.Decoder(_Reply).decode


def packed(body: bytes) -> bytes:
    """The reply with each vector as base64 of little-endian 32-bit floats, as OpenAI's SDKs ask for by default."""
    try:
        reply = _decode_reply(body)
    except UNREADABLE as error:
        raise UpstreamError(f"upstream sent embeddings we cannot read: {error}") from None
    for vector in reply.data:
        if isinstance(vector.embedding, list):
            floats = vector.embedding
            vector.embedding = b64encode(struct.pack(f"<{len(floats)}f", *floats)).decode()
    return _encode(reply)


def tokens_in(body: bytes) -> int:
    """What an embeddings reply says it used."""
    try:
        usage = msgspec.json.decode(_decode_reply(body).usage, type=dict[str, int])
    except UNREADABLE:
        return 0
    return usage.get("prompt_tokens", 0)
