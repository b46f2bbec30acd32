"""How to reach the network: flags to an egress, checked before anything is started."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Mapping

from copilot_trio.upstream.egress import Egress, by_environment, direct
from copilot_trio.upstream.tls import shared_context

from .failure import CommandFailed


def chosen_egress(options: argparse.Namespace, environment: Mapping[str, str]) -> Egress:
    """Of accounts without a proxy of their own. Raises ``CommandFailed``."""
    if not options.proxy_env:
        return direct()
    try:
        return by_environment(environment, ca_file=options.ca_file)
    except ValueError as error:
        raise CommandFailed(f"--proxy-env: {error}", 2) from None


def check_ca_file(path: str | None) -> None:
    """Raises ``CommandFailed`` for a file that holds no certificates."""
    if path is None:
        return
    try:
        shared_context(path)
    except (OSError, ssl.SSLError) as error:
        raise CommandFailed(f"--ca-file {path}: {error.strerror or error}") from None
