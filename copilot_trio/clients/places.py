"""Where a client looks for its configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from . import opencode
from .document import Document, Refused
from .json_text import JsonDocument
from .toml_text import TomlDocument


class Format(msgspec.Struct, frozen=True):
    """How to read a file, and what a new one begins with."""

    read: Callable[[str], Document]
    empty: str


JSON = Format(JsonDocument, "{}\n")
JSONC = Format(lambda text: JsonDocument(text, lenient=True), f'{{\n  "$schema": "{opencode.SCHEMA}"\n}}\n')
TOML = Format(TomlDocument, "")


class Place(msgspec.Struct, frozen=True):
    client: str
    path: Path
    format: Format


def place_of(client: str, environment: Mapping[str, str], home: Path, project: Path | None = None) -> Place:
    """The user's own file, or that for one ``project``. Raises ``Refused`` for a client that has no such."""
    return _PLACES[client](environment, home, project)


def _claude_code(environment: Mapping[str, str], home: Path, project: Path | None) -> Place:
    """In a project the file that is not shared: a key and this machine's address are nobody else's."""
    folder = Path(environment.get("CLAUDE_CONFIG_DIR") or home / ".claude")
    path = project / ".claude" / "settings.local.json" if project else folder / "settings.json"
    return Place("claude-code", path, JSON)


def _codex(environment: Mapping[str, str], home: Path, project: Path | None) -> Place:
    if project:
        raise Refused("Codex takes providers from its user's own file only, not from a project's: leave out --project")
    return Place("codex", Path(environment.get("CODEX_HOME") or home / ".codex") / "config.toml", TOML)


def _opencode(environment: Mapping[str, str], home: Path, project: Path | None) -> Place:
    """Of several files the one that it reads last, for that one wins."""
    if project:
        return Place("opencode", _existing(project, "opencode.jsonc", "opencode.json"), JSONC)
    if folder := environment.get("OPENCODE_CONFIG_DIR"):
        return Place("opencode", _existing(Path(folder), "opencode.jsonc", "opencode.json"), JSONC)
    if file := environment.get("OPENCODE_CONFIG"):
        return Place("opencode", Path(file), JSONC)
    folder_of_all = Path(environment.get("XDG_CONFIG_HOME") or home / ".config") / "opencode"
    return Place("opencode", _existing(folder_of_all, "opencode.jsonc", "opencode.json", "config.json"), JSONC)


def _existing(folder: Path, *names: str) -> Path:
    found = next((folder / name for name in names if (folder / name).exists()), None)
    return found or folder / "opencode.json"


_PLACES: dict[str, Callable[[Mapping[str, str], Path, Path | None], Place]] = {
    "claude-code": _claude_code,
    "codex": _codex,
    "opencode": _opencode,
}
