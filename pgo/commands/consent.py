"""pgo consent check|explain: the very same decision that serves requests, for people."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from pgo.commands.frame import AsJson, DossierId, err, out, show, with_house
from pgo.consent.check import report_of
from pgo.errors import NotFound
from pgo.house import House
from pgo.office import Office, must_exist
from pgo.shared import caller_of_account

app = typer.Typer(no_args_is_help=True, help="Test and explain decisions.")


@app.command("check")
def checked(
    files: Annotated[list[Path], typer.Argument(help="Decision tables (JSON).")],
    as_json: AsJson = False,
) -> None:
    """Run tables of situations; one line per failure, then `N passed, N failed`."""
    reports = [report_of(file) for file in files]
    lines = [line for report in reports for line in report.failures]
    passed, failed = sum(one.passed for one in reports), sum(one.failed for one in reports)
    if as_json:
        show({"failures": lines, "passed": passed, "failed": failed}, as_json=True)
    else:
        for line in lines:
            out.print(line, highlight=False, markup=False, soft_wrap=True)
        out.print(f"{passed} passed, {failed} failed", highlight=False)
    for place in (place for report in reports for place in report.unreadable):
        said = f"{place}: cannot be read, so this grant counts as a deny for who it is given to"
        err.print(said, highlight=False, markup=False, soft_wrap=True)
    if failed:
        raise typer.Exit(1)


@app.command("explain")
def explained(
    dossier: DossierId,
    person: Annotated[str, typer.Option("--as", help="Account id of who would ask.")],
    action: Annotated[str, typer.Option(help="lezen, toevoegen, wijzigen, delen or beheren.")],
    category: Annotated[str, typer.Option(help="A category, such as medicatie.")],
    purpose: Annotated[str, typer.Option(help="A code of v3-ActReason; left out, the usual.")] = "",
    as_json: AsJson = False,
) -> None:
    """May this person do this in this dossier now, and why?"""

    async def work(house: House) -> dict[str, Any]:
        await must_exist(house, dossier)
        account = await house.registry.account(person)
        if account is None:
            raise NotFound("there is no such person", place="--as")
        asker = replace(caller_of_account(account), scope=("user/*.cruds",))
        said, changes = await Office(house, dossier).explain(asker, action, category, purpose)
        return {
            "permit": said.decision.permit,
            "reason": said.decision.reason,
            "grants": list(said.decision.grants),
            "words": list(said.sentences),
            "changes": [
                {"code": one.code, "words": one.text, "about": one.about} for one in changes
            ],
        }

    found: dict[str, Any] = with_house(work)
    if as_json:
        show(found, as_json=True)
    else:
        changes = [f"{one['words']} {one['about']}".strip() for one in found["changes"]]
        for sentence in [*found["words"], *changes]:
            out.print(sentence, highlight=False, markup=False, soft_wrap=True)
