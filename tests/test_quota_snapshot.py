"""What headers and frames tell of a quota (upstream.md §5.2), and what the twin puts into them."""

from __future__ import annotations

from datetime import datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twin_client import EDITOR, NOW, chat, copilot, decoded, github, new_state

from copilot_trio.accounts.quota import MAX_WINDOWS, Window
from copilot_trio.accounts.quota_snapshot import HEADERS, KEYS, moment, number, parse_headers, parse_snapshots
from copilot_trio.accounts.quota_user import parse_user
from copilot_trio.twin import Account, sample_accounts
from copilot_trio.twin.github import QuotaSnapshot

JULY = datetime.fromisoformat("2026-07-01T00:00:00Z").timestamp()
UNLIMITED = "ent=-1&ov=0.0&ovPerm=false&rem=100.0&rst=2026-07-01T00%3A00%3A00Z&totRem=-1"
PREMIUM = "ent=4000&ov=0.0&ovPerm=true&rem=95.7&rst=2026-07-01T00%3A00%3A00Z&totRem=3830.1"
SESSION = "ent=0&ov=0.0&ovPerm=false&rem=5.7&rst=2026-04-21T06%3A35%3A37Z"
LANE = "x-quota-snapshot-premium_interactions"


def test_the_usual_three_headers() -> None:
    headers = {
        "content-type": "text/event-stream",
        "x-quota-snapshot-chat": UNLIMITED,
        "x-quota-snapshot-completions": UNLIMITED,
        LANE: PREMIUM,
    }
    assert parse_headers(headers) == (
        Window(
            name="premium", entitlement=4000, remaining=3830.1, percent_remaining=95.7, overage_permitted=True,
            resets_at=JULY,
        ),
        Window(name="chat", percent_remaining=100, unlimited=True, resets_at=JULY),
        Window(name="completions", percent_remaining=100, unlimited=True, resets_at=JULY),
    )  # fmt: skip


def test_no_headers_tell_nothing() -> None:
    assert parse_headers({"content-type": "text/event-stream"}) == ()


def test_rate_limits_are_told_by_their_share_alone() -> None:
    session, weekly = parse_headers({"x-usage-ratelimit-session": SESSION, "x-usage-ratelimit-weekly": "ent=0&rem=0.0"})
    reset = datetime.fromisoformat("2026-04-21T06:35:37Z").timestamp()
    assert session == Window(name="session", percent_remaining=5.7, resets_at=reset)
    assert weekly == Window(name="weekly", percent_remaining=0)
    assert weekly.used_up
    assert parse_headers({"x-usage-ratelimit-weekly": "ent=0&rem=0.0&totRem=0"}) == (weekly,)


def test_premium_models_win_over_premium_interactions() -> None:
    headers = {LANE: PREMIUM, "x-quota-snapshot-premium_models": "ent=300&rem=50.0"}
    assert parse_headers(headers) == (Window(name="premium", entitlement=300, remaining=150, percent_remaining=50),)
    headers["x-quota-snapshot-premium_models"] = "garbage"
    assert [window.entitlement for window in parse_headers(headers)] == [4000]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("ent=300&rem=-15.0&ov=45.0&ovPerm=true&totRem=-45.0",
         Window(name="premium", entitlement=300, remaining=-45, percent_remaining=-15, overage_permitted=True,
                overage_count=45)),
        ("ent=300&rem=10.0", Window(name="premium", entitlement=300, remaining=30, percent_remaining=10)),
        ("ent=300&totRem=75", Window(name="premium", entitlement=300, remaining=75, percent_remaining=25)),
        ("rem=40", Window(name="premium", percent_remaining=40)),
        ("totRem=1&ent=2&new=%F0%9F%8C%8D&x", Window(name="premium", entitlement=2, remaining=1, percent_remaining=50)),
        ("ent=300&rem=10.0&ov=-3&rst=soon",
         Window(name="premium", entitlement=300, remaining=30, percent_remaining=10)),
        ("ent=300&rem=1&rst=2026-07-01T02%3A00%3A00%2B02%3A00",
         Window(name="premium", entitlement=300, remaining=3, percent_remaining=1, resets_at=JULY)),
        ("ent=-1", Window(name="premium", percent_remaining=100, unlimited=True)),
    ],
    ids=["overage", "older", "no share", "share only", "unknown fields", "odd values", "a zone", "unlimited"],
)  # fmt: skip
def test_a_header(value: str, expected: Window) -> None:
    assert parse_headers({LANE: value}) == (expected,)


@pytest.mark.parametrize(
    "value",
    ["", "&&==&", "ent", "ent=300", "totRem=5", "ent=x&rem=y", "ent=300&rem=nan", "ent=0&rem=0.0",
     "ent=0&rem=100.0&totRem=0", "ent=300&rem=1e300", "ent=300&rem=50&x=" + "y" * 1000],
)  # fmt: skip
def test_a_header_that_tells_nothing_spoils_no_other(value: str) -> None:
    windows = parse_headers({LANE: value, "x-quota-snapshot-chat": UNLIMITED})
    assert [window.name for window in windows] == ["chat"]


SNAPSHOTS = {
    "premium_interactions": {
        "entitlement": "300", "overage_count": 2, "overage_permitted": True, "percent_remaining": 16.2,
        "reset_date": "2026-07-01T00:00:00Z",
    },
    "chat": {"entitlement": "-1", "percent_remaining": 100, "reset_date": "2026-07-01T00:00:00Z"},
    "5Hour-Session-RateLimits": {"entitlement": "0", "percent_remaining": 93.6, "reset_date": "2026-05-20T02:20:35Z"},
    "Weekly-Session-RateLimits": {"entitlement": "0", "percent_remaining": 77.9},
}  # fmt: skip


def test_a_frames_snapshots() -> None:
    windows = {window.name: window for window in parse_snapshots(msgspec.json.encode(SNAPSHOTS))}
    premium = windows["premium"]
    assert (premium.entitlement, premium.percent_remaining, premium.overage_count) == (300, 16.2, 2)
    assert premium.remaining == pytest.approx(48.6)
    assert (premium.overage_permitted, premium.resets_at) == (True, JULY)
    assert windows["chat"].unlimited
    assert {name: windows[name].percent_remaining for name in ("session", "weekly")} == {
        "session": 93.6,
        "weekly": 77.9,
    }
    assert parse_snapshots(SNAPSHOTS) == tuple(windows.values())


def test_premium_chat_requests_are_premium() -> None:
    snapshot = {"entitlement": "300", "percent_remaining": 0}
    (window,) = parse_snapshots({"premium-chat-requests": snapshot})
    assert (window.name, window.used_up) == ("premium", True)
    both = parse_snapshots(
        {"premium-chat-requests": snapshot, "premium_models": {"entitlement": 10, "percent_remaining": 9}}
    )
    assert [(window.name, window.percent_remaining) for window in both] == [("premium", 9)]


def test_an_unknown_key_keeps_its_name_and_junk_is_passed_over() -> None:
    junk: dict[str, object] = {
        "a": 1,
        "b": None,
        "c": [],
        "d": {},
        "e": {"entitlement": "x"},
        "": {"percent_remaining": 1},
        "f" * 65: {"percent_remaining": 1},
    }
    windows = parse_snapshots({**junk, "completions": {"percent_remaining": 40}, "g": {"percent_remaining": "3"}})
    assert [(window.name, window.percent_remaining) for window in windows] == [("completions", 40), ("g", 3)]


@pytest.mark.parametrize("value", [b"", b"[]", b"null", b"\xff", b"{" * 100_000, b'{"chat":' + b"[" * 100_000])
def test_what_is_no_map_tells_nothing(value: bytes) -> None:
    assert parse_snapshots(value) == ()


def test_ten_thousand_snapshots_are_a_few_windows_and_premium_among_them() -> None:
    junk: dict[str, object] = {f"key_{number}": {"percent_remaining": 1} for number in range(10_000)}
    windows = parse_snapshots({**junk, **SNAPSHOTS})
    assert len(windows) == MAX_WINDOWS
    assert windows[0].name == "premium"


ANY = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["entitlement", "percent_remaining", "reset_date", "x"]), inner, max_size=4),
    ),
    max_leaves=10,
)


@given(value=st.dictionaries(st.one_of(st.sampled_from([*KEYS, "chat"]), st.text(max_size=5)), ANY, max_size=5))
def test_snapshots_are_total_and_finite(value: dict[str, object]) -> None:
    check(parse_snapshots(value))


PAIRS = st.tuples(
    st.sampled_from(["ent", "rem", "totRem", "ov", "ovPerm", "rst", "x", ""]),
    st.one_of(
        st.floats().map(str),
        st.integers().map(str),
        st.sampled_from(["2026-07-01", "true", "%FF%"]),
        st.text(max_size=5),
    ),
).map("=".join)


@given(headers=st.dictionaries(st.sampled_from(list(HEADERS)), st.lists(PAIRS, max_size=7).map("&".join), max_size=6))
def test_headers_are_total_and_finite(headers: dict[str, str]) -> None:
    check(parse_headers(headers))


def check(windows: tuple[Window, ...]) -> None:
    assert msgspec.json.decode(msgspec.json.encode(windows), type=tuple[Window, ...]) == windows
    assert len({window.name for window in windows}) == len(windows)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, 3), (-1.5, -1.5), ("240", 240), (" 7 ", 7), ("", None), ("1,5", None), ("nan", None), ("-inf", None),
     (True, None), (None, None), ([1], None), (10**400, None), ("9" * 5000, None), (float("inf"), None), (2e15, None)],
)  # fmt: skip
def test_a_number(value: object, expected: float | None) -> None:
    assert number(value) == expected


@pytest.mark.parametrize("value", ["", " ", "garbage", "2026-13-01", "0000-00-00", 0, 1_790_000_000, None, "\ud800"])
def test_what_is_no_moment(value: object) -> None:
    assert moment(value) is None


@pytest.mark.parametrize(
    "value", ["2026-07-01", "2026-07-01T00:00:00", "2026-07-01T00:00:00.000Z", "2026-07-01T02:00+02:00"]
)
def test_a_moment(value: str) -> None:
    assert moment(value) == JULY


def test_the_ends_of_time_are_moments() -> None:
    assert [moment(value) is not None for value in ("0001-01-01T00:00+23:59", "9999-12-31T23:59-23:59")] == [True, True]


@pytest.mark.parametrize("account", sample_accounts(), ids=lambda account: account.login)
def test_the_twins_headers_and_frames_tell_what_its_user_reply_tells(account: Account) -> None:
    state = new_state(accounts=[account])
    told = {
        window.name: window
        for window in parse_user(github(state, "/copilot_internal/user", token=account.token).body, NOW).windows
    }
    token = decoded(github(state, "/copilot_internal/v2/token", token=account.token))["token"]
    reply = copilot(state, "/chat/completions", chat("hi"), token=token, headers=EDITOR).reply
    windows = parse_headers({name.lower(): value for name, value in reply.headers})
    assert [window.name for window in windows] == ["premium", "chat", "completions"]
    for window in windows:
        same_as(window, told[window.name])
    framed = parse_snapshots(msgspec.json.encode(QuotaSnapshot.of(sample(account.login)).body(NOW)))
    assert [window.name for window in framed] == ["premium", "chat"]
    for window in framed:
        same_as(window, told[window.name])


def sample(login: str) -> Account:
    """As it was before it was charged for anything."""
    return next(account for account in sample_accounts() if account.login == login)


def same_as(window: Window, other: Window) -> None:
    """The share is rounded to a tenth in replies."""
    assert window.percent_remaining == pytest.approx(other.percent_remaining, abs=0.06)
    assert window.remaining == (None if other.remaining is None else pytest.approx(other.remaining, rel=0.002))
    assert (window.unlimited, window.overage_permitted, window.entitlement, window.resets_at) == (
        other.unlimited, other.overage_permitted, other.entitlement, other.resets_at,
    )  # fmt: skip


def test_the_twins_overage_is_told() -> None:
    account = Account(login="o", id=1, token="ghu_SYNTHETICo", entitlement=300, remaining=10, overage_permitted=True)
    account.charge(40)
    (premium, *_) = parse_headers(dict(QuotaSnapshot.of(account).headers(NOW)))
    assert (premium.percent_remaining, premium.remaining, premium.overage_count) == (-10, 0, 30)
    assert not premium.used_up
