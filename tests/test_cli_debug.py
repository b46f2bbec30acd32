from __future__ import annotations

import json
from pathlib import Path

from processes import run
from test_cli_logout import TOKENS, stock

from copilot_trio import __version__


def test_everything_is_told_and_no_secret(tmp_path: Path) -> None:
    stock(tmp_path)
    more = {"HTTPS_PROXY": "http://bob:hidden@127.0.0.1:9", "no_proxy": "x", "GH_TOKEN": "ghu_SYNTHETICenv"}
    done = run("debug", "--json", home=tmp_path, **more)
    assert (done.returncode, done.stderr) == (0, "")
    shown = json.loads(done.stdout)
    assert list(shown) == ["version", "runtime", "paths", "credentials", "proxy", "problems"]
    assert shown["version"] == __version__
    assert {"name", "version", "platform", "arch"} <= set(shown["runtime"])
    assert "trio" in shown["runtime"]["libraries"]
    assert shown["paths"]["APP_DIR"] == str(tmp_path / "data")
    assert shown["paths"]["GITHUB_TOKEN_PATH"] == str(tmp_path / "data" / "accounts.json")
    assert shown["credentials"] == {"accounts": 2, "ownProxies": 0, "clientKeys": 1, "environment": ["GH_TOKEN"]}
    assert shown["proxy"] == {
        "status": "enabled",
        "HTTP_PROXY": "http://u:***@x:80",
        "HTTPS_PROXY": None,
        "NO_PROXY": None,
        "environment": {"HTTPS_PROXY": "http://bob:***@127.0.0.1:9", "no_proxy": "x"},
    }
    assert shown["problems"] == []
    for text in (done.stdout, run("debug", home=tmp_path, **more).stdout):
        assert not any(secret in text for secret in (*TOKENS, "s3cret", "hidden", "ghu_SYNTHETICenv"))


def test_lines_for_a_person(tmp_path: Path) -> None:
    lines = run("debug", home=tmp_path).stdout.splitlines()
    assert lines[0] == f"version: {__version__}"
    assert "  accounts: 0" in lines
    assert "  status: none" in lines
    assert not (tmp_path / "data").exists()


def test_damaged_files_are_told_and_do_not_stop_it(tmp_path: Path) -> None:
    stock(tmp_path)
    for name in ("accounts.json", "config.json"):
        (tmp_path / "data" / name).write_text("{oops")
    done = run("debug", "--json", home=tmp_path)
    shown = json.loads(done.stdout)
    assert (done.returncode, shown["credentials"]["accounts"]) == (0, None)
    assert [name in problem for name, problem in zip(("config", "accounts"), shown["problems"], strict=True)] == [
        True
    ] * 2
