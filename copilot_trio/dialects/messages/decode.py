"""A Messages answer, streamed or whole, decoded into turn events."""

from __future__ import annotations

import msgspec

from copilot_trio.dialects.surrogates import without_half_pairs
from copilot_trio.errors import StreamTruncated, UpstreamError
from copilot_trio.sse import SSEEvent
from copilot_trio.turn import (
    REDACTED,
    Event,
    Finished,
    Part,
    RedactedThinking,
    Refusal,
    RefusalDelta,
    Searched,
    SearchHit,
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
from copilot_trio.unreadable import UNREADABLE

from .wire import (
    AnswerEvent,
    AnswerOut,
    Block,
    BlockKind,
    DeltaOut,
    ErrorOut,
    SearchInput,
    SearchResult,
    StopDetails,
    merge_usage,
)

# Context that ran out cuts an answer as a limit does; a pause is of Anthropic's own tools, which Copilot does not run.
STOP_REASONS: dict[str, StopReason] = {
    "end_turn": "end_turn",
    "pause_turn": "end_turn",
    "tool_use": "tool_use",
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "stop_sequence": "stop_sequence",
    "refusal": "refusal",
}
KNOWN_BLOCKS = {
    "text", "thinking", "redacted_thinking", "tool_use", "server_tool_use", "web_search_tool_result",
}  # fmt: skip
DELTAS = {"text_delta", "thinking_delta", "signature_delta", "input_json_delta"}
SAYING = {"message_start", "content_block_start", "content_block_delta", "message_delta", "error"}
MAX_QUERY, MAX_SEARCHES = 65536, 64  # characters; searches under way

_decode_event = msgspec.json.Decoder(AnswerEvent).decode
_decode_reply = msgspec.json.Decoder(AnswerOut).decode
_decode_block = msgspec.json.Decoder(Block).decode
_decode_kind = msgspec.json.Decoder(BlockKind).decode
_decode_query = msgspec.json.Decoder(SearchInput).decode
_decode_results = msgspec.json.Decoder(list[SearchResult] | SearchResult).decode


class MessagesStreamDecoder:
    """Anthropic stream events in, turn events out.

    Blocks come one after another, each begun, filled and ended; the latest begun is the open one, and what comes for
    another is an error, for a block that was closed cannot be opened again. Turn events have none for a redacted block:
    it is a ``ThinkingSigned`` whose signature begins with ``turn.REDACTED``.
    """

    def __init__(self) -> None:
        self.complete = False
        self._started = False
        self._stopped = False  # message_stop was seen
        self._reason: StopReason | None = None
        self._usage = Usage()
        self._open: int | None = None
        self._kind = ""  # of the open block
        self._calls = 0
        self._input_given = False  # with the start of the open call
        self._input_said = False  # any of it
        self._search = ""  # the id of the search whose query comes now
        self._queries: dict[str, str] = {}  # by search: the JSON of its input, as far as it came

    def feed(self, event: SSEEvent) -> list[Event]:
        """Raises ``UpstreamError`` for an error event; passes over what it does not know."""
        if event.data == b"[DONE]":  # Copilot's own, after the end (upstream.md §10.2)
            self.complete = True
            return []
        try:
            said = _decode_event(event.data)
        except UNREADABLE as error:
            readable = without_half_pairs(event.data)
            if readable is not event.data:
                return self.feed(SSEEvent(readable, event.name))
            return _odd_event(event, error)
        delta = said.delta
        if said.type == "content_block_delta" and delta is not None:
            return self._delta(said.index, delta)
        match said.type:
            case "content_block_start":
                return [*self._start(None), *self._close(), *self._begin(said.index, said.content_block)]
            case "content_block_stop":
                return self._close()
            case "message_start":
                return self._start(said.message)
            case "message_delta":
                self._usage = merge_usage(self._usage, said.usage, said.copilot_usage)
                return [] if delta is None else self._stop(delta)
            case "message_stop":
                self._stopped = self.complete = True
        if said.type == "error" or event.name == "error" or said.error is not None:
            raise UpstreamError(f"upstream failed in mid-answer: {_cause(said.error)}")
        return []

    def finish(self) -> list[Event]:
        """The body ended. An answer that was stopped without a reason is whole all the same."""
        if self._reason is None and not self._stopped:
            raise StreamTruncated("upstream closed the stream before the end of the answer")
        return [Finished(_reason(self._reason, calls=self._calls > 0), self._usage)]

    def _start(self, message: AnswerOut | None) -> list[Event]:
        if self._started:
            return []
        self._started = True
        message = message or AnswerOut()
        self._usage = merge_usage(self._usage, message.usage, message.copilot_usage)
        return [Started(message.id or "", message.model or "")]

    def _stop(self, delta: DeltaOut) -> list[Event]:
        if delta.stop_reason:
            self._reason = STOP_REASONS.get(delta.stop_reason, "end_turn")
        why = _why_refused(delta.stop_details)
        return [RefusalDelta(why)] if why else []

    def _begin(self, index: int | None, raw: msgspec.Raw) -> list[Event]:
        block = _block(raw)
        self._open, self._kind = index, block.type
        match block.type:
            case "text":
                return [TextDelta(block.text)] if block.text else []
            case "thinking":
                out: list[Event] = [ThinkingDelta(block.thinking)] if block.thinking else []
                return [*out, ThinkingSigned(block.signature)] if block.signature else out
            case "redacted_thinking":
                return [ThinkingSigned(REDACTED + block.data)]
            case "tool_use":
                return self._begin_call(block)
            case "server_tool_use":
                self._search = block.id
                if len(self._queries) < MAX_SEARCHES:
                    self._queries[block.id] = _given(block)
            case "web_search_tool_result":
                return [Searched(_search(block, self._queries.pop(block.tool_use_id, "")))]
        return []

    def _close(self) -> list[Event]:
        """A call without input is said to have an empty object's: other APIs take no arguments for broken ones."""
        silent = self._kind == "tool_use" and not self._input_said
        self._open, self._kind = None, ""
        return [ToolCallDelta(self._calls - 1, "{}")] if silent else []

    def _begin_call(self, block: Block) -> list[Event]:
        number, given = self._calls, _given(block)
        self._calls += 1
        self._input_given = self._input_said = bool(given)
        out: list[Event] = [ToolCallStarted(number, block.id, block.name)]
        return [*out, ToolCallDelta(number, given)] if given else out

    def _delta(self, index: int | None, delta: DeltaOut) -> list[Event]:
        if index != self._open:
            raise UpstreamError("upstream mixed the content of an answer's blocks")
        match delta.type:
            case "text_delta" if self._kind == "text":
                return [TextDelta(delta.text)] if delta.text else []
            case "input_json_delta" if self._kind == "tool_use":
                return self._arguments(delta.partial_json)
            case "thinking_delta" if self._kind == "thinking":
                return [ThinkingDelta(delta.thinking)] if delta.thinking else []
            case "signature_delta" if self._kind == "thinking":
                return [ThinkingSigned(delta.signature)] if delta.signature else []
            case "input_json_delta" if self._search in self._queries and self._kind == "server_tool_use":
                self._queries[self._search] = (self._queries[self._search] + delta.partial_json)[:MAX_QUERY]
            case kind if kind in DELTAS and self._kind in KNOWN_BLOCKS - {"server_tool_use"}:
                raise UpstreamError(f"upstream sent a {kind} in a block of {self._kind}")
        return []

    def _arguments(self, text: str) -> list[Event]:
        if not text or self._input_given:
            return []
        self._input_said = True
        return [ToolCallDelta(self._calls - 1, text)]


def _odd_event(event: SSEEvent, error: Exception) -> list[Event]:
    """JSON, but not as we know it. Passing over one that says something would make a gap that nobody sees."""
    try:
        said = msgspec.json.decode(event.data)
    except UNREADABLE:
        if event.name == "error":
            raise UpstreamError("upstream failed in mid-answer") from None
        return []
    if not isinstance(said, dict):
        return []
    if said.get("error"):
        raise UpstreamError(f"upstream failed in mid-answer: {str(said['error'])[:500]}")
    if said.get("type") in SAYING or event.name in SAYING:
        raise UpstreamError(f"upstream sent an event we cannot read: {error}")
    return []


def _block(raw: msgspec.Raw) -> Block:
    """A type we don't know may use our fields for something else."""
    if not bytes(raw):
        return Block()
    try:
        return _decode_block(raw)
    except msgspec.ValidationError as error:
        kind = _kind(raw)
        if kind in KNOWN_BLOCKS:
            raise UpstreamError(f"upstream sent a block we cannot read: {error}") from None
        return Block(kind)


def _kind(raw: msgspec.Raw) -> str:
    try:
        return _decode_kind(raw).type
    except msgspec.ValidationError:
        return ""


def _given(block: Block) -> str:
    """The input that came with a block's start; an empty object stands for what is to come."""
    text = bytes(block.input).decode()
    return "" if text in {"", "{}", "null"} else text


def _search(block: Block, asked: str) -> WebSearch:
    try:
        query = _decode_query(asked).query
    except UNREADABLE:
        query = ""
    try:
        found: list[SearchResult] | SearchResult = _decode_results(block.content)
    except UNREADABLE:
        found = []
    if isinstance(found, SearchResult):
        return WebSearch(block.tool_use_id, query, error=found.error_code)
    return WebSearch(block.tool_use_id, query, tuple(SearchHit(hit.url, hit.title or "") for hit in found))


def _why_refused(details: StopDetails | None) -> str:
    return (details.explanation if details else None) or ""


def _reason(said: StopReason | None, *, calls: bool) -> StopReason:
    reason = said or "end_turn"
    return "tool_use" if calls and reason == "end_turn" else reason


def _cause(error: ErrorOut | None) -> str:
    return (error.message or error.type if error else None) or "it does not say why"


# ---- whole answers


def parse_answer(body: bytes) -> Turn:
    """A whole reply. Raises ``UpstreamError`` if it is none."""
    try:
        reply = _decode_reply(without_half_pairs(body))
    except UNREADABLE as error:
        raise UpstreamError(f"upstream sent a reply we cannot read: {error}") from None
    if reply.error is not None:
        raise UpstreamError(f"upstream failed: {_cause(reply.error)}")
    if reply.content is None or not reply.stop_reason:
        raise UpstreamError("upstream sent a reply without an answer in it")
    parts: list[Part] = []
    queries: dict[str, str] = {}
    for raw in reply.content:
        block = _block(raw)
        if block.type == "server_tool_use":
            queries[block.id] = _given(block)
        else:
            parts += _parts(block, queries)
    why = _why_refused(reply.stop_details)
    if why:
        parts.append(Refusal(why))
    calls = any(isinstance(part, ToolCall) for part in parts)
    reason = _reason(STOP_REASONS.get(reply.stop_reason), calls=calls)
    usage = merge_usage(Usage(), reply.usage, reply.copilot_usage)
    return Turn(reply.id or "", reply.model or "", tuple(parts), reason, usage)


def _parts(block: Block, queries: dict[str, str]) -> list[Part]:
    match block.type:
        case "text" if block.text:
            return [Text(block.text)]
        case "thinking" if block.thinking or block.signature:
            return [Thinking(block.thinking, block.signature)]
        case "redacted_thinking":
            return [RedactedThinking(block.data)]
        case "tool_use":
            return [ToolCall(block.id, block.name, _given(block) or "{}")]
        case "web_search_tool_result":
            return [_search(block, queries.get(block.tool_use_id, ""))]
    return []
