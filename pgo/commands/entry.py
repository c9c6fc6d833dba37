"""pgo account code, link, unlink, sign-out: how a person gets in for the first time, or no more.

Under strict a second operator approves the first two (`pgo approve --for account-code`).
"""

from __future__ import annotations

from typing import Annotated

import typer

from pgo.commands.dossier import Approval, Operator
from pgo.commands.frame import AsJson, show, with_house
from pgo.errors import BadValue, NotFound
from pgo.house import House
from pgo.oauth import means
from pgo.oauth.id_token import Refused, pseudonym
from pgo.oauth.recovery import make_entry_code
from pgo.oauth.signing import Signing
from pgo.office import approved_by
from pgo.registry import Account

Person = Annotated[str, typer.Argument(metavar="ID")]
ProviderName = Annotated[str, typer.Option("--provider", help="Name of the provider here.")]


def add_to(accounts: typer.Typer) -> None:
    """Add these commands to `pgo account`."""
    for name, command in (("code", code), ("link", link), ("unlink", unlink), ("sign-out", out)):
        accounts.command(name)(command)


async def _account(house: House, id_: str) -> Account:
    account = await house.registry.account(id_)
    if account is None or account.disabled:
        raise NotFound("there is no such (active) account", place="ID")
    return account


def _issuer(house: House, name: str) -> str:
    provider = house.settings.providers.get(name)
    if provider is None:
        raise NotFound("no provider has this name in the settings", place="--provider")
    return provider.issuer


async def _note(house: House, operator: str, key: str) -> None:
    await house.note("account", person=operator, note=key)


def code(
    id_: Person, operator: Operator = "beheer", approval: Approval = "", as_json: AsJson = False
) -> None:
    """A code, good once and for a week, to link a sign-in to this account or make a passkey.

    Hand it over in person: who has it, is this person.
    """

    async def work(house: House) -> dict[str, str]:
        await _account(house, id_)
        await approved_by(house, approval, operator, id_, "account-code")
        await _note(house, operator, id_)
        now = int(house.clock().timestamp())
        made = await make_entry_code(house.store, house.registry_box, id_, now)
        return {"account": id_, "code": made}

    show(with_house(work), as_json=as_json)


def link(
    id_: Person,
    provider: ProviderName,
    subject: Annotated[str, typer.Option(help="The provider's pseudonym of the person.")],
    operator: Operator = "beheer",
    approval: Approval = "",
    as_json: AsJson = False,
) -> None:
    """Say whose a provider's pseudonym is."""

    async def work(house: House) -> dict[str, str]:
        await _account(house, id_)
        await approved_by(house, approval, operator, id_, "account-link")
        issuer, now = _issuer(house, provider), int(house.clock().timestamp())
        try:
            sound = pseudonym(subject)
        except Refused as wrong:
            raise BadValue("this is no pseudonym", place="--subject") from wrong
        signing = Signing(house.store, house.registry_box, lambda: now)
        post = await signing.subject(f"provider {issuer}", sound)
        book = means.AllMeans(house.store, house.registry_box)
        await means.link(book, id_, provider, post, now)
        await _note(house, operator, id_)
        return {"account": id_, "provider": provider}

    show(with_house(work), as_json=as_json)


def unlink(id_: Person, provider: ProviderName, as_json: AsJson = False) -> None:
    """End every link of an account to a provider; the account stays."""

    async def work(house: House) -> dict[str, str]:
        await _note(house, "beheer", id_)
        book = means.AllMeans(house.store, house.registry_box)
        gone = await means.unlink(book, id_, provider, int(house.clock().timestamp()))
        return {"account": id_, "unlinked": str(gone)}

    show(with_house(work), as_json=as_json)


def out(id_: Person, as_json: AsJson = False) -> None:
    """Sign a person out everywhere, and end every token apps have."""

    async def work(house: House) -> dict[str, str]:
        await _account(house, id_)
        await _note(house, "beheer", id_)
        book = means.AllMeans(house.store, house.registry_box)
        now = int(house.clock().timestamp())
        await book.change(id_, lambda mine: means.without_sessions(mine, now))
        await house.registry.end_tokens_of_person(id_)
        return {"signed out": id_}

    show(with_house(work), as_json=as_json)
