"""The JSON that github.com's REST API answers with: token envelope, user, quota, errors (upstream.md §3)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec

from .accounts import Account, next_month
from .identifiers import Identifiers
from .reply import JSON, Headers, Reply, json_reply

Answering = Callable[[Account], Reply]

REST_LIMIT = 5000
DOCS = "https://docs.github.com/rest"
SIGN_UP = "https://github.com/settings/copilot?editor=vscode"
WARNINGS = {
    "no_copilot_access": "No access to GitHub Copilot found.",
    "spammy_user": "Your account has been flagged.",
    "programmatic_token_generation": "Access to Copilot was restricted because of automated token requests.",
    "go_http_client": "Access to Copilot was restricted because of an unsupported client.",
    "access_revoked": "Your access to GitHub Copilot has been revoked.",
    "subscription_ended": "Your Copilot subscription has ended.",
}


def rest_headers(identifiers: Identifiers, used: int, now: float) -> Headers:
    return (
        ("server", "github.com"),
        ("cache-control", "private, max-age=60, s-maxage=60"),
        ("x-github-media-type", "github.v3; format=json"),
        ("x-github-request-id", identifiers.github_request_id()),
        ("x-ratelimit-limit", str(REST_LIMIT)),
        ("x-ratelimit-remaining", str(max(0, REST_LIMIT - used))),
        ("x-ratelimit-reset", str(rest_reset(now))),
        ("x-ratelimit-used", str(used)),
        ("x-ratelimit-resource", "core"),
    )


def rest_reset(now: float) -> int:
    return (int(now) // 3600 + 1) * 3600


def rest_error(status: int, message: str) -> Reply:
    return json_reply({"message": message, "documentation_url": DOCS, "status": str(status)}, status)


def rate_limit(used: int, now: float) -> JSON:
    core = {
        "limit": REST_LIMIT,
        "remaining": max(0, REST_LIMIT - used),
        "reset": rest_reset(now),
        "used": used,
        "resource": "core",
    }
    return {"resources": {"core": core}, "rate": {key: core[key] for key in ("limit", "remaining", "reset", "used")}}


def profile(account: Account) -> JSON:
    return {
        "login": account.login,
        "id": account.id,
        "type": "User",
        "name": account.label or account.login,
        "email": None,
        "avatar_url": "",
        "html_url": f"https://github.com/{account.login}",
    }


def blocked(account: Account) -> Reply:
    """The 403 envelope of the token exchange (upstream.md §3.2)."""
    details = {
        "message": WARNINGS.get(account.blocked, "Copilot is not available for this account."),
        "notification_id": account.blocked,
        "title": "Sign up for GitHub Copilot" if account.blocked == "no_copilot_access" else "GitHub Copilot",
        "url": SIGN_UP,
    }
    body = {
        "can_signup_for_limited": account.blocked == "no_copilot_access",
        "error_details": details,
        "message": "Resource not accessible by integration",
    }
    return json_reply(body, 403)


def endpoints(base_url: str) -> dict[str, str]:
    return dict.fromkeys(("api", "origin-tracker", "proxy", "telemetry"), base_url)


def token_envelope(account: Account, token: str, expires_at: float, now: float, base_url: str) -> JSON:
    lifetime = expires_at - now
    seat = account.plan in {"business", "enterprise"}
    free = account.plan == "free"
    return {
        "blackbird_clientside_indexing": False,
        "code_quote_enabled": True,
        "code_review_enabled": True,
        "codesearch": True,
        "copilotignore_enabled": False,
        "endpoints": endpoints(base_url),
        "enterprise_list": [123] if seat else None,
        "expires_at": int(expires_at),
        "individual": not seat,
        "limited_user_quotas": {"chat": account.chat_remaining, "completions": 3500} if free else None,
        "limited_user_reset_date": int(next_month(now).timestamp()) if free else None,
        "organization_list": ["0" * 32] if seat else [],
        "public_suggestions": "enabled",
        # 1500 of 1800 seconds in the recordings; a short test lifetime keeps the proportion.
        "refresh_in": max(1, int(lifetime * 5 / 6)),
        "sku": account.sku,
        "telemetry": "disabled",
        "token": token,
        "vsc_electron_fetcher_v2": False,
    }


def user(account: Account, now: float, base_url: str) -> JSON:
    """``/copilot_internal/user`` in the shape that belongs to the plan (upstream.md §3.4)."""
    if account.plan == "free":
        return _free_user(account, now)
    common: JSON = {
        "login": account.login,
        "access_type_sku": account.sku,
        "analytics_tracking_id": f"{account.id:032d}",
        "assigned_date": "2026-05-25T09:57:18+02:00",
        "can_signup_for_limited": False,
        "chat_enabled": not account.blocked,
        "cli_enabled": True,
        "copilotignore_enabled": False,
        "copilot_plan": account.plan,
        "editor_preview_features_enabled": True,
        "is_mcp_enabled": True,
        "is_staff": False,
        "organization_login_list": [],
        "organization_list": [],
        "restricted_telemetry": False,
        "cli_remote_control_enabled": False,
        "cloud_session_storage_enabled": False,
        "endpoints": endpoints(base_url),
        "can_upgrade_plan": False,
        "quota_reset_date": next_month(now).date().isoformat(),
        "quota_snapshots": {
            name: _snapshot(account, name, now) for name in ("chat", "completions", "premium_interactions")
        },
    }
    if account.token_billing:
        return {**common, "token_based_billing": True}
    reset = next_month(now).strftime("%Y-%m-%dT%H:%M:%S.000Z")
    return {**common, "codex_agent_enabled": True, "quota_reset_date_utc": reset}


def _snapshot(account: Account, name: str, now: float) -> JSON:
    premium = name == "premium_interactions"
    left = account.remaining if premium else 0.0
    snapshot: JSON = {
        "overage_count": account.overage_count if premium else 0,
        "overage_entitlement": 0,
        "overage_permitted": account.overage_permitted and premium,
        "percent_remaining": round(account.percent_remaining, 2) if premium else 100.0,
        "quota_id": name,
        "quota_remaining": left,
        "unlimited": not premium,
        "timestamp_utc": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if account.token_billing:
        snapshot |= {"has_quota": True, "quota_reset_at": 0, "token_based_billing": True}
    # ``remaining`` is the floor of ``quota_remaining``.
    return snapshot | {"remaining": int(left), "entitlement": int(account.entitlement) if premium else 0}


def _free_user(account: Account, now: float) -> JSON:
    return {
        "login": account.login,
        "access_type_sku": account.sku,
        "assigned_date": "2024-12-30T11:30:17+08:00",
        "chat_enabled": not account.blocked,
        "copilot_plan": "individual",
        "limited_user_quotas": {"chat": account.chat_remaining, "completions": 3500},
        "monthly_quotas": {"chat": 500, "completions": 4000},
        "limited_user_reset_date": next_month(now).date().isoformat(),
    }


class QuotaSnapshot(msgspec.Struct, frozen=True):
    """The reply headers' view of the premium quota, taken before the request at hand is charged."""

    entitlement: float
    remaining: float
    percent: float
    overage: float
    permitted: bool

    @classmethod
    def of(cls, account: Account) -> QuotaSnapshot:
        return cls(
            account.entitlement,
            account.remaining,
            account.percent_remaining,
            account.overage_count,
            account.overage_permitted,
        )

    def body(self, now: float) -> JSON:
        """``copilot_quota_snapshots``, as frames of a WebSocket carry them: the entitlement is a string."""
        reset = next_month(now).strftime("%Y-%m-%dT%H:%M:%SZ")
        return {
            "chat": {
                "entitlement": "-1",
                "overage_count": 0,
                "overage_permitted": False,
                "percent_remaining": 100,
                "reset_date": reset,
            },
            "premium_interactions": {
                "entitlement": str(int(self.entitlement)),
                "overage_count": self.overage,
                "overage_permitted": self.permitted,
                "percent_remaining": round(self.percent, 1),
                "reset_date": reset,
            },
        }

    def headers(self, now: float) -> Headers:
        """``x-quota-snapshot-*`` in the grammar of upstream.md §5.2."""
        reset = quote(next_month(now).strftime("%Y-%m-%dT%H:%M:%SZ"), safe="")
        unlimited = f"ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst={reset}&totRem=-1"
        premium = (
            f"ent={int(self.entitlement)}&ov={self.overage:.1f}&ovPerm={str(self.permitted).lower()}"
            f"&rem={self.percent:.1f}&rst={reset}&totRem={self.remaining:.1f}"
        )
        return (
            ("x-quota-snapshot-chat", unlimited),
            ("x-quota-snapshot-completions", unlimited),
            ("x-quota-snapshot-premium_interactions", premium),
        )
