"""``twin``: the emulator of GitHub and Copilot alone."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Mapping
from pathlib import Path

import trio

from copilot_trio import logs
from copilot_trio.twin import Ports, ScenarioError, Twin, load_scenarios, serve_twin
from copilot_trio.twin.listen import loopback_address

from .failure import CommandFailed

MS = 0.001


def run(options: argparse.Namespace, _: Mapping[str, str]) -> int:
    logs.set_up(verbose=options.verbose)
    twin = Twin(pace=options.pace * MS)
    if options.scenario_file:
        try:
            twin.load(load_scenarios(Path(options.scenario_file).read_bytes()))
        except (OSError, ScenarioError) as error:
            raise CommandFailed(f"--scenario-file {options.scenario_file}: {error}", 2) from None
    try:
        host = loopback_address(options.host)
    except ValueError as error:
        raise CommandFailed(f"--host: {error}", 2) from None
    try:
        trio.run(_serve, options, twin, host)
    except* OSError as group:
        raise CommandFailed(f"cannot listen: {group.exceptions[0]}. Choose another --port.") from None
    return 0


async def _serve(options: argparse.Namespace, twin: Twin, host: str) -> None:
    async with trio.open_nursery() as nursery:
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            ports: Ports = await nursery.start(serve_twin, twin, host, options.port, options.control_port)
            print(f"GitHub and Copilot  {ports.base_url}")
            print(f"control             {ports.control_url}")
            for account in twin.accounts:
                print(f"account             {account.login} ({account.plan}), token {account.token}")
            print(
                f"use it              COPILOT_TRIO_GITHUB_URL={ports.base_url} "
                f"COPILOT_TRIO_GITHUB_API_URL={ports.base_url} copilot-trio start",
                flush=True,
            )
            async for _ in signals:
                break
            nursery.cancel_scope.cancel("told to stop")
