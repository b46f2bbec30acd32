"""``/api/models``: what the accounts are offered, the mapping of names, and how many requests run at once."""

from __future__ import annotations

from typing import Any

import msgspec
import trio

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.registry import Accounts, catalogue_of
from copilot_trio.config import Limit, ModelName, ModelPattern
from copilot_trio.errors import ProxyError
from copilot_trio.models.model import Model
from copilot_trio.models.queue import DEFAULT_LIMIT
from copilot_trio.reload import Reloader
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.unreadable import UNREADABLE

from .config import change_settings
from .refused import Refused, body_of, sentences

Fields = dict[str, Any]


class _NewMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    mapping: Fields | None = None


class _NewConcurrency(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    concurrency: Fields | None = None


def add_routes(router: Router, accounts: Accounts, reloader: Reloader) -> None:
    async def list_available(exchange: Exchange) -> None:
        await exchange.respond(200, msgspec.json.encode(await available(accounts)))

    async def show_mapping(exchange: Exchange) -> None:
        await exchange.respond(200, msgspec.json.encode(_mapping(reloader)))

    async def put_mapping(exchange: Exchange) -> None:
        asked = body_of(exchange, _NewMapping).mapping
        if asked is None:
            raise Refused(400, "mapping is required: an object from the names that clients ask for to models")
        for name, model in asked.items():
            if not _is(name, ModelPattern):
                raise Refused(400, f"the mapping has {_short(name)}, which is no name or pattern of names")
            if not _is(model, ModelName):
                raise Refused(400, f"the mapping of {_short(name)} must be the name of a model")
        await change_settings(reloader, lambda before: msgspec.structs.replace(before, model_mapping=asked))
        await exchange.respond(200, msgspec.json.encode(_mapping(reloader)))

    async def show_concurrency(exchange: Exchange) -> None:
        await exchange.respond(200, msgspec.json.encode({"concurrency": _concurrency(reloader)}))

    async def put_concurrency(exchange: Exchange) -> None:
        asked = body_of(exchange, _NewConcurrency).concurrency
        if asked is None:
            raise Refused(400, "concurrency is required: an object from models, or default, to numbers")
        for model, limit in asked.items():
            if not _is(model, ModelName):
                raise Refused(400, f"concurrency has {_short(model)}, which is no name of a model")
            if not _is(limit, Limit):
                raise Refused(400, f"the concurrency of {_short(model)} must be a whole number from 1 up")
        await change_settings(reloader, lambda before: msgspec.structs.replace(before, concurrency=asked))
        await exchange.respond(200, msgspec.json.encode({"concurrency": _concurrency(reloader)}))

    router.add("GET", "/api/models/available", list_available, scope="admin")
    router.add("GET", "/api/models/mapping", show_mapping, scope="admin")
    router.add("PUT", "/api/models/mapping", put_mapping, scope="admin")
    router.add("GET", "/api/models/concurrency", show_concurrency, scope="admin")
    router.add("PUT", "/api/models/concurrency", put_concurrency, scope="admin")


async def available(accounts: Accounts) -> list[Fields]:
    """Each model once, as upstream lists it, with the labels of the ``accounts`` that have it, and why it is
    ``unavailable`` where no account may use it.

    Accounts that cannot be asked are left out. Raises ``Refused`` where none can be.
    """
    asked = [account for account in accounts.accounts if account.ready]
    lists: dict[str, tuple[Model, ...]] = {}
    failures: list[ProxyError] = []

    async def ask(account: Account) -> None:
        try:
            lists[account.id] = await catalogue_of(account).models()
        except ProxyError as error:
            failures.append(error)

    async with trio.open_nursery() as nursery:
        for account in asked:
            nursery.start_soon(ask, account)
    if not lists:
        why = sentences(failures[0]) if failures else "no account is ready."
        raise Refused(503, f"the models are not known: {why}")
    found: dict[str, Model] = {}
    having: dict[str, list[str]] = {}
    for account in asked:
        for model in lists.get(account.id, ()):
            having.setdefault(model.id, []).append(account.label)
            if model.id not in found or (found[model.id].unavailable and not model.unavailable):
                found[model.id] = model
    return [
        {**msgspec.to_builtins(model), "unavailable": model.unavailable, "accounts": having[model.id]}
        for model in found.values()
    ]


def _mapping(reloader: Reloader) -> Fields:
    return {"mapping": reloader.running.model_mapping, "concurrency": _concurrency(reloader)}


def _concurrency(reloader: Reloader) -> Fields:
    return {"default": DEFAULT_LIMIT, **reloader.running.concurrency}


def _is(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except UNREADABLE:
        return False
    return True


def _short(name: str) -> str:
    return repr(name[:100])
