from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from copilot_trio.doctor.clients import Client, Surroundings, read_clients, too_large_limits
from copilot_trio.doctor.finding import Finding
from copilot_trio.models.model import Capabilities, Model, ModelLimits

PORT = 4141
CLAUDE = {"ANTHROPIC_BASE_URL": "http://127.0.0.1:4141", "ANTHROPIC_AUTH_TOKEN": "any"}
CODEX = """
model = "gpt-5.3-codex"
model_provider = "ours"
model_context_window = 400000
[model_providers.ours]
base_url = "http://127.0.0.1:4141/v1"
wire_api = "responses"
env_key = "OURS_KEY"
"""


@pytest.fixture
def place(tmp_path: Path) -> Surroundings:
    here = tmp_path / "here"
    here.mkdir()
    return Surroundings(tmp_path, here, {"OURS_KEY": "any"})


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def found(place: Surroundings, client: str) -> tuple[list[Client], list[Finding]]:
    clients, findings = read_clients(place, PORT)
    return [one for one in clients if one.name == client], [one for one in findings if one.check == client]


def opencode(url: str = "http://localhost:4141/v1", limit: Mapping[str, int] | None = None) -> dict[str, Any]:
    model = {"limit": {"context": 200000, "output": 32000} if limit is None else limit}
    return {"provider": {"ours": {"options": {"baseURL": url}, "models": {"claude-sonnet-4.5": model}}}}


def test_nothing_is_configured(place: Surroundings) -> None:
    clients, findings = read_clients(place, PORT)
    assert clients == []
    assert [(one.check, one.state, one.message) for one in findings] == [
        (name, "ok", "no configuration was found") for name in ("claude-code", "codex", "opencode")
    ]


def test_claude_code_that_is_pointed_here(place: Surroundings) -> None:
    settings = {"env": {**CLAUDE, "ANTHROPIC_MODEL": "claude-opus-4.6", "CLAUDE_CODE_AUTO_COMPACT_WINDOW": "168000"}}
    write(place.home / ".claude" / "settings.json", settings)
    (client,), (finding,) = found(place, "claude-code")
    assert client.models == {"ANTHROPIC_MODEL": "claude-opus-4.6"}
    assert client.limits == {"claude-opus-4.6": 168000}
    assert finding.state == "ok"
    assert "auto mode asks before risky commands" in finding.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"ANTHROPIC_BASE_URL": "http://127.0.0.1:4141/v1"}, "it adds /v1 itself"),
        ({"ANTHROPIC_API_KEY": "x"}, "both ANTHROPIC_API_KEY and"),
        ({"ANTHROPIC_AUTH_TOKEN": ""}, "it will want a login"),
        ({"ANTHROPIC_MODEL": "claude-opus-4.6[1m]"}, "[1m] makes it send more"),
    ],
)
def test_what_is_wrong_with_claude_code(place: Surroundings, change: dict[str, str], words: str) -> None:
    write(place.home / ".claude" / "settings.json", {"env": {**CLAUDE, **change}})
    _, (finding,) = found(place, "claude-code")
    assert (finding.state, words in finding.message, bool(finding.remedy)) == ("warning", True, True)


def test_a_projects_settings_win_over_the_users_and_the_environment(place: Surroundings) -> None:
    place = Surroundings(
        place.home, place.here, {"ANTHROPIC_BASE_URL": "http://127.0.0.1:1", "ANTHROPIC_AUTH_TOKEN": "x"}
    )
    assert "points it at http://127.0.0.1:1, and not at port 4141" in found(place, "claude-code")[1][0].message
    write(place.home / ".claude" / "settings.json", {"env": {"ANTHROPIC_BASE_URL": "https://claude.example"}})
    assert "does not point it here" in found(place, "claude-code")[1][0].message
    write(place.here / ".claude" / "settings.local.json", {"env": {"ANTHROPIC_BASE_URL": "http://localhost:4141"}})
    (client,), _ = found(place, "claude-code")
    assert client.where.endswith("settings.local.json")


def test_codex_that_is_pointed_here(place: Surroundings) -> None:
    write(place.home / ".codex" / "config.toml", CODEX)
    (client,), (finding,) = found(place, "codex")
    assert (client.models, client.limits) == ({"model": "gpt-5.3-codex"}, {"gpt-5.3-codex": 400000})
    assert finding.state == "ok"


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('wire_api = "responses"', 'wire_api = "chat"', 'wire_api = "responses"'),
        ("4141/v1", "4141", "without /v1"),
        ("OURS_KEY", "OTHER_KEY", "OTHER_KEY, which is not set"),
        ('"ours"\nmodel_context', '"theirs"\nmodel_context', "does not point it here"),
        ("base_url", "base_url =", "config.toml cannot be read"),
    ],
)
def test_what_is_wrong_with_codex(place: Surroundings, old: str, new: str, words: str) -> None:
    write(place.home / ".codex" / "config.toml", CODEX.replace(old, new))
    _, (finding,) = found(place, "codex")
    assert words in finding.message


def test_opencode_that_is_pointed_here(place: Surroundings) -> None:
    write(place.home / ".config" / "opencode" / "opencode.jsonc", "// mine\n" + json.dumps(opencode()))
    (client,), (finding,) = found(place, "opencode")
    assert client.limits == {"claude-sonnet-4.5": 200000}
    assert list(client.models.values()) == ["claude-sonnet-4.5"]
    assert finding.state == "ok"
    write(place.here / "opencode.json", opencode("http://127.0.0.1:9/v1"))
    assert "points it at http://127.0.0.1:9/v1" in found(place, "opencode")[1][0].message


def test_what_is_wrong_with_opencode(place: Surroundings) -> None:
    write(place.here / "opencode.json", opencode(limit={"context": 1}))
    assert "has no limit.output" in found(place, "opencode")[1][0].message
    write(place.here / "opencode.json", opencode("http://u:s3cret@localhost:4141"))
    (finding,) = found(place, "opencode")[1]
    assert "without /v1" in finding.message
    assert "s3cret" not in finding.message


@pytest.mark.parametrize(
    "text", ["{oops", "[1]", "\xff", '{"env": 5, "provider": [1]}', "", '{"env":{"ANTHROPIC_BASE_URL":"http://[x"}}']
)
def test_odd_files_are_told_and_kept(place: Surroundings, text: str) -> None:
    paths = [
        place.home / ".claude" / "settings.json",
        place.here / "opencode.json",
        place.home / ".codex" / "config.toml",
    ]
    for path in paths:
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    clients, findings = read_clients(place, PORT)
    assert clients == []
    assert len(findings) == 3
    assert all(path.read_bytes() == text.encode("latin-1") for path in paths)


def test_a_window_larger_than_the_models_is_warned_of() -> None:
    model = Model(id="claude-opus-4.6", capabilities=Capabilities(limits=ModelLimits(max_context_window_tokens=200000)))
    models = {model.id: model}
    for claimed, count in ((1_000_000, 1), (200_000, 0)):
        client = Client(name="claude-code", where="settings.json", limits={"claude-opus-4-6": claimed, "unknown": 9})
        warnings = too_large_limits(client, models, {})
        assert len(warnings) == count
    client = Client(name="codex", where="config.toml", limits={"mine": 300_000})
    (warned,) = too_large_limits(client, models, {"mine": "claude-opus-4.6"})
    assert "gives mine 300000 tokens, and Copilot 200000" in warned.message
