"""Two writers at one ``accounts.json``, killed with -9 at random moments: nothing damaged, nothing lost.

    cd tests && PYTHONPATH=.. python store_kills.py [--kills 200] [--seed N]

Each update of a writer does four things at once: it counts its own account's ``last_used`` up, writes that account's
``status_message``, its own cooldown of the account that both share, and counts up the shared ``last_used``. Only then
is the number said on a pipe. So after a kill the file must hold every number that was said, and the shared count must
be the sum of both writers': one more or less would be an update that was lost or half done.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import select
import signal
import stat
import sys
import tempfile
import time
import traceback
from pathlib import Path
from statistics import median

import msgspec

from copilot_trio.accounts.account import AccountRecord, StoredCooldown
from copilot_trio.accounts.store import AccountsFile, Store, load_accounts, with_account, with_fields
from copilot_trio.config import DamagedFile

NAMES = ("left", "right")
SHARED = "both"
PATIENCE = 60.0
UNKNOWN = b'"written_by_another": {\n    "n": 1e999\n  }'


class Writer:
    """A process of its own, forked, so that it writes at once."""

    def __init__(self, path: Path, name: str) -> None:
        self.name = name
        self.said = 0
        self._rest = b""
        reading, writing = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.closerange(3, writing)  # the other's pipe, or neither would notice that this program is gone
            try:
                write_for_ever(path, name, writing)
            except Exception:
                traceback.print_exc()
            finally:
                os._exit(1)
        os.close(writing)
        self._pipe = reading
        self._alive = True

    def listen(self, seconds: float) -> bool:
        """Take in what it says for so long. False once it is dead and all is heard."""
        until = time.monotonic() + seconds
        while select.select([self._pipe], [], [], max(0.0, until - time.monotonic()))[0]:
            heard = os.read(self._pipe, 65536)
            if not heard:
                return False
            *numbers, self._rest = (self._rest + heard).split(b"\n")
            if numbers:
                self.said = int(numbers[-1])
        return True

    def kill(self) -> None:
        if not self._alive:
            return
        self._alive = False
        os.kill(self.pid, signal.SIGKILL)
        _, status = os.waitpid(self.pid, 0)
        if not os.WIFSIGNALED(status):
            raise SystemExit(f"writer {self.name} died by itself: {status}")
        while self.listen(1.0):
            pass
        os.close(self._pipe)


def write_for_ever(path: Path, name: str, pipe: int) -> None:
    store = Store(path)
    while True:
        stored = store.update(lambda file: one_more(file, name), patience=PATIENCE)
        os.write(pipe, b"%d\n" % count(stored, name))


def one_more(file: AccountsFile, name: str) -> AccountsFile:
    number = count(file, name) + 1
    cooldowns = {**record(file, SHARED).cooldowns, name: StoredCooldown(number, "rate_limited", "x" * (number % 500))}
    file = with_fields(file, name, last_used=float(number), status_message=f"{name} {number}")
    return with_fields(file, SHARED, last_used=float(count(file, SHARED) + 1), cooldowns=cooldowns)


def record(file: AccountsFile, name: str) -> AccountRecord:
    return next(account for account in file.accounts if account.id == name)


def count(file: AccountsFile, name: str) -> int:
    return int(record(file, name).last_used)


def prepare(path: Path) -> None:
    empty = AccountsFile()
    for name in (*NAMES, SHARED):
        empty = with_account(empty, AccountRecord(id=name, label=name, github_token=f"ghu_SYNTHETIC_{name}"))
    text = msgspec.json.encode(empty)
    path.write_bytes(text[:-1] + b"," + UNKNOWN + b"}")


def lost(path: Path, said: dict[str, int], dead: str) -> list[str]:
    """What is wrong with the file after a kill. ``said`` was heard before the file is read."""
    file = load_accounts(path)
    wrong = [
        f"{name} said {said[name]}, stored {count(file, name)}" for name in NAMES if count(file, name) < said[name]
    ]
    if count(file, dead) > said[dead] + 1:
        wrong.append(f"{dead} stored {count(file, dead)} without having said {said[dead] + 1}")
    if count(file, SHARED) != sum(count(file, name) for name in NAMES):
        wrong.append(f"the shared count is {count(file, SHARED)}")
    numbers = {name: cooldown.until for name, cooldown in record(file, SHARED).cooldowns.items()}
    if numbers != {name: count(file, name) for name in NAMES if count(file, name)}:
        wrong.append(f"the shared account has other numbers: {numbers}")
    if UNKNOWN not in path.read_bytes():
        wrong.append("what another program wrote is gone")
    if stat.S_IMODE(path.stat().st_mode) != 0o600:
        wrong.append("others can read it")
    return wrong


def strays(path: Path) -> list[Path]:
    return [entry for entry in path.parent.iterdir() if entry.name.startswith(f".{path.name}.")]


def milliseconds(path: Path, times: int = 50) -> float:
    """What one update takes with nobody in the way."""
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        Store(path).update(lambda file: one_more(file, NAMES[0]))
        taken.append((time.perf_counter() - began) * 1000)
    return median(taken)


def run(path: Path, kills: int, chance: random.Random) -> int:
    prepare(path)
    Store(path).update(lambda file: one_more(file, NAMES[0]))
    writers = {name: Writer(path, name) for name in NAMES}
    said = dict.fromkeys(NAMES, 0)
    damaged, wrong, most = 0, list[str](), 0
    try:
        for _ in range(kills):
            dead, other = chance.sample(NAMES, 2)
            writers[dead].listen(chance.uniform(0.0, 0.05))
            writers[dead].kill()
            writers[other].listen(0.0)
            said |= {name: max(said[name], writers[name].said) for name in NAMES}
            try:
                wrong += lost(path, said, dead)
                said[dead] = count(load_accounts(path), dead)  # its last may have been stored and not said
            except DamagedFile as error:
                damaged += 1
                print(error)
            most = max(most, len(strays(path)))
            writers[dead] = Writer(path, dead)
    finally:
        for writer in writers.values():
            writer.kill()
    updates = count(load_accounts(path), SHARED)
    for stray in strays(path):
        os.utime(stray, (0, 0))  # as if it were a while later
    taken = milliseconds(path)
    left = len(strays(path))
    print(
        f"{kills} kills, {updates} updates, {damaged} damaged, {len(wrong)} lost, "
        f"stray temporary files: at most {most}, {left} after the next update; an update takes {taken:.1f} ms"
    )
    for line in wrong:
        print(f"  {line}")
    return 1 if damaged or wrong or left else 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as directory, contextlib.suppress(KeyboardInterrupt):
        return run(Path(directory) / "accounts.json", options.kills, random.Random(options.seed))
    return 1


if __name__ == "__main__":
    sys.exit(main())
