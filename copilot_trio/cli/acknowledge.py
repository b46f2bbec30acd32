"""``acknowledge``: a person has read what GitHub said, and the account may be used again (product.md §4.5)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec

from copilot_trio.accounts.store import AccountsFile, pause_of, without_pause
from copilot_trio.config import data_directory

from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .stored import SEEN, change_accounts, chosen_account, named, read_accounts


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    file = read_accounts(directory)
    if options.account is None:
        if len(file.paused) > 1:
            raise CommandFailed(f"{_paused(file)} are paused: say which, or `auth --acknowledge` for all", 2)
        return acknowledge_all(directory)
    record = chosen_account(file, options.account)
    pause = pause_of(file, record.github_token)
    if pause is None:
        say(f"{printable(named(record))} is not paused.")
        return 0
    say(printable(f"{named(record)}: GitHub said: {pause.message}"))
    change_accounts(directory, lambda file: without_pause(file, record.github_token))
    say(f"Acknowledged. {SEEN}")
    return 0


def acknowledge_all(directory: Path) -> int:
    """Those of tokens that are not stored, too."""
    file = read_accounts(directory)
    if not file.paused:
        say("No account is paused.")
        return 0
    owners = {pause_of(file, record.github_token): named(record) for record in file.accounts}
    for pause in file.paused.values():
        say(printable(f"{owners.get(pause, 'a token that is not stored')}: GitHub said: {pause.message}"))
    read = file.paused.items()

    def change(now: AccountsFile) -> AccountsFile:
        # A warning that came meanwhile has not been read.
        return msgspec.structs.replace(
            now, paused={key: one for key, one in now.paused.items() if (key, one) not in read}
        )

    change_accounts(directory, change)
    say(f"Acknowledged. {SEEN}")
    return 0


def _paused(file: AccountsFile) -> str:
    labels = [record.label for record in file.accounts if pause_of(file, record.github_token)]
    others = len(file.paused) - len(labels)
    return printable(", ".join([*labels, *([f"{others} not stored"] if others else [])]))
