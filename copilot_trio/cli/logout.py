"""``logout``: take stored credentials away. GitHub keeps its side of a token until it is revoked there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, without_account
from copilot_trio.config import Config, data_directory

from .ask import confirmed
from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .settings import change_config
from .stored import SEEN, accounts_path, change_accounts, named, read_accounts, read_config

REVOKE = "https://github.com/settings/applications"
OUTSIDE = ("COPILOT_TRIO_GITHUB_TOKEN", "GH_TOKEN")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    read_config(directory)  # a damaged file is found before anything has gone
    records = read_accounts(directory).accounts
    everything: bool = options.all
    if not options.github and not options.all:
        chosen = _ask(records)
        if chosen is None:
            say("Nothing was removed.")
            return 1
        everything = chosen == "all"
    _remove_accounts(directory)
    if everything:
        _remove_settings(directory)
    for name in OUTSIDE:
        if environment.get(name):
            say(f"{name} is set in this environment, and was left alone: `start` would use it.")
    return 0


def _ask(records: tuple[AccountRecord, ...]) -> str | None:
    """What is to go; None for nothing."""
    if not sys.stdin.isatty():
        raise CommandFailed("there is no terminal to ask on: add --github or --all", 2)
    shown = ", ".join(printable(named(record)) for record in records) or "none stored"
    say("Which credentials are to go?")
    say(f"  1  the GitHub accounts: {shown}")
    say("  2  all: those, the keys of clients and the saved proxy")
    try:
        answer = input("1, 2, or anything else for none: ").strip()
    except EOFError:
        print()
        return None
    if answer not in {"1", "2"} or not confirmed("Remove them for good?", flag="--github or --all"):
        return None
    return "all" if answer == "2" else "github"


def _remove_accounts(directory: Path) -> None:
    """Warnings stay, by the hashes of their tokens: they hold if one comes back."""
    gone: list[AccountRecord] = []

    def change(file: AccountsFile) -> AccountsFile:
        gone.extend(file.accounts)
        for record in file.accounts:
            file = without_account(file, record.id)
        return file

    if accounts_path(directory).exists():
        change_accounts(directory, change)
    if not gone:
        say("No account was stored.")
        return
    shown = ", ".join(printable(named(record)) for record in gone)
    say(f"Removed from {accounts_path(directory)}: {shown}. {SEEN}")
    say(f"GitHub still knows their tokens: revoke them at {REVOKE}.")


def _remove_settings(directory: Path) -> None:
    gone: list[str] = []

    def change(config: Config) -> Config:
        gone.extend(f"the key {printable(key.label)}" for key in config.keys)
        gone.extend(["the saved proxy"] if config.proxy is not None else [])
        return msgspec.structs.replace(config, keys=(), proxy=None)

    path = directory / "config.json"
    if path.exists():
        change_config(directory, change)
    if not gone:
        say("No key and no proxy was saved.")
        return
    say(f"Removed from {path}: {', '.join(gone)}.")
    say("A running server keeps its proxy until a restart, and where others reach it its keys; else those go at once.")
