from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from copilot_trio.upstream.proxy_url import ProxyUrl, check_proxy_url, parse_proxy_url, shown_proxy


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("http://proxy.example:3128", ProxyUrl("http", "proxy.example", 3128)),
        ("http://proxy.example", ProxyUrl("http", "proxy.example", 80)),
        ("https://proxy.example/", ProxyUrl("https", "proxy.example", 443)),
        ("socks5://10.0.0.1", ProxyUrl("socks5", "10.0.0.1", 1080)),
        ("SOCKS5H://Proxy_1.Example", ProxyUrl("socks5h", "proxy_1.example", 1080)),
        ("socks5h://[::1]:9050", ProxyUrl("socks5h", "::1", 9050)),
        ("http://al%40ice:p%3A%2F%23%25@h:1", ProxyUrl("http", "h", 1, "al@ice", "p:/#%")),
        ("http://alice:p@ss@h:1", ProxyUrl("http", "h", 1, "alice", "p@ss")),
        ("http://token@h:1", ProxyUrl("http", "h", 1, "token", "")),
        ("https://:secret@h:1", ProxyUrl("https", "h", 1, "", "secret")),
        ("http://%C3%A4:%E2%82%AC@h:1", ProxyUrl("http", "h", 1, "ä", "€")),
        ("  http://h:1\n", ProxyUrl("http", "h", 1)),
    ],
)
def test_what_is_accepted(text: str, parsed: ProxyUrl) -> None:
    assert parse_proxy_url(text) == parsed
    assert check_proxy_url(text) == text.strip()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "begin with one of http://, https://, socks5://, socks5h://"),
        ("127.0.0.1:8080", "begin with one of"),
        ("ftp://h:1", "begin with one of"),
        ("socks4://h:1", "begin with one of"),
        ("http://", "no host"),
        ("http://:8080", "no host"),
        ("http://a..b:1", "no host"),
        (f"http://{'a' * 64}:1", "no host"),
        (f"http://{'.'.join(['a' * 60] * 5)}:1", "no host"),
        ("http://[::zz]:1", "host"),
        ("http://[fe80::1%25eth0]:1", "no host"),
        ("http://h:x", "cannot be read"),
        ("http://h:99999", "cannot be read"),
        ("http://h:0", "port 0"),
        ("http://h:1/path", "must end with its host and port"),
        ("http://h:1?", "must end with its host and port"),
        ("http://h:1#f", "must end with its host and port"),
        ("http://h :1", "percent-encoded"),
        ("http://hé:1", "percent-encoded"),
        (f"http://{'h' * 1100}:1", "over 1024"),
        ("http://a%3Ab:c@h:1", "colon"),
        ("http://a:b%0D%0Ax@h:1", "control character"),
        ("http://a:%FF@h:1", "cannot be read"),
        ("socks5://alice@h:1", "both a user and a password"),
        ("socks5h://:pw@h:1", "both a user and a password"),
        ("socks5://%C3%A4:b@h:1", "ASCII"),
        (f"socks5://a:{'b' * 256}@h:1", "at most 255"),
    ],
)
def test_what_is_refused_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match="this proxy URL cannot be used: ") as caught:
        parse_proxy_url(text)
    assert why in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hunter2/x@h:1",
        "http://user:1#hunter2@h:1",
        "http://user:pa#hunter2@h:1",
        "http://user:hunter2@h:x",
        "http://user:hunter2@[::zz]:1",
        "http://user:hunter2%FF@h:1",
        "http://user:hunter2%0A@h:1",
        "socks5://user:hunter2é@h:1",
        "hunter2://h",
        "user:hunter2@h:1",
    ],
)
def test_a_refusal_never_quotes_what_it_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="cannot be used") as caught:
        parse_proxy_url(text)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    assert "hunter2" not in shown_proxy(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("socks5h://user:secret@host", "socks5h://user:***@host:1080"),
        ("http://tokenonly@host:3128", "http://***@host:3128"),
        ("http://:secret@host:3128", "http://***@host:3128"),
        ("https://[::1]", "https://[::1]:443"),
        ("http://a%40b:secret@host:1", "http://a%40b:***@host:1"),
        ("nonsense", "(a proxy URL that cannot be used)"),
    ],
)
def test_what_is_shown_has_no_password(text: str, shown: str) -> None:
    assert shown_proxy(text) == shown


def test_its_repr_has_no_password() -> None:
    assert repr(parse_proxy_url("http://user:secret@host:1")) == "<ProxyUrl http://user:***@host:1>"


@given(st.text(max_size=40))
@example("http://[")
@example("http://\u2100:1")
def test_any_text_is_parsed_or_refused_in_our_words(text: str) -> None:
    for candidate in (text, f"http://{text}", f"socks5://u:p@{text}"):
        try:
            parse_proxy_url(candidate)
        except ValueError as error:
            assert str(error).startswith("this proxy URL cannot be used: ")  # noqa: PT017
