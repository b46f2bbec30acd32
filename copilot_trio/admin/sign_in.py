"""Signing in from a web page: each caller gets a code of its own, and asks us, not GitHub, how it is getting on."""

from __future__ import annotations

import logging
import math
import secrets
from typing import Any

import msgspec
import trio

from copilot_trio.accounts.account import AccountRecord, AccountType
from copilot_trio.errors import ProxyError, UpstreamError
from copilot_trio.github.device import MARGIN, WAITING, DeviceCode, PollReply, next_interval, poll_once, request_code

from .office import Office
from .refused import Refused, sentences

logger = logging.getLogger(__name__)

MAX_FLOWS = 20
LONGEST = 3600.0  # seconds; GitHub's codes hold for 900
POLL_PATIENCE = 60.0  # seconds; a token is told once, so that question is not broken off when its asker leaves
EXPIRED = {"status": "expired", "message": "this code is no longer good: start again"}
ENDINGS = {"access_denied": "denied", "expired_token": "expired"}


class _Flow:
    """``record`` is what the account will be, ``code`` GitHub's, ``result`` what the last poll was told."""

    def __init__(self, record: AccountRecord, code: DeviceCode) -> None:
        self.record = record
        self.code = code
        self.interval = max(1.0, code.interval)
        self.expires = trio.current_time() + min(code.expires_in, LONGEST)
        self.result: dict[str, Any] | None = None
        self.busy = False
        self.wait()

    def wait(self) -> None:
        # Half of what we tell the page to add is enough; GitHub punishes only who is early.
        self.next_poll = trio.current_time() + self.interval + MARGIN / 2

    def pending(self, message: str = "") -> dict[str, Any]:
        told = {"status": "pending", "interval": math.ceil(self.interval + MARGIN)}
        return {**told, "message": message} if message else told


class SignIns:
    """Flows by handles that we make: GitHub's device code, which is worth a token, stays here."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._flows: dict[str, _Flow] = {}  # oldest first
        self._followers: trio.Nursery | None = None

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the flows that nobody asks about. Until cancelled."""
        async with trio.open_nursery() as self._followers:
            task_status.started()
            await trio.sleep_forever()

    def follow(self, handle: str) -> None:
        """Its starter has no way to ask how it is getting on: we do, until it ends, where :meth:`run` runs."""
        if self._followers is not None:
            self._followers.start_soon(self._follow, handle)

    async def _follow(self, handle: str) -> None:
        while (flow := self._flows.get(handle)) is not None and flow.result is None:
            await trio.sleep(flow.interval + MARGIN)
            try:
                await self.poll(handle, "", None)
            except ProxyError as error:
                logger.warning("a sign-in could not be stored yet: %s", error)

    def drop_pending(self) -> int:
        """Forget those that wait for a person, and say how many."""
        kept = {handle: flow for handle, flow in self._flows.items() if flow.result is not None}
        dropped, self._flows = len(self._flows) - len(kept), kept
        return dropped

    async def start(self, record: AccountRecord) -> dict[str, Any]:
        """``record`` says by which host and which way out; its token is not known yet. Raises ``Refused``."""
        async with self._office.opened(record) as account:
            try:
                code = await request_code(account.pool, account.hosts, self._office.identity)
            except ProxyError as error:
                raise Refused(502, f"no code could be had: {error.cause}", error.remedy) from None
        self._make_room()
        handle, flow = secrets.token_urlsafe(24), _Flow(record, code)
        self._flows[handle] = flow
        return {
            "device_code": handle,
            "user_code": code.user_code,
            "verification_uri": code.verification_uri,
            "expires_in": math.floor(flow.expires - trio.current_time()),
            "interval": flow.pending()["interval"],
        }

    async def poll(self, handle: str, label: str, account_type: AccountType | None) -> dict[str, Any]:
        """``status``, and ``account`` once it is ``complete``. Raises ``Refused`` where it could not be stored."""
        flow = self._flows.get(handle)
        if flow is None or (trio.current_time() >= flow.expires and not flow.busy):
            self._flows.pop(handle, None)
            return EXPIRED
        if flow.result is not None:
            return flow.result
        if flow.busy or trio.current_time() < flow.next_poll:
            return flow.pending()
        flow.busy = True
        try:
            return await self._ask(flow, label, account_type)
        finally:
            flow.busy = False
            flow.wait()

    async def _ask(self, flow: _Flow, label: str, account_type: AccountType | None) -> dict[str, Any]:
        if not flow.record.github_token:
            try:
                reply = await self._question(flow)
            except UpstreamError as error:
                return flow.pending(f"GitHub could not be asked: {error.cause}")
            if reply is None or reply.error in WAITING:
                return flow.pending()
            if not reply.access_token:
                why = reply.error_description or reply.error or "GitHub gave no reason"
                flow.result = {"status": ENDINGS.get(reply.error or "", "error"), "message": why}
                return flow.result
        return await self._complete(flow, label, account_type)

    async def _question(self, flow: _Flow) -> PollReply | None:
        """GitHub's answer, its token in ``flow.record``; None where there was none in time."""
        reply = None
        async with self._office.opened(flow.record) as account:
            with trio.move_on_after(POLL_PATIENCE, shield=True):
                reply = await poll_once(account.pool, account.hosts, self._office.identity, flow.code.device_code)
                flow.interval = next_interval(reply, flow.interval)
                flow.record = msgspec.structs.replace(flow.record, github_token=reply.access_token or "")
        return reply

    async def _complete(self, flow: _Flow, label: str, account_type: AccountType | None) -> dict[str, Any]:
        """Where this fails for a moment, the token is kept, and the next poll tries again."""
        record = msgspec.structs.replace(flow.record, label=label, account_type=account_type or "individual")
        async with self._office.opened(record) as account:
            try:
                login = await self._office.login_of(account)
            except Refused as error:
                if error.status in {403, 422}:
                    flow.result = {"status": "error", "message": sentences(error)}
                    return flow.result
                return flow.pending(sentences(error))
        stored, note = await self._office.sign_in(msgspec.structs.replace(record, login=login), account_type)
        flow.record = msgspec.structs.replace(flow.record, github_token="")
        flow.result = {"status": "complete", "account": self._office.shown(stored)}
        if note:
            flow.result["note"] = note
        return flow.result

    def _make_room(self) -> None:
        now = trio.current_time()
        self._flows = {handle: flow for handle, flow in self._flows.items() if now < flow.expires}
        while len(self._flows) >= MAX_FLOWS:
            ended = next((handle for handle, flow in self._flows.items() if flow.result is not None), None)
            del self._flows[ended or next(iter(self._flows))]
