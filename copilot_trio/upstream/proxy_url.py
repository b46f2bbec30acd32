"""Proxy URLs: which can be used, and how they are shown. Nothing raised here quotes one: it may hold a password."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from urllib.parse import quote, unquote, urlsplit

import msgspec

DEFAULT_PORTS = {"http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
MAX_URL = 1024
MAX_SOCKS_CREDENTIAL = 255  # bytes (RFC 1929)

_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*\.?")  # else a resolver crashes
_PRINTABLE = re.compile(r"[!-~]*")


class ProxyUrl(msgspec.Struct, frozen=True):
    """A proxy's address, and what it wants to hear; ``user`` and ``password`` are percent-decoded."""

    scheme: str
    host: str
    port: int
    user: str = ""
    password: str = ""

    @property
    def address(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def shown(self) -> str:
        # Where there is one of the two only, it is the secret.
        masked = f"{quote(self.user, safe='')}:***@" if self.user and self.password else "***@"
        return f"{self.scheme}://{masked if self.user or self.password else ''}{self.address}"

    def __repr__(self) -> str:
        return f"<ProxyUrl {self.shown()}>"


def parse_proxy_url(text: str) -> ProxyUrl:
    """Raises ``ValueError`` saying what is wrong."""
    text = text.strip()
    scheme = text.partition("://")[0].lower() if "://" in text else ""
    if scheme not in DEFAULT_PORTS:
        raise _unusable(f"it must begin with one of {', '.join(f'{name}://' for name in DEFAULT_PORTS)}")
    if len(text) > MAX_URL:
        raise _unusable(f"it is over {MAX_URL} characters")
    if not _PRINTABLE.fullmatch(text):
        raise _unusable("spaces and letters beyond ASCII must be percent-encoded")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
        user, password = (unquote(part or "", errors="strict") for part in (parts.username, parts.password))
    except ValueError:  # its message may quote a password
        raise _unusable(
            "its host or port cannot be read; signs such as @ / # in a password must be percent-encoded"
        ) from None
    if parts.path not in {"", "/"} or "?" in text or "#" in text:
        raise _unusable("it must end with its host and port; signs such as @ / # in a password must be percent-encoded")
    if not _is_host(host):
        raise _unusable("it has no host that can be used")
    if port == 0:
        raise _unusable("port 0 cannot be dialled")
    _check_credentials(scheme, user, password)
    return ProxyUrl(scheme, host, port or DEFAULT_PORTS[scheme], user, password)


def check_proxy_url(text: str) -> str:
    """The URL as it is to be stored. Raises ``ValueError`` saying what is wrong."""
    parse_proxy_url(text)
    return text.strip()


def shown_proxy(text: str) -> str:
    """For a person's eyes: ``socks5h://user:***@host:1080``."""
    try:
        return parse_proxy_url(text).shown()
    except ValueError:
        return "(a proxy URL that cannot be used)"


def _is_host(host: str) -> bool:
    if ":" not in host:
        return _HOST_NAME.fullmatch(host) is not None
    try:
        return IPv6Address(host).scope_id is None
    except ValueError:
        return False


def _check_credentials(scheme: str, user: str, password: str) -> None:
    both = user + password
    if any(ord(letter) < 32 or ord(letter) == 127 for letter in both):
        raise _unusable("its user or password holds a control character")
    if scheme in {"http", "https"}:
        if ":" in user:
            raise _unusable("an HTTP proxy's user name cannot hold a colon")
    elif bool(user) != bool(password):
        raise _unusable("SOCKS5 wants both a user and a password, or neither")
    elif not both.isascii() or max(len(user), len(password)) > MAX_SOCKS_CREDENTIAL:
        raise _unusable(f"SOCKS5 takes a user and a password of at most {MAX_SOCKS_CREDENTIAL} ASCII letters each")


def _unusable(why: str) -> ValueError:
    return ValueError(f"this proxy URL cannot be used: {why}")
