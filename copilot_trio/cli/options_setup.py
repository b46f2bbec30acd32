"""The flags of ``setup``. No imports that take time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from .options import DEFAULT_PORT

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)

CLIENTS = ("claude-code", "codex", "opencode", "cursor")
DEFAULT_URL = f"http://127.0.0.1:{DEFAULT_PORT}"


def add_setup(commands: Commands) -> None:
    parser = commands.add_parser(
        "setup",
        help="point a client at the running server: its own configuration file, from the live models and limits",
        description="Show what belongs into a client's own configuration file, from the running server's models and\n"
        "limits. With --write it is merged in: everything else in the file stays, and a backup lies beside it.",
        epilog="examples:\n"
        "  copilot-trio setup claude-code\n"
        "  copilot-trio setup claude-code --write\n"
        "  copilot-trio setup opencode --write --model claude-opus-4.6 --small-model gpt-5-mini\n"
        "  copilot-trio setup codex --write --url http://box.lan:4141 --key-file ~/key\n"
        "  copilot-trio setup codex --undo\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("client", choices=CLIENTS, metavar="client", help=", ".join(CLIENTS))
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--write", action="store_true", help="merge it into the file")
    action.add_argument("--undo", action="store_true", help="make the file what it was; later changes of others stay")
    parser.add_argument("--project", action="store_true", help="for the working directory only")
    parser.add_argument("--model", metavar="NAME", help="the model to work with (default: one that suits the client)")
    parser.add_argument("--small-model", metavar="NAME", help="for titles and side jobs; Codex has none")
    server = parser.add_argument_group("the server")
    server.add_argument("--url", default=DEFAULT_URL, help=f"where it is running (default {DEFAULT_URL})")
    key = server.add_mutually_exclusive_group()
    key.add_argument(
        "--key-file", metavar="FILE", help="one of its keys, where it wants any; the client's file gets it"
    )
    key.add_argument("--key", help="the same (it shows in the process list and the shell's history: a file is better)")
    parser.add_argument("--verbose", "-v", action="store_true", help="show where errors come from")
