"""The twin as github.com and api.github.com: device flow, token exchange, user and quota shapes."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest
from twin_client import DEV, EDITOR, NOW, Clock, call_of, copilot, decoded, github, new_state

from copilot_trio.twin import AccountChange, free_account, sample_accounts
from copilot_trio.twin.devices import GRANT
from copilot_trio.twin.github_routes import ROUTES, decide
from copilot_trio.twin.state import State

CLIENT_ID = "Iv1.b507a08c87ecfe98"


def start(state: State, client_id: str = CLIENT_ID) -> Any:
    return decoded(github(state, "/login/device/code", {"client_id": client_id, "scope": "read:user"}, token=""))


def poll(state: State, device_code: str, client_id: str = CLIENT_ID, grant_type: str = GRANT) -> Any:
    body = {"client_id": client_id, "device_code": device_code, "grant_type": grant_type}
    reply = github(state, "/login/oauth/access_token", body, token="")
    assert reply.status == 200  # errors, too (upstream.md §0.1 fact 19)
    return decoded(reply)


def test_a_code_is_pending_until_approved_and_works_once() -> None:
    clock = Clock()
    state = new_state(clock)
    code = start(state)
    assert code["interval"] == 5
    assert code["expires_in"] == 900
    assert code["verification_uri"] == "http://127.0.0.1:1/login/device"
    clock.now += 5
    assert poll(state, code["device_code"])["error"] == "authorization_pending"
    decide(state, code["user_code"].lower(), "approved", "octo-work")
    clock.now += 5
    granted = poll(state, code["device_code"])
    assert granted["access_token"].startswith("ghu_SYNTHETIC")
    assert granted["token_type"] == "bearer"
    assert decoded(github(state, "/user", token=granted["access_token"]))["login"] == "octo-work"
    clock.now += 5
    assert poll(state, code["device_code"])["error"] == "incorrect_device_code"


def test_two_sign_ins_without_a_login_are_two_accounts() -> None:
    clock = Clock()
    state = new_state(clock)
    logins = set()
    for _ in range(3):
        code = start(state)
        decide(state, code["user_code"], "approved")
        clock.now += 5
        token = poll(state, code["device_code"])["access_token"]
        logins.add(decoded(github(state, "/user", token=token))["login"])
    assert logins == {"octo-dev", "octo-home", "octo-work"}


def test_polling_too_fast_is_told_to_slow_down_and_the_interval_stays_longer() -> None:
    clock = Clock()
    state = new_state(clock)
    code = start(state)
    clock.now += 4
    slow = poll(state, code["device_code"])
    assert (slow["error"], slow["interval"]) == ("slow_down", 10)
    clock.now += 5
    assert poll(state, code["device_code"])["interval"] == 15
    clock.now += 15
    assert poll(state, code["device_code"])["error"] == "authorization_pending"


def test_denied_and_expired_codes_stay_so() -> None:
    clock = Clock()
    state = new_state(clock)
    denied, expired, late = start(state), start(state), start(state)
    decide(state, denied["user_code"], "denied")
    decide(state, expired["user_code"], "expired")
    clock.now += 5
    assert poll(state, denied["device_code"])["error"] == "access_denied"
    assert poll(state, expired["device_code"])["error"] == "expired_token"
    clock.now += 900
    assert poll(state, late["device_code"])["error"] == "expired_token"


def test_what_is_wrong_with_a_poll_has_a_name() -> None:
    clock = Clock()
    state = new_state(clock)
    code = start(state)["device_code"]
    clock.now += 5
    assert poll(state, "nonsense")["error"] == "incorrect_device_code"
    assert poll(state, code, client_id="other")["error"] == "incorrect_client_credentials"
    assert poll(state, code, grant_type="refresh_token")["error"] == "unsupported_grant_type"


def test_a_decided_code_cannot_be_decided_again_and_an_unknown_one_not_at_all() -> None:
    state = new_state()
    code = start(state)["user_code"]
    decide(state, code, "denied")
    with pytest.raises(ValueError, match="denied already"):
        decide(state, code, "approved")
    with pytest.raises(KeyError):
        decide(state, "NONE-NONE", "approved")
    with pytest.raises(ValueError, match="no account"):
        decide(state, start(state)["user_code"], "approved", "nobody")


def test_oauth_apps_get_another_prefix() -> None:
    clock = Clock()
    state = new_state(clock)
    code = start(state, "01ab8ac9400c4e429b23")
    decide(state, code["user_code"], "approved")
    clock.now += 5
    assert poll(state, code["device_code"], "01ab8ac9400c4e429b23")["access_token"].startswith("gho_")


def test_forms_are_understood_and_answered_to_who_does_not_ask_for_json() -> None:
    state = new_state()
    headers = {"content-type": "application/x-www-form-urlencoded", "accept": "*/*"}
    reply = github(state, "/login/device/code", b"client_id=x&scope=read%3Auser", token="", headers=headers)
    assert reply.content_type.startswith("application/x-www-form-urlencoded")
    assert set(parse_qs(reply.body.decode())) == {
        "device_code", "user_code", "verification_uri", "expires_in", "interval",
    }  # fmt: skip


def test_a_client_id_is_required() -> None:
    state = new_state()
    assert github(state, "/login/device/code", {"scope": "x"}, token="").status == 404
    assert github(state, "/login/device/code", b"{broken", token="").status == 404


def test_codes_are_bounded() -> None:
    state = new_state()
    first = start(state)["user_code"]
    for _ in range(1000):
        start(state)
    assert state.devices.by_user_code(first) is None


def test_a_person_can_approve_on_the_page() -> None:
    clock = Clock()
    state = new_state(clock)
    code = start(state)
    shown = github(state, f"/login/device?user_code={code['user_code']}", token="")
    assert code["user_code"] in shown.body.decode()
    assert "octo-home" in shown.body.decode()
    form = f"user_code={code['user_code']}&login=octo-home&state=approved".encode()
    assert github(state, "/login/device", form, token="").status == 200
    clock.now += 5
    token = poll(state, code["device_code"])["access_token"]
    assert decoded(github(state, "/user", token=token))["login"] == "octo-home"
    again = github(state, "/login/device", form, token="")
    assert again.status == 400
    assert "used already" in again.body.decode()


def test_the_page_escapes_what_it_is_given() -> None:
    shown = github(new_state(), "/login/device?user_code=%3Cscript%3E", token="")
    assert b"<script>" not in shown.body
    unknown = github(new_state(), "/login/device", b"user_code=%3Cscript%3E&state=denied", token="")
    assert b"<script>" not in unknown.body
    assert unknown.status == 400


def test_the_token_envelope() -> None:
    state = new_state()
    envelope = decoded(github(state, "/copilot_internal/v2/token"))
    assert envelope["expires_at"] == NOW + 1800
    assert envelope["refresh_in"] == 1500
    assert envelope["endpoints"]["api"] == "http://127.0.0.1:1"
    assert envelope["individual"] is True
    assert f";exp={int(NOW) + 1800};" in envelope["token"]
    seat = decoded(github(state, "/copilot_internal/v2/token", token=state.accounts["octo-work"].token))
    assert (seat["individual"], seat["enterprise_list"]) == (False, [123])


@pytest.mark.parametrize("scheme", ["token", "Bearer", "bearer"])
def test_github_takes_either_scheme(scheme: str) -> None:
    state = new_state()
    reply = github(state, "/user", headers={"authorization": f"{scheme} {DEV}"})
    assert decoded(reply)["login"] == "octo-dev"
    headers = dict(reply.headers)
    assert headers["x-ratelimit-limit"] == "5000"
    assert headers["server"] == "github.com"


@pytest.mark.parametrize(("authorization", "message"), [
    ("", "Requires authentication"), ("token ghu_UNKNOWN", "Bad credentials"), (f"Basic {DEV}", "Bad credentials"),
])  # fmt: skip
def test_github_refuses_bad_credentials(authorization: str, message: str) -> None:
    reply = github(new_state(), "/copilot_internal/v2/token", token="", headers={"authorization": authorization})
    assert (reply.status, decoded(reply)["message"]) == (401, message)


def test_a_revoked_token_and_a_copilot_token_are_bad_credentials() -> None:
    state = new_state()
    token = decoded(github(state, "/copilot_internal/v2/token"))["token"]
    assert github(state, "/user", token=token).status == 401
    state.accounts["octo-dev"].revoked = True
    assert github(state, "/user").status == 401


def test_a_blocked_account_gets_no_token() -> None:
    state = new_state()
    state.accounts["octo-dev"].blocked = "no_copilot_access"
    reply = github(state, "/copilot_internal/v2/token")
    assert reply.status == 403
    assert decoded(reply)["error_details"]["notification_id"] == "no_copilot_access"
    assert decoded(reply)["can_signup_for_limited"] is True
    assert decoded(github(state, "/copilot_internal/user"))["chat_enabled"] is False


def test_the_user_of_a_token_billed_seat() -> None:
    state = new_state()
    user = decoded(github(state, "/copilot_internal/user", token=state.accounts["octo-work"].token))
    assert user["token_based_billing"] is True
    premium = user["quota_snapshots"]["premium_interactions"]
    assert premium["has_quota"] is True
    assert (premium["entitlement"], premium["remaining"], premium["quota_remaining"]) == (4000, 3830, 3830.1)
    assert user["quota_snapshots"]["chat"]["unlimited"] is True
    assert user["quota_snapshots"]["chat"]["entitlement"] == 0


def test_the_user_of_a_paid_individual_plan() -> None:
    user = decoded(github(new_state(), "/copilot_internal/user"))
    premium = user["quota_snapshots"]["premium_interactions"]
    assert "token_based_billing" not in user
    assert "has_quota" not in premium
    assert (premium["remaining"], premium["percent_remaining"]) == (1054, 70.28)
    assert user["quota_reset_date"] == "2026-10-01"
    assert user["quota_reset_date_utc"] == "2026-10-01T00:00:00.000Z"


def test_the_user_of_the_free_plan() -> None:
    state = new_state(accounts=[free_account()])
    user = decoded(github(state, "/copilot_internal/user", token=free_account().token))
    assert user["copilot_plan"] == "individual"
    assert user["limited_user_quotas"] == {"chat": 450, "completions": 3500}
    assert "quota_snapshots" not in user
    envelope = decoded(github(state, "/copilot_internal/v2/token", token=free_account().token))
    assert envelope["limited_user_quotas"] == {"chat": 450, "completions": 3500}


def test_the_reset_date_of_december_is_next_year() -> None:
    clock = Clock(1_797_000_000.0)  # December 2026
    assert decoded(github(new_state(clock), "/copilot_internal/user"))["quota_reset_date"] == "2027-01-01"


def test_rate_limit_counts_calls() -> None:
    state = new_state()
    github(state, "/user")
    limit = decoded(github(state, "/rate_limit"))
    assert limit["resources"]["core"]["used"] == 2
    assert limit["rate"]["remaining"] == 4998


def test_a_copilot_token_expires_for_real() -> None:
    clock = Clock()
    state = new_state(clock)
    state.accounts["octo-dev"].token_lifetime = 60
    envelope = decoded(github(state, "/copilot_internal/v2/token"))
    assert envelope["refresh_in"] == 50
    token = envelope["token"]
    assert copilot(state, "/models", token=token, headers=EDITOR).reply.status == 200
    clock.now += 60
    reply = copilot(state, "/models", token=token, headers=EDITOR).reply
    assert (reply.status, reply.body) == (401, b"IDE token expired: unauthorized: token expired\n")


def test_account_changes() -> None:
    state = new_state()
    account = state.accounts.apply(AccountChange(login="octo-dev", plan="enterprise", remaining=1.5))
    assert (account.sku, account.remaining) == ("copilot_enterprise_seat_quota", 1.5)
    made = state.accounts.apply(AccountChange(login="octo-new", plan="free"))
    assert state.accounts.by_token(made.token) is made
    with pytest.raises(ValueError, match="blocked must be"):
        AccountChange(login="octo-dev", blocked="because")
    with pytest.raises(ValueError, match="token_lifetime"):
        AccountChange(login="octo-dev", token_lifetime=-1)
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"login": "octo-dev", "plan": "gold"}', type=AccountChange)


def test_accounts_are_bounded() -> None:
    state = new_state()
    for number in range(997):
        state.accounts.apply(AccountChange(login=f"octo-{number}"))
    with pytest.raises(ValueError, match="1000 accounts"):
        state.accounts.apply(AccountChange(login="one-too-many"))


def test_sample_accounts_are_usable_and_plainly_synthetic() -> None:
    assert len(sample_accounts()) == 3
    assert all("SYNTHETIC" in account.token and len(account.token) == 40 for account in sample_accounts())
    assert not any(account.blocked or account.exhausted() for account in sample_accounts())


def test_every_route_answers_garbage_without_failing() -> None:
    state = new_state()
    for path, methods in ROUTES.items():
        for method, route in methods.items():
            call = call_of(state, method, path, b"\xff\xfe[[[", token="\x00", headers={"content-type": "text/x"})
            assert route(state, call).status < 500
