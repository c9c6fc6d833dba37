"""What De Linde, hospital and pharmacy send about a client of one of the smaller families."""

from __future__ import annotations

from datetime import date
from typing import Any, NamedTuple

from pgo.demo import cast, r4, r4_drugs, r4_results, stu3
from pgo.demo.book import Book, Period, day, moment
from pgo.demo.codes import DRUGS, PROBLEMS, Dose
from pgo.demo.r4_results import Draw, panel
from pgo.demo.shapes import Push


class Case(NamedTuple):
    """A client in short.

    `problems` and `drugs` are keys of the code tables, a drug with its dose and days ago;
    `draws` are (days ago, values in the order of `tests`, conclusion).
    """

    problems: tuple[str, ...]
    drugs: tuple[tuple[str, Dose, int], ...]
    tests: str
    draws: tuple[tuple[int, str, str], ...]
    plan: str
    goal: str
    steps: tuple[tuple[str, str], ...]


def pushes(client: dict[str, Any], today: date, case: Case) -> tuple[Push, ...]:
    """The plan (STU3), the medication (R4) and the results (R4)."""
    return (
        _plan(client, today, case),
        _medication(client, today, case),
        _results(client, today, case),
    )


def _plan(client: dict[str, Any], today: date, case: Case) -> Push:
    book = stu3.begin(Book(cast.DELINDE, client, "stu3"))
    doctor, made = stu3.clinician(book, cast.AVG), day(today, 100)
    found = [
        stu3.problem(book, key, PROBLEMS[key], client["birth"], by=doctor) for key in case.problems
    ]
    wanted = stu3.goal(book, "doel", case.goal, made, about=found[0])
    stu3.plan(
        book, "plan", case.plan, Period(made, day(today, -265)), by=doctor,
        about=found, goals=[wanted], steps=list(case.steps),
    )  # fmt: skip
    visit = Period(moment(today, 100, "14:00"), moment(today, 100, "14:30"))
    stu3.encounter(book, "controle", "AMB", visit, by=doctor, reason="Controle bij de AVG-arts")
    for key, dose, ago in case.drugs:
        stu3.agreement(book, key, DRUGS[key], dose, Period(day(today, ago)), by=doctor)
    return book.push()


def _medication(client: dict[str, Any], today: date, case: Case) -> Push:
    book = r4.begin(Book(cast.APOTHEEK, client, "r4"))
    for key, dose, ago in case.drugs:
        drug, period = DRUGS[key], Period(day(today, ago))
        medication = r4_drugs.product(book, drug)
        r4_drugs.administration(book, key, drug, dose, period, medication=medication)
        when = moment(today, 15, "15:10")
        r4_drugs.handed_over(book, key, drug, when, ("60", "1"), medication=medication)
    return book.push()


def _results(client: dict[str, Any], today: date, case: Case) -> Push:
    book = r4.begin(Book(cast.ZIEKENHUIS, client, "r4"))
    values = panel(case.tests, [row for _, row, _ in case.draws])
    for number, (ago, _, conclusion) in enumerate(case.draws):
        when = moment(today, ago, "08:30")
        r4_results.draw(book, Draw(str(number + 1), when, values[number], conclusion))
    return book.push()
