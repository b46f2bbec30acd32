"""``POST /embeddings``: vectors that are the same for the same text, and of length one (upstream.md §11.1)."""

from __future__ import annotations

import hashlib
import math
import struct

from .prompt import Prompt
from .reply import Reply, entries, json_reply

DIMENSIONS = 1536
MAX_DIMENSIONS = 1536


def render(prompt: Prompt, model: str) -> Reply:
    texts = [str(text) for text in entries(prompt.body.get("input"))]
    wanted = prompt.body.get("dimensions")
    dimensions = min(wanted, MAX_DIMENSIONS) if isinstance(wanted, int) and wanted > 0 else DIMENSIONS
    data = [
        {"object": "embedding", "index": index, "embedding": vector(text, dimensions)}
        for index, text in enumerate(texts)
    ]
    usage = {"prompt_tokens": prompt.tokens, "total_tokens": prompt.tokens}
    return json_reply({"object": "list", "data": data, "model": model, "usage": usage})


def vector(text: str, dimensions: int) -> list[float]:
    raw = hashlib.shake_256(text.encode()).digest(2 * dimensions)
    values = struct.unpack(f"<{dimensions}h", raw)
    length = math.sqrt(sum(value * value for value in values)) or 1.0
    return [round(value / length, 8) for value in values]
