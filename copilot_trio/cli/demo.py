"""``demo``: the twin and the proxy in one process. Nothing of the user's is read: no data, no tokens, no proxies."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import trio

from copilot_trio import __version__, logs
from copilot_trio.accounts.account import AccountRecord, AccountType, Hosts
from copilot_trio.accounts.store import new_id, new_machine_id
from copilot_trio.app import App, CannotListen, Seat, connection_cap, serve
from copilot_trio.config import Config
from copilot_trio.github.hosts import is_loopback
from copilot_trio.server.auth import Access
from copilot_trio.server.listen import Limits
from copilot_trio.twin import Account as TwinAccount
from copilot_trio.twin import Ports, Twin, serve_twin

from .failure import CommandFailed
from .say import say
from .start import print_addresses, show_models

CURL = """
try        curl -N {base}/v1/chat/completions -H 'Content-Type: application/json' \\
             -d '{{"model":"gpt-4.1","stream":true,"messages":[{{"role":"user","content":"What is a proxy?"}}]}}'
           curl -N {base}/v1/messages -H 'Content-Type: application/json' \\
             -d '{{"model":"gpt-4.1","max_tokens":300,"stream":true,"messages":[{{"role":"user","content":"Hello!"}}]}}'
"""
ACCOUNT_TYPES: dict[str, AccountType] = {"business": "business", "enterprise": "enterprise"}


def run(options: argparse.Namespace, _: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    if not is_loopback(options.host):
        raise CommandFailed("the demo has no keys, so it listens on loopback hosts only", 2)
    try:
        trio.run(_serve, options)
    except* CannotListen as group:
        raise CommandFailed(f"{group.exceptions[0]}. Choose another --port.") from None
    return 0


async def _serve(options: argparse.Namespace) -> None:
    twin = Twin()
    async with trio.open_nursery() as nursery:
        ports: Ports = await nursery.start(serve_twin, twin)
        hosts = Hosts(ports.base_url, ports.base_url)
        seats = [Seat(_record(account), hosts) for account in twin.accounts]
        app = App(Config(), seats, Access(options.host), Limits(max_connections=connection_cap(1000)))

        def on_listening(host: str, port: int) -> None:
            say(f"copilot_trio {__version__} demo: no account, no network; an emulator gives canned answers")
            say(f"accounts   {', '.join(f'{seat.record.label} ({seat.record.account_type})' for seat in seats)}")
            print_addresses(host, port, keyed=False)
            say(CURL.format(base=f"http://{host}:{port}").strip("\n"))

        await serve(app, options.host, options.port, on_listening=on_listening, beside=lambda: show_models(app))
        nursery.cancel_scope.cancel("the demo is over")


def _record(account: TwinAccount) -> AccountRecord:
    return AccountRecord(
        id=new_id(),
        label=account.label or account.login,
        login=account.login,
        github_token=account.token,
        account_type=ACCOUNT_TYPES.get(account.plan, "individual"),
        machine_id=new_machine_id(),
    )
