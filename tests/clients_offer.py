"""A list of models as the server gives it, for tests of what is made of it."""

from __future__ import annotations

import json
from typing import Any

from copilot_trio.clients.offer import KEYLESS, Target, named, read_models

BASE_URL = "http://127.0.0.1:4141"


def entry(name: str, prompt: int | None = 128_000, **more: Any) -> dict[str, Any]:
    listed = {"max_prompt_tokens": prompt, "max_output_tokens": 16_000, "max_context_window_tokens": 200_000}
    known = {"type": "chat", "tool_calls": True, "endpoints": ["/chat/completions"], "unavailable": None}
    return {"id": name, "object": "model", "display_name": name.title(), "copilot": {**known, **listed, **more}}


LISTED = [
    entry("gpt-4.1"),
    entry("gemini-2.5-pro", vision=True),
    entry("gpt-5-mini", reasoning_effort=["low", "high"]),
    entry("gpt-5.3-codex", 272_000, endpoints=["/responses"], max_context_window_tokens=400_000),
    entry("claude-sonnet-4", 128_000),
    entry("claude-sonnet-4.5", 168_000, endpoints=["/v1/messages"]),
    entry("claude-opus-4.6", 168_000),
    entry("claude-haiku-4.5", 136_000),
    entry("claude-opus-9", unavailable="its terms have not been accepted"),
    entry("text-embedding-3-small", type="embeddings"),
]


def page(*entries: dict[str, Any]) -> bytes:
    return json.dumps({"object": "list", "data": list(entries or LISTED), "has_more": False}).encode()


def target(main: str = "claude-sonnet-4.5", small: str = "claude-haiku-4.5", key: str = KEYLESS) -> Target:
    models = read_models(page())
    return Target(BASE_URL, models, named(models, main), named(models, small), key)
