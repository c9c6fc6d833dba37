"""What a consent decision is made of: frozen values, no rules, no clock, no store.

Words are those of spec consent.md §1 and §8; codes are the Dutch words people see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from typing import TypeVar

from pgo.caller import Emergency

K = TypeVar("K")
V = TypeVar("V")

ACTIONS = frozenset({"lezen", "toevoegen", "wijzigen", "delen", "beheren"})
RESERVED = frozenset({"dagboek", "gezin", "financieel", "toestemmingen", "logging", "overig"})
ORDINARY = frozenset(
    {
        *("zorgplan", "behandeling", "medicatie", "uitslagen", "problemen", "allergieen"),
        *("vaccinaties", "verslagen", "metingen", "afspraken", "vragenlijsten", "documenten"),
        *("wilsverklaring", "contactpersonen", "adres", "paspoort", "aanvragen", "berichten"),
    }
)
CATEGORIES = ORDINARY | RESERVED
ONLY_AUTHOR, NOT_FOR_REPRESENTATIVE, NOT_FOR_RELATIVES = (
    "alleen-auteur-en-client",
    "niet-voor-vertegenwoordiger",
    "niet-voor-naasten",
)
SEALS = frozenset({ONLY_AUTHOR, NOT_FOR_REPRESENTATIVE, NOT_FOR_RELATIVES})
# v3-Confidentiality N, L, M, U and v3-ActReason HTEST say nothing sensitive (consent.md §8).
PLAIN_LABELS = frozenset({"N", "L", "M", "U", "HTEST"})
FORBIDDEN_PURPOSES = frozenset({"HMARKT", "HPAYMT", "UNDERWRITING"})
PRIVATE_KINDS = frozenset(
    {"", "client", "ouder", "voogd", "mentor", "curator", "gemachtigde", "familie", "naaste"}
)
PROVIDER_KINDS = frozenset({"zorgverlener", "systeem"})
KINDS = PRIVATE_KINDS | PROVIDER_KINDS | {"copiloot", "beheerder"}
LOAS = ("laag", "substantieel", "hoog")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who is a client, an actor or a grantor.

    `birth` is YYYY, YYYY-MM, YYYY-MM-DD or "" (unknown). `deceased` is the moment of death (UTC),
    or True when the day is unknown. `orgs` and `teams` are memberships as of now.
    """

    id: str
    birth: str = ""
    kind: str = ""
    orgs: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    curatele: bool = False
    wilsonbekwaam: bool = False
    geen_noodtoegang: bool = False
    deceased: datetime | bool = False


@dataclass(frozen=True, slots=True)
class Relation:
    """Who represents whom; period [from_, to) in UTC.

    `actions` and `categories` None means left out (consent.md §1, row gemachtigde). `as_` is the
    kinship of a `familie` relation. `order` is the number of a court order, `verified` the
    evidence of a mandate; "" means there is none.
    """

    person: str
    client: str
    kind: str
    gezag: bool = False
    from_: datetime | None = None
    to: datetime | None = None
    child_confirmed: datetime | None = None
    order: str = ""
    verified: str = ""
    actions: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    labels: frozenset[str] = frozenset()
    as_: str = ""
    treedt_niet_op: bool = False

    def holds(self, at: datetime) -> bool:
        """Whether `at` lies in the period."""
        return (self.from_ is None or self.from_ <= at) and (self.to is None or at < self.to)


class Level(IntEnum):
    """How closely a grant names its grantee; the closest one gives the reason."""

    PERSON = 0
    TEAM = 1
    ROLE = 2
    ORGANISATION = 3


@dataclass(frozen=True, slots=True)
class Grantee:
    """To whom: a person, `team:x`, `org:x/role` or `org:x`; `id` is without prefix and role."""

    level: Level
    id: str
    role: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A permit or a deny. None means left out; see consent.md §2 "Matching" for what that means.

    `own`: made by the link between a provider and a client; covers the records of the
    organisation it is given to, for its systems only. `unreadable` names the place that could not
    be read: such a grant is a deny for its grantee.
    """

    id: str
    client: str
    by: str
    effect: str
    to_who: str
    grantee: Grantee
    by_court: bool = False
    actions: frozenset[str] | None = None
    categories: frozenset[str] | None = None
    types: frozenset[str] | None = None
    labels: frozenset[str] | None = None
    purposes: frozenset[str] | None = None
    author: str = ""
    instances: frozenset[str] | None = None
    data_from: datetime | None = None
    data_to: datetime | None = None
    from_: datetime | None = None
    to: datetime | None = None
    weekly: tuple[tuple[int, int], ...] | None = None
    status: str = "active"
    revoked: datetime | None = None
    parent: str = ""
    depth: int = 0
    made: datetime | None = None
    own: bool = False
    unreadable: str = ""

    @property
    def allowed(self) -> frozenset[str]:
        """The actions it is about, also when they were left out."""
        if self.actions is not None:
            return self.actions
        return frozenset({"lezen"}) if self.effect == "permit" else ACTIONS

    @property
    def contained(self) -> frozenset[str]:
        """The categories it is about, also when they were left out."""
        if self.categories is not None:
            return self.categories
        return ORDINARY if self.effect == "permit" else CATEGORIES


@dataclass(frozen=True, slots=True)
class Resource:
    """What is asked for. `date` is YYYY[-MM[-DD[Thh:mm…]]] or ""; `org` whose record it is.

    `labels` are codes of meta.security plus the seals that lie on it. No category means `overig`,
    except for a Patient. `client` is the dossier it lies in, "" = the one asked about.
    """

    categories: frozenset[str] = frozenset()
    type: str = ""
    id: str = ""
    author: str = ""
    date: str = ""
    labels: frozenset[str] = frozenset()
    client: str = ""
    org: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """One question: may `actor` do `action` with `resource` of `client`, `at` (aware) this moment.

    `person` is the actor as signed in now (kind, memberships); without it the world's person with
    that id is taken. `emergency` makes it a declared emergency. `grant_to` and `target` say whom
    and what a `beheren` or `delen` is about.
    """

    actor: str
    client: str
    action: str
    purpose: str
    at: datetime
    resource: Resource = Resource()
    org: str = ""
    role: str = ""
    loa: str = "substantieel"
    scope_ok: bool = True
    token_revoked: bool = False
    authenticated: bool = True
    co_consent: bool = False
    restrictive: bool = False
    grant_to: str = ""
    target: str = ""
    emergency: Emergency | None = None
    person: Person | None = None

    @property
    def widening(self) -> bool:
        """Whether more would be open to somebody afterwards (consent.md §1)."""
        return self.action == "delen" or (self.action == "beheren" and not self.restrictive)


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers a deployment may set (consent.md §3); `emergency_hours` in hours."""

    kind_12_15: str = "bevestigen"
    emergency_hours: float = 4.0
    emergency_set: frozenset[str] = frozenset(
        {"medicatie", "allergieen", "problemen", "contactpersonen", "wilsverklaring", "paspoort"}
    )
    emergency_kinds: frozenset[str] = frozenset({"zorgverlener"})
    version: str = "pgo-toestemming-1"


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer and why. `grants` are the ids that decided, the deciding one first."""

    permit: bool
    reason: str
    grants: tuple[str, ...]
    obligations: tuple[str, ...]
    policy: str
    evaluated_at: datetime


@dataclass(frozen=True, slots=True)
class World:
    """All that a decision looks at. Make it with `World.of`, once per state of a dossier.

    `permits` are indexed by (client, to_who), `denies` by (client, to_who without role); both
    leave out grants whose status is not active. Order is that of consent.md §2 step 6. `authors`
    are those whom a grant names.
    """

    persons: Mapping[str, Person]
    relations: tuple[Relation, ...]
    grants: tuple[Grant, ...]
    policy: Policy
    permits: Mapping[tuple[str, str], tuple[Grant, ...]]
    denies: Mapping[tuple[str, str], tuple[Grant, ...]]
    by_id: Mapping[tuple[str, str], Grant | None]
    related: Mapping[str, tuple[Relation, ...]]
    between: Mapping[tuple[str, str], tuple[Relation, ...]]
    order: Mapping[int, int] = field(default_factory=dict)
    authors: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls,
        persons: Mapping[str, Person] | Iterable[Person] = (),
        relations: Iterable[Relation] = (),
        grants: Iterable[Grant] = (),
        policy: Policy | None = None,
    ) -> World:
        """A world with its indexes; `persons` may be any mapping, also one that looks up live."""
        kept, related = tuple(grants), tuple(relations)
        active = [grant for grant in kept if grant.status == "active"]
        permits = sorted((g for g in active if g.effect == "permit"), key=lambda g: bool(g.parent))
        return cls(
            persons=persons if isinstance(persons, Mapping) else {p.id: p for p in persons},
            relations=related,
            grants=kept,
            policy=policy or Policy(),
            permits=_grouped(((g.client, g.to_who), g) for g in permits),
            denies=_grouped(((g.client, _group(g)), g) for g in active if g.effect == "deny"),
            by_id=_unique(kept),
            related=_grouped((r.client, r) for r in related),
            between=_grouped(((r.client, r.person), r) for r in related),
            order={id(grant): number for number, grant in enumerate(kept)},
            authors=frozenset(grant.author for grant in kept if grant.author),
        )

    def person(self, id_: str) -> Person:
        """The person with this id; somebody unknown has no kind, birth date or membership."""
        return self.persons.get(id_) or Person(id_)


def _group(grant: Grant) -> str:
    return f"org:{grant.grantee.id}" if grant.grantee.level == Level.ROLE else grant.to_who


def _grouped(pairs: Iterable[tuple[K, V]]) -> dict[K, tuple[V, ...]]:
    groups: dict[K, list[V]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return {key: tuple(values) for key, values in groups.items()}


def _unique(grants: Iterable[Grant]) -> dict[tuple[str, str], Grant | None]:
    """Grants by (client, id); an id that is used twice names nobody's parent."""
    found: dict[tuple[str, str], Grant | None] = {}
    for grant in grants:
        key = (grant.client, grant.id)
        found[key] = None if key in found else grant
    return found
