"""The commands and their flags: product.md §3, row by row. ``start`` is in walk_start.py."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pexpect
from processes import Running
from walk_routes import CHAT, MESSAGES
from walk_table import Caller, Shell, short, until

COMMANDS = (
    "start", "demo", "twin", "enable-account", "disable-account", "acknowledge", "auth", "logout", "proxy",
    "add-account", "list-accounts", "remove-account", "check-usage", "guard", "setup", "doctor", "debug", "import",
)  # fmt: skip
HTTP_PROXY = "http://me:hidden@127.0.0.1:9"
DEAD = "http://127.0.0.1:9"


def every_command(shell: Shell) -> None:
    shell.run("3", "help, with examples", "--help", words=["examples:", *COMMANDS])
    for name in COMMANDS:
        shell.run("3", f"{name}: help, examples, --verbose", name, "--help", words=["examples:", "--verbose"])
    shell.run("3", "version", "--version", words=[r"copilot-trio \d"])
    shell.run("3", "a command that is not there", "nonsense", code=2, words=["invalid choice"])
    with shell.table.row("3", "no colour with NO_COLOR", "NO_COLOR=1 copilot-trio check-usage (terminal)") as said:
        with shell.on_terminal("check-usage", NO_COLOR="1", TERM="xterm") as child:
            child.expect(pexpect.EOF)
            assert "Premium" in (child.before or "")
            assert "\x1b[" not in (child.before or "")
            said.append("no escape sequence")


def accounts(shell: Shell, tokens: dict[str, str], new_token: str) -> None:
    """``tokens``: of the accounts to store, by label."""
    file = shell.home / "token"
    shell.table.names[str(file)] = "FILE"
    for label, token in tokens.items():
        kind = "business" if label == "work" else "individual"
        file.write_text(token)
        flags = ("--label", label, "--account-type", kind, "--github-token-file", str(file), "--verbose")
        shell.run("3", "add-account: checked, and stored", "add-account", *flags, words=[rf"Added {label}"])
    fields = ["#  +Label +Login .*Status +Premium Remaining", "octo-dev", "octo-home", "octo-work"]
    shell.run("3", "list-accounts", "list-accounts", words=fields)
    shell.run(
        "3", "list-accounts --json", "list-accounts", "--json", check=lambda text: len(json.loads(text)["accounts"])
    )
    file.write_text(new_token)
    add = ("add-account", "-l", "new", "-a", "enterprise", "--github-token-file", str(file))
    shell.run("3", "add-account --proxy, a dead one", *add, "--proxy", DEAD, code=1, words=["127.0.0.1:9"])
    shell.run("3", "add-account --proxy, no proxy", *add, "--proxy", "ftp://x", code=2, words=["must begin with"])
    shell.run("3", "add-account --enterprise-host", *add, "--enterprise-host", "octocorp.ghe.com", words=["Added new"])
    shell.run("3", "and listed with its host", "list-accounts", words=[r"octocorp\.ghe\.com\S*"])
    shell.run("3", "remove-account, no terminal", "remove-account", "4", code=2, words=["--force"])
    question = r"Remove the account new.*\[y/N\]"
    shell.dialogue("3", "remove-account, asked: no", "remove-account", "4", talk=[(question, "n")], code=1)
    shell.dialogue(
        "3", "remove-account by index: yes", "remove-account", "4", talk=[(question, "y")], last="Removed new"
    )
    for words in (("--label", "new"), ("new",), ("octo-new",)):
        shell.run("3", "(stored again)", *add, words=["Added new"])
        shell.run("3", "remove-account by its names", "remove-account", *words, "-f", words=["Removed new"])
    shell.run("3", "remove-account, nobody", "remove-account", "nobody", "--force", code=1, words=["list-accounts"])


def beside_a_server(shell: Shell, b: Caller, control: Caller) -> None:
    def now(label: str, wanted: str) -> bool:
        return status(label) == wanted

    def status(label: str) -> str:
        return str(
            next(one["status"] for one in b.call("GET", "/api/accounts").at("accounts") if one["label"] == label)
        )

    for name, wanted in (("disable-account", "disabled"), ("enable-account", "active")):
        shell.run("3", f"{name}: a running server follows", name, "work", words=["work"])
        with shell.table.row("3", f"{name}, in the server", "curl B/api/accounts") as said:
            until(partial(now, "work", wanted))
            said.append(f"work: {wanted}")
    control.call("POST", "/scenarios", {"path": "/chat/completions", "error": "tos_block"})
    assert b.call("POST", "/v1/chat/completions", CHAT).status == 403
    shell.run("3", "acknowledge: the warning shown", "acknowledge", words=["GitHub said: .{20}", "Acknowledged"])
    shell.run("3", "acknowledge <id>, nothing to", "acknowledge", "work", words=["is not paused"])
    shell.run("3", "auth --acknowledge, nothing to", "auth", "--acknowledge", words=["No account is paused"])
    until(lambda: all(now(label, "active") for label in ("dev", "home", "work")))


def usage(shell: Shell, empty: Shell) -> None:
    lines = [
        "Individual Pro",
        "Resets",
        r"Premium +\[#+-+\]",
        "in reserve|in deficit|On pace",
        "Lasts until|Runs out",
        "credits",
    ]
    shell.run("3", "check-usage", "check-usage", words=lines)
    shell.run("3", "check-usage --json", "check-usage", "--json", words=["usedPercent", "pace", "planLabel"])
    shell.run("3", "check-usage --account", "check-usage", "--account", "work", words=[r"work \(octo-work\): Business"])
    for flags, code, word in (
        (("--min-remaining", "20"), 0, "enough"),
        (("--min-remaining", "100", "--account", "dev"), 1, "below"),
        (("--window", "chat"), 0, "chat"),
        (("--window", "premium", "--json"), 0, "premium"),
        (("--min-remaining", "lots"), 64, "--min-remaining"),
        (("--window", "weekly"), 64, "invalid choice"),
    ):
        shell.run("3", f"guard: {code}", "guard", *flags, code=code, words=[word])
    empty.run("3", "guard: 69", "guard", "--min-remaining", "20", code=69)
    empty.run("3", "guard --fail-open: 0", "guard", "--fail-open")


def setup(shell: Shell, url: str, keyed: str) -> None:
    where = ("--url", url)
    files = {
        "claude-code": ".claude/settings.json",
        "codex": ".codex/config.toml",
        "opencode": ".config/opencode/opencode.json",
    }
    for client, name in files.items():
        path = shell.home / name
        shell.run("3", f"setup {client}: printed", "setup", client, *where, words=[name, url])
        assert not path.exists()
        words = ["written|added|adds|set"]
        shell.run(
            "3",
            f"setup {client} --write",
            "setup",
            client,
            *where,
            "--write",
            words=words,
            check=partial(_size, path),
        )
        shell.run(
            "3",
            f"setup {client} --undo",
            "setup",
            client,
            "--undo",
            check=partial(_gone, path),
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{ this cannot be [parsed")
        shell.run("3", f"setup {client}: not parsed", "setup", client, *where, "--write", code=1, words=[name])
        assert path.read_text() == "{ this cannot be [parsed"
        path.unlink()
    models = ("--model", "claude-opus-4.6", "--small-model", "gpt-5-mini")
    shell.run(
        "3",
        "setup, models chosen",
        "setup",
        "claude-code",
        *where,
        *models,
        words=["claude-opus-4.6", "gpt-5-mini", "COMPACT_WINDOW"],
    )
    limits = ["context", "output"]
    shell.run("3", "setup opencode: live limits", "setup", "opencode", *where, words=limits)
    shell.run("3", "setup cursor", "setup", "cursor", *where, words=["/v1", "gpt-4.1"])
    shell.run("3", "setup, no key where one is wanted", "setup", "codex", "--url", keyed, code=1, words=["key"])
    key = shell.home / "key"
    key.write_text("admin-key-of-the-walk\n")
    shell.table.names[str(key)] = "FILE"
    for flags in (("--key-file", str(key)), ("--key", "admin-key-of-the-walk")):
        shell.run("3", f"setup {flags[0]}", "setup", "opencode", "--url", keyed, *flags, words=["apiKey"])
    shell.run("3", "setup --project", "setup", "claude-code", *where, "--project", words=[r"tests\S*settings\S*json"])
    shell.run("3", "setup, no server there", "setup", "codex", "--url", DEAD, code=1, words=["127.0.0.1:9"])


def _size(path: Path, _: str) -> str:
    return f"{path.stat().st_size} bytes"


def _gone(path: Path, _: str) -> str:
    assert not path.exists()
    return "the file is gone again"


def care(shell: Shell, empty: Shell, port: str) -> None:
    checks = [
        "data directory", "port", "claude-code", "egress to GitHub", "GitHub token", "Copilot token", "models: ",
        "0 failed",
    ]  # fmt: skip
    shell.run("3", "doctor", "doctor", "--port", port, words=checks)
    shell.run("3", "doctor --json", "doctor", "--json", "--port", port, words=['"check"'])
    why = ("--model", "gemini-3-pro-preview", "--model", "no-such")
    shell.run(
        "3",
        "doctor: why a model is missing",
        "doctor",
        *why,
        "--account",
        "dev",
        "--port",
        port,
        code=1,
        words=["gemini-3-pro-preview.{60}", "no-such.{60}"],
    )
    shell.run("3", "doctor --offline", "doctor", "--offline", "--port", port, words=["data directory"])
    token = ("--github-token-file", str(shell.home / "token"))
    shell.run("3", "doctor --github-token-file", "doctor", *token, "--port", port, words=["GitHub token: accepted"])
    dead = ("--github-base-url", DEAD, "--github-api-base-url", DEAD, "--account", "dev")
    shell.run(
        "3", "doctor names the hop", "doctor", *dead, "--port", port, code=1, words=["failed +.*egress to GitHub.{60}"]
    )
    shell.run("3", "debug", "debug", words=["version", "runtime", "APP_DIR", "credentials", "proxy"])
    shell.run("3", "debug --json", "debug", "--json", check=lambda text: ", ".join(json.loads(text)))
    empty.run("3", "proxy: none", "proxy", words=["No proxy is saved"])
    flags = ("--http-proxy", HTTP_PROXY, "--https-proxy", "socks5h://127.0.0.1:1080", "--no-proxy", ".example.com")
    empty.run("3", "proxy --http-proxy --https-proxy --no-proxy", "proxy", *flags, words=["saved and enabled"])
    masked = [
        r"Status +enabled",
        r"HTTP_PROXY +http://me:\*\*\*@127.0.0.1:9",
        "HTTPS_PROXY +socks5h",
        r"NO_PROXY +\.example",
    ]
    empty.run("3", "proxy --show, masked", "proxy", "--show", words=masked)
    empty.run("3", "proxy --disable", "proxy", "--disable", words=["disabled"])
    empty.run("3", "proxy --enable", "proxy", "--enable", words=["enabled"])
    empty.run("3", "proxy --clear", "proxy", "--clear", words=["forgotten"])
    empty.run("3", "proxy --set, no terminal", "proxy", "--set", code=2, words=["no terminal"])
    talk = [("HTTP proxy ", DEAD), ("HTTPS proxy ", ""), ("No proxy for ", ""), ("Enable it now", "y")]
    empty.dialogue("3", "proxy --set", "proxy", "--set", talk=talk, last="saved and enabled")
    empty.run("3", "proxy --clear", "proxy", "--clear")


def demo(shell: Shell) -> None:
    leaks = {"COPILOT_TRIO_GITHUB_TOKEN": "ghu_SYNTHETICreal", "HTTP_PROXY": DEAD, "HTTPS_PROXY": DEAD}
    with shell.table.row("3", "demo", "copilot-trio demo --port 0 --host 127.0.0.1, with a dead HTTP_PROXY") as said:
        flags = ("demo", "--port", "0", "--host", "127.0.0.1", "--verbose")
        with Running(flags, shell.environment(**leaks)) as server:
            d = Caller(shell.table, server.wait_for(r"listening +(http://\S+)")[1], "D")
            said.append(short(server.wait_for(r"curl -N http\S+")[0]))
            listed = d.call("GET", "/api/accounts").at("accounts")
            assert [one["status"] for one in listed] == ["active"] * 3
            said.append("3 accounts, all active")
            past = d.call("GET", "/api/metrics/summary?range=30d").at("summary.totals.requestCount")
            assert past > 100
            said.append(f"{past} requests of the past")
            models = d.call("GET", "/api/models/available").at("0.accounts")
            assert len(models) == 3
            assert d.call("POST", "/v1/messages", MESSAGES).status == 200
            home = Path(server.wait_for(r"COPILOT_TRIO_HOME=(\S+)")[1])
            assert server.stop() == 0
        assert not home.exists()
        said.append("its directory is gone, exit 0")
    shell.run("3", "demo where others reach it", "demo", "--host", "0.0.0.0", code=2, words=["loopback"])


def emulator(shell: Shell) -> None:
    scenario = shell.home / "scenario.json"
    scenario.write_text('{"faults": [{"path": "/user", "error": "no_such_error"}]}')
    shell.table.names[str(scenario)] = "FILE"
    shell.run(
        "3",
        "twin: a wrong scenario",
        "twin",
        "--port",
        "0",
        "--scenario-file",
        str(scenario),
        code=2,
        words=["scenario-file"],
    )
    shell.run("3", "twin: loopback only", "twin", "--host", "0.0.0.0", code=2, words=["--host"])
    with shell.table.row("3", "twin", "copilot-trio twin --port 0 --control-port 0 --pace 0") as said:
        with Running(("twin", "--port", "0", "--control-port", "0", "--pace", "0"), shell.environment()) as running:
            base = Caller(shell.table, running.wait_for(r"GitHub and Copilot +(http://\S+)")[1])
            control = Caller(shell.table, running.wait_for(r"control +(http://\S+)")[1])
            assert base.call("GET", "/user").status == 401
            assert control.call("GET", "/records").at("records.0.path") == "/user"
            assert running.stop() == 0
        said.append("GitHub, Copilot and control answer; exit 0")
