"""The benchmark of choosing an account runs and has all its rows; what they say is not looked at."""

from __future__ import annotations

import pytest

from bench.accounts import COUNTS, KNOWN, ROWS, main, some_accounts
from copilot_trio.accounts.registry import Course


def test_it_has_a_number_for_each_row_and_count(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rounds", "2", "--runs", "1"]) == 0
    heading, *lines = capsys.readouterr().out.splitlines()
    assert [f"{count} acc." for count in COUNTS] == ["1 acc.", "5 acc.", "50 acc."]
    assert all(f"{count} acc." in heading for count in COUNTS)
    assert [line[:32].strip() for line in lines] == list(ROWS)
    for line in lines:
        assert len([float(number) for number in line[32:].split()]) == len(COUNTS)


async def test_a_known_conversation_finds_its_own_account() -> None:
    accounts = some_accounts(5)
    for account in accounts.accounts:
        assert account.catalogue is not None
        await account.catalogue.models()
    accounts.bind(KNOWN, accounts.accounts[-1])
    chosen, model = await accounts.choose(KNOWN, Course())
    assert (chosen.label, model.id, model.free) == ("account 4", KNOWN.model, False)
