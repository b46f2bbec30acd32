"""What GitHub says is left of an account's quota (upstream.md §3.4)."""

from __future__ import annotations

import time
from collections.abc import Callable

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.quota_user import QuotaUnreadable, parse_user
from copilot_trio.config import Identity
from copilot_trio.errors import UpstreamError

from .token import Judge, github_get


async def fetch_user_payload(
    account: Account, identity: Identity, judge: Judge | None = None, now: Callable[[], float] = time.time
) -> bytes:
    """GitHub's own JSON. Raises what :func:`github_get` does; an account that is paused asks nothing."""
    if account.warning is not None:
        raise account.warning.fresh()
    return await github_get(account, f"{account.hosts.github_api}/copilot_internal/user", identity, judge, now)


async def fetch_quota(
    account: Account, identity: Identity, judge: Judge | None = None, now: Callable[[], float] = time.time
) -> Quota:
    """Raises ``AccountRejected``, ``AccountPaused``, ``RateLimited``, ``UpstreamError``; it costs nothing."""
    body = await fetch_user_payload(account, identity, judge, now)
    try:
        return parse_user(body, now())
    except QuotaUnreadable as error:
        raise UpstreamError(f"GitHub's reply about {account.label}: {error}", cost="none") from None
