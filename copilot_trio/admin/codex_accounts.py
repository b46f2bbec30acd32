"""``/accounts`` and ``/account``: the paths of codex-proxy over our accounts (product.md §2.4, systems.md §1.7).

The singular ones are of its newest generation, which has one account: there it is the active one, which new
conversations without a pinned key go to first. Nothing that is added takes another's place.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import msgspec
import trio

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.groups import NO_PIN, Pin
from copilot_trio.accounts.importing import find_accounts
from copilot_trio.accounts.joining import new_record
from copilot_trio.accounts.registry import Accounts, catalogue_of
from copilot_trio.errors import ProxyError
from copilot_trio.server.exchange import Exchange, Handler
from copilot_trio.server.router import Router

from .codex_view import find_called, name_of, shown_listed, shown_quota_of, shown_usage
from .office import Office
from .query import query_of
from .refused import Refused, body_of, sentences, values_checked
from .sign_in import SignIns

T = TypeVar("T")

FRESH = 300.0  # seconds for which a quota is told without asking GitHub
NO_CODE = (
    "githubToken is required: GitHub's sign-in has no callback code to paste",
    "POST /accounts/add gives a code to type in at GitHub.",
)


class _Manual(msgspec.Struct, frozen=True, rename="camel"):
    """What its own page sends, ``code`` and ``verifier``, is passed over, for the answer to say what is wanted."""

    github_token: str = ""
    label: str = ""


class _Named(msgspec.Struct, frozen=True):
    email: str = ""


def add_routes(router: Router, office: Office, sign_ins: SignIns, import_from: Sequence[Path]) -> None:
    """``import_from``: where other proxies keep their accounts."""
    accounts = office.accounts

    def asked(exchange: Exchange) -> Account:
        """By ``?email=``, else the active one."""
        name = query_of(exchange).get("email")
        return called(office, name) if name else the_active(office)

    async def list_all(exchange: Exchange) -> None:
        await _answer(exchange, shown_all(office))

    async def show_active(exchange: Exchange) -> None:
        await _answer(exchange, shown_active(office))

    async def models(exchange: Exchange) -> None:
        account = asked(exchange)
        listed = await _told(catalogue_of(account).models())
        found = [
            {
                "id": model.id,
                "name": model.name or model.id,
                "description": model.vendor,
                "supportedReasoningLevels": list(model.supports.reasoning_effort or ()),
                "supportedInApi": not model.unavailable,
                "visibility": "list",
            }
            for model in listed
        ]
        await _answer(exchange, {"success": True, "email": name_of(account), "models": found})

    async def usage(exchange: Exchange) -> None:
        account = asked(exchange)
        await _told(office.follow_quota(account))
        told = None if account.quota is None else shown_usage(account.quota, office.now())
        await _answer(exchange, {"success": True, "email": name_of(account), "usage": told})

    async def quota(exchange: Exchange) -> None:
        account, warning = asked(exchange), ""
        age = None if account.quota is None else office.now() - account.quota.read_at
        cached = age is not None and age < FRESH and query_of(exchange).get("refresh") != "true"
        if not cached:
            try:
                await office.follow_quota(account)
            except ProxyError as error:
                if account.quota is None:
                    raise Refused(502, f"the quota could not be had: {error.cause}", error.remedy) from None
                cached, warning = True, f"this was told earlier, for GitHub could not be asked: {sentences(error)}"
        told = {"success": True, "email": name_of(account), "quota": shown_quota_of(account.quota, office.now())}
        await _answer(exchange, {**told, "cached": cached, **({"warning": warning} if warning else {})})

    async def all_quotas(exchange: Exchange) -> None:
        told = [
            {"email": name_of(account), "quota": shown_quota_of(account.quota, office.now())}
            for account in accounts.accounts
        ]
        await _answer(exchange, {"accounts": told})

    async def add(exchange: Exchange) -> None:
        code = await sign_ins.start(new_record(""))
        sign_ins.follow(code["device_code"])
        await _answer(
            exchange, {"status": "oauth_url", "oauth_url": code["verification_uri"], "callback_port": None, **code}
        )

    async def add_manually(exchange: Exchange) -> None:
        given = body_of(exchange, _Manual)
        if not given.github_token:
            raise Refused(400, *NO_CODE)
        with values_checked():
            record = new_record(given.github_token, label=given.label)
        account, note = await office.add(record)
        message = f"Account {name_of(account)} was added, as {account.label}."
        await _answer(exchange, {"success": True, "message": f"{message} {note}".strip()})

    async def bring_in(exchange: Exchange) -> None:
        own = None if office.path is None else office.path.parent
        found = await trio.to_thread.run_sync(lambda: find_accounts(import_from, own=own))
        stored = await office.bring_in(found) if found.records else ()
        if stored:
            message = f"Imported: {', '.join(record.login or record.label for record in stored)}"
        else:
            message = "Nothing to import: all is stored already" if found.records else "Nothing to import was found"
        await _answer(
            exchange,
            {
                "success": bool(stored),
                "message": message,
                "imported": [record.label for record in stored],
                "leftOut": list(found.problems),
            },
        )

    async def switch(exchange: Exchange) -> None:
        name = body_of(exchange, _Named).email
        if not name:
            raise Refused(400, "email is required: the login or label of an account")
        account = called(office, name)
        await office.prefer(account)
        message = f"New conversations of {accounts.group(account)} go to {name_of(account)} first"
        await _answer(exchange, {"success": True, "message": message})

    async def refresh_active(exchange: Exchange) -> None:
        await _answer(exchange, await refreshed(office, the_active(office)))

    async def refresh_named(exchange: Exchange) -> None:
        await _answer(exchange, await refreshed(office, called(office, _named_in(exchange))))

    async def refresh_all(exchange: Exchange) -> None:
        results: dict[str, dict[str, Any]] = {}

        async def refresh(account: Account) -> None:
            results[account.id] = {"email": name_of(account), **await refreshed(office, account)}

        known = list(accounts.accounts)
        async with trio.open_nursery() as nursery:
            for account in known:
                nursery.start_soon(refresh, account)
        await _answer(exchange, [results[account.id] for account in known])

    async def remove_active(exchange: Exchange) -> None:
        await _answer(exchange, await removed(office, the_active(office)))

    async def remove_named(exchange: Exchange) -> None:
        await _answer(exchange, await removed(office, called(office, _named_in(exchange))))

    async def clean_up(exchange: Exchange) -> None:
        dropped = sign_ins.drop_pending()
        await _answer(exchange, {"success": True, "message": f"Sign-ins under way that were dropped: {dropped}"})

    both: dict[tuple[str, str], Handler] = {
        ("GET", "/models"): models,
        ("GET", "/usage"): usage,
        ("GET", "/quota"): quota,
        ("POST", "/add"): add,
        ("POST", "/add/manual"): add_manually,
        ("POST", "/import"): bring_in,
        ("POST", "/refresh"): refresh_active,
        ("POST", "/oauth/cleanup"): clean_up,
    }
    for (method, path), handler in both.items():
        for prefix in ("/account", "/accounts"):
            router.add(method, prefix + path, handler, scope="admin")
    for path in ("", "/status"):
        router.add("GET", f"/account{path}", show_active, scope="admin")
        router.add("GET", f"/accounts{path}", list_all, scope="admin")
    router.add("DELETE", "/account", remove_active, scope="admin")
    router.add("GET", "/accounts/quota/all", all_quotas, scope="admin")
    router.add("POST", "/accounts/switch", switch, scope="admin")
    router.add("POST", "/accounts/refresh/all", refresh_all, scope="admin")
    router.add("POST", "/accounts/{email}/refresh", refresh_named, scope="admin")
    router.add("DELETE", "/accounts/{email}", remove_named, scope="admin")


def shown_all(office: Office) -> dict[str, Any]:
    active = active_account(office)
    listed = [_listed(office, account) for account in office.accounts.accounts]
    name = None if active is None else name_of(active)
    return {"accounts": listed, "activeAccount": name, "active": name, "total": len(listed)}


def shown_active(office: Office) -> dict[str, Any]:
    active = active_account(office)
    return {
        "account": None if active is None else _listed(office, active),
        "activeAccount": None if active is None else name_of(active),
        "total": len(office.accounts.accounts),
    }


def _listed(office: Office, account: Account) -> dict[str, Any]:
    first = _leader(office.accounts, Pin(group=office.accounts.group(account)))
    return shown_listed(account, active=account is first, now=office.now())


def active_account(office: Office) -> Account | None:
    """Where new conversations without a pin go first."""
    return _leader(office.accounts, NO_PIN)


def _leader(accounts: Accounts, pin: Pin) -> Account | None:
    """Of those that can serve, the preferred or the first; where none can, one nevertheless, for it is to be seen."""
    try:
        _, members = accounts.of_group(pin)
    except ProxyError:
        return None
    return min(members, key=lambda account: (not account.ready, not account.record.preferred))


def the_active(office: Office) -> Account:
    account = active_account(office)
    if account is None:
        raise Refused(404, "there is no account", "POST /account/add begins a sign-in.")
    return account


def called(office: Office, name: str) -> Account:
    found = find_called(office.accounts.accounts, name)
    if not found:
        raise Refused(404, f"no account is called {name[:100]!r}", "GET /accounts lists them.")
    if len(found) > 1:
        raise Refused(409, f"{name[:100]!r} is more than one account: give the label of one, or its accountId")
    return found[0]


async def refreshed(office: Office, account: Account) -> dict[str, Any]:
    try:
        errors = await office.refresh(account)
    except Refused as error:
        errors = [sentences(error)]
    if errors:
        return {"success": False, "message": f"{name_of(account)} could not be refreshed: {' '.join(errors)}"}
    return {"success": True, "message": f"Token and quota are new: {name_of(account)}"}


async def removed(office: Office, account: Account) -> dict[str, Any]:
    await office.remove(account)
    return {"success": True, "message": f"Account removed: {name_of(account)}"}


async def _told(asking: Awaitable[T]) -> T:
    try:
        return await asking
    except ProxyError as error:
        raise Refused(502, error.cause, error.remedy) from None


def _named_in(exchange: Exchange) -> str:
    return unquote(exchange.request.path.removeprefix("/accounts/").removesuffix("/refresh"))


async def _answer(exchange: Exchange, value: Any) -> None:
    await exchange.respond(200, msgspec.json.encode(value))
