"""The official SDKs against ``copilot-trio start`` over the twin: started once, with one account.

They provoke failures by the hundred, so the account does not rest after three.
"""

from __future__ import annotations

import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Running, environment, twin

from copilot_trio.twin import sample_accounts

MODELS = ("gpt-4.1", "gpt-5-mini", "gpt-5.3-codex", "claude-sonnet-4.5", "gemini-2.5-pro")


@pytest.fixture(scope="session")
def base_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    home: Path = tmp_path_factory.mktemp("home")
    data = home / "data"
    data.mkdir(mode=0o700)
    (data / "config.json").write_text('{"accounts": {"failures_allowed": 1000000}}')
    with twin(home) as (base, _):
        variables = environment(
            home,
            COPILOT_TRIO_GITHUB_URL=base,
            COPILOT_TRIO_GITHUB_API_URL=base,
            COPILOT_TRIO_GITHUB_TOKEN=sample_accounts()[0].token,
        )
        with Running(("start", "--port", "0"), variables) as server:
            server.wait_for("models ")
            yield server.wait_for(r"listening +(http://\S+)")[1]


@pytest.fixture(params=MODELS)
def model(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def picture() -> str:
    """A PNG of two by two, base64."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = zlib.compress(b"\0\xff\0\0\0\xff\0" * 2)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 2, 8, 2, 0, 0, 0))
    return b64encode(b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")).decode()
