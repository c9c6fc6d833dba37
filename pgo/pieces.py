"""What stands in files of resources, piece by piece: a line, or a whole file; stores nothing.

Folders are read by name, without following symbolic links in them. Nothing here trusts a file: one
that cannot be read, is no ordinary file or is too large is an error of its own.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pgo.errors import Issue, NotFound, PgoError, TooLarge
from pgo.fhir import text, xml
from pgo.fhir.bundle import Op, names_of
from pgo.fhir.elements import Release

MOST_FILE_BYTES: Final = 50_000_000
MOST_RESOURCE_BYTES: Final = 10_000_000  # sealed, one must fit in a document of MongoDB
_SUFFIXES: Final = (".json", ".ndjson", ".xml")
_ENDING: Final = re.compile(r"\.[a-z0-9]{1,8}")
_BOM: Final = b"\xef\xbb\xbf"
_MISSING: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_PATIENT: Final = re.compile(rb'"resourceType"\s*:\s*"Patient"|<(?:\w+:)?Patient[\s/>]')
_UUID: Final = re.compile(r"urn:uuid:([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})", re.IGNORECASE)
_LAST: Final = re.compile(r"https?://[^?#]*/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class File:
    """A file to read: `name` says which it is, below the folder that was asked for, if `below`."""

    name: str
    path: Path
    below: bool = False

    def size(self) -> int:
        """Bytes; 0 when that cannot be told."""
        try:
            return self.path.stat().st_size
        except OSError:
            return 0


@dataclass(frozen=True, slots=True)
class Piece:
    """The text of one resource or Bundle, and where it stands: `file` or `file:line`.

    `fault` is why a file cannot be read; then there is no text.
    """

    where: str
    raw: bytes
    xml: bool = False
    fault: PgoError | None = None

    def comes(self, *, first: bool) -> bool:
        """Whether it has its turn first, as a fault has and what a Patient seems to be in.

        Others are about the Patient.
        """
        sought = self.xml or b'Patient"' in self.raw
        found = sought and _PATIENT.search(self.raw) is not None
        return (found or self.fault is not None) is first

    def tree(self, release: Release) -> Tree:
        """The parsed text.

        Raises:
            BadRequest: not readable, with line and column.
        """
        return xml.from_xml(self.raw, release) if self.xml else text.parse(self.raw)


def files_of(paths: Iterable[Path]) -> list[File]:
    """The files named, and those in folders named (`.json`, `.ndjson`, `.xml`), by name."""
    found: list[File] = []
    for path in paths:
        if path.is_dir():
            found += (File("/".join(one), path.joinpath(*one), below=True) for one in _below(path))
        else:
            found.append(File(path.name, path))
    return found


def passed_over(paths: Iterable[Path]) -> dict[str, int]:
    """How many files in folders named are not looked at, by ending (".zip"), most first."""
    endings: Counter[str] = Counter()
    for path in paths:
        others = (name.lower() for *_, names in os.walk(path) for name in names)
        endings.update(_ending(name) for name in others if not name.endswith(_SUFFIXES))
    return dict(sorted(endings.items(), key=lambda one: (-one[1], one[0])))


def _ending(name: str) -> str:
    ending = os.path.splitext(name)[1]  # noqa: PTH122 - a name, not a path
    return ending if _ENDING.fullmatch(ending) else "other"


def _below(path: Path) -> list[tuple[str, ...]]:
    """The files in a folder that may hold resources, in order, as the steps to each."""
    found = []
    for folder, _, names in os.walk(path):
        steps = Path(folder).relative_to(path).parts
        found += [(*steps, name) for name in names if name.lower().endswith(_SUFFIXES)]
    return sorted(found)


def readable(file: File, *, tell: bool) -> Iterator[Piece]:
    """What is in a file; when it cannot be read, one piece that says so, if that is to be told."""
    try:
        yield from pieces(file)
    except PgoError as error:
        if tell:
            yield Piece(file.name, b"", fault=error)


def pieces(file: File) -> Iterator[Piece]:
    """What is in a file: an ndjson file line by line, any other as a whole.

    Raises:
        PgoError: not there, not readable, no ordinary file, or over 50 MB.
    """
    raw = _read(file).removeprefix(_BOM)
    kind = file.path.suffix.lower()
    if kind == ".ndjson":
        for number, line in enumerate(raw.splitlines(), 1):
            if line.strip():
                yield Piece(f"{file.name}:{number}", line)
    else:
        yield Piece(file.name, raw, xml=kind == ".xml" or raw.lstrip()[:1] == b"<")


def _read(file: File) -> bytes:
    try:
        about = file.path.stat(follow_symlinks=not file.below)
        if stat.S_ISLNK(about.st_mode):
            words = "a symbolic link is not followed"
            raise PgoError("a link", issues=(Issue("security", words),))
        if not stat.S_ISREG(about.st_mode):
            raise NotFound("there is no such file")
        if about.st_size > MOST_FILE_BYTES:
            raise TooLarge(f"a file has at most {MOST_FILE_BYTES // 1_000_000} MB")
        return file.path.read_bytes()
    except OSError as fault:
        if fault.errno in _MISSING:
            raise NotFound("there is no such file") from None
        words = "the file cannot be read"
        raise PgoError(words, issues=(Issue("exception", words),)) from fault


# --- resources in a Bundle -----------------------------------------------------------------------


def unpacked(tree: Tree) -> tuple[list[tuple[int, Tree]], list[tuple[int, Issue]]]:
    """The resources of a collection, searchset, document, message or history; faults by entry.

    References among them by fullUrl become `Type/id`; one without id takes that of its fullUrl.
    """
    entries = tree.get("entry", [])
    if not isinstance(entries, list):
        return [], [(0, Issue("structure", "entry is a list", "Bundle.entry"))]
    found: list[tuple[int, Tree]] = []
    faults: list[tuple[int, Issue]] = []
    names: dict[str, str] = {}
    for number, entry in enumerate(entries):
        if not isinstance(entry, dict):
            place = f"Bundle.entry[{number}]"
            faults.append((number, Issue("structure", "This is not an object.", place)))
        elif isinstance(entry.get("resource"), dict) and not _about_the_search(entry):
            found.append((number, _named(entry, names)))
    return [(number, _renamed(one, names)) for number, one in found], faults


def _about_the_search(entry: Tree) -> bool:
    search = entry.get("search")
    return isinstance(search, dict) and search.get("mode") == "outcome"


def _named(entry: Tree, names: dict[str, str]) -> Tree:
    """The resource of an entry, with an id; notes in `names` what others may call it."""
    resource: Tree = entry["resource"]
    url, type_ = entry.get("fullUrl"), resource.get("resourceType")
    if not isinstance(url, str) or not isinstance(type_, str):
        return resource
    id_ = resource.get("id") or _id_in(url, type_)
    if not isinstance(id_, str) or not id_:
        return resource
    names |= names_of(Op("PUT", type_, full_url=url), f"{type_}/{id_}")
    front = {"resourceType": type_, "id": id_}
    return resource if "id" in resource else front | resource


def _id_in(url: str, type_: str) -> str:
    unique, address = _UUID.fullmatch(url), _LAST.fullmatch(url)
    if unique:
        return unique[1].lower()
    return address[2] if address and address[1] == type_ else ""


def _renamed(tree: Any, names: dict[str, str]) -> Any:
    """The tree with the references that `names` knows replaced."""
    if isinstance(tree, dict):
        return {
            key: names.get(value, value)
            if key == "reference" and isinstance(value, str)
            else _renamed(value, names)
            for key, value in tree.items()
        }
    return [_renamed(one, names) for one in tree] if isinstance(tree, list) else tree
