"""``add-account``: one more, signed in with a code or by a token from a file."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from copilot_trio import logs
from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.joining import joined, second_of_group
from copilot_trio.accounts.store import AccountsFile, pause_of, same_identity
from copilot_trio.app import Seat
from copilot_trio.config import Config, data_directory

from .auth import check_token, sign_in
from .credentials import asked_record, token_in_file
from .equipment import equipment
from .failure import CommandFailed
from .list_accounts import group_name
from .network import check_ca_file, chosen_egress
from .notice import first_run_notice
from .say import say
from .stored import SEEN, change_accounts, read_accounts, read_config


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    directory = data_directory(environment)
    config, before = read_config(directory), read_accounts(directory)
    token = token_in_file(Path(options.github_token_file)) if options.github_token_file else ""
    record = asked_record(options, token, label=options.label, proxy=options.proxy, direct=options.direct)
    _check_label(before, record)
    seat = equipment(options, environment, chosen_egress(options, environment, config))(record)
    check_ca_file(options.ca_file)
    if not before.accounts:
        say(first_run_notice(config.identity))
    record = _with_token(options, config, seat, before)
    stored = _store(directory, record)
    say(f"Added {stored.label} ({stored.login or 'login unknown'}), id {stored.id}. {SEEN}")
    file = read_accounts(directory)
    group = group_name(stored, config)
    labels = [other.label for other in file.accounts if group_name(other, config) == group]
    note = second_of_group(group, labels, failover_on_quota=config.accounts.failover_on_quota)
    if note:
        say(note)
    return 0


def _with_token(options: argparse.Namespace, config: Config, seat: Seat, before: AccountsFile) -> AccountRecord:
    record, dial = seat.record, seat.egress.dial
    if not record.github_token:
        return trio.run(sign_in, config, record, seat.hosts, dial, options.ca_file)
    if pause_of(before, record.github_token) is not None:
        raise CommandFailed(
            "GitHub warned about the account of this token, so nothing is sent on it. Once that is cleared, run "
            "`copilot-trio auth --acknowledge` and add it again"
        )
    same = same_identity(before, record)
    if same is not None:
        raise CommandFailed(f"this account is stored already, as {same.label!r}")
    login = trio.run(check_token, config, record, seat.hosts, dial, options.ca_file)
    return msgspec.structs.replace(record, login=login)


def _check_label(file: AccountsFile, record: AccountRecord) -> None:
    """Before a person has signed in for nothing."""
    if record.label and any(other.label.casefold() == record.label.casefold() for other in file.accounts):
        raise CommandFailed(f"another account has the label {record.label!r}: choose another --label")


def _store(directory: Path, record: AccountRecord) -> AccountRecord:
    stored: list[AccountRecord] = []

    def change(file: AccountsFile) -> AccountsFile:
        file, joining = joined(file, record)
        stored.append(joining)
        return file

    change_accounts(directory, change)
    return stored[-1]
