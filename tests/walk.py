"""Every promise of product.md §2 and §3, asked for as a user would, and what came: one row each.

``cd tests && PYTHONPATH=.. python walk.py [--markdown]``. The real commands as processes, over the twin: nothing
leaves this machine. Exit code 1 if a row failed. ``B`` is a server without keys and with three accounts, ``K`` one with
keys, ``~`` a home directory of their own.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import trio
import walk_access
import walk_admin
import walk_commands
import walk_routes
import walk_signing_in
import walk_start
from processes import Running, run, twin
from walk_table import Caller, Shell, Table

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.app import App, Seat
from copilot_trio.config import ApiKey, Config
from copilot_trio.config_file import update_config
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.listen import Limits
from copilot_trio.server.router import Route
from copilot_trio.twin import sample_accounts

MANAGEMENT_KEY = "management-key-of-the-walk"
TOKENS = dict(zip(("dev", "home", "work"), (account.token for account in sample_accounts()), strict=True))
NEW = "ghu_SYNTHETICnew00000000000000000000000"
ADDRESS = r"listening +(http://\S+)"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markdown", action="store_true", help="as a table for a document")
    table = Table(markdown=parser.parse_args().markdown)
    with TemporaryDirectory() as directory, twin(Path(directory)) as (base, control):
        tokens = dict.fromkeys((*TOKENS.values(), f"{NEW}new"), "TOKEN")
        table.names |= {base: "TWIN", control: "CONTROL", **tokens}
        walk(table, Path(directory), base, Caller(table, control, "CONTROL"))
    return table.close()


def walk(table: Table, directory: Path, base: str, control: Caller) -> None:
    variables = {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}

    def home(name: str) -> Shell:
        return Shell(table, directory / name, **variables)

    for login in ("new", "page"):
        control.call(
            "POST", "/accounts", {"login": f"octo-{login}", "token": f"{NEW}{login}", "plan": "individual_pro"}
        )
    main_home, empty = home("main"), home("empty")
    table.part(walk_commands.accounts, main_home, TOKENS, f"{NEW}new")
    with serving(main_home) as server, keyed_server(home("keyed")) as keyed:
        b = Caller(table, server.wait_for(ADDRESS)[1])
        k = Caller(table, keyed.wait_for(ADDRESS)[1], "K")
        table.names |= {b.address: "B", k.address: "K"}
        slow = walk_access.SlowClients(b.address)
        table.part(walk_start.printed, main_home, server, b)
        at_once = {"accounts": {"start_gap": 0, "move_delay": [0, 0]}}
        b.ask("2.3", "no pauses between accounts", "PUT", "/api/config", at_once, "updated.accounts.start_gap=0.0")
        table.part(walk_routes.model_routes, b, control)
        table.part(walk_routes.monitoring, b, k, walk_admin.ADMIN)
        table.part(walk_admin.accounts, b, control, f"{NEW}new")
        table.part(walk_admin.settings, b, walk_routes.CHAT_MODEL)
        table.part(walk_admin.watching, b, walk_routes.CHAT_MODEL)
        table.part(walk_admin.codex_proxy, b, control, f"{NEW}new")
        table.part(walk_admin.management, b, k, MANAGEMENT_KEY)
        table.part(walk_access.gate, b)
        table.part(walk_access.keys, k, directory / "keyed" / "data")
        table.part(walk_access.limits, table, k)
        table.part(walk_commands.beside_a_server, main_home, b, control)
        table.part(walk_commands.usage, main_home, empty)
        table.part(walk_commands.setup, main_home, b.address, k.address)
        table.part(walk_commands.care, main_home, empty, b.address.rpartition(":")[2])
        table.part(walk_commands.every_command, main_home)
        table.part(walk_access.binds, table, with_account(home("bound")))
        table.part(walk_start.sources, home("sources"), main_home, base, TOKENS["dev"])
        table.part(walk_signing_in.first_run, home("first"), home("importing"), control, TOKENS["dev"])
        table.part(walk_start.pacing, empty, TOKENS["dev"])
        table.part(walk_start.questions, empty, TOKENS["dev"])
        table.part(walk_start.thinking, empty, TOKENS["dev"])
        table.part(walk_start.without_zstd, empty, TOKENS["dev"])
        table.part(walk_start.stopping, empty, TOKENS["dev"])
        table.part(walk_signing_in.signing_in, home("signing"), control)
        table.part(walk_signing_in.bringing_in, home("bringing"), TOKENS["dev"])
        table.part(walk_commands.demo, empty)
        table.part(walk_commands.emulator, empty)
        slow.rows(table)
        table.part(every_route_was_asked, table, directory / "routes")


def every_route_was_asked(table: Table, directory: Path) -> None:
    """The server's own list of its routes, against what was asked here."""

    async def routes() -> list[Route]:
        files = {name: directory / name for name in ("accounts", "config", "usage")}
        app = App(
            Config(),
            [],
            Access(),
            Limits(),
            accounts_file=files["accounts"],
            equip=_no_account,
            config_file=files["config"],
            usage_file=files["usage"],
        )
        return app.router.routes()

    with table.row("2", "every route was asked", "App.router.routes()") as said:
        known = [(method, route) for route in trio.run(routes) for method in route.methods]
        left = [
            f"{method} {route.pattern}"
            for method, route in known
            if not any(
                method == asked and (path == route.pattern or ("{" in route.pattern and route.fits(path)))
                for asked, path in table.asked
            )
        ]
        assert not left, f"not asked: {', '.join(left)}"
        said.append(f"{len(known)} methods of routes, each at least once")


def _no_account(_: AccountRecord) -> Seat:
    raise AssertionError("no account is stored")


@contextmanager
def serving(shell: Shell) -> Iterator[Running]:
    gate = ("--allowed-host", "box.lan", "--allowed-origin", walk_access.ALLOWED)
    with Running(("start", "--port", "0", "--show-token", *gate), shell.environment()) as server:
        yield server


@contextmanager
def keyed_server(shell: Shell) -> Iterator[Running]:
    key = ApiKey("laptop", hash_key(walk_access.INFERENCE["x-api-key"]), ("inference",))
    (shell.home / "data").mkdir()
    update_config(shell.home / "data" / "config.json", lambda _: Config(keys=(key,)))
    flags = ("--api-key", "admin-key-of-the-walk", "--api-key", "other-key-of-the-walk")
    sizes = ("--max-body", "1", "--max-connections", "3")
    file = shell.home / "token"
    file.write_text(TOKENS["dev"])
    assert run("add-account", "--github-token-file", str(file), home=shell.home, **shell.variables).returncode == 0
    variables = shell.environment(COPILOT_TRIO_MANAGEMENT_KEY=MANAGEMENT_KEY)
    with Running(("start", "--port", "0", *flags, *sizes), variables) as server:
        yield server


def with_account(shell: Shell) -> Shell:
    shell.variables["COPILOT_TRIO_GITHUB_TOKEN"] = TOKENS["dev"]
    return shell


if __name__ == "__main__":
    sys.exit(main())
