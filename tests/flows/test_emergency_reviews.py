"""Noodtoegang from beginning to end: no notice no data, expiry, limit, and the look afterwards."""

from __future__ import annotations

import asyncio

import pytest

from pgo.errors import NoSpace
from pgo.reviews import for_operators

USES = "/noodtoegang"
REASON = "bewusteloos op straat gevonden"
ALLERGY = "/fhir/r4/AllergyIntolerance"


async def emergency(inside, reason=REASON, name="noor", path=ALLERGY):
    head = {"x-noodtoegang": f'code=BTG; reason="{reason}"'}
    token = await inside.token(inside.anna.person(name))
    url = f"/dossiers/{inside.anna.dossier}{path}"
    return await inside.http.get(url, headers=token | head)


async def uses(inside, name="anna"):
    answer = await inside.call(name, "GET", USES)
    assert answer.status_code == 200, answer.text
    return answer.json()["noodtoegang"]


async def test_calls_of_one_emergency_are_one_line_to_look_at(inside):
    for _ in range(3):
        assert (await emergency(inside)).status_code == 200
        inside.later(seconds=1)
    (one,) = await uses(inside)
    assert (one["person"], one["org"], one["reason"], one["keren"], one["review"]) == (
        "noor-x", "delinde", REASON, 3, "open",
    )  # fmt: skip
    assert one["tot"] == "2026-03-02T16:00:00.000Z"
    assert await uses(inside, "mo") == [one]
    for name in ("sam", "noor"):
        assert (await inside.call(name, "GET", USES)).status_code == 404


async def test_an_emergency_is_judged_once_by_who_represents(inside):
    await emergency(inside)
    (one,) = await uses(inside)
    path = f"{USES}/{one['id']}/beoordelen"
    for name, sent, status in (
        ("anna", {"oordeel": "mooi"}, 400),
        ("noor", {"oordeel": "akkoord"}, 404),
        ("anna", {"oordeel": "niet-akkoord", "toelichting": "Ik was er zelf bij"}, 200),
        ("mo", {"oordeel": "akkoord"}, 409),
    ):
        answer = await inside.call(name, "POST", path, json=sent)
        assert answer.status_code == status, (name, answer.text)
    assert (await inside.call("anna", "POST", f"{USES}/nood-1/beoordelen",
                              json={"oordeel": "akkoord"})).status_code == 404  # fmt: skip
    (one,) = await uses(inside)
    assert (one["review"], one["reviewed_by"]) == ("niet-akkoord", "anna-x")


async def test_two_who_judge_at_once_say_one_thing(inside):
    await emergency(inside)
    (one,) = await uses(inside)
    path = f"{USES}/{one['id']}/beoordelen"
    answers = await asyncio.gather(
        *(
            inside.call(name, "POST", path, json={"oordeel": said})
            for name, said in (("anna", "akkoord"), ("mo", "niet-akkoord")) * 4
        )
    )
    assert sorted(each.status_code for each in answers) == [200] + [409] * 7


async def test_operators_see_that_and_never_why(inside):
    await emergency(inside)
    (row,) = await for_operators(inside.house, "ria")
    assert (row["person"], row["org"], row["review"]) == ("noor-x", "delinde", "open")
    assert REASON not in str(row)
    assert "Anna" not in str(row)
    (one,) = await uses(inside)
    await inside.call("anna", "POST", f"{USES}/{one['id']}/beoordelen", json={"oordeel": "akkoord"})
    assert await for_operators(inside.house, "ria") == []


async def test_an_emergency_ends_after_its_hours_and_three_an_hour_are_enough(inside):
    assert (await emergency(inside)).status_code == 200
    inside.later(hours=4)
    assert (await emergency(inside)).status_code == 404
    assert len(await uses(inside)) == 1
    statuses = [(await emergency(inside, f"een andere reden {n}")).status_code for n in range(4)]
    assert statuses == [200, 200, 429, 429]


async def test_without_a_notice_there_is_no_data(inside, monkeypatch):
    append = inside.house.store.append

    async def full(*_):
        raise NoSpace("the disk is full")

    monkeypatch.setattr(inside.house.store, "append", full)
    answer = await emergency(inside)
    assert answer.status_code == 507
    assert "AllergyIntolerance" not in answer.text
    monkeypatch.setattr(inside.house.store, "append", append)
    assert await uses(inside) == []


@pytest.mark.parametrize("name", ["esther", "sam", "kim", "lea"])
async def test_others_have_no_emergency(inside, name):
    assert (await emergency(inside, name=name)).status_code == 404
    assert await uses(inside) == []
