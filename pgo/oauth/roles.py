"""As what a person can act: for oneself, or for one of the organisations one works for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from pgo.registry import Account, Registry

PROFESSIONALS: Final = frozenset({"copiloot", "zorgverlener"})


@dataclass(frozen=True, slots=True)
class Role:
    """A person, and as what. `value` stands in the form of the development page."""

    account: Account
    kind: str
    org: str
    org_name: str

    @property
    def value(self) -> str:
        """Account and organisation."""
        return f"{self.account.id}|{self.org}"


async def roles_of(registry: Registry, account: Account) -> list[Role]:
    """Every role of a person; one at least."""
    if account.kind not in PROFESSIONALS or not account.orgs:
        return [Role(account, account.kind, "", "")]
    names = [await registry.organisation(org) for org in account.orgs]
    return [
        Role(account, account.kind, org, org if known is None else known.name)
        for org, known in zip(account.orgs, names, strict=True)
    ]


async def demo_roles(registry: Registry) -> list[Role]:
    """The demo people who can sign in on the development page, each in every role they have."""
    found = []
    for account in await registry.accounts():
        if account.demo and not account.disabled:
            found += await roles_of(registry, account)
    return found
