"""What a stored account needs to be used in this run: its hosts and its way out."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Mapping

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.app import Seat
from copilot_trio.upstream.egress import Egress, through, unusable

from .hosts import chosen_hosts

logger = logging.getLogger(__name__)

Equip = Callable[[AccountRecord], Seat]


def equipment(options: argparse.Namespace, environment: Mapping[str, str], egress: Egress) -> Equip:
    """``egress`` is that of accounts without a proxy of their own.

    A stored proxy that cannot be used makes every call of its account fail: it never goes direct instead.
    """
    chosen_hosts(options, environment)  # what is wrong with flags is said at the start

    def equip(record: AccountRecord) -> Seat:
        hosts = chosen_hosts(options, environment, record.enterprise_host)
        return Seat(record, hosts, egress if record.proxy is None else _own(record.label, record.proxy))

    def _own(label: str, proxy: str) -> Egress:
        try:
            return through(proxy, ca_file=options.ca_file)
        except ValueError as error:
            logger.error("%s cannot be used, for %s", label, error)  # noqa: TRY400
            return unusable(f"the proxy of account {label}: {error}")

    return equip
