"""Accounts out of other proxies' directories, copied (peers.md §9.1, systems.md "GitHub device login").

What cannot be taken over as it was meant there is left out and said, never bent: an account whose proxy we cannot use
would otherwise go out directly, and one of an unknown host would show its token to another.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from copilot_trio.unreadable import UNREADABLE, UNREADABLE_OR_ODD
from copilot_trio.upstream.proxy_url import check_proxy_url

from .account import AccountRecord, AccountType, Status
from .file import AccountsFile, new_id, new_machine_id, same_identity, with_account
from .joining import free_label

MAX_SIZE = 4 * 1024 * 1024
MAX_ACCOUNTS = 1000
MAX_WORDS = 300

_TOKEN = re.compile(r"[!-~]{1,1024}")
_LOGIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
_MACHINE_ID = re.compile(r"[0-9a-fA-F]{64}")
_TENANT = re.compile(r"copilot-api\.([a-z0-9-]+\.ghe\.com)")


class Found(msgspec.Struct, frozen=True):
    """``sources``: the files that ``records`` came from. ``problems``: sentences for a person, without any secret."""

    records: tuple[AccountRecord, ...] = ()
    sources: tuple[Path, ...] = ()
    problems: tuple[str, ...] = ()


class _Offer(msgspec.Struct, rename="camel"):
    """An element of copilot-api-plus' ``accounts.json``, and what the other formats are brought to."""

    github_token: str
    label: Any = None
    account_type: Any = None
    copilot_api_endpoint: Any = None
    status: Any = None
    status_message: Any = None
    machine_id: Any = None
    proxy: Any = None
    github_login: Any = None
    added_at: Any = None


class _CliProxyApi(msgspec.Struct):
    """``github-copilot-*.json``."""

    access_token: str
    type: str = "github-copilot"
    username: Any = None
    disabled: Any = None
    proxy_url: Any = None


_elements = msgspec.json.Decoder(list[msgspec.Raw]).decode
_plus = msgspec.json.Decoder(_Offer).decode
_cli_proxy_api = msgspec.json.Decoder(_CliProxyApi).decode


def known_directories(home: Path) -> tuple[Path, ...]:
    """Where other proxies keep their accounts, on every system."""
    share = home / ".local" / "share"
    return share / "copilot-api-plus", share / "copilot-api", home / ".cli-proxy-api"


def find_accounts(directories: Sequence[Path], *, own: Path | None = None) -> Found:
    """All that is in ``directories``, and the single token that may lie in our ``own``. Nothing there is changed.

    Never raises. A token that is in more than one place is one account: the place that says most about it counts.
    """
    search = _Search()
    for directory in directories:
        search.plus(directory / "accounts.json")
    for directory in directories:
        search.cli_proxy_api(directory)
    for directory in (*directories, *([] if own is None else [own])):
        search.single_token(directory / "github_token")
    return search.found()


def merge(file: AccountsFile, found: Found) -> tuple[AccountsFile, tuple[AccountRecord, ...]]:
    """With those that are not stored yet, by token or by login and host; and these, under the labels they got."""
    added: list[AccountRecord] = []
    for record in found.records:
        if same_identity(file, msgspec.structs.replace(record, id="")) is None:
            added.append(msgspec.structs.replace(record, label=free_label(file, record.label)))
            file = with_account(file, added[-1])
    return file, tuple(added)


class _Search:
    def __init__(self) -> None:
        self._taken: dict[str, tuple[AccountRecord, Path]] = {}  # by token
        self._refused: set[str] = set()  # no other place may bring these tokens in, without what was refused
        self._problems: list[str] = []

    def found(self) -> Found:
        sources = dict.fromkeys(path for _, path in self._taken.values())
        return Found(tuple(record for record, _ in self._taken.values()), tuple(sources), tuple(self._problems))

    def plus(self, path: Path) -> None:
        text = self._text(path)
        if text is None:
            return
        try:
            elements = _elements(text)
        except UNREADABLE as error:
            self._problems.append(f"{path} is no list of accounts that can be read: {error}")
            return
        if len(elements) > MAX_ACCOUNTS:
            self._problems.append(f"{path} has more than {MAX_ACCOUNTS} accounts: none was taken")
            return
        for number, element in enumerate(elements, 1):
            self._take(path, f"account {number} in {path}", _plus, element)

    def cli_proxy_api(self, directory: Path) -> None:
        try:
            paths = sorted(path for path in directory.iterdir() if path.match("github-copilot-*.json"))
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as error:
            self._problems.append(f"{directory} cannot be read: {error.strerror}")
            return
        if len(paths) > MAX_ACCOUNTS:
            self._problems.append(f"{directory} has more than {MAX_ACCOUNTS} accounts: none was taken")
            return
        for path in paths:
            if (text := self._text(path)) is not None:
                self._take(path, str(path), _from_cli_proxy_api, text)

    def single_token(self, path: Path) -> None:
        if (text := self._text(path)) is not None:
            self._take(path, str(path), _from_token_file, text)

    def _text(self, path: Path) -> bytes | None:
        """None where there is no such file, or none that can be read, which is a problem."""
        try:
            text = _read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            self._problems.append(f"{path} cannot be read: {error.strerror}")
            return None
        if text is None or len(text) > MAX_SIZE:
            self._problems.append(f"{path} is {'no file' if text is None else f'over {MAX_SIZE >> 20} MiB'}")
            return None
        return text

    def _take(self, path: Path, place: str, read: Callable[[bytes], _Offer], text: bytes) -> None:
        try:
            offer = read(text)
        except UNREADABLE_OR_ODD as error:
            self._problems.append(f"{place} cannot be read: {error}")
            return
        token = offer.github_token
        if not token or token in self._taken or token in self._refused:
            return
        try:
            self._taken[token] = _record(offer), path
        except ValueError as error:
            self._refused.add(token)
            self._problems.append(f"{place} was left out: {error}")


def _read(path: Path) -> bytes | None:
    """At most a byte over what is allowed. None for what is no file: a named pipe would never end."""
    if not stat.S_ISREG(path.stat().st_mode):
        return None
    with path.open("rb") as file:
        return file.read(MAX_SIZE + 1)


def _from_cli_proxy_api(text: bytes) -> _Offer:
    said = _cli_proxy_api(text)
    if said.type != "github-copilot":
        raise ValueError("it is no account of GitHub Copilot")
    proxy = None if said.proxy_url in ("direct", "none") else said.proxy_url
    status = "disabled" if said.disabled else "active"
    return _Offer(said.access_token, label=said.username, github_login=said.username, proxy=proxy, status=status)


def _from_token_file(text: bytes) -> _Offer:
    return _Offer(text.decode("utf-8-sig").strip())


def _record(offer: _Offer) -> AccountRecord:
    """Raises ``ValueError`` for what must not be taken over in another form."""
    token = offer.github_token
    if not _TOKEN.fullmatch(token):
        raise ValueError("its token is not one line of printable characters")
    status: Status = offer.status if offer.status in ("disabled", "banned") else "active"  # the rest passes by itself
    login = offer.github_login if _fits(_LOGIN, offer.github_login) else ""
    return AccountRecord(
        id=new_id(),
        label=_words(offer.label, token)[:60] or login or "github",
        github_token=token,
        login=login,
        account_type=_account_type(offer.account_type),
        enterprise_host=_enterprise_host(offer.copilot_api_endpoint),
        proxy=_proxy(offer.proxy),
        status=status,
        status_message="" if status == "active" else _words(offer.status_message, token) or "as it was found",
        machine_id=offer.machine_id if _fits(_MACHINE_ID, offer.machine_id) else new_machine_id(),
        added=_moment(offer.added_at),
    )


def _fits(pattern: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def _words(value: Any, token: str) -> str:
    """Fit for a terminal and a log."""
    if not isinstance(value, str) or token in value:
        return ""
    return "".join(letter for letter in " ".join(value.split()) if letter.isprintable())[:MAX_WORDS]


def _account_type(value: Any) -> AccountType:
    if value in (None, ""):
        return "individual"
    try:
        known: AccountType = msgspec.convert(value, AccountType)
    except msgspec.ValidationError:
        raise ValueError("its account type is not known here") from None
    return known


def _enterprise_host(endpoint: Any) -> str | None:
    """Which GitHub the token is of, by the address of its Copilot; None for github.com."""
    if endpoint in (None, ""):
        return None
    host = urlsplit(str(endpoint)).hostname or ""
    if tenant := _TENANT.fullmatch(host):
        return tenant[1]
    if not host.endswith(".githubcopilot.com"):
        raise ValueError("its Copilot is at a host that is not known here")
    return None


def _proxy(value: Any) -> str | None:
    if value in (None, ""):
        return None
    return check_proxy_url(str(value))


def _moment(milliseconds: Any) -> str:
    now = datetime.now(UTC)
    try:
        moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        moment = now
    return min(moment, now).isoformat(timespec="seconds")
