"""Which hosts a credential may be sent to. Pure (upstream.md §1)."""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from copilot_trio.accounts.account import AccountType, Hosts

_HOST_NAME = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*")

DEFAULT_COPILOT = "https://api.githubcopilot.com"
COPILOT_BY_TYPE: dict[AccountType, str] = {
    "individual": "https://api.individual.githubcopilot.com",
    "business": "https://api.business.githubcopilot.com",
    "enterprise": "https://api.enterprise.githubcopilot.com",
}


def is_loopback(host: str | None) -> bool:
    if host is None:
        return False
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def check_base_url(url: str) -> str:
    """A base URL as a user gives it, without a closing slash. Raises ``ValueError`` saying what is wrong."""
    parts = urlsplit(url)
    _ = parts.port  # raises where it is none
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError(f"{url!r} is no http(s) URL")
    if parts.username is not None or parts.password is not None:
        raise ValueError("a base URL must not carry a user name or password")
    if parts.query or parts.fragment:
        raise ValueError(f"{url!r} has a query or fragment, which a base URL cannot have")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError(f"plain http is accepted for loopback hosts only, not for {parts.hostname}")
    return url.rstrip("/")


def normalise_enterprise_host(text: str) -> str:
    """``https://octocorp.ghe.com/login`` → ``octocorp.ghe.com`` (systems.md §3.2). Raises ``ValueError``."""
    text = text.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    host = (parts.hostname or "").strip(".").lower()
    if not host:
        return "github.com"
    if not _is_host_name(host):
        raise ValueError(f"{text!r} is no host name")
    return host if parts.port in {None, 443} else f"{host}:{parts.port}"


def _is_host_name(host: str) -> bool:
    """ASCII letters, digits and hyphens: what any two URL parsers read alike."""
    return _HOST_NAME.fullmatch(host) is not None


def enterprise_hosts(host: str) -> Hosts:
    """The three bases of a GHE.com tenant, or github.com's own.

    An enterprise server of another domain says in its token reply where Copilot is, see :func:`allowed_copilot_base`.
    """
    host = normalise_enterprise_host(host)
    if host in {"github.com", "www.github.com", "api.github.com"}:
        return Hosts()
    tenant = host.removeprefix("api.")  # given as its API's address, it is the same tenant
    copilot = f"https://copilot-api.{tenant}" if _without_port(tenant).endswith(".ghe.com") else None
    return Hosts(f"https://{tenant}", f"https://api.{tenant}", copilot)


def _without_port(host: str) -> str:
    return host.partition(":")[0]


def allowed_copilot_base(offered: str | None, hosts: Hosts, account_type: AccountType) -> str:
    """Where the bearer may go: what GitHub's reply offers if that is a Copilot host, else the default for the type.

    A host that is set by the user wins. An enterprise server may name a host of its own domain. A loopback offer counts
    only where GitHub itself is on loopback (the twin).
    """
    if hosts.copilot is not None:
        return hosts.copilot
    server = urlsplit(hosts.github).hostname or ""
    own = server not in {"", "github.com"} and not is_loopback(server)
    fallback = f"https://copilot-api.{server}" if own else COPILOT_BY_TYPE.get(account_type, DEFAULT_COPILOT)
    if not offered:
        return fallback
    try:
        parts = urlsplit(offered)
        port = parts.port
    except ValueError:
        return fallback
    if parts.username is not None or not parts.hostname:
        return fallback
    if is_loopback(parts.hostname):
        return offered.rstrip("/") if is_loopback(urlsplit(hosts.github_api).hostname) else fallback
    domains = (".githubcopilot.com", f".{server}") if own else (".githubcopilot.com",)
    known = parts.hostname.endswith(domains) and _is_host_name(parts.hostname)
    if parts.scheme != "https" or port not in {None, 443} or not known:
        return fallback
    return f"https://{parts.hostname}"
