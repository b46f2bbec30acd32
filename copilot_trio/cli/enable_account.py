"""``enable-account``: use it again, whatever limits it had."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from copilot_trio.accounts.store import pause_of, with_fields
from copilot_trio.config import data_directory

from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .stored import SEEN, change_accounts, chosen_account, named, read_accounts


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    file = read_accounts(directory)
    record = chosen_account(file, options.account)
    if pause_of(file, record.github_token) is not None:
        raise CommandFailed(
            f"GitHub warned about {record.label}: read what it says, then `copilot-trio acknowledge {record.id}`"
        )
    change_accounts(
        directory, lambda file: with_fields(file, record.id, status="active", status_message="", cooldowns={})
    )
    say(f"{printable(named(record))} is enabled. {SEEN}")
    return 0
