"""Exact counts for OpenAI's models, where the optional package is installed: ``pip install copilot-trio[tokens]``."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable
from functools import cache
from typing import Any

Counter = Callable[[str], float]

_O200K = re.compile(r"gpt-(?:4o|4\.1|4\.5|[5-9])|o[1-9]|chatgpt|codex")
_CL100K = re.compile(r"gpt-(?:4|3\.5)|text-embedding")


def exact_counter(model: str) -> Counter | None:
    """Counts a text's tokens as ``model`` does, or None: not OpenAI's, or the package is missing.

    Loads the tables at the first call that needs them, which takes some 100 ms; counting takes 50 to 100 µs per KB.
    """
    name = model.lower()
    if _O200K.match(name):
        return _load("o200k_base")
    return _load("cl100k_base") if _CL100K.match(name) else None


@cache
def _load(encoding: str) -> Counter | None:
    try:
        # The package's own front builds dictionaries of 200 000 entries that counting has no use for.
        bindings: Any = importlib.import_module("bpe_openai._bindings")
        count: Callable[[str], int] = bindings.tokenizer_for_encoding(encoding).count
    except (ImportError, AttributeError, ValueError):
        return None

    def counter(text: str) -> float:
        try:
            return count(text)
        except UnicodeEncodeError:  # half of a surrogate pair
            return count(text.encode("utf-8", "replace").decode())

    return counter
