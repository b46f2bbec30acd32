from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest

from copilot_trio.clients.document import Change, Memory
from copilot_trio.clients.journal import NAME, Entry, Journal, load, save
from copilot_trio.config import DamagedFile

FILE = Path("/home/someone/.claude/settings.json")
ENTRY = Entry("claude-code", str(FILE), Memory((Change(("env", "A"), None, '"1"'),), (("env",),)), "0" * 64, True, True)


def test_what_is_stored_comes_back_and_is_private(tmp_path: Path) -> None:
    assert load(tmp_path) == Journal()
    save(tmp_path, Journal().with_entry(FILE, ENTRY))
    assert load(tmp_path).of(FILE) == ENTRY
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_file_has_one_entry_and_others_keep_theirs() -> None:
    other = Path("/other")
    second = msgspec.structs.replace(ENTRY, made=False)
    journal = Journal().with_entry(FILE, ENTRY).with_entry(other, msgspec.structs.replace(ENTRY, file=str(other)))
    assert journal.with_entry(FILE, second).of(FILE) == second
    assert len(journal.with_entry(FILE, second).entries) == 2
    assert journal.with_entry(FILE, None).of(FILE) is None
    assert journal.with_entry(FILE, None).of(other) is not None


@pytest.mark.parametrize(
    ("text", "words"), [("{", "damaged"), ('{"version": 2}', "newer"), ('{"entries": 1}', "damaged")]
)
def test_a_damaged_or_newer_one_is_refused_and_kept(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(DamagedFile, match=words):
        load(tmp_path)
    assert (tmp_path / NAME).read_text() == text
