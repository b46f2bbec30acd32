"""Static files of a web page, whole and from memory, with what keeps other pages and foreign scripts out of it."""

from __future__ import annotations

import hashlib

import msgspec

from .exchange import Exchange

# Nothing inline, nothing from elsewhere, in nobody's frame. ``no-cache``: kept, but asked about each time.
HEADERS = [
    ("cache-control", "no-cache"),
    (
        "content-security-policy",
        "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
]


class StaticFile(msgspec.Struct, frozen=True):
    body: bytes
    content_type: str

    @property
    def etag(self) -> str:
        return f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'

    async def serve(self, exchange: Exchange) -> None:
        """A ``Handler``: the file, or that what the browser has is still right."""
        exchange.quiet = True
        headers = [("etag", self.etag), *HEADERS]
        if self._is_known(exchange.request.headers.get("if-none-match", "")):
            await exchange.respond(304, headers=headers)
        else:
            await exchange.respond(200, self.body, self.content_type, headers)

    def _is_known(self, tags: str) -> bool:
        known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
        return self.etag in known or "*" in known
