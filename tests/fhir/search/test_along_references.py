"""Chains, `_has`, `_list`, `_revinclude`: along references and back, over what is seen only."""

import pytest

from pgo import errors


def ref(to):
    return {"reference": to}


def observation(id_, subject, code="1", **members):
    coding = {"system": "http://c", "code": code}
    return {"resourceType": "Observation", "id": id_, "status": "final", "subject": ref(subject),
            "code": {"coding": [coding]}, **members}  # fmt: skip


def person(type_, id_, family, **members):
    return {"resourceType": type_, "id": id_, "name": [{"family": family}], **members}


def provenance(id_, of, who, month):
    agent = [{"who": ref(f"Practitioner/{who}")}]
    return {"resourceType": "Provenance", "id": id_, "target": [ref(f"Observation/{of}")],
            "agent": agent, "recorded": f"2024-{month}-01T00:00:00Z"}  # fmt: skip


def listed(id_, *items):
    entries = [{"item": ref(f"Observation/{item}")} for item in items]
    return {"resourceType": "List", "id": id_, "status": "current", "entry": entries}


@pytest.fixture
def family(r4):
    """Facet 1 is open, 2 is not: Bram, his doctor Dicht, and observation `secret`."""
    doctor = {name: {"generalPractitioner": [ref(f"Practitioner/{name}")]} for name in OPEN_DICHT}
    r4.put(
        person("Patient", "anna", "Berg", birthDate="1980-05-01", **doctor["open"]),
        person("Practitioner", "open", "Open"),
        {"resourceType": "Location", "id": "l", "name": "Bos"},
        observation("a1", "Patient/anna"),
        observation("a2", "Patient/anna", "2", hasMember=[ref("Observation/a1")]),
        observation("b1", "Patient/bram"),
        observation("l1", "Location/l"),
        provenance("of-a1", "a1", "dicht", "01"),
        listed("mine", "a1", "b1"),
        facet=1,
    )
    r4.put(
        person("Patient", "bram", "Bos", **doctor["dicht"]),
        person("Practitioner", "dicht", "Dicht"),
        observation("secret", "Patient/anna", "9"),
        provenance("hidden", "a2", "open", "02"),
        listed("shut", "a2"),
        facet=2,
    )
    r4.put(observation("gone", "Patient/anna", "8"), facet=1, live=0)
    return r4


OPEN_DICHT = ("open", "dicht")
EVERYTHING = [1, 2]


@pytest.mark.parametrize(
    ("pair", "seen", "expected"),
    [
        (("subject:Patient.name", "bos"), EVERYTHING, ["b1"]),
        (("subject.name", "bos"), EVERYTHING, ["b1", "l1"]),
        (("subject.name", "bos"), [1], ["l1"]),
        (("patient.name", "berg"), [1], ["a1", "a2"]),
        (("patient.name:exact", "berg"), [1], []),
        (("patient.name", "berg,bos"), [1], ["a1", "a2"]),
        (("patient.birthdate", "gt1980"), [1], []),
        (("patient.birthdate", "lt1981"), [1], ["a1", "a2"]),
        (("patient.birthdate:missing", "true"), EVERYTHING, ["b1"]),
        (("patient.birthdate:missing", "true"), [1], []),
        (("patient._id", "anna"), [1], ["a1", "a2"]),
        (("patient.general-practitioner", "Practitioner/open"), [1], ["a1", "a2"]),
        (("patient.general-practitioner:Practitioner.name", "open"), [1], ["a1", "a2"]),
        (("patient.general-practitioner:Practitioner.name", "dicht"), EVERYTHING, ["b1"]),
        (("patient.general-practitioner:Practitioner.name", "dicht"), [1], []),
        (("has-member:Observation.code", "http://c|1"), [1], ["a2"]),
        (("has-member.code", "2"), [1], []),
    ],
)
def test_a_chain_goes_along_references_to_what_is_seen(family, only, pair, seen, expected):
    assert family.ask("Observation", pair, visible=only(seen)) == expected


@pytest.mark.parametrize(
    ("type_", "pair", "seen", "expected"),
    [
        ("Patient", ("_has:Observation:patient:code", "1"), EVERYTHING, ["anna", "bram"]),
        ("Patient", ("_has:Observation:patient:code", "9"), EVERYTHING, ["anna"]),
        ("Patient", ("_has:Observation:patient:code", "9"), [1], []),
        ("Patient", ("_has:Observation:patient:code", "8"), EVERYTHING, []),
        ("Patient", ("_has:Observation:patient:code:not", "1"), [1], ["anna"]),
        ("Patient", ("_has:Observation:patient:_id", "secret"), [1], []),
        ("Patient", ("_has:Observation:subject:has-member.code", "1"), [1], ["anna"]),
        ("Observation", ("_has:Provenance:target:recorded", "2024-01"), [1], ["a1"]),
        ("Observation", ("_has:Provenance:target:recorded", "2024"), EVERYTHING, ["a1", "a2"]),
        ("Observation", ("_has:Provenance:target:recorded", "2024"), [1], ["a1"]),
        ("Observation", ("_has:Provenance:target:agent:Practitioner.name", "dicht"), [1], []),
        ("Observation", ("_has:Provenance:target:agent:Practitioner.name", "dicht"), EVERYTHING,
         ["a1"]),
        ("Patient", ("_has:Observation:subject:_has:Provenance:target:recorded", "2024-01"), [1],
         ["anna"]),
        ("Patient", ("_has:Observation:subject:_has:Provenance:target:recorded", "2024-02"), [1],
         []),
        ("Observation", ("subject:Patient._has:Observation:subject:code", "2"), [1], ["a1", "a2"]),
        ("Location", ("_has:Observation:subject:code", "1"), [1], ["l"]),
    ],
)  # fmt: skip
def test_has_comes_back_along_references_from_what_is_seen(
    family, only, type_, pair, seen, expected
):
    assert family.ask(type_, pair, visible=only(seen)) == expected


@pytest.mark.parametrize(
    ("id_", "seen", "expected"),
    [("mine", [1], ["a1", "b1"]), ("List/mine", [1], ["a1", "b1"]), ("shut", [1], []),
     ("shut", EVERYTHING, ["a2"]), ("mine,shut", EVERYTHING, ["a1", "a2", "b1"]),
     ("nothing", [1], [])],
)  # fmt: skip
def test_the_members_of_a_list_are_told_to_who_may_see_the_list(family, only, id_, seen, expected):
    assert family.ask("Observation", ("_list", id_), visible=only(seen)) == expected


def test_conditions_of_all_sorts_go_together(family, only):
    pairs = [("patient.name", "berg"), ("_list", "mine"), ("code", "1"),
             ("_has:Provenance:target:recorded", "2024")]  # fmt: skip
    assert family.ask("Observation", *pairs, visible=only([1])) == ["a1"]
    assert family.ask("Observation", *pairs, ("code", "2"), visible=only([1])) == []


@pytest.mark.parametrize(
    ("type_", "pair"),
    [("Observation", ("patient.name", "berg")), ("Observation", ("patient.name:missing", "true")),
     ("Observation", ("patient.general-practitioner:Practitioner.name", "open")),
     ("Practitioner", ("_has:Patient:general-practitioner:name", "berg")),
     ("Practitioner", ("_has:Patient:general-practitioner:birthdate", "1980-05-01")),
     ("Patient", ("general-practitioner:Practitioner.name", "open")),
     ("Observation", ("subject.name", "berg"))],
)  # fmt: skip
def test_a_parameter_that_is_shut_at_the_other_end_matches_nothing(family, type_, pair):
    def blind(type_):
        shut = {"name", "general-practitioner"}
        return frozenset(shut) if type_ == "Patient" else frozenset()

    shown = family.ask(type_, pair)
    assert shown or "missing" in pair[0]
    assert family.ask(type_, pair, blind=blind) == []


def test_a_chain_to_many_types_asks_which(r4):
    with pytest.raises(errors.BadValue) as caught:
        r4.ask("Provenance", ("target.code", "1"))
    assert caught.value.place == "target.code"
    r4.put(observation("a", "Patient/1"))
    r4.put({"resourceType": "Provenance", "id": "p", "target": [ref("Observation/a")]})
    assert r4.ask("Provenance", ("target:Observation.code", "1")) == ["p"]


def test_a_value_that_one_of_the_types_cannot_have_is_no_reason_to_refuse(r4):
    r4.put({"resourceType": "Patient", "id": "p", "birthDate": "2000-01-01"})
    r4.put(observation("a", "Patient/p"))
    assert r4.ask("Observation", ("subject.birthdate", "2000-01-01")) == ["a"]


def test_a_group_of_composite_rows_is_no_reference(r4):
    to = [{"code": "replaces", "target": ref("DocumentReference/b")}]
    r4.put({"resourceType": "DocumentReference", "id": "a", "relatesTo": to})
    r4.put({"resourceType": "DocumentReference", "id": "b", "status": "current"})
    found = ("_has:DocumentReference:relatesto:_id", "a")
    assert r4.ask("DocumentReference", found) == ["b"]


def test_stu3_chains_by_its_own_types(stu3):
    stu3.put({"resourceType": "Encounter", "id": "e", "episodeOfCare": [ref("EpisodeOfCare/x")]})
    stu3.put({**observation("a", "Patient/1"), "context": ref("Encounter/e")})
    assert stu3.ask("Observation", ("context:Encounter.episodeofcare", "EpisodeOfCare/x")) == ["a"]
    assert stu3.ask("Observation", ("context:Encounter.episodeofcare", "EpisodeOfCare/y")) == []


# --- included in reverse -------------------------------------------------------------------------

A1, TARGET = ("_id", "a1"), ("_revinclude", "Provenance:target")


@pytest.mark.parametrize(
    ("type_", "pairs", "seen", "expected"),
    [
        ("Observation", [TARGET], EVERYTHING, ["of-a1", "hidden"]),
        ("Observation", [TARGET], [1], ["of-a1"]),
        ("Observation", [A1, TARGET], EVERYTHING, ["of-a1"]),
        ("Observation", [A1, ("_revinclude", "Provenance:target:Patient")], EVERYTHING, []),
        ("Observation", [A1, ("_revinclude", "Provenance:*")], [1], ["of-a1"]),
        ("Observation", [A1, ("_revinclude", "*")], [1], ["a2", "of-a1", "mine"]),
        ("Observation", [A1, ("_revinclude", "Observation:has-member")], [1], ["a2"]),
        ("Observation", [A1, ("_revinclude", "Observation:subject")], [1], []),
        ("Practitioner", [("_id", "open"), ("_revinclude", "Patient:general-practitioner"),
                          ("_revinclude:iterate", "Observation:subject")], [1],
         ["anna", "a1", "a2"]),
        ("Practitioner", [("_id", "dicht"), ("_revinclude", "Patient:general-practitioner"),
                          ("_revinclude:iterate", "Observation:subject")], EVERYTHING,
         ["bram", "b1"]),
        ("Patient", [("_id", "anna"), ("_revinclude", "Observation:subject"),
                     ("_revinclude:iterate", "Provenance:target")], [1], ["a1", "a2", "of-a1"]),
        ("Patient", [("_id", "anna"), ("_revinclude", "Observation:subject"),
                     ("_include:iterate", "Observation:has-member")], [1], ["a1", "a2"]),
        ("Patient", [("_id", "anna"), ("_include", "Patient:general-practitioner"),
                     ("_revinclude", "Observation:subject")], [1], ["open", "a1", "a2"]),
    ],
)  # fmt: skip
def test_what_refers_to_a_match_can_come_along(family, only, type_, pairs, seen, expected):
    visible = only(seen)
    matches = family.ask(type_, *pairs, visible=visible)
    added = family.add(type_, *pairs, visible=visible)
    assert sorted(added) == sorted(expected)
    assert not set(added) & set(matches)


def test_nothing_comes_along_through_what_is_hidden(family, only):
    pairs = [("_id", "dicht"), ("_revinclude", "Patient:general-practitioner"),
             ("_revinclude:iterate", "Observation:subject")]  # fmt: skip
    family.put({"resourceType": "Practitioner", "id": "seen", "name": []}, facet=1)
    family.put({"resourceType": "Patient", "id": "between",
                "generalPractitioner": [ref("Practitioner/seen")]}, facet=2)  # fmt: skip
    family.put(observation("behind", "Patient/between"), facet=1)
    pairs[0] = ("_id", "seen")
    assert family.add("Practitioner", *pairs, visible=only([1])) == []
    assert family.add("Practitioner", *pairs, visible=only(EVERYTHING)) == ["between", "behind"]


def test_a_reference_that_is_shut_brings_nothing_back(family):
    def blind(type_):
        return frozenset({"general-practitioner"}) if type_ == "Patient" else frozenset()

    for way in ("Patient:general-practitioner", "Patient:*", "*"):
        pairs = [("_id", "open"), ("_revinclude", way)]
        assert "anna" in family.add("Practitioner", *pairs)
        assert "anna" not in family.add("Practitioner", *pairs, blind=blind)


def test_a_reference_inside_a_contained_resource_brings_nothing_back(r4):
    r4.put({"resourceType": "Practitioner", "id": "d"})
    inside = {"resourceType": "Patient", "id": "i", "generalPractitioner": [ref("Practitioner/d")]}
    r4.put({**observation("a", "Patient/1"), "contained": [inside]})
    assert r4.add("Practitioner", ("_revinclude", "*")) == []


def test_stu3_goes_on_with_its_own_word(stu3):
    stu3.put({"resourceType": "Practitioner", "id": "d"})
    stu3.put({"resourceType": "Patient", "id": "p", "generalPractitioner": [ref("Practitioner/d")]})
    stu3.put(observation("a", "Patient/p"))
    pairs = [("_revinclude", "Patient:general-practitioner"),
             ("_revinclude:recurse", "Observation:subject")]  # fmt: skip
    assert stu3.add("Practitioner", *pairs) == ["p", "a"]
    with pytest.raises(errors.Unsupported):
        stu3.add("Practitioner", ("_revinclude:iterate", "Observation:subject"))


def test_an_answer_never_grows_without_end(r4):
    r4.put({"resourceType": "Patient", "id": "p"})
    r4.put(*(observation(f"o{n}", "Patient/p") for n in range(1_010)))
    assert len(r4.add("Patient", ("_revinclude", "Observation:subject"))) == 1_001
