from __future__ import annotations

import pytest

from copilot_trio.accounts.health import ALL, PAID, Health
from copilot_trio.errors import NoAccount, ProxyError, QuotaExhausted, RateLimited, UpstreamError, UpstreamTimeout


def health() -> Health:
    return Health(failures_allowed=3, error_seconds=60)


def why(found: object) -> str:
    assert found is not None
    error = getattr(found, "why", None)
    assert isinstance(error, ProxyError)
    return error.cause


def test_a_new_account_rests_nowhere() -> None:
    assert health().resting("m", 0) is None
    assert list(health().rests(0)) == []


def test_what_rests_on_all_rests_on_each() -> None:
    account = health()
    account.rest(ALL, 10, "rate_limited", RateLimited("burst"))
    for free in (True, False):
        assert why(account.resting("m", 9.9, free=free)) == "burst"
    assert account.resting("m", 10) is None
    assert list(account.rests(10)) == []


def test_a_models_rest_is_the_models_alone() -> None:
    account = health()
    account.rest("m", 10, "rate_limited", RateLimited("crowded"))
    assert why(account.resting("m", 0)) == "crowded"
    assert account.resting("other", 0) is None
    assert account.resting(ALL, 0) is None
    assert account.resting(PAID, 0) is None


def test_a_used_up_quota_rests_on_what_costs() -> None:
    account = health()
    account.rest(PAID, 10, "exhausted", QuotaExhausted("empty"))
    assert why(account.resting("m", 0)) == "empty"
    assert account.resting("m", 0, free=True) is None


@pytest.mark.parametrize("first", ["long", "short"])
def test_of_two_rests_the_one_that_ends_later_holds(first: str) -> None:
    account = health()
    order = [(3600.0, "long"), (5.0, "short")] if first == "long" else [(5.0, "short"), (3600.0, "long")]
    for until, name in order:
        account.rest(ALL, until, "rate_limited", RateLimited(name))
    assert why(account.resting("m", 0)) == "long"


def test_of_several_keys_what_ends_last_is_the_reason() -> None:
    account = health()
    account.rest(ALL, 10, "rate_limited", RateLimited("all"))
    account.rest(PAID, 30, "exhausted", QuotaExhausted("paid"))
    account.rest("m", 20, "rate_limited", RateLimited("model"))
    assert why(account.resting("m", 0)) == "paid"
    assert why(account.resting("m", 0, free=True)) == "model"
    assert why(account.resting("m", 25)) == "paid"
    assert account.resting("m", 25, free=True) is None


def test_what_has_ended_does_not_stand_in_the_way_of_a_shorter_rest() -> None:
    account = health()
    account.rest(ALL, 10, "rate_limited", RateLimited("old"))
    assert account.resting("m", 11) is None
    account.rest(ALL, 12, "rate_limited", RateLimited("new"))
    assert why(account.resting("m", 11)) == "new"


def test_the_reason_is_kept_and_never_raised_itself() -> None:
    account, error = health(), RateLimited("burst")
    error.headers = [("x-github-request-id", "one request's")]
    account.rest(ALL, 10, "rate_limited", error)
    found = account.resting("m", 0)
    assert found is not None
    assert found.why is not error
    assert found.why.headers == []


def test_three_failures_in_a_row_are_one_too_many() -> None:
    account = health()
    told = [account.failed(float(moment), UpstreamTimeout(f"no. {moment}")) for moment in range(3)]
    assert told == [False, False, True]
    found = account.resting("m", 3, free=True)
    assert found is not None
    assert (found.until, found.status) == (62, "error")
    assert isinstance(found.why, NoAccount)
    assert found.why.status == 503
    assert (found.why.cost, found.why.retry_after) == ("none", 60)  # nothing of the next request has been sent
    assert "3 times in a row, at last: no. 2" in found.why.cause


def test_a_success_in_between_begins_anew() -> None:
    account = health()
    for _ in range(5):
        assert not account.failed(0, UpstreamError("x"))
        assert not account.failed(0, UpstreamError("x"))
        account.succeeded()
    assert account.resting("m", 0) is None


def test_after_a_rest_three_more_are_needed() -> None:
    account = health()
    told = [account.failed(float(moment), UpstreamError("x")) for moment in (0, 0, 0, 100, 100, 100)]
    assert told == [False, False, True] * 2


def test_a_success_ends_the_rest_after_failures_and_no_other() -> None:
    account = health()
    for _ in range(3):
        account.failed(0, UpstreamError("x"))
    account.rest("m", 30, "rate_limited", RateLimited("crowded"))
    account.succeeded()
    assert account.resting("other", 0) is None
    assert why(account.resting("m", 0)) == "crowded"
    account.rest(ALL, 30, "rate_limited", RateLimited("burst"))
    account.succeeded()
    assert why(account.resting("other", 0)) == "burst"


def test_rests_can_be_forgotten_by_their_status() -> None:
    account = health()
    account.rest(PAID, 10, "exhausted", QuotaExhausted("empty"))
    account.rest("m", 10, "rate_limited", RateLimited("crowded"))
    account.forget("exhausted")
    assert [key for key, _ in account.rests(0)] == ["m"]
    account.failed(0, UpstreamError("x"))
    account.forget()
    assert (list(account.rests(0)), account.failures) == ([], 0)


def test_forgetting_one_status_forgets_no_failures() -> None:
    account = health()
    account.failed(0, UpstreamError("x"))
    account.forget("exhausted")
    assert account.failures == 1
