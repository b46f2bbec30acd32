"""The paths of the Copilot API (upstream.md §2.1): who may call, which model answers, and what it costs."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

import msgspec

from . import catalogue, chat, embeddings, errors, messages, responses
from .accounts import Account
from .catalogue import CHAT, MESSAGES, NANO, RESPONSES, SOCKET, Model
from .chat_rules import check_chat
from .delivery import PLAIN, Delivery
from .github import QuotaSnapshot
from .messages_rules import Context, betas_of, check_messages
from .plan import Plan
from .prompt import Prompt, read_chat, read_embeddings, read_messages, read_responses
from .rendering import Answer, count
from .reply import JSON, Frame, Headers, Reply, encode_sorted, json_reply, members, text_reply
from .responses_rules import check_responses
from .rules import check_embeddings
from .scenario import PING, make_plan
from .state import Call, State

EDITOR_VERSION = re.compile(r"[\w .-]+/[\w.+-]+")
POLICY = re.compile(r"/models/(?P<model>[^/]+)/policy")
MODELS_AGE = 21_600  # seconds that ``/models`` may be cached
READERS: dict[str, Callable[[JSON], Prompt]] = {
    CHAT: read_chat,
    MESSAGES: read_messages,
    RESPONSES: read_responses,
    SOCKET: read_responses,
    "/embeddings": read_embeddings,
}
RENDERERS: dict[str, Callable[[Answer], Reply]] = {
    CHAT: chat.render,
    MESSAGES: messages.render,
    RESPONSES: responses.render,
    SOCKET: responses.render,
}
METHODS = {
    CHAT: "POST", MESSAGES: "POST", RESPONSES: "POST", "/embeddings": "POST", "/models": "GET", "/_ping": "GET",
}  # fmt: skip


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """A reply, and how a scenario in the prompt wants it delivered. ``scripted``: a fault's, which stays as it is."""

    reply: Reply
    delivery: Delivery = PLAIN
    scenario: str = ""
    ping: Frame | None = None
    scripted: bool = False


def serve(state: State, call: Call) -> Served:
    served = _serve(state, call)
    headers = _standard_headers(state, call)
    return msgspec.structs.replace(
        served, reply=msgspec.structs.replace(served.reply, headers=(*served.reply.headers, *headers))
    )


def _serve(state: State, call: Call) -> Served:
    policy = POLICY.fullmatch(call.path)
    method = "POST" if policy else METHODS.get(call.path)
    if method is None:
        return Served(reply=errors.error("page_not_found"))
    if call.path == RESPONSES and call.method == "GET" and call.header("upgrade").lower() == "websocket":
        return Served(reply=refuse(call) or _switch(call))
    if call.method != method:
        return Served(reply=text_reply(405, "Method Not Allowed\n", (("allow", method),)))
    if call.path == "/_ping":
        return Served(reply=text_reply(200, "OK\n"))
    if refusal := refuse(call):
        return Served(reply=refusal)
    account = call.caller.account
    assert account is not None
    if policy:
        return Served(reply=_accept_policy(account, unquote(policy["model"]), call))
    if call.path == "/models":
        return Served(reply=_models(account, call))
    return generate(state, call, account, _body(call), call.path)


def _switch(call: Call) -> Reply:
    """101 for a WebSocket's handshake, if it is one (RFC 6455 §4.2.1)."""
    connection = {token.strip().lower() for token in call.header("connection").split(",")}
    complete = "upgrade" in connection and call.header("sec-websocket-key") and call.header("host")
    if not complete or call.header("sec-websocket-version") != "13":
        return errors.error("bad_request")
    return Reply(status=101)


def refuse(call: Call) -> Reply | None:
    """The checks of a Copilot bearer, in the words of upstream.md §12 rows 1 to 5, 22 to 24 and 29."""
    caller = call.caller
    if caller.kind == "none":
        return errors.error("missing_authorization")
    if caller.scheme.lower() != "bearer" or not caller.secret:
        return errors.error("malformed_authorization")
    if caller.secret.startswith("ghp_"):
        return errors.error("classic_pat")
    account = caller.account
    if account is None:
        fine_grained = caller.secret.startswith("github_pat_")
        return errors.error("pat_permission" if fine_grained else "bad_token")
    if caller.expired:
        return errors.error("token_expired")
    if account.revoked:
        return errors.error("bad_token")
    if caller.kind == "copilot":  # a raw GitHub token comes without an editor (upstream.md §3.3)
        editor = call.header("editor-version")
        if not editor:
            return errors.error("missing_editor_version")
        if not EDITOR_VERSION.fullmatch(editor):
            return errors.error("unknown_editor_version")
    return errors.error("feature_not_authorized") if account.blocked else None


def _standard_headers(state: State, call: Call) -> Headers:
    identifiers = state.identifiers
    headers: Headers = (
        ("content-security-policy", "default-src 'none'; sandbox"),
        ("strict-transport-security", "max-age=31536000"),
        ("x-copilot-service-request-id", identifiers.uuid()),
        ("x-github-request-id", identifiers.github_request_id()),
        ("server", "github.com"),
    )
    if call.path == "/models":
        return headers
    return (*headers, ("x-request-id", call.header("x-request-id") or identifiers.uuid()))


def _models(account: Account, call: Call) -> Reply:
    listing = catalogue.listing(account, call.header("x-github-api-version"))
    return Reply(body=encode_sorted(listing), headers=(("cache-control", f"private, max-age={MODELS_AGE}"),))


def _accept_policy(account: Account, model_id: str, call: Call) -> Reply:
    model = catalogue.MODELS.get(model_id)
    if model is None or model.policy == "":
        return errors.error("page_not_found")
    if _body(call).get("state") != "enabled":
        return errors.error("bad_request")
    if model.policy == "disabled":  # an administrator's decision
        return errors.error("access_denied")
    account.accepted.add(model_id)
    return json_reply({"state": "enabled"})


def _body(call: Call) -> JSON:
    try:
        return members(msgspec.json.decode(call.body))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}


def generate(state: State, call: Call, account: Account, body: JSON, endpoint: str) -> Served:
    """Have a model answer. ``endpoint``: as the models list it (``supported_endpoints``)."""
    if not body:
        return Served(reply=errors.error("invalid_request_body"))
    model = catalogue.usable(str(body.get("model", "")), account)
    if model is None:
        return Served(reply=errors.error("model_not_supported"))
    if not model.serves(endpoint):
        return Served(reply=errors.wrong_endpoint(model.id, endpoint))
    prompt = state.counted(READERS[endpoint](body))
    if problem := _check(state, call, account, prompt, model):
        return Served(reply=problem)
    if prompt.surface == "embeddings":
        return Served(reply=embeddings.render(prompt, model.id))
    if problem := _broke(account, model):
        return Served(reply=problem)
    plan = make_plan(prompt, state.counters, state.now(), state.pace, forced=call.scenario)
    if plan.failure:
        return Served(reply=plan.failure, delivery=plan.delivery, scenario=plan.scenario)
    return _answer(state, call, account, prompt, model, plan, RENDERERS[endpoint])


def _check(state: State, call: Call, account: Account, prompt: Prompt, model: Model) -> Reply | None:
    match prompt.surface:
        case "chat":
            return check_chat(prompt, model)
        case "responses":
            return check_responses(prompt, model, account.login, state.seal)
        case "messages":
            betas = betas_of(call.header("anthropic-beta"))
            return check_messages(prompt, Context(model=model, login=account.login, seal=state.seal, betas=betas))
        case "embeddings":
            return check_embeddings(prompt.body)


def _broke(account: Account, model: Model) -> Reply | None:
    """402, once what is left has been used up (upstream.md §12 row 27). Models without a price go on."""
    if account.plan == "free" and account.chat_remaining <= 0:
        return errors.error("free_quota_exceeded")
    priced = any(model.prices) if account.token_billing else model.multiplier > 0
    return errors.error("quota_exceeded") if priced and account.exhausted() else None


def _answer(
    state: State,
    call: Call,
    account: Account,
    prompt: Prompt,
    model: Model,
    plan: Plan,
    render: Callable[[Answer], Reply],
) -> Served:
    usage = count(prompt, plan)
    answer = Answer(
        plan=plan,
        prompt=prompt,
        model=model,
        usage=usage,
        login=account.login,
        key=state.identifiers.hex(16),
        created=int(state.now()),
        identifiers=state.identifiers,
        seal=state.seal,
    )
    reply = render(answer)
    # The headers lag: they tell what was left before this request (upstream.md §0.1 fact 15).
    headers = QuotaSnapshot.of(account).headers(state.now()) if reply.status == 200 else ()
    if reply.status == 200:
        _charge(account, answer, call.header("x-initiator"))
    ping = PING if prompt.surface == "messages" and not answer.has("comment") else None
    reply = msgspec.structs.replace(reply, headers=(*reply.headers, *headers))
    return Served(reply=reply, delivery=plan.delivery, scenario=plan.scenario, ping=ping)


def _charge(account: Account, answer: Answer, initiator: str) -> None:
    """Credits by the token, or a premium request for each turn a person took (upstream.md §4.1)."""
    if account.token_billing:
        account.charge(catalogue.cost(answer.model, answer.usage)["total_nano_aiu"] / NANO)
    elif initiator != "agent":
        account.charge(answer.model.multiplier)
        if account.plan == "free":
            account.chat_remaining = max(0, account.chat_remaining - 1)
