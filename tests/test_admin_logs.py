"""The log by the admin API: its newest lines, and those that come."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import h11
import msgspec
import pytest
import trio
import trio.testing
from memory_network import Stream, get
from monitoring_of import error, told
from world import World, chat

from copilot_trio.admin.logs import MAX_FOLLOWERS
from copilot_trio.logs import ACCESS, KEPT, MAX_MESSAGE, LogRing

logger = logging.getLogger("copilot_trio.test")


@pytest.fixture
def ring() -> Iterator[LogRing]:
    made = LogRing()
    ours = logging.getLogger("copilot_trio")
    before = ours.level
    ours.addHandler(made)
    ours.setLevel(logging.INFO)
    yield made
    ours.removeHandler(made)
    ours.setLevel(before)


class Following:
    """A client of the stream. ``entries`` are read as they are asked for."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.head: h11.Response | None = None
        self.ended = False
        self._h11 = h11.Connection(h11.CLIENT)
        self._h11.send(h11.Request(method="GET", target="/", headers=[("host", "t")]))
        self._h11.send(h11.EndOfMessage())
        self._text = b""

    async def entry(self) -> dict[str, Any] | None:
        """None at the end."""
        while True:
            block, found, rest = self._text.partition(b"\n\n")
            if found:
                self._text = rest
                if block.startswith(b"data: "):
                    entry = msgspec.json.decode(block.removeprefix(b"data: "))
                    assert isinstance(entry, dict)
                    return entry
            elif not await self._more():
                return None

    async def _more(self) -> bool:
        event = self._h11.next_event()
        if event is h11.NEED_DATA:
            self._h11.receive_data(bytes(await self.stream.receive_some()))
        elif isinstance(event, h11.Response):
            self.head = event
        elif isinstance(event, h11.Data):
            self._text += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            self.ended = True
            return False
        return True


async def follow(world: World, query: str = "") -> Following:
    stream = await world.downstream.connect()
    await get(stream, f"/api/logs/stream{query}")
    await trio.testing.wait_all_tasks_blocked()
    return Following(stream)


async def test_the_newest_lines(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    logger.warning("hello ghu_%s", "0123456789")
    await world.ask("/v1/chat/completions", chat("hi"))
    await world.ask("/v1/chat/completions", b"{")
    answer = await told(world, "/api/logs")
    assert answer["status"] == "ok"
    lines = answer["logs"]
    assert set(lines[0]) == {"timestamp", "level", "message", "icon"}
    assert (lines[0]["level"], lines[0]["message"]) == ("WARN", "hello ghu_***")
    ends = [line for line in lines if "-->" in line["message"]]
    assert [line["level"] for line in ends] == ["SUCCESS", "WARN"]
    assert not any("/api/logs" in line["message"] for line in (await told(world, "/api/logs"))["logs"])


async def test_a_stream_has_what_comes(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    logger.info("before")
    following = await follow(world)
    logger.error("after")
    entry = await following.entry()
    assert entry is not None
    assert (entry["level"], entry["message"]) == ("ERROR", "after")
    assert following.head is not None
    assert dict(following.head.headers)[b"content-type"] == b"text/event-stream"


async def test_a_stream_with_history_has_what_was(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    logger.info("before")
    following = await follow(world, "?history=true")
    logger.info("after")
    assert [(await following.entry() or {})["message"] for _ in range(2)] == ["before", "after"]


async def test_a_stream_that_is_not_read_holds_nothing_up_and_is_told_what_it_missed(
    nursery: trio.Nursery, ring: LogRing
) -> None:
    world = World(nursery, ring=ring)
    following = await follow(world)
    for number in range(KEPT + 500):
        logger.info("line %d", number)
    gap = await following.entry()
    assert gap is not None
    assert (gap["level"], gap["message"].split()[0]) == ("WARN", "500")
    first = await following.entry()
    assert first is not None
    assert first["message"] == "line 500"


async def test_a_stream_ends_when_the_server_stops(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    following = await follow(world)
    world.app.server.stop()
    with trio.fail_after(5):
        assert await following.entry() is None
    assert following.ended


async def test_a_client_that_leaves_follows_no_longer(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    following = await follow(world)
    assert ring.feed.followers == 1
    await following.stream.aclose()
    await trio.sleep(1)
    assert ring.feed.followers == 0
    assert ring.feed.entries() == []  # nobody wants to read that a page was closed


async def test_only_so_many_may_follow(nursery: trio.Nursery, ring: LogRing) -> None:
    world = World(nursery, ring=ring)
    for _ in range(MAX_FOLLOWERS):
        await follow(world)
    assert str(MAX_FOLLOWERS) in await error(world, "/api/logs/stream", 503)


def test_the_ring_is_bounded_in_both_ways(ring: LogRing) -> None:
    for _ in range(KEPT + 1):
        logger.info("x" * (MAX_MESSAGE + 1))
    entries = ring.feed.entries()
    assert (len(entries), len(entries[0].message)) == (KEPT, MAX_MESSAGE)


@pytest.mark.parametrize(
    ("status", "level"), [(200, "SUCCESS"), (302, "SUCCESS"), (404, "WARN"), (499, "WARN"), (500, "ERROR")]
)
def test_a_requests_end_has_the_level_of_its_status(ring: LogRing, status: int, level: str) -> None:
    logging.getLogger(ACCESS).info("-->", extra={"status": status})
    assert ring.feed.entries()[0].level == level


@pytest.mark.parametrize(
    ("level", "shown"), [(logging.CRITICAL, "ERROR"), (logging.WARNING, "WARN"), (logging.INFO, "INFO"), (1, "DEBUG")]
)
def test_other_lines_keep_their_level(level: int, shown: str) -> None:
    made = LogRing()
    made.handle(logging.LogRecord("x", level, "", 0, "text", (), None))
    (entry,) = made.feed.entries()
    assert (entry.level, entry.message) == (shown, "text")


def test_a_line_that_cannot_be_written_stops_nothing(ring: LogRing, capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger("copilot_trio").propagate = False
    try:
        logger.info("%d", "no number")
    finally:
        logging.getLogger("copilot_trio").propagate = True
    assert ring.feed.entries() == []
    assert "no number" in capsys.readouterr().err
