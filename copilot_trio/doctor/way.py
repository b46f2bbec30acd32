"""By which way an account leaves, as a person would name it: the same choice as :mod:`..upstream.egress` makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from copilot_trio.github.hosts import is_loopback
from copilot_trio.upstream.egress import Egress, is_exempt


class Way(msgspec.Struct, frozen=True):
    """``proxy_for`` a host and port: a proxy's URL, or None for a direct connection.

    ``source`` says how it goes, ``where`` how to change that.
    """

    source: str
    egress: Egress
    proxy_for: Callable[[str, int], str | None]
    where: str


def own_way(proxy: str, egress: Egress) -> Way:
    where = "the account's proxy: PUT /api/accounts/{id}/proxy, or remove the account and add it again"
    return Way("through the account's own proxy", egress, lambda _host, _port: proxy, where)


def direct_way(egress: Egress, environment: Mapping[str, str]) -> Way:
    set_here = [name for name in environment if name.upper() in {"HTTPS_PROXY", "ALL_PROXY"} and environment[name]]
    hint = f"{set_here[0]} is set and not used: --proxy-env uses it" if set_here else "`copilot-trio proxy --set`"
    return Way("directly", egress, lambda _host, _port: None, hint)


def way_by(variables: Mapping[str, str], egress: Egress, source: str, where: str) -> Way:
    lowered = {name.lower(): value for name, value in variables.items() if value}
    general = lowered.get("all_proxy")
    secure, plain = lowered.get("https_proxy") or general, lowered.get("http_proxy") or general

    def proxy_for(host: str, port: int) -> str | None:
        if is_exempt(host, port, lowered.get("no_proxy", "")):
            return None
        return plain if is_loopback(host) else secure

    return Way(source, egress, proxy_for, where)
