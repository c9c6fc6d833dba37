"""A large document in pieces: whole or not at all, whatever becomes of its pieces in the store."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os

import pytest

from pgo.dossier import cutting
from pgo.dossier.cutting import Cutter
from pgo.dossier.log import Change, Delta, Facet
from pgo.dossier.seal import Box, DossierKeys
from pgo.errors import Incident
from pgo.fhir.large import PIECE, Large
from pgo.upkeep import sweep

CLIENT = "anna"
BYTES = b"%PDF-1.7\n" + hashlib.shake_256(b"brief").digest(2 * PIECE + 5)
KEYS = DossierKeys(Box(bytes(32)), bytes(32))


def cut(raw: bytes, step: int) -> tuple[Large, dict[bytes, bytes]]:
    """What a document is cut into that arrives in steps of so many bytes."""
    cutter = Cutter(CLIENT, KEYS, bytes(16))
    sealed = {}
    for start in range(0, len(raw), step):
        sealed |= dict(cutter.add(raw[start : start + step]))
    large, (id_, last) = cutter.end()
    return large, sealed | {id_: last}


@pytest.mark.parametrize("step", [4_096, 65_537, PIECE, 3 * PIECE])
@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 5])
def test_however_it_arrives_it_is_cut_the_same(size, step):
    raw = BYTES[:size]
    large, sealed = cut(raw, step)
    assert (large.size, large.count) == (size, -(-size // PIECE))
    assert large.digest == hashlib.sha256(raw).hexdigest()
    ids = cutting.ids_of(KEYS, large.name, large.count)
    assert list(sealed) == list(ids)
    opened = [cutting.opened(CLIENT, KEYS, large, n, sealed[id_]) for n, id_ in enumerate(ids)]
    assert b"".join(opened) == raw
    assert all(raw[:32] not in part for part in sealed.values() if size >= PIECE)


def test_a_piece_opens_only_where_it_belongs():
    large, sealed = cut(BYTES, PIECE)
    first, second, last = sealed.values()
    shorter = Large(large.name, 2, large.size, large.digest)
    other = Large("ab" * 16, 3, large.size, large.digest)
    turned = bytes([*first[:-1], first[-1] ^ 1])
    for client, document, number, piece in (
        (CLIENT, large, 0, second),
        (CLIENT, large, 1, first),
        (CLIENT, large, 2, second),
        (CLIENT, large, 0, last),
        (CLIENT, shorter, 1, second),
        (CLIENT, other, 0, first),
        ("bram", large, 0, first),
        (CLIENT, large, 0, turned),
        (CLIENT, large, 0, first[:-1]),
        (CLIENT, large, 0, b""),
    ):
        with pytest.raises(Incident):
            cutting.opened(client, KEYS, document, number, piece)
    assert cutting.opened(CLIENT, KEYS, large, 0, first) == BYTES[:PIECE]


async def stored(home) -> tuple[str, object, Large]:
    """A dossier with one large document, and where that is."""
    client = await home.dossier()
    data = base64.b64encode(BYTES).decode()
    tree = {"resourceType": "Binary", "contentType": "application/pdf", "data": data}
    (id_,) = await home.add(client, tree)
    dossier = await home.house.parts.dossiers.open(client)
    row = dossier.image.get("r4", "Binary", id_)
    large, _ = await dossier.document(row)
    return client, dossier, large


async def read(dossier, large: Large) -> bytes:
    return b"".join([piece async for piece in dossier.pieces(large)])


@pytest.mark.parametrize("what", ["missing", "swapped", "changed", "cut"])
async def test_what_became_of_a_piece_is_noticed(home, what):
    client, dossier, large = await stored(home)
    assert await read(dossier, large) == BYTES
    store = home.house.store
    ids = cutting.ids_of(dossier.keys, large.name, large.count)
    kept = await store.bodies(client, ids)
    put = {
        "missing": {},
        "swapped": {ids[1]: kept[ids[0]]},
        "changed": {ids[1]: kept[ids[1]][:-1] + b"\0"},
        "cut": {ids[1]: kept[ids[2]]},
    }[what]
    await store.drop_bodies(client, [ids[1]])
    await store.keep_bodies(client, put)
    with pytest.raises(Incident):
        await read(dossier, large)


async def test_the_sweeper_takes_pieces_without_a_commit_and_leaves_the_others(home):
    client, dossier, large = await stored(home)
    cutter = Cutter(client, dossier.keys, os.urandom(16))
    for id_, sealed in cutter.add(BYTES):
        await dossier.keep_piece(id_, sealed)
    assert len(cutter.ids) == 2
    await asyncio.sleep(0.01)
    assert await sweep(home.house, older_than=0.0) >= 2
    assert await home.house.store.bodies(client, cutter.ids) == {}
    assert await read(dossier, large) == BYTES


async def test_an_erased_dossier_has_no_pieces(home):
    client, dossier, large = await stored(home)
    ids = cutting.ids_of(dossier.keys, large.name, large.count)
    await home.house.store.erase(client)
    assert await home.house.store.bodies(client, ids) == {}


def test_commits_from_before_there_were_pieces_are_read():
    change = Change("r4", "Binary", "b", 1, "POST", Facet("Binary"), "00" * 16)
    delta = Delta(1, 2, {}, (change,))
    raw = delta.encode()
    assert b'"pieces":[]' in raw
    assert Delta.decode(raw.replace(b',"pieces":[]', b"")) == Delta.decode(raw) == delta
