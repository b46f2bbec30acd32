"""``/responses/compact``: a long conversation made short. Upstream has no such route (upstream.md §2.1).

A Responses model is asked with a trailing ``compaction_trigger`` and answers with encrypted items that only it can
read. Any other model is asked for a summary in plain words, which takes the place of the conversation.
"""

from __future__ import annotations

from typing import Self

import msgspec

from copilot_trio.errors import BadRequest, UpstreamError, reading
from copilot_trio.models.model import Model
from copilot_trio.turn import Message, Text, ToolChoice, Usage
from copilot_trio.unreadable import UNREADABLE

from . import splice
from .dialect import RESPONSES, Dialect
from .gate import GateSettings
from .plan import Asked, Plan, make_plan, translated, upstream_dialect
from .splice import Splice

TRIGGER = b'{"type":"compaction_trigger"}'
ASK = (
    "Summarise this conversation so that another model can carry on from the summary alone. Keep the task and its "
    "constraints, decisions and their reasons, names of files and what was changed in them, commands that matter and "
    "their results, what is still open, and the next step. Write plain text."
)
SUMMARY_HEAD = "Summary of the conversation so far:\n\n"

_encode = msgspec.json.Encoder().encode


class CompactPlan(msgspec.Struct, frozen=True):
    """``summary``: the answer is plain text, not encrypted items."""

    plan: Plan
    summary: bool

    @property
    def endpoint(self) -> str:
        return self.plan.endpoint

    @property
    def body(self) -> bytes:
        return self.plan.body

    @property
    def model(self) -> Model:
        return self.plan.model

    @property
    def betas(self) -> str | None:
        return self.plan.betas

    def with_body(self, body: bytes) -> Self:
        return msgspec.structs.replace(self, plan=self.plan.with_body(body))

    def without_additions(self) -> Self | None:
        return None

    def whole_answer(self, body: bytes) -> tuple[bytes, Usage | None]:
        """Raises ``UpstreamError`` where nothing came that could stand for the conversation."""
        output = [_summary(self.plan.upstream, body)] if self.summary else _compactions(body)
        usage = self.plan.upstream.usage(body)
        counts = usage or Usage()
        shown = {
            "id": f"resp_{self.plan.context.seed}",
            "object": "response.compaction",
            "created_at": self.plan.context.created,
            "output": output,
            "usage": {
                "input_tokens": counts.input_tokens + counts.cache_read_tokens + counts.cache_write_tokens,
                "output_tokens": counts.output_tokens,
            },
        }
        return _encode(shown), usage


def make_compact_plan(asked: Asked, model: Model, settings: GateSettings) -> CompactPlan:
    """Raises ``BadRequest`` and ``ModelNotFound``, as :func:`.plan.make_plan`."""
    quiet = msgspec.structs.replace(settings, auto_thinking=False)
    upstream = upstream_dialect(asked, model)
    if upstream is RESPONSES:
        return CompactPlan(make_plan(msgspec.structs.replace(asked, body=_triggered(asked.body)), model, quiet), False)
    with reading("the request body"):
        conversation = asked.dialect.parse_request(asked.body)
        wanted = msgspec.structs.replace(
            conversation,
            messages=(*conversation.messages, Message("user", (Text(ASK),))),
            tool_choice=ToolChoice("none") if conversation.tools else None,
            stream=False,
        )
        return CompactPlan(translated(wanted, asked, model, upstream, quiet), True)


def _triggered(body: bytes) -> bytes:
    with reading("the request body"):
        top = splice.members(body, splice.whole(body))
        edit = Splice(body)
        for value in top:
            if value.key == "stream":
                edit.cut(top, value)
        given = next(value for value in reversed(top) if value.key == "input")
        if splice.text_of(body, given)[:1] != b"[":
            raise BadRequest("`input` is not an array", param="input")
        items = splice.elements(body, given)
        last = splice.member(body, items[-1], "type") if items else None
        if splice.string_at(body, last) != "compaction_trigger":
            edit.insert(given.end - 1, (b"," if items else b"") + TRIGGER)
        return edit.apply()


class _Item(msgspec.Struct):
    type: str = ""


class _Reply(msgspec.Struct):
    output: list[msgspec.Raw]


_decode_reply = msgspec.json.Decoder(_Reply).decode
_decode_item = msgspec.json.Decoder(_Item).decode


def _compactions(body: bytes) -> list[msgspec.Raw]:
    """All of them: some models write two (upstream.md §8.3)."""
    try:
        found = [item for item in _decode_reply(body).output if _decode_item(item).type.startswith("compaction")]
    except UNREADABLE as error:
        raise UpstreamError(f"upstream sent a reply we cannot read: {error}") from None
    if not found:
        raise UpstreamError("upstream did not compact the conversation", remedy="Begin a new one, or try again.")
    return found


def _summary(upstream: Dialect, body: bytes) -> dict[str, object]:
    parts = upstream.parse_answer(body).parts
    text = "".join(part.text for part in parts if isinstance(part, Text)).strip()
    if not text:
        raise UpstreamError("the model wrote no summary", remedy="Try again, or with another model.")
    content = [{"type": "input_text", "text": SUMMARY_HEAD + text}]
    return {"type": "message", "role": "user", "content": content}
