"""How many requests went through each account, and when: what quota panels draw (systems.md §2.5). Since the start."""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from copilot_trio.usage.record import UsageRecord

BUCKET = 600  # seconds
BUCKETS = 20
MAX_LABELS = 1000


class _Count:
    def __init__(self) -> None:
        self.success = self.failed = 0
        self.recent: deque[tuple[int, int, int]] = deque(maxlen=BUCKETS)  # bucket, success, failed; the newest last

    def add(self, bucket: int, *, well: bool) -> None:
        self.success += well
        self.failed += not well
        last = self.recent[-1] if self.recent else (bucket, 0, 0)
        if last[0] >= bucket and self.recent:  # a clock that went back adds to the newest
            self.recent.pop()
        else:
            last = (bucket, 0, 0)
        self.recent.append((last[0], last[1] + well, last[2] + (not well)))


class Traffic:
    """By the accounts' labels. A request that no account carried counts for none."""

    def __init__(self) -> None:
        self._counts: dict[str, _Count] = {}

    def put(self, record: UsageRecord) -> None:
        if not record.account:
            return
        count = self._counts.pop(record.account, None) or _Count()
        self._counts[record.account] = count
        if len(self._counts) > MAX_LABELS:
            del self._counts[next(iter(self._counts))]
        count.add(record.time_ms // 1000 // BUCKET, well=200 <= record.status < 400)

    def shown(self, label: str, now: float) -> dict[str, Any]:
        """``recent_requests``: the oldest first, those without any included; ``now`` is in Unix seconds."""
        count = self._counts.get(label) or _Count()
        by_bucket = {bucket: (success, failed) for bucket, success, failed in count.recent}
        newest = int(now) // BUCKET
        recent = []
        for bucket in range(newest - BUCKETS + 1, newest + 1):
            success, failed = by_bucket.get(bucket, (0, 0))
            recent.append({"time": f"{_clock(bucket)}-{_clock(bucket + 1)}", "success": success, "failed": failed})
        return {"success": count.success, "failed": count.failed, "recent_requests": recent}


def _clock(bucket: int) -> str:
    """In local time."""
    return time.strftime("%H:%M", time.localtime(bucket * BUCKET))
