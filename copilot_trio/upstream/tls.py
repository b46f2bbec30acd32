"""The one TLS context: making one costs 20 ms and most of a MiB, so it is made once, and only when first needed."""

from __future__ import annotations

import ssl
from functools import cache


@cache
def shared_context(ca_file: str | None = None) -> ssl.SSLContext:
    """The system's trust store, which honours ``SSL_CERT_FILE``, plus ``ca_file`` if given. HTTP/1.1 only."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    context.set_alpn_protocols(["http/1.1"])
    return context
