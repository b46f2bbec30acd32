"""``config.json``, as commands change it: what goes wrong is one line with a remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from copilot_trio.accounts.lock import StoreBusy
from copilot_trio.config import Config, DamagedFile
from copilot_trio.config_file import update_config

from .failure import CommandFailed


def change_config(directory: Path, change: Callable[[Config], Config]) -> Config:
    """As it is stored then. Raises ``CommandFailed``, and nothing has changed."""
    path = directory / "config.json"
    try:
        return update_config(path, change)
    except (DamagedFile, StoreBusy) as error:
        raise CommandFailed(str(error)) from None
    except ValueError as error:
        raise CommandFailed(str(error), 2) from None
    except OSError as error:
        raise CommandFailed(f"the settings could not be stored in {path}: {error.strerror or error}") from None
