"""pgo audit verify, pgo keys: what keeps the deployment trustworthy."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import Progress

from pgo.audit.anchor import anchor_key
from pgo.audit.verify import load_anchors, verify
from pgo.commands.frame import AsJson, err, settings, show, with_house
from pgo.dossier.seal import SYSTEM
from pgo.errors import BadValue
from pgo.house import House
from pgo.keyfile import make_key, read_key
from pgo.oauth.signing import Signing
from pgo.office import dossiers, must_have_been
from pgo.rotation import rotate
from pgo.settings import load
from pgo.strict import check

audit = typer.Typer(no_args_is_help=True, help="Check the audit trail.")
keys = typer.Typer(no_args_is_help=True, help="The deployment's key, and the keys it signs with.")


@audit.command("verify")
def verified(
    dossier: Annotated[str, typer.Option(help="One dossier; left out: all, and the system.")] = "",
    as_json: AsJson = False,
) -> None:
    """Check every chain of audit lines: nothing changed, cut, swapped or put in its place."""

    async def work(house: House) -> list[dict[str, Any]]:
        if dossier:
            await must_have_been(house, dossier)
        public = anchor_key(await house.keys.anchor_seed()).public_key()
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
    path: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Left out: PGO_KEY_FILE.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make the deployment's key in a new file; keep it apart from the data, with a copy."""
    file = path or load().key_file
    if not make_key(file, development=False):
        text = "there is a file already; it was left alone, name a new one"
        raise BadValue(text, place="FILE" if path else "PGO_KEY_FILE")
    show({"key_file": str(file)}, as_json=as_json)


@keys.command("rotate")
def rotated(
    path: Annotated[
        Path, typer.Argument(metavar="FILE", help="The new key, from: pgo keys make FILE")
    ],
    as_json: AsJson = False,
) -> None:
    """Wrap every dossier's keys with a new key; stop the servers first.

    The old key must still be in PGO_KEY_FILE. When it is interrupted, run it again.
    """
    found = settings()
    fresh = read_key(path, strict=found.strict)
    if fresh == check(found):
        raise BadValue("this key is in use already; make another one", place="FILE")

    async def work(house: House) -> dict[str, int]:
        with Progress(console=err, transient=True) as bar:
            return await rotate(house, lambda names: bar.track(names, description="rewrap"))

    done = with_house(work, found, fresh)
    show({**done, "next": f"set PGO_KEY_FILE={path}, then start the servers"}, as_json=as_json)


@keys.command("sign")
def signs(
    leaked: Annotated[
        bool, typer.Option("--leaked", help="Others know the old keys: publish them no longer.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make new keys to sign id_tokens with; the old ones stay published until those have ended."""

    async def work(house: House) -> dict[str, Any]:
        signing = Signing(house.store, house.registry_box, house.tokens.now)
        made = await signing.rotate(leaked=leaked)
        await house.note("keys", person="beheer", note="sign-leaked" if leaked else "sign")
        return {"made": made, "published": len((await signing.published())["keys"])}

    show(with_house(work), as_json=as_json)
