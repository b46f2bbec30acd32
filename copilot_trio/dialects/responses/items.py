"""Output items under way: what they say, one after another, in the order in which they were opened."""

from __future__ import annotations

from copilot_trio.errors import UpstreamError
from copilot_trio.turn import (
    Event,
    RefusalDelta,
    Started,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    ToolCallDelta,
    ToolCallStarted,
)

from .found import Findings
from .wire_out import OutputItem

TEXT, REFUSAL, SUMMARY, REASONING, ARGUMENTS = "text", "refusal", "summary", "reasoning", "arguments"
CALLS = ("function_call", "custom_tool_call")
HOLDERS = {
    TEXT: ("message",),
    REFUSAL: ("message",),
    SUMMARY: ("reasoning",),
    REASONING: ("reasoning",),
    ARGUMENTS: CALLS,
}
_EVENTS: dict[str, type[TextDelta | RefusalDelta | ThinkingDelta]] = {
    TEXT: TextDelta,
    REFUSAL: RefusalDelta,
    SUMMARY: ThinkingDelta,
    REASONING: ThinkingDelta,
}


class Item:
    """``said`` is what it brought until it is done, by kind and number of the part."""

    __slots__ = ("call", "done", "kind", "said", "shown", "waiting")

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.call: int | None = None  # our number of the call, once its name is known
        self.shown: bool | None = None  # are a call's arguments handed on as they come? None: not decided
        self.said: dict[tuple[str, int], list[str]] = {}
        self.waiting: list[tuple[Event, bool]] = []  # what it said while an earlier item was not done
        self.done = False


class Items:
    """``out`` collects the turn events; whoever takes them puts an empty list in its place.

    The value in a ``done`` event wins over the deltas before it. For words that means that a missing tail is added.
    Arguments are acted upon, so they must be right: those of a function are handed on as they come only if they begin
    as a JSON object, which ciphertext (upstream.md §8.3) does not, and a ``done`` that contradicts what was handed on
    is an error. A call begins when its name is known.
    """

    def __init__(self, findings: Findings) -> None:
        self.out: list[Event] = []
        self.calls = 0
        self._findings = findings
        self._at: dict[int, Item] = {}
        self._queue: list[Item] = []  # not done, or behind one that is not
        self._started = False
        self._latest: type[Event] = Event

    def start(self, answer_id: str, model: str) -> None:
        if not self._started:
            self._started = True
            self.out.append(Started(answer_id, model))

    def at(self, index: int, wire: OutputItem) -> Item:
        """The item there, which begins as ``wire`` if it is new."""
        item = self._at.get(index)
        if item is None:
            item = self._at[index] = Item(wire.type)
            self._queue.append(item)
            if item.kind in CALLS and wire.name:
                self._start_call(item, wire)
        return item

    def get(self, index: int) -> Item | None:
        return self._at.get(index)

    def piece(self, item: Item, kind: str, number: int, delta: str) -> None:
        """One more piece of a part."""
        if item.done or item.kind not in HOLDERS[kind]:
            return
        said = item.said.get((kind, number))
        fresh = False
        if said is None:
            fresh = kind in {SUMMARY, REASONING} or not item.said
            said = item.said[kind, number] = []
        said.append(delta)
        if kind != ARGUMENTS:
            self._say(item, _EVENTS[kind](delta), fresh)
        elif item.call is not None:
            if item.shown is None:
                delta = "".join(said)
                if delta.strip():
                    item.shown = item.kind == "custom_tool_call" or delta.lstrip().startswith("{")
            if item.shown:
                self._say(item, ToolCallDelta(item.call, delta))

    def settle(self, item: Item, kind: str, number: int, whole: str | None) -> None:
        """A part is done: ``whole`` is what it should have said, if upstream tells. Raises ``UpstreamError``."""
        if item.done:
            return
        said = "".join(item.said.get((kind, number), ()))
        if kind != ARGUMENTS:
            if whole and len(whole) > len(said) and whole.startswith(said):
                self.piece(item, kind, number, whole[len(said) :])
            return
        whole = whole or said
        if item.shown and not whole.startswith(said):
            raise UpstreamError("upstream took back the arguments of a tool call that were already handed on")
        item.said[kind, number] = [whole]
        if item.call is not None:
            rest = whole[len(said) :] if item.shown else whole
            item.shown = True
            if rest:
                self._say(item, ToolCallDelta(item.call, rest))

    def close(self, item: Item, wire: OutputItem) -> None:
        """Say what is missing, then let the items go that waited. ``wire`` is empty where upstream never said done.

        Raises ``UpstreamError``.
        """
        if item.done:
            return
        if item.kind in CALLS:
            if item.call is None:
                self._start_call(item, wire)
            self.settle(item, ARGUMENTS, 0, wire.arguments or wire.input)
            if item.kind == "function_call" and not "".join(item.said[ARGUMENTS, 0]).strip():
                self._say(item, ToolCallDelta(item.call or 0, "{}"))  # clients cannot read no arguments at all
        elif item.kind == "web_search_call":
            self._findings.search(wire)
        for number, piece in enumerate(wire.summary or ()):
            self.settle(item, SUMMARY, number, piece.text)
        for number, piece in enumerate(wire.content or ()):
            kind = REASONING if item.kind == "reasoning" else REFUSAL if piece.type == "refusal" else TEXT
            self.settle(item, kind, number, piece.refusal if kind == REFUSAL else piece.text)
            self._findings.cite(piece.annotations or ())
        if item.kind == "reasoning" and wire.encrypted_content:
            self._say(item, ThinkingSigned(f"{wire.encrypted_content}@{wire.id or ''}"))
        item.done = True
        item.said.clear()
        self._let_go()

    def catch_up(self, wires: dict[int, OutputItem]) -> None:
        """Close everything; ``wires`` is the answer's own list, of which the events may have left something out."""
        if all(index in wires and wires[index].type == item.kind for index, item in self._at.items()):
            for index, wire in wires.items():
                self.close(self.at(index, wire), wire)
        for item in list(self._queue):
            self.close(item, OutputItem())

    def all_done(self, count: int) -> bool:
        """Were ``count`` items seen, all to their end?"""
        return len(self._at) == count and not self._queue

    def _start_call(self, item: Item, wire: OutputItem) -> None:
        if not wire.name:
            raise UpstreamError("upstream sent a tool call without a name")
        item.call = self.calls
        self.calls += 1
        custom, call_id = item.kind == "custom_tool_call", wire.call_id or wire.id or ""
        self._say(item, ToolCallStarted(item.call, call_id, wire.name, custom, wire.namespace or ""))

    def _let_go(self) -> None:
        queue = self._queue
        while queue and queue[0].done:
            del queue[0]
            if queue:
                for event, fresh in queue[0].waiting:
                    self._utter(event, fresh)
                queue[0].waiting.clear()

    def _say(self, item: Item, event: Event, fresh: bool = False) -> None:
        if item is self._queue[0]:
            self._utter(event, fresh)
        else:
            item.waiting.append((event, fresh))

    def _utter(self, event: Event, fresh: bool) -> None:
        """A blank line goes between one message and the next, and between two parts of a summary."""
        self.start("", "")
        kind = type(event)
        if fresh and kind is self._latest and isinstance(event, TextDelta | ThinkingDelta):
            event = type(event)("\n\n" + event.text)
        self._latest = kind
        self.out.append(event)
