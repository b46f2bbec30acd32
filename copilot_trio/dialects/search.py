"""A web search that a Responses model runs, told in the order in which Anthropic tells it: searches first, then text.

Upstream names its sources only at the end of the text, so the text waits for them.
"""

from __future__ import annotations

from copilot_trio.turn import (
    Event,
    Finished,
    RefusalDelta,
    Searched,
    TextDelta,
    ThinkingDelta,
    ThinkingSigned,
    Turn,
    WebSearch,
)


class SearchFirst:
    """A ``Reshape``. Thinking is left out: another model asked for the search, and this one's thoughts are not its."""

    def __init__(self) -> None:
        self._searches: list[Event] = []
        self._texts: list[Event] = []

    def raise_event(self, event: Event) -> list[Event]:
        match event:
            case Searched():
                self._searches.append(event)
                return []
            case TextDelta() | RefusalDelta():
                self._texts.append(event)
                return []
            case ThinkingDelta() | ThinkingSigned():
                return []
            case Finished():
                return [*self._searches, *self._texts, event]
            case _:
                return [event]

    def raise_turn(self, turn: Turn) -> Turn:
        searches = tuple(part for part in turn.parts if isinstance(part, WebSearch))
        rest = tuple(part for part in turn.parts if not isinstance(part, WebSearch))
        return Turn(turn.id, turn.model, searches + rest, turn.reason, turn.usage)
