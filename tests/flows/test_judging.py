"""An import with processes that judge beside it: the same as without, and never left hanging."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pgo import ahead, importing, judging
from pgo.demo import as_json
from pgo.demo.bulk import many
from pgo.errors import Unavailable
from pgo.house import open_house
from pgo.importing import bring_in
from pgo.judging import Judges
from pgo.keyfile import make_key
from pgo.office import Office, new_client
from pgo.settings import load

BSN = "999990019"
ABOUT = {"reference": "Patient/p"}
TABLES = ("tok", "txt", "str", "dat", "num", "qty", "ref", "uri", "wds", "lnk")
PATIENCE = 30


def basic(id_="", **members):
    named = {"id": id_} if id_ else {}
    return {"resourceType": "Basic", **named, "code": {"text": "x"}, "subject": ABOUT, **members}


def entry(resource, method="PUT"):
    url = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"https://x.test/{url}", "resource": resource,
            "request": {"method": method, "url": url}}  # fmt: skip


def bundle(kind, *entries):
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


MIXED = {
    "a.ndjson": [basic(f"n{n}", created=f"2024-01-{n % 28 + 1:02}") for n in range(70)],
    "broken.ndjson": [basic("b1"), b'{"resourceType": "Basic", ', basic("b2", code="x")],
    "bsn.json": [basic("bsn", identifier=[{"system": "http://fhir.nl/fhir/NamingSystem/bsn",
                                           "value": BSN}])],
    "bsn-reference.json": [basic("s", extension=[{"url": "http://x.test/e", "valueReference":
                                                  {"reference": f"Group/{BSN}"}}])],
    "own-patient.json": [basic("o", author={"reference": "Patient?identifier=x|1"})],
    "search.json": [basic("c", author={"reference": "Practitioner?identifier=x|1"})],
    "urn.json": [basic("u", author={"reference": "urn:uuid:16b3194d-8fdf-11ec-5622-020000999990"})],
    "labels.json": [basic("l", meta={"source": "urn:x", "tag": [{"code": "t"}], "versionId": "7",
                                     "security": [{"system": "http://x.test", "code": "R"}]})],
    "profile.json": [basic("pr", meta={"profile": ["http://x.test/StructureDefinition/none"]})],
    "not-there.json": None,
    "x.xml": [b'<Basic xmlns="http://hl7.org/fhir"><id value="x"/>',
              b'<code><text value="x"/></code>',
              b"</Basic>"],
    "bad.xml": [b"<Basic><id"],
    "deep.json": [b'{"a":' * 90 + b"1" + b"}" * 90],
    "list.json": [b"[1]"],
    "collection.json": [bundle("collection", entry(basic("k1")), "x", entry(basic("k2", code=1)))],
    "transaction.json": [bundle("transaction", entry(basic("t1")), entry(basic("t2")))],
    "refused.json": [bundle("transaction", entry(basic("t3")), entry(basic("t4", code=1)))],
    "batch.json": [bundle("batch", entry(basic("t5")), entry(basic("t6", code=1)), "x")],
    "odd.json": [bundle("subscription-notification", entry(basic("t7")))],
    "binary.json": [{"resourceType": "Binary", "id": "bin", "contentType": "application/pdf",
                     "data": "JVBERi0="}],
    "z/patient.json": [{"resourceType": "Patient", "id": "p", "name": [{"text": "Zoë"}]}],
}  # fmt: skip


def write(folder, files):
    for name, resources in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if resources is None:
            path.symlink_to(folder / "nowhere")
            continue
        lines = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in resources)
        path.write_bytes(b"\n".join(lines))
    return folder


def about(pid, name):
    """What Linux tells of a process; nothing when it is not there."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def bulk(path, count):
    """An ndjson file; the first of it is the Patient."""
    path.write_bytes(b"\n".join(as_json(tree) for tree in many(count, "r4")))
    return path


@asynccontextmanager
async def opened(folder):
    settings = load(store=f"sqlite:///{folder}/pgo.db", key_file=folder / "pgo.key")
    make_key(settings.key_file, development=True)
    async with open_house(settings) as house:
        yield house


@pytest.fixture
async def house(tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "WORTH_IT", 0)
    monkeypatch.setattr(ahead, "BATCH", 5)
    async with opened(tmp_path) as made:
        yield made


async def dossier(house):
    office = Office(house, new_client())
    await office.create({"person": f"p-{office.client}"})
    return office


async def imported(house, folder, judges, progress=lambda *_: None):
    office = await dossier(house)
    report = await bring_in(office, "r4", [folder], progress, judges)
    return office, report.plain()


async def kept(office):
    """All texts but when each was stored, and all index rows."""
    texts = {}
    async for row, raw in office.take_out(None):
        tree = json.loads(raw)
        assert tree["meta"].pop("lastUpdated")
        texts[f"{row.type}/{row.id}"] = tree
    image = office.dossier.image
    rows = {name: image.select(f"SELECT * FROM {name} ORDER BY 1, 2, 3", ()) for name in TABLES}
    digests = image.select("SELECT type, id, facet, day FROM res ORDER BY rid", ())
    return texts, rows, digests


async def test_what_others_judge_comes_in_as_what_is_judged_here(house, tmp_path, monkeypatch):
    folder = write(tmp_path / "in", MIXED)
    alone, plain = await imported(house, folder, None)
    async with Judges(2, house.settings.profiles, house.settings.search_parameters) as judges:
        await judges.start()
        await judges.ready()
        monkeypatch.setattr(ahead, "judge", None)  # whoever judges here falls over
        monkeypatch.setattr(judging, "_UNDER_WAY", 1_000)
        helped, told = await imported(house, folder, judges)
    assert told == plain
    assert plain["accepted"] > 80
    assert len(plain["refused"]) > 10
    assert plain["masked"] == plain["unchecked"] == 1
    assert await kept(helped) == await kept(alone)


async def test_refusals_are_told_in_order_whoever_found_them(house, tmp_path):
    lines = [{"resourceType": "Patient", "id": "p"}, *(basic(f"b{n}") for n in range(160))]
    lines[3] = basic("of-another", subject={"reference": "Patient/other"})  # known when stored
    for place in (60, 120):
        lines[place] = basic("bad", code="x")  # known before
    folder = write(tmp_path / "in", {"a.ndjson": lines, "b.json": None})
    _, told = await imported(house, folder, None)
    expected = ["b.json", "a.ndjson:4", "a.ndjson:61", "a.ndjson:121"]
    assert [one["where"] for one in told["refused"]] == expected


async def test_both_judge_when_there_is_much(house, tmp_path):
    file = bulk(tmp_path / "in.ndjson", 400)
    async with Judges(1) as judges:
        _, told = await imported(house, file, judges)
        assert len(judges.processes) == 1
    assert (told["created"], told["refused"]) == (400, [])


async def test_a_judge_that_is_killed_is_told_and_what_was_committed_stays(house, tmp_path):
    file = bulk(tmp_path / "in.ndjson", 400)
    office, stopped = await dossier(house), []

    def stop(*_):
        """After the Patient the judge stands still, and is killed with work under way."""
        if not stopped:
            stopped.extend(judges.processes)
            os.kill(stopped[0], signal.SIGSTOP)
            asyncio.get_running_loop().call_later(0.2, os.kill, stopped[0], signal.SIGKILL)

    async with Judges(1) as judges:
        await judges.start()
        await judges.ready()
        with pytest.raises(Unavailable, match="ended by itself"):
            async with asyncio.timeout(PATIENCE):
                await bring_in(office, "r4", [file], stop, judges)
    assert judges.processes == []
    texts, _, _ = await kept(office)
    assert [name.partition("/")[0] for name in texts] == ["Patient"]
    again = await bring_in(office, "r4", [file], lambda *_: None)
    assert (again.created, again.unchanged, again.refused) == (399, 1, [])


async def test_one_that_ends_with_nothing_to_do_is_missed_by_nobody(house, tmp_path):
    file = bulk(tmp_path / "in.ndjson", 60)
    async with Judges(1) as judges:
        await judges.start()
        await judges.ready()
        os.kill(judges.processes[0], signal.SIGKILL)
        await judges.ended()
        _, told = await imported(house, file, judges)
    assert (told["created"], told["refused"]) == (60, [])


async def test_a_judge_knows_no_settings_and_ends_with_the_command(monkeypatch):
    monkeypatch.setenv("PGO_KEY", "not-for-others")
    async with Judges(2) as judges:
        await judges.start()
        await judges.start()
        found = judges.processes
        environments = [about(pid, "environ") for pid in found]
    assert len(found) == 2
    assert not any(b"PGO_" in environment for environment in environments)
    assert judges.processes == []
    assert [about(pid, "stat") for pid in found] == [b"", b""]


async def test_a_little_is_not_worth_a_process(house, tmp_path, monkeypatch):
    monkeypatch.setattr(importing, "WORTH_IT", 1_000_000)
    async with Judges(1) as judges:
        _, told = await imported(house, bulk(tmp_path / "in.ndjson", 20), judges)
        assert judges.processes == []
    assert told["created"] == 20


@pytest.mark.parametrize(("cores", "expected"), [(1, 0), (2, 1), (3, 2), (64, judging.MOST)])
def test_as_many_go_along_as_there_are_cores_to_spare(monkeypatch, cores, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(cores)), raising=False)
    assert judging.spare() == expected


# --- the command ---------------------------------------------------------------------------------


def _run(folder, *words):
    environment = {name: v for name, v in os.environ.items() if not name.startswith("PGO_")}
    environment |= {"PGO_STORE": f"sqlite:///{folder}/c.db", "PGO_KEY_FILE": f"{folder}/c.key"}
    return subprocess.Popen(
        [sys.executable, "-m", "pgo", *words],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=folder,
    )  # fmt: skip


def _children(process):
    listed = about(process.pid, f"task/{process.pid}/children").decode().split()
    return [pid for pid in listed if b"pgo.judge" in about(pid, "cmdline")]


@pytest.mark.long
@pytest.mark.skipif(judging.spare() == 0, reason="one core: no process goes along")
@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whoever_interrupts_a_command_leaves_nobody_behind(tmp_path, sign):
    make_key(tmp_path / "c.key", development=True)
    made = _run(tmp_path, "dossier", "create", "--json")
    client = json.loads(made.communicate(timeout=PATIENCE)[0])["dossier"]
    file = bulk(tmp_path / "in.ndjson", 12_000)
    command = _run(tmp_path, "import", "--dossier", client, "--release", "r4", str(file))
    until = time.monotonic() + PATIENCE
    while not (found := _children(command)) and command.poll() is None:
        assert time.monotonic() < until
        time.sleep(0.01)
    assert found
    command.send_signal(sign)
    _, said = command.communicate(timeout=PATIENCE)
    assert command.returncode != 0
    assert b"Traceback" not in said
    while any(about(pid, "cmdline") for pid in found):
        assert time.monotonic() < until + PATIENCE
        time.sleep(0.01)


def test_an_import_leaves_the_collector_of_garbage_as_it_was():
    before = gc.get_threshold()
    with importing.undisturbed():
        assert gc.get_freeze_count()
        assert gc.get_threshold() > before
    assert (gc.get_threshold(), gc.get_freeze_count()) == (before, 0)
