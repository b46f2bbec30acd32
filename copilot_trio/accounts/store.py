"""``accounts.json`` on disk: replaced whole, by one writer at a time, for its owner alone, never over a damaged one."""

from __future__ import annotations

import logging
import os
import re
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import trio

from copilot_trio.config import DamagedFile
from copilot_trio.unreadable import UNREADABLE

from .file import (
    VERSION,
    AccountsFile,
    NewerVersion,
    Pause,
    find_account,
    new_id,
    new_machine_id,
    parse,
    pause_of,
    render,
    same_identity,
    with_account,
    with_fields,
    with_pause,
    without_account,
    without_pause,
)
from .lock import StoreBusy, locked

__all__ = [
    "VERSION", "AccountsFile", "Pause", "Stamp", "Store", "StoreBusy", "find_account", "load_accounts",
    "make_private_directory", "new_id", "new_machine_id", "pause_of", "same_identity", "save_accounts", "stamp",
    "watch", "with_account", "with_fields", "with_pause", "without_account", "without_pause", "write_private",
]  # fmt: skip

logger = logging.getLogger(__name__)

MAX_SIZE = 64 * 1024 * 1024
STRAY_AFTER = 60.0  # seconds: no write takes that long, so what is older was left by a writer that died
Stamp = tuple[int, int, int]
"""Inode, size and time of change in ns: no two contents of one file share it."""
MISSING: Stamp = (0, 0, 0)


class Store:
    """The file, as every program that writes it must use it. Blocks: from Trio, call it in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> AccountsFile:
        """Raises ``DamagedFile``; a missing file is an empty one."""
        return load_accounts(self.path)

    def update(self, change: Callable[[AccountsFile], AccountsFile], *, patience: float = 10.0) -> AccountsFile:
        """Let ``change`` loose on what is stored at this moment, and store what it returns if that is another.

        Only what ``change`` changed is written anew, so nobody's fields are lost, not even those that this program
        does not know. Raises ``DamagedFile``; ``StoreBusy`` after ``patience`` seconds; ``OSError``; ``ValueError`` for
        a change that could not be read again; and what ``change`` raises. Then the file is as it was.
        """
        target = _behind_links(self.path)
        make_private_directory(target.parent)
        with locked(target.with_name(f"{target.name}.lock"), patience):
            before, text = _load(self.path)
            after = change(before)
            if after == before:
                return before
            content = render(before, text, after)
            try:
                stored, _ = parse(content)
            except UNREADABLE as error:
                raise ValueError(f"a change that cannot be stored: {error}") from None
            write_private(target, content)
            return stored


def load_accounts(path: Path) -> AccountsFile:
    """Raises ``DamagedFile``; a missing file is an empty one."""
    return _load(path)[0]


def save_accounts(path: Path, accounts: AccountsFile) -> None:
    """All of it, whatever is stored meanwhile: see :meth:`Store.update`, which loses nothing."""
    Store(path).update(lambda _: accounts)


def _load(path: Path) -> tuple[AccountsFile, bytes]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SIZE + 1)
    except FileNotFoundError:
        return AccountsFile(), msgspec.json.encode(AccountsFile())
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}. Mend its permissions.") from None
    if len(text) > MAX_SIZE:
        raise DamagedFile(f"{path} is over {MAX_SIZE >> 20} MiB, which no list of accounts is. It was left as it is.")
    try:
        return parse(text)
    except NewerVersion as error:
        raise DamagedFile(f"{path} has {error}. It was left as it is. Use the newer program.") from None
    except UNREADABLE as error:
        raise DamagedFile(
            f"{path} is damaged ({error}). It was left as it is: mend it, or move it away and sign in again."
        ) from None


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by a file 0600: temporary file, fsync, rename, fsync of the directory. Raises ``OSError``.

    Where ``path`` is a symbolic link, what it points to is replaced. What earlier writers left when they were killed
    goes.
    """
    path = _behind_links(path)
    make_private_directory(path.parent)
    _sweep(path)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            # A filesystem's own clock is coarse, and inodes come back: two quick writes could have the same stamp.
            moment = max(time.time_ns(), stamp(path)[2] + 1)
            os.utime(temporary, ns=(moment, moment))
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def make_private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _behind_links(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _sweep(path: Path) -> None:
    made_here = re.compile(rf"\.{re.escape(path.name)}\.[a-z0-9_]{{8}}")  # as tempfile does: an editor's files stay
    for entry in os.scandir(path.parent):
        if made_here.fullmatch(entry.name) and time.time() - stamp(Path(entry.path))[2] / 1e9 > STRAY_AFTER:
            Path(entry.path).unlink(missing_ok=True)


def _sync_directory(path: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no such thing
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def stamp(path: Path) -> Stamp:
    """``MISSING`` where there is no file, or none that can be seen."""
    try:
        found = path.stat()
    except OSError:
        return MISSING
    return found.st_ino, found.st_size, found.st_mtime_ns


async def watch(
    path: Path,
    *,
    every: float = 2.0,
    changed: Callable[[], Awaitable[None]],
    since: Stamp | None = None,
    kept: str = "the accounts in use",
) -> None:
    """Call ``changed``, which reads the file, whenever there is something new in it. For ever.

    ``since``: the stamp from before the caller last read; without it ``changed`` is called at once. Where it raises
    ``DamagedFile`` or ``OSError``, that is logged once, and it is called again until it succeeds; ``kept`` stay as
    they were meanwhile.
    """
    complaint = ""
    while True:
        now = stamp(path)  # before reading: what is written during it has another
        if now != since:
            try:
                await changed()
                since, complaint = now, ""
            except (DamagedFile, OSError) as error:
                since = None  # a mended permission does not show in the stamp
                if str(error) != complaint:
                    complaint = str(error)
                    logger.error("%s stay as they were: %s", kept, complaint)  # noqa: TRY400
        await trio.sleep(every)
