"""pgo profiles: what an operator adds counts for the server that starts after it."""

from __future__ import annotations

import io
import tarfile

import orjson
import pytest

URL = "http://x.test/StructureDefinition/named"
ABOUT = {"name": "x.test", "version": "1.0.0", "fhirVersions": ["4.0.1"],
         "dependencies": {"y.test": "2.0.0", "hl7.fhir.r4.core": "4.0.1"}}  # fmt: skip
NAMED = {
    "resourceType": "StructureDefinition",
    "url": URL,
    "name": "Named",
    "status": "active",
    "kind": "resource",
    "abstract": False,
    "type": "Patient",
    "derivation": "constraint",
    "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Patient",
    "differential": {
        "element": [
            {"id": "Patient", "path": "Patient", "constraint": [
                {"key": "n-1", "severity": "error", "expression": "name.family.exists()"},
                {"key": "n-2", "severity": "error", "expression": "unheard()"},
            ]},
            {"id": "Patient.gender", "path": "Patient.gender", "min": 1},
        ]
    },
}  # fmt: skip
BAD = {"resourceType": "Patient", "id": "p2", "meta": {"profile": [URL]}, "active": True}
GOOD = {**BAD, "gender": "female", "name": [{"family": "Vos"}]}


@pytest.fixture
def package(tmp_path):
    """A package with one profile."""

    def make(*definitions):
        made = io.BytesIO()
        files = {"package.json": ABOUT} | {f"{n}.json": one for n, one in enumerate(definitions)}
        with tarfile.open(fileobj=made, mode="w:gz") as tar:
            for name, one in files.items():
                raw = orjson.dumps(one)
                info = tarfile.TarInfo(f"package/{name}")
                info.size = len(raw)
                tar.addfile(info, io.BytesIO(raw))
        path = tmp_path / "made.tgz"
        path.write_bytes(made.getvalue())
        return path

    return make


def test_a_package_is_added_listed_and_removed(pgo, package):
    assert pgo("profiles", "list", "--json").json == []
    said = pgo("profiles", "add", package(NAMED), "--json").json
    assert (said["package"], said["release"], said["profiles"]) == ("x.test#1.0.0", "r4", 1)
    assert said["not here, and built on"] == "y.test#2.0.0"
    (row,) = pgo("profiles", "list", "--json").json
    assert row == {name: said[name] for name in row}
    assert pgo("profiles", "remove", "x.test#1.0.0").code == 0
    again = pgo("profiles", "remove", "x.test#1.0.0")
    assert (again.code, again.out) == (1, "")
    assert pgo("profiles", "list", "--json").json == []


def test_a_package_that_is_none_is_told_and_not_kept(pgo, tmp_path):
    (tmp_path / "x.tgz").write_bytes(b"words")
    said = pgo("profiles", "add", "x.tgz")
    assert (said.code, said.out) == (1, "")
    assert "x.tgz" in said.err
    assert pgo("profiles", "list", "--json").json == []


def test_a_definition_that_cannot_be_used_is_named(pgo, package):
    broken = NAMED | {"differential": {"element": [{"path": "Patient", "type": [7]}]}}
    said = pgo("profiles", "add", package(NAMED, broken | {"url": "http://x.test/q"}))
    assert (said.code, said.out) == (1, "")
    assert "1.json" in said.err
    assert pgo("profiles", "list", "--json").json == []


def test_files_are_checked_and_what_was_not_checked_is_told(pgo, package, file):
    pgo("profiles", "add", package(NAMED))
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": BAD}]}
    said = pgo("profiles", "check", file("bad.json", BAD), file("b.json", bundle),
               file("good.json", GOOD), "--json")  # fmt: skip
    assert said.code == 1
    told = {one["where"]: one for one in orjson.loads(said.out)}
    assert {*told} == {"bad.json", "b.json", "b.json#0", "good.json"}
    for where in ("bad.json", "b.json#0"):
        assert told[where]["profiles"] == [URL]
        assert [(w["place"], w["code"]) for w in told[where]["wrong"]] == [
            ("Patient", "invariant"),
            ("Patient.gender", "required"),
        ]
    assert told["good.json"]["wrong"] == []
    assert ["n-2" in one["why"] for one in told["good.json"]["notes"]] == [True]


def test_a_file_may_be_checked_against_a_profile_it_does_not_name(pgo, package, file):
    pgo("profiles", "add", package(NAMED))
    path = file("p.json", {"resourceType": "Patient", "active": True})
    assert pgo("profiles", "check", path).code == 0
    said = pgo("profiles", "check", path, "--profile", URL)
    assert said.code == 1
    assert "Patient.gender" in said.out
    other = pgo("profiles", "check", path, "--profile", "http://no.test/p", "--json").json
    assert [one["code"] for one in other[0]["notes"]] == ["not-found"]


def test_what_cannot_be_read_is_wrong_with_its_place(pgo, tmp_path):
    (tmp_path / "x.json").write_bytes(b'{"resourceType":')
    said = pgo("profiles", "check", "x.json", "none.json", "--json")
    assert said.code == 1
    assert [one["where"] for one in orjson.loads(said.out)] == ["x.json", "none.json"]


def test_an_import_refuses_what_breaks_a_profile_and_counts_what_names_one_that_is_not_here(
    pgo, package, file
):
    pgo("profiles", "add", package(NAMED))
    client = pgo("dossier", "create", "--json").json["dossier"]
    other = {"profile": ["http://no.test/p"]}
    about = {"subject": {"reference": "Patient/p2"}, "code": {"text": "x"}}
    lines = [{"resourceType": "Basic", "id": "a", "meta": other, **about}, GOOD]
    several = file("two.json", {"resourceType": "Bundle", "type": "collection",
                                "entry": [{"resource": one} for one in lines]})  # fmt: skip
    run = ("import", "--dossier", client, "--release", "r4")
    assert pgo(*run, file("bad.json", BAD), "--json").code == 1
    said = pgo(*run, several, "--json").json
    assert (said["accepted"], said["unchecked"], said["refused"]) == (2, 1, [])


def test_a_package_that_broke_stops_whoever_opens_the_house(pgo, package, tmp_path):
    pgo("profiles", "add", package(NAMED))
    (path,) = (tmp_path / "var" / "profiles").iterdir()
    path.write_bytes(b"words")
    for command in (("profiles", "list"), ("dossier", "list")):
        said = pgo(*command)
        assert said.code == 2
        assert "PGO_PROFILES: x.test#1.0.0.zip is broken" in said.err
    assert pgo("profiles", "remove", "x.test#1.0.0").code == 0
    assert pgo("dossier", "list").code == 0
