"""The flags of the commands that tell what is left of a quota."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import _add_hosts, _add_network, _command

if TYPE_CHECKING:
    from .options import Commands

WRONG_USE = 64  # of `guard`, as sysexits.h has it: its 1 is an answer


def add_check_usage(commands: Commands) -> None:
    parser = _command(
        commands,
        "check-usage",
        "ask GitHub what is left of each account's quota, and tell how long it lasts",
        "  copilot-trio check-usage\n  copilot-trio check-usage --account work --json",
    )
    _add_which(parser)
    parser.add_argument("--json", action="store_true", help="as GET /api/quota tells it")


def add_guard(commands: Commands) -> None:
    parser = _command(
        commands,
        "guard",
        "tell by the exit code whether enough of the quota is left, for scripts and hooks",
        "  copilot-trio guard --min-remaining 20 && run-the-big-job\n"
        "  copilot-trio guard --window chat --account work --fail-open\n\n"
        "exit codes: 0 enough, 1 below, 64 wrong use, 69 not known (0 with --fail-open)",
    )
    parser.add_argument(
        "--min-remaining", type=_percent, default=10.0, metavar="P", help="percent that must be left (default 10)"
    )
    parser.add_argument(
        "--window", choices=("premium", "chat"), default="premium", help="of which quota (default premium)"
    )
    _add_which(parser)
    parser.add_argument("--fail-open", action="store_true", help="let it pass where nobody knows")
    parser.add_argument("--json", action="store_true", help="say more, for programs")


def _add_which(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--account", metavar="NAME", help="only this one: its number in the list, label, id or login")
    _add_hosts(parser)
    _add_network(parser)


def _percent(text: str) -> float:
    number = float(text)
    if not 0 <= number <= 100:
        raise argparse.ArgumentTypeError(f"{text} is no percentage")
    return number
