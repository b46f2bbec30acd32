"""Are Claude Code, Codex and opencode pointed here, and with what? Their files are read, never written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from copilot_trio.clients.document import Refused
from copilot_trio.clients.places import Place, place_of
from copilot_trio.github.hosts import is_loopback
from copilot_trio.models.mapping import resolve
from copilot_trio.models.model import Model

from .finding import Finding, ok, warning

MAX_FILE = 1024 * 1024
CLAUDE_MODELS = ("ANTHROPIC_MODEL", "ANTHROPIC_SMALL_FAST_MODEL", "ANTHROPIC_DEFAULT_OPUS_MODEL",
                 "ANTHROPIC_DEFAULT_SONNET_MODEL", "ANTHROPIC_DEFAULT_HAIKU_MODEL")  # fmt: skip
COMPACT_WINDOW = "CLAUDE_CODE_AUTO_COMPACT_WINDOW"
AUTO_MODE = "its auto mode asks before risky commands here, for Copilot is not sent its safeguards"


class Unreadable(Exception):
    """A client's file that is not what it should be."""


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """How a client is configured. ``models``: by the setting that names one. ``limits``: tokens that are claimed for a
    model. ``problems`` each come with a remedy."""

    name: str
    base: str = ""
    where: str = ""
    models: Mapping[str, str] = {}
    limits: Mapping[str, int] = {}
    problems: Sequence[tuple[str, str]] = ()
    note: str = ""


class Surroundings(msgspec.Struct, frozen=True):
    """Where clients look: the user's home, the working directory, the environment."""

    home: Path
    here: Path
    environment: Mapping[str, str]


def read_clients(around: Surroundings, port: int) -> tuple[list[Client], list[Finding]]:
    """Those that are pointed at ``port`` of this machine; and what there is to say of each."""
    ours, findings = [], []
    for name, read in READERS.items():
        try:
            client = read(around)
        except Unreadable as error:
            findings.append(warning(name, str(error), "Mend it: the client cannot read it either."))
            continue
        if client is not None and _points_at(client.base, port):
            ours.append(client)
            findings += _judged(client)
        else:
            findings.append(_elsewhere(name, client, port))
    return ours, findings


def too_large_limits(client: Client, models: Mapping[str, Model], mapping: Mapping[str, str]) -> list[Finding]:
    """Who believes in a larger window than there is compacts too late, and is refused."""
    found = []
    for name, claimed in client.limits.items():
        _, meant = resolve(name, mapping, models)
        limits = None if meant is None else models[meant].limits
        real = 0 if limits is None else limits.max_context_window_tokens or limits.max_prompt_tokens
        if 0 < real < claimed:
            message = f"{client.where} gives {name} {claimed} tokens, and Copilot {real}"
            found.append(warning(client.name, message, f"Lower it to {real}: {_setup(client.name)} does."))
    return found


def _points_at(base: str, port: int) -> bool:
    parts = urlsplit(base)
    return is_loopback(parts.hostname) and (parts.port or 80) == port


def _elsewhere(name: str, client: Client | None, port: int) -> Finding:
    if client is None:
        return ok(name, "no configuration was found")
    host = urlsplit(client.base).hostname if client.base else None
    if is_loopback(host):
        message = f"{client.where} points it at {_bare(client.base)}, and not at port {port}"
        return warning(name, message, f"{_setup(name)}, or run `doctor` with the right --port.")
    return ok(name, f"{client.where} does not point it here; {_setup(name)} does")


def _judged(client: Client) -> Iterator[Finding]:
    for message, remedy in client.problems:
        yield warning(client.name, message, remedy)
    if not client.problems:
        yield ok(client.name, f"{client.where} points it here{f'; {client.note}' if client.note else ''}")


def _claude_code(around: Surroundings) -> Client | None:
    """Later files win over earlier ones, and all of them over the environment."""
    own, near = (place_of("claude-code", around.environment, around.home, project) for project in (None, around.here))
    shared = msgspec.structs.replace(near, path=near.path.with_name("settings.json"))
    merged = {
        name: value for name, value in around.environment.items() if name.startswith(("ANTHROPIC_", "CLAUDE_CODE_"))
    }
    where, found = "the environment" if merged.get("ANTHROPIC_BASE_URL") else "", False
    for place in (own, shared, near):
        settings = _content(place)
        found |= settings is not None
        variables = _strings(_object(settings, "env"))
        where = str(place.path) if "ANTHROPIC_BASE_URL" in variables else where
        merged |= variables
    if not found and not where:
        return None
    base = _url(merged.get("ANTHROPIC_BASE_URL", ""), where)
    models = {name: merged[name] for name in CLAUDE_MODELS if merged.get(name)}
    window = merged.get(COMPACT_WINDOW, "")
    main = merged.get("ANTHROPIC_MODEL")
    limits = {main: int(window)} if main and window.isascii() and window.isdecimal() else {}
    problems = list(_claude_problems(base, merged, models))
    return Client(
        name="claude-code", base=base, where=where or str(own.path), models=models, limits=limits, problems=problems,
        note=AUTO_MODE,
    )  # fmt: skip


def _claude_problems(base: str, merged: Mapping[str, str], models: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    if urlsplit(base).path.rstrip("/").endswith("/v1"):
        yield f"its ANTHROPIC_BASE_URL is {_bare(base)}, and it adds /v1 itself", "Take the /v1 away."
    if merged.get("ANTHROPIC_API_KEY") and merged.get("ANTHROPIC_AUTH_TOKEN"):
        yield "both ANTHROPIC_API_KEY and ANTHROPIC_AUTH_TOKEN are set", "Keep ANTHROPIC_AUTH_TOKEN only."
    elif not merged.get("ANTHROPIC_API_KEY") and not merged.get("ANTHROPIC_AUTH_TOKEN"):
        yield "no ANTHROPIC_AUTH_TOKEN is set: it will want a login", "Set one; without keys here any word will do."
    for name, model in models.items():
        if model.endswith("[1m]"):
            yield f"{name} is {model}: [1m] makes it send more than the window that Copilot has", "Take the [1m] away."


def _codex(around: Surroundings) -> Client | None:
    place = place_of("codex", around.environment, around.home)
    settings, path = _content(place), place.path
    if settings is None:
        return None
    chosen = settings.get("model_provider")
    provider = _object(_object(settings, "model_providers"), chosen if isinstance(chosen, str) else "")
    base = _url(_string(provider, "base_url"), path)
    problems = list(_codex_problems(base, provider, around.environment))
    model = _string(settings, "model")
    limit = settings.get("model_context_window")
    return Client(
        name="codex", base=base, where=str(path), models={"model": model} if model else {}, problems=problems,
        limits={model: limit} if model and isinstance(limit, int) else {},
    )  # fmt: skip


def _codex_problems(
    base: str, provider: Mapping[str, Any], environment: Mapping[str, str]
) -> Iterator[tuple[str, str]]:
    if provider.get("wire_api") != "responses":
        yield 'its provider has no wire_api = "responses"', "Add that line: Codex speaks nothing else."
    if not urlsplit(base).path.rstrip("/").endswith("/v1"):
        yield f"its base_url is {_bare(base)}, without /v1", "Add /v1 at its end."
    key = _string(provider, "env_key")
    if key and not environment.get(key):
        yield (
            f"its env_key names {key}, which is not set in this environment",
            f"Set {key}; without keys any word will do.",
        )


def _opencode(around: Surroundings) -> Client | None:
    """Of the project's file and the user's the first with a provider that goes to loopback, else the first there is."""
    places = [place_of("opencode", around.environment, around.home, project) for project in (around.here, None)]
    clients = [client for place in places for client in _opencode_providers(place)]
    return next(
        (client for client in clients if is_loopback(urlsplit(client.base).hostname)), next(iter(clients), None)
    )


def _opencode_providers(place: Place) -> Iterator[Client]:
    settings, path = _content(place), place.path
    if settings is None:
        return
    providers = _object(settings, "provider")
    if not providers:
        yield Client(name="opencode", where=str(path))
    for name in providers:
        provider = _object(providers, name)
        base = _url(_string(_object(provider, "options"), "baseURL"), path)
        models = _object(provider, "models")
        limits = {model: _object(_object(models, model), "limit") for model in models}
        problems = [
            (f"{path}: {model} has no limit.output, so opencode refuses the file", f"{_setup('opencode')} adds it.")
            for model, limit in limits.items()
            if limit and "output" not in limit
        ]
        if not urlsplit(base).path.rstrip("/").endswith("/v1"):
            problems.append((f"its baseURL is {_bare(base)}, without /v1", "Add /v1 at its end."))
        yield Client(
            name="opencode", base=base, where=str(path), models={f"{name}/{model}": model for model in models},
            limits={model: size for model, limit in limits.items() if isinstance(size := limit.get("context"), int)},
            problems=problems,
        )  # fmt: skip


READERS: dict[str, Callable[[Surroundings], Client | None]] = {
    "claude-code": _claude_code,
    "codex": _codex,
    "opencode": _opencode,
}


def _content(place: Place) -> dict[str, Any] | None:
    """None where there is no such file."""
    text = _text(place.path)
    if text is None or not text.strip():
        return None if text is None else {}
    try:
        return place.format.read(text).content()
    except Refused as error:
        raise Unreadable(f"{place.path} cannot be read: {error}") from None


def _text(path: Path) -> str | None:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(MAX_FILE)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Unreadable(f"{path} cannot be read: {error}") from None


def _object(value: Mapping[str, Any] | None, name: str) -> dict[str, Any]:
    found = (value or {}).get(name)
    return found if isinstance(found, dict) else {}


def _string(value: Mapping[str, Any], name: str) -> str:
    found = value.get(name)
    return found if isinstance(found, str) else ""


def _strings(value: Mapping[str, Any]) -> dict[str, str]:
    return {name: str(inner) for name, inner in value.items() if isinstance(inner, str | int)}


def _url(text: str, where: object) -> str:
    try:
        _ = urlsplit(text).port
    except ValueError:
        raise Unreadable(f"the base URL in {where} is no URL") from None
    return text


def _bare(base: str) -> str:
    """Without a password that somebody put in."""
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _setup(name: str) -> str:
    return f"`copilot-trio setup {name} --write`"
