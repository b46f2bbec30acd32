"""``auth``: sign in with a code, store the account."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.store import load_accounts, save_accounts, with_account
from copilot_trio.config import Config, DamagedFile, data_directory, load_config
from copilot_trio.errors import ProxyError
from copilot_trio.github.device import poll_for_token, request_code
from copilot_trio.github.token import fetch_login
from copilot_trio.upstream.network import Dial, dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

from .credentials import new_record
from .failure import CommandFailed
from .hosts import chosen_hosts
from .notice import first_run_notice


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    directory = data_directory(environment)
    try:
        config = load_config(directory / "config.json")
        if options.acknowledge:
            return _acknowledge(directory / "accounts.json")
        load_accounts(directory / "accounts.json")  # a damaged file is found before the person has signed in
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None
    hosts = chosen_hosts(options, environment)
    print(first_run_notice(config.identity))
    record = trio.run(sign_in, config, hosts, options.account_type, options.enterprise_host, options.label)
    store(directory / "accounts.json", record)
    return 0


async def sign_in(
    config: Config,
    hosts: Hosts,
    account_type: str,
    enterprise_host: str | None = None,
    label: str = "",
    dial: Dial = dial_direct,
    ca_file: str | None = None,
) -> AccountRecord:
    """The device flow, on the terminal. Raises ``CommandFailed``."""
    pool = AccountPool(dial, lambda: shared_context(ca_file))
    try:
        code = await request_code(pool, hosts, config.identity)
        print(f"Open {code.verification_uri} and enter the code {code.user_code}", flush=True)
        print("Waiting for GitHub ...", flush=True)
        token = await poll_for_token(pool, hosts, config.identity, code)
        record = new_record(token, account_type, enterprise_host, label)
        login = await fetch_login(Account(record, hosts, pool), config.identity)
    except ProxyError as error:
        raise CommandFailed(str(error)) from None
    finally:
        await pool.aclose()
    print(f"Signed in as {login}.", flush=True)
    return msgspec.structs.replace(record, login=login, label=label or login)


def store(path: Path, record: AccountRecord) -> None:
    """Under the id of a stored account of the same login and host, if there is one: signing in again replaces it."""
    try:
        stored = load_accounts(path)
        same = (record.login, record.enterprise_host)
        old = next((found for found in stored.accounts if (found.login, found.enterprise_host) == same), None)
        if old is not None:
            record = msgspec.structs.replace(record, id=old.id, machine_id=old.machine_id or record.machine_id)
        save_accounts(path, with_account(stored, record))
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None
    except OSError as error:
        raise CommandFailed(f"the account could not be stored in {path}: {error.strerror}") from None
    print(f"Stored in {path}.", flush=True)


def _acknowledge(path: Path) -> int:
    stored = load_accounts(path)
    banned = [account for account in stored.accounts if account.status == "banned"]
    for account in banned:
        print(f"{account.label}: GitHub said: {account.status_message}")
        stored = with_account(stored, msgspec.structs.replace(account, status="active", status_message=""))
    if not banned:
        print("No stored account is paused.")
        return 0
    save_accounts(path, stored)
    print("Acknowledged. Restart the server to use the account again.")
    return 0
