from __future__ import annotations

from pathlib import Path

import trustme

from copilot_trio.doctor.machine import check_clock, check_descriptors, check_trust


def test_a_low_limit_of_descriptors_is_warned_of() -> None:
    assert check_descriptors(1000, 1000).state == "ok"
    found = check_descriptors(96, 1000)
    assert (found.state, "96 connections at once, not 1000" in found.message) == ("warning", True)


def test_certificates(tmp_path: Path) -> None:
    assert check_trust({}, None).state == "ok"
    found = check_trust({"SSL_CERT_FILE": str(tmp_path / "none")}, None)
    assert (found.state, "SSL_CERT_FILE" in found.message) == ("failed", True)
    ca_file = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(ca_file))
    assert str(ca_file) in check_trust({}, str(ca_file)).message


def test_the_clock_is_judged_by_the_reply_that_came_quickest() -> None:
    assert check_clock([]) == []
    assert [found.state for found in check_clock([400.0, 3.0])] == ["ok"]
    for skew, words in ((400.0, "400 s ahead of"), (-7200.0, "7200 s behind")):
        (found,) = check_clock([skew])
        assert (found.state, words in found.message) == ("warning", True)
