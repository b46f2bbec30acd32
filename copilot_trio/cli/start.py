"""``start``: serve the accounts on one port."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path

import msgspec
import trio

from copilot_trio import __version__, logs
from copilot_trio.accounts.account import Account
from copilot_trio.accounts.importing import find_accounts, known_directories
from copilot_trio.accounts.offer import offered
from copilot_trio.accounts.store import load_accounts
from copilot_trio.admin.codex_proxy import Home
from copilot_trio.admission import Pace
from copilot_trio.app import App, CannotListen, connection_cap, serve
from copilot_trio.clients.places import place_of
from copilot_trio.config import Config, DamagedFile, data_directory, load_config
from copilot_trio.errors import ProxyError
from copilot_trio.server.listen import Limits
from copilot_trio.upstream.network import Dial

from .access import access_of, with_a_key
from .ask import confirmed
from .auth import check_token, sign_in, store
from .credentials import asked_record, given_credential
from .equipment import equipment
from .failure import CommandFailed
from .hosts import chosen_hosts
from .import_accounts import import_found, show_found
from .launch import offer_claude_code
from .network import check_ca_file, chosen_egress
from .notice import first_run_notice
from .say import say
from .terminal import terminal_for

MIB = 1024 * 1024
SHOWN_MODELS = 12
LOOPBACK, EVERYWHERE = "127.0.0.1", {"0.0.0.0", "::"}  # noqa: S104 (what a client here calls a server on all)


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    ring = logs.LogRing()
    logs.set_up(verbose=options.verbose, ring=ring)
    directory = data_directory(environment)
    accounts_path = directory / "accounts.json"
    try:
        config = load_config(directory / "config.json")
        stored = load_accounts(accounts_path)
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None
    if options.wait and options.rate_limit is None:
        raise CommandFailed("--wait says what --rate-limit does with a request that comes too soon: give both", 2)
    terminal = None
    if options.manual or options.claude_code:
        terminal = terminal_for("--manual" if options.manual else "--claude-code")
    egress = chosen_egress(options, environment, config)
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
    config = with_a_key(options, config, directory)
    allowed = partial(access_of, options, environment)
    limits = Limits(
        max_body=options.max_body * MIB,
        drain=options.drain,
        max_connections=connection_cap(options.max_connections),
    )
    make = partial(
        App,
        config,
        seats,
        allowed(config),
        limits,
        accounts_file=accounts_path,
        equip=equip if credential is None else None,
        config_file=directory / "config.json",
        amend=partial(_amended, options),
        access_of=allowed,
        approve=terminal if options.manual else None,
        pace=None if options.rate_limit is None else Pace(options.rate_limit, wait=options.wait),
        usage_file=directory / "usage.sqlite3",
        ring=ring,
        show_token=options.show_token,
        home=Home(known_directories(Path.home()), place_of("claude-code", environment, Path.home())),
        ca_file=options.ca_file,
    )
    source = "accounts.json" if credential is None else credential.source
    show_launch = None
    if options.claude_code and terminal is not None:
        key = next(iter(options.api_key), None)
        show_launch = partial(offer_claude_code, terminal=terminal, key=key, environment=environment)
    trio.run(_serve, options, make, source, show_launch)
    return 0


def _amended(options: argparse.Namespace, config: Config) -> Config:
    """What flags say counts for more than what is stored."""
    return msgspec.structs.replace(config, auto_thinking=False) if options.no_auto_thinking else config


async def _serve(
    options: argparse.Namespace,
    make: Callable[[], App],
    source: str,
    show_launch: Callable[..., Awaitable[None]] | None,
) -> None:
    try:
        app = make()
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None

    reachable: list[str] = []

    def on_listening(host: str, port: int) -> None:
        say(f"copilot_trio {__version__}: unofficial, not made or supported by GitHub; its terms apply to you")
        say(f"accounts   {', '.join(map(_shown, app.accounts.accounts))}, from {source}")
        print_addresses(host, port, keyed=app.keyed)
        reachable.append(base_url(LOOPBACK if host in EVERYWHERE else host, port))

    async def beside() -> None:
        await show_models(app)
        if show_launch is not None:
            await show_launch(app, base_url=reachable[0])

    try:
        await serve(app, options.host, options.port, on_listening=on_listening, beside=beside)
    except CannotListen as error:
        raise CommandFailed(f"{error}. Choose another --port.") from None


def _shown(account: Account) -> str:
    status = "" if account.status == "active" else f", {account.status}"
    return f"{account.label} ({account.record.account_type}{status})"


def print_addresses(host: str, port: int, *, keyed: bool) -> None:
    base = base_url(host, port)
    key = " and your key" if keyed else ", any key"
    say(f"listening  {base}")
    say(f"OpenAI     base URL {base}/v1{key}")
    say(f"Anthropic  base URL {base}{key}")
    say(f"dashboard  {base_url(LOOPBACK if host in EVERYWHERE else host, port)}/dashboard")


def base_url(host: str, port: int) -> str:
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


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
