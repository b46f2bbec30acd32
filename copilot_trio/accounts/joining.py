"""How an account joins the others: what is asked of it, under which label, beside whom. What is wrong is a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from copilot_trio.github.hosts import normalise_enterprise_host
from copilot_trio.upstream.proxy_url import check_proxy_url

from .account import AccountRecord, AccountType
from .file import AccountsFile, new_id, new_machine_id, same_identity, with_account, without_account

MAX_LABEL = 60
PUBLIC_GITHUB = {"github.com", "www.github.com", "api.github.com"}

_TOKEN = re.compile(r"[!-~]{1,1024}")


class AlreadyThere(Exception):
    """The account, or another one under its label, is stored already."""


def new_record(
    token: str,
    *,
    label: str = "",
    account_type: AccountType | None = None,
    enterprise_host: str | None = None,
    proxy: str | None = None,
    direct: bool = False,
) -> AccountRecord:
    """As a person asks for it. Without a label it gets one when it joins; an empty token is still to come.

    Raises ``ValueError`` with a sentence.
    """
    return AccountRecord(
        id=new_id(),
        label=check_label(label) if label else "",
        github_token=check_token(token) if token else "",
        account_type=account_type or "individual",
        enterprise_host=stored_host(enterprise_host),
        proxy=check_proxy_url(proxy) if proxy else None,
        direct=direct,
        machine_id=new_machine_id(),
        added=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def check_token(text: str) -> str:
    """Raises ``ValueError``, which does not quote it."""
    token = text.strip()
    if not _TOKEN.fullmatch(token):
        raise ValueError("a GitHub token is one line of printable characters without spaces")
    return token


def check_label(text: str) -> str:
    """Raises ``ValueError``."""
    label = text.strip()
    if not label or len(label) > MAX_LABEL or not label.isprintable():
        raise ValueError(f"a label is 1 to {MAX_LABEL} printable characters")
    if label.isdecimal():
        raise ValueError("a label must not be a number: commands take numbers as places in the list")
    return label


def stored_host(text: str | None) -> str | None:
    """A GHE.com tenant's host in its one form; None for github.com. Raises ``ValueError``."""
    host = normalise_enterprise_host(text) if text else "github.com"
    return None if host in PUBLIC_GITHUB else host.removeprefix("api.")


def joined(file: AccountsFile, record: AccountRecord) -> tuple[AccountsFile, AccountRecord]:
    """With the new account, and as what it is stored. Raises ``AlreadyThere``."""
    same = same_identity(file, record)
    if same is not None:
        raise AlreadyThere(f"this account is stored already, as {same.label!r}")
    if any(other.label.casefold() == record.label.casefold() for other in file.accounts):
        raise AlreadyThere(f"another account has the label {record.label!r}")
    return _with_free_label(file, record)


def signed_in(
    file: AccountsFile, record: AccountRecord, account_type: AccountType | None = None
) -> tuple[AccountsFile, AccountRecord]:
    """With the account that has just proved who it is: a stored one keeps what is known of it and gets the new token.

    Its type changes only where ``account_type`` is given. A label that another account has gets a number.
    """
    same = same_identity(file, record)
    if same is None:
        return _with_free_label(file, record)
    others = without_account(file, same.id)
    renewed = msgspec.structs.replace(
        same,
        label=free_label(others, record.label) if record.label else same.label,
        login=record.login or same.login,
        github_token=record.github_token,
        account_type=account_type or same.account_type,
        direct=record.direct,
        status="active",
        status_message="",
        machine_id=same.machine_id or record.machine_id,
    )
    return with_account(file, renewed), renewed


def _with_free_label(file: AccountsFile, record: AccountRecord) -> tuple[AccountsFile, AccountRecord]:
    record = msgspec.structs.replace(record, label=free_label(file, record.label or record.login or "github"))
    return with_account(file, record), record


def free_label(file: AccountsFile, label: str) -> str:
    """``label``, with a number behind it where another account has it."""
    taken = {account.label.casefold() for account in file.accounts}
    candidates = [label, *(f"{label} {number}" for number in range(2, len(taken) + 2))]
    return next(candidate for candidate in candidates if candidate.casefold() not in taken)


def second_of_group(group: str, labels: Sequence[str], *, failover_on_quota: bool) -> str:
    """What a person should know when a group gets its second account; empty at any other number."""
    if len(labels) != 2:
        return ""
    on_quota = (
        "and where its quota is used up, too, for `failover_on_quota` is on"
        if failover_on_quota
        else "but not where its quota is used up, for `failover_on_quota` is off"
    )
    return (
        f"The group {group} has two accounts now, {labels[0]} and {labels[1]}. A conversation stays with its account; "
        f"where that one is limited the other takes over, {on_quota}. To change that, set "
        '`"accounts": {"failover_on_quota": true}` or `false` in config.json; `"groups"` there says which accounts may '
        "stand in for each other."
    )
