"""The running accounts and ``accounts.json``, kept alike: what happens here is stored, what others store happens."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import trio

from copilot_trio.config import DamagedFile
from copilot_trio.errors import NoAccount, ProxyError, QuotaExhausted, RateLimited

from .account import Account, AccountRecord, StoredCooldown
from .outcome import MAX_QUOTA_WAIT, WARNED, Status, paused
from .registry import Accounts
from .store import (
    AccountsFile,
    Pause,
    Stamp,
    Store,
    load_accounts,
    pause_of,
    stamp,
    watch,
    with_fields,
    with_pause,
    without_pause,
)

logger = logging.getLogger(__name__)

DEBOUNCE = 1.0  # seconds from a change to its being stored, with all that changes meanwhile
LAZY = 300.0  # seconds between two stores of what changes with every request
FLUSH = 5.0  # seconds for the last store when the server stops
WARNING_PATIENCE = 2.0  # seconds the event loop waits for the file's lock: nothing may be sent before
OF_THE_PERSON = (
    "label", "login", "github_token", "account_type", "enterprise_host", "direct", "machine_id", "added",
    "preferred",
)  # fmt: skip
WHY: dict[Status, type[ProxyError]] = {"exhausted": QuotaExhausted, "rate_limited": RateLimited}

Equip = Callable[[AccountRecord], Account]
Reroute = Callable[[Account], None]
"""Give an account the connections that its changed record asks for."""


class Sync:
    """``follow``: whether the file's accounts are this run's. ``now`` is Unix seconds."""

    def __init__(
        self,
        path: Path,
        accounts: Accounts,
        equip: Equip,
        reroute: Reroute,
        now: Callable[[], float],
        *,
        follow: bool,
    ) -> None:
        self.path = path
        self._store = Store(path)
        self._accounts = accounts
        self._equip = equip
        self._reroute = reroute
        self._now = now
        self._follow = follow
        self._seen: dict[str, AccountRecord] = {}
        self._stamp: Stamp | None = None
        self._paused: set[str] = set()  # whose warning was seen in the file: when it is gone, a person took it out
        self._unstored: dict[str, Pause] = {}  # warnings that are to be stored yet, by GitHub token
        self._dirty = trio.Event()
        self._writing = trio.Lock()
        accounts.on_paused = self.pause
        accounts.changed.append(self._note)

    def load(self) -> None:
        """At the start. Raises ``DamagedFile``."""
        self._stamp = stamp(self.path)
        self.adopt(load_accounts(self.path))

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Until cancelled; then what is not stored yet is."""
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._write_changes)
                nursery.start_soon(self._write_now_and_then)
                task_status.started()
                await watch(self.path, changed=self._read, since=self._stamp)
        finally:
            with trio.move_on_after(FLUSH, shield=True):
                await self._write()

    # ---- from the file

    async def _read(self) -> None:
        async with self._writing:
            self.adopt(await trio.to_thread.run_sync(load_accounts, self.path))

    async def update(self, change: Callable[[AccountsFile], AccountsFile]) -> None:
        """Change the file, and with it the running accounts. Raises as :meth:`Store.update` does."""
        async with self._writing:
            self.adopt(await trio.to_thread.run_sync(self._store.update, change))

    def adopt(self, file: AccountsFile) -> None:
        """Let what somebody else has stored happen here."""
        if self._follow:
            stored = {record.id: record for record in file.accounts}
            for account_id in self._seen.keys() - stored.keys():
                if self._accounts.get(account_id) is not None:
                    logger.info("%s was removed", self._accounts.remove(account_id).label)
            for record in file.accounts:
                seen, account = self._seen.get(record.id), self._accounts.get(record.id)
                self._seen[record.id] = record
                if account is None:
                    self._add(record)
                elif seen is not None and seen != record:
                    self._take_over(account, seen, record)
            self._seen = stored
        for account in self._accounts.accounts:
            self._heed(account, pause_of(file, account.record.github_token))

    def _add(self, record: AccountRecord) -> None:
        account = self._equip(record)
        self._accounts.add(account)
        self._restore(account, record)

    def _take_over(self, account: Account, seen: AccountRecord, record: AccountRecord) -> None:
        """Field by field: what the other writer changed, and no more."""
        changed = {
            name: getattr(record, name)
            for name in (*OF_THE_PERSON, "proxy")
            if getattr(record, name) != getattr(seen, name)
        }
        account.change(**changed)
        if "github_token" in changed or "direct" in changed:
            account.token, account.token_failure = None, None
            account.health.forget()
        if changed.keys() & {"proxy", "enterprise_host", "github_token"}:
            self._reroute(account)
        if changed.keys() & {"label", "account_type", "enterprise_host"}:
            self._accounts.regroup()
        if record.status != seen.status or record.status_message != seen.status_message:
            if record.status == "active":
                self._accounts.enable(account)
            elif record.status == "disabled":
                self._accounts.disable(account)
            else:
                account.change(status=record.status, status_message=record.status_message)
        if record.cooldowns != seen.cooldowns:
            account.health.forget()
            self._restore(account, record)
            self._accounts.news()
        if record.quota is not None and (account.quota is None or record.quota.read_at > account.quota.read_at):
            account.quota = record.quota
        if changed:
            logger.info("%s was changed: %s", account.label, ", ".join(sorted(changed)))

    def _restore(self, account: Account, record: AccountRecord) -> None:
        """Limits hold over a restart."""
        for key, cooldown in record.cooldowns.items():
            left = min(cooldown.until - self._now(), MAX_QUOTA_WAIT)
            if left > 0:
                account.rest(left, _why(cooldown), model=key, status=cooldown.status)

    def _heed(self, account: Account, pause: Pause | None) -> None:
        if pause is not None:
            self._paused.add(account.id)
            if account.warning is None:
                account.warning = paused(pause.message)
                self._accounts.affinity.hold(account.id, pause.conversations)
        elif account.id in self._paused:
            self._paused.discard(account.id)
            logger.info("%s: its warning was acknowledged", account.label)
            self._accounts.acknowledge(account)

    async def acknowledge(self, account: Account) -> None:
        """By a person's word the account may be used again. Raises as :meth:`Store.update` does."""
        self._unstored.pop(account.record.github_token, None)
        await self.update(lambda file: without_pause(file, account.record.github_token))
        if account.warning is not None:  # which could not be stored
            self._accounts.acknowledge(account)

    # ---- to the file

    def _note(self, account: Account, cause: str) -> None:
        seen = self._seen.get(account.id)
        if seen is not None and (cause != "quota" or seen.quota is None):
            self._dirty.set()

    async def _write_changes(self) -> None:
        while True:
            await self._dirty.wait()
            await trio.sleep(DEBOUNCE)
            self._dirty = trio.Event()
            await self._write()

    async def _write_now_and_then(self) -> None:
        while True:
            await trio.sleep(LAZY)
            await self._write()

    async def _write(self) -> None:
        """What has changed here of each account since it was last stored; nobody else's fields."""
        fresh: dict[str, dict[str, Any]] = {}
        for account in self._accounts.accounts:
            seen = self._seen.get(account.id)
            if seen is None:
                continue
            fields = _own_fields(account, seen, self._now())
            if fields:
                fresh[account.id] = fields
        if not fresh and not self._unstored:
            return
        unstored = dict(self._unstored)

        def change(file: AccountsFile) -> AccountsFile:
            for token, pause in unstored.items():
                file = with_pause(file, token, pause)
            for account_id, fields in fresh.items():
                if any(record.id == account_id for record in file.accounts):  # else somebody removed it meanwhile
                    file = with_fields(file, account_id, **fields)
            return file

        async with self._writing:
            try:
                stored = await trio.to_thread.run_sync(self._store.update, change)
            except (OSError, DamagedFile) as error:
                logger.error("what became of the accounts could not be stored: %s", error)  # noqa: TRY400
                return
            for token in unstored:
                self._unstored.pop(token, None)
            for account_id, fields in fresh.items():
                if account_id in self._seen:
                    self._seen[account_id] = msgspec.structs.replace(self._seen[account_id], **fields)
            self.adopt(stored)

    def pause(self, account: Account, conversations: tuple[str, ...]) -> None:
        """A warning outlives a restart: it is stored before anything else can be sent."""
        said = account.warning.cause.removeprefix(WARNED) if account.warning else ""
        logger.error("%s: %s", account.label, account.warning)
        token, pause = account.record.github_token, Pause(said, self._now(), conversations)
        try:
            self._store.update(lambda file: with_pause(file, token, pause), patience=WARNING_PATIENCE)
            self._paused.add(account.id)
        except (OSError, DamagedFile) as error:
            logger.error("%s: the pause could not be stored yet: %s", account.label, error)  # noqa: TRY400
            self._unstored[token] = pause
            self._dirty.set()


def _own_fields(account: Account, seen: AccountRecord, now: float) -> dict[str, Any]:
    cooldowns = {
        key: StoredCooldown(round(now + seconds), status, why.cause, why.code)
        for key, seconds, status, why in account.cooldowns()
    }
    old = {key: cooldown for key, cooldown in seen.cooldowns.items() if cooldown.until > now}
    same = old.keys() == cooldowns.keys() and all(
        abs(old[key].until - cooldowns[key].until) < 2 and old[key].status == cooldowns[key].status for key in old
    )
    fields: dict[str, Any] = {
        "status": account.record.status,
        "status_message": account.record.status_message,
        "quota": account.quota,
        "last_used": round(account.last_used, 3),
        "cooldowns": seen.cooldowns if same else cooldowns,
    }
    return {name: value for name, value in fields.items() if value != getattr(seen, name)}


def _why(cooldown: StoredCooldown) -> ProxyError:
    kind = WHY.get(cooldown.status, NoAccount)
    return kind(cooldown.why or "a limit of an earlier run still holds", cost="none", code=cooldown.code)
