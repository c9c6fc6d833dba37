"""An export under way: made a part at a time, by whoever asks, and over after an hour."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import orjson
import pytest

from pgo.caller import Caller
from pgo.errors import Incident, NotFound, TooMany
from pgo.exporting import LARGEST, PATIENCE, SECONDS, Export, Exports
from pgo.fhir import export
from pgo.fhir.address import read_address
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask

OTHER_APP = Caller(person="anna", name="Anna Berg", scope=("user/*.cruds",), app="andere")


def asking(path: str, **headers: str) -> Ask:
    """A GET at this address below the base."""
    address = read_address("GET", f"/fhir/r4/{path}")
    base = "https://pgo.example/fhir/r4"
    return Ask(address, headers, (), b"", base, "r", "GET")


def header(reply: Reply, name: bytes) -> str:
    return dict(reply.headers)[name].decode()


async def begun(vault: Any) -> str:
    """The address of a new export, below the base."""
    reply = await export.starting()(asking("$export", prefer="respond-async"), vault)
    assert reply.status == 202
    return header(reply, b"content-location").removeprefix("https://pgo.example/fhir/r4/")


async def test_a_large_dossier_is_looked_at_a_part_at_a_time(home, make, monkeypatch):
    monkeypatch.setattr(export, "_STEP", 2)
    monkeypatch.setattr(export, "_AT_ONCE", 1)
    client = await home.dossier()
    await home.add(client, *(make(number) for number in range(5)))
    where = await begun(home.vault(client))
    told = []
    for _ in range(10):
        reply = await export.status(asking(where), home.vault(client))
        if reply.status == 200:
            break
        assert header(reply, b"retry-after") == "1"
        told.append(header(reply, b"x-progress"))
        with pytest.raises(NotFound):
            await export.file(asking(f"{where}/0"), home.vault(client))
        with pytest.raises(TooMany):
            await begun(home.vault(client))
    assert told[0] == "2 resources"
    assert len(told) == len(set(told)) > 1
    manifest = orjson.loads(reply.body)
    assert [one["type"] for one in manifest["output"]].count("Observation") == 1
    number = [one["type"] for one in manifest["output"]].index("Observation")
    file = await export.file(asking(f"{where}/{number}"), home.vault(client))
    assert len(b"".join([part async for part in file.parts]).splitlines()) == 5
    assert await begun(home.vault(client)) != where, "a finished one is in nobody's way"


async def test_it_is_over_after_an_hour_and_never_another_apps(home, make):
    client = await home.dossier()
    await home.add(client, make(1))
    where = await begun(home.vault(client))
    assert (await export.status(asking(where), home.vault(client))).status == 200
    with pytest.raises(NotFound):
        await export.status(asking(where), home.vault(client, OTHER_APP))
    dossier = await home.house.parts.dossiers.open(client)
    exports = Exports(home.house.store, dossier.keys.box, client)
    name = where.rpartition("/")[2]
    started = int(home.house.parts.clock().timestamp())
    assert await exports.find(name, started + SECONDS - PATIENCE)
    assert await exports.find(name, started + SECONDS + PATIENCE) is None


async def test_what_is_kept_of_it_opens_under_its_own_name_only(home):
    client = await home.dossier()
    dossier = await home.house.parts.dossiers.open(client)
    store, box = home.house.store, dossier.keys.box
    exports = Exports(store, box, client)
    made = Export(["anna", "", ""], "r4", [], "https://pgo.example", 1, 2, 2**40)
    await exports.keep("een", made)
    sealed = await store.peek("export", f"{client}|een", 0)
    assert b"anna" not in sealed
    assert await exports.find("een", 0) == made
    await store.put("export", f"{client}|twee", sealed, 2**40)
    with pytest.raises(Incident):
        await exports.find("twee", 0)


def test_files_are_stretches_of_one_type_without_gap_or_overlap():
    made = Export([], "r4", [], "", 1, 2, 3)
    for rid in range(1, 2 * LARGEST + 3):
        made.add("Observation" if rid % 2 else "Condition", rid)
        made.add("Goal", rid) if rid % 500 == 0 else None
    for type_ in ("Observation", "Condition", "Goal"):
        files = [one for one in made.files if one.type == type_]
        assert files[0].after == 0
        assert all(one.until == after.after for one, after in pairwise(files))
        assert all(one.count <= LARGEST for one in files)
    assert made.seen == sum(one.count for one in made.files)
