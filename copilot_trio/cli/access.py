"""Who may call: keys from flags and settings. A host that others can reach is never served without one, unless told so
twice (product.md §2.5)."""

from __future__ import annotations

import argparse
import secrets
import socket
from collections.abc import Mapping
from pathlib import Path

import msgspec

from copilot_trio.config import ApiKey, Config
from copilot_trio.github.hosts import is_loopback
from copilot_trio.server.auth import Access, hash_key

from .failure import CommandFailed
from .management import management_keys
from .say import say
from .settings import change_config


def access_of(options: argparse.Namespace, environment: Mapping[str, str], config: Config) -> Access:
    """Also while the server runs. Raises ``ValueError`` for settings that would let in everybody who reaches it."""
    keys = [ApiKey(f"flag {number}", hash_key(key)) for number, key in enumerate(options.api_key, 1)]
    keys += config.keys
    if not (keys or options.no_auth or is_loopback(options.host)):
        raise ValueError(f"`keys` is empty, and others reach {options.host}: one key must be left")
    return Access(
        options.host,
        () if options.no_auth else tuple(keys),
        management_keys(config, environment),
        tuple(options.allowed_host),
        tuple(options.allowed_origin),
    )


def with_a_key(options: argparse.Namespace, config: Config, directory: Path) -> Config:
    """The settings to start with: where a key is needed and there is none, one is made, stored and shown once."""
    loopback = is_loopback(options.host)
    if options.no_auth and not loopback and not options.i_know:
        raise CommandFailed(f"--no-auth on {options.host} lets everybody in reach spend: add --i-know if so meant", 2)
    if options.no_auth or loopback or options.api_key or config.keys:
        return config
    _check_can_listen(options.host, options.port)  # or the key would be shown in vain
    secret = f"ct-{secrets.token_urlsafe(24)}"
    key = ApiKey("generated", hash_key(secret))
    stored = change_config(directory, lambda before: msgspec.structs.replace(before, keys=(*before.keys, key)))
    say(f"API key, shown this once: {secret}")
    return stored


def _check_can_listen(host: str, port: int) -> None:
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise CommandFailed(f"cannot listen on {host} port {port}: {error.strerror or error}") from None
