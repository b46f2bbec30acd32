"""What every request goes through: an id, two log lines, the gate, its route; and errors in its dialect."""

from __future__ import annotations

import gzip
import logging
import re
from collections.abc import Callable

import msgspec
import pytest
import trio
import trio.testing
from memory_network import Client, Response, Stream, connect, get, post, read_response
from raw_client import closes, connect_lockstep, echo, until_eof
from world import World

from copilot_trio.config import ApiKey
from copilot_trio.errors import (
    MethodNotAllowed,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    RequestTimeout,
    TooLarge,
    UpgradeRequired,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRefused,
)
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.dispatch import Dispatcher, error_headers, refuse
from copilot_trio.server.exchange import Exchange, Handler
from copilot_trio.server.router import Router
from copilot_trio.turn import Usage

ORIGIN = ("origin", "https://ui.example")
ACCESS = Access(allowed_origins=("https://ui.example",))
LOCKED = Access(keys=(ApiKey("k", hash_key("secret-key")),), allowed_origins=("https://ui.example",))


def serve(nursery: trio.Nursery, handler: Handler = echo, access: Access = ACCESS) -> Stream:
    return connect(nursery, dispatcher(handler, access).handle, refuse=refuse)


def dispatcher(handler: Handler, access: Access = ACCESS) -> Dispatcher:
    router = Router()
    router.add_model_route("POST", "/messages", handler)
    router.add_model_route("POST", "/chat/completions", handler)
    router.add("GET", "/", handler, scope="open")
    router.add("GET", "/api/accounts", handler, scope="admin")
    return Dispatcher(router, access, 1000)


async def asked(
    stream: Stream, path: str, *headers: tuple[str, str], method: str = "GET", body: bytes | None = None
) -> Response:
    if body is not None:
        await post(stream, path, body, *headers)
    else:
        await get(stream, path, *headers, method=method)
    return await read_response(stream, method)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """The access log so far, clock times replaced."""
    caplog.set_level(logging.INFO, "copilot_trio.access")

    def read() -> list[str]:
        records = [record for record in caplog.records if record.name == "copilot_trio.access"]
        return [re.sub(r"\b\d\d:\d\d:\d\d\b", "TIME", record.getMessage()) for record in records]

    return read


def raising(error: Exception) -> Handler:
    async def handler(exchange: Exchange) -> None:
        raise error

    return handler


# ---- request ids


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/nowhere", "GET"), ("/v1/messages", "GET"), ("/", "OPTIONS"), ("/", "HEAD")]
)
async def test_every_reply_has_an_id(nursery: trio.Nursery, path: str, method: str) -> None:
    response = await asked(serve(nursery), path, method=method)
    assert re.fullmatch(r"[0-9a-f-]{36}", response.headers["x-request-id"])


async def test_a_failure_has_an_id(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery, raising(ZeroDivisionError())), "/")
    assert (response.status, len(response.headers["x-request-id"])) == (500, 36)


async def test_every_request_has_its_own_id(nursery: trio.Nursery) -> None:
    client = Client(serve(nursery))
    await get(client.stream, "/")
    await get(client.stream, "/")
    assert len({(await client.response()).headers["x-request-id"] for _ in range(2)}) == 2


# ---- routes and errors


async def test_the_handler_gets_the_request(nursery: trio.Nursery) -> None:
    assert (await asked(serve(nursery), "/v1/messages", body=b"{}")).body == b"{}"


async def test_an_unknown_path_is_a_404(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/nowhere")
    assert (response.status, msgspec.json.decode(response.body)["error"]["code"]) == (404, "not_found")


async def test_an_anthropic_client_gets_anthropics_404(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/nowhere", ("anthropic-version", "2023-06-01"))
    assert msgspec.json.decode(response.body)["error"]["type"] == "not_found_error"


async def test_errors_of_the_admin_api_are_plain(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/api/nowhere")
    assert list(msgspec.json.decode(response.body)) == ["error"]


async def test_a_wrong_method_is_a_405_that_names_the_right_ones(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/v1/messages")
    assert (response.status, response.headers["allow"]) == (405, "POST")


async def test_head_gets_what_get_gets_without_the_body(nursery: trio.Nursery) -> None:
    async def five(exchange: Exchange) -> None:
        await exchange.respond(200, b"12345")

    response = await asked(serve(nursery, five), "/", method="HEAD")
    assert (response.status, response.headers["content-length"], response.body) == (200, "5", b"")


@pytest.mark.parametrize(
    ("path", "kind"), [("/v1/messages", "authentication_error"), ("/v1/chat/completions", "invalid_request_error")]
)
async def test_a_missing_key_is_a_401_in_the_dialect_of_the_route(nursery: trio.Nursery, path: str, kind: str) -> None:
    response = await asked(serve(nursery, access=LOCKED), path, body=b"{}")
    assert (response.status, msgspec.json.decode(response.body)["error"]["type"]) == (401, kind)


async def test_the_open_route_needs_no_key(nursery: trio.Nursery) -> None:
    assert (await asked(serve(nursery, access=LOCKED), "/")).status == 200


async def test_the_handler_learns_the_callers_rights(nursery: trio.Nursery) -> None:
    async def show(exchange: Exchange) -> None:
        await exchange.respond(200, " ".join(exchange.rights).encode())

    response = await asked(serve(nursery, show, LOCKED), "/", ("x-api-key", "secret-key"))
    assert response.body == b"inference admin"


async def test_a_handlers_error_is_answered_with_its_hints(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery, raising(RateLimited("slow down", retry_after=90))), "/")
    assert (response.status, response.headers["retry-after"], response.headers["x-should-retry"]) == (
        429,
        "90",
        "false",
    )


# ---- other origins


async def test_an_allowed_origins_preflight_is_answered(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery, access=LOCKED), "/v1/messages", ORIGIN, method="OPTIONS")
    assert (response.status, response.headers["access-control-allow-origin"]) == (204, "https://ui.example")


async def test_another_origins_preflight_is_refused(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/v1/messages", ("origin", "https://evil.example"), method="OPTIONS")
    assert (response.status, "access-control-allow-origin" in response.headers) == (403, False)


async def test_cursors_preflight_is_refused_on_the_admin_api(nursery: trio.Nursery) -> None:
    stream = serve(nursery)
    response = await asked(stream, "/api/accounts", ("origin", "vscode-file://vscode-app"), method="OPTIONS")
    assert response.status == 403


@pytest.mark.parametrize(("key", "status"), [("secret-key", 200), ("wrong", 401)])
async def test_an_allowed_origin_may_read_answers_and_refusals(nursery: trio.Nursery, key: str, status: int) -> None:
    stream = serve(nursery, access=LOCKED)
    response = await asked(stream, "/v1/messages", ORIGIN, ("x-api-key", key), body=b"{}")
    assert (response.status, response.headers["access-control-allow-origin"]) == (status, "https://ui.example")


# ---- compressed bodies


async def test_a_compressed_body_reaches_the_handler_plain(nursery: trio.Nursery) -> None:
    response = await asked(serve(nursery), "/v1/messages", ("content-encoding", "gzip"), body=gzip.compress(b"{}"))
    assert response.body == b"{}"


async def test_a_compressed_body_is_not_decoded_for_who_may_not_come_in(nursery: trio.Nursery) -> None:
    stream = serve(nursery, access=LOCKED)
    response = await asked(stream, "/v1/messages", ("content-encoding", "gzip"), body=b"damaged")
    assert response.status == 401


async def test_an_encoding_of_no_body_is_passed_over(nursery: trio.Nursery) -> None:
    assert (await asked(serve(nursery), "/", ("content-encoding", "gzip"))).status == 200


async def test_a_body_over_the_limit_when_decoded_is_a_413(nursery: trio.Nursery) -> None:
    body = gzip.compress(b"x" * 1001)
    assert (await asked(serve(nursery), "/v1/messages", ("content-encoding", "gzip"), body=body)).status == 413


# ---- log lines


async def test_two_lines_are_logged_a_request(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    await asked(serve(nursery), "/")
    assert lines() == ["TIME <-- GET /", "TIME --> GET / 200 0ms"]


async def test_the_lines_say_what_is_known(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.note.model, exchange.note.thinking = "claude-opus-4-6", True
        await trio.sleep(20.1)
        exchange.note.usage = Usage(300, 340, 900, nano_aiu=800_000_000)
        exchange.note.account = "work"
        await echo(exchange)

    await asked(serve(nursery, handler), "/v1/messages?beta=true", body=b"{}")
    assert lines() == [
        "[claude-opus-4-6 thinking] TIME <-- POST /v1/messages?beta=true",
        (
            "[claude-opus-4-6 thinking] TIME --> POST /v1/messages?beta=true 200 20.1s"
            " in:1200 out:340 cached:900 acct:work cost:0.8cr"
        ),
    ]


async def test_a_time_below_a_second_is_in_milliseconds(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    async def handler(exchange: Exchange) -> None:
        await trio.sleep(0.34)
        await echo(exchange)

    await asked(serve(nursery, handler), "/")
    assert lines()[1] == "TIME --> GET / 200 340ms"


@pytest.mark.parametrize("query", ["key=secret", "beta=true&key=secret", "beta=false"])
async def test_a_query_is_not_logged(nursery: trio.Nursery, query: str, lines: Callable[[], list[str]]) -> None:
    await asked(serve(nursery), f"/?{query}")
    assert lines() == ["TIME <-- GET /?…", "TIME --> GET /?… 200 0ms"]


async def test_a_refusal_is_logged_with_its_code(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    await asked(serve(nursery), "/nowhere")
    assert lines()[1] == "TIME --> GET /nowhere 404 0ms not_found"


async def test_a_bug_is_logged_as_a_500(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    await asked(serve(nursery, raising(ZeroDivisionError())), "/")
    assert lines()[1] == "TIME --> GET / 500 0ms internal"


async def test_a_handler_without_an_answer_is_logged_as_a_500(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    async def nothing(exchange: Exchange) -> None:
        pass

    await asked(serve(nursery, nothing), "/")
    assert lines()[1].startswith("TIME --> GET / 500 ")


async def test_a_bug_in_a_running_answer_is_logged_with_the_status_that_went_out(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.start(200, [])
        await exchange.send(b"x")
        raise ZeroDivisionError

    stream = serve(nursery, handler)
    await get(stream, "/")
    await until_eof(stream)
    assert lines()[1] == "TIME --> GET / 200 0ms internal"


async def test_an_error_in_a_running_answer_is_logged_with_its_code(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    async def handler(exchange: Exchange) -> None:
        await begin(exchange)
        raise UpstreamError("gone")

    stream = serve(nursery, handler)
    await get(stream, "/")
    await until_eof(stream)
    assert lines()[1] == "TIME --> GET / 200 0ms upstream_error"


async def begin(exchange: Exchange) -> None:
    await exchange.start(200, [])
    await exchange.send(b"x")


async def nothing_yet(exchange: Exchange) -> None:
    pass


@pytest.mark.parametrize("before", [nothing_yet, begin])
async def test_a_client_that_left_is_logged_as_499(
    nursery: trio.Nursery, before: Handler, lines: Callable[[], list[str]]
) -> None:
    async def handler(exchange: Exchange) -> None:
        await before(exchange)
        await trio.sleep_forever()

    stream = serve(nursery, handler)
    await get(stream, "/")
    await trio.sleep(2)
    await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert lines()[1] == "TIME --> GET / 499 2.0s"


async def test_a_client_that_stopped_reading_is_logged_as_499(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    stream = connect_lockstep(nursery, dispatcher(begin).handle)
    await get(stream, "/")
    await trio.sleep(70)
    assert lines()[1] == "TIME --> GET / 499 60.0s"


async def test_a_client_that_left_with_its_whole_answer_is_logged_with_its_status(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    async def lingering(exchange: Exchange) -> None:
        await echo(exchange)
        await trio.sleep(1)

    stream = serve(nursery, lingering)
    await asked(stream, "/")
    await stream.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert lines()[1] == "TIME --> GET / 200 0ms"


async def test_what_never_became_a_request_is_logged_too(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    stream = serve(nursery)
    await stream.send_all(b"hello\r\n\r\n")
    await until_eof(stream)
    assert lines() == ["TIME <-- ? ?", "TIME --> ? ? 400 0ms invalid_request"]


async def test_the_first_line_can_be_logged_early_and_comes_once(
    nursery: trio.Nursery, lines: Callable[[], list[str]]
) -> None:
    async def handler(exchange: Exchange) -> None:
        exchange.note.model = "a\nforged line\x1b[31m"
        await echo(exchange)

    await asked(serve(nursery, handler), "/")
    assert lines() == ["[a?forged line?[31m] TIME <-- GET /", "[a?forged line?[31m] TIME --> GET / 200 0ms"]


async def test_a_long_path_is_logged_in_part(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    await asked(serve(nursery), "/" + "x" * 500)
    assert lines()[0] == "TIME <-- GET /" + "x" * 199


async def test_an_aborted_answer_ends_the_connection(nursery: trio.Nursery, lines: Callable[[], list[str]]) -> None:
    async def handler(exchange: Exchange) -> None:
        await exchange.abort()

    stream = serve(nursery, handler)
    await get(stream, "/")
    assert await closes(stream)
    await trio.testing.wait_all_tasks_blocked()
    assert lines()[1] == "TIME --> GET / 499 0ms"


# ---- retry hints (product.md §5.8)


@pytest.mark.parametrize(
    ("error", "seen_before", "headers"),
    [
        (UpstreamRefused("no", status=400), False, {"x-should-retry": "false"}),
        (TooLarge("no"), False, {"x-should-retry": "false"}),
        (UpstreamRefused("no", status=402), False, {"x-should-retry": "false"}),
        (RequestTimeout("no"), False, {}),
        (UpstreamRefused("no", status=409), False, {}),
        (RateLimited("no"), False, {}),
        (RateLimited("no", retry_after=0), False, {"retry-after": "1"}),
        (RateLimited("no", retry_after=1.2), False, {"retry-after": "2"}),
        (RateLimited("no", retry_after=60), False, {"retry-after": "60"}),
        (RateLimited("no", retry_after=61), False, {"retry-after": "61", "x-should-retry": "false"}),
        (QuotaExhausted("no", retry_after=86400), False, {"retry-after": "86400", "x-should-retry": "false"}),
        (NoAccount("no", retry_after=5), False, {"retry-after": "5"}),
        (UpstreamOverloaded("no", status=503, retry_after=7), False, {"retry-after": "7"}),
        (UpstreamError("no"), False, {}),
        (UpstreamError("no"), True, {"x-should-retry": "false"}),
        (ProxyError("no"), False, {}),
        (MethodNotAllowed("no", allow="GET"), False, {"x-should-retry": "false", "allow": "GET"}),
        (UpgradeRequired("no"), False, {"x-should-retry": "false", "connection": "close"}),
    ],
)
def test_an_error_says_whether_to_try_again(error: ProxyError, headers: dict[str, str], *, seen_before: bool) -> None:
    assert dict(error_headers(error, seen_before=seen_before)) == headers


@pytest.mark.parametrize("framing", ["content-length: 50000000", "transfer-encoding: chunked"])
@pytest.mark.parametrize(
    ("path", "status"), [("/v1/chat/completions", 401), ("/v1/nonsense", 404), ("/v1/models", 401)], ids=str
)
async def test_a_large_body_is_read_only_for_who_may_send_it(
    nursery: trio.Nursery, framing: str, path: str, status: int
) -> None:
    world = World(nursery, access=Access(keys=(ApiKey("k", hash_key("right")),)))
    client = await world.client()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n{framing}\r\n\r\n"
    await client.stream.send_all(head.encode())
    answer = await client.response()
    assert (answer.status, answer.headers["connection"]) == (status, "close")
