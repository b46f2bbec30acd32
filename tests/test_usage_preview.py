"""What inspection shows has no secret in it that can be told by its look or its name."""

from __future__ import annotations

import pytest

from copilot_trio.usage.preview import HIDDEN, MAX_PREVIEW, preview, shown_headers, shown_query


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        ('{"max_tokens":9,"stream":true}', '{"max_tokens":9,"stream":true}'),
        ('{"token":"abc"}', f'{{"token":"{HIDDEN}"}}'),
        ('{"x": {"Client_Secret" : "a\\nb"}}', f'{{"x": {{"Client_Secret" : "{HIDDEN}"}}}}'),
        ('{"authorization":"Basic Zm9v"}', f'{{"authorization":"{HIDDEN}"}}'),
        ('{"text":"{\\"password\\": \\"p4ss\\"}"}', f'{{"text":"{{\\"password\\": \\"{HIDDEN}\\"}}"}}'),
        ('{"apiKey":"cut of', f'{{"apiKey":"{HIDDEN}'),
        ("export OPENAI_API_KEY=abcdef12 ls", f"export OPENAI_API_KEY={HIDDEN} ls"),
        ("DB_PASSWORD='abcdef12'", f"DB_PASSWORD='{HIDDEN}'"),
        ("sk-ant-api03-0123456789abcdef", f"sk-{HIDDEN}"),
        ("AKIAIOSFODNN7EXAMPLE1", f"AKIA{HIDDEN}"),
        ("Bearer abcdefghij", "Bearer ***"),
        ("ghu_0123456789", "ghu_***"),
        ("https://bob:pass@host/", "https://bob:***@host/"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMII\n", f"-----BEGIN RSA PRIVATE KEY-----{HIDDEN}"),
        ("the token of the keyboard is a secret", "the token of the keyboard is a secret"),
    ],
)
def test_secrets_are_left_out(body: str, shown: str) -> None:
    assert preview(body.encode()) == shown


def test_a_long_body_is_cut() -> None:
    assert preview(b"x" * 10_000) == "x" * MAX_PREVIEW
    assert len(preview(b"{" + b'"key":"",' * 2000)) <= MAX_PREVIEW


def test_what_is_no_text_is_shown_as_far_as_it_is() -> None:
    assert preview(b"\xff\x00ok") == "\ufffd\x00ok"


def test_headers_that_hold_credentials_lose_their_values() -> None:
    headers = {
        "authorization": "Bearer x", "x-api-key": "k", "cookie": "a=b", "x-goog-secret": "s", "x-auth-token": "t",
        "proxy-authorization": "Basic x", "user-agent": "codex", "referer": "http://u:p@host/",
    }  # fmt: skip
    shown = shown_headers(headers)
    assert {name for name, value in shown.items() if value == HIDDEN} == set(headers) - {"user-agent", "referer"}
    assert (shown["user-agent"], shown["referer"]) == ("codex", "http://u:***@host/")


def test_of_a_query_only_the_harmless_is_shown() -> None:
    assert [shown_query(query) for query in ("", "beta=true", "key=abc")] == ["", "beta=true", "…"]
