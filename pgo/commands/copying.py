"""pgo backup, pgo restore: copies of the store."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from pgo.backups import back_up
from pgo.backups import restore as put_back
from pgo.commands.frame import AsJson, err, show, with_house
from pgo.house import House
from pgo.log import configure
from pgo.manifest import Copy
from pgo.settings import load

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Of the sealed data.")]
Keys = Annotated[Path, typer.Option("--keys", help="Folder of the wrapped keys, kept elsewhere.")]


def backup(folder: Folder, keys: Keys, as_json: AsJson = False) -> None:
    """Copy the store into two new folders; servers go on meanwhile.

    The deployment's key is in neither: keep a copy of it in a third place. Keep copies of keys
    for a short time only: as long as one is there, what was erased after it could be opened.
    """

    async def work(house: House) -> dict[str, Any]:
        with Progress(console=err, transient=True) as bar:
            task = bar.add_task("backup", total=None)
            return await back_up(
                house,
                Copy(folder, keys),
                lambda done, total: bar.update(task, completed=done, total=total),
            )

    show(with_house(work), as_json=as_json)


def restore(folder: Folder, keys: Keys, as_json: AsJson = False) -> None:
    """Put a copy in the place of PGO_STORE, where nothing is yet; checked before it is there.

    The copy must be of the same kind of store: SQLite or MongoDB (an empty database, and an empty
    one with `-keys` after its name).

    Every dossier is opened once. Sessions, tokens and codes of the copy end. Dossiers on
    PGO_ERASED_LIST are erased again. What was changed after the copy is not in it: grants that
    were revoked since hold again until somebody revokes them.
    """
    found = load()  # no key is made here: the one that the copy was made with is needed
    configure(found)
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("documents", total=None, visible=False)
        work = put_back(
            found,
            Copy(folder, keys),
            lambda names: bar.track(names, description="open"),
            lambda done, total: bar.update(task, completed=done, total=total, visible=True),
        )
        told = asyncio.run(work)
    show(told, as_json=as_json)
