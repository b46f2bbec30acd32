"""Which proxy the environment names for a host. What it names is used or fails: never a direct connection instead."""

from __future__ import annotations

from collections.abc import Mapping

import trio

from copilot_trio.github.hosts import is_loopback

from .network import Dial, dial_direct, dial_through


def dial_by_environment(environment: Mapping[str, str]) -> Dial:
    """By ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either case of letters.

    Raises ``ValueError`` for a proxy URL that cannot be used, and where none is set at all.
    """
    lowered = {name.lower(): value for name, value in environment.items() if value}
    general = lowered.get("all_proxy")
    secure = lowered.get("https_proxy") or general
    plain = lowered.get("http_proxy") or general
    if secure is None and plain is None:
        raise ValueError("none of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY is set")
    by_secure = dial_through(secure) if secure else _refuse
    by_plain = dial_through(plain) if plain else dial_direct
    exempt = lowered.get("no_proxy", "")

    async def dial(host: str, port: int) -> trio.abc.Stream:
        if is_exempt(host, port, exempt):
            return await dial_direct(host, port)
        # Plain http is accepted for loopback hosts only, so whatever else is asked for is https.
        return await (by_plain if is_loopback(host) else by_secure)(host, port)

    return dial


async def _refuse(host: str, port: int) -> trio.abc.Stream:
    raise OSError("HTTPS_PROXY is not set, and --proxy-env does not go direct")


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """``NO_PROXY``: names, domains with or without a leading dot, ``host:port``, or ``*``."""
    host = host.lower()
    for entry in (part.strip().lower() for part in no_proxy.split(",")):
        if entry == "*":
            return True
        name, separator, wanted = entry.rpartition(":")
        if separator and wanted.isdigit() and "]" not in wanted:
            if int(wanted) != port:
                continue
            entry = name
        entry = entry.strip("[]").lstrip(".")
        if entry and (host == entry or host.endswith(f".{entry}")):
            return True
    return False
