"""Signing in and out, and what other proxies have: product.md §3, row by row."""

from __future__ import annotations

import json
from pathlib import Path

import pexpect
from processes import PATIENCE, Running
from walk_access import ADDRESS
from walk_table import Caller, Shell, matched, short


def first_run(shell: Shell, importing: Shell, control: Caller, token: str) -> None:
    shell.run("3", "first run, no terminal", "start", code=2, words=["copilot-trio auth", "--github-token-file"])
    with shell.table.row("3", "first run: device flow, then served", "copilot-trio start (terminal)") as said:
        with shell.on_terminal("start", "--port", "0") as child:
            child.expect("unofficial")
            child.expect("presents itself as [^\r]+")
            child.expect(r"enter the code (\S+)")
            control.call("POST", f"/device/{matched(child)}", {"state": "approved", "login": "octo-dev"})
            child.expect("Signed in as octo-dev")
            child.expect(ADDRESS)
            child.expect("models .*gpt-4.1")
            said.append("notice, code, signed in, listening, models")
            child.sendintr()
            child.expect(pexpect.EOF)
            child.wait()
            assert child.exitstatus == 0
            said.append("Ctrl-C: exit 0")
    place = importing.home / ".local" / "share" / "copilot-api" / "github_token"
    place.parent.mkdir(parents=True)
    place.write_text(token)
    with importing.table.row("3", "first run: import offered", "copilot-trio start (terminal)") as said:
        with importing.on_terminal("start", "--port", "0") as child:
            child.expect(r"Import them\?.*: ?|Import them\?.*\] ")
            said.append(short(matched(child, 0)))
            child.sendline("y")
            child.expect("Imported 1 account")
            child.expect(ADDRESS)
            said.append("imported, listening")


def signing_in(shell: Shell, control: Caller) -> None:
    how = "copilot-trio auth --label mine (no terminal)"
    with shell.table.row("3", "auth: device flow", how) as said:
        with Running(("auth", "--label", "mine"), shell.environment()) as command:
            command.wait_for("unofficial")
            code = command.wait_for(r"enter the code (\S+)")[1]
            control.call("POST", f"/device/{code}", {"state": "approved", "login": "octo-dev"})
            said.append(command.wait_for("Signed in as octo-dev")[0])
            assert command.process.wait(PATIENCE) == 0
        assert "ghu_" not in command.printed
    shell.run("3", "auth --show-token, no terminal", "auth", "--show-token", code=2, words=["on a terminal only"])
    with shell.table.row("3", "auth --show-token", "copilot-trio auth --show-token (terminal)") as said:
        with shell.on_terminal("auth", "--show-token") as child:
            child.expect(r"enter the code (\S+)")
            control.call("POST", f"/device/{matched(child)}", {"state": "approved", "login": "octo-home"})
            child.expect(r"GitHub token: gh")
            said.append(matched(child, 0) + "…")
            child.expect(pexpect.EOF)
    with shell.table.row("3", "auth, denied", "copilot-trio auth") as said:
        with Running(("auth",), shell.environment()) as command:
            code = command.wait_for(r"enter the code (\S+)")[1]
            control.call("POST", f"/device/{code}", {"state": "denied"})
            assert command.process.wait(PATIENCE) == 1
        said.append(f"exit 1 {short(command.printed.strip().splitlines()[-1])}")
    shell.run("3", "logout, no terminal", "logout", code=2, words=["--github or --all"])
    shell.dialogue(
        "3", "logout: menu, no", "logout", talk=[("none: ", "1"), (r"\[y/N\]", "n")], code=1, last="Nothing was removed"
    )
    shell.run("3", "logout --github", "logout", "--github", words=["octo-dev", "octo-home"])
    shell.run("3", "logout --all", "logout", "-a", words=["No account was stored"])


def bringing_in(shell: Shell, token: str) -> None:
    places = {
        "copilot-api-plus/accounts.json": json.dumps(
            [{"githubToken": token, "label": "old", "githubLogin": "octo-dev"}]
        ),
        "copilot-api/github_token": "ghu_SYNTHETICapi",
    }
    share = shell.home / ".local" / "share"
    for name, text in places.items():
        write(share / name, text)
    cli = {"type": "github-copilot", "access_token": "ghu_SYNTHETICcli", "username": "octo-cli"}
    write(shell.home / ".cli-proxy-api" / "github-copilot-octo-cli.json", json.dumps(cli))
    shell.run("3", "import, no terminal", "import", code=2, words=["--yes"])
    shell.dialogue(
        "3", "import, asked", "import", talk=[("Import 3 accounts", "n")], code=1, last="Nothing was imported"
    )
    shell.run("3", "import: copied", "import", "--yes", words=["Imported 3 accounts", "What was copied is still there"])
    shell.run("3", "import --from", "import", "--from", str(share / "copilot-api"), "-y", words=["stored already"])
    assert all((share / name).read_text() == text for name, text in places.items())


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
