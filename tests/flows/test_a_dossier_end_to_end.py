"""The spine: a provider pushes, a family reads, a stranger gets nothing, and it is all seen."""

from __future__ import annotations

import httpx2


def test_the_mother_reads_what_three_providers_brought(served):
    with served.client("p-marjan") as marjan:
        found = marjan.get("MedicationRequest").json()
        sources = {e["resource"]["meta"]["source"] for e in found["entry"]}
    assert found["total"] == len(found["entry"]) > 3
    assert len(sources) >= 1
    assert served.fhir() in found["link"][0]["url"]


def test_a_stranger_gets_the_same_answer_as_for_a_dossier_that_does_not_exist(served):
    token = {"Authorization": f"Bearer {served.token('p-anja', 'ruud')}"}
    there = httpx2.get(f"{served.fhir('fenna')}/CarePlan", headers=token)
    nowhere = httpx2.get(f"{served.url}/dossiers/{'0' * 32}/fhir/r4/CarePlan", headers=token)
    assert there.status_code == nowhere.status_code == 404
    assert there.content == nowhere.content


def test_the_family_reads_in_plain_dutch_who_looked(served):
    with served.client("p-samira") as samira:
        assert samira.get("CarePlan").status_code == 200
    with served.client("p-marjan") as marjan:
        looked = marjan.get(f"{served.url}/dossiers/{served.dossiers['fenna']}/$wie-keek").json()
    assert any("Samira Haddad" in one["zin"] for one in looked["zinnen"])
