"""A chat completion, streamed or whole, decoded into turn events."""

from __future__ import annotations

import msgspec

from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEEvent
from copilot_trio.turn import (
    Event,
    Finished,
    Part,
    Refusal,
    RefusalDelta,
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
)
from copilot_trio.unreadable import UNREADABLE

from .wire import Choice, Chunk, Delta, Function, ToolCallOut, usage_of

STOP_REASONS: dict[str, StopReason] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "function_call": "tool_use",
    "content_filter": "refusal",
}

_decode_chunk = msgspec.json.Decoder(Chunk).decode


class ChatStreamDecoder:
    """Chat-completion chunks in, turn events out.

    Tool calls are told apart by id, not by index: Copilot gives every parallel call of a Claude model index 0
    (upstream.md §7.6). A delta without an id belongs to the latest call of its index. A call without arguments is said
    to have an empty object's: clients cannot read nothing.
    """

    def __init__(self) -> None:
        self.complete = False
        self._started = False
        self._reason: StopReason | None = None
        self._usage = Usage()
        self._calls = 0
        self._call_ids: dict[str, int] = {}  # upstream's id -> our number
        self._call_at: dict[int | None, int] = {}  # upstream's index -> our number of the latest call there
        self._call_open = False  # nothing else was said since the latest call began
        self._call_said = False  # any of its arguments
        self._spoken = False  # something that is no reasoning was said since the latest reasoning
        self._proof = ""  # of reasoning that was over when it came: told where it splits nothing
        self._id = ""

    def feed(self, event: SSEEvent) -> list[Event]:
        """Raises ``UpstreamError`` for an error frame; passes over what it does not know."""
        if event.data == b"[DONE]":
            self.complete = True
            return []
        try:
            chunk = _decode_chunk(event.data)
        except UNREADABLE as error:
            readable = without_half_pairs(event.data)
            if readable is not event.data:
                return self.feed(SSEEvent(readable, event.name))
            return _odd_chunk(event.data, error)
        if chunk.error is not None:
            raise UpstreamError(f"upstream failed in mid-answer: {chunk.error.message or chunk.error.code}")
        out: list[Event] = []
        for choice in (chunk.choices or [])[:1]:
            if not self._started:
                self._started, self._id = True, chunk.id or ""
                out.append(Started(self._id, chunk.model or ""))
            self._choice(choice, out)
        if chunk.usage is not None:
            self._usage = usage_of(chunk) or self._usage
        return out

    def finish(self) -> list[Event]:
        """The body ended. Usage may come after the finish reason, so the turn ends only here."""
        if self._reason is None:
            raise StreamTruncated("upstream closed the stream before the end of the answer")
        reason = "tool_use" if self._calls and self._reason == "end_turn" else self._reason
        out: list[Event] = []
        self._close_call(out)
        self._prove(out)
        return [*out, Finished(reason, self._usage)]

    def _choice(self, choice: Choice, out: list[Event]) -> None:
        if choice.delta is not None:
            self._delta(choice.delta, out)
        if choice.finish_reason == "error":
            raise UpstreamError("upstream failed in mid-answer")
        if choice.finish_reason:
            self._reason = STOP_REASONS.get(choice.finish_reason, "end_turn")

    def _delta(self, delta: Delta, out: list[Event]) -> None:
        thinking = delta.reasoning_text or delta.reasoning_content
        if thinking:
            self._close_call(out)
            self._prove(out)
            self._spoken = False
            out.append(ThinkingDelta(thinking))
        if delta.reasoning_opaque:  # it ends the reasoning, so it goes before the text that shares its chunk (§7.8)
            self._proof = delta.reasoning_opaque
            if not self._spoken:
                self._prove(out)
        if delta.content or delta.refusal:
            self._close_call(out)
            self._spoken = True
        if delta.content:
            out.append(TextDelta(delta.content))
        if delta.refusal:
            out.append(RefusalDelta(delta.refusal))
        for call in delta.tool_calls or ():
            self._tool_call(call, out)

    def _tool_call(self, call: ToolCallOut, out: list[Event]) -> None:
        function = call.function or Function()
        unnamed = not call.id and call.index not in self._call_at and bool(function.name)
        if unnamed or (call.id and call.id not in self._call_ids):
            call_id = call.id or f"call_{self._id}_{self._calls}"
            self._call_ids[call_id] = self._call_at[call.index] = self._calls
            self._close_call(out)
            self._prove(out)
            self._calls += 1
            self._call_open = self._spoken = True
            self._call_said = False
            out.append(ToolCallStarted(self._calls - 1, call_id, function.name or ""))
        if not function.arguments:
            return
        latest = self._calls - 1
        at = self._call_ids[call.id] if call.id else self._call_at.get(call.index, latest)
        if at != latest or not self._call_open:  # a block that was closed cannot be opened again
            raise UpstreamError("upstream mixed the arguments of a tool call with something else")
        self._call_said = self._call_said or not function.arguments.isspace()
        out.append(ToolCallDelta(at, function.arguments))

    def _close_call(self, out: list[Event]) -> None:
        if self._call_open and not self._call_said:
            out.append(ToolCallDelta(self._calls - 1, "{}"))
        self._call_open = False

    def _prove(self, out: list[Event]) -> None:
        if self._proof:
            out.append(ThinkingSigned(self._proof))
            self._proof = ""


def _odd_chunk(data: bytes, error: Exception) -> list[Event]:
    """JSON, but not as we know it. Passing over one that says something would make a gap that nobody sees."""
    try:
        chunk = msgspec.json.decode(data)
    except UNREADABLE:
        return []  # upstream's own clients log such lines and go on (upstream.md §7.10)
    if not isinstance(chunk, dict) or not (chunk.get("choices") or chunk.get("error")):
        return []
    if chunk.get("error"):
        raise UpstreamError(f"upstream failed in mid-answer: {str(chunk['error'])[:500]}")
    raise UpstreamError(f"upstream sent a chunk we cannot read: {error}")


def parse_answer(body: bytes) -> Turn:
    """A whole reply. Raises ``UpstreamError`` if it is none."""
    try:
        reply = _decode_chunk(without_half_pairs(body))
    except UNREADABLE as error:
        raise UpstreamError(f"upstream sent a reply we cannot read: {error}") from None
    if reply.error is not None:
        raise UpstreamError(f"upstream failed: {reply.error.message or reply.error.code}")
    # Copilot splits one Claude answer over several choices: text in one, each tool call in others.
    messages = [choice.message for choice in reply.choices or () if choice.message is not None]
    reasons = [choice.finish_reason for choice in reply.choices or () if choice.finish_reason]
    if "error" in reasons:
        raise UpstreamError("upstream failed in mid-answer")
    if not messages or not reasons:
        raise UpstreamError("upstream sent a reply without an answer in it")
    parts = [*_thinking(messages), *_texts(messages), *_calls(messages, reply.id or "")]
    reason = STOP_REASONS.get(reasons[0], "end_turn")
    if any(isinstance(part, ToolCall) for part in parts) and reason == "end_turn":
        reason = "tool_use"
    return Turn(reply.id or "", reply.model or "", tuple(parts), reason, usage_of(reply) or Usage())


def _thinking(messages: list[Delta]) -> list[Part]:
    text = "".join(message.reasoning_text or message.reasoning_content or "" for message in messages)
    signature = next((message.reasoning_opaque for message in messages if message.reasoning_opaque), "")
    return [Thinking(text, signature)] if text or signature else []


def _texts(messages: list[Delta]) -> list[Part]:
    text = "".join(message.content or "" for message in messages)
    refusal = "".join(message.refusal or "" for message in messages)
    parts: list[Part] = [Text(text)] if text else []
    return [*parts, Refusal(refusal)] if refusal else parts


def _calls(messages: list[Delta], reply_id: str) -> list[Part]:
    calls = [call for message in messages for call in message.tool_calls or ()]
    return [
        ToolCall(
            call.id or f"call_{reply_id}_{number}",
            (call.function.name if call.function else None) or "",
            _arguments(call),
        )
        for number, call in enumerate(calls)
    ]


def _arguments(call: ToolCallOut) -> str:
    text = (call.function.arguments if call.function else None) or ""
    return text if text.strip() else "{}"
