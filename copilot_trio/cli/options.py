"""The flags of every command. No imports that take time."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 (it has no public name)

DEFAULT_PORT = 4141
ACCOUNT_TYPES = ("individual", "business", "enterprise")


def add_start(commands: Commands) -> None:
    parser = _command(
        commands,
        "start",
        "serve (the default command)",
        "  copilot-trio start\n  copilot-trio start --port 5000 --account-type business\n"
        "  copilot-trio start --host 0.0.0.0 --api-key my-long-secret\n"
        "  copilot-trio start --rate-limit 30 --wait\n  copilot-trio start --claude-code",
    )
    _add_listen(parser, DEFAULT_PORT)
    _add_account(parser)
    gate = parser.add_argument_group("who may call")
    gate.add_argument("--api-key", action="append", default=[], metavar="KEY", help="require this key; repeatable")
    gate.add_argument("--allowed-host", action="append", default=[], metavar="NAME", help="accept this Host header too")
    gate.add_argument(
        "--allowed-origin", action="append", default=[], metavar="ORIGIN", help="let this web origin call"
    )
    gate.add_argument(
        "--no-auth", action="store_true", help="serve without any key: whoever reaches the port may spend"
    )
    gate.add_argument(
        "--show-token", action="store_true", help="let GET /token tell the Copilot token to whoever has the admin right"
    )
    gate.add_argument("--i-know", action="store_true", help="needed for --no-auth on a host that is not loopback")
    models = parser.add_argument_group("models")
    models.add_argument(
        "--claude-code",
        "-c",
        action="store_true",
        help="ask which models Claude Code is to use, and show the command that starts it",
    )
    models.add_argument(
        "--no-auto-thinking", action="store_true", help="do not let models think where the client says nothing of it"
    )
    limits = parser.add_argument_group("limits")
    limits.add_argument(
        "--rate-limit",
        "-r",
        type=_seconds,
        metavar="SECONDS",
        help="between two model requests; one that comes sooner is refused with 429",
    )
    limits.add_argument("--wait", "-w", action="store_true", help="let it wait for its turn instead")
    limits.add_argument("--manual", action="store_true", help="ask on this terminal before each model request")
    limits.add_argument(
        "--max-body", type=_positive, default=64, metavar="MIB", help="largest request body (default 64)"
    )
    limits.add_argument(
        "--drain", type=float, default=30.0, metavar="SECONDS", help="for running answers at a stop (default 30)"
    )
    limits.add_argument("--max-connections", type=_positive, default=1000, metavar="N", help="default 1000")


def add_demo(commands: Commands) -> None:
    parser = _command(
        commands,
        "demo",
        "try it: an emulated GitHub and Copilot, sample accounts, canned answers; no account, no network",
        "  copilot-trio demo\n  copilot-trio demo --port 5000",
    )
    _add_listen(parser, DEFAULT_PORT)


def add_auth(commands: Commands) -> None:
    parser = _command(
        commands,
        "auth",
        "sign in to GitHub with a code, and store the account",
        "  copilot-trio auth\n  copilot-trio auth --enterprise-host octo.ghe.com\n  copilot-trio auth --acknowledge",
    )
    _add_hosts(parser)
    _add_network(parser)
    _add_account_type(parser)
    parser.add_argument("--label", "-l", default="", help="what to call the account (default: its login)")
    parser.add_argument(
        "--acknowledge",
        action="store_true",
        help="use every account again that GitHub warned about; see also `acknowledge`",
    )
    parser.add_argument("--show-token", action="store_true", help="show the GitHub token, on a terminal only")


def add_accounts(commands: Commands) -> None:
    parser = _command(
        commands,
        "add-account",
        "store one more account, signed in with a code or by a token; it is checked first",
        "  copilot-trio add-account --label work --account-type business\n"
        "  copilot-trio add-account --proxy socks5h://user:password@proxy.example:1080\n"
        "  copilot-trio add-account --github-token-file ~/token",
    )
    parser.add_argument("--label", "-l", default="", help="what to call it (default: its login)")
    _add_account_type(parser)
    parser.add_argument("--github-token-file", metavar="FILE", help="use the token in this file instead of a code")
    parser.add_argument(
        "--proxy",
        metavar="URL",
        help="http://, https://, socks5:// or socks5h://, for all calls of this account (a password in it shows in the "
        "process list while the command runs)",
    )
    parser.add_argument(
        "--direct", action="store_true", help="send the GitHub token itself to Copilot, without an exchange"
    )
    _add_hosts(parser)
    _add_network(parser)
    parser = _command(
        commands,
        "list-accounts",
        "show the stored accounts: status, group, quota left, limits; no network",
        "  copilot-trio list-accounts\n  copilot-trio list-accounts --json",
    )
    parser.add_argument("--json", action="store_true", help="as the admin API names the fields")
    parser = _command(
        commands,
        "remove-account",
        "remove a stored account, after a question",
        "  copilot-trio remove-account 2\n  copilot-trio remove-account --label work --force",
    )
    parser.add_argument("account", nargs="?", help="its number in the list, label, id or login")
    parser.add_argument("--label", "-l", help="its label, even if that looks like something else")
    parser.add_argument("--force", "-f", action="store_true", help="do not ask")
    for name, what in (
        ("enable-account", "use an account again; its limits are forgotten"),
        ("disable-account", "send nothing more on an account, and keep it"),
    ):
        parser = _command(commands, name, what, f"  copilot-trio {name} work\n  copilot-trio {name} 2")
        parser.add_argument("account", help="its number in the list, label, id or login")
    parser = _command(
        commands,
        "acknowledge",
        "use an account again after a warning from GitHub, which is shown",
        "  copilot-trio acknowledge\n  copilot-trio acknowledge work",
    )
    parser.add_argument("account", nargs="?", help="its number, label, id or login; needed where several are paused")
    parser = _command(
        commands,
        "import",
        "copy the accounts of copilot-api, copilot-api-plus and CLIProxyAPI",
        "  copilot-trio import\n  copilot-trio import --from /mnt/old/copilot-api-plus --yes",
    )
    parser.add_argument(
        "--from", dest="directories", action="append", metavar="DIR", help="look there, and nowhere else; repeatable"
    )
    parser.add_argument("--yes", "-y", action="store_true", help="do not ask")


def add_twin(commands: Commands) -> None:
    parser = _command(
        commands,
        "twin",
        "the emulator of GitHub and Copilot alone, on loopback",
        "  copilot-trio twin --port 4199 --control-port 4198\n"
        "  COPILOT_TRIO_GITHUB_URL=http://127.0.0.1:4199 COPILOT_TRIO_GITHUB_API_URL=http://127.0.0.1:4199 "
        "copilot-trio start",
    )
    _add_listen(parser, 4199)
    parser.add_argument(
        "--control-port", type=_port, default=0, metavar="PORT", help="for the control API (default: any)"
    )
    parser.add_argument("--scenario-file", metavar="FILE", help="faults and accounts to begin with (JSON)")
    parser.add_argument(
        "--pace", type=float, default=15.0, metavar="MS", help="between two words of an answer (default 15)"
    )


def _command(commands: Commands, name: str, what: str, examples: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name,
        help=what,
        description=what[0].upper() + what[1:] + ".",
        epilog=f"examples:\n{examples}\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--verbose", "-v", action="store_true", help="log more, and show where errors come from")
    return parser


def _add_listen(parser: argparse.ArgumentParser, port: int) -> None:
    listen = parser.add_argument_group("where to listen")
    listen.add_argument("--port", "-p", type=_port, default=port, help=f"default {port}; 0 takes any free one")
    listen.add_argument("--host", default="127.0.0.1", help="default 127.0.0.1, this machine only")


def _add_account(parser: argparse.ArgumentParser) -> None:
    account = parser.add_argument_group("account")
    account.add_argument(
        "--github-token", "-g", metavar="TOKEN", help="use this token (it shows in the process list: a file is better)"
    )
    account.add_argument("--github-token-file", metavar="FILE", help="use the token in this file, say a Docker secret")
    account.add_argument("--save", action="store_true", help="store the token that was given")
    _add_account_type(account)
    _add_hosts(parser)
    _add_network(parser)


def _add_account_type(parser: argparse._ActionsContainer) -> None:
    parser.add_argument("--account-type", "-a", choices=ACCOUNT_TYPES, help="of the subscription (default individual)")


def _add_network(parser: argparse.ArgumentParser) -> None:
    network = parser.add_argument_group("network")
    network.add_argument("--proxy-env", action="store_true", help="use HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY")
    network.add_argument("--ca-file", metavar="FILE", help="trust the certificates in this file too")


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    hosts = parser.add_argument_group("hosts")
    hosts.add_argument("--enterprise-host", metavar="HOST", help="a GHE.com tenant, say octocorp.ghe.com")
    hosts.add_argument("--github-base-url", metavar="URL", help="instead of https://github.com")
    hosts.add_argument("--github-api-base-url", metavar="URL", help="instead of https://api.github.com")
    hosts.add_argument("--copilot-base-url", metavar="URL", help="instead of what GitHub's token reply says")


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError(f"{number} is no port")
    return number


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _seconds(text: str) -> float:
    number = float(text)
    if not 0 < number <= 86400:
        raise argparse.ArgumentTypeError("must be over 0 and at most 86400, a day")
    return number
