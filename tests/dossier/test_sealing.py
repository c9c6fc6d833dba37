"""Sealed bytes open in their own place only, whole or not at all; keys are never shown."""

from __future__ import annotations

import base64
import logging
import sqlite3
import traceback
from collections import Counter
from contextlib import closing

import pytest

from pgo.dossier.seal import Box, DossierKeys, subkey
from pgo.errors import Incident, NotFound
from pgo.fhir.bundle import Op
from pgo.settings import load

KEY = bytes(range(32))


def change(home, sql: str, *values) -> None:
    """Change the file behind the store's back."""
    with closing(sqlite3.connect(home.store.removeprefix("sqlite:///"))) as file, file:
        assert file.execute(sql, values).rowcount == 1


def one(home, sql: str, *values):
    with closing(sqlite3.connect(home.store.removeprefix("sqlite:///"))) as file:
        return file.execute(sql, values).fetchall()[0][0]


async def row_of(home, client, id_):
    dossier = await home.house.parts.dossiers.open(client)
    return dossier.image.get("r4", "Observation", id_)


async def read(home, client, id_) -> bytes:
    return (await home.vault(client).read("r4", "Observation", id_)).text


async def forget(home):
    """As after a restart: nothing is open, no key is held."""
    home.house.parts.dossiers._open.clear()
    for client in await home.house.store.clients():
        home.house.keys.forget(client)


async def put_body(home, client, row, sealed) -> None:
    sql = "UPDATE bodies SET sealed=? WHERE client=? AND id=?"
    change(home, sql, sealed, client, row.body)


def body_of(home, client, row) -> bytes:
    return one(home, "SELECT sealed FROM bodies WHERE client=? AND id=?", client, row.body)


# --- the box -------------------------------------------------------------------------------------


def test_a_box_opens_what_it_sealed_in_that_place_only():
    box = Box(KEY)
    sealed = box.seal(b"pgo1|body|a|r4|Observation|x|1", b"text")
    assert box.open(b"pgo1|body|a|r4|Observation|x|1", sealed) == b"text"
    for place in (
        b"pgo1|body|b|r4|Observation|x|1",
        b"pgo1|body|a|stu3|Observation|x|1",
        b"pgo1|body|a|r4|Condition|x|1",
        b"pgo1|body|a|r4|Observation|y|1",
        b"pgo1|body|a|r4|Observation|x|2",
        b"pgo2|body|a|r4|Observation|x|1",
        b"",
    ):
        with pytest.raises(Incident):
            box.open(place, sealed)
    with pytest.raises(Incident):
        Box(subkey(KEY, b"other")).open(b"pgo1|body|a|r4|Observation|x|1", sealed)


def test_no_flipped_bit_and_no_missing_byte_goes_unseen():
    box, place = Box(KEY), b"place"
    sealed = box.seal(place, b"a text of some length")
    for byte in range(len(sealed)):
        for bit in range(8):
            harmed = bytearray(sealed)
            harmed[byte] ^= 1 << bit
            with pytest.raises(Incident):
                box.open(place, bytes(harmed))
    for length in range(len(sealed)):
        with pytest.raises(Incident):
            box.open(place, sealed[:length])
    with pytest.raises(Incident):
        box.open(place, sealed + b"\0")


def test_no_nonce_comes_twice():
    box = Box(KEY)
    sealed = [box.seal(b"", b"same") for _ in range(50_000)]
    assert len({one[1:13] for one in sealed}) == len(sealed) == len(set(sealed))
    firsts = Counter(one[1] for one in sealed)
    assert len(firsts) == 256, "every first byte occurs among so many"


def test_the_same_name_is_another_one_in_another_dossier():
    keys = [DossierKeys(Box(KEY), subkey(KEY, use)) for use in (b"one", b"two")]
    names = [each.name("r4", "Observation", "x") for each in keys]
    assert names[0] != names[1]
    assert names[0] == keys[0].name("r4", "Observation", "x")
    assert b"Observation" not in names[0]


# --- on disk -------------------------------------------------------------------------------------


async def test_nothing_on_disk_has_a_nonce_twice(home, make):
    client = await home.dossier()
    for _ in range(20):
        await home.add(client, *(make(n) for n in range(10)))
    path = home.store.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as file:
        nonces = [
            sealed[1:13]
            for table in ("bodies", "commits", "lines")
            for (sealed,) in file.execute(f"SELECT sealed FROM {table}").fetchall()
        ]
    assert len(nonces) > 200
    assert len(set(nonces)) == len(nonces)


async def test_a_body_put_in_the_place_of_another_does_not_open(home, make):
    client, other = await home.dossier(), await home.dossier()
    first, second = await home.add(client, make(1), make(2))
    (theirs,) = await home.add(other, make(1))
    again = make(1, id=first)
    old = await row_of(home, client, first)
    again["note"] = [{"text": "nieuw"}]
    await home.vault(client).change("update", "r4", [Op("PUT", "Observation", first, tree=again)])
    row = await row_of(home, client, first)
    right = body_of(home, client, row)
    for sealed in (
        body_of(home, client, await row_of(home, client, second)),
        body_of(home, client, old),
        body_of(home, other, await row_of(home, other, theirs)),
    ):
        await put_body(home, client, row, sealed)
        with pytest.raises(Incident):
            await read(home, client, first)
        assert await read(home, client, second)
    await put_body(home, client, row, right)
    assert b"nieuw" in await read(home, client, first)


async def test_a_commit_put_in_the_place_of_another_does_not_open(home, make):
    client, other = await home.dossier(), await home.dossier()
    (id_,) = await home.add(client, make(1))
    (theirs,) = await home.add(other, make(1))
    kept = "SELECT sealed FROM commits WHERE client=? AND n=?"
    place = "UPDATE commits SET sealed=? WHERE client=? AND n=?"
    right = one(home, kept, client, 2)
    for sealed in (one(home, kept, client, 1), one(home, kept, other, 2)):
        change(home, place, sealed, client, 2)
        await forget(home)
        with pytest.raises(Incident):
            await read(home, client, id_)
        assert await read(home, other, theirs)
    change(home, place, right, client, 2)
    await forget(home)
    assert await read(home, client, id_)


async def test_a_wrapped_key_of_another_does_not_open(home, make):
    client, other = await home.dossier(), await home.dossier()
    await home.add(client, make(1))
    (theirs,) = await home.add(other, make(1))
    path = home.store.removeprefix("sqlite:///") + "-keys"
    with closing(sqlite3.connect(path)) as file, file:
        swap = "UPDATE keys SET wrapped=(SELECT wrapped FROM keys WHERE client=? AND name='data')"
        file.execute(f"{swap} WHERE client=? AND name='data'", (other, client))
    await forget(home)
    with pytest.raises(Incident):
        await home.house.parts.dossiers.open(client)
    assert await read(home, other, theirs)


async def test_a_flipped_bit_spoils_one_text_and_nothing_else(home, make):
    client = await home.dossier()
    first, second = await home.add(client, make(1), make(2))
    row = await row_of(home, client, first)
    sealed = body_of(home, client, row)
    for byte in (0, 5, 14, len(sealed) // 2, len(sealed) - 1):
        harmed = bytearray(sealed)
        harmed[byte] ^= 4
        await put_body(home, client, row, bytes(harmed))
        with pytest.raises(Incident) as told:
            await read(home, client, first)
        assert "final" not in told.value.detail
        assert await read(home, client, second)
    lines = [entry async for entry in home.house.trail.read(client)]
    assert Counter(entry.status for entry in lines)[500] == 5


async def test_a_destroyed_key_is_gone_everywhere(home, make):
    client = await home.dossier()
    (id_,) = await home.add(client, make(1))
    await home.house.store.destroy_key(client, "data")
    await forget(home)
    with pytest.raises(NotFound):
        await read(home, client, id_)


# --- keys are never shown ------------------------------------------------------------------------


def forms(key: bytes) -> list[str]:
    """How a key could appear in a text."""
    return [key.hex(), repr(key)[2:-1], base64.b64encode(key).decode().rstrip("="), str(list(key))]


async def test_no_key_is_in_a_repr_a_traceback_or_a_log(home, make, caplog):
    caplog.set_level(logging.DEBUG)
    client = await home.dossier()
    (id_,) = await home.add(client, make(1))
    house = home.house
    data = await house.keys.data(client)
    deployment = base64.b64decode(home.key)
    raw = [deployment, data.index, await house.keys.audit_key(client), house.keys._held]
    held = [key for _, key in house.keys._held.values()]
    settings = load(store=home.store, key=home.key)
    dossier = await house.parts.dossiers.open(client)
    shown = [repr(each) for each in (data, data.box, house.keys, settings, dossier, house.trail)]
    shown += [str(each) for each in (data, data.box, house.keys, settings)]
    row = await row_of(home, client, id_)
    await put_body(home, client, row, b"\1" + bytes(40))
    try:
        await read(home, client, id_)
    except Incident as fault:
        whole = traceback.TracebackException.from_exception(fault, capture_locals=False)
        shown.append("".join(whole.format()))
    shown += [caplog.text, *(str(record.args) for record in caplog.records)]
    everything = "\n".join(shown)
    assert "Incident" in everything
    for key in [*raw[:3], *held]:
        for form in forms(key):
            assert form not in everything
