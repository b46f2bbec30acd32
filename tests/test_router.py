"""Finding the handler of a path."""

from __future__ import annotations

import pytest

from copilot_trio.errors import MethodNotAllowed, NotFound
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router


async def one(exchange: Exchange) -> None:
    raise AssertionError


async def two(exchange: Exchange) -> None:
    raise AssertionError


def router() -> Router:
    made = Router()
    made.add("GET", "/", one, scope="open")
    made.add_model_route("POST", "/messages", one)
    made.add_model_route("GET", "/models", one)
    made.add_model_route("GET", "/models/{id}", two)
    made.add("GET", "/api/accounts", one, scope="admin")
    made.add("POST", "/api/accounts", two, scope="admin")
    made.add("GET", "/api/{rest...}", one, scope="admin")
    made.add("GET", "/api/accounts/{rest...}", two, scope="admin")
    made.add("PUT", "/admin/accounts/{id}/status", one, scope="admin")
    made.add("DELETE", "/admin/accounts/{id}", two, scope="admin")
    return made


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("/", "/"),
        ("/messages", "/messages"),
        ("/v1/messages", "/v1/messages"),
        ("/copilot/v1/messages", "/copilot/v1/messages"),
        ("/v1/messages/", "/v1/messages"),
        ("/v1/models", "/v1/models"),
        ("/v1/models/", "/v1/models"),
        ("/v1/models/gpt-5", "/v1/models/{id}"),
        ("/v1/models/vendor/gpt-5", "/v1/models/{id}"),
        ("/models/gpt-5", "/models/{id}"),
        ("/api/accounts", "/api/accounts"),
        ("/api/accounts/1/status", "/api/accounts/{rest...}"),
        ("/api/other", "/api/{rest...}"),
        ("/admin/accounts/1/status", "/admin/accounts/{id}/status"),
        ("/admin/accounts/1", "/admin/accounts/{id}"),
        ("/admin/accounts/1/2/status", "/admin/accounts/{id}"),
        ("/admin/accounts//status", "/admin/accounts/{id}"),
        ("/admin/accounts/status", "/admin/accounts/{id}"),
    ],
)
def test_a_path_leads_to_its_route(path: str, pattern: str) -> None:
    assert router().find(path).pattern == pattern


@pytest.mark.parametrize("path", ["", "*", "//", "/v2/messages", "/v1/message", "/v1", "/V1/messages", "/v1//messages"])
def test_an_unknown_path_is_not_found(path: str) -> None:
    with pytest.raises(NotFound):
        router().find(path)


def test_a_long_unknown_path_is_not_repeated_whole() -> None:
    with pytest.raises(NotFound) as caught:
        router().find("/" + "x" * 5000)
    assert len(str(caught.value)) < 400


def test_a_route_has_one_handler_a_method() -> None:
    route = router().find("/api/accounts")
    assert (Router.handler(route, "GET"), Router.handler(route, "POST")) == (one, two)


def test_head_is_answered_by_what_answers_get() -> None:
    assert Router.handler(router().find("/v1/models"), "HEAD") is one


def test_head_is_not_for_a_route_without_get() -> None:
    with pytest.raises(MethodNotAllowed):
        Router.handler(router().find("/v1/messages"), "HEAD")


def test_another_method_is_refused_with_those_there_are() -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        Router.handler(router().find("/api/accounts"), "DELETE")
    assert caught.value.allow == "GET, POST"


def test_model_routes_need_the_right_to_inference() -> None:
    assert {route.scope for route in router().routes() if "/m" in route.pattern} == {"inference"}


def test_all_routes_can_be_listed() -> None:
    assert len(router().routes()) == 15
