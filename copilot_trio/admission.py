"""This server's own limits on model requests: so many seconds between two of them, and a person's yes to each.

Both are off unless the command line asks for them. They hold for chat, messages and responses, whichever way these
come in; not for models, embeddings and counting (peers.md §10).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from copilot_trio.accounts.groups import Pin
from copilot_trio.dialects.newest import newest_text
from copilot_trio.errors import Forbidden, RateLimited
from copilot_trio.logs import redact

from .job import Job

SHOWN = 200  # characters of what a person said
PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages", "responses": "/v1/responses"}


class Person(Protocol):
    """Who sits at the terminal."""

    async def ask(self, question: str, /) -> str | None:
        """The line typed in answer, stripped; None where there is nobody left. Cancelling withdraws the question."""


class Pace:
    """``gap`` seconds between two requests; the first is free. ``wait``: whether one that comes sooner waits for its
    turn, first come, first served, or is refused."""

    def __init__(self, gap: float, *, wait: bool) -> None:
        self._gap = gap
        self._wait = wait
        self._queue = trio.Lock()  # in order of arrival; who leaves while waiting gives the place back
        self._next = float("-inf")

    def check(self) -> None:
        """Raises ``RateLimited`` to whom would not be let in now, if it is not to wait."""
        left = self._next - trio.current_time()
        if left > 0 and not self._wait:
            raise RateLimited(
                f"this server takes a request every {self._gap:g} s",
                remedy="It was started with --rate-limit; with --wait it would let this one wait. Nothing was sent.",
                retry_after=left,
                code="local_rate_limit",
            )

    async def enter(self) -> None:
        """Take a turn. Raises ``RateLimited`` as :meth:`check` does."""
        self.check()
        async with self._queue:
            await trio.sleep_until(max(self._next, trio.current_time()))
            self._next = trio.current_time() + self._gap


class Approval:
    """One question at a time, in order of arrival. ``group_of``: by which group's accounts a request would go."""

    def __init__(self, person: Person, group_of: Callable[[Pin], str]) -> None:
        self._person = person
        self._group_of = group_of
        self._asking = trio.Lock()
        self._all = False

    async def enter(self, job: Job) -> None:
        """Raises ``Forbidden`` where the person says no, and what ``group_of`` raises."""
        if self._all:
            return
        question = _question(job, self._group_of(job.pin))
        async with self._asking:
            while not self._all:
                answer = await self._person.ask(question)
                match answer.lower() if answer is not None else "no":
                    case "y" | "yes":
                        return
                    case "a" | "all":
                        self._all = True
                    case "n" | "no":
                        raise Forbidden(
                            "the person at this server's terminal did not allow this request",
                            remedy="It was started with --manual. Nothing was sent.",
                            code="not_approved",
                        )
                    case _:
                        question = "y sends it, n refuses it, a sends it and all that follow: "


class Admission:
    """``pace`` and ``approval`` where there are such limits."""

    def __init__(self, pace: Pace | None = None, approval: Approval | None = None) -> None:
        self.pace = pace
        self.approval = approval

    async def admit(self, job: Job) -> None:
        """Raises ``RateLimited`` or ``Forbidden``. Waits as long as its client does."""
        job.watch.stop()
        if self.approval is not None:
            if self.pace is not None:
                self.pace.check()  # nobody need be asked about what is refused anyway
            await self.approval.enter(job)
        if self.pace is not None:
            await self.pace.enter()


def _question(job: Job, group: str) -> str:
    said = redact(newest_text(job.asked.body, SHOWN)) or "(nothing that a person says)"
    model, size = _short(job.model or job.asked.model), _size(len(job.asked.body))
    return (
        f"POST {PATHS[job.asked.downstream.name]} for {model}, {size}, by the accounts of {_short(group)}\n"
        f"  {said}\n"
        "Send it? [y]es, [n]o, [a]ll from now on: "
    )


def _short(name: str) -> str:
    """A client's own text must not speak to the terminal."""
    return "".join(character if character.isprintable() else "?" for character in name[:100])


def _size(count: int) -> str:
    return f"{count} bytes" if count < 1024 else f"{count / 1024:.1f} KiB"
