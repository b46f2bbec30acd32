"""The models that the accounts of a group are offered, all together."""

from __future__ import annotations

from copilot_trio.errors import ProxyError
from copilot_trio.models.model import Model

from .account import Account
from .groups import NO_PIN, Pin
from .registry import Accounts, catalogue_of


async def offered(accounts: Accounts, pin: Pin = NO_PIN) -> list[Model]:
    """Each model once, in the order of the accounts; one that can be used before one that cannot.

    Raises what an account says where none gives a list.
    """
    found: dict[str, Model] = {}
    failure: ProxyError | None = None
    answered = False
    for account in _asked(accounts, pin):
        try:
            models = await catalogue_of(account).models()
        except ProxyError as error:
            failure = error
            continue
        answered = True
        for model in models:
            if model.id not in found or (found[model.id].unavailable and not model.unavailable):
                found[model.id] = model
    if failure is not None and not answered:
        raise failure
    return list(found.values())


async def look_up(accounts: Accounts, asked: str, pin: Pin = NO_PIN) -> Model:
    """The model that ``asked`` means to the first account that knows it. Raises as there, and ``ModelNotFound``."""
    failure: ProxyError | None = None
    for account in _asked(accounts, pin):
        try:
            return await catalogue_of(account).look_up(asked)
        except ProxyError as error:
            failure = error
    assert failure is not None
    raise failure


def _asked(accounts: Accounts, pin: Pin) -> list[Account]:
    first = accounts.preferred(pin)
    return [first, *(account for account in accounts.of_group(pin)[1] if account.ready and account is not first)]
