"""What keeps strangers and web pages away from every route that tells or changes something (systems.md §1.4, adapted).

There reads of this machine are open to any name, and a remote token opens everything. Here the gate of product.md §2.5
stands before each route: these tests walk all that the router has, whoever added it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import trio
from test_management import BEARER, KEY, TOKEN_HEADER
from world import BASE, World, chat

from copilot_trio.accounts.store import Store, with_fields
from copilot_trio.admin.management import auth_index
from copilot_trio.config import ApiKey, Config, ProxySettings
from copilot_trio.logs import LogRing
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.router import Route
from copilot_trio.twin import sample_accounts

DEV, HOME, WORK = sample_accounts()
ADMIN = ("x-api-key", "of-the-admin")
MODELS_ONLY = ("x-api-key", "of-a-client")
KEYS = (ApiKey("admin", hash_key(ADMIN[1])), ApiKey("client", hash_key(MODELS_ONLY[1]), ("inference",)))
LOCKED = Access(keys=KEYS, management=(hash_key(KEY),))
OPEN = Access(management=(hash_key(KEY),))
LOCAL = "http://localhost"
EVIL = ("origin", "https://evil.example")
CROSS_SITE = ("sec-fetch-site", "cross-site")
WITH_BODY = {"POST", "PUT", "PATCH"}
CODEX_PROXY = ("/account", "/settings", "/claude/config")


def guarded(world: World) -> Iterator[tuple[Route, str, str]]:
    """Every route that needs the admin right or a management key, with a path that it answers; what deletes, last."""
    found = [
        (route, method, route.pattern.replace("{id}", "a1").replace("{email}", "work"))
        for route in world.app.router.routes()
        for method in route.methods
        if route.scope in {"admin", "management"}
    ]
    assert all("{" not in path for _, _, path in found), "give the new part of a path something to stand for it"
    return iter(sorted(found, key=lambda each: ["GET", "POST", "PUT", "DELETE"].index(each[1])))


def key_to(route: Route) -> tuple[str, str]:
    return BEARER if route.scope == "management" else ADMIN


async def raw(world: World, method: str, path: str, *headers: tuple[str, str], body: object = None) -> bytes:
    """All that comes back within some seconds, for there are answers that do not end."""
    text = b"" if body is None else msgspec.json.encode(body)
    given = {name for name, _ in headers}
    usual = [("host", "localhost"), ("content-type", "application/json"), ("content-length", str(len(text)))]
    lines = [f"{name}: {value}" for name, value in [*headers, *(pair for pair in usual if pair[0] not in given)]]
    stream = (await world.client()).stream
    await stream.send_all(
        "\r\n".join([f"{method} {path} HTTP/1.1", "connection: close", *lines, "", ""]).encode() + text
    )
    received = b""
    with trio.move_on_after(130):
        while piece := await stream.receive_some():
            received += piece
    await stream.aclose()
    return received


def status_of(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def body_of(answer: bytes) -> object:
    return msgspec.json.decode(answer.partition(b"\r\n\r\n")[2])


def is_shaped(path: str, answer: bytes) -> bool:
    """Refused in the words of the surface that the path belongs to."""
    body = body_of(answer)
    assert isinstance(body, dict)
    if path.startswith(CODEX_PROXY):
        return body.keys() == {"success", "error"} and body["success"] is False and isinstance(body["error"], str)
    if path.startswith(("/api/", "/admin/", "/v0/management/")):
        return body.keys() == {"error"} and isinstance(body["error"], str)
    return "error" in body


async def test_all_surfaces_are_walked(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, access=LOCKED, config_file=tmp_path / "config.json")
    paths = {path for _, _, path in guarded(world)}
    assert paths >= {
        "/api/accounts", "/admin/accounts", "/api/config", "/account", "/accounts", "/accounts/switch",
        "/settings/model-mappings", "/claude/config", "/claude/config/set", "/v0/management/api-call",
    }  # fmt: skip


async def test_every_route_needs_its_key(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, access=LOCKED, config_file=tmp_path / "config.json")
    for route, method, path in guarded(world):
        for credential, status in [
            ((), {401, 429}),
            ((("x-api-key", "guessed"),), {401, 429}),
            ((("x-codex-proxy-admin-token", ADMIN[1]),), {401, 429}),
            ((MODELS_ONLY,), {401, 429} if route.scope == "management" else {403}),
            ((ADMIN if route.scope == "management" else BEARER,), {401, 429}),
        ]:
            answer = await raw(world, method, path, *credential)
            assert status_of(answer) in status, (method, path, credential, answer)
            assert is_shaped(path, answer), (method, path, answer)
        inside_a_query = f"{path}?key={ADMIN[1]}&api_key={ADMIN[1]}&x-management-key={KEY}"
        assert status_of(await raw(world, method, inside_a_query)) in {401, 429}


async def test_no_page_of_another_site_reaches_a_route_even_with_its_key(nursery: trio.Nursery, tmp_path: Path) -> None:
    world = World(nursery, access=LOCKED, config_file=tmp_path / "config.json")
    for route, method, path in guarded(world):
        for claim in (EVIL, CROSS_SITE, ("origin", "null"), ("origin", "vscode-file://vscode-app")):
            answer = await raw(world, method, path, key_to(route), claim)
            assert status_of(answer) == 403, (method, path, claim, answer)
            assert is_shaped(path, answer)
            assert b"access-control-allow-origin" not in answer.lower()
        answer = await raw(world, "OPTIONS", path, EVIL, ("access-control-request-method", method))
        assert status_of(answer) == 403
        assert b"access-control" not in answer.lower()


@pytest.mark.parametrize("host", ["rebound.example", "192.168.1.50:4141", "localhost.evil.example", ""])
async def test_a_name_that_is_not_ours_is_refused_for_reading_too(
    nursery: trio.Nursery, tmp_path: Path, host: str
) -> None:
    """A page whose name was made to mean 127.0.0.1 can read what it likes where only the peer is looked at."""
    world = World(nursery, access=OPEN, config_file=tmp_path / "config.json")
    for _, method, path in guarded(world):
        answer = await raw(world, method, path, ("host", host), ("origin", f"http://{host}"))
        assert status_of(answer) in {400, 403}, (method, path, answer)


async def test_bodies_must_say_that_they_are_json(nursery: trio.Nursery, tmp_path: Path) -> None:
    """What a form or a page without leave can send is never taken for a request."""
    world = World(nursery, access=LOCKED, config_file=tmp_path / "config.json")
    for route, method, path in guarded(world):
        if method in WITH_BODY:
            for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""):
                answer = await raw(world, method, path, key_to(route), ("content-type", kind), body={})
                assert status_of(answer) == 415, (method, path, kind, answer)
                assert is_shaped(path, answer)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ((CROSS_SITE,), 403),
        ((EVIL,), 403),
        ((("origin", "null"),), 403),
        ((("origin", LOCAL), ("sec-fetch-site", "same-origin")), 200),
        ((("origin", "https://ui.example"), CROSS_SITE), 200),
        ((("sec-fetch-site", "none"),), 200),
        ((), 200),
    ],
)
@pytest.mark.parametrize("path", ["/account/refresh", "/accounts/refresh", "/api/accounts/a1/refresh"])
async def test_pages_of_ours_and_those_allowed_may_change_things(
    nursery: trio.Nursery, path: str, headers: tuple[tuple[str, str], ...], status: int
) -> None:
    world = World(nursery, access=Access(allowed_origins=("https://ui.example",)))
    assert status_of(await raw(world, "POST", path, *headers)) == status


@pytest.mark.parametrize(
    "path", ["/account", "/settings/model-mappings", "/claude/config", "/v0/management/auth-files"]
)
async def test_a_preflight_is_answered_for_allowed_origins_only(nursery: trio.Nursery, path: str) -> None:
    access = Access(allowed_origins=("https://ui.example",), management=(hash_key(KEY),))
    world = World(nursery, access=access)
    allowed = await raw(world, "OPTIONS", path, ("origin", "https://ui.example"))
    assert status_of(allowed) == 204
    assert b"access-control-allow-origin: https://ui.example\r\n" in allowed.lower()
    assert b"access-control-allow-credentials" not in allowed.lower()
    for origin in ("https://evil.example", "null", "*"):
        answer = await raw(world, "OPTIONS", path, ("origin", origin))
        assert (status_of(answer), b"access-control" in answer.lower()) == (403, False)


async def test_management_is_not_there_for_a_preflight_either_without_its_key_set(nursery: trio.Nursery) -> None:
    world = World(nursery, access=Access(allowed_origins=("https://ui.example",)))
    answer = await raw(world, "OPTIONS", "/v0/management/auth-files", ("origin", "https://ui.example"))
    assert status_of(answer) == 404


# ---- what replies hold

PROXY_PASSWORD = "s3cret-of-the-proxy"
SAVED_PASSWORD = "s3cret-of-the-saved-one"
BODIES: dict[str, list[object]] = {
    "/v0/management/api-call": [
        {"method": "GET", "url": f"{BASE}/copilot_internal/user", "header": TOKEN_HEADER},
        {"method": "GET", "url": f"{BASE}/copilot_internal/v2/token", "header": TOKEN_HEADER},
        {"method": "GET", "url": f"{BASE}/nowhere", "header": TOKEN_HEADER},
        {"method": "GET", "url": "https://evil.example/$TOKEN$", "header": TOKEN_HEADER},
    ],
    "/accounts/add/manual": [{"githubToken": HOME.token, "label": "home"}, {"githubToken": DEV.token}],
    "/api/accounts": [{"githubToken": WORK.token, "label": "third"}, {"githubToken": DEV.token, "label": "again"}],
    "/accounts/switch": [{"email": "work"}],
    "/api/accounts/a1/proxy": [{"proxy": f"socks5h://bob:{PROXY_PASSWORD}@proxy.example:1080"}, {"proxy": "ftp://x"}],
    "/api/accounts/a1/status": [{"status": "active"}],
    "/settings/model-mappings": [{"modelMappings": {"opus": "gpt-4.1"}}],
}  # fmt: skip
LAST = ("/api/accounts/a1/proxy",)


def secrets_of(world: World) -> set[str]:
    """Every GitHub and Copilot token that there is, GitHub's device codes, passwords of proxies, hashes of keys."""
    github = {account.token for account in (DEV, HOME, WORK)}
    stored = {account.record.github_token for account in world.app.accounts.accounts}
    copilot = {account.token.value for account in world.app.accounts.accounts if account.token is not None}
    devices = {code.device_code for code in world.twin.state.devices.pending(world.now())}
    hashes = {hash_key(KEY), *(key.sha256 for key in KEYS)}
    return {*github, *stored, *copilot, *devices, *hashes, PROXY_PASSWORD, SAVED_PASSWORD, KEY}


async def test_no_reply_holds_a_secret(nursery: trio.Nursery, tmp_path: Path) -> None:
    accounts_file, config_file = tmp_path / "accounts.json", tmp_path / "config.json"
    saved = ProxySettings(https_proxy=f"http://bob:{SAVED_PASSWORD}@proxy.example:3128")
    config = Config(keys=KEYS, management_key=hash_key(KEY), proxy=saved)
    await trio.to_thread.run_sync(config_file.write_bytes, msgspec.json.encode(config))
    world = World(
        nursery,
        config=config,
        access=LOCKED,
        accounts_file=accounts_file,
        stored=True,
        config_file=config_file,
        usage_file=tmp_path / "usage.sqlite3",
        ring=LogRing(),
    )
    proxy = f"socks5h://bob:{PROXY_PASSWORD}@proxy.example:1080"
    await trio.to_thread.run_sync(Store(accounts_file).update, lambda file: with_fields(file, "a1", proxy=proxy))
    await world.ask("/v1/chat/completions", chat("hi"), MODELS_ONLY)
    replies: list[tuple[str, str, bytes]] = []
    secrets = secrets_of(world)
    known = len(secrets)
    index = auth_index(world.app.accounts.accounts[0])
    walked = sorted(guarded(world), key=lambda each: (each[1] == "DELETE", each[2] in LAST))
    for route, method, path in walked:
        for asked in [{}, *BODIES.get(path, [])] if method in WITH_BODY else [None]:
            body = {**asked, "auth_index": index} if path.endswith("/api-call") and isinstance(asked, dict) else asked
            answer = await raw(world, method, path, key_to(route), body=body)
            assert status_of(answer) != 500, (method, path, answer)
            replies.append((method, path, answer))
            secrets |= secrets_of(world)
    assert {method for method, _, _ in replies} == {"GET", "POST", "PUT", "DELETE"}
    assert sum(status_of(answer) in {200, 201} for _, _, answer in replies) > 40
    assert len(secrets) > known + 2  # tokens that were refreshed, codes of sign-ins
    for secret in secrets:
        for method, path, answer in replies:
            assert secret.encode() not in answer, f"{method} {path} tells {secret}: {answer!r}"
