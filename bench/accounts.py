"""What choosing an account costs: ``python -m bench.accounts [--rounds N] [--runs N]``, in µs of CPU a request.

In one process, without a network: the model lists are warm, nothing rests, nobody waits. One round is one request.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import trio

from copilot_trio.accounts.account import Account, AccountRecord, Hosts
from copilot_trio.accounts.outcome import classify
from copilot_trio.accounts.quota import Quota, Window
from copilot_trio.accounts.registry import Accounts, Course, Wanted
from copilot_trio.config import AccountSettings
from copilot_trio.models.catalogue import Catalogue
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

COUNTS = (1, 5, 50)
ROUNDS, RUNS = 2000, 7
MODEL = "claude-sonnet-4.5"
PRICES = {"batch_size": 1_000_000, "default": {"input_price": 300, "output_price": 1500}}
LISTED = msgspec.json.encode(
    {"data": [{"id": name, "billing": {"token_prices": PRICES}} for name in (MODEL, "gpt-4.1", "gpt-5.5")]}
)
LIMITED = b'{"error":{"message":"rate limit exceeded","code":"rate_limited"}}\n'
HEADERS = {"retry-after": "30", "content-type": "text/plain; charset=utf-8"}
KNOWN = Wanted(MODEL, conversation="c" * 24)

Round = Callable[[Accounts, int], Awaitable[None]]


async def _list() -> bytes:
    return LISTED


def some_accounts(count: int) -> Accounts:
    """All of one group, each with something else left of its quota. Nobody's start is delayed."""
    accounts = Accounts(settings=AccountSettings(start_gap=0, move_delay=(0, 0)))
    for number in range(count):
        record = AccountRecord(id=f"a{number}", label=f"account {number}", github_token="ghu_SYNTHETIC")
        account = Account(record, Hosts(), AccountPool(dial_direct, shared_context))
        account.catalogue = Catalogue(_list)
        left = 1000.0 - number
        window = Window(name="premium", entitlement=1500.0, remaining=left, percent_remaining=left / 15)
        account.quota = Quota(windows=(window,))
        accounts.add(account)
    return accounts


async def known(accounts: Accounts, number: int) -> None:
    await accounts.choose(KNOWN, Course())


async def new(accounts: Accounts, number: int) -> None:
    await accounts.choose(Wanted(MODEL, conversation=f"{number:024}"), Course())


async def lease(accounts: Accounts, number: int) -> None:
    account = accounts.accounts[number % len(accounts.accounts)]
    assert account.catalogue is not None
    model = account.catalogue.known(MODEL)
    assert model is not None
    with accounts.lease(account, model, user_initiated=True):
        accounts.bind(KNOWN, account)
        await accounts.pace(account, moved=False)
        await account.pacer.start()


async def refused(accounts: Accounts, number: int) -> None:
    classify("/chat/completions", 429, HEADERS, LIMITED, now=0.0)


async def whole(accounts: Accounts, number: int) -> None:
    """A new conversation is served; what a refusal would mean is found out, too."""
    wanted = Wanted(MODEL, conversation=f"{number:024}")
    account, model = await accounts.choose(wanted, Course())
    with accounts.lease(account, model, user_initiated=True):
        accounts.bind(wanted, account)
        await accounts.pace(account, moved=False)
        await account.pacer.start()
    await refused(accounts, number)


ROWS: dict[str, Round] = {
    "selection, known conversation": known,
    "selection, new conversation": new,
    "lease, bind, pace": lease,
    "classification of a 429": refused,
    "all of a request": whole,
}


async def measure(one: Round, count: int, rounds: int, runs: int) -> float:
    """Median of the runs, in µs a round."""
    accounts = some_accounts(count)
    for account in accounts.accounts:
        assert account.catalogue is not None
        await account.catalogue.models()
    accounts.bind(KNOWN, accounts.accounts[-1])
    found = []
    for _ in range(runs):
        before = time.process_time()
        for number in range(rounds):
            await one(accounts, number)
        found.append((time.process_time() - before) / rounds * 1e6)
    return statistics.median(found)


async def table(rounds: int, runs: int) -> str:
    lines = [f"{'CPU µs a request':32}" + "".join(f"{count:>8} acc." for count in COUNTS)]
    for name, one in ROWS.items():
        numbers = [await measure(one, count, rounds, runs) for count in COUNTS]
        lines.append(f"{name:32}" + "".join(f"{number:>13.1f}" for number in numbers))
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.accounts", description=__doc__)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--runs", type=int, default=RUNS)
    options = parser.parse_args(words)
    print(trio.run(table, options.rounds, options.runs))
    return 0


if __name__ == "__main__":
    sys.exit(main())
