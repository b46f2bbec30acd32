"""Sessions: what a cookie is worth, and for how long."""

from __future__ import annotations

from copilot_trio.config import ApiKey
from copilot_trio.server.auth import hash_key
from copilot_trio.server.sessions import COOKIE, LIFETIME, MAX_SESSIONS, Sessions

ADMIN = ApiKey("admin", hash_key("admin-key"))
OTHER = ApiKey("other", hash_key("other-key"))


def cookie_of(set_cookie: str) -> str:
    return set_cookie.partition(";")[0]


def test_it_stands_for_its_key() -> None:
    sessions = Sessions()
    cookie = cookie_of(sessions.open(ADMIN, 0))
    assert sessions.key_of(cookie, (OTHER, ADMIN), 1) is ADMIN
    assert sessions.key_of(f"theme=dark; {cookie}; a=b", (ADMIN,), 1) is ADMIN
    assert sessions.key_of(f"{COOKIE}=stale; {cookie}", (ADMIN,), 1) is ADMIN


def test_what_is_none_of_ours_stands_for_nothing() -> None:
    sessions = Sessions()
    secret = cookie_of(sessions.open(ADMIN, 0)).partition("=")[2]
    for cookies in ("", "nonsense", f"{COOKIE}=", f"{COOKIE}={secret[:-1]}", f"other={secret}", f"{COOKIE}=\udcff"):
        assert sessions.key_of(cookies, (ADMIN,), 1) is None


def test_the_browser_keeps_it_to_itself() -> None:
    attributes = Sessions().open(ADMIN, 0).split("; ")[1:]
    assert attributes == ["HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=43200"]


def test_no_two_are_alike_and_none_is_kept_as_it_is() -> None:
    sessions = Sessions()
    secrets = {cookie_of(sessions.open(ADMIN, 0)).partition("=")[2] for _ in range(5)}
    assert len(secrets) == 5
    assert all(len(secret) >= 43 and secret not in repr(vars(sessions)) for secret in secrets)


def test_it_ends_after_twelve_hours() -> None:
    sessions = Sessions()
    cookie = cookie_of(sessions.open(ADMIN, 100))
    assert sessions.key_of(cookie, (ADMIN,), 100 + LIFETIME - 1) is ADMIN
    assert sessions.key_of(cookie, (ADMIN,), 100 + LIFETIME) is None
    assert len(sessions) == 0


def test_it_ends_with_its_key_and_does_not_come_back_with_it() -> None:
    sessions = Sessions()
    cookie = cookie_of(sessions.open(ADMIN, 0))
    assert sessions.key_of(cookie, (OTHER,), 1) is None
    assert sessions.key_of(cookie, (ADMIN,), 1) is None


def test_logging_out_ends_it() -> None:
    sessions = Sessions()
    cookie, other = cookie_of(sessions.open(ADMIN, 0)), cookie_of(sessions.open(ADMIN, 0))
    assert sessions.close(cookie) == f"{COOKIE}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0"
    assert sessions.key_of(cookie, (ADMIN,), 1) is None
    assert sessions.key_of(other, (ADMIN,), 1) is ADMIN
    sessions.close("")


def test_there_are_only_so_many_and_the_oldest_gives_way() -> None:
    sessions = Sessions()
    cookies = [cookie_of(sessions.open(ADMIN, 0)) for _ in range(MAX_SESSIONS + 1)]
    assert len(sessions) == MAX_SESSIONS
    assert sessions.key_of(cookies[0], (ADMIN,), 1) is None
    assert sessions.key_of(cookies[1], (ADMIN,), 1) is ADMIN


def test_those_that_have_ended_make_room_first() -> None:
    sessions = Sessions()
    for _ in range(MAX_SESSIONS):
        sessions.open(ADMIN, 0)
    sessions.open(ADMIN, LIFETIME)
    assert len(sessions) == 1
