"""pgo audit verify, pgo keys: what keeps the deployment trustworthy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from pgo.audit.anchor import anchor_key
from pgo.audit.verify import load_anchors, verify
from pgo.commands.frame import AsJson, err, fail, settings, show, with_house
from pgo.dossier.seal import SYSTEM
from pgo.errors import BadValue
from pgo.house import House
from pgo.keyfile import make_key, read_key
from pgo.office import dossiers
from pgo.settings import load

audit = typer.Typer(no_args_is_help=True, help="Check the audit trail.")
keys = typer.Typer(no_args_is_help=True, help="The deployment's key.")


@audit.command("verify")
def verified(
    dossier: Annotated[str, typer.Option(help="One dossier; left out: all, and the system.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check every chain of audit lines: nothing changed, cut, swapped or put in its place."""

    async def work(house: House) -> list[dict[str, Any]]:
        public = anchor_key(house.keys.anchor_seed).public_key()
        anchors = await load_anchors(house.store, house.keys, public, house.settings.audit_anchor)
        names = [dossier] if dossier else [SYSTEM, *await dossiers(house)]
        rows = []
        with Progress(console=err, transient=True) as bar:
            for client in bar.track(names, description="verify"):
                report = await verify(house.store, house.keys, client, anchors)
                rows.append(
                    {
                        "dossier": client,
                        "ok": report.ok,
                        "lines": report.lines,
                        "chains": report.chains,
                        "anchored": report.anchored,
                        "findings": [str(finding) for finding in report.findings],
                    }
                )
        await house.note("audit-verify", person="beheer")
        return rows

    rows = with_house(work)
    show(rows, as_json=as_json)
    if not all(row["ok"] for row in rows):
        raise typer.Exit(1)


@keys.command("make")
def made(
    path: Annotated[Path | None, typer.Argument(help="Left out: PGO_KEY_FILE.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the deployment's key in a new file; keep it apart from the data, with a copy."""
    file = path or load().key_file
    if not make_key(file, development=False):
        fail(BadValue("there is a key already; it was left alone", place="PGO_KEY_FILE"))
    show({"key_file": str(file)}, as_json=as_json)


@keys.command("rotate")
def rotated(
    fresh: Annotated[Path, typer.Argument(help="File with the new key (pgo keys make FILE).")],
    as_json: AsJson = False,
) -> None:
    """Wrap every dossier's keys with a new deployment key; stop the servers first."""
    key = read_key(fresh)

    async def work(house: House) -> dict[str, int]:
        names = [*await dossiers(house), SYSTEM]
        await house.note("keys", person="beheer", note="rotate")
        changed = 0
        with Progress(console=err, transient=True) as bar:
            for client in bar.track(names, description="rewrap"):
                changed += await house.keys.rewrap(client, key)
        return {"dossiers": len(names) - 1, "keys": changed}

    show(with_house(work, settings()), as_json=as_json)
