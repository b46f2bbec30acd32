"""``list-accounts``: what is stored of them; no server and no network is asked."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.groups import Member, group_of
from copilot_trio.accounts.health import ALL, PAID
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.store import AccountsFile, pause_of
from copilot_trio.admin.view import Standing, shown_record, stored_standing
from copilot_trio.config import Config, data_directory

from .say import say
from .stored import read_accounts, read_config

COLUMNS = ("#", "Label", "Login", "Group", "Status", "Premium Remaining")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    config, file, now = read_config(directory), read_accounts(directory), time.time()
    if options.json:
        shown = [_shown(file, record, config, now) for record in file.accounts]
        say(msgspec.json.format(msgspec.json.encode({"accounts": shown}), indent=2).decode())
        return 0
    if not file.accounts:
        say("No account is stored. `copilot-trio add-account` adds one.")
        return 0
    rows = [_row(number, file, record, config, now) for number, record in enumerate(file.accounts, 1)]
    for line in _table(rows):
        say(line)
    for record in file.accounts:
        for remark in _remarks(record, _standing(file, record, now)):
            say(printable(f"{record.label}: {remark}"))
    return 0


def group_name(record: AccountRecord, config: Config) -> str:
    return group_of(Member(record.id, record.label, record.enterprise_host, record.account_type), config.groups)


def _standing(file: AccountsFile, record: AccountRecord, now: float) -> Standing:
    pause = pause_of(file, record.github_token)
    return stored_standing(record, None if pause is None else pause.message, now)


def _shown(file: AccountsFile, record: AccountRecord, config: Config, now: float) -> dict[str, Any]:
    pause = pause_of(file, record.github_token)
    return shown_record(
        record,
        _standing(file, record, now),
        group=group_name(record, config),
        warning=None if pause is None else pause.message,
    )


def _row(number: int, file: AccountsFile, record: AccountRecord, config: Config, now: float) -> tuple[str, ...]:
    status = "warned" if pause_of(file, record.github_token) else _standing(file, record, now).status
    cells = (record.label, record.login or "-", group_name(record, config), status, _left(record.quota))
    return (str(number), *map(printable, cells))


def _table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(COLUMNS, *rows, strict=True)]
    for row in (COLUMNS, ["-" * width for width in widths], *rows):
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _left(quota: Quota | None) -> str:
    window = None if quota is None else quota.paying
    if quota is None or window is None:
        return "-"
    if window.unlimited:
        return "unlimited"
    unit = " credits" if quota.token_billing else " chats" if window.name == "chat" else ""
    if window.remaining is not None and window.entitlement is not None:
        return f"{_number(window.remaining)} of {_number(window.entitlement)}{unit}"
    return "-" if window.percent_remaining is None else f"{window.percent_remaining:.0f} %"


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _remarks(record: AccountRecord, standing: Standing) -> Iterator[str]:
    if standing.until is not None:
        yield f"{standing.status} until {_moment(standing.until)}: {standing.message}"
    elif standing.status != "active" and standing.message:
        yield f"{standing.status}: {standing.message}"
    for model, cooldown in standing.cooldowns.items():
        if model not in {ALL, PAID}:
            yield f"{model} rests until {_moment(cooldown.until)}: {cooldown.why}"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M")


def printable(text: str) -> str:
    """What a file holds must not speak to the terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
