from __future__ import annotations

import pytest

from copilot_trio.github.budgets_page import LONGEST_COOKIE, MAX_TAGS, Person, cookie_header, nonce_of, person_of

COOKIES = "user_session=manual; logged_in=yes"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("  user_session=manual  ", "user_session=manual"),
        ("  ", ""),
        ("Cookie:", ""),
        ("'Cookie: '", ""),
        ("", ""),
        (COOKIES, COOKIES),
        (f"{COOKIES}\n", COOKIES),
        (f"Cookie: {COOKIES}", COOKIES),
        (f"cookie:{COOKIES}", COOKIES),
        (f'"Cookie: {COOKIES}"', COOKIES),
        (f"Cookie: '{COOKIES}'", COOKIES),
        (f"'{COOKIES}'", COOKIES),
        (f"-H 'Cookie: {COOKIES}'", COOKIES),
        (f"curl 'https://github.com/settings' -H 'accept: */*' -H 'Cookie: {COOKIES}' --compressed", COOKIES),
        (f"curl 'https://github.com/settings' \\\n  -H 'accept: */*' \\\n  -H $'cookie: {COOKIES}' \\\n", COOKIES),
        (f"curl https://github.com/ -b '{COOKIES}'", COOKIES),
        (f"curl https://github.com/ --cookie={COOKIES.replace(' ', '')}", COOKIES.replace(" ", "")),
        (f'curl.exe "https://github.com/" --header "Cookie: {COOKIES}"', COOKIES),
        (f"curl https://github.com/ '-HCookie: {COOKIES}'", COOKIES),
        ("curl https://github.com/ -H 'accept: */*' -H", ""),
        ("a=x-b=y; c=--cookie=z", "a=x-b=y; c=--cookie=z"),
    ],
)
def test_a_cookie_header_in_many_forms(text: str, value: str) -> None:
    assert cookie_header(text) == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a=secret\r\nX-Other: 1", "no line of the form"),
        ("a=secret\x00", "no line of the form"),
        ("a=sécret", "no line of the form"),
        ("secret", "no line of the form"),
        ("curl https://github.com/ -b secret.txt", "no line of the form"),
        ("curl https://github.com/ -H 'Cookie: a=secret", "quote is missing"),
        (f"a={'secret' * LONGEST_COOKIE}", "over 32 KiB"),
    ],
)
def test_what_cannot_be_a_header_is_not_repeated(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        cookie_header(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("html", "nonce"),
    [
        ('<meta name="x-fetch-nonce" content="v2:abc-123">', "v2:abc-123"),
        ('<META NAME="X-FETCH-NONCE" CONTENT="v2:abc-123">', "v2:abc-123"),
        ('{"headers":{"X-Fetch-Nonce": "v2:b"}}', "v2:b"),
        ('{"fetchNonce":"v2:c"}', "v2:c"),
        ('<body data-fetch-nonce="v2:d">', "v2:d"),
        ('<body data-fetch-nonce="last"><script>{"fetchNonce": "first"}</script>', "first"),
        ('<meta name="x-fetch-nonce" content="">{"fetchNonce":"next"}', "next"),
        ('<meta name="x-fetch-nonce" content="a\r\nX-Evil: 1">', None),
        ('<meta name="x-fetch-nonce" content="a&#10;b">', None),
        (f'<meta name="x-fetch-nonce" content="{"n" * 501}">', None),
        ("<html></html>", None),
    ],
)
def test_the_nonce_of_a_page(html: str, nonce: str | None) -> None:
    assert nonce_of(html) == nonce


@pytest.mark.parametrize(
    ("html", "person"),
    [
        (
            '<meta name="octolytics-actor-id" content="123"><meta content = "octocat" name = "user-login">',
            Person("123", "octocat"),
        ),
        ("<meta name='analytics-user-id' content='7'><meta name=user-login content=octo>", Person("7", "octo")),
        ('<meta name="user-id" content="1"><meta name="octolytics-actor-id" content="2">', Person("2")),
        ('<meta name="analytics-user-login" content="a&amp;b">', Person("", "a&b")),
        ('<meta name="octolytics-actor-id" content=""><meta name="user-id" content="5">', Person("5")),
        ('<meta name="description" content="user-login">', Person()),
        ("<html>", Person()),
    ],
)
def test_who_is_signed_in(html: str, person: Person) -> None:
    assert person_of(html) == person


def test_a_page_of_nothing_but_tags_is_given_up() -> None:
    tags = ("<meta " + "a" * 1000 + ">") * MAX_TAGS
    assert person_of(f'{tags}<meta name="user-id" content="1">') == Person()


def test_people_are_told_apart_by_id_and_else_by_login() -> None:
    page = Person("123", "octocat")
    assert Person("123").is_the_same_as(page)
    assert Person("123", "renamed").is_the_same_as(page)
    assert Person("", "OctoCat").is_the_same_as(page)
    assert not Person("456", "octocat").is_the_same_as(page)
    assert not Person("123", "octocat").is_the_same_as(Person("", "octocat"))
    assert not Person("123").is_the_same_as(Person())
    assert not Person().is_the_same_as(Person())
