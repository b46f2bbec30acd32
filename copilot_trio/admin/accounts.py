"""``/api/accounts``, and the same under ``/admin/accounts`` (product.md §2.3)."""

from __future__ import annotations

from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from copilot_trio.accounts.account import AccountRecord, AccountType
from copilot_trio.accounts.joining import check_label, new_record
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.upstream.proxy_url import check_proxy_url

from .office import Office
from .refused import Refused, body_of, values_checked
from .sign_in import SignIns
from .view import usage_of_all

PREFIXES = ("/api/accounts", "/admin/accounts")


class _Body(msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True):
    """What is not known is refused: a misspelt field would be a setting that does not hold."""


class _NewAccount(_Body, frozen=True):
    github_token: str = ""
    label: str = ""
    account_type: AccountType = "individual"
    proxy: str | None = None
    enterprise_host: str | None = None
    direct: bool = False


class _NewStatus(_Body, frozen=True):
    status: str = ""


class _NewProxy(_Body, frozen=True):
    proxy: str | msgspec.UnsetType | None = msgspec.UNSET


class _Start(_Body, frozen=True):
    proxy: str | None = None
    enterprise_host: str | None = None


class _Poll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device_code: str = ""
    label: str = ""
    account_type: AccountType | None = None


def add_routes(router: Router, office: Office, sign_ins: SignIns) -> None:
    async def list_accounts(exchange: Exchange) -> None:
        await _answer(exchange, {"accounts": [office.shown(account) for account in office.accounts.accounts]})

    async def add(exchange: Exchange) -> None:
        asked = body_of(exchange, _NewAccount)
        if not asked.github_token or not asked.label:
            raise Refused(400, "githubToken and label are required")
        account, note = await office.add(_record(asked))
        shown = {"account": office.shown(account)}
        await _answer(exchange, {**shown, "note": note} if note else shown, 201)

    async def remove(exchange: Exchange) -> None:
        whole = unquote(exchange.request.path.partition("/accounts/")[2])  # the route takes what follows too
        await office.remove(office.find(whole))
        await _answer(exchange, {"success": True})

    async def set_status(exchange: Exchange) -> None:
        account = office.find(_id(exchange))
        await office.set_status(account, _status(body_of(exchange, _NewStatus).status))
        await _answer(exchange, {"account": office.shown(account)})

    async def set_proxy(exchange: Exchange) -> None:
        account = office.find(_id(exchange))
        asked = body_of(exchange, _NewProxy).proxy
        if asked is msgspec.UNSET:
            raise Refused(400, "proxy is required: a URL, or null for none")
        with values_checked():
            proxy = None if asked is None else check_proxy_url(asked)
        await office.set_proxy(account, proxy)
        await _answer(exchange, {"account": office.shown(account)})

    async def refresh(exchange: Exchange) -> None:
        account = office.find(_id(exchange))
        errors = await office.refresh(account)
        await _answer(exchange, {"account": office.shown(account), "errors": errors})

    async def acknowledge(exchange: Exchange) -> None:
        account = office.find(_id(exchange))
        said = await office.acknowledge(account)
        await _answer(exchange, {"account": office.shown(account), "acknowledged": said})

    async def usage(exchange: Exchange) -> None:
        await _answer(exchange, usage_of_all(office.accounts.accounts))

    async def start_sign_in(exchange: Exchange) -> None:
        asked = body_of(exchange, _Start)
        with values_checked():
            record = new_record("", proxy=asked.proxy, enterprise_host=asked.enterprise_host)
        await _answer(exchange, await sign_ins.start(record))

    async def poll_sign_in(exchange: Exchange) -> None:
        asked = body_of(exchange, _Poll)
        if not asked.device_code:
            raise Refused(400, "device_code is required")
        with values_checked():
            label = check_label(asked.label) if asked.label else ""
        await _answer(exchange, await sign_ins.poll(asked.device_code, label, asked.account_type))

    for prefix in PREFIXES:
        router.add("GET", prefix, list_accounts, scope="admin")
        router.add("POST", prefix, add, scope="admin")
        router.add("GET", f"{prefix}/usage", usage, scope="admin")
        router.add("POST", f"{prefix}/auth/start", start_sign_in, scope="admin")
        router.add("POST", f"{prefix}/auth/poll", poll_sign_in, scope="admin")
        router.add("DELETE", f"{prefix}/{{id}}", remove, scope="admin")
        router.add("PUT", f"{prefix}/{{id}}/status", set_status, scope="admin")
        router.add("PUT", f"{prefix}/{{id}}/proxy", set_proxy, scope="admin")
        router.add("POST", f"{prefix}/{{id}}/refresh", refresh, scope="admin")
        router.add("POST", f"{prefix}/{{id}}/acknowledge", acknowledge, scope="admin")


def _id(exchange: Exchange) -> str:
    """The part after the prefix."""
    return unquote(exchange.request.path.split("/")[3])


def _record(asked: _NewAccount) -> AccountRecord:
    with values_checked():
        return new_record(
            asked.github_token,
            label=asked.label,
            account_type=asked.account_type,
            proxy=asked.proxy,
            enterprise_host=asked.enterprise_host,
            direct=asked.direct,
        )


def _status(asked: str) -> Literal["active", "disabled"]:
    if asked == "active":
        return "active"
    if asked == "disabled":
        return "disabled"
    raise Refused(400, 'status must be "active" or "disabled"')


async def _answer(exchange: Exchange, value: dict[str, Any], status: int = 200) -> None:
    await exchange.respond(status, msgspec.json.encode(value))
