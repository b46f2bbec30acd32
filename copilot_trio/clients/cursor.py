"""Cursor keeps its settings in a database of its own, which is no place to write: what a person enters. Pure."""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from .offer import KEYLESS, Target


def instructions(target: Target) -> list[str]:
    """Cursor wants ``localhost`` by name. The key itself is not repeated."""
    names = ", ".join(model.id for model in target.models)
    return [
        "Cursor: Settings > Models",
        f"  Override OpenAI Base URL   {_localhost(target.base_url)}/v1",
        f"  OpenAI API Key             {'any text' if target.key == KEYLESS else 'your key'}",
        f"  Add model                  {names}",
        "Agent mode and a few others go through Cursor's own servers, which cannot reach this machine: for those the",
        "base URL has to be one that they can reach, and the server needs a key.",
    ]


def _localhost(url: str) -> str:
    parts = urlsplit(url)
    if parts.hostname != "127.0.0.1":
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.replace("127.0.0.1", "localhost")))
