from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest
from bad_input import CASES, Case, ask
from processes import Running, call, environment


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with Running(("demo", "--port", "0"), environment(tmp_path_factory.mktemp("home"))) as demo:
        demo.wait_for("models ")
        yield demo.wait_for(r"listening +(http://\S+)")[1]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bad_input_gets_a_clear_error_in_the_clients_dialect_and_the_server_stays_up(address: str, case: Case) -> None:
    status, kind, body = ask(address, case.wire)
    assert (status, kind) == (case.status, "application/json")
    error = msgspec.json.decode(body)
    assert case.words in error["error"]["message"]
    assert "Nothing was charged." in error["error"]["message"]
    assert (error.get("type") == "error") == (case.dialect == "messages")
    assert call(f"{address}/health")[0] == 200


def test_a_key_in_a_broken_header_line_is_not_repeated(address: str) -> None:
    _, _, body = ask(address, b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization Bearer SECRETKEY\r\n\r\n")
    assert b"SECRETKEY" not in body
