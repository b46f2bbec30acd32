"""What the twin says to a person who tries it: short, about what was asked, and honest about who is speaking.

If a tool is offered and the prompt names it, the twin calls it once, with arguments made from the tool's own schema
and the words of the prompt, and then reports what came back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from .delivery import Delivery
from .plan import Block, Call, Plan, Text, Thinking
from .prompt import Event, Prompt, Tool
from .reply import JSON, entries, members

QUOTE = 80
MAX_DEPTH = 4  # of nested objects in a schema that we fill in
# Words that say what to do rather than with what.
COMMON = frozenset(
    {
        "a", "an", "and", "at", "by", "call", "can", "do", "fetch", "find", "for", "from", "get", "give", "i", "in",
        "into", "is", "it", "list", "look", "me", "my", "of", "on", "open", "please", "read", "run", "show", "tell",
        "that", "the", "then", "this", "to", "tool", "up", "use", "using", "via", "what", "when", "where", "with",
        "would", "you", "your",
    }
)  # fmt: skip
REMINDER = re.compile(r"<(system-reminder|environment_context)>.*?</\1>", re.DOTALL)


def make_plan(prompt: Prompt, question: str, delivery: Delivery) -> Plan:
    asked = _tidy(REMINDER.sub("", question)) or _tidy(question)
    # A thought is shown only to those who asked for thinking.
    thought: tuple[Block, ...] = (Thinking(_thought(asked)),) if prompt.thinking else ()
    result = _newest_result(prompt.events)
    if result is not None:
        return Plan(blocks=(*thought, Text(_report(prompt.model, result))), delivery=delivery)
    if tool := _named_tool(prompt, asked):
        custom = tool.kind == "custom" and not tool.schema  # such a tool takes words, not arguments
        call = Call(
            name=tool.name,
            arguments={} if custom else arguments_for(tool, asked),
            text=asked if custom else None,
            namespace=tool.namespace,
        )
        return Plan(blocks=(*thought, Text(f"I will call {tool.name}."), call), stop="tool", delivery=delivery)
    return Plan(blocks=(*thought, Text(_answer(prompt.model, asked))), delivery=delivery)


def _tidy(text: str) -> str:
    return " ".join(text.split())


def shortened(text: str, limit: int = QUOTE) -> str:
    if len(text) <= limit:
        return text
    return text[:limit].rsplit(" ", 1)[0] + "…"


def _introduction(model: str) -> str:
    return f"This is the demo twin of {model}, no network was used."


def _answer(model: str, asked: str) -> str:
    if not asked:
        return f"You sent no text. {_introduction(model)}"
    return f"You asked: “{shortened(asked)}”. {_introduction(model)}"


def _report(model: str, result: str) -> str:
    shown = shortened(_tidy(result)) or "nothing"
    return f"The tool answered: “{shown}”. {_introduction(model)}"


def _thought(asked: str) -> str:
    return f"The user wants to know about “{shortened(asked, 40)}”. A short answer will do."


def _newest_result(events: tuple[Event, ...]) -> str | None:
    """The last tool result, unless somebody has spoken since."""
    for event in reversed(events):
        if event.kind == "result":
            return event.text
        if event.kind == "user" and event.text.strip():
            return None
    return None


def _named_tool(prompt: Prompt, asked: str) -> Tool | None:
    """The tool whose name stands in the prompt; single everyday words ("read", "list") do not count as names.

    Tools of one word must follow "use" or "call", or every "write a poem" would call ``write``.
    """
    for tool in prompt.tools:
        if not tool.name or tool.deferred:
            continue
        name = re.escape(tool.name)
        plain = re.fullmatch(r"[A-Za-z]+", tool.name)
        pattern = rf"\b(?:use|call|run|using|with)\s+(?:the\s+)?`?{name}\b" if plain else rf"(?<![\w-]){name}(?![\w-])"
        if re.search(pattern, asked):
            return tool
    return None


def arguments_for(tool: Tool, asked: str) -> JSON:
    """Plausible arguments: each required member (or the first one) gets a word of the prompt that fits its type."""
    words = _topic_words(re.sub(rf"`?{re.escape(tool.name)}`?", " ", asked))
    filled = _fill(tool.schema, words, "", 0)
    return members(filled)


def _topic_words(text: str) -> Iterator[str]:
    quoted = re.findall(r"[\"'“`]([^\"'”`]+)[\"'”`]", text)
    plain = [word.strip(".,;:!?()") for word in text.split()]
    useful = [word for word in plain if word and word.lower() not in COMMON]
    yield from [*quoted, *(word for word in useful if word.strip("\"'“”`") not in quoted)]


def _fill(schema: JSON, words: Iterator[str], name: str, depth: int) -> Any:
    options = entries(schema.get("enum"))
    if options:
        return options[0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((each for each in kind if each != "null"), "string")
    if kind == "object" or (kind is None and "properties" in schema):
        return _fill_object(schema, words, depth) if depth < MAX_DEPTH else {}
    if kind == "array":
        item = _fill(members(schema.get("items")), words, name, depth + 1) if depth < MAX_DEPTH else None
        return [] if item is None else [item]
    plain: dict[object, Any] = {"integer": 1, "number": 1, "boolean": True, "null": None}
    return plain[kind] if kind in plain else next(words, name or "example")


def _fill_object(schema: JSON, words: Iterator[str], depth: int) -> JSON:
    properties = members(schema.get("properties"))
    required = [name for name in entries(schema.get("required")) if isinstance(name, str)]
    wanted = required or list(properties)[:1]
    return {name: _fill(members(properties.get(name)), words, name, depth + 1) for name in wanted}
