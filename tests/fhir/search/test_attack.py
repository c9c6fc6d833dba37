"""Who may not see a value gains no bit about it, however he asks (safety.md V06, consent.md §9).

The same questions are put to two dossiers that differ only in what is hidden. Every answer, total,
order, include and refusal must be the same: then no series of questions can tell them apart.
"""

import pytest

from pgo import errors

SCT = "http://snomed.info/sct"


def ref(to):
    return {"reference": to}


def build(world, *, value, code, name, words, day):
    """Anna and one open observation; hidden (facet 2) a result, a doctor, a list and a note."""
    result = {"resourceType": "Observation", "id": "secret", "status": "final",
              "code": {"coding": [{"system": SCT, "code": code}]}, "effectiveDateTime": day,
              "subject": ref("Patient/anna"), "performer": [ref("Practitioner/d")],
              "valueQuantity": {"value": value, "unit": "mmol/L", "code": "mmol/L",
                                "system": "http://unitsofmeasure.org"},
              "note": [{"text": words}], "hasMember": [ref("Observation/open")]}  # fmt: skip
    world.put(
        {"resourceType": "Patient", "id": "anna", "name": [{"family": "Berg"}],
         "generalPractitioner": [ref("Practitioner/d")]},
        {"resourceType": "Observation", "id": "open", "status": "final",
         "subject": ref("Patient/anna"), "derivedFrom": [ref("Observation/secret")]},
        {"resourceType": "Observation", "id": "open-2", "status": "final",
         "subject": ref("Patient/anna"), "performer": [ref("Practitioner/d")]},
        facet=1,
    )  # fmt: skip
    listed = {"resourceType": "List", "id": "l", "title": name,
              "entry": [{"item": ref("Observation/open")}]}  # fmt: skip
    doctor = {"resourceType": "Practitioner", "id": "d", "name": [{"family": name}]}
    world.put(result, doctor, listed, facet=2)
    return world


@pytest.fixture
def two(new_world):
    one = build(new_world(), value=5.1, code="1", name="Aa", words="zwanger", day="2024-01-01")
    other = build(new_world(), value=9.9, code="2", name="Zz", words="griep", day="2020-05-05")
    yield one, other
    one.close()
    other.close()


HALVES = [f"{sign}{value}" for value in ("5", "5.1", "7", "9.9") for sign in ("gt", "lt", "ge", "")]
CODES = ["1", "2", f"{SCT}|1", f"{SCT}|2", f"{SCT}|"]
NAMES = ["a", "z", "Aa", "m"]
WORDS = ["zwanger", "griep", "mmol"]
DAYS = ["gt2022", "lt2022", "2024-01-01", "2020-05-05"]
BY_HAS = [("Patient", f"_has:Observation:{by}:") for by in ("subject", "patient")]
ENDS = [
    *(("value-quantity", half) for half in HALVES),
    *(("value-quantity", f"{half}|http://unitsofmeasure.org|umol/L") for half in HALVES),
    *(("code", code) for code in CODES),
    *(("code:not", code) for code in CODES),
    *(("date", day) for day in DAYS),
    *(("_content", word) for word in WORDS),
    *(("_id", id_) for id_ in ("secret", "nobody")),
    ("code:missing", "true"),
    ("code:missing", "false"),
    ("has-member.status", "final"),
    ("performer:Practitioner.name", "a"),
]
QUESTIONS = [
    *((type_, [(f"{way}{name}", value)]) for type_, way in BY_HAS for name, value in ENDS),
    *(("Observation", [(f"derived-from:Observation.{n}", v)]) for n, v in ENDS),
    *(("Observation", [(f"_has:Observation:has-member:{n}", v)]) for n, v in ENDS),
    *(("Observation", [(n, v)]) for n, v in ENDS),
    *(("Patient", [("general-practitioner:Practitioner.name", name)]) for name in NAMES),
    *(("Patient", [("general-practitioner:Practitioner.name:exact", name)]) for name in NAMES),
    *(("Observation", [("performer:Practitioner.name", name)]) for name in NAMES),
    *(("Observation", [("patient.general-practitioner:Practitioner.name", n)]) for n in NAMES),
    *(("Observation", [("_has:List:item:title", name)]) for name in NAMES),
    *(("Observation", [("_list", id_)]) for id_ in ("l", "nothing")),
    *(("Observation", [("_sort", key)]) for key in
      ("code", "-code", "value-quantity", "-date", "performer", "-derived-from", "_lastUpdated")),
]  # fmt: skip
ALONG = [("_include", "*"), ("_include:iterate", "*"), ("_revinclude", "*"),
         ("_revinclude:iterate", "*")]  # fmt: skip


def asked(world, type_, pairs, visible):
    """All there is to see: matches in order and their number, what comes along, or the refusal."""
    try:
        matches = world.ask(type_, *pairs, visible=visible)
        return matches, len(matches), world.add(type_, *pairs, *ALONG, visible=visible)
    except errors.PgoError as error:
        return type(error), error.place, error.detail


def test_no_question_tells_two_secrets_apart(two, only):
    one, other = two
    answered = 0
    for type_, pairs in QUESTIONS:
        mine, theirs = (asked(world, type_, pairs, only([1])) for world in (one, other))
        assert mine == theirs, pairs
        assert "secret" not in str(mine[0])
        answered += isinstance(mine[1], int)
    assert answered == len(QUESTIONS)


def test_the_same_questions_do_tell_whoever_may_see(two, only):
    one, other = two
    differing = sum(
        asked(one, type_, pairs, only([1, 2])) != asked(other, type_, pairs, only([1, 2]))
        for type_, pairs in QUESTIONS
    )
    assert differing > len(QUESTIONS) // 3


def test_a_secret_that_is_not_there_at_all_looks_the_same(two, only, new_world):
    bare = new_world()
    build(bare, value=1, code="x", name="x", words="x", day="2000")
    bare.db.execute("UPDATE res SET live=0 WHERE facet=2")
    for type_, pairs in QUESTIONS:
        assert asked(two[0], type_, pairs, only([1])) == asked(bare, type_, pairs, only([1])), pairs
    bare.close()
