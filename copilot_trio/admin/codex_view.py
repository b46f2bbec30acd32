"""Accounts as codex-proxy shows them (systems.md §1.3, §1.6, §1.7). Never a token. Pure.

An account goes by ``email`` there: here that is its login, or its label where the login is not known. Moments are ISO.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.quota_view import plan_label, remaining_percent, reset_of

from .view import shown_quota


def name_of(account: Account) -> str:
    return account.record.login or account.label


def shown_listed(account: Account, *, active: bool, now: float) -> dict[str, Any]:
    """``active``: new conversations of its group go there first. ``now`` is in Unix seconds."""
    record, quota = account.record, account.quota
    return {
        "email": name_of(account),
        "accountId": record.id,
        "label": record.label,
        "planType": record.account_type if quota is None else plan_label(quota),
        "addedAt": record.added or None,
        "lastUsed": _moment(account.last_used),
        "isActive": active,
        "tokenExpired": account.status == "banned",
        "status": account.status,
        "quota": shown_quota_of(quota, now),
    }


def shown_quota_of(quota: Quota | None, now: float) -> dict[str, Any] | None:
    """``lastChecked`` is when it was read; ``usage`` None where no window says what is left."""
    if quota is None:
        return None
    checked = _moment(quota.read_at)
    return {"usage": shown_usage(quota, now), "account": None, "fetchedAt": checked, "lastChecked": checked}


def shown_usage(quota: Quota, now: float) -> dict[str, Any] | None:
    """What requests are counted in, as a share of 100; above it for what was overdrawn."""
    window = quota.paying
    used = None if window is None else 0.0 if window.unlimited else window.used_percent
    if window is None or used is None:
        return None
    left = 100.0 if window.unlimited else remaining_percent(window)
    resets_at = reset_of(window, quota)
    return {
        "totalTokenUsage": round(used, 4),
        "limit": 100,
        "remaining": None if left is None else round(left, 4),
        "percentage": round(used, 4),
        "resetAt": _moment(resets_at),
        "resetAfterSeconds": None if resets_at is None else max(0, round(resets_at - now)),
        "limitWindowSeconds": None,
        "planType": plan_label(quota),
        "limitReached": window.used_up,
        "allowed": not window.used_up,
        "raw": shown_quota(quota),
    }


def find_called(accounts: Iterable[Account], name: str) -> list[Account]:
    """Whom a name means: by id, label or login, whichever says something first."""
    known, folded = list(accounts), name.strip().casefold()
    for found in (
        [account for account in known if account.id == name],
        [account for account in known if account.label.casefold() == folded],
        [account for account in known if folded and account.record.login.casefold() == folded],
    ):
        if found:
            return found
    return []


def _moment(seconds: float | None) -> str | None:
    """None for never."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds") if seconds else None
