"""Who represents a client at a moment, on what ground and within which bounds (§1, §3, §5).

`bases` answers for one person; rights come from relations, ages and the policy only, never from
grants. A relation that gives no right now gives no basis.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

from pgo.consent import ages, labels, moments
from pgo.consent.asking import Asking
from pgo.consent.model import CATEGORIES, ORDINARY, Person, Relation, World

REPRESENTATIVE_KINDS = frozenset({"ouder", "voogd", "mentor", "curator", "gemachtigde", "familie"})
KINSHIP = frozenset({"partner", "ouder", "kind", "broer", "zus"})
CARE = CATEGORIES - {"financieel", "dagboek"}
CHILD, SIXTEEN, ADULT = 12, 16, 18
READING = frozenset({"lezen"})


@dataclass(frozen=True, slots=True)
class Basis:
    """One ground to represent; None means unbounded. `shared`: widening needs the other party.

    `after_death`: the client has died, so only reading is left.
    """

    name: str
    kind: str
    actions: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    shared: bool = False
    after_death: bool = False


def bases(world: World, client: Person, who: str, at: datetime) -> tuple[Basis, ...]:
    """All grounds on which `who` represents the client at `at`; after death reading is left."""
    relations = world.between.get((client.id, who), ())
    if not relations:
        return ()
    if not ages.dead(client, at):
        return living(world, client, relations, at)
    return tuple(
        replace(basis, name="nabestaande", after_death=True)
        for basis in _on_the_day(world, client, relations, at)
    )


def moment_of(client: Person, at: datetime) -> datetime:
    """`at`, or the moment of death when that was earlier: ages stop there."""
    died = client.deceased
    return died if isinstance(died, datetime) and died < at else at


def _on_the_day(
    world: World, client: Person, relations: tuple[Relation, ...], at: datetime
) -> tuple[Basis, ...]:
    """The grounds at the death, or else on the morning of that day; `at` when it is not known."""
    died = client.deceased
    if not isinstance(died, datetime):
        return living(world, client, relations, at)
    morning = moments.midnight(died.astimezone(moments.AMSTERDAM).date())
    return living(world, client, relations, died) or living(world, client, relations, morning)


def living(
    world: World, client: Person, relations: tuple[Relation, ...], at: datetime
) -> tuple[Basis, ...]:
    """The grounds these relations give at `at`, death left aside."""
    found = (
        _GROUNDS[relation.kind](world, client, relation, at)
        for relation in relations
        if relation.kind in _GROUNDS and relation.holds(at)
    )
    return tuple(basis for basis in found if basis is not None)


def _parent(world: World, client: Person, relation: Relation, at: datetime) -> Basis | None:
    if ages.reached(client, ADULT, at):
        return _family(world, client, relation, at)
    return _authority(world, client, relation, at)


def _authority(world: World, client: Person, relation: Relation, at: datetime) -> Basis | None:
    """Parental authority; the earliest possible birthday counts (§3)."""
    if not relation.gezag or ages.reached(client, ADULT, at):
        return None
    if not ages.reached(client, CHILD, at):
        return Basis("minderjarig<12", relation.kind)
    if client.wilsonbekwaam:
        return Basis("minderjarig-wob", relation.kind)
    if ages.reached(client, SIXTEEN, at) or not _confirmed(world, client, relation, at):
        return None
    return Basis("12-15", relation.kind, labels=relation.labels, shared=True)


def _confirmed(world: World, client: Person, relation: Relation, at: datetime) -> bool:
    if world.policy.kind_12_15 == "gedeeld":
        return True
    said = relation.child_confirmed
    return said is not None and said <= at and ages.reached(client, CHILD, said, latest=True)


def _court(_: World, client: Person, relation: Relation, at: datetime) -> Basis | None:
    if not relation.order or not ages.reached(client, ADULT, at):
        return None
    bounds = CARE if relation.kind == "mentor" else None
    return Basis(relation.kind, relation.kind, categories=bounds)


def _mandate(_: World, client: Person, relation: Relation, at: datetime) -> Basis | None:
    if not relation.verified or not ages.reached(client, SIXTEEN, at):
        return None
    return Basis(
        "gemachtigde",
        relation.kind,
        actions=READING if relation.actions is None else relation.actions,
        categories=ORDINARY if relation.categories is None else relation.categories,
        labels=relation.labels,
    )


def _family(world: World, client: Person, relation: Relation, at: datetime) -> Basis | None:
    """WGBO 7:465 lid 3: only while nobody was appointed; a partner before the others."""
    if not client.wilsonbekwaam or not ages.reached(client, ADULT, at):
        return None
    kinship = _kinship(relation)
    if kinship not in KINSHIP or relation.treedt_niet_op or _appointed(world, client, at):
        return None
    if kinship != "partner" and _partner_acts(world, client, at):
        return None
    return Basis("naaste", relation.kind, categories=CARE)


def _kinship(relation: Relation) -> str:
    return "ouder" if relation.kind == "ouder" else relation.as_


def _appointed(world: World, client: Person, at: datetime) -> bool:
    return any(
        relation.kind in _APPOINTED
        and relation.holds(at)
        and not ages.dead(world.person(relation.person), at)
        and _APPOINTED[relation.kind](world, client, relation, at)
        for relation in world.related.get(client.id, ())
    )


def _partner_acts(world: World, client: Person, at: datetime) -> bool:
    return any(
        relation.kind == "familie"
        and relation.as_ == "partner"
        and not relation.treedt_niet_op
        and relation.holds(at)
        and not ages.dead(world.person(relation.person), at)
        for relation in world.related.get(client.id, ())
    )


Ground = Callable[[World, Person, Relation, datetime], Basis | None]
_APPOINTED: dict[str, Ground] = {"mentor": _court, "curator": _court, "gemachtigde": _mandate}
_GROUNDS: dict[str, Ground] = {
    "ouder": _parent,
    "voogd": _authority,
    "familie": _family,
    **_APPOINTED,
}


def bounded(basis: Basis, asking: Asking) -> str:
    """Why this request lies outside the basis; "" when it lies inside."""
    if basis.actions is not None and asking.action not in basis.actions:
        return "BUITEN_MACHTIGING"
    if basis.categories is not None and not asking.categories <= basis.categories:
        return "BUITEN_MACHTIGING"
    if basis.labels is not None and not labels.covered(asking.sensitive, basis.labels):
        return "LABEL_NIET_GEDEKT"
    if basis.after_death and asking.action not in READING:
        return "OVERLEDEN"
    if basis.shared and asking.request.widening and not asking.request.co_consent:
        return "WACHT_OP_MEDETOESTEMMING"
    return ""


def ever(world: World, client: str, who: str, at: datetime) -> bool:
    """Whether `who` has or had a relation of a representative (the seal's wider meaning)."""
    return any(
        relation.kind in REPRESENTATIVE_KINDS and (relation.from_ is None or relation.from_ <= at)
        for relation in world.between.get((client, who), ())
    )


def under_curatele(world: World, client: Person, at: datetime) -> bool:
    """Whether the client is registered as under curatele, or a curator is in office at `at`."""
    return client.curatele or any(
        relation.kind == "curator"
        and relation.holds(at)
        and _court(world, client, relation, at) is not None
        for relation in world.related.get(client.id, ())
    )


def was_under_curatele(world: World, client: Person, made: datetime) -> bool:
    """The same for an earlier moment: the registration has no date, the court orders may."""
    starts = [
        relation.from_
        for relation in world.related.get(client.id, ())
        if relation.kind == "curator"
    ]
    dated = [start for start in starts if start is not None]
    known = len(dated) == len(starts)
    since_later = known and made < min(dated, default=made)
    return not since_later and under_curatele(world, client, made)
