"""The command line. Each command is a module, imported when it is run: ``--help`` need not wait for Trio."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from copilot_trio import __version__

from .failure import CommandFailed
from .options import add_accounts, add_auth, add_demo, add_start, add_twin
from .options_care import add_debug, add_doctor, add_logout, add_proxy
from .options_setup import add_setup
from .options_usage import WRONG_USE, add_check_usage, add_guard

DESCRIPTION = "Your GitHub Copilot subscription as OpenAI- and Anthropic-compatible APIs, on this machine."
EPILOG = """examples:
  copilot-trio demo                     try it: no account, no network
  copilot-trio                          sign in at the first run, then serve on http://127.0.0.1:4141
  copilot-trio start --port 5000        the same on another port
  copilot-trio auth                     sign in only
  copilot-trio add-account -l work      one more account; a running server uses it at once
  copilot-trio list-accounts            what is stored of them, and how they are
  copilot-trio setup codex --write      point a client at the running server

Unofficial: not made or supported by GitHub. The README says what that means.
"""

MODULES = {"import": "import_accounts"}  # what cannot be a module's name


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="copilot-trio",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"copilot-trio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="command")
    add_start(commands)
    add_demo(commands)
    add_auth(commands)
    add_accounts(commands)
    add_check_usage(commands)
    add_guard(commands)
    add_setup(commands)
    add_doctor(commands)
    add_proxy(commands)
    add_logout(commands)
    add_debug(commands)
    add_twin(commands)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong use; ``guard`` has its own."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in {"-h", "--help", "--version"}):
        arguments.insert(0, "start")
    try:
        options = build_parser().parse_args(arguments)
    except SystemExit as leaving:
        if leaving.code == 2 and arguments[0] == "guard":
            return WRONG_USE
        raise
    command = importlib.import_module(f"copilot_trio.cli.{_module(options.command)}")
    try:
        code: int = command.run(options, os.environ)
    except CommandFailed as failure:
        print(f"copilot-trio: {failure}", file=sys.stderr)
        return failure.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if options.verbose:
            raise
        print(f"copilot-trio: {type(error).__name__}: {error} (--verbose shows where)", file=sys.stderr)
        return 1
    return code


def _module(command: str) -> str:
    return MODULES.get(command, command.replace("-", "_"))
