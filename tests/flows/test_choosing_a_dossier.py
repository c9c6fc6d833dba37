"""Two dossiers of one name, told apart on pages, by no more than the person may see."""

from __future__ import annotations

import pytest

from pgo.oauth.choices import Choice, labels
from pgo.oauth.texts import TONGUES
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.shared import caller_of_account, choices_of

ALL = ("user/*.cruds",)


async def jan(inside, n: int, birth: str, *, to_who: str, categories: list[str]) -> str:
    """The dossier of one of the people called Jan Bos, who lets somebody in."""
    client, person = new_client(), f"p-jan{n}"
    await inside.house.registry.keep_account(Account(person, "Jan Bos", birth))
    subject = {"person": person, "name": "Jan Bos", "birth": birth, "patient": f"jan{n}"}
    await Office(inside.house, client).create(subject)
    issued = await inside.house.tokens.issue_operator(
        inside.house.registry, dossier=client, person=person, scope=ALL
    )
    headers = {"Authorization": f"Bearer {issued.access}"}
    tree = {"resourceType": "Patient", "id": f"jan{n}", "birthDate": birth}
    url = f"/dossiers/{client}"
    answer = await inside.http.put(f"{url}/fhir/r4/Patient/jan{n}", json=tree, headers=headers)
    assert answer.status_code == 201, answer.text
    grant = {"effect": "permit", "to_who": to_who, "purposes": ["SUPNWK"]}
    answer = await inside.http.post(
        f"{url}/toestemmingen", json=grant | {"categories": categories}, headers=headers
    )
    assert answer.status_code == 201, answer.text
    return client


async def told(inside, person: str) -> dict[str, str]:
    account = await inside.house.registry.account(person)
    return labels(await choices_of(inside.house, caller_of_account(account)), TONGUES["nl"])


async def test_dossiers_of_one_name_are_told_apart_by_the_year_of_birth(inside):
    sam = inside.anna.person("sam")
    some = ["problemen", "contactpersonen", "adres"]
    old = await jan(inside, 1, "1960-03-01", to_who=sam, categories=some)
    assert (await told(inside, sam))[old] == "Jan Bos"
    young = await jan(inside, 2, "2009-03-01", to_who=sam, categories=some)
    found = await told(inside, sam)
    assert found[old] == "Jan Bos (geboren in 1960)"
    assert found[young] == "Jan Bos (geboren in 2009)"


async def test_ones_own_dossier_is_called_so(inside):
    mine = await jan(
        inside, 1, "1960-03-01", to_who=inside.anna.person("sam"), categories=["adres"]
    )
    assert await told(inside, "p-jan1") == {mine: "Jan Bos (uw eigen dossier)"}


async def test_who_may_not_read_the_person_sees_a_number_instead(inside, monkeypatch):
    sam = inside.anna.person("sam")
    found = [
        await jan(inside, n, f"19{n}0-03-01", to_who=sam, categories=["adres"]) for n in (5, 6)
    ]
    monkeypatch.setattr("pgo.verdict.Verdict.sees", lambda *_: False)
    named = await told(inside, sam)
    assert {named[one] for one in found} == {f"Jan Bos (nummer {one[-4:]})" for one in found}
    assert not any("geboren" in label for label in named.values())


@pytest.mark.parametrize("name", TONGUES)
def test_no_two_dossiers_are_called_alike(name):
    many = [Choice(f"{n:032x}", "Jan Bos", year="1960" if n % 2 else "") for n in range(6)]
    told = labels(many, TONGUES[name])
    assert len(set(told.values())) == len(many)
    assert all(label.count("(") == 1 for label in told.values())
