"""What a query may ask for, and the names in the answers."""

from __future__ import annotations

import msgspec
import pytest

from copilot_trio.usage.report import Filters, Storage, Totals, read_filters


@pytest.mark.parametrize(("asked", "found"), [
    ({}, Filters()),
    ({"range": "7d", "model": "gpt-5.5", "account": "work"}, Filters(range="7d", model="gpt-5.5", account="work")),
    ({"range": "1y"}, Filters(range="24h")),
    ({"status": "success"}, Filters(statuses=(200, 399))),
    ({"status": "error"}, Filters(statuses=(400, 999))),
    ({"status": "429"}, Filters(statuses=(429, 429))),
    ({"limit": "500"}, Filters(limit=100)),
    ({"limit": "0"}, Filters(limit=1)),
    ({"limit": "17"}, Filters(limit=17)),
    ({"limit": "-3"}, Filters(limit=50)),
    ({"limit": "9" * 5000}, Filters(limit=50)),
    ({"limit": "٣"}, Filters(limit=50)),
])  # fmt: skip
def test_filters_are_read(asked: dict[str, str], found: Filters) -> None:
    assert read_filters(asked) == found


@pytest.mark.parametrize("status", ["fine", "-1", "4xx", "9" * 5000])
def test_an_unknown_status_is_refused(status: str) -> None:
    with pytest.raises(ValueError, match="status must be"):
        read_filters({"status": status})


def test_names_are_those_of_the_systems_before() -> None:
    assert list(msgspec.to_builtins(Totals()))[:8] == [
        "requestCount", "successCount", "errorCount", "inputTokens", "outputTokens", "cacheReadInputTokens",
        "cacheWriteInputTokens", "totalTokens",
    ]  # fmt: skip
    storage = Storage("/x", 1, 2, False, 0, None, None, None, None)
    assert {"dbPath", "sizeBytes", "maxBytes", "overLimit", "lastCompactionAttemptAt", "lastCompactionBeforeBytes",
            "lastCompactionAfterBytes", "lastCompactionError"} <= msgspec.to_builtins(storage).keys()  # fmt: skip
