"""``/api/logs`` and ``/api/logs/stream``: what this program says, to read and to follow (systems.md §1.12)."""

from __future__ import annotations

import msgspec

from copilot_trio.logs import ICONS, LogEntry, LogRing
from copilot_trio.server.event_stream import EventStream
from copilot_trio.server.exchange import Exchange
from copilot_trio.server.router import Router

from .query import query_of
from .refused import Refused

MAX_FOLLOWERS = 20
HEARTBEAT = b": \n\n"


def add_routes(router: Router, ring: LogRing) -> None:
    feed = ring.feed

    async def newest(exchange: Exchange) -> None:
        await exchange.respond(200, msgspec.json.encode({"status": "ok", "logs": feed.entries()}))

    async def stream(exchange: Exchange) -> None:
        if feed.followers >= MAX_FOLLOWERS:
            raise Refused(503, f"{MAX_FOLLOWERS} clients follow the log already, as many as may", retry_after=10)
        out = EventStream(exchange, HEARTBEAT)
        exchange.start_soon(out.beat)
        with feed.follow(history=query_of(exchange).get("history") == "true") as follower:
            await out.send(HEARTBEAT)  # so that the client knows at once that it is heard
            while True:
                entries: list[LogEntry] = []
                with exchange.idle():
                    entries, missed = await follower.next()
                    if missed:
                        entries = [_gap(entries[0].timestamp, missed), *entries]
                if not entries:
                    break  # the server stops
                await out.send(b"".join(b"data: %b\n\n" % msgspec.json.encode(entry) for entry in entries))
            await out.finish()

    router.add("GET", "/api/logs", newest, scope="admin")
    router.add("GET", "/api/logs/stream", stream, scope="admin")


def _gap(timestamp: str, missed: int) -> LogEntry:
    return LogEntry(
        timestamp, "WARN", f"{missed} lines are missing here: they came faster than you read", ICONS["WARN"]
    )
