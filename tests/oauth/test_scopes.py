"""SMART scopes: read exactly, met pairwise, never wider than either side."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.errors import InvalidScope
from pgo.oauth.scopes import Cap, cap_of, levels, narrowed, parse

TYPES = ("*", "Observation", "Condition", "Patient")
LETTERS = [
    "".join(letter for n, letter in enumerate("cruds") if mask >> n & 1) for mask in range(1, 32)
]
SCOPES = st.lists(
    st.builds(
        "{}/{}.{}".format,
        st.sampled_from(("patient", "user", "system")),
        st.sampled_from(TYPES),
        st.sampled_from(LETTERS),
    )
    | st.sampled_from(("launch/patient", "fhirUser", "offline_access")),
    max_size=6,
)


def reached(cap: Cap) -> set[tuple[str, str, str]]:
    """(level, type, letter) of everything a cap reaches."""
    return {
        (reach.level, type_, letter)
        for reach in cap.reaches
        for letter in reach.letters
        for type_ in TYPES
        if reach.type_ in ("*", type_)
    }


@settings(max_examples=200, deadline=None)
@given(SCOPES, SCOPES)
def test_narrowing_is_exactly_what_both_reach(mine, theirs):
    asked, allowed = cap_of(tuple(mine)), cap_of(tuple(theirs))
    met = narrowed(asked, allowed)
    assert reached(met) == reached(asked) & reached(allowed)
    assert met.context == asked.context & allowed.context
    assert reached(parse(str(met))) == reached(met)


@settings(max_examples=100, deadline=None)
@given(SCOPES)
def test_writing_a_cap_and_reading_it_changes_nothing(words):
    cap = cap_of(tuple(words))
    assert reached(cap_of(cap.texts())) == reached(cap)
    assert cap_of(cap.texts()).context == cap.context


@pytest.mark.parametrize(
    ("scope", "interaction", "type_", "allowed"),
    [
        ("patient/Observation.rs", "r", "Observation", True),
        ("patient/Observation.rs", "s", "Observation", True),
        ("patient/Observation.rs", "c", "Observation", False),
        ("patient/Observation.rs", "r", "Condition", False),
        ("patient/*.r", "r", "Condition", True),
        ("patient/*.r", "s", "Condition", False),
        ("patient/Observation.read", "s", "Observation", True),
        ("patient/Observation.read", "u", "Observation", False),
        ("patient/Observation.write", "c", "Observation", True),
        ("patient/Observation.write", "d", "Observation", True),
        ("patient/Observation.write", "r", "Observation", False),
        ("user/Observation.*", "d", "Observation", True),
        ("launch/patient", "r", "Patient", False),
    ],
)
def test_a_cap_allows_what_its_letters_say(scope, interaction, type_, allowed):
    assert parse(scope).allows(interaction, type_) is allowed


def test_patient_scopes_count_only_in_their_own_dossier():
    cap = parse("patient/*.cruds user/Observation.rs")
    assert not cap.allows("r", "Condition", in_context=False)
    assert cap.allows("r", "Observation", in_context=False)


@pytest.mark.parametrize(
    "text",
    [
        "patient/Observation.sr",
        "patient/Observation.rr",
        "patient/Observation.",
        "patient/Observation",
        "patient/observation.rs",
        "patient/*.rs?category=laboratory",
        "patient/Observation.rs?",
        "patient/Observation.rs?category",
        "patient/Observation.rs?category=",
        "patient/Observation.rs?_include=*",
        "patient/Observation.rs?subject.name=x",
        "patient/Observation.rs?code:in=x",
        "patient/Observation.read?category=laboratory",
        "Patient/Observation.rs",
        "patient/Obs*.rs",
        "patient/**.rs",
        "patient/Observation.rs\n",
        "patient/Observation.rs  user/Observation.rs",
        " patient/Observation.rs",
        "patient/Observation.rs\tuser/Patient.r",
        "superuser/*.rs",
        "openId",
        "x" * 5000,
        " ".join(["fhirUser"] * 101),
        "patient/Observation.readwrite",
        "patient/Obsérvation.rs",
    ],
)
def test_anything_malformed_is_refused(text):
    with pytest.raises(InvalidScope):
        parse(text)


def test_known_scopes_that_are_not_offered_fall_away():
    assert parse("email profile launch online_access").texts() == ()


def test_levels_are_picked():
    cap = levels(parse("patient/*.rs user/*.rs system/*.rs fhirUser"), "system")
    assert cap.texts() == ("system/*.rs", "fhirUser")


def test_a_search_restriction_is_part_of_a_scope():
    lab, vital = "patient/Observation.rs?category=lab", "patient/Observation.rs?category=vital"
    both, all_ = parse(f"{lab} {vital}"), parse("patient/*.cruds")
    assert both.texts() == (lab, vital)
    assert narrowed(both, all_).texts() == (lab, vital)
    assert narrowed(all_, parse(lab)).texts() == (lab,)
    met = narrowed(parse(lab), parse(vital)).texts()
    assert met == ("patient/Observation.rs?category=lab&category=vital",)
    assert parse(f"{lab} patient/Observation.rs").texts() == ("patient/Observation.rs",)
    assert both.restrictions("r", "Observation") == (
        (("category", "lab"),),
        (("category", "vital"),),
    )
    assert parse(f"{lab} user/*.r").restrictions("r", "Observation") is None
    assert parse(lab).restrictions("r", "Condition") is None
