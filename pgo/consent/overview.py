"""Who may do what now: for one person or team every action on every category, condensed; pure.

Each cell is decided by the very same `decide`; cells with one right and the same actions are told
together. What a grant opens only in part (one author, a period, single records) is told as such.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pgo.consent.decide import decide
from pgo.consent.explain import GROUNDS
from pgo.consent.model import CATEGORIES, Grant, Level, Relation, Request, Resource, World
from pgo.consent.words import (
    ACTION_WORDS,
    CATEGORY_WORDS,
    MOST_WORDS,
    day,
    listed,
    listing,
)

Ask = Callable[[str, Resource], Request]
_BY_GRANT, _BY_RELATION = "TOESTEMMING:", "VERTEGENWOORDIGER:"
_TYPE: Final = {"toestemmingen": "Consent", "logging": "AuditEvent"}


@dataclass(frozen=True, slots=True)
class Right:
    """One right somebody has now: what it opens, by which ground, since when and until when.

    `part`: only a part of these categories, as the grant itself says. `own`: records of the
    grantee's own organisation only.
    """

    actions: tuple[str, ...]
    categories: tuple[str, ...]
    reason: str
    since: datetime | None = None
    until: datetime | None = None
    part: bool = False
    own: bool = False

    @property
    def grant(self) -> str:
        """The id of the grant, when it is one."""
        return self.reason.removeprefix(_BY_GRANT) if self.reason.startswith(_BY_GRANT) else ""


def rights(world: World, request_of: Ask, at: datetime) -> tuple[Right, ...]:
    """What may be done now by whoever `request_of` asks for, the widest first."""
    cells: dict[tuple[str, str], list[str]] = {}
    own = {f"{_BY_GRANT}{grant.id}" for grant in world.grants if grant.own}
    for category in CATEGORY_WORDS:
        resource = Resource(frozenset({category}), _TYPE.get(category, ""))
        for action in ACTION_WORDS:
            found = decide(world, request_of(action, resource))
            if found.permit and found.reason not in own:
                cells.setdefault((category, found.reason), []).append(action)
    together: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for (category, reason), actions in cells.items():
        together.setdefault((reason, tuple(actions)), []).append(category)
    made = [
        Right(actions, tuple(categories), reason, *_time(world, reason, request_of, at))
        for (reason, actions), categories in together.items()
    ]
    made += _parts(world, request_of, {right.reason for right in made})
    return tuple(sorted(made, key=lambda one: (one.part, -len(one.categories), one.reason)))


def _time(
    world: World, reason: str, request_of: Ask, at: datetime
) -> tuple[datetime | None, datetime | None]:
    if reason.startswith(_BY_GRANT):
        id_ = reason.removeprefix(_BY_GRANT)
        grant = next((one for one in world.grants if one.id == id_), None)
        return (grant.from_ or grant.made, grant.to) if grant else (None, None)
    if reason.startswith(_BY_RELATION):
        asked = request_of("lezen", Resource())
        found = world.between.get((asked.client, asked.actor), ())
        holding: Sequence[Relation] = [one for one in found if one.holds(at)]
        return (holding[0].from_, holding[0].to) if holding else (None, None)
    return None, None


def _parts(world: World, request_of: Ask, told: set[str]) -> Iterable[Right]:
    """Grants that open only some records: decided about a record they are about."""
    for grant in world.grants:
        reason = f"{_BY_GRANT}{grant.id}"
        if grant.effect != "permit" or reason in told or not _narrow(grant):
            continue
        opened: dict[tuple[str, ...], list[str]] = {}
        for category in CATEGORY_WORDS:
            if category not in grant.contained:
                continue
            resource = _about(grant, category)
            asked = {action: request_of(action, resource) for action in ACTION_WORDS}
            may = tuple(a for a, one in asked.items() if decide(world, one).reason == reason)
            if may:
                opened.setdefault(may, []).append(category)
        if grant.own and opened:  # what another grant opens as well is told there too
            every = tuple(name for name in ACTION_WORDS if name in grant.allowed)
            opened = {every: [name for names in opened.values() for name in names]}
        for actions, categories in opened.items():
            since = grant.from_ or grant.made
            yield Right(
                actions, tuple(categories), reason, since, grant.to, part=True, own=grant.own
            )


def _narrow(grant: Grant) -> bool:
    lists = grant.types or grant.instances
    return bool(grant.own or lists or grant.author or grant.data_from or grant.data_to)


def _about(grant: Grant, category: str) -> Resource:
    """A record of the category that the grant is about."""
    inside = grant.data_from or (
        grant.data_to and grant.data_to.replace(year=grant.data_to.year - 1)
    )
    return Resource(
        categories=frozenset({category}),
        type=min(grant.types) if grant.types else "",
        id=min(grant.instances) if grant.instances else "",
        author=grant.author,
        date=inside.isoformat() if inside else "",
        org=grant.grantee.id if grant.own and grant.grantee.level != Level.PERSON else "",
    )


def said(who: str, right: Right) -> list[str]:
    """A right in short sentences: who, what, since and until when, and by which right."""
    end = [one for one in (_when(right), _why(right)) if one]
    if right.own:
        return [f"{who} mag de eigen gegevens bij u neerzetten en bijwerken.", *end]
    deeds = listed(ACTION_WORDS[action] for action in right.actions if action != "beheren")
    things = _things(right)
    first = f"{who} mag {things} {deeds}."
    if not deeds:
        first = f"{who} mag regelen wie erbij mag."
    if len(first.split()) <= MOST_WORDS:
        said_ = [first]
    else:
        named = [CATEGORY_WORDS[name] for name in right.categories]
        said_ = [f"{who} mag {deeds}.", *listing("Het gaat om", named)]
    if "beheren" in right.actions and deeds:
        said_.append("Regelen wie erbij mag, mag ook.")
    if right.part:
        said_.append("Het gaat maar om een deel daarvan.")
    return [*said_, *end]


def _things(right: Right) -> str:
    if len(right.categories) == len(CATEGORIES):
        return "alles"
    return f"uw {listed(CATEGORY_WORDS[name] for name in right.categories)}"


def _when(right: Right) -> str:
    since = f"sinds {day(right.since)}" if right.since else ""
    until = f"tot {day(right.until)}" if right.until else ""
    whole = f"Dit geldt {' en '.join(filter(None, (since, until)))}."
    return whole if since or until else ""


def _why(right: Right) -> str:
    if right.reason.startswith(_BY_GRANT):
        return "Dit komt door een toestemming."
    if right.reason.startswith(_BY_RELATION):
        return GROUNDS[right.reason.removeprefix(_BY_RELATION)]
    return "Dit is het eigen dossier."
