"""``debug``: versions, paths, credentials present, proxy; fit to be shown to others, for no secret is in it."""

from __future__ import annotations

import argparse
import platform
import ssl
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio import __version__
from copilot_trio.accounts.store import load_accounts
from copilot_trio.config import Config, DamagedFile, data_directory, load_config
from copilot_trio.upstream.proxy_url import shown_proxy

from .list_accounts import printable
from .say import say

LIBRARIES = ("trio", "h11", "httpcore", "msgspec", "python-socks", "trio-websocket")
TOKENS = ("COPILOT_TRIO_GITHUB_TOKEN", "GH_TOKEN")
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    shown = _shown(data_directory(environment), environment)
    if options.json:
        say(msgspec.json.format(msgspec.json.encode(shown), indent=2).decode())
    else:
        for line in _lines(shown):
            say(printable(line))
    return 0


def _shown(directory: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    config, problems = _config(directory / "config.json")
    stored, more_problems = _stored(directory / "accounts.json")
    return {
        "version": __version__,
        "runtime": {
            "name": platform.python_implementation(),
            "version": platform.python_version(),
            "platform": sys.platform,
            "arch": platform.machine(),
            "openssl": ssl.OPENSSL_VERSION,
            "libraries": {name: found for name in LIBRARIES if (found := _version(name))},
        },
        "paths": {
            "APP_DIR": str(directory),
            "GITHUB_TOKEN_PATH": str(directory / "accounts.json"),
            "CONFIG_PATH": str(directory / "config.json"),
            "USAGE_PATH": str(directory / "usage.sqlite3"),
        },
        "credentials": {
            **stored,
            "clientKeys": len(config.keys),
            "environment": [name for name in TOKENS if environment.get(name)],
        },
        "proxy": {**_saved(config), "environment": dict(_of_environment(environment))},
        "problems": problems + more_problems,
    }


def _config(path: Path) -> tuple[Config, list[str]]:
    try:
        return load_config(path), []
    except DamagedFile as error:
        return Config(), [str(error)]


def _stored(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Numbers are null where the file cannot be read."""
    try:
        file = load_accounts(path)
    except DamagedFile as error:
        return {"accounts": None, "ownProxies": None}, [str(error)]
    proxied = sum(record.proxy is not None for record in file.accounts)
    return {"accounts": len(file.accounts), "ownProxies": proxied}, []


def _saved(config: Config) -> dict[str, Any]:
    saved = config.proxy
    if saved is None:
        return {"status": "none", "HTTP_PROXY": None, "HTTPS_PROXY": None, "NO_PROXY": None}
    return {
        "status": "enabled" if saved.enabled else "disabled",
        "HTTP_PROXY": shown_proxy(saved.http_proxy) if saved.http_proxy else None,
        "HTTPS_PROXY": shown_proxy(saved.https_proxy) if saved.https_proxy else None,
        "NO_PROXY": saved.no_proxy or None,
    }


def _of_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Used with ``--proxy-env`` only."""
    for name, value in environment.items():
        if value and name.upper() in PROXIES:
            yield name, shown_proxy(value)
        elif value and name.upper() == "NO_PROXY":
            yield name, value


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _lines(shown: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    for name, value in shown.items():
        if isinstance(value, dict):
            yield f"{indent}{name}:"
            yield from _lines(value, f"{indent}  ")
        elif isinstance(value, list):
            yield f"{indent}{name}: {', '.join(map(str, value)) or '-'}"
        else:
            yield f"{indent}{name}: {'-' if value is None else value}"
