"""Reads a package of FHIR definitions (a .tgz) without trusting it; writes nothing to disk.

Form: https://confluence.hl7.org/display/FHIR/NPM+Package+Specification: `package/package.json`, and
resources as `package/*.json`; folders below it hold examples and the like, and are not read.
One strange thing in it (a link, a device, a path that leads elsewhere, too much of anything, a text
that is no JSON by our rules) and the whole package is refused.
"""

from __future__ import annotations

import re
import tarfile
import zlib
from dataclasses import dataclass, field
from gzip import GzipFile
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Final

from pgo.errors import BadValue, NotFound, PgoError, TooLarge, Unsupported
from pgo.fhir import text
from pgo.fhir.elements import Release

Tree = dict[str, Any]

MOST_BYTES: Final = 100_000_000  # of the file itself
MOST_UNPACKED: Final = 500_000_000
MOST_FILES: Final = 30_000
MOST_FILE_BYTES: Final = 30_000_000
MOST_RATIO: Final = 120  # texts of definitions shrink to about a tenth
_SMALL: Final = 1_000_000  # below this no ratio is asked

KEPT: Final = frozenset({"StructureDefinition", "ValueSet", "CodeSystem"})
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}", re.ASCII)
_VERSION: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_\-]{0,63}", re.ASCII)
_RELEASES: Final[dict[str, Release]] = {"4.0": "r4", "3.0": "stu3"}
_BOM: Final = b"\xef\xbb\xbf"
# What says nothing about what is allowed; the bulk of a package.
_WORDS: Final = frozenset(
    {
        *("text", "contact", "description", "purpose", "copyright", "mapping", "useContext"),
        *("jurisdiction", "publisher", "keyword", "requirements", "comment", "comments"),
        *("definition", "short", "alias", "example", "meta", "designation", "display"),
    }
)


@dataclass(frozen=True, slots=True)
class Package:
    """What was in a package.

    Attributes:
        name: such as `nictiz.fhir.nl.r4.zib2020`.
        version: such as `0.9.0-beta.1`.
        release: what it is for.
        needs: packages it builds on, as `name#version`.
        definitions: by name in the package: StructureDefinition, ValueSet and CodeSystem.
    """

    name: str
    version: str
    release: Release
    needs: tuple[str, ...] = ()
    definitions: dict[str, Tree] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """`name#version`."""
        return f"{self.name}#{self.version}"


def read_package(path: Path) -> Package:
    """The package in a file.

    Raises:
        NotFound: no such file; TooLarge: more than the limits; Unsupported: of another release;
        BadValue: no package, or a strange one. The place names the file in it, if one is meant.
    """
    if not path.is_file():
        raise NotFound("there is no such file", place=path.name)
    size = path.stat().st_size
    if size > MOST_BYTES:
        raise TooLarge(f"a package has at most {MOST_BYTES // 1_000_000} MB", place=path.name)
    try:
        with path.open("rb") as raw, GzipFile(fileobj=raw) as unzipped:
            texts = _texts(_Bounded(unzipped, size))
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, OverflowError) as fault:
        raise BadValue("this is no whole .tgz package", place=path.name) from fault
    return _package(texts, path.name)


class _Bounded:
    """A stream that ends with an error where the limits are, read by tarfile."""

    def __init__(self, stream: GzipFile | BinaryIO, size: int) -> None:
        self._stream, self._size, self._read = stream, size, 0

    def read(self, count: int = -1) -> bytes:
        """So many bytes.

        Raises:
            TooLarge: more than a package has, or than a file in it has.
        """
        if not 0 <= count <= MOST_FILE_BYTES:
            raise TooLarge("a file in the package is too large")
        found = self._stream.read(count)
        self._read += len(found)
        if self._read > MOST_UNPACKED:
            raise TooLarge("the package unpacks to too much")
        if self._read > _SMALL and self._read > self._size * MOST_RATIO:
            raise TooLarge("the package unpacks to too much for its size")
        return found


def _texts(stream: _Bounded) -> dict[str, bytes]:
    """The texts in `package/`, by name."""
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=stream, mode="r|", bufsize=65_536) as tar:  # type: ignore[call-overload]
        for number, member in enumerate(tar):
            if number >= MOST_FILES:
                raise TooLarge(f"a package has at most {MOST_FILES} files")
            _must_be_tame(member, number)
            name = member.name.removeprefix("./").removeprefix("package/")
            direct = name != member.name.removeprefix("./") and "/" not in name
            if not member.isfile() or not direct or not name.endswith(".json"):
                continue
            if name in found:
                raise BadValue("a file is twice in the package", place=_shown(name, number))
            content = tar.extractfile(member)
            found[name] = content.read() if content else b""
    return found


def _must_be_tame(member: tarfile.TarInfo, number: int) -> None:
    """A plain file or folder, inside the package, of a size that fits."""
    path = PurePosixPath(member.name)
    outside = path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1])
    place = _shown(path.name, number)
    if outside or "\\" in member.name or "\0" in member.name or not path.parts:
        raise BadValue("a path leads out of the package", place=place)
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise BadValue("a link or device is no part of a package", place=place)
    if member.size > MOST_FILE_BYTES:
        raise TooLarge("a file in the package is too large", place=place)


def _shown(name: str, number: int) -> str:
    """A file to name in an error: by its name when that is plain, else by its number."""
    return name if _NAME.fullmatch(name) else f"file {number + 1}"


def _package(texts: dict[str, bytes], place: str) -> Package:
    if "package.json" not in texts:
        raise BadValue("there is no package/package.json in it", place=place)
    about = _tree(texts.pop("package.json"), "package.json")
    name, version = about.get("name"), about.get("version")
    if type(name) is not str or not _NAME.fullmatch(name):
        raise BadValue("the package has no usable name", place="package.json: name")
    if type(version) is not str or not _VERSION.fullmatch(version):
        raise BadValue("the package has no usable version", place="package.json: version")
    definitions = {}
    for file, raw in sorted(texts.items()):
        if not file.startswith(".") and _may_be_kept(raw):
            tree = _tree(raw, file)
            if tree.get("resourceType") in KEPT and type(tree.get("url")) is str:
                definitions[file] = definition(tree)
    release = _release(about, definitions)
    return Package(name, version, release, _needs(about), definitions)


def _may_be_kept(raw: bytes) -> bool:
    return any(f'"{kind}"'.encode() in raw for kind in KEPT)


def _tree(raw: bytes, file: str) -> Tree:
    try:
        return text.parse_definition(raw.removeprefix(_BOM))
    except PgoError as fault:
        where = f"{file}: {fault.issues[0].place}" if fault.issues[0].place else file
        raise BadValue(fault.issues[0].detail, place=where) from fault


def definition(tree: Tree) -> Tree:
    """A definition without its words, and without a differential where the whole is given."""
    kept: Tree = _said(tree)
    if type(kept.get("snapshot")) is dict:
        kept.pop("differential", None)
    return kept


def _said(tree: Any) -> Any:
    if type(tree) is list:
        return [_said(one) for one in tree]
    if type(tree) is not dict:
        return tree
    return {
        name: one if name.startswith(("fixed", "pattern")) else _said(one)
        for name, one in tree.items()
        if name not in _WORDS and not name.startswith("_")
    }


def _release(about: Tree, definitions: dict[str, Tree]) -> Release:
    told = about.get("fhirVersions") or about.get("fhir-version-list")
    if not told:
        told = [one["fhirVersion"] for one in definitions.values() if "fhirVersion" in one]
    found = {str(one)[:3] for one in told} if type(told) is list else set()
    if len(found) != 1 or found.isdisjoint(_RELEASES):
        raise Unsupported("the package is for another FHIR release than R4 (4.0) or STU3 (3.0)",
                          place="package.json: fhirVersions")  # fmt: skip
    return _RELEASES[found.pop()]


def _needs(about: Tree) -> tuple[str, ...]:
    needed = about.get("dependencies")
    if type(needed) is not dict:
        return ()
    return tuple(
        f"{name}#{version}"
        for name, version in needed.items()
        if _NAME.fullmatch(name) and type(version) is str and _VERSION.fullmatch(version)
    )
