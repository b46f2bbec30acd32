"""What was changed in clients' files, kept in our data directory, so that it can be undone."""

from __future__ import annotations

from pathlib import Path

import msgspec

from copilot_trio.accounts.store import write_private
from copilot_trio.config import DamagedFile
from copilot_trio.unreadable import UNREADABLE

from .document import Memory

NAME = "setup.json"
VERSION = 1


class Entry(msgspec.Struct, frozen=True):
    """Of one file. ``backup`` holds what it was, byte for byte, where ``exact``; ``made``: there was none.

    ``written``: the SHA-256 of what we left there.
    """

    client: str
    file: str
    memory: Memory
    written: str
    made: bool
    exact: bool
    backup: str | None = None


class Journal(msgspec.Struct, frozen=True):
    version: int = VERSION
    entries: tuple[Entry, ...] = ()

    def of(self, file: Path) -> Entry | None:
        return next((entry for entry in self.entries if entry.file == str(file)), None)

    def with_entry(self, file: Path, entry: Entry | None) -> Journal:
        """In the place of the file's own; None: it has none any more."""
        others = tuple(other for other in self.entries if other.file != str(file))
        return Journal(entries=others if entry is None else (*others, entry))


_decode = msgspec.json.Decoder(Journal).decode


def load(directory: Path) -> Journal:
    """Raises ``DamagedFile``; without a file nothing was changed."""
    path = directory / NAME
    try:
        journal = _decode(path.read_bytes())
    except FileNotFoundError:
        return Journal()
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}. Mend its permissions.") from None
    except UNREADABLE as error:
        raise DamagedFile(
            f"{path} is damaged ({error}). It was left as it is: mend it, or move it away and restore clients' files "
            "from the backups beside them."
        ) from None
    if journal.version != VERSION:
        raise DamagedFile(f"{path} has version {journal.version}; this program knows {VERSION}. Use the newer program.")
    return journal


def save(directory: Path, journal: Journal) -> None:
    """Raises ``OSError``."""
    write_private(directory / NAME, msgspec.json.format(msgspec.json.encode(journal), indent=2) + b"\n")
