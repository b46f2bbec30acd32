"""What one request's log line says. Metadata only, never a word of a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from copilot_trio.turn import Usage

NANO = 1_000_000_000


class RequestNote:
    """Filled in as the request goes on its way; read once, when it ends.

    ``endpoint`` is empty for what asks no model, ``account`` a label. ``billing`` is the upstream model's.
    ``first_piece``: when the first of a stream came from upstream, on Trio's clock.
    """

    def __init__(self) -> None:
        self.endpoint = ""
        self.model = ""  # as the client calls it
        self.upstream_model = ""
        self.billing: Mapping[str, Any] = {}
        self.thinking = False
        self.stream = False
        self.initiator = ""
        self.account = ""
        self.group = ""
        self.first_piece: float | None = None
        self.usage: Usage | None = None
        self.error = ""

    def prefix(self) -> str:
        """``[claude-opus-4-6 thinking] ``, or nothing for a request that names no model."""
        if not self.model:
            return ""
        return f"[{self.model}{' thinking' if self.thinking else ''}] "

    def suffix(self) -> str:
        """`` in:1200 out:340 cached:900 acct:work cost:0.8cr``: what is known of it."""
        fields: list[str] = []
        if self.usage is not None:
            total = self.usage.input_tokens + self.usage.cache_read_tokens + self.usage.cache_write_tokens
            fields += [f"in:{total}", f"out:{self.usage.output_tokens}"]
            if self.usage.cache_read_tokens:
                fields.append(f"cached:{self.usage.cache_read_tokens}")
        if self.account:
            fields.append(f"acct:{self.account}")
        if self.usage is not None and self.usage.nano_aiu is not None:
            fields.append(f"cost:{_credits(self.usage.nano_aiu / NANO)}cr")
        if self.error:
            fields.append(self.error)
        return "".join(f" {field}" for field in fields)


def _credits(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:.0f}"


def duration(seconds: float) -> str:
    """``340ms`` below a second, ``20.1s`` from there on."""
    return f"{seconds * 1000:.0f}ms" if seconds < 0.9995 else f"{seconds:.1f}s"
