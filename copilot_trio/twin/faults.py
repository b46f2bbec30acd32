"""Faults that wait for a request they match: the queue behind ``POST /scenarios`` and scenario files."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from . import errors
from .accounts import AccountChange
from .delivery import Delivery
from .reply import Frame, Reply, encode

MAX_FAULTS = 1000


class ScenarioError(ValueError):
    """A scenario file or a request to the control API says something we do not understand."""


class Fault(Delivery, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Which requests to catch, what to answer instead, and how the bytes go out (:class:`.Delivery`).

    ``path`` may hold wildcards. Without ``error`` and ``status`` the usual answer is given, but delivered as told;
    a ``scenario`` makes the twin answer as if the prompt had said ``SCENARIO:<scenario>``. A WebSocket's handshake has
    the method ``GET``, each frame of its client ``FRAME``.
    """

    # which
    path: str = ""
    method: str = ""
    account: str = ""  # a login
    model: str = ""
    contains: str = ""  # in the body
    times: int | None = 1  # None: for ever
    skip: int = 0  # matching requests that pass before the first fault
    # what
    error: str = ""  # a name or row of the catalogue
    status: int = 0
    headers: dict[str, str] = {}
    body: Any = None  # a string goes out as it is, anything else as JSON
    content_type: str = ""
    events: list[str] | None = None  # the data of a stream of our own making
    scenario: str = ""

    def __post_init__(self) -> None:
        if self.error and errors.named(self.error) is None:
            raise ValueError(f"no error is called {self.error!r}")
        if self.status and not 200 <= self.status <= 599:
            raise ValueError("status must be between 200 and 599")
        if not 1000 <= self.close <= 4999:
            raise ValueError("close must be a WebSocket's code, between 1000 and 4999")
        if min(self.delay, self.stall, self.pings, self.pace) < 0 or self.chunk < 0:
            raise ValueError("durations and sizes cannot be negative")
        if (self.times is not None and self.times < 1) or self.skip < 0:
            raise ValueError("times must be at least 1 and skip at least 0")

    def matches(self, method: str, path: str, account: str, model: str, body: bytes) -> bool:
        return (
            (not self.path or fnmatchcase(path, self.path))
            and (not self.method or method == self.method.upper())
            and (not self.account or account == self.account)
            and (not self.model or model == self.model)
            and (not self.contains or self.contains.encode() in body)
        )

    @property
    def delivery(self) -> Delivery:
        return Delivery(**{name: getattr(self, name) for name in Delivery.__struct_fields__})

    def reply(self, now: float) -> Reply | None:
        """The answer it stands for, or None if it only changes how one is delivered."""
        headers = tuple((name.lower(), value) for name, value in self.headers.items())
        row = errors.named(self.error) if self.error else None
        if row:
            return row.reply((*errors.window_headers(row, now), *headers))
        if self.events is not None:
            frames = tuple(Frame(data.encode()) for data in self.events)
            return Reply(status=self.status or 200, headers=headers, frames=frames)
        if not self.status and self.body is None:
            return None
        text = self.body if isinstance(self.body, str) else None
        body = b"" if self.body is None else text.encode() if text is not None else encode(self.body)
        default = "text/plain; charset=utf-8" if text is not None or self.body is None else "application/json"
        return Reply(status=self.status or 200, headers=headers, body=body, content_type=self.content_type or default)


class Waiting(msgspec.Struct):
    fault: Fault
    skip: int
    left: int | None


class Faults:
    """First in, first out among those that match."""

    def __init__(self) -> None:
        self._waiting: list[Waiting] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, fault: Fault) -> None:
        if len(self._waiting) >= MAX_FAULTS:
            raise ScenarioError(f"{MAX_FAULTS} faults are waiting already")
        self._waiting.append(Waiting(fault, fault.skip, fault.times))

    def clear(self) -> None:
        self._waiting.clear()

    def listing(self) -> list[dict[str, Any]]:
        return [{**msgspec.to_builtins(waiting.fault), "left": waiting.left} for waiting in self._waiting]

    def take(self, method: str, path: str, account: str, model: str, body: bytes) -> Fault | None:
        """The fault for this request, one use of which is now spent."""
        for waiting in self._waiting:
            if not waiting.fault.matches(method, path, account, model, body):
                continue
            if waiting.skip:
                waiting.skip -= 1
                continue
            if waiting.left is not None:
                waiting.left -= 1
                if not waiting.left:
                    self._waiting.remove(waiting)
            return waiting.fault
        return None


class Scenarios(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A scenario file: faults to queue, accounts to make or change."""

    faults: list[Fault] = []
    accounts: list[AccountChange] = []


def load_scenarios(data: bytes) -> Scenarios:
    """Read a scenario file, or what was posted to ``/scenarios``: one fault, a list of faults, or an object with
    ``faults`` and ``accounts``. Raises :class:`ScenarioError`, saying where the trouble is.
    """
    try:
        value = msgspec.json.decode(data)
        if isinstance(value, list):
            return Scenarios(faults=_faults(value))
        if isinstance(value, dict) and not {"faults", "accounts"} & value.keys():
            return Scenarios(faults=_faults([value]))
        return msgspec.convert(value, Scenarios)
    except msgspec.MsgspecError as error:
        raise ScenarioError(f"this is no scenario: {error}") from None


def _faults(values: Iterable[Any]) -> list[Fault]:
    return msgspec.convert(list(values), list[Fault])
