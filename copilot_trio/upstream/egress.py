"""By which way an account leaves: direct, through a proxy of its own, or as the environment says.

Whatever is chosen is used or fails: never a direct connection instead. ``NO_PROXY`` belongs to the environment's
proxies; an account's own proxy takes every call of that account.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import msgspec
import trio

from copilot_trio.github.hosts import is_loopback

from .network import Dial, dial_direct
from .proxies import dial_through
from .proxy_url import parse_proxy_url

_SALT = secrets.token_bytes(16)


class Egress(msgspec.Struct, frozen=True):
    """Accounts whose ``key`` is the same leave by the same way. It holds no credentials and lasts for one run.

    ``proxied``: a tunnel is in use, which a middleman may drop when it is quiet.
    """

    dial: Dial
    key: str
    proxied: bool


def direct() -> Egress:
    return Egress(dial_direct, "direct", proxied=False)


def through(proxy_url: str, *, ca_file: str | None = None) -> Egress:
    """Raises ``ValueError`` for a URL that cannot be used."""
    return Egress(dial_through(proxy_url, ca_file=ca_file), _key(proxy_url), proxied=True)


def unusable(reason: str) -> Egress:
    """For what is configured and cannot be used. Every call fails with ``reason``."""

    async def dial(host: str, port: int) -> trio.abc.Stream:
        raise OSError(reason)

    return Egress(dial, "unusable", proxied=False)


def by_environment(environment: Mapping[str, str], *, ca_file: str | None = None) -> Egress:
    """By ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in either case of letters.

    Raises ``ValueError`` for a proxy URL that cannot be used, and where none is set at all.
    """
    lowered = {name.lower(): value for name, value in environment.items() if value}
    general = lowered.get("all_proxy")
    secure = lowered.get("https_proxy") or general
    plain = lowered.get("http_proxy") or general
    if secure is None and plain is None:
        raise ValueError("none of HTTPS_PROXY, HTTP_PROXY, ALL_PROXY is set")
    by_secure = dial_through(secure, ca_file=ca_file) if secure else _refuse
    by_plain = dial_through(plain, ca_file=ca_file) if plain else dial_direct
    exempt = lowered.get("no_proxy", "")

    async def dial(host: str, port: int) -> trio.abc.Stream:
        if is_exempt(host, port, exempt):
            return await dial_direct(host, port)
        # Plain http is accepted for loopback hosts only, so whatever else is asked for is https.
        return await (by_plain if is_loopback(host) else by_secure)(host, port)

    return Egress(dial, f"environment {_digest(secure or '', plain or '', exempt)}", proxied=True)


async def _refuse(host: str, port: int) -> trio.abc.Stream:
    raise OSError("HTTPS_PROXY is not set, and --proxy-env does not go direct")


def _key(proxy_url: str) -> str:
    """Another user of the same proxy may well leave by another address."""
    proxy = parse_proxy_url(proxy_url)
    return f"{proxy.scheme}://{proxy.address} {_digest(proxy.user, proxy.password)}"


def _digest(*parts: str) -> str:
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=6, key=_SALT).hexdigest()


def is_exempt(host: str, port: int, no_proxy: str) -> bool:
    """``NO_PROXY``: domains (``example.com`` and ``.example.com`` with what is below, ``*.example.com`` only that),
    addresses, networks (``10.0.0.0/8``), each with ``:port`` or without, or ``*``."""
    host = host.lower().rstrip(".")
    address = _address(host)
    return any(_covers(entry, host, port, address) for entry in no_proxy.lower().replace(",", " ").split())


def _covers(entry: str, host: str, port: int, address: IPv4Address | IPv6Address | None) -> bool:
    if entry == "*":
        return True
    network = _network(entry)
    name, separator, wanted = entry.rpartition(":")
    if network is None and separator and wanted.isdecimal():
        if int(wanted) != port:
            return False
        entry = name
    network = network or _network(entry.strip("[]"))
    if network is not None or address is not None:
        return network is not None and address is not None and address in network
    if entry.startswith("*."):
        return host.endswith(entry[1:])
    entry = entry.lstrip(".")
    return bool(entry) and (host == entry or host.endswith(f".{entry}"))


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None
