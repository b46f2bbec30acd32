"""The control API: look at what came in, queue faults, decide device codes, change accounts. JSON all of it.

=============================== ==============================================================================
``GET /``                       this list
``GET /records?since=N&path=P`` what was received after record ``N``; tokens only by kind and last four
``DELETE /records``             forget it
``GET /scenarios``              the faults that wait
``POST /scenarios``             one fault, a list, or ``{"faults": [...], "accounts": [...]}``
``DELETE /scenarios``           none waits any more
``GET /device``                 the codes that wait for a person
``POST /device/{user_code}``    ``{"state": "approved" | "denied" | "expired", "login": ...}``
``GET /accounts``               the accounts
``POST /accounts``              ``{"login": ..., ...}``: change one, or make one
``POST /accounts/{login}/expire`` its Copilot tokens are expired from now on
=============================== ==============================================================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import parse_qs

import msgspec

from copilot_trio.server.exchange import Exchange, Request

from .accounts import AccountChange
from .faults import ScenarioError, load_scenarios
from .records import shown_header
from .reply import JSON, encode

if TYPE_CHECKING:
    from .twin import Twin

# A browser page elsewhere must not be able to drive the twin.
FOREIGN = "requests of other web pages are not served here"


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    state: Literal["approved", "denied", "expired"]
    login: str = ""


class Refused(Exception):
    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


async def control(twin: Twin, exchange: Exchange) -> None:
    try:
        status, value = 200, _answer(twin, exchange.request)
    except Refused as refusal:
        status, value = refusal.status, {"error": str(refusal)}
    except (ScenarioError, msgspec.ValidationError, msgspec.DecodeError, ValueError) as error:
        status, value = 400, {"error": str(error)}
    await exchange.respond(status, encode(value) + b"\n")


def _answer(twin: Twin, request: Request) -> Any:
    if "origin" in request.headers:
        raise Refused(403, FOREIGN)
    first, _, rest = request.path.strip("/").partition("/")
    methods = ROUTES.get(first)
    if methods is None:
        raise Refused(404, f"there is no {request.path}")
    action = methods.get(request.method)
    if action is None:
        raise Refused(405, f"{request.path} takes {', '.join(methods)}")
    return action(twin, request, rest)


def _help(_twin: Twin, _request: Request, _rest: str) -> JSON:
    paths = {f"/{path}": list(methods) for path, methods in ROUTES.items()}
    return {"twin": "an emulator of GitHub and the Copilot API", "paths": paths}


def _records(twin: Twin, request: Request, _rest: str) -> JSON:
    asked = {name: values[-1] for name, values in parse_qs(request.query).items()}
    since, path = int(asked.get("since", "0")), asked.get("path", "")
    found = [record.shown() for record in twin.records if record.seq > since and path in {"", record.path}]
    return {"records": found}


def _forget_records(twin: Twin, _request: Request, _rest: str) -> JSON:
    twin.records.clear()
    return {"records": []}


def _scenarios(twin: Twin, _request: Request, _rest: str) -> JSON:
    return {"faults": twin.state.faults.listing()}


def _queue_scenarios(twin: Twin, request: Request, _rest: str) -> JSON:
    twin.load(load_scenarios(request.body))
    return {"faults": twin.state.faults.listing()}


def _forget_scenarios(twin: Twin, request: Request, rest: str) -> JSON:
    twin.clear_faults()
    return _scenarios(twin, request, rest)


def _codes(twin: Twin, _request: Request, _rest: str) -> JSON:
    waiting = twin.state.devices.pending(twin.state.now())
    return {"codes": [{"user_code": code.user_code, "client_id": code.client_id} for code in waiting]}


def _decide(twin: Twin, request: Request, user_code: str) -> JSON:
    decision = msgspec.json.decode(request.body, type=Decision)
    try:
        code = twin.decide(user_code, decision.state, decision.login)
    except KeyError:
        raise Refused(404, f"nobody was given the code {user_code}") from None
    except ValueError as error:
        raise Refused(409, str(error)) from None
    return {"user_code": code.user_code, "state": code.state, "login": code.login}


def _accounts(twin: Twin, _request: Request, _rest: str) -> JSON:
    return {"accounts": [_shown_account(account) for account in twin.accounts]}


def _shown_account(account: msgspec.Struct) -> JSON:
    values: JSON = msgspec.to_builtins(account)
    return values | {"token": shown_header("authorization", values["token"])}


def _change_account(twin: Twin, request: Request, rest: str) -> JSON:
    login, _, action = rest.partition("/")
    if action == "expire":
        if login not in twin.accounts:
            raise Refused(404, f"there is no account {login}")
        twin.expire_tokens(login)
        return _shown_account(twin.accounts[login])
    return _shown_account(twin.change_account(msgspec.json.decode(request.body, type=AccountChange)))


Action = Callable[["Twin", Request, str], Any]
ROUTES: dict[str, dict[str, Action]] = {
    "": {"GET": _help},
    "records": {"GET": _records, "DELETE": _forget_records},
    "scenarios": {"GET": _scenarios, "POST": _queue_scenarios, "DELETE": _forget_scenarios},
    "device": {"GET": _codes, "POST": _decide},
    "accounts": {"GET": _accounts, "POST": _change_account},
}
