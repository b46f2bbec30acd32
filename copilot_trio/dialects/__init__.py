"""The API formats of clients and of Copilot: ``chat``, ``messages``, ``responses``. No I/O, no clock, no logging."""

from __future__ import annotations

from typing import Literal

DialectName = Literal["chat", "messages", "responses"]
