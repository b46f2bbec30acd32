"""The gate of product.md §2.5, as a table: who is let in, with which rights, and who is refused how."""

from __future__ import annotations

import pytest

from copilot_trio.config import ApiKey
from copilot_trio.errors import Forbidden, ProxyError, Unauthorized, UnsupportedMedia
from copilot_trio.server.auth import CURSOR_ORIGIN, Access, admit, cors_headers, hash_key, preflight
from copilot_trio.server.exchange import Request
from copilot_trio.server.router import Scope

OPEN = Access(host="192.168.1.5", allowed_hosts=("MyBox", "proxy.lan"), allowed_origins=("https://ui.example",))
KEYS = Access(
    allowed_origins=("https://ui.example",),
    keys=(
        ApiKey("full", hash_key("full-key")),
        ApiKey("models", hash_key("models-key"), ("inference",)),
        ApiKey("chores", hash_key("chores-key").upper(), ("admin",)),
    ),
)
JSON = {"content-type": "application/json"}


def request(method: str = "GET", **headers: str) -> Request:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method, "/v1/models", "", {"host": "localhost:4141", **named}, b"")


def refusal(asked: Request, access: Access, scope: Scope = "inference") -> type[ProxyError] | None:
    try:
        admit(asked, scope, access)
    except ProxyError as error:
        return type(error)
    return None


# ---- Host

HOSTS = {
    "localhost": True,
    "localhost:4141": True,
    "LocalHost:4141": True,
    "127.0.0.1": True,
    "127.0.0.1:4141": True,
    "127.1.2.3:80": True,
    "[::1]": True,
    "[::1]:4141": True,
    "192.168.1.5:4141": True,  # what it is bound to
    "mybox": True,
    "MYBOX:4141": True,
    "proxy.lan": True,
    "": False,
    ":4141": False,
    "192.168.1.6": False,
    "example.com": False,
    "localhost.example.com": False,
    "127.0.0.1.nip.io:4141": False,
    "notlocalhost": False,
    "localhost@example.com": False,
    "example.com@localhost": False,
    "localhost/example.com": False,
    "localhost:4141:1": False,
    "[::1": False,
    "[::2]": False,
    "[1:2:3]": False,
    "::1": False,
    "localhost localhost": False,
}


@pytest.mark.parametrize(("host", "admitted"), HOSTS.items())
def test_the_host_must_be_a_name_of_this_server(host: str, *, admitted: bool) -> None:
    assert refusal(request(host=host), OPEN) is (None if admitted else Forbidden)


def test_an_ipv6_address_it_is_bound_to_is_a_name_of_the_server() -> None:
    assert refusal(request(host="[fd00::5]:4141"), Access(host="fd00::5")) is None


def test_no_host_is_no_name_of_a_server_bound_to_everything() -> None:
    assert refusal(request(host=""), Access(host="")) is Forbidden


@pytest.mark.parametrize("scope", ["open", "inference", "admin"])
def test_the_host_is_checked_on_every_route(scope: Scope) -> None:
    assert refusal(request(host="rebound.example"), OPEN, scope) is Forbidden


def test_a_valid_key_lifts_the_host_check() -> None:
    assert refusal(request(host="rebound.example", x_api_key="full-key"), KEYS) is None


def test_a_wrong_key_does_not_lift_the_host_check() -> None:
    assert refusal(request(host="rebound.example", x_api_key="wrong"), KEYS) is Forbidden


# ---- Origin

ORIGINS = {
    "http://localhost:4141": True,  # our own dashboard
    "HTTP://LOCALHOST:4141": False,  # no browser writes it so
    "https://localhost:4141": True,
    "https://ui.example": True,
    CURSOR_ORIGIN: True,
    "https://ui.example:8443": False,
    "http://ui.example": False,
    "http://localhost": False,
    "http://localhost:3000": False,
    "http://127.0.0.1:4141": False,
    "https://evil.example": False,
    "null": False,
    "": False,
    "localhost:4141": False,
    "file://": False,
    "httpx://localhost:4141": False,
    "chrome-extension://localhost:4141": False,
    "http://[::1": False,
    "https://ui.example, https://evil.example": False,
}


@pytest.mark.parametrize(("origin", "admitted"), ORIGINS.items())
def test_web_pages_must_be_of_the_same_or_an_allowed_origin(origin: str, *, admitted: bool) -> None:
    assert refusal(request("POST", origin=origin, **JSON), OPEN) is (None if admitted else Forbidden)


@pytest.mark.parametrize("scope", ["open", "admin"])
def test_cursors_origin_is_allowed_on_the_model_apis_only(scope: Scope) -> None:
    assert refusal(request(origin=CURSOR_ORIGIN), OPEN, scope) is Forbidden


@pytest.mark.parametrize("scope", ["open", "inference", "admin"])
def test_a_valid_key_does_not_lift_the_origin_check(scope: Scope) -> None:
    assert refusal(request(origin="https://evil.example", x_api_key="full-key"), KEYS, scope) is Forbidden


def test_a_page_at_a_rebound_name_is_refused_though_it_is_its_own_origin() -> None:
    asked = request(host="rebound.example:4141", origin="http://rebound.example:4141", sec_fetch_site="same-origin")
    assert refusal(asked, OPEN) is Forbidden


# ---- Sec-Fetch-Site


@pytest.mark.parametrize(
    ("site", "admitted"), [("cross-site", False), ("same-site", True), ("same-origin", True), ("none", True)]
)
def test_requests_that_another_site_caused_are_refused(site: str, *, admitted: bool) -> None:
    assert refusal(request(sec_fetch_site=site), OPEN) is (None if admitted else Forbidden)


def test_an_allowed_origin_may_be_of_another_site() -> None:
    assert refusal(request(origin="https://ui.example", sec_fetch_site="cross-site"), OPEN) is None


def test_a_valid_key_does_not_lift_the_check_of_the_site() -> None:
    assert refusal(request(sec_fetch_site="cross-site", x_api_key="full-key"), KEYS) is Forbidden


# ---- Content-Type

TYPES = {
    "application/json": True,
    "application/json; charset=utf-8": True,
    "Application/JSON;charset=UTF-8": True,
    "": False,
    "text/plain": False,
    "text/plain; application/json": False,
    "application/x-www-form-urlencoded": False,
    "multipart/form-data": False,
    "application/jsonp": False,
    "application/json, application/json": False,
}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
@pytest.mark.parametrize(("media_type", "admitted"), TYPES.items())
def test_bodies_must_say_that_they_are_json(method: str, media_type: str, *, admitted: bool) -> None:
    assert refusal(request(method, content_type=media_type), OPEN) is (None if admitted else UnsupportedMedia)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_body_without_a_type_is_refused(method: str) -> None:
    assert refusal(request(method), OPEN) is UnsupportedMedia


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
def test_methods_without_a_body_need_no_type(method: str) -> None:
    assert refusal(request(method), OPEN) is None


def test_a_valid_key_does_not_lift_the_content_type() -> None:
    assert refusal(request("POST", x_api_key="full-key", content_type="text/plain"), KEYS) is UnsupportedMedia


# ---- keys

CREDENTIALS: list[tuple[dict[str, str], bool]] = [
    ({"authorization": "Bearer full-key"}, True),
    ({"authorization": "bearer full-key"}, True),
    ({"authorization": "Bearer   full-key "}, True),
    ({"x_api_key": "full-key"}, True),
    ({"authorization": "Bearer sk-ant-of-someone-else", "x_api_key": "full-key"}, True),
    ({"authorization": "Bearer full-key", "x_api_key": "dummy"}, True),
    ({}, False),
    ({"authorization": "full-key"}, False),
    ({"authorization": "Basic full-key"}, False),
    ({"authorization": "Bearer"}, False),
    ({"authorization": "Bearer wrong"}, False),
    ({"authorization": "Bearer full-key, Bearer full-key"}, False),
    ({"x_api_key": ""}, False),
    ({"x_api_key": "FULL-KEY"}, False),
    ({"x_api_key": "full-key "}, False),
    ({"x_api_key": "sch\u00f6n"}, False),
    ({"x_api_key": hash_key("full-key")}, False),
]


@pytest.mark.parametrize(("headers", "admitted"), CREDENTIALS)
def test_a_key_is_taken_from_either_header(headers: dict[str, str], *, admitted: bool) -> None:
    assert refusal(request(**headers), KEYS) is (None if admitted else Unauthorized)


def test_a_key_in_the_query_is_no_key() -> None:
    asked = Request("GET", "/v1/models", "key=full-key&api_key=full-key", {"host": "localhost"}, b"")
    assert refusal(asked, KEYS) is Unauthorized


@pytest.mark.parametrize(
    ("key", "scope", "error"),
    [
        ("full-key", "inference", None),
        ("full-key", "admin", None),
        ("models-key", "inference", None),
        ("models-key", "admin", Forbidden),
        ("chores-key", "inference", Forbidden),
        ("chores-key", "admin", None),
        ("models-key", "open", None),
        ("wrong", "open", None),
        ("wrong", "admin", Unauthorized),
    ],
)
def test_a_key_opens_what_it_has_the_right_to(key: str, scope: Scope, error: type[ProxyError] | None) -> None:
    assert refusal(request(x_api_key=key), KEYS, scope) is error


def test_without_keys_everybody_has_every_right() -> None:
    assert admit(request(), "open", OPEN).rights == ("inference", "admin")


def test_a_keyless_caller_has_no_rights_where_there_are_keys() -> None:
    assert admit(request(), "open", KEYS).rights == ()


def test_a_key_brings_its_rights_to_an_open_route() -> None:
    assert admit(request(x_api_key="models-key"), "open", KEYS).rights == ("inference",)


def test_a_refusal_never_shows_a_key() -> None:
    with pytest.raises(Unauthorized) as caught:
        admit(request(x_api_key="almost-right"), "inference", KEYS)
    assert "almost-right" not in str(caught.value)


# ---- preflight


def test_a_preflight_of_an_allowed_origin_is_answered() -> None:
    asked = request("OPTIONS", origin="https://ui.example", access_control_request_headers="x-api-key, x-more")
    assert dict(preflight(asked, OPEN)) == {
        "access-control-allow-origin": "https://ui.example",
        "vary": "origin",
        "access-control-allow-methods": "GET, POST, PUT, DELETE, OPTIONS",
        "access-control-allow-headers": "x-api-key, x-more",
        "access-control-max-age": "600",
    }


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "*", "http://localhost:4141"])
def test_a_preflight_of_any_other_origin_is_refused(origin: str) -> None:
    with pytest.raises(Forbidden):
        preflight(request("OPTIONS", origin=origin), OPEN)


def test_a_preflight_without_an_origin_is_refused() -> None:
    with pytest.raises(Forbidden):
        preflight(request("OPTIONS"), OPEN)


def test_cursors_preflight_is_answered_on_the_model_apis() -> None:
    assert preflight(request("OPTIONS", origin=CURSOR_ORIGIN), OPEN, "inference")


def test_cursors_preflight_is_refused_elsewhere() -> None:
    with pytest.raises(Forbidden):
        preflight(request("OPTIONS", origin=CURSOR_ORIGIN), OPEN, "admin")


def test_the_headers_of_a_preflight_are_bounded_and_can_be_sent() -> None:
    asked = request("OPTIONS", origin="https://ui.example", access_control_request_headers="x" * 499 + " " + "y" * 99)
    assert dict(preflight(asked, OPEN))["access-control-allow-headers"] == "x" * 499


def test_no_origin_gets_no_cors_headers() -> None:
    assert cors_headers(request(), OPEN) == []


def test_another_origin_gets_no_cors_headers() -> None:
    assert cors_headers(request(origin="https://evil.example"), OPEN) == []
