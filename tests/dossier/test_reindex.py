"""A dossier written with other search parameters is found in all the same, from its texts."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pgo.dossier import open as opening
from pgo.dossier.image import Image
from pgo.dossier.log import Delta
from pgo.dossier.open import Dossiers
from pgo.errors import Incident
from pgo.fhir import added, search, text
from pgo.fhir.query import parse
from pgo.moment import moment

KLEUR = {
    "resourceType": "SearchParameter",
    "url": "https://example.org/SearchParameter/kleur",
    "code": "kleur",
    "type": "string",
    "base": ["Observation"],
    "expression": "Observation.note.text",
}


@pytest.fixture
def own(tmp_path):
    """Search parameters of a deployment that adds one."""
    (tmp_path / "own" / "r4").mkdir(parents=True)
    (tmp_path / "own" / "r4" / "kleur.json").write_text(json.dumps(KLEUR))
    return added.searches(tmp_path / "own")


def elsewhere(home, searches=None, every=64):
    return Dossiers(
        home.house.store, home.house.keys, open_bytes=64_000_000, image_every=every,
        searches=searches,
    )  # fmt: skip


def found(dossier, *pairs):
    query = parse("r4", "Observation", pairs, parameters=dossier.searches["r4"])
    made = search.compile(query, lambda _: ("1", []), now=moment(0))
    return len(dossier.image.select(made.sql, made.args))


async def written(home, make, many=3):
    client = await home.dossier()
    await home.add(client, *(noted(make, n) for n in range(many)))
    return client


def noted(make, number):
    """An observation as it comes in, with a note."""
    tree = make(number, note=[{"text": f"rood {number}"}])
    return text.parse(json.dumps(tree).encode())


async def test_a_parameter_that_is_new_finds_what_was_there_before(home, make, own):
    client = await written(home, make)
    dossier = await elsewhere(home, own).open(client)
    assert found(dossier, ("kleur", "rood")) == 3
    assert found(dossier, ("kleur", "rood 1")) == 1


async def test_a_parameter_that_went_away_leaves_no_rows(home, make, own, held):
    client = await written(home, make)
    with_it = await elsewhere(home, own).open(client)
    await with_it.keep_image()
    without = await elsewhere(home).open(client)
    assert len(held(without)) < len(held(with_it))
    assert held(without) == held(await home.house.parts.dossiers.open(client))


async def test_commits_from_before_rows_said_what_made_them_are_indexed_anew(
    home, make, monkeypatch
):
    client = await written(home, make)
    decode = Delta.decode

    def old(raw):
        delta = decode(raw)
        bare = tuple(replace(change, rows={}, made="") for change in delta.changes)
        return replace(delta, changes=bare)

    monkeypatch.setattr(opening.Delta, "decode", staticmethod(old))
    dossier = await elsewhere(home).open(client)
    assert found(dossier, ("code", "code-1")) == 1
    assert found(dossier, ("_content", "rood")) == 3


async def test_it_is_done_once_and_then_kept_with_the_image(home, make, own):
    client = await written(home, make)
    first = elsewhere(home, own)
    dossier = await first.open(client)
    assert await dossier.reindex() == 0
    await first.close()
    kept = await home.house.store.image(client)
    assert kept is not None
    again = await elsewhere(home, own).open(client)
    assert again.image.outdated({rel: one.mark for rel, one in own.items()}) == []
    assert found(again, ("kleur", "rood")) == 3


async def test_what_another_process_writes_with_other_parameters_is_indexed_too(home, make, own):
    client = await written(home, make)
    there = elsewhere(home, own)
    await there.open(client)
    await home.add(client, noted(make, 9))
    assert found(await there.open(client), ("kleur", "rood")) == 4


async def test_what_is_deleted_stays_away(home, make, own):
    client = await written(home, make)
    dossier = await home.house.parts.dossiers.open(client)
    dossier.image.db.execute("UPDATE res SET live=0 WHERE rid=1")
    assert await dossier.reindex(everything=True) == 2
    assert found(dossier, ("code", "code-0")) == 0


async def test_a_text_that_does_not_open_keeps_its_rows_and_stops_nothing(
    home, make, own, monkeypatch, caplog
):
    client = await written(home, make)
    texts = opening.Dossier.texts

    async def broken(self, rows):
        if any(row.rid == 2 for row in rows):
            raise Incident("a stored text is missing")
        return await texts(self, rows)

    monkeypatch.setattr(opening.Dossier, "texts", broken)
    dossier = await elsewhere(home, own).open(client)
    assert found(dossier, ("kleur", "rood")) == 2
    assert found(dossier, ("status", "final")) == 3
    assert "does not open" in caplog.text
    assert "rood" not in caplog.text


def test_an_image_of_another_format_is_refused():
    image = Image()
    image.db.execute("UPDATE meta SET value='2' WHERE name='format'")
    with pytest.raises(ValueError, match="format"):
        Image(image.serialize())
