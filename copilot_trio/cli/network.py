"""How to reach the network: flags and settings to an egress, checked before anything is started."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Mapping

from copilot_trio.config import Config
from copilot_trio.upstream.egress import Egress, by_environment, direct
from copilot_trio.upstream.tls import shared_context

from .failure import CommandFailed


def chosen_egress(options: argparse.Namespace, environment: Mapping[str, str], config: Config | None = None) -> Egress:
    """Of accounts without a proxy of their own: ``--proxy-env``, the saved proxy, or direct (product.md §4.9).

    Raises ``CommandFailed``.
    """
    variables = proxy_variables(options, environment, config)
    if variables is None:
        return direct()
    try:
        return by_environment(variables, ca_file=options.ca_file)
    except ValueError as error:
        source = "--proxy-env" if options.proxy_env else "config.json, proxy"
        raise CommandFailed(f"{source}: {error}", 2) from None


def proxy_variables(
    options: argparse.Namespace, environment: Mapping[str, str], config: Config | None
) -> Mapping[str, str] | None:
    """Where the proxies are named; None for a direct way."""
    if options.proxy_env:
        return environment
    if config is None or config.proxy is None or not config.proxy.enabled:
        return None
    return config.proxy.variables()


def check_ca_file(path: str | None) -> None:
    """Raises ``CommandFailed`` for a file that holds no certificates."""
    if path is None:
        return
    try:
        shared_context(path)
    except (OSError, ssl.SSLError) as error:
        raise CommandFailed(f"--ca-file {path}: {error.strerror or error}") from None
