"""Streams as Copilot sends them (``tests/recorded/``), models as it lists them, and ways to take bytes apart.

Set ``UPDATE_RECORDED=1`` to write what the code makes of a stream instead of comparing; then read the diff.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec
from hypothesis import strategies as st

from copilot_trio.models.model import Capabilities, Model, ModelLimits, Supports
from copilot_trio.sse import SSEDecoder, SSEEvent

RECORDED = Path(__file__).parent / "recorded"

GPT = Model(
    id="gpt-4.1",
    vendor="Azure OpenAI",
    capabilities=Capabilities(family="gpt-4.1", limits=ModelLimits(max_output_tokens=16384)),
)
GPT5 = Model(
    id="gpt-5-mini",
    vendor="Azure OpenAI",
    supported_endpoints=("/chat/completions", "/responses", "ws:/responses"),
    capabilities=Capabilities(
        family="gpt-5-mini",
        limits=ModelLimits(max_output_tokens=64000),
        supports=Supports(reasoning_effort=("low", "medium", "high")),
    ),
)
GEMINI = Model(
    id="gemini-2.5-pro",
    vendor="Google",
    capabilities=Capabilities(
        family="gemini-2.5-pro",
        limits=ModelLimits(max_output_tokens=64000),
        supports=Supports(min_thinking_budget=128, max_thinking_budget=32768),
    ),
)
SONNET = Model(
    id="claude-sonnet-4.5",
    vendor="Anthropic",
    supported_endpoints=("/chat/completions", "/v1/messages"),
    capabilities=Capabilities(
        family="claude-sonnet-4.5",
        limits=ModelLimits(max_output_tokens=32000),
        supports=Supports(min_thinking_budget=1024, max_thinking_budget=32000),
    ),
)
OPUS = Model(
    id="claude-opus-4.6",
    vendor="Anthropic",
    supported_endpoints=("/v1/messages", "/chat/completions"),
    capabilities=Capabilities(
        family="claude-opus-4.6",
        limits=ModelLimits(max_output_tokens=64000),
        supports=Supports(
            adaptive_thinking=True,
            min_thinking_budget=1024,
            max_thinking_budget=32000,
            reasoning_effort=("low", "medium", "high"),
        ),
    ),
)
CODEX = Model(id="gpt-5.3-codex", vendor="OpenAI", supported_endpoints=("/responses", "ws:/responses"))


def recorded(name: str) -> bytes:
    return (RECORDED / name).read_bytes()


def recorded_names(folder: str) -> list[str]:
    return sorted(path.stem for path in (RECORDED / folder).glob("*.sse"))


def check_recorded(name: str, made: bytes) -> None:
    path = RECORDED / name
    if os.environ.get("UPDATE_RECORDED") == "1":
        path.write_bytes(made)
    assert made == path.read_bytes()


def cuttings(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """``data`` in pieces, cut anywhere."""
    positions = st.lists(st.integers(0, len(data)), max_size=12).map(sorted)
    return positions.map(lambda cuts: list(_between(data, cuts)))


def _between(data: bytes, cuts: Iterable[int]) -> Iterator[bytes]:
    before = 0
    for cut in cuts:
        yield data[before:cut]
        before = cut
    yield data[before:]


def events_in(stream: bytes) -> list[SSEEvent]:
    decoder = SSEDecoder()
    return decoder.feed(stream) + decoder.finish()


def data_in(stream: bytes) -> list[dict[str, object]]:
    """The JSON of every event that has some."""
    return [msgspec.json.decode(event.data) for event in events_in(stream) if event.data != b"[DONE]"]


def sse(*events: object) -> bytes:
    """Chat events, ``str`` as it is."""
    return b"".join(
        b"data: %b\n\n" % (event.encode() if isinstance(event, str) else msgspec.json.encode(event)) for event in events
    )
