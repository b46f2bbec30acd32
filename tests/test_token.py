from __future__ import annotations

import logging

import msgspec
import pytest
import trio
from memory_network import MemoryUpstream, UpstreamConnection
from world import BASE, World, chat

from copilot_trio.accounts.account import Account, AccountRecord, CopilotToken, Hosts
from copilot_trio.accounts.outcome import Outcome
from copilot_trio.config import Config
from copilot_trio.errors import AccountPaused, AccountRejected, ProxyError, RateLimited, UpstreamError
from copilot_trio.github.token import TokenSource, fetch_login
from copilot_trio.twin import Fault
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

NOW = 1_790_000_000.0
ENVELOPE = {"token": "tid=1;exp=2:mac", "expires_at": 5, "refresh_in": 1500, "endpoints": {"api": f"{BASE}/"}}


class GitHub:
    """Answers each token exchange with the next of ``replies``, the last one for ever."""

    def __init__(
        self, nursery: trio.Nursery, *replies: tuple[int, object, dict[str, str]], direct: bool = False
    ) -> None:
        self._replies = list(replies)
        self.upstream = MemoryUpstream(nursery, self._answer)
        self.seen: list[UpstreamConnection] = []
        self.paths: list[str] = []
        self.judged: list[Outcome] = []
        record = AccountRecord(id="a", label="work", github_token="ghu_SYNTHETIC", direct=direct)
        self.account = Account(record, Hosts(BASE, BASE), AccountPool(self.upstream.dial, shared_context))
        self.source = TokenSource(
            Config().identity, lambda: 0.0, lambda _, outcome: self.judged.append(outcome), lambda: NOW
        )

    async def _answer(self, connection: UpstreamConnection) -> None:
        await connection.read_request()
        self.seen.append(connection)
        self.paths.append(connection.path())
        status, body, headers = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
        await trio.sleep(1)
        await connection.reply(status, body if isinstance(body, bytes) else msgspec.json.encode(body), **headers)


def ok(**changes: object) -> tuple[int, object, dict[str, str]]:
    return 200, {**ENVELOPE, **changes}, {}


async def test_a_token_is_exchanged_with_the_github_token(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok())
    token = await github.source.token(github.account)
    assert (token.value, token.api) == ("tid=1;exp=2:mac", BASE)
    assert github.paths == ["/copilot_internal/v2/token"]
    assert github.seen[0].header("authorization") == "token ghu_SYNTHETIC"
    assert github.seen[0].header("editor-version") is None
    assert "tid=" not in repr(token)


async def test_a_hundred_callers_make_one_exchange(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok())
    values: list[str] = []

    async def call() -> None:
        values.append((await github.source.token(github.account)).value)

    async with trio.open_nursery() as callers:
        for _ in range(100):
            callers.start_soon(call)
    assert (len(values), len(github.paths)) == (100, 1)


async def test_a_token_is_refreshed_before_its_end_whatever_the_wall_clock_says(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok(expires_at=1), ok(token="second", expires_at=1))
    first = await github.source.token(github.account)
    await trio.sleep(1300)
    assert await github.source.token(github.account) is first
    await trio.sleep(100)
    assert (await github.source.token(github.account)).value == "second"


async def test_a_refused_token_is_replaced_at_once(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok(), ok(token="second"))
    first = await github.source.token(github.account)
    assert (await github.source.token(github.account, instead_of=first)).value == "second"
    assert (await github.source.token(github.account, instead_of=first)).value == "second"
    assert len(github.paths) == 2


async def test_a_failing_refresh_keeps_a_token_that_still_holds(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    github = GitHub(nursery, ok(), (500, b"<html>Unicorn</html>", {}))
    first = await github.source.token(github.account)
    await trio.sleep(1400)
    assert (await github.source.token(github.account)).value == first.value
    assert "the old one still holds" in caplog.text
    await trio.sleep(200)
    with pytest.raises(UpstreamError):
        await github.source.token(github.account)


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ((401, {"message": "Bad credentials"}, {}), AccountRejected, "copilot-trio auth"),
        ((404, {"message": "Not Found"}, {}), AccountRejected, "personal access token"),
        ((429, {"message": "slow"}, {"retry_after": "77"}), RateLimited, "slow"),
        ((403, {"message": "API rate limit exceeded for user ID 1."}, {"retry_after": "9"}), RateLimited, "rate limit"),
        ((503, b"<html>", {}), UpstreamError, "503"),
        ((200, b"not json", {}), UpstreamError, "cannot be read"),
        (
            (403, {"message": "x", "error_details": {"message": "No access to GitHub Copilot found.", "url": "https://u",
             "notification_id": "no_copilot_access"}}, {}),
            AccountRejected,
            "https://u",
        ),
    ],
    ids=["revoked", "wrong kind", "429", "rest limit", "outage", "garbage", "no seat"],
)  # fmt: skip
async def test_what_an_exchange_can_answer(
    nursery: trio.Nursery, reply: tuple[int, object, dict[str, str]], error: type[ProxyError], words: str
) -> None:
    github = GitHub(nursery, reply)
    with pytest.raises(error, match=words) as caught:
        await github.source.token(github.account)
    assert caught.value.cost == "none"
    assert "ghu_" not in str(caught.value)


async def test_a_rest_limit_names_when_it_ends(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, (429, {"message": "slow"}, {"retry_after": "77"}))
    with pytest.raises(RateLimited) as caught:
        await github.source.token(github.account)
    assert caught.value.retry_after == 77


@pytest.mark.parametrize("reason", ["spammy_user", "access_revoked", "go_http_client", "programmatic_token_generation"])
async def test_an_abuse_notification_pauses_the_account(nursery: trio.Nursery, reason: str) -> None:
    body = {"message": "x", "error_details": {"message": "Contact Support", "notification_id": reason}}
    github = GitHub(nursery, (403, body, {}))
    with pytest.raises(AccountPaused):
        await github.source.token(github.account)
    assert [(outcome.scope, outcome.becomes) for outcome in github.judged] == [("warning", "banned")]


async def test_a_paused_account_exchanges_nothing(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok())
    github.account.warning = AccountPaused("warned")
    with pytest.raises(AccountPaused):
        await github.source.token(github.account)
    assert github.paths == []


async def test_an_offered_host_that_is_no_copilot_host_is_not_used(
    nursery: trio.Nursery, caplog: pytest.LogCaptureFixture
) -> None:
    github = GitHub(nursery, ok(endpoints={"api": "https://evil.example"}))
    token = await github.source.token(github.account)
    assert token.api == "https://api.individual.githubcopilot.com"
    assert "not on the list" in caplog.text


@pytest.mark.parametrize("refresh_in", [0, -5, 1e12])
async def test_absurd_lifetimes_are_bounded(nursery: trio.Nursery, refresh_in: float) -> None:
    github = GitHub(nursery, ok(refresh_in=refresh_in))
    token = await github.source.token(github.account)
    assert 100 <= token.refresh - trio.current_time() <= 24 * 3600


async def test_the_login_is_asked_for(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, (200, {"login": "octo-dev", "id": 1}, {}))
    assert await fetch_login(github.account, Config().identity) == "octo-dev"
    refused = GitHub(nursery, (401, {"message": "Bad credentials"}, {}))
    with pytest.raises(AccountRejected):
        await fetch_login(refused.account, Config().identity)
    broken = GitHub(nursery, (200, b"nope", {}))
    with pytest.raises(UpstreamError):
        await fetch_login(broken.account, Config().identity)


async def test_a_hundred_requests_at_a_tokens_end_make_one_exchange(nursery: trio.Nursery) -> None:
    world = World(nursery)
    await world.ask("/v1/chat/completions", chat("hi"))
    world.twin.add_fault(Fault(path="/copilot_internal/v2/token", delay=5))
    await trio.sleep(1600)
    async with trio.open_nursery() as clients:
        for _ in range(100):
            clients.start_soon(world.ask, "/v1/chat/completions", chat("SCENARIO:text REPLY=x", stream=True))
    assert len([record for record in world.twin.records if record.path == "/copilot_internal/v2/token"]) == 2
    assert [record.status for record in world.calls()] == [200] * 101


async def failing(github: GitHub, instead_of: CopilotToken | None, met: list[tuple[ProxyError, float]]) -> None:
    with pytest.raises(ProxyError) as caught:
        await github.source.token(github.account, instead_of=instead_of)
    met.append((caught.value, trio.current_time()))


async def test_who_waits_for_an_exchange_that_fails_shares_its_failure(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, (503, b"<html>", {}), ok())
    met: list[tuple[ProxyError, float]] = []
    async with trio.open_nursery() as callers:
        for _ in range(5):
            callers.start_soon(failing, github, None, met)
            await trio.sleep(0.1)
    assert [when for _, when in met] == [1.0] * 5
    assert len({id(error) for error, _ in met}) == 5
    assert {str(error) for error, _ in met} == {str(met[0][0])}
    assert len(github.paths) == 1
    assert github.account.token_failure is not None
    assert github.account.token_failure.__traceback__ is None
    assert (await github.source.token(github.account)).value == ENVELOPE["token"]


async def test_who_comes_after_a_failure_tries_anew(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, (503, b"<html>", {}))
    met: list[tuple[ProxyError, float]] = []
    for _ in range(3):
        await failing(github, None, met)
    assert len(github.paths) == 3


async def test_who_leaves_in_the_middle_of_an_exchange_fails_nobody_else(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok())
    values: list[str] = []

    async def call() -> None:
        values.append((await github.source.token(github.account)).value)

    with trio.move_on_after(0.5):
        async with trio.open_nursery() as callers:
            callers.start_soon(github.source.token, github.account)
            await trio.sleep(0.1)
            nursery.start_soon(call)
            await trio.sleep_forever()
    await trio.sleep(2)
    assert (values, len(github.paths)) == ([ENVELOPE["token"]], 2)


@pytest.mark.parametrize("refused_first", [True, False])
async def test_a_shared_failure_spares_who_can_use_the_old_token(nursery: trio.Nursery, *, refused_first: bool) -> None:
    github = GitHub(nursery, ok(), (503, b"<html>", {}))
    old = await github.source.token(github.account)
    await trio.sleep(1400)
    met: list[tuple[ProxyError, float]] = []
    held: list[CopilotToken] = []

    async def content() -> None:
        held.append(await github.source.token(github.account))

    async def refused() -> None:
        await failing(github, old, met)

    async with trio.open_nursery() as callers:
        for call in [refused, content] if refused_first else [content, refused]:
            callers.start_soon(call)
            await trio.sleep(0.1)
    assert held == [old]
    assert held[0] is old
    assert [type(error).__name__ for error, _ in met] == ["UpstreamOverloaded"]
    assert len(github.paths) == 2


async def test_what_a_paused_account_raises_is_not_what_it_keeps(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, (401, {"message": "Bad credentials"}, {}))
    met: list[tuple[ProxyError, float]] = []
    await failing(github, None, met)
    kept = github.account.token_failure
    assert isinstance(kept, AccountRejected)
    assert kept is not met[0][0]
    assert kept.__traceback__ is None
    github.account.warning = AccountPaused("warned")
    await failing(github, None, met)
    assert isinstance(met[1][0], AccountPaused)
    assert met[1][0] is not github.account.warning
    assert github.account.warning.__traceback__ is None


@pytest.mark.parametrize(
    ("reply", "scope", "becomes", "cooldown"),
    [
        ((401, {"message": "Bad credentials"}, {}), "account", "banned", None),
        ((403, {"message": "API rate limit exceeded"}, {"x_ratelimit_reset": f"{NOW + 99:.0f}"}), "account",
         "rate_limited", 99),
        ((403, {"message": "Not accessible"}, {}), "account", "error", 3600),
        ((500, b"<html>", {}), "upstream", None, None),
    ],
    ids=["revoked", "a REST limit", "no seat", "an outage"],
)  # fmt: skip
async def test_a_refusal_has_its_effect_on_the_account(
    nursery: trio.Nursery,
    reply: tuple[int, object, dict[str, str]],
    scope: str,
    becomes: str | None,
    cooldown: float | None,
) -> None:
    github = GitHub(nursery, reply)
    await failing(github, None, [])
    assert [(found.scope, found.becomes, found.cooldown) for found in github.judged] == [(scope, becomes, cooldown)]


async def test_while_the_next_token_is_fetched_the_old_one_is_used(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok(), ok(token="second"))
    old = await github.source.token(github.account)
    await trio.sleep(1400)
    nursery.start_soon(github.source.token, github.account)
    await trio.sleep(0.5)
    before = trio.current_time()
    assert await github.source.token(github.account) is old
    assert trio.current_time() == before
    assert (await github.source.token(github.account, instead_of=old)).value == "second"
    assert len(github.paths) == 2


async def test_a_direct_account_exchanges_nothing(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok(), direct=True)
    token = await github.source.token(github.account)
    assert (token.value, token.api) == ("ghu_SYNTHETIC", "https://api.githubcopilot.com")
    await trio.sleep(86_000)
    assert await github.source.token(github.account) is token
    assert github.paths == []


async def test_a_direct_accounts_refused_token_has_no_successor(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, ok(), direct=True)
    token = await github.source.token(github.account)
    with pytest.raises(AccountRejected, match="without --direct"):
        await github.source.token(github.account, instead_of=token)
    assert [(found.scope, found.becomes) for found in github.judged] == [("account", "banned")]
    assert github.paths == []


async def test_requests_at_the_same_time_meet_an_unreachable_upstream_at_the_same_time(nursery: trio.Nursery) -> None:
    world = World(nursery)
    world.unreachable = True
    took: list[float] = []

    async def ask() -> None:
        assert (await world.ask("/v1/chat/completions", chat("hi"))).status == 502
        took.append(trio.current_time())

    for _ in range(2):
        start = trio.current_time()
        async with trio.open_nursery() as clients:
            for _ in range(5):
                clients.start_soon(ask)
        assert took == [start + 30] * 5
        took.clear()
    world.unreachable = False
    assert (await world.ask("/v1/chat/completions", chat("SCENARIO:text REPLY=x"))).status == 200
