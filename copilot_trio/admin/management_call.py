"""``api-call``: one request in an account's name, to where its token may go anyway, and nowhere else (product.md §2.4).

Bodies and replies are those of systems.md §2.2. There the token goes to any URL, an account that is not known sends its
placeholder as it stands, and redirects are followed wherever they lead: not here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import msgspec
import trio

from copilot_trio.accounts.account import Account, Answer
from copilot_trio.accounts.outcome import classify
from copilot_trio.errors import ProxyError
from copilot_trio.github.hosts import allowed_copilot_base
from copilot_trio.github.quota import fetch_user_payload
from copilot_trio.unreadable import UNREADABLE
from copilot_trio.upstream.identity import account_headers

from .office import Office
from .redaction import redacted
from .refused import Refused

METHODS = {"GET", "POST"}
PLACEHOLDER = "$TOKEN$"
MAX_REPLY = 1024 * 1024
MAX_REDIRECTS = 3
MAX_HEADERS = 50
PATIENCE = 60.0  # seconds for all of it
ENRICHED = ("quota_snapshots", "access_type_sku", "copilot_plan", "quota_reset_date")

OURS = {"accept-encoding", "vscode-sessionid", "vscode-machineid"}  # in their place go the account's own
NOT_THE_CALLERS = {
    "host", "content-length", "transfer-encoding", "connection", "keep-alive", "te", "trailer", "upgrade", "expect",
    "proxy-authorization", "proxy-connection", "http2-settings",
}  # fmt: skip
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,200}")
_HEADER_VALUE = re.compile(r"[\t -~]{0,8192}")
_URL = re.compile(r"[!-~]{1,8192}")
_PORTS = {"http": 80, "https": 443}

Headers = list[tuple[str, str]]


class Call(msgspec.Struct, frozen=True):
    """A request body as panels send it, with all the names that they have for the account."""

    auth_index: str | None = None
    auth_index_camel: str | None = msgspec.field(default=None, name="authIndex")
    auth_index_pascal: str | None = msgspec.field(default=None, name="AuthIndex")
    method: str | None = None
    url: str | None = None
    header: dict[str, str] | None = None
    data: str | None = None
    proxy_url: str | None = None

    @property
    def index(self) -> str:
        names = (self.auth_index, self.auth_index_camel, self.auth_index_pascal)
        return next((name.strip() for name in names if name and name.strip()), "")


async def call(office: Office, account: Account, asked: Call) -> dict[str, Any]:
    """What came back, whatever its status. Raises ``Refused``: 400 for what was asked, 403 for an account that is
    paused, 502 where no answer came."""
    method = _method(asked)
    base, url = target(asked.url, bases_of(account))
    if asked.proxy_url and asked.proxy_url.strip():
        raise Refused(400, "proxy_url is not for the caller to choose: every call leaves by the account's own way out")
    if account.warning is not None:
        raise Refused(403, account.warning.cause, account.warning.remedy)
    headers = own_headers(asked.header or {}, account, office.identity.user_agent)
    body = (asked.data or "").encode()
    with trio.move_on_after(PATIENCE) as patience:
        try:
            status, received, text = await _send(account, method, base, url, headers, body)
        except ProxyError as error:
            raise Refused(502, f"the request failed: {error.cause}") from None
    if patience.cancelled_caught:
        raise Refused(502, f"the request failed: no whole answer within {PATIENCE:.0f} s")
    if status >= 400 and _carries_token(headers, account):
        _heed_warning(office, account, url, status, received, text)
    shown = text.decode("utf-8", "replace")
    if status == 200 and "copilot_internal" in url and "/token" in url:
        shown = await _enriched(office, account, shown)
    secrets = secrets_of(office.accounts.accounts)
    return {
        "status_code": status,
        "header": {
            "-".join(part.capitalize() for part in name.split("-")): [redacted(value, secrets)]
            for name, value in received.items()
            if name != "set-cookie"
        },
        "body": redacted(shown, secrets),
    }


def bases_of(account: Account) -> tuple[str, ...]:
    """The base URLs that this account speaks to."""
    hosts = account.hosts
    copilot = allowed_copilot_base(None, hosts, account.record.account_type)
    return hosts.github_api, hosts.github, copilot if account.token is None else account.token.api


def target(url: str | None, bases: Sequence[str]) -> tuple[str, str]:
    """Which of ``bases`` it is at, and the URL put together anew from that, so that nobody reads it otherwise.

    Raises ``Refused``.
    """
    asked = (url or "").strip()
    if not asked:
        raise Refused(400, "url is missing")
    try:
        parts = urlsplit(asked)
        port = parts.port
    except ValueError:
        raise Refused(400, "url is no URL") from None
    if not _URL.fullmatch(asked) or "\\" in asked or not parts.scheme or not parts.hostname:
        raise Refused(400, "url must be an absolute URL of printable ASCII characters")
    if parts.username is not None or parts.password is not None:
        raise Refused(400, "url must not carry a user name or password")
    for base in bases:
        own = urlsplit(base)
        place = (parts.scheme, parts.hostname, port or _PORTS.get(parts.scheme))
        if place == (own.scheme, own.hostname, own.port or _PORTS.get(own.scheme)) and _below(parts.path, own.path):
            path = parts.path or "/"
            return base, f"{own.scheme}://{own.netloc}{path}{f'?{parts.query}' if parts.query else ''}"
    known = ", ".join(dict.fromkeys(bases))
    raise Refused(400, f"url is at none of this account's hosts, and its token goes nowhere else. They are: {known}")


def _below(path: str, base: str) -> bool:
    base = base.rstrip("/")
    if not base:
        return True
    return (path == base or path.startswith(f"{base}/")) and not {".", ".."} & set(unquote(path).split("/"))


def _method(asked: Call) -> str:
    method = (asked.method or "").strip().upper()
    if not method:
        raise Refused(400, "method is missing")
    if method not in METHODS:
        raise Refused(400, "method must be GET or POST")
    return method


def own_headers(given: dict[str, str], account: Account, user_agent: str) -> Headers:
    """The caller's, with the account's GitHub token for the placeholder, and the account's own ids.

    Raises ``Refused``.
    """
    if len(given) > MAX_HEADERS:
        raise Refused(400, f"header has more than {MAX_HEADERS} entries")
    headers: dict[str, tuple[str, str]] = {}
    for name, value in given.items():
        folded = name.lower()
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            raise Refused(400, f"the header {name[:100]!r} has a name or value that no header can have")
        if folded in NOT_THE_CALLERS:
            raise Refused(400, f"the header {name!r} is not for the caller to set")
        if folded in headers:
            raise Refused(400, f"the header {name!r} is there twice")
        if folded not in OURS:
            headers[folded] = name, value.strip().replace(PLACEHOLDER, account.record.github_token)
    headers.setdefault("user-agent", ("User-Agent", user_agent))
    return [*headers.values(), ("Accept-Encoding", "identity"), *account_headers(account)]


async def _send(
    account: Account, method: str, base: str, url: str, headers: Headers, body: bytes
) -> tuple[int, dict[str, str], bytes]:
    """Redirects of a GET are followed where they stay at ``base``, and are an answer like any other elsewhere."""
    redirects = MAX_REDIRECTS if method == "GET" else 0
    while True:
        async with account.pool.send(method, url, headers, body) as answer:
            text = await answer.read(MAX_REPLY)
        onward = _onward(base, url, answer) if redirects else None
        if onward is None:
            return answer.status, answer.headers, text
        url = onward
        redirects -= 1


def _onward(base: str, url: str, answer: Answer) -> str | None:
    location = answer.headers.get("location") if answer.status in {301, 302, 307, 308} else None
    try:
        return None if location is None else target(urljoin(url, location), (base,))[1]
    except (Refused, ValueError):
        return None


def _carries_token(headers: Headers, account: Account) -> bool:
    return any(account.record.github_token in value for _, value in headers)


def _heed_warning(
    office: Office, account: Account, url: str, status: int, headers: dict[str, str], text: bytes
) -> None:
    """A warning holds whoever asked; what else was refused is the caller's own affair."""
    outcome = classify(urlsplit(url).path, status, headers, text, now=office.now())
    if outcome.scope == "warning":
        office.accounts.judge(account, outcome)


async def _enriched(office: Office, account: Account, text: str) -> str:
    """The reply of the token exchange, with the quota that panels look for in it; as it is where that fails."""
    with suppress(ProxyError, *UNREADABLE):
        payload = await fetch_user_payload(account, office.identity, office.accounts.judge, office.now)
        reply, user = (msgspec.json.decode(each, type=dict[str, Any]) for each in (text, payload))
        return msgspec.json.encode(reply | {name: user[name] for name in ENRICHED if name in user}).decode()
    return text


def secrets_of(accounts: Iterable[Account]) -> list[str]:
    """All that no reply may hold."""
    found: list[str] = []
    for account in accounts:
        found += [account.record.github_token, *([] if account.token is None else [account.token.value])]
    return found
