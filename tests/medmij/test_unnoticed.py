"""What the official requests do not notice when it is wrong, each noticed here."""

from __future__ import annotations

import pytest

from .conftest import SCT, concept, names, observation

ACT = "http://hl7.org/fhir/v3/ActCode"
LOINC = "http://loinc.org"
MEDICINE = {"reference": "Medication/m"}
DISPENSE = {
    "resourceType": "MedicationDispense",
    "status": "completed",
    "subject": {"reference": "Patient/p"},
    "medicationReference": MEDICINE,
}
REQUESTED = "http://nictiz.nl/fhir/StructureDefinition/zib-Dispense-RequestDate"


def encounter(id_, code):
    made = {"resourceType": "Encounter", "id": id_, "status": "finished"}
    return {**made, "class": {"system": ACT, "code": code}, "subject": {"reference": "Patient/p"}}


async def test_class_of_an_encounter_counts(exchange):
    await exchange.bring("stu3", *(encounter(code, code) for code in ("IMP", "ACUTE", "AMB")))
    both = f"Encounter?class={ACT}|IMP,{ACT}|ACUTE"
    assert await exchange.ids("48", f"Encounter?class={ACT}|IMP") == ["Encounter/IMP"]
    assert await exchange.ids("48", both) == ["Encounter/IMP", "Encounter/ACUTE"]
    for path in ("Encounter", f"Encounter?class={ACT}|AMB", "Encounter/AMB"):
        assert (await exchange.ask("48", path)).status_code in {400, 404}


async def test_type_of_a_composition_counts(exchange):
    made = {"resourceType": "Composition", "status": "final", "date": "2026-01-01T10:00:00+01:00"}
    made |= {"subject": {"reference": "Patient/p"}, "author": [{"reference": "Practitioner/a"}]}
    made |= {"title": "Verslag"}
    letter = {**made, "id": "letter", "type": concept("18842-5", LOINC)}
    visit = {**made, "id": "visit", "type": concept("67781-5", LOINC)}
    await exchange.bring("stu3", letter, visit)
    assert await exchange.ids("49", f"Composition?type={LOINC}|67781-5") == ["Composition/visit"]
    assert (await exchange.ask("49", f"Composition?type={LOINC}|18842-5")).status_code == 400


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("gt2026-03-02", {"after"}),
        ("ge2026-03-02", {"on", "after"}),
        ("lt2026-03-02", {"before"}),
        ("le2026-03-02", {"before", "on"}),
        ("2026-03-02", {"on"}),
        ("ne2026-03-02", {"before", "after"}),
        ("sa2026-03-02", {"after"}),
        ("eb2026-03-02", {"before"}),
    ],
)
async def test_after_is_not_from_and_before_is_not_until(exchange, prefix, found):
    category = concept("373784005")
    days = {"before": "2026-03-01", "on": "2026-03-02", "after": "2026-03-03"}
    await exchange.bring(
        "stu3",
        *(
            {**DISPENSE, "id": id_, "category": category, "whenHandedOver": f"{day}T12:00:00+01:00"}
            for id_, day in days.items()
        ),
        {"resourceType": "Medication", "id": "m"},
    )
    base = f"MedicationDispense?category={SCT}|373784005&_include=MedicationDispense:medication"
    bundle = (await exchange.ask("31", f"{base}&whenhandedover={prefix}")).json()
    matches = {one for one in names(bundle) if one.startswith("MedicationDispense")}
    assert matches == {f"MedicationDispense/{id_}" for id_ in found}
    assert bundle["total"] == len(found)


async def test_date_of_request_and_day_of_delivery_are_two_things(exchange):
    early, late = "2026-01-01T12:00:00+01:00", "2026-02-01T12:00:00+01:00"
    made = {**DISPENSE, "category": concept("373784005")}
    asked = {**made, "id": "asked", "whenHandedOver": late}
    asked["extension"] = [{"url": REQUESTED, "valueDateTime": early}]
    given = {**made, "id": "given", "whenHandedOver": early}
    given["extension"] = [{"url": REQUESTED, "valueDateTime": late}]
    await exchange.bring("stu3", asked, given)
    base = f"MedicationDispense?category={SCT}|373784005"
    assert await exchange.ids("31", f"{base}&requestdate=lt2026-01-15") == [
        "MedicationDispense/asked"
    ]
    assert await exchange.ids("31", f"{base}&whenhandedover=lt2026-01-15") == [
        "MedicationDispense/given"
    ]


async def test_days_are_days_in_the_netherlands(exchange):
    late = observation("late", effectiveDateTime="2026-06-30T22:30:00Z")
    early = observation("early", effectiveDateTime="2026-07-01T23:30:00+02:00")
    for one in (late, early):
        one["code"] = concept("85354-9", LOINC)
    await exchange.bring("stu3", late, early)
    base = f"Observation?code={LOINC}|85354-9"
    both = ["Observation/late", "Observation/early"]
    assert await exchange.ids("52", f"{base}&date=2026-07-01") == both
    assert await exchange.ids("52", f"{base}&date=ge2026-07-01&date=le2026-07-01") == both
    assert await exchange.ids("52", f"{base}&date=2026-06-30") == []
    assert await exchange.ids("52", f"{base}&date=lt2026-07-01T00:45:00%2B02:00") == both[:1]


async def test_a_searchset_has_one_order_also_over_pages(exchange):
    visits = [
        {
            "resourceType": "Appointment",
            "id": f"v{n}",
            "status": "booked",
            "start": f"2026-04-{20 - n:02}T10:00:00+02:00",
            "end": f"2026-04-{20 - n:02}T10:30:00+02:00",
            "participant": [{"actor": {"reference": "Patient/p"}, "status": "accepted"}],
        }
        for n in range(7)
    ]
    await exchange.bring("stu3", *visits)
    arrived = [f"Appointment/v{n}" for n in range(7)]
    assert await exchange.ids("eafspraak", "Appointment") == arrived
    assert await exchange.ids("eafspraak", "Appointment?_sort=date") == arrived[::-1]
    assert await exchange.ids("eafspraak", "Appointment?_sort=-date") == arrived
    paged, path = [], "Appointment?_sort=date&_count=3"
    while path:
        bundle = (await exchange.ask("eafspraak", path)).json()
        paged += names(bundle)
        following = [one["url"] for one in bundle["link"] if one["relation"] == "next"]
        path = following[0].partition("/fhir/")[2] if following else ""
    assert paged == arrived[::-1]


async def test_an_empty_code_stands_for_every_code_of_its_system_and_no_other(exchange):
    table = "https://referentiemodel.nhg.org/tabellen/nhg-tabel-45-diagnostische-bepalingen"
    made = [("nhg", table), ("loinc", LOINC), ("older", f"{table}-oud")]
    await exchange.bring(
        "stu3", *(observation(id_, code=concept("523", system)) for id_, system in made)
    )
    assert await exchange.ids("49", f"Observation?code={table}|") == ["Observation/nhg"]
    assert await exchange.ids("49", f"Observation?code={table}|523") == ["Observation/nhg"]
    assert await exchange.ids("49", f"Observation?code={table}|1") == []


async def test_a_release_does_not_show_what_came_in_as_the_other(exchange):
    await exchange.bring("r4", encounter("r4", "IMP"))
    await exchange.bring("stu3", encounter("stu3", "IMP"))
    assert await exchange.ids("900000111", "Encounter", "r4") == ["Encounter/r4"]
    assert await exchange.ids("48", f"Encounter?class={ACT}|IMP") == ["Encounter/stu3"]
