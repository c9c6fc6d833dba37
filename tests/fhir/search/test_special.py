"""Parameters that read a whole resource: period of use, when dispensed, the latest stop."""

import json

import pytest

from pgo import errors
from pgo.fhir import index, text
from pgo.fhir.moments import EARLIEST, LATEST, interval

NICTIZ = "http://nictiz.nl/fhir/StructureDefinition/"
PERIOD, DURATION = f"{NICTIZ}ext-TimeInterval.Period", f"{NICTIZ}ext-TimeInterval.Duration"
STOP = f"{NICTIZ}ext-StopType"
TREATMENT = f"{NICTIZ}ext-PharmaceuticalTreatment.Identifier"


def lasting(value, code):
    return {"url": DURATION, "valueDuration": {"value": value, "code": code, "unit": "?"}}


def request(id_="r", **members):
    return {"resourceType": "MedicationRequest", "id": id_, **members}


def used(period, *, modifier=(), beside=()):
    """A request with a period of use; a duration in it, beside it, or as modifier."""
    made = {"extension": [{"url": PERIOD, "valuePeriod": period}, *beside]}
    return request(**made, **({"modifierExtension": list(modifier)} if modifier else {}))


def moments_of(tree, code="period-of-use", release="r4"):
    parsed = text.parse(json.dumps(tree).encode())
    return [row[1:] for row in index.rows(release, parsed).get("dat", []) if row[0] == code]


def start(text_):
    return interval(text_)[0]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ({"start": "2024-01-01", "end": "2024-01-31"}, (start("2024-01-01"), start("2024-02-01"))),
        ({"start": "2024-01-01", "extension": [lasting(10, "d")]},
         (start("2024-01-01"), start("2024-01-11"))),
        ({"start": "2024-01-01", "extension": [lasting(2, "wk")]},
         (start("2024-01-01"), start("2024-01-15"))),
        ({"start": "2024-01-31", "extension": [lasting(1, "mo")]},
         (start("2024-01-31"), start("2024-02-29"))),
        ({"start": "2024-02-29", "extension": [lasting(1, "a")]},
         (start("2024-02-29"), start("2025-02-28"))),
        ({"start": "2024-01", "extension": [lasting(1, "mo")]},
         (start("2024-01-01"), start("2024-02-01"))),
        ({"start": "2024", "extension": [lasting(1, "a")]},
         (start("2024-01-01"), start("2025-01-01"))),
        ({"start": "2024-01-01T08:00:00+01:00", "extension": [lasting(36, "h")]},
         (start("2024-01-01T08:00:00+01:00"), start("2024-01-02T20:00:00+01:00"))),
        ({"start": "2024-03-30T08:00:00", "extension": [lasting(1, "d")]},  # summer time begins
         (start("2024-03-30T08:00:00"), start("2024-03-31T08:00:00"))),
        ({"start": "2024-01-01", "extension": [lasting(0.5, "d")]},
         (start("2024-01-01"), start("2024-01-01T12:00:00"))),
        ({"end": "2024-01-31", "extension": [lasting(10, "d")]},
         (start("2024-01-22"), start("2024-02-01"))),
        ({"end": "2024-01", "extension": [lasting(10, "d")]},
         (start("2024-01-22"), start("2024-02-01"))),
        ({"end": "2024", "extension": [lasting(1, "wk")]},
         (start("2024-12-25"), start("2025-01-01"))),
        ({"start": "2024-01-01", "end": "2024-01-31", "extension": [lasting(1, "d")]},
         (start("2024-01-01"), start("2024-02-01"))),
        ({"start": "2024-01-01"}, (start("2024-01-01"), LATEST)),
        ({"start": "2024-01-01", "extension": [lasting(1, "mg")]}, (start("2024-01-01"), LATEST)),
        ({"start": "2024-01-01", "extension": [lasting(-1, "d")]}, (start("2024-01-01"), LATEST)),
        ({"start": "2024-01-01", "extension": [lasting(9e12, "a")]}, (start("2024-01-01"), LATEST)),
        ({"start": "9999-12-01", "extension": [lasting(2, "mo")]}, (start("9999-12-01"), LATEST)),
        ({"end": "2024-01-31"}, (EARLIEST, start("2024-02-01"))),
        ({"extension": [lasting(10, "d")]}, (EARLIEST, LATEST)),
        ({"start": "ooit"}, (EARLIEST, LATEST)),
    ],
)  # fmt: skip
def test_what_is_missing_of_a_period_of_use_follows_from_its_duration(period, expected):
    assert moments_of(used(period)) == [expected]


@pytest.mark.parametrize("where", ["modifier", "beside"])
def test_the_duration_may_stand_elsewhere(where):
    tree = used({"start": "2024-01-01"}, **{where: [lasting(10, "d")]})
    assert moments_of(tree) == [(start("2024-01-01"), start("2024-01-11"))]


def test_a_duration_alone_is_some_period():
    assert moments_of(request(modifierExtension=[lasting(10, "d")])) == [(EARLIEST, LATEST)]
    assert moments_of(request()) == []


def test_a_statement_says_its_period_in_its_own_element():
    period = {"start": "2024-01-01", "extension": [lasting(1, "wk")]}
    tree = {"resourceType": "MedicationStatement", "effectivePeriod": period}
    assert moments_of(tree) == [(start("2024-01-01"), start("2024-01-08"))]
    tree = {"resourceType": "MedicationStatement", "effectiveDateTime": "2024-01-01"}
    assert moments_of(tree) == []


def test_stu3_has_other_extensions_for_the_same():
    tree = request(
        extension=[
            {"url": f"{NICTIZ}zib-Medication-PeriodOfUse", "valuePeriod": {"start": "2024-01-01"}},
            {"url": f"{NICTIZ}zib-MedicationUse-Duration",
             "valueDuration": {"value": 3, "code": "wk"}},
        ]
    )  # fmt: skip
    expected = [(start("2024-01-01"), start("2024-01-22"))]
    assert moments_of(tree, "periodofuse", "stu3") == expected


@pytest.mark.parametrize(
    ("asked", "found"),
    [("ge2024-01-10", True), ("ge2024-01-11", False), ("gt2024-01-09", True),
     ("gt2024-01-10", False), ("le2023-12-31", False), ("le2024-01-01", True),
     ("lt2024-01-01", False), ("lt2024-01-02", True), ("2024-01", True), ("2024-02", False)],
)  # fmt: skip
def test_a_period_of_use_is_searched_as_a_date(r4, asked, found):
    r4.put(used({"start": "2024-01-01", "extension": [lasting(10, "d")]}))
    assert r4.ask("MedicationRequest", ("period-of-use", asked)) == ["r"] * found


def test_whendispensed_is_the_handing_over_or_else_the_preparing(stu3):
    def dispense(id_, **members):
        stu3.put({"resourceType": "MedicationDispense", "id": id_, **members})

    dispense("both", whenHandedOver="2024-02-01", whenPrepared="2024-01-01")
    dispense("prepared", whenPrepared="2024-01-01")
    dispense("none")
    ask = ("whendispensed", "2024-01")
    assert stu3.ask("MedicationDispense", ask) == ["prepared"]
    assert stu3.ask("MedicationDispense", ("whendispensed", "ge2024-02")) == ["both"]
    assert stu3.ask("MedicationDispense", ("whendispensed:missing", "true")) == ["none"]


# --- the latest stop -----------------------------------------------------------------------------

MA, WDS = "33633005", "395067002"


def stop(id_, treatment, agreed, *, category=MA, stopped=True, end="2020-01-31"):
    extensions = [{"url": PERIOD, "valuePeriod": {"start": "2020-01-01", "end": end}}]
    if treatment:
        identifier = {"system": "urn:oid:1", "value": treatment}
        extensions.append({"url": TREATMENT, "valueIdentifier": identifier})
    kind = {"url": STOP, "valueCodeableConcept": {"coding": [{"code": "410546004"}]}}
    return request(
        id_,
        extension=extensions,
        authoredOn=agreed,
        category=[{"coding": [{"system": "http://snomed.info/sct", "code": category}]}],
        **({"modifierExtension": [kind]} if stopped else {}),
    )


@pytest.fixture
def treatments(r4):
    r4.put(
        stop("first", "A", "2020-01-05"),
        stop("last", "A", "2020-03-05"),
        stop("going", "A", "2020-04-01", stopped=False),
        stop("schedule", "A", "2020-01-01", category=WDS),
        stop("other", "B", "2020-01-07"),
        stop("alone", "", "2020-01-01"),
        stop("alone-too", "", "2020-01-01"),
        facet=1,
    )
    r4.put(stop("secret", "A", "2020-05-01"), facet=2)
    r4.put(stop("now", "C", "2024-01-01", end="2025-01-01", stopped=False), facet=1)
    return r4


PERIOD_NOW, LATEST_STOP = ("period-of-use", "ge2024-01-01"), ("is-latest-stop", "true")


@pytest.mark.parametrize(
    ("pairs", "seen", "expected"),
    [
        ([PERIOD_NOW], [1], ["now"]),
        ([PERIOD_NOW, LATEST_STOP], [1],
         ["last", "schedule", "other", "alone", "alone-too", "now"]),
        ([PERIOD_NOW, LATEST_STOP], [1, 2],
         ["schedule", "other", "alone", "alone-too", "secret", "now"]),
        ([LATEST_STOP, PERIOD_NOW, ("category", WDS)], [1], ["schedule"]),
        ([PERIOD_NOW, LATEST_STOP, ("pharmaceutical-treatment-identifier", "urn:oid:1|A")], [1],
         ["last", "schedule"]),
        ([PERIOD_NOW, ("is-latest-stop", "false")], [1], ["now"]),
        ([LATEST_STOP, ("category", WDS)], [1], ["schedule"]),
    ],
)  # fmt: skip
def test_the_latest_stop_of_each_treatment_comes_along_among_what_is_seen(
    treatments, only, pairs, seen, expected
):
    assert treatments.ask("MedicationRequest", *pairs, visible=only(seen)) == expected


def test_of_two_stops_of_one_moment_the_later_arrival_counts(r4):
    r4.put(stop("a", "A", "2020-01-05"), stop("b", "A", "2020-01-05"))
    assert r4.ask("MedicationRequest", PERIOD_NOW, LATEST_STOP) == ["b"]


def test_a_dispense_is_agreed_when_it_says_so(r4):
    def agreement(id_, agreed):
        tree = stop(id_, "A", "x") | {"resourceType": "MedicationDispense"}
        del tree["authoredOn"]
        url = f"{NICTIZ}ext-AdministrationAgreement.AdministrationAgreementDateTime"
        tree["extension"].append({"url": url, "valueDateTime": agreed})
        tree["category"] = tree["category"][0]
        return tree

    r4.put(agreement("late", "2020-03-01"), agreement("early", "2020-02-01"))
    assert r4.ask("MedicationDispense", PERIOD_NOW, LATEST_STOP) == ["late"]


@pytest.mark.parametrize(
    ("type_", "name", "value"),
    [("MedicationRequest", "is-latest-stop:missing", "true"),
     ("MedicationRequest", "is-latest-stop", "yes"),
     ("MedicationRequest", "_sort", "is-latest-stop"),
     ("Patient", "_has:MedicationRequest:patient:is-latest-stop", "true"),
     ("Location", "near", "52|5|1|km")],
)  # fmt: skip
def test_what_means_nothing_is_refused(r4, type_, name, value):
    with pytest.raises(errors.BadRequest) as caught:
        r4.ask(type_, (name, value))
    assert caught.value.status == 400
    assert caught.value.place == name
