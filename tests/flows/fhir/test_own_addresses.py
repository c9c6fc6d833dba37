"""References with our own address in front mean the same as without; what is stored stays."""

from __future__ import annotations

import pytest


def bases(fresh, release="r4"):
    """The two addresses this dossier has."""
    url = fresh.served.url
    return f"{url}/fhir/{release}", f"{url}/dossiers/{fresh.id}/fhir/{release}"


def put(client, tree):
    answer = client.put(f"{tree['resourceType']}/{tree['id']}", json=tree)
    assert answer.status_code == 201, answer.text


def found(client, asked):
    answer = client.get(asked)
    assert answer.status_code == 200, answer.text
    return sorted(entry["resource"]["id"] for entry in answer.json().get("entry", ()))


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize("which", [0, 1])
def test_an_absolute_reference_is_followed_and_stored_as_it_was_sent(fresh, release, which):
    marjan, base = fresh.as_(release=release), bases(fresh, release)[which]
    system = fresh.system(release=release)
    put(system, {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Zon"}]})
    put(system, {"resourceType": "Practitioner", "id": "dok", "name": [{"family": "Smit"}]})
    doctor = {"reference": f"{base}/Practitioner/dok"}
    subject = {"reference": f"{base}/Patient/{fresh.patient}"}
    tree = fresh.weight(id="w", performer=[doctor], subject=subject)
    put(system, tree)
    kept = marjan.get("Observation/w").json()
    assert (kept["performer"], kept["subject"]) == ([doctor], subject)
    assert found(marjan, "Observation?performer=Practitioner/dok") == ["w"]
    for one in bases(fresh, release)[1:]:
        assert found(marjan, f"Observation?performer={one}/Practitioner/dok") == ["w"]
    assert found(marjan, "Observation?performer:Practitioner.name=smit") == ["w"]
    assert found(marjan, f"Observation?patient={fresh.patient}") == ["w"]
    assert found(marjan, "Observation?_include=Observation:performer") == ["dok", "w"]
    assert found(marjan, "Practitioner?_has:Observation:performer:code=29463-7") == ["dok"]
    assert found(marjan, "Practitioner?_revinclude=Observation:performer") == ["dok", "w"]


def test_it_lends_its_category_as_a_relative_one_does(fresh):
    system = fresh.system()
    put(system, {"resourceType": "Practitioner", "id": "dok", "name": [{"family": "Smit"}]})
    put(system, {"resourceType": "Practitioner", "id": "ander", "name": [{"family": "Bos"}]})
    doctor = {"reference": f"{bases(fresh)[1]}/Practitioner/dok"}
    put(system, fresh.weight(id="w", performer=[doctor]))
    fresh.grant(to_who="p-samira", categories=["metingen"])
    assert found(fresh.as_("p-samira"), "Practitioner") == ["dok"]


def test_an_address_of_another_dossier_release_or_server_is_not_ours(fresh, new_dossier):
    marjan, system, other = fresh.as_(), fresh.system(), new_dossier()
    put(system, {"resourceType": "Practitioner", "id": "dok", "name": [{"family": "Smit"}]})
    strange = [
        f"{fresh.served.url}/dossiers/{other.id}/fhir/r4/Practitioner/dok",
        f"{bases(fresh, 'stu3')[1]}/Practitioner/dok",
        "https://elders.example/fhir/r4/Practitioner/dok",
        f"{fresh.served.url}.example/fhir/r4/Practitioner/dok",
    ]
    for n, url in enumerate(strange):
        put(system, fresh.weight(id=f"w{n}", performer=[{"reference": url}]))
    assert found(marjan, "Observation?performer=Practitioner/dok") == []
    foreign = fresh.weight(subject={"reference": f"{bases(other)[1]}/Patient/{fresh.patient}"})
    refused = marjan.post("Observation", json=foreign)
    assert (refused.status_code, fresh.place(refused)) == (422, "Observation.subject")
