"""A search at an exchange service by POST: as the same search by GET, and nothing else by POST."""

from __future__ import annotations

import pytest

from .conftest import names, observation

FORM = "application/x-www-form-urlencoded"
LAB = "https://terminology.hl7.org/CodeSystem/observation-category|laboratory"
CATEGORY = {
    "category": [
        {"coding": [{"system": LAB.partition("|")[0].replace("s:", ":"), "code": "laboratory"}]}
    ]
}


@pytest.fixture
async def filled(exchange):
    await exchange.bring("r4", *(observation(f"o{n}", **CATEGORY) for n in range(3)))
    return exchange


async def posted(exchange, path, body, media=FORM, **more):
    headers = await exchange.headers("lab-r4", "r4", **{"Content-Type": media, **more})
    url = f"/medmij/lab-r4/fhir/{path}"
    return await exchange.http.post(url, headers=headers, content=body)


async def test_it_finds_what_the_same_search_finds_by_get(filled):
    body = f"category={LAB}"
    answer = await posted(filled, "Observation/_search", body)
    got = await filled.ask("lab-r4", f"Observation?{body}", "r4")
    assert answer.status_code == got.status_code == 200, answer.text
    assert names(answer.json()) == names(got.json()) == [f"Observation/o{n}" for n in range(3)]
    assert answer.json()["link"] == got.json()["link"]
    assert answer.headers["medmij-request-id"]


async def test_its_pages_go_on_by_get_and_parameters_may_stand_in_both_places(filled):
    answer = await posted(filled, "Observation/_search?_count=2", f"category={LAB}")
    assert names(answer.json()) == ["Observation/o0", "Observation/o1"]
    links = {one["relation"]: one["url"] for one in answer.json()["link"]}
    path = links["next"].partition("/medmij/lab-r4/fhir/")[2]
    rest = await filled.ask("lab-r4", path, "r4")
    assert names(rest.json()) == ["Observation/o2"]


async def test_what_a_service_refuses_by_get_it_refuses_by_post(filled):
    for body, place in (("patient=Patient/p", "patient"), ("subject=Patient/p", "subject")):
        answer = await posted(filled, "Observation/_search", f"category={LAB}&{body}")
        assert answer.status_code == 400
        assert answer.json()["issue"][0]["expression"] == [place]
    assert (await posted(filled, "Condition/_search", "")).status_code == 404


async def test_only_a_form_is_read_and_only_a_search_is_posted(filled):
    refused = await posted(filled, "Observation/_search", "{}", "application/fhir+json")
    assert refused.status_code == 415
    got = await filled.ask("lab-r4", "Observation/_search", "r4")
    assert (got.status_code, got.headers["allow"]) == (405, "POST")
    for path in ("Observation", "Observation/o0", "metadata", "Observation/$lastn"):
        answer = await posted(filled, path, "")
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


async def test_the_ids_of_an_exchange_are_demanded_and_its_form_may_stand_in_the_body(filled):
    missing = await posted(filled, "Observation/_search", "", **{"X-Correlation-ID": ""})
    assert missing.status_code == 400
    drawn = await posted(filled, "Observation/_search", f"category={LAB}&_format=xml")
    assert drawn.headers["content-type"].startswith("application/fhir+xml")


async def test_what_was_searched_for_is_in_the_audit_line(filled):
    await posted(filled, "Observation/_search", f"category={LAB}")
    lines = await filled.lines()
    assert lines[-1].interaction == "search-type"
    assert "category" in lines[-1].query
