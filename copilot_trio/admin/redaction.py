"""Secrets taken out of what is shown of somebody else's texts. Pure (systems.md §1.4)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from copilot_trio.unreadable import UNREADABLE

REDACTED = "[redacted]"

_SECRET_NAME = re.compile(
    r"token$|secret|password|(?:api|private)[_-]?key|(?:auth|access|refresh|id)[_-]?token", re.IGNORECASE
)
_GITHUB_TOKEN = re.compile(r"\b(?:gh[a-z]|github_pat)_[A-Za-z0-9_]{8,}")
_COPILOT_TOKEN = re.compile(r"\btid=[^\s\"'\\]{8,}")


def without_secrets(value: Any) -> Any:
    """JSON without the texts that go by a secret's name, however deep."""
    if isinstance(value, dict):
        return {
            name: (_blanked if _SECRET_NAME.search(name) else without_secrets)(inner) for name, inner in value.items()
        }
    return [without_secrets(inner) for inner in value] if isinstance(value, list) else value


def _blanked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _blanked(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_blanked(inner) for inner in value]
    return REDACTED if isinstance(value, str) and value else value


def redacted(text: str, secrets: Iterable[str]) -> str:
    """A text that may be JSON, without ``secrets``, nor what looks like a token or goes by a secret's name."""
    try:
        value = msgspec.json.decode(text)
        shown = without_secrets(value)
    except UNREADABLE:
        pass  # it is some other text
    else:
        text = text if shown == value else msgspec.json.encode(shown).decode()
    for secret in filter(None, secrets):
        text = text.replace(secret, REDACTED)
    return _COPILOT_TOKEN.sub(REDACTED, _GITHUB_TOKEN.sub(REDACTED, text))
