"""Finding an upstream model for the name that a client asked for. Pure.

Order: exact, date suffix stripped, dots for dashes and the reverse, legacy names, family aliases (product.md §7).
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable

_DATE = re.compile(r"-(?:\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
_DASHED_VERSION = re.compile(r"-(\d+)-(\d+)(?=$|-)")
_FAMILY_VERSION = re.compile(r"claude-[a-z]+-(\d+(?:\.\d+)?)")
_DOTTED_VERSION = re.compile(r"(\d+)\.(\d+)")

# Names that clients have baked in from before Copilot's own (peers.md §3.2).
LEGACY_PREFIXES = (
    ("claude-3-5-sonnet", "claude-sonnet-4.5"),
    ("claude-3-7-sonnet", "claude-sonnet-4.5"),
    ("claude-3-sonnet", "claude-sonnet-4"),
    ("claude-3-5-opus", "claude-opus-4.5"),
    ("claude-3-opus", "claude-opus-4.5"),
    ("claude-3-5-haiku", "claude-haiku-4.5"),
    ("claude-3-haiku", "claude-haiku-4.5"),
)
FAMILIES = ("opus", "sonnet", "haiku")


def match_model(asked: str, available: Iterable[str]) -> str | None:
    """The id of the available model that ``asked`` means, or None."""
    ids = list(available)
    known = set(ids)
    name = asked.removesuffix("[1m]")
    for candidate in _spellings(name):
        if candidate in known:
            return candidate
    return _by_legacy_prefix(name, known) or _by_family(name, ids)


def _spellings(name: str) -> list[str]:
    stripped = _DATE.sub("", name)
    return [
        name,
        stripped,
        _DASHED_VERSION.sub(r"-\1.\2", stripped, count=1),
        _DOTTED_VERSION.sub(r"\1-\2", stripped, count=1),
    ]


def _by_legacy_prefix(name: str, known: Container[str]) -> str | None:
    dashed = _DOTTED_VERSION.sub(r"\1-\2", name, count=1)
    target = next((target for prefix, target in LEGACY_PREFIXES if dashed.startswith(prefix)), None)
    return target if target in known else None


def _by_family(name: str, ids: list[str]) -> str | None:
    """A bare ``opus``, ``sonnet`` or ``haiku``: the newest of that family, its plain variant first."""
    if name not in FAMILIES:
        return None
    members = [candidate for candidate in ids if candidate.startswith(f"claude-{name}-")]
    return max(members, key=lambda member: (_version_of(member), -len(member)), default=None)


def _version_of(name: str) -> tuple[int, ...]:
    found = _FAMILY_VERSION.match(name)
    return tuple(int(number) for number in found[1].split(".")) if found else ()
