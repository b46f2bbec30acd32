"""``accounts.json``: written whole and atomically, readable by its owner alone, never overwritten when damaged."""

from __future__ import annotations

import hashlib
import os
import secrets
import tempfile
from pathlib import Path

import msgspec

from copilot_trio.config import DamagedFile
from copilot_trio.unreadable import UNREADABLE

from .account import AccountRecord

VERSION = 1
MAX_PAUSED = 100


class AccountsFile(msgspec.Struct, frozen=True):
    """``paused``: SHA-256 of each GitHub token that a warning came for -> what GitHub said. Stored or not."""

    version: int = VERSION
    accounts: tuple[AccountRecord, ...] = ()
    paused: dict[str, str] = {}


_decode = msgspec.json.Decoder(AccountsFile).decode


def load_accounts(path: Path) -> AccountsFile:
    """Raises ``DamagedFile``; a missing file is an empty one."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return AccountsFile()
    except OSError as error:
        raise DamagedFile(f"{path} cannot be read: {error.strerror}. Mend its permissions.") from None
    try:
        found = _decode(text)
    except UNREADABLE as error:
        raise DamagedFile(
            f"{path} is damaged ({error}). It was left as it is: mend it, or move it away and sign in again."
        ) from None
    if found.version != VERSION:
        raise DamagedFile(f"{path} has version {found.version}; this program knows {VERSION}. Use the newer program.")
    return found


def save_accounts(path: Path, accounts: AccountsFile) -> None:
    write_private(path, msgspec.json.format(msgspec.json.encode(accounts), indent=2) + b"\n")


def write_private(path: Path, content: bytes) -> None:
    """Replace ``path`` by a file 0600: temporary file, fsync, rename, fsync of the directory. Raises ``OSError``."""
    make_private_directory(path.parent)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def make_private_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _sync_directory(path: Path) -> None:
    if not hasattr(os, "O_DIRECTORY"):
        return  # Windows has no such thing
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def with_account(accounts: AccountsFile, record: AccountRecord) -> AccountsFile:
    """Added, or in the place of the one with the same id."""
    others = tuple(account for account in accounts.accounts if account.id != record.id)
    return msgspec.structs.replace(accounts, accounts=(*others, record))


def with_pause(accounts: AccountsFile, github_token: str, message: str) -> AccountsFile:
    """Remembered by the token's hash, so that it holds for a token from the environment too."""
    paused = {**accounts.paused, _hash(github_token): message}
    return msgspec.structs.replace(accounts, paused=dict(list(paused.items())[-MAX_PAUSED:]))


def pause_of(accounts: AccountsFile, github_token: str) -> str | None:
    """What GitHub said when it warned about this token's account; None if it has not."""
    return accounts.paused.get(_hash(github_token))


def _hash(github_token: str) -> str:
    return hashlib.sha256(github_token.encode()).hexdigest()


def new_id() -> str:
    return secrets.token_hex(4)


def new_machine_id() -> str:
    return secrets.token_hex(32)
