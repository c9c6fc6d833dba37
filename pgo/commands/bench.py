"""pgo bench: how fast this machine does the work, mostly as ratios measured in one run."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from pgo.bench.all import BENCHES, run
from pgo.bench.rows import Row
from pgo.commands.frame import AsJson, err, fail, show
from pgo.errors import BadValue, PgoError
from pgo.log import configure
from pgo.settings import load


def bench(
    names: Annotated[
        list[str] | None, typer.Argument(help="Left out: all. " + " ".join(BENCHES))
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Short runs: rough figures.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure speed, on stores and servers of its own in a temporary folder, on two cores."""
    chosen = names or list(BENCHES)
    if not BENCHES.keys() >= set(chosen):
        fail(BadValue("choose from " + ", ".join(BENCHES), place="NAMES"))
    configure(load(log_level="warning"))
    try:
        rows = _measured(chosen, quick=quick)
    except PgoError as error:
        fail(error)
    told = [row.plain() for row in rows]
    show(told, as_json=as_json, title="pgo bench")


def _measured(names: list[str], *, quick: bool) -> list[Row]:
    rows: list[Row] = []
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as bar:
        task = bar.add_task("bench", total=None)
        found = run(names, quick=quick, tell=lambda text: bar.update(task, description=text))
        for made in found:
            rows += made
            for row in made:
                bar.console.print(f"{row.name}: {row.value:.4g} {row.unit}", highlight=False)
    return rows
