"""Every call with its result right behind it: Anthropic and OpenAI both refuse a prompt that lacks either.

Clients lose one of the two where a turn was broken off, or where they shortened their history.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence

import msgspec

from copilot_trio.turn import Message, Part, Text, Thinking, ToolCall, ToolResult

NO_RESULT = Text("(no result)")


def paired(messages: Iterable[Message], fit: Callable[[str], str] = str) -> tuple[Message, ...]:
    """The messages, the results of a turn's calls at the front of what follows that turn.

    A call whose result the client lost gets one that says so, a result whose call it lost becomes text. Some clients
    count their calls anew in each turn: an id that was there before gets a number. ``fit`` makes an id upstream's.
    """
    names = _CallNames(fit)
    return tuple(message for said, heard in _exchanges(messages) for message in _pair(said, heard, names))


def _exchanges(messages: Iterable[Message]) -> Iterator[tuple[list[Message], list[Message]]]:
    """What the model said in one go, and what it was told then. An answer without a word ends nothing."""
    said: list[Message] = []
    heard: list[Message] = []
    for message in messages:
        if message.role == "user" and not message.parts:
            continue
        if message.role == "assistant" and (not heard or any(map(_speaks, message.parts))):
            if heard:
                yield said, heard
                said, heard = [], []
            said.append(message)
        else:
            heard.append(message)
    yield said, heard


def _speaks(part: Part) -> bool:
    return not isinstance(part, Thinking) and part != Text("")


class _CallNames:
    """Ids as they are sent, each one once."""

    def __init__(self, fit: Callable[[str], str]) -> None:
        self._fit = fit
        self._taken: set[str] = set()
        self._next: dict[str, int] = {}

    def give(self, call_id: str) -> str:
        wanted = self._fit(call_id)
        first = self._next.get(wanted, 0)
        for number in range(first, first + len(self._taken) + 1):  # one of so many is free
            name = f"{wanted}-{number}" if number else wanted
            if name not in self._taken:
                self._taken.add(name)
                self._next[wanted] = number + 1
                return name
        raise AssertionError("more ids are taken than were given out")


def _pair(said: Sequence[Message], heard: Sequence[Message], names: _CallNames) -> Iterator[Message]:
    calls: dict[str, deque[ToolCall]] = {}  # as they are sent, by the client's id
    asked = [_with_parts(message, tuple(_named(part, names, calls) for part in message.parts)) for message in said]
    holders = [any(isinstance(part, ToolCall) for part in message.parts) for message in asked]
    if any(holders[:-1]):  # the results belong behind all of them
        parts = tuple(part for message in asked for part in message.parts)
        asked = [Message("assistant", parts, any(message.cache_breakpoint for message in asked))]
    yield from asked

    results: list[Part] = []
    rest: list[Message] = []
    marked = False
    for message in heard:
        kept = tuple(_unanswering(message, calls, results)) if message.role == "user" else message.parts
        if kept or not message.parts:
            rest.append(_with_parts(message, kept))
        else:
            marked = marked or message.cache_breakpoint
    results += (ToolResult(call.id, (NO_RESULT,), custom=call.custom) for left in calls.values() for call in left)
    if not results:
        yield from rest
    elif rest and rest[0].role == "user":
        yield Message("user", (*results, *rest[0].parts), rest[0].cache_breakpoint or marked)
        yield from rest[1:]
    else:
        yield Message("user", tuple(results), marked)
        yield from rest


def _with_parts(message: Message, parts: tuple[Part, ...]) -> Message:
    return msgspec.structs.replace(message, parts=parts)


def _named(part: Part, names: _CallNames, calls: dict[str, deque[ToolCall]]) -> Part:
    if not isinstance(part, ToolCall):
        return part
    call = msgspec.structs.replace(part, id=names.give(part.id))
    calls.setdefault(part.id, deque()).append(call)
    return call


def _unanswering(message: Message, calls: dict[str, deque[ToolCall]], results: list[Part]) -> Iterator[Part]:
    """What is left of a message without the results of ``calls``, which go to ``results``."""
    for part in message.parts:
        if not isinstance(part, ToolResult):
            yield part
        elif waiting := calls.get(part.call_id):
            results.append(msgspec.structs.replace(part, call_id=waiting.popleft().id))
        else:
            yield Text(f"The result of tool call {part.call_id}:")
            yield from part.parts
