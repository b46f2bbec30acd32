"""Changing a JSON text member by member, so that what this program does not know in it stays as it is. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode


def overlay(text: msgspec.Raw, before: Any, after: Any) -> Any:
    """``text``, which was read as ``before``, with what became of it in ``after``: both as plain builtins.

    Unchanged values keep their very text. Members that are in ``text`` alone stay; those that left go. Objects in a
    list are the same one where their ``id`` is, or their ``name`` if they have none.
    """
    if before == after:
        return text
    if isinstance(before, dict) and isinstance(after, dict):
        return _object(_members(text), before, after)
    if isinstance(before, list) and isinstance(after, list):
        read = {_name(old): (raw, old) for raw, old in zip(_elements(text), before, strict=True) if _name(old)}
        return [overlay(*read[_name(new)], new) if _name(new) in read else new for new in after]
    return after


def _object(members: dict[str, msgspec.Raw], before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, raw in members.items():
        if name in after:
            changed[name] = overlay(raw, before[name], after[name]) if name in before else after[name]
        elif name not in before:
            changed[name] = raw
    added = {name: value for name, value in after.items() if name not in members and before.get(name) != value}
    return changed | added


def _name(element: Any) -> Any:
    return element.get("id", element.get("name")) if isinstance(element, dict) else None
