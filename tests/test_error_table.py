from __future__ import annotations

import os

import pytest
from error_table import RECORDED, ROUTES, ROWS, ask, table

from copilot_trio.dialects.dialect import DIALECTS


async def test_every_row_becomes_what_was_recorded() -> None:
    """Status, type, code, param, retry hints, calls and words, in each dialect. Read the file's diff."""
    lines = await table()
    if os.environ.get("UPDATE_RECORDED") == "1":
        RECORDED.write_text("\n".join(lines) + "\n")
    assert lines == RECORDED.read_text().splitlines()
    assert len(lines) == 1 + len(ROWS) * len(DIALECTS)


@pytest.mark.parametrize("dialect", ROUTES)
async def test_a_stream_that_has_not_begun_is_refused_alike(dialect: str) -> None:
    for row in (6, 9, 13, 23, 27, 28, 33, 35, 37, 43, 44):
        whole, calls = await ask(row, dialect, stream=False)
        streamed, as_many = await ask(row, dialect, stream=True)
        assert (streamed.status, streamed.body, as_many) == (whole.status, whole.body, calls)
        assert streamed.headers.get("retry-after") == whole.headers.get("retry-after")
