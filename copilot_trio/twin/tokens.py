"""Copilot tokens: made from a GitHub token, good until they expire (upstream.md §3.2)."""

from __future__ import annotations

import msgspec

from .accounts import Account
from .identifiers import Identifiers

MAX_TOKENS = 10_000


class CopilotToken(msgspec.Struct, frozen=True):
    token: str
    login: str
    issued_at: float
    expires_at: float


class CopilotTokens:
    def __init__(self, identifiers: Identifiers) -> None:
        self._identifiers = identifiers
        self._tokens: dict[str, CopilotToken] = {}  # the oldest go first

    def issue(self, account: Account, now: float) -> CopilotToken:
        expires_at = now + account.token_lifetime
        fields = (
            f"tid={self._identifiers.hex(32)};exp={int(expires_at)};sku={account.sku};"
            "proxy-ep=proxy.individual.githubcopilot.com;st=dotcom;chat=1;mcp=1;ccr=1;"
            "editor_preview_features=1;rt=1;8kp=1"
        )
        token = CopilotToken(f"{fields}:{self._identifiers.hex(64)}", account.login, now, expires_at)
        self._tokens[token.token] = token
        while len(self._tokens) > MAX_TOKENS:
            del self._tokens[next(iter(self._tokens))]
        return token

    def find(self, token: str) -> CopilotToken | None:
        return self._tokens.get(token)

    def expire(self, login: str) -> None:
        """All tokens of that account are expired from now on."""
        for key, token in self._tokens.items():
            if token.login == login:
                self._tokens[key] = msgspec.structs.replace(token, expires_at=0.0)
