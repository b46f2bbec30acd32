from __future__ import annotations

import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from copilot_trio.accounts.lock import StoreBusy, locked

ROOT = Path(__file__).parent.parent
HOLDER = """
import sys
from pathlib import Path
from copilot_trio.accounts.lock import locked
with locked(Path(sys.argv[1]), 10):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    return holder


def test_one_at_a_time_within_a_process(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 0), pytest.raises(StoreBusy), locked(path, 0):
        pass
    with locked(path, 0):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_error_inside_lets_go(tmp_path: Path) -> None:
    with pytest.raises(KeyError), locked(tmp_path / "lock", 0):
        raise KeyError
    with locked(tmp_path / "lock", 0):
        pass


def test_the_message_says_cause_and_remedy(tmp_path: Path) -> None:
    with locked(tmp_path / "lock", 0), pytest.raises(StoreBusy) as raised, locked(tmp_path / "lock", 0.02):
        pass
    assert str(tmp_path / "lock") in str(raised.value)
    assert "Nothing was written: try again" in str(raised.value)
    assert raised.value.strerror == str(raised.value)


def test_who_waits_gets_it(tmp_path: Path) -> None:
    waiting, got = threading.Event(), threading.Event()

    def wait() -> None:
        waiting.set()
        with locked(tmp_path / "lock", 30):
            got.set()

    with locked(tmp_path / "lock", 0):
        waiter = threading.Thread(target=wait)
        waiter.start()
        assert waiting.wait(30)
        assert not got.is_set()
    waiter.join(30)
    assert got.is_set()


def test_a_holder_that_is_killed_lets_go(tmp_path: Path) -> None:
    holder = hold(tmp_path / "lock")
    with holder:
        with pytest.raises(StoreBusy), locked(tmp_path / "lock", 0):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait(30)
        with locked(tmp_path / "lock", 0):
            pass


def test_a_lock_file_that_was_removed_holds_nobody_off_and_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with locked(path, 0):
        path.unlink()
    with locked(path, 0), pytest.raises(StoreBusy), locked(path, 0):
        pass


def test_a_directory_that_is_not_there_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "nowhere" / "lock", 30):
        pass
