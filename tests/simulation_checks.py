"""The simulation's judge: from what went over the wire alone, was each decision one that product.md §4 allows?

What falls between the two bounds of ``simulation_states`` is counted as doubtful.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise

import msgspec
from simulation_facts import (
    AFFINITY,
    MODEL_PATHS,
    ONCE_MORE,
    PATIENCE,
    REFUSED_TOKEN,
    REPAIRED_BODY,
    TOKEN,
    TWICE,
    UNLISTED,
    USER,
    Asked,
    Sent,
    rule_of,
)
from simulation_states import TICK, States

COUNTERS = (
    "lost though an account of its group could have served",
    "sent again against the table",
    "left its group",
    "sent while the account was cooling down or off",
    "conversations that changed account without need",
    "initiator changed or wrong",
    "called after a warning, before it was acknowledged",
    "carried on elsewhere after a warning",
    "asked GitHub while it had said to wait",
    "never answered",
)
LOST, AGAIN, GROUP, COOLING, NEEDLESS, INITIATOR, WARNED, CARRIED, GITHUB, HUNG = COUNTERS


class Seat(msgspec.Struct, frozen=True):
    """What the judge knows of an account beforehand."""

    login: str
    label: str
    group: str
    egress: str
    models: frozenset[str]


class Judge:
    """``free``: the models that cost nothing, as upstream lists them."""

    def __init__(
        self,
        states: States,
        seats: Sequence[Seat],
        default_group: str,
        free: frozenset[str],
        *,
        failover_on_quota: bool,
    ) -> None:
        self.seats = {seat.login: seat for seat in seats}
        self.counters: Counter[str] = Counter(dict.fromkeys(COUNTERS, 0))
        self.decisions: Counter[tuple[str, str, str]] = Counter()
        self.failures: Counter[str] = Counter()
        self.moves: Counter[str] = Counter()
        self.waits = 0
        self.doubtful: Counter[str] = Counter()
        self.findings: list[str] = []
        self._states = states
        self._beside: dict[str, list[Sent]] = defaultdict(list)  # calls for no request alone that failed
        for call in states.calls:
            if call.path not in MODEL_PATHS and call.status != 200:
                self._beside[call.login].append(call)
        self._default = default_group
        self._free = free
        self._failover_on_quota = failover_on_quota

    def judge(self, requests: Sequence[Asked]) -> None:
        self._calls_of_their_own()
        owners: dict[str, dict[str, Sent]] = defaultdict(dict)
        for request in sorted(requests, key=lambda request: request.at):
            sends = self._states.sends.get(request.marker, [])
            for send in sends:
                self._one_send(request, send)
            for earlier, later in pairwise(sends):
                self._again(request, sends, earlier, later)
            self._kept_its_account(request, sends, owners[request.conversation])
            if request.failure:
                self._failed(request, sends, [] if sends else [*owners[request.conversation].values()])
            elif sends:
                self._decide(sends[-1], "answered")
                self._count_wait(request, sends[0])
        known = {request.marker for request in requests}
        for marker in self._states.sends.keys() - known:
            self._find(AGAIN, "sent without a client's request", marker)

    def _calls_of_their_own(self) -> None:
        for call in self._states.calls:
            state = self._states.of[call.login]
            off = next((rest for rest in state.off if rest.start + TICK < call.at < rest.sure - TICK), None)
            if off is not None and (off.cause in {"warned", "not there"} or call.path not in MODEL_PATHS):
                self._find(WARNED if off.cause == "warned" else COOLING, f"{off.cause}: {call.path}", call.marker, call)
            if call.path in {TOKEN, USER}:
                rest = next((rest for rest in state.rests if rest.cause == f"GitHub's limit of {call.path}"
                             and rest.start + TICK < call.at < rest.sure - TICK), None)  # fmt: skip
                if rest is not None:
                    self._find(GITHUB, f"{call.path}, {rest.sure - call.at:.0f} s too early", call.marker, call)

    def _one_send(self, request: Asked, send: Sent) -> None:
        if send.login not in {seat.login for seat in self._eligible(request)}:
            self._find(GROUP, f"{request.pin or 'unpinned'} went to {send.login}", request.marker, send)
        rest = self._states.of[send.login].surely(request.model, request.model in self._free, send.at)
        if rest is not None and rest.cause not in {"warned", "not there"}:
            self._find(COOLING, f"{rest.cause} until {rest.sure:.1f}", request.marker, send)
        if send.initiator != request.initiator:
            self._find(INITIATOR, f"{request.initiator} became {send.initiator}", request.marker, send)

    def _again(self, request: Asked, sends: list[Sent], earlier: Sent, later: Sent) -> None:
        rule = rule_of(earlier)
        before = [send for send in sends if send.number < later.number]
        if later.login == earlier.login:
            done = [send.row for send in before[:-1] if send.login == later.login]
            if earlier.stale and not later.reused:
                self._decide(earlier, "same account again, on a new connection")
            elif rule is not None and rule.then == "repair" and done.count(earlier.row) <= (earlier.row in TWICE):
                if earlier.row in REFUSED_TOKEN and later.bearer == earlier.bearer:
                    self._find(AGAIN, "the refused token again", request.marker, later)
                elif earlier.row in REPAIRED_BODY and later.body == earlier.body:
                    self._find(AGAIN, "the refused body again", request.marker, later)
                self._decide(earlier, "same account again, repaired")
            else:
                self._find(AGAIN, f"to the same account after {_what(earlier)}", request.marker, later)
            return
        may_move = rule is not None and (rule.then == "next" or earlier.row in ONCE_MORE | UNLISTED)
        if rule is not None and rule.scope == "quota" and not self._failover_on_quota:
            may_move = False
        if not may_move or any(send.login == later.login for send in before):
            self._find(AGAIN, f"from {earlier.login} after {_what(earlier)}", request.marker, later)
        self._decide(earlier, "next account")

    def _kept_its_account(self, request: Asked, sends: list[Sent], owners: dict[str, Sent]) -> None:
        # For its model and as a whole it may be at two accounts; which of them counts, while both do, is open.
        own = [owner for owner in (owners.get(request.model), owners.get("")) if owner is not None]
        if sends and own and sends[0].login not in {owner.login for owner in own}:
            last = next((owner for owner in own if sends[0].at - owner.at <= AFFINITY), own[-1])
            self._moved(request, last, sends[0])
        for earlier, later in pairwise(sends):
            if earlier.login != later.login:
                self.moves[f"refused: {_what(earlier)}"] += 1
        stayed = [send for send in sends if send.login == sends[-1].login and not self._turned_away(request, send)]
        if stayed:
            owners[request.model] = owners[""] = stayed[-1]

    def _turned_away(self, request: Asked, send: Sent) -> bool:
        """Refused so that another account is asked: nothing of the conversation is there."""
        rule = rule_of(send)
        if not request.failure or rule is None or (rule.scope == "quota" and not self._failover_on_quota):
            return False
        return rule.then == "next" or send.row in REFUSED_TOKEN | UNLISTED

    def _moved(self, request: Asked, last: Sent, now: Sent) -> None:
        """Between two requests: the former account must have been of no use."""
        seat, free = self.seats[last.login], request.model in self._free
        state = self._states.of[last.login]
        if self._warned(last, now.at):
            self._find(CARRIED, f"{last.login} was warned", request.marker, now)
        if now.at - last.at > AFFINITY - 2 * PATIENCE:
            self.moves["idle for an hour"] += 1
        elif against := state.possibly(request.model, free, request.at, now.at):
            self.moves[against[0].cause] += 1
        elif request.model not in seat.models:
            self.moves["its plan lacks the model"] += 1
        elif self._failing_call(seat, request.at, now.at):
            self.moves["token, model list or way out failed"] += 1
        else:
            self._find(NEEDLESS, f"{last.login} at {last.at:.1f} could have gone on", request.marker, now)

    def _warned(self, owner: Sent, at: float) -> bool:
        """Whether the account was, while this was the last that the conversation had sent on it."""
        off = self._states.of[owner.login].off
        return any(rest.cause == "warned" and owner.at <= rest.start + TICK < at < rest.sure for rest in off)

    def _failed(self, request: Asked, sends: list[Sent], owners: list[Sent]) -> None:
        if request.status == 403 and any(self._warned(owner, request.over) for owner in owners):
            self.decisions["its account was warned", "warning", "an error to the client"] += 1
            self.failures["warning: its conversation waits for a person"] += 1
            return
        if request.failure == "never answered":
            self._find(HUNG, "no answer", request.marker)
            return
        last = sends[-1] if sends else None
        rule = None if last is None else rule_of(last)
        if last is not None and rule is None and last.status != 401:
            self._decide(last, "an error to the client")
            self.failures[f"upstream may have run it: {_what(last)}"] += 1
            return
        if last is not None and rule is not None:
            repaired = sum(send.row == last.row and send.login == last.login for send in sends) > 1
            if rule.then == "stop" or (rule.then == "repair" and last.row not in REFUSED_TOKEN and repaired):
                self._decide(last, "an error to the client")
                self.failures[f"{rule.scope}: {last.row}"] += 1
                return
            if rule.then == "repair" and last.row not in ONCE_MORE | UNLISTED:  # there was nothing in it to repair
                self._decide(last, "an error to the client")
                self.failures[f"{rule.scope}: {last.row}"] += 1
                return
            if rule.scope == "quota" and not self._failover_on_quota:
                self._decide(last, "an error to the client")
                self.failures["quota, and failover_on_quota is off"] += 1
                return
        self._nobody_left(request, sends)

    def _nobody_left(self, request: Asked, sends: list[Sent]) -> None:
        reasons = []
        tried = {send.login for send in sends}
        for seat in self._eligible(request):
            reason = "tried" if seat.login in tried else self._excuse(request, seat)
            if reason is None:
                self._find(LOST, f"{seat.login} could have served ({request.status} {request.failure})", request.marker)
                return
            reasons.append(reason)
        why = ", ".join(f"{reason} x{count}" for reason, count in sorted(Counter(reasons).items()))
        if sends:
            self._decide(sends[-1], "an error to the client: nobody left")
        else:
            self.decisions["nothing could be sent", "group", "an error to the client"] += 1
        self.failures[f"nobody left: {why}"] += 1

    def _excuse(self, request: Asked, seat: Seat) -> str | None:
        """Why the account could not serve when the client was told so; None if it could."""
        state, free, at = self._states.of[seat.login], request.model in self._free, request.over
        if not self._failover_on_quota and self._belongs_to_an_exhausted(request):
            return "quota, and failover_on_quota is off"
        if request.model not in seat.models:
            return "plan lacks the model"
        held = state.possibly(request.model, free, at, at)
        if held:
            surely = [rest for rest in held if at < rest.sure + TICK]
            if not surely:
                self.doubtful[held[0].cause] += 1
            soon = all(rest.waited_for and rest.planned - request.at < PATIENCE - TICK for rest in held)
            if soon and not self._failing_call(seat, request.at, at):
                return None
            return held[0].cause
        if self._failing_call(seat, request.at, at):
            return "token, model list or way out failed"
        return None

    def _belongs_to_an_exhausted(self, request: Asked) -> bool:
        free = request.model in self._free
        states = [self._states.of[seat.login] for seat in self._eligible(request)]
        rests = [rest for state in states for rest in state.possibly(request.model, free, request.at, request.over)]
        return any(rest.cause == "quota" for rest in rests)

    def _failing_call(self, seat: Seat, since: float, until: float) -> bool:
        """Something beside the request itself that went wrong while it was under way."""
        ended = [call.over for call in self._beside[seat.login] if call.over is not None]
        ended += [dial.at for dial in self._states.dials if dial.egress == seat.egress]
        return any(since - TICK <= at <= until + TICK for at in ended)

    def _eligible(self, request: Asked) -> Iterator[Seat]:
        for seat in self.seats.values():
            if seat.label == request.pin or seat.group == (request.pin or self._default):
                yield seat

    def _count_wait(self, request: Asked, first: Sent) -> None:
        free = request.model in self._free
        at = request.at + 2 * TICK
        self.waits += first.at > at and all(
            request.model not in seat.models or self._states.of[seat.login].surely(request.model, free, at)
            for seat in self._eligible(request)
        )

    def _decide(self, send: Sent, decision: str) -> None:
        rule = rule_of(send)
        scope: str = "upstream" if rule is None else rule.scope
        if send.status == 200 or send.stale:
            scope = "" if send.status == 200 else "connection"
        self.decisions[_what(send), scope, decision] += 1

    def _find(self, counter: str, what: str, marker: str, send: Sent | None = None) -> None:
        self.counters[counter] += 1
        when = "" if send is None else f" at {send.at:.2f} on {send.login}"
        self.findings.append(f"{counter}: {marker}{when}: {what}")


def _what(send: Sent) -> str:
    if send.status == 200:
        return "200" if send.ending == "finished" else "200, broken off"
    if send.status:
        return f"{send.status} {send.row}"
    if send.stale:
        return "a reused connection closed"
    return "a reset before the status line" if send.ending == "cut" else "no status line in time"
