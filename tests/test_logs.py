"""No secret gets into a log line."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator

import pytest

from copilot_trio.logs import RedactingFormatter, redact, set_up

SECRET = "AbCdEf0123456789AbCdEf"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"token ghu_{SECRET} rejected", "token ghu_*** rejected"),
        (f"gho_{SECRET}", "gho_***"),
        (f"ghp_{SECRET}, ghs_{SECRET}, ghr_{SECRET}", "ghp_***, ghs_***, ghr_***"),
        (f"github_pat_11AA_{SECRET}", "github_pat_***"),
        (f'{{"token":"ghu_{SECRET}"}}', '{"token":"ghu_***"}'),
        (f"tid={SECRET};exp=1;sku=x_y;8kp=1:ab+/cd==", "tid=***"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer ***"),
        ("(b'authorization', b'Bearer ey.J/0+x~y==')", "(b'authorization', b'Bearer ***')"),
        ("authorization: bearer short-key", "authorization: bearer ***"),
        (f"Authorization: token {SECRET}", "Authorization: token ***"),
        ("proxy http://user:pass@proxy:8080 fails", "proxy http://user:***@proxy:8080 fails"),
        ("http://user:p@ss:w@proxy:8080", "http://user:***@proxy:8080"),
        ("socks5://:pass@proxy", "socks5://:***@proxy"),
    ],
)
def test_a_secret_is_replaced(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://localhost:4141/v1?x=a@b",
        "http://user@proxy:8080",
        "Send it as `Authorization: Bearer` or as `x-api-key`.",
        "the token of account work is refreshed",
        "13:13:59 --> POST /v1/messages?beta=true 200 20.1s in:1200 out:340 acct:work",
    ],
)
def test_other_text_stays_as_it_is(text: str) -> None:
    assert redact(text) == text


def record(name: str, message: str, *args: object, exc_info: bool = False) -> logging.LogRecord:
    info = sys.exc_info() if exc_info else None
    return logging.LogRecord(name, logging.WARNING, "", 0, message, args, info)


def test_a_message_carries_its_level() -> None:
    assert RedactingFormatter().format(record("copilot_trio.x", "%s is late", "it")) == "warning: it is late"


def test_an_access_line_stands_alone() -> None:
    assert RedactingFormatter().format(record("copilot_trio.access", "a line")) == "a line"


def test_arguments_are_redacted() -> None:
    assert SECRET not in RedactingFormatter().format(record("x", "got %s", f"ghu_{SECRET}"))


def test_exceptions_are_redacted() -> None:
    text = ""
    try:
        int(f"Bearer {SECRET}")
    except ValueError:
        text = RedactingFormatter().format(record("x", "failed", exc_info=True))
    assert "ValueError: invalid literal for int() with base 10: 'Bearer ***'" in text
    assert SECRET not in text


@pytest.fixture
def clean_loggers() -> Iterator[None]:
    root, ours, httpcore = (logging.getLogger(name) for name in ("", "copilot_trio", "httpcore"))
    before = list(root.handlers), [logger.level for logger in (root, ours, httpcore)]
    yield
    root.handlers[:] = before[0]
    for logger, level in zip((root, ours, httpcore), before[1], strict=True):
        logger.setLevel(level)


@pytest.mark.usefixtures("clean_loggers")
def test_being_verbose_never_goes_as_far_as_httpcores_headers() -> None:
    set_up(verbose=True)
    assert logging.getLogger("copilot_trio.x").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("httpcore.http11").isEnabledFor(logging.DEBUG)


@pytest.mark.usefixtures("clean_loggers")
def test_every_handler_redacts() -> None:
    set_up(verbose=False)
    assert [type(handler.formatter) for handler in logging.getLogger().handlers] == [RedactingFormatter]
