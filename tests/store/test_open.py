"""Choosing a store by its address."""

import pytest

from pgo import errors
from pgo.store import open_store


@pytest.mark.parametrize(
    "address",
    [
        "",
        "pgo.db",
        "postgres://host/db",
        "sqlite://pgo.db",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///pgo.db?synchronous=off",
        "SQLITE",
        "mongodb+srv://host/db",
        "file:///pgo.db",
    ],
)
async def test_an_address_of_no_kind_we_know_is_refused(address):
    with pytest.raises(errors.BadValue, match="PGO_STORE") as told:
        await open_store(address, strict=False, mongo_standalone=False)
    assert told.value.place == "PGO_STORE"


async def test_a_refused_address_is_not_repeated_since_it_may_hold_a_password():
    for address in (
        "postgres://me:secret@host/db",
        "mongodb://me:secret@host",
        "mongodb://:secret",
    ):
        with pytest.raises(errors.BadValue) as told:
            await open_store(address, strict=False, mongo_standalone=False)
        assert "secret" not in told.value.detail


async def test_a_relative_path_is_below_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = await open_store("sqlite:///var/pgo.db", strict=True, mongo_standalone=False)
    await store.close()
    assert (tmp_path / "var" / "pgo.db").is_file()


async def test_without_a_clock_the_time_of_this_machine_counts(tmp_path):
    store = await open_store(f"sqlite:///{tmp_path}/pgo.db", strict=True, mongo_standalone=False)
    await store.put("codes", "key", b"old", 1_600_000_000)
    assert await store.put("codes", "key", b"new", 2**40, fresh=True)
    assert not await store.put("codes", "key", b"newer", 2**40, fresh=True)
    await store.close()
