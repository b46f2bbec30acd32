"""One account, from what is stored of it to what Copilot offers it. What cannot be after a failure is not tried."""

from __future__ import annotations

import time
from collections.abc import Callable
from urllib.parse import urlsplit

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.outcome import WARNED, Outcome, Refusal
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.quota_view import plan_label, remaining_percent, window_label
from copilot_trio.admin.view import Standing, stored_standing
from copilot_trio.config import Config
from copilot_trio.errors import AccountPaused, AccountRejected, ProxyError
from copilot_trio.github.quota import fetch_quota
from copilot_trio.github.token import TokenSource, fetch_login
from copilot_trio.models.model import Model, parse_models
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.copilot import Copilot
from copilot_trio.upstream.pool import AccountPool, Timeouts
from copilot_trio.upstream.tls import shared_context

from .clock import DatedPool
from .finding import Finding, failed, ok, warning
from .hops import check_way
from .models import listed
from .way import Way

PATIENCE = 45.0  # seconds for an account
TIMEOUTS = Timeouts(connect=10, write=10, read=15)
CLOSING = 2.0
LOW = 10.0  # percent


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """An account to be looked at. ``warned``: what GitHub said, if it did; then nothing is sent. ``name``: for a
    person, who gives it to the commands."""

    record: AccountRecord
    hosts: Hosts
    way: Way
    warned: str | None = None
    stored: bool = True


class Report(msgspec.Struct):
    """``models`` None where the list could not be had; ``plan`` empty where nobody said."""

    label: str
    findings: list[Finding] = []
    skews: list[float] = []
    models: tuple[Model, ...] | None = None
    plan: str = ""


class _Stop(Exception):
    """After this nothing more can be learned of the account."""


OnWarning = Callable[[AccountRecord, str], None]
"""Told what GitHub said: the one thing that a look at an account may have to store."""


class _Observer:
    """What replies say of the account is told, and forgotten, but for a warning."""

    def __init__(self, on_warning: OnWarning) -> None:
        self._on_warning = on_warning

    def judge(self, account: Account, outcome: Outcome) -> None:
        if isinstance(outcome.error, AccountPaused) and account.warning is None:
            account.warning = outcome.error.fresh()
            self._on_warning(account.record, outcome.error.cause.removeprefix(WARNED))

    def heard(self, account: Account, headers: object) -> None:
        pass


def check_standing(patient: Patient, now: float) -> tuple[Finding, bool]:
    """By what is stored, and whether it may be asked about: for who is warned or switched off nothing is sent."""
    label = patient.record.label
    standing = stored_standing(patient.record, patient.warned, now)
    if patient.warned is not None:
        remedy = f"See to it at GitHub, then `copilot-trio acknowledge {label}`."
        return failed("account", f"paused: {patient.warned}", remedy, account=label), False
    if standing.status == "disabled":
        remedy = f"`copilot-trio enable-account {label}` uses it again."
        return warning("account", "switched off, and not asked about", remedy, account=label), False
    if standing.status == "banned":
        remedy = (
            f"Sign in again with `copilot-trio auth`, or `copilot-trio enable-account {label}` to try it once more."
        )
        return failed("account", f"given up: {standing.message or 'GitHub refused it'}", remedy, account=label), False
    return _passing(standing, label, now), True


def _passing(standing: Standing, label: str, now: float) -> Finding:
    if standing.until is None:
        return ok("account", _resting_models(standing) or "in use", account=label)
    minutes = max(1.0, (standing.until - now) / 60)
    wait = f"{minutes / 60:.1f} h" if minutes > 90 else f"{minutes:.0f} min"
    message = f"{standing.status} for another {wait}: {standing.message}"
    remedy = f"Wait, or `copilot-trio enable-account {label}` if GitHub has lifted it."
    return warning("account", message, remedy, account=label)


def _resting_models(standing: Standing) -> str:
    names = sorted(name for name in standing.cooldowns if name)
    return f"in use; resting: {', '.join(names)}" if names else ""


def _ignore(record: AccountRecord, said: str) -> None:
    """Who has no file to store a warning in."""


async def check_account(
    patient: Patient,
    config: Config,
    *,
    ca_file: str | None,
    now: Callable[[], float] = time.time,
    on_warning: OnWarning = _ignore,
) -> Report:
    """Everything that needs the network, within 45 s."""
    report = Report(patient.record.label, [], [])
    pool = DatedPool(AccountPool(patient.way.egress.dial, lambda: shared_context(ca_file), TIMEOUTS), now)
    try:
        with trio.move_on_after(PATIENCE) as patience:
            await _Examination(patient, config, report, pool, ca_file, now, on_warning).run()
        if patience.cancelled_caught:
            message = f"not all could be asked within {PATIENCE:.0f} s"
            report.findings.append(
                failed("account", message, "Try again; --verbose shows what took long.", account=report.label)
            )
    finally:
        report.skews += pool.skews
        with trio.move_on_after(CLOSING, shield=True):
            await pool.aclose()
    return report


class _Examination:
    def __init__(
        self,
        patient: Patient,
        config: Config,
        report: Report,
        pool: DatedPool,
        ca_file: str | None,
        now: Callable[[], float],
        on_warning: OnWarning,
    ) -> None:
        self._patient = patient
        self._identity = config.identity
        self._report = report
        self._ca_file = ca_file
        self._now = now
        self._account = Account(patient.record, patient.hosts, pool)
        self._judge = _Observer(on_warning)
        self._tokens = TokenSource(config.identity, lambda: 1.0, self._judge.judge, now)

    async def run(self) -> None:
        try:
            await self._reach("egress to GitHub", self._patient.hosts.github_api)
            await self._check_token()
            await self._check_quota()
            await self._check_exchange()
            await self._check_models()
        except _Stop:
            return

    async def _reach(self, check: str, url: str) -> None:
        finding = await check_way(check, url, self._patient.way, ca_file=self._ca_file, account=self._report.label)
        self._add(finding)
        if finding.state == "failed":
            raise _Stop

    async def _check_token(self) -> None:
        try:
            login = await fetch_login(self._account, self._identity)
        except ProxyError as error:
            remedy = self._sign_in() if isinstance(error, AccountRejected) else _remedy(error)
            self._fail("GitHub token", error, remedy)
            raise _Stop from None
        known = self._patient.record.login
        if known and login and login.casefold() != known.casefold():
            remedy = "Remove the account and add it again."
            self._add(self._warning("GitHub token", f"it is {login}'s, and stored as {known}'s", remedy))
        else:
            self._add(ok("GitHub token", f"accepted, of {login or 'nobody named'}", account=self._report.label))

    async def _check_quota(self) -> None:
        try:
            quota = await fetch_quota(self._account, self._identity, self._judge.judge, self._now)
        except ProxyError as error:
            self._fail("quota", error, _remedy(error))
            if isinstance(error, AccountPaused):
                raise _Stop from None
            return
        self._report.plan = quota.sku if quota.sku.startswith("free_") else quota.plan
        self._add(_quota_finding(quota, self._report.label))

    async def _check_exchange(self) -> None:
        check = "Copilot token"
        try:
            token = await self._tokens.token(self._account)
        except ProxyError as error:
            self._fail(check, error, _remedy(error) or self._sign_in())
            raise _Stop from None
        how = "the GitHub token itself, without an exchange" if self._patient.record.direct else "exchanged"
        self._add(ok(check, f"{how}, for {urlsplit(token.api).hostname}", account=self._report.label))
        if urlsplit(token.api).netloc != urlsplit(self._patient.hosts.github_api).netloc:
            await self._reach("egress to Copilot", token.api)

    async def _check_models(self) -> None:
        copilot = Copilot(self._identity, self._tokens, self._judge, self._now)
        try:
            models, unreadable = parse_models(await copilot.fetch_models(self._account))
        except Refusal as refusal:
            self._fail("models", refusal.outcome.error, _remedy(refusal.outcome.error))
        except ProxyError as error:
            self._fail("models", error, _remedy(error))
        except UNREADABLE as error:
            remedy = "Something on the way may answer in Copilot's place."
            self._add(failed("models", f"the list cannot be read: {error}", remedy, account=self._report.label))
        else:
            self._report.models = models
            self._add(listed(models, self._report.plan, self._report.label, unreadable))

    def _sign_in(self) -> str:
        if not self._patient.stored:
            return "Give another token."
        return "Sign in again as the same login: `copilot-trio auth`."

    def _fail(self, check: str, error: ProxyError, remedy: str) -> None:
        self._add(failed(check, error.cause, remedy, account=self._report.label))

    def _warning(self, check: str, message: str, remedy: str) -> Finding:
        return warning(check, message, remedy, account=self._report.label)

    def _add(self, finding: Finding) -> None:
        self._report.findings.append(finding)


def _remedy(error: ProxyError) -> str:
    if error.remedy:
        return error.remedy
    if error.retry_after is not None:
        return f"Try again in {error.retry_after:.0f} s."
    return "Try again later; https://www.githubstatus.com tells of GitHub's own troubles."


def _quota_finding(quota: Quota, label: str) -> Finding:
    shares = {window_label(window.name): remaining_percent(window) for window in quota.windows}
    shown = ", ".join(f"{name} {left:.0f} % left" for name, left in shares.items() if left is not None)
    message = f"plan {plan_label(quota)}{f': {shown}' if shown else ''}"
    window = quota.paying
    if window is not None and window.used_up:
        remedy = (
            "Wait for the reset (`copilot-trio check-usage` says when), or permit more at GitHub; free models go on."
        )
        return warning("quota", f"used up; {message}", remedy, account=label)
    left = None if window is None else remaining_percent(window)
    if left is not None and left < LOW and window is not None and not window.unlimited:
        return warning("quota", message, "`copilot-trio check-usage` says how long it lasts.", account=label)
    return ok("quota", message, account=label)
