"""Whether a new grant can mean anything, and what exactly somebody agrees to; pure (consent.md §4).

A grant that could never open or close anything is refused when it is made, not silently kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

import orjson

from pgo.consent import categories, presets
from pgo.consent.model import FORBIDDEN_PURPOSES, Grant, Level, Person
from pgo.errors import BadValue, Forbidden

CO_CONSENT, SUBSTITUTE, FAMILY = "medetoestemming", "waarneming", "instemming"
"""What a proposal waits for: child and parent both; the family, for a colleague; the family."""
SET_BY_US: Final = frozenset(
    {
        *("id", "client", "by", "made", "revoked", "by_court", "own", "order", "waits"),
        *("proposed_by", "approved_by", "revoked_by", "by_name", "to_name", "version"),
        *("given", "decided"),
    }
)
_STATUSES: Final = frozenset({"active", "proposed", "waakvlam"})
_PASSING: Final = frozenset(
    {"status", "waits", "order", "proposed_by", "approved_by", "made", "by"}
)
_BY_PRESET: Final = frozenset({"effect", "actions", "categories", "purposes"})
_FINGERPRINT: Final = 32


def expanded(sent: Mapping[str, Any]) -> dict[str, Any]:
    """A grant as it was sent, with what its preset stands for filled in.

    Raises:
        BadValue: no such preset, or more beside it than goes with one.
    """
    if not _by_preset(sent):
        return dict(sent)
    preset = presets.PRESETS.get(str(sent["preset"]))
    if preset is None:
        raise BadValue("no preset by that name", place="grant.preset")
    if _BY_PRESET.intersection(sent):
        raise BadValue("a preset says this itself", place="grant.preset")
    filled: dict[str, Any] = {
        "effect": "permit",
        "actions": list(preset.actions),
        "categories": list(preset.categories),
    }
    if preset.purposes:
        filled["purposes"] = list(preset.purposes)
    if preset.weekly:
        filled["weekly"] = [dict(window) for window in preset.weekly]
    return {**filled, **sent}


def fits(sent: Mapping[str, Any], grant: Grant, grantee: Person | None) -> None:
    """A preset is for the kind of person it is given to; teams and organisations are in care.

    Raises:
        BadValue: it is for other people.
    """
    if not _by_preset(sent):
        return
    kind = (grantee.kind if grantee else "") or "naaste"
    if grant.grantee.level != Level.PERSON:
        kind = "zorgverlener"
    if kind not in presets.PRESETS[str(sent["preset"])].kinds:
        raise BadValue("this preset is for other people", place="grant.preset")


def _by_preset(sent: Mapping[str, Any]) -> bool:
    return "preset" in sent and sent.get("effect") is None


def new(sent: Mapping[str, Any], grant: Grant, now: datetime) -> Grant:
    """A grant as somebody may send it, when it can mean something from `now` on.

    Raises:
        BadValue: it says what the server says, what no grant says, or nothing at all; with place.
    """
    if SET_BY_US.intersection(sent):
        raise BadValue("id, client, by and moments are set by the server", place="grant")
    if grant.status not in _STATUSES:
        raise BadValue("not a status of a new grant", place="grant.status")
    if grant.parent and grant.effect == "deny":
        raise BadValue("only a permit is passed on", place="grant.parent")
    if grant.to_who == grant.client:
        raise BadValue("the client himself needs no grant", place="grant.to_who")
    timely(grant, now)
    _says_something(grant)
    return grant


def timely(grant: Grant, now: datetime) -> None:
    """The period of a grant is one, and is not over.

    Raises:
        BadValue: with the place.
    """
    if grant.to is not None and grant.to <= now:
        raise BadValue("a period that is over", place="grant.to")
    if grant.from_ and grant.to and grant.to <= grant.from_:
        raise BadValue("ends before it begins", place="grant.to")
    if grant.data_from and grant.data_to and grant.data_to <= grant.data_from:
        raise BadValue("ends before it begins", place="grant.data_to")


def _says_something(grant: Grant) -> None:
    known = categories.types()
    if grant.types is not None and not grant.types <= known:
        raise BadValue("not a type of resource", place="grant.types")
    if grant.effect == "deny":
        return
    if grant.purposes is not None and grant.purposes & FORBIDDEN_PURPOSES:
        raise BadValue("a purpose nobody can permit", place="grant.purposes")
    for name in ("actions", "categories", "types", "purposes", "instances"):
        if getattr(grant, name) == frozenset():
            raise BadValue("an empty list permits nothing", place=f"grant.{name}")
    if grant.weekly is not None and all(start == end for start, end in grant.weekly):
        raise BadValue("no window that is ever open", place="grant.weekly")


def passed_on(grant: Grant, grants: Sequence[Grant], giver: str) -> Grant:
    """The parent of a grant that is passed on by `giver`; within it, and in no circle.

    Raises:
        Forbidden: not his to pass on, or further or more than his own.
        BadValue: the periods contradict each other.
    """
    by_id = {each.id: each for each in grants}
    parent = by_id.get(grant.parent)
    if parent is None or parent.to_who != giver:
        raise Forbidden("you have no such grant to pass on")
    if grant.depth > parent.depth - 1 or grant.to_who == giver:
        raise Forbidden("this goes further than your own grant")
    if not (grant.allowed <= parent.allowed and grant.contained <= parent.contained):
        raise Forbidden("this is more than your own grant")
    if grant.grantee.level == Level.PERSON and grant.to_who in _chain(parent, by_id):
        raise BadValue("this would go round in a circle", place="grant.to_who")
    if grant.from_ and parent.to and parent.to <= grant.from_:
        raise BadValue("begins after your own grant ends", place="grant.from")
    return parent


def _chain(grant: Grant, by_id: Mapping[str, Grant]) -> set[str]:
    """Everybody a grant came through, its first maker included."""
    people: set[str] = set()
    link: Grant | None = grant
    while link is not None and link.id not in people:
        people |= {link.id, link.to_who, link.by}
        link = by_id.get(link.parent)
    return people - set(by_id)


def fingerprint(value: Mapping[str, Any]) -> str:
    """What exactly a proposed grant says: equal when and only when the proposal is the same."""
    said = {name: each for name, each in value.items() if name not in _PASSING}
    return sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest()[:_FINGERPRINT]
