"""A whole turn from its events."""

from __future__ import annotations

from copilot_trio.turn import (
    Event,
    Finished,
    Part,
    Refusal,
    RefusalDelta,
    Searched,
    Started,
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


def turn_of(events: list[Event]) -> Turn:
    """Neighbouring pieces of a kind become one part; thinking ends with its signature."""
    started, finished = Started("", ""), Finished("end_turn", Usage())
    parts: list[Part] = []
    for event in events:
        match event:
            case Started():
                started = event
            case Finished():
                finished = event
            case _:
                last = parts.pop() if parts else None
                parts += _joined(last, event)
    return Turn(started.id, started.model, tuple(parts), finished.reason, finished.usage)


def _joined(last: Part | None, event: Event) -> list[Part]:
    """What ``last`` and ``event`` make together: one part, or two."""
    match last, event:
        case Text(text=before), TextDelta(text=text):
            return [Text(before + text)]
        case Refusal(text=before), RefusalDelta(text=text):
            return [Refusal(before + text)]
        case Thinking(text=before, signature=""), ThinkingDelta(text=text):
            return [Thinking(before + text)]
        case Thinking(text=before, signature=""), ThinkingSigned(signature=signature):
            return [Thinking(before, signature)]
        case ToolCall(), ToolCallDelta(arguments=arguments):
            return [ToolCall(last.id, last.name, last.arguments + arguments, last.custom, last.namespace)]
    return ([] if last is None else [last]) + [_part(event)]


def _part(event: Event) -> Part:
    match event:
        case TextDelta(text=text):
            return Text(text)
        case RefusalDelta(text=text):
            return Refusal(text)
        case ThinkingDelta(text=text):
            return Thinking(text)
        case ThinkingSigned(signature=signature):
            return Thinking("", signature)
        case ToolCallStarted():
            return ToolCall(event.id, event.name, "", event.custom, event.namespace)
        case Searched(search=search):
            return search
        case _:
            raise AssertionError(f"{event!r} begins no part")
