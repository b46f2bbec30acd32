"""Finding an upstream model for the name that a client asked for. Pure.

Order: the user's mapping, exact, date suffix stripped, dots for dashes and the reverse, legacy names, family aliases,
and last the mapping's bare ``*`` (product.md §7).
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Container, Iterable, Mapping

LAST_RESORT = "*"
MAX_NAME = 200  # characters; what is longer names no model, and the patterns below are not for it
SUGGESTIONS = 3

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


def resolve(
    asked: str, mapping: Mapping[str, str], available: Collection[str], unusable: Container[str] = ()
) -> tuple[str, str | None]:
    """The name that was looked for in the end, and the id of the model it means, or None.

    A mapping is applied once: a target that is not available is not mapped again, not even by ``*``.
    """
    target = map_model(asked, mapping)
    found = match_model(target, available, unusable)
    if found is None and target == asked and LAST_RESORT in mapping:
        target = mapping[LAST_RESORT]
        found = match_model(target, available, unusable)
    return target, found


def map_model(asked: str, mapping: Mapping[str, str]) -> str:
    """What ``mapping`` makes of a name: by its exact key, else by the pattern with the most characters besides ``*``.

    Of equal patterns the first wins. The bare ``*`` is no pattern but the last resort, see :func:`resolve`.
    """
    if not mapping:
        return asked
    if asked in mapping:
        return mapping[asked]
    fitting = [key for key in mapping if "*" in key and key != LAST_RESORT and _fits(asked, key)]
    return mapping[max(fitting, key=_literals)] if fitting else asked


def match_model(asked: str, available: Collection[str], unusable: Container[str] = ()) -> str | None:
    """The id of the available model that ``asked`` means, or None. A family alias avoids the unusable."""
    if asked in available:
        return asked
    if len(asked) > MAX_NAME:
        return None
    known = set(available)
    name = asked.removesuffix("[1m]")
    for candidate in _spellings(name):
        if candidate in known:
            return candidate
    return _by_legacy_prefix(name, known) or _by_family(name, known, unusable)


def closest(asked: str, available: Iterable[str]) -> list[str]:
    """Which of the available ids look like ``asked``, the most alike first."""
    return difflib.get_close_matches(asked[:MAX_NAME], list(available), SUGGESTIONS)


def _fits(name: str, pattern: str) -> bool:
    """``*`` stands for any characters, all others for themselves; in time linear in ``name``."""
    first, *middle, last = pattern.split("*")
    position, end = len(first), len(name) - len(last)
    if position > end or not name.startswith(first) or not name.endswith(last):
        return False
    for part in middle:
        found = name.find(part, position, end)
        if found < 0:
            return False
        position = found + len(part)
    return True


def _literals(pattern: str) -> int:
    return len(pattern) - pattern.count("*")


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


def _by_family(name: str, ids: Iterable[str], unusable: Container[str]) -> str | None:
    """A bare ``opus``, ``sonnet`` or ``haiku``: the newest of that family that can be used, its plain variant first."""
    if name not in FAMILIES:
        return None
    members = [candidate for candidate in ids if candidate.startswith(f"claude-{name}-")]
    return max(
        members,
        key=lambda member: (member not in unusable, _version_of(member), -len(member), member),
        default=None,
    )


def _version_of(name: str) -> tuple[int, ...]:
    found = _FAMILY_VERSION.match(name)
    return tuple(int(number) for number in found[1].split(".")) if found else ()
