"""What each exchange service answers and may contain: the catalogue itself, and what it refuses."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from pgo.consent.categories import SUPPORTING
from pgo.errors import BadValue, Missing, NotFound, Unsupported
from pgo.fhir.added import searches
from pgo.fhir.query import parse
from pgo.medmij.services import catalogue, read

QUERIES = Path(__file__).resolve().parents[2] / "../shared/data/nictiz/search-queries.txt"
KNOWN = searches(None)
OFFICIAL = [
    *("31", "35", "46", "48", "49", "50", "51", "52", "54", "58", "59", "61", "63"),
    *("mp9-3.0", "lab-r4", "eafspraak"),
    *(f"900000{n}" for n in (101, 103, 107, 110, 111)),
    *(f"900000{n}" for n in (*range(401, 408), *range(409, 413))),
]
STANDARDS = {
    "R4/Immunization-2-0": "63",
    "R4/MP9-3-0-0-beta": "mp9-3.0",
    "STU3/AllergyIntolerance-3-0": "54",
    "STU3/BgLZ-3-0": "61",
    "STU3/BgZ-3-0": "48",
    "STU3/GGZ-2-0": "50",
    "STU3/GenPractData-2-0": "49",
    "STU3/LaboratoryResults-2-0": "46",
    "STU3/Medication-9-0-7-test": "31",
    "STU3/Medication-9-0-7": "31",
    "STU3/PDFA-3-0": "51",
    "STU3/Questionnaires-2-0": "59",
    "STU3/SelfMeasurements-2-0": "52",
    "STU3/eAppointment-2-0": "eafspraak",
}
"""Official standards by the service that serves them; others are for other systems."""
FILLED = {
    "{date}": "2026-03-31",
    "{id}": "1",
    "{oid}": "urn:oid:1.2.3",
    "{code}": "3956",
    "ge{var}": "ge2026-03-31",
    "{var}": "urn:oid:1.2.3|1",
}

MINIMAL = """
[[service]]
id = "x"
name = "Een dienst"
plain = "Uw iets"
release = "r4"
searches = [{ type = "Observation", fixed = { code = ["a|1", "b|"] }, allowed = ["date"], include = ["Observation:subject"] }]
contains = ["Observation?code=a|1"]
linked = ["Patient"]
"""  # noqa: E501 - one line in the form of the catalogue


@pytest.mark.parametrize("id_", OFFICIAL)
def test_every_official_service_is_there(id_):
    assert catalogue().of(id_).by_release


def test_plain_names_bundle_both_releases():
    for name in ("zorgplan", "medicatie", "uitslagen"):
        assert set(catalogue().of(name).by_release) == {"r4", "stu3"}


def test_an_unknown_service_is_not_found():
    with pytest.raises(NotFound):
        catalogue().of("999")


def every_service():
    found = [one for offered in catalogue().offered.values() for one in offered.by_release.values()]
    return {(one.id, one.release): one for one in found}.values()


@pytest.mark.parametrize("service", every_service(), ids=lambda one: f"{one.id}-{one.release}")
def test_contents_and_searches_are_of_the_release(service):
    known = KNOWN[service.release]
    for content in service.contains:
        assert parse(service.release, content.type, content.pairs, parameters=known)
    for one in service.searches:
        if one.operation != "$latest-stops":
            given = [(name, ",".join(values)) for name, values in one.fixed.items()]
            given += [("_include", text) for text in one.include[:5]]
            assert parse(service.release, one.type, given, parameters=known)
        for name in one.allowed if one.operation != "$latest-stops" else ():
            assert name.partition(".")[0] in known.of(one.type), name


@pytest.mark.parametrize("service", every_service(), ids=lambda one: f"{one.id}-{one.release}")
def test_what_a_service_contains_by_itself_is_never_only_there_to_support(service):
    assert not {content.type for content in service.contains} & SUPPORTING


def test_names_are_short_and_words_for_people_are_no_names_of_types():
    for offered in catalogue().offered.values():
        assert 3 <= len(offered.name) <= 50
        assert offered.plain[0].isupper()
        assert not re.search(r"[a-z][A-Z]", offered.plain)


@pytest.mark.parametrize(
    ("pairs", "error", "place"),
    [
        ([("code", "a|1")], None, ""),
        ([("code", "a|1,b|2"), ("date", "ge2020")], None, ""),
        ([("code", "b|")], None, ""),
        ([("code", "a|1"), ("_count", "5"), ("_include", "Observation:subject")], None, ""),
        ([], Missing, "code"),
        ([("date", "2020")], Missing, "code"),
        ([("code", "a|2")], BadValue, "code"),
        ([("code", "a|1,c|1")], BadValue, "code"),
        ([("code", "a|1"), ("code", "c|1")], BadValue, "code"),
        ([("code:not", "a|1")], Unsupported, "code:not"),
        ([("code", "a|1"), ("patient", "1")], Unsupported, "patient"),
        ([("code", "a|1"), ("subject:Patient", "1")], Unsupported, "subject:Patient"),
        ([("code", "a|1"), ("patient.identifier", "1")], Unsupported, "patient.identifier"),
        ([("code", "a|1"), ("_id", "1")], Unsupported, "_id"),
        ([("code", "a|1"), ("_has:Provenance:target:agent", "1")], Unsupported, "_has"),
        ([("code", "a|1"), ("_revinclude", "Provenance:target")], Unsupported, "_revinclude"),
        ([("code", "a|1"), ("_include", "Observation:performer")], Unsupported, "_include"),
        ([("code", "a|1"), ("_include", "*")], Unsupported, "_include"),
        ([("code", "a|1"), ("_include:recurse", "Observation:subject")], Unsupported, "_include"),
    ],
)
def test_a_search_is_what_the_service_allows_or_it_is_told_what_is_wrong(pairs, error, place):
    service = read(MINIMAL).of("x").by_release["r4"]
    if error is None:
        assert service.search("Observation", "", pairs).type == "Observation"
        return
    with pytest.raises(error) as caught:
        service.search("Observation", "", pairs)
    assert caught.value.place.startswith(place)


@pytest.mark.parametrize(("type_", "operation"), [("Patient", ""), ("Observation", "$lastn")])
def test_other_types_and_operations_are_not_there(type_, operation):
    with pytest.raises(NotFound):
        read(MINIMAL).of("x").by_release["r4"].search(type_, operation, [])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"Patient"]', '"Patientt"]'),
        ('name = "Een dienst"', 'name = "X"'),
        ('release = "r4"', 'release = "r4"\nkleur = "rood"'),
        ("allowed", "alowed"),
        ('linked = ["Patient"]', 'linked = ["Patient"]\nreads = ["Goal"]'),
        ('linked = ["Patient"]', 'linked = ["Patient"]\naliases = ["x"]'),
        ('type = "Observation"', 'type = "Observation", operation = "$iets"'),
        ("[[service]]", "[[dienst]]"),
    ],
)
def test_a_catalogue_with_a_mistake_is_refused(old, new):
    assert old in MINIMAL
    with pytest.raises((ValueError, KeyError)):
        read(MINIMAL.replace(old, new, 1))


def official() -> list[tuple[str, str, str]]:
    """(service, address below the base, parameters) of every official MedMij search."""
    found, service = [], ""
    for line in QUERIES.read_text().splitlines() if QUERIES.exists() else ():
        if line.startswith("## "):
            standard, _, kind = line[3:].rpartition("/")
            service = STANDARDS.get(standard, "") if kind == "MedMij" else ""
            continue
        _, what, *rest = line.split(maxsplit=3)
        if service and what == "search" and rest and not rest[0].startswith("?"):
            found.append((service, rest[0], rest[1] if len(rest) > 1 else ""))
    return found


@pytest.mark.outside
@pytest.mark.skipif(not QUERIES.exists(), reason="no folder with outside test data")
def test_every_official_search_belongs_to_its_service_and_is_allowed():
    searched = official()
    assert len(searched) > 180
    refused = []
    for id_, type_, text in searched:
        for place, value in FILLED.items():
            text = text.replace(place, value)  # noqa: PLW2901 - filled in step by step
        path, _, query = text.partition("?")
        if path == "/$":
            continue
        (service,) = catalogue().of(id_).by_release.values()
        pairs = parse_qsl(query, keep_blank_values=True)
        try:
            service.search(type_, path.removeprefix("/"), pairs)
        except Exception as error:  # noqa: BLE001 - gathered, so that all are told at once
            refused.append((id_, type_, text, repr(error), getattr(error, "place", "")))
    assert not refused
