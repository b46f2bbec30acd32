"""What is kept of one request: numbers and names, never a word of a prompt or an answer (product.md §8)."""

from __future__ import annotations

import msgspec


class UsageRecord(msgspec.Struct, frozen=True, gc=False):
    """``time_ms``: when the request began, Unix ms. Tokens as in ``turn.Usage``: ``input_tokens`` excludes the cache's.

    ``upstream_model`` and ``account`` (a label) are empty where the request did not get so far, ``error`` (the class)
    where nothing failed. ``nano_aiu`` is None where the price is not known, ``ttft_ms`` where there was no first token.
    """

    time_ms: int
    endpoint: str
    requested_model: str = ""
    upstream_model: str = ""
    account: str = ""
    group: str = ""
    stream: bool = False
    initiator: str = ""
    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    nano_aiu: int | None = None
    status: int = 0
    error: str = ""
    ttft_ms: int | None = None
    duration_ms: int = 0
    request_id: str = ""
