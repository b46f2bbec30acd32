"""Requests of real clients (``tests/samples/``), long texts and schemas cut short, keys and ids made up.

``names()`` lists them; ``load(name)`` gives one. Bodies that clients send compressed are here as they are inside.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

SAMPLES = Path(__file__).parent / "samples"


class Sample(msgspec.Struct, frozen=True):
    """``method`` is ``WS-FRAME`` for what goes over a WebSocket; ``body`` is empty where nothing is sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Stored(msgspec.Struct):
    method: str
    path: str
    headers: dict[str, str]
    body: msgspec.Raw = msgspec.Raw()


_decode = msgspec.json.Decoder(_Stored).decode


def names(method: str | None = None, path: str = "") -> list[str]:
    """Of that method (all without one) and with a path that begins so."""
    found = sorted(file.stem for file in SAMPLES.glob("*.json"))
    samples = {name: load(name) for name in found}
    return [
        name for name, sample in samples.items() if method in {None, sample.method} and sample.path.startswith(path)
    ]


def load(name: str) -> Sample:
    stored = _decode((SAMPLES / f"{name}.json").read_bytes())
    return Sample(stored.method, stored.path, stored.headers, bytes(stored.body))
