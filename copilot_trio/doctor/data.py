"""The data directory: is it there, is it private, can its files be read, is there room."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from pathlib import Path

from copilot_trio.accounts.store import AccountsFile, load_accounts
from copilot_trio.config import Config, DamagedFile, load_config

from .finding import Finding, failed, ok, warning

MIB = 1024 * 1024
LITTLE, NEXT_TO_NOTHING = 100 * MIB, 10 * MIB
SECRET_FILES = ("accounts.json", "config.json")
USAGE_FILE = "usage.sqlite3"
SQLITE_HEAD = b"SQLite format 3\0"
OTHERS = 0o077
POSIX = sys.platform != "win32"


def check_directory(directory: Path) -> Finding:
    name = "data directory"
    if not directory.exists():
        return ok(name, f"{directory} is not there yet; it is made when something is stored")
    if not directory.is_dir():
        return failed(name, f"{directory} is no directory", "Move that file away, or set COPILOT_TRIO_HOME.")
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return failed(name, f"{directory} cannot be written by this user", "Give it to the user who runs this.")
    if POSIX and _mode(directory) & OTHERS:
        return warning(name, f"{directory} is open to other users", f"Run `chmod 700 {directory}`.")
    return ok(name, f"{directory}, private")


def check_files(directory: Path) -> list[Finding]:
    """One for each file that others can read; one for all where there is none."""
    if not POSIX:
        return []
    names = [*SECRET_FILES, USAGE_FILE]
    found = [directory / name for name in names if (directory / name).is_file()]
    exposed = [path for path in found if _mode(path) & OTHERS]
    if not exposed:
        return [ok("file modes", f"{', '.join(path.name for path in found)}: for their owner only")] if found else []
    return [
        (failed if path.name in SECRET_FILES else warning)(
            "file modes", f"other users can reach {path}, which is to be 0600", f"Run `chmod 600 {path}`."
        )
        for path in exposed
    ]


def check_config(path: Path) -> tuple[Finding, Config | None]:
    try:
        config = load_config(path)
    except DamagedFile as error:
        return failed("config.json", str(error), "It names the place. Without the file the defaults hold."), None
    return ok("config.json", "valid" if path.exists() else "not there: the defaults hold"), config


def check_accounts_file(path: Path) -> tuple[Finding, AccountsFile | None]:
    name = "accounts.json"
    try:
        file = load_accounts(path)
    except DamagedFile as error:
        remedy = "Mend it, or move it away and sign in again with `copilot-trio add-account`."
        return failed(name, str(error), remedy), None
    count = len(file.accounts)
    return ok(name, f"{count} account{'' if count == 1 else 's'} stored" if path.exists() else "not there"), file


def check_usage_file(path: Path) -> list[Finding]:
    try:
        with path.open("rb") as file:
            head = file.read(len(SQLITE_HEAD))
    except FileNotFoundError:
        return []
    except OSError as error:
        return [warning(path.name, f"{path} cannot be read: {error.strerror}", "Mend its permissions.")]
    if head and head != SQLITE_HEAD:
        remedy = "Move it away: the next start makes another. Requests are served without it, too."
        return [warning(path.name, f"{path} is no SQLite file", remedy)]
    return [ok(path.name, f"{path.stat().st_size / MIB:.1f} MiB")]


def check_disk(directory: Path) -> Finding:
    place = next(parent for parent in (directory, *directory.absolute().parents) if parent.exists())
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return warning("disk", f"the room at {place} is not known: {error.strerror}", "Look at that disk.")
    message = f"{free // MIB} MiB free at {place}"
    if free < NEXT_TO_NOTHING:
        return failed("disk", message, "Make room: tokens and quotas can no longer be stored.")
    if free < LITTLE:
        return warning("disk", message, "Make room soon.")
    return ok("disk", message)


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
