"""Dicts (consent.md §8, also the stored form) to consent values and back; strict, pure.

Whatever cannot be read raises BadValue with its place, never its value. A stored grant that
cannot be read becomes a deny for its grantee (`stored_grant`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pgo.caller import Emergency
from pgo.consent import moments
from pgo.consent.fields import chosen, flag, mapping, rows, text, when, words
from pgo.consent.model import (
    ACTIONS,
    CATEGORIES,
    KINDS,
    LOAS,
    Grant,
    Grantee,
    Level,
    Person,
    Policy,
    Relation,
    Request,
    Resource,
    World,
)
from pgo.errors import BadValue, PgoError

# Members of a stored grant that say something about it, but restrict nothing.
REMARKS = frozenset(
    {
        *("situatie", "waarom", "toelichting", "opmerking", "comment", "note", "preset", "version"),
        *("by_name", "to_name", "proposed_by", "revoked_by", "approved_by", "reason", "opinions"),
        *("waits", "given", "decided"),
    }
)
GRANT_MEMBERS = REMARKS | {
    *("id", "client", "by", "effect", "by_court", "to_who", "actions", "categories", "types"),
    *("labels", "purposes", "author", "instances", "data_from", "data_to", "from", "to"),
    *("weekly", "status", "revoked", "parent", "depth", "made", "own"),
}
_PLAIN = ("id", "client", "by", "effect", "by_court", "to_who", "author", "parent", "own")
_LISTS = ("actions", "categories", "types", "labels", "purposes", "instances")
_TIMES = ("data_from", "data_to", "from_", "to", "revoked", "made")
DEPTHS = range(10)
TARGETS = ("", "grant", "deny", "seal", "relation", "audit")


def person(id_: str, value: Any, place: str = "person") -> Person:
    """One person of `world.persons`.

    Raises:
        BadValue: with the place.
    """
    raw = mapping(value, place)
    birth = text(raw, "birth", place)
    if birth and moments.days_of(birth) is None:
        raise BadValue("not a date", place=f"{place}.birth")
    deceased = raw.get("deceased", False)
    return Person(
        id=id_,
        birth=birth,
        kind=chosen(raw, "kind", place, KINDS),
        orgs=words(raw, "orgs", place) or frozenset(),
        teams=words(raw, "teams", place) or frozenset(),
        curatele=flag(raw, "curatele", place),
        wilsonbekwaam=flag(raw, "wilsonbekwaam", place),
        geen_noodtoegang=flag(raw, "geen_noodtoegang", place),
        deceased=deceased
        if isinstance(deceased, bool)
        else moments.moment(deceased, f"{place}.deceased"),
    )


def relation(value: Any, place: str = "relation") -> Relation:
    """One row of `world.relations`.

    Raises:
        BadValue: with the place.
    """
    raw = mapping(value, place)
    return Relation(
        person=text(raw, "person", place, needed=True),
        client=text(raw, "client", place, needed=True),
        kind=text(raw, "kind", place, needed=True),
        gezag=flag(raw, "gezag", place),
        from_=when(raw, "from", place),
        to=when(raw, "to", place),
        child_confirmed=when(raw, "child_confirmed", place),
        order=text(raw, "order", place).strip(),
        verified=_evidence(raw, place),
        actions=words(raw, "actions", place, ACTIONS),
        categories=words(raw, "categories", place, CATEGORIES),
        labels=words(raw, "labels", place) or frozenset(),
        as_=text(raw, "as", place),
        treedt_niet_op=flag(raw, "treedt_niet_op", place),
    )


def _evidence(raw: Mapping[str, Any], place: str) -> str:
    """What verified a mandate; plain true is evidence without a name."""
    value = raw.get("verified")
    if isinstance(value, bool):
        return "ja" if value else ""
    return text(raw, "verified", place).strip()


def grantee(value: Any, place: str) -> Grantee:
    """A `to_who`: a person, team:x, org:x or org:x/role; everybody is nobody."""
    if not isinstance(value, str) or not value or value != value.strip():
        raise BadValue("not a grantee", place=place)
    prefix, colon, rest = value.partition(":")
    if not colon and "/" not in value and value != "*":
        return Grantee(Level.PERSON, value)
    name, slash, role = rest.partition("/")
    if prefix == "team" and rest and not slash:
        return Grantee(Level.TEAM, rest)
    if prefix == "org" and name and (role or not slash):
        return Grantee(Level.ROLE if role else Level.ORGANISATION, name, role)
    raise BadValue("not a grantee", place=place)


def grant(value: Any, place: str = "grant", *, stored: bool = False) -> Grant:
    """One row of `world.grants`; `stored` asks for `made` too.

    An empty list on a deny is read as left out: it then hits more, not less.

    Raises:
        BadValue: with the place; also for a member that is not known, since it may restrict.
    """
    raw = mapping(value, place)
    if not GRANT_MEMBERS.issuperset(raw):
        raise BadValue("a member that is not known", place=place)
    if stored and raw.get("made") is None:
        raise BadValue("needed in a stored grant", place=f"{place}.made")
    effect = chosen(raw, "effect", place, ("permit", "deny"))
    return Grant(
        id=text(raw, "id", place, needed=True),
        client=text(raw, "client", place, needed=True),
        by=text(raw, "by", place, needed=True),
        effect=effect,
        by_court=flag(raw, "by_court", place),
        to_who=text(raw, "to_who", place, needed=True),
        grantee=grantee(raw.get("to_who"), f"{place}.to_who"),
        author=text(raw, "author", place),
        weekly=_windows(raw, place, effect),
        status=text(raw, "status", place) or "active",
        parent=text(raw, "parent", place),
        depth=_depth(raw, place),
        own=flag(raw, "own", place),
        **_lists(raw, place, effect),
        **_times(raw, place),
    )


def _times(raw: Mapping[str, Any], place: str) -> dict[str, Any]:
    return {name: when(raw, name.rstrip("_"), place) for name in _TIMES}


def _lists(raw: Mapping[str, Any], place: str, effect: str) -> dict[str, Any]:
    allowed = {"actions": ACTIONS, "categories": CATEGORIES}
    read = {name: words(raw, name, place, allowed.get(name)) for name in _LISTS}
    if effect == "permit":
        return read
    return {name: found or None for name, found in read.items()}


def _windows(raw: Mapping[str, Any], place: str, effect: str) -> tuple[tuple[int, int], ...] | None:
    value = raw.get("weekly")
    if value is None:
        return None
    if not isinstance(value, list):
        raise BadValue("not a list of weekly windows", place=f"{place}.weekly")
    read = tuple(moments.window(one, f"{place}.weekly[{n}]") for n, one in enumerate(value))
    return read or (None if effect == "deny" else ())


def _depth(raw: Mapping[str, Any], place: str) -> int:
    value = raw.get("depth", 0)
    if isinstance(value, bool) or not isinstance(value, int) or value not in DEPTHS:
        raise BadValue("not a small whole number", place=f"{place}.depth")
    return value


def stored_grant(
    value: Any, place: str = "grant", *, client: str = "", stored: bool = True
) -> Grant:
    """A grant as it was stored; one that cannot be read is a deny of everything for its grantee.

    `client` is the dossier it was found in. Never raises. When even the grantee cannot be read it
    is nothing for anybody.
    """
    try:
        return grant(value, place, stored=stored)
    except PgoError as error:
        raw = value if isinstance(value, dict) else {}
        to_who = raw.get("to_who") if isinstance(raw.get("to_who"), str) else ""
        return Grant(
            id=_or_nothing(raw, "id") or place,
            client=_or_nothing(raw, "client") or client,
            by=_or_nothing(raw, "by"),
            effect="deny",
            by_court=raw.get("by_court") is True,
            to_who=to_who or "",
            grantee=_readable_grantee(to_who),
            unreadable=error.place or place,
        )


def _or_nothing(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _readable_grantee(to_who: Any) -> Grantee:
    try:
        return grantee(to_who, "")
    except BadValue:
        return Grantee(Level.PERSON, "")


def world(value: Any, place: str = "world", *, stored: bool = False) -> World:
    """The `world` of a table; its grants are read as stored ones, `made` may be left out.

    Raises:
        BadValue: a person, relation or policy cannot be read.
    """
    raw = mapping(value, place)
    people = mapping(raw.get("persons", {}), f"{place}.persons")
    return World.of(
        persons={
            id_: person(id_, one, f"{place}.persons.{number}")
            for number, (id_, one) in enumerate(people.items())
        },
        relations=[relation(one, where) for where, one in rows(raw, "relations", place)],
        grants=[
            stored_grant(one, where, stored=stored) for where, one in rows(raw, "grants", place)
        ],
        policy=policy(raw.get("policy", {}), f"{place}.policy"),
    )


def policy(value: Any, place: str = "policy") -> Policy:
    """The numbers a deployment or a table may set; left out = as in consent.md.

    Raises:
        BadValue: with the place.
    """
    raw, usual = mapping(value, place), Policy()
    hours = raw.get("emergency_hours", usual.emergency_hours)
    if isinstance(hours, bool) or not isinstance(hours, int | float) or hours <= 0:
        raise BadValue("not a number of hours", place=f"{place}.emergency_hours")
    allowed = ("", "bevestigen", "gedeeld")
    found = words(raw, "emergency_set", place, CATEGORIES)
    return Policy(
        kind_12_15=chosen(raw, "kind_12_15", place, allowed) or usual.kind_12_15,
        emergency_hours=float(hours),
        emergency_set=usual.emergency_set if found is None else found,
        emergency_kinds=words(raw, "emergency_kinds", place, KINDS) or usual.emergency_kinds,
        version=text(raw, "version", place) or usual.version,
    )


def resource(value: Any, place: str = "resource") -> Resource:
    """The `resource` of a request; `category` is one word or a list.

    Raises:
        BadValue: with the place.
    """
    raw = mapping(value, place)
    single = raw.get("category")
    listed = {"category": [single]} if isinstance(single, str) else raw
    date = text(raw, "date", place)
    if date and moments.span(date) is None:
        raise BadValue("not a date or a date-time", place=f"{place}.date")
    return Resource(
        categories=words(listed, "category", place, CATEGORIES) or frozenset(),
        type=text(raw, "type", place),
        id=text(raw, "id", place),
        author=text(raw, "author", place),
        date=date,
        labels=words(raw, "labels", place) or frozenset(),
        client=text(raw, "client", place),
        org=text(raw, "org", place),
    )


def request(value: Any, place: str = "request") -> Request:
    """One request of a table (consent.md §8); left-out members mean the ordinary case.

    Raises:
        BadValue: with the place.
    """
    raw = mapping(value, place)
    return Request(
        actor=text(raw, "actor", place),
        client=text(raw, "client", place, needed=True),
        action=chosen(raw, "action", place, ACTIONS),
        purpose=text(raw, "purpose", place),
        at=moments.moment(raw.get("at"), f"{place}.at"),
        resource=resource(raw.get("resource", {}), f"{place}.resource"),
        org=text(raw, "org", place),
        role=text(raw, "role", place),
        loa=chosen(raw, "loa", place, LOAS) if raw.get("loa") is not None else "substantieel",
        scope_ok=flag(raw, "scope_ok", place, default=True),
        token_revoked=flag(raw, "token_revoked", place),
        authenticated=text(raw, "auth", place) != "none",
        co_consent=flag(raw, "co_consent", place),
        restrictive=flag(raw, "restrictive", place),
        grant_to=text(raw, "grant_to", place),
        target=chosen(raw, "target", place, TARGETS),
        emergency=None if raw.get("btg") is None else emergency(raw["btg"], f"{place}.btg"),
    )


def emergency(value: Any, place: str = "btg") -> Emergency:
    """A declared emergency: code, reason and when it was opened.

    Raises:
        BadValue: with the place.
    """
    raw = mapping(value, place)
    return Emergency(
        code=text(raw, "code", place),
        reason=text(raw, "reason", place),
        opened=when(raw, "opened", place),
    )


def written(grant_: Grant) -> dict[str, Any]:
    """A readable grant as the dict of §8; reading it again gives the same grant.

    Raises:
        ValueError: the grant could not be read; keep what was stored instead.
    """
    if grant_.unreadable:
        raise ValueError(grant_.unreadable)
    plain = {name: getattr(grant_, name) for name in _PLAIN if getattr(grant_, name)}
    lists = {name: getattr(grant_, name) for name in _LISTS}
    times = {name.rstrip("_"): getattr(grant_, name) for name in _TIMES}
    return {
        **plain,
        **{name: sorted(value) for name, value in lists.items() if value is not None},
        **{name: value.isoformat() for name, value in times.items() if value is not None},
        **_written_windows(grant_),
        "status": grant_.status,
        "depth": grant_.depth,
    }


def _written_windows(grant_: Grant) -> dict[str, Any]:
    if grant_.weekly is None:
        return {}
    return {
        "weekly": [
            {"from": moments.window_text(start), "to": moments.window_text(end)}
            for start, end in grant_.weekly
        ]
    }
