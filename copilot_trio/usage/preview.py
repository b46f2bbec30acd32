"""What inspection shows of a request: the beginning of its body and its headers, without what looks secret.

A guess, as any search for secrets is: that is why inspection is off unless somebody switches it on (product.md §8).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from copilot_trio.logs import redact

MAX_PREVIEW = 8192  # characters
HIDDEN = "[redacted]"
_NAMED_SECRET = re.compile(r"authorization|cookie|token|key|secret|password", re.IGNORECASE)
# A JSON member, at any depth of quoting, cut off at the end or not. Bounded, for odd text is slow to search.
_MEMBER = re.compile(
    r'("[\w\-]{0,40}(?:authorization|cookie|passw(?:or)?d|token|secret|api[_\-]?key|access[_\-]?key|private[_\-]?key)'
    r'\\{0,8}"\s{0,20}:\s{0,20}\\{0,8}")(?:[^"\\]|\\(?!"))+',
    re.IGNORECASE,
)
# As in a shell or an .env file.
_ASSIGNED = re.compile(
    r"(\b\w{0,40}(?:TOKEN|SECRET|PASSW(?:OR)?D|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)\w{0,40}\s{0,8}=\s{0,8}\\{0,8}[\"']?)"
    r"[^\s\"'\\,;]{4,}",
    re.IGNORECASE,
)
# Keys that other services mark as theirs.
_MARKED = re.compile(
    r"\b(sk-|ct-|xox[abprs]-|AKIA|ASIA|AIza|glpat-|npm_|hf_|eyJ)[A-Za-z0-9_\-]{12,}(?:\.[A-Za-z0-9_\-]+)*"
)
_PEM = re.compile(r"(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?=-----END|\Z)", re.DOTALL)


def preview(body: bytes) -> str:
    """The first 8 KiB of text."""
    text = body[:MAX_PREVIEW].decode("utf-8", "replace")
    text = _PEM.sub(rf"\1{HIDDEN}", text)
    text = _MEMBER.sub(rf"\1{HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    text = _MARKED.sub(rf"\1{HIDDEN}", text)
    return redact(text)[:MAX_PREVIEW]


def shown_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Values of headers whose name speaks of a credential are left out."""
    return {
        name: HIDDEN if _NAMED_SECRET.search(name) else redact(value)[:MAX_PREVIEW] for name, value in headers.items()
    }


def shown_query(query: str) -> str:
    """Only what is known to be harmless: some clients put keys there."""
    return query if query in {"", "beta=true"} else "…"
