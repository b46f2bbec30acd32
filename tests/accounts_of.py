"""Accounts whose upstream is a list of models: all that choosing one looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, AccountType, Hosts, Status
from copilot_trio.accounts.outcome import Outcome, classify
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.registry import Course, Wanted
from copilot_trio.errors import ProxyError
from copilot_trio.models.catalogue import Catalogue
from copilot_trio.models.model import Model
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

NOW = 1_790_000_000.0
PAID_MODEL: dict[str, object] = {"id": "m", "billing": {"is_premium": True, "multiplier": 1}}
FREE_MODEL: dict[str, object] = {"id": "gratis", "billing": {"is_premium": False, "multiplier": 0}}
OTHER_MODEL: dict[str, object] = {"id": "other", "billing": {"is_premium": True, "multiplier": 3}}
MODELS = (PAID_MODEL, FREE_MODEL, OTHER_MODEL)

Listed = Callable[[], Sequence[Mapping[str, object]]]


def an_account(
    label: str,
    *,
    status: Status = "active",
    kind: AccountType = "individual",
    host: str | None = None,
    models: Sequence[Mapping[str, object]] | ProxyError = MODELS,
    list_takes: float = 0.0,
    quota: Quota | None = None,
    last_used: float = 0.0,
    egress: str = "direct",
) -> Account:
    """``models``: what its list says, or how asking for it fails; after ``list_takes`` seconds."""
    record = AccountRecord(
        id=f"id-{label}",
        label=label,
        github_token="ghu_SYNTHETIC",
        status=status,
        account_type=kind,
        enterprise_host=host,
        quota=quota,
        last_used=last_used,
    )
    account = Account(record, Hosts(), AccountPool(dial_direct, shared_context), egress=egress)

    async def fetch() -> bytes:
        await trio.sleep(list_takes)
        if isinstance(models, ProxyError):
            raise models.fresh()
        return msgspec.json.encode({"data": models})

    account.catalogue = Catalogue(fetch)
    return account


def left(remaining: float, entitlement: float = 100, *, resets_in: float | None = None, overage: bool = False) -> Quota:
    """Premium requests, as one window tells of them."""
    window = Window(
        name="premium",
        entitlement=entitlement,
        remaining=remaining,
        percent_remaining=100 * remaining / entitlement,
        overage_permitted=overage,
        resets_at=None if resets_in is None else NOW + resets_in,
    )
    return Quota(windows=(window,))


UNLIMITED = Quota(windows=(Window(name="premium", unlimited=True, percent_remaining=100, entitlement=0, remaining=0),))


def refusal(status: int, code: str = "", seconds: float | None = None, message: str = "no") -> Outcome:
    """What a model call was refused with."""
    headers = {} if seconds is None else {"retry-after": f"{seconds:.0f}"}
    body = msgspec.json.encode({"error": {"message": message, "code": code}})
    return classify("/chat/completions", status, headers, body, now=NOW)


WARNED = refusal(403, message="spammy_user")


def wants(model: str = "m", conversation: str = "", **more: object) -> tuple[Wanted, Course]:
    return msgspec.structs.replace(Wanted(model, conversation=conversation), **more), Course()


A_MODEL = Model(id="m", billing={"is_premium": True, "multiplier": 1})
FREE = Model(id="gratis", billing={"is_premium": False, "multiplier": 0})


def wake(nursery: trio.Nursery, seconds: float, act: Callable[[], object]) -> None:
    async def later() -> None:
        await trio.sleep(seconds)
        act()

    nursery.start_soon(later)
