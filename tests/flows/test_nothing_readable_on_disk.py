"""Canaries: unique words planted everywhere are found nowhere on disk, in no common form."""

from __future__ import annotations

import base64
import os
import re
import secrets
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from zlib import crc32

import httpx2
import pytest

from pgo.keyfile import make_key
from pgo.registry import Account

KEY = "kanarie"
MEMORY = Path("/dev/shm")  # noqa: S108 - where the server keeps its counters
START = "Kanarie"
JSON = {"content-type": "application/fhir+json"}


class Cage:
    """Makes canaries, and knows the forms in which one could be found."""

    def __init__(self) -> None:
        self.words: list[str] = []
        self.others: list[str] = []

    def word(self) -> str:
        self.words.append(f"{START}{secrets.token_hex(6)}vogel")
        return self.words[-1]

    def number(self) -> float:
        """A number with digits nothing else has."""
        whole, part = secrets.randbelow(900_000) + 100_000, secrets.randbelow(90_000) + 10_001
        return float(self.keep(f"{whole}.{part}1"))

    def keep(self, secret: str) -> str:
        self.others.append(secret)
        return secret

    def found_in(self, raw: bytes) -> set[str]:
        """The canaries in these bytes, in any of their forms, capitals aside."""
        small = raw.lower()
        some = any(form.lower() in small for form in _forms(START))
        asked = [*self.others, *(self.words if some else ())]
        return {word for word in asked if any(form.lower() in small for form in _forms(word))}


def _forms(word: str) -> list[bytes]:
    plain = word.encode()
    made = [plain, word.encode("utf-16-le"), word.encode("utf-16-be"), plain.hex().encode()]
    for lead in range(3):
        coded = base64.b64encode(bytes(lead) + plain)
        whole = coded[4 if lead else 0 : -4]
        made += [whole, whole.replace(b"+", b"-").replace(b"/", b"_")]
    return made


def test_the_cage_finds_what_is_not_hidden():
    cage = Cage()
    word, digits = cage.word(), cage.number()
    for shown in (
        word.encode(),
        word.lower().encode(),
        f"x{word}".encode("utf-16-le"),
        word.encode("utf-16-be"),
        word.encode().hex().upper().encode(),
        *(base64.b64encode(b"q" * n + word.encode() + b"zz") for n in range(5)),
    ):
        assert cage.found_in(b"--" + shown + b"--") == {word}
    assert cage.found_in(f'"value":{digits}'.encode()) == set(cage.others)
    assert cage.found_in(b"niets") == set()


def concept(cage: Cage) -> dict:
    coding = {"system": f"https://{cage.word()}", "code": cage.word(), "display": cage.word()}
    return {"coding": [coding | {"version": cage.word()}], "text": cage.word()}


def reference(cage: Cage, type_: str) -> dict:
    return {"reference": f"{type_}/{cage.word()}", "display": cage.word()}


def identifier(cage: Cage) -> dict:
    return {"system": f"https://{cage.word()}", "value": cage.word(), "type": concept(cage)}


def quantity(cage: Cage) -> dict:
    return {"value": cage.number(), "unit": cage.word(), "system": f"https://{cage.word()}",
            "code": cage.word()}  # fmt: skip


def narrative(cage: Cage) -> dict:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{cage.word()}</p></div>'
    return {"status": "generated", "div": div}


def observation(cage: Cage, release: str, patient: str) -> dict:
    """One resource with a canary in every kind of field that may hold one."""
    tree = {
        "resourceType": "Observation",
        "id": cage.word(),
        "meta": {
            "profile": [f"https://{cage.word()}"],
            "security": [{"system": f"https://{cage.word()}", "code": "N"}],
            "tag": [{"system": f"https://{cage.word()}", "code": cage.word()}],
        },
        "implicitRules": f"https://{cage.word()}",
        "text": narrative(cage),
        "contained": [
            {"resourceType": "Device", "id": "d", "identifier": [identifier(cage)]},
        ],
        "extension": [
            {"url": f"https://{cage.word()}", "valueString": cage.word()},
            {"url": f"https://{cage.word()}", "valueDecimal": cage.number()},
        ],
        "identifier": [identifier(cage)],
        "status": "final",
        "category": [concept(cage)],
        "code": concept(cage),
        "subject": {"reference": f"Patient/{patient}", "display": cage.word()},
        "effectiveDateTime": "2026-02-01",
        "performer": [{"reference": f"Patient/{patient}"}],
        "valueQuantity": quantity(cage),
        "interpretation": concept(cage),
        "bodySite": concept(cage),
        "method": concept(cage),
        "device": {"reference": "#d", "display": cage.word()},
        "referenceRange": [{"low": quantity(cage), "text": cage.word()}],
        "component": [{"code": concept(cage), "valueString": cage.word()}],
    }
    if release == "stu3":
        return tree | {"comment": cage.word(), "related": [{"target": reference(cage, "Media")}]}
    noted = {"note": [{"text": cage.word()}]}
    return tree | noted | {"interpretation": [tree["interpretation"]],
                           "derivedFrom": [reference(cage, "Media")]}  # fmt: skip


def patient_tree(cage: Cage, release: str, patient: str) -> dict:
    del release
    return {
        "resourceType": "Patient",
        "id": patient,
        "identifier": [identifier(cage)],
        "text": narrative(cage),
        "name": [{"family": cage.word(), "given": [cage.word()], "text": cage.word()}],
        "telecom": [{"system": "phone", "value": cage.word()}],
        "address": [{"line": [cage.word()], "city": cage.word(), "postalCode": cage.word()}],
        "contact": [{"name": {"family": cage.word()}}],
        "photo": [{"title": cage.word(), "url": f"https://{cage.word()}"}],
    }


def everything(folder: Path, extra: list[Path]) -> dict[str, bytes]:
    files = [path for path in [*folder.rglob("*"), *extra] if path.is_file()]
    return {str(path): path.read_bytes() for path in files}


def check(cage: Cage, files: dict[str, bytes], least: int) -> None:
    assert len(files) >= least
    for path, raw in files.items():
        assert not cage.found_in(raw), path


@pytest.fixture
def cage():
    return Cage()


@pytest.fixture
def planted(tmp_path, launch, cage):
    """A server that keeps an image after every commit, and writes in one folder only."""
    (tmp_path / "tmp").mkdir()
    temporary = str(tmp_path / "tmp")
    return launch(tmp_path, PGO_IMAGE_EVERY="1", TMPDIR=temporary, PGO_LOG_LEVEL="debug")


def plant(served, cage: Cage) -> None:
    made = served.anna(KEY, [{"to_who": "sam", "toelichting": cage.word()}])

    async def name(house):
        who = made.person("sam")
        await house.registry.change(Account, who, lambda one: replace(one, name=cage.word()))

    served.inside(name)
    _write(served, cage, made)
    _ask(served, cage, made)
    _rules(served, cage, made)


def _write(served, cage: Cage, made) -> None:
    for release in ("r4", "stu3"):
        token = cage.keep(served.token(made.person("anna"), KEY))
        head = {"Authorization": f"Bearer {token}"} | JSON
        with httpx2.Client(base_url=served.fhir(KEY, release), headers=head) as http:
            for make in (patient_tree, observation):
                tree = make(cage, release, made.patient)
                address = f"/{tree['resourceType']}/{tree['id']}"
                answer = http.put(address, json=tree)
                assert answer.status_code == 201, answer.text
                changed = http.put(address, json=tree | {"language": "nl"})
                assert changed.status_code == 200
            assert http.delete(address).status_code == 204
            for count in (10, 30_000):  # in the resource's own text, and in pieces
                raw = b"%PDF-1.7\n" + cage.word().encode() * count
                file = {"Content-Type": "application/pdf"}
                assert http.post("/Binary", content=raw, headers=file).status_code == 201
            wrong = {"Content-Type": "image/png"}
            raw = cage.word().encode() * 30_000
            assert http.post("/Binary", content=raw, headers=wrong).status_code == 422
            tree = observation(cage, release, made.patient)
            tree.pop("id")
            entry = {"resource": tree, "request": {"method": "POST", "url": "Observation"}}
            bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
            assert http.post("", json=bundle).status_code == 200
            refused = observation(cage, release, made.patient) | {"status": cage.word()}
            assert http.put(f"/Observation/{refused['id']}", json=refused).status_code in {400, 422}
            assert (
                http.post("/Observation", content=f'{{"{cage.word()}": '.encode()).status_code
                == 400
            )


def _ask(served, cage: Cage, made) -> None:
    with served.client(made.person("anna"), KEY) as http:
        for search in (
            f"code={cage.word()}",
            f"Patient?name={cage.word()}",
            f"code:text={cage.word()}&_count=1",
            f"{cage.word()}=1",
            f"_id={cage.word()}",
        ):
            http.get(search if "?" in search else f"Observation?{search}")
        http.post("Observation/_search", data={"identifier": cage.word()})
        http.get(f"Observation/{cage.word()}")
        http.get(f"Observation/{cage.word()}/_history/1")
        http.get(f"{cage.word()}/x")
        http.get("Observation", headers={"x-noodtoegang": f'code=BTG; reason="{cage.word()}"'})
        http.get("Observation", headers={"user-agent": cage.word(), "referer": cage.word()})
    wrong = {"Authorization": f"Bearer {cage.word()}"}
    assert httpx2.get(f"{served.fhir(KEY)}/Patient", headers=wrong).status_code == 401
    httpx2.post(f"{served.url}/oauth/token", data={"grant_type": cage.word(), "code": cage.word()})


def _rules(served, cage: Cage, made) -> None:
    regie = f"{served.url}/dossiers/{made.dossier}"
    with served.client(made.person("anna"), KEY) as http:
        given = {"effect": "permit", "to_who": made.person("nina"), "toelichting": cage.word()}
        assert http.post(f"{regie}/toestemmingen", json=given).status_code == 201
        order = {"person": made.person("kim"), "kind": "mentor", "order": cage.word()}
        assert http.post(f"{regie}/relaties", json=order).status_code == 201
        code = http.post(f"{regie}/koppelcodes").json()["code"]
        cage.keep(code)
        http.post(f"{regie}/toestemmingen", json={cage.word(): cage.word()})
        assert http.get(f"{regie}/$wie-keek").status_code == 200
        assert http.get("$wie-keek").status_code == 200
    head = {"Authorization": f"Bearer {cage.keep(served.system('sys-delinde'))}"}
    linked = httpx2.post(f"{served.url}/koppelingen", headers=head, json={"code": code})
    assert linked.status_code == 201


def test_no_canary_is_on_disk_while_the_server_runs_nor_afterwards(planted, cage, tmp_path):
    plant(planted, cage)
    assert len(cage.words) > 150
    store = planted.environment["PGO_STORE"]
    rates = MEMORY / f"pgo-rates-{os.getuid()}-{crc32(store.encode()):x}"
    time.sleep(0.5)
    files = everything(tmp_path, [rates])
    names = {Path(path).name for path in files}
    assert {"pgo.db", "pgo.db-wal", "pgo.db-images", "pgo.db-keys", "server.log"} <= names
    check(cage, files, least=7)
    assert len(files[str(tmp_path / "server.log")]) > 2000, "the log was written"
    planted.process.terminate()
    planted.process.wait(20)
    check(cage, everything(tmp_path, [rates]), least=5)


def test_a_server_does_not_start_with_another_key(planted, tmp_path):
    planted.process.terminate()
    planted.process.wait(20)
    right = tmp_path / "pgo.key"
    kept = right.read_bytes()
    right.unlink()
    assert make_key(right, development=True)
    command = [sys.executable, "-m", "pgo", "serve"]
    done = subprocess.run(
        command, env=planted.environment, capture_output=True, timeout=60, check=False
    )
    told = (done.stdout + done.stderr).decode()
    assert done.returncode != 0
    assert re.search(r"PGO_KEY", told)
    assert re.search(r"key", told)
    assert "Traceback" not in told
    secret = right.read_text().strip().partition(":")[2]
    assert secret not in told
    right.write_bytes(kept)
    planted.serve()
    assert httpx2.get(f"{planted.url}/health/ready").status_code == 200
