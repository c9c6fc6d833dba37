"""Searches made up from resources, with the answers they must get."""

import pytest

from pgo.demo.asking import questions


def observation(id_, **members):
    return {"resourceType": "Observation", "id": id_, **members}


def asked(*resources, release="r4"):
    found = {}
    for one in questions(release, resources):
        assert (one.parameter, one.value) not in found
        found[one.parameter, one.value] = one.ids
    return found


def coded(*codes):
    return {"coding": [{"system": system, "code": code} for system, code in codes]}


def test_a_code_is_asked_for_with_and_without_its_system():
    found = asked(observation("a", code=coded(("urn:x", "1"), ("urn:y", "1"))),
                  observation("b", code=coded(("urn:y", "1"))))  # fmt: skip
    assert found == {("code", "1"): {"a", "b"}, ("code", "urn:x|1"): {"a"},
                     ("code", "urn:y|1"): {"a", "b"}}  # fmt: skip


def test_signs_of_the_search_syntax_in_a_code_are_escaped():
    assert ("code", "urn:x|a\\,b\\|c") in asked(observation("a", code=coded(("urn:x", "a,b|c"))))


def test_references_are_asked_for_when_they_name_a_resource():
    to = [{"reference": "Practitioner/p"}, {"reference": "#inside"}, {"display": "somebody"}]
    found = asked(observation("a", performer=to), observation("b", subject=to[0]))
    assert found == {("performer", "Practitioner/p"): {"a"}, ("subject", "Practitioner/p"): {"b"}}


@pytest.mark.parametrize(
    ("moment", "day", "first", "last"),
    [
        ("2024-03-09", True, True, False),
        ("2024-03-09T12:00:00Z", True, True, False),
        ("2024-03-08T23:30:00Z", True, True, False),  # half past midnight in the Netherlands
        ("2024-03-09T23:30:00Z", False, True, False),
        ("2024-03", False, True, True),
        ("2024-03-08", False, False, True),
    ],
)
def test_a_day_is_the_dutch_day(moment, day, first, last):
    found = asked(observation("a", effectiveDateTime=moment),
                  observation("b", effectiveDateTime="2024-03-09"))  # fmt: skip
    assert ("a" in found["date", "2024-03-09"]) == day
    assert ("a" in found["date", "ge2024-03-09"]) == first
    assert ("a" in found["date", "lt2024-03-09"]) == last
    assert "b" in found["date", "2024-03-09"]


def test_a_period_without_end_goes_on():
    found = asked(observation("a", effectivePeriod={"start": "2024-03-09"}),
                  observation("b", effectiveDateTime="2030-01-01"))  # fmt: skip
    assert found["date", "2030-01-01"] == {"b"}
    assert found["date", "ge2030-01-01"] == {"a", "b"}
    assert found["date", "lt2024-03-09"] == frozenset()


def test_a_release_has_parameters_of_its_own():
    one = {"resourceType": "Condition", "id": "a", "recordedDate": "2024-03-09",
           "assertedDate": "2024-03-09"}  # fmt: skip
    assert {name for name, _ in asked(one)} == {"recorded-date"}
    assert {name for name, _ in asked(one, release="stu3")} == {"asserted-date"}
