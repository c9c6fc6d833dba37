"""Copies of a deployment on the embedded store, and the way back.

A copy is two folders, to be kept apart: the sealed data, and the wrapped keys. Neither opens
without the other, nor both without the deployment's key, which is in none of them. A folder has a
list of its files with their hashes, written last: without it, it is no copy.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

import orjson

from pgo.erasing import hold
from pgo.errors import BadValue, Incident
from pgo.house import House, open_house
from pgo.moment import instant, micros
from pgo.office import dossiers, is_alive
from pgo.settings import Settings
from pgo.store import sqlite_backup as files
from pgo.store.sqlite_files import settle

LIST: Final = "pgo-copy.json"
_FORMAT: Final = 1
_HOW: Final = "MongoDB is copied with its own tools, both databases; the README says how"

Track = Callable[[Sequence[str]], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Copy:
    """The two folders of one copy."""

    data: Path
    keys: Path

    def folders(self) -> tuple[tuple[str, Path], ...]:
        """Both, each with what it holds."""
        return (("data", self.data), ("keys", self.keys))


def _store_of(settings: Settings) -> Path:
    path = files.path_of(settings.store)
    if path is None:
        raise BadValue(_HOW, place="PGO_STORE")
    return path


# --- out -----------------------------------------------------------------------------------------


async def back_up(house: House, copy: Copy, told: files.Told) -> dict[str, Any]:
    """Copy the store, whatever servers are doing; what was made, and when.

    Args:
        house: open.
        copy: two folders that are not there yet, neither inside the other.
        told: hears how far it is.

    Raises:
        BadValue: another kind of store, or a folder that cannot be used; nothing was made.
        Unavailable, NoSpace: it could not be read or written; nothing is left of it.
    """
    path = _store_of(house.settings)
    _check_new(copy)
    await house.note("backup", person="beheer")
    made = micros(house.clock())
    try:
        for _, folder in copy.folders():
            folder.mkdir(mode=0o700, parents=True)
        await asyncio.to_thread(files.copy, path, copy.data, copy.keys, told)
        size = sum(_listed(what, folder, made) for what, folder in copy.folders())
    except BaseException:
        for _, folder in copy.folders():
            shutil.rmtree(folder, ignore_errors=True)
        raise
    return {"made": instant(made), "data": str(copy.data), "keys": str(copy.keys), "bytes": size}


def _check_new(copy: Copy) -> None:
    data, keys = copy.data.resolve(), copy.keys.resolve()
    if data == keys or data in keys.parents or keys in data.parents:
        raise BadValue("keys are kept apart: name a folder elsewhere", place="--keys")
    for place, folder in (("FOLDER", data), ("--keys", keys)):
        if folder.exists():
            raise BadValue("this is there already; name a new folder", place=place)


def _listed(what: str, folder: Path, made: int) -> int:
    """Write the list of what is in a folder; the bytes of all of it."""
    found = {path.name: _measured(path) for path in sorted(folder.iterdir())}
    said = {"format": _FORMAT, "what": what, "made": made, "files": found}
    (folder / LIST).write_bytes(orjson.dumps(said, option=orjson.OPT_INDENT_2))
    settle(folder)
    return sum(one["bytes"] for one in found.values())


def _measured(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": file_digest(file, "sha256").hexdigest()}


# --- back ----------------------------------------------------------------------------------------


async def restore(settings: Settings, copy: Copy, track: Track = iter) -> dict[str, Any]:
    """Put a copy in the place of a store that is not there; checked whole before it is.

    Sessions, tokens and codes of the copy end. What is on the list of erased dossiers is erased
    again.

    Args:
        settings: say where the store will be, and with which key it opens.
        copy: its folders.
        track: goes along the dossiers, telling somebody how far it is.

    Returns:
        As of when it is, and how many dossiers it holds.

    Raises:
        BadValue: it is no copy, not a sound one, of another deployment, or there is a store
            already; then nothing was changed.
    """
    path = _store_of(settings)
    if any(files.names(path)):
        raise BadValue("there is a store already; move it away first", place="PGO_STORE")
    made = _checked(copy)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pgo-restore-", dir=path.parent) as kept:
        trial = Path(kept) / path.name
        await asyncio.to_thread(_bring, copy, trial)
        chosen = settings.model_copy(update={"store": f"sqlite:///{trial.absolute()}"})
        async with open_house(chosen) as house:
            count = await _opened(house, track)
            again = await hold(house)
            await house.note("restore", person="beheer", note=instant(made))
        await asyncio.to_thread(_put_in_place, trial, path)
    return {"as_of": instant(made), "dossiers": count - again, "erased_again": again}


def _checked(copy: Copy) -> int:
    """When the data were copied, in µs; every file is as it was then."""
    data, keys = (_read_list(what, folder) for what, folder in copy.folders())
    if keys["made"] < data["made"]:
        text = "these keys are older than the data; some dossiers would have none"
        raise BadValue(text, place="--keys")
    for said, (_, folder) in zip((data, keys), copy.folders(), strict=True):
        for name, measured in said["files"].items():
            if not (folder / name).is_file() or _measured(folder / name) != measured:
                raise BadValue("a file of this copy is not as it was made", place=name)
    return int(data["made"])


def _read_list(what: str, folder: Path) -> dict[str, Any]:
    place = "FOLDER" if what == "data" else "--keys"
    try:
        said: dict[str, Any] = orjson.loads((folder / LIST).read_bytes())
        whole = (said["format"], said["what"]) == (_FORMAT, what) and int(said["made"]) > 0
        plain = all(Path(name).name == name for name in said["files"])
    except (OSError, ValueError, TypeError, KeyError) as fault:
        raise BadValue(f"there is no copy of {what} here", place=place) from fault
    if not (whole and plain):
        raise BadValue(f"there is no copy of {what} here", place=place)
    return said


def _bring(copy: Copy, trial: Path) -> None:
    for what, folder in copy.folders():
        for name in _read_list(what, folder)["files"]:
            files.bring(folder / name, Path(f"{trial}{name.removeprefix('store')}"))
    for end in files.COPIED:
        files.check(Path(f"{trial}{end}"))
    files.end_values(trial)


async def _opened(house: House, track: Track) -> int:
    """Open every dossier once, to its newest commit; how many there are.

    Raises:
        Incident: one does not open.
    """
    alive = [one for one in await dossiers(house) if await is_alive(house, one)]
    for client in track(alive):
        await house.parts.dossiers.open(client)
    return len(alive)


def _put_in_place(trial: Path, path: Path) -> None:
    """Move the files to where a server looks, the main one last."""
    if any(files.names(path)):
        raise BadValue("there is a store already; move it away first", place="PGO_STORE")
    if any(trial.parent.glob("*-wal")):
        raise Incident("a copy that is to be put in place is still being written")
    for file in sorted(files.names(trial), key=lambda one: one.name == trial.name):
        file.rename(path.parent / file.name)
    settle(path.parent)
