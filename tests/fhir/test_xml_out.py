"""FHIR XML that we write says the same, to the digit, as the tree it was made of."""

import random
import time
from pathlib import Path

import orjson
import pytest

from pgo.errors import BadRequest, Incident
from pgo.fhir import text
from pgo.fhir.elements import members, resources
from pgo.fhir.xml import from_xml
from pgo.fhir.xml_out import to_xml

DATA = Path(__file__).resolve().parents[2] / "../shared/data"
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">'
HEAD = '<?xml version="1.0" encoding="UTF-8"?>'
PATIENT = '<Patient xmlns="http://hl7.org/fhir"'
STRINGS = ["a", "q\"<&>'", "é ‱ \U0001f600", "a\nb\tc\rd", "&amp;", "]]>", " lead", "<!-- x -->"]
NUMBERS = ["0", "1.00", "-0.5", "100e-2", "12345678901234567.890", "1E+2", "-3"]


def same(tree):
    """A tree without order, with numbers by their lexemes."""
    if type(tree) is dict:
        return {name: same(value) for name, value in tree.items()}
    if type(tree) is list:
        return [same(value) for value in tree]
    return ("number", text.number(tree)) if type(tree) is orjson.Fragment else tree


def written(raw: bytes, **more) -> str:
    return to_xml(text.parse(raw), "r4", **more).decode()


def test_elements_come_in_the_order_of_the_definition_and_numbers_keep_their_lexemes():
    raw = (
        b'{"valueQuantity":{"unit":"mg","value":1.00},"status":"final",'
        b'"resourceType":"Observation"}'
    )
    assert written(raw) == (
        f'{HEAD}<Observation xmlns="http://hl7.org/fhir"><status value="final"/>'
        '<valueQuantity><value value="1.00"/><unit value="mg"/></valueQuantity></Observation>'
    )


def test_ids_of_resources_are_elements_and_ids_of_elements_are_attributes():
    raw = b'{"resourceType":"Patient","id":"p","name":[{"id":"n","family":"F"}]}'
    assert written(raw) == (
        f'{HEAD}{PATIENT}><id value="p"/><name id="n"><family value="F"/></name></Patient>'
    )


def test_what_stands_beside_a_primitive_stands_in_its_element():
    raw = (
        b'{"resourceType":"Patient","name":[{"given":["A",null],"_given":[null,{"id":"g",'
        b'"extension":[{"url":"u","valueBoolean":false}]}]}],"_birthDate":{"id":"b"}}'
    )
    assert written(raw) == (
        f'{HEAD}{PATIENT}><name><given value="A"/><given id="g"><extension url="u">'
        '<valueBoolean value="false"/></extension></given></name><birthDate id="b"/></Patient>'
    )


def test_signs_that_mean_something_in_xml_are_written_as_references():
    raw = b'{"resourceType":"Patient","name":[{"text":"<a b=\\"c\\">&\\n\\t\\r"}]}'
    assert '<text value="&lt;a b=&quot;c&quot;&gt;&amp;&#10;&#9;&#13;"/>' in written(raw)


def test_pretty_puts_one_element_on_a_line_and_leaves_narrative_alone():
    div = f"{DIV}a <b>b</b></div>\n"
    tree = {"resourceType": "Patient", "text": {"status": "generated", "div": div}, "id": "p"}
    made = to_xml(tree, "r4", pretty=True)
    assert made.decode() == (
        f'{HEAD}\n{PATIENT}>\n  <id value="p"/>\n  <text>\n    <status value="generated"/>\n'
        f"    {div}\n  </text>\n</Patient>\n"
    )
    assert from_xml(made, "r4") == from_xml(to_xml(tree, "r4"), "r4")


@pytest.mark.parametrize(
    "tree",
    [
        {"resourceType": "Patient", "SECRET": "x"},
        {"resourceType": "Secret"},
        {"resourceType": "Patient", "contained": [{"name": "SECRET"}]},
        {"resourceType": "Patient", "id": "\x01"},
        {"resourceType": "Patient", "id": "\uffff"},
        {"resourceType": "Patient", "gender": "\ud800"},
    ],
    ids=["member", "type", "contained", "control", "no character", "surrogate"],
)
def test_what_is_not_fhir_or_no_xml_is_our_own_fault_and_is_not_repeated(tree):
    with pytest.raises(Incident) as caught:
        to_xml(tree, "r4")
    assert "SECRET" not in caught.value.detail


@pytest.mark.parametrize("sign", ["\\ufffe", "\\uffff", "\ufffe", "\uffff", "\\u000b"])
def test_a_sign_that_no_xml_can_hold_is_refused_when_it_comes_in(sign):
    with pytest.raises(BadRequest):
        text.parse(f'{{"resourceType":"Patient","id":"{sign}"}}'.encode())


# --- round trips -------------------------------------------------------------------------------


def primitive(kind: str, dice: random.Random):
    if kind == "boolean":
        return dice.random() < 0.5
    if kind in {"decimal", "integer", "positiveInt", "unsignedInt"}:
        return text.fragment(dice.choice(NUMBERS))
    return f"{DIV}a<br/>&amp;</div>" if kind == "xhtml" else dice.choice(STRINGS)


def made(release, type_: str, dice: random.Random, depth: int = 0) -> dict:
    """A random object of a type: what its definition knows, and no rule besides."""
    known = list(members(release, type_).values())
    if type_ == "Extension":
        known = [one for one in known if one.name == "url"] + dice.sample(known, 2)
    elif depth and not known:
        return {}
    tree: dict = {"resourceType": type_} if type_ in resources(release) else {}
    for element in dice.sample(known, min(len(known), dice.randint(1, 4))):
        if element.type_ == "xhtml" or (type_ == "Extension" and element.name == "url"):
            tree[element.name] = primitive(element.type_, dice)
        elif element.primitive:
            tree |= sided(release, element, dice, depth)
        elif depth < 5:
            inner = "Basic" if element.type_ == "Resource" else element.type_
            values = [made(release, inner, dice, depth + 1) for _ in range(dice.randint(1, 3))]
            tree[element.name] = values if element.many else values[0]
    return tree


def sided(release, element, dice, depth) -> dict:
    """A primitive with, sometimes, an id or extensions beside it, or in place of it."""
    if element.name == "id":
        return {"id": dice.choice(STRINGS)}
    pairs = []
    for _ in range(dice.randint(1, 3) if element.many else 1):
        side = {"id": "s"} if dice.random() < 0.3 else None
        if depth < 4 and dice.random() < 0.2:
            side = {"extension": [{"url": "u", "valueCode": "x"}]}
        value = None if side and dice.random() < 0.5 else primitive(element.type_, dice)
        pairs.append((value, side))
    found = {}
    values, sides = [value for value, _ in pairs], [side for _, side in pairs]
    if any(value is not None for value in values):
        found[element.name] = values if element.many else values[0]
    if any(sides):
        found[f"_{element.name}"] = sides if element.many else sides[0]
    return found


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_random_trees_of_every_type_come_back_the_same(release):
    dice = random.Random(20260)
    for type_ in sorted(resources(release)) * 3:
        tree = made(release, type_, dice)
        again = from_xml(to_xml(tree, release), release)
        assert same(again) == same(tree)
        assert text.dump(from_xml(to_xml(again, release, pretty=True), release)) == text.dump(again)


def examples():
    for path in sorted(DATA.rglob("*")):
        release = "stu3" if any(sign in str(path) for sign in ("STU3", "BgLZ", "-2-0")) else "r4"
        if path.suffix in {".json", ".xml"} and path.is_file():
            raw = path.read_bytes()
            try:
                tree = text.parse(raw) if path.suffix == ".json" else from_xml(raw, release)
            except BadRequest:
                continue
            if tree.get("resourceType") in resources(release):
                yield path, release, tree


@pytest.mark.outside
@pytest.mark.skipif(not DATA.is_dir(), reason="the folder with outside data is not there")
def test_every_published_dutch_example_comes_back_the_same():
    count = 0
    for path, release, tree in examples():
        back = from_xml(to_xml(tree, release), release)
        again = from_xml(to_xml(back, release), release)
        assert text.dump(again) == text.dump(back), path
        assert without_div(same(back)) == without_div(same(tree)), path
        count += 1
    assert count > 900


def without_div(tree):
    """Without narrative: it is compared as XHTML, after one reading."""
    if type(tree) is dict:
        return {name: without_div(value) for name, value in tree.items() if name != "div"}
    return [without_div(value) for value in tree] if type(tree) is list else tree


def test_fifty_resources_take_milliseconds():
    observation = (
        b'{"resourceType":"Observation","id":"o","status":"final","code":{"coding":[{"system":'
        b'"http://loinc.org","code":"1-8","display":"x"}]},"subject":{"reference":"Patient/1"},'
        b'"effectiveDateTime":"2026-01-01","valueQuantity":{"value":1.00,"unit":"mg"}}'
    )
    entry = {"fullUrl": "http://x/y", "resource": orjson.Fragment(observation)}
    bundle = orjson.dumps({"resourceType": "Bundle", "type": "searchset", "entry": [entry] * 50})
    best = 1.0
    for _ in range(5):
        start = time.process_time()
        to_xml(bundle, "r4")
        best = min(best, time.process_time() - start)
    assert best < 0.05
