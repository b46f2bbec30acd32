"""``/settings``: which models Claude Code's names mean, as codex-proxy's page sets it (systems.md §1.5, §1.10).

There a name is mapped by what it contains: here that is the pattern ``*opus*`` in ``model_mapping``, and so on.
"""

from __future__ import annotations

from typing import Any

import msgspec

from copilot_trio.accounts.offer import offered
from copilot_trio.accounts.registry import Accounts
from copilot_trio.config import Config
from copilot_trio.errors import ProxyError
from copilot_trio.models.mapping import FAMILIES, match_model
from copilot_trio.models.model import Model
from copilot_trio.reload import Reloader
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .config import change_settings
from .refused import Refused, body_of

NO_KILO = "there are no kilo models here: every request goes to GitHub Copilot, and to no third party"
NO_EFFORT = "an effort cannot be set here: a request has the one that its client asks for, or the model's own"
AT_START = (
    "a start of this server does not change Claude Code's settings",
    "`copilot-trio setup claude-code --write` does it once; POST /claude/config/proxy does, too.",
)


class _Mappings(msgspec.Struct, frozen=True, rename="camel"):
    model_mappings: dict[str, Any] | None = None
    reasoning_mappings: dict[str, Any] | None = None


class _AtStart(msgspec.Struct, frozen=True, rename="camel"):
    configure_claude_on_startup: bool


def add_routes(router: Router, accounts: Accounts, reloader: Reloader | None) -> None:
    async def show_mappings(exchange: Exchange) -> None:
        await _answer(exchange, await _shown(accounts, reloader))

    async def set_mappings(exchange: Exchange) -> None:
        asked = body_of(exchange, _Mappings)
        if asked.model_mappings is None and asked.reasoning_mappings is None:
            raise Refused(400, "modelMappings is required")
        if asked.reasoning_mappings:
            raise Refused(400, NO_EFFORT)
        if asked.model_mappings:
            if reloader is None:
                raise Refused(409, "this server has no config.json")
            targets = {model.id for model in await _usable(accounts)}
            new = {_pattern(alias): _checked(alias, target, targets) for alias, target in asked.model_mappings.items()}
            await change_settings(reloader, lambda before: _mapped(before, new))
        await _answer(exchange, await _shown(accounts, reloader))

    async def show_at_start(exchange: Exchange) -> None:
        await _answer(exchange, {"success": True, "configureClaudeOnStartup": False})

    async def set_at_start(exchange: Exchange) -> None:
        if body_of(exchange, _AtStart).configure_claude_on_startup:
            raise Refused(409, *AT_START)
        await show_at_start(exchange)

    async def no_kilo(exchange: Exchange) -> None:
        raise Refused(404, NO_KILO)

    router.add("GET", "/settings/model-mappings", show_mappings, scope="admin")
    router.add("POST", "/settings/model-mappings", set_mappings, scope="admin")
    router.add("GET", "/settings/claude-proxy", show_at_start, scope="admin")
    router.add("POST", "/settings/claude-proxy", set_at_start, scope="admin")
    router.add("GET", "/settings/kilo-models", no_kilo, scope="admin")
    for method in ("GET", "POST"):
        router.add(method, "/settings/haiku-model", no_kilo, scope="admin")


async def _shown(accounts: Accounts, reloader: Reloader | None) -> dict[str, Any]:
    """``defaults``: what a name means where nothing is mapped; null where no model is of its family."""
    usable = await _usable(accounts)
    ids = [model.id for model in usable]
    defaults = {alias: match_model(alias, ids) for alias in FAMILIES}
    mapping = {} if reloader is None else reloader.running.model_mapping
    return {
        "success": True,
        "aliases": list(FAMILIES),
        "models": [{"id": model.id, "name": model.name or model.id} for model in usable],
        "reasoningLevels": [],
        "defaults": defaults,
        "reasoningDefaults": {},
        "modelMappings": {alias: mapping.get(_pattern(alias), defaults[alias]) for alias in FAMILIES},
        "reasoningMappings": {},
    }


async def _usable(accounts: Accounts) -> list[Model]:
    """The models to talk to. Raises ``Refused``."""
    try:
        listed = await offered(accounts)
    except ProxyError as error:
        raise Refused(502, f"which models there are could not be had: {error.cause}", error.remedy) from None
    return [model for model in listed if model.capabilities.type == "chat" and not model.unavailable]


def _pattern(alias: str) -> str:
    if alias not in FAMILIES:
        raise Refused(400, f"{alias[:100]!r} is none of {', '.join(FAMILIES)}")
    return f"*{alias}*"


def _checked(alias: str, target: Any, targets: set[str]) -> str:
    if not isinstance(target, str) or target not in targets:
        raise Refused(400, f"the model for {alias} is none of those that are available: {', '.join(sorted(targets))}")
    return target


def _mapped(before: Config, new: dict[str, str]) -> Config:
    return msgspec.structs.replace(before, model_mapping={**before.model_mapping, **new})


async def _answer(exchange: Exchange, value: dict[str, Any]) -> None:
    await exchange.respond(200, msgspec.json.encode(value))
