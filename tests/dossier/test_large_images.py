"""Images of more than one piece: kept whole, and opened again."""

from __future__ import annotations

import os
from base64 import b64encode

import pytest

from pgo.dossier.log import Rule
from pgo.dossier.open import Dossiers
from pgo.house import open_house
from pgo.office import Office, new_client
from pgo.settings import load


@pytest.fixture
async def house(tmp_path):
    settings = load(store=f"sqlite:///{tmp_path}/pgo.db", key=b64encode(os.urandom(32)).decode())
    async with open_house(settings) as opened:
        yield opened


async def test_an_image_larger_than_one_piece_of_the_store_is_kept_and_opens_again(house):
    client = new_client()
    office = Office(house, client)
    await office.create({"person": "veel"})
    await office.set_rules([Rule("notice", "n", {"text": "x" * 9_000_000})], "large")
    dossier = await house.parts.dossiers.open(client)
    await dossier.keep_image()
    kept = await house.store.image(client)
    assert kept is not None
    n, chunks = kept
    assert (n, len(chunks)) == (2, 3)
    assert max(map(len, chunks)) <= 4_000_000
    fresh = Dossiers(house.store, house.keys, open_bytes=64_000_000, image_every=64)
    again = await fresh.open(client)
    assert again.kept_n == 2, "opened from the image, not from the log"
    assert again.image.rule("notice", "n") == {"text": "x" * 9_000_000}
