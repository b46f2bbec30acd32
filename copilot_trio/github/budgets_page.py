"""What a person pastes as a cookie header, and what GitHub's billing page says of itself. Pure (systems.md §3.5)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from html import unescape
from itertools import islice

import msgspec

LONGEST_COOKIE = 32 * 1024
COOKIE = re.compile(r"[!-~]+=[ -~]*")  # of a header's value: nothing that could end the header
CURL = re.compile(r"\Acurl(?:\.exe)?\s|(?:\A|\s)(?:-H|--header|-b|--cookie)[\s='\"]")
HEADER_FLAGS = ("-H", "--header")
COOKIE_FLAGS = ("-b", "--cookie")

NONCES = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r'x-fetch-nonce"\s+content="([^"]*)"',
        r'x-fetch-nonce"\s*:\s*"([^"]*)"',
        r'fetchNonce"\s*:\s*"([^"]*)"',
        r'data-fetch-nonce="([^"]*)"',
    )
)
NONCE = re.compile(r"[!-~]{1,500}")
MAX_TAGS = 500
META = re.compile(r"<meta\b([^<>]{0,2000})>", re.IGNORECASE)
ATTRIBUTE = re.compile(r"(?<![a-z:-])([a-z:-]++)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.IGNORECASE)
ID_NAMES = ("octolytics-actor-id", "analytics-user-id", "user-id")
LOGIN_NAMES = ("user-login", "octolytics-actor-login", "analytics-user-login")


class Person(msgspec.Struct, frozen=True):
    """Somebody at GitHub. Empty: not said."""

    id: str = ""
    login: str = ""

    def is_the_same_as(self, other: Person) -> bool:
        """By id alone where this one has one, else by login."""
        if self.id:
            return self.id == other.id
        return bool(self.login) and self.login.casefold() == other.login.casefold()


def cookie_header(text: str) -> str:
    """The header's value, from itself, the whole header, quoted or not, or a copied curl command. Empty: there is none.

    Raises ``ValueError`` for what cannot be a cookie header; the text never says what it was.
    """
    if len(text) > LONGEST_COOKIE:
        raise ValueError(f"it is over {LONGEST_COOKIE >> 10} KiB")
    text = text.strip()
    value = _bare(_of_curl(text) if CURL.search(text) else text)
    if value and not COOKIE.fullmatch(value):
        raise ValueError("it is no line of the form `name=value; name=value`")
    return value


def _bare(text: str) -> str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"":
        text = text[1:-1].strip()
    return _bare(text[7:]) if _is_cookie_header(text) else text


def _is_cookie_header(text: str) -> bool:
    return text[:7].lower() == "cookie:"


def _of_curl(command: str) -> str:
    """What it sends as cookies: of ``-H 'Cookie: …'`` or ``-b …``."""
    try:
        words = shlex.split(re.sub(r"\\(?:\r?\n|\Z)", " ", command))
    except ValueError:
        raise ValueError("the curl command in it cannot be read: a quote is missing") from None
    for flag, value in _flags(words):
        value = value.removeprefix("$")  # of a shell's $'…'
        if flag in COOKIE_FLAGS or _is_cookie_header(value):
            return value
    return ""


def _flags(words: list[str]) -> Iterator[tuple[str, str]]:
    for position, word in enumerate(words):
        for flag in (*HEADER_FLAGS, *COOKIE_FLAGS):
            if word == flag and position + 1 < len(words):
                yield flag, words[position + 1]
            elif word.startswith(f"{flag}=") or (len(flag) == 2 and word.startswith(flag) and word != flag):
                yield flag, word[len(flag) :].removeprefix("=")


def nonce_of(html: str) -> str | None:
    """What the page's own requests carry; None where it has none, or none that a header can hold."""
    found = (match[1] for pattern in NONCES if (match := pattern.search(html)) is not None)
    return next((unescape(nonce) for nonce in found if NONCE.fullmatch(unescape(nonce))), None)


def person_of(html: str) -> Person:
    """Who is signed in, by the page's meta tags."""
    tags: dict[str, str] = {}
    for tag in islice(META.finditer(html), MAX_TAGS):
        attributes = _attributes(tag[1])
        name, content = attributes.get("name", "").lower(), attributes.get("content", "").strip()
        if name and content:
            tags.setdefault(name, content)
    return Person(_first(tags, ID_NAMES), _first(tags, LOGIN_NAMES))


def _attributes(tag: str) -> dict[str, str]:
    return {
        match[1].lower(): unescape(next((value for value in match.groups()[1:] if value is not None), ""))
        for match in ATTRIBUTE.finditer(tag)
    }


def _first(tags: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((tags[name] for name in names if name in tags), "")
