"""Is a code in a value set: yes, no, or not to be told from what is in the packages."""

from __future__ import annotations

import pytest

from pgo.fhir.profiles_codes import ValueSets, either, every

C, D = "http://c.test", "http://d.test"
TREE = {
    "resourceType": "CodeSystem",
    "url": C,
    "content": "complete",
    "concept": [
        {"code": "a", "concept": [{"code": "aa", "concept": [{"code": "aaa"}]}]},
        {"code": "b"},
    ],
}
FLAT = {
    "url": "flat",
    "content": "complete",
    "concept": [{"code": "a"}, {"code": "b", "property": [{"code": "parent", "valueCode": "a"}]}],
}
PART = {"url": "part", "content": "fragment", "concept": [{"code": "a"}]}


def under(op, value, system=C, about="concept"):
    return {"system": system, "filter": [{"property": about, "op": op, "value": value}]}


def listed(*codes, system=C):
    return {"system": system, "concept": [{"code": code} for code in codes]}


OTHERS = {
    "one": {"compose": {"include": [listed("a", "aa")]}},
    "two": {"compose": {"include": [listed("aa", "b")]}},
    "loop": {"compose": {"include": [{"valueSet": ["loop"]}]}},
}
# A value set; a code (with its system); whether it is in it.
TABLE = [
    ([listed("a", "b")], (C, "a"), True),
    ([listed("a", "b")], (C, "aa"), False),
    ([listed("a", "b")], (D, "a"), False),
    ([listed("a")], (None, "a"), True),
    ([listed("a"), listed("x", system=D)], (D, "x"), True),
    ([{"system": C}], (C, "aaa"), True),
    ([{"system": C}], (C, "nowhere"), False),
    ([{"system": "unknown"}], ("unknown", "a"), None),
    ([{"system": "unknown"}], (C, "a"), False),
    ([{"system": "unknown"}, listed("a")], (C, "a"), True),
    ([{"system": "part"}], ("part", "z"), None),
    ([under("is-a", "a")], (C, "a"), True),
    ([under("is-a", "a")], (C, "aaa"), True),
    ([under("is-a", "a")], (C, "b"), False),
    ([under("descendent-of", "a")], (C, "a"), False),
    ([under("descendent-of", "a")], (C, "aa"), True),
    ([under("regex", "a.*")], (C, "aa"), None),
    ([under("=", "x", about="status")], (C, "aa"), None),
    ([under("is-a", "a", system="flat")], ("flat", "b"), None),
    ([under("is-a", "a", system="http://snomed.info/sct")], ("http://snomed.info/sct", "1"), None),
    ([{"valueSet": ["one", "two"]}], (C, "aa"), True),
    ([{"valueSet": ["one", "two"]}], (C, "a"), False),
    ([{"valueSet": ["none"]}], (C, "a"), None),
    ([{"valueSet": ["loop"]}], (C, "a"), None),
    ([{**listed("a", "b"), "valueSet": ["one"]}], (C, "b"), False),
    ([{}], (C, "a"), None),
]


def answers(value_set, code, system=C):
    known = {("CodeSystem", one["url"]): one for one in (TREE, FLAT, PART)}
    known |= {("ValueSet", name): one for name, one in OTHERS.items()}
    known["ValueSet", "vs"] = value_set
    sets = ValueSets(lambda kind, url: known.get((kind, url)))
    first = sets.has("vs", system, code)
    assert sets.has("vs", system, code) is first
    return first


@pytest.mark.parametrize(("include", "code", "told"), TABLE)
def test_a_code_is_in_it_or_not_or_that_is_not_told(include, code, told):
    system, code = code
    assert answers({"compose": {"include": include}}, code, system) is told


@pytest.mark.parametrize(("code", "told"), [("a", True), ("aa", False), ("zz", False)])
def test_what_is_excluded_is_not_in_it(code, told):
    compose = {"include": [{"system": C}], "exclude": [listed("aa")]}
    assert answers({"compose": compose}, code) is told


def test_an_exclusion_that_cannot_be_told_tells_nothing():
    compose = {"include": [{"system": C}], "exclude": [under("regex", ".")]}
    assert answers({"compose": compose}, "a") is None


@pytest.mark.parametrize(
    ("total", "code", "told"), [(None, "a", True), (2, "z", False), (9, "z", None), (9, "b", True)]
)
def test_without_compose_the_expansion_is_the_value_set(total, code, told):
    rows = [{"system": C, "code": "a", "contains": [{"system": C, "code": "b"}]}]
    expansion = {"contains": rows} | ({"total": total} if total else {})
    assert answers({"expansion": expansion}, code) is told


@pytest.mark.parametrize(
    "value_set",
    [{}, {"compose": {}}, {"compose": {"include": [{"system": [], "concept": 7}]}},
     {"expansion": {}}],
)  # fmt: skip
def test_a_value_set_that_is_not_in_order_tells_nothing_wrong(value_set):
    assert answers(value_set, "a") in {None, False}


def test_three_answers_are_put_together():
    assert [either(row) for row in ([True, None], [None, False], [False], [])] == [
        *(True, None, False, False)
    ]
    assert [every(row) for row in ([False, None], [None, True], [True], [])] == [
        *(False, None, True, True)
    ]
