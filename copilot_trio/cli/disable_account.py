"""``disable-account``: keep it, and send nothing more on it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from copilot_trio.accounts.store import with_fields
from copilot_trio.config import data_directory

from .list_accounts import printable
from .say import say
from .stored import SEEN, change_accounts, chosen_account, named, read_accounts


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    record = chosen_account(read_accounts(directory), options.account)
    change_accounts(directory, lambda file: with_fields(file, record.id, status="disabled", status_message=""))
    say(f"{printable(named(record))} is disabled. {SEEN}")
    return 0
