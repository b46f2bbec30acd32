"""Shorter weeks of the simulation, and a judge that sees what it is there to see."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from simulation_checks import AGAIN, COOLING, COUNTERS, GITHUB, GROUP, INITIATOR, LOST, NEEDLESS, WARNED, Judge, Seat
from simulation_facts import RULES, USER, Asked, Deed, Sent, row_of
from simulation_states import States

from copilot_trio.twin import errors

HERE = Path(__file__).parent
CHAT, PAID, FREE = "/chat/completions", "claude-sonnet-4.5", "gpt-4.1"


@pytest.mark.parametrize("options", ["--seed 1", "--seed 2 --no-failover-on-quota", "--seed 3 --days 1"])
def test_nothing_is_lost_and_nothing_is_sent_twice(options: str) -> None:
    command = [sys.executable, "simulation.py", "--days", "2", "--requests", "260", *options.split()]
    done = subprocess.run(
        command, cwd=HERE, env={**os.environ, "PYTHONPATH": ".."}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    for counter in COUNTERS:
        assert f"       0  {counter}" in done.stdout


def test_the_judge_knows_every_row_of_the_catalogue() -> None:
    assert set(errors.NAMED) == set(RULES)
    for row in errors.NAMED.values():
        assert RULES[row_of(row.status, row.body)].scope == RULES[row.name].scope


def sent(number: int, at: float, login: str, row: str = "", status: int = 200, **more: object) -> Sent:
    said = errors.NAMED[row] if row else None
    fields: dict[str, object] = {
        "path": CHAT, "marker": "ask", "model": PAID, "initiator": "user", "began": at, "over": at,
        "ending": "finished", "body": number, **more,
    }  # fmt: skip
    if said is not None:
        fields |= {"said": said.body.encode(), "status": said.status}
    return Sent(number=number, at=at, login=login, **{"status": status, **fields})  # type: ignore[arg-type]


def asked(at: float, marker: str = "ask", *, over: float | None = None, **more: object) -> Asked:
    fields: dict[str, object] = {"conversation": "c", "pin": "", "model": PAID, "initiator": "user", **more}
    return Asked(marker=marker, at=at, over=at if over is None else over, **fields)  # type: ignore[arg-type]


def judged(calls: list[Sent], requests: list[Asked], *deeds: Deed, failover: bool = True) -> set[str]:
    """The counters that are not 0."""
    seats = [
        Seat("a", "a", "home", "direct", frozenset({PAID, FREE})),
        Seat("b", "b", "home", "direct", frozenset({PAID, FREE})),
        Seat("w", "w", "work", "direct", frozenset({PAID, FREE})),
    ]
    states = States(calls, deeds, [], frozenset({FREE}), 1_790_000_000.0)
    judge = Judge(states, seats, "home", frozenset({FREE}), failover_on_quota=failover)
    judge.judge(requests)
    return {name for name, count in judge.counters.items() if count}


def test_what_is_allowed_is_not_found_fault_with() -> None:
    assert not judged([sent(0, 1, "a")], [asked(1)])
    assert not judged([sent(0, 1, "a", "rate_limited"), sent(1, 4, "b")], [asked(1, over=4)])
    assert not judged([sent(0, 1, "a", "user_request_timeout"), sent(1, 1, "a")], [asked(1)])
    stale = sent(0, 1, "a", status=0, ending="cut", reused=True)
    assert not judged([stale, sent(1, 1, "a")], [asked(1)])
    assert not judged([sent(0, 1, "a", "internal_error")], [asked(1, status=500, failure="upstream_error")])


def test_a_request_that_may_have_run_must_not_be_sent_again() -> None:
    for first in (
        sent(0, 1, "a", "internal_error"),
        sent(0, 1, "a", "overloaded"),
        sent(0, 1, "a", status=0, ending="cut"),
        sent(0, 1, "a", status=0, ending="left"),
        sent(0, 1, "a", ending="cut"),
        sent(0, 1, "a", "invalid_request_body"),
    ):
        assert AGAIN in judged([first, sent(1, 4, "b")], [asked(1, over=4)])
        assert AGAIN in judged([first, sent(1, 4, "a")], [asked(1, over=4)])


def test_a_repair_is_made_once_and_changes_something() -> None:
    thrice = [sent(number, 1, "a", "user_request_timeout") for number in range(3)]
    assert judged(thrice, [asked(1, status=408, failure="x")]) == {AGAIN}
    same = [sent(0, 1, "a", "thinking_signature", body=7), sent(1, 1, "a", body=7)]
    assert judged(same, [asked(1)]) == {AGAIN}
    token = [sent(0, 1, "a", "token_expired", bearer=7), sent(1, 1, "a", bearer=7)]
    assert judged(token, [asked(1)]) == {AGAIN}


def test_a_used_up_quota_keeps_its_conversation_where_the_user_says_so() -> None:
    calls = [sent(0, 1, "a", "quota_exceeded"), sent(1, 4, "b")]
    assert judged(calls, [asked(1, over=4)], failover=False) == {AGAIN}
    assert not judged(calls, [asked(1, over=4)])


def test_a_cooling_account_must_not_be_used() -> None:
    calls = [
        sent(0, 1, "a", "rate_limited", headers={"retry-after": "100"}),
        sent(1, 4, "b"),
        sent(2, 90, "a", marker="next"),
    ]
    assert COOLING in judged(calls, [asked(1, over=4), asked(90, "next")])
    calls[2] = sent(2, 102, "a", marker="next", model=FREE)
    assert COOLING not in judged(calls, [asked(1, over=4), asked(102, "next", model=FREE)])


def test_a_request_that_another_account_could_have_served_is_lost() -> None:
    limited = sent(0, 1, "a", "rate_limited", headers={"retry-after": "100"})
    assert judged([limited], [asked(1, status=429, failure="x")]) == {LOST}
    assert not judged([limited], [asked(1, status=429, failure="x")], Deed(0, "b", "disable"))
    soon = sent(0, 1, "b", "rate_limited", headers={"retry-after": "20"}, marker="before")
    assert LOST in judged([soon, limited], [asked(1, "before"), asked(2, status=429, failure="x")])


def test_a_conversation_moves_for_a_reason() -> None:
    calls = [sent(0, 1, "a"), sent(1, 50, "b", marker="next")]
    assert judged(calls, [asked(1), asked(50, "next")]) == {NEEDLESS}
    assert not judged(calls, [asked(1), asked(50, "next")], Deed(40, "a", "disable"))
    later = [sent(0, 1, "a"), sent(1, 4000, "b", marker="next")]
    assert not judged(later, [asked(1), asked(4000, "next")])


def test_groups_initiators_and_warnings_hold() -> None:
    assert judged([sent(0, 1, "w")], [asked(1)]) == {GROUP}
    assert judged([sent(0, 1, "a", initiator="agent")], [asked(1)]) == {INITIATOR}
    warned = [sent(0, 1, "a", "tos_block"), sent(1, 9, "a", path=USER, marker="")]
    request = asked(1, status=403, failure="account_paused")
    assert judged(warned, [request]) == {WARNED}
    assert not judged(warned, [request], Deed(5, "a", "acknowledge"))


def test_github_is_not_asked_before_it_may_be() -> None:
    limit = {"retry-after": "100"}
    polls = [
        sent(0, 1, "a", path=USER, marker="", status=429, headers=limit),
        sent(1, 50, "a", path=USER, marker=""),
    ]
    assert judged(polls, []) == {GITHUB}
    polls[1].at = 102
    assert not judged(polls, [])
