"""Patient/$everything: all that the caller may read, one moment over all pages, decided anew."""

from __future__ import annotations

import pytest

PARAMETERS = {"resourceType": "Parameters"}


def names(answer):
    """Type/id of each entry, in order."""
    assert answer.status_code == 200, answer.text
    found = [entry["resource"] for entry in answer.json().get("entry", [])]
    return [f"{one['resourceType']}/{one['id']}" for one in found]


def later(client, answer):
    """The page after this one, if there is one."""
    links = {one["relation"]: one["url"] for one in answer.json()["link"]}
    return client.get(links["next"]) if "next" in links else None


def whole(client, address):
    """Every entry of all pages."""
    answer, found = client.get(address), []
    while answer is not None:
        found += names(answer)
        answer = later(client, answer)
    return found


def appointment(fresh, id_, **more):
    """A visit of the client."""
    actor = {"actor": fresh.subject(), "status": "accepted"}
    made = {"resourceType": "Appointment", "id": id_, "status": "booked", "participant": [actor]}
    start = {"start": "2026-03-04T10:00:00Z", "end": "2026-03-04T10:30:00Z"}
    return {**made, **start, **more}


def filled(fresh, release="r4"):
    """A Patient, five weights and two appointments."""
    marjan = fresh.as_(release=release)
    patient = {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Zon"}]}
    trees = [patient, *(fresh.weight(str(20 + n), id=f"w{n}") for n in range(5))]
    trees += [appointment(fresh, f"a{n}") for n in range(2)]
    for tree in trees:
        put = marjan.put(f"{tree['resourceType']}/{tree['id']}", json=tree)
        assert put.status_code == 201, put.text
    return marjan


OURS = "_type=Patient,Observation,Appointment,Condition"
"""What the tests bring; beside it are the rules of the dossier, as Consent and RelatedPerson."""


def home(fresh):
    return f"Patient/{fresh.patient}/$everything?{OURS}"


ALL = [*(f"Observation/w{n}" for n in range(5)), *(f"Appointment/a{n}" for n in range(2))]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_everything_comes_in_order_of_arrival_by_both_addresses_and_methods(fresh, release):
    marjan = filled(fresh, release)
    everything = [f"Patient/{fresh.patient}", *ALL]
    for address in (f"Patient/{fresh.patient}/$everything", "Patient/$everything"):
        for answer in (
            marjan.get(address),
            marjan.post(address),
            marjan.post(address, json=PARAMETERS),
        ):
            assert answer.json()["type"] == "searchset"
            brought = [one for one in names(answer) if one in everything]
            rules = {one.partition("/")[0] for one in names(answer) if one not in everything}
            assert brought == everything
            assert rules <= {"RelatedPerson", "Consent"}
        assert names(marjan.get(f"{address}?{OURS}")) == everything


def test_parameters_mean_the_same_in_the_address_and_in_the_body(fresh):
    marjan = filled(fresh)
    sent = [{"name": "_count", "valueInteger": 3}, {"name": "_type", "valueCode": "Observation"}]
    bare = home(fresh).partition("?")[0]
    posted = marjan.post(bare, json=PARAMETERS | {"parameter": sent})
    asked = marjan.get(f"{bare}?_count=3&_type=Observation")
    assert names(posted) == names(asked) == ALL[:3]
    assert names(later(marjan, posted)) == names(later(marjan, asked)) == ALL[3:5]
    assert later(marjan, later(marjan, asked)) is None


def test_pages_are_of_one_moment_while_others_write(fresh):
    marjan = filled(fresh)
    first = marjan.get(f"{home(fresh)}&_count=3")
    assert marjan.put("Observation/w3", json=fresh.weight("99", id="w3")).status_code == 200
    assert marjan.put("Observation/w9", json=fresh.weight("9", id="w9")).status_code == 201
    found, page = names(first), later(marjan, first)
    values = {}
    while page is not None:
        found += names(page)
        values |= {e["resource"]["id"]: e["resource"] for e in page.json()["entry"]}
        page = later(marjan, page)
    assert found == [f"Patient/{fresh.patient}", *ALL]
    assert values["w3"]["valueQuantity"]["value"] == 23
    assert "Observation/w9" in whole(marjan, f"{home(fresh)}&_count=2")


def test_a_page_is_decided_when_it_is_asked_for_and_its_cursor_is_nobody_elses(fresh):
    marjan = filled(fresh)
    grant = fresh.grant(to_who="p-samira", categories=["metingen", "afspraken"])
    sam, kim = fresh.as_("p-samira"), fresh.as_("p-anja")
    first = sam.get(f"{home(fresh)}&_count=4")
    after = {one["relation"]: one["url"] for one in first.json()["link"]}["next"]
    assert names(sam.get(after)) == ALL[3:]
    assert marjan.get(after).status_code == 404
    assert kim.get(after).status_code == 404
    fresh.revoke(grant)
    assert sam.get(after).status_code == 404
    fresh.grant(to_who="p-samira", categories=["afspraken"])
    assert names(sam.get(after)) == ALL[5:]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_who_may_see_appointments_sees_nothing_of_anything_else(fresh, release):
    filled(fresh, release)
    fresh.grant(to_who="p-samira", categories=["afspraken"])
    sam = fresh.as_("p-samira", release)
    for asked in ("", "&_count=2", "&_since=2000-01-01", "&start=2000"):
        found = whole(sam, home(fresh) + asked)
        assert not [one for one in found if one.startswith("Observation")], asked
    answer = sam.get(f"{home(fresh)}&_count=3")
    assert len(names(answer)) == 3
    assert later(sam, answer) is None
    assert "total" not in answer.json()
    only = sam.get("Patient/$everything?_type=Observation")
    assert only.json().get("entry") is None


def test_a_stranger_is_told_the_same_of_this_patient_as_of_none(fresh):
    marjan = filled(fresh)
    stranger = fresh.as_("p-anja")
    answers = [stranger.get(home(fresh)), stranger.get("Patient/niemand/$everything")]
    answers += [marjan.get("Patient/niemand/$everything")]
    assert {answer.status_code for answer in answers} == {404}
    assert len({fresh.issue(answer)["diagnostics"] for answer in answers}) == 1


def test_a_scope_that_reaches_a_part_gets_that_part(fresh):
    filled(fresh)
    some = fresh.as_(scope="user/Patient.rs user/Appointment.rs")
    reached = names(some.get("Patient/$everything"))
    assert reached == [f"Patient/{fresh.patient}", *ALL[5:]]
    assert some.get("Patient/$everything?_type=Observation").status_code == 403
    assert fresh.as_(scope="user/Observation.rs").get("Patient/$everything").status_code == 403


def test_since_leaves_out_what_was_not_changed(fresh):
    marjan = filled(fresh)
    before = marjan.put("Observation/w1", json=fresh.weight("50", id="w1")).json()
    since = before["meta"]["lastUpdated"]
    assert names(marjan.get(f"{home(fresh)}&_since={since}")) == ["Observation/w1"]
    assert names(marjan.get(f"{home(fresh)}&_since=2100-01-01")) == []


def test_start_and_end_are_about_care(fresh):
    marjan = filled(fresh)
    condition = {"resourceType": "Condition", "id": "c", "subject": fresh.subject()}
    condition |= {"onsetDateTime": "2020-01-01", "code": {"text": "astma"}}
    assert marjan.put("Condition/c", json=condition).status_code == 201
    lasting = [f"Patient/{fresh.patient}", "Condition/c"]
    assert names(marjan.get(f"{home(fresh)}&start=2026-03-02&end=2026-03-03")) == lasting
    at = names(marjan.get(f"{home(fresh)}&start=2026-03-04"))
    assert at == [lasting[0], *ALL[5:], lasting[1]]
    assert names(marjan.get(f"{home(fresh)}&end=2026-03-01")) == [lasting[0], *ALL[:5], lasting[1]]


def test_what_was_deleted_is_not_there(fresh):
    marjan = filled(fresh)
    assert marjan.delete("Observation/w0").status_code == 204
    assert "Observation/w0" not in whole(marjan, home(fresh))


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("_type=Foo", "_type"),
        ("_type=", "_type"),
        ("_since=gisteren", "_since"),
        ("start=x", "start"),
        ("end=2026-13-01", "end"),
        ("_count=-1", "_count"),
        ("_count=1&_count=2", "_count"),
        ("code=x", "code"),
        ("_cursor=x&_count=2", "_cursor"),
    ],
)
def test_a_bad_parameter_is_named(fresh, asked, place):
    answer = fresh.as_().get(f"Patient/$everything?{asked}")
    assert (answer.status_code, fresh.place(answer)) == (400, place)


@pytest.mark.parametrize(
    "sent",
    [
        {"resourceType": "Patient"},
        {"resourceType": "Parameters", "parameter": {}},
        {"resourceType": "Parameters", "parameter": [{"valueString": "x"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "start"}]},
        {"resourceType": "Parameters", "parameter": [{"name": "start", "valueDate": []}]},
    ],
)
def test_a_body_that_is_no_parameters_is_refused_with_its_place(fresh, sent):
    answer = fresh.as_().post("Patient/$everything", json=sent)
    assert answer.status_code == 400
    assert fresh.place(answer)


def test_it_is_told_by_head_and_in_xml_as_well(fresh):
    marjan = filled(fresh)
    head, get = marjan.head(home(fresh)), marjan.get(home(fresh))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]
    drawn = marjan.get(f"{home(fresh)}&_format=xml")
    assert drawn.headers["content-type"].startswith("application/fhir+xml")
    assert drawn.text.count("<Observation>") == 5
    sent = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="_count"/>'
        '<valueInteger value="2"/></parameter></Parameters>'
    )
    media = {"Content-Type": "application/fhir+xml"}
    assert len(names(marjan.post(home(fresh), content=sent, headers=media))) == 2


def test_another_type_or_method_is_not_offered(fresh):
    marjan = fresh.as_()
    assert marjan.get("Observation/$everything").status_code == 404
    assert marjan.get("$everything").status_code == 404
    refused = marjan.put("Patient/$everything", json=PARAMETERS)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, POST")
