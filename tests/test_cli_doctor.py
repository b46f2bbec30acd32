"""``doctor`` against real things: the twin, dead proxies, proxies with passwords, a CA nobody trusts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from processes import Running, call, environment, run, twin
from proxy_servers import PASSWORD, USER, free_port, microsocks, stunnel

from copilot_trio.accounts.account import AccountRecord, StoredCooldown
from copilot_trio.accounts.health import PAID
from copilot_trio.accounts.store import AccountsFile, Pause, save_accounts, with_pause
from copilot_trio.twin import sample_accounts

DEV, HOME, WORK = sample_accounts()
MODEL_PATHS = {"/chat/completions", "/responses", "/v1/messages", "/embeddings"}
FAR = 4e9


class Ward:
    """A twin, a data directory, and what ``doctor`` says of them."""

    def __init__(self, home: Path, base: str, control: str) -> None:
        self.home = home
        self.base = base
        self.control = control
        self.variables = {"COPILOT_TRIO_GITHUB_URL": base, "COPILOT_TRIO_GITHUB_API_URL": base}

    def save(self, *records: AccountRecord, warned: str = "") -> None:
        file = AccountsFile(accounts=records)
        if warned:
            file = with_pause(file, warned, Pause("GitHub warned about this account: be nice", 1.0))
        save_accounts(self.home / "data" / "accounts.json", file)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        where = ("--port", str(free_port()))
        return run("doctor", *where, *arguments, home=self.home, **{**self.variables, **variables})

    def findings(self, *arguments: str, code: int = 0, **variables: str) -> dict[tuple[str, str], dict[str, Any]]:
        """By account and check."""
        done = self.run("--json", *arguments, **variables)
        assert (done.returncode, done.stderr) == (code, ""), done
        assert not any(one.token in done.stdout for one in sample_accounts())
        return {(one["account"], one["check"]): one for one in json.loads(done.stdout)["checks"]}

    def change(self, **fields: object) -> None:
        assert call(f"{self.control}/accounts", "POST", {"login": DEV.login, **fields})[0] == 200

    def records(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(call(f"{self.control}/records")[2])["records"]
        return found


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with twin(tmp_path) as (base, control):
        yield Ward(tmp_path, base, control)


def record(label: str = "dev", token: str = DEV.token, **fields: Any) -> AccountRecord:
    return AccountRecord(id=f"id-{label}", label=label, github_token=token, **fields)


def test_all_is_well_nothing_is_changed_and_no_model_is_asked(ward: Ward) -> None:
    ward.save(record(login=DEV.login), record("work", WORK.token, login=WORK.login))
    path = ward.home / "data" / "accounts.json"
    before, names = path.read_bytes(), {one.name for one in path.parent.iterdir()}
    done = ward.run("--verbose")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[-1].endswith("ok, 0 warnings, 0 failed")
    assert all(line.startswith(("ok  ", "    ")) for line in lines[:-1])
    for check in ("account", "egress to GitHub", "GitHub token", "quota", "Copilot token", "models"):
        assert sum(f": {check}: " in line for line in lines) == 2
    assert "oswe-vscode-prime: policy: its terms have not been accepted" in done.stdout
    assert (path.read_bytes(), {one.name for one in path.parent.iterdir()}) == (before, names)
    paths = {one["path"] for one in ward.records()}
    assert paths == {"/user", "/copilot_internal/user", "/copilot_internal/v2/token", "/models"}
    assert not paths & MODEL_PATHS


def test_each_account_goes_by_its_own_ids(ward: Ward) -> None:
    ward.save(record(machine_id="m1" * 32), record("work", WORK.token, machine_id="m2" * 32))
    ward.findings()
    seen = {(one["headers"]["vscode-machineid"], one["headers"]["vscode-sessionid"]) for one in ward.records()}
    assert len(seen) == 2


def test_a_dead_proxy_is_named_and_never_gone_round(ward: Ward) -> None:
    dead = f"http://u:s3cret@127.0.0.1:{free_port()}"
    ward.save(record(proxy=dead), record("work", WORK.token))
    done = ward.run("--json")
    assert (done.returncode, "s3cret" in done.stdout) == (1, False)
    found = {(one["account"], one["check"]): one for one in json.loads(done.stdout)["checks"]}
    message = found["dev", "egress to GitHub"]["message"]
    assert "through the account's own proxy fails at the proxy: Connection refused" in message
    assert ("dev", "GitHub token") not in found
    assert found["work", "models"]["state"] == "ok"
    run("proxy", "--http-proxy", dead, home=ward.home)
    ward.save(record())
    call(f"{ward.control}/records", "DELETE")
    found = ward.findings(code=1)
    assert "through the saved proxy fails at the proxy" in found["dev", "egress to GitHub"]["message"]
    assert "copilot-trio proxy --show" in found["dev", "egress to GitHub"]["remedy"]
    assert ward.records() == []
    run("proxy", "--disable", home=ward.home)
    assert ward.findings()["dev", "models"]["state"] == "ok"


def test_the_wrong_password_of_a_proxy(ward: Ward) -> None:
    with microsocks(ward.home, credentials=True) as proxy:
        right = proxy.url("socks5h", user=USER, password=PASSWORD)
        ward.save(record(proxy=right), record("work", WORK.token, proxy=proxy.url("socks5h", user=USER, password="no")))
        found = ward.findings(code=1)
        assert found["dev", "models"]["state"] == "ok"
        assert "wants other credentials" in found["work", "egress to GitHub"]["message"]
        by_environment = ward.findings("--account", "dev", "--proxy-env", HTTP_PROXY="http://127.0.0.1:9")
        assert by_environment["dev", "egress to GitHub"]["message"] == "127.0.0.1 through the account's own proxy"


def test_a_ca_that_is_not_trusted(ward: Ward) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(ward.home / "ca.pem"))
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(str(ward.home / "server.pem"))
    ward.save(record())
    with stunnel(ward.home, ward.home / "server.pem", int(ward.base.rpartition(":")[2])) as front:
        url = f"https://localhost:{front.port}"
        found = ward.findings(code=1, COPILOT_TRIO_GITHUB_API_URL=url)["dev", "egress to GitHub"]
        assert "fails at the CA" in found["message"]
        assert "--ca-file" in found["remedy"]
        assert ward.records() == []
        ca_file = str(ward.home / "ca.pem")
        found_models = ward.findings("--ca-file", ca_file, COPILOT_TRIO_GITHUB_API_URL=url)["dev", "models"]
        assert found_models["state"] == "ok"
        found_models = ward.findings(SSL_CERT_FILE=ca_file, COPILOT_TRIO_GITHUB_API_URL=url)["dev", "models"]
        assert found_models["state"] == "ok"


def test_a_revoked_token(ward: Ward) -> None:
    ward.save(record(login=DEV.login))
    ward.change(revoked=True)
    found = ward.findings(code=1)
    assert found["dev", "GitHub token"]["state"] == "failed"
    assert "copilot-trio auth" in found["dev", "GitHub token"]["remedy"]
    assert ("dev", "models") not in found


def test_an_account_without_copilot(ward: Ward) -> None:
    ward.save(record())
    ward.change(blocked="no_copilot_access")
    found = ward.findings(code=1)
    assert (found["dev", "GitHub token"]["state"], found["dev", "Copilot token"]["state"]) == ("ok", "failed")
    assert ("dev", "models") not in found


def test_a_token_of_somebody_else_and_a_quota_that_is_used_up(ward: Ward) -> None:
    ward.save(record(login="octo-somebody"))
    ward.change(remaining=0)
    found = ward.findings()
    assert "it is octo-dev's, and stored as octo-somebody's" in found["dev", "GitHub token"]["message"]
    assert found["dev", "quota"]["state"] == "warning"
    assert "used up" in found["dev", "quota"]["message"]


def test_github_that_is_out_of_order(ward: Ward) -> None:
    ward.save(record())
    for path in ("/copilot_internal/user", "/models"):
        call(f"{ward.control}/scenarios", "POST", {"path": path, "status": 500})
    found = ward.findings(code=1)
    assert (found["dev", "quota"]["state"], found["dev", "Copilot token"]["state"]) == ("failed", "ok")
    assert found["dev", "models"]["state"] == "failed"
    assert found["dev", "models"]["remedy"]


def test_a_missing_model_is_explained(ward: Ward) -> None:
    config = {"model_mapping": {"mine": "gemini-3-pro-preview"}, "web_search_model": "gpt-5-mini"}
    ward.save(record(), record("work", WORK.token))
    (ward.home / "data" / "config.json").write_text(json.dumps(config))
    (ward.home / "data" / "config.json").chmod(0o600)
    claude = {
        "ANTHROPIC_BASE_URL": "http://127.0.0.1:5",
        "ANTHROPIC_AUTH_TOKEN": "x",
        "ANTHROPIC_MODEL": "claude-opus-9",
    }
    ward.change(models=["gpt-4.1"])
    arguments = ("--model", "gpt-5.5", "--model", "gpt-5.6", "--port", "5")
    found = ward.findings(*arguments, code=1, **claude)
    assert "offered to work; not to dev: its list does not have it" in found["", "model gpt-5.5"]["message"]
    assert found["", "model gpt-5.6"]["state"] == "failed"
    assert "Did you mean gpt-5.5" in found["", "model gpt-5.6"]["remedy"]
    mapped = found["", "model gemini-3-pro-preview"]
    assert (mapped["state"], "model_mapping of mine" in mapped["message"]) == ("warning", True)
    assert "policy: a policy of the account or its organisation" in mapped["message"]
    assert "Enable it at" in mapped["remedy"]
    assert found["", "model claude-opus-9"]["state"] == "warning"
    assert found["", "model gpt-5-mini"]["state"] == "ok"


def test_who_is_warned_given_up_or_switched_off_is_not_asked_about(ward: Ward) -> None:
    ward.save(
        record(),
        record("home", HOME.token, status="banned", status_message="refused"),
        record("work", WORK.token, status="disabled"),
        warned=DEV.token,
    )
    found = ward.findings(code=1)
    assert [found[label, "account"]["state"] for label in ("dev", "home", "work")] == ["failed", "failed", "warning"]
    assert "copilot-trio acknowledge dev" in found["dev", "account"]["remedy"]
    assert "enable-account home" in found["home", "account"]["remedy"]
    assert ward.records() == []


def test_an_account_that_rests_is_asked_about(ward: Ward) -> None:
    ward.save(record(cooldowns={PAID: StoredCooldown(FAR, "exhausted", "used up")}))
    found = ward.findings()
    assert (found["dev", "account"]["state"], found["dev", "models"]["state"]) == ("warning", "ok")


def test_a_warning_ends_it_for_that_account(ward: Ward) -> None:
    ward.save(record())
    call(f"{ward.control}/scenarios", "POST", {"path": "/copilot_internal/user", "error": "tos_block"})
    found = ward.findings(code=1)
    assert found["dev", "quota"]["state"] == "failed"
    assert ("dev", "Copilot token") not in found
    sent = ward.records()
    assert {one["path"] for one in sent} == {"/user", "/copilot_internal/user"}
    again = ward.findings(code=1)
    assert (again["dev", "account"]["state"], "paused" in again["dev", "account"]["message"]) == ("failed", True)
    assert len(ward.records()) == len(sent)  # nothing more is sent on it, by anybody


def test_offline_asks_nobody(ward: Ward) -> None:
    ward.save(record())
    found = ward.findings("--offline")
    assert not [account for account, _ in found if account]
    assert ward.records() == []
    assert {"data directory", "config.json", "accounts.json", "disk", "descriptors"} <= {check for _, check in found}


def test_one_account_alone(ward: Ward) -> None:
    ward.save(record(), record("work", WORK.token))
    assert {account for account, _ in ward.findings("--account", "2")} == {"", "work"}
    done = ward.run("--account", "nobody")
    assert (done.returncode, "no account is called 'nobody'" in done.stderr) == (1, True)


def test_a_token_from_outside_is_checked_too(ward: Ward) -> None:
    found = ward.findings(COPILOT_TRIO_GITHUB_TOKEN=DEV.token)
    assert found["COPILOT_TRIO_GITHUB_TOKEN", "models"]["state"] == "ok"
    assert found["", "accounts"]["message"] == "`start` uses the token from COPILOT_TRIO_GITHUB_TOKEN"
    ward.save(record("work", WORK.token))
    found = ward.findings(COPILOT_TRIO_GITHUB_TOKEN="ghu_SYNTHETICwrong", code=1)
    assert found["COPILOT_TRIO_GITHUB_TOKEN", "GitHub token"]["remedy"] == "Give another token."
    assert "and not the 1 stored ones" in found["", "accounts"]["message"]
    assert found["work", "models"]["state"] == "ok"


def test_without_an_account_the_way_to_github_is_checked(ward: Ward) -> None:
    found = ward.findings()
    assert found["", "accounts"]["state"] == "warning"
    assert found["", "egress to GitHub"]["state"] == "ok"
    assert not (ward.home / "data").exists()


def test_a_running_server_is_found(ward: Ward) -> None:
    ward.save(record())
    with Running(("start", "--port", "0"), environment(ward.home, **ward.variables)) as server:
        port = server.wait_for(r"listening +http://\S+:(\d+)")[1]
        found = ward.findings("--port", port)["", f"port {port}"]
    assert (found["state"], "is there and well, 1 of 1 accounts active" in found["message"]) == ("ok", True)


def test_damaged_files_are_all_told_at_once(ward: Ward) -> None:
    (ward.home / "data").mkdir(mode=0o700)
    for name in ("accounts.json", "config.json"):
        (ward.home / "data" / name).write_text("{oops")
        (ward.home / "data" / name).chmod(0o600)
    found = ward.findings(code=1)
    assert [found["", name]["state"] for name in ("accounts.json", "config.json")] == ["failed", "failed"]
    assert ("", "accounts") not in found


@pytest.mark.parametrize("arguments", [("--port", "x"), ("--proxy-env",), ("--account",), ("--nonsense",)])
def test_wrong_use_exits_with_2(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    done = run("doctor", *arguments, home=tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
