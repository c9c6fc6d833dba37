"""pgo consent check|explain: the very same decision that serves requests, for people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pgo.commands.frame import AsJson, DossierId, out, show, with_house
from pgo.consent.check import run
from pgo.consent.explain import explain
from pgo.consent.model import CATEGORIES, Resource
from pgo.errors import BadValue, NotFound
from pgo.house import House
from pgo.oauth.scopes import cap_of
from pgo.office import must_exist
from pgo.shared import caller_of_account
from pgo.world import verdict_of

app = typer.Typer(no_args_is_help=True, help="Test and explain decisions.")


@app.command("check")
def checked(
    files: Annotated[list[Path], typer.Argument(help="Decision tables (JSON).")],
    as_json: AsJson = False,
) -> None:
    """Run tables of situations; one line per failure, then `N passed, N failed`."""
    lines: list[str] = []
    passed = failed = 0
    for file in files:
        said, good, bad = run(file)
        lines += said[:-1]
        passed, failed = passed + good, failed + bad
    if as_json:
        show({"failures": lines, "passed": passed, "failed": failed}, as_json=True)
    else:
        for line in lines:
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        out.print(f"{passed} passed, {failed} failed", highlight=False)
    if failed:
        raise typer.Exit(1)


@app.command("explain")
def explained(
    dossier: DossierId,
    person: Annotated[str, typer.Option("--as", help="Account id of who would ask.")],
    action: Annotated[str, typer.Option(help="lezen, toevoegen, wijzigen, delen or beheren.")],
    category: Annotated[str, typer.Option(help="A category, such as medicatie.")],
    as_json: AsJson = False,
) -> None:
    """May this person do this in this dossier now, and why?"""

    async def work(house: House) -> dict[str, Any]:
        if category not in CATEGORIES:
            raise BadValue("not a category", place="--category")
        await must_exist(house, dossier)
        account = await house.registry.account(person)
        if account is None:
            raise NotFound("there is no such person", place="--as")
        caller = replace(caller_of_account(account), scope=("user/*.cruds",))
        parts = house.parts
        opened = await parts.dossiers.open(dossier)
        cap = cap_of(caller.scope)
        verdict = await verdict_of(opened, caller, parts.people, parts.policy, parts.clock(), cap)
        asked = verdict.ask(action, Resource(frozenset({category})))
        await house.note("mag", person="beheer")
        said = explain(verdict.world, asked)
        return {
            "permit": said.decision.permit,
            "reason": said.decision.reason,
            "grants": list(said.decision.grants),
            "words": list(said.sentences),
        }

    show(with_house(work), as_json=as_json)
