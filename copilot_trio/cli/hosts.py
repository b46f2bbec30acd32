"""Where GitHub and Copilot are: flags, then environment, then github.com (product.md §1)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import msgspec

from copilot_trio.accounts.account import Hosts
from copilot_trio.github.hosts import check_base_url, enterprise_hosts

from .failure import CommandFailed

SOURCES = (
    ("github", "github_base_url", "COPILOT_TRIO_GITHUB_URL"),
    ("github_api", "github_api_base_url", "COPILOT_TRIO_GITHUB_API_URL"),
    ("copilot", "copilot_base_url", "COPILOT_TRIO_COPILOT_URL"),
)


def chosen_hosts(
    options: argparse.Namespace, environment: Mapping[str, str], enterprise_host: str | None = None
) -> Hosts:
    """Raises ``CommandFailed`` naming the flag or variable that is wrong."""
    try:
        host = options.enterprise_host or enterprise_host
        hosts = enterprise_hosts(host) if host else Hosts()
    except ValueError as error:
        raise CommandFailed(f"--enterprise-host: {error}", 2) from None
    for field, flag, variable in SOURCES:
        given = getattr(options, flag) or environment.get(variable)
        if not given:
            continue
        try:
            hosts = msgspec.structs.replace(hosts, **{field: check_base_url(given)})
        except ValueError as error:
            name = f"--{flag.replace('_', '-')}" if getattr(options, flag) else variable
            raise CommandFailed(f"{name}: {error}", 2) from None
    return hosts
