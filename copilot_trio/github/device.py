"""The device flow: a person types a code at github.com, we poll until they have (upstream.md §3.1)."""

from __future__ import annotations

from urllib.parse import urlencode

import msgspec
import trio

from copilot_trio.accounts.account import Hosts, Pool
from copilot_trio.config import Identity
from copilot_trio.errors import Kind, ProxyError, UpstreamError
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.identity import github_headers

GRANT = "urn:ietf:params:oauth:grant-type:device_code"
MAX_REPLY = 64 * 1024
SLOW_DOWN = 5.0  # seconds added where the reply names no new interval
MARGIN = 1.0  # seconds added to each wait: polling a little early costs a slow_down
WAITING = {"authorization_pending", "slow_down"}


class DeviceCode(msgspec.Struct, frozen=True):
    device_code: str
    user_code: str
    verification_uri: str
    expires_in: float = 900
    interval: float = 5

    def __repr__(self) -> str:
        return f"<DeviceCode {self.user_code}>"


class DeviceFlowFailed(ProxyError):
    """The person refused, the code ran out, or the client is not allowed this flow."""

    kind: Kind = "unauthorized"
    status = 401
    code: str | None = "device_flow_failed"


class PollReply(msgspec.Struct, frozen=True):
    """Either has the token or an error; ``interval`` may come with ``slow_down``."""

    access_token: str | None = None
    error: str | None = None
    error_description: str = ""
    interval: float | None = None

    def __repr__(self) -> str:
        return f"<PollReply {'with a token' if self.access_token else self.error}>"


_REMEDIES = {
    "expired_token": "The code ran out before it was entered: start again.",
    "access_denied": "The request was refused at GitHub: start again if that was not meant.",
}

_decode_code = msgspec.json.Decoder(DeviceCode, strict=False).decode
_decode_poll = msgspec.json.Decoder(PollReply, strict=False).decode


async def request_code(pool: Pool, hosts: Hosts, identity: Identity) -> DeviceCode:
    """Raises ``UpstreamError``."""
    fields = {"client_id": identity.client_id, "scope": identity.scope}
    status, body = await _post(pool, f"{hosts.github}/login/device/code", identity, fields)
    try:
        if status == 200:
            return _decode_code(body)
    except UNREADABLE:
        pass
    raise UpstreamError(f"GitHub answered {status} to the request for a sign-in code", cost="none")


async def poll_once(pool: Pool, hosts: Hosts, identity: Identity, device_code: str) -> PollReply:
    """What GitHub says right now. Raises ``UpstreamError``. A reply with the token is given once only."""
    fields = {"client_id": identity.client_id, "device_code": device_code, "grant_type": GRANT}
    status, body = await _post(pool, f"{hosts.github}/login/oauth/access_token", identity, fields)
    try:
        return _decode_poll(body)
    except UNREADABLE:
        raise UpstreamError(f"GitHub answered {status} to the question for the token", cost="none") from None


def next_interval(reply: PollReply, interval: float) -> float:
    """How long to wait from now on, after ``interval`` was too short or not."""
    return (reply.interval or interval + SLOW_DOWN) if reply.error == "slow_down" else interval


async def poll_for_token(pool: Pool, hosts: Hosts, identity: Identity, code: DeviceCode) -> str:
    """Wait for the person; return the GitHub token. Raises ``DeviceFlowFailed`` when there is no hope left."""
    interval = code.interval
    with trio.move_on_after(code.expires_in):
        while True:
            await trio.sleep(interval + MARGIN)
            try:
                reply = await poll_once(pool, hosts, identity, code.device_code)
            except UpstreamError:
                continue  # an outage of a moment must not cost the person a new code
            if reply.access_token:
                return reply.access_token
            if reply.error not in WAITING:
                raise _failed(reply.error or "no reason given", reply.error_description)
            interval = next_interval(reply, interval)
    raise _failed("expired_token", "")


def _failed(error: str, description: str) -> DeviceFlowFailed:
    return DeviceFlowFailed(f"sign-in failed: {description or error}", remedy=_REMEDIES.get(error, ""), code=error)


async def _post(pool: Pool, url: str, identity: Identity, fields: dict[str, str]) -> tuple[int, bytes]:
    headers = [*github_headers(identity), ("Content-Type", "application/x-www-form-urlencoded")]
    async with pool.send("POST", url, headers, urlencode(fields).encode()) as answer:
        return answer.status, await answer.read(MAX_REPLY)
