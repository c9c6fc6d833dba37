"""The engine of one dossier: its image can be lost, its log cannot; nothing is ever half there."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from dataclasses import replace

import pytest

from pgo.dossier.image import Image
from pgo.dossier.log import Delta, Rule
from pgo.errors import Forbidden, Incident, NotFound
from pgo.fhir.bundle import Op
from pgo.fhir.query import parse
from pgo.house import open_house
from pgo.settings import load
from pgo.store.contract import NotNext

QUERIES = (
    [],
    [("code", "code-3")],
    [("date", "ge2026-01-10"), ("_sort", "-date")],
    [("value-quantity", "gt7||mg")],
    [("code:not", "code-1"), ("_sort", "_lastUpdated")],
    [("code:missing", "false"), ("_count", "3")],
)


async def answers(home, client) -> list:
    """What a fixed set of searches gives: ids and versions in order, and totals."""
    found = []
    for pairs in QUERIES:
        page = await home.vault(client).search(parse("r4", "Observation", pairs), "")
        found.append((page.total, [(one.row.id, one.row.ver, one.text) for one in page.found]))
    return found


async def filled(home, make) -> str:
    """A dossier with versions, deletions, seals and more than one commit."""
    client = await home.dossier()
    ids = await home.add(client, *(make(n) for n in range(12)))
    for n in range(3):
        again = make(n, id=ids[n], note=[{"text": "anders"}])
        await home.vault(client).change(
            "update", "r4", [Op("PUT", "Observation", ids[n], tree=again)]
        )
    await home.vault(client).change("delete", "r4", [Op("DELETE", "Observation", ids[5])])
    regie = home.house.regie(home.vault(client).caller, client)
    await regie.seal("r4", "Observation", ids[6], "niet-voor-naasten")
    return client


async def reopened(home, client):
    home.house.parts.dossiers._open.clear()
    return await home.house.parts.dossiers.open(client)


# --- the image -----------------------------------------------------------------------------------


async def test_an_image_is_kept_used_and_the_same_as_one_made_from_the_log(home, make, held):
    client = await filled(home, make)
    dossier = await home.house.parts.dossiers.open(client)
    before, found = held(dossier), await answers(home, client)
    assert found[0][0] == 11
    made_again = await reopened(home, client)
    assert made_again is not dossier
    assert made_again.kept_n == 0
    assert held(made_again) == before
    assert await answers(home, client) == found
    await made_again.keep_image()
    from_image = await reopened(home, client)
    assert from_image.kept_n == made_again.image.n
    assert held(from_image) == before
    assert await answers(home, client) == found
    await home.add(client, make(99))
    assert (await reopened(home, client)).kept_n == made_again.image.n
    assert (await answers(home, client))[0][0] == 12


@pytest.mark.parametrize("harm", ["other format", "flipped", "cut", "of another n", "other client"])
async def test_an_image_that_is_not_good_is_made_again(harm, home, make, held):
    client = await filled(home, make)
    dossier = await home.house.parts.dossiers.open(client)
    before, found, n = held(dossier), await answers(home, client), dossier.image.n
    store, plain = home.house.store, dossier.image.serialize()
    if harm == "other format":
        other = Image(plain)
        other.db.execute("UPDATE meta SET value='0' WHERE name='format'")
        plain = other.serialize()
    chunks = dossier._seal_image(n, plain)
    if harm == "flipped":
        chunks = [chunks[0][:-1] + bytes([chunks[0][-1] ^ 1])]
    elif harm == "cut":
        chunks = [chunks[0][:-20]]
    elif harm == "of another n":
        chunks, n = dossier._seal_image(n, plain), n + 1
    elif harm == "other client":
        other_one = await home.dossier()
        chunks = (await home.house.parts.dossiers.open(other_one))._seal_image(n, plain)
    assert await store.keep_image(client, n, chunks)
    again = await reopened(home, client)
    assert again.kept_n == 0
    assert held(again) == before
    assert await answers(home, client) == found


async def test_an_image_is_kept_by_itself_after_so_many_commits(home, make):
    client = await home.dossier()
    dossiers = home.elsewhere(image_every=5)
    for n in range(9):
        await home.add(client, make(n))
        await dossiers.open(client)
    await dossiers.close()
    kept = await home.house.store.image(client)
    assert kept is not None
    assert 5 <= kept[0] <= 10


async def test_no_image_ever_sorts_on_disk(home, make):
    client = await home.dossier()
    await home.add(client, make(1))
    dossier = await home.house.parts.dossiers.open(client)
    copied = Image(dossier.image.serialize())
    for image in (dossier.image, copied, Image()):
        assert image.db.execute("PRAGMA temp_store").fetchall() == [(2,)]


async def test_open_dossiers_are_bounded_in_bytes(home, make):
    clients = [await home.dossier() for _ in range(6)]
    for client in clients:
        await home.add(client, *(make(n) for n in range(20)))
    one = (await home.elsewhere().open(clients[0])).bytes
    few = home.elsewhere(open_bytes=3 * one + one // 2)
    for client in [*clients, *clients]:
        dossier = await few.open(client)
        assert dossier.image.count() == 20
        assert sum(each.bytes for each in few._open.values()) <= 3 * one + one // 2
        assert len(few.open_clients) <= 3
    assert clients[-1] in few.open_clients
    tiny = home.elsewhere(open_bytes=1)
    await tiny.open(clients[0])
    await tiny.open(clients[1])
    assert tiny.open_clients == (clients[1],)


# --- the log -------------------------------------------------------------------------------------


async def test_another_process_sees_each_commit_at_its_next_question(home, make, held):
    client = await home.dossier()
    other = home.elsewhere()
    for n in range(1, 4):
        await home.add(client, make(n))
        seen = await other.open(client)
        assert seen.image.count() == n
        assert held(seen) == held(await home.house.parts.dossiers.open(client))


async def test_a_half_read_question_hides_no_later_commit(home, make):
    """A cursor that was not read to its end pins what its connection sees, but not the head."""
    client = await home.dossier()
    await home.add(client, make(1), make(2))
    other = home.elsewhere()
    await other.open(client)
    store = home.house.store
    pinned = store._reads._connection.execute("SELECT n FROM commits ORDER BY n")
    assert pinned.fetchone() == (1,)
    await asyncio.to_thread(_elsewhere, home, client)
    try:
        assert await store.head(client) == 3
    finally:
        pinned.close()
    assert (await other.open(client)).image.count() == 3


CHILD = """
import asyncio, os, signal, sys
from pgo.caller import Caller
from pgo.fhir.bundle import Op
from pgo.house import open_house
from pgo.settings import load

async def main(store, key, client, die):
    async with open_house(load(store=store, key=key)) as house:
        if die:
            async def gone(*_):
                os.kill(os.getpid(), signal.SIGKILL)
            house.store.append = gone
        anna = Caller(person="anna", scope=("user/*.cruds",))
        tree = {"resourceType": "Observation", "status": "final", "code": {"text": "kind"}}
        op = Op("POST", "Observation", tree=tree)
        await house.vault(anna, client).change("create", "r4", [op], name="vraag-1")

asyncio.run(main(*sys.argv[1:4], sys.argv[4] == "die"))
"""


def _elsewhere(home, client, how: str = "live") -> int:
    """One resource added by a process of its own; how that process ended."""
    command = [sys.executable, "-c", CHILD, home.store, home.key, client, how]
    return subprocess.run(command, capture_output=True, check=how == "live").returncode


async def test_a_process_that_dies_between_bodies_and_commit_leaves_no_trace(home, make, held):
    client = await filled(home, make)
    store = home.house.store
    before = held(await home.house.parts.dossiers.open(client))
    head, bodies = await store.head(client), await _bodies(store, client)
    died = await asyncio.to_thread(_elsewhere, home, client, "die")
    assert died == -signal.SIGKILL
    assert await _bodies(store, client) == bodies + 1, "it died after its bodies"
    assert await store.head(client) == head
    assert held(await reopened(home, client)) == before
    assert await store.sweep(client, -1) == 1
    assert await _bodies(store, client) == bodies
    await asyncio.to_thread(_elsewhere, home, client)
    await asyncio.to_thread(_elsewhere, home, client)
    assert await store.head(client) == head + 1, "the same request again is one change"
    found = await answers(home, client)
    assert found[0][0] == 12
    assert await _bodies(store, client) == bodies + 1


async def _bodies(store, client) -> int:
    rows = await store._scan("SELECT count(*) FROM bodies WHERE client=?", client)
    return rows[0][0]


async def test_a_commit_that_is_not_the_next_stores_nothing(home, make):
    client = await home.dossier()
    dossier = await home.elsewhere().open(client)
    stale = Delta(dossier.image.n + 1, 1, {}, (), (Rule("notice", "x", {"a": 1}),))
    await home.add(client, make(1))

    head = await home.house.store.head(client)
    pen = await home.house.trail.pen(client)

    def line(n, prev):
        return pen.line("log", n, prev, 1, b"{}")

    with pytest.raises(NotNext):
        await dossier.commit(stale, {}, line)
    assert await home.house.store.head(client) == head
    fresh = await home.elsewhere().open(client)
    assert fresh.image.n == head
    assert fresh.image.rule("notice", "x") is None


async def test_a_change_that_lost_the_race_is_tried_again_and_told_once(home, make, monkeypatch):
    client = await home.dossier()
    store, append = home.house.store, home.house.store.append
    others = []

    async def overtaken(who, commit):
        if len(others) < 3:
            others.append(commit.n)
            raise NotNext
        await append(who, commit)

    with monkeypatch.context() as race:
        race.setattr(store, "append", overtaken)
        (id_,) = await home.add(client, make(1))
    assert len(others) == 3
    lines = [one async for one in home.house.trail.read(client)]
    assert lines[-1].resources == (f"Observation/{id_}@1",)
    assert [number for _, number in lines[-1].categories] == [1]
    assert (await answers(home, client))[0][0] == 1


# --- a look ahead --------------------------------------------------------------------------------


async def test_a_preview_leaves_nothing_behind(home, make, held):
    client = await filled(home, make)
    dossier = await home.house.parts.dossiers.open(client)
    image = dossier.image
    before = held(dossier), image.n, image.rules_n, dict(image.facets)
    row = image.rows([1])[0]
    ahead = Delta(image.n + 1, 1, {}, (), (Rule("seal", f"r4/Observation/{row.id}", None),))
    with image.preview(ahead):
        assert image.n == before[1]
    with pytest.raises(ZeroDivisionError), image.preview(ahead):
        raise ZeroDivisionError
    assert (held(dossier), image.n, image.rules_n, dict(image.facets)) == before


async def test_a_refused_transaction_leaves_nothing_behind(home, make, held):
    client = await filled(home, make)
    dossier = await home.house.parts.dossiers.open(client)
    before, head = held(dossier), await home.house.store.head(client)
    ops = [
        Op("POST", "Observation", tree=make(1), index=0),
        Op("GET", "Observation", path="Observation/niet", index=1),
    ]
    with pytest.raises(NotFound):
        await home.vault(client).change("transaction", "r4", ops)
    assert held(dossier) == before
    assert await home.house.store.head(client) == head
    assert await home.house.store.sweep(client, -1) == 0, "bodies come after the last refusal"


async def test_reads_of_a_transaction_see_its_changes(home, make):
    client = await home.dossier()
    ops = [
        Op("POST", "Observation", tree=make(3), index=0),
        Op("GET", "Observation", path="Observation", query="code=code-3", index=1),
    ]
    done = await home.vault(client).change(
        "transaction",
        "r4",
        ops,
        queries=lambda *_: parse("r4", "Observation", [("code", "code-3")]),
    )
    assert done[1].page.total == 1
    assert done[1].page.found[0].row.id == done[0].row.id


# --- texts ---------------------------------------------------------------------------------------


async def test_a_text_is_the_same_after_a_restart(home, make):
    client = await home.dossier()
    (id_,) = await home.add(client, make(1, note=[{"text": "Zoë 1.00 ≤ ½ 🦆"}]))
    before = await home.vault(client).read("r4", "Observation", id_)
    settings = load(store=home.store, key=home.key)
    async with open_house(settings) as again:
        caller = replace(home.vault(client).caller)
        after = await again.vault(caller, client).read("r4", "Observation", id_)
    assert after.text == before.text
    assert "Zoë 1.00 ≤ ½ 🦆".encode() in after.text


async def test_a_text_that_is_gone_is_our_own_fault_and_only_its_own(home, make):
    client = await home.dossier()
    first, second = await home.add(client, make(1), make(2))
    dossier = await home.house.parts.dossiers.open(client)
    row = dossier.image.get("r4", "Observation", first)
    await home.house.store.drop_bodies(client, [row.body])
    with pytest.raises(Incident):
        await home.vault(client).read("r4", "Observation", first)
    assert (await home.vault(client).read("r4", "Observation", second)).text


async def test_the_servers_own_keys_are_no_dossier(home):
    with pytest.raises(NotFound):
        await home.vault("system").read("r4", "Patient", "x")
    with pytest.raises((NotFound, Forbidden)):
        await home.add("system", {"resourceType": "Patient"})
