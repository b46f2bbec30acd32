"""What may be done about accounts while they are in use. It is stored first; then the running ones adopt it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, AccountType
from copilot_trio.accounts.importing import Found, merge
from copilot_trio.accounts.joining import AlreadyThere, joined, second_of_group, signed_in
from copilot_trio.accounts.registry import Accounts
from copilot_trio.accounts.store import (
    AccountsFile,
    StoreBusy,
    load_accounts,
    pause_of,
    same_identity,
    with_fields,
    without_account,
)
from copilot_trio.accounts.sync import Sync
from copilot_trio.config import Config, DamagedFile
from copilot_trio.errors import AccountPaused, AccountRejected, ProxyError
from copilot_trio.github.token import TokenSource, fetch_login

from .refused import Refused, sentences
from .view import shown_account

CLOSE_PATIENCE = 2.0
NOTHING_STORED = "Nothing was stored."

Open = Callable[[AccountRecord], Account]
"""An account with connections of its own, by its own way out, which nobody uses yet."""
Change = Callable[[AccountsFile], AccountsFile]


class Office:
    """``temporary``: ids of the accounts of this run only. ``open_account`` is None where no others are used.

    Every method raises ``Refused`` where something cannot be done, and then nothing has changed.
    """

    def __init__(
        self,
        config: Config,
        accounts: Accounts,
        sync: Sync | None,
        open_account: Open | None,
        tokens: TokenSource,
        follow_quota: Callable[[Account], Awaitable[None]],
        temporary: frozenset[str],
        now: Callable[[], float],
    ) -> None:
        self.identity = config.identity
        self.accounts = accounts
        self._sync = sync
        self._open = open_account
        self._tokens = tokens
        self.follow_quota = follow_quota
        self._temporary = temporary
        self.now = now

    def shown(self, account: Account) -> dict[str, Any]:
        stored = account.id not in self._temporary
        return shown_account(account, group=self.accounts.group(account), stored=stored, now=self.now())

    @property
    def path(self) -> Path | None:
        """Where accounts are stored."""
        return None if self._sync is None else self._sync.path

    def is_temporary(self, account: Account) -> bool:
        return account.id in self._temporary

    def find(self, account_id: str) -> Account:
        account = self.accounts.get(account_id)
        if account is None:
            raise Refused(404, f"there is no account with the id {account_id[:100]!r}", "GET /api/accounts lists them.")
        return account

    # ---- who joins and who leaves

    async def add(self, record: AccountRecord) -> tuple[Account, str]:
        """Once GitHub has said whose token it is; and a note for the person, if there is one."""
        file = await self._read()
        if pause_of(file, record.github_token) is not None:
            raise Refused(
                403,
                f"GitHub warned about the account of this token, so nothing is sent on it. {NOTHING_STORED}",
                "Once that is cleared, run `copilot-trio auth --acknowledge` and add it again.",
            )
        same = same_identity(file, record)
        if same is not None:
            raise Refused(409, f"this account is stored already, as {same.label!r}")
        async with self.opened(record) as account:
            record = msgspec.structs.replace(record, login=await self.login_of(account))
        return await self._join(lambda file: joined(file, record))

    async def sign_in(self, record: AccountRecord, account_type: AccountType | None) -> tuple[Account, str]:
        """The same after a device flow, where an account that is stored already gets the new token."""
        account, note = await self._join(lambda file: signed_in(file, record, account_type))
        if account.warning is None and account.status != "active":
            self.accounts.enable(account)
        return account, note

    async def _join(self, join: Callable[[AccountsFile], tuple[AccountsFile, AccountRecord]]) -> tuple[Account, str]:
        stored: list[AccountRecord] = []

        def change(file: AccountsFile) -> AccountsFile:
            file, record = join(file)
            stored.append(record)
            return file

        before = len(self.accounts.accounts)
        await self._update(change)
        account = self.find(stored[-1].id)
        note = self._note(account) if len(self.accounts.accounts) > before else ""
        return account, note

    def _note(self, account: Account) -> str:
        group = self.accounts.group(account)
        labels = [other.label for other in self.accounts.accounts if self.accounts.group(other) == group]
        return second_of_group(group, labels, failover_on_quota=self.accounts.settings.failover_on_quota)

    async def bring_in(self, found: Found) -> tuple[AccountRecord, ...]:
        """What another program had; those that were not stored yet, as they are stored now."""
        stored: tuple[AccountRecord, ...] = ()

        def change(file: AccountsFile) -> AccountsFile:
            nonlocal stored
            file, stored = merge(file, found)
            return file

        await self._update(change)
        return stored

    async def remove(self, account: Account) -> None:
        self._check_stored(account)
        await self._update(lambda file: without_account(file, account.id))

    # ---- what becomes of one

    async def set_status(self, account: Account, status: Literal["active", "disabled"]) -> None:
        """``active`` forgets limits and failures, but no warning."""
        if status == "active" and account.warning is not None:
            raise Refused(
                409,
                f"{account.warning.cause}. A warning is to be read and acknowledged, not switched off",
                f"POST /api/accounts/{account.id}/acknowledge, or `copilot-trio acknowledge`, does that.",
            )
        if account.id not in self._temporary:
            fields: dict[str, Any] = {"status": status, "status_message": ""}
            if status == "active":
                fields["cooldowns"] = {}
            await self._update(lambda file: with_fields(file, account.id, **fields))
        if status == "disabled":
            if account.record.status != "disabled":
                self.accounts.disable(account)
        elif account.status != "active" or account.cooldowns() or account.health.failures:
            self.accounts.enable(account)

    async def set_proxy(self, account: Account, proxy: str | None) -> None:
        self._check_stored(account)
        await self._update(lambda file: with_fields(file, account.id, proxy=proxy))

    async def prefer(self, account: Account) -> None:
        """New conversations of its group go there first, while it can serve."""
        group = self.accounts.group(account)
        rivals = {other.id for other in self.accounts.accounts if self.accounts.group(other) == group} - {account.id}

        def change(file: AccountsFile) -> AccountsFile:
            for record in file.accounts:
                if record.preferred and record.id in rivals:
                    file = with_fields(file, record.id, preferred=False)
            return with_fields(file, account.id, preferred=True)

        if account.id not in self._temporary:
            await self._update(change)
        self.accounts.prefer(account)

    async def refresh(self, account: Account) -> list[str]:
        """A new Copilot token and the quota, now. What went wrong, which leaves a token that still holds in use."""
        try:
            if not account.record.direct:
                await self._tokens.token(account, instead_of=account.token)
            await self.follow_quota(account)
        except AccountPaused as error:
            raise Refused(403, error.cause, error.remedy) from None
        except ProxyError as error:
            return [sentences(error)]
        self.accounts.succeeded(account)
        self.accounts.news()
        return []

    async def acknowledge(self, account: Account) -> str | None:
        """What GitHub said; None where there is no warning, and nothing to do."""
        warning = account.warning
        if warning is None:
            return None
        if self._sync is None:
            self.accounts.acknowledge(account)
        else:
            with _explained(self._sync.path):
                await self._sync.acknowledge(account)
        return warning.cause

    # ---- what they are made of

    @asynccontextmanager
    async def opened(self, record: AccountRecord) -> AsyncIterator[Account]:
        """For what has to be asked before the account is stored: by its own way out, as later on."""
        if self._open is None:
            raise self._no_file()
        account = self._open(record)
        try:
            yield account
        finally:
            with trio.move_on_after(CLOSE_PATIENCE, shield=True):
                await account.pool.aclose()

    async def login_of(self, account: Account) -> str:
        try:
            login = await fetch_login(account, self.identity)
        except AccountRejected as error:
            raise Refused(422, f"GitHub refuses this token: {error.cause}", NOTHING_STORED) from None
        except AccountPaused as error:
            raise Refused(403, error.cause, NOTHING_STORED) from None
        except ProxyError as error:
            raise Refused(
                error.status if error.status in {429, 504} else 502,
                f"GitHub could not be asked whose token this is: {error.cause}",
                f"{NOTHING_STORED} Try again.",
                retry_after=error.retry_after,
            ) from None
        if not login:
            raise Refused(502, "GitHub did not say whose token this is", NOTHING_STORED)
        return login

    async def _read(self) -> AccountsFile:
        if self._sync is None or self._open is None:
            raise self._no_file()
        with _explained(self._sync.path):
            return await trio.to_thread.run_sync(load_accounts, self._sync.path)

    async def _update(self, change: Change) -> None:
        if self._sync is None:
            raise self._no_file()
        with _explained(self._sync.path):
            await self._sync.update(change)

    def _check_stored(self, account: Account) -> None:
        if account.id in self._temporary:
            raise Refused(
                409,
                f"{account.label} is an account of this run only: its token was given when the server was started",
                "Store it with `copilot-trio add-account`, and start the server without that token.",
            )

    @staticmethod
    def _no_file() -> Refused:
        return Refused(
            409,
            "this server uses the token that it was started with, and no stored accounts",
            "Store it with `copilot-trio add-account`, and start the server without that token.",
        )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """What may go wrong with the file, as ``Refused``."""
    try:
        yield
    except (AlreadyThere, DamagedFile) as error:
        raise Refused(409, str(error)) from None
    except LookupError as error:
        raise Refused(404, f"{error}: somebody has removed it") from None
    except StoreBusy as error:
        raise Refused(503, str(error), retry_after=1) from None
    except OSError as error:
        raise Refused(503, f"{path} could not be written: {error.strerror or error}. {NOTHING_STORED}") from None
