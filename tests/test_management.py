"""``/v0/management``, over the whole proxy in memory: what quota panels ask (systems.md §2)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio
from accounts_of import an_account
from memory_network import Response
from world import BASE, World, chat

from copilot_trio.accounts.account import Hosts
from copilot_trio.accounts.quota_user import parse_user
from copilot_trio.accounts.store import load_accounts
from copilot_trio.admin.management import auth_index, copilot_user
from copilot_trio.admin.management_call import MAX_HEADERS, MAX_REPLY, bases_of, own_headers, target
from copilot_trio.admin.redaction import REDACTED, redacted, without_secrets
from copilot_trio.admin.refused import Refused
from copilot_trio.admin.traffic import BUCKET, BUCKETS, Traffic
from copilot_trio.config import ApiKey
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.wrong_keys import ALLOWED, MAX_PEERS, WINDOW, WrongKeys
from copilot_trio.twin import AccountChange, Fault, sample_accounts
from copilot_trio.usage.record import UsageRecord

DEV, HOME, WORK = sample_accounts()
KEY = "a-management-key-of-some-length"
OPEN = Access(management=(hash_key(KEY),))
BEARER = ("authorization", f"Bearer {KEY}")
ROUTES = [
    ("GET", "auth-files"), ("POST", "api-call"), ("GET", "copilot-quota"), ("GET", "github-auth-url"),
    ("GET", "get-auth-status"),
]  # fmt: skip
USER = f"{BASE}/copilot_internal/user"
TOKEN_HEADER = {"Authorization": "Bearer $TOKEN$"}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "accounts.json"


def size(path: Path) -> int:
    return path.stat().st_size


def at(name: str) -> str:
    return f"/v0/management/{name}"


def decoded(answer: Response, status: int = 200) -> dict[str, Any]:
    assert answer.status == status, answer.body
    value = msgspec.json.decode(answer.body)
    assert isinstance(value, dict)
    return value


def refused(answer: Response, status: int) -> str:
    value = decoded(answer, status)
    assert set(value) == {"error"}
    return str(value["error"])


async def ask(world: World, name: str) -> Response:
    return await world.call("GET", at(name), None, BEARER)


async def call(world: World, **fields: object) -> Response:
    return await world.call("POST", at("api-call"), fields, BEARER)


async def index_of(world: World, number: int = 1) -> str:
    files = decoded(await ask(world, "auth-files"))["files"]
    return str(next(file["auth_index"] for file in files if file["id"] == f"a{number}"))


# ---- the key


@pytest.mark.parametrize(("method", "name"), ROUTES)
async def test_without_a_key_set_there_is_nothing(nursery: trio.Nursery, method: str, name: str) -> None:
    admin = ApiKey("admin", hash_key("of-an-admin"))
    for access in (Access(), Access(keys=(admin,))):
        answer = await World(nursery, access=access).call(method, at(name), None, BEARER, ("x-api-key", "of-an-admin"))
        assert "there is no route" in refused(answer, 404)


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ([("authorization", f"Bearer {KEY}")], True),
        ([("authorization", f"bearer {KEY}")], True),
        ([("authorization", KEY)], True),
        ([("x-management-key", KEY)], True),
        ([("authorization", "Bearer of-a-client"), ("x-management-key", KEY)], True),
        ([], False),
        ([("authorization", "Bearer ")], False),
        ([("authorization", f"Basic {KEY}")], False),
        ([("x-management-key", KEY.upper())], False),
        ([("x-management-key", hash_key(KEY))], False),
        ([("x-api-key", KEY)], False),
    ],
)
async def test_the_key_is_taken_from_either_header(
    nursery: trio.Nursery, headers: list[tuple[str, str]], *, admitted: bool
) -> None:
    answer = await World(nursery, access=OPEN).call("GET", at("auth-files"), None, *headers)
    assert answer.status == (200 if admitted else 401)
    if not admitted:
        assert "management key" in refused(answer, 401)


async def test_an_api_key_is_no_management_key_nor_the_other_way_round(nursery: trio.Nursery) -> None:
    keys = (ApiKey("admin", hash_key("of-an-admin")),)
    world = World(nursery, access=Access(keys=keys, management=(hash_key(KEY),)))
    refused(await world.call("GET", at("auth-files"), None, ("x-api-key", "of-an-admin")), 401)
    refused(await world.call("GET", "/api/accounts", None, BEARER), 401)
    assert (await world.ask("/v1/chat/completions", chat("hi"), BEARER)).status == 401


async def test_a_key_in_the_query_is_no_key(nursery: trio.Nursery) -> None:
    refused(await World(nursery, access=OPEN).call("GET", at(f"auth-files?key={KEY}")), 401)


async def test_wrong_keys_are_slowed_and_the_right_one_is_not(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    wrong = ("x-management-key", "wrong")
    answers = []
    for number in range(ALLOWED + 3):
        claimed = ("x-forwarded-for", f"203.0.113.{number}"), ("forwarded", f"for=203.0.113.{number}")
        answers.append(await world.call("GET", at("auth-files"), None, wrong, *claimed))
    assert [answer.status for answer in answers] == [401] * ALLOWED + [429] * 3
    answer = answers[-1]
    assert 1 <= int(answer.headers["retry-after"]) <= WINDOW
    assert "wrong" in refused(answer, 429)
    assert (await ask(world, "auth-files")).status == 200
    assert (await world.call("GET", at("auth-files"), None, wrong)).status == 429  # it is no pardon, either
    await trio.sleep(WINDOW)
    assert (await world.call("GET", at("auth-files"), None, wrong)).status == 401


async def test_wrong_api_keys_elsewhere_are_not_counted(nursery: trio.Nursery) -> None:
    world = World(nursery, access=Access(keys=(ApiKey("k", hash_key("k")),), management=(hash_key(KEY),)))
    for _ in range(ALLOWED + 3):
        assert (await world.call("GET", "/api/accounts", None, ("x-api-key", "wrong"))).status == 401


def test_failures_are_counted_by_peer_and_forgotten() -> None:
    wrong = WrongKeys()
    assert [wrong.count("10.0.0.1", 0.0) for _ in range(ALLOWED)] == [None] * ALLOWED
    assert wrong.count("10.0.0.1", 10.0) == WINDOW - 10
    assert wrong.count("10.0.0.2", 10.0) is None
    assert wrong.count("10.0.0.1", WINDOW) is None


def test_the_peers_that_are_remembered_are_bounded() -> None:
    wrong = WrongKeys()
    for number in range(3 * MAX_PEERS):
        wrong.count(str(number), 0.0)
    assert len(wrong._failures) == MAX_PEERS


# ---- auth-files


async def test_accounts_are_shown_as_files(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True, accounts=3)
    files = decoded(await ask(world, "auth-files"))["files"]
    assert [file["name"] for file in files] == sorted(
        f"github-copilot-{account.login}.json" for account in (DEV, HOME, WORK)
    )
    work = next(file for file in files if file["id"] == "a1")
    assert work.items() >= {
        "type": "github-copilot", "provider": "github-copilot", "label": "work", "email": DEV.login,
        "account": DEV.login, "account_type": "individual", "status": "active", "status_message": "",
        "disabled": False, "unavailable": False, "runtime_only": False, "source": "file", "path": str(path),
        "success": 0, "failed": 0,
    }.items()  # fmt: skip
    assert work["size"] == size(path)
    assert work["modtime"].startswith("20")
    assert len(work["auth_index"]) == 16
    assert len(work["recent_requests"]) == BUCKETS


async def test_files_are_chosen_by_name_and_index(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN, accounts=3)
    index = await index_of(world, 2)
    for query, ids in {
        f"auth_index={index}": ["a2"],
        f"authIndex={index}": ["a2"],
        f"name=github-copilot-{DEV.login}.json": ["a1"],
        f"name=github-copilot-{DEV.login}.json&auth_index={index}": [],
        "name=nobody.json": [],
        "name=&auth_index=": ["a1", "a2", "a3"],
    }.items():
        files = decoded(await ask(world, f"auth-files?{query}"))["files"]
        assert sorted(file["id"] for file in files) == ids, query


async def test_statuses_are_told_in_their_words(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True, accounts=3)
    await world.call("PUT", "/api/accounts/a1/status", {"status": "disabled"})
    world.app.accounts.ban(world.app.accounts.accounts[1], "GitHub refuses the account's token")
    told = {file["id"]: file for file in decoded(await ask(world, "auth-files"))["files"]}
    assert (told["a1"]["status"], told["a1"]["disabled"], told["a1"]["unavailable"]) == ("disabled", True, True)
    assert (told["a2"]["status"], told["a2"]["disabled"], told["a2"]["unavailable"]) == ("error", False, True)
    assert told["a2"]["status_message"] == "GitHub refuses the account's token"


async def test_an_account_of_this_run_is_in_memory_only(nursery: trio.Nursery, path: Path) -> None:
    (file,) = decoded(await ask(World(nursery, access=OPEN, accounts_file=path), "auth-files"))["files"]
    assert (file["runtime_only"], file["source"], file["path"], file["size"]) == (True, "memory", "", 0)


async def test_requests_are_counted_by_account(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    await world.ask("/v1/chat/completions", chat("hi"))
    world.twin.add_fault(Fault(path="/chat/completions", status=400, body={"error": {"message": "no"}}))
    await world.ask("/v1/chat/completions", chat("hi"))
    (file,) = decoded(await ask(world, "auth-files"))["files"]
    assert (file["success"], file["failed"]) == (1, 1)
    newest = file["recent_requests"][-1]
    assert (newest["success"], newest["failed"]) == (1, 1)
    assert len(newest["time"]) == len("10:00-10:10")


def test_traffic_is_kept_in_buckets_of_ten_minutes() -> None:
    traffic, start = Traffic(), 1_790_000_000 // BUCKET * BUCKET
    for seconds, status in [(0, 200), (BUCKET - 1, 499), (BUCKET, 200), (-BUCKET, 200), (40 * BUCKET, 500)]:
        traffic.put(UsageRecord(time_ms=(start + seconds) * 1000, endpoint="e", account="work", status=status))
    traffic.put(UsageRecord(time_ms=start * 1000, endpoint="e", status=401))
    shown = traffic.shown("work", start + BUCKET)
    assert (shown["success"], shown["failed"]) == (3, 2)
    assert [(each["success"], each["failed"]) for each in shown["recent_requests"]][-2:] == [(1, 1), (2, 0)]
    assert traffic.shown("nobody", start)["success"] == 0


def test_an_index_is_the_hash_of_the_accounts_id() -> None:
    account = an_account("x")
    account.change(id="abc")
    assert auth_index(account) == "c8cd7a447458353f"  # systems.md §2.3


# ---- api-call


async def test_a_call_is_made_with_the_accounts_token(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN, accounts=2)
    header = {**TOKEN_HEADER, "Accept": "application/json", "User-Agent": "a panel"}
    index = await index_of(world, 2)
    told = decoded(await call(world, auth_index=index, method="get", url=USER, header=header))
    assert told.keys() == {"status_code", "header", "body"}
    assert told["status_code"] == 200
    assert told["header"]["Content-Type"] == ["application/json"]
    assert msgspec.json.decode(told["body"])["login"] == HOME.login
    sent = world.twin.records[-1]
    assert sent.path == "/copilot_internal/user"
    assert sent.headers["user-agent"] == "a panel"
    assert sent.headers["accept-encoding"] == "identity"
    assert sent.headers["vscode-machineid"] == "m" * 64
    assert HOME.token not in told["body"]


@pytest.mark.parametrize("name", ["auth_index", "authIndex", "AuthIndex"])
async def test_all_names_of_the_index_do(nursery: trio.Nursery, name: str) -> None:
    world = World(nursery, access=OPEN)
    fields = {
        "auth_index": " ",
        name: f" {await index_of(world)} ",
        "method": "GET",
        "url": USER,
        "header": TOKEN_HEADER,
    }
    assert decoded(await call(world, **fields))["status_code"] == 200


async def test_what_upstream_refuses_is_a_reply_too(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    index = await index_of(world)
    told = decoded(await call(world, auth_index=index, method="GET", url=USER, header=None, data=None))
    assert (told["status_code"], "Requires authentication" in told["body"]) == (401, True)
    assert world.app.accounts.accounts[0].status == "active"  # the caller sent no token: that is no news of the account
    told = decoded(await call(world, auth_index=index, method="GET", url=f"{BASE}/user/nothing", header=TOKEN_HEADER))
    assert told["status_code"] == 404


async def test_a_post_brings_its_body(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    told = decoded(
        await call(
            world,
            auth_index=await index_of(world),
            method="POST",
            url=f"{BASE}/login/device/code",
            header={"Content-Type": "application/json", "Accept": "application/json"},
            data='{"client_id":"$TOKEN$","scope":"read:user"}',
        )
    )
    assert told["status_code"] == 200
    assert b"$TOKEN$" in world.twin.records[-1].body  # in header values only (systems.md §2.2)


@pytest.mark.parametrize(
    ("fields", "status", "words"),
    [
        ({"auth_index": ""}, 400, "auth_index is missing"),
        ({"auth_index": "0123456789abcdef"}, 404, "no account with the auth_index"),
        ({"method": " "}, 400, "method is missing"),
        ({"method": "DELETE"}, 400, "GET or POST"),
        ({"method": "GET / HTTP/1.1\r\nx: y"}, 400, "GET or POST"),
        ({"url": ""}, 400, "url is missing"),
        ({"url": "/copilot_internal/user"}, 400, "absolute URL"),
        ({"url": "https://example.com/copilot_internal/user"}, 400, "goes nowhere else"),
        ({"url": "http://127.0.0.1:2/copilot_internal/user"}, 400, "goes nowhere else"),
        ({"url": "http://169.254.169.254/latest/meta-data"}, 400, "goes nowhere else"),
        ({"url": "file:///etc/passwd"}, 400, "absolute URL"),
        ({"proxy_url": "http://evil.example:8080"}, 400, "own way out"),
        ({"header": {"X-A": "b\r\nX-Injected: c"}}, 400, "no header can have"),
        ({"header": {"X-A\r\nX-Injected": "c"}}, 400, "no header can have"),
        ({"header": {"X A": "c"}}, 400, "no header can have"),
        ({"header": {"X-A": "\u0100"}}, 400, "no header can have"),
        ({"header": {"host": "evil.example"}}, 400, "not for the caller"),
        ({"header": {"Content-Length": "3"}}, 400, "not for the caller"),
        ({"header": {"Transfer-Encoding": "chunked"}}, 400, "not for the caller"),
        ({"header": {"Accept": "a", "accept": "b"}}, 400, "twice"),
        ({"header": {f"x-{number}": "" for number in range(MAX_HEADERS + 1)}}, 400, "more than"),
        ({"header": ["Accept"]}, 400, "cannot be read"),
        ({"header": {"Accept": 1}}, 400, "cannot be read"),
    ],
)
async def test_what_is_wrong_is_said_and_nothing_sent(
    nursery: trio.Nursery, fields: dict[str, object], status: int, words: str
) -> None:
    world = World(nursery, access=OPEN)
    asked = {"auth_index": await index_of(world), "method": "GET", "url": USER, "header": TOKEN_HEADER, **fields}
    assert words in refused(await call(world, **asked), status)
    assert list(world.twin.records) == []


async def test_a_body_that_is_no_json_is_a_400(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    assert "cannot be read" in refused(await world.ask(at("api-call"), b"{", BEARER), 400)


BASES = ("https://api.github.com", "https://github.com", "https://copilot.corp/base/")
URLS: Mapping[str, str | None] = {
    "https://api.github.com/copilot_internal/user?x=1#y": "https://api.github.com/copilot_internal/user?x=1",
    "HTTPS://API.GITHUB.COM:443/user": "https://api.github.com/user",
    "https://api.github.com": "https://api.github.com/",
    "https://api.github.com//evil.example/x": "https://api.github.com//evil.example/x",
    "https://github.com/login": "https://github.com/login",
    "https://copilot.corp/base/models": "https://copilot.corp/base/models",
    "https://copilot.corp/base": "https://copilot.corp/base",
    "https://copilot.corp/based": None,
    "https://copilot.corp/": None,
    "https://copilot.corp/base/../admin": None,
    "https://copilot.corp/base/%2e%2e/admin": None,
    "https://copilot.corp/base/x%2F..%2F..": None,
    "http://api.github.com/user": None,
    "https://api.github.com:8443/user": None,
    "https://api.github.com./user": None,
    "https://api.github.com.evil.example/user": None,
    "https://evil.example/api.github.com": None,
    "https://evil.example#api.github.com": None,
    "https://api.github.com@evil.example/user": None,
    "https://user:pass@api.github.com/user": None,
    "https://evil.example\\@api.github.com/user": None,
    "https://api.github.com\\@evil.example/user": None,
    "https://api.github.com:x/user": None,
    "https://[::1/user": None,
    "https://api.github.com/us er": None,
    "https://api.github.com/\r\nHost: evil.example": None,
    "https://api.github.com/\u00e4": None,
    "//api.github.com/user": None,
    "https:///user": None,
    f"https://api.github.com/{'a' * 9000}": None,
}


@pytest.mark.parametrize(("url", "found"), URLS.items())
def test_only_the_accounts_own_hosts_are_called(url: str, found: str | None) -> None:
    if found is None:
        with pytest.raises(Refused) as caught:
            target(url, BASES)
        assert caught.value.status == 400
    else:
        assert target(url, BASES)[1] == found


def test_the_hosts_are_those_that_the_account_speaks_to_anyway() -> None:
    account = an_account("a", kind="business")
    assert bases_of(account) == (
        "https://api.github.com", "https://github.com", "https://api.business.githubcopilot.com",
    )  # fmt: skip
    account.hosts = Hosts("https://octo.ghe.com", "https://api.octo.ghe.com", "https://copilot-api.octo.ghe.com")
    assert bases_of(account) == (
        "https://api.octo.ghe.com", "https://octo.ghe.com", "https://copilot-api.octo.ghe.com",
    )  # fmt: skip


def test_the_placeholder_is_replaced_wherever_it_is_and_the_ids_are_the_accounts_own() -> None:
    account = an_account("a")
    given = {"X-Two": " $TOKEN$,$TOKEN$ ", "VSCODE-MACHINEID": "another's", "accept-encoding": "gzip"}
    headers = dict(own_headers(given, account, "ours/1"))
    assert headers["X-Two"] == "ghu_SYNTHETIC,ghu_SYNTHETIC"
    assert (headers["Accept-Encoding"], headers["User-Agent"]) == ("identity", "ours/1")
    assert headers["VScode-MachineId"] == account.record.machine_id
    assert {"VSCODE-MACHINEID", "accept-encoding"}.isdisjoint(headers)


async def test_redirects_are_followed_at_home_and_shown_elsewhere(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    index = await index_of(world)
    asked = {"auth_index": index, "url": f"{BASE}/rate_limit", "header": TOKEN_HEADER}
    for location in ("/copilot_internal/user", USER):
        world.twin.add_fault(Fault(path="/rate_limit", status=302, headers={"location": location}))
        told = decoded(await call(world, method="GET", **asked))
        assert (told["status_code"], DEV.login in told["body"]) == (200, True)
    dials = world.dials
    for location in (
        "https://evil.example/",
        "http://127.0.0.1:2/user",
        "//evil.example/x",
        "http://[::1",
        "file:///x",
    ):
        world.twin.add_fault(Fault(path="/rate_limit", status=302, headers={"location": location}))
        told = decoded(await call(world, method="GET", **asked))
        assert (told["status_code"], told["header"]["Location"]) == (302, [location])
    world.twin.add_fault(Fault(path="/rate_limit", status=307, headers={"location": USER}))
    assert decoded(await call(world, method="POST", **asked))["status_code"] == 307
    assert world.dials == dials


async def test_redirects_in_a_circle_end(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    world.twin.add_fault(Fault(path="/rate_limit", status=301, headers={"location": "/rate_limit"}, times=None))
    told = decoded(await call(world, auth_index=await index_of(world), method="GET", url=f"{BASE}/rate_limit"))
    assert told["status_code"] == 301
    assert len(world.twin.records) == 4


async def test_a_reply_beyond_the_cap_is_an_error(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    index = await index_of(world)
    answers = []
    for length in (MAX_REPLY, MAX_REPLY + 1):
        world.twin.add_fault(Fault(path="/copilot_internal/user", status=200, body="x" * length))
        answers.append(await call(world, auth_index=index, method="GET", url=USER, header=TOKEN_HEADER))
    assert len(decoded(answers[0])["body"]) == MAX_REPLY
    assert "over 1048576 bytes" in refused(answers[1], 502)


async def test_what_does_not_come_is_an_error_in_time(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    index = await index_of(world)
    world.unreachable = True
    assert "request failed" in refused(await call(world, auth_index=index, method="GET", url=USER), 502)
    world.unreachable = False
    world.twin.add_fault(Fault(path="/copilot_internal/user", delay=61.0))
    before = trio.current_time()
    assert "within 60 s" in refused(await call(world, auth_index=index, method="GET", url=USER), 502)
    assert trio.current_time() - before < 70


async def test_nothing_is_sent_on_an_account_that_github_warned_about(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN, paused="spammy_user")
    index = await index_of(world)
    assert "spammy_user" in refused(await call(world, auth_index=index, method="GET", url=USER), 403)
    assert "spammy_user" in refused(await ask(world, "copilot-quota"), 400)
    assert list(world.twin.records) == []


async def test_a_warning_is_heeded_whoever_asked(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    index = await index_of(world)
    body = {"message": "Terms of Service violation"}
    for header, warned in (({}, False), (TOKEN_HEADER, True)):
        world.twin.add_fault(Fault(path="/rate_limit", status=403, body=body))
        asked = {"auth_index": index, "method": "GET", "url": f"{BASE}/rate_limit", "header": header}
        assert decoded(await call(world, **asked))["status_code"] == 403
        assert (world.app.accounts.accounts[0].warning is not None) is warned


async def test_a_token_exchange_shows_the_quota_and_no_token(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    url = f"{BASE}/copilot_internal/v2/token"
    asked = {"auth_index": await index_of(world), "method": "GET", "url": url, "header": TOKEN_HEADER}
    told = msgspec.json.decode(decoded(await call(world, **asked))["body"])
    assert told["token"] == REDACTED
    assert told["quota_snapshots"]["premium_interactions"]["entitlement"] == DEV.entitlement
    assert told["copilot_plan"] == "individual_pro"
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=500))
    told = msgspec.json.decode(decoded(await call(world, **asked))["body"])
    assert (told["token"], "quota_snapshots" in told) == (REDACTED, False)


async def test_an_echo_of_the_token_is_not_passed_on(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    await world.ask("/v1/chat/completions", chat("hi"))
    bearer = world.app.accounts.accounts[0].token
    assert bearer is not None
    index = await index_of(world)
    for body in (f"you sent {DEV.token} and {bearer.value}", {"you": [DEV.token, bearer.value]}):
        headers = {"x-echo": f"token {DEV.token}", "set-cookie": "session=1"}
        world.twin.add_fault(Fault(path="/rate_limit", status=200, body=body, headers=headers))
        answer = await call(world, auth_index=index, method="GET", url=f"{BASE}/rate_limit", header=TOKEN_HEADER)
        told = decoded(answer)
        assert told["header"]["X-Echo"] == [f"token {REDACTED}"]
        assert "Set-Cookie" not in told["header"]
        assert DEV.token.encode() not in answer.body
        assert bearer.value.encode() not in answer.body


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ('{"a": 1, "b": ["x"]}', '{"a": 1, "b": ["x"]}'),
        ('{"token_based_billing":true,"prompt_tokens":3,"token":""}', None),
        ('{"access_token":"x"}', '{"access_token":"[redacted]"}'),
        ('{"a":[{"refreshToken":"x","n":1}]}', '{"a":[{"refreshToken":"[redacted]","n":1}]}'),
        ('{"secrets":["x",{"y":"z"}]}', '{"secrets":["[redacted]",{"y":"[redacted]"}]}'),
        ("access_token=gho_0123456789abcdef&scope=", "access_token=[redacted]&scope="),
        ("github_pat_0123456789abcdef", "[redacted]"),
        ("a tid=0123456789;exp=1 b", "a [redacted] b"),
        ("mine: s3cr3t", "mine: [redacted]"),
        ("\x00\xff", None),
        ("[" * 100_000, None),
    ],
)
def test_secrets_are_taken_out_of_texts(text: str, shown: str | None) -> None:
    assert redacted(text, ["s3cr3t", ""]) == (text if shown is None else shown)


def test_settings_are_shown_without_keys() -> None:
    env = {"ANTHROPIC_API_KEY": "x", "ANTHROPIC_AUTH_TOKEN": "y", "ANTHROPIC_BASE_URL": "http://localhost:1"}
    assert without_secrets({"env": env}) == {
        "env": {
            "ANTHROPIC_API_KEY": REDACTED,
            "ANTHROPIC_AUTH_TOKEN": REDACTED,
            "ANTHROPIC_BASE_URL": "http://localhost:1",
        }
    }


# ---- copilot-quota


async def test_the_quota_is_told_in_its_shape(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN, accounts=2)
    told = decoded(await ask(world, "copilot-quota"))
    assert (told["copilot_plan"], told["chat_enabled"], told["organization_list"]) == ("individual_pro", True, [])
    assert told["quota_snapshots"]["premium_interactions"] == {
        "quota_id": "premium_interactions", "entitlement": DEV.entitlement, "remaining": DEV.remaining,
        "quota_remaining": DEV.remaining, "percent_remaining": 70.28,
        "unlimited": False, "overage_permitted": False, "overage_count": 0,
    }  # fmt: skip
    assert told["quota_snapshots"]["chat"]["unlimited"] is True
    assert world.app.accounts.accounts[0].quota is not None
    second = await index_of(world, 2)
    told = decoded(await ask(world, f"copilot-quota?authIndex={second}"))
    assert (told["auth_index"], told["copilot_plan"]) == (second, "individual")


async def test_an_unknown_index_shows_nobody_elses_quota(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    assert "auth_index" in refused(await ask(world, "copilot-quota?auth_index=0123456789abcdef"), 404)
    assert list(world.twin.records) == []


async def test_a_quota_that_cannot_be_had_is_said(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=500))
    assert "could not be had" in refused(await ask(world, "copilot-quota"), 502)
    world.twin.add_fault(Fault(path="/copilot_internal/user", status=200, body={}))
    assert "could not be had" in refused(await ask(world, "copilot-quota"), 502)
    world.twin.change_account(AccountChange(login=DEV.login, revoked=True))
    assert "refuses the account's token" in refused(await ask(world, "copilot-quota"), 502)
    assert (await ask(world, "copilot-quota")).status == 400  # it is banned by now, and no other is there


def test_the_free_plan_has_its_numbers_too() -> None:
    body = (
        b'{"copilot_plan":"individual","access_type_sku":"free_limited_copilot","chat_enabled":true,"assigned_date":7,'
        b'"monthly_quotas":{"chat":"500","completions":4000},"limited_user_quotas":{"chat":125,"completions":4000},'
        b'"limited_user_reset_date":"2026-09-01","token":"x"}'
    )
    told = copilot_user(body, parse_user(body, 0.0))
    assert told["quota_snapshots"]["chat"]["remaining"] == 125
    assert told["quota_snapshots"]["premium_interactions"]["entitlement"] == 0
    assert (told["assigned_date"], told["limited_user_quotas"]["chat"]) == ("", 125)
    assert "token" not in told


# ---- signing in


async def test_a_sign_in_goes_its_way(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True)
    code = decoded(await ask(world, "github-auth-url"))
    assert (code["status"], code["url"]) == ("ok", code["verification_uri"])
    state = f"get-auth-status?state={code['state']}"
    assert decoded(await ask(world, state)) == {"status": "wait"}
    world.twin.approve(code["user_code"], HOME.login)
    await trio.sleep(code["interval"])
    assert decoded(await ask(world, state)) == {"status": "ok"}
    assert {record.login for record in load_accounts(path).accounts} == {DEV.login, HOME.login}


async def test_a_sign_in_ends_though_nobody_asks(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True, keep=True)
    code = decoded(await ask(world, "github-auth-url"))
    world.twin.approve(code["user_code"], HOME.login)
    await trio.sleep(3 * code["interval"])
    assert {record.login for record in load_accounts(path).accounts} == {DEV.login, HOME.login}
    assert decoded(await ask(world, f"get-auth-status?state={code['state']}")) == {"status": "ok"}


async def test_a_sign_in_that_is_refused_says_so(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True, keep=True)
    code = decoded(await ask(world, "github-auth-url"))
    world.twin.decide(code["user_code"], "denied")
    await trio.sleep(3 * code["interval"])
    told = decoded(await ask(world, f"get-auth-status?state={code['state']}"))
    assert (told["status"], bool(told["error"])) == ("error", True)


async def test_states_are_checked(nursery: trio.Nursery) -> None:
    world = World(nursery, access=OPEN)
    assert decoded(await ask(world, "get-auth-status")) == {"status": "ok"}
    assert decoded(await ask(world, "get-auth-status?state=gh-1"))["status"] == "error"
    for state in ("a/b", "%2e%2e%2f", "a" * 129):
        refused(await ask(world, f"get-auth-status?state={state}"), 400)


async def test_a_github_that_gives_no_code_is_said(nursery: trio.Nursery, path: Path) -> None:
    world = World(nursery, access=OPEN, accounts_file=path, stored=True)
    world.twin.add_fault(Fault(path="/login/device/code", status=500))
    assert "no code could be had" in refused(await ask(world, "github-auth-url"), 502)


async def test_too_many_fields_are_a_400(nursery: trio.Nursery) -> None:
    query = "&".join(f"a{number}=1" for number in range(100))
    refused(await ask(World(nursery, access=OPEN), f"auth-files?{query}"), 400)
