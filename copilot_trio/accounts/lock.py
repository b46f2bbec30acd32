"""One writer at a time, over processes and threads. Whoever dies lets go: the system drops its lock."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.01  # seconds


class StoreBusy(OSError):
    """The lock could not be had in time. Nothing was written."""

    def __init__(self, path: Path, patience: float) -> None:
        super().__init__(
            errno.EBUSY,
            f"another program has held {path} for {patience:g} s. Nothing was written: try again, and if that does not "
            "help, look for a copilot-trio process that hangs and end it",
        )

    def __str__(self) -> str:
        return str(self.strerror)


@contextmanager
def locked(path: Path, patience: float) -> Iterator[None]:
    """Hold the lock file ``path``, made 0600 and never removed. Blocks; raises ``StoreBusy`` and ``OSError``."""
    deadline = time.monotonic() + patience
    never = threading.Event()
    while (descriptor := _take(path)) is None:
        if time.monotonic() >= deadline:
            raise StoreBusy(path, patience)
        never.wait(POLL)
    try:
        yield
    finally:
        os.close(descriptor)  # and the lock goes with it


def _take(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if _try_lock(descriptor) and _is_still(path, descriptor):
            return descriptor
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None


def _is_still(path: Path, descriptor: int) -> bool:
    """False where somebody removed the lock file meanwhile: the next one would lock another."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


if sys.platform == "win32":
    import msvcrt

    def _try_lock(descriptor: int) -> bool:
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True

else:
    import fcntl

    def _try_lock(descriptor: int) -> bool:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
