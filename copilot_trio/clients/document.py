"""A configuration file as text in which members are found and changed by path, and everything else stays. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar

import msgspec

Path = tuple[str, ...]


class Refused(Exception):
    """Nothing is changed: the text cannot be read, or changing it would not be safe. Says where and why."""


class Document(Protocol):
    """``find``, ``put`` and ``drop`` deal in the text of values. All raise ``Refused`` where the path is ambiguous."""

    @property
    def text(self) -> str: ...

    def content(self) -> dict[str, Any]: ...

    def render(self, path: Path, value: Any) -> str:
        """The text of ``value`` as it fits at ``path``."""

    def same(self, one: str, other: str) -> bool:
        """Whether two values' texts mean the same."""

    def find(self, path: Path) -> str | None: ...

    def put(self, path: Path, value: str) -> Self:
        """Replaced, or added with all that it stands in."""

    def drop(self, path: Path) -> Self: ...

    def drop_empty(self, path: Path) -> Self:
        """Remove what holds others, where nothing is in it."""


D = TypeVar("D", bound=Document)


class Change(msgspec.Struct, frozen=True):
    """Of one member, as text of its value; None: it was not there, or is removed."""

    path: Path
    before: str | None
    after: str | None


class Memory(msgspec.Struct, frozen=True):
    """What an earlier change did, so that it can be undone: every member, and the objects that it made for them."""

    changes: tuple[Change, ...] = ()
    made: tuple[Path, ...] = ()


class Changed(msgspec.Struct, frozen=True):
    """``done``: what is other than before; ``memory``: what an undo has to know, earlier changes included."""

    text: str
    done: tuple[Change, ...]
    memory: Memory = Memory()


def change(document: D, wanted: Mapping[Path, Any], earlier: Memory | None = None) -> Changed:
    """Give the members ``wanted`` their values; None removes one.

    What an earlier change made and is not wanted any more becomes what it was, unless somebody has changed it since.
    Raises ``Refused``.
    """
    earlier = earlier or Memory()
    known = {past.path: past for past in earlier.changes}
    targets: dict[Path, str | None] = {}
    for path, past in known.items():
        if path not in wanted and _same(document, document.find(path), past.after):
            targets[path] = past.before
    for path, value in wanted.items():
        targets[path] = None if value is None else document.render(path, value)
    made = [path for path in earlier.made if not _absent(document, path)]
    made += [path for path in _holders(wanted) if path not in made and _absent(document, path)]
    new, done = _apply(document, targets)
    changes = []
    for path in wanted:
        current, after = document.find(path), targets[path]
        kept = path in known and _same(document, current, known[path].after)
        before = known[path].before if kept else current
        if not _same(document, before, after):
            changes.append(Change(path, before, after))
    for path in sorted(set(made) - set(_holders(wanted)), key=len, reverse=True):
        new = new.drop_empty(path)
    return Changed(new.text, done, Memory(tuple(changes), tuple(made)))


def undo(document: D, memory: Memory) -> tuple[Changed, tuple[Path, ...]]:
    """Every member as it was before the first change, whatever it is now; and which of them others had changed since.

    Raises ``Refused``.
    """
    touched = tuple(past.path for past in memory.changes if not _same(document, document.find(past.path), past.after))
    new, done = _apply(document, {past.path: past.before for past in reversed(memory.changes)})
    for path in sorted(memory.made, key=len, reverse=True):
        new = new.drop_empty(path)
    return Changed(new.text, done), touched


def dotted(path: Sequence[str]) -> str:
    return ".".join(path)


def _apply(document: D, targets: Mapping[Path, str | None]) -> tuple[D, tuple[Change, ...]]:
    """Checked: the new text means the old one with these members changed, and nothing else."""
    new = document
    done = []
    for path, after in targets.items():
        before = new.find(path)
        if _same(document, before, after):
            continue
        new = new.drop(path) if after is None else new.put(path, after)
        done.append(Change(path, before, after))
    unchanged = _without(document.content(), targets) == _without(new.content(), targets)
    if not unchanged or not all(_same(document, new.find(path), after) for path, after in targets.items()):
        raise Refused("it is written in a form that cannot be changed safely")
    return new, tuple(done)


def _same(document: Document, one: str | None, other: str | None) -> bool:
    return one == other or (one is not None and other is not None and document.same(one, other))


def _without(content: Any, paths: Mapping[Path, Any]) -> str:
    """Everything but these members, and objects that only hold such; ``1``, ``1.0`` and ``true`` are three things."""
    return repr(_cut(content, set(paths)))


def _cut(value: Any, paths: set[Path]) -> Any:
    if not isinstance(value, dict):
        return value
    kept = []
    for key, member in value.items():
        below = {path[1:] for path in paths if path[:1] == (key,)}
        if () in below:
            continue
        cut = _cut(member, below)
        if cut or not below:
            kept.append((key, cut))
    return sorted(kept, key=lambda pair: pair[0])


def _holders(paths: Mapping[Path, Any]) -> list[Path]:
    """The objects that values shall stand in, outer ones first."""
    holders = {
        path[:length]: None for path, value in paths.items() if value is not None for length in range(1, len(path))
    }
    return sorted(holders, key=len)


def _absent(document: Document, path: Path) -> bool:
    content: Any = document.content()
    for key in path:
        if not isinstance(content, dict) or key not in content:
            return True
        content = content[key]
    return False
