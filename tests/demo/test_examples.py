"""Dossiers planned from a folder of example instances."""

import json
from pathlib import Path

import pytest

from pgo.demo import as_json
from pgo.demo.examples import Found, arrange, plan, read
from pgo.fhir import text

OUTSIDE = Path(__file__).resolve().parents[2] / "../shared/data/fhir"
FOLDERS = {
    "r4": OUTSIDE / "Nictiz-R4-zib2020" / "examples",
    "stu3": OUTSIDE / "Nictiz-STU3-Zib2017" / "Examples",
}


def resource(type_, id_, **members):
    return {"resourceType": type_, "id": id_, **members}


def to(reference):
    return {"reference": reference}


def condition(id_, patient, **members):
    return resource("Condition", id_, subject=to(f"Patient/{patient}"), **members)


def write(folder, *resources):
    for number, one in enumerate(resources):
        (folder / f"{number:03}.json").write_text(json.dumps(one), encoding="utf-8")


def names(one):
    return [entry["request"]["url"] for part in one.transactions for entry in part["entry"]]


def by_patient(folder):
    return {one.patient: one for one in plan(folder, "r4")}


def test_each_subject_gets_a_dossier_with_its_own_resources_and_the_patient_first(tmp_path):
    write(tmp_path, condition("c1", "a"), condition("c2", "b"), resource("Patient", "a"),
          resource("AllergyIntolerance", "x", patient=to("Patient/b")))  # fmt: skip
    plans = by_patient(tmp_path)
    assert names(plans["a"]) == ["Patient/a", "Condition/c1"]
    assert names(plans["b"]) == ["AllergyIntolerance/x", "Condition/c2"]
    assert plans["b"].dangling == ()
    assert "" not in plans


def test_what_names_nobody_goes_along_with_all_that_refer_to_it_however_far(tmp_path):
    write(tmp_path, condition("c1", "a", asserter=to("PractitionerRole/r")),
          condition("c2", "b", asserter=to("PractitionerRole/r")),
          resource("PractitionerRole", "r", practitioner=to("Practitioner/p")),
          resource("Practitioner", "p"))  # fmt: skip
    plans = by_patient(tmp_path)
    for patient, one in (("a", "Condition/c1"), ("b", "Condition/c2")):
        assert names(plans[patient]) == ["Practitioner/p", "PractitionerRole/r", one]


def test_what_nobody_refers_to_is_in_the_dossier_of_nobody(tmp_path):
    write(tmp_path, condition("c1", "a"), resource("Organization", "o"))
    assert names(by_patient(tmp_path)[""]) == ["Organization/o"]


def test_an_attachment_goes_along_with_its_document(tmp_path):
    document = resource("DocumentReference", "d", subject=to("Patient/a"),
                        content=[{"attachment": {"url": "Binary/b"}}])  # fmt: skip
    write(tmp_path, document, resource("Binary", "b"))
    assert names(by_patient(tmp_path)["a"]) == ["Binary/b", "DocumentReference/d"]


def test_a_resource_of_another_subject_never_comes_along(tmp_path):
    write(tmp_path, condition("c1", "a", evidence=[{"detail": [to("Condition/c2")]}]),
          condition("c2", "b"))  # fmt: skip
    plans = by_patient(tmp_path)
    assert names(plans["a"]) == ["Condition/c1"]
    assert plans["a"].dangling == ("Condition/c2",)


def test_without_a_subject_the_only_patient_it_refers_to_counts(tmp_path):
    team = resource("CareTeam", "t", participant=[{"member": to("Patient/a")}])
    write(tmp_path, team, resource("Patient", "a"))
    assert names(by_patient(tmp_path)["a"]) == ["Patient/a", "CareTeam/t"]


def test_what_is_referred_to_comes_first_also_over_more_than_one_transaction(tmp_path):
    chain = [condition(f"c{n:03}", "a", evidence=[{"detail": [to(f"Condition/c{n + 1:03}")]}])
             for n in range(249)]  # fmt: skip
    write(tmp_path, *chain, condition("c249", "a"))
    one = by_patient(tmp_path)["a"]
    assert [len(part["entry"]) for part in one.transactions] == [100, 100, 50]
    assert names(one) == [f"Condition/c{n:03}" for n in reversed(range(250))]


def test_things_that_refer_to_each_other_are_each_planned_once(tmp_path):
    write(tmp_path, condition("c1", "a", stage=[{"assessment": [to("Condition/c2")]}]),
          condition("c2", "a", stage=[{"assessment": [to("Condition/c1")]}]))  # fmt: skip
    assert sorted(names(by_patient(tmp_path)["a"])) == ["Condition/c1", "Condition/c2"]


def test_a_transaction_stays_below_the_limit_of_bytes(tmp_path):
    write(tmp_path, *(condition(f"c{n}", "a", note=[{"text": "a" * 900_000}]) for n in range(9)))
    parts = by_patient(tmp_path)["a"].transactions
    assert [len(part["entry"]) for part in parts] == [4, 4, 1]


def test_entries_keep_their_ids_and_numbers_keep_their_lexemes(tmp_path):
    (tmp_path / "o.json").write_text(
        '{"resourceType":"Observation","id":"o","subject":{"reference":"Patient/a"},'
        '"valueQuantity":{"value":5.40}}',
        encoding="utf-8",
    )
    (part,) = by_patient(tmp_path)["a"].transactions
    assert part["type"] == "transaction"
    assert part["entry"][0]["request"] == {"method": "PUT", "url": "Observation/o"}
    assert b'"value":5.40' in as_json(part)


def test_a_bundle_is_opened_and_references_by_full_url_become_names(tmp_path):
    entries = [
        {"fullUrl": "urn:uuid:0f3f", "resource": {"resourceType": "Patient"}},
        {"fullUrl": "urn:uuid:1f3f",
         "resource": resource("Goal", "g", subject=to("urn:uuid:0f3f"))},
        {"fullUrl": "https://x.example/fhir/Goal/h",
         "resource": resource("Goal", "h", subject=to("urn:uuid:0f3f"))},
        {"resource": resource("CarePlan", "c", subject=to("urn:uuid:0f3f"),
                              goal=[to("https://x.example/fhir/Goal/h"), to("Goal/g")])},
    ]  # fmt: skip
    write(tmp_path, {"resourceType": "Bundle", "type": "collection", "entry": entries})
    (one,) = plan(tmp_path, "r4")
    assert names(one) == [f"Patient/{one.patient}", "Goal/h", "Goal/g", "CarePlan/c"]
    plan_ = one.transactions[0]["entry"][3]["resource"]
    assert plan_["subject"] == to(f"Patient/{one.patient}")
    assert plan_["goal"] == [to("Goal/h"), to("Goal/g")]
    assert one.dangling == ()


def test_an_id_that_does_not_fit_in_an_address_is_replaced_everywhere(tmp_path):
    write(tmp_path, condition("no_good", "a"), condition("c", "a", stage=[
          {"assessment": [to("Condition/no_good")]}]))  # fmt: skip
    one = by_patient(tmp_path)["a"]
    first, second = (entry["resource"] for entry in one.transactions[0]["entry"])
    assert len(first["id"]) == 36
    assert second["stage"][0]["assessment"][0] == to(f"Condition/{first['id']}")


def test_a_reference_to_a_version_stays_as_it_was(tmp_path):
    old = to("Condition/c1/_history/2")
    write(tmp_path, condition("c1", "a"), condition("c2", "a", stage=[{"assessment": [old]}]))
    one = by_patient(tmp_path)["a"]
    assert names(one) == ["Condition/c1", "Condition/c2"]
    assert one.transactions[0]["entry"][1]["resource"]["stage"][0]["assessment"][0] == old


def test_files_that_cannot_be_read_are_named_with_the_reason(tmp_path):
    write(tmp_path, condition("c1", "a"), condition("c1", "b"), {"name": "package"})
    (tmp_path / "broken.json").write_text('{"a":', encoding="utf-8")
    (tmp_path / "broken.xml").write_text("<Patient", encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not an instance", encoding="utf-8")
    (tmp_path / "folder.json").mkdir()
    found, unread = read(tmp_path, "r4")
    assert [one.file for one in found] == ["000.json"]
    reasons = {one.file: one.reason for one in unread}
    assert set(reasons) == {"001.json", "002.json", "broken.json", "broken.xml", "folder.json"}
    assert reasons["001.json"] == "has the same type and id as 000.json"
    assert reasons["002.json"] == "no resourceType"
    assert all(reasons.values())


def test_the_same_resource_in_two_files_is_kept_once_without_complaint(tmp_path):
    write(tmp_path, condition("c1", "a"), condition("c1", "a"))
    found, unread = read(tmp_path, "r4")
    assert ([one.file for one in found], unread) == (["000.json"], [])


def test_an_empty_folder_gives_no_dossiers(tmp_path):
    assert plan(tmp_path, "r4") == []
    assert arrange([]) == []


def test_xml_and_json_of_one_resource_give_one_plan(tmp_path):
    (tmp_path / "p.xml").write_text(
        '<Patient xmlns="http://hl7.org/fhir"><id value="a"/><gender value="female"/></Patient>',
        encoding="utf-8",
    )
    write(tmp_path, resource("Patient", "a", gender="female"))
    assert read(tmp_path, "r4")[1] == []
    assert isinstance(read(tmp_path, "r4")[0][0], Found)
    assert names(by_patient(tmp_path)["a"]) == ["Patient/a"]


@pytest.mark.outside
@pytest.mark.parametrize(("release", "files"), [("r4", 271), ("stu3", 208)])
def test_all_published_examples_are_read_and_planned(release, files):
    folder = FOLDERS[release]
    if not folder.is_dir():
        pytest.skip("the outside test data are not beside the checkout")
    found, unread = read(folder, release)
    assert unread == []
    assert len(found) == files
    plans = arrange(found)
    assert {file for one in plans for file in one.files} == {one.file for one in found}
    for one in plans:
        assert len(one.files) == len(names(one))
        assert sum(name.startswith("Patient/") for name in names(one)) <= 1
        assert all(len(part["entry"]) <= 100 for part in one.transactions)


@pytest.mark.outside
@pytest.mark.parametrize("release", FOLDERS)
def test_the_published_examples_are_not_changed_by_planning(release):
    folder = FOLDERS[release]
    if not folder.is_dir():
        pytest.skip("the outside test data are not beside the checkout")
    found, _ = read(folder, release)
    texts = {one.file: as_json(one.resource) for one in found}
    for one in arrange(found):
        entries = [entry for part in one.transactions for entry in part["entry"]]
        for file, entry in zip(one.files, entries, strict=True):
            assert as_json(entry["resource"]) == texts[file]
            assert text.parse(texts[file])["id"] == entry["resource"]["id"]
