"""What a request to the admin API says behind its ``?``."""

from __future__ import annotations

from urllib.parse import parse_qsl

from copilot_trio.accounts.account import Account
from copilot_trio.server.exchange import Exchange

from .office import Office
from .refused import Refused

MAX_FIELDS = 20


def query_of(exchange: Exchange) -> dict[str, str]:
    """Of a repeated field the last. Raises ``Refused``."""
    try:
        return dict(parse_qsl(exchange.request.query, keep_blank_values=True, max_num_fields=MAX_FIELDS))
    except ValueError:
        raise Refused(400, f"more than {MAX_FIELDS} fields in the query") from None


def chosen_account(office: Office, exchange: Exchange) -> Account:
    """By ``?account=``, an id, label or login, else the first that is ready. Raises ``Refused``, ``ProxyError``."""
    asked = query_of(exchange).get("account")
    if not asked:
        return office.accounts.preferred(exchange.pin)
    accounts = office.accounts.accounts
    for name in ("id", "label"):
        for account in accounts:
            if getattr(account, name) == asked:
                return account
    for account in accounts:
        if account.record.login.casefold() == asked.casefold():
            return account
    raise Refused(404, f"there is no account {asked[:100]!r}", "GET /api/accounts lists them.")
