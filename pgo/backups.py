"""Copies of a deployment, and the way back.

A copy is two folders, to be kept apart: the sealed data, and the wrapped keys. Neither opens
without the other, nor both without the deployment's key, which is in none of them. A folder has a
list of its files with their hashes, written last, and gets its name when it is whole. How each kind
of store is read and filled is in `pgo/store`: `sqlite_backup`, `mongo_backup`, `mongo_restore`.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from pgo.dossier.seal import SYSTEM, opens
from pgo.erasing import hold
from pgo.errors import BadValue, Incident, Unavailable
from pgo.house import ROTATION, House, open_house
from pgo.manifest import MONGODB, SQLITE, Copy, Listed, checked, write_list
from pgo.moment import instant, micros
from pgo.office import dossiers, is_alive
from pgo.settings import Settings
from pgo.store import sqlite_backup as files
from pgo.store.sqlite_files import settle
from pgo.strict import check

Track = Callable[[Sequence[str]], Iterable[str]]
Told = Callable[[int, int], None]


def _kind(settings: Settings) -> str:
    """Which kind of store the settings name."""
    return MONGODB if settings.store.startswith("mongodb:") else SQLITE


def _store_of(settings: Settings) -> Path:
    path = files.path_of(settings.store)
    if path is None:
        raise BadValue("this names no store; see pgo.toml.example", place="PGO_STORE")
    return path


# --- out -----------------------------------------------------------------------------------------


async def back_up(house: House, copy: Copy, told: Told) -> dict[str, Any]:
    """Copy the store, whatever servers are doing; what was made, and when.

    Args:
        house: open.
        copy: two folders that are not there yet, neither inside the other.
        told: hears how far it is: pages or documents done, of how many.

    Raises:
        BadValue: a folder that cannot be used; nothing was made.
        Unavailable, NoSpace: it could not be read or written; nothing is left of it.
    """
    _check_new(copy)
    await house.note("backup", person="beheer")
    made = micros(house.clock())
    parts: list[Path] = []
    try:
        for _, folder in copy.folders():
            parts.append(_beside(folder))
        listed = await _made(house, Copy(*parts), made, told)
        _name(parts, copy)
    except BaseException:
        for folder in parts:
            shutil.rmtree(folder, ignore_errors=True)
        raise
    size = sum(file["bytes"] for one in listed for file in one.files.values())
    where = {"data": str(copy.data), "keys": str(copy.keys)}
    counts = {name: n for one in listed for name, n in one.documents.items()}
    return {"made": instant(made), **where, "bytes": size, **_if_any("documents", counts)}


def _if_any(name: str, counts: dict[str, int]) -> dict[str, dict[str, int]]:
    return {name: counts} if counts else {}


def _beside(folder: Path) -> Path:
    """An empty folder next to where this one will be, under a name nobody takes for a copy."""
    folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))


async def _made(house: House, copy: Copy, made: int, told: Told) -> list[Listed]:
    """Fill two empty folders, each with its list.

    Raises:
        Unavailable: keys were wrapped anew meanwhile, so not all are under one key.
    """
    kind, counts = _kind(house.settings), dict[str, int]()
    wrapped = await house.store.key(SYSTEM)
    if kind == SQLITE:
        path = _store_of(house.settings)
        await asyncio.to_thread(files.copy, path, copy.data, copy.keys, told)
    else:
        counts = await _documents(house.settings, copy, told)
    if wrapped != await house.store.key(SYSTEM) or await house.store.lookup(*ROTATION):
        raise Unavailable("the deployment's key was replaced meanwhile; make the copy again")
    return [write_list(what, folder, kind, made, counts) for what, folder in copy.folders()]


async def _documents(settings: Settings, copy: Copy, told: Told) -> dict[str, int]:
    from pgo.store import mongo_backup  # noqa: PLC0415 - one backend is loaded, not both

    async with mongo_backup.opened(
        settings.store, strict=settings.strict, standalone=settings.mongo_standalone
    ) as store:
        return await mongo_backup.copy(store, copy.data, copy.keys, told)


def _check_new(copy: Copy) -> None:
    data, keys = copy.data.resolve(), copy.keys.resolve()
    if data == keys or data in keys.parents or keys in data.parents:
        raise BadValue("keys are kept apart: name a folder elsewhere", place="--keys")
    for place, folder in (("FOLDER", data), ("--keys", keys)):
        if folder.exists():
            raise BadValue("this is there already; name a new folder", place=place)


def _name(parts: Sequence[Path], copy: Copy) -> None:
    """Give whole folders their names: the keys first, so that data with a name have their keys."""
    named: list[Path] = []
    try:
        for part, (_, folder) in reversed(list(zip(parts, copy.folders(), strict=True))):
            part.rename(folder)
            named.append(folder)
            settle(folder.parent)
    except BaseException:
        for folder in named:
            shutil.rmtree(folder, ignore_errors=True)
        raise


# --- back ----------------------------------------------------------------------------------------


async def restore(
    settings: Settings, copy: Copy, track: Track = iter, told: Told = lambda _done, _total: None
) -> dict[str, Any]:
    """Put a copy in the place of a store that is not there; checked whole before it is.

    Sessions, tokens and codes of the copy end. What is on the list of erased dossiers is erased
    again.

    Args:
        settings: say where the store will be, and with which key it opens.
        copy: its folders.
        track: goes along the dossiers, telling somebody how far it is.
        told: hears how many documents of a MongoDB store are back, of how many.

    Returns:
        As of when it is, and how many dossiers it holds.

    Raises:
        BadValue: it is no copy, not a sound one, of another deployment or kind of store, or there
            is a store already; then nothing was changed.
    """
    if _kind(settings) == MONGODB:
        return await _restore_documents(settings, copy, track, told)
    path = _store_of(settings)
    if any(files.names(path)):
        raise BadValue("there is a store already; move it away first", place="PGO_STORE")
    lists = checked(copy, SQLITE)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".pgo-restore-", dir=path.parent) as kept:
        trial = Path(kept) / path.name
        await asyncio.to_thread(_bring, copy, lists, trial)
        chosen = settings.model_copy(update={"store": f"sqlite:///{trial.absolute()}"})
        async with open_house(chosen) as house:
            said = await _settled(house, lists[0].made, track)
        await asyncio.to_thread(_put_in_place, trial, path)
    return said


async def _restore_documents(
    settings: Settings, copy: Copy, track: Track, told: Told
) -> dict[str, Any]:
    from pgo.store import mongo_restore  # noqa: PLC0415 - one backend is loaded, not both

    deployment = check(settings)
    data, keys = checked(copy, MONGODB)
    mongo_restore.must_name_all(data.documents, keys.documents)
    for client, name, wrapped in mongo_restore.wrapped_keys(copy.keys):
        if not opens(deployment, client, name, wrapped):
            text = "this key does not fit the keys of this copy; name the key of its deployment"
            raise BadValue(text, place="PGO_KEY_FILE")
    total = sum(data.documents.values()) + sum(keys.documents.values())
    async with mongo_restore.claimed(
        settings.store, strict=settings.strict, standalone=settings.mongo_standalone
    ) as store:
        await mongo_restore.bring(store, copy.data, copy.keys, total, told)
        lost = await mongo_restore.unnamed_bodies(store)
        async with open_house(settings, store=store) as house:
            said = await _settled(house, data.made, track)
    return {**said, "bodies_missing": lost}


async def _settled(house: House, made: int, track: Track) -> dict[str, Any]:
    """Open all dossiers of a copy that is in no server's hands yet, and erase what was erased."""
    count = await _opened(house, track)
    again = await hold(house)
    await house.note("restore", person="beheer", note=instant(made))
    return {"as_of": instant(made), "dossiers": count - again, "erased_again": again}


def _bring(copy: Copy, lists: Iterable[Listed], trial: Path) -> None:
    for listed, (_, folder) in zip(lists, copy.folders(), strict=True):
        for name in listed.files:
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
