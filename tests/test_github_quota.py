from __future__ import annotations

import msgspec
import pytest
import trio
from memory_network import MemoryListener, MemoryUpstream, UpstreamConnection

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.outcome import Outcome
from copilot_trio.config import Config
from copilot_trio.errors import AccountPaused, AccountRejected, ProxyError, RateLimited, UpstreamError
from copilot_trio.github.quota import fetch_quota, fetch_user_payload
from copilot_trio.server.listen import Limits, Server
from copilot_trio.twin import Twin
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

BASE = "http://127.0.0.1:1"
NOW = 1_790_000_000.0
IDENTITY = Config().identity
PAYLOAD = {
    "login": "octo-dev",
    "copilot_plan": "individual",
    "quota_snapshots": {"premium_interactions": {"entitlement": 300, "remaining": 240}},
}


class GitHub:
    """Answers everything with one reply."""

    def __init__(self, nursery: trio.Nursery, status: int, body: object, headers: dict[str, str] | None = None) -> None:
        self._reply = (status, body if isinstance(body, bytes) else msgspec.json.encode(body), headers or {})
        self.seen: list[UpstreamConnection] = []
        upstream = MemoryUpstream(nursery, self._answer)
        record = AccountRecord(id="a", label="work", github_token="ghu_SYNTHETIC")
        self.account = Account(record, Hosts(BASE, BASE), AccountPool(upstream.dial, shared_context))

    async def _answer(self, connection: UpstreamConnection) -> None:
        await connection.read_request()
        self.seen.append(connection)
        status, body, headers = self._reply
        await connection.reply(status, body, **headers)


async def test_the_quota_is_asked_for_with_the_github_token(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, 200, PAYLOAD)
    quota = await fetch_quota(github.account, IDENTITY, now=lambda: 5.0)
    premium = quota.window("premium")
    assert premium is not None
    assert (premium.remaining, quota.plan, quota.source, quota.read_at) == (240, "individual", "user", 5.0)
    assert [connection.path() for connection in github.seen] == ["/copilot_internal/user"]
    assert github.seen[0].header("authorization") == "token ghu_SYNTHETIC"


async def test_githubs_own_json_comes_as_it_is(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, 200, b'{ "odd" : [1] }')
    assert await fetch_user_payload(github.account, IDENTITY) == b'{ "odd" : [1] }'


@pytest.mark.parametrize(
    ("status", "body", "headers", "error", "words"),
    [
        (401, {"message": "Bad credentials"}, {}, AccountRejected, "copilot-trio auth"),
        (403, {"message": "Resource not accessible"}, {}, AccountRejected, "not accessible"),
        (403, {"message": "This violates our Terms of Service"}, {}, AccountPaused, "Terms of Service"),
        (429, {"message": "slow"}, {"retry_after": "77"}, RateLimited, "slow"),
        (404, {"message": "Not Found"}, {}, AccountRejected, "kind of token"),
        (503, b"<html>Unicorn</html>", {}, UpstreamError, "503"),
        (302, b"", {"location": "https://example.com/"}, UpstreamError, "302"),
        (200, b"<html>Sign in</html>", {}, UpstreamError, "cannot be read"),
        (200, {"copilot_plan": "free"}, {}, UpstreamError, "work.*say what is left"),
        (200, b" " * 300_000, {}, UpstreamError, "over 262144 bytes"),
    ],
    ids=[
        "revoked",
        "no seat",
        "warning",
        "limited",
        "unknown",
        "outage",
        "redirect",
        "no json",
        "no quota",
        "too long",
    ],
)
async def test_what_goes_wrong(
    nursery: trio.Nursery, status: int, body: object, headers: dict[str, str], error: type[ProxyError], words: str
) -> None:
    github = GitHub(nursery, status, body, headers)
    with pytest.raises(error, match=words) as caught:
        await fetch_quota(github.account, IDENTITY, now=lambda: 5.0)
    assert caught.value.cost == "none"
    assert "ghu_" not in str(caught.value)


async def test_a_refusal_is_judged(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, 429, {"message": "slow"}, {"retry_after": "77"})
    judged: list[tuple[Account, Outcome]] = []
    with pytest.raises(RateLimited) as caught:
        await fetch_quota(github.account, IDENTITY, lambda *seen: judged.append(seen))
    ((account, outcome),) = judged
    assert (account, outcome.error, caught.value.retry_after) == (github.account, caught.value, 77)
    assert (outcome.scope, outcome.cooldown) == ("request", None)  # a quota that is not told stops no model call


async def test_a_paused_account_asks_nothing(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, 200, PAYLOAD)
    github.account.warning = AccountPaused("warned")
    with pytest.raises(AccountPaused, match="warned") as caught:
        await fetch_quota(github.account, IDENTITY)
    assert caught.value is not github.account.warning
    assert github.seen == []


async def test_the_twin_tells_it(nursery: trio.Nursery) -> None:
    twin = Twin(now=lambda: NOW, monotonic=trio.current_time, pace=0.0)
    listener = MemoryListener()
    nursery.start_soon(Server(twin.handle, Limits()).serve, [listener])

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return await listener.connect()

    record = AccountRecord(id="a", label="work", github_token=next(iter(twin.accounts)).token)
    account = Account(record, Hosts(BASE, BASE), AccountPool(dial, shared_context))
    premium = (await fetch_quota(account, IDENTITY, now=lambda: NOW)).window("premium")
    assert premium is not None
    assert (premium.entitlement, premium.remaining, premium.percent_remaining) == (1500, 1054.25, 70.28)
