"""``import``: accounts out of other proxies' directories, copied; nothing there is changed."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.importing import Found, find_accounts, known_directories, merge
from copilot_trio.accounts.store import AccountsFile
from copilot_trio.config import data_directory

from .ask import confirmed
from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .stored import SEEN, change_accounts, named, read_accounts


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    read_accounts(directory)  # a damaged file is said first
    given = [Path(text).expanduser() for text in options.directories or ()]
    for path in given:
        if not path.is_dir():
            raise CommandFailed(f"--from {path} is no directory", 2)
    places = given or known_directories(Path.home())
    found = find_accounts(places, own=None if given else directory)
    show_found(found)
    if not found.records:
        say(f"Nothing to import in {', '.join(map(str, places))}.")
        return 1 if found.problems else 0
    if not options.yes and not confirmed(f"Import {_count(len(found.records))}?", flag="--yes"):
        say("Nothing was imported.")
        return 1
    import_found(directory, found)
    return 0


def show_found(found: Found) -> None:
    for record in found.records:
        say(printable(f"found      {named(record)}, {record.account_type}{_status(record)}"))
    for path in found.sources:
        say(printable(f"in         {path}"))
    for problem in found.problems:
        say(printable(f"left out   {problem}"))


def import_found(directory: Path, found: Found) -> AccountsFile:
    """As it is stored then. Raises ``CommandFailed``."""
    imported: tuple[AccountRecord, ...] = ()

    def change(file: AccountsFile) -> AccountsFile:
        nonlocal imported
        file, imported = merge(file, found)
        return file

    file = change_accounts(directory, change)
    for record in imported:
        say(printable(f"imported   {named(record)}{_status(record)}"))
    there = len(found.records) - len(imported)
    also = f"; {_count(there)} stored already" if there else ""
    say(f"Imported {_count(len(imported))}{also}. What was copied is still there. {SEEN}")
    return file


def _count(number: int) -> str:
    return f"{number} account{'' if number == 1 else 's'}"


def _status(record: AccountRecord) -> str:
    return "" if record.status == "active" else f", {record.status}"
