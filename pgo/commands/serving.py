"""pgo serve, pgo demo: the server, and the demo families."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
import uvicorn

from pgo.commands.frame import AsJson, StoreAddress, err, out, settings, show, with_house
from pgo.demo.load import Loaded, load
from pgo.demo.published import load_examples
from pgo.erasing import hold
from pgo.errors import BadValue, Issue
from pgo.house import House
from pgo.limits import serve_options
from pgo.settings import Settings
from pgo.strict import problems

Port = Annotated[int | None, typer.Option(help="As PGO_PORT.")]
Host = Annotated[str | None, typer.Option(help="As PGO_HOST.")]
Workers = Annotated[int | None, typer.Option(help="As PGO_WORKERS.")]
_READ = "patient/*.rs"


def serve(
    store: StoreAddress = None,
    host: Host = None,
    port: Port = None,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Start the server; ends with what is wrong when it cannot serve."""
    _serve({"store": store, "host": host, "port": port, "workers": workers}, as_json=as_json)


def _serve(chosen: dict[str, Any], *, as_json: bool) -> None:
    """Run uvicorn. Its workers read the same settings: what was chosen here goes before them."""
    os.environ.update(
        {f"PGO_{name.upper()}": str(each) for name, each in chosen.items() if each is not None}
    )
    found = settings()

    # The house opens once, so the workers will not fail on key or store again and again.
    if back := with_house(hold, found):
        err.print(f"{back} erased dossiers had come back, and were erased again", highlight=False)
    _free(found)
    said = {"serves": found.issuer, "port": found.port, "workers": found.workers}
    if as_json:
        show(said, as_json=True)
        sys.stdout.flush()
    else:
        err.print(f"pgo serves {found.issuer}", highlight=False, soft_wrap=True)
    uvicorn.run("pgo.app:from_environment", factory=True, loop="uvloop", **serve_options(found))


def _free(found: Settings) -> None:
    """The address can be listened on.

    Raises:
        BadValue: it is taken, or not of this machine.
    """
    family = socket.AF_INET6 if ":" in found.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((found.host, found.port))
        except OSError as fault:
            text = f"cannot listen there ({fault.strerror}); choose another port or host"
            raise BadValue(text, place="PGO_PORT") from fault


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
    _not_strict(settings(store=store, port=port))
    chosen = {"store": store, "port": port, "development_login": True}
    found = settings(**chosen)

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
        _print(told, found, serving=serving)
    if any(told.get("examples", {}).get(name) for name in ("different", "disagreeing")):
        raise typer.Exit(1)
    if serving:
        _serve(chosen, as_json=False)


def _not_strict(found: Settings) -> None:
    """Demo people sign in without a password.

    Raises:
        BadValue: strict is on; with whatever else is in the way.
    """
    if found.strict:
        demo = Issue("value", "strict refuses demo data; set it to false for a trial", "PGO_STRICT")
        raise BadValue("no demo data here", issues=(demo, *problems(found)))


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


def _print(told: dict[str, Any], found: Settings, *, serving: bool) -> None:
    address = f"{found.issuer}/fhir"
    does = "serves" if serving else "holds"
    out.print(f"\n[bold]pgo[/] {does} {len(told['dossiers'])} demo dossiers.")
    if not serving:
        out.print("  Start     pgo demo --serve\n")
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
    names = [name for name in report["releases"][0] if name != "release"]
    columns = {one["release"]: one for one in report["releases"]}
    rows = [{"": name} | {rel: one[name] for rel, one in columns.items()} for name in names]
    show(rows, as_json=False, title="published examples")
    for one in report["refused"]:
        places = ", ".join(one["places"])
        out.print(f"[bold]refused[/] {one['release']} {places}: {one['why']}", highlight=False)
        out.print("  " + ", ".join(one["files"]), highlight=False, markup=False)
    for name, words in (("different", "not read back as sent"), ("disagreeing", "wrong searches")):
        out.print(f"[bold]{words}[/]: {', '.join(report[name]) or 'none'}", highlight=False)
