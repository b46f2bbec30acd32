"""The keys that open ``/v0/management``: without any, it is not there (product.md §2.4)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from copilot_trio.config import Config
from copilot_trio.server.auth import hash_key

from .failure import CommandFailed

VARIABLE = "COPILOT_TRIO_MANAGEMENT_KEY"
_KEY = re.compile(r"[!-~]{16,1024}")


def management_keys(config: Config, environment: Mapping[str, str]) -> tuple[str, ...]:
    """By their SHA-256: the one in the environment and the one in config.json; either opens it.

    Raises ``CommandFailed`` for a short one: whoever sends the right key is let in at any moment, so a key that can be
    guessed would be.
    """
    stored = () if config.management_key is None else (config.management_key,)
    given = environment.get(VARIABLE)
    if not given:
        return stored
    if not _KEY.fullmatch(given):
        raise CommandFailed(f"{VARIABLE} must be 16 or more printable ASCII characters without spaces", 2)
    return hash_key(given), *stored
