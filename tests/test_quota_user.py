"""Every payload of systems.md §4 under its number, and what the twin answers."""

from __future__ import annotations

import contextlib
import json
from datetime import datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_client import NOW, github, new_state

from copilot_trio.accounts.quota import MAX_WINDOWS, Quota, Window
from copilot_trio.accounts.quota_user import QuotaUnreadable, parse_user
from copilot_trio.twin import Account, free_account

JSON = dict[str, Any]

TBB: JSON = {"token_based_billing": True}
EMPTY: JSON = {"entitlement": 0, "remaining": 0, "percent_remaining": 100}
UNLIMITED: JSON = {"entitlement": 0, "remaining": 0, "unlimited": True}
RESET_2025 = "2025-02-01T00:00:00Z"


def s(
    e: object = ..., r: object = ..., p: object = ..., *, u: object = ..., c: object = ..., quota_id: object = ...
) -> JSON:
    """A snapshot in the table's shorthand; what is not named is absent."""
    named = {
        "entitlement": e,
        "remaining": r,
        "percent_remaining": p,
        "unlimited": u,
        "credits_used": c,
        "quota_id": quota_id,
    }
    return {key: value for key, value in named.items() if value is not ...}


def q(premium: object = ..., **others: object) -> JSON:
    """``Q{…}``: ``quota_snapshots`` with ``premium_interactions`` first."""
    first = {} if premium is ... else {"premium_interactions": premium}
    return {"quota_snapshots": {**first, **others}}


def ml(monthly: JSON | None, limited: JSON | None) -> JSON:
    """``M{…} L{…}``."""
    both = {"monthly_quotas": monthly, "limited_user_quotas": limited}
    return {key: value for key, value in both.items() if value is not None}


def quota_of(payload: object) -> Quota:
    return parse_user(json.dumps(payload).encode(), NOW)


def used(window: Window | None) -> float | None:
    """The table's columns: the share used, None where there is no finite window."""
    return None if window is None or window.unlimited else window.used_percent


def premium_used(quota: Quota) -> float | None:
    """Column P. Completions, which upstream's program shows as premium, have a window of their own here."""
    found = used(quota.window("premium"))
    return used(quota.window("completions")) if found is None else found


SEED_3 = {
    "login": "octo-dev", "copilot_plan": "individual_pro", "access_type_sku": "plus_monthly_subscriber_quota",
    "quota_reset_date": "2026-03-01", "quota_reset_date_utc": "2026-03-01T00:00:00.000Z",
    **q(
        {**s(1500, 1054, 70.28, u=False), "quota_remaining": 1054.25, "overage_permitted": True, "overage_count": 0},
        chat=s(0, 0, 100.0, u=True), completions=s(0, 0, 100.0, u=True),
    ),
}  # fmt: skip
SEED_2_FREE = {
    "copilot_plan": "individual", "access_type_sku": "free_limited_copilot", "limited_user_reset_date": "2026-02-28",
    **ml({"chat": 500, "completions": 4000}, {"chat": 450, "completions": 3500}),
}  # fmt: skip
MIXED = ml({"chat": "500", "completions": 300}, {"chat": 125, "completions": "75"})
DIRECT_CHAT = q(chat=s(200, 75, 37.5))
SPENT = s(0, 0, 100, c=31)  # a placeholder with a count of credits
UNLIMITED_SPENT = s(0, 0, 100.0, u=True, c=31)

# number: payload, P, S, reset, credits. None is the table's dash.
ROWS: dict[str, tuple[JSON, float | None, float | None, str | None, float | None]] = {
    "1": (
        {"copilot_plan": "free", "quota_reset_date": "2025-02-01", "assigned_date": "2025-01-01",
         **q(s(500, 450, 90), chat=s(300, 150, 50))},
        10, 50, RESET_2025, None,
    ),
    "2": (
        {"assigned_date": "2025-01-01", "quota_reset_date": "2025-02-01", **DIRECT_CHAT},
        None, 62.5, RESET_2025, None,
    ),
    "3": (DIRECT_CHAT, None, 62.5, None, None),
    "4": ({"assigned_date": "", "quota_reset_date": "", **DIRECT_CHAT}, None, 62.5, None, None),
    "5": (MIXED, 75, 75, None, None),
    "7": (ml({"chat": 500, "completions": 300}, {"completions": 60}), 80, None, None, None),
    "8": (
        {**DIRECT_CHAT, **ml({"chat": 500, "completions": 300}, {"chat": 125, "completions": 60})},
        80, 62.5, None, None,
    ),
    "9": (q(mystery_bucket=s(100, 40, 40)), None, 60, None, None),
    "10": (q({}, mystery_bucket=s(100, 40, 40)), None, 60, None, None),
    "11": (q(chat=s(120, 30)), None, 75, None, None),
    "12": (q(s(500, -75, -15)), 115, None, None, None),
    "13": (q(chat=s(500, -75)), None, 115, None, None),
    "16": ({**q(chat=s(120)), **ml({"chat": 400}, {"chat": 100})}, None, 75, None, None),
    "17": ({**q(chat=s(r=30)), **ml({"chat": 400}, {"chat": 100})}, None, 75, None, None),
    "19": ({"copilot_plan": "business", **TBB, **q(EMPTY, chat=EMPTY, completions=EMPTY)}, None, None, None, None),
    "20": (
        {"copilot_plan": "business", "quota_reset_date": "2026-09-01", **TBB,
         **q(SPENT, chat=s(0, 0, 100, c=0), completions=EMPTY)},
        None, None, "2026-09-01T00:00:00Z", 31,
    ),
    "21": ({"copilot_plan": "individual", **q(s(200, 191, 95.5), chat_messages=UNLIMITED)}, 4.5, None, None, None),
    "22": (q(chat=s(0, 0, 0, u=True)), None, None, None, None),
    "23": (
        {"copilot_plan": "individual", "quota_reset_date": "2026-07-01", **q(chat_messages=UNLIMITED)},
        None, None, "2026-07-01T00:00:00Z", None,
    ),
    "24": (
        {"quota_reset_date": "2026-08-01T00:00:00Z", **q(s(200, 156.2, 78.1), chat_messages=s(u=True))},
        21.9, None, "2026-08-01T00:00:00Z", None,
    ),
    "25": ({**q(chat_messages=UNLIMITED), **ml({"chat": 100}, {"chat": 60})}, None, 40, None, None),
    "26": (
        {"quota_reset_date": "2026-07-01", **q(s(500, 125, 25), chat=s(300, 240, 80))},
        75, 20, "2026-07-01T00:00:00Z", None,
    ),
    "27": (
        {"quota_reset_date": "2026-09-01", **TBB, **q(UNLIMITED_SPENT, chat=s(0, 0, 100.0, u=True, c=0))},
        None, None, "2026-09-01T00:00:00Z", 31,
    ),
    "28": ({**TBB, **ml({"completions": 300}, {"completions": 75}), **q(SPENT)}, 75, None, None, 31),
    "29": (
        {**TBB, **ml({"completions": 300}, {"completions": 75}), **q(UNLIMITED_SPENT, chat=s(u=True, c=0))},
        75, None, None, 31,
    ),
    "30": ({**TBB, **q(SPENT)}, None, None, None, 31),
    "31": ({"copilot_plan": "business", **q(chat=s(p=40))}, None, 60, None, None),
    "32, beside a chat": (q(s(0, 0, 100), chat=s(p=40)), None, 60, None, None),
    "33": (q(s(500, 0, 0)), 100, None, None, None),
    "34": ({"quota_reset_date": "2026-07-01", **q(s(500, 125, 25))}, 75, None, "2026-07-01T00:00:00Z", None),
    "35": (q(s(0, 0, 0, u=True)), None, None, None, None),
    "36": ({"copilot_plan": "pro", **q(s(300, 240, 80, quota_id="premium"))}, 20, None, None, None),
    "40": (SEED_3, 29.72, None, "2026-03-01T00:00:00Z", None),
    "42": (
        {"quota_reset_date": "2025-02-01T00:00:00Z",
         **q(s(1000, 755, 75.5), chat=s(0, 0, 0, u=True), completions=s(0, 0, 0, u=True))},
        24.5, None, RESET_2025, None,
    ),
    "44": (TBB, None, None, None, None),
    "47": (q(UNLIMITED_SPENT, chat=s(50, 25)), None, 50, None, 31),
    "48": (q(s("300", "240", "80")), 20, None, None, None),
    "49, null": (q(s(300, 200, None)), 33.3333, None, None, None),
    "49, text": (q(s(300, 200, "abc")), 33.3333, None, None, None),
    "50": (q(None, chat=s(50, 25)), None, 50, None, None),
    "53": (q(chat=s(0, p=100)), None, 0, None, None),
    "54": (q(chat=s(100, 150, 150)), None, 0, None, None),
    "55": (q(s(300, -30)), 110, None, None, None),
    "56, over": (ml({"chat": 50}, {"chat": 60}), None, 0, None, None),
    "56, under": (ml({"chat": 50}, {"chat": -5}), None, 100, None, None),
    "58": (q(completions=s(4000, 1000, 25)), 75, None, None, None),
    "59": (q(code_review=s(50, 10, 20)), 80, None, None, None),
    "60": (q(chat=s(50, 25), completions=s(2000, 1000)), 50, 50, None, None),
    "61": (q(s(0, 0, 100), completions=s(2000, 500, 25), chat=s(50, 10, 20)), 75, 80, None, None),
    "62": (q(chat=s(u=True), completions=s(u=True)), None, None, None, None),
    "64": (q(foo=s(u="true"), bar=s(10, 5)), None, 50, None, None),
    "67, garbage": ({"quota_reset_date": "garbage", **DIRECT_CHAT}, None, 62.5, None, None),
    "67, blank": ({"quota_reset_date": " ", **DIRECT_CHAT}, None, 62.5, None, None),
    "67, exact": (
        {"quota_reset_date": "2026-07-01T08:30:45Z", **DIRECT_CHAT},
        None, 62.5, "2026-07-01T08:30:45Z", None,
    ),
    "67, fraction": (
        {"quota_reset_date": "2026-07-01T08:30:45.123Z", **DIRECT_CHAT},
        None, 62.5, "2026-07-01T08:30:45.123Z", None,
    ),
    "67, day": ({"quota_reset_date": "2026-07-01", **DIRECT_CHAT}, None, 62.5, "2026-07-01T00:00:00Z", None),
    # Where we mean to differ from the table, as it advises.
    "41, the free plan's own reset": (SEED_2_FREE, 12.5, 10, "2026-02-28T00:00:00Z", None),
    "45, credits are kept, so it is no error": (q(SPENT), None, None, None, 31),
    "46, credits are kept beside a lane": (q(SPENT, chat=s(50, 25)), None, 50, None, 31),
    "65, an entitlement of -1 is unlimited": (q(s(-1, 0, 100)), None, None, None, None),
    "66, an entitlement of -1 is unlimited": (q(s(-1, 0)), None, None, None, None),
}  # fmt: skip

ERRORS: dict[str, object] = {
    "6": ml({"chat": 500, "completions": 300}, None),
    "14": q(chat=s(r=30)),
    "15": q(chat=s(120)),
    "18": ml({"chat": 0}, {"chat": 0}),
    "32": q(s(0, 0, 100)),
    "43, empty": {},
    "43, plan": {"copilot_plan": "free"},
    "43, no snapshots": {"quota_snapshots": {}},
    "43, null": {"quota_snapshots": None},
    "51": q(s(0, 0, 0)),
    "52": q(chat=s(0, 5)),
    "57": ml(None, {"chat": 25}),
    "63": q(s(1, 1, u="true")),
    "a wrong plan": {**DIRECT_CHAT, "copilot_plan": 3},
    "a wrong billing": {**DIRECT_CHAT, "token_based_billing": "true"},
    "a wrong quota_id": q(s(300, 240, quota_id=7)),
    "a known key that is no object": q(5),
    "snapshots that are a list": {"quota_snapshots": [s(300, 240)]},
    "a list": [DIRECT_CHAT],
    "a text": "copilot",
}


def seconds(text: str | None) -> float | None:
    return None if text is None else datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("number", ROWS)
def test_a_payload_of_the_table(number: str) -> None:
    payload, premium, chat, reset, credits_used = ROWS[number]
    quota = quota_of(payload)
    assert premium_used(quota) == (None if premium is None else pytest.approx(premium, abs=1e-4))
    assert used(quota.window("chat")) == (None if chat is None else pytest.approx(chat, abs=1e-4))
    assert quota.resets_at == seconds(reset)
    assert quota.credits_used == credits_used
    assert quota.plan == payload.get("copilot_plan", "unknown")
    assert (quota.source, quota.read_at) == ("user", NOW)
    assert all(window.resets_at == quota.resets_at for window in quota.windows)
    assert quota.token_billing is ("token_based_billing" in payload)


@pytest.mark.parametrize("number", ERRORS)
def test_a_payload_that_tells_no_quota(number: str) -> None:
    with pytest.raises(QuotaUnreadable):
        quota_of(ERRORS[number])


def test_the_tables_rows_are_all_here() -> None:
    here = {int(number.split(",")[0]) for number in [*ROWS, *ERRORS] if number[0].isdigit()}
    assert here == {*range(1, 37), *range(40, 68)}


@pytest.mark.parametrize(
    ("number", "name", "used_up"),
    [
        ("12", "premium", True),
        ("22", "chat", False),
        ("33", "premium", True),
        ("35", "premium", False),
        ("42", "chat", False),
    ],
)
def test_nothing_left_is_used_up_and_unlimited_is_not(number: str, name: str, used_up: bool) -> None:
    window = quota_of(ROWS[number][0]).window(name)
    assert window is not None
    assert window.used_up is used_up


def test_amounts_are_carried() -> None:
    premium = quota_of(SEED_3).window("premium")
    assert premium == Window(
        name="premium",
        entitlement=1500,
        remaining=1054.25,  # not its floor
        percent_remaining=70.28,
        overage_permitted=True,
        resets_at=seconds("2026-03-01T00:00:00Z"),
    )
    assert quota_of(SEED_3).sku == "plus_monthly_subscriber_quota"


def test_overage_is_carried() -> None:
    snapshot = {**s(300, 0, -4.0), "overage_permitted": True, "overage_count": 12}
    window = quota_of(q(snapshot)).window("premium")
    assert window is not None
    assert (window.overage_count, window.percent_remaining, window.used_up) == (12, -4, False)


def test_what_the_table_says_of_amounts() -> None:
    completions = quota_of(MIXED).window("completions")  # row 5
    assert completions is not None
    assert (completions.entitlement, completions.remaining, completions.percent_remaining) == (300, 75, 25)
    chat = quota_of(ROWS["16"][0]).window("chat")
    assert chat is not None
    assert (chat.entitlement, chat.remaining, chat.percent_remaining) == (400, 100, 25)


def test_unlimited_windows_are_kept() -> None:
    windows = {window.name: window.unlimited for window in quota_of(SEED_3).windows}
    assert windows == {"premium": False, "chat": True, "completions": True}
    assert [window.name for window in quota_of(ROWS["21"][0]).windows] == ["premium", "chat"]  # under chat_messages
    minus_one = quota_of(q(s(-1, 0))).window("premium")  # rows 65, 66
    assert minus_one == Window(name="premium", percent_remaining=100, unlimited=True)


def test_free_completions_are_not_called_premium() -> None:
    assert [window.name for window in quota_of(SEED_2_FREE).windows] == ["chat", "completions"]


def test_what_no_lane_needs_keeps_its_own_key() -> None:
    quota = quota_of(q(s(300, 240), code_review=s(50, 10), **{"": s(1, 1), "x" * 65: s(1, 1)}))
    assert [window.name for window in quota.windows] == ["premium", "code_review"]


def test_an_unreadable_reset_leaves_the_next_key_its_turn() -> None:
    payload = {**DIRECT_CHAT, "quota_reset_date": 0, "quota_reset_date_utc": "2026-07-01T00:00:00.000Z"}
    assert quota_of(payload).resets_at == seconds("2026-07-01T00:00:00Z")


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>Unicorn</html>", b'{"quota_snapshots": NaN}', b"\xff\xfe", b'{"copilot_plan":' + b"[" * 100_000],
)
def test_what_is_no_json(body: bytes) -> None:
    with pytest.raises(QuotaUnreadable):
        parse_user(body, NOW)


@pytest.mark.parametrize("number", ["1e999", "-1e308", "1" * 400, '"nan"', '"Infinity"', "true", "[]", '{"a": 1}'])
def test_a_number_that_is_none_is_absent(number: str) -> None:
    body = f'{{"quota_snapshots": {{"chat": {{"entitlement": 120, "remaining": 30, "percent_remaining": {number}}}}}}}'
    try:
        quota = parse_user(body.encode(), NOW)
    except QuotaUnreadable:
        assert number == "1e999"  # not JSON to the decoder
    else:
        assert used(quota.window("chat")) == 75


def test_ten_thousand_keys_are_a_few_windows_and_the_known_ones_among_them() -> None:
    junk = {f"key_{number}": s(10, 5) for number in range(10_000)}
    quota = quota_of({"quota_snapshots": {**junk, "premium_interactions": s(300, 240)}, **MIXED})
    assert len(quota.windows) == MAX_WINDOWS
    assert (used(quota.window("premium")), used(quota.window("chat"))) == (20, 75)


NUMBERS = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0, -1, 1e-300]))
VALUES = st.one_of(st.none(), st.booleans(), NUMBERS, NUMBERS.map(str), st.text(max_size=12), st.just("2026-07-01"))
FIELDS = st.sampled_from(
    ["entitlement", "remaining", "quota_remaining", "percent_remaining", "unlimited", "credits_used", "overage_count"]
)
LANES = st.one_of(
    st.sampled_from(["premium_interactions", "chat", "completions", "code", "premium"]), st.text(max_size=8)
)
OBJECTS = st.dictionaries(FIELDS, st.one_of(VALUES, NUMBERS), max_size=7)
PAYLOADS = st.fixed_dictionaries(
    {},
    optional={
        "quota_snapshots": st.one_of(VALUES, st.dictionaries(LANES, st.one_of(VALUES, OBJECTS, OBJECTS), max_size=5)),
        "monthly_quotas": st.one_of(VALUES, st.dictionaries(LANES, VALUES, max_size=3)),
        "limited_user_quotas": st.one_of(VALUES, st.dictionaries(LANES, VALUES, max_size=3)),
        "quota_reset_date": VALUES,
        "limited_user_reset_date": VALUES,
        "copilot_plan": VALUES,
        "token_based_billing": VALUES,
    },
)


@given(payload=st.one_of(PAYLOADS, VALUES))
def test_whatever_comes_is_a_quota_or_unreadable(payload: object) -> None:
    try:
        quota = quota_of(payload)
    except QuotaUnreadable:
        return
    assert len({window.name for window in quota.windows}) == len(quota.windows) <= MAX_WINDOWS
    assert msgspec.json.decode(msgspec.json.encode(quota), type=Quota) == quota  # finite, so that it can be stored


@given(body=st.binary(max_size=60))
def test_any_bytes_are_a_quota_or_unreadable(body: bytes) -> None:
    with contextlib.suppress(QuotaUnreadable):
        parse_user(body, NOW)


@pytest.mark.parametrize("token_billing", [False, True])
@pytest.mark.parametrize("overage_permitted", [False, True])
@pytest.mark.parametrize("plan", ["individual", "individual_pro", "business", "enterprise"])
def test_what_the_twin_answers(plan: Any, overage_permitted: bool, token_billing: bool) -> None:
    account = Account(
        login="octo-a", id=1, token="ghu_SYNTHETICa", plan=plan, entitlement=300, remaining=0.5,
        token_billing=token_billing, overage_permitted=overage_permitted,
    )  # fmt: skip
    state = new_state(accounts=[account])
    quota = parse_user(github(state, "/copilot_internal/user", token=account.token).body, NOW)
    assert (quota.plan, quota.sku, quota.token_billing) == (plan, account.sku, token_billing)
    assert {window.name: window.unlimited for window in quota.windows} == {
        "premium": False, "chat": True, "completions": True,
    }  # fmt: skip
    account.charge(30.5)
    premium = parse_user(github(state, "/copilot_internal/user", token=account.token).body, NOW).window("premium")
    assert premium is not None
    assert (premium.remaining, premium.overage_count, premium.used_percent) == (0, 30, 110)
    assert premium.used_up is not overage_permitted
    assert premium.resets_at == seconds("2026-10-01T00:00:00Z")


def test_what_the_twin_answers_for_the_free_plan() -> None:
    account = free_account()
    reply = github(new_state(accounts=[account]), "/copilot_internal/user", token=account.token)
    quota = parse_user(reply.body, NOW)
    assert {window.name: window.remaining for window in quota.windows} == {"chat": 450, "completions": 3500}
    assert quota.resets_at == seconds("2026-10-01T00:00:00Z")
