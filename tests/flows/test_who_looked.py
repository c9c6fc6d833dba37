"""Every call leaves exactly one line, whatever becomes of it; and who looked can be read back."""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import quote

import httpx2
import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from pgo import looked
from pgo.audit.entry import CRASHED, FAILED, OK, REFUSED
from pgo.errors import NoSpace, Unavailable

JSON = {"content-type": "application/fhir+json"}
VISIT = {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}}
GRANT = {"effect": "permit", "categories": ["behandeling", "medicatie"]}


async def lines(inside, client: str = "") -> list:
    trail = inside.house.trail
    return [one async for one in trail.read(client or inside.anna.dossier)]


async def visit(inside, name="anna") -> str:
    answer = await inside.call(name, "POST", "/fhir/r4/Encounter", json=VISIT)
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def batch(*entries: tuple, kind: str = "batch") -> dict:
    made = [
        {"request": {"method": method, "url": url}} | ({"resource": tree[0]} if tree else {})
        for method, url, *tree in entries
    ]
    return {"resourceType": "Bundle", "type": kind, "entry": made}


async def one_more(inside, name, method, path, **more):
    """Make a call; the answer and the one line it left in Anna's trail."""
    before = await lines(inside)
    outside = await lines(inside, "system")
    answer = await inside.call(name, method, path, **more)
    after = await lines(inside)
    new = [one for one in after if one not in before]
    assert len(after) - len(before) == len(new) == 1, (path, [one.interaction for one in new])
    assert len(await lines(inside, "system")) == len(outside), path
    assert new[0].status in {answer.status_code, 200}, (path, new[0], answer.status_code)
    return answer, new[0]


# --- exactly one line ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "interaction", "outcome"),
    [
        ("GET", "/fhir/r4/Encounter/{id}", 200, "read", OK),
        ("HEAD", "/fhir/r4/Encounter/{id}", 200, "read", OK),
        ("GET", "/fhir/r4/Encounter/niet", 404, "read", REFUSED),
        ("GET", "/fhir/r4/Encounter/{gone}", 410, "read", FAILED),
        ("GET", "/fhir/r4/Encounter/{id}?_id=1", 400, "read", FAILED),
        ("GET", "/fhir/r4/Encounter/{id}/_history", 200, "history-instance", OK),
        ("GET", "/fhir/r4/Encounter/{id}/_history?x=1", 400, "history-instance", FAILED),
        ("GET", "/fhir/r4/Encounter/{id}/_history/1", 200, "vread", OK),
        ("GET", "/fhir/r4/Encounter/{id}/_history/7", 404, "vread", REFUSED),
        ("GET", "/fhir/r4/Encounter?status=finished", 200, "search-type", OK),
        ("GET", "/fhir/stu3/Encounter", 200, "search-type", OK),
        ("GET", "/fhir/r4/Encounter?bestaat=niet", 400, "search-type", FAILED),
        ("GET", "/fhir/r4/Encounter?_cursor=niet.0", 404, "search-type", REFUSED),
        ("DELETE", "/fhir/r4/Encounter/niet", 404, "delete", REFUSED),
        ("DELETE", "/fhir/r4/Encounter/{id}?x=1", 400, "delete", FAILED),
        ("GET", "/fhir/r4/$onbekend", 404, "search-system", REFUSED),
        ("GET", "/fhir/r4/$wie-keek", 200, "wie-keek", OK),
        ("GET", "/fhir/r4/$wie-keek?van=ooit", 400, "wie-keek", FAILED),
        ("GET", "/fhir/stu3/$wie-keek", 404, "wie-keek", REFUSED),
        ("GET", "/$wie-keek", 200, "wie-keek", OK),
        ("GET", "/$wie-keek?van=ooit", 400, "wie-keek", FAILED),
        ("GET", "/toestemmingen", 200, "overview", OK),
        ("POST", "/toestemmingen/niet/intrekken", 404, "revoke", REFUSED),
        ("POST", "/relaties/niet/beeindigen", 404, "unrelate", REFUSED),
        ("POST", "/koppelcodes", 201, "link-code", OK),
    ],
)
async def test_a_call_leaves_one_line(method, path, status, interaction, outcome, inside):
    id_, gone = await visit(inside), await visit(inside)
    await inside.call("anna", "DELETE", f"/fhir/r4/Encounter/{gone}")
    asked = path.format(id=id_, gone=gone)
    answer, line = await one_more(inside, "anna", method, asked)
    assert answer.status_code == status, answer.text
    assert (line.interaction, line.outcome) == (interaction, outcome)
    assert line.person == inside.anna.person("anna")


@pytest.mark.parametrize(
    ("method", "path", "sent", "status", "interaction", "outcome"),
    [
        ("POST", "/fhir/r4/Encounter", VISIT, 201, "create", OK),
        ("POST", "/fhir/r4/Encounter", {"resourceType": "Encounter"}, 422, "create", FAILED),
        ("POST", "/fhir/r4/Encounter", b"geen json", 400, "create", FAILED),
        ("POST", "/fhir/r4/Observation", VISIT, 400, "create", FAILED),
        ("PUT", "/fhir/r4/Encounter/{id}", VISIT | {"id": "{id}"}, 200, "update", OK),
        ("PUT", "/fhir/r4/Encounter/nieuw", VISIT | {"id": "nieuw"}, 201, "update", OK),
        ("DELETE", "/fhir/r4/Encounter/{id}", None, 204, "delete", OK),
        ("POST", "/fhir/r4", batch(("GET", "Encounter/{id}")), 200, "batch", OK),
        ("POST", "/fhir/r4", batch(("GET", "Encounter/niet")), 200, "batch", OK),
        (
            "POST",
            "/fhir/r4",
            batch(("GET", "Encounter/niet"), kind="transaction"),
            404,
            "transaction",
            REFUSED,
        ),
        ("POST", "/fhir/r4", {"resourceType": "Bundle", "type": "x"}, 400, "batch", FAILED),
        ("POST", "/fhir/r4", b"{}", 400, "batch", FAILED),
        ("POST", "/toestemmingen", GRANT | {"to_who": "sam-x"}, 201, "grant", OK),
        ("POST", "/toestemmingen", {"effect": "misschien"}, 400, "grant", FAILED),
        ("POST", "/toestemmingen", b"[]", 400, "grant", FAILED),
        ("POST", "/relaties", {"kind": "baas"}, 400, "relate", FAILED),
        ("POST", "/relaties", b"geen json", 400, "relate", FAILED),
        ("POST", "/zegels", {"release": "r5"}, 400, "seal", FAILED),
        (
            "POST",
            "/zegels",
            {"release": "r4", "type": "Encounter", "id": "niet", "label": "niet-voor-naasten"},
            404,
            "seal",
            REFUSED,
        ),
    ],
)
async def test_a_change_leaves_one_line(method, path, sent, status, interaction, outcome, inside):
    id_ = await visit(inside)
    raw = sent if isinstance(sent, bytes) else orjson.dumps(sent) if sent is not None else None
    content = None if raw is None else raw.replace(b"{id}", id_.encode())
    media = JSON if "/fhir/" in path else {"content-type": "application/json"}
    answer, line = await one_more(
        inside, "anna", method, path.format(id=id_), content=content, headers=media
    )
    assert answer.status_code == status, answer.text
    assert (line.interaction, line.outcome) == (interaction, outcome)


async def test_a_wrong_version_and_a_strange_content_type_leave_one_line(inside):
    id_ = await visit(inside)
    path = f"/fhir/r4/Encounter/{id_}"
    answer, line = await one_more(
        inside, "anna", "PUT", path, json=VISIT | {"id": id_}, headers={"If-Match": 'W/"9"'}
    )
    assert (answer.status_code, line.status, line.outcome) == (412, 412, FAILED)
    media = {"content-type": "text/plain"}
    answer, line = await one_more(inside, "anna", "PUT", path, content=b"x", headers=media)
    assert (answer.status_code, line.status) == (415, 415)
    answer, line = await one_more(
        inside, "anna", "GET", path, headers={"accept": "application/pdf"}
    )
    assert answer.status_code == line.status == 406


@pytest.mark.parametrize("name", ["lea", "kim"])
async def test_who_is_not_known_leaves_one_line_too(name, inside):
    id_ = await visit(inside)
    for method, path, more in (
        ("GET", f"/fhir/r4/Encounter/{id_}", {}),
        ("GET", "/fhir/r4/Encounter", {}),
        ("GET", "/fhir/r4/Encounter?onzin=1", {}),
        ("POST", "/fhir/r4/Encounter", {"json": VISIT}),
        ("POST", "/fhir/r4", {"json": batch(("GET", "Encounter"))}),
        ("GET", "/toestemmingen", {}),
        ("POST", "/toestemmingen", {"json": GRANT | {"to_who": "lea-x"}}),
        ("POST", "/toestemmingen", {"json": []}),
        ("POST", "/zegels", {"json": {}}),
        ("GET", "/$wie-keek", {}),
        ("GET", "/$wie-keek?van=x", {}),
        ("GET", "/fhir/r4/$wie-keek", {}),
    ):
        answer, line = await one_more(inside, name, method, path, **more)
        assert answer.status_code == 404, path
        assert (line.outcome, line.status) == (REFUSED, 404)
        assert line.resources == line.categories == ()
        assert line.person == inside.anna.person(name)


async def test_a_batch_is_one_line_with_everything_in_it(inside):
    first, second = await visit(inside), await visit(inside)
    sent = batch(
        ("GET", f"Encounter/{first}"),
        ("GET", "Encounter?status=finished"),
        ("POST", "Encounter", VISIT),
        ("GET", "Encounter/niet"),
    )
    answer, line = await one_more(inside, "anna", "POST", "/fhir/r4", json=sent)
    assert [e["response"]["status"][:3] for e in answer.json()["entry"]] == [
        "200",
        "200",
        "201",
        "404",
    ]
    seen = Counter(name.partition("@")[0] for name in line.resources)
    assert seen.keys() >= {f"Encounter/{first}", f"Encounter/{second}"}
    assert line.query == "Encounter?status=finished"
    assert dict(line.categories)["behandeling"] == len(line.resources)


async def test_a_call_that_crashes_leaves_one_line_and_shows_nothing(inside):
    id_, other = await visit(inside), await visit(inside)
    dossier = await inside.house.parts.dossiers.open(inside.anna.dossier)
    row = dossier.image.get("r4", "Encounter", id_)
    await inside.house.store.drop_bodies(inside.anna.dossier, [row.body])
    for path in (f"/fhir/r4/Encounter/{id_}", "/fhir/r4/Encounter"):
        answer, line = await one_more(inside, "anna", "GET", path)
        assert answer.status_code == 500
        assert (line.outcome, line.status) == (CRASHED, 500)
        assert line.resources == ()
        assert other not in answer.text
    answer, line = await one_more(inside, "anna", "GET", f"/fhir/r4/Encounter/{other}")
    assert answer.status_code == 200


async def test_calls_without_a_dossier_are_in_the_system_trail(inside):
    async def count():
        return len(await lines(inside)), len(await lines(inside, "system"))

    token = await inside.token(inside.anna.person("anna"))
    base = f"/dossiers/{inside.anna.dossier}"
    for method, path, headers, status in (
        ("GET", f"{base}/fhir/r4/Patient", {}, 401),
        ("GET", f"{base}/fhir/r4/Patient", {"Authorization": "Bearer niets"}, 401),
        ("GET", "/fhir/r4/Patient", {"Authorization": "Bearer niets"}, 401),
        ("GET", f"{base}/toestemmingen", {}, 401),
        ("GET", f"{base}/$wie-keek", {}, 401),
        ("GET", "/dossiers", token, 200),
        ("GET", "/dossiers", {}, 401),
        ("POST", "/koppelingen", token, 403),
        ("PUT", f"{base}/fhir/r4/metadata", token, 405),
        ("GET", f"{base}/fhir/r4/een/twee/drie", token, 404),
        ("GET", f"{base}/fhir/r4/Bestaatniet", token, 404),
        ("GET", f"/dossiers/{'0' * 32}/fhir/r4/Patient", token, 404),
        ("GET", "/dossiers/system/fhir/r4/Patient", token, 404),
    ):
        before = await count()
        sent = {"json": {"code": "x"}} if path == "/koppelingen" else {}
        answer = await inside.http.request(method, path, headers=headers, **sent)
        assert answer.status_code == status, (path, answer.text)
        after = await count()
        assert (after[0] - before[0], after[1] - before[1]) == (0, 1), path


async def test_the_line_of_a_change_is_in_its_commit(inside):
    before = await inside.house.store.head(inside.anna.dossier)
    await visit(inside)
    commits = await inside.house.store.commits(inside.anna.dossier, before, 10)
    assert len(commits) == 1
    line = (await lines(inside))[-1]
    assert line.interaction == "create"
    assert line.n == commits[0].n == before + 1


# --- no line, no answer --------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [Unavailable("weg"), NoSpace("vol"), OSError("stuk")])
async def test_without_a_line_nothing_is_answered(fault, inside, monkeypatch):
    id_ = await visit(inside)
    store = inside.house.store
    calls = [
        ("GET", f"/fhir/r4/Encounter/{id_}"),
        ("GET", "/fhir/r4/Encounter"),
        ("GET", "/fhir/r4/Encounter/niet"),
        ("POST", "/fhir/r4"),
        ("GET", "/toestemmingen"),
        ("GET", "/$wie-keek"),
        ("GET", "/fhir/r4/$wie-keek"),
    ]
    sent = {"POST": {"json": batch(("GET", f"Encounter/{id_}"))}}
    token = await inside.token(inside.anna.person("anna"))

    async def refuse(_lines):
        raise fault

    with monkeypatch.context() as broken:
        broken.setattr(store, "note", refuse)
        for method, path in calls:
            url = f"/dossiers/{inside.anna.dossier}{path}"
            answer = await inside.http.request(method, url, headers=token, **sent.get(method, {}))
            assert answer.status_code == 503, (path, answer.text)
            assert id_ not in answer.text
            assert "finished" not in answer.text
        answer = await inside.http.get("/dossiers", headers=token)
        assert answer.status_code == 503
        assert inside.anna.dossier not in answer.text
        ready = await inside.http.get("/health/ready")
        assert ready.status_code == 503
    for method, path in calls[:1]:
        answer = await inside.call("anna", method, path)
        assert answer.status_code == 200


async def test_a_server_is_ready_again_by_itself_when_lines_can_be_written(inside, monkeypatch):
    async def refuse(_lines):
        raise NoSpace("vol")

    with monkeypatch.context() as broken:
        broken.setattr(inside.house.store, "note", refuse)
        assert (await inside.call("anna", "GET", "/fhir/r4/Encounter")).status_code == 503
        assert (await inside.http.get("/health/ready")).status_code == 503
    for _ in range(50):  # nobody calls a server that is not ready
        answer = await inside.http.get("/health/ready")
        if answer.status_code == 200:
            break
        await asyncio.sleep(0.1)
    assert answer.json()["audit"] == "pass"


async def test_a_change_whose_line_cannot_be_written_is_not_there(inside, monkeypatch):
    head = await inside.house.store.head(inside.anna.dossier)

    async def refuse(_client, _commit):
        raise NoSpace("vol")

    with monkeypatch.context() as broken:
        broken.setattr(inside.house.store, "append", refuse)
        answer = await inside.call("anna", "POST", "/fhir/r4/Encounter", json=VISIT)
        assert answer.status_code == 507
    assert await inside.house.store.head(inside.anna.dossier) == head
    found = await inside.call("anna", "GET", "/fhir/r4/Encounter?_summary=count")
    assert found.json()["total"] == 0


# --- reading it back -----------------------------------------------------------------------------


async def test_a_search_line_keeps_parameters_categories_and_count(inside):
    for _ in range(3):
        await visit(inside)
    asked = "status=finished&_sort=-_lastUpdated&_count=2"
    _, line = await one_more(inside, "anna", "GET", f"/fhir/r4/Encounter?{asked}")
    assert line.query == asked
    assert line.categories == (("behandeling", 2),)
    assert len(line.resources) == 2
    body = "status=in-progress"
    media = {"content-type": "application/x-www-form-urlencoded"}
    _, line = await one_more(
        inside, "anna", "POST", "/fhir/r4/Encounter/_search", content=body, headers=media
    )
    assert line.query == body
    assert line.resources == ()


async def test_a_later_page_is_a_line_of_its_own_with_the_same_question(inside):
    for _ in range(3):
        await visit(inside)
    asked = "status=finished&_count=2"
    answer, _ = await one_more(inside, "anna", "GET", f"/fhir/r4/Encounter?{asked}")
    link = next(one["url"] for one in answer.json()["link"] if one["relation"] == "next")
    path = link.partition(inside.anna.dossier)[2]
    answer, line = await one_more(inside, "anna", "GET", path)
    assert line.query == asked
    assert line.categories == (("behandeling", 1),)


async def test_what_was_asked_is_sealed_on_disk(inside, tmp_path):
    word = "kanarievogel"
    _, line = await one_more(inside, "anna", "GET", f"/fhir/r4/Patient?name={word}")
    assert line.query == f"name={word}"
    kept = await asyncio.to_thread(_bytes_in, tmp_path)
    assert len(kept) > 10_000
    assert word.encode() not in kept


def _bytes_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


async def sentences(inside, name="anna", more="") -> list[dict]:
    answer = await inside.call(name, "GET", f"/$wie-keek{more}")
    assert answer.status_code == 200, answer.text
    return answer.json()["zinnen"]


async def test_the_client_reads_in_dutch_who_looked_and_why_he_might(inside):
    await visit(inside)
    kim = inside.anna.person("kim")
    await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": kim})
    await inside.call("kim", "GET", "/fhir/r4/Encounter")
    await inside.call("lea", "GET", "/fhir/r4/Encounter")
    said = await sentences(inside)
    looked = next(one for one in said if one["persoon"] == kim)
    assert looked["zin"].startswith("Kim Berg (copiloot, coophulp) ")
    assert "2 maart 2026" in looked["zin"]
    assert "toestemming" in looked["zin"]
    assert not looked["geweigerd"]
    refused = next(one for one in said if one["persoon"] == inside.anna.person("lea"))
    assert refused["geweigerd"]
    assert "Lea Berg" in refused["zin"]
    for one in await sentences(inside, more="?taal=eenvoudig"):
        for sentence in one["zin"].rstrip(".").split(". "):
            assert len(sentence.split()) <= 12, sentence


async def test_the_line_still_names_the_grant_when_the_grant_is_gone(inside):
    await visit(inside)
    kim = inside.anna.person("kim")
    given = await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": kim})
    await inside.call("kim", "GET", "/fhir/r4/Encounter")
    await inside.call("anna", "POST", f"/toestemmingen/{given.json()['id']}/intrekken")
    looked = [one for one in await lines(inside) if one.person == kim]
    assert looked[-1].grants == (given.json()["id"],)
    said = next(one for one in await sentences(inside) if one["persoon"] == kim)
    assert "toestemming" in said["zin"]


async def test_who_saw_what_between_two_dates(inside):
    id_ = await visit(inside)
    kim = inside.anna.person("kim")
    await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": kim})
    for day in (3, 5, 7):
        inside.now = datetime(2026, 3, day, 22, 59, 59, tzinfo=UTC)  # 23:59:59 in Amsterdam
        await inside.call("kim", "GET", f"/fhir/r4/Encounter/{id_}")
        inside.later(seconds=1)
        await inside.call("kim", "GET", "/fhir/r4/Encounter?status=finished")
    said = await sentences(inside, more="?van=2026-03-05&tot=2026-03-05")
    mine = [one for one in said if one["persoon"] == kim]
    assert [(one["aantal"], one["van"][:10]) for one in mine] == [(1, "2026-03-05")]
    answer = await inside.call("anna", "GET", "/fhir/r4/$wie-keek?van=2026-03-06&tot=2026-03-07")
    events = [e["resource"] for e in answer.json()["entry"]]
    about = [e for e in events if kim in orjson.dumps(e["agent"][0]["who"]).decode()]
    assert len(about) == 2
    days = {date.fromisoformat(e["recorded"][:10]) for e in about}
    assert days == {date(2026, 3, 5), date(2026, 3, 7)}


async def test_the_same_lines_are_valid_audit_events(inside):
    id_ = await visit(inside)
    await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": "kim-x"})
    await inside.call("kim", "GET", f"/fhir/r4/Encounter/{id_}")
    await inside.call("kim", "GET", "/fhir/r4/Encounter?status=finished")
    await inside.call("lea", "GET", "/fhir/r4/Encounter")
    await inside.call("anna", "POST", "/fhir/r4", json=batch(("GET", "Encounter?_count=1")))
    answer = await inside.call("anna", "GET", "/fhir/r4/$wie-keek")
    events = [e["resource"] for e in answer.json()["entry"]]
    assert answer.json()["total"] == len(events) > 6
    for event in events:
        AuditEvent.model_validate(event)
        assert event["agent"][0]["requestor"] is True
    outcomes = Counter(event["outcome"] for event in events)
    assert outcomes["4"] == 1


async def pages(inside, path: str, name: str = "anna") -> list[dict]:
    """The Bundle at a path and every later one, by their links."""
    found = []
    while path:
        answer = await inside.call(name, "GET", path)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        path = next_of(found[-1])
        assert len(found) < 100
    return found


def next_of(bundle: dict) -> str:
    url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
    return url[url.index("/fhir/") :] if url else ""


async def busy(inside) -> None:
    """Seven visits on each of three days, a month apart."""
    for month in (3, 4, 5):
        inside.now = datetime(2026, month, 3, 12, tzinfo=UTC)
        for _ in range(7):
            await inside.call("anna", "GET", "/fhir/r4/Encounter")


def told(bundles: list[dict]) -> list[tuple[str, str]]:
    events = [entry["resource"] for one in bundles for entry in one["entry"]]
    return [(event["recorded"], event["id"]) for event in events]


async def test_pages_of_audit_events_tell_each_line_once_newest_first(inside):
    await busy(inside)
    before = {one.id for one in await lines(inside)}
    found = await pages(inside, "/fhir/r4/$wie-keek?_count=4")
    assert [len(one["entry"]) for one in found[:-1]] == [4] * (len(found) - 1)
    assert len(found) > 4
    ids = [id_ for _, id_ in told(found)]
    assert len(ids) == len(set(ids))
    assert set(ids) == before
    assert told(found) == sorted(told(found), reverse=True)
    assert not any("total" in one for one in found)


async def test_the_link_to_itself_keeps_what_was_asked_and_pages_stay_within_it(inside):
    await busy(inside)
    asked = "van=2026-04-01&tot=2026-04-30&_count=3"
    found = await pages(inside, f"/fhir/r4/$wie-keek?{asked}")
    assert found[0]["link"][0]["relation"] == "self"
    assert found[0]["link"][0]["url"].endswith(f"/$wie-keek?{asked}")
    assert [len(one["entry"]) for one in found] == [3, 3, 1]
    assert {recorded[:7] for recorded, _ in told(found)} == {"2026-04"}
    whole = (await pages(inside, "/fhir/r4/$wie-keek?van=2026-04-01&tot=2026-04-30"))[0]
    assert whole["total"] == len(whole["entry"]) == 7


async def test_a_page_has_fifty_lines_and_never_more_than_two_hundred(inside):
    for _ in range(55):
        await inside.call("anna", "GET", "/fhir/r4/Encounter")
    first = (await inside.call("anna", "GET", "/fhir/r4/$wie-keek")).json()
    assert (len(first["entry"]), "total" in first, next_of(first) != "") == (50, False, True)
    many = (await inside.call("anna", "GET", "/fhir/r4/$wie-keek?_count=100000")).json()
    assert 55 < len(many["entry"]) <= 200


async def test_a_time_in_which_nobody_looked_has_no_entries(inside):
    answer = (await inside.call("anna", "GET", "/fhir/r4/$wie-keek?tot=2020-01-01")).json()
    assert (answer["total"], "entry" in answer) == (0, False)


async def test_a_later_page_is_sealed_for_its_reader_and_for_an_hour(inside):
    await busy(inside)
    path = next_of((await inside.call("anna", "GET", "/fhir/r4/$wie-keek?_count=2")).json())
    assert "2026" not in path
    assert (await inside.call("anna", "GET", path)).status_code == 200
    assert (await inside.call("mo", "GET", path)).status_code == 404
    assert (await inside.call("anna", "GET", f"{path}&van=2026-01-01")).status_code == 400
    assert (await inside.call("anna", "GET", f"{path[:-4]}AAAA")).status_code == 404
    elsewhere = path.replace("$wie-keek", "Encounter") + ".0"
    assert (await inside.call("anna", "GET", elsewhere)).status_code == 404
    inside.later(seconds=3_700)
    assert (await inside.call("anna", "GET", path)).status_code == 404


@pytest.mark.parametrize(
    "asked", ["_count=x", "_count=-1", "van=2026-01-01&van=2026-01-02", "_cursor=", "_sort=date"]
)
async def test_what_is_asked_wrong_is_named(inside, asked):
    answer = await inside.call("anna", "GET", f"/fhir/r4/$wie-keek?{asked}")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["diagnostics"]


@pytest.mark.parametrize("day", ["0001-01-01", "9999-12-31"])
async def test_the_first_and_the_last_day_there_are_may_be_asked(inside, day):
    for path in ("/fhir/r4/$wie-keek", "/$wie-keek"):
        for name in ("van", "tot"):
            answer = await inside.call("anna", "GET", f"{path}?{name}={day}")
            assert answer.status_code == 200, answer.text


async def test_very_many_sentences_come_in_parts_of_whole_days(inside, monkeypatch):
    await busy(inside)
    whole = await sentences(inside, more="?tot=2026-05-03")
    monkeypatch.setattr(looked, "_LINES", 5)
    path, parts = "/$wie-keek?tot=2026-05-03&taal=", []
    while path:
        answer = (await inside.call("anna", "GET", path)).json()
        parts.append(answer["zinnen"])
        path = answer.get("verder", "").removeprefix(f"/dossiers/{inside.anna.dossier}")
        assert len(parts) < 10
    assert len(parts) > 2
    told = [one["van"] for part in parts for one in part]
    assert told == [one["van"] for one in whole]
    assert [max(one["aantal"] for one in part) for part in parts[:2]] == [7, 7]


async def test_lines_about_what_is_sealed_are_not_told_to_the_representative(inside):
    open_, hidden = await visit(inside), await visit(inside)
    seal = {"release": "r4", "type": "Encounter", "id": hidden}
    label = "niet-voor-vertegenwoordiger"
    await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": "kim-x"})
    await inside.call("kim", "GET", f"/fhir/r4/Encounter/{hidden}")
    await inside.call("kim", "GET", "/fhir/r4/Encounter?status=finished")
    await inside.call("anna", "POST", "/zegels", json=seal | {"label": label})
    await inside.call("kim", "GET", "/fhir/r4/Encounter?status=finished")
    seen = await inside.call("mo", "GET", "/fhir/r4/$wie-keek")
    assert seen.status_code == 200
    assert hidden not in seen.text
    assert label not in seen.text
    events = [e["resource"] for e in seen.json()["entry"]]
    assert sum(open_ in orjson.dumps(event).decode() for event in events) == 3
    whole = await inside.call("anna", "GET", "/fhir/r4/$wie-keek")
    assert whole.text.count(hidden) > 3
    said = [one["zin"] for one in await sentences(inside, "mo")]
    assert not any("2 behandelingen" in zin for zin in said)
    assert any("2 behandelingen" in one["zin"] for one in await sentences(inside))
    assert any("Kim Berg" in zin for zin in said)


async def test_only_who_may_see_the_log_sees_it(inside):
    await inside.call("anna", "POST", "/toestemmingen", json=GRANT | {"to_who": "kim-x"})
    assert (await inside.call("kim", "GET", "/$wie-keek")).status_code == 403
    assert (await inside.call("kim", "GET", "/fhir/r4/$wie-keek")).status_code == 403
    assert (await inside.call("mo", "GET", "/$wie-keek")).status_code == 200
    small = await inside.call("anna", "GET", "/$wie-keek", scope="user/Encounter.rs")
    assert small.status_code == 403


async def test_odd_names_do_not_break_the_log(inside):
    name = quote("a\nb\x1b[31m\u202e")
    answer = await inside.call("anna", "GET", f"/fhir/r4/Patient?name={name}")
    assert answer.status_code in {200, 400}
    for one in await sentences(inside):
        assert "\n" not in one["zin"]
        assert "\x1b" not in one["zin"]


# --- nobody changes it unseen --------------------------------------------------------------------


def test_a_changed_byte_in_the_trail_is_found(own_server):
    with own_server.client("p-marjan") as marjan:
        assert marjan.get("Patient").status_code == 200
    client = own_server.dossiers["fenna"]
    told = orjson.loads(own_server.pgo("audit", "verify", "--json").stdout)
    assert len(told) > 5
    assert all(row["ok"] for row in told)
    with sqlite3.connect(own_server.folder / "pgo.db-trail") as store:
        (sealed, writer, seq) = store.execute(
            "SELECT sealed, writer, seq FROM lines WHERE client=? AND writer!='log' LIMIT 1",
            (client,),
        ).fetchall()[0]
        changed = bytes([*sealed[:-1], sealed[-1] ^ 1])
        store.execute(
            "UPDATE lines SET sealed=? WHERE client=? AND writer=? AND seq=?",
            (changed, client, writer, seq),
        )
    store.close()
    done = own_server.pgo("audit", "verify", "--json", check=False)
    assert done.returncode == 1
    wrong = [row for row in orjson.loads(done.stdout) if not row["ok"]]
    assert [row["dossier"] for row in wrong] == [client]
    assert "changed" in wrong[0]["findings"][0]
    seen = httpx2.get(
        f"{own_server.url}/dossiers/{client}/$wie-keek",
        headers={"Authorization": f"Bearer {own_server.token('p-marjan')}"},
    )
    assert "niet te lezen" in seen.text
