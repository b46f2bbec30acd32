from __future__ import annotations

import pytest
import trio
from wires import listen, read_head

from copilot_trio.doctor.clock import DatedPool, parse_date
from copilot_trio.upstream.network import dial_direct
from copilot_trio.upstream.pool import AccountPool
from copilot_trio.upstream.tls import shared_context

DATE = b"Tue, 15 Nov 1994 08:12:31 GMT"
MOMENT = 784887151.0


@pytest.mark.parametrize("text", ["", "yesterday", "Tue, 99 Nov 1994 08:12:31 GMT", "Tue, 15 Nov 99999999999 08:12:31"])
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None
    assert parse_date(DATE.decode()) == MOMENT


@pytest.mark.real_clock
async def test_the_dates_of_replies_are_noted(nursery: trio.Nursery) -> None:
    answers = iter([b"date: " + DATE + b"\r\n", b"date: soon\r\n", b""])

    async def serve(stream: trio.abc.Stream) -> None:
        await read_head(stream)
        await stream.send_all(
            b"HTTP/1.1 200 OK\r\n" + next(answers) + b"content-length: 2\r\nconnection: close\r\n\r\nok"
        )

    port = await listen(nursery, serve)
    pool = DatedPool(AccountPool(dial_direct, shared_context), lambda: MOMENT + 90)
    for _ in range(3):
        async with pool.send("GET", f"http://127.0.0.1:{port}/", []) as answer:
            assert await answer.read(10) == b"ok"
    assert pool.skews == [90.0]
    await pool.aclose()
