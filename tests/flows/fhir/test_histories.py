"""Histories of one resource, of a type and of the whole dossier: spans, pages, what is hidden."""

from __future__ import annotations

import pytest


def names(answer):
    assert answer.status_code == 200, answer.text
    return [
        (e["request"]["method"], "/".join(e["fullUrl"].split("/")[-2:]), e["response"]["etag"])
        for e in answer.json().get("entry", [])
    ]


def all_pages(client, address):
    found, where = [], address
    while where:
        answer = client.get(where)
        found += names(answer)
        links = {link["relation"]: link["url"] for link in answer.json()["link"]}
        assert links["self"].endswith(where.removeprefix(str(client.base_url)))
        where = links.get("next", "")
    return found


def lived(fresh, release="r4"):
    """Three resources of two types, with versions and a deletion, newest first; then what was."""
    marjan = fresh.as_(release=release)
    before = names(marjan.get("_history"))
    system = fresh.system(release=release)
    for id_ in ("a", "b"):
        system.put(f"Observation/{id_}", json=fresh.weight(id=id_))
    system.put("Practitioner/p", json={"resourceType": "Practitioner", "id": "p", "active": True})
    system.put("Observation/a", json=fresh.weight("22", id="a", performer=[
        {"reference": "Practitioner/p"}]))  # fmt: skip
    system.delete("Observation/b")
    return [
        ("DELETE", "Observation/b", 'W/"2"'),
        ("PUT", "Observation/a", 'W/"2"'),
        ("POST", "Practitioner/p", 'W/"1"'),
        ("POST", "Observation/b", 'W/"1"'),
        ("POST", "Observation/a", 'W/"1"'),
        *before,
    ]


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_the_history_of_the_dossier_of_a_type_and_of_one(fresh, release):
    everything = lived(fresh, release)
    marjan = fresh.as_(release=release)
    assert names(marjan.get("_history")) == everything
    of_type = [one for one in everything if one[1].startswith("Observation/")]
    assert names(marjan.get("Observation/_history")) == of_type
    of_one = [one for one in everything if one[1] == "Observation/a"]
    assert names(marjan.get("Observation/a/_history")) == of_one
    answer = marjan.get("_history").json()
    assert (answer["type"], "total" in answer) == ("history", False)
    assert marjan.get("Observation/a/_history").json()["total"] == 2
    assert "resource" not in answer["entry"][0]
    assert answer["entry"][1]["resource"]["valueQuantity"]["value"] == 22
    assert names(marjan.get("Condition/_history")) == []


@pytest.mark.parametrize("address", ["_history", "Observation/_history", "Observation/a/_history"])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_pages_together_are_the_whole(fresh, address, count):
    lived(fresh)
    marjan = fresh.as_()
    assert all_pages(marjan, f"{address}?_count={count}") == names(marjan.get(address))


def test_a_later_page_neither_repeats_nor_skips_while_others_write(fresh):
    everything = lived(fresh)
    marjan = fresh.as_()
    first = marjan.get("_history?_count=2")
    marjan.put("Observation/a", json=fresh.weight("23", id="a"))
    marjan.put("Observation/new", json=fresh.weight(id="new"))
    after = {link["relation"]: link["url"] for link in first.json()["link"]}["next"]
    assert names(first) + all_pages(marjan, after.removeprefix(str(marjan.base_url))) == everything


def test_since_and_at_take_a_part(fresh):
    everything = lived(fresh)
    marjan = fresh.as_()
    entries = marjan.get("_history").json()["entry"][:5]
    moments = [entry["response"]["lastModified"] for entry in entries]
    for place, moment in enumerate(moments):
        for address in ("_history", "Observation/_history"):
            found = names(marjan.get(address, params={"_since": moment}))
            kept = everything[: place + 1]
            expected = [one for one in kept if address == "_history" or "Obs" in one[1]]
            assert found == expected
    assert names(marjan.get("_history?_since=2050")) == []
    assert names(marjan.get("_history?_since=1990-01-01")) == everything
    assert names(marjan.get("_history?_at=1990")) == []
    current = everything[:3] + everything[5:]
    assert names(marjan.get("_history?_at=2050")) == [one for one in current if one[0] != "DELETE"]
    at_third = names(marjan.get("_history", params={"_at": moments[2]}))
    assert at_third == everything[2:]
    assert names(marjan.get("Observation/a/_history", params={"_at": moments[0]})) == [
        everything[1]
    ]


@pytest.mark.parametrize(
    "query",
    ["_since=gisteren", "_at=x", "_count=veel", "_count=1&_count=2", "kleur=1", "_cursor=00"],
)
@pytest.mark.parametrize("address", ["_history", "Observation/_history", "Observation/a/_history"])
def test_a_span_that_is_none_is_refused_by_its_name(fresh, address, query):
    lived(fresh)
    answer = fresh.as_().get(f"{address}?{query}")
    assert answer.status_code == (404 if "_cursor" in query else 400)
    assert fresh.place(answer) == query.partition("=")[0]


def test_a_cursor_is_for_who_got_it_and_for_what_was_asked(fresh):
    lived(fresh)
    marjan = fresh.as_()
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    links = marjan.get("Observation/_history?_count=1").json()["link"]
    after = {link["relation"]: link["url"] for link in links}["next"]
    cursor = after.rpartition("=")[2]
    assert marjan.get(after).status_code == 200
    assert fresh.as_("p-samira").get(after).status_code == 404
    assert marjan.get(f"_history?_cursor={cursor}").status_code == 404
    assert marjan.get(f"Observation/_history?_since=2020&_cursor={cursor}").status_code == 404


def test_what_is_hidden_is_not_in_a_history(fresh):
    lived(fresh)
    marjan = fresh.as_()
    code = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}
    sent = {"resourceType": "Condition", "id": "c", "code": code, "subject": fresh.subject()}
    marjan.put("Condition/c", json=sent)
    marjan.put("Condition/c", json=sent | {"recordedDate": "2026-01-01"})
    given = fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    seen = all_pages(samira, "_history?_count=1")
    assert {name for _, name, _ in seen} == {"Observation/a", "Observation/b", "Practitioner/p"}
    assert names(samira.get("Condition/_history")) == []
    assert samira.get("Condition/c/_history").status_code == 404
    fresh.revoke(given)
    assert samira.get("_history").status_code == 404


def test_each_version_is_decided_for_itself(fresh):
    marjan = fresh.as_()
    label = {"security": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "code": "PSY"}]}  # fmt: skip
    marjan.put("Observation/a", json=fresh.weight("1", id="a", meta=label))
    marjan.put("Observation/a", json=fresh.weight("2", id="a"))
    fresh.grant(to_who="p-samira", categories=["metingen"], actions=["lezen"])
    samira = fresh.as_("p-samira")
    newest = [("PUT", "Observation/a", 'W/"2"')]
    seen = names(marjan.get("_history"))
    for address in ("_history", "Observation/_history", "Observation/a/_history"):
        found = names(samira.get(address))
        assert found in (newest, seen)
        by_version = samira.get("Observation/a/_history/1").status_code
        assert (found == seen) is (by_version == 200)


def test_the_scope_of_a_token_narrows_a_history(fresh):
    lived(fresh)
    one = fresh.as_("p-marjan", scope="user/Practitioner.rs")
    assert {name for _, name, _ in names(one.get("_history"))} == {"Practitioner/p"}
    assert one.get("Observation/_history").status_code == 403
    none = fresh.as_("p-marjan", scope="user/*.r")
    assert none.get("_history").status_code == 403
    assert none.get("Observation/_history").status_code == 403
    assert none.get("Observation/a/_history").status_code == 200
