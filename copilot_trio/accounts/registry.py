"""The accounts there are: which one carries a request, and what becomes of them by how requests end."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import msgspec
import trio

from copilot_trio.config import AccountSettings
from copilot_trio.errors import AccountPaused, ModelNotFound, NoAccount, ProxyError, QuotaExhausted, UpstreamUnreachable
from copilot_trio.models.catalogue import Catalogue
from copilot_trio.models.model import Model

from .account import Account
from .affinity import Affinity
from .course import PASSING, Survey, cooling_down
from .course import Course as Course
from .course import Wanted as Wanted
from .error_body import DEFAULT_COOLDOWN, MAX_COOLDOWN
from .groups import NO_PIN, Groups, Pin, chosen_group, group_of
from .health import ALL, PAID
from .keeper import Keepers
from .lease import Lease
from .outcome import Outcome
from .quota import USED_UP, Quota, back_at, charged, cost_in_units, headroom, updated
from .quota_snapshot import parse_headers, parse_snapshots

logger = logging.getLogger(__name__)

RATES = {"session", "weekly"}  # windows that only replies tell of

Paused = Callable[[Account, tuple[str, ...]], None]
"""Told when GitHub warned about an account, and which conversations were its own, so that it holds over a restart."""

Changed = Callable[[Account, str], None]
"""Told what became of an account and why: for the store, the log and whoever watches."""


class Accounts:
    """In their order: the first one's group is the default. ``now`` is wall-clock seconds, ``random`` in [0, 1)."""

    def __init__(
        self,
        accounts: Iterable[Account] = (),
        *,
        settings: AccountSettings | None = None,
        groups: Groups | None = None,
        max_wait: float = 30.0,
        on_paused: Paused = lambda *_: None,
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = lambda: 0.5,
    ) -> None:
        self.settings = settings or AccountSettings()
        self.accounts: list[Account] = []
        self.affinity = Affinity(self.settings.affinity_entries, self.settings.affinity_seconds)
        self.on_paused = on_paused
        self.changed: list[Changed] = []
        self.keepers: Keepers | None = None
        self._groups: Groups = groups or {}
        self._max_wait = max_wait
        self._now = now
        self._random = random
        self._news = trio.lowlevel.ParkingLot()  # where requests wait for an account to come back
        self._turns = 0
        self._by_id: dict[str, Account] = {}
        self._group_of: dict[str, str] = {}
        for account in accounts:
            self.add(account)

    def __repr__(self) -> str:
        return f"<Accounts {self.accounts!r}>"

    # ---- who there is

    def add(self, account: Account) -> None:
        self.accounts.append(account)
        self._regroup()
        if self.keepers is not None:
            self.keepers.start(account)
        self.news()

    def remove(self, account_id: str) -> Account:
        """Cancels what runs on it. Raises ``KeyError``."""
        account = self._by_id[account_id]
        self.accounts.remove(account)
        self.affinity.forget(account_id)
        for scope in list(account.leases):
            scope.cancel("the account was removed")
        if self.keepers is not None:
            self.keepers.stop(account)
            self.keepers.retire(account.pool)
        self._regroup()
        self.news()
        return account

    def get(self, account_id: str) -> Account | None:
        return self._by_id.get(account_id)

    def group(self, account: Account) -> str:
        return self._group_of[account.id]

    def _regroup(self) -> None:
        self._by_id = {account.id: account for account in self.accounts}
        self._group_of = {account.id: group_of(account.member, self._groups) for account in self.accounts}
        gap = self.settings.start_gap if len(self.accounts) > 1 else 0.0
        for account in self.accounts:
            account.pacer.gap = gap

    def regroup(self, groups: Groups | None = None) -> None:
        """After a label or the configured groups have changed."""
        self._groups = self._groups if groups is None else groups
        self._regroup()
        self.news()

    def adjust(self, settings: AccountSettings, groups: Groups, max_wait: float) -> None:
        """After these settings have changed: they hold from now on."""
        self.settings, self._max_wait = settings, max_wait
        self.affinity.entries, self.affinity.seconds = settings.affinity_entries, settings.affinity_seconds
        for account in self.accounts:
            account.health.failures_allowed = settings.failures_allowed
            account.health.error_seconds = settings.error_seconds
            account.pacer.max_wait = max_wait
        if self.keepers is not None:
            self.keepers.adjust(settings, self.accounts)
        self.regroup(groups)

    def news(self) -> None:
        """Something may be usable that was not: who waits looks again."""
        self._news.unpark_all()

    def of_group(self, pin: Pin = NO_PIN) -> tuple[str, list[Account]]:
        """The accounts that a request may use, by name of their group. Raises ``NoAccount``, ``Forbidden``."""
        if not self.accounts:
            raise NoAccount("no account is ready", remedy="Run `copilot-trio auth` to sign in to GitHub.")
        members = [(account.member, self._group_of[account.id]) for account in self.accounts] if pin else []
        if not pin:
            default = self.settings.default_group
            if default is None:
                group = self._group_of[self.accounts[0].id]
            else:
                members = [(account.member, self._group_of[account.id]) for account in self.accounts]
                group = chosen_group(pin, members, default)
        else:
            group = chosen_group(pin, members, None)
        if pin.account is not None:
            named = [account for account in self.accounts if account.label == pin.account]
            return group, named or [account for account in self.accounts if account.id == pin.account]
        return group, [account for account in self.accounts if self._group_of[account.id] == group]

    def preferred(self, pin: Pin = NO_PIN) -> Account:
        """An account to ask what all of a group know. Raises ``AccountPaused``, ``NoAccount``, ``Forbidden``."""
        _, accounts = self.of_group(pin)
        for account in sorted(accounts, key=lambda account: not account.record.preferred):
            if account.ready:
                return account
        for account in accounts:
            if account.warning is not None:
                raise account.warning.fresh()
        raise NoAccount("no account is ready", remedy="`copilot-trio list-accounts` shows them.")

    # ---- which one carries a request

    async def choose(self, wanted: Wanted, course: Course) -> tuple[Account, Model]:
        """The account to send through, and what the asked model is called there.

        Waits out a cooldown where nothing else is left, and not too long. Raises what product.md §4.3 says a client
        gets when no account can serve.
        """
        while True:
            group, accounts = self.of_group(wanted.pin)
            holder = self._by_id.get(self.affinity.holder(wanted.conversation, wanted.model) or "")
            if holder is not None and holder.warning is not None:
                raise holder.warning.fresh()  # its conversations do not move on (product.md §4.5)
            own = self.affinity.account_of(wanted.conversation, wanted.model, trio.current_time())
            survey = Survey(group, accounts)
            for account in self._in_order(accounts, own, course):
                if self._may_be_asked(account, course, survey):
                    if not catalogue_of(account).fresh:
                        await self._fetch_models(account, course)
                        break  # others have chosen meanwhile: look again
                    model = await self._serves(account, wanted, course, survey)
                    if model is not None:
                        return account, model
                if account.id == own and self._waits_for_its_own(account, course, survey):
                    await self._wait(survey, course)
                    break
            else:
                await self._wait(survey, course)

    def _in_order(self, accounts: Sequence[Account], own: str | None, course: Course) -> Iterator[Account]:
        """The conversation's own first, then the preferred while it has quota, then by what is left of their quota,
        then the least recently used."""
        left = [account for account in accounts if account.id not in course.failed]
        mine = next((account for account in left if account.id == own), None)
        if mine is not None:
            yield mine  # as a rule nobody asks for more, and the others need no order
            left.remove(mine)
        left.sort(key=_place)
        yield from left

    def _waits_for_its_own(self, own: Account, course: Course, survey: Survey) -> bool:
        """A conversation that moves waits too, and its prompt is paid for anew: a short cooldown is the cheaper wait.

        Raises ``QuotaExhausted`` where only a used-up quota keeps it, and the user does not want it to move for that.
        """
        for account, seconds, why in survey.cooling:
            if account is not own:
                continue
            if isinstance(why, QuotaExhausted) and not self.settings.failover_on_quota:
                raise QuotaExhausted(
                    f"account {account.label} is cooling down for {seconds:.0f} s: {why.cause}",
                    remedy="`accounts.failover_on_quota` in config.json keeps it there. Nothing was sent.",
                    retry_after=seconds,
                    code=why.code,
                )
            in_time = seconds <= self.settings.move_delay[1] and course.waited + seconds <= self._max_wait
            return in_time and isinstance(why, PASSING)
        return False

    def _may_be_asked(self, account: Account, course: Course, survey: Survey) -> bool:
        """Whether anything may be sent on it now; else the survey knows why not."""
        if account.warning is not None:
            survey.paused.append(account.warning.fresh())
            return False
        if not account.ready:
            survey.off.append(account)
            return False
        rest = account.resting(ALL, free=True)
        if rest is not None:
            survey.cooling.append((account, *rest))
            return False
        return account.egress not in course.unreachable

    async def _fetch_models(self, account: Account, course: Course) -> None:
        try:
            await catalogue_of(account).models()
        except ProxyError as error:
            course.leave(account, error, egress=isinstance(error, UpstreamUnreachable))

    async def _serves(self, account: Account, wanted: Wanted, course: Course, survey: Survey) -> Model | None:
        """The model, if it may be asked there now; else the survey knows why not."""
        try:
            model = await catalogue_of(account).find(wanted.model, wanted.kind)
        except ModelNotFound as error:
            survey.missing.append(error)
            return None
        except AccountPaused as warning:
            survey.paused.append(warning)
            return None
        except ProxyError as error:
            course.leave(account, error, egress=isinstance(error, UpstreamUnreachable))
            return None
        rest = account.resting(model.id, free=model.free)
        if rest is not None:
            survey.cooling.append((account, *rest))
            return None
        return model

    async def _wait(self, survey: Survey, course: Course) -> None:
        """Until something may have changed. Raises where waiting is of no use."""
        seconds = survey.soonest()
        if seconds is None or course.waited + seconds > self._max_wait:
            raise survey.error(course)
        began = trio.current_time()
        with trio.move_on_after(seconds):
            await self._news.park()
        course.waited += trio.current_time() - began

    def lease(self, account: Account, model: Model, *, user_initiated: bool) -> Lease:
        """The right to send, with what it will cost set aside of the account's quota."""
        cost = 0.0
        if account.quota is not None and not model.free:
            cost = (
                account.typical_cost
                if account.quota.token_billing
                else cost_in_units(
                    account.quota, nano_aiu=None, multiplier=model.multiplier, user_initiated=user_initiated
                )
            )
        return Lease(account, cost)

    def bind(self, wanted: Wanted, account: Account) -> str | None:
        """The conversation is the account's from now on. Whose it was: another's if it moves, None if it is new."""
        now = trio.current_time()
        before = self.affinity.account_of(wanted.conversation, wanted.model, now)
        self.affinity.bind(wanted.conversation, wanted.model, account.id, now)
        account.last_used = self._now()
        account.last_turn = self._turns = self._turns + 1
        return before

    def give_back(self, wanted: Wanted, account: Account, before: str | None) -> None:
        """The account has run nothing of it: the prompt cache is still where it was."""
        now = trio.current_time()
        bound = self.affinity.account_of(wanted.conversation, wanted.model, now)
        if before in self._by_id and bound == account.id:
            self.affinity.bind(wanted.conversation, wanted.model, before, now)

    async def pace(self, account: Account, *, moved: bool) -> None:
        """Wait for the account's turn; a conversation that moves is in no hurry (product.md §4.6)."""
        if moved and len(self.accounts) > 1:
            least, most = self.settings.move_delay
            await trio.sleep(least + (most - least) * self._random())
        await account.pacer.turn()

    def check(self, account: Account, model: Model) -> None:
        """Raise what forbids sending on the account right now; nothing where it is usable."""
        if account.warning is not None:
            raise account.warning.fresh()
        if not account.ready:
            raise NoAccount(f"account {account.label} is {account.status}")
        rest = account.resting(model.id, free=model.free)
        if rest is not None:
            raise cooling_down(account, *rest)

    # ---- what becomes of them

    def judge(self, account: Account, outcome: Outcome, model: Model | None = None) -> None:
        """Let a refusal have its effect on the account that it came from."""
        if isinstance(outcome.error, AccountPaused):
            self.warn(account, outcome.error)
        elif outcome.scope == "upstream":
            self.failed(account, outcome.error)
        elif outcome.scope == "model" and outcome.cooldown is not None:
            account.rest(outcome.cooldown, outcome.error, model=ALL if model is None else model.id)
            self._tell(account, f"{'models' if model is None else model.id}: {outcome.error.cause}")
        elif outcome.becomes == "banned":
            self.ban(account, outcome.error.cause)
        elif outcome.scope == "account" and outcome.becomes is not None:
            seconds = outcome.cooldown
            if seconds is None:
                seconds = self._until_reset(account)
                outcome.error.retry_after = seconds
            of_paid = outcome.becomes == "exhausted" and model is not None and not model.free
            account.rest(seconds, outcome.error, model=PAID if of_paid else ALL, status=outcome.becomes)
            self._tell(account, outcome.error.cause)

    def _until_reset(self, account: Account) -> float:
        reset = None if account.quota is None else back_at(account.quota, self._now())
        return MAX_COOLDOWN if reset is None else max(DEFAULT_COOLDOWN, reset - self._now())

    def failed(self, account: Account, error: ProxyError) -> None:
        """Upstream or the way to it failed; three in a row, and the account rests (product.md §4.3)."""
        if account.health.failed(trio.current_time(), error):
            self._tell(account, f"{self.settings.failures_allowed} failures in a row, the last: {error.cause}")

    def succeeded(self, account: Account) -> None:
        account.health.succeeded()

    def warn(self, account: Account, warning: AccountPaused) -> None:
        """GitHub judges it abusive: nothing more is sent on it, and its conversations stay where they are."""
        first = account.warning is None
        account.warning = warning.fresh()
        held = self.affinity.hold(account.id)
        if first:
            self.on_paused(account, held)
        self._tell(account, warning.cause)
        self.news()

    def acknowledge(self, account: Account) -> None:
        """A person has read the warning: the account may be used again."""
        account.warning = None
        self.affinity.release(account.id)
        if account.record.status == "disabled":
            self._tell(account, "its warning was acknowledged")
        else:
            self.enable(account)

    def ban(self, account: Account, why: str) -> None:
        """Its credential is refused: only a person can mend that."""
        account.change(status="banned", status_message=why)
        self._tell(account, why)
        self.news()

    def enable(self, account: Account) -> None:
        """By a person's word: everything that spoke against it is forgotten, but a warning."""
        account.change(status="active", status_message="")
        account.health.forget()
        self._tell(account, "enabled")
        self.news()

    def prefer(self, account: Account) -> None:
        """New conversations of its group go there first, while it can serve."""
        for other in self.of_group(Pin(group=self.group(account)))[1]:
            other.change(preferred=other is account)

    def disable(self, account: Account) -> None:
        account.change(status="disabled", status_message="")
        self._tell(account, "disabled")
        self.news()

    def _tell(self, account: Account, cause: str) -> None:
        logger.info("%s is %s: %s", account.label, account.status, cause)
        self._notify(account, cause)

    def _notify(self, account: Account, cause: str) -> None:
        for changed in self.changed:
            changed(account, cause)

    # ---- what replies say of their quota

    def heard(self, account: Account, headers: Mapping[str, str]) -> None:
        """Quota and windows, as every reply tells them (upstream.md §5.2)."""
        windows = parse_headers(headers)
        if windows:
            account.quota = updated(account.quota, windows, now=self._now(), source="headers")

    def heard_frame(self, account: Account, snapshots: bytes) -> None:
        """The same, as the last frame of a WebSocket tells it."""
        windows = parse_snapshots(snapshots)
        if windows:
            account.quota = updated(account.quota, windows, now=self._now(), source="frame")

    def told(self, account: Account, quota: Quota) -> None:
        """What GitHub says of it in full: a quota that is back ends the exhaustion."""
        rates = tuple(window for window in account.quota.windows if window.name in RATES) if account.quota else ()
        account.quota = msgspec.structs.replace(quota, windows=(*quota.windows, *rates))
        account.quota_doubtful = False
        paying = quota.paying
        if paying is None or not paying.used_up:
            account.health.forget("exhausted")
            self.news()
        self._notify(account, "quota")

    def spent(self, account: Account, model: Model, *, nano_aiu: int | None, user_initiated: bool) -> None:
        """What a reply cost, until the next count comes from upstream."""
        account.quota_doubtful = True
        if account.quota is None or model.free:
            return
        cost = cost_in_units(
            account.quota, nano_aiu=nano_aiu, multiplier=model.multiplier, user_initiated=user_initiated
        )
        if account.quota.token_billing and cost:
            account.typical_cost += (cost - account.typical_cost) / 8
        account.quota = charged(account.quota, cost)


def _place(account: Account) -> tuple[bool, float, int, float]:
    left = headroom(account.quota, account.reserved)
    return not account.record.preferred or left == USED_UP, -left, account.last_turn, account.last_used


def catalogue_of(account: Account) -> Catalogue:
    if account.catalogue is None:
        raise NoAccount(f"account {account.label} has no model list")
    return account.catalogue
