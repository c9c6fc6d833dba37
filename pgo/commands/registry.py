"""pgo account, provider, link: who is registered; apps are in `pgo.commands.apps`."""

from __future__ import annotations

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from joserfc.jwk import ECKey

from pgo.caller import Caller
from pgo.commands.entry import add_to
from pgo.commands.frame import AsJson, DossierId, json_file, show, with_house
from pgo.consent import reading
from pgo.errors import BadValue, NotFound
from pgo.house import House
from pgo.links import link, make_code
from pgo.oauth.clients import Provider
from pgo.office import Office, must_exist
from pgo.registry import Account, Organisation, grown

providers = typer.Typer(no_args_is_help=True, help="Systems of care providers.")
accounts = typer.Typer(no_args_is_help=True, help="People.")
add_to(accounts)
links = typer.Typer(no_args_is_help=True, help="Links between providers and dossiers.")
Many = list[str]


async def _note(house: House, what: str, key: str) -> None:
    await house.note(what, person="beheer", note=key)


@providers.command("add")
def provider_add(
    organisation: str,
    name: Annotated[str, typer.Option(help="Name of the organisation, for people.")],
    client_id: Annotated[str, typer.Option(help="client_id of its system.")],
    jwks: Annotated[Path | None, typer.Option(help="Its public keys (JWKS).")] = None,
    make_key: Annotated[
        Path | None, typer.Option(help="Make a key pair; the private key goes to this new file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Register a provider and its system."""
    if (jwks is None) == (make_key is None):
        raise typer.BadParameter("give either --jwks or --make-key")
    if make_key is not None and make_key.exists():
        raise BadValue("there is a file already; name a new one", place="--make-key")
    private = ECKey.generate_key("P-384", private=True)
    public = {"keys": [private.as_dict(private=False, kid=client_id, alg="ES384", use="sig")]}
    entry = Provider(organisation, name, client_id, json_file(jwks) if jwks else public)

    async def work(house: House) -> dict[str, str]:
        await house.registry.keep_organisation(Organisation(organisation, name))
        await house.registry.keep_provider(entry)
        await _note(house, "provider", client_id)
        return {"provider": organisation, "client_id": client_id}

    done = with_house(work)
    if make_key is not None:
        _keep_private(make_key, {**private.as_dict(private=True), "kid": client_id, "alg": "ES384"})
    show(done, as_json=as_json)


def _keep_private(path: Path, key: dict[str, Any]) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(orjson.dumps(key))


@providers.command("list")
def provider_list(as_json: AsJson = False) -> None:
    """All provider systems."""

    async def work(house: House) -> list[dict[str, Any]]:
        return [_short(asdict(one)) for one in await house.registry.providers()]

    show(with_house(work), as_json=as_json)


@providers.command("disable")
def provider_disable(client_id: str, as_json: AsJson = False) -> None:
    """Refuse a provider's system and every token it has, from now on."""

    async def work(house: House) -> dict[str, str]:
        await house.registry.change(Provider, client_id, lambda one: replace(one, disabled=True))
        await _note(house, "provider", client_id)
        return {"disabled": client_id}

    show(with_house(work), as_json=as_json)


@accounts.command("add")
def account_add(
    id_: Annotated[str, typer.Argument(metavar="ID")],
    name: Annotated[str, typer.Option(help="Name, for people.")],
    kind: Annotated[str, typer.Option(help="copiloot, zorgverlener, beheerder or empty.")] = "",
    birth: Annotated[str, typer.Option(help="YYYY-MM-DD.")] = "",
    org: Annotated[Many | None, typer.Option(help="Organisation the person is in.")] = None,
    team: Annotated[Many | None, typer.Option(help="Team the person is in.")] = None,
    as_json: AsJson = False,
) -> None:
    """Register a person."""

    async def work(house: House) -> dict[str, str]:
        orgs, teams = tuple(org or ()), tuple(team or ())
        reading.person(id_, {"birth": birth}, "--birth")
        await house.registry.keep_account(Account(id_, name, birth, kind, orgs, teams))
        await _note(house, "account", id_)
        return {"account": id_}

    show(with_house(work), as_json=as_json)


@accounts.command("list")
def account_list(as_json: AsJson = False) -> None:
    """All people."""

    async def work(house: House) -> list[dict[str, Any]]:
        return [_short(asdict(one)) for one in await house.registry.accounts()]

    show(with_house(work), as_json=as_json)


@accounts.command("disable")
def account_disable(
    id_: Annotated[str, typer.Argument(metavar="ID")], as_json: AsJson = False
) -> None:
    """Refuse a person and every token he has, from now on."""

    async def work(house: House) -> dict[str, str]:
        await house.registry.change(Account, id_, lambda one: grown(replace(one, disabled=True)))
        await _note(house, "account", id_)
        return {"disabled": id_}

    show(with_house(work), as_json=as_json)


@links.command("code")
def link_code(
    dossier: DossierId,
    person: Annotated[str, typer.Option("--as", help="Account of who holds the reins.")],
    as_json: AsJson = False,
) -> None:
    """A single-use code for a provider, asked on behalf of the family."""

    async def work(house: House) -> dict[str, str]:
        return {"code": await make_code(house, dossier, person)}

    show(with_house(work), as_json=as_json)


@links.command("add")
def link_add(
    code: Annotated[str, typer.Option(help="The family's single-use code.")],
    provider: Annotated[str, typer.Option(help="client_id of the provider's system.")],
    as_json: AsJson = False,
) -> None:
    """Link a provider to the dossier its code is for."""

    async def work(house: House) -> dict[str, str]:
        found = await house.registry.provider(provider)
        if found is None or found.disabled:
            raise NotFound("there is no such provider system", place="--provider")
        caller = Caller(
            provider,
            "systeem",
            found.name,
            org=found.id,
            org_name=found.name,
            orgs=frozenset({found.id}),
        )
        client, waits = await link(house, caller, code)
        return {"dossier": client, **({"waits": waits} if waits else {})}

    show(with_house(work), as_json=as_json)


@links.command("list")
def link_list(dossier: DossierId, as_json: AsJson = False) -> None:
    """The providers linked to a dossier."""

    async def work(house: House) -> list[dict[str, Any]]:
        await must_exist(house, dossier)
        return await Office(house, dossier).links()

    show(with_house(work), as_json=as_json)


@links.command("disable")
def link_disable(
    dossier: DossierId,
    organisation: Annotated[str, typer.Option(help="Organisation whose link ends.")],
    as_json: AsJson = False,
) -> None:
    """End a provider's link; what it brought stays with the client."""

    async def work(house: House) -> dict[str, str]:
        await must_exist(house, dossier)
        await Office(house, dossier).end_link(organisation)
        return {"ended": organisation}

    show(with_house(work), as_json=as_json)


def _short(row: dict[str, Any]) -> dict[str, Any]:
    hidden = {"jwks", "generation", "ended", "algorithms", "introspects", "grants"}
    return {k: list(v) if isinstance(v, tuple) else v for k, v in row.items() if k not in hidden}
