"""All checks in their order; what needs the network for several accounts at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import trio

from copilot_trio.config import Config
from copilot_trio.models.model import Model

from .account import OnWarning, Patient, Report, check_account, check_standing
from .clients import Client, too_large_limits
from .finding import Finding, failed
from .hops import check_way
from .machine import check_clock
from .models import explain
from .way import Way

AT_ONCE = 4
PATIENCE = 120.0  # seconds for all of it
Tell = Callable[[Iterable[Finding]], None]


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Models that somebody needs: the one who asked here, the settings, the clients."""

    asked: Sequence[str] = ()
    clients: Sequence[Client] = ()


async def examine_accounts(
    patients: Sequence[Patient],
    config: Config,
    wanted: Wanted,
    tell: Tell,
    *,
    ca_file: str | None,
    now: Callable[[], float] = time.time,
    on_warning: OnWarning = lambda *_: None,
) -> None:
    """``tell`` hears of each account as soon as it and those before it are done."""
    standings = {patient.record.id: check_standing(patient, now()) for patient in patients}
    asked = [patient for patient in patients if standings[patient.record.id][1]]
    done = {patient.record.id: trio.Event() for patient in asked}
    reports: dict[str, Report] = {}
    limiter = trio.CapacityLimiter(AT_ONCE)

    async def check(patient: Patient) -> None:
        async with limiter:
            reports[patient.record.id] = await check_account(
                patient, config, ca_file=ca_file, now=now, on_warning=on_warning
            )
        done[patient.record.id].set()

    with trio.move_on_after(PATIENCE) as patience:
        async with trio.open_nursery() as nursery:
            for patient in asked:
                nursery.start_soon(check, patient)
            for patient in patients:
                tell([standings[patient.record.id][0]])
                if patient.record.id in done:
                    await done[patient.record.id].wait()
                    tell(reports[patient.record.id].findings)
    if patience.cancelled_caught:
        tell([failed("accounts", f"not all could be asked within {PATIENCE:.0f} s", "Try one with --account.")])
    tell(check_clock([skew for report in reports.values() for skew in report.skews]))
    tell(_models(list(reports.values()), config, wanted))


async def examine_way(urls: Iterable[str], way: Way, tell: Tell, *, ca_file: str | None) -> None:
    """Where there is no account to look at: whether one could sign in."""
    for url in urls:
        tell([await check_way("egress to GitHub", url, way, ca_file=ca_file)])


def _models(reports: Sequence[Report], config: Config, wanted: Wanted) -> list[Finding]:
    offers = {report.label: (report.models, report.plan) for report in reports if report.models is not None}
    if not offers:
        return []
    mapping = config.model_mapping
    findings = [explain(name, offers, mapping, where="--model", missing="failed") for name in wanted.asked]
    needed: dict[str, str] = {}
    for source, target in mapping.items():
        needed.setdefault(target, f"model_mapping of {source}")
    if config.web_search_model is not None:
        needed.setdefault(config.web_search_model, "web_search_model")
    for client in wanted.clients:
        for setting, name in client.models.items():
            needed.setdefault(name, f"{client.name} ({setting})")
    unmapped = set(mapping.values())
    findings += [
        explain(name, offers, {} if name in unmapped else mapping, where=where) for name, where in needed.items()
    ]
    every = _by_id(offers)
    return findings + [found for client in wanted.clients for found in too_large_limits(client, every, mapping)]


def _by_id(offers: Mapping[str, tuple[Sequence[Model], str]]) -> dict[str, Model]:
    return {model.id: model for models, _ in offers.values() for model in models}
