"""``guard``: is enough of the quota left? For scripts and hooks, by its exit code."""

from __future__ import annotations

import argparse
import logging
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from copilot_trio import logs
from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.quota_view import AccountUsage, remaining_percent
from copilot_trio.accounts.store import AccountsFile, pause_of
from copilot_trio.config import data_directory

from .asking import Asking
from .equipment import equipment
from .failure import CommandFailed
from .list_accounts import printable
from .network import check_ca_file, chosen_egress
from .options_usage import WRONG_USE
from .say import say
from .stored import chosen_account, read_accounts, read_config

logger = logging.getLogger(__name__)

ENOUGH, BELOW, UNAVAILABLE = 0, 1, 69
FRESH = 60.0  # seconds for which nobody need be asked again


class Unavailable(Exception):
    """Nobody knows; the text says why."""


class _Left(msgspec.Struct, frozen=True):
    """Of one account; ``percent`` None with the ``problem``."""

    account: str
    percent: float | None
    problem: str = ""


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """With several accounts the one with the most left counts: the proxy moves on to it.

    Raises ``CommandFailed`` with this command's own exit codes: 1 is said of the quota only.
    """
    logs.set_up(verbose=options.verbose)
    lefts: list[_Left] = []
    try:
        lefts += _lefts(options, environment)
        best = _best(lefts)
    except CommandFailed as failure:
        if failure.exit_code == WRONG_USE:
            raise
        return _unavailable(options, lefts, str(failure))
    except Unavailable as error:
        return _unavailable(options, lefts, str(error))
    except Exception as error:
        logger.debug("guard failed", exc_info=True)
        return _unavailable(options, lefts, f"{type(error).__name__}: {error}")
    state, code = ("enough", ENOUGH) if _percent(best) >= options.min_remaining else ("below", BELOW)
    if options.json:
        _say_json(options, state, lefts, best)
    else:
        shown = f"{_number(_percent(best))}% of {options.window} left on {best.account}"
        say(printable(f"{state}: {shown}, at least {_number(options.min_remaining)}% wanted"))
    return code


def _lefts(options: argparse.Namespace, environment: Mapping[str, str]) -> Iterator[_Left]:
    directory = data_directory(environment)
    config, file = read_config(directory), read_accounts(directory)
    if not file.accounts:
        raise Unavailable("no account is stored; `copilot-trio add-account` adds one")
    try:
        records = file.accounts if options.account is None else (chosen_account(file, options.account),)
        equip = equipment(options, environment, chosen_egress(options, environment, config))
        check_ca_file(options.ca_file)
    except CommandFailed as failure:
        raise CommandFailed(str(failure), WRONG_USE) from None
    known = {record.id: _usage(record) for record in records if _is_fresh(file, record, time.time())}
    unknown = [record for record in records if record.id not in known]
    if unknown:
        asked = Asking(directory, config, equip, options.ca_file).ask(file, unknown)
        known |= {usage.id: usage for usage in asked}
    yield from (_left(known[record.id], options.window) for record in records)


def _is_fresh(file: AccountsFile, record: AccountRecord, now: float) -> bool:
    """Whether what is stored of its quota will do; not for an account that is paused or switched off."""
    usable = record.status == "active" and pause_of(file, record.github_token) is None
    return usable and record.quota is not None and 0 <= now - record.quota.read_at < FRESH


def _usage(record: AccountRecord) -> AccountUsage:
    return AccountUsage(id=record.id, label=record.label, quota=record.quota)


def _left(usage: AccountUsage, name: str) -> _Left:
    if usage.quota is None:
        return _Left(usage.label, None, usage.problem)
    window = usage.quota.window(name)
    percent = None if window is None else remaining_percent(window)
    if percent is None:
        others = ", ".join(window.name for window in usage.quota.windows) or "none"
        return _Left(usage.label, None, f"it has no window {name} (windows: {others})")
    return _Left(usage.label, percent)


def _best(lefts: Sequence[_Left]) -> _Left:
    known = [left for left in lefts if left.percent is not None]
    if not known:
        raise Unavailable("; ".join(f"{left.account}: {left.problem}" for left in lefts))
    return max(known, key=_percent)


def _percent(left: _Left) -> float:
    assert left.percent is not None
    return left.percent


def _unavailable(options: argparse.Namespace, lefts: Sequence[_Left], why: str) -> int:
    if options.json:
        _say_json(options, "unavailable", lefts, None, why)
    if not options.fail_open:
        raise CommandFailed(printable(f"the quota is not known: {why}"), UNAVAILABLE)
    print(printable(f"copilot-trio: the quota is not known, and --fail-open lets it pass: {why}"), file=sys.stderr)
    return ENOUGH


def _say_json(
    options: argparse.Namespace, state: str, lefts: Sequence[_Left], best: _Left | None, why: str = ""
) -> None:
    shown: dict[str, Any] = {
        "state": state,
        "window": options.window,
        "minRemaining": options.min_remaining,
        "account": None if best is None else best.account,
        "remainingPercent": None if best is None else best.percent,
        "error": why or None,
        "accounts": [
            {"account": left.account, "remainingPercent": left.percent, "error": left.problem or None} for left in lefts
        ],
    }
    say(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")
