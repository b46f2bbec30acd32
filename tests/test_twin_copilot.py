"""The twin as the Copilot API: who may call, models, policies, quota, embeddings, what is not there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from twin_client import (
    DEV,
    EDITOR,
    HANDSHAKE,
    Clock,
    chat,
    chunks,
    copilot,
    decoded,
    function,
    github,
    message,
    new_state,
)

from copilot_trio.twin import free_account
from copilot_trio.twin.catalogue import MODELS, Usage, cost
from copilot_trio.twin.state import State

CLASSIC = "checking third-party user token: bad request: Personal Access Tokens are not supported for this endpoint\n"
NEW = {"x-github-api-version": "2026-06-01"}
HOSTED = HANDSHAKE | {"host": "twin"}


def copilot_token(state: State) -> str:
    token: str = decoded(github(state, "/copilot_internal/v2/token"))["token"]
    return token


@pytest.mark.parametrize(("authorization", "status", "body"), [
    ("", 400, "bad request: missing Authorization header"),
    (f"token {DEV}", 400, "bad request: Authorization header is badly formatted"),
    ("Bearer", 400, "bad request: Authorization header is badly formatted"),
    ("Bearer ghp_SYNTHETIC", 400, CLASSIC),
    ("Bearer github_pat_SYNTHETIC", 401,
     "unauthorized: Personal Access Token does not have Copilot Requests permission\n"),
    ("Bearer tid=unknown", 401, "unauthorized: unauthorized: AuthenticateToken authentication failed"),
])  # fmt: skip
def test_bad_authorization(authorization: str, status: int, body: str) -> None:
    reply = copilot(new_state(), "/models", token="", headers={"authorization": authorization}).reply
    assert (reply.status, reply.body.decode()) == (status, body)
    assert reply.content_type == "text/plain; charset=utf-8"
    headers = dict(reply.headers)
    assert headers["x-content-type-options"] == "nosniff"
    assert "x-quota-snapshot-chat" not in headers


@pytest.mark.parametrize(("editor", "status"), [
    (None, 400), ("nonsense", 400), ("vscode/1.113.0", 200), ("JetBrains-IC/251.1", 200),
])  # fmt: skip
def test_an_exchanged_token_needs_an_editor(editor: str | None, status: int) -> None:
    state = new_state()
    headers = {} if editor is None else {"editor-version": editor}
    reply = copilot(state, "/models", token=copilot_token(state), headers=headers).reply
    assert reply.status == status
    if status == 400:
        assert b"Editor-Version header for IDE auth" in reply.body


def test_a_raw_github_token_does_not() -> None:
    assert copilot(new_state(), "/models").reply.status == 200


def test_tokens_can_be_expired_by_hand_and_accounts_revoked_or_blocked() -> None:
    state = new_state()
    token = copilot_token(state)
    state.tokens.expire("octo-dev")
    assert copilot(state, "/models", token=token, headers=EDITOR).reply.status == 401
    fresh = copilot_token(state)
    state.accounts["octo-dev"].revoked = True
    assert copilot(state, "/models", token=fresh, headers=EDITOR).reply.body.startswith(b"unauthorized: unauthorized")
    state.accounts["octo-dev"].revoked = False
    state.accounts["octo-dev"].blocked = "access_revoked"
    assert copilot(state, "/models", token=fresh, headers=EDITOR).reply.status == 403


def models(state: State, token: str = DEV, headers: dict[str, str] | None = None) -> dict[str, Any]:
    reply = copilot(state, "/models", token=token, headers=headers or {}).reply
    assert dict(reply.headers)["cache-control"] == "private, max-age=21600"
    assert "x-request-id" not in dict(reply.headers)
    return {entry["id"]: entry for entry in decoded(reply)["data"]}


def test_models_in_the_older_billing_shape() -> None:
    listed = models(new_state())
    assert listed["claude-haiku-4.5"]["billing"]["multiplier"] == 0.33
    assert listed["claude-haiku-4.5"]["billing"]["is_premium"] is True
    assert listed["gpt-4.1"]["billing"] == {"is_premium": False, "multiplier": 0}
    assert "supported_endpoints" not in listed["gpt-4.1"]
    assert "supported_endpoints" not in listed["gemini-2.5-pro"]
    assert listed["gpt-5.3-codex"]["supported_endpoints"] == ["/responses", "ws:/responses"]
    assert listed["gpt-4.1"]["version"] == "gpt-4.1-2025-04-14"
    assert listed["claude-opus-4.6"]["capabilities"]["supports"]["adaptive_thinking"] is True
    assert listed["text-embedding-3-small"]["capabilities"]["type"] == "embeddings"


def test_models_in_the_newer_billing_shape() -> None:
    listed = models(new_state(), headers=NEW)
    assert "multiplier" not in listed["claude-opus-4.6"]["billing"]
    assert listed["claude-opus-4.6"]["billing"]["token_prices"]["default"]["output_price"] == 2500
    assert listed["gpt-4.1"]["billing"]["token_prices"]["batch_size"] == 0
    assert listed["gpt-5-mini"]["billing"]["token_prices"]["default"]["cache_price"] == 2  # 2.5, cut off


def test_models_are_sorted_by_key_and_one_id_comes_twice() -> None:
    reply = copilot(new_state(), "/models").reply
    body = decoded(reply)
    assert reply.body == msgspec.json.encode(body, order="sorted")
    ids = [entry["id"] for entry in body["data"]]
    assert len(ids) == len(set(ids)) + 1


def test_plans_and_accounts_decide_which_models_there_are() -> None:
    state = new_state(accounts=[free_account()])
    listed = models(state, free_account().token)
    assert "claude-sonnet-4.5" not in listed
    assert "gpt-4.1" in listed
    state.accounts["octo-free"].models = ["gpt-5-mini"]
    assert list(models(state, free_account().token)) == ["gpt-5-mini"]
    reply = copilot(state, "/chat/completions", chat("hi"), token=free_account().token).reply
    assert decoded(reply)["error"]["code"] == "model_not_supported"


def test_every_sample_account_has_every_model() -> None:
    state = new_state()
    for account in state.accounts:
        assert set(models(state, account.token)) == set(MODELS)


def test_a_policy_must_be_accepted_first() -> None:
    state = new_state()
    body = chat("hi", "grok-code-fast-1")
    assert decoded(copilot(state, "/chat/completions", body).reply)["error"]["code"] == "model_not_supported"
    assert models(state)["grok-code-fast-1"]["policy"]["state"] == "unconfigured"
    assert copilot(state, "/models/grok-code-fast-1/policy", {"state": "enabled"}).reply.status == 200
    assert models(state)["grok-code-fast-1"]["policy"]["state"] == "enabled"
    assert copilot(state, "/chat/completions", body).reply.status == 200


def test_a_disabled_policy_is_not_ours_to_accept() -> None:
    state = new_state()
    assert copilot(state, "/models/gemini-3-pro-preview/policy", {"state": "enabled"}).reply.status == 403
    assert copilot(state, "/models/gpt-4.1/policy", {"state": "x"}).reply.status == 400
    assert copilot(state, "/models/none/policy", {"state": "enabled"}).reply.status == 404


@pytest.mark.parametrize(("method", "path", "status", "body"), [
    ("GET", "/nowhere", 404, b"404 page not found\n"),
    ("GET", "/chat/completions", 405, b"Method Not Allowed\n"),
    ("POST", "/models", 405, b"Method Not Allowed\n"),
    ("POST", "/responses/compact", 404, b"404 page not found\n"),
    ("GET", "/_ping", 200, b"OK\n"),
])  # fmt: skip
def test_what_is_not_there(method: str, path: str, status: int, body: bytes) -> None:
    reply = copilot(new_state(), path, method=method, token="").reply
    assert (reply.status, reply.body) == (status, body)
    assert ("allow" in dict(reply.headers)) == (status == 405)


def test_only_a_whole_handshake_opens_a_websocket() -> None:
    def status(without: str = "", *, token: str = DEV, **changes: str) -> int:
        sent = {name: value for name, value in (HOSTED | changes).items() if name != without}
        return copilot(new_state(), "/responses", token=token, headers=sent).reply.status

    assert status() == 101
    assert status(connection="keep-alive, Upgrade", upgrade="WebSocket") == 101
    for name in ("connection", "sec-websocket-key", "sec-websocket-version", "host"):
        assert status(name) == 400
    assert status(connection="close") == 400
    assert status("upgrade") == status(upgrade="h2c") == 405
    assert status(token="tid=unknown") == 401
    assert status(token="") == 400
    blocked = new_state()
    blocked.accounts["octo-dev"].blocked = "spammy_user"
    assert copilot(blocked, "/responses", headers=HOSTED).reply.status == 403


def test_the_reply_to_a_handshake_names_the_request() -> None:
    headers = dict(copilot(new_state(), "/responses", headers=HOSTED | {"x-request-id": "r1"}).reply.headers)
    assert headers["x-request-id"] == "r1"
    assert headers["x-github-request-id"]


def test_success_headers() -> None:
    reply = copilot(new_state(), "/chat/completions", chat("hi"), headers={"x-request-id": "mine"}).reply
    headers = dict(reply.headers)
    assert headers["x-request-id"] == "mine"
    assert headers["x-quota-snapshot-chat"] == (
        "ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst=2026-10-01T00%3A00%3A00Z&totRem=-1"
    )
    assert headers["x-quota-snapshot-premium_interactions"] == (
        "ent=1500&ov=0.0&ovPerm=false&rem=70.3&rst=2026-10-01T00%3A00%3A00Z&totRem=1054.2"
    )
    assert {"x-github-request-id", "x-copilot-service-request-id", "content-security-policy"} <= headers.keys()


@pytest.mark.parametrize(("model", "initiator", "charged"), [
    ("gpt-4.1", "user", 0.0),
    ("claude-sonnet-4.5", "user", 1.0),
    ("claude-sonnet-4.5", "", 1.0),
    ("claude-sonnet-4.5", "agent", 0.0),
    ("claude-opus-4.6", "user", 3.0),
    ("claude-haiku-4.5", "user", 0.33),
])  # fmt: skip
def test_premium_requests_count_down(model: str, initiator: str, charged: float) -> None:
    state = new_state()
    headers = {"x-initiator": initiator} if initiator else {}
    before = state.accounts["octo-dev"].remaining
    assert copilot(state, "/chat/completions", chat("hi", model), headers=headers).reply.status == 200
    assert before - state.accounts["octo-dev"].remaining == pytest.approx(charged)


def test_quota_headers_lag_by_the_request_at_hand() -> None:
    state = new_state()
    seen = []
    for _ in range(2):
        headers = dict(copilot(state, "/v1/messages", message("hi", "claude-opus-4.6")).reply.headers)
        seen.append(headers["x-quota-snapshot-premium_interactions"].rpartition("=")[2])
    assert seen == ["1054.2", "1051.2"]


def test_a_token_billed_account_pays_the_exact_cost() -> None:
    state = new_state()
    work = state.accounts["octo-work"]
    before = work.remaining
    reply = copilot(state, "/v1/messages", message("hi"), token=work.token, headers={"x-initiator": "agent"}).reply
    spent = decoded(reply)["copilot_usage"]["total_nano_aiu"] / 1e9
    assert spent > 0
    assert before - work.remaining == pytest.approx(spent, abs=1e-6)


def test_when_the_quota_is_gone_only_free_models_go_on() -> None:
    state = new_state()
    state.accounts["octo-dev"].remaining = 0
    reply = copilot(state, "/chat/completions", chat("hi", "claude-sonnet-4.5")).reply
    assert (reply.status, decoded(reply)["error"]["code"]) == (402, "quota_exceeded")
    assert copilot(state, "/chat/completions", chat("hi")).reply.status == 200
    state.accounts["octo-dev"].overage_permitted = True
    assert copilot(state, "/chat/completions", chat("hi", "claude-opus-4.6")).reply.status == 200
    assert state.accounts["octo-dev"].overage_count == 3
    assert state.accounts["octo-dev"].percent_remaining < 0


def test_embeddings_are_no_chats() -> None:
    account = free_account()
    account.chat_remaining = 0
    state = new_state(accounts=[account])
    body = {"model": "text-embedding-3-small", "input": ["x"]}
    assert copilot(state, "/embeddings", body, token=account.token).reply.status == 200


def test_the_free_plan_runs_out_of_chats() -> None:
    state = new_state(accounts=[free_account()])
    token = free_account().token
    state.accounts["octo-free"].chat_remaining = 1
    assert copilot(state, "/chat/completions", chat("hi"), token=token).reply.status == 200
    reply = copilot(state, "/chat/completions", chat("hi"), token=token).reply
    assert (reply.status, decoded(reply)["error"]["code"]) == (402, "free_quota_exceeded")


def test_the_cost_is_exact() -> None:
    usage = Usage(fresh=3, cache_read=18_725, cache_write=409, output=256)
    billed = cost(MODELS["claude-sonnet-4.5"], usage)
    kinds = [entry["token_type"] for entry in billed["token_details"]]
    assert kinds == ["input", "cache_read", "cache_write", "output"]
    total = sum(entry["token_count"] * entry["cost_per_batch"] // 1_000_000 for entry in billed["token_details"])
    assert billed["total_nano_aiu"] == total == 1_100_025_000


def test_wrong_endpoint_and_unknown_model() -> None:
    state = new_state()
    reply = copilot(state, "/chat/completions", chat("hi", "gpt-5.3-codex")).reply
    assert reply.body == (
        b'{"error":{"message":"model \\"gpt-5.3-codex\\" is not accessible via the /chat/completions endpoint",'
        b'"code":"unsupported_api_for_model"}}\n'
    )
    assert decoded(copilot(state, "/v1/messages", message("hi", "gpt-4.1")).reply)["error"]["code"] == (
        "unsupported_api_for_model"
    )
    unknown = copilot(state, "/chat/completions", chat("hi", "gpt-99")).reply
    assert decoded(unknown)["error"] == {
        "message": "The requested model is not supported.",
        "code": "model_not_supported",
        "param": "model",
        "type": "invalid_request_error",
    }


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"text"', b"\xff"])
def test_a_body_that_is_no_object(body: bytes) -> None:
    reply = copilot(new_state(), "/chat/completions", body).reply
    assert decoded(reply)["error"] == {"message": "invalid request body", "code": "invalid_request_body"}


def test_chat_validation() -> None:
    state = new_state()
    called = {"role": "assistant", "tool_calls": [{"id": "call_1", "function": {"name": "f", "arguments": "{}"}}]}
    bodies: list[dict[str, Any]] = [
        {"model": "gpt-4.1"},
        {"model": "gpt-4.1", "messages": []},
        {"model": "gpt-4.1", "messages": [{"role": "robot", "content": "x"}]},
        {"model": "gpt-4.1", "messages": ["x"]},
        {"model": "gpt-4.1", "messages": [{"role": "tool", "tool_call_id": "call_1", "content": "x"}]},
        {"model": "gpt-4.1", "messages": [called, {"role": "tool", "tool_call_id": "call_2", "content": "x"}]},
        chat("hi", tools=[function(f"f{number}") for number in range(129)]),
    ]
    for body in bodies:
        reply = copilot(state, "/chat/completions", body).reply
        assert (reply.status, decoded(reply)["error"]["code"]) == (400, "invalid_request_body"), body
    answered = [called, {"role": "tool", "tool_call_id": "call_1", "content": "x"}]
    assert copilot(state, "/chat/completions", {"model": "gpt-4.1", "messages": answered}).reply.status == 200


def test_claude_wants_every_call_answered() -> None:
    calls = [{"id": f"call_{number}", "function": {"name": "f", "arguments": "{}"}} for number in (1, 2)]
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "call_1", "content": "x"},
        {"role": "user", "content": "y"},
    ]
    for history in (messages, messages[:3]):
        reply = copilot(new_state(), "/chat/completions", {"model": "claude-sonnet-4.5", "messages": history}).reply
        assert decoded(reply)["error"]["message"] == (
            "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: call_2"
        )


def test_a_prompt_that_is_too_long() -> None:
    state = new_state()
    error = decoded(copilot(state, "/chat/completions", chat("word " * 110_000)).reply)["error"]
    assert error["code"] == "model_max_prompt_tokens_exceeded"
    assert error["message"].endswith("exceeds the limit of 128000")
    error = decoded(copilot(state, "/v1/messages", message("word " * 140_000)).reply)
    assert error["error"]["message"].startswith("prompt is too long: ")
    assert error["type"] == "error"


def test_an_image_does_not_count_by_its_bytes() -> None:
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 2_000_000}},
    ]
    body = {"model": "gpt-4.1", "messages": [{"role": "user", "content": parts}]}
    usage = decoded(copilot(new_state(), "/chat/completions", body).reply)["usage"]
    assert 1000 < usage["prompt_tokens"] < 1200


def test_embeddings() -> None:
    state = new_state()
    body = {"model": "text-embedding-3-small", "input": ["a", "b", "a"], "dimensions": 64}
    answer = decoded(copilot(state, "/embeddings", body).reply)
    vectors = [entry["embedding"] for entry in answer["data"]]
    assert [entry["index"] for entry in answer["data"]] == [0, 1, 2]
    assert all(len(vector) == 64 for vector in vectors)
    assert vectors[0] == vectors[2] != vectors[1]
    assert sum(value * value for value in vectors[0]) == pytest.approx(1, abs=1e-4)
    whole = decoded(copilot(state, "/embeddings", {"model": "text-embedding-3-small", "input": [""]}).reply)
    assert len(whole["data"][0]["embedding"]) == 1536


@pytest.mark.parametrize("given", ["bare", [], [1, 2], None, {"text": "x"}])
def test_embeddings_take_a_list_of_strings_only(given: object) -> None:
    reply = copilot(new_state(), "/embeddings", {"model": "text-embedding-3-small", "input": given}).reply
    assert (reply.status, reply.body) == (400, b"Bad Request\n")


def test_embeddings_are_for_embedding_models() -> None:
    state = new_state()
    too_many = {"model": "text-embedding-3-small", "input": ["x"] * 513}
    assert copilot(state, "/embeddings", too_many).reply.status == 400
    wrong = decoded(copilot(state, "/embeddings", {"model": "gpt-4.1", "input": ["x"]}).reply)
    assert wrong["error"]["code"] == "unsupported_api_for_model"
    wrong = decoded(copilot(state, "/chat/completions", chat("x", "text-embedding-3-small")).reply)
    assert wrong["error"]["code"] == "unsupported_api_for_model"


def test_the_same_seed_gives_the_same_bytes() -> None:
    one, two, other = (
        chunks(copilot(new_state(seed=seed), "/chat/completions", chat("hi", stream=True)).reply) for seed in (1, 1, 2)
    )
    assert one == two != other


def test_tokens_and_grants_are_bounded() -> None:
    state = new_state(Clock())
    first = copilot_token(state)
    for _ in range(10_000):
        state.tokens.issue(state.accounts["octo-dev"], 0.0)
    assert state.tokens.find(first) is None
    for number in range(4000):
        state.accounts.grant(f"ghu_{number}", "octo-dev")
    assert state.accounts.by_token("ghu_0") is None
