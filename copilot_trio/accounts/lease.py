"""The right to send one request through one account, for the length of a ``with`` block."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import trio

from copilot_trio.errors import UpstreamError

from .account import Account


class AccountRemoved(UpstreamError):
    """In mid-request. ``cost`` is none where nothing had been sent yet."""

    code: str | None = "account_removed"


class Lease:
    """Holds a share of the account's quota. Removing the account cancels what runs inside.

    Raises ``AccountRemoved`` on the way out where that happened. ``sent``: to be set when the request goes out.
    """

    __slots__ = ("_account", "_reserved", "_scope", "sent")

    def __init__(self, account: Account, reserved: float = 0.0) -> None:
        self._account = account
        self._reserved = reserved
        self._scope = trio.CancelScope()
        self.sent = False

    def __enter__(self) -> Self:
        account = self._account
        account.in_flight += 1
        account.reserved += self._reserved
        account.leases.add(self._scope)
        self._scope.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        account = self._account
        account.in_flight -= 1
        account.reserved -= self._reserved
        account.leases.discard(self._scope)
        handled = bool(self._scope.__exit__(kind, error, traceback))
        if self._scope.cancelled_caught:
            cause = f"account {account.label} was removed {'while it answered' if self.sent else 'meanwhile'}"
            raise AccountRemoved(cause, cost="unknown" if self.sent else "none")
        return handled
