"""Whether one grant is about one request: AND over attributes, OR inside one (consent.md §2).

A rule is a name and a function (grant, asking) -> bool. A permit restricts, so what is missing
does not match; a deny protects, so what is missing does. Who the grantee is, is looked up in
`candidates` and `hits`; standing and delegation are elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable

from pgo.consent import labels, moments
from pgo.consent.asking import Asking
from pgo.consent.model import Grant, Level

Rule = tuple[str, Callable[[Grant, Asking], bool]]


def _status(grant: Grant, _: Asking) -> bool:
    return grant.status == "active"


def _not_revoked(grant: Grant, asking: Asking) -> bool:
    return grant.revoked is None or asking.at < grant.revoked


def _period(grant: Grant, asking: Asking) -> bool:
    return (grant.from_ is None or grant.from_ <= asking.at) and (
        grant.to is None or asking.at < grant.to
    )


def _weekly(grant: Grant, asking: Asking) -> bool:
    return grant.weekly is None or moments.inside(grant.weekly, asking.minute())


def _made(grant: Grant, asking: Asking) -> bool:
    return grant.made is None or grant.made <= asking.at


def _purpose(grant: Grant, asking: Asking) -> bool:
    return grant.purposes is None or asking.request.purpose in grant.purposes


def _action(grant: Grant, asking: Asking) -> bool:
    return asking.action in grant.allowed


def _instance(grant: Grant, asking: Asking) -> bool:
    return grant.instances is None or asking.resource.id in grant.instances


def _every_category(grant: Grant, asking: Asking) -> bool:
    return asking.categories <= grant.contained


def _any_category(grant: Grant, asking: Asking) -> bool:
    return grant.categories is None or not asking.categories.isdisjoint(grant.categories)


def _every_label(grant: Grant, asking: Asking) -> bool:
    return labels.covered(asking.sensitive, grant.labels or frozenset())


def _any_label(grant: Grant, asking: Asking) -> bool:
    return grant.labels is None or not asking.resource.labels.isdisjoint(grant.labels)


def _type(grant: Grant, asking: Asking) -> bool:
    return grant.types is None or asking.resource.type in grant.types


def _type_or_none(grant: Grant, asking: Asking) -> bool:
    return _type(grant, asking) or not asking.resource.type


def _author(grant: Grant, asking: Asking) -> bool:
    return not grant.author or asking.resource.author == grant.author


def _author_or_none(grant: Grant, asking: Asking) -> bool:
    return _author(grant, asking) or not asking.resource.author


def _data_inside(grant: Grant, asking: Asking) -> bool:
    if grant.data_from is None and grant.data_to is None:
        return True
    span = moments.span(asking.resource.date)
    return (
        span is not None
        and (grant.data_from is None or grant.data_from <= span[0])
        and (grant.data_to is None or span[1] <= grant.data_to)
    )


def _data_touches(grant: Grant, asking: Asking) -> bool:
    if grant.data_from is None and grant.data_to is None:
        return True
    span = moments.span(asking.resource.date)
    return span is None or (
        (grant.data_from is None or grant.data_from < span[1])
        and (grant.data_to is None or span[0] < grant.data_to)
    )


def _own_organisation(_: Grant, asking: Asking) -> bool:
    resource = asking.resource
    mine = resource.org == asking.org or (not resource.org and asking.action == "toevoegen")
    return asking.actor.kind == "systeem" and bool(asking.org) and mine


def _a_system(_: Grant, asking: Asking) -> bool:
    return asking.actor.kind == "systeem"


ALWAYS: tuple[Rule, ...] = (
    ("status", _status),
    ("ingetrokken", _not_revoked),
    ("periode", _period),
    ("doel", _purpose),
    ("weekvenster", _weekly),
)
PERMIT: tuple[Rule, ...] = (
    ("categorie", _every_category),
    ("actie", _action),
    ("soort", _type),
    ("auteur", _author),
    ("onderdeel", _instance),
    ("datum", _data_inside),
)
PERMIT_ALWAYS: tuple[Rule, ...] = (*ALWAYS, ("gemaakt", _made))
LABEL: tuple[Rule, ...] = (("label", _every_label),)
PERMIT_RULES = (*PERMIT, *LABEL, *PERMIT_ALWAYS)
# A Patient without categories is readable with any active permit (§1), whatever that is about.
PATIENT_RULES = (*LABEL, *PERMIT_ALWAYS)
OWN_RULES: tuple[Rule, ...] = (
    ("actie", _action),
    ("eigen organisatie", _own_organisation),
    *PERMIT_ALWAYS,
)
OWN_PATIENT_RULES: tuple[Rule, ...] = (("eigen organisatie", _a_system), *PERMIT_ALWAYS)
DENY_RULES: tuple[Rule, ...] = (
    ("categorie", _any_category),
    ("actie", _action),
    ("label", _any_label),
    ("soort", _type_or_none),
    ("auteur", _author_or_none),
    ("onderdeel", _instance),
    ("datum", _data_touches),
    *ALWAYS,
)


def rules_of(grant: Grant, asking: Asking) -> tuple[Rule, ...]:
    """The rules this grant has to pass for this request."""
    if grant.effect == "deny":
        return DENY_RULES
    if grant.own:
        return OWN_PATIENT_RULES if asking.bare_patient else OWN_RULES
    return PATIENT_RULES if asking.bare_patient else PERMIT_RULES


def matches(grant: Grant, asking: Asking) -> bool:
    """Whether the grant is about this request, grantee apart."""
    for _, holds in rules_of(grant, asking):
        if not holds(grant, asking):
            return False
    return barred_for(grant, asking) == ""


def misses(grant: Grant, asking: Asking) -> tuple[str, ...]:
    """The names of the rules that do not hold; empty when the grant matches."""
    found = [name for name, holds in rules_of(grant, asking) if not holds(grant, asking)]
    return (*found, *filter(None, [barred_for(grant, asking)]))


def barred_for(grant: Grant, asking: Asking) -> str:
    """What a permit never gives to this kind of grantee; "" when nothing is in the way."""
    if grant.effect == "deny" or grant.own or not asking.provider:
        return ""
    if "gezin" in asking.categories:
        return "gezin"
    if asking.actor.kind == "systeem" and asking.action != "lezen":
        write = asking.action in {"toevoegen", "wijzigen"}
        return "" if write and asking.own_record else "eigen organisatie"
    return ""


def candidates(asking: Asking) -> list[Grant]:
    """Active permits to this actor in the order of §2: person, team, role, organisation.

    Within a level direct before delegated, then table order. An organisation counts only when
    the token names it; teams and organisations are for providers only.
    """
    permits, client, actor = asking.world.permits, asking.client.id, asking.actor
    found = list(permits.get((client, actor.id), ()))
    if not asking.provider:
        return found
    teams = [g for team in actor.teams for g in permits.get((client, f"team:{team}"), ())]
    if len(actor.teams) > 1:
        order = asking.world.order
        teams.sort(key=lambda grant: (bool(grant.parent), order[id(grant)]))
    found += teams
    if asking.org:
        if asking.role:
            found += permits.get((client, f"org:{asking.org}/{asking.role}"), ())
        found += permits.get((client, f"org:{asking.org}"), ())
    return found


def hits(asking: Asking) -> list[Grant]:
    """Active denies that name this actor and match: by person, team and membership.

    Those to an organisation reach its people in whatever they do for any organisation; they do
    not reach who acts for himself or the client.
    """
    denies, client, actor = asking.world.denies, asking.client.id, asking.actor
    found = list(denies.get((client, actor.id), ()))
    if not asking.private:
        for team in actor.teams:
            found += denies.get((client, f"team:{team}"), ())
        for org in actor.orgs:
            found += denies.get((client, f"org:{org}"), ())
    return [g for g in found if matches(g, asking) and _role_hit(g, asking)]


def _role_hit(grant: Grant, asking: Asking) -> bool:
    """A deny to a role spares only who acts in another role of that organisation."""
    if grant.grantee.level != Level.ROLE:
        return True
    elsewhere = asking.org != grant.grantee.id or not asking.role
    return elsewhere or asking.role == grant.grantee.role
