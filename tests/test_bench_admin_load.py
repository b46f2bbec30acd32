from __future__ import annotations

import sys

import pytest

from bench.admin_load import OTHERS, SUMMARY, main

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the benchmark reads /proc")


def test_streams_run_beside_reads_that_are_answered(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--rounds", "1", "--seconds", "1", "--rows", "60", "--streams", "3", "--rate", "40"])
    printed = capsys.readouterr().out
    assert "round 1: p99 lag " in printed
    assert "3 streams, an event every 50 ms; 1 rounds of 1 s" in printed
    assert ", 0 failed; " in printed
    for path in (SUMMARY, *OTHERS):
        assert f"  {path}: median " in printed
