"""What a client gets when no account can serve (product.md §4.3)."""

from __future__ import annotations

import pytest
from accounts_of import an_account, refusal

from copilot_trio.accounts.account import Account
from copilot_trio.accounts.course import Course, Survey, cooling_down
from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    ModelNotFound,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamOverloaded,
    UpstreamRefused,
    UpstreamUnreachable,
)

LIMITED = RateLimited("slow down", code="user_weekly_rate_limited")
EMPTY = QuotaExhausted("used up")
CROWDED = UpstreamOverloaded("crowded", status=503)
FAILED = NoAccount("upstream failed 3 times in a row", retry_after=60)
REJECTED = AccountRejected("revoked")
NO_FEATURE = UpstreamRefused("not authorized to use this Copilot feature", status=403)


def three() -> list[Account]:
    return [an_account("a"), an_account("b"), an_account("c")]


def survey(*cooling: tuple[float, ProxyError], accounts: list[Account] | None = None) -> Survey:
    """Of the group ``work``; the first accounts rest."""
    accounts = accounts or three()
    found = Survey("work", accounts)
    found.cooling = [(account, *rest) for account, rest in zip(accounts, cooling, strict=False)]
    return found


@pytest.mark.parametrize(
    ("cooling", "error", "status", "retry_after"),
    [
        ([(50, LIMITED), (40, EMPTY), (90, LIMITED)], RateLimited, 429, 40),
        ([(50, EMPTY), (40, EMPTY), (90, EMPTY)], QuotaExhausted, 429, 40),
        ([(50, CROWDED), (40, CROWDED), (90, CROWDED)], RateLimited, 429, 40),
        ([(50, LIMITED), (40, FAILED), (90, LIMITED)], RateLimited, 429, 40),
        ([(50, LIMITED), (40, REJECTED), (90, LIMITED)], RateLimited, 429, 50),
        ([(50, FAILED), (40, FAILED), (45, FAILED)], NoAccount, 503, 40),
        ([(50, REJECTED), (40, FAILED), (45, FAILED)], NoAccount, 503, 40),
        ([(50, NO_FEATURE), (40, NO_FEATURE), (45, NO_FEATURE)], UpstreamRefused, 403, None),
    ],
    ids=["limits", "quotas", "providers", "a failing one comes back first", "a rejected one does not", "failures",
         "failures and a rejection", "a feature"],
)  # fmt: skip
def test_all_rest(
    cooling: list[tuple[float, ProxyError]], error: type[ProxyError], status: int, retry_after: float | None
) -> None:
    found = survey(*cooling).error(Course())
    assert type(found) is error
    assert (found.status, found.retry_after, found.cost) == (status, retry_after, "none")
    for label, (_, why) in zip("abc", cooling, strict=True):
        assert f"{label}: {why.cause}" in str(found)


def test_one_reason_for_all_keeps_its_code() -> None:
    assert survey((5, LIMITED), (5, LIMITED)).error(Course()).code == "user_weekly_rate_limited"
    assert survey((5, LIMITED), (5, RateLimited("x"))).error(Course()).code == "rate_limit_exceeded"


@pytest.mark.parametrize(
    ("cooling", "seconds"),
    [([], None), ([(5, LIMITED), (3, EMPTY)], 3), ([(9, LIMITED), (3, REJECTED)], 9), ([(9, FAILED)], 9),
     ([(3, REJECTED), (3, NO_FEATURE)], None)],
)  # fmt: skip
def test_what_is_waited_for(cooling: list[tuple[float, ProxyError]], seconds: float | None) -> None:
    assert survey(*cooling).soonest() == seconds


def test_a_limit_says_more_than_a_missing_model() -> None:
    found = survey((5, LIMITED))
    found.missing = [ModelNotFound("no model is called 'm'")]
    assert isinstance(found.error(Course()), RateLimited)


def test_a_model_that_nobody_offers_is_said_once() -> None:
    found = survey()
    found.missing = [ModelNotFound("no model is called 'm'"), ModelNotFound("no model is called 'm'")]
    error = found.error(Course())
    assert isinstance(error, ModelNotFound)
    assert error.cause == "no model is called 'm', in none of the accounts of the group work that can be asked"
    alone = Survey("work", [an_account("a")])
    alone.missing = [ModelNotFound("no model is called 'm'")]
    assert alone.error(Course()).cause == "no model is called 'm'"


def test_a_warning_is_said_where_it_is_all_there_is() -> None:
    found = survey()
    found.paused = [AccountPaused("GitHub warned about this account")]
    assert found.error(Course()).status == 403


async def test_accounts_that_are_switched_off_are_named_with_their_reason() -> None:
    accounts = three()
    accounts[0].change(status="banned", status_message="Bad credentials")
    accounts[1].change(status="disabled")
    found = survey(accounts=accounts)
    found.off = accounts[:2]
    error = found.error(Course())
    assert isinstance(error, NoAccount)
    assert "a is banned: Bad credentials; b is disabled." in str(error)
    found.off = accounts[:1]
    error = found.error(Course())
    assert isinstance(error, AccountRejected)
    assert "add-account" in str(error)


def test_no_account_at_all_has_a_remedy() -> None:
    error = survey().error(Course())
    assert isinstance(error, NoAccount)
    assert "copilot-trio auth" in str(error)


# ---- once something has been tried


def course(*left: tuple[Account, ProxyError]) -> Course:
    found = Course()
    for account, error in left:
        found.leave(account, error)
    return found


def test_the_way_out_of_an_unreachable_account_is_left_too() -> None:
    gone, refused = an_account("a", egress="p"), an_account("b", egress="q")
    found = Course()
    found.leave(gone, UpstreamUnreachable("no way"), egress=True)
    found.leave(refused, RateLimited("slow"))
    assert (list(found.failed), found.unreachable) == (["id-a", "id-b"], {"p"})


async def test_refusals_of_all_are_told_with_the_soonest_end() -> None:
    one, two, three_ = accounts = three()
    first, second = refusal(429, "rate_limited", 50).error, refusal(402, "quota_exceeded", 500).error
    first.headers = [("x-github-request-id", "1")]
    found = survey(accounts=accounts)
    found.cooling = [(three_, 20.0, LIMITED)]
    error = found.error(course((one, first), (two, second)))
    assert isinstance(error, RateLimited)
    assert (error.retry_after, error.cost) == (20, "none")
    for words in ("every account of the group work is limited", "a: upstream limits", "b: the account's", "c: slow"):
        assert words in str(error)


async def test_a_limit_says_more_than_what_failed_beside_it() -> None:
    one, two, _ = accounts = three()
    limit, gone = refusal(429, "rate_limited", 50).error, UpstreamUnreachable("no way")
    for tried in [((one, limit), (two, gone)), ((one, gone), (two, limit))]:
        error = survey(accounts=accounts).error(course(*tried))
        assert isinstance(error, RateLimited)
        assert (error.retry_after, error.code) == (50, limit.code)


def test_the_last_failure_names_the_others() -> None:
    one, two, _ = accounts = three()
    error = survey(accounts=accounts).error(
        course((one, UpstreamUnreachable("no way")), (two, AccountRejected("revoked")))
    )
    assert isinstance(error, AccountRejected)
    assert error.cause == "revoked (tried: a: no way; b: revoked)"


def test_the_failure_of_one_account_alone_is_said_as_it_is() -> None:
    only = an_account("a")
    error = refusal(429, "rate_limited", 50).error
    found = Survey("work", [only])
    found.cooling = [(only, 50.0, error)]
    assert found.error(course((only, error))) is error


def test_a_warning_ends_it_whatever_was_tried_before() -> None:
    one, two, _ = accounts = three()
    warning = AccountPaused("warned")
    assert survey(accounts=accounts).error(course((one, RateLimited("slow")), (two, warning))) is warning


# ---- one account's rest


@pytest.mark.parametrize(
    ("why", "error", "retry_after"),
    [
        (LIMITED, RateLimited, 7),
        (EMPTY, QuotaExhausted, 7),
        (CROWDED, RateLimited, 7),
        (FAILED, NoAccount, 7),
        (REJECTED, AccountRejected, None),
        (NO_FEATURE, UpstreamRefused, None),
    ],
)
def test_a_rest_as_a_client_hears_of_it(why: ProxyError, error: type[ProxyError], retry_after: float | None) -> None:
    found = cooling_down(an_account("a"), 7, why)
    assert type(found) is error
    assert found is not why
    assert (found.retry_after, found.cost, found.code) == (retry_after, "none", why.code)
    assert why.cause in found.cause
