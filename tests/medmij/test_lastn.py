"""Observation/$lastn: the newest of each kind, held against a plain evaluation, by both doors."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pgo.fhir.lastn import Seen, newest

from .conftest import SCT, concept, names, observation

LOINC = "http://loinc.org"
CODES: list[Any] = [
    concept("a"),
    concept("b"),
    {"coding": [{"system": SCT, "code": "b"}, {"system": LOINC, "code": "b"}]},
    concept("c", LOINC),
    {"coding": [{"code": "a"}]},
    {"text": "Tekst"},
    {"text": "tekst"},
    {"text": "t e k s t"},
]
ORDER = {"2026-01-01": 1, "2026-01-02": 2, "2026-01-02T10:00:00+01:00": 3, "2026-02": 4}
DAYS = [*ORDER, None]


def plainly(trees, most):
    """The operation in the words of the specification: group, sort, cut, keep ties."""
    groups: list[tuple[set[Any], list[Any]]] = []
    for tree in trees:
        code = tree["code"]
        keys = {(c.get("system"), c["code"]) for c in code.get("coding", ())}
        keys = keys or {("text", code["text"])}
        met = [group for group in groups if group[0] & keys]
        merged = (set.union(keys, *(g[0] for g in met)), [tree, *(t for g in met for t in g[1])])
        groups = [group for group in groups if group not in met] + [merged]
    kept = set()
    for _, members in groups:
        days = sorted({start(tree) for tree in members if start(tree)}, reverse=True)
        dated = [[t for t in members if start(t) == day] for day in days]
        taken: list[Any] = []
        for same in dated:
            if len(taken) < most:
                taken += same
        loose = [t for t in members if not start(t)]
        loose.sort(key=lambda t: -t["n"])
        taken += loose[: max(0, most - len(taken))]
        kept |= {t["id"] for t in taken}
    return kept


def start(tree):
    """When it was made, as a number that sorts; 0 when that is not known."""
    return ORDER.get(tree.get("effectiveDateTime"), 0)


def world(seed):
    chance = random.Random(seed)
    made = []
    for n in range(chance.randint(1, 25)):
        tree = observation(f"o{n}", code=chance.choice(CODES), n=n)
        day = chance.choice(DAYS)
        if day:
            tree["effectiveDateTime"] = day
        tree["category"] = [concept(chance.choice(["lab", "vital"]))]
        made.append(tree)
    return made


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("release", ["r4", "stu3"])
async def test_it_is_what_a_plain_evaluation_gives(exchange, seed, release):
    trees = world(seed)
    sent = [{name: value for name, value in tree.items() if name != "n"} for tree in trees]
    await exchange.bring(release, *sent)
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}
    for most in (1, 2, 3):
        for category in ("lab", "vital", "lab,vital"):
            path = f"/fhir/{release}/Observation/$lastn?max={most}&category={category}"
            answer = await exchange.http.get(path, headers=headers)
            asked = category.split(",")
            matching = [t for t in trees if t["category"][0]["coding"][0]["code"] in asked]
            found = {name.partition("/")[2] for name in names(answer.json())}
            assert found == plainly(matching, most)
            assert answer.json()["total"] == len(found)


def test_kinds_that_share_a_translation_are_one():
    a, b, c = ("s", "a"), ("s", "b"), ("s", "c")
    seen = [
        Seen(1, frozenset([a]), 10),
        Seen(2, frozenset([b]), 20),
        Seen(3, frozenset([c]), 30),
        Seen(4, frozenset([a, b]), 5),
    ]
    assert newest(seen, 1) == [3, 2]
    assert newest(seen[:3], 1) == [3, 2, 1]


def test_what_is_not_understood_takes_nobodys_place():
    kind = frozenset([("s", "a")])

    def made(*sure, strange=()):
        times = [*((time, False) for time in sure), *((time, True) for time in strange)]
        return [Seen(n, kind, time, odd) for n, (time, odd) in enumerate(times)]

    assert newest(made(1, 2, 3, strange=[9]), 1) == [3, 2]
    assert newest(made(1, 2, 3, strange=[3]), 1) == [3, 2]
    assert newest(made(1, 2, 3, strange=[2]), 1) == [2]
    assert newest(made(1, 2, 3, strange=[2, None]), 2) == [2, 3, 1]
    assert newest(made(3, strange=[7, 8, 9]), 1) == [3, 0]
    assert newest(made(strange=[7, 8, 9, 9]), 1) == [3, 2]
    assert newest(made(None, strange=[0, None]), 1) == [1, 0]
    assert newest(made(0, strange=[0, None]), 1) == [1, 0]


@pytest.mark.parametrize("release", ["r4", "stu3"])
@pytest.mark.parametrize("deep", [False, True])
async def test_an_observation_that_is_not_understood_hides_no_other(exchange, release, deep):
    odd = {"modifierExtension": [{"url": "http://example.org/onbekend", "valueBoolean": True}]}
    late = {"effectiveDateTime": "2026-01-03"}
    part = {"code": concept("d"), "valueString": "x"}
    late |= {"component": [part | odd]} if deep else odd
    await exchange.bring(
        release,
        observation("old", code=concept("a"), effectiveDateTime="2026-01-01"),
        observation("sure", code=concept("a"), effectiveDateTime="2026-01-02"),
        observation("odd", code=concept("a"), **late),
    )
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}
    path = f"/fhir/{release}/Observation/$lastn?code=a"
    bundle = (await exchange.http.get(path, headers=headers)).json()
    assert names(bundle) == ["Observation/odd", "Observation/sure"]
    assert "http://example.org/onbekend" in str(bundle["entry"][0])


async def test_an_answer_that_is_remembered_is_of_what_there_is_and_who_asks(exchange):
    vital = concept("a") | {"text": "x"}
    first = observation("first", code=vital, effectiveDateTime="2026-01-01")
    await exchange.bring("stu3", first)

    async def asked(person="p-anna", most=1):
        token = await exchange.token(scope="patient/*.rs", person=person)
        answer = await exchange.http.get(
            f"/fhir/stu3/Observation/$lastn?code=a&max={most}",
            headers={"Authorization": f"Bearer {token}"},
        )
        return names(answer.json())

    assert await asked() == await asked() == await asked("p-sam") == ["Observation/first"]
    secret = {**first, "id": "secret", "effectiveDateTime": "2026-02-01"}
    secret["meta"] = {"security": [{"system": "http://hl7.org/fhir/v3/ActCode", "code": "PSY"}]}
    await exchange.bring("stu3", secret)
    for _ in range(2):
        assert await asked() == ["Observation/secret"]
        assert await asked("p-sam") == ["Observation/first"]
        assert await asked(most=2) == ["Observation/secret", "Observation/first"]


def test_ties_at_the_edge_are_all_given_and_the_order_is_newest_first():
    kind = frozenset([("s", "a")])
    seen = [Seen(n, kind, time) for n, time in enumerate([1, 3, 2, 2, None, 3])]
    assert newest(seen, 1) == [5, 1]
    assert newest(seen, 2) == [5, 1]
    assert newest(seen, 3) == [5, 1, 3, 2]
    assert newest(seen, 9) == [5, 1, 3, 2, 0, 4]
    assert newest([Seen(1, kind, None), Seen(2, kind, None)], 1) == [2]


async def test_it_differs_from_a_plain_search(exchange):
    old = observation("old", category=[concept("275711006")], effectiveDateTime="2020-01-01")
    new = {**old, "id": "new", "effectiveDateTime": "2026-01-01"}
    await exchange.bring("stu3", new, old)
    path = f"Observation/$lastn?category={SCT}|275711006"
    assert await exchange.ids("61", path) == ["Observation/new"]
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}
    plain = await exchange.http.get(
        f"/fhir/stu3/Observation?category={SCT}|275711006", headers=headers
    )
    assert sorted(names(plain.json())) == ["Observation/new", "Observation/old"]


async def test_what_is_hidden_never_takes_the_place_of_what_is_not(exchange):
    vital = {
        "coding": [{"system": "http://hl7.org/fhir/observation-category", "code": "vital-signs"}]
    }
    shown = observation("shown", category=[vital], effectiveDateTime="2026-01-01")
    secret = {**shown, "id": "secret", "effectiveDateTime": "2026-02-01"}
    secret["meta"] = {"security": [{"system": "http://hl7.org/fhir/v3/ActCode", "code": "PSY"}]}
    await exchange.bring("stu3", shown, secret)
    path = "/fhir/stu3/Observation/$lastn?category=vital-signs"
    for person, wanted in (("p-anna", "Observation/secret"), ("p-sam", "Observation/shown")):
        token = await exchange.token(scope="patient/*.rs", person=person)
        answer = await exchange.http.get(path, headers={"Authorization": f"Bearer {token}"})
        assert names(answer.json()) == [wanted]
        assert answer.json()["total"] == 1


async def test_included_resources_come_along(exchange):
    member = observation("member", code=concept("m"))
    panel = observation("panel", category=[concept("275711006")])
    panel["related"] = [{"type": "has-member", "target": {"reference": "Observation/member"}}]
    await exchange.bring("stu3", member, panel)
    path = f"Observation/$lastn?category={SCT}|275711006&_include=Observation:related-target"
    bundle = (await exchange.ask("61", path)).json()
    assert (bundle["total"], names(bundle)) == (1, ["Observation/panel", "Observation/member"])


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("max=0&code=a", 400, "value"),
        ("max=-1&code=a", 400, "value"),
        ("max=1&max=2&code=a", 400, "value"),
        ("max=veel&code=a", 400, "value"),
        ("code=a&_sort=date", 400, "not-supported"),
        ("kleur=rood&code=a", 400, "not-supported"),
        ("status=final", 400, "required"),
        ("", 400, "required"),
        ("code=a&_summary=count", 200, ""),
    ],
)
async def test_questions_that_are_wrong_are_named(exchange, query, status, code):
    await exchange.bring("r4", observation("o", code={"coding": [{"code": "a"}]}))
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}
    answer = await exchange.http.get(f"/fhir/r4/Observation/$lastn?{query}", headers=headers)
    assert answer.status_code == status
    if code:
        assert answer.json()["issue"][0]["code"] == code
    else:
        assert (answer.json()["total"], "entry" in answer.json()) == (1, False)


async def test_other_types_and_small_scopes_are_refused(exchange):
    await exchange.bring("r4")
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}
    answer = await exchange.http.get("/fhir/r4/Condition/$lastn?code=a", headers=headers)
    assert answer.status_code == 404
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/Condition.rs')}"}
    answer = await exchange.http.get("/fhir/r4/Observation/$lastn?code=a", headers=headers)
    assert answer.status_code == 403


async def test_what_is_remembered_of_an_observation_is_of_its_newest_version(exchange):
    headers = {"Authorization": f"Bearer {await exchange.token(scope='patient/*.rs')}"}

    async def asked():
        answer = await exchange.http.get("/fhir/r4/Observation/$lastn?code=a,b", headers=headers)
        return sorted(names(answer.json()))

    early = {"code": concept("a"), "effectiveDateTime": "2026-01-01"}
    late = {"code": concept("a"), "effectiveDateTime": "2026-01-02"}
    await exchange.bring("r4", observation("x", **early), observation("y", **late))
    assert await asked() == ["Observation/y"]
    await exchange.bring("r4", observation("x", **early | {"effectiveDateTime": "2026-01-03"}))
    assert await asked() == ["Observation/x"]
    await exchange.bring("r4", observation("x", **early | {"code": concept("b")}))
    assert await asked() == ["Observation/x", "Observation/y"]
