"""``/claude/config``: Claude Code's settings, changed as codex-proxy's page asks, by what ``setup`` does (§1.9 there).

A file of the person who runs the server is changed, so only this machine is answered, whatever key it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import msgspec
import trio

from copilot_trio.accounts.lock import StoreBusy
from copilot_trio.accounts.offer import offered
from copilot_trio.accounts.registry import Accounts
from copilot_trio.api.models import shown
from copilot_trio.clients import claude_code, document, files
from copilot_trio.clients.offer import KEYLESS, Target, read_models
from copilot_trio.clients.places import Place
from copilot_trio.config import DamagedFile
from copilot_trio.errors import ProxyError
from copilot_trio.github.hosts import check_base_url, is_loopback
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .redaction import without_secrets
from .refused import Refused, body_of, values_checked

T = TypeVar("T")

ELSEWHERE = ("ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_BASE_URL", "ANTHROPIC_MODEL")
ADDRESS = (
    "this server does not know by which address Claude Code reaches it",
    "Call it by localhost or 127.0.0.1, with its port.",
)


class _Keyed(msgspec.Struct, frozen=True, rename="camel"):
    api_key: str = ""
    api_url: str = ""


def add_routes(router: Router, accounts: Accounts, place: Place | None, directory: Path | None) -> None:
    """``place`` is None where the server leaves a person's files alone; ``directory`` is our data's."""

    def allowed(exchange: Exchange) -> tuple[Place, Path]:
        if not _is_here(exchange.request.peer):
            raise Refused(403, "Claude Code's settings are shown to, and changed from, this machine only")
        if place is None or directory is None:
            raise Refused(409, "this server leaves Claude Code's settings alone")
        return place, directory

    async def show(exchange: Exchange) -> None:
        at, _ = allowed(exchange)
        content = await _run(lambda: _content(at))
        await _answer(exchange, {"configPath": str(at.path), "config": without_secrets(content)})

    async def change(exchange: Exchange, wanted: Mapping[document.Path, Any], message: str) -> None:
        at, own = allowed(exchange)
        written = await _run(lambda: files.write(at, wanted, own))
        await told(exchange, at, message, written.backup)

    async def told(exchange: Exchange, at: Place, message: str, backup: Path | None) -> None:
        content = await _run(lambda: _content(at))
        shown = {"message": message, "config": without_secrets(content)}
        await _answer(exchange, shown | {"configPath": str(at.path), "backup": None if backup is None else str(backup)})

    async def to_proxy(exchange: Exchange) -> None:
        allowed(exchange)
        base = _own_address(exchange)
        key = body_of(exchange, _Keyed).api_key or _callers_key(exchange)
        wanted = claude_code.wanted(await _target(accounts, base, key))
        await change(exchange, wanted, f"Claude Code now uses {base}.")

    async def to_anthropic(exchange: Exchange) -> None:
        key = body_of(exchange, _Keyed).api_key
        if not key:
            raise Refused(400, "apiKey is required")
        wanted = _env(dict.fromkeys(ELSEWHERE) | {"ANTHROPIC_API_KEY": key})
        await change(exchange, wanted, "Claude Code now uses Anthropic's own API.")

    async def to_address(exchange: Exchange) -> None:
        asked = body_of(exchange, _Keyed)
        if not asked.api_url or not asked.api_key:
            raise Refused(400, f"{'apiKey' if asked.api_url else 'apiUrl'} is required")
        with values_checked():
            url = check_base_url(asked.api_url)
        if not is_loopback(urlsplit(url).hostname):
            raise Refused(400, "apiUrl must be a loopback address: nothing of Claude Code is sent elsewhere from here")
        wanted = _env({"ANTHROPIC_BASE_URL": url, "ANTHROPIC_API_KEY": asked.api_key})
        await change(exchange, wanted, f"Claude Code now uses {url}.")

    async def reset(exchange: Exchange) -> None:
        at, own = allowed(exchange)
        undone = await _run(lambda: files.undo(at, own))
        await told(exchange, at, "Claude Code's settings are as they were before.", undone.backup)

    router.add("GET", "/claude/config", show, scope="admin")
    router.add("POST", "/claude/config/proxy", to_proxy, scope="admin")
    router.add("POST", "/claude/config/direct", to_anthropic, scope="admin")
    router.add("POST", "/claude/config/set", to_address, scope="admin")
    router.add("POST", "/claude/config/reset", reset, scope="admin")


def _env(variables: Mapping[str, str | None]) -> dict[document.Path, str | None]:
    return {("env", name): value for name, value in variables.items()}


async def _target(accounts: Accounts, base: str, key: str) -> Target:
    try:
        listed = await offered(accounts)
    except ProxyError as error:
        raise Refused(502, f"which models there are could not be had: {error.cause}", error.remedy) from None
    models = read_models(msgspec.json.encode({"data": [shown(model) for model in listed]}))
    if not models:
        raise Refused(409, "no model can be used")
    main, small = claude_code.usual(models)
    return Target(base, models, main, small, key)


def _own_address(exchange: Exchange) -> str:
    host = exchange.request.headers.get("host", "")
    try:
        here = is_loopback(urlsplit(f"//{host}").hostname)
    except ValueError:
        here = False
    if not here:
        raise Refused(400, *ADDRESS)
    return f"http://{host}"


def _callers_key(exchange: Exchange) -> str:
    """What it called with, if that may ask models; the server itself knows no key, only hashes."""
    if "inference" not in exchange.rights:
        raise Refused(400, "apiKey is required: yours may not ask models, so Claude Code needs another")
    headers = exchange.request.headers
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    return headers.get("x-api-key") or (bearer.strip() if scheme.lower() == "bearer" else "") or KEYLESS


def _is_here(peer: str) -> bool:
    try:
        address = ip_address(peer.partition("%")[0])
    except ValueError:
        return False
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return (mapped or address).is_loopback


def _content(place: Place) -> dict[str, Any]:
    try:
        text = place.path.read_text(encoding="utf-8")
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError:
        raise document.Refused(f"{place.path} is no UTF-8") from None
    return place.format.read(text if text.strip() else place.format.empty).content()


async def _run(work: Callable[[], T]) -> T:
    with _explained():
        return await trio.to_thread.run_sync(work)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (document.Refused, DamagedFile) as error:
        raise Refused(409, str(error)) from None
    except files.NothingToUndo as error:
        raise Refused(404, str(error)) from None
    except StoreBusy as error:
        raise Refused(503, str(error), retry_after=1) from None
    except OSError as error:
        raise Refused(503, f"Claude Code's settings could not be changed: {error.strerror or error}") from None


async def _answer(exchange: Exchange, value: dict[str, Any]) -> None:
    await exchange.respond(200, msgspec.json.encode({"success": True, **value}))
