"""The same search again: answered sooner while nothing changes, and never as if nothing had."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import orjson
import pytest

from pgo.caller import Caller
from pgo.cursor import SECONDS
from pgo.dossier.image import Image
from pgo.dossier.log import Delta, Rule
from pgo.dossier.seal import Box
from pgo.errors import Incident, NotFound
from pgo.fhir import answers, search
from pgo.fhir.bundle import Op
from pgo.fhir.conditions import Clause, Either
from pgo.fhir.query import parse
from pgo.house import open_house
from pgo.settings import load
from pgo.store import open_store

BASE = "https://pgo.example/fhir/r4"
ALL = (("_sort", "-date"), ("_count", "3"))
SAM = Caller(person="sam", name="Sam", scope=("user/*.rs",))


class Clock:
    """Moves when a test says so; never on a whole second."""

    def __init__(self) -> None:
        self.now = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def on(self, **more: float) -> None:
        self.now += timedelta(**more)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def timed(home, clock):
    """The same house on the same store with a clock that stands still."""
    async with open_house(load(store=home.store, key=home.key), clock=clock) as house:
        home.house = house
        yield home


@pytest.fixture
async def filled(timed, make):
    """A dossier with ten results."""
    client = await timed.dossier()
    ids = await timed.add(client, *(make(n) for n in range(10)))
    return client, ids


@pytest.fixture
def compiled(monkeypatch):
    """How many statements were made for searches."""
    made, compile_ = Counter(), search.compile

    def counted(*args, **more):
        made["statements"] += 1
        return compile_(*args, **more)

    monkeypatch.setattr(search, "compile", counted)
    return made


async def shown(home, client, query, caller=None):
    vault = home.vault(client, caller) if caller else home.vault(client)
    page = await vault.search(query, "asked")
    return [(one.row.id, one.row.ver) for one in page.found], page.total, page.cursor


def asking(*pairs):
    return parse("r4", "Observation", pairs or ALL)


# --- statements ------------------------------------------------------------------------------


async def test_the_same_question_is_worked_out_once_until_something_changes(
    timed, filled, make, compiled
):
    client, ids = filled
    query = asking()
    first = await shown(timed, client, query)
    assert await shown(timed, client, query) == first
    assert first[:2] == ([(id_, 1) for id_ in reversed(ids[-3:])], 10)
    assert compiled["statements"] == 1
    [later] = await timed.add(client, make(20))
    again = await shown(timed, client, query)
    assert (again[0][0], again[1]) == ((later, 1), 11)
    changed = make(9, id=ids[9], effectiveDateTime="2026-02-01")
    await timed.vault(client).change(
        "update", "r4", [Op("PUT", "Observation", ids[9], tree=changed)]
    )
    assert (await shown(timed, client, query))[0][0] == (ids[9], 2)
    await timed.vault(client).change("delete", "r4", [Op("DELETE", "Observation", ids[9])])
    found, total, _ = await shown(timed, client, query)
    assert (found[0], total) == ((later, 1), 10)


async def test_who_may_see_other_things_asks_something_else(timed, filled):
    client, ids = filled
    regie = timed.house.regie(timed.vault(client).caller, client)
    query = asking()
    everything = await shown(timed, client, query)
    with pytest.raises(NotFound):
        await shown(timed, client, query, SAM)
    granted = {"effect": "permit", "to_who": "sam", "actions": ["lezen"]}
    given = await regie.grant(granted | {"categories": ["metingen"], "instances": ids[:2]})
    assert (await shown(timed, client, query, SAM))[:2] == ([(ids[1], 1), (ids[0], 1)], 2)
    assert (await shown(timed, client, query))[:2] == everything[:2]
    await regie.revoke(given["id"])
    with pytest.raises(NotFound):
        await shown(timed, client, query, SAM)


async def test_a_rule_that_begins_and_ends_does_so_for_a_question_asked_before(
    timed, filled, clock
):
    client, _ = filled
    regie = timed.house.regie(timed.vault(client).caller, client)
    clock.on(seconds=1)
    begin, end = (clock.now + timedelta(seconds=more) for more in (60, 120))
    permit = {"effect": "permit", "to_who": "sam", "actions": ["lezen"]}
    await regie.grant(permit | {"categories": ["metingen"]})
    deny = {"effect": "deny", "to_who": "sam", "categories": ["metingen"]}
    await regie.grant(deny | {"from": begin.isoformat(), "to": end.isoformat()})
    query, totals = asking(), []
    for _ in range(4):
        try:
            totals.append((await shown(timed, client, query, SAM))[1])
        except NotFound:
            totals.append(0)
        clock.on(seconds=50)
    assert totals == [10, 10, 0, 10]


async def test_about_this_day_is_asked_anew_each_time(timed, filled, clock):
    client, _ = filled
    query = asking(("date", "ap2026-02-20"))
    assert (await shown(timed, client, query))[1] == 0
    clock.on(days=4_000)
    assert (await shown(timed, client, query))[1] == 10


@pytest.mark.parametrize(
    ("pair", "lasts"),
    [
        (("code", "a"), True),
        (("date", "ge2026"), True),
        (("date", "ge2026,ap2025"), False),
        (("_lastUpdated", "ap2026"), False),
        (("code:missing", "true"), True),
        (("value-quantity", "ap5||mg"), True),
        (("code-value-quantity", "a$5||mg"), True),
        (("patient.name", "Fenna"), False),
        (("_has:Provenance:target:recorded", "ge2026"), False),
    ],
    ids=lambda one: "=".join(one) if isinstance(one, tuple) else str(one),
)
def test_a_statement_lasts_when_neither_the_moment_nor_other_resources_matter(pair, lasts):
    query = parse("r4", "Observation", [pair])
    assert search.lasts(query) is lasts

    def made(year, other):
        def visible(alias):
            return ("1" if alias == "r" else other), []

        now = datetime(year, 1, 1, tzinfo=UTC)
        return search.compile(query, visible, now=now)

    same = made(2020, "1") == made(2027, "1") and made(2020, "1") == made(2020, "0")
    assert same is lasts
    if isinstance(query.clauses[0], Clause):
        assert search.lasts(replace(query, clauses=(Either(query.clauses),))) is lasts


# --- the next page ---------------------------------------------------------------------------


async def test_the_link_to_the_next_page_is_the_same_for_a_minute(timed, filled, clock, make):
    client, _ = filled
    query = asking()
    first = (await shown(timed, client, query))[2]
    clock.on(seconds=59)
    assert (await shown(timed, client, query))[2] == first
    clock.on(seconds=1)
    second = (await shown(timed, client, query))[2]
    assert second != first
    page, _ = await timed.vault(client).page("r4", "Observation", first, BASE)
    assert len(page.found) == 3
    clock.on(seconds=SECONDS - 60)
    with pytest.raises(NotFound):
        await timed.vault(client).page("r4", "Observation", first, BASE)
    page, _ = await timed.vault(client).page("r4", "Observation", second, BASE)
    assert page.total == 10
    await timed.add(client, make(30))
    assert (await shown(timed, client, query))[2] != second


async def test_another_caller_and_another_question_get_links_of_their_own(timed, filled):
    client, _ = filled
    anna = timed.vault(client).caller
    same = Caller(person="anna", name="Anna Berg", scope=anna.scope, app="other")
    links = {
        (await shown(timed, client, query, caller))[2]
        for caller in (anna, same)
        for query in (asking(), asking(("_sort", "-date"), ("_count", "4")))
    }
    assert len(links) == 4
    for link in links:
        seen = 0
        for caller in (anna, same):
            try:
                await timed.vault(client, caller).page("r4", "Observation", link, BASE)
            except NotFound:
                continue
            seen += 1
        assert seen == 1


async def test_a_long_list_is_kept_in_the_store_once(timed, make, monkeypatch):
    client = await timed.dossier()
    await timed.add(client, *(make(n) for n in range(300)))
    kept, put = Counter(), timed.house.store.put

    async def counted(space, *rest, **more):
        kept[space] += 1
        return await put(space, *rest, **more)

    monkeypatch.setattr(timed.house.store, "put", counted)
    links = {(await shown(timed, client, asking()))[2] for _ in range(5)}
    assert (len(links), kept["cursor"]) == (1, 1)


# --- rows and bodies -------------------------------------------------------------------------


def test_rows_are_remembered_until_a_commit_and_not_while_one_is_tried():
    image = Image()
    image.db.execute(
        "INSERT INTO res VALUES (1,'r4','Basic','a',1,0,0,NULL,1,NULL,'',''),"
        " (2,'r4','Basic','b',1,0,0,NULL,1,NULL,'','')"
    )
    before = image.rows([2, 1])
    assert [row.id for row in before] == ["b", "a"]
    assert image.rows([1, 3]) == [before[1]]
    assert image.beside() > 0
    image.db.execute("UPDATE res SET ver=2")
    assert image.rows([2, 1]) == before
    with image.preview(Delta(1, 0, {}, ())):
        assert [row.ver for row in image.rows([2, 1])] == [2, 2]
        image.db.execute("UPDATE res SET ver=3")
    assert [row.ver for row in image.rows([2, 1])] == [2, 2]
    image.db.execute("UPDATE res SET ver=4")
    image.apply(Delta(1, 0, {}, (), (Rule("fact", "x", {}),)))
    assert [row.ver for row in image.rows([2, 1])] == [4, 4]
    image.apply(Delta(2, 0, {}, ()))
    image.db.execute("SAVEPOINT tried")
    image.db.execute("UPDATE res SET ver=5")
    assert [row.ver for row in image.rows([2, 1])] == [5, 5]
    image.db.execute("ROLLBACK TO tried")
    image.db.execute("RELEASE tried")
    assert [row.ver for row in image.rows([2, 1])] == [4, 4]


async def test_bodies_that_were_destroyed_elsewhere_are_shown_nowhere(timed, filled):
    client, ids = filled
    query = asking()
    assert len((await shown(timed, client, query))[0]) == 3
    assert len((await shown(timed, client, query))[0]) == 3
    dossier = await timed.house.parts.dossiers.open(client)
    bodies = [dossier.image.get("r4", "Observation", id_).body for id_ in ids]
    other = await open_store(timed.store, strict=False, mongo_standalone=True, clock=lambda: 0)
    try:
        await other.drop_bodies(client, bodies[-1:])
        with pytest.raises(Incident):
            await shown(timed, client, query)
        assert len((await shown(timed, client, asking(("_id", ids[0]))))[0]) == 1
        await other.erase(client)
        with pytest.raises((Incident, NotFound)):
            await shown(timed, client, asking(("_id", ids[0])))
    finally:
        await other.close()


def test_of_boxes_opened_together_one_that_was_changed_spoils_all():
    box = Box(os.urandom(32))
    sealed = [(b"%d" % n, box.seal(b"%d" % n, b"text %d" % n)) for n in range(3)]
    assert box.open_each(sealed) == [b"text 0", b"text 1", b"text 2"]
    assert box.open_each([]) == []
    moved = [sealed[0], (b"2", sealed[1][1])]
    short = [sealed[0], (b"1", sealed[1][1][:-1])]
    other = [sealed[0], (b"1", b"\x02" + sealed[1][1][1:])]
    for wrong in (moved, short, other, [(b"0", b"")]):
        with pytest.raises(Incident):
            box.open_each(wrong)


# --- the Bundle ------------------------------------------------------------------------------


@pytest.mark.parametrize("base", [BASE, 'https://é.example/"x"\\y/fhir/r4'])
@pytest.mark.parametrize("count", ["3", "0"])
async def test_a_searchset_is_what_printing_its_tree_gives(timed, filled, base, count):
    client, _ = filled
    query = parse("r4", "Observation", [*ALL[:1], ("_count", count), ("_include", "*")])
    page = await timed.vault(client).search(query, "x")
    drawn = answers.searchset(page, query, base, "x")
    tree = orjson.loads(drawn)
    assert orjson.dumps(tree) == drawn
    entries = tree.get("entry", [])
    assert [one["fullUrl"] for one in entries] == [
        f"{base}/{found.row.type}/{found.row.id}" for found in page.found
    ]
    assert [orjson.dumps(one["resource"]) for one in entries] == [one.text for one in page.found]
    assert {one["search"]["mode"] for one in entries} <= {"match", "include"}
    assert list(tree) == ["resourceType", "type", "total", "link", *["entry"] * bool(entries)]
