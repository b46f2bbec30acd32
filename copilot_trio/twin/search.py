"""Searching the web: when a ``/responses`` request makes the twin do so, and what it finds (upstream.md §8.1)."""

from __future__ import annotations

import re

from .delivery import Delivery
from .plan import Citation, Plan, Search, Text
from .prompt import Prompt
from .reply import members

SOURCES = (("Example One", "https://example.com/one"), ("Example Two", "https://example.com/two?q=1"))
# What a prompt says to the twin rather than asks.
INSTRUCTION = re.compile(r"(?:SCENARIO|RUN|VARIANT):\S+|(?:FILE|CONTENT|REPLY|SCRIPT)=\S+")


def is_search(kind: str) -> bool:
    """Whether a tool of that type is the search, in any of its versions."""
    return kind.startswith("web_search")


def offered(prompt: Prompt) -> bool:
    return prompt.surface == "responses" and any(is_search(tool.kind) for tool in prompt.tools)


def unavoidable(prompt: Prompt) -> bool:
    """The search is the only tool, or the one that must be used."""
    if not offered(prompt):
        return False
    choice = members(prompt.body.get("tool_choice"))
    return is_search(str(choice.get("type", ""))) or all(is_search(tool.kind) for tool in prompt.tools)


def make_plan(question: str, reply: str, delivery: Delivery) -> Plan:
    query = " ".join(INSTRUCTION.sub(" ", question).split()) or "twin"
    text, citations = reply, []
    for title, url in SOURCES:
        start = len(text) + 1
        text += f" According to {title} it is so."
        citations.append(Citation(start=start, end=len(text), title=title, url=url))
    urls = tuple(url for _, url in SOURCES)
    return Plan(blocks=(Search(query=query, urls=urls), Text(text, tuple(citations))), delivery=delivery)
