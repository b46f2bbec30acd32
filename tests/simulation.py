"""Five accounts, seven virtual days, twenty conversations, every fault of the error catalogue: what becomes of them.

    cd tests && PYTHONPATH=.. python simulation.py [--days 7] [--requests 3000] [--seed 1] [--no-failover-on-quota]

The whole proxy over the twin, in memory and in virtual time. ``simulation_checks.Judge`` then looks at what arrived
upstream and at what the clients read; the exit status is 1 where a counter that must be 0 is not.
"""

from __future__ import annotations

import argparse
import hashlib
import logging
import os
import random
import re
import sys
import weakref
from collections import Counter

import trio
import trio.testing
from simulation_checks import Judge
from simulation_checks import Seat as Known
from simulation_clients import PATHS, Conversation, Profile
from simulation_facts import MODEL_PATHS, MONTH_END, Asked, Deed, Dialled, Sent
from simulation_states import States
from simulation_troubles import Troubles
from world import BASE, World

from copilot_trio.accounts.account import AccountRecord, Hosts
from copilot_trio.app import Seat
from copilot_trio.config import AccountSettings, ApiKey, Config
from copilot_trio.server.auth import Access, hash_key
from copilot_trio.server.exchange import Exchange, Headers
from copilot_trio.twin import Account
from copilot_trio.twin.catalogue import MODELS, usable
from copilot_trio.upstream.egress import Egress

DAY = 86_400.0
WALL = MONTH_END - 3.5 * DAY  # the quotas come back in the middle of the week
MARKER = re.compile(rb"ask-\d\d-\d{4}")
ERROR_EVENT = re.compile(rb'event: error|"error":\{|response\.failed')
GIVE_UP = 1800.0  # seconds; nothing that is allowed takes as long
HOME, TEAM = "github.com/individual", "github.com/business"
LATECOMER = "late-home"
WAYS = {"octo-one": "direct", "octo-two": "proxy a", "octo-three": "proxy a", "corp-one": "direct",
        "corp-two": "proxy b", LATECOMER: "proxy b"}  # fmt: skip
SMALL = ["gpt-4.1", "gpt-4o", "gpt-5-mini", "claude-haiku-4.5", "claude-sonnet-4.5"]
KEYS = {"k-home": "", "k-team": TEAM, "k-solo": "two"}  # what each is pinned to

PROFILES = [
    Profile(key="k-home", dialect="chat", models=("gpt-4.1",)),
    Profile(key="k-home", dialect="chat", models=("claude-sonnet-4.5", "gpt-4.1"), session=True),
    Profile(key="k-home", dialect="chat", models=("gpt-5-mini",), stream=False),
    Profile(key="k-home", dialect="messages", models=("claude-sonnet-4.5", "claude-haiku-4.5"), session=True),
    Profile(key="k-home", dialect="messages", models=("claude-opus-4.6",), stream=False, thinks=True),
    Profile(key="k-home", dialect="messages", models=("gpt-4.1",), stream=False),
    Profile(key="k-home", dialect="responses", models=("gpt-5.3-codex", "gpt-5-mini"), session=True),
    Profile(key="k-home", dialect="responses", models=("gpt-5.3-codex",), stream=False, thinks=True),
    Profile(key="k-home", dialect="responses", models=("gpt-4.1",)),
    Profile(key="k-home", dialect="messages", models=("claude-haiku-4.5",)),
    Profile(key="k-home", dialect="chat", models=("gpt-4o", "claude-haiku-4.5")),
    Profile(key="k-team", dialect="chat", models=("claude-sonnet-4.5",)),
    Profile(key="k-team", dialect="messages", models=("claude-opus-4.6", "claude-haiku-4.5"), session=True),
    Profile(key="k-team", dialect="messages", models=("claude-sonnet-4.5",), stream=False, thinks=True),
    Profile(key="k-team", dialect="responses", models=("gpt-5.3-codex",)),
    Profile(key="k-team", dialect="chat", models=("gpt-4.1",), stream=False),
    Profile(key="k-team", dialect="responses", models=("gpt-5.5", "gpt-5-mini"), stream=False),
    Profile(key="k-solo", dialect="chat", models=("gpt-4.1", "claude-sonnet-4.5")),
    Profile(key="k-solo", dialect="messages", models=("claude-haiku-4.5",)),
    Profile(key="k-home", dialect="messages", models=("claude-sonnet-4.5",)),
]


class Overheard(Exchange):
    """What upstream says on this exchange is noted as it goes out."""

    def __init__(self, inner: Exchange, sent: Sent) -> None:
        super().__init__(inner.request, inner._connection, inner._nursery)
        self._inner = inner
        self._sent = sent

    async def start(self, status: int, headers: Headers) -> None:
        self._sent.status, self._sent.headers, self._sent.began = status, dict(headers), trio.current_time()
        await self._inner.start(status, headers)

    async def send(self, data: bytes) -> None:
        sent = self._sent
        if sent.status != 200 and len(sent.said) < 4096:
            sent.said += data
        elif sent.path in MODEL_PATHS and ERROR_EVENT.search(data):
            sent.said = data
        await self._inner.send(data)

    async def finish(self, data: bytes = b"") -> None:
        self._sent.over, self._sent.ending = trio.current_time(), "finished"
        await self._inner.finish(data)

    async def abort(self) -> None:
        self._sent.over, self._sent.ending = trio.current_time(), "cut"
        await self._inner.abort()


class Simulation(World):
    """``requests`` of all conversations together, spread over ``days``."""

    def __init__(self, nursery: trio.Nursery, *, seed: int, days: float, requests: int, failover: bool) -> None:
        self.rng = random.Random(seed)
        self.days = days
        self.calls_seen: list[Sent] = []
        self.requests: list[Asked] = []
        self.deeds: list[Deed] = []
        self.failed_dials: list[Dialled] = []
        self.down: dict[str, str] = {}  # ways out that fail, and how
        self.known: list[Known] = []
        self._carried: weakref.WeakKeyDictionary[object, int] = weakref.WeakKeyDictionary()
        keys = tuple(
            ApiKey(key, hash_key(key), group=pin if "/" in pin else None, account=pin if pin == "two" else None)
            for key, pin in KEYS.items()
        )
        config = Config(accounts=AccountSettings(failover_on_quota=failover))
        super().__init__(nursery, config=config, access=Access(keys=keys), accounts=5, keep=True)
        self.turns = max(1, requests // len(PROFILES))
        self.deeds.append(Deed(0.0, LATECOMER, "absent"))

    def now(self) -> float:
        return WALL + trio.current_time()

    # ---- who there is

    def twin_accounts(self) -> list[Account]:
        def one(login: str, number: int, **fields: object) -> Account:
            token = f"ghu_SYNTHETIC{login.replace('-', '')}".ljust(40, "0")
            return Account(login=login, id=9_100_000 + number, token=token, **fields)  # type: ignore[arg-type]

        return [
            one("octo-one", 1, label="one"),
            one("octo-two", 2, label="two", plan="individual", entitlement=40.0, remaining=40.0, models=SMALL),
            one("octo-three", 3, label="three", entitlement=200.0, remaining=200.0),
            one("corp-one", 4, label="corp one", plan="business", token_billing=True, overage_permitted=True),
            one("corp-two", 5, label="corp two", plan="business", entitlement=150.0, remaining=150.0),
            one(LATECOMER, 6, label="late"),
        ]

    def seats(self, accounts: int) -> list[Seat]:
        found = [self.seat(account) for account in self.twin.accounts]
        for seat, account in zip(found, self.twin.accounts, strict=True):
            group = TEAM if seat.record.account_type == "business" else HOME
            models = frozenset(model for model in MODELS if usable(model, account))
            self.known.append(Known(account.login, account.label, group, seat.egress.key, models))
        return found[:accounts]

    def seat(self, account: Account) -> Seat:
        way = WAYS[account.login]

        async def dial(host: str, port: int) -> trio.abc.Stream:
            how = self.down.get(way)
            if how is not None:
                self.failed_dials.append(Dialled(trio.current_time(), account.login, way))
            if how == "silent":
                await trio.sleep_forever()
            if how is not None:
                raise OSError(f"{way}: {how}")
            return await self.dial(host, port)

        record = AccountRecord(
            id=account.login,
            label=account.label,
            login=account.login,
            github_token=account.token,
            account_type="business" if account.plan == "business" else "individual",
            machine_id=hashlib.sha256(account.login.encode()).hexdigest(),
        )
        return Seat(record, Hosts(BASE, BASE), Egress(dial, way, proxied=way != "direct"))

    # ---- upstream's ears

    async def serve_upstream(self, exchange: Exchange) -> None:
        request, connection = exchange.request, exchange._connection
        account = self.twin.state.identify(request.headers.get("authorization", "")).account
        markers = MARKER.findall(request.body) if request.path in MODEL_PATHS else []
        sent = Sent(
            number=len(self.calls_seen),
            at=trio.current_time(),
            login=account.login if account else "",
            path=request.path,
            marker=max(markers, key=lambda marker: marker[-4:]).decode() if markers else "",
            initiator=request.headers.get("x-initiator", ""),
            bearer=hash(request.headers.get("authorization")),
            body=hash(request.body),
            reused=connection in self._carried,
            quota_left=account is not None and not account.exhausted(),
        )
        if found := re.search(rb'"model": ?"([^"]+)"', request.body):
            sent.model = found[1].decode()
        self._carried[connection] = 1
        self.calls_seen.append(sent)
        try:
            await self.twin.handle(Overheard(exchange, sent))
        finally:
            if not sent.ending:
                sent.over, sent.ending = trio.current_time(), "left"

    # ---- downstream

    async def converse(self, number: int, profile: Profile) -> None:
        """In sittings, within which the prompt cache would hold; between them hours pass."""
        rng = random.Random(f"{self.rng.random()} {number}")
        conversation = Conversation(number, profile, rng)
        left = self.turns
        sittings = sorted(rng.uniform(0, self.days * DAY - 3 * 3600) for _ in range(max(1, left // 12)))
        for index, begins in enumerate(sittings):
            await trio.sleep_until(max(begins, trio.current_time()))
            for _ in range(left // (len(sittings) - index)):
                left -= 1
                await self._take_turn(conversation)
                await trio.sleep(rng.choice((2, 20, 20, 45, 90, 400)) * rng.uniform(0.2, 1.8))

    async def _take_turn(self, conversation: Conversation) -> None:
        marker, model, initiator, body = conversation.next()
        profile = conversation.profile
        asked = Asked(
            marker=marker,
            conversation=conversation.thread,
            pin=KEYS[profile.key],
            model=model,
            initiator=initiator,
            at=trio.current_time(),
            failure="never answered",
        )
        self.requests.append(asked)
        with trio.move_on_after(GIVE_UP):
            answer = await self.ask(PATHS[profile.dialect], body, *conversation.headers())
            asked.status, asked.failure = answer.status, conversation.failure(answer.status, answer.body)
            if not asked.failure:
                conversation.answered(answer.body)
        asked.over = trio.current_time()

    # ---- people

    def do(self, what: str, login: str) -> None:
        accounts = self.app.accounts
        account = accounts.get(login)
        if what == "add":
            accounts.add(self.app._account(self.seat(self.twin.accounts[login])))
        elif account is None:
            return
        elif what == "remove":
            accounts.remove(login)
        else:
            {"enable": accounts.enable, "disable": accounts.disable, "acknowledge": accounts.acknowledge}[what](account)
        self.deeds.append(Deed(trio.current_time(), login, what))

    async def run(self) -> None:
        troubles = Troubles(self, self.rng)
        async with trio.open_nursery() as beside:
            beside.start_soon(troubles.run)
            async with trio.open_nursery() as clients:
                for number, profile in enumerate(PROFILES):
                    clients.start_soon(self.converse, number, profile)
            beside.cancel_scope.cancel("the clients are done")


async def simulate(
    *, seed: int = 1, days: float = 7.0, requests: int = 3000, failover: bool = True
) -> tuple[Simulation, Judge]:
    """Reproducible by ``seed``, where Python's hashes are."""
    random.seed(seed)
    trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING = True  # type: ignore[misc]
    trio._core._run._r.seed(seed)
    async with trio.open_nursery() as nursery:
        world = Simulation(nursery, seed=seed, days=days, requests=requests, failover=failover)
        await world.run()
        nursery.cancel_scope.cancel("over")
    await world.app.aclose()
    free = frozenset(model.id for model in MODELS.values() if not any(model.prices))
    states = States(world.calls_seen, world.deeds, world.failed_dials, free, WALL)
    judge = Judge(states, world.known, HOME, free, failover_on_quota=failover)
    judge.judge(world.requests)
    return world, judge


def report(world: Simulation, judge: Judge) -> str:
    sends = [call for call in world.calls_seen if call.path in MODEL_PATHS]
    failed = sum(bool(request.failure) for request in world.requests)
    decisions = Counter({" | ".join(decision): count for decision, count in judge.decisions.items()})
    others = [call for call in world.calls_seen if call.path not in MODEL_PATHS]
    lines = [
        f"{world.days:g} virtual days, {len(PROFILES)} conversations, {len(world.known)} accounts, one for a while",
        f"requests {len(world.requests)}, answered {len(world.requests) - failed}, failed {failed}",
        f"sends {len(sends)}, requests that waited for a cooldown {judge.waits}",
        "",
        *_table("what happened | scope | decision", decisions),
        *_table("failed, and why nothing else was left", judge.failures),
        *_table("conversations moved on because", judge.moves),
        *_table("sends per account", Counter(call.login for call in sends)),
        *_table("other calls", Counter(f"{call.login} {call.path} {call.status}" for call in others)),
        *_table("possibly, not surely, unusable when it was passed over", judge.doubtful),
        *_table("must be 0", judge.counters),
        *judge.findings,
    ]
    return "\n".join(lines)


def _table(title: str, counts: Counter[str]) -> list[str]:
    return [title, *(f"  {count:6}  {name}" for name, count in sorted(counts.items())), ""]


def violations(judge: Judge) -> dict[str, int]:
    return {name: count for name, count in judge.counters.items() if count}


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--requests", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--no-failover-on-quota", action="store_true")
    parser.add_argument("--log", action="store_true", help="the proxy's own log, too")
    options = parser.parse_args(words)
    if sys.flags.hash_randomization:  # the order of sets would make another week of the same seed
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, "PYTHONHASHSEED": "0"})
    logging.basicConfig(level=logging.INFO if options.log else logging.ERROR, stream=sys.stderr)

    async def run() -> tuple[Simulation, Judge]:
        return await simulate(
            seed=options.seed,
            days=options.days,
            requests=options.requests,
            failover=not options.no_failover_on_quota,
        )

    world, judge = trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    print(report(world, judge))
    return 1 if violations(judge) else 0


if __name__ == "__main__":
    sys.exit(main())
