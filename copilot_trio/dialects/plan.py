"""How one request goes upstream and how its answer comes back: same dialect byte for byte, else translated. Pure."""

from __future__ import annotations

import msgspec

from copilot_trio.errors import BadRequest, ModelNotFound, UpstreamError
from copilot_trio.models.model import Model
from copilot_trio.turn import AnswerContext, Usage
from copilot_trio.unreadable import UNREADABLE, UNREADABLE_OR_ODD

from .chat.decode import ChatStreamDecoder, parse_answer
from .chat.render import render_request
from .dialect import Dialect, upstream_dialect
from .gate import GateSettings, pass_betas, pass_gate
from .messages.encode import MessagesStreamEncoder, render_answer
from .messages.parse import parse_request
from .passthrough import Passthrough, rename_in_reply
from .stream import BodyRelay, StreamTranslator


class Plan(msgspec.Struct, frozen=True):
    """``asked`` is the model's name as the client gave it, ``body`` what goes upstream."""

    downstream: Dialect
    upstream: Dialect
    model: Model
    asked: str
    body: bytes
    betas: str | None = None

    @property
    def translated(self) -> bool:
        return self.upstream is not self.downstream

    @property
    def shown_model(self) -> str | None:
        """The name to put back into the answer, where we renamed the model."""
        return self.asked if self.asked != self.model.id else None

    def body_relay(self) -> BodyRelay:
        """A fresh one for each attempt."""
        if self.translated:
            return StreamTranslator(ChatStreamDecoder(), MessagesStreamEncoder(AnswerContext(self.asked)))
        return Passthrough(self.upstream.watch(), self.shown_model)

    def whole_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """A non-streamed answer in the client's dialect, and what it used. Raises ``UpstreamError``."""
        if self.translated:
            turn = parse_answer(body)
            return render_answer(turn, AnswerContext(self.asked)), turn.usage
        if not is_object(body):
            raise UpstreamError("upstream's answer is no JSON object")
        shown = body if self.shown_model is None else rename_in_reply(body, self.shown_model)
        return shown, self.upstream.usage(body)


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_object(body: bytes) -> bool:
    """Is this one whole JSON object? Values are skipped over, not read."""
    try:
        _decode_object(body)
    except UNREADABLE:
        return False
    return True


def make_plan(
    body: bytes,
    asked: str,
    downstream: Dialect,
    model: Model,
    settings: GateSettings,
    betas: str | None = None,
) -> Plan:
    """Raises ``BadRequest`` for a body that cannot be translated, ``ModelNotFound`` for a model out of reach."""
    upstream = upstream_dialect(downstream, model)
    if upstream is None:
        raise ModelNotFound(
            f"{model.id} is offered through {', '.join(model.endpoints)} only, and this route does not reach that yet",
            remedy="Choose a model that lists /chat/completions or /v1/messages.",
            param="model",
        )
    try:
        if upstream is downstream:
            sent = pass_gate(body, upstream.endpoint, model, settings, rename=asked != model.id)
        else:
            conversation = parse_request(body)
            if not any(message.parts for message in conversation.messages if message.role != "system"):
                raise BadRequest("messages.0.content is empty", remedy="Say something.", param="messages")
            sent = render_request(conversation, model)
    except UNREADABLE_OR_ODD as error:
        raise BadRequest(f"the request body cannot be read: {error}") from None
    except RecursionError:
        raise BadRequest("the request body is nested too deeply") from None
    known_betas = pass_betas(betas, model) if upstream.name == "messages" else None
    return Plan(downstream, upstream, model, asked, sent, known_betas)
