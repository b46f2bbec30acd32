"""Asks GitHub about the quotas of stored accounts, and stores what it says."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord
from copilot_trio.accounts.outcome import WARNED, Outcome, paused
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.quota_view import AccountUsage
from copilot_trio.accounts.store import AccountsFile, Pause, pause_of, with_fields, with_pause
from copilot_trio.config import Config
from copilot_trio.errors import AccountPaused, ProxyError
from copilot_trio.github.budgets import BudgetsUnavailable, fetch_budgets, read_cookie_file
from copilot_trio.github.quota import fetch_quota
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

from .equipment import Equip
from .failure import CommandFailed
from .stored import change_accounts

logger = logging.getLogger(__name__)

AT_ONCE = 4
PATIENCE = 30.0  # seconds for one account: scripts wait for this
CLOSING = 2.0


class Asking:
    """``cookie_files``: by account, its id or label, where the cookies for its budgets are (systems.md §3.5)."""

    def __init__(
        self,
        directory: Path,
        config: Config,
        equip: Equip,
        ca_file: str | None = None,
        cookie_files: Mapping[str, str] = {},
    ) -> None:
        self._directory = directory
        self._config = config
        self._equip = equip
        self._ca_file = ca_file
        self._cookie_files = cookie_files
        self._quotas: dict[str, Quota] = {}  # by account id
        self._warnings: dict[str, str] = {}  # by GitHub token

    def ask(self, file: AccountsFile, records: Sequence[AccountRecord]) -> list[AccountUsage]:
        """In their order. A usage without quota says why: nothing is sent for who is paused or switched off."""
        usages = trio.run(self.ask_all, file, records)
        self._store()
        return usages

    async def ask_all(self, file: AccountsFile, records: Sequence[AccountRecord]) -> list[AccountUsage]:
        """The same, storing nothing."""
        limiter, found = trio.CapacityLimiter(AT_ONCE), dict[str, AccountUsage]()

        async def ask(record: AccountRecord) -> None:
            async with limiter:
                found[record.id] = await self._ask_account(record)

        async with trio.open_nursery() as nursery:
            for record in records:
                if problem := _why_not(file, record):
                    found[record.id] = _usage(record, problem=problem)
                else:
                    nursery.start_soon(ask, record)
        return [found[record.id] for record in records]

    async def _ask_account(self, record: AccountRecord) -> AccountUsage:
        seat = self._equip(record)
        pool = AccountPool(seat.egress.dial, lambda: shared_context(self._ca_file))
        account = Account(record, seat.hosts, pool)
        usage = _usage(record, problem=f"GitHub did not answer within {PATIENCE:.0f} s")
        try:
            with trio.move_on_after(PATIENCE):
                usage = await self._with_quota(account)
            if usage.quota is not None:
                usage = await self._with_budgets(account, usage)
            return usage
        finally:
            with trio.move_on_after(CLOSING, shield=True):
                await pool.aclose()

    async def _with_quota(self, account: Account) -> AccountUsage:
        try:
            quota = await fetch_quota(account, self._config.identity, self._heed)
        except ProxyError as error:
            return _usage(account.record, problem=str(error))
        self._quotas[account.id] = quota
        return _usage(account.record, quota=quota)

    async def _with_budgets(self, account: Account, usage: AccountUsage) -> AccountUsage:
        path = self._cookie_files.get(account.id) or self._cookie_files.get(account.label)
        if path is None:
            return usage
        try:
            with trio.move_on_after(PATIENCE):
                cookie = await trio.to_thread.run_sync(read_cookie_file, path)
                budgets = await fetch_budgets(account, cookie, self._config.identity, self._heed)
                return msgspec.structs.replace(usage, budgets=budgets)
        except BudgetsUnavailable as error:
            return msgspec.structs.replace(usage, budget_problem=str(error))
        return msgspec.structs.replace(usage, budget_problem=f"GitHub took more than {PATIENCE:.0f} s")

    def _heed(self, account: Account, outcome: Outcome) -> None:
        if isinstance(outcome.error, AccountPaused):
            self._warnings[account.record.github_token] = outcome.error.cause.removeprefix(WARNED)

    def _store(self) -> None:
        """Quotas, so that nobody need ask again at once; warnings, so that nobody sends any more (product.md §4.5)."""
        if not self._quotas and not self._warnings:
            return
        try:
            change_accounts(self._directory, self._change)
        except CommandFailed as failure:
            if self._warnings:
                print(f"copilot-trio: GitHub's warning could not be stored: {failure}", file=sys.stderr)
            else:
                logger.debug("the quotas could not be stored: %s", failure)

    def _change(self, file: AccountsFile) -> AccountsFile:
        for token, message in self._warnings.items():
            file = with_pause(file, token, Pause(message, time.time()))
        for record in file.accounts:
            if record.id in self._quotas:
                file = with_fields(file, record.id, quota=self._quotas[record.id])
        return file


def _usage(record: AccountRecord, *, quota: Quota | None = None, problem: str = "") -> AccountUsage:
    return AccountUsage(id=record.id, label=record.label, login=record.login, quota=quota, problem=problem)


def _why_not(file: AccountsFile, record: AccountRecord) -> str:
    """Empty for an account that may be asked about."""
    pause = pause_of(file, record.github_token)
    if pause is not None:
        return f"Not asked. {paused(pause.message).cause}"
    if record.status != "active":
        return f"Not asked: it is {record.status}" + (f", {record.status_message}" if record.status_message else "")
    return ""
