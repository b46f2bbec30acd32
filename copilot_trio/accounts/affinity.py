"""Which account a conversation belongs to: its prompt cache and its thinking signatures are that account's. Pure.

Bounded: the least recently used go first, and those of an hour ago (product.md §4.4).
"""

from __future__ import annotations

from collections import OrderedDict


class Affinity:
    """``entries`` at most, each for ``seconds`` after its last use. A conversation is bound for each model it uses, and
    as a whole: what it asks a second model goes where the first went."""

    def __init__(self, entries: int, seconds: float) -> None:
        self.entries = entries
        self.seconds = seconds
        self._bound: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._held: dict[str, str] = {}

    def __len__(self) -> int:
        return len(self._bound)

    def account_of(self, conversation: str, model: str, now: float) -> str | None:
        if not conversation:
            return None
        for key in (f"{conversation}:{model}", conversation):
            found = self._bound.get(key)
            if found is not None and found[1] > now:
                return found[0]
        return None

    def bind(self, conversation: str, model: str, account: str, now: float) -> None:
        if not conversation:
            return
        for key in (conversation, f"{conversation}:{model}"):
            self._bound[key] = (account, now + self.seconds)
            self._bound.move_to_end(key)
        while len(self._bound) > 2 * self.entries:
            self._bound.popitem(last=False)

    def hold(self, account: str, conversations: tuple[str, ...] = ()) -> tuple[str, ...]:
        """After a warning: the account's conversations stay its own however long it takes. Returns them, latest last.

        One that is here with a single model, and elsewhere as a whole, is held for that model: ``conversation:model``.
        ``conversations``: what an earlier run held.
        """
        bound = dict.fromkeys((*conversations, *(key for key, (owner, _) in self._bound.items() if owner == account)))
        held = tuple(key for key in bound if ":" not in key or key.partition(":")[0] not in bound)
        self._held |= dict.fromkeys(held, account)
        return held

    def holder(self, conversation: str, model: str = "") -> str | None:
        """The warned account that the conversation belongs to, as a whole or with this model."""
        return self._held.get(conversation) or self._held.get(f"{conversation}:{model}")

    def release(self, account: str) -> None:
        """A person has acknowledged the warning, or the account is gone."""
        self._held = {key: owner for key, owner in self._held.items() if owner != account}

    def forget(self, account: str) -> None:
        for key in [key for key, (owner, _) in self._bound.items() if owner == account]:
            del self._bound[key]
        self.release(account)
