"""Operators decide on evidence: with a reason, a document and, under strict, a second operator."""

from __future__ import annotations

import pytest

REASON = "beschikking gezien aan de balie"
SAID = ("--document", "C/01/2026-77", "--reason", REASON, "--operator", "ria")


@pytest.fixture
def client(strict, dossier):
    for name in ("anja", "broer"):
        assert strict("account", "add", name, "--name", name, "--birth", "1970-01-01").code == 0
    return dossier(strict, wilsonbekwaam=True)


@pytest.fixture
def approved(strict, client):
    """Bas approves something; the option with its code."""

    def approve(what, by="bas"):
        arguments = ("approve", "--dossier", client, "--for", what, "--operator", by)
        return ("--approval", strict(*arguments, "--reason", REASON, "--json").json["approval"])

    return approve


@pytest.fixture
def as_person(strict, client, approved, monkeypatch, call_server):
    """Calls the server as somebody at the dossier."""

    def call(person, method, path, **more):
        code = approved("token")
        asked = ("token", "--dossier", client, "--as", person, "--operator", "ria", *code)
        token = strict(*asked, "--scope", "user/*.cruds", "--json").json["access_token"]
        return call_server(method, f"/dossiers/{client}{path}", token, **more)

    return call


@pytest.fixture
def call_server():
    """One call to a server on the settings of this moment."""
    import asyncio

    import httpx2

    from pgo.app import build
    from pgo.settings import load

    async def ask(method, path, token, **more):
        server = build(load())
        await server.start()
        try:
            transport = httpx2.ASGITransport(app=server, raise_app_exceptions=False)
            headers = {"Authorization": f"Bearer {token}"}
            async with httpx2.AsyncClient(transport=transport, base_url="https://pgo") as http:
                return await http.request(method, path, headers=headers, **more)
        finally:
            await server.stop()

    return lambda *arguments, **more: asyncio.run(ask(*arguments, **more))


@pytest.fixture
def claim(strict, client, as_person):
    """Jo says that Anja is his mentor; the id of the claim."""
    sent = {"person": "anja", "kind": "mentor", "order": "C/01/2026-77"}
    answer = as_person("p-jo", "POST", "/relaties", json=sent)
    assert (answer.status_code, answer.json()["status"]) == (201, "te-controleren")
    listed = strict("relation", "list", "--dossier", client, "--json").json
    assert [one["kind"] for one in listed] == ["mentor"]
    return listed[0]["claim"]


def test_a_claim_gives_a_right_after_two_operators_saw_the_evidence(
    strict, client, claim, approved, as_person
):
    verify = ("relation", "verify", "--dossier", client, "--claim", claim)
    assert as_person("anja", "GET", "/toestemmingen").status_code == 404
    for code in ((), ("--approval", "0" * 16), approved("death"), approved("relation", by="ria")):
        said = strict(*verify, *SAID, *code)
        assert said.code == 1, code
        assert "--approval" in said.err
    assert as_person("anja", "GET", "/toestemmingen").status_code == 404
    said = strict(*verify, *SAID, *approved("relation"), "--json")
    assert said.json["relation"].startswith("r-")
    found = as_person("anja", "GET", "/toestemmingen").json()
    assert found["relation"][0]["document"] == "C/01/2026-77"
    told = [one for one in found["notice"] if one["what"] == "relation"]
    assert (told[0]["first"], told[0]["second"], told[0]["reason"]) == ("ria", "bas", REASON)
    again = strict(*verify, *SAID, *approved("relation"))
    assert again.code == 1
    assert "checked before" in again.err


@pytest.mark.parametrize(
    ("said", "place"),
    [
        (("--document", " ", "--reason", REASON), "--document"),
        (("--document", "C/1", "--reason", "kort"), "--reason"),
    ],
)
def test_without_document_or_reason_nothing_is_decided(
    strict, client, claim, approved, said, place
):
    arguments = ("relation", "verify", "--dossier", client, "--claim", claim, "--operator", "ria")
    ended = strict(*arguments, *said, *approved("relation"))
    assert ended.code == 1
    assert place in ended.err


def test_a_rejected_claim_never_gives_a_right(strict, client, claim, approved, as_person):
    arguments = ("--dossier", client, "--claim", claim, *SAID)
    assert strict("relation", "reject", *arguments, *approved("relation")).code == 0
    assert strict("relation", "verify", *arguments, *approved("relation")).code == 1
    assert as_person("anja", "GET", "/toestemmingen").status_code == 404


def test_after_a_death_who_represented_reads_and_changes_nothing(
    strict, client, claim, approved, as_person
):
    verify = ("relation", "verify", "--dossier", client, "--claim", claim)
    assert strict(*verify, *SAID, *approved("relation")).code == 0
    death = ("death", "--dossier", client, *SAID)
    assert strict(*death, "--on", "2199-01-01", *approved("death")).code == 1
    assert as_person("anja", "GET", "/fhir/r4/Patient/p1").status_code == 200
    from datetime import UTC, datetime

    moment = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    assert strict(*death, "--on", moment, *approved("death")).code == 0
    assert strict(*death, "--on", moment, *approved("death")).code == 1
    assert as_person("anja", "GET", "/fhir/r4/Patient/p1").status_code == 200
    given = {"preset": "meelezen", "to_who": "broer"}
    assert as_person("anja", "POST", "/toestemmingen", json=given).status_code == 403
    assert as_person("p-jo", "GET", "/fhir/r4/Patient/p1").status_code == 404


def test_a_successor_takes_over_and_nobody_is_left_out_on_the_way(
    strict, client, claim, approved, as_person
):
    verify = ("relation", "verify", "--dossier", client, "--claim", claim)
    old = strict(*verify, *SAID, *approved("relation"), "--json").json["relation"]
    activate = ("succession", "activate", "--dossier", client, *SAID)
    mentor = ("--kind", "mentor", "--order", "C/02/9")
    none = strict(*activate, *mentor, *approved("succession"))
    assert "no successor was named" in none.err
    named = as_person("anja", "POST", "/opvolger", json={"person": "broer"})
    assert named.status_code == 201
    assert as_person("broer", "GET", "/toestemmingen").status_code == 404
    wrong = strict(*activate, "--kind", "voogd", "--ends", old, *approved("succession"))
    assert "would not hold the reins" in wrong.err
    assert as_person("anja", "GET", "/toestemmingen").status_code == 200
    good = strict(*activate, *mentor, "--ends", old, *approved("succession"))
    assert good.code == 0, good.err
    assert as_person("broer", "GET", "/toestemmingen").status_code == 200
    assert as_person("anja", "GET", "/toestemmingen").status_code == 404


def test_contested_reins_open_nothing_until_it_is_settled(
    strict, client, claim, approved, as_person
):
    verify = ("relation", "verify", "--dossier", client, "--claim", claim)
    assert strict(*verify, *SAID, *approved("relation")).code == 0
    given = {"preset": "meelezen", "to_who": "broer"}
    first = as_person("anja", "POST", "/toestemmingen", json=given).json()
    why = {"reden": "wij zijn het hier niet mee eens"}
    assert as_person("broer", "POST", "/opvolging/betwisten", json=why).status_code == 403
    assert as_person("p-jo", "POST", "/opvolging/betwisten", json=why).status_code == 200
    assert as_person("p-jo", "POST", "/opvolging/betwisten", json=why).status_code == 409
    told = as_person("anja", "GET", "/berichten").json()["berichten"]
    assert "regie" in [one["soort"] for one in told]
    for path, sent in (
        ("/toestemmingen", given), ("/uitnodigingen", {"preset": "meelezen"}),
        ("/opvolger", {"person": "broer"}), ("/relaties", {"person": "broer", "kind": "familie",
                                                           "as": "broer"}),
    ):  # fmt: skip
        assert as_person("anja", "POST", path, json=sent).status_code == 403, path
    ended = as_person("anja", "POST", f"/toestemmingen/{first['id']}/intrekken")
    assert ended.status_code == 200
    assert strict("succession", "settle", "--dossier", client, *SAID,
                  *approved("succession")).code == 0  # fmt: skip
    assert as_person("anja", "POST", "/toestemmingen", json=given).status_code == 201


def test_a_programme_ends_for_its_copiloten_in_every_dossier(strict, client, as_person):
    arguments = ("account", "add", "kim", "--name", "Kim", "--kind", "copiloot")
    assert strict(*arguments, "--org", "coophulp").code == 0
    given = {"preset": "copiloot-standaard", "to_who": "kim", "to": "2090-01-01"}
    assert as_person("p-jo", "POST", "/toestemmingen", json=given).status_code == 201
    end = ("programme", "end", "--organisation", "coophulp", "--on", "2080-06-01", "--json")
    assert strict(*end).json == {"dossiers": 1, "grants": 1}
    assert strict(*end).json == {"dossiers": 0, "grants": 0}
    (grant,) = as_person("p-jo", "GET", "/toestemmingen").json()["grant"]
    assert grant["to"].startswith("2080-05-31T22:00")


def test_notices_run_announces_and_says_how_many(pgo, dossier):
    from datetime import UTC, datetime, timedelta

    soon = datetime.now(UTC) + timedelta(days=10)
    dossier(birth=f"{soon.year - 18}-{soon.month:02}-{min(soon.day, 28):02}")
    assert pgo("notices", "run", "--json").json == {"announced": 1, "told": 0}
    assert pgo("notices", "run", "--json").json == {"announced": 0, "told": 0}
