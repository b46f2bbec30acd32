"""Changing a client's file, and putting it back: whole, with a backup, and never over what changed meanwhile."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.accounts.lock import locked
from copilot_trio.accounts.store import make_private_directory

from . import document, journal
from .document import Changed, Document, Memory, Refused
from .journal import Entry
from .places import Place

PATIENCE = 10.0  # seconds, for another setup that is at work
MAX_SIZE = 4 * 1024 * 1024


class Written(msgspec.Struct, frozen=True):
    """``file``: links followed. ``backup``: of what was there, None where that was nothing, or nothing changed."""

    file: Path
    changed: Changed
    backup: Path | None = None


class Undone(msgspec.Struct, frozen=True):
    """``removed``: it was not there before, and is not there now. ``touched``: our members that others had changed."""

    file: Path
    backup: Path | None
    removed: bool
    touched: tuple[document.Path, ...] = ()


class NothingToUndo(Exception):
    """No change of ours is known there."""


def plan(place: Place, wanted: Mapping[document.Path, Any], directory: Path) -> Written:
    """What :func:`write` would do. Raises ``Refused``, ``DamagedFile``, ``OSError``."""
    file = _behind_links(place.path)
    before = _read(file)
    entry = journal.load(directory).of(file) if before is not None else None
    return Written(file, _changed(place, before, wanted, entry))


def write(place: Place, wanted: Mapping[document.Path, Any], directory: Path) -> Written:
    """Give the file's members ``wanted`` their values. ``directory``: our data's, where it is remembered.

    Raises ``Refused``, ``DamagedFile`` (our own notes), ``StoreBusy``, ``OSError``; then the file is as it was.
    """
    file = _behind_links(place.path)
    make_private_directory(directory)
    with locked(directory / f"{journal.NAME}.lock", PATIENCE):
        notes = journal.load(directory)
        before = _read(file)
        entry = notes.of(file) if before is not None else None  # a file that is gone has nothing of ours any more
        changed = _changed(place, before, wanted, entry)
        new = changed.text.encode()
        if new == before:
            return Written(file, changed)
        make_private_directory(file.parent)
        backup = None if before is None else _back_up(file, before)
        ours = entry is not None and before is not None and _sha256(before) == entry.written
        remembered = Entry(
            client=place.client,
            file=str(file),
            memory=changed.memory,
            written=_sha256(new),
            made=entry.made if entry else before is None,
            exact=entry is None or (ours and entry.exact),
            backup=entry.backup if entry and ours else str(backup) if backup else None,
        )
        journal.save(directory, notes.with_entry(file, remembered))  # first: what is noted in vain does no harm
        try:
            _replace(file, before, new)
        except BaseException:
            journal.save(directory, notes)
            raise
        return Written(file, changed, backup)


def undo(place: Place, directory: Path) -> Undone:
    """The file as it was before the first :func:`write`; what others have changed in it since, stays.

    Raises ``NothingToUndo`` and what :func:`write` raises.
    """
    file = _behind_links(place.path)
    make_private_directory(directory)
    with locked(directory / f"{journal.NAME}.lock", PATIENCE):
        notes = journal.load(directory)
        entry = notes.of(file)
        if entry is None:
            raise NothingToUndo(f"{file} has not been changed by setup, as far as {directory / journal.NAME} knows")
        backup = None
        touched: tuple[document.Path, ...] = ()
        before = _read(file)
        if before is None:
            removed = True
        else:
            old = _former(entry) if _sha256(before) == entry.written else None
            if old is None:
                reverted, touched = _reverted(place, before, entry.memory)
                old = reverted.text.encode()
                backup = _back_up(file, before)
            removed = entry.made and old.decode().strip() in {"", "{}", place.format.empty.strip()}
            if removed:
                file.unlink()
            else:
                _replace(file, before, old)
        journal.save(directory, notes.with_entry(file, None))
        return Undone(file, backup, removed, touched)


def _changed(place: Place, before: bytes | None, wanted: Mapping[document.Path, Any], entry: Entry | None) -> Changed:
    parsed = _parse(place, before or b"")
    try:
        return document.change(parsed, wanted, entry.memory if entry else None)
    except Refused as error:
        raise _at(place.path, error) from None


def _reverted(place: Place, before: bytes, memory: Memory) -> tuple[Changed, tuple[document.Path, ...]]:
    parsed = _parse(place, before)
    try:
        return document.undo(parsed, memory)
    except Refused as error:
        raise _at(place.path, error) from None


def _parse(place: Place, content: bytes) -> Document:
    try:
        text = content.decode()
        return place.format.read(text if text.strip() else place.format.empty)
    except UnicodeDecodeError as error:
        raise _at(place.path, Refused(f"byte {error.start}: no UTF-8")) from None
    except Refused as error:
        raise _at(place.path, error) from None


def _at(file: Path, error: Refused) -> Refused:
    return Refused(f"{file}: {error}. It was left as it is")


def _former(entry: Entry) -> bytes | None:
    """Byte for byte what was there before us, as far as that is still to be had."""
    if not entry.exact:
        return None
    if entry.backup is None:
        return b""
    try:
        return Path(entry.backup).read_bytes()
    except OSError:
        return None


def _read(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            content = opened.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return None
    if len(content) > MAX_SIZE:
        raise Refused(f"{file} is over {MAX_SIZE >> 20} MiB, which no such file is. It was left as it is")
    return content


def _back_up(file: Path, content: bytes) -> Path:
    """Beside it, named by the time, with its mode."""
    name = f"{file.name}.{time.strftime('%Y%m%d-%H%M%S')}"
    for number in range(1000):
        path = file.with_name(f"{name}{f'-{number}' if number else ''}.bak")
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            continue
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        path.chmod(file.stat().st_mode & 0o7777)
        return path
    raise FileExistsError(f"{name}.bak and 999 more like it are there already")


def _replace(file: Path, before: bytes | None, content: bytes) -> None:
    """With its mode, a new one 0600. Raises ``Refused`` where it is not as it was read any more."""
    descriptor, temporary = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "wb") as opened:
            opened.write(content)
            opened.flush()
            os.fsync(opened.fileno())
        _check_unchanged(file, before)
        if before is not None:
            Path(temporary).chmod(file.stat().st_mode & 0o7777)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _check_unchanged(file: Path, before: bytes | None) -> None:
    if _read(file) != before:
        raise Refused(f"{file} was changed by another program just now. It was left as it is: try again")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _behind_links(path: Path) -> Path:
    return Path(os.path.realpath(path))
