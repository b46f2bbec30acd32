from __future__ import annotations

from accounts_of import an_account

from copilot_trio.cli.past_usage import past_usage
from copilot_trio.twin.catalogue import MODELS

NOW = 1_790_000_000.0


def test_a_month_of_requests_none_of_them_to_come() -> None:
    accounts = [an_account("work", kind="business").record, an_account("home").record]
    records = list(past_usage(accounts, NOW))
    times = [record.time_ms for record in records]
    assert times == sorted(times)
    assert times[0] > NOW * 1000 - 31 * 24 * 3_600_000
    assert times[-1] + 3_600_000 > NOW * 1000 - 4 * 24 * 3_600_000
    assert times[-1] <= NOW * 1000
    assert {record.account: record.group for record in records} == {
        "work": "github.com/business",
        "home": "github.com/individual",
    }
    assert {record.status for record in records} == {200, 429, 502}
    assert all(record.error == "" and record.nano_aiu for record in records if record.status == 200)
    assert len({record.request_id for record in records}) == len(records)


def test_it_is_of_models_that_the_emulator_has() -> None:
    asked = {record.upstream_model for record in past_usage([an_account("work").record], NOW)}
    assert asked <= set(MODELS)


def test_it_is_the_same_each_time() -> None:
    accounts = [an_account("work").record]
    assert list(past_usage(accounts, NOW)) == list(past_usage(accounts, NOW))
