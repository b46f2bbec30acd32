"""``auth``: sign in with a code, store the account."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from copilot_trio import logs
from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.store import load_accounts, save_accounts, with_account
from copilot_trio.config import Config, DamagedFile, data_directory, load_config
from copilot_trio.errors import AccountRejected, ProxyError, UpstreamError
from copilot_trio.github.device import poll_for_token, request_code
from copilot_trio.github.token import fetch_login
from copilot_trio.upstream.network import Dial, dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

from .credentials import new_record
from .failure import CommandFailed
from .hosts import chosen_hosts
from .network import check_ca_file, chosen_egress
from .notice import first_run_notice
from .say import say


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    directory = data_directory(environment)
    try:
        config = load_config(directory / "config.json")
        if options.acknowledge:
            return _acknowledge(directory / "accounts.json")
        load_accounts(directory / "accounts.json")  # a damaged file is found before the person has signed in
    except DamagedFile as error:
        raise CommandFailed(str(error)) from None
    hosts = chosen_hosts(options, environment)
    dial = chosen_egress(options, environment).dial
    check_ca_file(options.ca_file)
    say(first_run_notice(config.identity))
    record = trio.run(
        sign_in, config, hosts, options.account_type, options.enterprise_host, options.label, dial, options.ca_file
    )
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
        say(f"Open {code.verification_uri} and enter the code {code.user_code}")
        say("Waiting for GitHub ...")
        token = await poll_for_token(pool, hosts, config.identity, code)
        record = new_record(token, account_type, enterprise_host, label)
        login = await _login_of(Account(record, hosts, pool), config)
    except ProxyError as error:
        raise CommandFailed(str(error)) from None
    finally:
        await pool.aclose()
    say(f"Signed in as {login}." if login else "Signed in; GitHub did not say as whom.")
    return msgspec.structs.replace(record, login=login, label=label or login or record.label)


async def _login_of(account: Account, config: Config) -> str:
    """Empty if GitHub does not say even when asked again: that must not cost the person the new token."""
    for pause in (1, 3, 0):
        try:
            return await fetch_login(account, config.identity)
        except UpstreamError as error:
            if isinstance(error, AccountRejected):
                raise
            await trio.sleep(pause)
    return ""


async def check_token(config: Config, record: AccountRecord, hosts: Hosts, dial: Dial, ca_file: str | None) -> str:
    """The login that a token from outside belongs to. Raises ``CommandFailed`` if GitHub does not accept it."""
    pool = AccountPool(dial, lambda: shared_context(ca_file))
    try:
        return await fetch_login(Account(record, hosts, pool), config.identity)
    except ProxyError as error:
        raise CommandFailed(f"the token was not stored: {error}") from None
    finally:
        await pool.aclose()


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
    say(f"Stored in {path}.")


def _acknowledge(path: Path) -> int:
    stored = load_accounts(path)
    if not stored.paused:
        say("No account is paused.")
        return 0
    for pause in stored.paused.values():
        say(f"GitHub said: {pause.message}")
    save_accounts(path, msgspec.structs.replace(stored, paused={}))
    say("Acknowledged. Restart the server to use the account again.")
    return 0
