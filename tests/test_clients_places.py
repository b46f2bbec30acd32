from __future__ import annotations

from pathlib import Path

import pytest

from copilot_trio.clients.document import Refused
from copilot_trio.clients.places import JSON, JSONC, TOML, place_of

HOME = Path("/home/someone")


@pytest.mark.parametrize(
    ("client", "variables", "path"),
    [
        ("claude-code", {}, "/home/someone/.claude/settings.json"),
        ("claude-code", {"CLAUDE_CONFIG_DIR": "/c"}, "/c/settings.json"),
        ("claude-code", {"CLAUDE_CONFIG_DIR": ""}, "/home/someone/.claude/settings.json"),
        ("codex", {}, "/home/someone/.codex/config.toml"),
        ("codex", {"CODEX_HOME": "/c"}, "/c/config.toml"),
        ("opencode", {}, "/home/someone/.config/opencode/opencode.json"),
        ("opencode", {"XDG_CONFIG_HOME": "/x"}, "/x/opencode/opencode.json"),
        ("opencode", {"OPENCODE_CONFIG": "/o/mine.jsonc", "XDG_CONFIG_HOME": "/x"}, "/o/mine.jsonc"),
        ("opencode", {"OPENCODE_CONFIG": "/o/mine.jsonc", "OPENCODE_CONFIG_DIR": "/d"}, "/d/opencode.json"),
    ],
)
def test_a_clients_own_variables_say_where(client: str, variables: dict[str, str], path: str) -> None:
    assert place_of(client, variables, HOME).path == Path(path)


def test_a_projects_file_is_the_one_that_is_not_shared() -> None:
    project = Path("/work")
    assert place_of("claude-code", {}, HOME, project).path == Path("/work/.claude/settings.local.json")
    assert place_of("opencode", {}, HOME, project).path == Path("/work/opencode.json")
    with pytest.raises(Refused, match="--project"):
        place_of("codex", {}, HOME, project)


def test_of_opencodes_files_the_one_it_reads_last(tmp_path: Path) -> None:
    folder = tmp_path / "opencode"
    folder.mkdir()
    for name in ("config.json", "opencode.json", "opencode.jsonc"):
        (folder / name).write_text("{}")
        assert place_of("opencode", {"XDG_CONFIG_HOME": str(tmp_path)}, HOME).path == folder / name


def test_each_file_is_read_as_its_client_does() -> None:
    assert [place_of(name, {}, HOME).format for name in ("claude-code", "codex", "opencode")] == [JSON, TOML, JSONC]
    for format_ in (JSON, JSONC, TOML):
        assert format_.read(format_.empty).text == format_.empty
