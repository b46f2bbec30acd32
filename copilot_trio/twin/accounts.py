"""The GitHub accounts the twin knows: who they are, what they pay for, and what is left of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Literal

import msgspec

Plan = Literal["free", "individual", "individual_pro", "business", "enterprise"]

SKUS: dict[Plan, str] = {
    "free": "free_limited_copilot",
    "individual": "monthly_subscriber_quota",
    "individual_pro": "plus_monthly_subscriber_quota",
    "business": "copilot_for_business_seat_quota",
    "enterprise": "copilot_enterprise_seat_quota",
}
# What ``billing.restricted_to`` of the models calls these plans (upstream.md §6.1).
AUDIENCES: dict[Plan, str] = {
    "free": "free",
    "individual": "pro",
    "individual_pro": "pro_plus",
    "business": "business",
    "enterprise": "enterprise",
}
# upstream.md §3.2: what a 403 of the token exchange may give as its reason.
BLOCK_REASONS = frozenset(
    {
        "no_copilot_access", "not_signed_up", "subscription_ended", "enterprise_managed_user_account",
        "feature_flag_blocked", "spammy_user", "billing_locked", "trade_restricted", "trade_restricted_country",
        "codespaces_demo_inactive", "snippy_not_configured", "expired_coupon", "revoked_coupon", "go_http_client",
        "programmatic_token_generation", "access_revoked", "server_error",
    }
)  # fmt: skip
MAX_TOKENS_PER_ACCOUNT = 1000
MAX_ACCOUNTS = 1000


class Account(msgspec.Struct, kw_only=True):
    """One GitHub identity. Every field but the identity may be changed while the twin runs."""

    login: str
    id: int
    token: str
    plan: Plan = "individual_pro"
    label: str = ""
    sku: str = ""
    entitlement: float = 1500
    remaining: float = 1500
    overage_permitted: bool = False
    overage_count: float = 0
    chat_remaining: int = 500  # of the free plan
    token_billing: bool = False  # credits by tokens rather than premium requests (upstream.md §3.4)
    blocked: str = ""  # a notification id: the token exchange says 403
    revoked: bool = False  # the GitHub token is no longer good
    token_lifetime: float = 1800
    models: list[str] | None = None  # None: all of the catalogue
    accepted: set[str] = msgspec.field(default_factory=set)  # models whose policy has been agreed to

    def __post_init__(self) -> None:
        self.sku = self.sku or SKUS[self.plan]

    @property
    def audience(self) -> str:
        return AUDIENCES[self.plan]

    @property
    def percent_remaining(self) -> float:
        return 100.0 * (self.remaining - self.overage_count) / self.entitlement if self.entitlement else 0.0

    def exhausted(self) -> bool:
        return self.remaining <= 0 and not self.overage_permitted

    def charge(self, amount: float) -> None:
        """Take from what is left; what goes beyond is overage."""
        beyond = max(0.0, amount - self.remaining)
        self.remaining = round(max(0.0, self.remaining - amount), 6)
        self.overage_count = round(self.overage_count + beyond, 6)


class AccountChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What the control API or a scenario file changes, or a whole new account if the login is new."""

    login: str
    token: str | msgspec.UnsetType = msgspec.UNSET
    plan: Plan | msgspec.UnsetType = msgspec.UNSET
    label: str | msgspec.UnsetType = msgspec.UNSET
    sku: str | msgspec.UnsetType = msgspec.UNSET
    entitlement: float | msgspec.UnsetType = msgspec.UNSET
    remaining: float | msgspec.UnsetType = msgspec.UNSET
    overage_permitted: bool | msgspec.UnsetType = msgspec.UNSET
    overage_count: float | msgspec.UnsetType = msgspec.UNSET
    chat_remaining: int | msgspec.UnsetType = msgspec.UNSET
    token_billing: bool | msgspec.UnsetType = msgspec.UNSET
    blocked: str | msgspec.UnsetType = msgspec.UNSET
    revoked: bool | msgspec.UnsetType = msgspec.UNSET
    token_lifetime: float | msgspec.UnsetType = msgspec.UNSET
    models: list[str] | msgspec.UnsetType | None = msgspec.UNSET

    def __post_init__(self) -> None:
        if isinstance(self.blocked, str) and self.blocked and self.blocked not in BLOCK_REASONS:
            raise ValueError(f"blocked must be empty or one of {', '.join(sorted(BLOCK_REASONS))}")
        for name in ("entitlement", "remaining", "token_lifetime"):
            value = getattr(self, name)
            if isinstance(value, float | int) and not (math.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be zero or more")


class Accounts:
    """The accounts by login, and which GitHub token belongs to which."""

    def __init__(self, accounts: Iterable[Account]) -> None:
        self._accounts: dict[str, Account] = {}
        self._tokens: dict[str, str] = {}  # GitHub token -> login; the oldest go first
        for account in accounts:
            self.add(account)

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._accounts.values()))

    def __getitem__(self, login: str) -> Account:
        return self._accounts[login]

    def __contains__(self, login: object) -> bool:
        return login in self._accounts

    def __len__(self) -> int:
        return len(self._accounts)

    def add(self, account: Account) -> None:
        if len(self._accounts) >= MAX_ACCOUNTS:
            raise ValueError(f"there are {MAX_ACCOUNTS} accounts already")
        self._accounts[account.login] = account
        self.grant(account.token, account.login)

    def grant(self, token: str, login: str) -> None:
        """``token`` now speaks for ``login``."""
        self._tokens[token] = login
        while len(self._tokens) > MAX_TOKENS_PER_ACCOUNT * max(1, len(self._accounts)):
            del self._tokens[next(iter(self._tokens))]

    def by_token(self, token: str) -> Account | None:
        login = self._tokens.get(token)
        return None if login is None else self._accounts.get(login)

    def least_granted(self) -> str:
        """The login with the fewest tokens: who signs in next if nobody says."""
        granted = list(self._tokens.values())
        return min(self._accounts, key=granted.count, default="")

    def apply(self, change: AccountChange) -> Account:
        """Change an account, or make one. A change of plan brings the plan's SKU along."""
        values = {
            name: value
            for name in change.__struct_fields__
            if (value := getattr(change, name)) is not msgspec.UNSET and name != "login"
        }
        account = self._accounts.get(change.login)
        if account is None:
            token = values.pop("token", f"ghu_SYNTHETIC{change.login.replace('-', '')}".ljust(40, "0"))
            account = Account(login=change.login, id=9_000_000 + len(self), token=token, **values)
            self.add(account)
            return account
        if "plan" in values:
            values.setdefault("sku", SKUS[values["plan"]])
        for name, value in values.items():
            setattr(account, name, value)
        self.grant(account.token, account.login)
        return account


def sample_accounts() -> list[Account]:
    """Three that may use every sample model, as the demo needs them. Their tokens are no secrets."""
    return [
        Account(
            login="octo-dev",
            id=9_000_001,
            token="ghu_SYNTHETICoctodev00000000000000000000",
            plan="individual_pro",
            label="personal",
            remaining=1054.25,
        ),
        Account(
            login="octo-home",
            id=9_000_002,
            token="ghu_SYNTHETICoctohome0000000000000000000",
            plan="individual",
            label="side project",
            entitlement=300,
            remaining=241,
        ),
        Account(
            login="octo-work",
            id=9_000_003,
            token="ghu_SYNTHETICoctowork0000000000000000000",
            plan="business",
            label="work",
            entitlement=4000,
            remaining=3830.1,
            overage_permitted=True,
            token_billing=True,
        ),
    ]


def free_account() -> Account:
    return Account(
        login="octo-free",
        id=9_000_004,
        token="ghu_SYNTHETICoctofree0000000000000000000",
        plan="free",
        label="free",
        entitlement=50,
        remaining=50,
        chat_remaining=450,
    )


def next_month(now: float) -> datetime:
    """When quotas start afresh: the first of the next month, UTC."""
    today = datetime.fromtimestamp(now, UTC)
    year, month = (today.year + 1, 1) if today.month == 12 else (today.year, today.month + 1)
    return datetime(year, month, 1, tzinfo=UTC)
