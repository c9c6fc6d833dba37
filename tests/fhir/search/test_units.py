"""Quantities in other units: exact, and never across what measures something else."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.fhir import decimals, tables, units

UCUM = "http://unitsofmeasure.org"
CODES = sorted(units.table())


def turned(number, code, into):
    return units.turned(Decimal(number), units.table()[code], units.table()[into])


@pytest.mark.parametrize(
    ("number", "code", "into", "expected"),
    [
        ("1.5", "g", "mg", "1500"),
        ("80", "kg", "g", "80000"),
        ("0.25", "mg", "ug", "250"),
        ("95", "mg/dL", "mg/L", "950"),
        ("13.2", "g/dL", "g/L", "132"),
        ("1", "mg/mL", "g/L", "1"),
        ("5.5", "mmol/L", "umol/L", "5500"),
        ("120", "mm[Hg]", "kPa", "15.99864"),
        ("37", "Cel", "[degF]", "98.6"),
        ("98.6", "[degF]", "Cel", "37"),
        ("0", "Cel", "K", "273.15"),
        ("72", "/min", "{beats}/min", "72"),
        ("72", "/min", "/s", "1.2"),
        ("2", "wk", "d", "14"),
        ("1", "a", "mo", "12"),
        ("1.5", "h", "min", "90"),
        ("50", "%", "1", "0.5"),
        ("2", "k[IU]", "[IU]", "2000"),
        ("5", "m[IU]/L", "u[IU]/mL", "5"),
        ("4.5", "10*9/L", "10*3/uL", "4.5"),
        ("1", "L/min", "mL/s", "16.666666666666666666666666666666666666666666666667"),
        ("42", "mmol/mol", "umol/mmol", "42"),
        ("1.80", "m", "cm", "180"),
        ("2000", "kcal", "kJ", "8368"),
    ],
)
def test_units_of_one_kind_turn_into_each_other(number, code, into, expected):
    assert turned(number, code, into) == Decimal(expected)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("mg/dL", "mmol/L"),
        ("mg", "mL"),
        ("[IU]", "U/L"),
        ("[IU]/L", "U/L"),
        ("mmol/mol", "%"),
        ("mL/min", "mL/min/{1.73_m2}"),
        ("/min", "min"),
        ("mo", "mol"),
        ("kg/m2", "kg"),
        ("meq/L", "mmol/L"),
    ],
)
def test_units_of_other_kinds_never_do(one, other):
    kinds = units.table()
    assert kinds[one].kind != kinds[other].kind
    assert other not in {code for _, codes in units.alike(one) for code in codes}


def test_a_code_is_of_one_kind_only():
    written = [
        code
        for row in units._KINDS.values()
        for part in row.split()
        for code in part.rpartition("=")[0].split(",")
    ]
    assert len(written) == len(set(written)) == len(CODES)


@given(st.sampled_from(CODES), st.integers(-(10**6), 10**6))
def test_there_and_back_is_where_one_was(code, number):
    for unit, codes in units.alike(code):
        there = turned(number, code, codes[0])
        back = turned(there, codes[0], code)
        assert abs(Fraction(back) - number) < Fraction(1, 10**30)
        assert units.table()[codes[0]] == unit


def test_a_code_that_is_not_known_has_no_others():
    assert units.alike("furlong") == ()


def result(id_, value, code, system=UCUM):
    quantity = {"value": value, "code": code, "unit": code, "system": system}
    return {"resourceType": "Observation", "id": id_, "valueQuantity": quantity}


@pytest.fixture
def doses(r4):
    r4.put(
        result("gram", 1.5, "g"),
        result("milli", 1500, "mg"),
        result("micro", 1500000, "ug"),
        result("little", 1499, "mg"),
        result("much", 2, "g"),
        result("volume", 1.5, "mL"),
        result("other", 1500, "mg", "http://other"),
        result("oid", 1500, "mg", "urn:oid:2.16.840.1.113883.6.8"),
        result("strange", 1500, "dosis"),
    )
    return r4


SAME = {"gram", "milli", "micro", "oid"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (f"1.5|{UCUM}|g", SAME | {"little"}),  # 1.5 g is anything from 1.45 to 1.55
        (f"1.500|{UCUM}|g", SAME),
        (f"1500|{UCUM}|mg", SAME),
        (f"1500000|{UCUM}|ug", SAME),
        (f"ge1500|{UCUM}|mg", SAME | {"much"}),
        (f"gt1500|{UCUM}|mg", {"much"}),
        (f"lt1.5|{UCUM}|g", {"little"}),
        (f"ne1500|{UCUM}|mg", {"little", "much"}),
        (f"ap1600|{UCUM}|mg", SAME | {"little"}),
        (f"1.5|{UCUM}|mL", {"volume"}),
        (f"1500|{UCUM}|dosis", {"strange"}),
        (f"1500|{UCUM}|", {"milli", "strange"}),
        ("1500||mg", {"milli", "other", "oid"}),
        ("1500", {"milli", "other", "oid", "strange"}),
        ("1500|http://other|mg", {"other"}),
    ],
)
def test_a_quantity_is_found_in_whatever_unit_it_was_written(doses, asked, expected):
    assert set(doses.ask("Observation", ("value-quantity", asked))) == expected


def test_a_temperature_has_its_own_zero(r4):
    r4.put(result("c", 38.5, "Cel"), result("f", 101.3, "[degF]"), result("well", 36.6, "Cel"))
    assert r4.ask("Observation", ("value-quantity", f"ge38|{UCUM}|Cel")) == ["c", "f"]
    assert r4.ask("Observation", ("value-quantity", f"101.3|{UCUM}|[degF]")) == ["c", "f"]


def test_the_parts_of_a_composite_know_units_too(r4):
    tree = result("a", 1.5, "g") | {"code": {"coding": [{"code": "x"}]}}
    r4.put(tree)
    assert r4.ask("Observation", ("code-value-quantity", f"x$1500|{UCUM}|mg")) == ["a"]
    assert r4.ask("Observation", ("code-value-quantity", f"x$1500|{UCUM}|g")) == []


# --- in order ------------------------------------------------------------------------------------

NUMBERS = st.decimals(-10_000, 10_000, places=4, allow_nan=False)
EDGES = (str, decimals.just_above, decimals.just_below)


def canonical(number, code, edge=str):
    return tables.canonical(edge(decimals.key(number)), tables.system_number(UCUM), code)


@given(st.sampled_from(CODES), NUMBERS, NUMBERS, st.data())
def test_keys_of_one_kind_are_in_order_whatever_their_units(code, one, other, data):
    unit = units.table()[code]
    like = data.draw(st.sampled_from([c for c in CODES if units.table()[c].kind == unit.kind]))
    left = Fraction(one) * unit.factor + unit.offset
    right = Fraction(other) * units.table()[like].factor + units.table()[like].offset
    keys = (canonical(one, code), canonical(other, like))
    if abs(left - right) > max(abs(left), abs(right)) / 10**40:
        assert (left < right) == (keys[0] < keys[1])


@given(NUMBERS, st.sampled_from(CODES))
def test_what_is_just_beside_a_number_stays_beside_it(number, code):
    exact, above, below = (canonical(number, code, edge) for edge in EDGES)
    assert exact < above
    if number > 0:
        assert below < exact


@given(st.decimals(-(10**300), 10**300, allow_nan=False))
def test_a_key_tells_its_number(number):
    assert decimals.number(decimals.key(number)) == number


@pytest.mark.parametrize("key", [None, "", "~", "2", "25000", "x", "1!", "0~"])
def test_what_is_no_number_keeps_its_key(key):
    assert decimals.number(key or "") is None
    assert tables.canonical(key, tables.system_number("http://u"), "mg") == key
    assert tables.canonical(key, tables.system_number(UCUM), "onbekend") == key


def weight(id_, value, code, system=UCUM):
    quantity = {"value": value, "code": code, "system": system}
    code_ = {"text": "gewicht"}
    made = {"resourceType": "Observation", "id": id_, "status": "final", "code": code_}
    return {**made, "valueQuantity": quantity}


def test_a_search_sorts_by_what_was_measured_and_not_by_its_number(r4):
    grams, pounds = weight("grams", 900, "g"), weight("pounds", 3, "[lb_av]")
    r4.put(weight("kilos", 1, "kg"), grams, pounds, weight("tons", 0.5, "t"))
    assert r4.ask("Observation", ("_sort", "value-quantity")) == [
        "grams",
        "kilos",
        "pounds",
        "tons",
    ]
    assert r4.ask("Observation", ("_sort", "-value-quantity"))[0] == "tons"
