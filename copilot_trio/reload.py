"""``config.json`` while the server runs: read anew, validated, compared, applied. What is bad changes nothing.

Commands, the admin API and editors change the same file; whoever did, it happens here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import trio

from copilot_trio.accounts.store import watch
from copilot_trio.config import AccountSettings, Config, DamagedFile, Identity, TimeoutSettings, load_config
from copilot_trio.config_file import update_config

logger = logging.getLogger(__name__)

AFTER_A_RESTART = ("identity", "proxy", "timeouts.connect", "timeouts.response_headers")
"""As whom we speak, and what connections are made with: a running server keeps to what it began with."""
SECTIONS = (AccountSettings, Identity, TimeoutSettings)

Amend = Callable[[Config], Config]


class Reloaded(msgspec.Struct, frozen=True):
    """Dotted names of settings: ``applied`` just now; ``restart``: stored, and in force after one; ``overruled`` by a
    flag that the server was started with."""

    applied: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    overruled: tuple[str, ...] = ()


class Reloader:
    """``stored`` is what the file says, ``running`` what holds.

    ``amend`` makes what flags say of settings; ``check`` raises ``ValueError`` for settings that this server cannot
    run with; ``apply`` lets settings hold, and does not fail.
    """

    def __init__(
        self,
        path: Path,
        config: Config,
        *,
        apply: Callable[[Config], None],
        check: Callable[[Config], object] = lambda _: None,
        amend: Amend = lambda config: config,
    ) -> None:
        self.path = path
        self.stored = config
        self.running = amend(config)
        self._start = config
        self._apply = apply
        self._check = check
        self._amend = amend
        self._busy = trio.Lock()
        self._there = path.exists()

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Follow the file. Until cancelled."""
        task_status.started()
        await watch(self.path, changed=self._read, kept="the settings in use")

    async def update(self, change: Amend) -> Reloaded:
        """Change the file, and with it what holds. Raises as :func:`update_config` does; then nothing has changed."""
        async with self._busy:
            return self._adopt(await trio.to_thread.run_sync(self._update, change))

    def waiting(self) -> Reloaded:
        """What is stored and does not hold."""
        names = differing(self.running, self.stored)
        restart = tuple(name for name in names if _waits(name))
        return Reloaded(restart=restart, overruled=tuple(name for name in names if name not in restart))

    async def _read(self) -> None:
        async with self._busy:
            self._adopt(await trio.to_thread.run_sync(self._load))

    def _load(self) -> Config:
        self._check_there()
        config = load_config(self.path)
        try:
            self._check(self._held(config))
        except ValueError as error:
            raise DamagedFile(f"{self.path} is not usable: {error}. It was left as it is.") from None
        return config

    def _update(self, change: Amend) -> Config:
        self._check_there()

        def checked(before: Config) -> Config:
            after = change(before)
            self._check(self._held(after))
            return after

        stored = update_config(self.path, checked)
        self._there = self.path.exists()
        return stored

    def _check_there(self) -> None:
        """A file that has vanished is no wish for the defaults, which may be without any key."""
        if self.path.exists():
            self._there = True
        elif self._there:
            raise DamagedFile(f"{self.path} is gone. Put it back; {{}} in it means the defaults.")

    def _held(self, stored: Config) -> Config:
        """What holds where ``stored`` is stored."""
        start = self._start
        timeouts = msgspec.structs.replace(
            stored.timeouts, connect=start.timeouts.connect, response_headers=start.timeouts.response_headers
        )
        return self._amend(
            msgspec.structs.replace(stored, identity=start.identity, proxy=start.proxy, timeouts=timeouts)
        )

    def _adopt(self, stored: Config) -> Reloaded:
        held = self._held(stored)
        applied = tuple(differing(self.running, held))
        if applied:
            self._apply(held)
            logger.info("%s: in force now: %s", self.path.name, ", ".join(applied))
        news = stored != self.stored
        self.stored, self.running = stored, held
        waiting = self.waiting()
        if news and waiting.restart:
            logger.warning("%s: in force after a restart: %s", self.path.name, ", ".join(waiting.restart))
        if news and waiting.overruled:
            logger.warning("%s: overruled by a flag: %s", self.path.name, ", ".join(waiting.overruled))
        return msgspec.structs.replace(waiting, applied=applied)


def differing(one: Any, other: Any, prefix: str = "") -> list[str]:
    """The settings that differ, by dotted names; maps and lists count as one."""
    names: list[str] = []
    for field in type(one).__struct_fields__:
        before, after = getattr(one, field), getattr(other, field)
        if before == after and not (isinstance(before, dict) and list(before) != list(after)):
            continue  # of two patterns that fit a model's name alike the first counts, so that order is a difference
        if isinstance(before, SECTIONS):
            names += differing(before, after, f"{prefix}{field}.")
        else:
            names.append(f"{prefix}{field}")
    return names


def _waits(name: str) -> bool:
    return any(name == stem or name.startswith(f"{stem}.") for stem in AFTER_A_RESTART)
