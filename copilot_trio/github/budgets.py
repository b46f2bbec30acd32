"""The budgets that limit what an account may cost, from GitHub's billing page, with a browser's cookies.

Off unless a person gives the header in a file: no browser is ever read. The cookies go to the account's own GitHub host
over its own connections, and to nobody else: redirects are not followed. What they are for is asked first, by the
account's token and of the page itself, and where these are two people no budget is asked for (systems.md §3.5).
"""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import msgspec
import trio

from copilot_trio.accounts.account import Account
from copilot_trio.config import Identity
from copilot_trio.errors import ProxyError
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.identity import Headers

from .budgets_json import Budget, BudgetWindow, Page, UnreadableBudgets, parse_page, windows_of
from .budgets_page import LONGEST_COOKIE, Person, cookie_header, nonce_of, person_of
from .token import Judge, github_get

PATH = "/settings/billing/budgets"
PATIENCE = 15.0  # seconds for one reply
MAX_REPLY = 4 * 1024 * 1024
MAX_PAGES = 20
PAGE_SIZE = 10
PRIVATE = stat.S_IRWXG | stat.S_IRWXO  # the rights that nobody else may have
COPY_AGAIN = "sign in with the browser and copy the cookie header anew"


class BudgetsUnavailable(Exception):
    """Why there are none: one sentence, without the cookies."""


class _User(msgspec.Struct):
    id: Annotated[int, msgspec.Meta(ge=1)]
    login: Annotated[str, msgspec.Meta(min_length=1)]


_decode_user = msgspec.json.Decoder(_User).decode


def read_cookie_file(name: str) -> str:
    """A cookie header in any form that :func:`cookie_header` knows. Raises ``BudgetsUnavailable``. Blocks."""
    try:
        path = Path(name).expanduser()
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            text = file.read(LONGEST_COOKIE + 1)
    except OSError as error:
        raise BudgetsUnavailable(f"the cookie file {name} cannot be read: {error.strerror or error}") from None
    except (ValueError, RuntimeError) as error:  # no path, or nobody's home
        raise BudgetsUnavailable(f"the cookie file {name!r} cannot be read: {error}") from None
    if os.name == "posix" and mode & PRIVATE:
        raise BudgetsUnavailable(f"the cookie file {path} is not yours alone: `chmod 600` it")
    try:
        header = cookie_header(text.decode())
    except UnicodeDecodeError:
        raise BudgetsUnavailable(f"the cookie file {path} is no text") from None
    except ValueError as error:
        raise BudgetsUnavailable(f"the cookie file {path} holds no cookie header: {error}") from None
    if not header:
        raise BudgetsUnavailable(f"the cookie file {path} holds no cookie header")
    return header


async def fetch_budgets(
    account: Account,
    cookie: str,
    identity: Identity,
    judge: Judge | None = None,
    now: Callable[[], float] = time.time,
) -> tuple[BudgetWindow, ...]:
    """``cookie`` is a header's value. Raises ``BudgetsUnavailable``: the account's quota does not depend on it."""
    if account.warning is not None:
        raise BudgetsUnavailable(f"nothing is sent for {account.label}: {account.warning.cause}")
    url = f"{account.hosts.github}{PATH}"
    try:
        owner = await _owner(account, identity, judge, now)
        html = await _ask(account, url, _page_headers(identity, cookie))
        nonce = _nonce_for(owner, html, account.label)
        budgets: list[Budget] = []
        for number in range(1, MAX_PAGES + 1):
            query = f"page={number}&page_size={PAGE_SIZE}&scope=customer"
            page = _parse(await _ask(account, f"{url}?{query}", _json_headers(identity, cookie, url, nonce)))
            budgets += page.budgets
            if not page.has_next:
                break
    except ProxyError as error:
        raise BudgetsUnavailable(f"the budgets could not be asked for: {error.cause}") from None
    return windows_of(budgets, now())


async def _owner(account: Account, identity: Identity, judge: Judge | None, now: Callable[[], float]) -> Person:
    """Whose token it is: never what was stored of an earlier one."""
    body = await github_get(account, f"{account.hosts.github_api}/user", identity, judge, now)
    try:
        user = _decode_user(body)
    except UNREADABLE:
        raise BudgetsUnavailable(f"GitHub does not say whose token that of {account.label} is") from None
    return Person(str(user.id), user.login)


def _nonce_for(owner: Person, html: bytes, label: str) -> str | None:
    try:
        text = html.decode()
    except UnicodeDecodeError:
        raise BudgetsUnavailable("GitHub's billing page cannot be read: it is no UTF-8") from None
    signed_in = person_of(text)
    if not owner.is_the_same_as(signed_in):
        whose = f"those of {signed_in.login or 'somebody else'}" if signed_in != Person() else "nobody's"
        raise BudgetsUnavailable(f"the cookies for {label} are {whose}, not those of {owner.login}: {COPY_AGAIN}")
    return nonce_of(text)


def _parse(body: bytes) -> Page:
    try:
        return parse_page(body)
    except UnreadableBudgets as error:
        raise BudgetsUnavailable(f"GitHub's reply about budgets cannot be read: {error}") from None


async def _ask(account: Account, url: str, headers: Headers) -> bytes:
    with trio.move_on_after(PATIENCE):
        async with account.pool.send("GET", url, headers) as answer:
            if answer.status == 200:
                return await answer.read(MAX_REPLY)
            status = answer.status
        if status in {401, 403} or 300 <= status < 400:
            raise BudgetsUnavailable(f"GitHub does not accept the cookies (status {status}): {COPY_AGAIN}")
        raise BudgetsUnavailable(f"GitHub answers status {status} about budgets")
    raise BudgetsUnavailable(f"GitHub did not answer about budgets within {PATIENCE:.0f} s")


def _page_headers(identity: Identity, cookie: str) -> Headers:
    """A browser's: neither the account's token nor its machine's id belongs here."""
    return [
        ("Cookie", cookie),
        ("Accept", "text/html,application/xhtml+xml"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", identity.user_agent),
    ]


def _json_headers(identity: Identity, cookie: str, referer: str, nonce: str | None) -> Headers:
    headers = [
        ("Cookie", cookie),
        ("Accept", "application/json"),
        ("Accept-Encoding", "identity"),
        ("User-Agent", identity.user_agent),
        ("Referer", referer),
        ("X-Requested-With", "XMLHttpRequest"),
        ("GitHub-Verified-Fetch", "true"),
    ]
    return headers if nonce is None else [*headers, ("X-Fetch-Nonce", nonce)]
