"""What ``accounts.json`` holds and how that is changed: values in, values out (product.md §4.1)."""

from __future__ import annotations

import hashlib
import secrets
from typing import Annotated, Any

import msgspec

from .account import AccountRecord
from .overlay import overlay

VERSION = 2
MAX_PAUSED = 100  # for tokens that are not stored; those of stored accounts all stay
MAX_CONVERSATIONS = 1000


class Pause(msgspec.Struct, frozen=True):
    """A warning: what GitHub said, when (Unix seconds), and the keys of the conversations that the account had."""

    message: str
    at: float
    conversations: tuple[str, ...] = ()


class AccountsFile(msgspec.Struct, frozen=True):
    """``paused``: by the SHA-256 of the GitHub token that a warning came for, stored or not."""

    version: int = VERSION
    accounts: tuple[AccountRecord, ...] = ()
    paused: dict[str, Pause] = {}

    def __post_init__(self) -> None:
        ids = [account.id for account in self.accounts]
        if len(set(ids)) < len(ids):
            raise ValueError(f"two accounts have the id {next(id for id in ids if ids.count(id) > 1)}")  # noqa: A001


class NewerVersion(Exception):
    """Written by a program that knows more than this one."""


class _Version(msgspec.Struct):
    version: Annotated[int, msgspec.Meta(ge=1)] = 1


class _Version1(msgspec.Struct):
    paused: dict[str, str] = {}


_version = msgspec.json.Decoder(_Version).decode
_version_1 = msgspec.json.Decoder(_Version1).decode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode = msgspec.json.Decoder(AccountsFile).decode


def parse(text: bytes) -> tuple[AccountsFile, bytes]:
    """The content, and the text in this version's layout. Raises ``UNREADABLE`` or ``NewerVersion``."""
    version = _version(text).version
    if version > VERSION:  # asked first: of a newer layout nothing else need be readable
        raise NewerVersion(f"version {version}; this program knows {VERSION}")
    if version < VERSION:
        text = _from_version_1(text)
    return _decode(text), text


def render(before: AccountsFile, text: bytes, after: AccountsFile) -> bytes:
    """``text``, which was parsed as ``before``, changed to ``after``: what is unknown in it stays."""
    changed = overlay(msgspec.Raw(text), _builtins(before), _builtins(after))
    return msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n"


def _builtins(file: AccountsFile) -> Any:
    return msgspec.json.decode(msgspec.json.encode(file))


def _from_version_1(text: bytes) -> bytes:
    """It had a warning's words alone."""
    paused = {token: Pause(message, 0.0) for token, message in _version_1(text).paused.items()}
    return msgspec.json.encode({**_members(text), "version": VERSION, "paused": paused})


def with_account(file: AccountsFile, record: AccountRecord) -> AccountsFile:
    """Added, or in the place of the one with the same id; a warning goes over to that one's new token."""
    old = next((account for account in file.accounts if account.id == record.id), None)
    if old is None:
        return msgspec.structs.replace(file, accounts=(*file.accounts, record))
    accounts = tuple(record if account is old else account for account in file.accounts)
    paused = file.paused
    if old.github_token != record.github_token and (pause := pause_of(file, old.github_token)):
        paused = {_hash(record.github_token): pause, **paused}  # one that the new token has already holds
    return msgspec.structs.replace(file, accounts=accounts, paused=paused)


def without_account(file: AccountsFile, id: str) -> AccountsFile:  # noqa: A002
    """Unchanged where there is no such account. A warning stays, for the token may come back."""
    return msgspec.structs.replace(file, accounts=tuple(account for account in file.accounts if account.id != id))


def with_fields(file: AccountsFile, id: str, **fields: Any) -> AccountsFile:  # noqa: A002
    """Some fields of one account. Raises ``LookupError`` where there is no such account (any more)."""
    for account in file.accounts:
        if account.id == id:
            return with_account(file, msgspec.structs.replace(account, **fields))
    raise LookupError(f"no account has the id {id}")


def find_account(file: AccountsFile, text: str) -> AccountRecord:
    """By its number, counted from 1, by id, by label, or by login, whichever says something first.

    Raises ``LookupError`` where nothing fits, and ``ValueError`` naming the candidates where more than one does.
    """
    text = text.strip()
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 and text[0] != "0" else 0
    if 1 <= number <= len(file.accounts):
        return file.accounts[number - 1]
    folded = text.casefold()
    for found in (
        [account for account in file.accounts if account.id == text],
        [account for account in file.accounts if account.label == text],
        [account for account in file.accounts if account.label.casefold() == folded],
        [account for account in file.accounts if account.login and account.login.casefold() == folded],
    ):
        if len(found) > 1:
            named = ", ".join(f"{one.label} ({one.login or 'login unknown'}), id {one.id}" for one in found)
            raise ValueError(f"{text!r} is more than one account: {named}. Give the id.")
        if found:
            return found[0]
    raise LookupError(f"no account is called {text!r}")


def same_identity(file: AccountsFile, record: AccountRecord) -> AccountRecord | None:
    """The account that is stored under another id though it is the same: by token, or by login and host."""
    for account in file.accounts:
        if account.id != record.id and (account.github_token == record.github_token or _identity(account, record)):
            return account
    return None


def _identity(one: AccountRecord, other: AccountRecord) -> bool:
    hosts = {(record.enterprise_host or "github.com").casefold() for record in (one, other)}
    return bool(one.login) and one.login.casefold() == other.login.casefold() and len(hosts) == 1


def with_pause(file: AccountsFile, github_token: str, pause: Pause) -> AccountsFile:
    """Remembered by the token's hash, so that it holds for a token from the environment too.

    Where the token is paused already, the conversations of both stay kept back: at most 1000, the newest.
    """
    token = _hash(github_token)
    earlier = file.paused[token].conversations if token in file.paused else ()
    kept = tuple(dict.fromkeys((*earlier, *pause.conversations)))[-MAX_CONVERSATIONS:]
    paused = {**file.paused, token: msgspec.structs.replace(pause, conversations=kept)}
    stored = {_hash(account.github_token) for account in file.accounts}
    surplus = [other for other in paused if other not in stored][:-MAX_PAUSED]
    return msgspec.structs.replace(file, paused={key: paused[key] for key in paused if key not in surplus})


def without_pause(file: AccountsFile, github_token: str) -> AccountsFile:
    token = _hash(github_token)
    return msgspec.structs.replace(file, paused={key: pause for key, pause in file.paused.items() if key != token})


def pause_of(file: AccountsFile, github_token: str) -> Pause | None:
    """What came when GitHub warned about this token's account; None if it has not."""
    return file.paused.get(_hash(github_token))


def _hash(github_token: str) -> str:
    return hashlib.sha256(github_token.encode()).hexdigest()


def new_id() -> str:
    return secrets.token_hex(4)


def new_machine_id() -> str:
    return secrets.token_hex(32)
