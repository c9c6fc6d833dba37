"""Files into a dossier as an operator brings them, and out again: whole, odd and hostile ones."""

from __future__ import annotations

import calendar
import datetime as dt
import json
import os
import re
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest

from pgo.fhir import text
from pgo.house import open_house
from pgo.importing import bring_in
from pgo.keyfile import make_key
from pgo.office import Office, new_client
from pgo.settings import load

SUITES = Path(__file__).resolve().parents[2] / "../shared/data/nictiz"
BSN = "999990019"
MEMORY = Path("/proc/self/mem")  # an ordinary file, of which the first byte cannot be read
PATIENT = {"resourceType": "Patient", "id": "p", "gender": "female"}
ABOUT = {"reference": "Patient/p"}


def basic(id_="", **members):
    named = {"id": id_} if id_ else {}
    return {"resourceType": "Basic", **named, "code": {"text": "x"}, "subject": ABOUT, **members}


def bundle(type_, *entries):
    return {"resourceType": "Bundle", "type": type_, "entry": list(entries)}


def write(path, *resources):
    """A file; ndjson when it is called so, bytes as they are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = (one if isinstance(one, bytes) else json.dumps(one).encode() for one in resources)
    path.write_bytes(b"\n".join(lines))
    return path


class Desk:
    """An operator at a store of his own."""

    def __init__(self, house):
        self.house = house

    async def dossier(self):
        client = new_client()
        await Office(self.house, client).create({"person": f"p-{client}"})
        return client

    async def bring(self, client, *paths, release="r4", progress=lambda *_: None):
        return await bring_in(Office(self.house, client), release, paths, progress)

    async def found(self, client):
        """What is in a dossier: texts as trees, by release/type/id."""
        taken = Office(self.house, client).take_out(None)
        return {f"{row.rel}/{row.type}/{row.id}": orjson.loads(raw) async for row, raw in taken}


@asynccontextmanager
async def opened(folder):
    settings = load(store=f"sqlite:///{folder}/pgo.db", key_file=folder / "pgo.key")
    make_key(settings.key_file, development=True)
    async with open_house(settings) as house:
        yield Desk(house)


@pytest.fixture
async def desk(tmp_path):
    async with opened(tmp_path) as made:
        yield made


# --- what an operator has ------------------------------------------------------------------------


async def test_one_broken_line_is_named_and_the_others_come_in(desk, tmp_path):
    client = await desk.dossier()
    file = write(tmp_path / "a.ndjson", PATIENT, b'{"resourceType": "Basic", ', b"", basic("b"))
    report = await desk.bring(client, file)
    assert (report.accepted, len(report.refused)) == (2, 1)
    assert report.refused[0]["where"] == "a.ndjson:2"
    assert report.refused[0]["place"].startswith("line 1, column ")


async def test_a_patient_goes_first_wherever_he_stands(desk, tmp_path):
    client = await desk.dossier()
    write(tmp_path / "in/a.ndjson", *(basic(f"b{n}") for n in range(60)))
    write(tmp_path / "in/deep/z.json", PATIENT)
    report = await desk.bring(client, tmp_path / "in")
    assert (report.created, report.refused) == (61, [])


async def test_without_him_what_is_about_somebody_else_stays_out(desk, tmp_path):
    client = await desk.dossier()
    report = await desk.bring(client, write(tmp_path / "a.json", basic("b")))
    assert (report.accepted, report.refused[0]["place"]) == (0, "Basic.subject")


async def test_a_folder_of_every_kind_of_file_comes_in(desk, tmp_path):
    client, folder = await desk.dossier(), tmp_path / "in"
    write(folder / "p.JSON", PATIENT)
    write(folder / "with-mark.json", b"\xef\xbb\xbf" + json.dumps(basic("m")).encode())
    write(folder / "x.xml", b'<Basic xmlns="http://hl7.org/fhir"><id value="x"/>'
          b'<code><text value="x"/></code></Basic>')  # fmt: skip
    write(folder / "deep/er/l.ndjson", basic("l1"), basic("l2"))
    write(folder / "notes.txt", b"not looked at")
    report = await desk.bring(client, folder)
    assert (report.created, report.refused) == (5, [])
    assert report.skipped == {".txt": 1}
    assert "r4/Basic/x" in await desk.found(client)


async def test_xml_is_known_by_its_first_sign_too(desk, tmp_path):
    file = write(
        tmp_path / "p", b'\n<Patient xmlns="http://hl7.org/fhir"><id value="p"/></Patient>'
    )
    assert (await desk.bring(await desk.dossier(), file)).created == 1


async def test_a_collection_is_taken_apart_and_keeps_its_references(desk, tmp_path):
    one, other = "urn:uuid:0f3f0000-0000-4000-8000-00000000000a", "https://x.example/fhir/Basic/b"
    sent = bundle(
        "collection",
        {"fullUrl": other, "resource": basic("b", author={"reference": one}, subject=ABOUT)},
        {"fullUrl": one, "resource": {"resourceType": "Practitioner"}},
        {"resource": basic("c", subject={"reference": "https://x.example/fhir/Patient/p"},
                           author={"reference": "Practitioner/9"})},
        {"fullUrl": "https://x.example/fhir/Patient/p", "resource": PATIENT},
    )  # fmt: skip
    client = await desk.dossier()
    report = await desk.bring(client, write(tmp_path / "c.json", sent))
    assert (report.created, report.refused) == (4, [])
    found = await desk.found(client)
    assert found["r4/Basic/b"]["author"] == {"reference": f"Practitioner/{one[9:]}"}
    assert found["r4/Basic/c"]["subject"] == ABOUT
    assert f"r4/Practitioner/{one[9:]}" in found


async def test_a_reference_to_nothing_is_refused_and_the_rest_of_the_collection_comes_in(
    desk, tmp_path
):
    lost = {"reference": "urn:uuid:0f3f0000-0000-4000-8000-00000000000b"}
    sent = bundle("collection", {"resource": PATIENT}, {"resource": basic("b", author=lost)},
                  {"resource": basic("c")}, "no entry", {"search": {"mode": "match"}},
                  {"search": {"mode": "outcome"}, "resource": basic("d")})  # fmt: skip
    report = await desk.bring(await desk.dossier(), write(tmp_path / "c.json", sent))
    assert report.created == 2
    refused = {one["where"]: one["place"] for one in report.refused}
    assert refused == {"c.json#1": "Basic.author.reference", "c.json#3": "Bundle.entry[3]"}


async def test_a_searchset_of_a_server_comes_in(desk, tmp_path):
    sent = bundle("searchset", {"resource": PATIENT, "search": {"mode": "match"}})
    report = await desk.bring(await desk.dossier(), write(tmp_path / "s.json", sent | {"total": 1}))
    assert report.created == 1


async def test_a_transaction_comes_in_whole_or_not_at_all(desk, tmp_path):
    good = bundle("transaction",
                  {"resource": PATIENT, "request": {"method": "PUT", "url": "Patient/p"}},
                  {"resource": basic(), "request": {"method": "POST", "url": "Basic"}})  # fmt: skip
    bad = json.loads(json.dumps(good))
    bad["entry"][1]["resource"]["nonsense"] = 1
    client = await desk.dossier()
    report = await desk.bring(client, write(tmp_path / "bad.json", bad))
    assert (report.accepted, report.refused[0]["where"]) == (0, "bad.json")
    assert report.refused[0]["place"] == "Bundle.entry[1].resource"
    assert await desk.found(client) == {}
    assert (await desk.bring(client, write(tmp_path / "good.json", good))).created == 2


async def test_of_a_batch_each_entry_counts_for_itself(desk, tmp_path):
    def put(tree):
        url = f"{tree['resourceType']}/{tree['id']}"
        return {"resource": tree, "request": {"method": "PUT", "url": url}}

    sent = bundle("batch", put(PATIENT), put(basic("b", nonsense=1)), put(basic("c")))
    report = await desk.bring(await desk.dossier(), write(tmp_path / "b.json", sent))
    assert (report.created, [one["where"] for one in report.refused]) == (2, ["b.json#1"])


async def test_the_same_files_again_change_nothing_also_without_ids(desk, tmp_path):
    sent = bundle("transaction",
                  {"resource": PATIENT, "request": {"method": "PUT", "url": "Patient/p"}},
                  {"resource": basic(), "request": {"method": "POST", "url": "Basic"}},
                  {"resource": basic(), "request": {"method": "POST", "url": "Basic"}})  # fmt: skip
    files = [write(tmp_path / "t.json", sent), write(tmp_path / "l.ndjson", basic(), basic("i"))]
    client = await desk.dossier()
    first = await desk.bring(client, *files)
    head = await desk.house.store.head(client)
    second = await desk.bring(client, *files)
    assert (first.created, first.refused) == (5, [])
    assert (second.created, second.updated, second.unchanged) == (0, 0, 5)
    assert await desk.house.store.head(client) == head


async def test_a_later_version_further_on_is_an_update(desk, tmp_path):
    file = write(tmp_path / "a.ndjson", PATIENT, basic("b"), basic("b", created="2026-01-31"))
    client = await desk.dossier()
    report = await desk.bring(client, file)
    assert (report.created, report.updated, report.refused) == (2, 1, [])
    assert (await desk.found(client))["r4/Basic/b"]["created"] == "2026-01-31"


async def test_bsns_are_stripped_and_counted(desk, tmp_path):
    bsn = {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": BSN}
    sent = bundle("collection", {"resource": PATIENT | {"identifier": [bsn]}})
    client = await desk.dossier()
    report = await desk.bring(client, write(tmp_path / "a.json", sent))
    assert (report.created, report.masked) == (1, 1)
    assert BSN not in json.dumps(await desk.found(client))
    raw = b"".join(file.read_bytes() for file in tmp_path.glob("pgo.db*"))
    assert BSN.encode() not in raw


async def test_progress_is_told_in_bytes_until_all_is_done(desk, tmp_path):
    file = write(tmp_path / "a.ndjson", PATIENT, *(basic(f"b{n}") for n in range(9)))
    told = []
    await desk.bring(await desk.dossier(), file, progress=lambda *pair: told.append(pair))
    assert told == sorted(told)
    assert told[-1] == (file.stat().st_size,) * 2
    assert len(told) == 11


# --- hostile files -------------------------------------------------------------------------------


async def refusal(desk, path):
    report = await desk.bring(await desk.dossier(), path)
    assert report.accepted == 0
    return report.refused[0]["code"], report.refused[0]["why"]


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'{"extension":[{"url":"x","extension":'])
async def test_deep_nesting_is_refused_soon(desk, tmp_path, opening):
    started = time.perf_counter()
    code, _ = await refusal(desk, write(tmp_path / "a.json", opening * (5_000_000 // len(opening))))
    assert code == "structure"
    assert time.perf_counter() - started < 10


async def test_deep_xml_and_entities_are_refused(desk, tmp_path):
    deep = b'<Basic xmlns="http://hl7.org/fhir">' + b"<extension>" * 100_000
    bomb = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><Basic xmlns="http://hl7.org/fhir">&b;</Basic>'
    for raw in (deep, bomb):
        assert (await refusal(desk, write(tmp_path / "a.xml", raw)))[0] == "structure"


async def test_a_file_of_more_than_50_mb_is_not_read(desk, tmp_path):
    file = tmp_path / "large.json"
    with file.open("wb") as out:
        out.truncate(60_000_000)
    assert await refusal(desk, file) == ("too-long", "a file has at most 50 MB")


async def test_a_resource_of_more_than_10_mb_is_refused_and_one_of_9_is_taken(desk, tmp_path):
    def binary(id_, size):
        return {"resourceType": "Binary", "id": id_, "contentType": "application/pdf",
                "data": "A" * size}  # fmt: skip

    file = write(tmp_path / "a.ndjson", binary("a", 10_400_000), binary("b", 9_000_000))
    report = await desk.bring(await desk.dossier(), file)
    assert report.created == 1
    assert [(one["where"], one["code"]) for one in report.refused] == [("a.ndjson:1", "too-long")]


async def test_links_in_a_folder_are_not_followed_and_loops_end(desk, tmp_path):
    secret = write(tmp_path / "secret.json", PATIENT)
    folder = tmp_path / "in"
    write(folder / "b.json", {"resourceType": "Basic", "id": "b", "code": {"text": "x"}})
    (folder / "secret.json").symlink_to(secret)
    (folder / "around").symlink_to(folder)
    (folder / "loop.json").symlink_to(folder / "loop.json")
    report = await desk.bring(await desk.dossier(), folder)
    assert report.created == 1
    assert {(one["where"], one["code"]) for one in report.refused} == {
        ("loop.json", "security"), ("secret.json", "security")}  # fmt: skip


async def test_what_cannot_be_read_is_refused_and_the_rest_goes_on(desk, tmp_path):
    folder = tmp_path / "in"
    write(folder / "b.json", {"resourceType": "Basic", "id": "b", "code": {"text": "x"}})
    os.mkfifo(folder / "pipe.json")
    (folder / "folder.json").mkdir()
    loop = tmp_path / "loop.json"
    loop.symlink_to(loop)
    report = await desk.bring(await desk.dossier(), folder, loop, tmp_path / "absent.json")
    assert report.created == 1
    assert {one["where"]: one["code"] for one in report.refused} == {
        "pipe.json": "not-found", "loop.json": "not-found", "absent.json": "not-found"}  # fmt: skip


@pytest.mark.skipif(not MEMORY.is_file(), reason="this system has no file that nobody can read")
async def test_a_file_that_gives_an_error_when_read_is_refused(desk):
    assert await refusal(desk, MEMORY) == ("exception", "the file cannot be read")


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"[]",
        b'"Patient"',
        b"{}",
        b'{"resourceType":null}',
        b'{"resourceType":["Patient"],"id":"p"}',
        b'{"resourceType":"Patient","id":["p"]}',
        b'{"resourceType":"Patient","id":"../p"}',
        b'{"resourceType":"Nonsense","id":"p"}',
        b'{"resourceType":"Patient","id":"p","id":"q"}',
        b'{"resourceType":"Bundle"}',
        b'{"resourceType":"Bundle","type":{"a":1}}',
        b'{"resourceType":"Bundle","type":"collection","entry":{"resource":{}}}',
        b'{"resourceType":"Bundle","type":"collection","entry":[null,1,[],"a",{"fullUrl":1}]}',
        b'{"resourceType":"Bundle","type":"collection","entry":[{"fullUrl":"urn:uuid:a","resource":{"resourceType":1}}]}',
        b'{"resourceType":"Bundle","type":"transaction","entry":{"a":1}}',
        b'{"resourceType":"Bundle","type":"transaction","entry":[null]}',
        b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":[],"url":1}}]}',
        b'{"resourceType":"Bundle","type":"transaction","entry":[{"request":{"method":"PUT","url":"Patient/p"},"resource":[]}]}',
        b"\xff\xfe{\x00",
        b'{"resourceType":"Patient","id":"p","name":[{"family":"\\ud800"}]}',
        b"PK\x03\x04 not a resource",
        b"<html></html>",
    ],
)  # fmt: skip
async def test_what_is_no_resource_is_refused_with_a_reason(desk, tmp_path, raw):
    code, why = await refusal(desk, write(tmp_path / "a.json", raw))
    assert code
    assert why
    assert "ud800" not in why


async def test_of_very_many_refusals_only_the_first_are_listed(desk, tmp_path):
    entries = [{"resource": {"resourceType": "Nonsense"}}] * 10_005
    report = await desk.bring(
        await desk.dossier(), write(tmp_path / "a.json", bundle("collection", *entries))
    )
    assert (len(report.refused), report.plain()["unlisted"]) == (10_000, 5)


# --- out and in again ----------------------------------------------------------------------------


def run(folder, *arguments):
    """The `pgo` command in a process of its own, on the store in `folder`."""
    kept = {name: each for name, each in os.environ.items() if not name.startswith("PGO_")}
    settings = {"PGO_STORE": f"sqlite:///{folder}/pgo.db", "PGO_KEY_FILE": f"{folder}/pgo.key"}
    command = [sys.executable, "-m", "pgo", *map(str, arguments)]
    return subprocess.run(command, env=kept | settings, capture_output=True, check=False)


@pytest.mark.long
def test_what_is_exported_comes_into_an_empty_store_as_it_was(tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    demo = json.loads(run(here, "demo", "--json").stdout.splitlines()[-1])
    client, out = demo["dossiers"]["fenna"], tmp_path / "out"
    counts = json.loads(run(here, "export", "--dossier", client, "--out", out, "--json").stdout)
    assert len(counts) > 10
    new = json.loads(run(there, "dossier", "create", "--json").stdout)["dossier"]
    for release in ("r4", "stu3"):
        done = run(there, "import", "--dossier", new, "--release", release, out / release, "--json",
                   "--complete")  # fmt: skip
        assert done.returncode == 0, done.stdout
        sent = sum(n for name, n in counts.items() if name.startswith(f"{release}/"))
        assert json.loads(done.stdout)["created"] == sent
    again = tmp_path / "again"
    assert json.loads(
        run(there, "export", "--dossier", new, "--out", again, "--json").stdout
    ) == counts  # fmt: skip
    for name in counts:
        assert texts(again / name) == texts(out / name)


def texts(file):
    """The texts in an ndjson file by id, without the two stamps of a new store."""
    found = {}
    for line in file.read_bytes().splitlines():
        tree = text.parse(line)
        for stamp in ("versionId", "lastUpdated"):
            del tree["meta"][stamp]
        found[tree["id"]] = text.dump(tree)
    return found


@pytest.mark.long
def test_how_an_import_ends_tells_a_script_what_came_of_it(tmp_path):
    client = json.loads(run(tmp_path, "dossier", "create", "--json").stdout)["dossier"]
    good, bad = write(tmp_path / "p.json", PATIENT), write(tmp_path / "bad.json", b"{")

    def ended(*arguments):
        return run(
            tmp_path, "import", "--dossier", client, "--release", "r4", *arguments
        ).returncode

    assert ended(good) == 0
    assert ended(good, bad) == 1
    assert ended(good, bad, "--complete") == 3
    assert ended(bad) == 1


# --- official suites -----------------------------------------------------------------------------

DATE = re.compile(
    r"\$\{\s*(?:DATE\s*,\s*T|CURRENTDATE|T)\s*(?:,\s*([YMWD])\s*,\s*([+-]?)\s*(\d+))?\s*\}"
)
TODAY = dt.date(2026, 3, 31)
EXPECTED = {  # resources brought in, BSNs masked
    "BgLZ-3-0": (56, 0),
    "LaboratoryResults-2-0": (7, 0),
    "LaboratoryResults-3-0": (202, 34),
    "MP9-3-0-0-beta": (1001, 0),
    "PDFA-3-0": (16, 0),
}


def dated(match):
    """The date a placeholder such as `${DATE, T, D, -21}` stands for."""
    unit, sign, amount = match.groups()
    number = int((sign or "") + (amount or "0"))
    if unit in {"Y", "M"}:
        months = TODAY.year * 12 + TODAY.month - 1 + number * (12 if unit == "Y" else 1)
        year, month = divmod(months, 12)
        last = calendar.monthrange(year, month + 1)[1]
        return dt.date(year, month + 1, min(TODAY.day, last)).isoformat()
    return (TODAY + dt.timedelta(days=number * (7 if unit == "W" else 1))).isoformat()


@pytest.mark.outside
@pytest.mark.skipif(not SUITES.is_dir(), reason="the outside test data are not beside the checkout")
@pytest.mark.parametrize("name", EXPECTED)
async def test_the_fixtures_of_official_suites_come_in_whole(desk, tmp_path, name):
    suite = json.loads((SUITES / name / "suite.json").read_text(encoding="utf-8"))
    lines = DATE.sub(dated, (SUITES / name / "resources.ndjson").read_text("utf-8")).split("\n")[
        :-1
    ]
    created = masked = 0
    for number, one in enumerate(suite["dossier_sets"].values()):
        sent = [lines[index].encode() for index in one["resources"]]
        single = len(sent) == 1 and sent[0].startswith(b'{"resourceType":"Bundle"')
        file = write(tmp_path / f"{number}.{'json' if single else 'ndjson'}", *sent)
        client = await desk.dossier()
        report = await desk.bring(client, file, release=suite["release"])
        assert report.refused == []
        created, masked = created + report.created, masked + report.masked
        if not single:
            kept = {f"{json.loads(raw)['resourceType']}/{json.loads(raw)['id']}" for raw in sent}
            assert {where.partition("/")[2] for where in await desk.found(client)} == kept
    assert (created, masked) == EXPECTED[name]
