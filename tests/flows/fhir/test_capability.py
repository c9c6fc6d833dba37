"""What the capability statement promises is there, for each type of both releases."""

from __future__ import annotations

from importlib import import_module

import httpx2
import orjson
import pytest

from pgo.fhir import operations, text, validate
from pgo.fhir.profiles import ours
from pgo.fhir.refused import NOT_TAKEN
from pgo.fhir.xml_out import to_xml

RELEASES = {"r4": ("R4B", "4.0.1"), "stu3": ("STU3", "3.0.2")}


@pytest.fixture(params=RELEASES)
def said(request, served):
    """The release, its statement and a client that may read everything."""
    release = request.param
    with httpx2.Client(
        base_url=f"{served.fhir('fenna', release)}/",
        headers={"Authorization": f"Bearer {served.token('p-marjan')}"},
        timeout=30,
    ) as marjan:
        yield release, marjan.get("metadata").json(), marjan


def batched(values, most):
    """Tuples of at most so many values, in order."""
    values = tuple(values)
    return (values[at : at + most] for at in range(0, len(values), most))


def resources(statement):
    """What is said of each type, by its name."""
    return {one["type"]: one for one in statement["rest"][0]["resource"]}


def test_the_statement_is_for_everybody_and_valid(served, said):
    release, statement, _ = said
    package, version = RELEASES[release]
    raw = httpx2.get(f"{served.url}/fhir/{release}/metadata").content
    import_module(f"fhir.resources.{package}.capabilitystatement").CapabilityStatement(
        **orjson.loads(raw)
    )
    assert validate.validate(release, text.parse(raw)) == ()
    assert statement["fhirVersion"] == version
    assert statement["implementation"]["url"] == served.fhir("fenna", release)
    assert orjson.loads(raw)["implementation"]["url"] == f"{served.url}/fhir/{release}"


def test_the_statement_says_how_to_get_a_token_as_the_server_itself_does(served, said):
    release, statement, _ = said
    security = statement["rest"][0]["security"]
    smart = httpx2.get(f"{served.url}/fhir/{release}/.well-known/smart-configuration").json()
    place = "http://fhir-registry.smarthealthit.org/StructureDefinition/"
    uris, *can = security["extension"]
    assert uris["url"] == f"{place}oauth-uris"
    assert {one["url"]: one["valueUri"] for one in uris["extension"]} == {
        "authorize": smart["authorization_endpoint"],
        "token": smart["token_endpoint"],
        "introspect": smart["introspection_endpoint"],
        "revoke": smart["revocation_endpoint"],
        "manage": smart["management_endpoint"],
    }
    assert {one["url"] for one in can} == {f"{place}capabilities"}
    told = {one["valueCode"] for one in can}
    assert {"launch-standalone", "client-public", "sso-openid-connect"} <= told
    assert told <= set(smart["capabilities"])
    system = {
        "r4": "http://terminology.hl7.org/CodeSystem/restful-security-service",
        "stu3": "http://hl7.org/fhir/restful-security-service",
    }[release]
    (service,) = security["service"]
    assert [(one["system"], one["code"]) for one in service["coding"]] == [
        (system, "SMART-on-FHIR")
    ]
    assert service["text"]
    assert security["cors"] is True
    assert "smart-configuration" in security["description"]
    for method, end in [("GET", "authorize"), ("POST", "token"), ("POST", "revoke")]:
        address = next(one["valueUri"] for one in uris["extension"] if one["url"] == end)
        assert httpx2.request(method, address).status_code in {400, 401, 415}, end


def test_the_profiles_that_are_looked_at_and_the_patches_that_are_read_are_named(fresh, said):
    release, statement, _ = said
    by_type = {name: one.get("supportedProfile", []) for name, one in resources(statement).items()}
    named = [url for urls in by_type.values() for url in urls]
    if release == "stu3":
        assert named == []
        named = [one["reference"] for one in statement.get("profile", [])]
    library = ours().library(release)
    assert sorted(named) == sorted(url for urls in library.profiles().values() for url in urls)
    assert all(library.type_of(url) == type_ for type_, urls in by_type.items() for url in urls)
    assert (release == "r4") == any("toestemming" in url for url in by_type["Consent"])
    operation = [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Observation.status"},
        {"name": "value", "valueCode": "amended"},
    ]
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "operation", "part": operation}],
    }
    drawn = orjson.dumps(parameters)
    patches = {
        "application/json-patch+json": (
            b'[{"op": "replace", "path": "/status", "value": "amended"}]'
        ),
        "application/merge-patch+json": b'{"status": "amended"}',
        "application/fhir+json": drawn,
        "application/fhir+xml": to_xml(text.parse(drawn), release),
    }
    assert set(statement["patchFormat"]) == set(patches)
    sent = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    sent["subject"] = {"reference": f"Patient/{fresh.patient}"}
    marjan = fresh.as_(release=release)
    for media, patch in patches.items():
        made = marjan.post("Observation", json=sent).json()
        path = f"Observation/{made['id']}"
        answer = marjan.patch(path, content=patch, headers={"Content-Type": media})
        assert (media, answer.status_code) == (media, 200), answer.text
        assert marjan.get(path).json()["status"] == "amended"


def test_every_type_can_be_searched_and_no_other(said):
    _, statement, marjan = said
    named = resources(statement)
    assert len(named) > 110
    for type_ in named:
        answer = marjan.get(type_, params={"_count": 1})
        assert (type_, answer.status_code) == (type_, 200)
        assert answer.json()["type"] == "searchset"
    for other in ("Parameters", "DomainResource", "Resource", "Foo"):
        assert other not in named
        assert marjan.get(other).status_code == 404


def test_every_search_parameter_can_be_used(said):
    _, statement, marjan = said
    used = 0
    for type_, one in resources(statement).items():
        names = [p["name"] for p in one["searchParam"] if p["type"] != "special"]
        assert {"_id", "_lastUpdated"} <= set(names)
        for some in batched(names, 10):
            asked = {f"{name}:missing": "true" for name in some if name[0] != "_"}
            answer = marjan.get(type_, params=asked | {"_count": "1"})
            assert (type_, some, answer.status_code) == (type_, some, 200), answer.text
            used += len(asked)
    assert used > 1000


def test_every_include_can_be_used(said):
    _, statement, marjan = said
    for type_, one in resources(statement).items():
        includes = one.get("searchInclude", [])
        for some in batched(includes, 5):
            answer = marjan.get(type_, params=[("_include", each) for each in some])
            assert (type_, some, answer.status_code) == (type_, some, 200), answer.text


def test_every_interaction_is_offered(fresh, said):
    release, statement, _ = said
    offered = {code["code"] for one in resources(statement).values() for code in one["interaction"]}
    assert {
        "read",
        "vread",
        "update",
        "delete",
        "history-instance",
        "create",
        "search-type",
    } <= offered
    for type_, one in resources(statement).items():
        makes = set() if type_ in NOT_TAKEN else {"create", "update"}
        assert {code["code"] for code in one["interaction"]} >= {"read", "search-type"} | makes
        assert (one["versioning"], one["updateCreate"]) == ("versioned-update", bool(makes))
        assert one["referencePolicy"] == ["literal", "logical"]
    whole = {one["code"] for one in statement["rest"][0]["interaction"]}
    assert {"transaction", "batch"} <= whole
    marjan = fresh.as_(release=release)
    basic = {"resourceType": "Basic", "code": {"text": "x"}}
    made = marjan.post("Basic", json=basic)
    id_ = made.json()["id"]
    done = {
        "create": made,
        "read": marjan.get(f"Basic/{id_}"),
        "vread": marjan.get(f"Basic/{id_}/_history/1"),
        "update": marjan.put(f"Basic/{id_}", json=basic | {"id": id_}),
        "history-instance": marjan.get(f"Basic/{id_}/_history"),
        "search-type": marjan.get("Basic"),
        "delete": marjan.delete(f"Basic/{id_}"),
        "batch": marjan.post("", json={"resourceType": "Bundle", "type": "batch"}),
        "transaction": marjan.post("", json={"resourceType": "Bundle", "type": "transaction"}),
    }
    assert {name for name, answer in done.items() if not answer.is_success} == set()


def places_of(one, patient):
    """The addresses an operation has, below the base."""
    type_ = one.types[0] if one.types else "Patient"
    known = patient if type_ == "Patient" else "none"
    shapes = {"system": "{0}", "type": "{1}/{0}", "instance": "{1}/{2}/{0}"}
    return [shapes[level].format(one.name, type_, known) for level in one.levels]


def test_the_operations_that_are_named_are_there_and_no_others(said):
    release, statement, marjan = said
    patient = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
    told = {one["name"] for one in statement["rest"][0].get("operation", [])}
    told |= {op["name"] for one in resources(statement).values() for op in one.get("operation", [])}
    here = [one for one in operations.TABLE if release in one.releases]
    assert told == {one.name.removeprefix("$") for one in here}
    for one in here:
        for place in places_of(one, patient):
            answer = marjan.get(place)
            assert (place, answer.status_code) not in {(place, 404), (place, 405), (place, 500)}
    for name in {one.name for one in operations.TABLE} - {one.name for one in here}:
        assert marjan.get(name).status_code == 404
