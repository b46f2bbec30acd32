"""The machine: descriptors, certificates, the clock."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

from copilot_trio.upstream.tls import shared_context

from .finding import Finding, failed, ok, warning

SKEW = 60.0  # seconds
TRUST = "trusted CAs"


def check_descriptors(carried: int, wanted: int) -> Finding:
    """``carried``: for how many connections the hard limit does."""
    if carried < wanted:
        return warning(
            "descriptors",
            f"the limit of open files carries {carried} connections at once, not {wanted}",
            "Raise it: `ulimit -Hn 65536`, or LimitNOFILE= in the systemd unit.",
        )
    return ok("descriptors", f"enough for {carried} connections at once")


def check_trust(environment: Mapping[str, str], ca_file: str | None) -> Finding:
    named = environment.get("SSL_CERT_FILE")
    if named and not Path(named).is_file():
        return failed(TRUST, f"SSL_CERT_FILE names {named}, which is no file", "Correct or unset it.")
    try:
        count = shared_context(ca_file).cert_store_stats()["x509_ca"]
    except (OSError, ssl.SSLError) as error:
        return failed(TRUST, f"certificates cannot be loaded: {error.strerror or error}", "Look at SSL_CERT_FILE.")
    if named and not count:
        return failed(TRUST, f"SSL_CERT_FILE names {named}, which holds no CA", "Correct or unset it.")
    if not count and not _in_directory(environment):
        return failed(TRUST, "this machine has none", "Install the package ca-certificates, or set SSL_CERT_FILE.")
    source = f"SSL_CERT_FILE={named}" if named else "the system's"
    return ok(TRUST, f"{source}{f' and {ca_file}' if ca_file else ''}, {count} loaded")


def check_clock(skews: Sequence[float]) -> list[Finding]:
    """``skews``: by how many seconds the clock is ahead of GitHub's; none where GitHub was not reached."""
    if not skews:
        return []
    skew = min(skews, key=abs)  # a slow reply makes it seem worse than it is
    if abs(skew) <= SKEW:
        return [ok("clock", "agrees with GitHub's")]
    direction = "ahead of" if skew > 0 else "behind"
    remedy = "Set it, say with `timedatectl set-ntp true`: certificates and resets of quotas are judged by it."
    return [warning("clock", f"{abs(skew):.0f} s {direction} GitHub's", remedy)]


def _in_directory(environment: Mapping[str, str]) -> bool:
    """OpenSSL reads a directory of CAs when it needs one, so they are not counted."""
    directory = environment.get("SSL_CERT_DIR") or ssl.get_default_verify_paths().capath or ""
    return bool(directory) and Path(directory).is_dir() and any(Path(directory).iterdir())
