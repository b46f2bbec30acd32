"""``/v0/management``: what quota panels made for CLIProxyAPIPlus ask (product.md §2.4, systems.md §2).

A key of its own opens it and nothing else, see ``server/auth.py``; without one set it is not there.
"""

from __future__ import annotations

import hashlib
import os
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import trio

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.joining import new_record
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.quota_user import QuotaUnreadable, parse_user
from copilot_trio.errors import ProxyError
from copilot_trio.github.quota import fetch_user_payload
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .management_call import Call, call
from .office import Office
from .query import query_of
from .refused import Refused, body_of, sentences
from .sign_in import SignIns
from .traffic import Traffic

PREFIX = "/v0/management"
PROVIDER = "github-copilot"
INDEX_NAMES = ("auth_index", "authIndex", "AuthIndex")
NO_WINDOW = Window(name="")
STATUSES = {"active": "active", "disabled": "disabled"}
ENDED = {"pending": "wait", "complete": "ok"}
_STATE = re.compile(r"[A-Za-z0-9._-]{1,128}")


def add_routes(router: Router, office: Office, sign_ins: SignIns, traffic: Traffic) -> None:
    async def auth_files(exchange: Exchange) -> None:
        asked = query_of(exchange)
        file = await trio.to_thread.run_sync(_stat, office.path)
        files = [_auth_file(office, account, file, traffic) for account in office.accounts.accounts]
        name, index = asked.get("name", ""), _index(asked)
        chosen = [
            file
            for file in sorted(files, key=lambda file: str(file["name"]).casefold())
            if name in {"", file["name"]} and index in {"", file["auth_index"]}
        ]
        await _answer(exchange, {"files": chosen})

    async def api_call(exchange: Exchange) -> None:
        asked = body_of(exchange, Call)
        if not asked.index:
            raise Refused(400, "auth_index is missing: GET auth-files lists them")
        await _answer(exchange, await call(office, _found(office, asked.index), asked))

    async def copilot_quota(exchange: Exchange) -> None:
        index = _index(query_of(exchange))
        account = _found(office, index) if index else _first(office)
        try:
            body = await fetch_user_payload(account, office.identity, office.accounts.judge, office.now)
            quota = parse_user(body, office.now())
        except (ProxyError, QuotaUnreadable) as error:
            why = sentences(error) if isinstance(error, ProxyError) else str(error)
            raise Refused(502, f"the quota of {account.label} could not be had: {why}") from None
        office.accounts.told(account, quota)
        await _answer(exchange, copilot_user(body, quota) | {"auth_index": auth_index(account)})

    async def auth_url(exchange: Exchange) -> None:
        code = await sign_ins.start(new_record(""))
        sign_ins.follow(code["device_code"])
        await _answer(
            exchange,
            {
                "status": "ok",
                "url": code["verification_uri"],
                "state": code["device_code"],
                "user_code": code["user_code"],
                "verification_uri": code["verification_uri"],
                "expires_in": code["expires_in"],
                "interval": code["interval"],
            },
        )

    async def auth_status(exchange: Exchange) -> None:
        state = query_of(exchange).get("state", "")
        if not state:
            await _answer(exchange, {"status": "ok"})
            return
        if not _STATE.fullmatch(state):
            raise Refused(400, "state is none that was given here")
        told = await sign_ins.poll(state, "", None)
        status = ENDED.get(told["status"], "error")
        await _answer(exchange, {"status": status} | ({"error": told["message"]} if status == "error" else {}))

    router.add("GET", f"{PREFIX}/auth-files", auth_files, scope="management")
    router.add("POST", f"{PREFIX}/api-call", api_call, scope="management")
    router.add("GET", f"{PREFIX}/copilot-quota", copilot_quota, scope="management")
    router.add("GET", f"{PREFIX}/github-auth-url", auth_url, scope="management")
    router.add("GET", f"{PREFIX}/get-auth-status", auth_status, scope="management")


def auth_index(account: Account) -> str:
    """The same for as long as the account is stored (systems.md §2.3, seed (d))."""
    return hashlib.sha256(f"id:{account.id}".encode()).hexdigest()[:16]


def _found(office: Office, index: str) -> Account:
    for account in office.accounts.accounts:
        if auth_index(account) == index:
            return account
    raise Refused(404, f"there is no account with the auth_index {index[:100]!r}", "GET auth-files lists them.")


def _first(office: Office) -> Account:
    try:
        return office.accounts.preferred()
    except ProxyError as error:
        raise Refused(400, error.cause, error.remedy) from None


def copilot_user(body: bytes, quota: Quota) -> dict[str, Any]:
    """The keys that panels count on, each there and of its type; what the free plan or a count of credits says, too.

    ``body`` is GitHub's reply, and ``quota`` what it tells (systems.md §2.4).
    """
    said = msgspec.json.decode(body, type=dict[str, Any])
    texts = ("access_type_sku", "analytics_tracking_id", "assigned_date", "copilot_plan", "quota_reset_date")
    truths = ("can_signup_for_limited", "chat_enabled")
    lists = ("organization_login_list", "organization_list")
    kept = (
        "quota_reset_date_utc", "token_based_billing", "monthly_quotas", "limited_user_quotas",
        "limited_user_reset_date",
    )  # fmt: skip
    return {
        **{name: said[name] if isinstance(said.get(name), str) else "" for name in texts},
        **{name: said.get(name) is True for name in truths},
        **{name: said[name] if isinstance(said.get(name), list) else [] for name in lists},
        "quota_snapshots": {
            "premium_interactions": _snapshot("premium_interactions", quota.window("premium")),
            "chat": _snapshot("chat", quota.window("chat")),
            "completions": _snapshot("completions", quota.window("completions")),
        },
        **{name: said[name] for name in kept if name in said},
    }


def _snapshot(name: str, window: Window | None) -> dict[str, Any]:
    told = window or NO_WINDOW
    return {
        "quota_id": name,
        "entitlement": told.entitlement or 0,
        "remaining": told.remaining or 0,
        "quota_remaining": told.remaining or 0,
        "percent_remaining": told.percent_remaining or 0,
        "unlimited": told.unlimited,
        "overage_permitted": told.overage_permitted,
        "overage_count": told.overage_count,
    }


def _auth_file(office: Office, account: Account, file: os.stat_result | None, traffic: Traffic) -> dict[str, Any]:
    """An account as if it had a file of its own; ``size`` and ``modtime`` are those of the one that has them all."""
    record = account.record
    stored = file is not None and not office.is_temporary(account)
    return {
        "id": account.id,
        "auth_index": auth_index(account),
        "name": f"{PROVIDER}-{record.login or record.label}.json",
        "type": PROVIDER,
        "provider": PROVIDER,
        "label": record.label,
        "email": record.login or record.label,
        "account": record.login,
        "account_type": record.account_type,
        "status": STATUSES.get(account.status, "error"),
        "status_message": account.status_message,
        "disabled": record.status == "disabled",
        "unavailable": account.status != "active",
        "runtime_only": not stored,
        "source": "file" if stored else "memory",
        "size": file.st_size if file is not None and stored else 0,
        "modtime": _moment(file.st_mtime) if file is not None and stored else "",
        "path": str(office.path) if stored else "",
        "created_at": record.added,
        "last_refresh": _moment(account.quota.read_at) if account.quota is not None else "",
        **traffic.shown(record.label, office.now()),
    }


def _stat(path: Path | None) -> os.stat_result | None:
    try:
        return None if path is None else path.stat()
    except OSError:
        return None


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _index(asked: dict[str, str]) -> str:
    return next((asked[name].strip() for name in INDEX_NAMES if asked.get(name, "").strip()), "")


async def _answer(exchange: Exchange, value: dict[str, Any]) -> None:
    await exchange.respond(200, msgspec.json.encode(value), headers=[("cache-control", "no-store")])
