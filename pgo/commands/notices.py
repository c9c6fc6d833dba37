"""pgo notices run: announce what is coming, and tell people that there is something new."""

from __future__ import annotations

import typer

from pgo import life, telling
from pgo.commands.frame import AsJson, show, with_house
from pgo.house import House

app = typer.Typer(no_args_is_help=True, help="Announcements and messages to people.")


@app.callback()
def group() -> None:
    """Keep `run` a command of its own."""


@app.command("run")
def run(as_json: AsJson = False) -> None:
    """Announce and tell what is due now; a server does the same by itself.

    Again, or beside a server, is safe: each announcement is made once.
    """

    async def work(house: House) -> dict[str, int]:
        announced = await life.run(house, alone=False)
        return {"announced": announced, "told": await telling.run(house)}

    show(with_house(work), as_json=as_json)
