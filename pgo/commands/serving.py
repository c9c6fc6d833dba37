"""pgo serve, pgo demo: the server, and the demo families."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from pgo.commands.frame import AsJson, StoreAddress, err, fail, out, settings, show, with_house
from pgo.demo.load import Loaded, load
from pgo.demo.published import load_examples
from pgo.errors import BadValue
from pgo.house import House
from pgo.limits import serve_options
from pgo.settings import Settings

Port = Annotated[int | None, typer.Option(help="As PGO_PORT.")]
Host = Annotated[str | None, typer.Option(help="As PGO_HOST.")]
Workers = Annotated[int | None, typer.Option(help="As PGO_WORKERS.")]
_READ = "patient/*.rs"


def serve(
    store: StoreAddress = None, host: Host = None, port: Port = None, workers: Workers = None
) -> None:
    """Start the server."""
    _serve(settings(store=store, host=host, port=port, workers=workers))


def _serve(found: Settings) -> None:
    """Run uvicorn; its workers read the same settings from the environment."""
    for name, value in found.model_dump(exclude_unset=True, mode="json").items():
        if value is not None:
            os.environ[f"PGO_{name.upper()}"] = str(value)
    uvicorn.run("pgo.app:from_environment", factory=True, loop="uvloop", **serve_options(found))


def demo(
    store: StoreAddress = None,
    port: Port = None,
    serving: Annotated[bool, typer.Option("--serve", help="Start the server afterwards.")] = False,
    examples: Annotated[
        Path | None, typer.Option(help="Folder with published example instances to load too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Load the demo families (once) and print how to read them."""
    found = settings(store=store, port=port, development_login=True)
    if found.strict:
        fail(BadValue("strict refuses demo data", place="PGO_STRICT"))
    if port is not None and "PGO_ISSUER" not in os.environ:
        found = settings(
            store=store, port=port, development_login=True, issuer=f"http://127.0.0.1:{port}"
        )

    async def work(house: House) -> dict[str, Any]:
        keys = found.key_file.parent / "demo-keys"
        loaded = await load(house, house.clock().date(), keys, err.print)
        told = await _told(house, loaded)
        if examples:
            told["examples"] = await load_examples(house, examples, err.print)
        return told

    told: dict[str, Any] = with_house(work, found)
    if as_json:
        show(told, as_json=True)
    else:
        _print(told, found)
    if any(told.get("examples", {}).get(name) for name in ("different", "disagreeing")):
        raise typer.Exit(1)
    if serving:
        _serve(found)


async def _told(house: House, loaded: Loaded) -> dict[str, Any]:
    fenna = loaded.dossiers["fenna"]
    people = {"moeder": "p-marjan", "copiloot": "p-samira", "vreemde": "p-anja"}
    tokens = {}
    for role, person in people.items():
        issued = await house.tokens.issue_operator(
            house.registry, dossier=fenna, person=person, scope=(_READ,)
        )
        await house.note("token", person="demo", note=f"as {person}")
        tokens[role] = issued.access
    return {"dossiers": loaded.dossiers, "tokens": tokens}


def _print(told: dict[str, Any], found: Settings) -> None:
    address = f"{found.issuer}/fhir"
    out.print(f"\n[bold]pgo[/] serves {len(told['dossiers'])} demo dossiers.")
    out.print(f"  FHIR      {address}/r4/metadata", highlight=False)
    out.print(f"  OpenAPI   {found.issuer}/openapi.json", highlight=False)
    out.print(f"  Ready?    {found.issuer}/health/ready\n", highlight=False)
    rows = (
        ("Marjan, Fenna's mother, reads the medication:", "moeder", "r4/MedicationRequest"),
        ("Samira, her copiloot, reads the care plan:", "copiloot", "stu3/CarePlan"),
        ("Anja, who is somebody else's mentor, is refused:", "vreemde", "stu3/CarePlan"),
    )
    for words, role, type_ in rows:
        out.print(f"[bold]{words}[/]")
        token = told["tokens"][role]
        line = f"curl -s -H 'Authorization: Bearer {token}' '{address}/{type_}?_count=3'"
        out.print(line, highlight=False, soft_wrap=True, markup=False)
    out.print()
    if "examples" in told:
        _print_examples(told["examples"])


def _print_examples(report: dict[str, Any]) -> None:
    """What became of the published examples: counts, refusals by reason, what is not as sent."""
    show(report["releases"], as_json=False, title="published examples, pushed and read back")
    refused = [{**one, "files": "\n".join(one["files"])} for one in report["refused"]]
    show(refused, as_json=False, title="refused")
    for name, words in (("different", "not read back as sent"), ("disagreeing", "wrong searches")):
        out.print(f"[bold]{words}[/]: {', '.join(report[name]) or 'none'}", highlight=False)
