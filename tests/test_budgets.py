from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from memory_network import MemoryUpstream, UpstreamConnection

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.outcome import Outcome
from copilot_trio.config import Config
from copilot_trio.errors import AccountPaused
from copilot_trio.github.budgets import MAX_PAGES, PATIENCE, BudgetsUnavailable, fetch_budgets, read_cookie_file
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

GITHUB, API = "http://127.0.0.1:1", "http://127.0.0.1:2"
COOKIE = "user_session=synthetic"
IDENTITY = Config().identity
NOW = 1_790_000_000.0
PAGE = b'<meta name="x-fetch-nonce" content="v2:abc"><meta name="octolytics-actor-id" content="123">'
BUDGET = {"id": "budget-1", "budget_product_skus": ["copilot"], "budget_amount": 100, "current_usage": 40}
USER = {"id": 123, "login": "octocat"}
PAGES_JSON = {"budgets": [BUDGET]}

Reply = tuple[int, object] | tuple[int, object, dict[str, str]]


class GitHub:
    """github.com at port 1, its API at port 2. ``json`` is a reply, or says which for the path."""

    def __init__(
        self,
        nursery: trio.Nursery,
        *,
        user: Reply = (200, USER),
        page: Reply | None = (200, PAGE),
        json: Reply | Callable[[str], Reply] = (200, PAGES_JSON),
    ) -> None:
        self._user, self._json = user, json
        self._page: Reply | None = page
        self._upstream = MemoryUpstream(nursery, self._answer)
        self.dialled: list[tuple[str, int]] = []
        record = AccountRecord(id="a", label="work", github_token="ghu_SYNTHETIC", machine_id="m")
        self.account = Account(record, Hosts(GITHUB, API), AccountPool(self._dial, shared_context))
        self.asked: list[tuple[str, dict[str, str]]] = []

    async def _dial(self, host: str, port: int) -> trio.abc.Stream:
        self.dialled.append((host, port))
        return await self._upstream.dial(host, port)

    async def _answer(self, connection: UpstreamConnection) -> None:
        await connection.read_request()
        path = connection.path()
        headers = {name.decode(): value.decode() for name, value in connection.requests[-1][0].headers}
        self.asked.append((path, headers))
        if path == "/user":
            reply: Reply | None = self._user
        elif "?" not in path:
            reply = self._page
        else:
            reply = self._json(path) if callable(self._json) else self._json
        if reply is None:
            await trio.sleep_forever()
        status, body, *more = reply
        await connection.reply(
            status, body if isinstance(body, bytes) else msgspec.json.encode(body), **(more[0] if more else {})
        )

    @property
    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    @property
    def with_cookie(self) -> list[dict[str, str]]:
        return [headers for _, headers in self.asked if "cookie" in headers]


async def test_the_cookies_owner_is_checked_then_the_budgets_come(nursery: trio.Nursery) -> None:
    github = GitHub(nursery)
    (window,) = await fetch_budgets(github.account, COOKIE, IDENTITY, now=lambda: NOW)
    assert (window.id, window.title, window.used_percent) == ("copilot-budget-budget-1", "Budget - Copilot", 40)
    query = "page=1&page_size=10&scope=customer"
    assert github.paths == ["/user", "/settings/billing/budgets", f"/settings/billing/budgets?{query}"]
    (_, user), (_, page), (_, asked) = github.asked
    assert ("cookie" in user, user["host"], user["authorization"]) == (False, "127.0.0.1:2", "token ghu_SYNTHETIC")
    assert (page["cookie"], page["host"], page["accept"]) == (COOKIE, "127.0.0.1:1", "text/html,application/xhtml+xml")
    for headers in (page, asked):
        assert not {"authorization", "vscode-machineid", "vscode-sessionid", "content-type"} & headers.keys()
    told = {name: asked[name] for name in ("cookie", "host", "accept", "referer", "x-requested-with")}
    assert told == {
        "cookie": COOKIE,
        "host": "127.0.0.1:1",
        "accept": "application/json",
        "referer": f"{GITHUB}/settings/billing/budgets",
        "x-requested-with": "XMLHttpRequest",
    }
    assert (asked["github-verified-fetch"], asked["x-fetch-nonce"]) == ("true", "v2:abc")


async def test_a_page_without_nonce(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, page=(200, b'<meta name="user-id" content="123">'))
    assert len(await fetch_budgets(github.account, COOKIE, IDENTITY)) == 1
    assert "x-fetch-nonce" not in github.with_cookie[-1]


@pytest.mark.parametrize(
    ("html", "words"),
    [
        (b'<meta name="user-id" content="456"><meta name="user-login" content="otheruser">', "otheruser, not.*octocat"),
        (b'<meta name="user-id" content="456">', "somebody else, not.*octocat"),
        (b'<meta name="user-login" content="octocat">', "octocat, not"),
        (b"<html>Sign in</html>", "nobody's"),
    ],
    ids=["another", "another without login", "no id", "nobody"],
)
async def test_the_cookies_of_somebody_else_ask_for_no_budget(nursery: trio.Nursery, html: bytes, words: str) -> None:
    github = GitHub(nursery, page=(200, html))
    with pytest.raises(BudgetsUnavailable, match=words):
        await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert len(github.with_cookie) == 1


async def test_whose_token_it_is_counts_and_not_what_was_stored(nursery: trio.Nursery) -> None:
    github = GitHub(nursery, user=(200, {"id": 999, "login": "octocat"}))
    github.account.change(login="octocat")
    with pytest.raises(BudgetsUnavailable, match="not those of octocat"):
        await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert len(github.with_cookie) == 1


@pytest.mark.parametrize(
    "user",
    [
        (200, {"login": "octocat"}),
        (200, {"id": "123", "login": "octocat"}),
        (200, {"id": 123}),
        (200, b"no"),
        (401, {}),
    ],
)
async def test_a_token_of_nobody_sends_no_cookie(nursery: trio.Nursery, user: Reply) -> None:
    github = GitHub(nursery, user=user)
    with pytest.raises(BudgetsUnavailable):
        await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert github.with_cookie == []


@pytest.mark.parametrize(
    ("replies", "cookies_sent", "words"),
    [
        ({"page": (401, b"")}, 1, "does not accept the cookies .status 401"),
        ({"page": (403, b"")}, 1, "copy the cookie header anew"),
        ({"page": (500, b"")}, 1, "status 500"),
        ({"page": (302, b"", {"location": "http://127.0.0.1:9/login"})}, 1, "status 302"),
        ({"page": (200, b"\xff")}, 1, "no UTF-8"),
        ({"json": (500, {})}, 2, "status 500"),
        ({"json": (403, {})}, 2, "status 403"),
        ({"json": (307, b"", {"location": "http://127.0.0.1:9/"})}, 2, "status 307"),
        ({"json": (200, b"<html>")}, 2, "cannot be read"),
        ({"json": (200, b" " * 5_000_000)}, 2, "over 4194304 bytes"),
        ({"page": None}, 1, "within 15 s"),
    ],
    ids=["401", "403", "500", "redirect", "bytes", "json 500", "json 403", "json redirect", "html", "long", "silent"],
)
async def test_what_goes_wrong(nursery: trio.Nursery, replies: Any, cookies_sent: int, words: str) -> None:
    github = GitHub(nursery, **replies)
    began = trio.current_time()
    with pytest.raises(BudgetsUnavailable, match=words) as caught:
        await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert trio.current_time() - began <= PATIENCE
    assert len(github.with_cookie) == cookies_sent
    assert {port for _, port in github.dialled} == {1, 2}
    assert "synthetic" not in str(caught.value)


@pytest.mark.parametrize(("last", "count"), [("3", 3), ("99", MAX_PAGES)])
async def test_all_pages_are_read_and_no_more_than_twenty(nursery: trio.Nursery, last: str, count: int) -> None:
    def page(path: str) -> Reply:
        number = path.partition("page=")[2].partition("&")[0]
        return 200, {"payload": {"budgets": [{**BUDGET, "id": number}], "hasNextPage": number != last}}

    github = GitHub(nursery, json=page)
    found = await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert [window.id for window in found] == [f"copilot-budget-{n}" for n in range(1, count + 1)]


async def test_a_paused_account_sends_nothing(nursery: trio.Nursery) -> None:
    github = GitHub(nursery)
    github.account.warning = AccountPaused("GitHub warned")
    with pytest.raises(BudgetsUnavailable, match="GitHub warned"):
        await fetch_budgets(github.account, COOKIE, IDENTITY)
    assert github.asked == []


async def test_a_warning_is_heeded(nursery: trio.Nursery) -> None:
    judged: list[Outcome] = []
    github = GitHub(nursery, user=(403, {"message": "This violates our Terms of Service"}))
    with pytest.raises(BudgetsUnavailable, match="Terms of Service"):
        await fetch_budgets(github.account, COOKIE, IDENTITY, lambda _, outcome: judged.append(outcome))
    assert [outcome.becomes for outcome in judged] == ["banned"]


# ---- the file


def cookie_file(directory: Path, text: bytes, mode: int = 0o600) -> str:
    path = directory / "cookies"
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


def test_the_file_may_hold_a_curl_command(tmp_path: Path) -> None:
    assert read_cookie_file(cookie_file(tmp_path, b"curl https://github.com -H 'Cookie: a=b; c=d'\n")) == "a=b; c=d"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        (b"a=secret", 0o640, "chmod 600"),
        (b"a=secret", 0o604, "chmod 600"),
        (b"Cookie:\n", 0o600, "holds no cookie header$"),
        (b"secret", 0o600, "holds no cookie header: it is no line"),
        (b"a=\xff", 0o600, "is no text"),
        (b"a=" + b"secret" * 10_000, 0o600, "over 32 KiB"),
    ],
)
def test_a_file_that_will_not_do(tmp_path: Path, text: bytes, mode: int, words: str) -> None:
    with pytest.raises(BudgetsUnavailable, match=words) as caught:
        read_cookie_file(cookie_file(tmp_path, text, mode))
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["/nowhere/cookies", "\0", "~nobody-of-this-name/cookies", "/"])
def test_a_file_that_cannot_be_read(name: str) -> None:
    with pytest.raises(BudgetsUnavailable, match="cannot be read"):
        read_cookie_file(name)
