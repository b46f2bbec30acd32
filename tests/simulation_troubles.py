"""What goes wrong in the simulation, and what people do about it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

import trio
from simulation_facts import MODELS, MONTH_END, RULES, TOKEN, USER

from copilot_trio.twin import AccountChange, Fault, errors

if TYPE_CHECKING:
    from simulation import Simulation

DAY, HOUR = 86_400.0, 3600.0
WARNINGS = {"tos_block", "tos_block_old"}  # each comes once, and is acknowledged a day later
RETRY_AFTERS = ("", "", "2", "15", "25", "120", "1800", "-9223372036", "1234800")


class Troubles:
    def __init__(self, world: Simulation, rng: random.Random) -> None:
        self._world = world
        self._rng = rng

    @property
    def _logins(self) -> list[str]:
        return [account.record.login for account in self._world.app.accounts.accounts]

    async def run(self) -> None:
        span = self._world.days * DAY
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._faults, span)
            nursery.start_soon(self._ways_out)
            nursery.start_soon(self._people)
            nursery.start_soon(self._latecomer, span)
            nursery.start_soon(self._month)
            nursery.start_soon(self._warnings, span)
            nursery.start_soon(self._seats_lost)

    # ---- upstream

    async def _faults(self, span: float) -> None:
        """Rather more than one a conversation and day; each row of the catalogue again and again."""
        rows = self._rows()
        pause = span / max(60.0, 0.25 * self._world.turns * 20)
        while True:
            await trio.sleep(self._rng.expovariate(1 / pause))
            login = self._rng.choice(self._logins)
            kind = self._rng.random()
            if kind < 0.6:
                self._world.twin.add_fault(self._refusal(next(rows), login))
            elif kind < 0.85:
                self._world.twin.add_fault(self._broken(login))
            elif kind < 0.92:
                self._world.twin.add_fault(self._of_github(login))
            else:
                self._world.twin.expire_tokens(login)

    def _rows(self) -> Iterator[str]:
        while True:
            rows = [row for row in RULES if row not in WARNINGS]
            self._rng.shuffle(rows)
            yield from rows

    def _refusal(self, row: str, login: str) -> Fault:
        headers: dict[str, str] = {}
        value = self._rng.choice(RETRY_AFTERS)
        if value and errors.NAMED[row].status in {402, 429, 500, 502, 503, 504}:
            headers["retry-after"] = value
        times = self._rng.choice((1, 1, 1, 2, 3))
        return Fault(method="POST", account=login, error=row, headers=headers, times=times)

    def _broken(self, login: str) -> Fault:
        match self._rng.randrange(8):
            case 0:
                return Fault(method="POST", account=login, delay=20.0)
            case 1:
                return Fault(method="POST", account=login, delay=200.0)
            case 2 | 3:
                return Fault(method="POST", account=login, at="start", cut="reset", times=self._rng.choice((1, 1, 2)))
            case 4:
                return Fault(method="POST", account=login, at="start", stall=8.0, cut="reset")
            case 5:
                return Fault(method="POST", account=login, cut="reset")
            case 6:
                return Fault(method="POST", account=login, at="first", stall=self._rng.choice((60.0, 400.0)))
            case _:
                return Fault(method="POST", account=login, scenario="errmid")

    def _of_github(self, login: str) -> Fault:
        path = self._rng.choice((TOKEN, TOKEN, USER, MODELS))
        match self._rng.randrange(6):
            case 0:
                return Fault(path=path, account=login, status=502, body="Bad Gateway\n", times=2)
            case 1:
                return Fault(path=path, account=login, at="start", cut="reset", times=2)
            case 2 if path != MODELS:
                reset = {"x-ratelimit-reset": str(int(self._world.now()) + 900)}
                return Fault(
                    path=path, account=login, status=403, headers=reset, body={"message": "API rate limit exceeded"}
                )
            case 3 if path == TOKEN:
                return Fault(path=path, account=login, status=401, body={"message": "Bad credentials"})
            case 4:
                return Fault(path=path, account=login, delay=12.0)
            case _:
                return Fault(path=path, account=login, error="rate_limited", headers={"retry-after": "90"})

    async def _warnings(self, span: float) -> None:
        for at, row, login in ((0.15, "tos_block", "octo-three"), (0.55, "tos_block_old", "corp-one")):
            await trio.sleep_until(at * span)
            self._world.twin.add_fault(Fault(method="POST", account=login, error=row))

    async def _seats_lost(self) -> None:
        """GitHub takes an account's Copilot away for an hour."""
        while True:
            await trio.sleep(self._rng.uniform(1.0, 2.0) * DAY)
            login = self._rng.choice(self._logins)
            self._world.twin.change_account(AccountChange(login=login, blocked="no_copilot_access"))
            self._world.twin.expire_tokens(login)
            await trio.sleep(HOUR)
            self._world.twin.change_account(AccountChange(login=login, blocked=""))

    async def _month(self) -> None:
        await trio.sleep(MONTH_END - self._world.now())
        for account in self._world.twin.accounts:
            self._world.twin.change_account(AccountChange(login=account.login, remaining=account.entitlement))

    # ---- the ways out

    async def _ways_out(self) -> None:
        while True:
            await trio.sleep(self._rng.expovariate(1 / (5 * HOUR)))
            way = self._rng.choice(("proxy a", "proxy a", "proxy b", "direct"))
            self._world.down[way] = self._rng.choice(("Connection refused", "silent"))
            await trio.sleep(self._rng.uniform(60, 1200))
            del self._world.down[way]

    # ---- people

    async def _people(self) -> None:
        """Look at the accounts twice an hour, mend what only they can mend, and switch one off now and then."""
        warned: dict[str, float] = {}
        off: dict[str, float] = {}
        while True:
            await trio.sleep(HOUR / 2 * self._rng.uniform(0.8, 1.2))
            now = trio.current_time()
            for account in list(self._world.app.accounts.accounts):
                login = account.record.login
                if account.warning is not None:
                    if now - warned.setdefault(login, now) >= DAY:
                        del warned[login]
                        self._world.do("acknowledge", login)
                elif not account.ready and now - off.setdefault(login, now) >= HOUR:
                    del off[login]
                    self._world.do("enable", login)
            if self._rng.random() < 0.015:
                self._world.do("disable", self._rng.choice(self._logins))

    async def _latecomer(self, span: float) -> None:
        await trio.sleep_until(0.4 * span)
        self._world.do("add", "late-home")
        await trio.sleep_until(0.75 * span)
        self._world.do("remove", "late-home")
