"""How one request goes upstream and how its answer comes back: same dialect byte for byte, else translated. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

import msgspec

from copilot_trio.errors import BadRequest, ModelNotFound, UpstreamError, reading
from copilot_trio.models.model import Model
from copilot_trio.turn import AnswerContext, Conversation, Text, Usage
from copilot_trio.unreadable import UNREADABLE

from .dialect import CHAT, MESSAGES, RESPONSES, Dialect
from .gate import GateSettings, pass_betas, pass_gate
from .lowering import lower
from .passthrough import Passthrough
from .search import SearchFirst
from .stream import BodyRelay, Reshape, StreamTranslator
from .thinking import auto_reasoning, auto_thinking

INTERLEAVED = "interleaved-thinking-2025-05-14"

# In which dialects to ask upstream, best first. A client's own comes first because its bytes need no change; then the
# one that carries reasoning from turn to turn.
PREFERENCES: dict[str, tuple[Dialect, ...]] = {
    "chat": (CHAT, RESPONSES, MESSAGES),
    "messages": (MESSAGES, RESPONSES, CHAT),
    "responses": (RESPONSES, MESSAGES, CHAT),
}


class Asked(msgspec.Struct, frozen=True):
    """A request as the client sent it. ``model`` is the name it gave; ``dialect`` that of the body.

    ``downstream`` is the dialect of the answer: Cursor asks in Responses' shape and wants chat chunks.
    ``created`` is Unix seconds, ``seed`` the stem of ids we make up.
    """

    body: bytes
    model: str
    dialect: Dialect
    downstream: Dialect
    betas: str | None = None
    created: int = 0
    seed: str = ""
    search: bool = False  # nothing but a web search is asked for


class Plan(msgspec.Struct, frozen=True):
    """``body`` is what goes upstream."""

    upstream: Dialect
    downstream: Dialect
    model: Model
    body: bytes
    context: AnswerContext
    betas: str | None = None
    reshape: Callable[[], Reshape] | None = None
    plain: Callable[[], bytes] | None = None  # makes the body without what we added

    @property
    def endpoint(self) -> str:
        return self.upstream.endpoint

    @property
    def thinking_added(self) -> bool:
        return self.plain is not None

    def without_additions(self) -> Self | None:
        """The same without the thinking that we asked for; None where we asked for none."""
        return None if self.plain is None else self.with_body(self.plain())

    @property
    def translated(self) -> bool:
        return self.upstream is not self.downstream or self.reshape is not None

    @property
    def shown_model(self) -> str | None:
        """The name to put back into the answer, where we renamed the model."""
        return self.context.model if self.context.model != self.model.id else None

    def with_body(self, body: bytes) -> Self:
        return msgspec.structs.replace(self, body=body, plain=None)

    def body_relay(self) -> BodyRelay:
        """A fresh one for each attempt."""
        if self.translated:
            reshape = None if self.reshape is None else self.reshape()
            return StreamTranslator(self.upstream.decoder(), self.downstream.encoder(self.context), reshape)
        return Passthrough(self.upstream.watch(self.context.seed), self.shown_model, self.upstream.rename_events)

    def whole_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """A non-streamed answer in the client's dialect, and what it used. Raises ``UpstreamError``."""
        if self.translated:
            turn = self.upstream.parse_answer(body)
            if self.reshape is not None:
                turn = self.reshape().raise_turn(turn)
            return self.downstream.render_answer(turn, self.context), turn.usage
        if not is_object(body):
            raise UpstreamError("upstream's answer is no JSON object")
        shown = self.upstream.pin_reply(body, self.context.seed)
        if self.shown_model is not None:
            shown = self.upstream.rename_reply(shown, self.shown_model)
        return shown, self.upstream.usage(body)


_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def is_object(body: bytes) -> bool:
    """Is this one whole JSON object? Values are skipped over, not read."""
    try:
        _decode_object(body)
    except UNREADABLE:
        return False
    return True


def upstream_dialect(asked: Asked, model: Model) -> Dialect:
    """Raises ``ModelNotFound`` where the model answers in no dialect of ours."""
    preferred = (RESPONSES,) if asked.search else PREFERENCES[asked.dialect.name]
    found = next((dialect for dialect in preferred if dialect.endpoint in model.endpoints), None)
    if found is None:
        raise ModelNotFound(
            f"{model.id} is offered through {', '.join(model.endpoints)} only, and this route does not reach that",
            remedy=f"Choose a model that lists {' or '.join(dialect.endpoint for dialect in preferred)}.",
            param="model",
        )
    return found


def make_plan(asked: Asked, model: Model, settings: GateSettings) -> Plan:
    """Raises ``BadRequest`` for a body that cannot be translated, ``ModelNotFound`` for a model out of reach."""
    with reading("the request body"):
        return _make_plan(asked, model, settings)


def _make_plan(asked: Asked, model: Model, settings: GateSettings) -> Plan:
    upstream = upstream_dialect(asked, model)
    custom = _with_custom_chat_tools(asked)
    if asked.search or upstream is not asked.dialect or custom is not None:
        conversation = custom or asked.dialect.parse_request(asked.body)
        return translated(conversation, asked, model, upstream, settings)
    sent = pass_gate(asked.body, upstream.endpoint, model, settings, rename=asked.model != model.id)
    thinking = auto_thinking(sent, upstream.endpoint, model, asked.body) if settings.auto_thinking else sent
    conversation = Conversation(())
    if upstream is not asked.downstream:
        conversation = _for_downstream(asked.dialect.parse_request(asked.body), asked)
    return Plan(
        upstream=upstream,
        downstream=asked.downstream,
        model=model,
        body=thinking,
        context=AnswerContext(asked.model, asked.created, asked.seed, conversation),
        betas=_betas(asked.betas, model, upstream, ours=thinking is not sent),
        plain=None if thinking is sent else lambda: sent,
    )


def translated(
    conversation: Conversation, asked: Asked, model: Model, upstream: Dialect, settings: GateSettings
) -> Plan:
    """Ask ``conversation`` instead of the body that was sent. Raises ``BadRequest`` where it says nothing."""
    conversation = _for_downstream(conversation, asked)
    if any(tool.custom for tool in conversation.tools) and RESPONSES.endpoint in model.endpoints:
        upstream = RESPONSES  # the only one that knows freeform tools
    if not any(message.parts for message in conversation.messages if message.role != "system"):
        raise BadRequest("the prompt is empty", remedy="Say something.", param=asked.dialect.prompt_field)
    thinking = conversation
    if settings.auto_thinking and not asked.search:
        thinking = auto_reasoning(conversation, upstream.endpoint, model)
    reshape: Callable[[], Reshape] | None = None
    caches_by_marks = upstream is MESSAGES or (upstream is CHAT and model.vendor == "Anthropic")
    sent = with_cache_marks(thinking) if caches_by_marks else thinking
    if asked.search:
        sent, reshape = msgspec.structs.replace(thinking, tool_choice=None), SearchFirst
    elif upstream is not RESPONSES:
        sent, lowered = lower(msgspec.structs.replace(sent, search=None))
        if lowered is not None:
            reshape = lowered.fresh
    else:
        sent, lowered = lower(
            sent if settings.web_search else msgspec.structs.replace(sent, search=None), names_only=True
        )
        if lowered is not None:
            reshape = lowered.fresh
    without = msgspec.structs.replace(sent, reasoning=conversation.reasoning)
    return Plan(
        upstream=upstream,
        downstream=asked.downstream,
        model=model,
        body=upstream.render_request(sent, model),
        context=AnswerContext(asked.model, asked.created, asked.seed, conversation),
        betas=_betas(None, model, upstream, ours=True),
        reshape=reshape,
        plain=None if thinking is conversation else lambda: upstream.render_request(without, model),
    )


def _betas(asked: str | None, model: Model, upstream: Dialect, *, ours: bool) -> str | None:
    """Where thinking is our doing, a model with budgets is to think between its calls too, as VS Code has it (§4.1)."""
    if upstream is not MESSAGES:
        return None
    betas = pass_betas(asked, model)
    if not ours or model.supports.adaptive_thinking or "interleaved-thinking-" in (betas or ""):
        return betas
    return INTERLEAVED if betas is None else f"{betas},{INTERLEAVED}"


def with_cache_marks(conversation: Conversation) -> Conversation:
    """Claude caches only what is marked, and OpenAI's clients mark nothing: the system prompt and what is newest.

    The next request finds the mark of this one a few blocks back, so a conversation is read from the cache as it grows.
    """
    messages = conversation.messages
    if any(message.cache_breakpoint for message in messages):
        return conversation
    leading = next((number for number, message in enumerate(messages) if message.role != "system"), len(messages))
    marked = {leading - 1, len(messages) - 1}
    return msgspec.structs.replace(
        conversation,
        messages=tuple(
            msgspec.structs.replace(message, cache_breakpoint=number in marked)
            for number, message in enumerate(messages)
        ),
    )


def _for_downstream(conversation: Conversation, asked: Asked) -> Conversation:
    """Cursor reads calls of its freeform tools as functions, however it declared them (clients.md §7)."""
    if asked.dialect is not RESPONSES or asked.downstream is not CHAT:
        return conversation
    tools = tuple(msgspec.structs.replace(tool, flat=tool.custom) for tool in conversation.tools)
    return msgspec.structs.replace(conversation, tools=tools)


def _with_custom_chat_tools(asked: Asked) -> Conversation | None:
    """A chat request with freeform tools, which no chat upstream knows."""
    if asked.dialect is not CHAT or b'"custom"' not in asked.body:
        return None
    conversation = CHAT.parse_request(asked.body)
    return conversation if any(tool.custom for tool in conversation.tools) else None


def search_asked(body: bytes) -> str | None:
    """What a messages request searches for that has no other tool: Claude Code makes such requests for its WebSearch.

    Raises ``BadRequest`` where other tools stand beside it: no model of Copilot's can run both (clients.md §3.2).
    """
    if b'"web_search_2' not in body:
        return None
    with reading("the request body"):
        conversation = MESSAGES.parse_request(body)
    if conversation.search is None:
        return None
    if conversation.tools:
        raise BadRequest(
            "the server tool `web_search` cannot be used beside other tools here",
            remedy="Leave it out, or ask for the search in a request of its own.",
            param="tools",
        )
    asked = [message for message in conversation.messages if message.role == "user"]
    return "\n".join(part.text for part in asked[-1].parts if isinstance(part, Text)) if asked else ""
