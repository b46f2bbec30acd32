"""A record has no room for what was said."""

from __future__ import annotations

import msgspec

from copilot_trio.usage.record import UsageRecord


def test_only_numbers_and_short_names() -> None:
    fields = {field.name for field in msgspec.structs.fields(UsageRecord)}
    assert not fields & {"body", "prompt", "messages", "content", "text", "answer"}
    assert UsageRecord(time_ms=1, endpoint="/v1/messages").nano_aiu is None
