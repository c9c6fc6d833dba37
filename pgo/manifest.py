"""The two folders of a copy and the list of what is in each: hashes and counts, written last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

import orjson

from pgo.errors import BadValue
from pgo.store.durable import created
from pgo.store.sqlite_files import settle

LIST: Final = "pgo-copy.json"
SQLITE, MONGODB = "sqlite", "mongodb"
_FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Copy:
    """The two folders of one copy."""

    data: Path
    keys: Path

    def folders(self) -> tuple[tuple[str, Path], ...]:
        """Both, each with what it holds."""
        return (("data", self.data), ("keys", self.keys))


@dataclass(frozen=True, slots=True)
class Listed:
    """What a list says: of which kind of store, when it was made (µs), files, documents by name."""

    what: str
    store: str
    made: int
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    documents: dict[str, int] = field(default_factory=dict)


def write_list(
    what: str, folder: Path, store: str, made: int, documents: Mapping[str, int]
) -> Listed:
    """Write the list of what is in a folder, and have all of it on the disk."""
    files = {path.name: _measured(path) for path in sorted(folder.iterdir())}
    counts = {name: n for name, n in documents.items() if f"{name}.bson" in files}
    said = {"format": _FORMAT, "what": what, "store": store, "made": made, "files": files}
    with created(folder / LIST) as out:
        out.write(orjson.dumps({**said, "documents": counts}, option=orjson.OPT_INDENT_2))
    settle(folder)
    return Listed(what, store, made, files, counts)


def _measured(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": file_digest(file, "sha256").hexdigest()}


def checked(copy: Copy, store: str) -> tuple[Listed, Listed]:
    """The lists of data and keys; every file is as it was when the copy was made.

    Args:
        copy: its folders.
        store: the kind of store it is to be restored into.

    Raises:
        BadValue: it is no copy, not a sound one, or of another kind of store.
    """
    data, keys = (read_list(what, folder) for what, folder in copy.folders())
    for place, each in (("FOLDER", data), ("--keys", keys)):
        if each.store != store:
            text = f"this copy is of another kind of store ({each.store}) than PGO_STORE names"
            raise BadValue(text, place=place)
    if keys.made < data.made:
        text = "these keys are older than the data; some dossiers would have none"
        raise BadValue(text, place="--keys")
    for each, (_, folder) in zip((data, keys), copy.folders(), strict=True):
        for name, measured in each.files.items():
            if not (folder / name).is_file() or _measured(folder / name) != measured:
                raise BadValue("a file of this copy is not as it was made", place=name)
    return data, keys


def read_list(what: str, folder: Path) -> Listed:
    """The list of a folder; its files are not looked at.

    Raises:
        BadValue: there is none, or not one of a folder of this.
    """
    place = "FOLDER" if what == "data" else "--keys"
    try:
        said: dict[str, Any] = orjson.loads((folder / LIST).read_bytes())
        whole = (said["format"], said["what"]) == (_FORMAT, what) and int(said["made"]) > 0
        plain = all(Path(name).name == name for name in said["files"])
        store, counts = said.get("store", SQLITE), dict(said.get("documents", {}))
        whole = whole and {f"{name}.bson" for name in counts} <= set(said["files"])
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise BadValue(f"there is no copy of {what} here", place=place) from fault
    if not (whole and plain):
        raise BadValue(f"there is no copy of {what} here", place=place)
    return Listed(what, str(store), int(said["made"]), said["files"], counts)
