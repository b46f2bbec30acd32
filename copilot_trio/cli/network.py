"""How to reach the network: flags to a dialler, checked before anything is started."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Mapping

from copilot_trio.upstream.network import Dial, dial_direct
from copilot_trio.upstream.proxies import dial_by_environment
from copilot_trio.upstream.tls import shared_context

from .failure import CommandFailed


def chosen_dial(options: argparse.Namespace, environment: Mapping[str, str]) -> Dial:
    """Raises ``CommandFailed``."""
    if not options.proxy_env:
        return dial_direct
    try:
        return dial_by_environment(environment)
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
