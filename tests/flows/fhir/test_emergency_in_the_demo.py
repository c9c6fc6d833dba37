"""Carers of the demo who signed in very safely may try noodtoegang; others may not."""

from __future__ import annotations

import pytest

HEAD = {"X-Noodtoegang": 'code=BTG; reason="Bewusteloos gevonden op straat"'}
ALLERGY = {"resourceType": "AllergyIntolerance", "code": {"text": "pinda"}}
CLINICAL = {
    "system": "http://terminology.hl7.org/CodeSystem/allergyintolerance-clinical",
    "code": "active",
}


def test_carers_of_the_demo_may_sign_in_very_safely_and_then_use_noodtoegang(fresh):
    patient = {"patient": fresh.subject(), "clinicalStatus": {"coding": [CLINICAL]}}
    fresh.as_().post("AllergyIntolerance", json=ALLERGY | patient).raise_for_status()
    carer = fresh.as_("p-visser")
    assert carer.get("AllergyIntolerance").status_code == 404
    found = carer.get("AllergyIntolerance", headers=HEAD)
    assert (found.status_code, found.json()["total"]) == (200, 1)


@pytest.mark.parametrize("person", ["p-linda", "p-samira"])
def test_noodtoegang_stays_for_carers_only(fresh, person):
    assert fresh.as_(person).get("AllergyIntolerance", headers=HEAD).status_code == 404
