"""pgo profiles: packages of FHIR profiles, and what they say about files; opens no dossier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from pgo.commands.frame import AsJson, show
from pgo.errors import BadValue, Issue, PgoError
from pgo.fhir import bsn, validate
from pgo.fhir.elements import Release
from pgo.fhir.profiles import Profiles, profiles
from pgo.fhir.profiles_folder import Kept, add, load, pack, remove, unpack
from pgo.fhir.profiles_library import BROKEN
from pgo.fhir.profiles_package import read_package
from pgo.pieces import Tree, files_of, pieces, unpacked
from pgo.settings import load as settings

app = typer.Typer(no_args_is_help=True, help="Packages of FHIR profiles: add, list, remove, check.")
_RESTART: Final = "servers use it after a restart"


@app.command("add")
def add_(
    package: Annotated[Path, typer.Argument(help="A FHIR package, as a .tgz file.")],
    as_json: AsJson = False,
) -> None:
    """Keep a package: resources that name its profiles are checked from the next start on."""
    found = read_package(package)
    kept = unpack(pack(found), found.label)
    _must_be_usable(kept)
    folder = settings().profiles
    add(folder, found)
    here = {one.label for one in load(folder)}
    missing = [one for one in found.needs if one not in here and ".core#" not in one]
    told = _row(kept) | {"not here, and built on": ", ".join(missing) or "nothing"}
    show(told if as_json else told | {"now": _RESTART}, as_json=as_json)


def _must_be_usable(kept: Kept) -> None:
    """Every profile can be read as rules, on its own.

    Raises:
        BadValue: one cannot; says which file.
    """
    library = Profiles([kept]).library(kept.release)
    for file, row in kept.rows.items():
        if row["resourceType"] == "StructureDefinition":
            try:
                library.compile(row["url"])
            except BROKEN as fault:
                raise BadValue("this definition cannot be used", place=file) from fault


@app.command("list")
def listed(as_json: AsJson = False) -> None:
    """The packages that are kept."""
    show([_row(one) for one in load(settings().profiles)], as_json=as_json)


def _row(kept: Kept) -> dict[str, Any]:
    kinds = Counter(row["resourceType"] for row in kept.rows.values())
    return {
        "package": kept.label,
        "release": kept.release,
        "profiles": sum(row.get("derivation") == "constraint" for row in kept.rows.values()),
        "value sets": kinds["ValueSet"],
        "code systems": kinds["CodeSystem"],
    }


@app.command("remove")
def remove_(
    package: Annotated[str, typer.Argument(help="NAME#VERSION, as in the list.")],
    as_json: AsJson = False,
) -> None:
    """Take a package away. Resources that are stored stay as they are."""
    remove(settings().profiles, package)
    show({"removed": package} | ({} if as_json else {"now": _RESTART}), as_json=as_json)


@app.command("check")
def check(
    paths: Annotated[list[Path], typer.Argument(help="Files or folders (.json .ndjson .xml).")],
    release: Annotated[str, typer.Option(help="r4 or stu3.")] = "r4",
    profile: Annotated[
        list[str] | None, typer.Option(help="Address of a profile; left out: those it names.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Hold resources against FHIR and their profiles; say what was checked and what not.

    Stores nothing. Ends with code 1 when something is wrong.
    """
    if release not in {"r4", "stu3"}:
        raise BadValue("choose r4 or stu3", place="--release")
    chosen: Release = "stu3" if release == "stu3" else "r4"
    known = profiles(settings().profiles)
    told = [_checked(known, chosen, where, one, profile) for where, one in _read(paths, chosen)]
    if as_json:
        show(told, as_json=True)
    else:
        _print(told)
    if any(one["wrong"] for one in told):
        raise typer.Exit(1)


def _read(paths: list[Path], release: Release) -> Iterator[tuple[str, Tree | PgoError]]:
    """Every resource in files, those in Bundles too; or why it cannot be read."""
    for file in files_of(paths):
        try:
            for piece in pieces(file):
                try:
                    tree = piece.tree(release)
                except PgoError as error:
                    yield piece.where, error
                    continue
                yield piece.where, tree
                if tree.get("resourceType") == "Bundle":
                    yield from ((f"{piece.where}#{at}", one) for at, one in unpacked(tree)[0])
        except PgoError as error:
            yield file.name, error


def _checked(
    known: Profiles, release: Release, where: str, one: Tree | PgoError, asked: list[str] | None
) -> dict[str, Any]:
    """What is wrong with one resource, by which profiles, and what was not checked."""
    if isinstance(one, PgoError):
        return {"where": where, "profiles": [], "wrong": _plain(one.issues), "notes": []}
    bsn.mask(one)
    issues: list[Issue] = [*validate.validate(release, one)]
    by: list[str] = []
    if not issues:
        by = known.known(release, one, asked)
        issues = known.check(release, one, asked)
    errors = [issue for issue in issues if issue.severity == "error"]
    notes = [issue for issue in issues if issue.severity != "error"]
    return {"where": where, "profiles": by, "wrong": _plain(errors), "notes": _plain(notes)}


def _plain(issues: list[Issue] | tuple[Issue, ...]) -> list[dict[str, str]]:
    return [{"place": one.place, "code": one.code, "why": one.detail} for one in issues]


def _print(told: list[dict[str, Any]]) -> None:
    for one in told:
        show({"resource": one["where"]}, as_json=False)
        show({"held against": ", ".join(one["profiles"]) or "FHIR itself only"}, as_json=False)
        for name in ("wrong", "notes"):
            for row in one[name]:
                show(f"  {name}: ({row['code']}) {row['place']}: {row['why']}", as_json=False)
    wrong = sum(bool(one["wrong"]) for one in told)
    show({"resources": len(told), "wrong": wrong}, as_json=False)
