"""Three journeys of the mission, as far as they are about who may do what: through HTTP, in order.

Marjan, mother of Fenna (9); Samira, copiloot of five families; Ruud (34) and his mentor. The clock
is moved, everything else is as it is served.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest
from joserfc.jwk import ECKey

from pgo import life
from pgo.consent import fhir_systems as systems
from pgo.evidence import Evidence
from pgo.oauth.clients import Provider
from pgo.oauth.tokens import Grant
from pgo.office import Office, new_client
from pgo.registry import Account, Organisation
from pgo.shared import patient_id

OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
    "category": [{"coding": [{"code": "laboratory"}]}],
}
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
WEEKEND = "logeerhuis"


@dataclass
class Story:
    """People and dossiers in a served house with a clock that can be set."""

    inside: Any
    dossiers: dict[str, str] = field(default_factory=dict)
    patients: dict[str, str] = field(default_factory=dict)

    async def person(self, id_: str, kind: str = "", **more: Any) -> None:
        """Register somebody; of a name with a dash the part before it is shown."""
        made = Account(id_, id_.capitalize(), birth="1980-01-01", kind=kind, **more)
        await self.inside.house.registry.keep_account(made)

    async def team(self, org: str, name: str, *people: str) -> None:
        """A provider's own system says who is in its team now."""
        key = ECKey.generate_key("P-256", {"use": "sig", "kid": "k"}).as_dict(private=False)
        house = self.inside.house
        await house.registry.keep_organisation(Organisation(org, org))
        provider = Provider(client_id=f"sys-{org}", name=org, id=org, jwks={"keys": [key]})
        await house.registry.keep_provider(provider)
        kept, hour = await house.registry.provider(f"sys-{org}"), house.tokens.now() + 3600
        grant = Grant(
            kept.client_id, "systeem", org, kept.client_id, "", ("system/*.cruds",), "",
            "substantieel", "", kept.generation, 0, hour, hour,
        )  # fmt: skip
        issued = await house.tokens.issue(grant)
        headers = {"Authorization": f"Bearer {issued.access}"}
        sent = {"naam": name, "leden": list(people)}
        answer = await self.inside.http.put(f"/teams/{name}", headers=headers, json=sent)
        assert answer.status_code == 200, answer.text

    async def dossier(self, client: str, birth: str, *relations: dict[str, Any], **facts) -> None:
        """A dossier for a client, whose representatives have shown their evidence."""
        await self.inside.house.registry.keep_account(
            Account(client, client.capitalize(), birth=birth)
        )
        id_ = self.dossiers[client] = new_client()
        subject = {"person": client, "name": client.capitalize(), "birth": birth, **facts}
        office = Office(self.inside.house, id_, "balie")
        await office.create(subject, [{**one, "client": client} for one in relations])
        opened = await self.inside.house.parts.dossiers.open(id_)
        self.patients[client] = patient_id(opened, "r4")

    async def call(
        self, who: str, method: str, client: str, path: str, **more: Any
    ) -> httpx2.Response:
        """A call by somebody about the dossier of a client, at a path below it."""
        headers = await self.token(who, client)
        url = f"/dossiers/{self.dossiers.get(client, client)}{path}"
        return await self.inside.http.request(method, url, headers=headers, **more)

    async def token(self, who: str, client: str = "") -> dict[str, str]:
        """Header fields of a token; for every dossier when no client is named."""
        issued = await self.inside.house.tokens.issue_operator(
            self.inside.house.registry,
            dossier=self.dossiers.get(client, client),
            person=who,
            scope=("user/*.cruds",),
        )
        return {"Authorization": f"Bearer {issued.access}"}

    async def writes(self, who: str, client: str, tree: dict[str, Any]) -> dict[str, Any]:
        """Somebody adds a record about the client; it has to succeed."""
        answer = await self.adds(who, client, tree)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def adds(self, who: str, client: str, tree: dict[str, Any]) -> httpx2.Response:
        """Somebody tries to add a record about the client."""
        patient = {"reference": f"Patient/{self.patients[client]}"}
        about = {"subject": [patient] if tree["resourceType"] == "Account" else patient}
        path = f"/fhir/r4/{tree['resourceType']}"
        return await self.call(who, "POST", client, path, json=tree | about)

    async def sees(self, who: str, client: str, tree: dict[str, Any]) -> int:
        """The status of a read, after checking that a search and a count agree with it."""
        type_, id_ = tree["resourceType"], tree["id"]
        answer = await self.call(who, "GET", client, f"/fhir/r4/{type_}/{id_}")
        found = await self.call(who, "GET", client, f"/fhir/r4/{type_}?_id={id_}&_summary=count")
        if found.status_code == 200:
            assert found.json()["total"] == (answer.status_code == 200)
        else:
            assert found.status_code == answer.status_code == 404
        return int(answer.status_code)

    async def gives(self, who: str, client: str, **given: Any) -> dict[str, Any]:
        """Somebody makes a grant; it has to succeed."""
        answer = await self.call(who, "POST", client, "/toestemmingen", json=given)
        assert answer.status_code == 201, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def invites(self, who: str, client: str, guest: str, **sent: Any) -> dict[str, Any]:
        """Somebody invites, and the guest accepts with the code."""
        answer = await self.call(who, "POST", client, "/uitnodigingen", json=sent)
        assert answer.status_code == 201, answer.text
        code, headers = {"code": answer.json()["code"]}, await self.token(guest)
        answer = await self.inside.http.post("/uitnodigingen/aannemen", json=code, headers=headers)
        assert answer.status_code < 300, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def messages(self, who: str, client: str, asked: str = "") -> dict[str, Any]:
        """What somebody is told about a dossier."""
        answer = await self.call(who, "GET", client, f"/berichten{asked}")
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    async def ends(self, who: str, client: str, grant: str) -> int:
        """Somebody tries to end a grant."""
        path = f"/toestemmingen/{grant}/intrekken"
        return int((await self.call(who, "POST", client, path)).status_code)

    async def looked(self, who: str, client: str) -> str:
        """What the access log says to somebody."""
        answer = await self.call(who, "GET", client, "/$wie-keek")
        assert answer.status_code == 200, answer.text
        return str(answer.text)

    def clock(self, *moment: int) -> None:
        """Set the clock to a moment in UTC."""
        self.inside.now = datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.fixture
def story(inside) -> Story:
    return Story(inside)


def entry(text: str) -> dict[str, Any]:
    """A message in the family's log."""
    return {
        "resourceType": "Communication",
        "status": "completed",
        "payload": [{"contentString": text}],
    }


def note(kind: str, text: str) -> dict[str, Any]:
    """A note of a kind that has a drawer of its own: dagboek or gezin."""
    code = {"system": systems.CATEGORIES, "code": kind}
    return entry(text) | {"category": [{"coding": [code]}], "meta": {"tag": [code]}}


# --- journey 1: Marjan, mother of Fenna ----------------------------------------------------------


async def fenna(story: Story) -> None:
    """Fenna is 9 and will never decide for herself; both parents have gezag."""
    parent = {"kind": "ouder", "gezag": True}
    for name in ("marjan", "joost", "bram"):
        await story.person(name)
    await story.person("samira", "copiloot", orgs=("coophulp",))
    for name in ("anke", "bo"):
        await story.person(name, "zorgverlener", orgs=("thuiszorg",))
    await story.person("lot", "zorgverlener", orgs=("logeerhuis",), teams=("weekend",))
    parents = [parent | {"person": name} for name in ("marjan", "joost")]
    await story.dossier("fenna", "2016-09-12", *parents, wilsonbekwaam=True)


async def test_journey_1_marjan_shares_writes_together_and_keeps_the_reins(story):
    await fenna(story)
    plan = await story.writes("marjan", "fenna", VISIT)

    # 7: the copiloot sees the dossier from the answer on, and her grant is told in plain words
    assert await story.sees("samira", "fenna", plan) == 404
    kept = await story.invites(
        "marjan", "fenna", "samira", preset="copiloot-standaard", to="2028-03-02"
    )
    assert kept["status"] == "active"
    assert await story.sees("samira", "fenna", plan) == 200
    (told,) = (await story.call("marjan", "GET", "fenna", "/toestemmingen")).json()["grant"]
    assert told["samenvatting"].startswith("Samira (copiloot) mag")
    assert "tot 2 maart 2028" in told["samenvatting"]
    assert "Niet: " in told["samenvatting"]

    await story.team("thuiszorg", "nachtzorg", "anke")

    # 8: father, night nurse and copiloot write; nobody writes over another's text
    night = {
        "to_who": "team:nachtzorg",
        "effect": "permit",
        "categories": ["berichten", "behandeling"],
    }
    await story.gives("marjan", "fenna", **night, actions=["lezen", "toevoegen", "wijzigen"])
    entries = {
        who: await story.writes(who, "fenna", entry(f"Van {who}"))
        for who in ("joost", "anke", "samira")
    }
    hers = f"/fhir/r4/Communication/{entries['anke']['id']}"
    wrong = entries["anke"] | {"payload": [{"contentString": "Iets anders"}]}
    assert (await story.call("marjan", "PUT", "fenna", hers, json=wrong)).status_code == 403
    answer = entry("Dat was bij ons anders") | {
        "inResponseTo": [{"reference": f"Communication/{entries['anke']['id']}"}]
    }
    await story.writes("marjan", "fenna", answer)
    still = (await story.call("marjan", "GET", "fenna", hers)).json()
    assert still["payload"][0]["contentString"] == "Van anke"
    assert still["meta"]["versionId"] == "1"

    # 10: nurse A leaves the team, nurse B comes: with the tokens they have
    tokens = {who: await story.token(who, "fenna") for who in ("anke", "bo")}
    url = f"/dossiers/{story.dossiers['fenna']}/fhir/r4/Encounter/{plan['id']}"
    at = {
        who: (await story.inside.http.get(url, headers=tokens[who])).status_code for who in tokens
    }
    assert at == {"anke": 200, "bo": 404}
    await story.team("thuiszorg", "nachtzorg", "bo")
    at = {
        who: (await story.inside.http.get(url, headers=tokens[who])).status_code for who in tokens
    }
    assert at == {"anke": 404, "bo": 200}

    # 17: a provider cannot end what Marjan gave, nor her part
    relation = (await story.call("marjan", "GET", "fenna", "/toestemmingen")).json()["relation"]
    mine = next(one["id"] for one in relation if one["person"] == "marjan")
    assert await story.ends("bo", "fenna", kept["id"]) in {403, 404}
    path = f"/relaties/{mine}/beeindigen"
    assert (await story.call("bo", "POST", "fenna", path)).status_code in {403, 404}
    assert await story.sees("marjan", "fenna", plan) == 200

    # 15: who looked, refused attempts included
    lines = (await story.call("marjan", "GET", "fenna", "/$wie-keek")).json()["zinnen"]
    refused = {line["persoon"] for line in lines if line["geweigerd"]}
    assert {"samira", "anke", "bo"} <= refused
    assert {"samira", "anke", "bo", "joost"} <= {
        one["persoon"] for one in lines if not one["geweigerd"]
    }


async def test_journey_1_the_logeerhuis_looks_in_its_weekend_only(story):
    """Step 11: Friday 15:00 to Sunday 19:00 in Amsterdam, also when the clock changes."""
    await fenna(story)
    plan = await story.writes("marjan", "fenna", {
        "resourceType": "MedicationStatement", "status": "active",
        "medicationCodeableConcept": {"text": "valproaat"},
    })  # fmt: skip
    await story.gives("marjan", "fenna", to_who="lot", preset=WEEKEND)
    for moment, status in (
        ((2026, 3, 3, 12), 404),  # Tuesday
        ((2026, 3, 6, 13, 59, 59), 404),
        ((2026, 3, 6, 14), 200),  # Friday 15:00
        ((2026, 3, 8, 17, 59, 59), 200),
        ((2026, 3, 8, 18), 404),  # Sunday 19:00
        ((2026, 3, 29, 16, 59, 59), 200),  # the clock went forward that night
        ((2026, 3, 29, 17), 404),
        ((2026, 4, 3, 13), 200),
        ((2026, 10, 25, 17, 59, 59), 200),  # and back
        ((2026, 10, 25, 18), 404),
    ):
        story.clock(*moment)
        assert await story.sees("lot", "fenna", plan) == status, moment
        assert await story.sees("marjan", "fenna", plan) == 200


async def test_journey_1_growing_up_succession_and_death(story):
    await fenna(story)
    care = await story.writes("marjan", "fenna", VISIT)
    diary = await story.writes("marjan", "fenna", note("dagboek", "Fenna lachte"))
    kept = await story.gives("marjan", "fenna", to_who="samira", preset="copiloot-standaard")

    # 16: told half a year before, once
    story.clock(2034, 3, 13)
    assert await life.run(story.inside.house, alone=False) >= 1
    assert await life.run(story.inside.house, alone=False) == 0
    told = (await story.messages("marjan", "fenna"))["berichten"]
    assert any("18 jaar" in one["tekst"] for one in told)

    # 16: the day before and the day of her 18th birthday; nothing is widened, lost or locked out
    story.clock(2034, 9, 11, 21, 59, 59)
    assert await story.sees("marjan", "fenna", diary) == 200
    assert await story.sees("samira", "fenna", diary) == 404
    story.clock(2034, 9, 11, 22)
    assert await story.sees("marjan", "fenna", care) == 200, (
        "as family, until somebody is appointed"
    )
    assert await story.sees("marjan", "fenna", diary) == 404, "family does not read a diary"
    assert await story.sees("fenna", "fenna", diary) == 200, "nothing is deleted"
    assert await story.sees("samira", "fenna", care) == 200, "her grant does not lapse silently"
    assert await story.sees("samira", "fenna", diary) == 404
    assert kept["id"] in (await story.call("fenna", "GET", "fenna", "/toestemmingen")).text

    # 18: a successor is named, holds nothing yet, and takes over with evidence
    answer = await story.call("marjan", "POST", "fenna", "/opvolger", json={"person": "bram"})
    assert answer.status_code == 201, answer.text
    assert await story.sees("bram", "fenna", care) == 404
    evidence = Evidence(story.inside.house, story.dossiers["fenna"], "balie")
    mentor = {"kind": "mentor", "order": "C/2034/1"}
    await evidence.succeed(mentor, "beschikking-1", "benoemd door de rechter", None)
    assert await story.sees("bram", "fenna", care) == 200
    given = {"to_who": "lot", "effect": "permit", "categories": ["behandeling"]}
    assert (await story.gives("bram", "fenna", **given))["id"]
    assert await story.sees("marjan", "fenna", care) == 404, "a mentor goes before family"

    # 19: after death who represented her that day reads on, and nobody writes
    await evidence.died("2034-09-12", "akte-1", "overlijdensakte", None)
    assert await story.sees("bram", "fenna", care) == 200
    assert (await story.adds("bram", "fenna", entry("te laat"))).status_code in {403, 404}
    assert (await story.adds("fenna", "fenna", entry("te laat"))).status_code in {403, 404}


# --- journey 2: Samira, copiloot of five families ------------------------------------------------

FAMILIES = ("een", "twee", "drie", "vier", "vijf")


async def families(story: Story) -> dict[str, str]:
    """Five families with a grant for Samira, the fifth dormant, and a sixth without; grants."""
    await story.person("samira", "copiloot", orgs=("coophulp",))
    await story.person("kees", "copiloot", orgs=("coophulp",))
    await story.person("smit", "zorgverlener", orgs=("delinde",))
    grants = {}
    for name in (*FAMILIES, "zes"):
        await story.person(f"ouder-{name}")
        parent = {"person": f"ouder-{name}", "kind": "ouder", "gezag": True}
        await story.dossier(name, "2018-05-01", parent)
        if name != "zes":
            given = {"to_who": "samira", "preset": "copiloot-standaard", "to": "2026-12-31"}
            grants[name] = (await story.gives(f"ouder-{name}", name, **given))["id"]
    path = f"/toestemmingen/{grants['vijf']}/waakvlam"
    assert (await story.call("ouder-vijf", "POST", "vijf", path)).status_code == 200
    return grants


async def test_journey_2_samira_sees_exactly_her_families(story):
    grants = await families(story)
    visits = {name: await story.writes(f"ouder-{name}", name, VISIT) for name in (*FAMILIES, "zes")}

    # 2: four active, one by name only
    answer = await story.inside.http.get("/dossiers", headers=await story.token("samira"))
    mine = answer.json()["dossiers"]
    assert len(mine) == 5
    dormant = {one["client"]: one["dormant"] for one in mine}
    assert dormant == {story.dossiers[name]: name == "vijf" for name in FAMILIES}
    assert story.dossiers["zes"] not in answer.text
    assert [await story.sees("samira", name, visits[name]) for name in FAMILIES] == [200] * 4 + [
        404
    ]

    # 4: the sixth family and no family at all are one answer; it is in that family's log
    unbound = await story.token("samira")
    said = []
    for where in (story.dossiers["zes"], new_client()):
        url = f"/dossiers/{where}/fhir/r4/Patient"
        found = await story.inside.http.get(url, headers=unbound)
        drifting = {"date", "x-request-id"}
        fields = {k: v for k, v in found.headers.items() if k not in drifting}
        said.append((found.status_code, found.content, fields))
    assert said[0] == said[1]
    assert said[0][0] == 404
    assert "Samira" in await story.looked("ouder-zes", "zes")

    # 5: where the family keeps its uitslagen a search is empty, and a known id is not there
    await story.gives("ouder-een", "een", to_who="samira", effect="deny", categories=["uitslagen"])
    result = await story.writes("ouder-een", "een", OBSERVATION)
    found = await story.call("samira", "GET", "een", "/fhir/r4/Observation")
    assert (found.status_code, found.json()["total"]) == (200, 0)
    known = await story.call("samira", "GET", "een", f"/fhir/r4/Observation/{result['id']}")
    nothing = await story.call("samira", "GET", "een", f"/fhir/r4/Observation/{uuid.uuid4()}")
    assert (known.status_code, known.content) == (404, nothing.content)

    # 7: a family note is not found by a doctor with everything in care
    care = {"to_who": "smit", "preset": "zorgverlener-standaard"}
    await story.gives("ouder-twee", "twee", **care)
    family = await story.writes("samira", "twee", note("gezin", "Het is zwaar"))
    assert await story.sees("samira", "twee", family) == 200
    assert await story.sees("smit", "twee", visits["twee"]) == 200
    assert await story.sees("smit", "twee", family) == 404

    # 12: she does not widen her own grant; it is written down
    more = {"to_who": "samira", "effect": "permit", "categories": ["uitslagen"]}
    answer = await story.call("samira", "POST", "een", "/toestemmingen", json=more)
    assert answer.status_code in {403, 404}
    assert await story.sees("samira", "een", result) == 404
    assert "Samira" in await story.looked("ouder-een", "een")
    told = (await story.messages("ouder-een", "een"))["berichten"]
    assert "geweigerd" in [one["soort"] for one in told]

    # 17: one family stops mid-session; the others do not notice
    token = await story.token("samira", "drie")
    url = f"/dossiers/{story.dossiers['drie']}/fhir/r4/Encounter/{visits['drie']['id']}"
    assert (await story.inside.http.get(url, headers=token)).status_code == 200
    assert await story.ends("ouder-drie", "drie", grants["drie"]) == 200
    assert (await story.inside.http.get(url, headers=token)).status_code == 404
    assert await story.sees("samira", "twee", visits["twee"]) == 200

    # 15: the dormant family wakes with one call; nothing was lost
    path = f"/toestemmingen/{grants['vijf']}/wekken"
    assert (await story.call("ouder-vijf", "POST", "vijf", path)).status_code == 200
    assert await story.sees("samira", "vijf", visits["vijf"]) == 200


async def test_journey_2_a_substitute_and_the_end_of_the_programme(story):
    await families(story)
    visits = {name: await story.writes(f"ouder-{name}", name, VISIT) for name in FAMILIES[:4]}

    # 13: Samira proposes Kees to four families, two say yes; after two weeks it is over
    sent = {"to_who": "kees", "van": "2026-03-02", "tot": "2026-03-16"}
    for name in FAMILIES[:4]:
        answer = await story.call("samira", "POST", name, "/waarnemingen", json=sent)
        assert answer.status_code == 201, answer.text
        assert await story.sees("kees", name, visits[name]) == 404
    for name in FAMILIES[:2]:
        waiting = await story.call(f"ouder-{name}", "GET", name, "/voorstellen")
        (one,) = waiting.json()["voorstellen"]
        path = f"/toestemmingen/{one['id']}/instemmen"
        agreed = {"precies": one["precies"]}
        answer = await story.call(f"ouder-{name}", "POST", name, path, json=agreed)
        assert answer.status_code == 200, answer.text
    at = [await story.sees("kees", name, visits[name]) for name in FAMILIES[:4]]
    assert at == [200, 200, 404, 404]
    assert "Kees" in await story.looked("ouder-een", "een")
    story.clock(2026, 3, 15, 23)
    assert [await story.sees("kees", name, visits[name]) for name in FAMILIES[:4]] == [404] * 4

    # 18: the programme ends at a date: a second before it is open, then closed; the family stays
    for name in FAMILIES[:4]:
        evidence = Evidence(story.inside.house, story.dossiers[name], "balie")
        assert await evidence.programme_over(frozenset({"samira", "kees"}), "2026-07-01") >= 1
    story.clock(2026, 6, 30, 21, 59, 59)
    assert await story.sees("samira", "een", visits["een"]) == 200
    story.clock(2026, 6, 30, 22)
    assert [await story.sees("samira", name, visits[name]) for name in FAMILIES[:4]] == [404] * 4
    assert await story.sees("ouder-een", "een", visits["een"]) == 200


# --- journey 3: Ruud and his mentor --------------------------------------------------------------


async def ruud(story: Story) -> dict[str, Any]:
    """Ruud decides for himself and has a mentor until September; gives his visit."""
    for name in ("anja", "zus"):
        await story.person(name)
    await story.person("huisarts", "zorgverlener", orgs=("praktijk",))
    for name in ("sil", "tess"):
        await story.person(name, "copiloot", orgs=("coophulp",))
    await story.dossier("ruud", "1992-01-15")
    return await story.writes("ruud", "ruud", VISIT)


async def mandate(story: Story, care: dict[str, Any]) -> None:
    """Step 2: a mandate gives nothing until its evidence was checked."""
    claim = {"dossier": story.dossiers["ruud"], "kind": "mentor", "order": "C/2025/9"}
    claim |= {"from": "2025-01-01", "to": "2026-09-01"}
    headers = await story.token("anja")
    answer = await story.inside.http.post("/vertegenwoordiging", json=claim, headers=headers)
    assert answer.status_code == 202, answer.text
    assert await story.sees("anja", "ruud", care) == 404
    evidence = Evidence(story.inside.house, story.dossiers["ruud"], "balie")
    (waiting,) = await evidence.claims()
    await evidence.verify(waiting["claim"], "beschikking-9", "beschikking gezien", None)
    assert await story.sees("anja", "ruud", care) == 200


async def test_journey_3_ruud_keeps_his_own_things_from_his_mentor(story):
    care = await ruud(story)
    diary = await story.writes("ruud", "ruud", note("dagboek", "Van mij"))
    money = await story.writes("ruud", "ruud", {
        "resourceType": "Account", "status": "active", "name": "Spaarrekening",
    })  # fmt: skip

    await mandate(story, care)

    # 5: money and his diary are not hers, and do not exist for her
    for tree in (diary, money):
        assert await story.sees("anja", "ruud", tree) == 404
        assert await story.sees("ruud", "ruud", tree) == 200
    total = await story.call("anja", "GET", "ruud", "/fhir/r4/Communication?_summary=count")
    assert total.json()["total"] == 0
    refused = await story.adds("anja", "ruud", note("dagboek", "Namens hem"))
    assert refused.status_code in {403, 404}

    # 6: what Ruud hides is gone for her, in counts too
    second = await story.writes("ruud", "ruud", VISIT)
    seal = {"release": "r4", "type": "Encounter", "id": second["id"]}
    seal |= {"label": "niet-voor-vertegenwoordiger"}
    assert (await story.call("ruud", "POST", "ruud", "/zegels", json=seal)).status_code == 200
    assert await story.sees("anja", "ruud", second) == 404
    counted = await story.call("anja", "GET", "ruud", "/fhir/r4/Encounter?_summary=count")
    assert counted.json()["total"] == 1


async def test_journey_3_what_his_mentor_gives_and_what_ruud_changes(story):
    care = await ruud(story)
    await mandate(story, care)

    # 4: she gives the huisarts what he needs, and Ruud can read that
    wanted = {"effect": "permit", "to_who": "huisarts", "categories": ["medicatie", "behandeling"]}
    hers = await story.gives("anja", "ruud", **wanted)
    assert await story.sees("huisarts", "ruud", care) == 200
    assert "Huisarts" in (await story.call("ruud", "GET", "ruud", "/toestemmingen")).text
    told = (await story.messages("ruud", "ruud", "?taal=eenvoudig"))["berichten"]
    (given,) = [one["tekst"] for one in told if one["soort"] == "toegang"]
    assert given.startswith("Huisarts (zorgverlener) kreeg toegang. Anja (mentor) gaf dit.")
    assert given.endswith("U kunt dit stoppen.")
    money = {"effect": "permit", "to_who": "zus", "categories": ["financieel"]}
    answer = await story.call("anja", "POST", "ruud", "/toestemmingen", json=money)
    assert answer.status_code == 403, "who has nothing to give, gives nothing"

    # 12: research needs both; one no wins
    hresch = {"to_who": "huisarts", "purposes": ["HRESCH"], "categories": ["behandeling"]}
    await story.gives("ruud", "ruud", effect="deny", **hresch)
    assert await story.sees("huisarts", "ruud", care) == 200, "care goes on"

    # 14: another supporter: the old one's access ends, the new one's begins, nothing is lost
    old = await story.gives("ruud", "ruud", to_who="sil", preset="copiloot-standaard")
    message = await story.writes("sil", "ruud", entry("Wij belden vandaag"))
    assert await story.ends("ruud", "ruud", old["id"]) == 200
    await story.gives("ruud", "ruud", to_who="tess", preset="copiloot-standaard")
    assert await story.sees("sil", "ruud", message) == 404
    assert await story.sees("tess", "ruud", message) == 200

    # 15: the mandate ends; what she gave stays and is looked at again, what Ruud may stays
    story.clock(2026, 8, 31, 21, 59, 59)
    await life.run(story.inside.house, alone=False)
    assert await story.sees("anja", "ruud", care) == 200
    story.clock(2026, 8, 31, 22)
    assert await story.sees("anja", "ruud", care) == 404
    assert await story.sees("huisarts", "ruud", care) == 200
    assert await story.sees("ruud", "ruud", care) == 200
    assert hers["id"] in (await story.call("ruud", "GET", "ruud", "/toestemmingen")).text
    assert await life.run(story.inside.house, alone=False) >= 1
    news = await story.messages("ruud", "ruud")
    assert hers["id"] in news["opnieuw_kijken"]
    stays = await story.call("ruud", "POST", "ruud", f"/toestemmingen/{hers['id']}/bevestigen")
    assert stays.status_code == 200, stays.text
    assert (await story.messages("ruud", "ruud"))["opnieuw_kijken"] == []
    assert await story.sees("huisarts", "ruud", care) == 200
    assert any("Kijk opnieuw" in one["tekst"] for one in news["berichten"])

    # 11 and 16: his sister never saw a thing; he can read who did
    assert await story.sees("zus", "ruud", care) == 404
    seen = await story.looked("ruud", "ruud")
    assert "Anja" in seen
    assert "Huisarts" in seen
