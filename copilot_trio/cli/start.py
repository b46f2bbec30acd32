"""``start``: serve the accounts on one port."""

from __future__ import annotations

import argparse
import secrets
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from copilot_trio import __version__, logs
from copilot_trio.accounts.account import Account
from copilot_trio.accounts.importing import find_accounts, known_directories
from copilot_trio.accounts.offer import offered
from copilot_trio.accounts.store import load_accounts, write_private
from copilot_trio.app import App, CannotListen, Seat, connection_cap, serve
from copilot_trio.config import ApiKey, Config, DamagedFile, data_directory, load_config
from copilot_trio.errors import ProxyError
from copilot_trio.github.hosts import is_loopback
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.listen import Limits
from copilot_trio.upstream.network import Dial

from .ask import confirmed
from .auth import check_token, sign_in, store
from .credentials import asked_record, given_credential
from .equipment import Equip, equipment
from .failure import CommandFailed
from .hosts import chosen_hosts
from .import_accounts import import_found, show_found
from .network import check_ca_file, chosen_egress
from .notice import first_run_notice
from .say import say

MIB = 1024 * 1024
SHOWN_MODELS = 12


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    directory = data_directory(environment)
    accounts_path = directory / "accounts.json"
    try:
        config = load_config(directory / "config.json")
        stored = load_accounts(accounts_path)
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None
    if options.no_auto_thinking:
        config = msgspec.structs.replace(config, auto_thinking=False)
    egress = chosen_egress(options, environment)
    check_ca_file(options.ca_file)
    credential = given_credential(options, environment, any_stored=bool(stored.accounts))
    if credential is None and not stored.accounts:
        _first_run(options, environment, config, egress.dial, directory)
    equip = equipment(options, environment, egress)
    seats = []
    if credential is not None:
        seats = [equip(credential.record)]
        if options.save:
            login = trio.run(
                check_token, config, credential.record, seats[0].hosts, seats[0].egress.dial, options.ca_file
            )
            store(directory, msgspec.structs.replace(credential.record, login=login, label=""), options.account_type)
    access = _access(options, config, directory / "config.json")
    limits = Limits(
        max_body=options.max_body * MIB,
        drain=options.drain,
        max_connections=connection_cap(options.max_connections),
    )
    source = "accounts.json" if credential is None else credential.source
    trio.run(
        _serve, options, config, seats, equip if credential is None else None, source, access, limits, accounts_path
    )
    return 0


async def _serve(
    options: argparse.Namespace,
    config: Config,
    seats: list[Seat],
    equip: Equip | None,
    source: str,
    access: Access,
    limits: Limits,
    accounts_path: Path,
) -> None:
    try:
        app = App(config, seats, access, limits, accounts_file=accounts_path, equip=equip, ca_file=options.ca_file)
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None

    def on_listening(host: str, port: int) -> None:
        say(f"copilot_trio {__version__}: unofficial, not made or supported by GitHub; its terms apply to you")
        say(f"accounts   {', '.join(map(_shown, app.accounts.accounts))}, from {source}")
        print_addresses(host, port, keyed=bool(access.keys))

    try:
        await serve(app, options.host, options.port, on_listening=on_listening, beside=lambda: show_models(app))
    except CannotListen as error:
        raise CommandFailed(f"{error}. Choose another --port.") from None


def _shown(account: Account) -> str:
    status = "" if account.status == "active" else f", {account.status}"
    return f"{account.label} ({account.record.account_type}{status})"


def print_addresses(host: str, port: int, *, keyed: bool) -> None:
    shown = f"[{host}]" if ":" in host else host
    base = f"http://{shown}:{port}"
    key = " and your key" if keyed else ", any key"
    say(f"listening  {base}")
    say(f"OpenAI     base URL {base}/v1{key}")
    say(f"Anthropic  base URL {base}{key}")


async def show_models(app: App) -> None:
    """What the account is offered, once that is known. A failure here is the first word on what is wrong."""
    try:
        models = await offered(app.accounts)
    except ProxyError as error:
        print(f"copilot-trio: {error}", file=sys.stderr, flush=True)
        return
    names = [model.id for model in models if model.capabilities.type == "chat"]
    more = f" and {len(names) - SHOWN_MODELS} more" if len(names) > SHOWN_MODELS else ""
    say(f"models     {', '.join(names[:SHOWN_MODELS])}{more}")


def _first_run(
    options: argparse.Namespace, environment: Mapping[str, str], config: Config, dial: Dial, directory: Path
) -> None:
    if not sys.stdin.isatty():
        raise CommandFailed(
            "no account: run `copilot-trio auth` on a terminal, or give --github-token-file FILE "
            "or COPILOT_TRIO_GITHUB_TOKEN",
            2,
        )
    say(first_run_notice(config.identity))
    found = find_accounts(known_directories(Path.home()), own=directory)
    if found.records:
        show_found(found)
        if confirmed("Import them? Nothing there is changed.", flag="--github-token-file"):
            import_found(directory, found)
            return
    hosts = chosen_hosts(options, environment)
    record = trio.run(sign_in, config, asked_record(options), hosts, dial, options.ca_file)
    store(directory, record, options.account_type)


def _access(options: argparse.Namespace, config: Config, config_path: Path) -> Access:
    """Keys from flags and settings. A host that others can reach is never served without one, unless told so twice."""
    loopback = is_loopback(options.host)
    if options.no_auth:
        if not loopback and not options.i_know:
            raise CommandFailed(
                f"--no-auth on {options.host} lets everybody in reach spend: add --i-know if so meant", 2
            )
        return Access(options.host, (), tuple(options.allowed_host), tuple(options.allowed_origin))
    keys = [ApiKey(f"flag {number}", hash_key(key)) for number, key in enumerate(options.api_key, 1)]
    keys += config.keys
    if not keys and not loopback:
        _check_can_listen(options.host, options.port)  # or the key would be shown in vain
        keys.append(_generate_key(config, config_path))
    return Access(options.host, tuple(keys), tuple(options.allowed_host), tuple(options.allowed_origin))


def _check_can_listen(host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise CommandFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def _generate_key(config: Config, config_path: Path) -> ApiKey:
    secret = f"ct-{secrets.token_urlsafe(24)}"
    key = ApiKey("generated", hash_key(secret))
    changed = msgspec.structs.replace(config, keys=(*config.keys, key))
    try:
        write_private(config_path, msgspec.json.format(msgspec.json.encode(changed), indent=2) + b"\n")
    except OSError as error:
        raise CommandFailed(f"a generated key could not be stored in {config_path}: {error.strerror}") from None
    say(f"API key, shown this once: {secret}")
    return key
