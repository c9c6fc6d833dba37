"""What every command has in common: settings, the opened house, output, errors in plain words."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from errno import EPIPE
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pgo.errors import BadValue, PgoError
from pgo.house import House, has_keys, open_house
from pgo.keyfile import make_key
from pgo.log import configure, told
from pgo.settings import Settings, load

out: Final = Console()
err: Final = Console(stderr=True)
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON value instead of text.")]
DossierId = Annotated[str, typer.Option("--dossier", help="Id of the dossier.")]
StoreAddress = Annotated[
    str | None, typer.Option("--store", help="As PGO_STORE: sqlite:///path or mongodb://host/db.")
]


def settings(**chosen: Any) -> Settings:
    """The settings; makes a development key when there is none and `strict` is off.

    Raises:
        BadValue: what is wrong with them; the store has keys, so one made now would not fit.
        Unavailable: the store, in which there may be keys, cannot be used.
    """
    found = load(**chosen)
    if found.strict or found.key or os.path.lexists(found.key_file):
        return found
    if asyncio.run(has_keys(found)):
        text = (
            "there is no key file here, and PGO_STORE is sealed with a key; name the file it is in"
        )
        raise BadValue(text, place="PGO_KEY_FILE")
    if make_key(found.key_file, development=True):
        err.print(f"A development key was made: {found.key_file}", highlight=False, soft_wrap=True)
    return found


def with_house(
    work: Callable[[House], Awaitable[Any]],
    found: Settings | None = None,
    fresh: bytes | None = None,
) -> Any:
    """Open the house, do the work, close it; what goes wrong is raised, for `plain` to tell."""
    chosen = found or settings()
    configure(chosen)

    async def whole() -> Any:
        async with open_house(chosen, fresh=fresh) as house:
            return await work(house)

    return asyncio.run(whole())


@contextmanager
def plain() -> Iterator[None]:
    """Ends a command in plain words whatever goes wrong in it; never a traceback."""
    try:
        yield
    except PgoError as error:
        _end(error)
    except OSError as fault:
        if fault.errno == EPIPE:
            raise SystemExit(1) from None
        name = f" {Path(str(fault.filename)).name}:" if fault.filename else ""
        err.print(f"[red]error[/]{escape(name)} {fault.strerror or type(fault).__name__}")
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    except Exception as fault:  # noqa: BLE001 - the last net: it tells where, never what
        said = told(fault)
        err.print("[red]error[/] a fault in pgo itself; tell its makers:", said["cause"])
        err.print("  at", said["at"][-1], markup=False, highlight=False)
        raise SystemExit(1) from None


def _end(error: PgoError) -> NoReturn:
    """Print place and detail, never a value; 2 when it is the settings that are wrong."""
    for issue in error.issues[:20]:
        place = f"{issue.place}: " if issue.place else ""
        text = f"({issue.code}) {place}{issue.detail}"
        err.print(f"[red]error[/] {escape(text)}", highlight=False, soft_wrap=True)
    ours = all(issue.place.startswith("PGO_") for issue in error.issues)
    raise SystemExit(2 if ours else 1) from None


def fail(error: PgoError) -> NoReturn:
    """End the command with an error."""
    raise error


def show(value: Any, *, as_json: bool, title: str = "") -> None:
    """Print a value: as JSON, or as lines and tables."""
    if as_json:
        sys.stdout.write(orjson.dumps(value).decode() + "\n")
    elif isinstance(value, list):
        _table(value, title)
    elif isinstance(value, dict):
        for name, each in value.items():
            if each and isinstance(each, list) and isinstance(each[0], dict):
                _table(each, name)
            else:
                said = escape(_words(each))
                out.print(f"[bold]{name}[/]: {said}", highlight=False, soft_wrap=True)
    else:
        out.print(value, highlight=False, soft_wrap=True, markup=False)


def _table(rows: list[dict[str, Any]], title: str) -> None:
    if not rows:
        out.print("(none)")
        return
    table = Table(title=title or None, title_justify="left")
    names = [name for name in rows[0] if any(_words(row.get(name, "")) for row in rows)]
    for name in names:
        table.add_column(name, overflow="fold")  # ids are there to be copied whole
    for row in rows:
        table.add_row(*(escape(_words(row.get(name, ""))) for name in names))
    out.print(table)


def _words(value: Any) -> str:
    """A value as one reads it in a line or a cell."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_words(each) for each in value)
    return "" if value is None else str(value)


def json_file(path: Path) -> dict[str, Any]:
    """The JSON object in a file named on the command line.

    Raises:
        BadValue: there is none.
    """
    try:
        found = orjson.loads(path.read_bytes())
    except (OSError, orjson.JSONDecodeError) as fault:
        raise BadValue("not a readable JSON file", place=path.name) from fault
    if not isinstance(found, dict):
        raise BadValue("not a JSON object", place=path.name)
    return found
