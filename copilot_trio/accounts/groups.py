"""Which accounts stand in for each other: failover and selection never leave a group (product.md §4.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from copilot_trio.errors import Forbidden

Groups = Mapping[str, Sequence[str]]


class Pin(msgspec.Struct, frozen=True):
    """To which group or account an API key is bound; to neither as a rule."""

    group: str | None = None
    account: str | None = None

    def __bool__(self) -> bool:
        return self.group is not None or self.account is not None


NO_PIN = Pin()


class Member(msgspec.Struct, frozen=True):
    """What grouping looks at. ``host`` is a GHE tenant's, or None."""

    id: str
    label: str
    host: str | None
    kind: str


def group_of(member: Member, groups: Groups) -> str:
    """The configured group that names it by label or id; else ``host/type``, so that an employer's code never travels
    under a private plan by itself."""
    for name, names in groups.items():
        if member.label in names or member.id in names:
            return name
    return f"{member.host or 'github.com'}/{member.kind}"


def chosen_group(pin: Pin, members: Sequence[tuple[Member, str]], default: str | None) -> str:
    """The group of a request, from the accounts in their order, each with its group.

    Unpinned: ``default``, else that of the first account, whatever its status: a request never changes its group by
    itself. Raises ``Forbidden`` for a pin, or a default, that names nothing there is.
    """
    if pin.account is not None:
        for member, group in members:
            if pin.account in {member.label, member.id}:
                return group
        raise Forbidden(
            f"this key is pinned to the account {pin.account!r}, which there is not",
            remedy="See `keys` in config.json.",
        )
    wanted = pin.group if pin.group is not None else default
    if wanted is None:
        return members[0][1]
    if any(group == wanted for _, group in members):
        return wanted
    known = ", ".join(dict.fromkeys(group for _, group in members))
    where = "`keys`" if pin.group is not None else "`accounts.default_group`"
    raise Forbidden(f"no account is in the group {wanted!r}", remedy=f"See {where} in config.json. There is: {known}.")
