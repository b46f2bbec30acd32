from __future__ import annotations

import json
import logging
import os
import re
import stat
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import msgspec
import pytest
import trio

from copilot_trio.accounts.account import AccountRecord
from copilot_trio.accounts.lock import StoreBusy, locked
from copilot_trio.accounts.store import (
    MISSING,
    AccountsFile,
    Pause,
    Store,
    load_accounts,
    save_accounts,
    stamp,
    watch,
    with_account,
    with_fields,
    with_pause,
    without_account,
    write_private,
)
from copilot_trio.config import DamagedFile

ROOT = Path(__file__).parent.parent
RECORD = AccountRecord(id="a1", label="work", github_token="ghu_SYNTHETIC", machine_id="m")
OTHER = AccountRecord(id="a2", label="home", github_token="ghu_SYNTHETIC2")
TEMPORARY = ".accounts.json.abcd_123"


def add(record: AccountRecord) -> partial[AccountsFile]:
    return partial(with_account, record=record)


def label(text: str) -> partial[AccountsFile]:
    return partial(with_fields, id="a1", label=text)


def one_more(file: AccountsFile, account: str) -> AccountsFile:
    [record] = [found for found in file.accounts if found.id == account]
    return with_fields(file, account, last_used=record.last_used + 1)


def names(directory: Path) -> set[str]:
    return {entry.name for entry in directory.iterdir()}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one account, in a directory of its own."""
    path = tmp_path / "data" / "accounts.json"
    Store(path).update(add(RECORD))
    return path


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    path = tmp_path / "new" / "accounts.json"
    save_accounts(path, AccountsFile(accounts=(RECORD,)))
    assert load_accounts(path).accounts == (RECORD,)


def test_what_is_updated_is_read(path: Path) -> None:
    store = Store(path)
    stored = store.update(add(OTHER))
    assert stored.accounts == (RECORD, OTHER)
    assert store.read() == stored
    assert store.update(partial(without_account, id="a1")).accounts == (OTHER,)


def test_a_missing_file_is_an_empty_one(tmp_path: Path) -> None:
    assert load_accounts(tmp_path / "accounts.json").accounts == ()


def test_only_the_owner_can_read(path: Path) -> None:
    assert [mode(path), mode(path.with_name("accounts.json.lock")), mode(path.parent)] == [0o600, 0o600, 0o700]
    path.chmod(0o644)
    Store(path).update(label("office"))
    assert mode(path) == 0o600


def test_what_changes_nothing_writes_nothing(path: Path, tmp_path: Path) -> None:
    before = stamp(path)
    Store(path).update(lambda file: file)
    Store(path).update(add(RECORD))
    assert stamp(path) == before
    assert Store(tmp_path / "none" / "accounts.json").update(lambda file: file) == AccountsFile()
    assert not (tmp_path / "none" / "accounts.json").exists()


def test_a_file_of_version_1_is_read_and_becomes_version_2_when_it_is_written(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_text(
        '{"version":1,"accounts":[{"id":"a1","label":"work","github_token":"ghu_SYNTHETIC","status":"active","x":1}],'
        '"paused":{"ab":"no"},"y":2}'
    )
    before = path.read_bytes()
    assert Store(path).read().paused == {"ab": Pause("no", 0.0)}
    Store(path).update(lambda file: file)
    assert path.read_bytes() == before
    Store(path).update(label("office"))
    written = json.loads(path.read_bytes())
    assert (written["version"], written["paused"]) == (2, {"ab": {"message": "no", "at": 0.0, "conversations": []}})
    assert (written["accounts"][0]["label"], written["accounts"][0]["x"], written["y"]) == ("office", 1, 2)


@pytest.mark.parametrize(
    "text",
    [b"{", b"", b'{"accounts":[{"id":1}]}', b"\xff\x00", b'{"a":' + b"[" * 100_000, b'{"version":99,"accounts":1}'],
)
def test_a_damaged_file_is_refused_named_and_left_alone(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(text)
    with pytest.raises(DamagedFile, match=r"accounts\.json.*left as it is"):
        load_accounts(path)
    with pytest.raises(DamagedFile, match=r"accounts\.json.*left as it is"):
        Store(path).update(add(RECORD))
    assert path.read_bytes() == text


def test_a_newer_version_asks_for_the_newer_program(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.write_bytes(b'{"version":3}')
    with pytest.raises(DamagedFile, match=r"version 3; this program knows 2.*Use the newer program"):
        load_accounts(path)


def test_a_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "accounts.json").mkdir()
    with pytest.raises(DamagedFile, match="permissions"):
        load_accounts(tmp_path / "accounts.json")


def test_a_file_that_is_far_too_big_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    with path.open("wb") as file:
        file.truncate(65 * 1024 * 1024)
    with pytest.raises(DamagedFile, match="over 64 MiB"):
        load_accounts(path)


def test_what_another_program_wrote_survives(path: Path) -> None:
    document = json.loads(path.read_bytes())
    document["new"] = {"deep": [1]}
    document["accounts"][0]["newer"] = "kept"
    path.write_text(json.dumps(document))
    Store(path).update(add(OTHER))
    Store(path).update(label("office"))
    Store(path).update(lambda file: with_pause(file, "t", Pause("m", 1.0)))
    written = json.loads(path.read_bytes())
    assert (written["new"], written["accounts"][0]["newer"]) == ({"deep": [1]}, "kept")
    assert written["accounts"][0]["label"] == "office"


def test_an_update_starts_from_what_is_stored_now(path: Path) -> None:
    one, other = Store(path), Store(path)
    one.read()
    other.update(add(OTHER))
    one.update(label("office"))
    assert [account.label for account in other.read().accounts] == ["office", "home"]


def test_a_change_that_fails_leaves_everything(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(LookupError):
        Store(path).update(partial(with_fields, id="nobody", label="x"))
    assert path.read_bytes() == before
    Store(path).update(label("office"), patience=0)  # and the lock is free


def test_what_could_not_be_read_again_is_not_written(path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(ValueError, match="status"):
        Store(path).update(partial(with_fields, id="a1", status="odd"))
    assert path.read_bytes() == before


def test_a_file_that_another_holds_is_busy(path: Path) -> None:
    with locked(path.with_name("accounts.json.lock"), 0):
        with pytest.raises(StoreBusy, match="try again"):
            Store(path).update(label("office"), patience=0)
        assert load_accounts(path).accounts == (RECORD,)  # reading needs no lock


def test_threads_lose_nothing(path: Path) -> None:
    Store(path).update(add(OTHER))

    def count(account: str) -> None:
        for _ in range(25):
            Store(path).update(partial(one_more, account=account), patience=60)

    threads = [threading.Thread(target=count, args=(account,)) for account in ("a1", "a1", "a2", "a2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert [account.last_used for account in load_accounts(path).accounts] == [50.0, 50.0]


def test_kill_9_loses_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "store_kills.py", "--kills", "20"],
        cwd=ROOT / "tests",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"20 kills, \d+ updates, 0 damaged, 0 lost", done.stdout)


def test_a_full_disk_leaves_the_old_file(path: Path) -> None:
    before = path.read_bytes()
    script = f"""
import resource
from pathlib import Path
from copilot_trio.accounts.store import Store, with_fields
resource.setrlimit(resource.RLIMIT_FSIZE, ({len(before)}, {len(before)}))
Store(Path({str(path)!r})).update(lambda file: with_fields(file, "a1", label="x" * 10_000))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "OSError: [Errno 27]" in done.stderr
    assert path.read_bytes() == before
    assert names(path.parent) == {"accounts.json", "accounts.json.lock"}


def test_a_write_that_fails_leaves_the_old_file_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.mkdir()  # what cannot be replaced by a file
    with pytest.raises(OSError, match="accounts"):
        write_private(path, b"new")
    assert names(tmp_path) == {"accounts.json"}


def test_what_a_killed_writer_left_goes_with_the_next_update(path: Path) -> None:
    strange = {".accounts.json.swp", "accounts.json.bak", ".accounts.json.ABCD1234", ".other.json.abcd_123"}
    for name in (TEMPORARY, *strange):
        path.with_name(name).write_text("half")
        os.utime(path.with_name(name), (0, 0))
    path.with_name(".accounts.json.fresh_12").write_text("of a writer that lives")
    Store(path).update(label("office"))
    assert names(path.parent) == {"accounts.json", "accounts.json.lock", ".accounts.json.fresh_12", *strange}


def test_a_link_stays_a_link(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "accounts.json"
    link.parent.mkdir()
    link.symlink_to(path)
    Store(link).update(label("office"))
    assert link.is_symlink()
    assert load_accounts(path).accounts[0].label == "office"
    assert names(link.parent) == {"accounts.json"}
    with locked(path.with_name("accounts.json.lock"), 0), pytest.raises(StoreBusy):
        Store(link).update(label("again"), patience=0)  # both ways to the file share one lock


def test_a_link_to_nothing_yet_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "accounts.json"
    link.symlink_to(tmp_path / "data" / "mine.json")
    Store(link).update(add(RECORD))
    assert link.is_symlink()
    assert names(tmp_path / "data") == {"mine.json", "mine.json.lock"}
    assert mode(tmp_path / "data") == 0o700


def test_a_link_to_itself_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accounts.json"
    path.symlink_to(path)
    with pytest.raises(DamagedFile, match="symbolic links"):
        Store(path).update(add(RECORD))


def test_a_record_shows_no_token() -> None:
    assert "ghu_" not in repr(RECORD)


def test_no_two_contents_have_the_same_stamp(path: Path) -> None:
    stamps = {stamp(path)}
    for _ in range(30):
        write_private(path, b"as long as before")
        stamps.add(stamp(path))
    assert len(stamps) == 31
    path.unlink()
    assert stamp(path) == stamp(path / "below") == MISSING


def test_a_clock_that_was_set_back_does_not_bring_a_stamp_again(path: Path) -> None:
    ahead = path.stat().st_mtime_ns + 10**12
    os.utime(path, ns=(ahead, ahead))
    write_private(path, path.read_bytes())
    assert stamp(path)[2] == ahead + 1


# Not in a thread, which virtual time does not wait for.
remove, read, write = Path.unlink, Path.read_bytes, Path.write_bytes


class Reader:
    """What reads the file when it is told of a change."""

    def __init__(self, path: Path) -> None:
        self.store = Store(path)
        self.labels: list[str] = []
        self.calls = 0

    async def read(self) -> None:
        self.calls += 1
        file = self.store.read()
        self.labels.append(file.accounts[0].label if file.accounts else "")
        if self.labels[-1] == "while it is read":
            self.store.update(label("in between"))


async def test_a_change_is_noticed(path: Path, nursery: trio.Nursery) -> None:
    reader = Reader(path)
    nursery.start_soon(partial(watch, path, changed=reader.read))
    await trio.sleep(1)
    assert reader.labels == ["work"]
    await trio.sleep(100)
    assert reader.calls == 1
    Store(path).update(label("office"))
    await trio.sleep(2)
    remove(path)
    await trio.sleep(2)
    Store(path).update(add(RECORD))
    await trio.sleep(2)
    assert reader.labels == ["work", "office", "", "work"]


async def test_what_was_read_before_is_not_read_again(path: Path, nursery: trio.Nursery) -> None:
    since = stamp(path)
    reader = Reader(path)
    nursery.start_soon(partial(watch, path, changed=reader.read, since=since))
    await trio.sleep(11)
    assert reader.calls == 0
    Store(path).update(label("office"))
    await trio.sleep(2)
    assert reader.labels == ["office"]


async def test_a_change_between_reading_and_watching_is_noticed(path: Path, nursery: trio.Nursery) -> None:
    since = stamp(path)
    Store(path).update(label("office"))
    reader = Reader(path)
    nursery.start_soon(partial(watch, path, changed=reader.read, since=since))
    await trio.sleep(1)
    assert reader.labels == ["office"]


async def test_a_change_while_it_is_read_is_noticed(path: Path, nursery: trio.Nursery) -> None:
    reader = Reader(path)
    Store(path).update(label("while it is read"))
    nursery.start_soon(partial(watch, path, changed=reader.read, every=5.0))
    await trio.sleep(6)
    assert reader.labels == ["while it is read", "in between"]


async def test_a_file_that_becomes_damaged_is_said_once_and_read_once_it_is_mended(
    path: Path, nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    good, seen = read(path), stamp(path)
    reader = Reader(path)
    nursery.start_soon(partial(watch, path, changed=reader.read, since=stamp(path)))
    await trio.sleep(1)
    with caplog.at_level(logging.ERROR):
        write(path, b"{")
        await trio.sleep(60)
        assert [str(path) in line for line in caplog.messages] == [True]
    assert reader.calls > 10
    write(path, good)
    os.utime(path, ns=(seen[2], seen[2]))  # even if it is just as it was
    await trio.sleep(2)
    assert reader.labels == ["work"]


def test_what_is_written_is_meant_for_people(path: Path) -> None:
    text = path.read_text()
    assert text.startswith('{\n  "version": 2,\n')
    assert msgspec.json.decode(text, type=AccountsFile).accounts == (RECORD,)
