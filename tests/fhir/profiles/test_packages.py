"""Packages as they come: whole ones are kept and found again, strange ones are refused whole."""

from __future__ import annotations

import gzip
import io
import random
import tarfile
import zipfile

import orjson
import pytest

from pgo.errors import BadValue, NotFound, PgoError, TooLarge, Unsupported
from pgo.fhir import profiles_package
from pgo.fhir.profiles import profiles
from pgo.fhir.profiles_folder import add, load, remove
from pgo.fhir.profiles_package import read_package

from .conftest import ABOUT, OWN, element, profile, tgz, tree

GOOD = {
    "package/package.json": ABOUT,
    "package/p.json": profile("Patient", element("Patient.photo", min=1)),
    "package/example/e.json": b"not even JSON",
    "package/README.md": b"words",
    "other/x.json": b"{",
}


def kept(tmp_path, files):
    path = tmp_path / "made.tgz"
    path.write_bytes(files if isinstance(files, bytes) else tgz(files))
    return path


def test_a_package_has_its_definitions_without_their_words(tmp_path):
    worded = GOOD["package/p.json"] | {
        "text": {"div": random.Random(4).randbytes(1_000_000).hex()},
        "description": "words",
    }
    bom = b"\xef\xbb\xbf" + orjson.dumps(worded)
    found = read_package(kept(tmp_path, GOOD | {"package/p.json": bom}))
    assert (found.label, found.release, [*found.definitions]) == ("x.test#1.0.0", "r4", ["p.json"])
    assert {"text", "description"}.isdisjoint(found.definitions["p.json"])


def test_what_is_kept_is_found_again_replaced_and_taken_away(tmp_path):
    folder = tmp_path / "profiles"
    assert load(folder) == []
    add(folder, read_package(kept(tmp_path, GOOD)))
    one = tree({"resourceType": "Patient", "meta": {"profile": [f"{OWN}p"]}})
    assert [issue.place for issue in profiles(folder).faults("r4", one)] == ["Patient.photo"]
    other = {**GOOD, "package/p.json": profile("Patient", element("Patient.gender", min=1))}
    add(folder, read_package(kept(tmp_path, other)))
    assert [issue.place for issue in profiles(folder).faults("r4", one)] == ["Patient.gender"]
    assert [path.name for path in folder.iterdir()] == ["x.test#1.0.0.zip"]
    with pytest.raises(NotFound):
        remove(folder, "x.test#2")
    remove(folder, "x.test#1.0.0")
    assert profiles(folder).faults("r4", one) == []


def member(**said):
    """A .tgz with one strange member."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        info = tarfile.TarInfo(said.pop("name", "package/x.json"))
        for name, value in said.items():
            setattr(info, name, value)
        tar.addfile(info, io.BytesIO(b"{}" if not info.size else b"x" * info.size))
    return made.getvalue()


STRANGE = {
    "out by dots": (tgz({"package/../../x.json": b"{}"}), BadValue, "x.json"),
    "out by dots outside package": (tgz({"../x.json": b"{}"}), BadValue, "x.json"),
    "from the root": (tgz({"/etc/x.json": b"{}"}), BadValue, "x.json"),
    "a backslash": (tgz({"package\\..\\x.json": b"{}"}), BadValue, "file 1"),
    "a drive": (tgz({"C:/x.json": b"{}"}), BadValue, "x.json"),
    "a soft link": (member(type=tarfile.SYMTYPE, linkname="/etc/passwd"), BadValue, "x.json"),
    "a hard link": (member(type=tarfile.LNKTYPE, linkname="package/y"), BadValue, "x.json"),
    "a device": (member(type=tarfile.CHRTYPE), BadValue, "x.json"),
    "a pipe": (member(type=tarfile.FIFOTYPE), BadValue, "x.json"),
    "no package.json": (tgz({"package/p.json": b"{}"}), BadValue, "made.tgz"),
    "no tar": (gzip.compress(b"words" * 999), BadValue, "made.tgz"),
    "no gzip": (b"words" * 999, BadValue, "made.tgz"),
    "nothing": (b"", BadValue, "made.tgz"),
    "half": (tgz(GOOD)[:-60], BadValue, "made.tgz"),
    "not JSON": (
        tgz({**GOOD, "package/q.json": b'{"resourceType":"ValueSet",'}),
        BadValue,
        "q.json: line 1",
    ),
    "a member twice": (
        tgz({**GOOD, "package/q.json": b'{"resourceType":"ValueSet","url":"a","url":"b"}'}),
        BadValue,
        "q.json: line 1",
    ),
    "too deep": (
        tgz({**GOOD, "package/q.json": b'{"a":' * 99 + b'"ValueSet"' + b"}" * 99}),
        BadValue,
        "q.json",
    ),
    "bytes that are no text": (
        tgz({**GOOD, "package/q.json": b'{"resourceType":"ValueSet","a":"\xff"}'}),
        BadValue,
        "q.json",
    ),
    "no name": (tgz({"package/package.json": ABOUT | {"name": "../x"}}), BadValue, "name"),
    "no version": (tgz({"package/package.json": ABOUT | {"version": "1/2"}}), BadValue, "version"),
    "a name that is no text": (
        tgz({"package/package.json": ABOUT | {"name": 1}}),
        BadValue,
        "name",
    ),
    "another release": (
        tgz({"package/package.json": ABOUT | {"fhirVersions": ["5.0.0"]}}),
        Unsupported,
        "fhirVersions",
    ),
    "two releases": (
        tgz({"package/package.json": ABOUT | {"fhirVersions": ["4.0.1", "3.0.2"]}}),
        Unsupported,
        "fhirVersions",
    ),
    "a bomb": (tgz({**GOOD, "package/b.json": b" " * 20_000_000}), TooLarge, ""),
    "a large file": (tgz({"package/b.json": b"x" * 30_000_001}), TooLarge, ""),
}


@pytest.mark.parametrize("case", STRANGE)
def test_a_strange_package_is_refused_whole(tmp_path, case):
    raw, kind, place = STRANGE[case]
    before = sorted(tmp_path.rglob("*"))
    path = kept(tmp_path, raw)
    with pytest.raises(kind) as refused:
        read_package(path)
    assert place in refused.value.place
    assert "passwd" not in f"{refused.value.issues}"
    assert sorted(tmp_path.rglob("*")) == [*before, path]


def test_the_same_file_twice_is_refused(tmp_path):
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for _ in range(2):
            tar.addfile(tarfile.TarInfo("package/x.json"), io.BytesIO(b""))
    with pytest.raises(BadValue, match="twice"):
        read_package(kept(tmp_path, made.getvalue()))


def test_too_many_files_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles_package, "MOST_FILES", 3)
    with pytest.raises(TooLarge, match="at most 3"):
        read_package(kept(tmp_path, GOOD))


def test_a_package_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles_package, "MOST_UNPACKED", 2000)
    with pytest.raises(TooLarge, match="too much"):
        read_package(kept(tmp_path, GOOD))


def test_a_file_that_is_larger_than_packages_are_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(profiles_package, "MOST_BYTES", 10)
    with pytest.raises(TooLarge):
        read_package(kept(tmp_path, GOOD))


def test_no_file_is_no_package(tmp_path):
    with pytest.raises(NotFound):
        read_package(tmp_path / "no.tgz")


@pytest.mark.parametrize(
    "cut",
    [lambda _: b"", lambda _: b"words", lambda raw: raw[: len(raw) // 2],
     lambda raw: raw.replace(b"p.json", b"q.json", 1)],
)  # fmt: skip
def test_a_package_that_broke_on_disk_stops_the_start_by_its_name(tmp_path, cut):
    path = add(tmp_path / "kept", read_package(kept(tmp_path, GOOD)))
    path.write_bytes(cut(path.read_bytes()))
    with pytest.raises(BadValue) as refused:
        profiles(tmp_path / "kept")
    assert refused.value.place == "PGO_PROFILES"
    assert "x.test#1.0.0.zip is broken" in refused.value.detail


@pytest.mark.parametrize(
    "index",
    [b"[]", b"{}", b'{"form":2}',
     b'{"form":1,"label":"y#1","release":"r4","needs":[],"rows":{}}',
     b'{"form":1,"label":"x#1","release":"r5","needs":[],"rows":{}}',
     b'{"form":1,"label":"x#1","release":"r4","needs":[],"rows":{"../p":{}}}'],
)  # fmt: skip
def test_a_file_that_is_none_of_ours_stops_the_start(tmp_path, index):
    with zipfile.ZipFile(tmp_path / "x#1.zip", "w") as packed:
        packed.writestr("index.json", index)
    with pytest.raises(BadValue, match=r"x#1\.zip is broken"):
        profiles(tmp_path)


def test_a_link_in_the_folder_is_not_followed(tmp_path):
    path = add(tmp_path / "kept", read_package(kept(tmp_path, GOOD)))
    linked = tmp_path / "linked"
    linked.mkdir()
    (linked / path.name).symlink_to(path)
    with pytest.raises(BadValue):
        profiles(linked)


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(PgoError):
        profiles(tmp_path / "file")
