"""$validate says what a write would say, and stores nothing; $meta tells of what may be read."""

from __future__ import annotations

import orjson
import pytest

BSN = "123456782"
LABEL = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "PSY"}


def parameters(*parts):
    return {"resourceType": "Parameters", "parameter": list(parts)}


def issues(answer):
    """Severity, code and place of each issue of an outcome that came with 200."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    return [(i["severity"], i["code"], *i.get("expression", ())) for i in body["issue"]]


FINE = [("information", "informational")]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_a_good_resource_is_fine_and_is_not_stored(fresh, release):
    marjan = fresh.as_(release=release)
    before = fresh.commits()
    tree = fresh.weight()
    mode = {"name": "mode", "valueCode": "create"}
    whole = parameters({"name": "resource", "resource": tree}, mode)
    assert issues(marjan.post("Observation/$validate", json=tree)) == FINE
    assert issues(marjan.post("Observation/$validate", json=whole)) == FINE
    assert issues(marjan.post("Observation/$validate?mode=create", json=tree)) == FINE
    assert fresh.commits() == before
    assert marjan.get("Observation").json()["total"] == 0


@pytest.mark.parametrize("member", ["status", "code", "valueQuantity", "effectiveDateTime"])
def test_what_is_wrong_is_what_a_write_says(fresh, member):
    marjan = fresh.as_()
    tree = fresh.weight() | {member: "??"}
    refused = marjan.post("Observation", json=tree)
    assert refused.status_code == 422
    said = [(one["severity"], one["code"], *one["expression"]) for one in refused.json()["issue"]]
    assert issues(marjan.post("Observation/$validate", json=tree)) == said
    assert issues(marjan.post("Observation/$validate?mode=create", json=tree)) == said


def test_an_update_and_a_delete_are_tried_in_the_dossier(fresh):
    marjan = fresh.as_()
    assert marjan.put("Observation/w", json=fresh.weight(id="w")).status_code == 201
    better = fresh.weight("50", id="w")
    home = "Observation/w/$validate"
    assert issues(marjan.post(f"{home}?mode=update", json=better)) == FINE
    assert issues(marjan.post(f"{home}?mode=delete")) == FINE
    assert issues(marjan.get(home)) == FINE
    other = better | {"subject": {"reference": "Patient/iemand-anders"}}
    assert issues(marjan.post(home, json=other)) == FINE
    wrong = issues(marjan.post(f"{home}?mode=update", json=other))
    assert wrong == [("error", "processing", "Observation.subject")]
    assert issues(marjan.post(home, json=better | {"id": "v"}))[0][2] == "Observation.id"
    assert marjan.get("Observation/w").json()["meta"]["versionId"] == "1"
    assert marjan.get("Observation/w").json()["valueQuantity"]["value"] == 21


def test_of_a_bsn_it_says_that_it_would_be_masked(fresh):
    patient = {"resourceType": "Patient", "identifier": [{"value": BSN}]}
    answer = fresh.as_().post("Patient/$validate", json=patient)
    assert [one[:2] for one in issues(answer)] == [("warning", "business-rule")]
    assert BSN not in answer.text


def test_a_profile_that_is_not_known_is_said_not_to_be_checked(fresh):
    url = "http://example.org/StructureDefinition/onbekend"
    answer = fresh.as_().post(f"Observation/$validate?profile={url}", json=fresh.weight())
    assert ("warning", "not-found", "profile") in issues(answer)
    assert url not in answer.text


def test_a_profile_that_is_here_is_checked_when_asked_for_or_named(fresh):
    url = "https://pgo.example/fhir/StructureDefinition/pgo-dagboek"
    page = {"resourceType": "Communication", "status": "completed"}
    marjan = fresh.as_()
    assert issues(marjan.post("Communication/$validate", json=page)) == FINE
    asked = issues(marjan.post(f"Communication/$validate?profile={url}", json=page))
    named = issues(marjan.post("Communication/$validate", json=page | {"meta": {"profile": [url]}}))
    for said in (asked, named):
        assert {"Communication.sent", "Communication.payload"} <= {one[2] for one in said}
        assert {one[0] for one in said} == {"error"}
    stored = marjan.post("Communication", json=page | {"meta": {"profile": [url]}})
    assert stored.status_code == 422


def test_nobody_learns_of_what_he_may_not_see(fresh):
    marjan = fresh.as_()
    assert marjan.put("Observation/w", json=fresh.weight(id="w")).status_code == 201
    fresh.grant(to_who="p-samira", categories=["afspraken"])
    samira = fresh.as_("p-samira")
    for path in ("Observation/{}/$validate", "Observation/{}/$meta"):
        real, none = (samira.get(path.format(id_)) for id_ in ("w", "niets"))
        assert (real.status_code, real.json()) == (none.status_code, none.json())
        assert real.status_code == 404
    for mode in ("update", "delete"):
        said = []
        for id_ in ("w", "niets"):
            body = {"json": fresh.weight(id=id_)} if mode == "update" else {}
            said.append(samira.post(f"Observation/{id_}/$validate?mode={mode}", **body).json())
        assert said[0] == said[1]
        assert said[0]["issue"][0]["severity"] == "error"
    assert fresh.as_("p-anja").post("Observation/$validate", json=fresh.weight()).status_code == 404


@pytest.mark.parametrize(
    ("address", "sent", "place"),
    [
        ("Observation/$validate?mode=maybe", {"resourceType": "Observation"}, "mode"),
        ("Observation/$validate?mode=update", {"resourceType": "Observation"}, "mode"),
        ("Observation/x/$validate?mode=create", {"resourceType": "Observation"}, "mode"),
        ("Observation/x/$validate?mode=delete", {"resourceType": "Observation"}, "resource"),
        ("Observation/x/$validate?mode=update", parameters(), "resource"),
        ("Observation/$validate", parameters(), "resource"),
        ("Observation/$validate?foo=1", {"resourceType": "Observation"}, "foo"),
        ("Observation/$validate", parameters({"name": "x", "valueString": "y"}), "x"),
        ("Observation/$validate", parameters({"name": "y", "resource": {}}), "y"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused_by_name(fresh, address, sent, place):
    answer = fresh.as_().post(address, json=sent)
    assert (answer.status_code, fresh.place(answer)) == (400, place)


def test_a_body_that_cannot_be_read_is_refused_as_a_write_is(fresh):
    media = {"Content-Type": "application/fhir+json"}
    answer = fresh.as_().post("Observation/$validate", content=b"{", headers=media)
    assert answer.status_code == 400


def test_xml_is_validated_and_answered_too(fresh):
    sent = '<Observation xmlns="http://hl7.org/fhir"><status value="final"/></Observation>'
    media = {"Content-Type": "application/fhir+xml", "Accept": "application/fhir+xml"}
    answer = fresh.as_().post("Observation/$validate", content=sent, headers=media)
    assert answer.status_code == 200
    assert '<expression value="Observation.code"/>' in answer.text


# --- $meta -------------------------------------------------------------------------------------


def tagged(fresh, id_, tag, **more):
    meta = {"tag": [{"system": "http://example.org/t", "code": tag}], **more}
    return fresh.weight(id=id_, meta=meta)


def returned(answer):
    """The Meta that was answered."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["resourceType"] == "Parameters"
    [part] = answer.json()["parameter"]
    return part.get("valueMeta", {})


def codes(found, name="tag"):
    return {one["code"] for one in found.get(name, ())}


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_meta_of_a_resource_a_type_and_the_dossier(fresh, release):
    marjan = fresh.as_(release=release)
    profile = "http://example.org/StructureDefinition/gewicht"
    for n, tag in enumerate(["een", "twee", "een"]):
        tree = tagged(fresh, f"w{n}", tag, profile=[profile])
        assert marjan.put(f"Observation/w{n}", json=tree).status_code == 201
    basic = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
    basic["meta"] = {"tag": [{"code": "drie"}], "security": [LABEL]}
    assert marjan.put("Basic/b", json=basic).status_code == 201
    one = returned(marjan.get("Observation/w1/$meta"))
    assert (codes(one), one["versionId"]) == ({"twee"}, "1")
    assert one == marjan.get("Observation/w1").json()["meta"]
    of_type = returned(marjan.get("Observation/$meta"))
    assert of_type["profile"] == [profile]
    assert codes(of_type) == {"een", "twee"}
    assert "versionId" not in of_type
    whole = returned(marjan.get("$meta"))
    assert codes(whole) == {"een", "twee", "drie"}
    assert codes(whole, "security") == {"PSY"}
    assert returned(marjan.get("Encounter/$meta")) == {}
    assert marjan.head("$meta").status_code == 200
    assert '<code value="drie"/>' in marjan.get("$meta?_format=xml").text


def test_meta_tells_only_of_what_may_be_read(fresh):
    marjan = fresh.as_()
    assert marjan.put("Observation/w", json=tagged(fresh, "w", "geheim")).status_code == 201
    fresh.grant(to_who="p-samira", categories=["afspraken"])
    samira = fresh.as_("p-samira")
    assert returned(samira.get("$meta")) == {}
    assert returned(samira.get("Observation/$meta")) == {}
    narrow = fresh.as_(scope="user/Basic.rs")
    assert returned(narrow.get("$meta")) == {}
    assert narrow.get("Observation/$meta").status_code == 403


@pytest.mark.parametrize("name", ["$meta-add", "$meta-delete"])
def test_meta_is_not_changed_without_a_version(fresh, name):
    marjan = fresh.as_()
    assert marjan.put("Observation/w", json=fresh.weight(id="w")).status_code == 201
    added = parameters({"name": "meta", "valueMeta": {"security": [LABEL]}})
    answer = marjan.post(f"Observation/w/{name}", json=added)
    assert (answer.status_code, fresh.issue(answer)["code"]) == (400, "not-supported")
    assert "patch" in fresh.issue(answer)["diagnostics"]
    assert orjson.dumps(LABEL) not in marjan.get("Observation/w").content


def test_meta_knows_no_parameters(fresh):
    answer = fresh.as_().get("$meta?mode=x")
    assert (answer.status_code, fresh.place(answer)) == (400, "mode")
