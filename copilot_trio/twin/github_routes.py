"""The paths of github.com and api.github.com (upstream.md §2.2, §3)."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

import msgspec

from . import github, page
from .accounts import Account
from .devices import CodeState, DeviceCode, token_prefix
from .reply import JSON, Reply, json_reply, members
from .state import Call, Route, State


def _start_device(state: State, call: Call) -> Reply:
    fields = _fields(call)
    if not fields.get("client_id"):
        return _form_or_json(call, {"error": "Not Found"}, 404)
    code = state.devices.start(fields["client_id"], fields.get("scope", ""), state.now())
    answer = {
        "device_code": code.device_code,
        "user_code": code.user_code,
        "verification_uri": f"{state.base_url}/login/device",
        "expires_in": int(code.expires - state.now()),
        "interval": int(code.interval) if code.interval >= 1 else code.interval,
    }
    return _form_or_json(call, answer)


def _poll_device(state: State, call: Call) -> Reply:
    """Errors come with status 200 (upstream.md §0.1 fact 19)."""
    fields = _fields(call)
    client_id, device_code, grant_type = (fields.get(name, "") for name in ("client_id", "device_code", "grant_type"))
    found = state.devices.poll(client_id, device_code, grant_type, state.now())
    return _form_or_json(call, _grant(state, found) if isinstance(found, DeviceCode) else found)


def _grant(state: State, code: DeviceCode) -> JSON:
    token = f"{token_prefix(code.client_id)}SYNTHETIC{state.identifiers.word(27)}"
    state.accounts.grant(token, code.login)
    return {"access_token": token, "token_type": "bearer", "scope": code.scope}


def _fields(call: Call) -> dict[str, str]:
    """The members of a JSON or a form body."""
    if "json" in call.header("content-type"):
        try:
            values = members(msgspec.json.decode(call.body))
        except msgspec.DecodeError:
            return {}
        return {name: value for name, value in values.items() if isinstance(value, str)}
    return dict(parse_qsl(call.body.decode(errors="replace")))


def _form_or_json(call: Call, values: JSON, status: int = 200) -> Reply:
    """Only who accepts JSON gets it; the default is a form (upstream.md §3.1)."""
    if "json" in call.header("accept"):
        return json_reply(values, status)
    return Reply(
        status=status,
        body=urlencode(values).encode(),
        content_type="application/x-www-form-urlencoded; charset=utf-8",
    )


def _show_page(state: State, call: Call) -> Reply:
    user_code = dict(parse_qsl(call.query)).get("user_code", "")
    return _page(state, user_code)


def _page(state: State, user_code: str, note: str = "") -> Reply:
    waiting = [code.user_code for code in state.devices.pending(state.now())]
    return page.form(user_code, [account.login for account in state.accounts], waiting, note)


def _decide_on_page(state: State, call: Call) -> Reply:
    fields = dict(parse_qsl(call.body.decode(errors="replace")))
    user_code, login = fields.get("user_code", ""), fields.get("login", "")
    wanted: CodeState = "denied" if fields.get("state") == "denied" else "approved"
    try:
        code = decide(state, user_code, wanted, login)
    except KeyError:
        return _page(state, user_code, f"Nobody was given the code {user_code}.")
    except ValueError as error:
        return _page(state, user_code, str(error))
    return page.decided(code.user_code, code.state, code.login)


def decide(state: State, user_code: str, wanted: CodeState, login: str = "") -> DeviceCode:
    """Approve (as ``login``, else as the account that signed in least often), deny, or let expire.

    Raises KeyError for an unknown code, ValueError for a decided one or an unknown login.
    """
    if wanted != "approved":
        return state.devices.decide(user_code, wanted)
    login = login or state.accounts.least_granted()
    if login not in state.accounts:
        raise ValueError(f"there is no account {login!r}")
    return state.devices.decide(user_code, "approved", login)


def _user(state: State, call: Call) -> Reply:
    return _rest(state, call, lambda account: json_reply(github.profile(account)))


def _copilot_user(state: State, call: Call) -> Reply:
    return _rest(state, call, lambda account: json_reply(github.user(account, state.now(), state.base_url)))


def _rate_limit(state: State, call: Call) -> Reply:
    return _rest(state, call, lambda _account: json_reply(github.rate_limit(state.rest_calls, state.now())))


def _token(state: State, call: Call) -> Reply:
    def exchange(account: Account) -> Reply:
        if account.blocked:
            return github.blocked(account)
        now = state.now()
        token = state.tokens.issue(account, now)
        return json_reply(github.token_envelope(account, token.token, token.expires_at, now, state.base_url))

    return _rest(state, call, exchange)


def _rest(state: State, call: Call, answer: github.Answering) -> Reply:
    """``token`` and ``Bearer`` both do here, but only with a GitHub token (upstream.md §3.2)."""
    account = call.caller.account
    state.rest_calls += 1
    if call.caller.kind == "none":
        reply = github.rest_error(401, "Requires authentication")
    elif account is None or account.revoked or not _is_github_token(call):
        reply = github.rest_error(401, "Bad credentials")
    else:
        reply = answer(account)
    headers = github.rest_headers(state.identifiers, state.rest_calls, state.now())
    return msgspec.structs.replace(reply, headers=(*reply.headers, *headers))


def _is_github_token(call: Call) -> bool:
    return call.caller.kind == "github" and call.caller.scheme.lower() in {"token", "bearer"}


ROUTES: dict[str, dict[str, Route]] = {
    "/login/device/code": {"POST": _start_device},
    "/login/oauth/access_token": {"POST": _poll_device},
    "/login/device": {"GET": _show_page, "POST": _decide_on_page},
    "/user": {"GET": _user},
    "/rate_limit": {"GET": _rate_limit},
    "/copilot_internal/user": {"GET": _copilot_user},
    "/copilot_internal/v2/token": {"GET": _token},
}
# What else belongs to GitHub and gets its kind of 404.
PREFIXES = ("/login/", "/copilot_internal/", "/user", "/repos/", "/orgs/", "/copilot/")
