"""Three people through the consent steps of their lives: a mother, a copiloot, a man of 34."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest
from joserfc.jwk import ECKey

from pgo import life
from pgo.evidence import Evidence
from pgo.oauth.clients import OPERATOR, Provider
from pgo.oauth.tokens import Grant
from pgo.office import Office, new_client
from pgo.registry import Account, Organisation
from pgo.shared import patient_id

REASON = "beschikking gezien aan de balie"
GRANTS = "/toestemmingen"


@dataclass
class Family:
    """One dossier and calls to it by account id."""

    inside: Any
    dossier: str

    async def call(self, person, method, path, **more):
        issued = await self.inside.house.tokens.issue_operator(
            self.inside.house.registry,
            dossier=self.dossier,
            person=person,
            scope=("user/*.cruds",),
        )
        headers = {"Authorization": f"Bearer {issued.access}"}
        url = path if path.startswith("//") else f"/dossiers/{self.dossier}{path}"
        url = url.replace("//", "/", 1)
        return await self.inside.http.request(method, url, headers=headers, **more)

    async def good(self, person, method, path, **more):
        answer = await self.call(person, method, path, **more)
        assert answer.status_code < 300, (path, answer.text)
        return answer.json()

    async def status(self, person, path="/fhir/r4/CarePlan?_summary=count") -> int:
        return (await self.call(person, "GET", path)).status_code

    async def invite(self, by, guest, **sent):
        code = (await self.good(by, "POST", "/uitnodigingen", json=sent))["code"]
        return await self.good(guest, "POST", "//uitnodigingen/aannemen", json={"code": code})


@pytest.fixture
async def family(inside):
    """Makes a dossier of somebody with these relations."""

    async def make(subject, *relations):
        client = new_client()
        await Office(inside.house, client, "test").create(subject, relations)
        return Family(inside, client)

    async def person(id_, birth="1980-01-01", **more):
        await inside.house.registry.keep_account(Account(id_, id_.capitalize(), birth, **more))

    for id_ in ("marjan", "vader", "broer", "ruud", "anja", "zus"):
        await person(id_)
    await person("fenna", "2017-05-01")
    for id_ in ("samira", "collega"):
        await person(id_, kind="copiloot", orgs=("coophulp",))
    for id_ in ("zuster-a", "zuster-b", "huisarts", "logeerhuis"):
        teams = ("logeren",) if id_ == "logeerhuis" else ()
        await person(id_, kind="zorgverlener", orgs=("thuiszorg",), teams=teams)
    return make


async def system(inside, org):
    """Header fields of a provider's own system."""
    key = ECKey.generate_key("P-256", {"use": "sig", "kid": "k"}).as_dict(private=False)
    await inside.house.registry.keep_organisation(Organisation(org, org))
    await inside.house.registry.keep_provider(
        Provider(client_id=f"sys-{org}", name=org, id=org, jwks={"keys": [key]})
    )
    kept = await inside.house.registry.provider(f"sys-{org}")
    hour = inside.house.tokens.now() + 3600
    grant = Grant(
        kept.client_id, "systeem", org, kept.client_id, "", ("system/*.cruds",), "",
        "substantieel", "", kept.generation, 0, hour, hour,
    )  # fmt: skip
    issued = await inside.house.tokens.issue(grant)
    return {"Authorization": f"Bearer {issued.access}"}


def gezag(person):
    return {"person": person, "kind": "ouder", "gezag": True}


async def test_marjan_shares_for_fenna_until_she_is_eighteen(inside, family):
    fenna = {"person": "fenna", "name": "Fenna", "birth": "2017-05-01", "wilsonbekwaam": True}
    home = await family(fenna, gezag("marjan"), gezag("vader"))

    # 7: the copiloot, for two years, in plain words
    taken = await home.invite("marjan", "samira", preset="copiloot-standaard", to="2028-03-01")
    assert taken["status"] == "active"
    (given,) = (await home.good("marjan", "GET", GRANTS))["grant"]
    assert given["samenvatting"].startswith("Samira (copiloot) mag")
    assert "tot 1 maart 2028" in given["samenvatting"]
    assert "iet: " in given["samenvatting"]
    assert await home.status("samira") == 200

    # 10: the provider replaces one nurse of its team by another
    head = await system(inside, "thuiszorg")
    await home.good("marjan", "POST", GRANTS, json={"preset": "zorgverlener-standaard",
                                                    "to_who": "team:nachtzorg"})  # fmt: skip
    for nurse, other in (("zuster-a", "zuster-b"), ("zuster-b", "zuster-a")):
        sent = {"naam": "Nacht", "leden": [nurse]}
        answer = await inside.http.put("/teams/nachtzorg", headers=head, json=sent)
        assert answer.status_code == 200, answer.text
        assert (await home.status(nurse), await home.status(other)) == (200, 404)

    # 11: the logeerhuis, in the weekend only
    await home.good("marjan", "POST", GRANTS, json={"preset": "logeerhuis",
                                                    "to_who": "team:logeren"})  # fmt: skip
    for moment, status in (
        (datetime(2026, 3, 3, 15, tzinfo=UTC), 404),
        (datetime(2026, 3, 6, 15, tzinfo=UTC), 200),
        (datetime(2026, 3, 29, 16, 59, tzinfo=UTC), 200),
        (datetime(2026, 3, 29, 17, 0, tzinfo=UTC), 404),
    ):
        inside.now = moment
        assert await home.status("logeerhuis") == status, moment

    # 15, 17: who looked, refused ones too; nobody else ends her grants
    ending = await home.call("zuster-b", "POST", f"{GRANTS}/{given['id']}/intrekken")
    assert ending.status_code == 403
    looked = (await home.good("marjan", "GET", "/$wie-keek"))["zinnen"]
    assert any(one["geweigerd"] for one in looked)
    assert await home.status("samira") == 200

    # 18: a successor, who has nothing until there is evidence
    await home.good("marjan", "POST", "/opvolger", json={"person": "broer"})
    assert await home.status("broer") == 404
    desk = Evidence(inside.house, home.dossier, "ria")
    await desk.succeed({"kind": "voogd", "gezag": True}, "C/09/1", REASON, None)
    assert (await home.status("broer"), await home.status("marjan")) == (200, 200)

    # 16: told half a year before; on the day parental authority is gone and nothing is deleted
    inside.now = datetime(2034, 11, 2, tzinfo=UTC)
    assert await life.run(inside.house, alone=False) >= 1
    told = (await home.good("marjan", "GET", "/berichten"))["berichten"]
    assert any("18 jaar" in one["tekst"] for one in told)
    kept = [one["id"] for one in (await home.good("marjan", "GET", GRANTS))["grant"]]
    inside.now = datetime(2035, 5, 1, tzinfo=UTC)
    assert await home.status("broer") == 404
    after = await home.good("marjan", "GET", GRANTS)
    assert [one["id"] for one in after["grant"]] == kept
    assert await life.run(inside.house, alone=False) >= 1
    assert await life.run(inside.house, alone=False) == 0


async def test_samira_works_for_five_families_and_sees_exactly_those(inside, family):
    homes = [
        await family({"person": f"kind-{n}", "name": f"Gezin {n}", "birth": "2016-01-01"},
                     gezag("marjan"))
        for n in range(1, 7)
    ]  # fmt: skip
    sixth, grants = homes.pop(), []
    for home in homes:
        await home.invite("marjan", "samira", preset="copiloot-standaard", to="2027-01-01")
        grants += (await home.good("marjan", "GET", GRANTS))["grant"]

    # 2: four active, one on waakvlam by name only
    path = f"{GRANTS}/{grants[4]['id']}"
    await homes[4].good("marjan", "POST", f"{path}/waakvlam")
    shared = await sixth.inside.http.get("/dossiers", headers=await _anywhere(inside, "samira"))
    found = shared.json()["dossiers"]
    assert [one["name"] for one in found] == [f"Gezin {n}" for n in range(1, 6)]
    assert [one["dormant"] for one in found] == [False] * 4 + [True]
    assert await homes[4].status("samira") == 404

    # 4: the sixth family is as if it were not there
    head = await _anywhere(inside, "samira")
    there, nowhere = [
        await inside.http.get(f"/dossiers/{id_}{GRANTS}", headers=head)
        for id_ in (sixth.dossier, "f" * 32)
    ]
    assert (there.status_code, _bare(there)) == (nowhere.status_code, _bare(nowhere)) == (
        404, _bare(nowhere),
    )  # fmt: skip

    # 12: she does not widen her own grant
    more = {"effect": "permit", "to_who": "samira", "categories": ["uitslagen"]}
    assert (await homes[0].call("samira", "POST", GRANTS, json=more)).status_code == 403
    told = (await homes[0].good("marjan", "GET", "/berichten"))["berichten"]
    assert "geweigerd" in [one["soort"] for one in told]

    # 13: a holiday; two of four families say yes
    period = {"to_who": "collega", "van": "2026-03-02", "tot": "2026-03-16"}
    for number, home in enumerate(homes[:4]):
        await home.good("samira", "POST", "/waarnemingen", json=period)
        if number < 2:
            (one,) = (await home.good("marjan", "GET", "/voorstellen"))["voorstellen"]
            agreed = {"precies": one["precies"]}
            await home.good("marjan", "POST", f"{GRANTS}/{one['id']}/instemmen", json=agreed)
    assert [await home.status("collega") for home in homes[:4]] == [200, 200, 404, 404]
    inside.later(days=14)
    assert [await home.status("collega") for home in homes[:4]] == [404] * 4

    # 15, 17: one wakes with one call; another ends it, and the others go on
    await homes[4].good("marjan", "POST", f"{path}/wekken")
    assert await homes[4].status("samira") == 200
    await homes[2].good("marjan", "POST", f"{GRANTS}/{grants[2]['id']}/intrekken")
    assert [await home.status("samira") for home in homes] == [200, 200, 404, 200, 200]

    # 18: the programme ends everywhere at once; the families keep what is theirs
    for home in homes:
        desk = Evidence(inside.house, home.dossier, "ria")
        await desk.programme_over(frozenset({"samira"}), "2026-07-01")
    inside.now = datetime(2026, 6, 30, 21, 59, 59, tzinfo=UTC)
    assert await homes[0].status("samira") == 200
    inside.now = datetime(2026, 6, 30, 22, 0, 0, tzinfo=UTC)
    assert [await home.status("samira") for home in homes] == [404] * 5
    assert [await home.status("marjan") for home in homes] == [200] * 5


async def test_ruud_and_his_mentor(inside, family):
    home = await family({"person": "ruud", "name": "Ruud", "birth": "1991-06-01"})

    # 2: a mandate counts after it was verified
    claim = {"dossier": home.dossier, "kind": "mentor", "order": "C/05/3", "to": "2027-01-01"}
    answer = await home.call("anja", "POST", "//vertegenwoordiging", json=claim)
    nowhere = await home.call(
        "zus", "POST", "//vertegenwoordiging", json=claim | {"dossier": "f" * 32}
    )
    assert (answer.status_code, answer.content) == (202, nowhere.content)
    assert await home.status("anja") == 404
    desk = Evidence(inside.house, home.dossier, "ria")
    (waiting,) = await desk.claims()
    await desk.verify(waiting["claim"], "C/05/3", REASON, None)
    assert await home.status("anja") == 200

    # 4, 5: she shares care for him; money and diary are not hers
    doctor = {"effect": "permit", "to_who": "huisarts", "categories": ["medicatie", "zorgplan"]}
    given = await home.good("anja", "POST", GRANTS, json=doctor)
    assert await home.status("huisarts") == 200
    told = (await home.good("ruud", "GET", "/berichten?taal=eenvoudig"))["berichten"]
    assert "Iemand nieuw mag meekijken." in [one["tekst"] for one in told]
    money = doctor | {"categories": ["financieel"]}
    answer = await home.call("anja", "POST", GRANTS, json=money | {"to_who": "zus"})
    assert answer.status_code == 403
    assert await home.status("zus") == 404

    # 6: Ruud keeps one thing to himself, and his no wins
    plan = {"resourceType": "CarePlan", "status": "active", "intent": "plan",
            "subject": {"reference": f"Patient/{await _patient(inside, home)}"}}  # fmt: skip
    id_ = (await home.good("ruud", "POST", "/fhir/r4/CarePlan", json=plan))["id"]
    assert (await home.good("anja", "GET", "/fhir/r4/CarePlan?_summary=count"))["total"] == 1
    hidden = {
        "release": "r4",
        "type": "CarePlan",
        "id": id_,
        "label": "niet-voor-vertegenwoordiger",
    }
    await home.good("ruud", "POST", "/zegels", json=hidden)
    assert (await home.good("anja", "GET", "/fhir/r4/CarePlan?_summary=count"))["total"] == 0

    # 14, 15: her mandate ends; what she gave is looked at again, not dropped
    assert await life.run(inside.house, alone=False) >= 0
    inside.now = datetime(2026, 12, 31, 23, 0, tzinfo=UTC)
    assert await home.status("anja") == 404
    assert await home.status("huisarts") == 200
    assert await life.run(inside.house, alone=False) >= 1
    news = await home.good("ruud", "GET", "/berichten")
    assert given["id"] in news["opnieuw_kijken"]
    assert any("Kijk opnieuw" in one["tekst"] for one in news["berichten"])
    assert await home.status("ruud") == 200


async def _anywhere(inside, person):
    """A token of this person that is for no dossier in particular."""
    account = await inside.house.registry.account(person)
    hour = inside.house.tokens.now() + 3600
    grant = Grant(
        person, account.kind, account.orgs[0], OPERATOR, "", ("user/*.cruds",), "", "substantieel",
        "", account.generation, 0, hour, hour,
    )  # fmt: skip
    issued = await inside.house.tokens.issue(grant)
    return {"Authorization": f"Bearer {issued.access}"}


async def _patient(inside, home):
    return patient_id(await inside.house.parts.dossiers.open(home.dossier), "r4")


def _bare(answer):
    return {name: each for name, each in answer.json().items() if name != "request_id"}
