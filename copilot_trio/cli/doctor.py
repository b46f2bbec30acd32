"""``doctor``: one line a check, with what to do; nothing is changed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import trio

from copilot_trio import logs
from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.store import AccountsFile, Pause, pause_of, with_pause
from copilot_trio.app import connection_cap
from copilot_trio.config import Config, data_directory
from copilot_trio.doctor import data, machine
from copilot_trio.doctor.account import Patient
from copilot_trio.doctor.clients import Surroundings, read_clients
from copilot_trio.doctor.examine import Wanted, examine_accounts, examine_way
from copilot_trio.doctor.finding import Finding, State, ok, shown, warning, worst
from copilot_trio.doctor.port import check_port
from copilot_trio.doctor.way import Way, direct_way, own_way, way_by
from copilot_trio.upstream.egress import Egress

from .credentials import Credential, given_credential
from .equipment import equipment
from .hosts import chosen_hosts
from .list_accounts import printable
from .network import check_ca_file, chosen_egress, proxy_variables
from .say import say
from .stored import change_accounts, chosen_account

CONNECTIONS = 1000  # as many as `start` takes by default
COLOURS: dict[State, str] = {"ok": "32", "warning": "33", "failed": "31"}


def run(options: argparse.Namespace, environment: Mapping[str, str]) -> int:
    """Raises ``CommandFailed`` for wrong use only."""
    logs.set_up(verbose=False)  # its --verbose is about findings
    report = _Report(options, environment)
    trio.run(_examine, options, environment, report)
    report.end()
    return 1 if worst(report.findings) == "failed" else 0


async def _examine(options: argparse.Namespace, environment: Mapping[str, str], report: _Report) -> None:
    directory = data_directory(environment)
    check_ca_file(options.ca_file)
    found_config, config = data.check_config(directory / "config.json")
    found_accounts, file = data.check_accounts_file(directory / "accounts.json")
    damaged = file is None
    config, file = config or Config(), file or AccountsFile()
    egress = chosen_egress(options, environment, config)
    credential = given_credential(options, environment, any_stored=bool(file.accounts))
    patients = _patients(options, environment, file, credential, egress, config)
    report.tell([data.check_directory(directory), *data.check_files(directory)])
    report.tell([found_config, found_accounts, *data.check_usage_file(directory / data.USAGE_FILE)])
    report.tell([data.check_disk(directory), machine.check_descriptors(connection_cap(CONNECTIONS), CONNECTIONS)])
    report.tell([machine.check_trust(environment, options.ca_file), await check_port(options.port)])
    clients, findings = read_clients(Surroundings(Path.home(), Path.cwd(), environment), options.port)
    report.tell(findings)
    report.tell([] if damaged and not patients else _accounts(file, credential, patients))
    if options.offline:
        return
    if patients:
        wanted = Wanted(asked=options.model, clients=clients)

        def pause(record: AccountRecord, said: str) -> None:
            warned = Pause(said, time.time())
            change_accounts(directory, lambda file: with_pause(file, record.github_token, warned))

        await examine_accounts(patients, config, wanted, report.tell, ca_file=options.ca_file, on_warning=pause)
    else:
        hosts = chosen_hosts(options, environment)
        way = _way(options, environment, config, egress)
        await examine_way(dict.fromkeys((hosts.github, hosts.github_api)), way, report.tell, ca_file=options.ca_file)


def _accounts(file: AccountsFile, credential: Credential | None, patients: Sequence[Patient]) -> list[Finding]:
    if not patients:
        return [warning("accounts", "there is none", "`copilot-trio add-account` signs in.")]
    if credential is None:
        return []
    others = f", and not the {len(file.accounts)} stored ones" if file.accounts else ""
    return [ok("accounts", f"`start` uses the token from {credential.source}{others}")]


def _patients(
    options: argparse.Namespace,
    environment: Mapping[str, str],
    file: AccountsFile,
    credential: Credential | None,
    egress: Egress,
    config: Config,
) -> list[Patient]:
    equip = equipment(options, environment, egress)

    def patient(record: AccountRecord, *, stored: bool) -> Patient:
        seat = equip(record)
        way = _way(options, environment, config, egress)
        pause = pause_of(file, record.github_token)
        return Patient(
            record=record,
            hosts=seat.hosts,
            way=way if record.proxy is None else own_way(record.proxy, seat.egress),
            warned=None if pause is None else pause.message,
            stored=stored,
        )

    if options.account is not None:
        return [patient(chosen_account(file, options.account), stored=True)]
    outside = []
    if credential is not None:
        record = msgspec.structs.replace(credential.record, label=credential.source)
        outside = [patient(record, stored=False)]
    return [*outside, *(patient(record, stored=True) for record in file.accounts)]


def _way(options: argparse.Namespace, environment: Mapping[str, str], config: Config, egress: Egress) -> Way:
    variables = proxy_variables(options, environment, config)
    if variables is None:
        return direct_way(egress, environment)
    if options.proxy_env:
        return way_by(
            variables, egress, "through the proxy of --proxy-env", "HTTPS_PROXY and NO_PROXY in the environment"
        )
    return way_by(variables, egress, "through the saved proxy", "`copilot-trio proxy --show`")


class _Report:
    """Findings as they come, for a person; all at the end, for a program."""

    def __init__(self, options: argparse.Namespace, environment: Mapping[str, str]) -> None:
        self.findings: list[Finding] = []
        self._json = options.json
        self._verbose = options.verbose
        dull = environment.get("NO_COLOR") or environment.get("TERM") == "dumb"
        self._colour = sys.stdout.isatty() and not dull

    def tell(self, findings: Iterable[Finding]) -> None:
        for finding in findings:
            self.findings.append(finding)
            if not self._json:
                self._say(finding)

    def end(self) -> None:
        if self._json:
            say(msgspec.json.format(msgspec.json.encode(shown(self.findings)), indent=2).decode())
            return
        counts = {state: sum(finding.state == state for finding in self.findings) for state in COLOURS}
        say(f"{counts['ok']} ok, {counts['warning']} warnings, {counts['failed']} failed")

    def _say(self, finding: Finding) -> None:
        name = f"{finding.account}: {finding.check}" if finding.account else finding.check
        state = f"{finding.state:<7}"
        if self._colour:
            state = f"\033[{COLOURS[finding.state]}m{state}\033[0m"
        remedy = f" -> {finding.remedy}" if finding.remedy else ""
        say(f"{state}  {printable(f'{name}: {finding.message}{remedy}')}")
        for detail in finding.details if self._verbose else ():
            say(f"         {printable(detail)}")
