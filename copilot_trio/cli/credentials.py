"""Which GitHub token this run uses, and where it came from (product.md §1)."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.joining import check_token, new_record, stored_host

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
    try:
        check_token(token)
    except ValueError as error:
        raise CommandFailed(f"{source} holds no GitHub token: {error}", 2) from None
    return Credential(asked_record(options, token, label="github"), source)


def asked_record(
    options: argparse.Namespace, token: str = "", *, label: str = "", proxy: str | None = None, direct: bool = False
) -> AccountRecord:
    """The account that the flags describe; its token may be still to come. Raises ``CommandFailed``."""
    try:
        host = stored_host(options.enterprise_host)
    except ValueError as error:
        raise CommandFailed(f"--enterprise-host: {error}", 2) from None
    try:
        return new_record(
            token,
            label=label,
            account_type=options.account_type,
            enterprise_host=host,
            proxy=proxy,
            direct=direct,
        )
    except ValueError as error:
        raise CommandFailed(str(error), 2) from None


def token_in_file(path: Path) -> str:
    """Raises ``CommandFailed`` for a file that cannot be read or holds no token."""
    try:
        return check_token(_read(path))
    except ValueError as error:
        raise CommandFailed(f"--github-token-file {path} holds no GitHub token: {error}", 2) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandFailed(f"--github-token-file {path} cannot be read: {error}") from None
