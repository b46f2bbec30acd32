from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec
import pytest
import trio
from accounts_of import (
    A_MODEL,
    FREE,
    FREE_MODEL,
    NOW,
    OTHER_MODEL,
    PAID_MODEL,
    UNLIMITED,
    WARNED,
    an_account,
    left,
    refusal,
    wake,
    wants,
)

from copilot_trio.accounts.account import Account, Status
from copilot_trio.accounts.groups import NO_PIN, Pin
from copilot_trio.accounts.offer import look_up, offered
from copilot_trio.accounts.outcome import Outcome
from copilot_trio.accounts.quota import Quota
from copilot_trio.accounts.registry import Accounts
from copilot_trio.config import AccountSettings
from copilot_trio.errors import (
    AccountPaused,
    AccountRejected,
    Forbidden,
    ModelNotFound,
    NoAccount,
    ProxyError,
    QuotaExhausted,
    RateLimited,
    UpstreamError,
    UpstreamOverloaded,
    UpstreamRefused,
    UpstreamUnreachable,
)


def registry(*accounts: Account, groups: dict[str, list[str]] | None = None, **settings: object) -> Accounts:
    return Accounts(
        accounts,
        settings=msgspec.convert(settings, AccountSettings),
        groups=groups,
        now=lambda: NOW + trio.current_time(),
        random=lambda: 0.5,
    )


async def chosen(accounts: Accounts, model: str = "m", conversation: str = "", pin: Pin = NO_PIN) -> str:
    """The label of the account that a request gets, to which its conversation is bound."""
    wanted, course = wants(model, conversation, pin=pin)
    account, _ = await accounts.choose(wanted, course)
    accounts.bind(wanted, account)
    return account.label


async def in_turn(accounts: Accounts, times: int) -> list[str]:
    found = []
    for _ in range(times):
        await trio.sleep(1)
        found.append(await chosen(accounts))
    return found


async def fails(
    accounts: Accounts, error: type[ProxyError], model: str = "m", conversation: str = "", pin: Pin = NO_PIN
) -> ProxyError:
    with pytest.raises(ProxyError) as caught:
        await chosen(accounts, model, conversation, pin)
    assert type(caught.value) is error
    assert caught.value.cost == "none"
    return caught.value


def statuses(accounts: Accounts) -> list[Status]:
    return [account.status for account in accounts.accounts]


# ---- in which order


async def test_equal_accounts_take_turns() -> None:
    accounts = registry(an_account("a"), an_account("b"), an_account("c"))
    assert await in_turn(accounts, 6) == ["a", "b", "c"] * 2


async def test_of_equal_accounts_the_least_recently_used_is_first() -> None:
    accounts = registry(an_account("a", last_used=3), an_account("b", last_used=1), an_account("c", last_used=2))
    assert await in_turn(accounts, 3) == ["b", "c", "a"]


@pytest.mark.parametrize(
    ("quotas", "first"),
    [
        ({"a": left(20), "b": left(70), "c": left(60)}, "b"),
        ({"a": left(200, 1000), "b": left(70)}, "b"),
        ({"a": left(99), "b": UNLIMITED}, "b"),
        ({"a": left(49), "b": None}, "b"),
        ({"a": None, "b": left(51)}, "b"),
        ({"a": left(0), "b": left(1)}, "b"),
        ({"a": left(0, overage=True), "b": left(1)}, "b"),
        ({"a": left(0), "b": left(0, overage=True)}, "b"),
    ],
    ids=["percent", "not in figures", "unlimited is full", "unknown is half", "half is unknown", "nothing", "overage",
         "overage before nothing"],
)  # fmt: skip
async def test_more_of_the_quota_left_comes_first(quotas: dict[str, Quota | None], first: str) -> None:
    accounts = registry(*(an_account(label, quota=quota) for label, quota in quotas.items()))
    assert await chosen(accounts) == first


async def test_what_is_under_way_counts_as_spent() -> None:
    accounts = registry(an_account("a", quota=left(52)), an_account("b", quota=left(50)))
    first = accounts.accounts[0]
    with accounts.lease(first, A_MODEL, user_initiated=True), accounts.lease(first, A_MODEL, user_initiated=True):
        with accounts.lease(first, A_MODEL, user_initiated=True):
            assert (first.reserved, await chosen(accounts)) == (3, "b")
        assert first.reserved == 2
    assert (first.reserved, await chosen(accounts)) == (0, "a")


@pytest.mark.parametrize(
    ("quota", "model", "user", "reserved"),
    [
        (left(50), A_MODEL, True, 1),
        (left(50), msgspec.structs.replace(A_MODEL, billing={"multiplier": 3}), True, 3),
        (left(50), A_MODEL, False, 0),
        (left(50), FREE, True, 0),
        (None, A_MODEL, True, 0),
        (Quota(windows=left(50).windows, token_billing=True), A_MODEL, False, 1),
    ],
    ids=["one", "by the multiplier", "an agent's turn", "free", "unknown", "by tokens"],
)
async def test_what_a_lease_sets_aside(*, quota: Quota | None, model: object, user: bool, reserved: float) -> None:
    accounts = registry(an_account("a", quota=quota))
    only = accounts.accounts[0]
    with accounts.lease(only, msgspec.convert(model, type(A_MODEL)), user_initiated=user):
        assert only.reserved == reserved


async def test_a_conversation_stays_whatever_is_left() -> None:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.accounts[0].quota = left(1)
    assert await chosen(accounts, conversation="c") == "a"
    assert await chosen(accounts, conversation="c", model="other") == "a"
    assert await chosen(accounts, conversation="new") == "b"


async def test_a_conversation_that_moved_stays_where_it_went() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 60), A_MODEL)
    assert await chosen(accounts, conversation="c") == "b"
    await trio.sleep(100)
    assert await chosen(accounts, conversation="c") == "b"


@pytest.mark.parametrize(("seconds", "label", "waited"), [(5, "a", 5), (6, "b", 0)])
async def test_a_cooldown_shorter_than_a_move_is_waited_for(seconds: float, label: str, waited: float) -> None:
    accounts = registry(an_account("a"), an_account("b"))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", seconds), A_MODEL)
    assert await chosen(accounts, conversation="new") == "b"
    assert await chosen(accounts, conversation="c") == label
    assert trio.current_time() == waited


async def test_after_an_hour_a_conversation_is_anybodys() -> None:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.accounts[0].quota = left(1)
    await trio.sleep(3600)
    assert await chosen(accounts, conversation="c") == "b"


async def test_a_binding_says_whose_the_conversation_was() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    one, two = accounts.accounts
    wanted, _ = wants(conversation="c")
    assert [accounts.bind(wanted, account) for account in (one, one, two, two, one)] == [
        None,
        "id-a",
        "id-a",
        "id-b",
        "id-b",
    ]
    alone, _ = wants()
    assert [accounts.bind(alone, account) for account in (one, two)] == [None, None]


async def test_a_conversation_of_which_nothing_was_run_elsewhere_is_given_back() -> None:
    accounts = registry(an_account("a"), an_account("b"), an_account("gone"))
    one, two, gone = accounts.accounts
    wanted, _ = wants(conversation="c")
    accounts.bind(wanted, one)
    accounts.give_back(wanted, two, accounts.bind(wanted, two))
    assert accounts.bind(wanted, one) == "id-a"
    accounts.bind(wanted, two)
    accounts.give_back(wanted, one, "id-b")  # somebody else has it by now
    assert accounts.bind(wanted, gone) == "id-b"
    before = accounts.bind(wanted, one)
    accounts.remove("id-gone")
    accounts.give_back(wanted, one, before)
    assert accounts.bind(wanted, one) == "id-a"
    accounts.give_back(wanted, one, None)  # it was nobody's
    assert accounts.bind(wanted, one) == "id-a"


@pytest.mark.parametrize(("count", "moved", "waited"), [(2, True, 3), (2, False, 0), (1, True, 0)])
async def test_a_conversation_that_moves_is_in_no_hurry(*, count: int, moved: bool, waited: float) -> None:
    accounts = registry(*(an_account(f"a{number}") for number in range(count)))
    await accounts.pace(accounts.accounts[0], moved=moved)
    assert trio.current_time() == waited


async def test_one_account_alone_is_not_paced() -> None:
    accounts = registry(an_account("a"))
    assert accounts.accounts[0].pacer.gap == 0
    accounts.add(an_account("b"))
    assert [account.pacer.gap for account in accounts.accounts] == [1, 1]
    accounts.remove("id-b")
    assert accounts.accounts[0].pacer.gap == 0


# ---- groups


async def test_a_group_is_never_left() -> None:
    accounts = registry(an_account("a"), an_account("b", kind="business"), an_account("c", host="octo.ghe.com"))
    assert await in_turn(accounts, 3) == ["a"] * 3
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 600), A_MODEL)
    assert (await fails(accounts, RateLimited)).retry_after == 600
    accounts.disable(accounts.accounts[0])
    assert "a is disabled" in str(await fails(accounts, NoAccount))


@pytest.mark.parametrize("status", ["disabled", "banned"])
async def test_the_default_group_is_the_first_accounts_whatever_its_status(status: Status) -> None:
    accounts = registry(an_account("a", kind="business", status=status), an_account("b"))
    await fails(accounts, AccountRejected if status == "banned" else NoAccount)


async def test_a_default_group_can_be_set() -> None:
    both = [an_account("a"), an_account("b", kind="business")]
    accounts = registry(*both, default_group="github.com/business")
    assert await chosen(accounts) == "b"
    accounts = registry(*both, default_group="gone")
    assert "accounts.default_group" in str(await fails(accounts, Forbidden))


async def test_configured_groups_bring_together_and_keep_apart() -> None:
    groups = {"mixed": ["a", "id-b"]}
    accounts = registry(an_account("a"), an_account("b", kind="business"), an_account("c"), groups=groups)
    assert await in_turn(accounts, 4) == ["a", "b", "a", "b"]
    assert [accounts.group(account) for account in accounts.accounts] == ["mixed", "mixed", "github.com/individual"]
    accounts.regroup({})
    assert await in_turn(accounts, 4) == ["c", "a", "c", "a"]


@pytest.mark.parametrize(
    ("pin", "found"),
    [
        (Pin(group="github.com/business"), ["b", "c", "b"]),
        (Pin(account="c"), ["c"] * 3),
        (Pin(account="id-a"), ["a"] * 3),
    ],
)
async def test_a_pin_is_kept(pin: Pin, found: list[str]) -> None:
    accounts = registry(an_account("a"), an_account("b", kind="business"), an_account("c", kind="business"))
    seen = []
    for _ in found:
        await trio.sleep(1)
        seen.append(await chosen(accounts, pin=pin))
    assert seen == found


async def test_a_pinned_account_that_rests_hands_over_to_nobody() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 600), A_MODEL)
    await fails(accounts, RateLimited, pin=Pin(account="a"))


@pytest.mark.parametrize("pin", [Pin(group="gone"), Pin(account="gone"), Pin(group=""), Pin(account="")])
async def test_a_pin_to_what_there_is_not_is_forbidden(pin: Pin) -> None:
    accounts = registry(an_account("a"))
    await fails(accounts, Forbidden, pin=pin)


async def test_no_account_at_all_is_an_error_with_a_remedy() -> None:
    assert "copilot-trio auth" in str(await fails(registry(), NoAccount))


# ---- what an account offers


async def test_an_account_without_the_model_is_passed_over() -> None:
    accounts = registry(an_account("a", models=[FREE_MODEL]), an_account("b"), an_account("c", models=[FREE_MODEL]))
    assert await in_turn(accounts, 2) == ["b", "b"]
    assert await chosen(accounts, model="gratis") == "a"


async def test_a_model_that_only_a_plan_or_policy_forbids_is_asked_for_elsewhere() -> None:
    forbidden = {**PAID_MODEL, "policy": {"state": "unconfigured"}}
    accounts = registry(an_account("a", models=[forbidden]), an_account("b"))
    assert await chosen(accounts) == "b"


async def test_a_model_that_nobody_offers_is_not_found() -> None:
    accounts = registry(an_account("a", models=[FREE_MODEL]), an_account("b", models=[FREE_MODEL]))
    error = await fails(accounts, ModelNotFound)
    assert "no model is called 'm', in none of the accounts of the group github.com/individual" in str(error)
    assert error.status == 404


async def test_what_rests_may_offer_what_the_others_do_not() -> None:
    accounts = registry(an_account("a", models=[FREE_MODEL]), an_account("b"))
    for _ in range(3):
        accounts.failed(accounts.accounts[1], UpstreamError("reset"))
    assert (await fails(accounts, NoAccount)).retry_after == 60
    assert await chosen(accounts, model="gratis") == "a"


async def test_a_list_that_cannot_be_read_is_that_accounts_alone() -> None:
    broken = UpstreamOverloaded("upstream answered 500", status=500)
    accounts = registry(an_account("a", models=broken), an_account("b"))
    assert await chosen(accounts) == "b"
    alone = registry(an_account("a", models=broken))
    with pytest.raises(UpstreamOverloaded):
        await chosen(alone)


async def test_a_conversation_whose_account_loses_the_model_moves() -> None:
    listed: list[dict[str, object]] = [PAID_MODEL]
    accounts = registry(an_account("a", models=listed), an_account("b"))
    assert await chosen(accounts, conversation="c") == "a"
    listed[:] = [FREE_MODEL]
    await trio.sleep(601)
    assert await chosen(accounts, conversation="c") == "b"


async def test_the_models_of_a_group_are_listed_once_each() -> None:
    forbidden = {**PAID_MODEL, "policy": {"state": "disabled"}}
    accounts = registry(
        an_account("a", models=[forbidden, FREE_MODEL]),
        an_account("b", models=[PAID_MODEL, FREE_MODEL]),
        an_account("c", models=[OTHER_MODEL], kind="business"),
        an_account("d", models=[OTHER_MODEL], status="disabled"),
        an_account("e", models=UpstreamError("no list")),
    )
    assert [(model.id, model.unavailable) for model in await offered(accounts)] == [("m", None), ("gratis", None)]
    assert [model.id for model in await offered(accounts, Pin(account="c"))] == ["other"]
    with pytest.raises(UpstreamError, match="no list"):
        await offered(accounts, Pin(account="e"))


async def test_a_model_is_looked_up_where_it_is_known() -> None:
    accounts = registry(an_account("a", models=[FREE_MODEL]), an_account("b"))
    assert (await look_up(accounts, "m")).id == "m"
    with pytest.raises(ModelNotFound):
        await look_up(accounts, "gone")


# ---- when all rest


async def test_the_soonest_of_two_cooldowns_is_waited_for() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    for account, seconds in zip(accounts.accounts, (25, 20), strict=True):
        accounts.judge(account, refusal(429, "rate_limited", seconds), A_MODEL)
    assert (await chosen(accounts), trio.current_time()) == ("b", 20)


async def test_out_of_reach_the_client_hears_the_soonest_end_and_each_reason() -> None:
    accounts = registry(an_account("a"), an_account("b"), an_account("c", status="disabled"))
    one, two, _ = accounts.accounts
    accounts.judge(one, refusal(429, "user_weekly_rate_limited", 3000, "weekly limit"), A_MODEL)
    accounts.judge(two, refusal(429, "model_overloaded", 400, "crowded"), A_MODEL)
    await trio.sleep(100)
    error = await fails(accounts, RateLimited)
    assert error.retry_after == pytest.approx(300)
    for words in ("a: upstream limits the rate: weekly limit (for 2900 s)", "b: ", "crowded (for 300 s)", "c is dis"):
        assert words in str(error)
    assert trio.current_time() == 100


@pytest.mark.parametrize("code", ["model_overloaded", "rate_limited"])
async def test_a_cooldown_of_one_account_alone_says_how_long(code: str) -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(429, code, 400), A_MODEL)
    error = await fails(accounts, RateLimited)
    assert error.retry_after == 400
    assert "account a is cooling down for 400 s" in str(error)


async def test_waits_do_not_add_up_beyond_the_limit(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"), an_account("b"))
    for account in accounts.accounts:
        accounts.judge(account, refusal(429, "rate_limited", 20), A_MODEL)
    for account in accounts.accounts:
        wake(nursery, 10, partial(accounts.judge, account, refusal(429, "rate_limited", 25), A_MODEL))
    assert (await fails(accounts, RateLimited)).retry_after == pytest.approx(15)
    assert trio.current_time() == 20


async def test_news_of_others_do_not_make_a_wait_longer(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 20), A_MODEL)
    for second in range(1, 20):
        wake(nursery, second, accounts.news)
    assert (await chosen(accounts), trio.current_time()) == ("a", 20)


async def test_a_models_cooldown_is_the_models_alone() -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(429, "model_overloaded", 400), A_MODEL)
    assert accounts.accounts[0].status == "active"
    assert await chosen(accounts, model="other") == "a"
    await fails(accounts, RateLimited)


def comes_back(accounts: Accounts) -> list[Callable[[], object]]:
    first = accounts.accounts[0]
    return [
        lambda: accounts.enable(first),
        lambda: accounts.told(first, left(50)),
        lambda: accounts.add(an_account("new")),
        lambda: accounts.regroup({"mixed": ["a", "elsewhere"]}),
    ]


@pytest.mark.parametrize(("number", "label"), [(0, "a"), (1, "a"), (2, "new"), (3, "elsewhere")])
async def test_an_account_that_comes_back_is_noticed_by_who_waits(
    number: int, label: str, nursery: trio.Nursery
) -> None:
    accounts = registry(an_account("a"), an_account("elsewhere", kind="business"))
    accounts.judge(accounts.accounts[0], refusal(402, "quota_exceeded", 29), A_MODEL)
    wake(nursery, 4, comes_back(accounts)[number])
    assert (await chosen(accounts), trio.current_time()) == (label, 4)


async def test_what_no_waiting_mends_is_not_waited_for() -> None:
    accounts = registry(an_account("a"))
    accounts.accounts[0].rest(20, AccountRejected("revoked"), status="error")
    await fails(accounts, AccountRejected)
    assert trio.current_time() == 0


async def test_who_leaves_while_waiting_leaves_nothing_behind() -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 20), A_MODEL)
    with trio.move_on_after(5):
        await chosen(accounts, conversation="c")
    accounts.news()
    await trio.sleep(20)
    assert await chosen(accounts, conversation="c") == "a"


# ---- quota


async def test_a_used_up_quota_blocks_only_what_costs() -> None:
    accounts = registry(an_account("a", quota=left(0, resets_in=86400)))
    only = accounts.accounts[0]
    accounts.judge(only, refusal(402, "quota_exceeded"), A_MODEL)
    assert statuses(accounts) == ["exhausted"]
    assert await chosen(accounts, model="gratis") == "a"
    error = await fails(accounts, QuotaExhausted)
    assert error.retry_after == pytest.approx(86400)
    await trio.sleep(86400)
    assert await chosen(accounts) == "a"
    assert statuses(accounts) == ["active"]


async def test_a_quota_that_is_used_up_where_nothing_is_charged_blocks_all() -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(402, "quota_exceeded"), FREE)
    await fails(accounts, QuotaExhausted, model="gratis")


async def test_a_quota_that_nobody_knows_the_reset_of_rests_an_hour() -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(402, "quota_exceeded"), A_MODEL)
    assert (await fails(accounts, QuotaExhausted)).retry_after == 3600


@pytest.mark.parametrize(("quota", "status"), [(left(50), "active"), (UNLIMITED, "active"), (left(0), "exhausted")])
async def test_a_quota_that_is_back_ends_the_exhaustion(quota: Quota, status: Status) -> None:
    accounts = registry(an_account("a"))
    only = accounts.accounts[0]
    accounts.judge(only, refusal(402, "quota_exceeded"), A_MODEL)
    accounts.told(only, quota)
    assert only.status == status
    assert not only.quota_doubtful


async def test_a_quota_that_is_back_ends_no_other_rest() -> None:
    accounts = registry(an_account("a"))
    only = accounts.accounts[0]
    accounts.judge(only, refusal(429, "rate_limited", 600), A_MODEL)
    accounts.told(only, left(50))
    assert only.status == "rate_limited"


@pytest.mark.parametrize(("moves", "conversation", "found"), [(True, "c", "b"), (False, "new", "b")])
async def test_a_used_up_quota_moves_a_conversation(*, moves: bool, conversation: str, found: str) -> None:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)), failover_on_quota=moves)
    assert await chosen(accounts, conversation="c") == "a"
    accounts.judge(accounts.accounts[0], refusal(402, "quota_exceeded", 600), A_MODEL)
    assert await chosen(accounts, conversation=conversation) == found


async def test_without_failover_on_quota_a_conversation_stays_and_is_told() -> None:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)), failover_on_quota=False)
    assert await chosen(accounts, conversation="c") == "a"
    accounts.judge(accounts.accounts[0], refusal(402, "quota_exceeded", 600), A_MODEL)
    error = await fails(accounts, QuotaExhausted, conversation="c")
    assert (error.status, error.retry_after) == (429, 600)
    assert await chosen(accounts, conversation="c", model="gratis") == "a"
    accounts.enable(accounts.accounts[0])
    assert await chosen(accounts, conversation="c") == "a"


async def test_what_replies_say_changes_the_order() -> None:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)))
    one, two = accounts.accounts
    assert await chosen(accounts) == "a"
    accounts.heard(one, {"x-quota-snapshot-premium_interactions": "ent=100&ov=0.0&ovPerm=false&rem=40.0"})
    assert await chosen(accounts) == "b"
    accounts.heard(one, {"content-type": "text/plain"})
    assert one.quota is not None
    for _ in range(20):
        accounts.spent(two, A_MODEL, nano_aiu=None, user_initiated=True)
    assert await chosen(accounts) == "a"
    assert two.quota_doubtful


async def test_what_costs_nothing_is_not_taken_off() -> None:
    accounts = registry(an_account("a", quota=left(60)))
    only = accounts.accounts[0]
    accounts.spent(only, FREE, nano_aiu=None, user_initiated=True)
    accounts.spent(only, A_MODEL, nano_aiu=None, user_initiated=False)
    assert only.quota == left(60)


# ---- switched off, refused


@pytest.mark.parametrize(("status", "error"), [("disabled", NoAccount), ("banned", AccountRejected)])
async def test_what_is_switched_off_is_passed_over(status: Status, error: type[ProxyError]) -> None:
    accounts = registry(an_account("a", status=status), an_account("b"))
    assert await in_turn(accounts, 2) == ["b", "b"]
    accounts.accounts[1].change(status=status)
    found = await fails(accounts, error)
    assert f"a is {status}" in str(found)
    assert f"b is {status}" in str(found)


async def test_one_that_is_disabled_and_one_that_is_banned_make_no_account_ready() -> None:
    accounts = registry(an_account("a", status="disabled"), an_account("b", status="banned"))
    assert (await fails(accounts, NoAccount)).status == 503


async def test_a_credential_that_is_refused_bans_its_account_until_a_person_says_otherwise() -> None:
    told: list[tuple[str, str]] = []
    accounts = registry(an_account("a"), an_account("b"))
    accounts.changed.append(lambda account, cause: told.append((account.label, cause)))
    outcome = Outcome(AccountRejected("no permission"), "account", becomes="banned")
    accounts.judge(accounts.accounts[0], outcome, A_MODEL)
    assert (accounts.accounts[0].status, accounts.accounts[0].status_message) == ("banned", "no permission")
    assert told == [("a", "no permission")]
    await trio.sleep(86_000)
    assert await chosen(accounts) == "b"
    accounts.enable(accounts.accounts[0])
    assert await chosen(accounts) == "a"


async def test_a_request_at_fault_has_no_effect() -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(400), A_MODEL)
    assert accounts.accounts[0].cooldowns() == []


async def test_a_feature_that_an_account_lacks_is_sought_elsewhere() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    no_feature = refusal(403, message="not authorized to use this Copilot feature")
    accounts.judge(accounts.accounts[0], no_feature, A_MODEL)
    assert await in_turn(accounts, 2) == ["b", "b"]
    accounts.judge(accounts.accounts[1], no_feature, A_MODEL)
    assert (await fails(accounts, UpstreamRefused)).status == 403
    await trio.sleep(300)
    assert await chosen(accounts) == "a"


# ---- warnings


async def warned(told: list[object]) -> Accounts:
    accounts = registry(an_account("a", quota=left(60)), an_account("b", quota=left(50)))
    accounts.on_paused = lambda account, held: told.append((account.label, held))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.accounts[0].quota = left(40)
    assert await chosen(accounts, conversation="d") == "b"
    accounts.judge(accounts.accounts[0], WARNED, A_MODEL)
    return accounts


async def test_a_warning_stops_the_accounts_conversations_and_no_others() -> None:
    told: list[object] = []
    accounts = await warned(told)
    assert statuses(accounts) == ["banned", "active"]
    assert told == [("a", ("c",))]
    for _ in range(3):
        await fails(accounts, AccountPaused, conversation="c")
        await fails(accounts, AccountPaused, conversation="c", model="gratis")
        assert await chosen(accounts, conversation="d") == "b"
        assert await chosen(accounts, conversation="new") == "b"
        assert await chosen(accounts) == "b"
        await trio.sleep(80_000)  # it does not pass by itself
    accounts.acknowledge(accounts.accounts[0])
    assert statuses(accounts) == ["active", "active"]
    assert await chosen(accounts, conversation="c") in {"a", "b"}


async def test_a_conversation_goes_on_where_it_was_once_the_warning_is_acknowledged() -> None:
    accounts = await warned([])
    accounts.acknowledge(accounts.accounts[0])
    assert await chosen(accounts, conversation="c") == "a"


async def test_a_warning_is_told_once() -> None:
    told: list[object] = []
    accounts = await warned(told)
    accounts.judge(accounts.accounts[0], WARNED, A_MODEL)
    assert len(told) == 1


async def test_enabling_an_account_is_no_acknowledgement() -> None:
    accounts = await warned([])
    accounts.enable(accounts.accounts[0])
    assert accounts.accounts[0].status == "banned"
    await fails(accounts, AccountPaused, conversation="c")


async def test_where_all_are_warned_everybody_is_told() -> None:
    accounts = await warned([])
    accounts.judge(accounts.accounts[1], WARNED, A_MODEL)
    assert (await fails(accounts, AccountPaused)).status == 403
    with pytest.raises(AccountPaused):
        accounts.preferred()


async def test_a_warning_ends_the_wait_of_who_waits_for_that_account(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"))
    accounts.judge(accounts.accounts[0], refusal(429, "rate_limited", 20), A_MODEL)
    wake(nursery, 10, lambda: accounts.judge(accounts.accounts[0], WARNED, A_MODEL))
    await fails(accounts, AccountPaused)


async def test_the_conversations_of_a_removed_account_go_on_elsewhere() -> None:
    accounts = await warned([])
    accounts.remove("id-a")
    assert await chosen(accounts, conversation="c") == "b"


# ---- failures of upstream and the network


async def test_three_failures_in_a_row_rest_an_account_for_a_minute() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    first = accounts.accounts[0]
    for _ in range(2):
        accounts.judge(first, refusal(500), A_MODEL)
    assert statuses(accounts) == ["active", "active"]
    accounts.failed(first, UpstreamError("reset"))
    assert statuses(accounts) == ["error", "active"]
    assert await in_turn(accounts, 3) == ["b"] * 3
    await trio.sleep(60)
    assert await chosen(accounts) == "a"
    assert statuses(accounts) == ["active", "active"]


async def test_a_success_in_between_begins_anew() -> None:
    accounts = registry(an_account("a"))
    for _ in range(3):
        accounts.judge(accounts.accounts[0], refusal(502), A_MODEL)
        accounts.judge(accounts.accounts[0], refusal(502), A_MODEL)
        accounts.succeeded(accounts.accounts[0])
    assert accounts.accounts[0].status == "active"


async def test_a_providers_trouble_is_the_models_and_no_failure_of_the_account() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    for _ in range(5):
        accounts.judge(accounts.accounts[0], refusal(503), A_MODEL)
    assert accounts.accounts[0].status == "active"
    assert await in_turn(accounts, 2) == ["b", "b"]
    await trio.sleep(10)
    assert await chosen(accounts) == "a"


@pytest.mark.parametrize("count", [1, 2])
async def test_when_all_failed_too_often_there_is_no_account(count: int) -> None:
    accounts = registry(*(an_account(f"a{number}") for number in range(count)))
    for account in accounts.accounts:
        for _ in range(3):
            accounts.judge(account, refusal(504), A_MODEL)
    error = await fails(accounts, NoAccount)
    assert (error.status, error.retry_after) == (503, 60)
    await trio.sleep(40)
    assert (await chosen(accounts), trio.current_time()) == ("a0", 60)


async def test_one_that_failed_too_often_may_be_back_before_one_that_is_limited() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    for _ in range(3):
        accounts.failed(accounts.accounts[0], UpstreamError("reset"))
    accounts.judge(accounts.accounts[1], refusal(429, "rate_limited", 3000), A_MODEL)
    assert (await fails(accounts, RateLimited)).retry_after == 60
    await trio.sleep(40)
    assert (await chosen(accounts), trio.current_time()) == ("a", 60)


async def test_a_way_out_that_failed_is_not_tried_again_under_another_name() -> None:
    accounts = registry(
        an_account("a", egress="p"), an_account("b", egress="p"), an_account("c", egress="q", last_used=NOW)
    )
    wanted, course = wants()
    first, _ = await accounts.choose(wanted, course)
    course.leave(first, UpstreamUnreachable("no way"), egress=True)
    second, _ = await accounts.choose(wanted, course)
    assert (first.label, second.label) == ("a", "c")
    course.leave(second, UpstreamUnreachable("none either"), egress=True)
    with pytest.raises(UpstreamUnreachable, match="tried: a: no way; c: none either"):
        await accounts.choose(wanted, course)


async def test_a_model_list_that_cannot_be_reached_takes_its_way_out_along() -> None:
    gone = UpstreamUnreachable("no way")
    accounts = registry(
        an_account("a", egress="p", models=gone), an_account("b", egress="p"), an_account("c", egress="q")
    )
    assert await chosen(accounts) == "c"


async def test_an_account_that_refused_is_not_asked_again() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    wanted, course = wants(conversation="c")
    for label, seconds in (("a", 5), ("b", 900)):
        account, _ = await accounts.choose(wanted, course)
        assert account.label == label
        outcome = refusal(429, "rate_limited", seconds)
        accounts.judge(account, outcome, A_MODEL)
        course.leave(account, outcome.error)
    with pytest.raises(RateLimited) as caught:
        await accounts.choose(wanted, course)
    assert caught.value.retry_after == 5
    assert "a: " in str(caught.value)
    assert "b: " in str(caught.value)
    assert trio.current_time() == 0


# ---- removal, checks


async def test_a_removed_account_ends_what_runs_on_it(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"), an_account("b"))
    wake(nursery, 5, lambda: accounts.remove("id-a"))
    with pytest.raises(UpstreamError, match="account a was removed"):
        with accounts.lease(accounts.accounts[0], A_MODEL, user_initiated=True):
            await trio.sleep_forever()
    assert (trio.current_time(), [account.label for account in accounts.accounts]) == (5, ["b"])
    assert accounts.get("id-a") is None
    with pytest.raises(KeyError):
        accounts.remove("id-a")


async def test_a_conversation_of_a_removed_account_moves() -> None:
    accounts = registry(an_account("a"), an_account("b"))
    assert await chosen(accounts, conversation="c") == "a"
    accounts.remove("id-a")
    assert await chosen(accounts, conversation="c") == "b"


async def test_a_check_waits_for_nothing() -> None:
    accounts = registry(an_account("a"))
    only = accounts.accounts[0]
    accounts.check(only, A_MODEL)
    accounts.judge(only, refusal(429, "model_overloaded", 5), A_MODEL)
    with pytest.raises(RateLimited, match="cooling down for 5 s"):
        accounts.check(only, A_MODEL)
    accounts.check(only, FREE)
    assert trio.current_time() == 0
    accounts.disable(only)
    with pytest.raises(NoAccount, match="a is disabled"):
        accounts.check(only, FREE)
    accounts.judge(only, WARNED, A_MODEL)
    with pytest.raises(AccountPaused):
        accounts.check(only, FREE)


def frames(error: ProxyError) -> int:
    found, trace = 0, error.__traceback__
    while trace is not None:
        found, trace = found + 1, trace.tb_next
    return found


KEPT = [
    Outcome(AccountPaused("warned"), "warning", becomes="banned"),
    Outcome(AccountRejected("revoked"), "account", cooldown=100, becomes="error"),
]


@pytest.mark.parametrize("outcome", KEPT, ids=["warning", "rejection"])
async def test_what_is_kept_of_a_failure_is_never_what_is_raised(outcome: Outcome) -> None:
    accounts = registry(an_account("a"))
    error = outcome.error
    error.headers = [("x-github-request-id", "the first request's")]
    with pytest.raises(type(error)):
        raise error
    accounts.judge(accounts.accounts[0], outcome, A_MODEL)
    raised: list[ProxyError] = []
    for _ in range(5):
        with pytest.raises(type(error)) as caught:
            await chosen(accounts)
        assert caught.value.headers == []
        caught.value.headers.append(("x", "of this request alone"))
        raised.append(caught.value)
    assert len({frames(one) for one in raised}) == 1
    assert len({id(one) for one in [error, *raised]}) == 6


async def test_what_is_shown_of_an_account_is_no_secret() -> None:
    accounts = registry(an_account("a"))
    assert repr(accounts) == "<Accounts [<Account 'a' active, 0 in flight>]>"
    assert "ghu_" not in repr(accounts.accounts[0].record)


async def test_every_change_is_told_with_its_cause() -> None:
    told: list[str] = []
    accounts = registry(an_account("a"))
    only = accounts.accounts[0]
    accounts.changed.append(lambda account, cause: told.append(f"{account.status}: {cause}"))
    acts: list[Callable[[], object]] = [
        lambda: accounts.judge(only, refusal(429, "rate_limited", 9, "slow"), A_MODEL),
        lambda: accounts.judge(only, refusal(429, "model_overloaded", 9, "full"), A_MODEL),
        lambda: accounts.judge(only, refusal(402, "quota_exceeded", 99, "empty"), A_MODEL),
        lambda: accounts.disable(only),
        lambda: accounts.enable(only),
        lambda: accounts.judge(only, WARNED, A_MODEL),
        lambda: accounts.acknowledge(only),
    ]
    for act in acts:
        act()
    assert [entry.partition(":")[0] for entry in told] == [
        "rate_limited", "rate_limited", "exhausted", "disabled", "active", "banned", "active",
    ]  # fmt: skip
    assert all(entry.partition(": ")[2] for entry in told)


async def test_conversations_that_begin_at_once_are_spread() -> None:
    accounts = registry(an_account("a", list_takes=1), an_account("b", list_takes=1))
    found: list[str] = []

    async def begin(number: int) -> None:
        found.append(await chosen(accounts, conversation=f"c{number}"))

    async with trio.open_nursery() as clients:
        for number in range(6):
            clients.start_soon(begin, number)
    assert sorted(found) == ["a"] * 3 + ["b"] * 3


async def test_short_cooldowns_of_ones_own_account_do_not_add_up_to_a_429(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"), an_account("b"))
    assert await chosen(accounts, conversation="c") == "a"
    first = accounts.accounts[0]
    accounts.judge(first, refusal(429, "rate_limited", 5), A_MODEL)
    for second in range(4, 60, 4):
        wake(nursery, second, lambda: accounts.judge(first, refusal(429, "rate_limited", 5), A_MODEL))
    assert await chosen(accounts, conversation="c") == "b"


async def test_what_a_warned_account_had_with_one_model_does_not_move_on(nursery: trio.Nursery) -> None:
    accounts = registry(an_account("a"), an_account("b"))
    one, two = accounts.accounts
    accounts.bind(wants("m", "c")[0], one)
    accounts.bind(wants("other", "c")[0], two)
    accounts.judge(one, WARNED, A_MODEL)
    assert await chosen(accounts, "other", "c") == "b"
    with pytest.raises(AccountPaused):
        await chosen(accounts, "m", "c")
