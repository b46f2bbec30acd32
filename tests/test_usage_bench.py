"""``python -m bench.usage`` measures what it says, on a small store."""

from __future__ import annotations

import pytest

from bench.usage import main


def test_a_small_run_reports_every_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "12000", "--cap", "1.5"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert {"written", "cap", "kept", "summary 24h", "summary all", "recent", "start-up with this file", "put"} <= set(
        lines
    )
    assert lines["written"].startswith("12000 rows")
    assert 0 < int(lines["kept"].split()[0]) < 12000
    cap, largest, now = (float(part.split(" MiB")[0].split()[-1]) for part in lines["cap"].split(";"))
    assert now <= largest <= cap == 1.5
