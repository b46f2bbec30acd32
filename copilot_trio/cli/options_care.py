"""The flags of the commands that look after an installation: what is wrong, what there is, what is to go."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .options import DEFAULT_PORT, _add_account_type, _add_hosts, _add_network, _command, _port

if TYPE_CHECKING:
    from .options import Commands


def add_doctor(commands: Commands) -> None:
    parser = _command(
        commands,
        "doctor",
        "find out what is wrong, and how to mend it; changes nothing and sends nothing to a model",
        "  copilot-trio doctor\n  copilot-trio doctor --account work --verbose\n"
        "  copilot-trio doctor --model claude-opus-4.6\n  copilot-trio doctor --offline --json\n\n"
        "exit codes: 0 nothing failed (there may be warnings), 1 something failed, 2 wrong use",
    )
    parser.add_argument("--json", action="store_true", help="for programs")
    parser.add_argument("--offline", action="store_true", help="leave out what needs the network")
    parser.add_argument(
        "--port", "-p", type=_port, default=DEFAULT_PORT, help=f"where the server is to listen (default {DEFAULT_PORT})"
    )
    parser.add_argument("--account", metavar="NAME", help="only this one: its number in the list, label, id or login")
    parser.add_argument(
        "--model", action="append", default=[], metavar="NAME", help="say why this one is not there; repeatable"
    )
    parser.add_argument("--github-token-file", metavar="FILE", help="check the token in this file too")
    parser.set_defaults(github_token=None)
    _add_account_type(parser)
    _add_hosts(parser)
    _add_network(parser)


def add_debug(commands: Commands) -> None:
    parser = _command(
        commands,
        "debug",
        "show versions, paths, which credentials there are, and the proxy; secrets are never shown",
        "  copilot-trio debug\n  copilot-trio debug --json",
    )
    parser.add_argument("--json", action="store_true", help="for programs, and for a report of a bug")


def add_logout(commands: Commands) -> None:
    parser = _command(
        commands,
        "logout",
        "remove stored credentials; without a flag a terminal is asked which",
        "  copilot-trio logout\n  copilot-trio logout --github\n  copilot-trio logout --all",
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--github", "-g", action="store_true", help="every stored account with its GitHub token")
    what.add_argument(
        "--all", "-a", action="store_true", help="those, the keys of clients and the saved proxy; nothing is asked"
    )


def add_proxy(commands: Commands) -> None:
    parser = _command(
        commands,
        "proxy",
        "show or change the saved proxy, which accounts without a proxy of their own leave through",
        "  copilot-trio proxy\n  copilot-trio proxy --set\n"
        "  copilot-trio proxy --http-proxy http://proxy.example:3128 --no-proxy .example.com,10.0.0.0/8\n"
        "  copilot-trio proxy --disable",
    )
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--show", action="store_true", help="what is saved, passwords masked (the default)")
    action.add_argument("--set", action="store_true", help="ask for everything, on a terminal")
    action.add_argument("--enable", action="store_true", help="use what is saved")
    action.add_argument("--disable", action="store_true", help="keep what is saved, and do not use it")
    action.add_argument("--clear", action="store_true", help="forget what is saved")
    values = parser.add_argument_group(
        "values", "Giving one saves and enables it. A password in a flag shows in the process list: --set asks for it."
    )
    values.add_argument("--http-proxy", metavar="URL", help="http://, https://, socks5:// or socks5h://")
    values.add_argument("--https-proxy", metavar="URL", help="for https, which is nearly all (default: the HTTP proxy)")
    values.add_argument("--no-proxy", metavar="LIST", help="hosts, domains and networks that are reached directly")
