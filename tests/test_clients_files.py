from __future__ import annotations

import stat
from pathlib import Path

import pytest

from copilot_trio.clients import document, journal
from copilot_trio.clients.document import Refused
from copilot_trio.clients.files import NothingToUndo, plan, undo, write
from copilot_trio.clients.json_text import JsonDocument
from copilot_trio.clients.places import JSON, JSONC, TOML, Format, Place
from copilot_trio.config import DamagedFile

WANTED: dict[document.Path, str | None] = {("env", "URL"): "http://here", ("env", "OLD"): None}
OWN = '{ "env":{"OLD":"x","KEEP":"1"},\n\t"hooks": [ ] }\n'


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place("claude-code", tmp_path / "home" / ".claude" / "settings.json", JSON)


def own(place: Place, text: str = OWN) -> None:
    place.path.parent.mkdir(parents=True)
    place.path.write_text(text)


def beside(place: Place) -> list[str]:
    return sorted(entry.name for entry in place.path.parent.iterdir() if entry != place.path)


def test_a_plan_touches_nothing(place: Place, data: Path) -> None:
    planned = plan(place, WANTED, data)
    assert '"URL": "http://here"' in planned.changed.text
    assert not place.path.exists()
    assert not data.exists()


def test_a_new_file_is_private_and_an_undo_removes_it(place: Place, data: Path) -> None:
    written = write(place, WANTED, data)
    assert written.backup is None
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o600
    assert place.path.read_text() == '{\n  "env": {\n    "URL": "http://here"\n  }\n}\n'
    assert undo(place, data).removed
    assert not place.path.exists()
    with pytest.raises(NothingToUndo):
        undo(place, data)


def test_a_file_of_the_users_keeps_mode_and_rest_and_comes_back_byte_for_byte(place: Place, data: Path) -> None:
    own(place)
    place.path.chmod(0o640)
    written = write(place, WANTED, data)
    assert JSON.read(place.path.read_text()).content() == {"env": {"KEEP": "1", "URL": "http://here"}, "hooks": []}
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o640
    assert written.backup is not None
    assert written.backup.parent == place.path.parent
    assert written.backup.read_text() == OWN
    assert stat.S_IMODE(written.backup.stat().st_mode) == 0o640
    undone = undo(place, data)
    assert not undone.removed
    assert place.path.read_text() == OWN
    assert stat.S_IMODE(place.path.stat().st_mode) == 0o640


def test_writing_twice_changes_and_backs_up_nothing_more(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    before = beside(place)
    again = write(place, WANTED, data)
    assert (again.changed.done, again.backup, beside(place)) == ((), None, before)


def test_an_undo_after_two_writes_restores_what_was_before_the_first(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    write(place, {("env", "URL"): "http://there"}, data)
    assert '"OLD": "x"' in place.path.read_text()  # not unwanted any more
    undo(place, data)
    assert place.path.read_text() == OWN


def test_an_undo_leaves_what_others_changed_and_backs_it_up(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    edited = place.path.read_text().replace("[ ]", '["mine"]').replace("http://here", "http://mine")
    place.path.write_text(edited)
    undone = undo(place, data)
    assert JSON.read(place.path.read_text()).content() == {"env": {"KEEP": "1", "OLD": "x"}, "hooks": ["mine"]}
    assert undone.touched == (("env", "URL"),)
    assert undone.backup is not None
    assert undone.backup.read_text() == edited


def test_a_write_after_others_changed_it_still_knows_our_former_values(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    place.path.write_text(place.path.read_text().replace("[ ]", '["mine"]'))
    write(place, {**WANTED, ("env", "URL"): "http://there"}, data)
    undo(place, data)
    assert JSON.read(place.path.read_text()).content() == {"env": {"KEEP": "1", "OLD": "x"}, "hooks": ["mine"]}


def test_an_undo_without_the_backup_goes_by_members(place: Place, data: Path) -> None:
    own(place)
    written = write(place, WANTED, data)
    assert written.backup is not None
    written.backup.unlink()
    undo(place, data)
    assert JSON.read(place.path.read_text()).content() == {"env": {"KEEP": "1", "OLD": "x"}, "hooks": []}


def test_a_file_that_somebody_removed_is_begun_anew(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    place.path.unlink()
    assert undo(place, data).removed
    write(place, WANTED, data)
    place.path.unlink()
    write(place, WANTED, data)
    undo(place, data)
    assert not place.path.exists()


def test_a_new_file_with_other_things_in_it_stays_at_an_undo(place: Place, data: Path) -> None:
    write(place, WANTED, data)
    place.path.write_text(place.path.read_text().replace("{\n", '{\n  "mine": 1,\n', 1))
    assert not undo(place, data).removed
    assert JSON.read(place.path.read_text()).content() == {"mine": 1}


def test_behind_a_link_the_link_stays(place: Place, data: Path, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.json"
    real.write_text(OWN)
    place.path.parent.mkdir(parents=True)
    place.path.symlink_to(real)
    assert write(place, WANTED, data).file == real
    assert place.path.is_symlink()
    undo(place, data)
    assert real.read_text() == OWN


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b'{"env": {},\n "x": }', "settings.json: line 2: "),
        (b'{"env": 5}', "settings.json: line 1: env is no object"),
        (b'{"x": "\xff"}', "settings.json: byte 7: no UTF-8"),
        (b" " * (4 * 1024 * 1024 + 1), "over 4 MiB"),
    ],
)
def test_what_cannot_be_read_is_left_and_named(place: Place, data: Path, content: bytes, words: str) -> None:
    own(place)
    place.path.write_bytes(content)
    for attempt in (plan, write):
        with pytest.raises(Refused, match=words) as caught:
            attempt(place, WANTED, data)
        assert "left as it is" in str(caught.value)
    assert place.path.read_bytes() == content
    assert beside(place) == []
    assert journal.load(data).entries == ()


def test_an_undo_of_what_cannot_be_read_any_more_is_refused_and_can_be_tried_again(place: Place, data: Path) -> None:
    own(place)
    write(place, WANTED, data)
    good = place.path.read_text()
    place.path.write_text("{ half")
    with pytest.raises(Refused, match=r"malformed|truncated"):
        undo(place, data)
    assert place.path.read_text() == "{ half"
    place.path.write_text(good)
    undo(place, data)
    assert place.path.read_text() == OWN


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_file_is_as_good_as_none(place: Place, data: Path, text: str) -> None:
    own(place, text)
    write(place, WANTED, data)
    assert JSON.read(place.path.read_text()).content() == {"env": {"URL": "http://here"}}
    undo(place, data)
    assert place.path.read_text() == text


def test_our_own_damaged_notes_stop_it_before_anything_is_changed(place: Place, data: Path) -> None:
    own(place)
    data.mkdir()
    (data / journal.NAME).write_text("{")
    for attempt in (lambda: write(place, WANTED, data), lambda: undo(place, data)):
        with pytest.raises(DamagedFile):
            attempt()
    assert place.path.read_text() == OWN


def test_what_another_program_writes_meanwhile_is_not_overwritten(place: Place, data: Path) -> None:
    own(place)

    def read_while_somebody_writes(text: str) -> JsonDocument:
        place.path.write_text('{"theirs": 1}')
        return JsonDocument(text)

    with pytest.raises(Refused, match="another program"):
        write(Place("x", place.path, Format(read_while_somebody_writes, "{}")), WANTED, data)
    assert place.path.read_text() == '{"theirs": 1}'
    assert journal.load(data).entries == ()
    assert [name for name in beside(place) if not name.endswith(".bak")] == []


def test_a_folder_that_cannot_be_made_leaves_no_notes(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    place = Place("claude-code", tmp_path / "file" / "settings.json", JSON)
    with pytest.raises(OSError, match="file"):
        write(place, WANTED, data)
    assert journal.load(data).entries == ()


def test_toml_and_comments_come_back_too(tmp_path: Path, data: Path) -> None:
    for name, kind, text in (
        ("config.toml", TOML, "# mine\n[analytics]\nenabled = false\n"),
        ("opencode.jsonc", JSONC, '{\n  // mine\n  "x": 1,\n}\n'),
    ):
        place = Place("x", tmp_path / name, kind)
        place.path.write_text(text)
        write(place, {("p", "ours", "url"): "u", ("model",): "m"}, data)
        assert "mine" in place.path.read_text()
        assert '"u"' in place.path.read_text()
        undo(place, data)
        assert place.path.read_text() == text
