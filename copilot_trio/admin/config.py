"""``/api/config``: what ``config.json`` says, changed there and in force at once where that can be (product.md §2.3).

Fields are called as in ``config.json``, and beside them as in the dashboards that know another proxy (peers.md §1.2).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from copilot_trio.accounts.store import StoreBusy
from copilot_trio.config import Config, DamagedFile, ProxySettings
from copilot_trio.reload import Amend, Reloaded, Reloader
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.proxy_url import shown_proxy

from .refused import Refused

MERGED = {"identity", "timeouts", "accounts", "proxy"}  # member by member; all else is replaced as a whole
MASK = "***"
EFFORTS = ("auto", "low", "medium", "high", "xhigh", "max")
PROXIES = ("http_proxy", "https_proxy")
Fields = dict[str, Any]


class Facts(msgspec.Struct, frozen=True):
    """``keyed``: whether callers need a key. ``main`` and ``fast``: the models chosen for Claude Code, if any."""

    keyed: bool = False
    main: str | None = None
    fast: str | None = None


def add_routes(router: Router, reloader: Reloader, facts: Callable[[], Facts]) -> None:
    async def show(exchange: Exchange) -> None:
        known, waiting = facts(), reloader.waiting()
        answer = {
            "config": shown(reloader.stored),
            "restart": waiting.restart,
            "overruled": waiting.overruled,
            "selectedModel": known.main,
            "selectedSmallModel": known.fast,
            "apiKey": None if known.keyed else "dummy",  # of real ones not even we know more than a hash
            **_shared_names(reloader.running),
        }
        await exchange.respond(200, msgspec.json.encode(answer))

    async def put(exchange: Exchange) -> None:
        given = _fields_of(exchange)
        asked = _own_names(given)
        reloaded = await change_settings(reloader, lambda before: patched(before, asked))
        now = {**shown(reloader.stored), **_shared_names(reloader.stored)}
        updated = {name: now[name] for name in given}
        answer = {"ok": True, "updated": updated, **msgspec.structs.asdict(reloaded)}
        await exchange.respond(200, msgspec.json.encode(answer))

    router.add("GET", "/api/config", show, scope="admin")
    router.add("PUT", "/api/config", put, scope="admin")


async def change_settings(reloader: Reloader, change: Amend) -> Reloaded:
    """Raises ``Refused``, and then nothing has changed."""
    try:
        return await reloader.update(change)
    except ValueError as error:
        raise Refused(400, str(error)) from None
    except DamagedFile as error:
        raise Refused(409, str(error)) from None
    except StoreBusy as error:
        raise Refused(503, str(error), retry_after=1) from None
    except OSError as error:
        raise Refused(503, f"{reloader.path} could not be written: {error.strerror or error}") from None


def shown(config: Config) -> Fields:
    """As ``config.json`` has it, without hashes of keys and passwords of proxies."""
    fields: Fields = msgspec.to_builtins(config)
    for key in fields["keys"]:
        del key["sha256"]
    if config.management_key is not None:
        fields["management_key"] = MASK
    if config.proxy is not None:
        fields["proxy"].update({name: shown_proxy(url) for name in PROXIES if (url := getattr(config.proxy, name))})
    return fields


def patched(before: Config, asked: Fields) -> Config:
    """``asked`` over ``before``; null means the default. What was shown masked means what it was.

    Raises ``ValueError`` naming the field.
    """
    fields: Fields = msgspec.to_builtins(before)
    for name, value in asked.items():
        if value is None:
            fields.pop(name, None)
        elif name in MERGED and isinstance(value, dict):
            members = {**(fields.get(name) or {}), **value}
            fields[name] = {member: given for member, given in members.items() if given is not None}
        elif name == "keys" and isinstance(value, list | tuple):
            fields[name] = [_whole_key(key, before) for key in value]
        else:
            fields[name] = value
    if fields.get("management_key") == MASK:
        fields["management_key"] = before.management_key
    if before.proxy is not None and isinstance(fields.get("proxy"), dict):
        _unmask(fields["proxy"], before.proxy)
    try:
        return msgspec.convert(fields, Config)
    except UNREADABLE as error:
        raise ValueError(f"this is no setting: {error}") from None


def _whole_key(key: Any, before: Config) -> Any:
    """A key that is named without its hash is the one there is of this label."""
    if not isinstance(key, dict) or "sha256" in key:
        return key
    for known in before.keys:
        if known.label == key.get("label"):
            return {**key, "sha256": known.sha256}
    raise ValueError("a new key needs its sha256; one without keeps the key that has its label, and there is none such")


def _unmask(proxy: Fields, before: ProxySettings) -> None:
    for name in PROXIES:
        known = getattr(before, name)
        if known is not None and proxy.get(name) == shown_proxy(known):
            proxy[name] = known


def _fields_of(exchange: Exchange) -> Fields:
    try:
        return msgspec.json.decode(exchange.request.body or b"{}", type=Fields)
    except UNREADABLE as error:
        raise Refused(400, f"the body must be an object of settings: {error}") from None


def _shared_names(config: Config) -> Fields:
    return {"maxThinking": config.auto_thinking, "thinkingEffort": "auto"}


def _own_names(given: Fields) -> Fields:
    asked = dict(given)
    effort = asked.pop("thinkingEffort", "auto")
    if effort != "auto":
        said = "its client asks for, or the model's own" if effort in EFFORTS else "auto"
        raise Refused(400, f"thinkingEffort can only be auto: the effort of a request is what {said}")
    if "maxThinking" in asked:
        thinking = asked.pop("maxThinking")
        if not isinstance(thinking, bool) or asked.get("auto_thinking", thinking) != thinking:
            raise Refused(400, "maxThinking must be true or false, and the same as auto_thinking if both are there")
        asked["auto_thinking"] = thinking
    return asked
