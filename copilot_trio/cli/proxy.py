"""``proxy``: the saved proxy in ``config.json`` (product.md §4.9). Passwords are never shown."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from copilot_trio.config import Config, ProxySettings, data_directory
from copilot_trio.upstream.proxy_url import check_proxy_url, shown_proxy

from .failure import CommandFailed
from .list_accounts import printable
from .say import say
from .settings import change_config
from .stored import read_config

NEXT_START = "It is used from the next start on."
NOTHING = "No proxy is saved."
Change = Callable[[ProxySettings | None], ProxySettings | None]


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    given = {name: getattr(options, name) for name in ("http_proxy", "https_proxy", "no_proxy")}
    given = {name: value.strip() for name, value in given.items() if value is not None}
    saved = read_config(directory).proxy
    if given and (options.show or options.enable or options.disable or options.clear):
        raise CommandFailed("a proxy's values are given alone, or with --set", 2)
    if given:
        _check(given)
        _change(directory, lambda before: _with(before, given))
        say(f"The proxy is saved and enabled. {NEXT_START}")
    elif options.set:
        _ask(directory, saved)
    elif options.clear:
        _change(directory, lambda _: None)
        say("The saved proxy is forgotten." if saved else NOTHING)
    elif options.enable or options.disable:
        _switch(directory, on=options.enable)
        say(f"The proxy is enabled. {NEXT_START}" if options.enable else "The proxy is disabled, and still saved.")
    else:
        _show(saved)
    return 0


def _with(before: ProxySettings | None, given: Mapping[str, str]) -> ProxySettings:
    """An empty value takes one away."""
    values: dict[str, Any] = {"no_proxy": given["no_proxy"]} if "no_proxy" in given else {}
    values |= {name: given[name] or None for name in ("http_proxy", "https_proxy") if name in given}
    if values.get("http_proxy") and (before is None or before.https_proxy in {None, before.http_proxy}):
        values.setdefault("https_proxy", values["http_proxy"])
    try:
        if before is None:
            return ProxySettings(**values)
        return msgspec.structs.replace(before, enabled=True, **values)
    except ValueError as error:
        raise CommandFailed(f"{error}: give --http-proxy or --https-proxy", 2) from None


def _check(given: Mapping[str, str]) -> None:
    for name in ("http_proxy", "https_proxy"):
        if given.get(name):
            try:
                check_proxy_url(given[name])
            except ValueError as error:
                raise CommandFailed(f"--{name.replace('_', '-')}: {error}", 2) from None


def _switch(directory: Path, *, on: bool) -> None:
    def change(before: ProxySettings | None) -> ProxySettings:
        if before is None:
            raise CommandFailed("no proxy is saved: `copilot-trio proxy --set` asks for one")
        return msgspec.structs.replace(before, enabled=on)

    _change(directory, change)


def _ask(directory: Path, saved: ProxySettings | None) -> None:
    if not sys.stdin.isatty():
        raise CommandFailed("there is no terminal to ask on: give --http-proxy, --https-proxy or --no-proxy", 2)
    say(
        "Enter keeps what is in brackets, - takes it away. A proxy is not shown as it is typed: it may hold a password."
    )
    try:
        http = _ask_url("HTTP proxy", saved.http_proxy if saved else None)
        https = _ask_url("HTTPS proxy", (saved.https_proxy if saved else None) or http)
        no_proxy = _answer(
            input(_prompt("No proxy for", saved.no_proxy if saved else "")), saved.no_proxy if saved else ""
        )
        if not http and not https:
            raise CommandFailed(
                "neither proxy was given: nothing was changed. `copilot-trio proxy --clear` forgets one"
            )
        enabled = input("Enable it now? [Y/n] ").strip().lower() not in {"n", "no"}
    except EOFError:
        print()
        raise CommandFailed("nothing was changed") from None
    settings = ProxySettings(enabled, http, https, no_proxy)
    _change(directory, lambda _: settings)
    say(f"The proxy is saved and enabled. {NEXT_START}" if enabled else "The proxy is saved, and disabled.")


def _ask_url(name: str, known: str | None) -> str | None:
    while True:
        answer = _answer(getpass.getpass(_prompt(name, shown_proxy(known) if known else "")), known or "")
        try:
            return check_proxy_url(answer) if answer else None
        except ValueError as error:
            say(str(error))


def _prompt(name: str, known: str) -> str:
    return f"{name} [{known or 'none'}]: "


def _answer(text: str, known: str) -> str:
    text = text.strip()
    return "" if text == "-" else text or known


def _show(saved: ProxySettings | None) -> None:
    if saved is None:
        say(NOTHING)
        return
    rows = (
        ("Status", "enabled" if saved.enabled else "disabled"),
        ("HTTP_PROXY", shown_proxy(saved.http_proxy) if saved.http_proxy else "-"),
        ("HTTPS_PROXY", shown_proxy(saved.https_proxy) if saved.https_proxy else "-"),
        ("NO_PROXY", saved.no_proxy or "-"),
    )
    say("\n".join(f"{name:<12} {printable(value)}" for name, value in rows))


def _change(directory: Path, change: Change) -> None:
    def of_config(config: Config) -> Config:
        return msgspec.structs.replace(config, proxy=change(config.proxy))

    change_config(directory, of_config)
