"""Small profiles made in tests, kept and read as packages are."""

from __future__ import annotations

import io
import tarfile

import orjson
import pytest

from pgo.fhir import text, validate
from pgo.fhir.profiles import Profiles
from pgo.fhir.profiles_folder import pack, unpack
from pgo.fhir.profiles_package import Package, definition

BASE = "http://hl7.org/fhir/StructureDefinition/"
OWN = "http://x.test/"


def tree(resource):
    """A resource as it comes in."""
    return text.parse(orjson.dumps(resource))


def profile(type_, *elements, name="p", base=None, **members):
    """A profile with these elements as its differential."""
    root = {"id": type_, "path": type_}
    return {
        "resourceType": "StructureDefinition",
        "url": f"{OWN}{name}",
        "name": "P",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": type_,
        "derivation": "constraint",
        "baseDefinition": base or f"{BASE}{type_}",
        "differential": {"element": [root, *elements]},
        **members,
    }


def element(id_, **said):
    """An element by its id; the path is the id without slices."""
    path = ".".join(part.partition(":")[0] for part in id_.split("."))
    slice_ = id_.rpartition(".")[2].partition(":")[2]
    named = {"sliceName": slice_} if slice_ else {}
    return {"id": id_, "path": path, **named, **said}


def known(*definitions, release="r4"):
    """Profiles, with these definitions in one package."""
    kept = {f"{at}.json": definition(tree(one)) for at, one in enumerate(definitions)}
    package = Package("made", "1", release, (), kept)
    return Profiles([unpack(pack(package), package.label)])


@pytest.fixture
def held():
    """What is wrong with a resource by profiles: (code, place, words), first the errors."""

    def look(resource, *definitions, release="r4", url=f"{OWN}p", severity="error"):
        one = tree(resource)
        assert validate.validate(release, one) == ()
        found = known(*definitions, release=release).check(release, one, [url])
        return [(i.code, i.place, i.detail) for i in found if i.severity == severity]

    return look


def tgz(files):
    """A .tgz with these files by name: bytes, or a resource."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w:gz") as tar:
        for name, content in files.items():
            raw = content if isinstance(content, bytes) else orjson.dumps(content)
            info = tarfile.TarInfo(name)
            info.size = len(raw)
            tar.addfile(info, io.BytesIO(raw))
    return made.getvalue()


ABOUT = {"name": "x.test", "version": "1.0.0", "fhirVersions": ["4.0.1"]}
