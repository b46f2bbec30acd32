"""Accounts as JSON: peers.md §1.2's names, then ours. Never a token, never a proxy's password. Pure.

Moments are Unix milliseconds. ``cooldownUntil`` is that of the account, or of its models that cost; ``modelCooldowns``
has the others. ``warning`` is what GitHub said; while it stands, nothing is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from copilot_trio.accounts.account import Account, AccountRecord, StoredCooldown
from copilot_trio.accounts.health import ALL, PAID
from copilot_trio.accounts.outcome import Status
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.upstream.proxy_url import shown_proxy

MASKED_WHOLE = 8  # characters; of a token as short as that nothing is shown
SUMS = ("premium_remaining", "premium_total", "chat_remaining", "chat_total")


class Standing(msgspec.Struct, frozen=True):
    """How an account is. ``until`` is in Unix seconds."""

    status: Status
    message: str = ""
    until: float | None = None
    cooldowns: Mapping[str, StoredCooldown] = {}


def stored_standing(record: AccountRecord, warning: str | None, now: float) -> Standing:
    """By what is stored of it; ``now`` is in Unix seconds."""
    cooldowns = {key: cooldown for key, cooldown in record.cooldowns.items() if cooldown.until > now}
    if warning is not None:
        return Standing("banned", warning, None, cooldowns)
    if record.status != "active":
        return Standing(record.status, record.status_message, None, cooldowns)
    limits = [cooldown for key, cooldown in cooldowns.items() if key in {ALL, PAID}]
    last = max(limits, key=lambda cooldown: cooldown.until, default=None)
    if last is None:
        return Standing("active", "", None, cooldowns)
    return Standing(last.status, last.why, last.until, cooldowns)


def running_standing(account: Account, now: float) -> Standing:
    cooldowns = {
        key: StoredCooldown(now + seconds, status, why.cause, why.code)
        for key, seconds, status, why in account.cooldowns()
    }
    rest = account.resting(PAID)
    return Standing(account.status, account.status_message, None if rest is None else now + rest[0], cooldowns)


def shown_record(record: AccountRecord, standing: Standing, *, group: str, warning: str | None) -> dict[str, Any]:
    """What is known of an account without running it."""
    return {
        "id": record.id,
        "label": record.label,
        "githubToken": masked(record.github_token),
        "accountType": record.account_type,
        "status": standing.status,
        "statusMessage": standing.message or None,
        "lastUsedAt": milliseconds(record.last_used),
        "cooldownUntil": milliseconds(standing.until),
        "usage": usage(record.quota),
        "machineId": record.machine_id,
        "proxy": None if record.proxy is None else shown_proxy(record.proxy),
        "githubLogin": record.login or None,
        "addedAt": _added(record.added),
        "group": group,
        "enterpriseHost": record.enterprise_host,
        "direct": record.direct,
        "preferred": record.preferred,
        "modelCooldowns": {
            key: {"until": milliseconds(cooldown.until), "reason": cooldown.why}
            for key, cooldown in standing.cooldowns.items()
            if key not in {ALL, PAID}
        },
        "warning": warning,
        "quota": shown_quota(record.quota),
    }


def shown_account(account: Account, *, group: str, stored: bool, now: float) -> dict[str, Any]:
    """``stored``: false for an account of this run only."""
    record = msgspec.structs.replace(account.record, quota=account.quota, last_used=account.last_used)
    warning = None if account.warning is None else account.warning.cause
    return {
        **shown_record(record, running_standing(account, now), group=group, warning=warning),
        "copilotApiEndpoint": account.hosts.copilot if account.token is None else account.token.api,
        "consecutiveFailures": account.health.failures,
        "sessionId": account.session_id,
        "inFlight": account.in_flight,
        "stored": stored,
    }


def masked(token: str) -> str:
    return "****" if len(token) <= MASKED_WHOLE else f"{token[:4]}...{token[-4:]}"


def usage(quota: Quota | None) -> dict[str, Any] | None:
    """Numbers are null where nobody says, and where there is no limit."""
    if quota is None:
        return None
    premium, chat = _counted(quota.window("premium")), _counted(quota.window("chat"))
    resets = quota.resets_at or (quota.paying.resets_at if quota.paying else None)
    return {
        "premium_remaining": premium.remaining,
        "premium_total": premium.entitlement,
        "chat_remaining": chat.remaining,
        "chat_total": chat.entitlement,
        "premium_overage_permitted": premium.overage_permitted,
        "quotaResetDate": None if resets is None else datetime.fromtimestamp(resets, UTC).isoformat(timespec="seconds"),
        "lastCheckedAt": milliseconds(quota.read_at),
    }


def usage_of_all(accounts: Iterable[Account]) -> dict[str, Any]:
    """Sums of what is known; an account billed by credits counts its credits, so look at the accounts too."""
    shown: list[dict[str, Any]] = [
        {
            "id": account.id,
            "label": account.label,
            "status": account.status,
            "usage": usage(account.quota),
            "quota": shown_quota(account.quota),
        }
        for account in accounts
    ]
    known = [one["usage"] for one in shown if one["usage"] is not None]
    return {
        "totalAccounts": len(shown),
        "activeAccounts": sum(one["status"] == "active" for one in shown),
        "aggregatedUsage": {name: round(sum(one[name] or 0 for one in known), 6) for name in SUMS},
        "accounts": shown,
    }


def shown_quota(quota: Quota | None) -> dict[str, Any] | None:
    if quota is None:
        return None
    return {
        "plan": quota.plan,
        "sku": quota.sku,
        "tokenBilling": quota.token_billing,
        "creditsUsed": quota.credits_used,
        "resetsAt": milliseconds(quota.resets_at),
        "readAt": milliseconds(quota.read_at),
        "source": quota.source,
        "windows": [
            {
                "name": window.name,
                "entitlement": window.entitlement,
                "remaining": window.remaining,
                "percentRemaining": window.percent_remaining,
                "unlimited": window.unlimited,
                "overagePermitted": window.overage_permitted,
                "overageCount": window.overage_count,
                "resetsAt": milliseconds(window.resets_at),
            }
            for window in quota.windows
        ],
    }


def _counted(window: Window | None) -> Window:
    """Without the numbers of one that has no limit: what is left of it would look like nothing."""
    if window is None or window.unlimited:
        return Window(name="", overage_permitted=window is not None and window.overage_permitted)
    return window


def milliseconds(seconds: float | None) -> int | None:
    """None for never."""
    return round(seconds * 1000) if seconds else None


def _added(text: str) -> int | None:
    try:
        return milliseconds(datetime.fromisoformat(text).timestamp())
    except (ValueError, OverflowError, OSError):
        return None
