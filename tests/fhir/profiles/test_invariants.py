"""FHIRPath for invariants: what an expression is, what is not told, and that it always ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.fhir.profiles_invariant import World, holds
from pgo.fhir.profiles_nodes import resource
from pgo.fhir.profiles_path import LONGEST, Unreadable, read

from .conftest import tree

OBSERVATION = tree(
    {
        "resourceType": "Observation",
        "id": "o",
        "contained": [{"resourceType": "Practitioner", "id": "p", "active": True}],
        "extension": [{"url": "http://x.test/e", "valueBoolean": True}],
        "status": "final",
        "_status": {"extension": [{"url": "http://x.test/s", "valueCode": "x"}]},
        "code": {"coding": [{"system": "http://loinc.org", "code": "a"}, {"code": "b"}]},
        "performer": [{"reference": "#p"}],
        "effectiveDateTime": "2024-02-29T10:00:00+01:00",
        "issued": "2024-02-29T09:00:00Z",
        "valueQuantity": {"value": 1.50, "code": "kg"},
        "component": [
            {"code": {"text": "een"}, "valueInteger": 1},
            {"code": {"text": "twee"}, "valueString": "2"},
        ],
    }
)

TRUE = """
status = 'final' | status != 'x' | status ~ 'final' | status in ('final' | 'x')
('x' | 'final') contains status | code.coding.count() = 2 | code.coding[1].code = 'b'
code.coding.first().code = 'a' and code.coding.last().code = 'b' | code.coding.tail().exists()
code.coding.where(system.exists()).count() = 1 | code.coding.exists(code = 'b')
code.coding.all(code.exists()) | code.coding.code.isDistinct() | code.coding.skip(1).code = 'b'
code.coding.take(1).code = 'a' | code.coding.code.subsetOf('a' | 'b' | 'c')
('a' | 'b').supersetOf(code.coding.code) | code.coding.code.intersect('b' | 'c') = 'b'
code.coding.code.exclude('a') = 'b' | code.coding.code.combine('a').count() = 3
code.coding.code.union('a').count() = 2 | (code.coding.code | 'a').count() = 2
value.exists() | value is Quantity | value.ofType(Quantity).value = 1.5
(value as Quantity).value > 1
value.value + 0.5 = 2 | value.value * 2 = 3.0 | value.value - 1 = 0.5 | value.value / 3 = 0.5
7 div 2 = 3 | 7 mod 2 = 1 | -1 < 0 | 'a' & 'b' = 'ab' | 'a' + 'b' = 'ab' | 1 <= 1 and 2 >= 1
component.value.ofType(integer) = 1 | component[1].value.toInteger() = 2
component.value.count() = 2
component.select(code.text).first() = 'een' | component.code.text.join('-') = 'een-twee'
effective = issued | effective >= issued | effective.ofType(dateTime).toString().length() > 8
extension('http://x.test/e').value = true | status.extension('http://x.test/s').exists()
performer.resolve().active | performer.resolve() is Practitioner | contained.id = 'p'
%resource.id = 'o' | %context.status = 'final' | %rootResource.id = 'o'
%ucum = 'http://unitsofmeasure.org' | Observation.status = 'final' | Resource.id = 'o'
status.hasValue() | status.length() = 5 | status.startsWith('fi') | status.endsWith('al')
status.contains('in') | status.matches('^[a-z]+$') | status.matches('x').not()
status.substring(1, 2) = 'in' | status.replace('f', 'F') = 'Final' | status.upper() = 'FINAL'
status.indexOf('n') = 2 | 'a,b'.split(',').count() = 2
status.replaceMatches('[aeiou]', '') = 'fnl'
iif(status = 'x', 1, 2) = 2 | iif(status = 'final', true, unheard()) | {}.empty() | true xor false
false implies (1 = 2) | (absent.exists() implies false) | descendants().where($this = 'kg').exists()
children().count() > 5 | component.where($index = 1).code.text = 'twee'
component.repeat(code).count() = 2
status.trace('x') = 'final' | `status` = 'final' | (1 | 2 | 2).count() = 2 | '2'.toDecimal() = 2.0
true.toString() = 'true' | (true | true).allTrue() | ' x '.trim() = 'x'
""".strip().split("\n")  # fmt: skip


def _apart(line):
    """Expressions on one line, between ` | ` outside brackets."""
    found, depth, last = [], 0, ""
    for part in line.split(" | "):
        last = f"{last} | {part}" if last else part
        depth = last.count("(") - last.count(")")
        if not depth:
            found.append(last)
            last = ""
    return found


EXPRESSIONS = [one for line in TRUE for one in _apart(line)]


def told(expression, one=OBSERVATION):
    node = resource(one)
    return holds(expression, node, World("r4", node, node))


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_holds(expression):
    assert told(expression)
    assert not told(f"({expression}).not()")


UNTOLD = [
    "absent = 1", "status.unheard()", "subject.resolve()", "performer[5].active", "status >", "(",
    "'a",
    "status status", "@2020", "1 'kg'", "$total", "%unknown", "status + 1", "code.coding.single()",
    "status.substring('a')", "status.matches('(a+)+')", "status.matches('(a|aa)*')",
    "status.matches('(')", r"status.matches('(a)\\1')", "code < code", "status.matches()",
    "performer.memberOf('http://x.test/vs')", "code.coding['a']", "1 / 0 = 1", "where()",
]  # fmt: skip


@pytest.mark.parametrize("expression", UNTOLD)
def test_what_cannot_be_told_is_neither_true_nor_false(expression):
    one = {**OBSERVATION, "subject": {"reference": "Patient/1"}}
    with pytest.raises(Unreadable):
        told(expression, one)


@pytest.mark.parametrize(
    "expression",
    [
        "descendants().where(descendants().where(descendants().exists()).exists()).exists()",
        "repeat(%resource).exists()",
        "component.repeat($this | $this).exists()",
        "(" * 500 + "true" + ")" * 500,
        "true" + " and true" * 4000,
        "status" + ".trace('x')" * 3000,
        "'" + "a" * LONGEST + "'",
        "- " * 4000 + "1 = 1",
        "'" + "a" * 5000 + "'.matches('a*a*a*b')",
        "('" + "a" * 900 + "')" + ".replace('a', 'aaaaaaaaaa')" * 9 + " = ''",
        "9" * 400 + " / 3 = 1",
        "9" * 6000 + " = 1",
        "descendants().select(%resource.code.coding.code.first()).join('" + "a" * 999 + "') = ''",
    ],
    ids=range(13),
)
def test_an_expression_that_would_take_long_ends(expression):
    many = {**OBSERVATION, "component": OBSERVATION["component"] * 400}
    try:
        told(expression, many)
    except Unreadable:
        return


@given(st.text(alphabet="abc.()'=<>|&+-*/[]{}$%` 1,~!@\\\"", max_size=60))
def test_any_text_is_an_expression_or_is_refused(words):
    try:
        read(words)
        told(words)
    except Unreadable:
        return
