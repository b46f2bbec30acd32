"""The stored accounts, as commands read and change them: what goes wrong is one line with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.joining import AlreadyThere
from copilot_trio.accounts.store import AccountsFile, Store, StoreBusy, find_account
from copilot_trio.config import Config, DamagedFile, load_config

from .failure import CommandFailed

SEEN = "A running server takes this over within seconds."


def read_config(directory: Path) -> Config:
    """Raises ``CommandFailed``."""
    try:
        return load_config(directory / "config.json")
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None


def read_accounts(directory: Path) -> AccountsFile:
    """Raises ``CommandFailed``."""
    try:
        return Store(accounts_path(directory)).read()
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None


def change_accounts(directory: Path, change: Callable[[AccountsFile], AccountsFile]) -> AccountsFile:
    """As it is stored then. Raises ``CommandFailed``, and nothing has changed."""
    path = accounts_path(directory)
    try:
        return Store(path).update(change)
    except (AlreadyThere, DamagedFile, StoreBusy) as error:
        raise CommandFailed(str(error)) from None
    except LookupError as error:
        raise CommandFailed(f"{error}: somebody has removed it") from None
    except OSError as error:
        raise CommandFailed(f"the accounts could not be stored in {path}: {error.strerror or error}") from None


def chosen_account(file: AccountsFile, text: str) -> AccountRecord:
    """By number, id, label or login. Raises ``CommandFailed``."""
    try:
        return find_account(file, text)
    except LookupError as error:
        raise CommandFailed(f"{error.args[0]}; `copilot-trio list-accounts` shows those there are") from None
    except ValueError as error:
        raise CommandFailed(str(error), 2) from None


def accounts_path(directory: Path) -> Path:
    return directory / "accounts.json"


def named(record: AccountRecord) -> str:
    """For a person: label and login."""
    return f"{record.label} ({record.login or 'login unknown'})"
