"""The dashboard: its files, and the session by which it uses the admin API where a key is needed."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
import trio
from memory_network import Response, get
from monitoring_of import KEYS, bearer, decoded
from test_admin_live import live, message
from test_websocket import UPGRADE
from world import World

import copilot_trio.admin
from copilot_trio.config import Config
from copilot_trio.server.auth import Access
from copilot_trio.server.sessions import COOKIE, LIFETIME, MAX_SESSIONS
from copilot_trio.server.wrong_keys import ALLOWED, WINDOW

FILES = Path(copilot_trio.admin.__path__[0]) / "dashboard"
SESSION = "/dashboard/session"
TYPES = {
    "/dashboard": "text/html; charset=utf-8",
    "/dashboard/app.js": "text/javascript; charset=utf-8",
    "/dashboard/style.css": "text/css; charset=utf-8",
    "/dashboard/icon.svg": "image/svg+xml",
}
OWN = (("origin", "http://localhost"), ("sec-fetch-site", "same-origin"))
Header = tuple[str, str]


async def log_in(world: World, key: str, *headers: Header) -> Response:
    return await world.call("POST", SESSION, {"key": key}, *headers)


async def cookie(world: World) -> Header:
    answer = await log_in(world, "admin-key")
    assert answer.status == 200
    return ("cookie", answer.headers["set-cookie"].partition(";")[0])


# ---- the files


@pytest.mark.parametrize("path", TYPES)
async def test_the_page_is_there_without_a_key(nursery: trio.Nursery, path: str) -> None:
    world = World(nursery, access=KEYS)
    answer = await world.ask_get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, TYPES[path])
    name = "index.html" if path == "/dashboard" else path.rpartition("/")[2]
    assert answer.body == (FILES / name).read_bytes()


@pytest.mark.parametrize("path", TYPES)
async def test_nothing_foreign_gets_into_it_and_it_into_nothing_foreign(nursery: trio.Nursery, path: str) -> None:
    world = World(nursery, access=KEYS)
    headers = (await world.ask_get(path)).headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["cache-control"] == "no-cache"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', "*"])
async def test_what_the_browser_has_is_not_sent_again(nursery: trio.Nursery, form: str) -> None:
    world = World(nursery, access=KEYS)
    etag = (await world.ask_get("/dashboard/app.js")).headers["etag"]
    again = await world.ask_get("/dashboard/app.js", ("if-none-match", form.format(etag)))
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", etag)
    assert again.headers["cache-control"] == "no-cache"


async def test_what_has_changed_is_sent(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    assert (await world.ask_get("/dashboard/app.js", ("if-none-match", '"another"'))).status == 200


async def test_each_file_has_a_tag_of_its_own(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    assert len({(await world.ask_get(path)).headers["etag"] for path in TYPES}) == len(TYPES)


@pytest.mark.parametrize(
    "header", [("host", "evil.example"), ("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")]
)
async def test_the_page_too_is_behind_the_gate(nursery: trio.Nursery, header: Header) -> None:
    world = World(nursery, access=KEYS)
    client = await world.client()
    host = b"" if header[0] == "host" else b"host: localhost\r\n"
    head = b"GET /dashboard HTTP/1.1\r\n" + host + f"{header[0]}: {header[1]}\r\n\r\n".encode()
    await client.stream.send_all(head)
    assert set(decoded(await client.response("GET"), 403)) == {"error"}


async def test_a_link_within_it_can_be_followed_with_a_slash(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    assert (await world.ask_get("/dashboard/")).status == 200


async def test_its_files_are_nothing_for_the_log(nursery: trio.Nursery, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    world = World(nursery, access=KEYS)
    await world.ask_get("/dashboard")
    assert "/dashboard" not in caplog.text
    await world.ask_get("/dashboard", ("sec-fetch-site", "cross-site"))
    assert "GET /dashboard 403" in caplog.text


def test_the_page_has_no_script_of_its_own_and_nothing_from_elsewhere() -> None:
    page = (FILES / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)", page) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=|javascript:", page) == []
    assert all(path.startswith(("/dashboard/", "#")) for path in re.findall(r'(?:src|href)="([^"]*)"', page))


def test_its_script_makes_no_html_of_what_it_is_told() -> None:
    script = (FILES / "app.js").read_text()
    for name in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "DOMParser", "Function("):
        assert name not in script


def test_its_script_finds_its_elements() -> None:
    names = set(re.findall(r'id="([\w-]+)"', (FILES / "index.html").read_text()))
    script = (FILES / "app.js").read_text()
    wanted = set(re.findall(r'\b(?:at|fill|onSubmit)\("([\w-]+)"', script))
    assert wanted
    assert wanted <= names


# ---- sessions


async def test_without_keys_everything_works_at_once(nursery: trio.Nursery) -> None:
    world = World(nursery)
    assert (await world.ask_get("/dashboard")).status == 200
    assert (await world.ask_get("/api/accounts", *OWN)).status == 200
    assert "no keys" in decoded(await log_in(world, "anything"), 409)["error"]


async def test_the_page_reads_with_a_session(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert len(decoded(await world.ask_get("/api/accounts", session))["accounts"]) == 1
    assert (await world.ask_get("/api/accounts", session, *OWN)).status == 200
    assert (await world.ask_get("/api/accounts")).status == 401


async def test_the_page_writes_with_a_session(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await world.call("DELETE", "/api/stats", None, session, *OWN)).status == 200
    reply = await world.call("POST", "/api/accounts", {}, session, *OWN)
    assert "required" in decoded(reply, 400)["error"]  # it was let in


async def test_the_page_watches_with_a_session(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    async with live(world, await cookie(world), ("origin", "http://localhost")) as socket:
        assert (await message(socket))["type"] == "snapshot"


async def test_a_session_is_for_administration_alone(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await world.ask_get("/v1/models", session)).status == 401
    assert (await world.ask_get("/v0/management/auth-files", session)).status == 404
    assert decoded(await world.ask_get("/health", session)) == {"status": "ok"}


FOREIGN: list[list[Header]] = [
    [("sec-fetch-site", "cross-site")],
    [("origin", "https://evil.example")],
    [("origin", "null")],
    [("origin", "http://localhost:3000"), ("sec-fetch-site", "same-site")],
]


@pytest.mark.parametrize("headers", FOREIGN)
async def test_other_pages_cannot_use_it(nursery: trio.Nursery, headers: list[Header]) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await world.ask_get("/api/accounts", session, *headers)).status == 403
    assert (await world.call("DELETE", "/api/requests", None, session, *headers)).status == 403
    stream = await world.downstream.connect()
    await get(stream, "/api/live", *UPGRADE, session, *headers)
    assert b" 403 " in bytes(await stream.receive_some()).partition(b"\r\n")[0]


async def test_a_page_on_another_port_cannot_use_it_though_browsers_send_it_there(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await world.ask_get("/api/accounts", session, ("sec-fetch-site", "same-site"))).status == 401


async def test_an_allowed_origin_cannot_use_it_either(nursery: trio.Nursery) -> None:
    access = msgspec.structs.replace(KEYS, allowed_origins=("https://ui.example",))
    world = World(nursery, access=access)
    session = await cookie(world)
    origin = ("origin", "https://ui.example")
    assert (await world.ask_get("/api/accounts", session, origin)).status == 401
    assert (await world.ask_get("/api/accounts", bearer("admin-key"), origin)).status == 200


async def test_it_does_not_lift_the_check_of_the_host(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    _, session = await cookie(world)
    client = await world.client()
    await client.stream.send_all(
        f"GET /api/accounts HTTP/1.1\r\nhost: evil.example\r\ncookie: {session}\r\n\r\n".encode()
    )
    assert (await client.response("GET")).status == 403


async def test_what_writes_must_be_json(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    _, session = await cookie(world)
    client = await world.client()
    head = f"POST /api/accounts HTTP/1.1\r\nhost: localhost\r\ncookie: {session}\r\ncontent-type: text/plain\r\n"
    await client.stream.send_all(f"{head}content-length: 2\r\n\r\n{{}}".encode())
    assert (await client.response()).status == 415


async def test_a_wrong_key_opens_nothing(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    for key in ("", "wrong", "admin-key "):
        answer = await log_in(world, key)
        assert set(decoded(answer, 401)) == {"error"}
        assert "set-cookie" not in answer.headers
        assert "wrong" not in key or key.encode() not in answer.body.replace(b"missing or wrong", b"")


async def test_a_key_for_inference_only_opens_nothing(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    answer = await log_in(world, "inference-key")
    assert "lacks the right 'admin'" in decoded(answer, 403)["error"]
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("body", [b"", b"[]", b'{"key":1}', b'{"other":"x"}', b'{"key":"\\ud800"}'])
async def test_a_body_that_is_none(nursery: trio.Nursery, body: bytes) -> None:
    world = World(nursery, access=KEYS)
    answer = await world.ask(SESSION, body)
    assert answer.status in {400, 401}
    assert set(msgspec.json.decode(answer.body)) == {"error"}


async def test_guessers_are_slowed_down_and_the_right_key_never_is(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    for _ in range(ALLOWED):
        assert (await log_in(world, "wrong")).status == 401
    slowed = await log_in(world, "wrong")
    assert slowed.status == 429
    assert 0 < int(slowed.headers["retry-after"]) <= WINDOW
    assert (await log_in(world, "admin-key")).status == 200
    await trio.sleep(WINDOW)
    assert (await log_in(world, "wrong")).status == 401


@pytest.mark.parametrize("headers", FOREIGN)
async def test_other_pages_can_neither_log_in_nor_out(nursery: trio.Nursery, headers: list[Header]) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await log_in(world, "admin-key", *headers)).status == 403
    assert (await world.call("DELETE", SESSION, None, session, *headers)).status == 403
    assert (await world.ask_get("/api/accounts", session)).status == 200


async def test_logging_out(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    answer = await world.call("DELETE", SESSION, None, session)
    assert answer.headers["set-cookie"] == f"{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
    assert (await world.ask_get("/api/accounts", session)).status == 401


async def test_a_session_lasts_twelve_hours(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    await trio.sleep(LIFETIME - 60)
    assert (await world.ask_get("/api/accounts", session)).status == 200
    await trio.sleep(120)
    assert (await world.ask_get("/api/accounts", session)).status == 401


async def test_the_oldest_of_too_many_ends(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    sessions = [await cookie(world) for _ in range(MAX_SESSIONS)]
    assert (await world.ask_get("/api/accounts", sessions[0])).status == 200
    await cookie(world)
    assert (await world.ask_get("/api/accounts", sessions[0])).status == 401
    assert (await world.ask_get("/api/accounts", sessions[1])).status == 200


async def test_a_session_ends_when_its_key_is_revoked(nursery: trio.Nursery, tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_bytes(msgspec.json.encode(Config(keys=KEYS.keys)))
    world = World(
        nursery,
        config=Config(keys=KEYS.keys),
        access=KEYS,
        config_file=path,
        keep=True,
        access_of=lambda config: Access(keys=tuple(config.keys)),
    )
    session = await cookie(world)
    assert (await world.ask_get("/api/config", session)).status == 200
    answer = await world.call(
        "PUT", "/api/config", {"keys": [{"label": "inference", "rights": ["inference"]}]}, session
    )
    assert answer.status == 200
    assert (await world.ask_get("/api/config", session)).status == 401
    await world.call("PUT", "/api/config", {}, bearer("admin-key"))
    assert (await log_in(world, "admin-key")).status == 401


async def test_a_session_is_no_more_than_its_key(nursery: trio.Nursery) -> None:
    world = World(nursery, access=KEYS)
    session = await cookie(world)
    assert (await world.ask_get("/api/accounts", bearer("inference-key"), session)).status == 403  # the key counts
    assert (await world.ask_get("/api/accounts", bearer("wrong"), session)).status == 200
