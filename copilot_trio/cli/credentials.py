"""Which GitHub token this run uses, and where it came from (product.md §1)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import new_id, new_machine_id

from .failure import CommandFailed


class Credential(msgspec.Struct, frozen=True):
    """A token from outside, for this run. ``source`` is printed; the record's token never is."""

    record: AccountRecord
    source: str


def given_credential(
    options: argparse.Namespace, environment: Mapping[str, str], *, any_stored: bool
) -> Credential | None:
    """From flags and environment, ``GH_TOKEN`` only where no account is stored. None where there is none.

    Raises ``CommandFailed`` for a token file that cannot be read or holds no token.
    """
    if options.github_token:
        return _outside(options.github_token, "--github-token", options)
    if options.github_token_file:
        return _outside(
            _read(Path(options.github_token_file)), f"--github-token-file {options.github_token_file}", options
        )
    if token := environment.get("COPILOT_TRIO_GITHUB_TOKEN"):
        return _outside(token, "COPILOT_TRIO_GITHUB_TOKEN", options)
    if not any_stored and (token := environment.get("GH_TOKEN")):
        return _outside(token, "GH_TOKEN", options)
    return None


def _outside(token: str, source: str, options: argparse.Namespace) -> Credential:
    token = token.strip()
    if not token or not token.isascii() or any(character.isspace() for character in token):
        raise CommandFailed(f"{source} holds no GitHub token: it must be one line of printable characters", 2)
    return Credential(new_record(token, options.account_type, options.enterprise_host), source)


def new_record(token: str, account_type: str, enterprise_host: str | None, label: str = "") -> AccountRecord:
    return msgspec.convert(
        {
            "id": new_id(),
            "label": label or "github",
            "github_token": token,
            "account_type": account_type,
            "enterprise_host": enterprise_host,
            "machine_id": new_machine_id(),
            "added": datetime.now(UTC).isoformat(timespec="seconds"),
        },
        AccountRecord,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"--github-token-file {path} cannot be read: {error}") from None
