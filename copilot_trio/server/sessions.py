"""Sessions of the dashboard: a page cannot send a key when it opens a WebSocket, but its browser sends cookies.

A session stands for one key and is worth no more than it: it ends when the key is revoked, after twelve hours, when its
person logs out, and with the process. Which requests may use one at all, ``auth`` says.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Iterator, Sequence

import msgspec

from copilot_trio.config import ApiKey

COOKIE = "copilot_trio_session"
LIFETIME = 12 * 3600.0  # seconds
MAX_SESSIONS = 50
ATTRIBUTES = "HttpOnly; SameSite=Strict; Path=/"


class _Session(msgspec.Struct, frozen=True):
    key: str  # its SHA-256
    expires: float


class Sessions:
    """Kept by the hashes of their secrets. ``now`` is in seconds of any clock that does not jump."""

    def __init__(self) -> None:
        self._sessions: dict[str, _Session] = {}  # the oldest first

    def __len__(self) -> int:
        return len(self._sessions)

    def open(self, key: ApiKey, now: float) -> str:
        """A new session as ``Set-Cookie`` wants it. The oldest gives way to one too many."""
        self._sessions = {name: session for name, session in self._sessions.items() if now < session.expires}
        while len(self._sessions) >= MAX_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        secret = secrets.token_urlsafe(32)
        self._sessions[_hashed(secret)] = _Session(key.sha256.lower(), now + LIFETIME)
        return f"{COOKIE}={secret}; {ATTRIBUTES}; Max-Age={LIFETIME:.0f}"

    def key_of(self, cookies: str, keys: Sequence[ApiKey], now: float) -> ApiKey | None:
        """The one of ``keys`` that a ``Cookie`` header's session stands for."""
        for secret in _secrets_in(cookies):
            name = _hashed(secret)
            session = self._sessions.get(name)
            if session is None:
                continue
            found = next((key for key in keys if key.sha256.lower() == session.key), None)
            if found is not None and now < session.expires:
                return found
            del self._sessions[name]
        return None

    def close(self, cookies: str) -> str:
        """End a ``Cookie`` header's session; the ``Set-Cookie`` that makes the browser forget it."""
        for secret in _secrets_in(cookies):
            self._sessions.pop(_hashed(secret), None)
        return f"{COOKIE}=; {ATTRIBUTES}; Max-Age=0"


def _secrets_in(cookies: str) -> Iterator[str]:
    for cookie in cookies.split(";"):
        name, _, value = cookie.strip().partition("=")
        if name == COOKIE and value:
            yield value


def _hashed(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
