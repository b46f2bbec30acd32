"""A Responses answer, streamed or whole, decoded into turn events."""

from __future__ import annotations

import msgspec

from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEEvent
from copilot_trio.turn import Event, Finished, StopReason, Turn, Usage
from copilot_trio.unreadable import UNREADABLE

from .fold import turn_of
from .found import Findings
from .items import ARGUMENTS, HOLDERS, REASONING, REFUSAL, SUMMARY, TEXT, Items
from .wire_out import PREFIXES, CopilotUsage, Failure, Kind, OutputItem, Response, StreamEvent, usage_of

CUT_OFF: dict[str | None, StopReason] = {"max_output_tokens": "max_tokens", "content_filter": "refusal"}

_DELTAS = {
    "response.output_text.delta": TEXT,
    "response.refusal.delta": REFUSAL,
    "response.reasoning_summary_text.delta": SUMMARY,
    "response.reasoning_text.delta": REASONING,
    "response.function_call_arguments.delta": ARGUMENTS,
    "response.custom_tool_call_input.delta": ARGUMENTS,
}
_DONES = {name.removesuffix("delta") + "done": kind for name, kind in _DELTAS.items()}
_ENDINGS = {f"response.{status}": status for status in ("completed", "incomplete", "failed", "cancelled")}
ERRORS = {"error", "response.error"}
_TELLING = {"response.output_item.added", "response.output_item.done", *_DELTAS, *_DONES, *_ENDINGS, *ERRORS}

_decode_event = msgspec.json.Decoder(StreamEvent).decode
_decode_item = msgspec.json.Decoder(OutputItem).decode
_decode_kind = msgspec.json.Decoder(Kind).decode
_decode_response = msgspec.json.Decoder(Response).decode


class ResponsesStreamDecoder:
    """Responses events in, turn events out.

    Items are told apart by ``output_index`` alone: Copilot gives every event another ``item_id`` (upstream.md §8.2).
    What a later item says before the earlier is done, waits.
    """

    def __init__(self) -> None:
        self.complete = False
        self._findings = Findings()
        self._items = Items(self._findings)
        self._reason: StopReason | None = None
        self._usage = Usage()

    def feed(self, event: SSEEvent) -> list[Event]:
        """Raises ``UpstreamError`` for a failed answer; passes over what it does not know."""
        try:
            said = _decode_event(event.data)
        except UNREADABLE as error:
            readable = without_half_pairs(event.data)
            if readable is not event.data:
                return self.feed(SSEEvent(readable, event.name))
            if event.data == b"[DONE]":
                self.complete = True
            elif _kind_of(event.data) in _TELLING:  # passing over it would make a gap that nobody sees
                raise UpstreamError(f"upstream sent an event we cannot read: {error}") from None
            return []
        items = self._items
        kind = _DELTAS.get(said.type)
        if kind is None:
            self._read(said)
        elif said.delta:
            item = items.get(said.output_index) or items.at(said.output_index, _implied(said, kind))
            items.piece(item, kind, said.content_index or said.summary_index or 0, said.delta)
        out = items.out
        if out:
            items.out = []
        return out

    def finish(self) -> list[Event]:
        """The body ended. Raises ``StreamTruncated`` where no terminal event came."""
        if self._reason is None:
            raise StreamTruncated("upstream closed the stream before the end of the answer")
        return [*self._findings.events(), Finished(self._reason, self._usage)]

    def whole(self, response: Response) -> list[Event]:
        """All events of a reply that was not streamed. Raises ``UpstreamError``."""
        self._end(response, response.status or "completed", None)
        return self._items.out + self.finish()

    def _read(self, said: StreamEvent) -> None:
        kind = _DONES.get(said.type)
        if kind is not None:
            item = self._items.at(said.output_index, _implied(said, kind))
            whole = (said.arguments or said.input) if kind == ARGUMENTS else (said.text or said.refusal)
            self._items.settle(item, kind, said.content_index or said.summary_index or 0, whole)
        elif said.type == "response.output_item.added":
            wire = _item(said.item)
            if wire is not None:
                self._items.at(said.output_index, wire)
        elif said.type == "response.output_item.done":
            wire = _item(said.item)
            if wire is not None:
                self._items.close(self._items.at(said.output_index, wire), wire)
        elif said.type == "response.output_text.annotation.added":
            self._findings.cite([said.annotation] if said.annotation else [])
        elif said.type in _ENDINGS:
            self._end(said.response or Response(), _ENDINGS[said.type], said.copilot_usage)
        elif said.type in ERRORS or said.error is not None:
            self.complete = True
            raise failure_of(said.error or Failure(said.code, said.message))
        elif said.response is not None:  # created, queued, in_progress
            self._items.start(said.response.id or "", said.response.model or "")

    def _end(self, response: Response, status: str, cost: CopilotUsage | None) -> None:
        self.complete = True
        if status == "failed" or response.error is not None:
            raise failure_of(response.error or Failure())
        if status not in {"completed", "incomplete"}:
            raise UpstreamError(f"upstream left the answer {status}")
        self._items.start(response.id or "", response.model or "")
        output = response.output or []
        if not self._items.all_done(len(output)):
            self._items.catch_up({at: wire for at, raw in enumerate(output) if (wire := _item(raw)) is not None})
        if status == "incomplete":
            details = response.incomplete_details
            self._reason = CUT_OFF.get(details.reason if details else None, "max_tokens")
        else:
            self._reason = "tool_use" if self._items.calls else "end_turn"
        self._usage = usage_of(response, cost) or self._usage


def _implied(said: StreamEvent, kind: str) -> OutputItem:
    """The item of a part whose ``output_item.added`` did not come."""
    return OutputItem("custom_tool_call" if "custom" in said.type else HOLDERS[kind][0])


def _item(raw: msgspec.Raw) -> OutputItem | None:
    """None for kinds of items that say nothing to us."""
    try:
        item = _decode_item(raw)
    except UNREADABLE as error:
        if _kind_of(raw) in PREFIXES:
            raise UpstreamError(f"upstream sent an item we cannot read: {error}") from None
        return None
    return item if item.type in PREFIXES else None


def _kind_of(data: bytes | msgspec.Raw) -> str:
    try:
        return _decode_kind(data).type
    except UNREADABLE:
        return ""


def failure_of(failure: Failure) -> UpstreamError:
    reason = failure.message or failure.code or "it does not say why"
    return UpstreamError(f"upstream failed in mid-answer: {reason}", code=str(failure.code) if failure.code else None)


def parse_answer(body: bytes) -> Turn:
    """A whole reply. Raises ``UpstreamError`` if it is none, or a failed one."""
    try:
        response = _decode_response(without_half_pairs(body))
    except UNREADABLE as error:
        raise UpstreamError(f"upstream sent a reply we cannot read: {error}") from None
    if response.output is None and response.error is None:
        raise UpstreamError("upstream sent a reply without an answer in it")
    return turn_of(ResponsesStreamDecoder().whole(response))
