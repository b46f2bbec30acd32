"""The files of a SQLite database: made for their owner alone, measured together, set aside together. Blocks."""

from __future__ import annotations

import logging
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

logger = logging.getLogger(__name__)

KEPT_ASIDE = 3  # damaged ones


def files_of(path: Path) -> tuple[Path, Path, Path]:
    """The database, its write-ahead log and the index of that."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def make_private(path: Path) -> None:
    """0600 before anything is in it: SQLite gives the files beside it the same mode. Raises ``OSError``."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):  # not to be opened then: closing it would drop the locks SQLite has
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    for each in files_of(path):
        with suppress(FileNotFoundError):
            each.chmod(0o600)


def set_aside(path: Path, moment: float, why: str) -> None:
    """Rename a damaged file and what belongs to it; of earlier ones a few are kept. Raises ``OSError``."""
    target = path.with_name(f"{path.name}.damaged-{datetime.fromtimestamp(moment, UTC):%Y%m%dT%H%M%S.%fZ}")
    for old, new in zip(files_of(path), files_of(target), strict=True):
        with suppress(FileNotFoundError):
            old.replace(new)
    logger.warning("%s is damaged (%s). It was set aside as %s, and a new one begun.", path, why, target.name)
    for other in sorted(path.parent.glob(f"{path.name}.damaged-*Z"))[:-KEPT_ASIDE]:
        for each in files_of(other):
            each.unlink(missing_ok=True)


def size_of(path: Path) -> int:
    """Bytes on disk of all three."""
    return sum(map(_size, files_of(path)))


def log_size(path: Path) -> int:
    return _size(files_of(path)[1])


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
