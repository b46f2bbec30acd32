"""The one way to change ``config.json``, for the command line and the admin API alike: nobody's change is lost."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.accounts.lock import locked
from copilot_trio.accounts.overlay import overlay
from copilot_trio.accounts.store import make_private_directory, write_private
from copilot_trio.config import Config, parse_config, read_config_file
from copilot_trio.unreadable import UNREADABLE


def update_config(path: Path, change: Callable[[Config], Config], *, patience: float = 10.0) -> Config:
    """Let ``change`` loose on what is stored at this moment; return what is stored then. Blocks: for a thread.

    What ``change`` left alone keeps its text, and defaults that the file does not name stay out of it. Raises
    ``DamagedFile``, ``StoreBusy`` after ``patience`` seconds, ``OSError``, ``ValueError`` naming the field for a
    change that is no valid setting, and what ``change`` raises. Then the file is as it was.
    """
    target = Path(os.path.realpath(path))
    make_private_directory(target.parent)
    with locked(target.with_name(f"{target.name}.lock"), patience):
        before, text = read_config_file(path)
        after = change(before)
        if after == before:
            return before
        content = _rendered(before, text, after)
        try:
            stored = parse_config(content)
        except UNREADABLE as error:
            raise ValueError(f"these settings cannot be stored: {error}") from None
        write_private(target, content)
        return stored


def _rendered(before: Config, text: bytes, after: Config) -> bytes:
    changed = overlay(msgspec.Raw(text), _builtins(before), _builtins(after))
    return msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n"


def _builtins(config: Config) -> Any:
    return msgspec.json.decode(msgspec.json.encode(config))
