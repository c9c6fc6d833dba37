"""The folder in which a deployment keeps the packages it added: one file each, `NAME#VERSION.zip`.

A file holds `index.json` and the definitions, without their words. It is written beside its place
and then renamed, so that a server sees a package whole or not at all. `load` reads each file once
and keeps its bytes as they are; a definition is unpacked when something first asks for it. Servers
read the folder when they start: what is added or removed counts after a restart, for all workers.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final

import orjson

from pgo.errors import BadValue, NotFound, PgoError
from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.fhir.profiles_package import MOST_BYTES, MOST_FILE_BYTES, MOST_UNPACKED, Package, Tree

PLACE: Final = "PGO_PROFILES"
_INDEX: Final = "index.json"
_FORM: Final = 1
_NOT_OURS: Final = (TypeError, ValueError, KeyError, zipfile.BadZipFile, zlib.error)
_ABOUT: Final = ("resourceType", "url", "version", "type", "derivation", "baseDefinition")


@dataclass(frozen=True, slots=True)
class Kept:
    """One package that is kept.

    Attributes:
        label: `name#version`.
        release: what it is for.
        needs: packages it builds on, as `name#version`.
        rows: what is in it: by file `resourceType`, `url`, `version`, `type`, `derivation`.
        packed: the bytes of the file.
    """

    label: str
    release: Release
    needs: tuple[str, ...]
    rows: dict[str, dict[str, str]]
    packed: bytes

    def definition(self, file: str) -> Tree:
        """One definition, unpacked; numbers are int or Decimal."""
        tree: Tree = text.plain(text.reread(_opened(self.packed).read(file)))
        return tree


@lru_cache(maxsize=64)
def _opened(packed: bytes) -> zipfile.ZipFile:
    """The directory of a package is read once."""
    return zipfile.ZipFile(BytesIO(packed))


def add(folder: Path, package: Package) -> Path:
    """Keep a package; the same name and version again takes its place.

    Raises:
        OSError: the folder cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{package.label}.zip"
    beside = folder / f".{package.label}.{os.getpid()}"
    try:
        with beside.open("wb") as file:
            file.write(pack(package))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    return path


def pack(package: Package) -> bytes:
    """The bytes in which a package is kept."""
    rows = {file: _row(tree) for file, tree in package.definitions.items()}
    index = {
        "form": _FORM,
        "label": package.label,
        "release": package.release,
        "needs": package.needs,
        "rows": rows,
    }
    made = BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr(_INDEX, orjson.dumps(index))
        for file, tree in package.definitions.items():
            packed.writestr(file, text.dump(tree))
    return made.getvalue()


def _row(tree: Tree) -> dict[str, str]:
    return {name: tree[name] for name in _ABOUT if type(tree.get(name)) is str}


def remove(folder: Path, label: str) -> None:
    """Take a package away.

    Raises:
        NotFound: it is not kept.
    """
    for path in _files(folder):
        if path.stem == label:
            path.unlink()
            return
    raise NotFound("this package is not kept; see pgo profiles list", place="NAME#VERSION")


def load(folder: Path) -> list[Kept]:
    """All packages, by name; none when there is no folder.

    Raises:
        BadValue: one is broken; says which.
    """
    return [_read(path) for path in _files(folder)]


def _files(folder: Path) -> list[Path]:
    if not folder.exists():
        return []
    if not folder.is_dir():
        raise BadValue("this is no folder; name one for packages of profiles", place=PLACE)
    return sorted(one for one in folder.glob("*.zip") if not one.name.startswith("."))


def _read(path: Path) -> Kept:
    try:
        ordinary = path.is_file() and not path.is_symlink() and path.stat().st_size <= MOST_BYTES
        kept = unpack(path.read_bytes() if ordinary else b"", path.stem)
    except (
        OSError,
        PgoError,
        TypeError,
        ValueError,
        KeyError,
        zipfile.BadZipFile,
        zlib.error,
    ) as fault:
        mend = "take it away (pgo profiles remove) or add the package again"
        raise BadValue(f"{path.name} is broken; {mend}", place=PLACE) from fault
    return kept


def unpack(raw: bytes, label: str) -> Kept:
    """A package from the bytes it is kept in, which are to be of this `name#version`.

    Raises:
        ValueError, TypeError, KeyError, zipfile.BadZipFile, zlib.error: these are not such bytes.
    """
    with zipfile.ZipFile(BytesIO(raw)) as packed:
        sizes = [one.file_size for one in packed.infolist()]
        if max(sizes, default=0) > MOST_FILE_BYTES or sum(sizes) > MOST_UNPACKED:
            raise ValueError
        index: dict[str, Any] = orjson.loads(packed.read(_INDEX))
        if (index["form"], index["label"]) != (_FORM, label):
            raise ValueError
        if index["release"] not in {"r4", "stu3"}:
            raise ValueError
        if packed.testzip() is not None or set(packed.namelist()) != {_INDEX, *index["rows"]}:
            raise ValueError
    return Kept(index["label"], index["release"], tuple(index["needs"]), index["rows"], raw)
