"""Reading a part of one resource: `_summary` and `_elements` without a search."""

from __future__ import annotations

import pytest

STOP = {"url": "http://example.org/gestopt", "valueBoolean": True}
DIV = '<div xmlns="http://www.w3.org/1999/xhtml">Innemen</div>'


def medicine(fresh):
    """A medicine that was stopped by a modifierExtension."""
    return {
        "resourceType": "MedicationRequest",
        "id": "m",
        "text": {"status": "generated", "div": DIV},
        "modifierExtension": [STOP],
        "status": "active",
        "intent": "order",
        "medicationCodeableConcept": {"text": "paracetamol"},
        "subject": fresh.subject(),
        "authoredOn": "2026-01-01",
        "note": [{"text": "bij het eten"}],
    }


def tags(tree):
    """The codes of its tags."""
    return [tag["code"] for tag in tree["meta"].get("tag", ())]


def brought(fresh):
    put = fresh.system().put("MedicationRequest/m", json=medicine(fresh))
    assert put.status_code == 201, put.text
    return fresh.as_()


@pytest.mark.parametrize("address", ["MedicationRequest/m", "MedicationRequest/m/_history/1"])
def test_elements_leave_out_the_rest_but_nothing_that_changes_its_meaning(fresh, address):
    answer = brought(fresh).get(f"{address}?_elements=authoredOn")
    tree = answer.json()
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"1"')
    assert tags(tree) == ["SUBSETTED"]
    assert {"note", "text"}.isdisjoint(tree)
    assert (tree["authoredOn"], tree["modifierExtension"]) == ("2026-01-01", [STOP])
    assert {"status", "intent", "subject", "medicationCodeableConcept"} <= set(tree)


def test_each_summary_has_its_part(fresh):
    marjan = brought(fresh)
    short, words, data, whole = (
        marjan.get(f"MedicationRequest/m?_summary={kind}").json()
        for kind in ("true", "text", "data", "false")
    )
    assert "note" not in short
    assert "text" not in short
    assert words["text"]["div"] == DIV
    assert "note" not in words
    assert "note" in data
    assert "text" not in data
    assert [tags(one) for one in (short, words, data, whole)] == [["SUBSETTED"]] * 3 + [[]]
    assert all(one["modifierExtension"] == [STOP] for one in (short, words, data, whole))


def test_a_part_in_xml_is_that_part(fresh):
    drawn = brought(fresh).get("MedicationRequest/m?_elements=authoredOn&_format=xml")
    assert '<code value="SUBSETTED"/>' in drawn.text
    assert "<note>" not in drawn.text


def test_who_has_this_version_needs_no_part_of_it(fresh):
    marjan = brought(fresh)
    asked = marjan.get("MedicationRequest/m?_summary=true", headers={"If-None-Match": 'W/"1"'})
    assert asked.status_code == 304


@pytest.mark.parametrize(
    ("asked", "place"),
    [
        ("_summary=count", "_summary"),
        ("_summary=some", "_summary"),
        ("_summary=true&_summary=data", "_summary"),
        ("_elements=foo", "_elements"),
        ("_elements=", "_elements"),
        ("status=active", "status"),
        ("_count=0", "_count"),
    ],
)
def test_anything_else_is_refused_by_name(fresh, asked, place):
    answer = brought(fresh).get(f"MedicationRequest/m?{asked}")
    assert (answer.status_code, fresh.place(answer)) == (400, place)


def test_what_is_hidden_has_no_parts(fresh):
    brought(fresh)
    fresh.grant(to_who="p-samira", categories=["afspraken"])
    samira = fresh.as_("p-samira")
    for asked in ("_summary=true", "_elements=status"):
        assert samira.get(f"MedicationRequest/m?{asked}").status_code == 404
