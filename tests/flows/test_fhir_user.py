"""The address in fhirUser leads to oneself, and nobody else."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("person", "type_"), [("p-marjan", "Person"), ("p-samira", "Practitioner")]
)
def test_who_asks_reads_himself_and_no_more_than_a_name(served, person, type_):
    with served.client(person, scope="patient/Patient.r fhirUser") as client:
        answer = client.get(f"{type_}/{person}")
        assert answer.status_code == 200
        assert set(answer.json()) == {"resourceType", "id", "active", "name"}
        other = "p-samira" if person == "p-marjan" else "p-marjan"
        for name in (f"Person/{other}", f"Practitioner/{other}", f"RelatedPerson/{person}"):
            assert client.get(name).status_code in {403, 404}
    assert served.wrong_in_trails() == []


def test_without_fhir_user_in_the_scope_there_is_nothing(served):
    with served.client("p-marjan", scope="patient/*.r") as client:
        assert client.get("Person/p-marjan").status_code == 404


def test_who_may_not_know_of_the_dossier_is_not_told_of_himself_in_it(served):
    with served.client("p-anja", scope="patient/Patient.r fhirUser") as stranger:
        assert stranger.get("Person/p-anja").status_code == 404
