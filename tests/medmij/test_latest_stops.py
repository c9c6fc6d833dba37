"""$latest-stops: what is in use, and per treatment the latest stop, also when it is over."""

from __future__ import annotations

import pytest

from .conftest import SCT, concept, names

NICTIZ = "http://nictiz.nl/fhir/StructureDefinition/"
OID = "urn:oid:1.2.3"


def agreement(
    id_, treatment, start, end="", *, stop=False, agreed="2026-01-01", category="33633005"
):
    period = {"start": start, **({"end": end} if end else {})}
    extension = [
        {"url": f"{NICTIZ}ext-TimeInterval.Period", "valuePeriod": period},
        {
            "url": f"{NICTIZ}ext-PharmaceuticalTreatment.Identifier",
            "valueIdentifier": {"system": OID, "value": treatment},
        },
    ]
    made = {"resourceType": "MedicationRequest", "id": id_, "status": "active", "intent": "order"}
    made |= {"category": [concept(category)], "extension": extension, "authoredOn": agreed}
    if stop:
        kind = {"url": f"{NICTIZ}ext-StopType", "valueCodeableConcept": concept("410546004")}
        made["modifierExtension"] = [kind]
    return made | {
        "subject": {"reference": "Patient/p"},
        "medicationReference": {"reference": "Medication/m"},
    }


@pytest.fixture
async def filled(exchange):
    await exchange.bring(
        "r4",
        {"resourceType": "Medication", "id": "m", "code": {"text": "Pil"}},
        agreement("used", "A", "2026-01-01"),
        agreement("over", "B", "2025-01-01", "2025-02-01"),
        agreement("stop-old", "B", "2025-01-01", "2025-03-01", stop=True, agreed="2025-03-01"),
        agreement("stop-new", "B", "2025-01-01", "2025-04-01", stop=True, agreed="2025-04-01"),
        agreement("coming", "C", "2026-06-01"),
        agreement("schedule", "B", "2025-01-01", "2025-05-01", stop=True, category="395067002"),
        agreement("asked", "A", "2026-01-01", category="52711000146108"),
    )
    return exchange


async def asked(filled, query=""):
    return {
        name.partition("/")[2]
        for name in await filled.ids("mp9-3.0", f"MedicationRequest/$latest-stops{query}", "r4")
    }


async def test_what_is_in_use_or_to_come_and_the_latest_stops_are_given(filled):
    assert await asked(filled) == {"used", "coming", "stop-new", "schedule"}


async def test_a_stop_says_itself_that_it_is_one(filled):
    answer = await filled.ask(
        "mp9-3.0", "MedicationRequest/$latest-stops?mbh=urn:oid:1.2.3|B", "r4"
    )
    stops = [entry["resource"] for entry in answer.json()["entry"]]
    assert all(one["modifierExtension"][0]["url"].endswith("ext-StopType") for one in stops)


async def test_a_stop_that_is_not_understood_takes_no_others_place(filled):
    stop = agreement("odd", "B", "2025-01-01", "2025-06-01", stop=True, agreed="2025-06-01")
    odd = {"url": "http://example.org/onbekend", "valueBoolean": True}
    stop["modifierExtension"].append(odd)
    await filled.bring("r4", stop)
    assert await asked(filled, f"?mbh={OID}|B") == {"stop-new", "schedule", "odd"}
    stop["modifierExtension"].remove(odd)
    await filled.bring("r4", stop)
    assert await asked(filled, f"?mbh={OID}|B") == {"odd", "schedule"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"?category={SCT}|395067002", {"schedule"}),
        (f"?category={SCT}|33633005", {"used", "coming", "stop-new"}),
        (f"?mbh={OID}|A", {"used"}),
        (f"?mbh={OID}|A&mbh={OID}|C", {"used", "coming"}),
        (f"?mbh={OID}|X", set()),
        ("?include-details=true", {"used", "coming", "stop-new", "schedule"}),
    ],
)
async def test_it_can_be_narrowed(filled, query, found):
    assert await asked(filled, query) == found


@pytest.mark.parametrize(
    ("query", "code"),
    [
        (f"?category={SCT}|52711000146108", "value"),
        ("?include-details=ja", "value"),
        ("?patient=p", "not-supported"),
        ("?_count=1", "not-supported"),
    ],
)
async def test_questions_that_are_wrong_are_named(filled, query, code):
    answer = await filled.ask("mp9-3.0", f"MedicationRequest/$latest-stops{query}", "r4")
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, code)


async def test_it_is_also_at_the_ordinary_address_of_r4_only(filled):
    headers = {"Authorization": f"Bearer {await filled.token(scope='patient/*.rs')}"}
    answer = await filled.http.get("/fhir/r4/MedicationRequest/$latest-stops", headers=headers)
    assert {name.partition("/")[2] for name in names(answer.json())} == await asked(filled)
    answer = await filled.http.get("/fhir/stu3/MedicationRequest/$latest-stops", headers=headers)
    assert answer.status_code == 404
    answer = await filled.http.get("/fhir/r4/MedicationStatement/$latest-stops", headers=headers)
    assert answer.status_code == 404
