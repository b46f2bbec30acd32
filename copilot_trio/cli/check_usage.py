"""``check-usage``: what is left of each account's quota, and how long that lasts."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Mapping

import msgspec

from copilot_trio import logs
from copilot_trio.accounts.quota_view import shown_usages
from copilot_trio.config import data_directory

from .asking import Asking
from .equipment import equipment
from .failure import CommandFailed
from .network import check_ca_file, chosen_egress
from .say import say
from .stored import chosen_account, read_accounts, read_config
from .usage_table import usage_lines


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Raises ``CommandFailed`` where nothing could be read, after the reasons were shown."""
    logs.set_up(verbose=options.verbose)
    directory = data_directory(environment)
    config, file = read_config(directory), read_accounts(directory)
    if not file.accounts:
        raise CommandFailed("no account is stored; `copilot-trio add-account` adds one")
    records = file.accounts if options.account is None else (chosen_account(file, options.account),)
    equip = equipment(options, environment, chosen_egress(options, environment, config))
    check_ca_file(options.ca_file)
    usages = Asking(directory, config, equip, options.ca_file, config.budget_cookie_files).ask(file, records)
    now = time.time()
    if options.json:
        say(msgspec.json.format(msgspec.json.encode(shown_usages(usages, now)), indent=2).decode())
    else:
        colour = sys.stdout.isatty() and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
        say("\n\n".join("\n".join(usage_lines(usage, now, colour=colour)) for usage in usages))
    if all(usage.quota is None for usage in usages):
        raise CommandFailed("no quota could be read")
    return 0
