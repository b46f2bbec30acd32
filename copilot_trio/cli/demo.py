"""``demo``: the twin and the proxy in one process. Nothing of the user's is read: no data, no tokens, no proxies."""

from __future__ import annotations

import argparse
import time
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import trio

from copilot_trio import __version__, logs
from copilot_trio.accounts.account import AccountRecord, AccountType
from copilot_trio.accounts.joining import new_record
from copilot_trio.accounts.store import AccountsFile, save_accounts, write_private
from copilot_trio.app import App, CannotListen, connection_cap, serve
from copilot_trio.config import load_config
from copilot_trio.github.hosts import is_loopback
from copilot_trio.server.auth import Access
from copilot_trio.server.listen import Limits
from copilot_trio.twin import Account as TwinAccount
from copilot_trio.twin import Ports, Twin, serve_twin
from copilot_trio.upstream.egress import direct
from copilot_trio.usage.store import MAX_BYTES, open_store

from .equipment import equipment
from .failure import CommandFailed
from .past_usage import past_usage
from .say import say
from .start import print_addresses, show_models
from .stored import accounts_path

CURL = """
try        curl -N {base}/v1/chat/completions -H 'Content-Type: application/json' \\
             -d '{{"model":"gpt-4.1","stream":true,"messages":[{{"role":"user","content":"What is a proxy?"}}]}}'
           curl -N {base}/v1/messages -H 'Content-Type: application/json' \\
             -d '{{"model":"gpt-4.1","max_tokens":300,"stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'
           curl {base}/api/accounts
"""
# An emulator has no bursts to be spared.
SETTINGS = b'{"accounts": {"start_gap": 0, "move_delay": [0, 0]}}\n'
ACCOUNT_TYPES: dict[str, AccountType] = {"business": "business", "enterprise": "enterprise"}


def run(options: argparse.Namespace, _: Mapping[str, str]) -> int:
    ring = logs.LogRing()
    logs.set_up(verbose=options.verbose, ring=ring)
    if not is_loopback(options.host):
        raise CommandFailed("the demo has no keys, so it listens on loopback hosts only", 2)
    with TemporaryDirectory(prefix="copilot-trio-demo-") as directory:
        try:
            trio.run(_serve, options, Path(directory), ring)
        except* CannotListen as group:
            raise CommandFailed(f"{group.exceptions[0]}. Choose another --port.") from None
    return 0


async def _serve(options: argparse.Namespace, directory: Path, ring: logs.LogRing) -> None:
    twin = Twin()
    async with trio.open_nursery() as nursery:
        ports: Ports = await nursery.start(serve_twin, twin)
        path = accounts_path(directory)
        records = tuple(_record(account) for account in twin.accounts)
        save_accounts(path, AccountsFile(accounts=records))
        usage_file = directory / "usage.sqlite3"
        await trio.to_thread.run_sync(_remember, usage_file, records)
        equip = equipment(_flags(ports.base_url), {}, direct())
        limits = Limits(max_connections=connection_cap(1000))
        config_file = directory / "config.json"
        write_private(config_file, SETTINGS)
        app = App(
            load_config(config_file),
            [],
            Access(options.host),
            limits,
            accounts_file=path,
            equip=equip,
            config_file=config_file,
            usage_file=usage_file,
            ring=ring,
            show_token=True,  # an emulator's
        )

        def on_listening(host: str, port: int) -> None:
            say(f"copilot_trio {__version__} demo: no account, no network; an emulator gives canned answers")
            records = [account.record for account in app.accounts.accounts]
            say(f"accounts   {', '.join(f'{record.label} ({record.account_type})' for record in records)}")
            print_addresses(host, port, keyed=False)
            say(f"data       {directory}, until it ends: COPILOT_TRIO_HOME={directory} copilot-trio list-accounts")
            say(CURL.format(base=f"http://{host}:{port}").strip("\n"))

        await serve(app, options.host, options.port, on_listening=on_listening, beside=lambda: show_models(app))
        nursery.cancel_scope.cancel("the demo is over")


def _remember(usage_file: Path, records: tuple[AccountRecord, ...]) -> None:
    with closing(open_store(usage_file, MAX_BYTES, time.time)) as store:
        store.write(list(past_usage(records, time.time())))


def _flags(base_url: str) -> argparse.Namespace:
    """As if somebody had given the emulator's address by flags."""
    return argparse.Namespace(
        enterprise_host=None,
        github_base_url=base_url,
        github_api_base_url=base_url,
        copilot_base_url=None,
        ca_file=None,
    )


def _record(account: TwinAccount) -> AccountRecord:
    return msgspec.structs.replace(
        new_record(
            account.token,
            label=account.label or account.login,
            account_type=ACCOUNT_TYPES.get(account.plan, "individual"),
        ),
        login=account.login,
    )
