"""pgo dossier, import, export, approve: the operator at dossiers."""

from __future__ import annotations

import secrets
import shutil
import sys
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from pgo.commands.frame import AsJson, DossierId, err, json_file, show, with_house
from pgo.erasing import ERASE, erase
from pgo.errors import BadValue
from pgo.fhir.elements import Release
from pgo.house import House
from pgo.importing import Report, bring_in, undisturbed
from pgo.judging import Judges, spare
from pgo.office import (
    Office,
    approve,
    approved_by,
    dossiers,
    is_alive,
    must_exist,
    must_have_been,
    new_client,
)

app = typer.Typer(no_args_is_help=True, help="Make, list and describe dossiers.")
Operator = Annotated[str, typer.Option("--operator", help="Your account id (kind beheerder).")]
_PART, _SHOWN = 3, 50  # exit code of an import that is not complete; refusals on the screen
_ONE_LINE = bytes.maketrans(b"\r\n", b"  ")  # in JSON these stand between members only
Approval = Annotated[str, typer.Option("--approval", help="Code of a second operator.")]


@app.command()
def create(
    subject: Annotated[
        Path | None,
        typer.Option(
            help="JSON file about the client: person, name, birth, wilsonbekwaam … and relations,"
            " a list of who represents him (as in decision tables)."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make an empty dossier and print its id."""
    facts: dict[str, Any] = json_file(subject) if subject else {}
    facts.setdefault("person", f"client-{secrets.token_hex(8)}")
    relations = facts.pop("relations", [])
    if not isinstance(relations, list) or not all(isinstance(row, dict) for row in relations):
        raise BadValue("not a list of relations", place="relations")

    async def work(house: House) -> str:
        client = new_client()
        await Office(house, client).create(facts, relations)
        return client

    show({"dossier": with_house(work)}, as_json=as_json)


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """The ids of all dossiers."""

    async def work(house: House) -> list[dict[str, str]]:
        return [{"dossier": client} for client in await _alive(house)]

    show(with_house(work), as_json=as_json)


@app.command("show")
def shown(
    dossier: DossierId, operator: Operator = "beheer", approval: Approval = "",
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """What is in a dossier, in numbers."""

    async def work(house: House) -> dict[str, Any]:
        await must_exist(house, dossier)
        approved = await approved_by(house, approval, operator, dossier, "dossier-show")
        return await Office(house, dossier, operator).show(approved)

    show(with_house(work), as_json=as_json)


@app.command()
def reindex(
    dossier: Annotated[str, typer.Option(help="One dossier; left out: all of them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Make the search index anew from the stored texts, and show older grants as Consent.

    A server does this by itself, for what needs it, when it opens a dossier that was written with
    other search parameters. This does it beforehand.
    """

    async def work(house: House) -> list[dict[str, Any]]:
        if dossier:
            await must_exist(house, dossier)
        names = [dossier] if dossier else await _alive(house)
        with Progress(console=err, transient=True) as bar:
            return [
                {"dossier": client, "resources": await Office(house, client).reindex()}
                for client in bar.track(names, description="reindex")
            ]

    show(with_house(work), as_json=as_json)


@app.command("erase")
def erased(
    dossier: DossierId,
    reason: Annotated[
        str, typer.Option(help="Why; strict: the reason of the approval counts.")
    ] = "",
    operator: Operator = "beheer",
    approval: Approval = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether you are sure.")] = False,
    as_json: AsJson = False,
) -> None:
    """Erase a dossier for good, and print the certificate. Strict: two operators.

    Its key is destroyed, then its contents; the audit trail stays. An export beforehand is the
    family's only copy. When it is interrupted, run it again.
    """
    _sure(dossier, yes=yes)

    async def work(house: House) -> dict[str, Any]:
        await must_have_been(house, dossier)
        approved = await approved_by(house, approval, operator, dossier, ERASE)
        return await erase(house, dossier, operator, reason, approved)

    show(with_house(work), as_json=as_json)


def _sure(dossier: str, *, yes: bool) -> None:
    """Have the id typed once more by who can type.

    Raises:
        BadValue: it is another one, or nobody is there to ask.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise BadValue("nobody is here to ask; say --yes when you are sure", place="--yes")
    if typer.prompt(f"This cannot be undone. Type the dossier's id ({dossier})") != dossier:
        raise BadValue("that is another id; nothing was erased", place="--dossier")


async def _alive(house: House) -> list[str]:
    return [client for client in await dossiers(house) if await is_alive(house, client)]


def import_(
    dossier: DossierId,
    release: Annotated[str, typer.Option(help="r4 or stu3.")],
    paths: Annotated[list[Path], typer.Argument(help="Files or folders (.json .ndjson .xml).")],
    complete: Annotated[
        bool, typer.Option("--complete", help="End with code 3 when a part was refused.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring files of resources into a dossier; reports what was accepted, refused, and why.

    Ends with code 0 when nothing was refused, and 1 when anything was; with --complete 3 when a
    part was, and 1 when nothing was accepted. Other files in a folder are skipped, and counted.
    The same files again change nothing.
    """
    chosen = _release(release)

    async def work(house: House) -> Report:
        await must_exist(house, dossier)
        folders = (house.settings.profiles, house.settings.search_parameters)
        async with Judges(spare(), *folders) as judges:
            with undisturbed(), Progress(console=err, transient=True) as bar:
                task = bar.add_task("import", total=None)
                return await bring_in(
                    Office(house, dossier),
                    chosen,
                    paths,
                    lambda done, total: bar.update(task, completed=done, total=total),
                    judges,
                )

    report: Report = with_house(work)
    if as_json:
        show(report.plain(), as_json=True)
    else:
        _print(report)
    if report.refused:
        raise typer.Exit(_PART if complete and report.accepted else 1)


def _print(report: Report) -> None:
    """Counts, and the first refusals."""
    plain = report.plain()
    show({name: each for name, each in plain.items() if isinstance(each, int)}, as_json=False)
    if report.skipped:
        show({"skipped files, by ending": report.skipped}, as_json=False)
    show(plain["refused"][:_SHOWN], as_json=False, title="refused")
    more = len(report.refused) + report.unlisted - _SHOWN
    if more > 0:
        show(f"… and {more} more; see them with --json", as_json=False)


def _release(release: str) -> Release:
    if release not in {"r4", "stu3"}:
        raise BadValue("choose r4 or stu3", place="--release")
    return "stu3" if release == "stu3" else "r4"


def export(
    dossier: DossierId,
    folder: Annotated[Path, typer.Option("--out", help="A new folder for the files.")],
    operator: Operator = "beheer",
    approval: Approval = "",
    as_json: AsJson = False,
) -> None:
    """Write every resource to a folder per release, with a file per type. Strict: two operators.

    `pgo import --release r4 OUT/r4` brings it in elsewhere.
    """
    if folder.exists():
        raise BadValue("this is there already; name a new folder", place="--out")

    async def work(house: House) -> dict[str, int]:
        await must_exist(house, dossier)
        approved = await approved_by(house, approval, operator, dossier, "export")
        folder.mkdir(mode=0o700, parents=True)
        try:
            return await _written(Office(house, dossier, operator), folder, approved)
        except BaseException:
            shutil.rmtree(folder)  # a part of a dossier must not pass for all of it
            raise

    show(with_house(work), as_json=as_json)


async def _written(office: Office, folder: Path, approved: dict[str, str] | None) -> dict[str, int]:
    """Write every resource below `folder`; how many there are in each file."""
    counts: Counter[str] = Counter()
    with Progress(console=err, transient=True) as bar:
        task = bar.add_task("export", total=None)
        async for row, raw in office.take_out(approved):
            name = f"{row.rel}/{row.type}.ndjson"
            (folder / row.rel).mkdir(mode=0o700, exist_ok=True)
            with (folder / name).open("ab") as file:
                file.write(raw.translate(_ONE_LINE) + b"\n")
            counts[name] += 1
            bar.advance(task)
    return dict(counts)


def approve_(
    dossier: Annotated[
        str, typer.Option("--dossier", help="Id of the dossier; for account-…, of the account.")
    ],
    what: Annotated[str, typer.Option("--for", help="Which command; see its own help.")],
    operator: Operator,
    reason: Annotated[str, typer.Option(help="Why; the client reads it.")],
    as_json: AsJson = False,
) -> None:
    """As second operator, approve one command of a colleague; prints a code for 15 minutes."""

    async def work(house: House) -> str:
        return await approve(house, operator, dossier, what, reason)

    show({"approval": with_house(work)}, as_json=as_json)
