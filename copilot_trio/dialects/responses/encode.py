"""A Responses stream and reply, written from turn events.

OpenAI's SDKs are strict here: ids hold still, sequence numbers follow one another, each item and part is opened before
its deltas and closed after them, and the last event repeats everything (clients.md §6). Codex wants each item's
``output_item.done`` and the end (clients.md §4.4).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from copilot_trio.turn import (
    REDACTED,
    AnswerContext,
    Event,
    Finished,
    Part,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    Started,
    StopReason,
    Text,
    TextDelta,
    Thinking,
    ThinkingDelta,
    ThinkingSigned,
    ToolCall,
    ToolCallDelta,
    ToolCallStarted,
    Turn,
    Usage,
    WebSearch,
)

from .answer import Fields, response_fields, usage_fields
from .wire import FOREIGN
from .wire_out import item_id

CUT_OFF: dict[StopReason, str] = {"max_tokens": "max_output_tokens", "refusal": "content_filter"}

_encode = msgspec.json.Encoder().encode


class _Form(msgspec.Struct, frozen=True, eq=False):
    """What is written by deltas: a part of an item, or where ``part`` is empty the item's own ``field``."""

    item: str
    stem: str  # of its events' names
    field: str
    type: str = ""
    part: str = ""  # stem of the names of the events around it
    place: str = ""
    more: tuple[str, ...] = ()  # lists that it has and we have nothing for


_TEXT = _Form(
    "message",
    "response.output_text",
    "text",
    "output_text",
    "response.content_part",
    "content_index",
    ("annotations", "logprobs"),
)
_REFUSAL = _Form("message", "response.refusal", "refusal", "refusal", "response.content_part", "content_index")
_SUMMARY = _Form(
    "reasoning",
    "response.reasoning_summary_text",
    "text",
    "summary_text",
    "response.reasoning_summary_part",
    "summary_index",
)
_ARGUMENTS = _Form("function_call", "response.function_call_arguments", "arguments")
_INPUT = _Form("custom_tool_call", "response.custom_tool_call_input", "input")
_NEW: dict[str, Fields] = {
    "message": {"status": "in_progress", "role": "assistant", "content": []},
    "reasoning": {"summary": [], "encrypted_content": None},
}


class ResponsesStreamEncoder:
    """Turn events in, Responses events out, as bytes.

    An answer is a list of items, of which one is open at a time; within a message or a reasoning item one part is open
    at a time. These are this encoder's state, and the finished items, which the last event repeats.
    """

    def __init__(self, context: AnswerContext) -> None:
        self._context = context
        self._number = 0  # of the next event
        self._items: list[Fields] = []  # done
        self._item: Fields | None = None  # open
        self._parts: list[Fields] = []  # done, of the open item
        self._form: _Form | None = None  # of what is being written
        self._place: Fields = {}  # where that is
        self._said: list[str] = []
        self._head = b""  # of its deltas

    def feed(self, event: Event) -> bytes:
        match event:
            case TextDelta(text=text):
                return self._write(_TEXT, text)
            case ToolCallDelta(arguments=arguments):
                return self._delta(arguments)
            case ThinkingDelta(text=text):
                return self._write(_SUMMARY, text)
            case RefusalDelta(text=text):
                return self._write(_REFUSAL, text)
            case ThinkingSigned(signature=signature):
                return self._sign(signature)
            case ToolCallStarted():
                return self._start_call(event)
            case Searched(search=search):
                return self._searched(search)
            case Started():
                begun: Fields = {"response": self._response("in_progress")}
                return self._event("response.created", begun) + self._event("response.in_progress", begun)
            case Finished(reason=reason, usage=usage):
                closed = self._close(reason)
                response = self.answer(reason, usage)
                return closed + self._event(f"response.{response['status']}", {"response": response})
            case _:
                raise AssertionError(f"unknown turn event {event!r}")

    def answer(self, reason: StopReason, usage: Usage) -> Fields:
        """The whole ``response``, once everything was fed."""
        self._close(reason)
        response = self._response("incomplete" if reason in CUT_OFF else "completed")
        if reason in CUT_OFF:
            response["incomplete_details"] = {"reason": CUT_OFF[reason]}
        return response | {"output": self._items, "usage": usage_fields(usage)}

    def _response(self, status: str) -> Fields:
        return response_fields(self._context, status)

    # ---- items

    def _open(self, kind: str, fields: Fields) -> bytes:
        index = len(self._items)
        self._item = {"id": item_id(kind, self._context.seed, index), "type": kind, **fields}
        self._parts = []
        return self._event("response.output_item.added", {"output_index": index, "item": self._item})

    def _close(self, reason: StopReason = "end_turn") -> bytes:
        item = self._item
        if item is None:
            return b""
        closed = self._end_part()
        if self._parts:
            item["content" if item["type"] == "message" else "summary"] = self._parts
        if "status" in item:
            item["status"] = "incomplete" if reason in CUT_OFF else "completed"
        done = self._event("response.output_item.done", {"output_index": len(self._items), "item": item})
        self._items.append(item)
        self._item = None
        return closed + done

    def _sign(self, signature: str) -> bytes:
        """The end of a thought. A Responses model's proof has its id within; another's is marked, to be known again."""
        opened = b""
        if self._item is None or self._item["type"] != "reasoning":
            opened = self._close() + self._open("reasoning", dict(_NEW["reasoning"]))
        if self._item is not None and signature:
            self._item["encrypted_content"] = signature if "@" in signature else FOREIGN + signature
        return opened + self._close()

    def _start_call(self, call: ToolCallStarted) -> bytes:
        form = _INPUT if call.custom else _ARGUMENTS
        fields: Fields = {"status": "in_progress", "call_id": call.id, "name": call.name, form.field: ""}
        if call.namespace:
            fields["namespace"] = call.namespace
        return self._close() + self._open(form.item, fields) + self._begin_part(form)

    def _searched(self, search: WebSearch) -> bytes:
        sources = [{"type": "url", "url": hit.url, "title": hit.title} for hit in search.hits]
        action = {"type": "search", "query": search.query, "queries": [search.query], "sources": sources}
        opened = self._close() + self._open("web_search_call", {"status": "in_progress", "action": action})
        place = self._place_of_item()
        for step in ("in_progress", "searching", *(() if search.error else ("completed",))):
            opened += self._event(f"response.web_search_call.{step}", place)
        return opened + self._close()

    def _place_of_item(self) -> Fields:
        return {"item_id": self._item["id"] if self._item else "", "output_index": len(self._items)}

    # ---- what is written by deltas

    def _write(self, form: _Form, text: str) -> bytes:
        return (b"" if self._form is form else self._switch(form)) + self._delta(text)

    def _delta(self, text: str) -> bytes:
        number = self._number
        self._number = number + 1
        self._said.append(text)
        return b'%b%b,"sequence_number":%d}\n\n' % (self._head, _encode(text), number)

    def _switch(self, form: _Form) -> bytes:
        if self._item is not None and self._item["type"] == form.item:
            return self._end_part() + self._begin_part(form)
        return self._close() + self._open(form.item, dict(_NEW[form.item])) + self._begin_part(form)

    def _begin_part(self, form: _Form) -> bytes:
        self._form = form
        self._said = []
        self._place = self._place_of_item()
        added = b""
        if form.part:
            self._place[form.place] = len(self._parts)
            added = self._event(f"{form.part}.added", self._place | {"part": _part(form, "")})
        logprobs: Fields = {"logprobs": []} if form is _TEXT else {}
        head = _encode({"type": f"{form.stem}.delta", **self._place, **logprobs})
        self._head = b'event: %b.delta\ndata: %b,"delta":' % (form.stem.encode(), head[:-1])
        return added

    def _end_part(self) -> bytes:
        form = self._form
        if form is None or self._item is None:
            return b""
        self._form = None
        said = "".join(self._said)
        fields = self._place | {form.field: said}
        if form is _TEXT:
            fields["logprobs"] = []
        if form is _ARGUMENTS:
            fields["name"] = self._item["name"]
        done = self._event(f"{form.stem}.done", fields)
        if not form.part:
            self._item[form.field] = said
            return done
        part = _part(form, said)
        self._parts.append(part)
        return done + self._event(f"{form.part}.done", self._place | {"part": part})

    def _event(self, name: str, fields: Fields) -> bytes:
        event = {"type": name, "sequence_number": self._number, **fields}
        self._number += 1
        return b"event: %b\ndata: %b\n\n" % (name.encode(), _encode(event))


def _part(form: _Form, text: str) -> Fields:
    return {"type": form.type, form.field: text, **{name: [] for name in form.more}}


def render_answer(turn: Turn, context: AnswerContext) -> bytes:
    """A whole reply, its items in the order in which the parts came."""
    encoder = ResponsesStreamEncoder(context)
    for part in turn.parts:
        for event in _events(part):
            encoder.feed(event)
    return _encode(encoder.answer(turn.reason, turn.usage))


def _events(part: Part) -> Iterator[Event]:
    match part:
        case Text(text=text):
            yield TextDelta(text)
        case Refusal(text=text):
            yield RefusalDelta(text)
        case Thinking(text=text, signature=signature):
            if text:
                yield ThinkingDelta(text)
            if text or signature:
                yield ThinkingSigned(signature)
        case RedactedThinking(data=data):
            yield ThinkingSigned(REDACTED + data)
        case ToolCall(id=call_id, name=name, arguments=arguments):
            yield ToolCallStarted(0, call_id, name, part.custom, part.namespace)
            yield ToolCallDelta(0, arguments)
        case WebSearch():
            yield Searched(part)
        case _:
            raise AssertionError(f"a model does not answer with {part!r}")
