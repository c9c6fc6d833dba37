"""Every search that the specification names for a service, over one dossier with all of it.

For each: exactly the matches and exactly what goes along, in JSON and in XML, and the general rules
for every answer of an exchange service. Then what a service must refuse, for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from lxml import etree

from pgo.medmij.services import catalogue

from .conftest import SCT, VERSION
from .stu3_dossier import ACT, BSN, DOSSIER, LOINC, ME, NHG, OBSERVED, PRK, USE, code, made, to

LASTN = "Observation/$lastn"
PARTS = "_include=Observation:related-target&_include=Observation:specimen"
LAB = f"category={SCT}|275711006&{PARTS}"
MA = f"MedicationRequest?category={SCT}|16076005"
VV = f"MedicationRequest?category={SCT}|52711000146108"
TA = f"MedicationDispense?category={SCT}|422037009"
MVE = f"MedicationDispense?category={SCT}|373784005"
MGB = f"MedicationStatement?category={USE}|6"
BOTH = f"{TA},{SCT}|373784005"
PLAN = (
    "CarePlan?_include=CarePlan:activity-goal:Goal"
    "&_include=CarePlan:activity-outcomereference:Observation"
    "&_include=CarePlan:activity-medicaldevice:DeviceUseStatement"
    "&_include:recurse=DeviceUseStatement:device:Device"
)
PATIENT = ("Patient?_include=Patient:general-practitioner", "p + gp")
TREATMENT = (f"Consent?category={SCT}|11291000146105", "treat")
WILL = (f"Consent?category={SCT}|11341000146107", "will")
INSURED = (
    "Coverage?_include=Coverage:payor:Patient&_include=Coverage:payor:Organization",
    "insured + insurer",
)
RESULTS = (f"{LASTN}?{LAB}", "lab-new + lab-part blood")
HOME = (f"{LASTN}?code={SCT}|365508006", "home")
HABITS = tuple(
    (f"Observation?code={SCT}|{number}", name)
    for number, name in (("228366006", "drugs"), ("228273003", "drink"), ("365980008", "smoke"))
)


def with_drug(path: str, more: str = "") -> str:
    """The search and its medicine, as it is always asked."""
    return f"{path}{more}&_include={path.partition('?')[0]}:medication"


# Service → (address below the base, ids of the matches + ids of what goes along).
ASKED: dict[str, tuple[tuple[str, str], ...]] = {
    "31": (
        (with_drug(MA), "ma ma-old + paracetamol"),
        (with_drug(VV), "vv + paracetamol"),
        (with_drug(TA), "ta + paracetamol"),
        (with_drug(MVE), "mve + paracetamol"),
        (with_drug(MGB), "mgb + paracetamol"),
        (with_drug(BOTH), "ta mve + paracetamol"),
        (with_drug(MA, "&periodofuse=ge2025-01-01"), "ma + paracetamol"),
        (with_drug(MA, "&periodofuse=le2025-01-01"), "ma-old + paracetamol"),
        (with_drug(MA, "&periodofuse=ge2024-06&periodofuse=le2024-06"), "ma-old + paracetamol"),
        (with_drug(MA, "&periodofuse=gt2026-12-31"), ""),
        (with_drug(TA, "&periodofuse=ge2026-02-01"), "ta + paracetamol"),
        (with_drug(MA, "&identifier=urn:oid:1.2.4|ma"), "ma + paracetamol"),
        (with_drug(MA, "&identifier=urn:oid:1.2.5|ma"), ""),
        (with_drug(MGB, "&medicationtreatment=urn:oid:1.2.3|MBH-mgb"), "mgb + paracetamol"),
        (with_drug(MGB, "&medicationtreatment=urn:oid:1.2.3|MBH-ma"), ""),
        (with_drug(VV, f"&medication.code={PRK}|3956"), "vv + paracetamol"),
        (with_drug(VV, f"&medication.code={PRK}|1"), ""),
        (with_drug(MVE, "&whenhandedover=ge2026-01-05"), "mve + paracetamol"),
        (with_drug(MVE, "&whenhandedover=ge2026-01-06"), ""),
        (with_drug(MVE, "&whenhandedover=lt2026-01-05"), ""),
    ),
    "46": ((f"Observation?category={SCT}|49581000146104", "lab46"),),
    "48": (
        PATIENT, INSURED, TREATMENT, WILL, RESULTS, HOME, *HABITS,
        (f"{LASTN}?category={SCT}|118228005,{SCT}|384821006", "walk mood"),
        (f"{LASTN}?code={LOINC}|85354-9", "bp-new"),
        (f"{LASTN}?code={LOINC}|29463-7", "weight"),
        (f"{LASTN}?code={LOINC}|8302-2,{LOINC}|8306-3,{LOINC}|8308-9", "height lying standing"),
        ("Condition", "problem"), ("NutritionOrder", "diet"), ("Flag", "alert"),
        ("AllergyIntolerance", "drug nuts"),
        (with_drug(MGB), "mgb + paracetamol"),
        (with_drug(MA), "ma ma-old + paracetamol"),
        (with_drug(TA), "ta + paracetamol"),
        ("DeviceUseStatement?_include=DeviceUseStatement:device", "wheels + chair"),
        ("Immunization?status=completed", "jab"),
        (f"Procedure?category={SCT}|387713003", "surgery"),
        (f"Encounter?class={ACT}|IMP,{ACT}|ACUTE,{ACT}|NONAC", "stay acute other"),
        ("ProcedureRequest?status=active", "planned"),
        ("ImmunizationRecommendation", "advice"),
        ("DeviceRequest?status=active&_include=DeviceRequest:device", "wanted + chair"),
        ("Appointment?status=booked,pending,proposed", "booked pending"),
    ),
    "49": (
        PATIENT, ("EpisodeOfCare", "episode"), ("Encounter", "stay acute other clinic"),
        ("AllergyIntolerance?category=medication", "drug"),
        (f"Composition?type={LOINC}|67781-5", "visit"),
        (with_drug(MA, "&periodofuse=ge2026-03-31"), "ma + paracetamol"),
        (f"Observation?code={NHG}|", "nhg-old nhg-new"),
        (f"Observation?code={NHG}|&{PARTS}&date=ge2025-03-31", "nhg-new"),
    ),
    "50": (
        PATIENT, INSURED, TREATMENT, WILL, RESULTS, HOME, *HABITS,
        (f"Observation?category={OBSERVED}|survey", "survey"),
        (f"Observation?category={SCT}|118228005,{SCT}|384821006", "walk mood"),
        (f"Observation?code={SCT}|314845004", "ggz-a"),
        (f"Observation?code={SCT}|365470003", "ggz-b"),
        ("Condition", "problem"), ("DiagnosticReport", "report"), ("Procedure", "surgery talk"),
        ("CareTeam?_include=CareTeam:participant", "team + gp"),
        (f"CarePlan?category={SCT}|243114000", "help"),
    ),
    "51": (
        ("DocumentReference?status=current", "document"),
        ("DocumentReference?status=current&indexed=ge2026-01-02&indexed=le2026-01-02", "document"),
        ("DocumentReference?status=current&indexed=ge2026-01-03&indexed=le2026-02-01", ""),
        ("DocumentManifest?status=current", "manifest"),
        ("DocumentManifest?status=current&created=ge2026-01-01&created=le2026-01-02", "manifest"),
        ("DocumentManifest?status=current&created=ge2026-01-03&created=le2026-02-01", ""),
    ),
    "52": (
        (f"Observation?code={LOINC}|85354-9", "bp-old bp-new"),
        (f"{LASTN}?code={LOINC}|85354-9", "bp-new"),
        (f"Observation?code={LOINC}|85354-9&date=ge2026-01-15&date=le2026-02-15", "bp-new"),
        (f"Observation?code={LOINC}|29463-7,{LOINC}|8302-2&date=ge2026-03-01", "weight height"),
        (f"Observation?code={LOINC}|8310-5", "warm"),
        (f"{LASTN}?code={SCT}|422834003", "breath"),
        (f"Observation?category={OBSERVED}|vital-signs", "vital"),
        ("Observation?category=vital-signs", "vital"),
    ),
    "54": (("AllergyIntolerance", "drug nuts"),),
    "58": (("AllergyIntolerance?category=medication", "drug"),),
    "59": ((f"Task?code={LOINC}|74468-0&status=requested", "ask"),),
    "61": (
        PATIENT, TREATMENT, WILL, RESULTS, ("Condition", "problem"),
        ("AllergyIntolerance", "drug nuts"), ("Procedure", "surgery talk"),
        (PLAN, "help plan + dress walk wheels chair"),
        ("CareTeam?_include=CareTeam:participant", "team + gp"),
    ),
    "eafspraak": (
        ("Appointment?date=ge2026-04-02", "pending cancelled"),
        ("Appointment?date=ge2026-04-01&date=le2026-04-02", "booked pending"),
    ),
}  # fmt: skip
ASKED["35"] = ASKED["31"]
GIVEN = {"system": "http://hl7.org/fhir/sid/cvx", "code": "140", "display": "griepprik"}
R4 = (
    made("Patient", "p", identifier=[BSN], name=[{"family": "Berg"}]),
    made("Practitioner", "nurse", name=[{"family": "Bos"}]),
    made("Practitioner", "loose-x", name=[{"family": "Vreemd"}]),
    made("Location", "surgery", name="Praktijk"),
    made("Immunization", "jab", status="completed", patient=ME, vaccineCode={"coding": [GIVEN]},
         occurrenceDateTime="2026-01-01", location=to("Location/surgery"),
         performer=[{"actor": to("Practitioner/nurse")}]),
    made("Goal", "dress", lifecycleStatus="active", subject=ME, description={"text": "Kleden"}),
    made("DeviceUseStatement", "aid", status="active", subject=ME, device=to("Device/stick"),
         reasonReference=[to("Goal/dress")]),
    made("Device", "stick", type=code("228869008")),
    made("Observation", "asa", status="final", code=code("413347006"), subject=ME),
    made("Observation", "other-x", status="final", code=code("1"), subject=ME),
    made("Coverage", "insured", status="active", beneficiary=ME, payor=[to("Organization/o")]),
    made("Organization", "o", name="De Zekerheid"),
    made("Encounter", "seen", status="finished", subject=ME,
         **{"class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                      "code": "AMB", "display": "poli"}}),
)  # fmt: skip
JABS = "Immunization?_include=Immunization:patient&_include=Immunization:performer"
ASKED_R4: dict[str, tuple[tuple[str, str], ...]] = {
    "63": (
        ("Immunization", "jab"),
        (f"{JABS}&_include=Immunization:location", "jab + p nurse surgery"),
    ),
    "900000101": (("Patient", "p"),),
    "900000103": (("Goal", "dress + aid"),),
    "900000107": ((f"Observation?code={SCT}|413347006", "asa"),),
    "900000110": (("Coverage", "insured"),),
    "900000111": (("Encounter", "seen"),),
}
GRANULAR = {
    "900000401": (f"Observation?code={LOINC}|85354-9", "bp-old bp-new"),
    "900000402": (f"Observation?code={LOINC}|8302-2", "height"),
    "900000403": (f"Observation?code={LOINC}|29463-7", "weight"),
    "900000404": ("Flag", "alert"),
    "900000405": ("NutritionOrder", "diet"),
    "900000406": (f"Observation?code={SCT}|365508006", "home"),
    "900000407": ("Coverage", "insured"),
    "900000409": (f"Observation?code={LOINC}|8310-5", "warm"),
    "900000410": (f"Observation?code={SCT}|364396009", "fluid"),
    "900000412": (f"Observation?code={LOINC}|8893-0", "pulse"),
    "dagrapportage": (f"Observation?code={SCT}|11591000146107", "daily"),
    "900000411": (f"Observation?code={SCT}|422834003", "breath"),
}
ALL = [("stu3", service, asked) for service, asked in ASKED.items()]
ALL += [("stu3", service, (one,)) for service, one in GRANULAR.items()]
ALL += [("r4", service, asked) for service, asked in ASKED_R4.items()]
EACH = pytest.mark.parametrize(("release", "service", "asked"), ALL, ids=[one[1] for one in ALL])


async def fill(exchange: Any, release: str) -> None:
    """Everything of a release in the dossier."""
    await exchange.bring(release, *(DOSSIER if release == "stu3" else R4))


def split(expected: str) -> tuple[set[str], set[str]]:
    matches, _, along = expected.partition("+")
    return set(matches.split()), set(along.split())


def seen(bundle: dict[str, Any]) -> tuple[set[str], set[str]]:
    """Ids of the matches, and of what goes along."""
    found: tuple[set[str], set[str]] = (set(), set())
    for entry in bundle.get("entry", ()):
        found[entry["search"]["mode"] != "match"].add(entry["resource"]["id"])
    return found


# --- the general rules ---------------------------------------------------------------------------


def parts(tree: Any, name: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every object in a tree, and the member it is in."""
    if isinstance(tree, dict):
        yield name, tree
        for key, value in tree.items():
            yield from parts(value, key)
    elif isinstance(tree, list):
        for one in tree:
            yield from parts(one, name)


def broken(bundle: dict[str, Any], address: str) -> set[str]:
    """Which of the general rules an answer breaks."""
    entries = bundle.get("entry", [])
    resources = [entry["resource"] for entry in entries]
    links = {link["relation"]: link["url"] for link in bundle["link"]}
    matches = sum(entry["search"]["mode"] == "match" for entry in entries)
    rules = {
        "a searchset": (bundle["resourceType"], bundle["type"]) == ("Bundle", "searchset"),
        "each has an id": all(one.get("id") for one in resources),
        "each has a profile": all(one.get("meta", {}).get("profile") for one in resources),
        "fullUrl is absolute": all(re.match(r"https?://|urn:", one["fullUrl"]) for one in entries),
        "fullUrl ends with the id": all(
            one["fullUrl"].endswith(f"/{one['resource']['id']}") for one in entries
        ),
        "total counts matches": bundle["total"] <= matches,
        "self repeats the question": links.get("self", "").endswith(address),
        "no BSN in links": not any("NamingSystem/bsn" in url for url in links.values()),
    }
    told = {rule for rule, holds in rules.items() if not holds}
    for name, part in parts(resources):
        told |= set(_broken_in(name, part))
    return told


def _broken_in(name: str, part: dict[str, Any]) -> Iterator[str]:
    if name in {"coding", "class"} and not {"system", "code"} <= set(part):
        yield "a Coding has a system and a code"
    if str(part.get("system", "")).startswith("urn:oid:2.16.840.1.113883.2.4.3.11.60.40.2"):
        yield "no value set as a system"
    codings = part.get("coding")
    if codings is not None and not (
        any("display" in one for one in codings) or {"text", "extension"} & set(part)
    ):
        yield "a CodeableConcept has words"
    if isinstance(part.get("reference"), str) and not {"display", "extension"} & set(part):
        yield "a Reference has words"
    if name == "identifier":
        masked = "extension" in part.get("_value", {})
        if not ({"system", "type"} & set(part) and ("value" in part or masked)):
            yield "an Identifier has a system or type, and a value"
        if part.get("system") == BSN["system"] and "value" in part:
            yield "no BSN"


@EACH
async def test_each_search_of_the_specification_finds_exactly_that(
    exchange, release, service, asked
):
    await fill(exchange, release)
    for path, expected in asked:
        answer = await exchange.ask(service, path, release)
        assert answer.status_code == 200, (path, answer.text)
        bundle = answer.json()
        assert (path, seen(bundle)) == (path, split(expected))
        assert bundle["total"] == len(split(expected)[0])
        assert (path, broken(bundle, path)) == (path, set())
        xml = f"application/fhir+xml; fhirVersion={VERSION[release]}"
        root = etree.fromstring((await exchange.ask(service, path, release, Accept=xml)).content)
        ids = root.findall("{*}entry/{*}resource/{*}*/{*}id")
        assert {one.get("value") for one in ids} == set.union(*seen(bundle))


async def test_a_rule_that_is_broken_is_noticed(exchange):
    await fill(exchange, "stu3")
    bundle = (await exchange.ask("61", "Condition")).json()
    resource = bundle["entry"][0]["resource"]
    del resource["meta"]["profile"], resource["subject"]["display"]
    resource["identifier"] = [BSN]
    resource["code"] = {"coding": [{"code": "1"}]}
    bundle["total"], bundle["link"] = 2, []
    assert broken(bundle, "Condition") == {
        "a Coding has a system and a code",
        "a CodeableConcept has words",
        "a Reference has words",
        "each has a profile",
        "no BSN",
        "self repeats the question",
        "total counts matches",
    }


# --- what a service refuses ----------------------------------------------------------------------


def wrong(path: str) -> Iterator[tuple[str, int]]:
    """Changes of a good search that make it a wrong one, and the status of the answer."""
    type_, _, query = path.partition("?")
    joined = f"{path}{'&' if query else '?'}"
    for more in (
        *("patient=Patient/p", "subject=Patient/p", "patient.identifier=1", "subject:Patient=p"),
        *("_id=p", "zzz=1", "_has:Provenance:target:agent=1", "_revinclude=Provenance:target"),
        *("_include=*", "_include=Observation:encounter", "_text=a", "_content=a", "_list=a"),
        *("_count=-1", "_sort=zzz", "_total=zzz", "_summary=zzz", "_filter=a", "_query=a"),
    ):
        yield joined + more, 400
    name, _, value = query.partition("&")[0].partition("=")
    if value and name != "date" and not name.startswith("_"):  # a code that must be given
        rest = query.partition("&")[2]
        yield f"{type_}?{name}=http://example.org|x&{rest}".rstrip("&"), 400
        yield f"{type_}?{name}={value},http://example.org|x&{rest}".rstrip("&"), 400
        yield f"{type_}?{name}:not={value}&{rest}".rstrip("&"), 400
        yield f"{type_}?{rest}".rstrip("?"), 400
    yield "Provenance", 404
    yield "Kat", 404
    yield f"{type_.partition('/')[0]}/nobody", 404


@EACH
async def test_a_wrong_search_is_refused_with_its_place_and_shows_nothing(
    exchange, release, service, asked
):
    await fill(exchange, release)
    shown = {one["id"] for one in (DOSSIER if release == "stu3" else R4)}
    for path, _ in (asked[0], asked[-1]):
        for bad, status in wrong(path):
            answer = await exchange.ask(service, bad, release)
            found = answer.json()
            assert (bad, answer.status_code) == (bad, status), answer.text
            assert found["resourceType"] == "OperationOutcome"
            assert "zzz" not in found["issue"][0]["diagnostics"]
            ids = {part["id"] for _, part in parts(found) if "id" in part}
            assert not ids & shown


@pytest.mark.parametrize("service", ASKED)
async def test_a_request_without_its_marks_or_for_another_release_is_refused(exchange, service):
    path = ASKED[service][0][0]
    for more, status in (
        ({"Authorization": ""}, 401),
        ({"MedMij_Request_ID": ""}, 400),
        ({"X_Correlation_ID": ""}, 400),
        ({"Accept": "application/fhir+json; fhirVersion=4.0"}, 400),
        ({"Authorization": f"Bearer {await exchange.token('eafspraak')}"}, 403),
    ):
        if service == "eafspraak" and status == 403:
            continue
        answer = await exchange.ask(service, path, **more)
        assert (more, answer.status_code) == (more, status)
        assert "entry" not in answer.json()


@pytest.mark.parametrize("service", ASKED)
async def test_what_no_search_of_a_service_finds_is_not_read_there_either(exchange, service):
    await fill(exchange, "stu3")
    for one in DOSSIER:
        if one["id"].endswith("-x"):
            answer = await exchange.ask(service, f"{one['resourceType']}/{one['id']}")
            assert answer.status_code == 404, one["id"]


def test_no_service_of_the_specification_is_left_out():
    there = {
        one.id for offered in catalogue().offered.values() for one in offered.by_release.values()
    }
    bundles = {"zorgplan", "medicatie", "uitslagen", "zorgplan-r4"}
    replayed = {"mp9-3.0", "lab-r4"}
    asked = {"35", *ASKED, *ASKED_R4, *GRANULAR}
    assert there - bundles - replayed <= asked
