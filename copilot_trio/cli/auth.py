"""``auth``: sign in with a code, store the account."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import trio

from copilot_trio import logs
from copilot_trio.accounts.account import Account, AccountRecord, AccountType, Hosts
from copilot_trio.accounts.joining import signed_in
from copilot_trio.config import Config, data_directory
from copilot_trio.errors import AccountRejected, ProxyError, UpstreamError
from copilot_trio.github.device import poll_for_token, request_code
from copilot_trio.github.token import fetch_login
from copilot_trio.upstream.network import Dial, dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

from .acknowledge import acknowledge_all
from .credentials import asked_record
from .failure import CommandFailed
from .hosts import chosen_hosts
from .network import check_ca_file, chosen_egress
from .notice import first_run_notice
from .say import say
from .stored import accounts_path, change_accounts, read_accounts, read_config


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    directory = data_directory(environment)
    config = read_config(directory)
    read_accounts(directory)  # a damaged file is found before the person has signed in
    if options.acknowledge:
        return acknowledge_all(directory)
    if options.show_token and not sys.stdout.isatty():
        raise CommandFailed("--show-token shows the token on a terminal only", 2)
    record = asked_record(options, label=options.label)
    hosts = chosen_hosts(options, environment)
    dial = chosen_egress(options, environment, config).dial
    check_ca_file(options.ca_file)
    say(first_run_notice(config.identity))
    record = trio.run(sign_in, config, record, hosts, dial, options.ca_file)
    store(directory, record, options.account_type)
    if options.show_token:
        say(f"GitHub token: {record.github_token}")
    return 0


async def sign_in(
    config: Config, record: AccountRecord, hosts: Hosts, dial: Dial = dial_direct, ca_file: str | None = None
) -> AccountRecord:
    """The device flow, on the terminal: ``record`` with its token and login. Raises ``CommandFailed``."""
    pool = AccountPool(dial, lambda: shared_context(ca_file))
    try:
        code = await request_code(pool, hosts, config.identity)
        say(f"Open {code.verification_uri} and enter the code {code.user_code}")
        say("Waiting for GitHub ...")
        token = await poll_for_token(pool, hosts, config.identity, code)
        record = msgspec.structs.replace(record, github_token=token)
        login = await _login_of(Account(record, hosts, pool), config)
    except ProxyError as error:
        raise CommandFailed(str(error)) from None
    finally:
        await pool.aclose()
    say(f"Signed in as {login}." if login else "Signed in; GitHub did not say as whom.")
    return msgspec.structs.replace(record, login=login)


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


def store(directory: Path, record: AccountRecord, account_type: AccountType | None = None) -> None:
    """Who is stored already gets the new token, and keeps the rest. Raises ``CommandFailed``."""
    file = change_accounts(directory, lambda file: signed_in(file, record, account_type)[0])
    label = next(stored.label for stored in file.accounts if stored.github_token == record.github_token)
    say(f"Stored in {accounts_path(directory)}, as {label}.")
