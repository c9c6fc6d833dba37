"""Cursors: a short list is in the link, a long one in the store; both are sealed and end."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pgo.cursor import SECONDS, Cursors, Kept
from pgo.dossier.seal import Box
from pgo.errors import Incident
from pgo.store import open_store

NOW = 1_700_000_000


@pytest.fixture
async def store(tmp_path):
    opened = await open_store(
        f"sqlite:///{tmp_path}/pgo.db", strict=True, mongo_standalone=False, clock=lambda: NOW
    )
    yield opened
    await opened.close()


@pytest.fixture
def box():
    return Box(os.urandom(32))


def kept(count):
    rest = [[rid, 1 + rid % 3] for rid in range(count)]
    return Kept(["p-marjan", "app", ""], ["r4", "Observation"], [["code", "x"]], "code=x", rest)


@pytest.mark.parametrize("count", [1, 40, 1000])
async def test_what_was_kept_is_found_until_the_hour_is_over(store, box, count):
    cursors = Cursors(store, box, "fenna")
    name = await cursors.keep(kept(count), NOW)
    found = await cursors.find(name, NOW + SECONDS - 1)
    assert replace(found, rest=[]) == replace(kept(count), rest=[])
    whole = [tuple(place) for place in kept(count).rest]
    assert [tuple(place) for place in found.rest] == whole
    assert len(found.rest) == count
    for part in (slice(0, 20), slice(count - 1, None), slice(count, count + 20), slice(5, 10)):
        assert [tuple(place) for place in found.rest[part]] == whole[part]
    with pytest.raises(IndexError):
        found.rest[count]
    assert await cursors.find(name, NOW + SECONDS) is None


async def test_a_short_list_is_in_the_link_and_writes_nothing(store, box, monkeypatch):
    async def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(store, "put", refuse)
    name = await Cursors(store, box, "fenna").keep(kept(40), NOW)
    assert len(name) < 2100
    assert name.replace("-", "").replace("_", "").isalnum()
    with pytest.raises(AssertionError):
        await Cursors(store, box, "fenna").keep(kept(1000), NOW)


@pytest.mark.parametrize("count", [40, 1000])
async def test_a_cursor_opens_nothing_in_another_dossier(store, box, count):
    name = await Cursors(store, box, "fenna").keep(kept(count), NOW)
    assert await Cursors(store, box, "ruud").find(name, NOW) is None


async def test_a_changed_link_leads_nowhere(store, box):
    cursors = Cursors(store, box, "fenna")
    name = await cursors.keep(kept(40), NOW)
    for at in (1, 30, len(name) - 2):
        other = "A" if name[at] != "A" else "B"
        assert await cursors.find(name[:at] + other + name[at + 1 :], NOW) is None
    for wrong in ("p", "p!", "pé", "p" + "A" * 100, "", "0" * 32):
        assert await cursors.find(wrong, NOW) is None


async def test_a_kept_list_that_was_changed_in_the_store_is_an_incident(store, box):
    cursors = Cursors(store, box, "fenna")
    name = await cursors.keep(kept(1000), NOW)
    await store.put("cursor", f"fenna|{name}", b"\x01" + bytes(100), NOW + 100)
    with pytest.raises(Incident):
        await cursors.find(name, NOW)
