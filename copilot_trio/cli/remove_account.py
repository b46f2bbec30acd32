"""``remove-account``: by number, label or id, after a question."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, without_account
from copilot_trio.config import data_directory

from .ask import confirmed
from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .stored import SEEN, change_accounts, chosen_account, named, read_accounts


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    record = _meant(options, read_accounts(directory))
    shown = printable(named(record))
    if not options.force and not confirmed(f"Remove the account {shown}?", flag="--force"):
        say("Nothing was removed.")
        return 1
    change_accounts(directory, lambda file: without_account(file, record.id))
    say(f"Removed {shown}. {SEEN}")
    return 0


def _meant(options: argparse.Namespace, file: AccountsFile) -> AccountRecord:
    if (options.account is None) == (options.label is None):
        raise CommandFailed("say which account: by its number, label or id, or by --label", 2)
    if options.account is not None:
        return chosen_account(file, options.account)
    found = [record for record in file.accounts if record.label.casefold() == options.label.casefold()]
    if len(found) != 1:
        how_many = "more than one account has" if found else "no account has"
        raise CommandFailed(f"{how_many} the label {options.label!r}; `copilot-trio list-accounts` shows them")
    return found[0]
