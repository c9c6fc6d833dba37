"""pgo relation, death, succession, emergency: what an operator decides on evidence, or looks after.

Under strict a second operator approves each: pgo approve --for relation, death or succession.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from pgo.commands.dossier import Approval, Operator
from pgo.commands.frame import AsJson, DossierId, show, with_house
from pgo.evidence import Evidence
from pgo.house import House
from pgo.office import approved_by, must_exist
from pgo.reviews import for_operators

relations = typer.Typer(no_args_is_help=True, help="Check who represents a client.")
successions = typer.Typer(no_args_is_help=True, help="Hand over the reins of a dossier.")
programmes = typer.Typer(no_args_is_help=True, help="Programmes of copiloten.")
Document = Annotated[str, typer.Option(help="Reference of the document you saw; no content.")]
Reason = Annotated[str, typer.Option(help="Why; the client reads it.")]
Claim = Annotated[str, typer.Option(help="Id of the claim, from: pgo relation list")]


@relations.command("list")
def claims(dossier: DossierId, operator: Operator = "beheer", as_json: AsJson = False) -> None:
    """What waits for a check in a dossier, and what was checked."""

    async def work(house: House) -> list[dict[str, str]]:
        await must_exist(house, dossier)
        return await Evidence(house, dossier, operator).claims()

    show(with_house(work), as_json=as_json)


@relations.command("verify")
def verified(
    dossier: DossierId, claim: Claim, document: Document, reason: Reason, operator: Operator,
    approval: Approval = "", as_json: AsJson = False,
) -> None:  # fmt: skip
    """The evidence is good: the relation holds from now on."""

    async def work(house: House) -> dict[str, str]:
        desk, approved = await _desk(house, dossier, operator, approval, "relation")
        return {"relation": await desk.verify(claim, document, reason, approved)}

    show(with_house(work), as_json=as_json)


@relations.command("reject")
def rejected(
    dossier: DossierId, claim: Claim, document: Document, reason: Reason, operator: Operator,
    approval: Approval = "", as_json: AsJson = False,
) -> None:  # fmt: skip
    """The evidence is not good: the claim gives no right."""

    async def work(house: House) -> dict[str, str]:
        desk, approved = await _desk(house, dossier, operator, approval, "relation")
        await desk.reject(claim, document, reason, approved)
        return {"rejected": claim}

    show(with_house(work), as_json=as_json)


def died(
    dossier: DossierId,
    on: Annotated[str, typer.Option(help="Day or moment: YYYY-MM-DD[Thh:mm].")],
    document: Document,
    reason: Reason,
    operator: Operator,
    approval: Approval = "",
    as_json: AsJson = False,
) -> None:
    """Write down that a client died; who represented him then may still read."""

    async def work(house: House) -> dict[str, str]:
        desk, approved = await _desk(house, dossier, operator, approval, "death")
        await desk.died(on, document, reason, approved)
        return {"dossier": dossier}

    show(with_house(work), as_json=as_json)


@successions.command("activate")
def activated(
    dossier: DossierId,
    kind: Annotated[str, typer.Option(help="voogd, mentor, curator, gemachtigde or familie.")],
    document: Document,
    reason: Reason,
    operator: Operator,
    order: Annotated[str, typer.Option(help="Number of the court order.")] = "",
    verified_by: Annotated[str, typer.Option("--verified", help="What verified a mandate.")] = "",
    kinship: Annotated[str, typer.Option(help="partner, ouder, kind, broer or zus.")] = "",
    ends: Annotated[str, typer.Option(help="Relation of who held the reins, to end now.")] = "",
    approval: Approval = "",
    as_json: AsJson = False,
) -> None:
    """The named successor takes over, if he then really holds the reins."""
    said = {"kind": kind, "order": order, "verified": verified_by, "as": kinship}
    relation: dict[str, Any] = {name: each for name, each in said.items() if each}
    if kind in {"ouder", "voogd"}:
        relation["gezag"] = True

    async def work(house: House) -> dict[str, str]:
        desk, approved = await _desk(house, dossier, operator, approval, "succession")
        return {"relation": await desk.succeed(relation, document, reason, approved, ends)}

    show(with_house(work), as_json=as_json)


@successions.command("settle")
def settled(
    dossier: DossierId, document: Document, reason: Reason, operator: Operator,
    approval: Approval = "", as_json: AsJson = False,
) -> None:  # fmt: skip
    """A contest is over: things can be opened again."""

    async def work(house: House) -> dict[str, str]:
        desk, approved = await _desk(house, dossier, operator, approval, "succession")
        await desk.thaw(document, reason, approved)
        return {"settled": dossier}

    show(with_house(work), as_json=as_json)


@programmes.callback()
def programme() -> None:
    """Keep `end` a command of its own."""


@programmes.command("end")
def programme_ended(
    organisation: Annotated[str, typer.Option(help="Organisation of the copiloten.")],
    on: Annotated[str, typer.Option(help="Last moment: YYYY-MM-DD[Thh:mm]; a day is its start.")],
    operator: Operator = "beheer",
    as_json: AsJson = False,
) -> None:
    """A programme ends: every grant to its copiloten ends at that moment, in all dossiers."""

    async def work(house: House) -> dict[str, int]:
        people = await house.registry.accounts()
        found = [each for each in people if each.kind == "copiloot" and organisation in each.orgs]
        members = frozenset(each.id for each in found)
        touched = set().union(*[await house.store.links(each) for each in sorted(members)])
        counts = [
            await Evidence(house, client, operator).programme_over(members, on)
            for client in sorted(touched)
        ]
        return {"dossiers": sum(count > 0 for count in counts), "grants": sum(counts)}

    show(with_house(work), as_json=as_json)


def emergencies(operator: Operator = "beheer", as_json: AsJson = False) -> None:
    """Uses of noodtoegang that nobody agreed to yet, in all dossiers; no content, no reasons."""

    async def work(house: House) -> list[dict[str, str]]:
        return await for_operators(house, operator)

    show(with_house(work), as_json=as_json)


async def _desk(
    house: House, dossier: str, operator: str, approval: str, what: str
) -> tuple[Evidence, dict[str, str] | None]:
    await must_exist(house, dossier)
    approved = await approved_by(house, approval, operator, dossier, what)
    return Evidence(house, dossier, operator), approved
