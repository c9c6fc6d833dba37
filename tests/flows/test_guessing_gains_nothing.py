"""Whoever may not see a value cannot halve his way to it, and what is hidden changes no answer.

Sam may read Anna's appointments, Nina may write them too. Every way to ask is an oracle: the whole
answer (status, header fields, body) is one observation. Anna, who may see it all, does find it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import orjson
import pytest

KEY = "raden"
PERMITS = [
    {"to_who": "sam", "categories": ["afspraken"]},
    {"to_who": "nina", "actions": ["lezen", "toevoegen", "wijzigen"], "categories": ["afspraken"]},
]
SECRET = 7.25
DRIFTING = {"date", "x-request-id", "content-length", "location", "content-location", "etag"}
RELEASES = ("r4", "stu3")
# What differs from one answer to the next, whatever is asked.
OWN = re.compile(
    rb'"id":"[0-9a-f-]{32,36}"|"(lastUpdated|timestamp|date)":"[^"]*"|_cursor=[^"&]+'
    rb"|Appointment/[0-9a-f-]{36}|urn:uuid:[0-9a-f-]{36}"
)
NUMBERS = (
    "Observation?value-quantity=gt{}",
    "Observation?value-quantity=gt{}&_summary=count",
    "Observation?value-quantity=gt{}&_total=accurate&_count=0",
    "Observation?component-value-quantity=gt{}",
    "Observation?_has:Provenance:target:_id=x&value-quantity=gt{}",
    "Patient?_has:Observation:patient:value-quantity=gt{}",
    "Patient?_has:Observation:subject:value-quantity=gt{}&_summary=count",
    "Practitioner?_has:Observation:performer:value-quantity=gt{}",
    "Appointment?_has:Observation:focus:value-quantity=gt{}",
    "Appointment?supporting-info:Observation.value-quantity=gt{}",
    "Appointment?supporting-info:Observation.value-quantity=gt{}&_sort=supporting-info",
    "Appointment?actor:Patient._has:Observation:patient:value-quantity=gt{}",
    "Appointment?patient:Patient._has:Observation:patient:value-quantity=gt{}",
    "Appointment?_filter=supporting-info.value-quantity gt {}",
    "Observation?_filter=value-quantity gt {}",
    "Observation?value-quantity=gt{}&_include=Observation:performer&_revinclude=Provenance:target",
    "Observation?value-quantity=gt{}|http://unitsofmeasure.org|mmol/l",
    "Observation?value-quantity=gt{}&onbekend=1",
    "Observation?value-quantity:missing={}",
    "Observation/_history?value-quantity=gt{}",
    "_history?value-quantity=gt{}",
    "Observation/$lastn?value-quantity=gt{}",
    "Patient/§/$everything?value-quantity=gt{}",
)
WORDS = (
    "Observation?_text={}",
    "Observation?_content={}",
    "Appointment?_content={}",
    "Patient?_content={}",
    "Patient?_text={}",
    "Practitioner?family={}",
    "Practitioner?name={}&_summary=count",
    "Practitioner?name:contains={}",
    "Observation?performer:Practitioner.family={}",
    "Appointment?supporting-info:Observation.performer:Practitioner.name={}",
    "Appointment?actor:Practitioner.family={}",
    "Patient?general-practitioner:Practitioner.family={}",
    "Patient?_has:Observation:patient:code={}",
    "Patient?_has:Observation:patient:_text={}",
    "Patient?address={}",
    "Patient?address-city:missing={}",
    "Patient?_sort=address-city&_content={}",
    "Observation?code:text={}",
    "Observation?code=http://loinc.org|{}",
    "Observation?_security={}",
    "Observation?_tag={}",
    "Observation?_source={}",
)
GUESSES = ("D", "Di", "Dicht", "Dx", "Zw", "Zwolle", "4548-4", "true", "Hemoglobine", "PSY")


def hidden(patient: str) -> list[dict[str, Any]]:
    """What Sam and Nina may not see; the same in both releases."""
    code = {"coding": [{"system": "http://loinc.org", "code": "4548-4"}], "text": "Hemoglobine"}
    return [
        {"resourceType": "Practitioner", "id": "dicht", "name": [{"family": "Dicht"}]},
        {
            "resourceType": "Observation",
            "id": "waarde",
            "meta": {"tag": [{"code": "PSY"}]},
            "status": "final",
            "code": code,
            "subject": {"reference": f"Patient/{patient}"},
            "performer": [{"reference": "Practitioner/dicht"}],
            "effectiveDateTime": "2026-02-01",
            "valueQuantity": {
                "value": SECRET,
                "unit": "mmol/l",
                "system": "http://unitsofmeasure.org",
                "code": "mmol/l",
            },
        },
        {
            "resourceType": "MedicationRequest",
            "id": "pil",
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{patient}"},
            "medicationCodeableConcept": {"text": "Geheimol"},
        },
    ]


def visit(id_: str, patient: str, minute: int) -> dict[str, Any]:
    """An appointment that points at what is hidden."""
    return {
        "resourceType": "Appointment",
        "id": id_,
        "status": "booked",
        "start": f"2026-03-01T10:{minute:02d}:00Z",
        "end": f"2026-03-01T11:{minute:02d}:00Z",
        "participant": [
            {"actor": {"reference": f"Patient/{patient}"}, "status": "accepted"},
        ],
        "supportingInformation": [{"reference": "Observation/waarde"}],
    }


@pytest.fixture(scope="session")
def anna(served):
    made = served.anna(KEY, PERMITS)
    patient = {
        "resourceType": "Patient",
        "id": made.patient,
        "name": [{"family": "Berg"}],
        "address": [{"city": "Zwolle"}],
    }
    visits = [visit(f"bezoek-{n}", made.patient, n) for n in range(3)]
    for release in RELEASES:
        served.brought(KEY, release, patient, *hidden(made.patient), *visits)
    return made


@pytest.fixture(params=["r4", pytest.param("stu3", marks=pytest.mark.long)])
def ask(request, served, anna) -> Iterator[Callable[..., httpx2.Response]]:
    """Ask as anna, sam or nina in one of the releases."""
    base = served.fhir(KEY, request.param)
    tokens = {name: served.token(anna.person(name), KEY) for name in ("anna", "sam", "nina")}
    with httpx2.Client(timeout=30) as http:

        def asked(name: str, address: str, method: str = "GET", **more: Any) -> httpx2.Response:
            head = {"Authorization": f"Bearer {tokens[name]}"} | more.pop("headers", {})
            url = f"{base}/{address.replace('§', anna.patient)}".rstrip("/")
            answer = http.request(method, url, headers=head, **more)
            assert answer.status_code < 500, answer.text
            return answer

        yield asked


def observed(answer: httpx2.Response, *guesses: object) -> tuple[Any, ...]:
    """All that an answer tells, apart from the guess itself and what drifts by itself."""
    body, fields = answer.content, sorted(answer.headers.items())
    said = OWN.sub(b"", body).decode()
    kept = [(name, value) for name, value in fields if name not in DRIFTING]
    for guess in sorted(map(str, guesses), key=len, reverse=True):
        escaped = httpx2.URL(f"http://x/?a={guess}").query.decode()[2:]
        said = said.replace(f"={guess}", "=*").replace(f"={escaped}", "=*")
        said = said.replace(f"gt{guess}", "gt*").replace(f"|{guess}", "|*")
        said = said.replace(f"%7C{guess}", "|*").replace(f"gt%20{guess}", "gt*")
        said = said.replace(f"gt+{guess}", "gt*").replace(f"gt {guess}", "gt*")
    return answer.status_code, kept, said


def halved(tell: Callable[[float], bool]) -> float:
    """What somebody believes after ten questions who reads each answer as above or not."""
    low, high = 0.0, 16.0
    for _ in range(10):
        middle = (low + high) / 2
        low, high = (middle, high) if tell(middle) else (low, middle)
    return low


@pytest.mark.parametrize("question", NUMBERS)
def test_halving_finds_no_hidden_number(question, ask):
    """Guesses on both sides of the value are one observation: not a single bit."""
    guesses = (0.5, 7, 7.25, 7.3, 16)
    said = {str(observed(ask("sam", question.format(guess)), guess)) for guess in guesses}
    assert len(said) == 1, question


def test_halving_finds_the_number_for_who_may_see_it(ask):
    """The attack itself works: the same questions lead Anna to her value."""

    def above(guess: float) -> bool:
        found = ask("anna", f"Patient?_has:Observation:patient:value-quantity=gt{guess}")
        return bool(found.json()["total"])

    assert abs(halved(above) - SECRET) < 0.02
    assert ask("anna", "Practitioner?family=Di").json()["total"] == 1
    assert ask("anna", "Patient?address=Zw").json()["total"] == 1

    def above_for_sam(guess: float) -> bool:
        found = ask("sam", f"Patient?_has:Observation:patient:value-quantity=gt{guess}")
        return bool(found.json()["total"])

    assert halved(above_for_sam) == 0


@pytest.mark.parametrize("question", WORDS)
def test_spelling_finds_no_hidden_word(question, ask):
    said = set()
    for guess in GUESSES:
        answer = ask("sam", question.format(guess))
        said.add((answer.status_code, answer.json().get("total"), b'"entry"' in answer.content))
    told = {one for one in said if one[0] == 200}
    assert len(told) <= 1, (question, said)
    assert not any(total for _, total, _ in told), question


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "search", "batch"])
def test_conditions_and_bundles_are_no_oracle_either(method, ask, anna):
    """A condition on a hidden value meets nothing, whatever is guessed."""
    said = set()
    for guess in (4, 7, 7.25, 8, 12):
        clause = f"supporting-info:Observation.value-quantity=gt{guess}"
        tree = {k: v for k, v in visit("", anna.patient, 30).items() if k != "id"}
        answer = _by_condition(ask, method, clause, tree)
        said.add(str(observed(answer, guess)))
        if answer.status_code == 201:
            made = answer.json()["id"]
            assert ask("nina", f"Appointment/{made}", "DELETE").status_code == 204
    assert len(said) == 1, said


def _by_condition(ask, method: str, clause: str, tree: dict[str, Any]) -> httpx2.Response:
    question = f"Appointment?{clause}"
    if method == "POST":
        return ask("nina", "Appointment", "POST", json=tree, headers={"If-None-Exist": clause})
    if method == "PUT":
        return ask("nina", question, "PUT", json=tree)
    if method == "PATCH":
        patch = orjson.dumps([{"op": "add", "path": "/language", "value": "nl"}])
        media = {"content-type": "application/json-patch+json"}
        return ask("nina", question, "PATCH", content=patch, headers=media)
    if method == "search":
        name, _, value = clause.partition("=")
        return ask("sam", "Appointment/_search", "POST", data={name: value})
    if method == "batch":
        entry = {"request": {"method": "GET", "url": question}}
        return ask("sam", "", "POST", json=_bundle(entry))
    return ask("nina", question, "DELETE")


def _bundle(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "batch", "entry": list(entries)}


SEEN = (
    "Appointment",
    "Appointment?_sort=-date&_count=2",
    "Appointment?_sort=supporting-info",
    "Appointment?_sort=_lastUpdated",
    "Appointment?_summary=count",
    "Appointment?_include=*&_include:iterate=*&_revinclude=*",
    "Appointment/bezoek-1",
    "Appointment/bezoek-1/_history",
    "Appointment/_history",
    "_history",
    "Observation",
    "Observation?_sort=-date",
    "Observation/$lastn?max=1",
    "Practitioner",
    "Patient",
    "Patient?_revinclude=Observation:patient",
    "Patient/§",
    "Patient/§/_history",
    "Patient/§/$everything",
    "Patient/§/$everything?_count=1",
    "Patient/§/$summary",
    "metadata",
)


def test_what_is_hidden_changes_no_answer(ask, anna):
    """Bundles, their ETag and Last-Modified too: the same before and after hidden changes."""
    before = {way: observed(ask("sam", way)) for way in SEEN}
    assert before["Appointment"][0] == 200
    new = hidden(anna.patient)[1] | {"id": "later", "performer": []}
    new["valueQuantity"] = new["valueQuantity"] | {"value": 9}
    new.pop("performer")
    steps = (
        lambda: ask("anna", "Observation/later", "PUT", json=new),
        lambda: ask("anna", "Observation/later", "PUT", json=new | {"status": "amended"}),
        lambda: ask("anna", "Observation/later", "DELETE"),
    )
    for step in steps:
        assert step().status_code in {200, 201, 204}
        for way, said in before.items():
            assert observed(ask("sam", way)) == said, way


def exported(ask, who: str) -> list[tuple[Any, ...]]:
    """All observations of a whole export: its steps, its list of files and each file."""
    started = ask(who, "$export", headers={"Prefer": "respond-async"})
    assert started.status_code == 202, started.text
    where = "$export" + started.headers["content-location"].partition("/$export")[2]
    for _ in range(200):
        answer = ask(who, where)
        if answer.status_code == 200:
            break
    job = where.partition("/")[2]
    listed = answer.json()
    names = [file["url"].partition("/$export")[2] for file in listed["output"]]
    files = [ask(who, f"$export{name}") for name in names]
    assert ask(who, where, "DELETE").status_code == 202
    told = str(observed(answer)).replace(job, "*")
    told = re.sub(r'"transactionTime":"[^"]*"|expires\', \'[^\']*\'', "", told)
    return [(told,), *(observed(file) for file in files)]


def test_an_export_is_the_same_whatever_is_hidden(ask, anna):
    before = exported(ask, "sam")
    assert len(before) > 1
    more = hidden(anna.patient)[1] | {"id": "in-een-uitvoer"}
    del more["performer"]
    assert ask("anna", "Observation/in-een-uitvoer", "PUT", json=more).status_code in {200, 201}
    assert exported(ask, "sam") == before
    assert ask("anna", "Observation/in-een-uitvoer", "DELETE").status_code == 204
    assert exported(ask, "sam") == before
    assert "in-een-uitvoer" not in str(before)
