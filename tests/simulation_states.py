"""What each account was known to be, over time: from what upstream had answered on it and what people had done.

Everything that the specification leaves open has two bounds: *surely* unusable, which forbids sending, and *possibly*
unusable, which excuses not sending.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from functools import partial

import msgspec
from simulation_facts import (
    HOUR,
    LIST_AGE,
    MODEL_PATHS,
    MODELS,
    MONTH_END,
    REFUSED_TOKEN,
    TOKEN,
    UNCOUNTED,
    UNLISTED,
    USER,
    Deed,
    Dialled,
    Rule,
    Sent,
    retry_after,
    rule_of,
    window_ends,
)

ALL, PAID, GITHUB_ALONE = "", "$paid", "$github"
TICK = 1e-6
FAILURES, ERROR_REST = 3, 60.0
EVER = float("inf")
RECONNECTING = 20.0  # seconds: more than a dial may take


class Rest(msgspec.Struct):
    """``sure`` is until when it must not be used, ``maybe`` until when it need not be."""

    start: float
    sure: float
    maybe: float
    key: str
    cause: str
    waited_for: bool = True  # a limit, which ends by itself, and not an error
    planned: float = EVER  # until when, by all that was known at its start

    def covers(self, model: str, free: bool) -> bool:
        return self.key in {ALL, model} or (self.key == PAID and not free)


class State:
    """One account's, over time."""

    def __init__(self) -> None:
        self.rests: list[Rest] = []
        self.off: list[Rest] = []
        self.streak: list[bool] = []  # failures since the last success, each whether it surely counts

    def rest(
        self, start: float, seconds: float, doubtful: float, key: str, cause: str, waited_for: bool = True
    ) -> None:
        most = max(seconds, doubtful)
        planned = start + seconds if most == seconds else EVER
        self.rests.append(Rest(start, start + seconds, start + most, key, cause, waited_for, planned))

    def shut(self, at: float, cause: str) -> None:
        self.off.append(Rest(at, EVER, EVER, ALL, cause, False))

    def open(self, at: float, *causes: str) -> None:
        for rest in self.off:
            if rest.sure == EVER and (not causes or rest.cause in causes):
                rest.sure = rest.maybe = at

    def end(self, at: float, cause: str, *, possibly: bool = False) -> None:
        for rest in self.rests:
            if rest.cause == cause and rest.maybe > at:
                rest.sure = min(rest.sure, at)
                rest.maybe = rest.maybe if possibly else at

    def forget(self, at: float) -> None:
        for rest in self.rests:
            rest.sure, rest.maybe = min(rest.sure, at), min(rest.maybe, at)
        self.streak.clear()

    def failed(self, at: float, *, counts: bool) -> None:
        self.streak.append(counts)
        if len(self.streak) >= FAILURES:
            sure = all(self.streak)
            self.rest(at, ERROR_REST if sure else 0.0, ERROR_REST, ALL, "error", False)
            if sure:
                self.streak.clear()

    def surely(self, model: str, free: bool, at: float) -> Rest | None:
        held = (rest for rest in (*self.off, *self.rests) if rest.start + TICK < at < rest.sure - TICK)
        return next((rest for rest in held if rest.covers(model, free)), None)

    def possibly(self, model: str, free: bool, since: float, until: float) -> list[Rest]:
        """All that may have spoken against it at some moment in between."""
        held = (rest for rest in (*self.off, *self.rests) if rest.start - TICK <= until and since <= rest.maybe + TICK)
        return [rest for rest in held if rest.covers(model, free)]


class States:
    """``free``: the models that cost nothing, as upstream lists them; ``wall``: what the clock on it showed at 0."""

    def __init__(
        self, calls: Sequence[Sent], deeds: Sequence[Deed], dials: Sequence[Dialled], free: frozenset[str], wall: float
    ) -> None:
        self.of: dict[str, State] = defaultdict(State)
        self.calls, self.dials = calls, dials
        self.sends: dict[str, list[Sent]] = defaultdict(list)  # to models, by the client's request
        self._free = free
        self._wall = wall
        for call in calls:
            if call.path in MODEL_PATHS:
                self.sends[call.marker].append(call)
        events: list[tuple[float, int, Callable[[], None]]] = []
        events += [(deed.at, 1, partial(self._done, deed)) for deed in deeds]
        events += [(dial.at, 2, partial(self.of[dial.login].failed, dial.at, counts=False)) for dial in dials]
        for call in calls:
            heard = call.began if call.status == 200 else call.over
            if heard is not None:
                events.append((heard, 0, partial(self._heard, call)))
        for _, _, happen in sorted(events, key=lambda event: event[:2]):
            happen()

    def _done(self, deed: Deed) -> None:
        state = self.of[deed.login]
        match deed.what:
            case "disable":
                state.shut(deed.at, "disabled")
            case "remove" | "absent":
                state.shut(deed.at, "not there")
            case "add":
                state.open(deed.at)
            case "enable":
                state.open(deed.at, "disabled", "banned")
                state.forget(deed.at)
            case "acknowledge":
                state.open(deed.at, "warned")
                if not any(rest.cause == "disabled" and rest.sure == EVER for rest in state.off):
                    state.open(deed.at, "banned")
                    state.forget(deed.at)
            case _:
                raise AssertionError(deed.what)

    def _heard(self, call: Sent) -> None:
        state, at = self.of[call.login], call.over if call.status != 200 else call.began
        assert at is not None
        if call.status == 200:
            self._heard_well(call, state, at)
        elif call.status == 0:
            if not call.stale or not self._sent_again(call):
                state.failed(at, counts=call.path in MODEL_PATHS)
        elif call.path in {TOKEN, USER}:
            self._heard_of_github(call, state, at)
        else:
            self._refused(call, state, at)

    def _heard_well(self, call: Sent, state: State, at: float) -> None:
        if call.path in MODEL_PATHS:
            state.streak.clear()
            state.end(at, "error")
            if call.said and call.over is not None:  # an error in mid-answer may be a limit, which holds for what comes
                state.rest(call.over, 0, 60.0, call.model, "limit in mid-answer")
                state.streak.append(False)
        elif call.path == USER and call.quota_left:
            last = max((rest.maybe for rest in state.rests if rest.maybe > at and rest.cause != "quota"), default=0.0)
            outlived = any(rest.cause == "quota" and rest.maybe < last for rest in state.rests)
            state.end(at, "quota", possibly=outlived)

    def _sent_again(self, call: Sent) -> bool:
        """By the connections themselves, which everything that is asked over them may rely on."""
        closed = call.over or call.at
        return any(
            later.login == call.login and later.body == call.body and closed <= later.at <= closed + RECONNECTING
            for later in self.calls[call.number + 1 :]
        )

    def _heard_of_github(self, call: Sent, state: State, at: float) -> None:
        text = call.said.decode(errors="replace").lower()
        if call.status == 401:
            state.shut(at, "banned")
        elif call.status == 429 or "rate limit" in text:
            seconds = retry_after(call.headers, self._wall + at)
            if seconds is None or seconds < 0:
                seconds = float(call.headers.get("x-ratelimit-reset", 0)) - self._wall - at
            key = ALL if call.path == TOKEN else GITHUB_ALONE  # models do not need what a quota's answer says
            state.rest(at, _clamped(seconds), 0, key, f"GitHub's limit of {call.path}")
        elif call.path == USER:
            pass
        elif call.status == 403:
            if any(word in text for word in ("spammy_user", "access_revoked", "programmatic_token", "go_http_client")):
                state.shut(at, "warned")
            else:
                state.rest(at, ERROR_REST, HOUR, ALL, "error", False)
        else:
            state.failed(at, counts=False)

    def _refused(self, call: Sent, state: State, at: float) -> None:
        rule = rule_of(call)
        if rule is None:
            raise AssertionError(f"no row has {call.status} {call.said[:200]!r} at {call.path}")
        if call.row in UNLISTED:  # believed until the list is read again
            state.rest(at, 0, LIST_AGE, call.model, "upstream has not the model that it lists", False)
        key = PAID if rule.scope == "quota" and call.model not in self._free else ALL
        key = call.model if rule.scope == "model" and call.path in MODEL_PATHS else key
        match rule.scope:
            case "warning":
                state.shut(at, "warned")
            case "banned":
                state.shut(at, "banned")
            case "upstream":
                state.failed(at, counts=call.path in MODEL_PATHS and call.row not in UNCOUNTED)
            case "model" | "account":
                self._limited(call, rule, state, at, key)
            case "quota":
                self._used_up(call, state, at, key)
            case "request":
                if call.row in REFUSED_TOKEN and (call.path == MODELS or self._refused_before(call)):
                    sure = call.path in MODEL_PATHS
                    state.rest(at, ERROR_REST if sure else 0, ERROR_REST, ALL, "error", False)

    def _refused_before(self, call: Sent) -> bool:
        earlier = [sent for sent in self.sends[call.marker] if sent.number < call.number and sent.login == call.login]
        return any(sent.row in REFUSED_TOKEN for sent in earlier)

    def _limited(self, call: Sent, rule: Rule, state: State, at: float, key: str) -> None:
        opens = window_ends(call.headers)
        told = retry_after(call.headers, self._wall + at)
        if opens is not None:
            state.rest(at, opens - self._wall - at, 0, key, "limit")
        elif told is not None and told >= 0 and call.status in {429, 503}:
            state.rest(at, _clamped(told), 0, key, "limit")
        else:
            state.rest(at, rule.seconds, rule.doubtful, key, "limit")
        if call.row in {"integration_rate_limited", "agent_mode_limit_exceeded", "extension_blocked"}:
            rest = state.rests[-1]  # the model's or the account's: the specification has both
            state.rests.append(msgspec.structs.replace(rest, key=call.model))
            rest.sure = at

    def _used_up(self, call: Sent, state: State, at: float, key: str) -> None:
        told = retry_after(call.headers, self._wall + at)
        month = MONTH_END if self._wall + at < MONTH_END else MONTH_END + 31 * 86_400
        reset = max(month - self._wall - at, 60.0)
        if told is not None and told >= 0:
            state.rest(at, max(1.0, told), 0, key, "quota")
        else:
            state.rest(at, min(reset, HOUR), reset, key, "quota")


def _clamped(seconds: float) -> float:
    return min(max(seconds, 1.0), HOUR)
