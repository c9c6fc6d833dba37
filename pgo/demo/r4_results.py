"""R4 laboratory: a series of tests over time, each day with its report and plain conclusion."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from pgo.demo.book import Book, meta
from pgo.demo.codes import HL7, TESTS, Code, LabTest, concept, loinc, quantity, sct
from pgo.demo.r4 import NL
from pgo.demo.shapes import Resource

HIGH = sct("281302008", "boven referentiebereik")
LOW = sct("281300000", "onder referentiebereik")
LABORATORY = Code(HL7 + "observation-category", "laboratory", "laboratorium")


class Draw(NamedTuple):
    """One day of blood taking: number, instant, values by test (as text) and the conclusion."""

    number: str
    when: str
    values: dict[str, str]
    conclusion: str


def draw(book: Book, taken: Draw) -> Resource:
    """Write the Observations of one day and the DiagnosticReport over them."""
    results = [
        result(book, f"{key}-{taken.number}", TESTS[key], value, taken.when)
        for key, value in taken.values.items()
    ]
    body = {
        "status": "final",
        "category": [concept(Code(HL7 + "v2-0074", "LAB", "laboratorium"))],
        "code": concept(loinc("11502-2", "laboratoriumuitslag")),
        "subject": book.subject,
        "effectiveDateTime": taken.when,
        "issued": taken.when,
        "performer": [book.sender],
        "result": results,
        "conclusion": taken.conclusion,
    }
    return book.write("DiagnosticReport", taken.number, "laboratoriumuitslag", body)


def result(book: Book, number: str, test: LabTest, value: str, when: str) -> Resource:
    """Write one Observation (nl-core-LaboratoryTestResult) with its range and its flag."""
    body: Resource = {
        "meta": meta(NL + "LaboratoryTestResult"),
        "status": "final",
        "category": [concept(LABORATORY), concept(test.kind)],
        "code": concept(test.code),
        "subject": book.subject,
        "effectiveDateTime": when,
        "performer": [book.sender],
        "valueQuantity": quantity(value, test.unit),
        "referenceRange": [reference_range(test)],
    }
    flag = outside(test, value)
    if flag:
        body["interpretation"] = [concept(flag)]
    return book.write("Observation", f"lab-{number}", test.code.display, body)


def reference_range(test: LabTest) -> Resource:
    """The FHIR reference range; a side left open is left out."""
    sides = {"low": test.low, "high": test.high}
    return {side: quantity(bound, test.unit) for side, bound in sides.items() if bound}


def outside(test: LabTest, value: str) -> Code | None:
    """The flag for a value outside its reference range, else None."""
    number = Decimal(value)
    if test.high and number > Decimal(test.high):
        return HIGH
    return LOW if test.low and number < Decimal(test.low) else None


def panel(keys: str, rows: list[str]) -> list[dict[str, str]]:
    """A table in text (test keys in the head, one row per draw) as values per draw."""
    names = keys.split()
    return [dict(zip(names, row.split(), strict=True)) for row in rows]
