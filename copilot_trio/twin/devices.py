"""The device flow: codes that wait for a person, and what a poll is told (upstream.md §3.1)."""

from __future__ import annotations

from typing import Literal

import msgspec

from .identifiers import Identifiers
from .reply import JSON

CodeState = Literal["pending", "approved", "denied", "expired", "used"]

MAX_CODES = 1000
LIFETIME = 900.0
SLOW_DOWN_STEP = 5.0
# A client that waits exactly ``interval`` may look early by what the two clocks differ.
TOLERANCE = 0.05
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
ERROR_PAGE = "https://docs.github.com/developers/apps/authorizing-oauth-apps#error-codes-for-the-device-flow"
DESCRIPTIONS = {
    "authorization_pending": "The authorization request is still pending.",
    "slow_down": "Too many requests have been made in the same timeframe.",
    "expired_token": "This 'device_code' has expired.",
    "access_denied": "The authorization request was denied.",
    "incorrect_device_code": "The device_code provided is not valid.",
    "incorrect_client_credentials": "The client_id and/or client_secret passed are incorrect.",
    "unsupported_grant_type": "The grant type is not supported.",
}
# GitHub Apps get user tokens with another prefix than OAuth Apps.
APP_PREFIX = "Iv"


class DeviceCode(msgspec.Struct, kw_only=True):
    device_code: str
    user_code: str
    client_id: str
    scope: str
    expires: float
    interval: float
    polled: float  # when last polled, or when the code was made
    state: CodeState = "pending"
    login: str = ""


class DeviceCodes:
    def __init__(self, identifiers: Identifiers, interval: float) -> None:
        self._identifiers = identifiers
        self._interval = interval
        self._codes: dict[str, DeviceCode] = {}  # by user code, oldest first

    def by_user_code(self, user_code: str) -> DeviceCode | None:
        return self._codes.get(user_code.strip().upper())

    def pending(self, now: float) -> list[DeviceCode]:
        return [code for code in self._codes.values() if code.state == "pending" and now < code.expires]

    def start(self, client_id: str, scope: str, now: float) -> DeviceCode:
        code = DeviceCode(
            device_code=self._identifiers.hex(40),
            user_code=self._identifiers.user_code(),
            client_id=client_id,
            scope=scope,
            expires=now + LIFETIME,
            interval=self._interval,
            polled=now,
        )
        self._codes[code.user_code] = code
        while len(self._codes) > MAX_CODES:
            del self._codes[next(iter(self._codes))]
        return code

    def decide(self, user_code: str, state: CodeState, login: str = "") -> DeviceCode:
        """Raises KeyError for a code nobody was given, ValueError for one that has been decided already."""
        code = self.by_user_code(user_code)
        if code is None:
            raise KeyError(user_code)
        if code.state != "pending":
            raise ValueError(f"the code {code.user_code} is {code.state} already")
        code.state, code.login = state, login
        return code

    def poll(self, client_id: str, device_code: str, grant_type: str, now: float) -> DeviceCode | JSON:
        """The approved code, now used up, or the JSON of an error (which travels with status 200)."""
        code = next((known for known in self._codes.values() if known.device_code == device_code), None)
        if grant_type != GRANT:
            return failure("unsupported_grant_type")
        if code is None or code.state == "used":
            return failure("incorrect_device_code")
        if client_id != code.client_id:
            return failure("incorrect_client_credentials")
        if code.state == "expired" or now >= code.expires:
            return failure("expired_token")
        if now - code.polled < code.interval - TOLERANCE:
            code.polled, code.interval = now, code.interval + SLOW_DOWN_STEP
            return failure("slow_down") | {"interval": int(code.interval)}
        code.polled = now
        if code.state == "denied":
            return failure("access_denied")
        if code.state == "pending":
            return failure("authorization_pending")
        code.state = "used"
        return code


def failure(error: str) -> JSON:
    return {"error": error, "error_description": DESCRIPTIONS[error], "error_uri": ERROR_PAGE}


def token_prefix(client_id: str) -> str:
    return "ghu_" if client_id.startswith(APP_PREFIX) else "gho_"
