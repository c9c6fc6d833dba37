"""What every command has in common: settings, the opened house, output, errors in plain words."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import orjson
import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table

from pgo.errors import PgoError
from pgo.house import House, open_house
from pgo.keyfile import make_key
from pgo.log import configure
from pgo.settings import Settings, load

out: Final = Console()
err: Final = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
DossierId = Annotated[str, typer.Option("--dossier", help="Id of the dossier.")]
StoreAddress = Annotated[
    str | None, typer.Option("--store", help="As PGO_STORE: sqlite:///path or mongodb://host/db.")
]


def settings(**chosen: Any) -> Settings:
    """The settings, or the end of the command with what is wrong with them."""
    try:
        found = load(**chosen)
    except ValidationError as fault:
        for one in fault.errors():
            name = "PGO_" + "_".join(str(part) for part in one["loc"]).upper()
            err.print(f"[red]{name}[/]: {one['msg']}")
        raise typer.Exit(2) from None
    if not found.strict and not found.key and make_key(found.key_file, development=True):
        err.print(f"A development key was made: {found.key_file}")
    return found


def with_house(work: Callable[[House], Awaitable[Any]], found: Settings | None = None) -> Any:
    """Open the house, do the work, close it; an error ends the command in plain words."""
    chosen = found or settings()
    configure(chosen)

    async def whole() -> Any:
        async with open_house(chosen) as house:
            return await work(house)

    try:
        return asyncio.run(whole())
    except PgoError as error:
        fail(error)


def fail(error: PgoError) -> NoReturn:
    """End the command with an error: place and detail, never a value."""
    for issue in error.issues[:20]:
        place = f"{issue.place}: " if issue.place else ""
        err.print(f"[red]error[/] ({issue.code}) {place}{issue.detail}", highlight=False)
    raise typer.Exit(1)


def show(value: Any, *, as_json: bool, title: str = "") -> None:
    """Print a value: as JSON, or as lines and tables."""
    if as_json:
        sys.stdout.write(orjson.dumps(value).decode() + "\n")
    elif isinstance(value, list):
        _table(value, title)
    elif isinstance(value, dict):
        for name, each in value.items():
            out.print(f"[bold]{name}[/]: {each}", highlight=False, soft_wrap=True)
    else:
        out.print(value, highlight=False, soft_wrap=True)


def _table(rows: list[dict[str, Any]], title: str) -> None:
    if not rows:
        out.print("(none)")
        return
    table = Table(title=title or None)
    for name in rows[0]:
        table.add_column(name)
    for row in rows:
        table.add_row(*(str(row.get(name, "")) for name in rows[0]))
    out.print(table)


def json_file(path: Path) -> Any:
    """A JSON file named on the command line; a broken one ends the command."""
    try:
        return orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as fault:
        err.print(f"[red]error[/] {path.name}: not a readable JSON file")
        raise typer.Exit(1) from fault
