"""Brings the demo families into a store, through the same doors everybody uses."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import orjson
from joserfc.jwk import ECKey

from pgo.caller import Caller
from pgo.demo import App as DemoApp
from pgo.demo import Family, Organisation, as_json, families, organisations
from pgo.demo import apps as demo_apps
from pgo.dossier.log import Rule
from pgo.fhir.bundle import Op, read_bundle
from pgo.fhir.incoming import incoming, incoming_bundle
from pgo.house import House
from pgo.oauth.clients import App, Provider
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.registry import Organisation as Registered
from pgo.shared import caller_of_account, patient_id

SPACE: Final = "demo"
Tell = Callable[[str], None]


@dataclass(slots=True)
class Loaded:
    """What was brought in: dossier ids by family, and counts."""

    dossiers: dict[str, str] = field(default_factory=dict)
    resources: int = 0


async def load(house: House, today: date, keys: Path, tell: Tell) -> Loaded:
    """All families; those that are there already are left as they are.

    Args:
        house: where they go.
        today: the day the data are made for.
        keys: folder for the private keys of the demo providers' systems.
        tell: is told about progress.
    """
    providers = {}
    for organisation in organisations():
        providers[organisation.id] = await _organisation(house, organisation, keys)
    for app in demo_apps():
        await house.registry.keep_app(_app(app))
    loaded = Loaded()
    for family in families(today):
        known = await house.store.lookup(SPACE, family.key)
        if known is not None:
            loaded.dossiers[family.key] = known.decode()
            continue
        tell(f"{family.client['name']}: {len(family.pushes)} pushes")
        client = await _family(house, family, providers, loaded)
        await house.store.register(SPACE, family.key, client.encode())
        loaded.dossiers[family.key] = client
    return loaded


async def _organisation(house: House, one: Organisation, keys: Path) -> Caller | None:
    if one.client_id:
        return await system_of(house, one, keys)
    await house.registry.keep_organisation(Registered(one.id, one.name))
    return None


async def system_of(house: House, one: Organisation, keys: Path) -> Caller:
    """Register a provider with its system, and give the system as it would call.

    Args:
        house: where it is registered.
        one: has a client id.
        keys: folder for the system's private key.
    """
    await house.registry.keep_organisation(Registered(one.id, one.name))
    key = _key(keys, one.client_id)
    public = {"keys": [key.as_dict(private=False, kid=one.client_id, alg="ES256", use="sig")]}
    await house.registry.keep_provider(Provider(one.id, one.name, one.client_id, public))
    return Caller(
        person=one.client_id,
        kind="systeem",
        name=one.name,
        org=one.id,
        orgs=frozenset({one.id}),
        app=one.client_id,
        app_name=one.name,
        purpose="TREAT",
        scope=("system/*.cruds",),
    )


def _key(folder: Path, name: str) -> ECKey:
    """The system's key, kept in a file of its own so that a newcomer can try a push."""
    path = folder / f"{name}.json"
    if path.exists():
        return ECKey.import_key(orjson.loads(path.read_bytes()))
    key = ECKey.generate_key("P-256", private=True)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
        out.write(orjson.dumps(key.as_dict(private=True)))
    return key


def _app(one: DemoApp) -> App:
    return App(
        client_id=one.id,
        name=one.name,
        redirect_uris=one.redirect_uris,
        scopes=tuple(one.scope.split()),
        origins=one.origins,
    )


async def _family(
    house: House, family: Family, providers: dict[str, Caller | None], loaded: Loaded
) -> str:
    accounts = [_account(row) for row in family.accounts]
    for account in accounts:
        await house.registry.keep_account(account)
    client = new_client()
    office = Office(house, client, "demo")
    await office.create(_subject(family))
    await office.set_rules(_rules(family), "demo")
    for push in family.pushes:
        caller = providers[push.organisation]
        if caller is None:
            raise ValueError(f"{push.organisation} has no system")
        tree, _ = await incoming_bundle(push.release, as_json(push.bundle))
        asked = read_bundle(tree)
        done = await house.vault(caller, client).change(
            "transaction", push.release, asked.ordered()
        )
        loaded.resources += len(done)
    await _own(house, family, accounts, client, loaded)
    await _seals(house, family, accounts, client)
    return client


def _account(row: dict[str, Any]) -> Account:
    orgs = tuple(row.get("orgs") or ([row["org"]] if row.get("org") else []))
    role = str(row.get("role", ""))
    return Account(
        id=row["id"],
        name=row["name"],
        birth=row.get("birth", ""),
        kind=row.get("kind", ""),
        orgs=orgs,
        teams=tuple(row.get("teams", ())),
        roles={org: role for org in orgs if role},
        loa="hoog",  # at most: the development page asks how somebody signs in
        demo=True,
    )


def _subject(family: Family) -> dict[str, Any]:
    facts = {"wilsonbekwaam", "curatele", "geen_noodtoegang", "birth", "name"}
    return {"person": family.key} | {k: v for k, v in family.client.items() if k in facts}


def _rules(family: Family) -> list[Rule]:
    relations = [Rule("relation", f"r-{n}", row) for n, row in enumerate(family.relations)]
    grants = [*family.grants, *_links(family)]
    made = [Rule("grant", row["id"], {**row, "order": n}) for n, row in enumerate(grants)]
    return [*relations, *made]


def _links(family: Family) -> list[dict[str, Any]]:
    """The link of each provider that pushes, as made with a code of the family."""
    first = family.grants[0]
    return [
        {
            "id": f"koppeling-{org}",
            "client": family.key,
            "by": first["by"],
            "effect": "permit",
            "to_who": f"org:{org}",
            "actions": ["lezen", "toevoegen", "wijzigen"],
            "own": True,
            "made": first["made"],
        }
        for org in sorted({push.organisation for push in family.pushes})
    ]


async def _own(
    house: House, family: Family, accounts: list[Account], client: str, loaded: Loaded
) -> None:
    by_id = {account.id: account for account in accounts}
    dossier = await house.parts.dossiers.open(client)
    for own in family.own:
        caller = replace(caller_of_account(by_id[own.author]), scope=("user/*.cruds",))
        mine = f"Patient/{patient_id(dossier, own.release)}"
        raw = as_json(own.resource).replace(f"Patient/{family.key}".encode(), mine.encode())
        tree = incoming(own.release, raw)
        tree.pop("id", None)
        op = Op("POST", tree["resourceType"], tree=tree)
        await house.vault(caller, client).change("create", own.release, [op])
        loaded.resources += 1


async def _seals(house: House, family: Family, accounts: list[Account], client: str) -> None:
    by_id = {account.id: account for account in accounts}
    for seal in family.seals:
        system, _, value = seal.identifier.partition("|")
        dossier = await house.parts.dossiers.open(client)
        found = dossier.image.select(
            "SELECT r.id FROM ident i JOIN res r ON r.rid=i.rid"
            " WHERE i.rel=? AND i.type=? AND i.system=? AND i.value=?",
            (seal.release, seal.type, system, value),
        )
        if not found:
            raise ValueError(f"{family.key}: nothing has the identifier of the seal")
        caller = replace(caller_of_account(by_id[seal.by]), scope=("user/*.cruds",))
        await house.regie(caller, client).seal(seal.release, seal.type, found[0][0], seal.label)
