"""Many realistic resources of one patient, for benchmarks and imports; same input, same output."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import islice
from typing import Any

from pgo.demo import cast, r4, r4_drugs, r4_results, stu3
from pgo.demo.book import Book, Period, day, moment
from pgo.demo.codes import DRUGS, PROBLEMS, TESTS, Dose
from pgo.demo.r4_results import Draw
from pgo.demo.shapes import Release, Resource

LAST = date(2026, 1, 1)
CLIENT = {
    "id": "veel", "name": "Vera Veel", "given": "Vera", "family": "Veel", "gender": "female",
    "birth": "1990-06-15", "city": "Zwolle",
}  # fmt: skip
_TESTS = tuple(TESTS)
_DRUGS = tuple(DRUGS)
_PROBLEMS = tuple(PROBLEMS)


def many(n: int, release: Release) -> list[Resource]:
    """`n` resources, the first of which is the patient; references are `Type/id` among them.

    A mix of Observation (over half), DiagnosticReport (R4), MedicationRequest, Encounter,
    Condition, Goal and CarePlan, about 1 kB each; every resource has an `id`.
    """
    return list(islice(_endless(release), n))


def _endless(release: Release) -> Iterator[Resource]:
    """The patient and her carers once, then block after block."""
    shared = _open(release)
    known = {entry["fullUrl"]: _name(entry) for entry in shared.entries}
    yield from (_settled(entry, known) for entry in shared.entries)
    block = 0
    while True:
        book = Book(cast.DELINDE, CLIENT, release, [], shared.subject, shared.sender)
        doctor = _last(shared, "Practitioner" if release == "stu3" else "PractitionerRole")
        (_r4_block if release == "r4" else _stu3_block)(book, block, doctor)
        names = known | {entry["fullUrl"]: _name(entry) for entry in book.entries}
        yield from (_settled(entry, names) for entry in book.entries)
        block += 1


def _open(release: Release) -> Book:
    book = Book(cast.DELINDE, CLIENT, release)
    if release == "r4":
        r4.clinician(r4.begin(book), cast.AVG)
    else:
        stu3.clinician(stu3.begin(book), cast.AVG)
    return book


def _last(book: Book, type_: str) -> Resource:
    entry = [e for e in book.entries if e["resource"]["resourceType"] == type_][-1]
    return {"reference": entry["fullUrl"], "display": cast.AVG.name}


def _name(entry: Resource) -> str:
    return f"{entry['resource']['resourceType']}/{entry['fullUrl'].removeprefix('urn:uuid:')}"


def _settled(entry: Resource, names: dict[str, str]) -> Resource:
    """The resource with an id of its own and with references that name it."""
    id_ = entry["fullUrl"].removeprefix("urn:uuid:")
    resource = entry["resource"]
    body = {key: _renamed(value, names) for key, value in resource.items() if key[0] != "_"}
    return {"resourceType": resource["resourceType"], "id": id_} | body


def _renamed(tree: Any, names: dict[str, str]) -> Any:
    if isinstance(tree, dict):
        return {
            key: names[value] if key == "reference" else _renamed(value, names)
            for key, value in tree.items()
        }
    return [_renamed(value, names) for value in tree] if isinstance(tree, list) else tree


def _values(block: int, count: int) -> dict[str, str]:
    """Results of `count` tests that go up and down, mostly within their range."""
    found = {}
    for step in range(count):
        key = _TESTS[(block * count + step) % len(_TESTS)]
        low = float(TESTS[key].low or "0")
        high = float(TESTS[key].high or 2 * low)
        found[key] = f"{low + (high - low) * ((block * 7 + step * 3) % 13) / 10:.2f}"
    return found


def _dose(block: int) -> Dose:
    times = block % 3 + 1
    return Dose(str(10 * (block % 5 + 1)), times, f"{times} keer per dag", ("MORN",))


def _when(block: int) -> date:
    return LAST - timedelta(days=block)


def _r4_block(book: Book, block: int, doctor: Resource) -> None:
    """About sixteen resources of one day."""
    today, number = _when(block), str(block)
    about = r4.problem(book, number, PROBLEMS[_PROBLEMS[block % len(_PROBLEMS)]],
                       day(today, 30), by=doctor)  # fmt: skip
    visit = Period(moment(today, 0, "10:00"), moment(today, 0, "10:20"))
    r4.encounter(book, number, "AMB", visit, by=doctor, reason="Controle")
    drug = DRUGS[_DRUGS[block % len(_DRUGS)]]
    medication = r4_drugs.product(book, drug, number)
    period = Period(day(today, 20))
    r4_drugs.agreement(
        book, number, drug, _dose(block), period, by=doctor, medication=medication, about=about
    )
    r4_results.draw(
        book, Draw(number, moment(today, 0, "08:15"), _values(block, 6), "Zie de waarden.")
    )
    r4.vital(book, f"gewicht-{block}", "gewicht", f"{60 + block % 9}.50", when=visit.start)
    r4.blood_pressure(book, f"druk-{block}", f"{120 + block % 20}/80", when=visit.start)
    goal = r4.goal(book, number, "Minder klachten", day(today, 10), about=about)
    r4.plan(book, number, "Zorgplan", period, by=doctor, about=[about], goals=[goal],
            steps=["Elke dag wandelen", "Medicijnen innemen"])  # fmt: skip


def _stu3_block(book: Book, block: int, doctor: Resource) -> None:
    """About fourteen resources of one day."""
    today, number = _when(block), str(block)
    code = PROBLEMS[_PROBLEMS[block % len(_PROBLEMS)]]
    about = stu3.problem(book, number, code, day(today, 30), by=doctor)
    visit = Period(moment(today, 0, "10:00"), moment(today, 0, "10:20"))
    stu3.encounter(book, number, "AMB", visit, by=doctor, reason="Controle")
    drug = DRUGS[_DRUGS[block % len(_DRUGS)]]
    stu3.agreement(book, number, drug, _dose(block), Period(day(today, 20)), by=doctor)
    stu3.draw(book, Draw(number, moment(today, 0, "08:15"), _values(block, 6), ""))
    stu3.vital(book, f"gewicht-{block}", "gewicht", f"{60 + block % 9}.50", when=visit.start)
    stu3.report(book, f"dag-{block}", "Rustige dag, goed gegeten.", visit.end, by=doctor)
    goal = stu3.goal(book, number, "Minder klachten", day(today, 10), about=about)
    stu3.plan(book, number, "Zorgplan", Period(day(today, 20)), by=doctor, about=[about],
              goals=[goal], steps=[("Wandelen", "1/d")])  # fmt: skip
