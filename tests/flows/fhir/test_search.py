"""Search over HTTP: each kind of parameter, order, pages, totals, includes, and refusals."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import httpx2
import pytest

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def ids(answer: httpx2.Response, mode: str = "match") -> list[str]:
    """Type/id of the entries of a page."""
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return [
        f"{e['resource']['resourceType']}/{e['resource']['id']}"
        for e in entries
        if e["search"]["mode"] == mode
    ]


def link(answer: httpx2.Response, relation: str) -> str:
    """A link of a Bundle, or ""."""
    found = [one["url"] for one in answer.json()["link"] if one["relation"] == relation]
    assert len(found) <= 1
    return found[0] if found else ""


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_what_belongs_to_one_resource_is_searched_below_it(fresh, release):
    marjan, system = fresh.as_(release=release), fresh.system(release=release)
    person = {"resourceType": "Patient", "id": fresh.patient, "name": [{"family": "Zon"}]}
    doctor = {"resourceType": "Practitioner", "id": "d"}
    code = {"coding": [{"system": "http://loinc.org", "code": "8302-2"}]}
    mine = {"resourceType": "Observation", "status": "final", "code": code}
    mine["subject"] = fresh.subject()
    by_me = {**mine, "id": "by-me", "performer": [fresh.subject()]}
    by_doctor = {**mine, "id": "by-doctor", "performer": [{"reference": "Practitioner/d"}]}
    other = {**mine, "id": "other", "code": {"text": "x"}, "subject": {"reference": "Group/g"}}
    for tree in (person, doctor, mine | {"id": "mine"}, by_me, by_doctor, other):
        put = system.put(f"{tree['resourceType']}/{tree['id']}", json=tree)
        assert put.status_code in {200, 201}, put.text

    def found(path):
        return {name.partition("/")[2] for name in ids(marjan.get(path))}

    home = f"Patient/{fresh.patient}/Observation"
    assert found(home) == {"mine", "by-me", "by-doctor"}
    assert found(f"{home}?status=final&code=8302-2") == {"mine", "by-me", "by-doctor"}
    assert found(f"{home}?code=x") == set()
    assert found("Practitioner/d/Observation") == {"by-doctor"}
    assert found("Patient/nobody/Observation") == set()
    included = marjan.get(f"{home}?code=8302-2&_include=Observation:performer")
    assert ids(included, "include") == [f"Patient/{fresh.patient}", "Practitioner/d"]
    seen, page = [], marjan.get(f"{home}?_count=1&_sort=_id")
    assert urlsplit(link(page, "self")).path.endswith(f"/{home}")
    assert urlsplit(link(page, "self")).query == "_count=1&_sort=_id"
    while True:
        assert page.json()["total"] == 3
        seen += ids(page)
        if not (onward := link(page, "next")):
            break
        page = marjan.get(onward)
    assert seen == ["Observation/by-doctor", "Observation/by-me", "Observation/mine"]
    sent = marjan.post(f"{home}/_search", content=b"code=8302-2&_count=2", headers=FORM)
    assert (sent.json()["total"], len(ids(sent))) == (3, 2)
    assert marjan.post(home, json=mine).status_code == 405
    for path, status in (
        (f"Patient/{fresh.patient}/Organization", 400),
        ("Goal/g/Goal", 404),
        (f"Observation?:within=Patient/{fresh.patient}", 400),
    ):
        assert marjan.get(path).status_code == status


@pytest.fixture
def weights(fresh):
    """Seven weights from 10.0 to 16.0 kg, in months 1 to 7 of 2026, with a colour each."""
    marjan, system = fresh.as_(), fresh.system()
    for n in range(7):
        sent = fresh.weight(
            f"1{n}.5",
            id=f"w{n}",
            effectiveDateTime=f"2026-0{n + 1}-15T10:00:00+01:00",
            status="final" if n % 2 == 0 else "amended",
            identifier=[{"system": "http://example.nl/w", "value": f"W-{n}"}],
            performer=[{"reference": "RelatedPerson/moeder"}],
        )
        assert system.put(f"Observation/w{n}", json=sent).status_code == 201
    mother = {"resourceType": "RelatedPerson", "id": "moeder", "patient": fresh.subject(),
              "name": [{"family": "Jansen", "given": ["Ånne"]}]}  # fmt: skip
    assert system.put("RelatedPerson/moeder", json=mother).status_code == 201
    return marjan


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", "0123456"),
        ("status=final", "0246"),
        ("status=final,amended", "0123456"),
        ("status=final&status=amended", ""),
        ("status:missing=false&status=final", "0246"),
        ("date=>=2026-03-15", "23456"),
        ("date=<2026-03-15", "01"),
        ("value-quantity=>12.5", "3456"),
        ("value-quantity=<=12.5", "012"),
        ("status:missing=true,false&status=final", "0246"),
        ("specimen:missing=true&status=final", "0246"),
        ("status:not=final", "135"),
        ("code=29463-7", "0123456"),
        ("code=http://loinc.org|29463-7", "0123456"),
        ("code=http://loinc.org|", "0123456"),
        ("code=|29463-7", ""),
        ("code=29463-8", ""),
        ("code:text=body", "0123456"),
        ("identifier=http://example.nl/w|W-3", "3"),
        ("identifier=W-3,W-4", "34"),
        ("date=2026-03", "2"),
        ("date=ge2026-03-15&date=lt2026-05", "23"),
        ("date=gt2026-06", "6"),
        ("date=ne2026-01", "123456"),
        ("date=eq2026-02-15T10:00:00%2B01:00", "1"),
        ("date=2026-02-15T09:00:00Z", "1"),
        ("value-quantity=13.5", "3"),
        ("value-quantity=lt12.5||kg", "01"),
        ("value-quantity=ge15.5|http://unitsofmeasure.org|kg", "56"),
        ("value-quantity=ge15500|http://unitsofmeasure.org|g", "56"),
        ("code-value-quantity=29463-7$gt15", "56"),
        ("performer=RelatedPerson/moeder", "0123456"),
        ("performer:RelatedPerson=moeder", "0123456"),
        ("performer=moeder", "0123456"),
        ("performer=vader", ""),
        ("_id=w2,w5,w9", "25"),
        ("_lastUpdated=gt2020", "0123456"),
        ("_lastUpdated=lt2020", ""),
        ("value-concept:missing=true", "0123456"),
        ("performer:missing=true", ""),
        ("status=final&date=ge2026-04&_id=w4,w5", "4"),
    ],
)
def test_a_search_finds_what_fits_by_get_and_by_post(weights, query, found):
    got = weights.get(f"Observation?{query}")
    posted = weights.post("Observation/_search", content=query, headers=FORM)
    assert ids(got) == ids(posted) == [f"Observation/w{n}" for n in found]
    assert got.json()["total"] == len(found)
    assert got.json() == posted.json()
    assert ("entry" in got.json()) is bool(found)


def test_a_post_may_ask_in_its_address_and_in_its_body(weights):
    both = weights.post("Observation/_search?status=final", content="date=2026-03", headers=FORM)
    assert ids(both) == ["Observation/w2"]
    said = dict(parse_qsl(urlsplit(link(both, "self")).query))
    assert said == {"status": "final", "date": "2026-03"}


@pytest.mark.parametrize(
    "sort", ["date", "-date", "_id", "-_id", "status,-date", "-value-quantity"]
)
def test_an_order_is_kept(weights, sort):
    found = [int(one[-1]) for one in ids(weights.get(f"Observation?_sort={sort}"))]
    order = {
        "date": list(range(7)),
        "-date": list(range(6, -1, -1)),
        "_id": list(range(7)),
        "-_id": list(range(6, -1, -1)),
        "status,-date": [5, 3, 1, 6, 4, 2, 0],
        "-value-quantity": list(range(6, -1, -1)),
    }
    assert found == order[sort]


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 50])
def test_pages_follow_each_other_without_gap_or_repeat(weights, size):
    page = weights.get(f"Observation?_sort=-date&_count={size}")
    seen, pages = ids(page), 1
    while onward := link(page, "next"):
        page = weights.get(onward)
        assert page.json()["total"] == 7
        assert 0 < len(ids(page)) <= size
        seen += ids(page)
        pages += 1
    assert seen == [f"Observation/w{n}" for n in range(6, -1, -1)]
    assert pages == -(-7 // size)


def test_pages_stay_what_they_were_while_others_write(fresh, weights):
    page = weights.get("Observation?_sort=date&_count=2")
    seen = ids(page)
    linde = fresh.system()
    for n in range(3):
        new = fresh.weight(f"9{n}.5", effectiveDateTime=f"2025-0{n + 1}-01")
        assert linde.post("Observation", json=new).status_code == 201
        moved = fresh.weight("50.5", id="w6", effectiveDateTime="2024-01-01")
        assert linde.put("Observation/w6", json=moved).status_code == 200
        if not (onward := link(page, "next")):
            break
        page = weights.get(onward)
        seen += ids(page)
    assert seen == [f"Observation/w{n}" for n in range(7)]
    last = page.json()["entry"][0]["resource"]
    assert (last["id"], last["valueQuantity"]["value"]) == ("w6", 16.5)


def test_a_page_is_for_who_asked_the_first_one(fresh, weights):
    onward = link(weights.get("Observation?_count=2"), "next")
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    for other in (fresh.as_("p-samira"), fresh.system()):
        answer = other.get(onward)
        assert answer.status_code == 404
        assert fresh.place(answer) == "_cursor"
    assert weights.get(onward).status_code == 200
    assert weights.get(onward.replace("/Observation?", "/Condition?")).status_code == 404
    assert fresh.as_(release="stu3").get(f"Observation?{urlsplit(onward).query}").status_code == 404


@pytest.mark.parametrize(
    "cursor", ["x", "", ".", "0.0", "a" * 32 + ".0", "%00", "x.99999999", "..1"]
)
def test_a_page_that_nobody_was_given_is_not_found(weights, cursor):
    assert weights.get(f"Observation?_cursor={cursor}").status_code == 404


def test_a_page_is_refused_after_the_grant_is_ended(fresh, weights):
    grant = fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    first = samira.get("Observation?_count=2")
    assert len(ids(first)) == 2
    fresh.revoke(grant)
    assert samira.get(link(first, "next")).status_code == 404
    assert samira.get("Observation").status_code == 404


def test_a_page_shows_nothing_more_of_what_was_closed_meanwhile(fresh, weights):
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    first = samira.get("Observation?_count=2")
    url = f"{fresh.served.url}/dossiers/{fresh.id}/zegels"
    seal = {"release": "r4", "type": "Observation", "id": "w3", "label": "niet-voor-naasten"}
    assert weights.post(url, json=seal).status_code == 200
    second = samira.get(link(first, "next"))
    assert ids(second) == ["Observation/w2"]
    third = samira.get(link(second, "next"))
    assert ids(third) == ["Observation/w4", "Observation/w5"]
    assert third.json()["total"] == 6


def test_a_total_can_be_left_out_or_be_all_that_is_asked(weights):
    assert "total" not in weights.get("Observation?_total=none").json()
    first = weights.get("Observation?_total=none&_count=3")
    second = weights.get(link(first, "next"))
    assert "total" not in second.json()
    assert ids(second) == [f"Observation/w{n}" for n in (3, 4, 5)]
    for query in ("_summary=count", "_count=0", "_summary=count&status=final"):
        body = weights.get(f"Observation?{query}").json()
        assert body["total"] == (4 if "status" in query else 7)
        assert "entry" not in body
        assert [one["relation"] for one in body["link"]] == ["self"]


def test_what_is_included_is_marked_and_not_counted(fresh, weights):
    answer = weights.get("Observation?_include=Observation:performer&_count=3")
    assert ids(answer) == ["Observation/w0", "Observation/w1", "Observation/w2"]
    assert ids(answer, "include") == ["RelatedPerson/moeder"]
    assert answer.json()["total"] == 7
    later = weights.get(link(answer, "next"))
    assert ids(later, "include") == ["RelatedPerson/moeder"]
    assert ids(weights.get("Observation?_include=*&_id=w0"), "include") == ["RelatedPerson/moeder"]
    for entry in answer.json()["entry"]:
        assert entry["fullUrl"].endswith(
            f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        )


def test_what_the_caller_may_not_see_is_not_included(fresh, weights):
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    answer = fresh.as_("p-samira").get("Observation?_include=Observation:performer")
    assert (len(ids(answer)), ids(answer, "include")) == (7, [])


def test_an_include_is_capped_by_the_scope(fresh, weights):
    small = fresh.as_(scope="user/Observation.rs")
    assert ids(small.get("Observation?_include=*"), "include") == []


@pytest.mark.parametrize(
    ("query", "status", "place"),
    [
        ("kleur=rood", 400, "kleur"),
        ("status:nonsens=final", 400, "status:nonsens"),
        ("date=gisteren", 400, "date"),
        ("date=2026-13", 400, "date"),
        ("value-quantity=veel", 400, "value-quantity"),
        ("_count=x", 400, "_count"),
        ("_count=-1", 400, "_count"),
        ("_count=1&_count=2", 400, "_count"),
        ("_sort=kleur", 400, "_sort"),
        ("_total=misschien", 400, "_total"),
        ("_summary=onzin", 400, "_summary"),
        ("_include=Observation:kleur", 400, "_include"),
        ("_include=Foo:bar", 400, "_include"),
        ("patient.kleur=x", 400, "patient.kleur"),
        ("_has:Provenance:target:kleur=x", 400, "_has:Provenance:target:kleur"),
        ("performer:missing=ja", 400, "performer:missing"),
        ("status:missing=true&status=final", 400, "status"),
        ("status=final&status:missing=true", 400, "status"),
        ("date:missing=true&date:missing=false", 400, "date"),
        ("&".join(f"code={n}" for n in range(11)), 422, "code"),
        ("code=" + ",".join(map(str, range(51))), 422, "code"),
        ("code=%ff%fe", 400, ""),
        ("&".join(["a=1"] * 101), 400, ""),
    ],
)
def test_a_search_that_cannot_be_done_is_refused_by_its_parameter(weights, query, status, place):
    for answer in (
        weights.get(f"Observation?{query}"),
        weights.post("Observation/_search", content=query, headers=FORM),
    ):
        assert answer.status_code == status, answer.text
        assert answer.json()["issue"][0].get("expression", [""]) == [place]
        for value in ("rood", "gisteren", "nonsens=", "misschien"):
            assert value not in answer.text


def test_a_lenient_search_leaves_out_what_is_not_known_and_says_what_it_did(weights):
    lenient = {"Prefer": "handling=lenient"}
    answer = weights.get("Observation?kleur=rood&status=final&_sort=kleur", headers=lenient)
    assert len(ids(answer)) == 4
    said = parse_qsl(urlsplit(link(answer, "self")).query)
    assert said == [("status", "final")]
    wrong = weights.get("Observation?date=gisteren", headers=lenient)
    assert wrong.status_code == 400


def test_self_repeats_what_was_asked(weights):
    query = "code=http://loinc.org%7C29463-7&date=ge2026-02&_sort=-date&_count=2"
    answer = weights.get(f"Observation?{query}")
    said = dict(parse_qsl(urlsplit(link(answer, "self")).query))
    assert said == dict(parse_qsl(query))
    assert ids(weights.get(link(answer, "self"))) == ids(answer)
    assert link(weights.get("Observation"), "self") == f"{weights.base_url}Observation"


@pytest.mark.parametrize(
    "query",
    [
        "identifier=http://fhir.nl/fhir/NamingSystem/bsn|999990019",
        "identifier=http%3A%2F%2Ffhir.nl%2Ffhir%2FNamingSystem%2Fbsn%7C999990019",
        "identifier=urn:oid:2.16.840.1.113883.2.4.6.3|999990019",
        "identifier=999990019",
        "patient:identifier=http://fhir.nl/fhir/NamingSystem/bsn|999990019",
    ],
)
def test_nobody_is_looked_for_by_bsn(fresh, weights, query):
    for answer in (
        weights.get(f"Observation?{query}"),
        weights.post("Observation/_search", content=query, headers=FORM),
        weights.get(f"Observation?{query}", headers={"Prefer": "handling=lenient"}),
    ):
        assert answer.status_code == 400
        assert fresh.place(answer) in {"identifier", "patient:identifier"}
        assert "999990019" not in answer.text


def test_a_code_that_would_pass_for_a_bsn_may_be_asked_for(fresh):
    marjan = fresh.as_()
    stroke = {"system": "http://snomed.info/sct", "code": "422504002", "display": "beroerte"}
    made = {"resourceType": "Condition", "code": {"coding": [stroke]}, "subject": fresh.subject()}
    name = f"Condition/{marjan.post('Condition', json=made).json()['id']}"
    assert ids(marjan.get("Condition?code=422504002")) == [name]
    for query in ("code=999990019", "identifier=422504002", "code:text=422504002"):
        assert marjan.get(f"Condition?{query}").status_code == 400


def test_the_text_of_numbers_sorts_and_compares_as_numbers(fresh):
    marjan = fresh.as_()
    for id_, value in (("a", "9.50"), ("b", "10.5"), ("c", "100.5")):
        marjan.put(f"Observation/{id_}", json=fresh.weight(value, id=id_))
    assert ids(marjan.get("Observation?_sort=value-quantity")) == [
        f"Observation/{x}" for x in "abc"
    ]
    assert ids(marjan.get("Observation?value-quantity=gt9.6")) == ["Observation/b", "Observation/c"]


@pytest.mark.parametrize(
    ("release", "sent", "query"),
    [
        ("r4", {"resourceType": "RiskAssessment", "status": "final",
                "prediction": [{"probabilityDecimal": 0.25}]}, "probability=lt0.5"),
        ("r4", {"resourceType": "CarePlan", "status": "active", "intent": "plan",
                "instantiatesUri": ["http://example.nl/richtlijn/7"]},
         "instantiates-uri=http://example.nl/richtlijn/7"),
        ("r4", {"resourceType": "Patient", "name": [{"family": "de Boer", "given": ["Zoë"]}]},
         "name=zoe"),
        ("stu3", {"resourceType": "Patient", "name": [{"family": "de Boer", "given": ["Zoë"]}]},
         "given:exact=Zoë"),
        ("stu3", {"resourceType": "ImmunizationRecommendation",
                  "recommendation": [{"date": "2026-01-01", "doseNumber": 2,
                                      "forecastStatus": {"text": "due"}}]}, "dose-number=2"),
        ("stu3", {"resourceType": "MedicationStatement", "status": "active", "taken": "y",
                  "medicationCodeableConcept": {"coding": [{"code": "123"}]},
                  "effectivePeriod": {"start": "2026-01-01"}},
         "effective=ge2026-02&code=123"),
    ],
    ids=lambda one: one if isinstance(one, str) else one["resourceType"],
)  # fmt: skip
def test_other_kinds_of_parameters_find_in_both_releases(fresh, release, sent, query):
    marjan = fresh.as_(release=release)
    type_ = sent["resourceType"]
    about = "patient" if type_ == "ImmunizationRecommendation" else "subject"
    body = dict(sent) if type_ == "Patient" else sent | {about: fresh.subject()}
    made = marjan.post(type_, json=body)
    assert made.status_code == 201, made.text
    assert ids(marjan.get(f"{type_}?{query}")) == [f"{type_}/{made.json()['id']}"]
    assert ids(marjan.get(f"{type_}?_lastUpdated=lt2020&{query}")) == []


def test_the_demo_families_are_found_by_what_they_have(served):
    with served.client("p-marjan") as marjan:
        patient = marjan.get("Patient").json()["entry"][0]["resource"]["id"]
        labs = marjan.get("Observation?category=laboratory&_sort=-date&_count=10").json()
        dates = [e["resource"]["effectiveDateTime"] for e in labs["entry"]]
        assert dates == sorted(dates, reverse=True)
        assert labs["total"] > 50
        every = marjan.get("Observation?_summary=count").json()["total"]
        mine = marjan.get(f"Observation?patient={patient}&_summary=count").json()["total"]
        full = marjan.get(f"Observation?subject=Patient/{patient}&_summary=count").json()["total"]
        assert every == mine == full
        halves = [
            marjan.get(f"Observation?date={prefix}2026-01-01&_summary=count").json()["total"]
            for prefix in ("lt", "ge")
        ]
        assert sum(halves) == every
        with_roles = marjan.get("Condition?_include=Condition:asserter").json()
        assert {e["resource"]["resourceType"] for e in with_roles["entry"]} == {
            "Condition",
            "PractitionerRole",
        }
