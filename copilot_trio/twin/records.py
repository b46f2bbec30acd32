"""What the twin has received and how it ended, for assertions; bounded in number and in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from .reply import JSON

MAX_RECORDS = 10_000
MAX_BODY = 2 * 1024 * 1024
MAX_BODIES = 64 * 1024 * 1024
SHOWN_OF_A_SECRET = 4
SECRETS = ("authorization", "copilot-session-token", "cookie", "x-api-key")

TokenKind = Literal["none", "github", "copilot", "unknown"]
Outcome = Literal["", "finished", "peer left", "reset", "truncated"]


class Record(msgspec.Struct, kw_only=True):
    """One request, or one frame of a WebSocket's client, with the method ``FRAME`` and the headers of the handshake.

    The handshake is a record of its own, with the status 101. Times are ``time.monotonic()``, which all processes of a
    machine share.
    """

    seq: int
    received: float
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes
    body_size: int
    websocket: bool = False  # came as a frame
    account: str = ""
    token_kind: TokenKind = "none"
    token_age: float | None = None  # seconds since a Copilot token was made
    initiator: str = ""
    model: str = ""
    scenario: str = ""
    fault: bool = False
    status: int = 0  # 0: no status line went out; of a frame, what HTTP would have said
    sent: int = 0  # bytes of the body
    ended: float | None = None
    outcome: Outcome = ""  # empty: still under way

    def json(self) -> Any:
        """The request's body as JSON."""
        return msgspec.json.decode(self.body)

    def shown(self) -> JSON:
        """What the control API shows: no token is ever whole."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        values["headers"] = {name: shown_header(name, value) for name, value in self.headers.items()}
        values["body"] = self.body.decode(errors="replace")
        return values


def shown_header(name: str, value: str) -> str:
    if name not in SECRETS:
        return value
    kind, space, secret = value.partition(" ")
    secret = secret if space else kind
    return (
        f"{kind if space else ''}{space}…{secret[-SHOWN_OF_A_SECRET:] if len(secret) > 2 * SHOWN_OF_A_SECRET else ''}"
    )


class Records:
    def __init__(self) -> None:
        self._records: deque[Record] = deque()
        self._bodies: deque[Record] = deque()  # those whose body is kept, oldest first
        self._kept = 0
        self._count = 0

    def __iter__(self) -> Iterator[Record]:
        return iter(list(self._records))

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]

    def clear(self) -> None:
        self._records.clear()
        self._bodies.clear()
        self._kept = 0

    def to(self, path: str) -> list[Record]:
        return [record for record in self._records if record.path == path]

    def open(
        self,
        method: str,
        path: str,
        query: str,
        headers: dict[str, str],
        body: bytes,
        received: float,
        *,
        websocket: bool = False,
    ) -> Record:
        self._count += 1
        record = Record(
            seq=self._count,
            received=received,
            method=method,
            path=path,
            query=query,
            headers=headers,
            body=body[:MAX_BODY],
            body_size=len(body),
            websocket=websocket,
            initiator=headers.get("x-initiator", ""),
        )
        self._records.append(record)
        self._bodies.append(record)
        self._kept += len(record.body)
        self._forget()
        return record

    def _forget(self) -> None:
        while len(self._records) > MAX_RECORDS:
            gone = self._records.popleft()
            if self._bodies and self._bodies[0] is gone:
                self._drop_body()
        while self._kept > MAX_BODIES:
            self._drop_body()

    def _drop_body(self) -> None:
        record = self._bodies.popleft()
        self._kept -= len(record.body)
        record.body = b""
