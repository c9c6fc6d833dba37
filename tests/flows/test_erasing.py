"""Erasing a dossier: gone at once on every worker and in either store, and it stays gone."""

from __future__ import annotations

import asyncio
import shutil

import httpx2
import orjson
import pytest

from pgo import erasing, life, telling, upkeep
from pgo.erased import ErasedList
from pgo.errors import BadValue, NotFound, Unavailable
from pgo.office import must_exist

MEDIA = {"Content-Type": "application/fhir+json"}
WHY = "verzoek van de familie, brief 12"


@pytest.fixture(scope="module", params=["sqlite", pytest.param("mongodb", marks=pytest.mark.long)])
def on(request, launch, tmp_path_factory):
    """A server with two workers of these tests alone, on each kind of store."""
    folder = tmp_path_factory.mktemp("erased")
    more = {"PGO_ERASED_LIST": str(folder / "apart" / "erased")}
    if request.param == "mongodb":
        address = f"{request.getfixturevalue('wire')}/pgo-erased"
        more |= {"PGO_STORE": address, "PGO_MONGO_STANDALONE": "true"}
    return launch(folder, workers=2, **more)


def erase(served, dossier, *, check=True):
    arguments = ("--dossier", dossier, "--reason", WHY, "--yes", "--json")
    return served.pgo("dossier", "erase", *arguments, check=check)


def statuses(client, count=12):
    """What a read is answered on as many connections, so by every worker."""
    headers = {**client.headers, "Connection": "close"}
    return {
        httpx2.get(f"{client.base_url}Patient", headers=headers).status_code for _ in range(count)
    }


def test_an_erased_dossier_is_gone_at_once_and_its_trail_is_not(on):
    dossier = on.dossiers["yusuf"]
    with on.client("p-samira", "yusuf") as samira:
        assert statuses(samira) == {200}
        certificate = orjson.loads(erase(on, dossier).stdout)
        assert statuses(samira) == {404}
        mine = httpx2.get(f"{on.url}/dossiers", headers=samira.headers).json()
        assert dossier not in str(mine)
    assert certificate["dossier"] == dossier
    assert (certificate["first"], certificate["reason"]) == ("beheer", WHY)
    assert certificate["commits"] > 3
    assert dossier not in on.pgo("dossier", "list", "--json").stdout.decode()
    shown = on.pgo("dossier", "show", "--dossier", dossier, check=False)
    assert (shown.returncode, b"this dossier was erased" in shown.stderr) == (1, True)
    row = orjson.loads(on.pgo("audit", "verify", "--dossier", dossier, "--json").stdout)[0]
    assert (row["ok"], row["findings"]) == (True, [])

    async def left(house):
        lines = [one async for one in house.store.trail(dossier)]
        assert certificate["line"] in {one.hash.hex() for one in lines}
        said = [one async for one in house.trail.read(dossier)]
        assert [one.note for one in said if one.interaction == "dossier-erase"] == [WHY]
        assert await house.store.commits(dossier, 0, 9) == []
        assert sorted(await house.store.key(dossier)) == ["audit"]
        assert dossier not in await house.store.links("p-samira")
        assert dossier.encode() not in (await house.store.listing("demo")).values()
        with pytest.raises(NotFound):
            await house.parts.dossiers.open(dossier)

    on.inside(left)


@pytest.mark.long
def test_other_dossiers_do_not_notice(on):
    with on.client("p-samira", "noud") as samira:
        before = samira.get("CarePlan").json()["total"]
        gone = on.anna("weg", [])
        erase(on, gone.dossier)
        assert samira.get("CarePlan").json()["total"] == before
    assert on.wrong_in_trails() == []


def test_erasing_again_finishes_and_gives_the_same_proof(on):
    dossier = on.anna("twee", []).dossier
    first, second = (orjson.loads(erase(on, dossier).stdout) for _ in range(2))
    assert (first["line"], first["commits"]) == (second["line"], second["commits"])


def test_small_rows_of_messages_go_along(on):
    anna = on.anna("rij", [])

    async def work(house):
        wishes = telling.Wishes(anna.person("anna"), webhook="https://x.example/")
        await telling.keep_wishes(house, wishes)
        await telling.begin(house, anna.person("anna"))
        await life.run(house, alone=False)
        before = [len(await house.store.listing(kind)) for kind in ("life", "gemeld")]
        await erasing.erase(house, anna.dossier, "beheer", WHY, None)
        after = [len(await house.store.listing(kind)) for kind in ("life", "gemeld")]
        assert after == [count - 1 for count in before]

    on.inside(work)


@pytest.mark.long
def test_a_restored_copy_does_not_revive_it(own_server, tmp_path):
    served = own_server
    served.environment["PGO_ERASED_LIST"] = str(tmp_path / "apart" / "erased")
    dossier = served.dossiers["lotte"]
    served.process.terminate()
    served.process.wait(15)
    files = [path for path in tmp_path.iterdir() if path.name.startswith("pgo.db")]
    for path in files:
        shutil.copy(path, tmp_path / f"yesterday-{path.name}")
    erase(served, dossier)
    for path in files:
        shutil.copy(tmp_path / f"yesterday-{path.name}", path)
    assert dossier in served.pgo("dossier", "list").stdout.decode()
    served.serve()
    with served.client("p-samira", "lotte") as samira:
        assert samira.get("Patient").status_code == 404
    assert dossier not in served.pgo("dossier", "list").stdout.decode()
    with served.client("p-samira", "noud") as samira:
        assert samira.get("Patient").status_code == 200


# --- in this process ------------------------------------------------------------------------------


@pytest.fixture
def listed(inside, tmp_path):
    """The house of `inside`, with a list of its own."""
    kept = inside.house.settings
    object.__setattr__(kept, "erased_list", tmp_path / "apart" / "erased")
    return inside


async def the_list(house):
    return await ErasedList.of(house.settings.erased_list, house.keys)


async def test_what_was_interrupted_is_finished_at_the_next_start(listed):
    house, dossier = listed.house, listed.anna.dossier
    (await the_list(house)).add(dossier, 1)
    assert await erasing.hold(house) == 1
    assert "data" not in await house.store.key(dossier)
    assert await erasing.hold(house) == 0


async def test_a_request_after_the_last_commit_is_refused_though_the_key_is_still_there(listed):
    house = listed.house
    assert (await listed.call("anna", "GET", "/fhir/r4/Patient")).status_code == 200
    await erasing.Eraser(house, listed.anna.dossier, "beheer").end_rules(WHY)
    assert "data" in await house.store.key(listed.anna.dossier)
    for name in ("anna", "mo"):
        assert (await listed.call(name, "GET", "/fhir/r4/Patient")).status_code == 404


async def test_without_a_list_nothing_is_erased(listed):
    listed.house.settings.erased_list.mkdir(parents=True)
    with pytest.raises(Unavailable, match="PGO_ERASED_LIST"):
        await erasing.erase(listed.house, listed.anna.dossier, "beheer", WHY, None)
    assert (await listed.call("anna", "GET", "/fhir/r4/Patient")).status_code == 200


async def test_it_needs_a_reason_and_a_dossier(listed):
    with pytest.raises(BadValue):
        await erasing.erase(listed.house, listed.anna.dossier, "beheer", " kort ", None)
    for client in ("0" * 32, "system"):
        with pytest.raises(NotFound):
            await erasing.erase(listed.house, client, "beheer", WHY, None)
    await must_exist(listed.house, listed.anna.dossier)


async def test_nobody_else_writes_on_the_list(listed):
    house, dossier = listed.house, listed.anna.dossier
    erased = await the_list(house)
    await asyncio.to_thread(erased.add, "a" * 32, 5)
    path = house.settings.erased_list
    good = path.read_text()
    mac = good.split()[2]
    assert path.stat().st_mode & 0o777 == 0o600
    path.write_text(f"{dossier} 5 {mac}\n{dossier} 5\n{dossier} 5 {'0' * 32}\n{good}torn")
    erased.add("b" * 32, 6)
    assert erased.clients() == ["a" * 32, "b" * 32]
    assert await erasing.hold(house) == 0


async def test_a_server_lets_go_of_what_it_had_open(listed):
    house, dossier = listed.house, listed.anna.dossier
    await listed.call("anna", "GET", "/fhir/r4/Patient")
    assert dossier in house.parts.dossiers.open_clients
    await house.store.erase(dossier)
    house.keys.forget(dossier)
    await upkeep.let_go(house)
    assert dossier not in house.parts.dossiers.open_clients
