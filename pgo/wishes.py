"""What somebody asked and the other has not agreed to yet: a grant, or one of the other openings.

A grant that waits is kept as a grant of status `proposed`. A wish to take off a seal, to name a
successor, to state a relation, to end a deny or to let a grant go on is kept beside the rules,
where no decision looks; it becomes the rule it asks for when it is agreed to, if that still means
the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pgo.agreement import Asked, stands
from pgo.consent import reading, sound
from pgo.consent.fhir_systems import ENDINGS
from pgo.consent.model import Person, World
from pgo.dossier.image import Image, Row
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Conflict
from pgo.moment import instant, moment
from pgo.standing import claimed, sent_relation

KIND: Final = "wish"
NAMED: Final = ("successor", "opvolger")
"""Where a dossier keeps who was named to take over."""
GRANT, UNSEAL, SUCCESSOR, RELATION, ADMIT = "grant", "unseal", "successor", "relation", "admit"
KEEP: Final = "keep"
_TARGETS: Final = {
    GRANT: "grant",
    UNSEAL: "seal",
    SUCCESSOR: "relation",
    RELATION: "relation",
    ADMIT: "deny",
    KEEP: "grant",
}
_LIVE: Final = frozenset({"active", "waakvlam"})
_FORMER: Final = frozenset({"given", "decided", "proposed_by", "approved_by", "by_name"})
_PROPOSED: Final = "proposed"
_SHOWN: Final = ("to_who", "waits", "proposed_by", "to")
_LISTED: Final = ("what", "status", "made", "decided", *_SHOWN, "approved_by", "revoked_by")
Kept = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """One thing that was asked; `rule` is the kind of rule it is kept as."""

    rule: str
    id: str
    kept: Kept

    @property
    def what(self) -> str:
        """What it is about: one of the words above."""
        return str(self.kept["what"]) if self.rule == KIND else GRANT

    @property
    def wants(self) -> dict[str, Any]:
        """What exactly is asked, for what is not a grant."""
        return dict(self.kept.get("wants", {}))

    @property
    def grant(self) -> str:
        """Id of the permit it is about, or ""."""
        if self.rule == GRANT:
            return self.id
        return str(self.wants["grant"]) if self.what == KEEP else ""

    @property
    def asked(self) -> Asked:
        """What the rules of agreement look at."""
        said = (str(self.kept.get(name, "")) for name in ("proposed_by", "to_who", "waits"))
        by, to, waits = said
        return Asked(by, to, _TARGETS[self.what], waits)

    @property
    def open(self) -> bool:
        """Whether nobody has settled it."""
        return bool(self.kept.get("status", "active") == _PROPOSED)

    def shown(self) -> dict[str, Any]:
        """Who asked, for whom, what it waits for, and the fingerprint to agree with."""
        said = {name: self.kept.get(name, "") for name in _SHOWN}
        there = {name: each for name, each in said.items() if each}
        return {"id": self.id, "soort": self.what, "precies": sound.fingerprint(self.kept), **there}

    def listed(self) -> dict[str, Any]:
        """As it stands in the list of rules: who asked what, and what came of it."""
        said = {name: self.kept[name] for name in _LISTED if self.kept.get(name)}
        return {"id": self.id, **said}

    def row(self, image: Image) -> Row | None:
        """The resource whose seal this is about."""
        return image.get(*self.wants["name"].split("/")) if self.what == UNSEAL else None

    def ended(self, status: str, by: str, at: int) -> Rule:
        """The rule when it is turned down, taken back, or over."""
        said = {"status": status, "waits": "", "revoked_by": by, "revoked": instant(at)}
        return Rule(self.rule, self.id, {**self.kept, **said})

    def handed_on(self, by: str, at: int, waits: str) -> Rule:
        """The rule when somebody makes it his own, and the other party has to agree to it."""
        said = {"by": by, "made": instant(at), "waits": waits, "proposed_by": by}
        return Rule(self.rule, self.id, {**self.kept, **said})


def asked(
    image: Image, what: str, wants: dict[str, Any], to: str, *, by: str, at: int, waits: str
) -> Rule:
    """The rule of a new wish; who asks exactly the same again, has asked it once."""
    said = {"what": what, "wants": wants, "to_who": to, "proposed_by": by, "waits": waits}
    for one in every(image):
        if one.open and all(one.kept.get(name) == each for name, each in said.items()):
            return Rule(KIND, one.id, dict(one.kept))
    own = {"by": by, "made": instant(at), "status": _PROPOSED, "salt": secrets.token_hex(16)}
    return Rule(KIND, f"w-{secrets.token_hex(8)}", {**said, **own})


def every(image: Image) -> list[Wish]:
    """Every wish that is not a grant, in the order they were asked."""
    found = (Wish(KIND, id_, kept) for id_, kept in image.rules(KIND).items())
    return sorted(found, key=lambda one: (str(one.kept["made"]), one.id))


def proposed(image: Image) -> list[Wish]:
    """All that nobody has settled: grants first, each kind in the order it was asked."""
    kept = sorted(image.rules(GRANT).items(), key=lambda one: int(one[1]["order"]))
    grants = [Wish(GRANT, id_, value) for id_, value in kept]
    return [one for one in (*grants, *every(image)) if one.open]


def found(image: Image, id_: str) -> Wish | None:
    """What has this id: a grant, in whatever state, or a wish."""
    for kind in (GRANT, KIND):
        kept = image.rule(kind, id_)
        if kept is not None:
            return Wish(kind, id_, kept)
    return None


def becomes(one: Wish, image: Image, *, by: str, yes_of: str, at: int) -> tuple[Rule, ...]:
    """The rules when `yes_of` has agreed to what `by` gives; what was settled comes last."""
    if one.rule == GRANT:
        said = {"by": by, "made": instant(at), "approved_by": yes_of, "status": "active"}
        return (Rule(GRANT, one.id, {**one.kept, **said, "waits": "", "decided": instant(at)}),)
    said = {"status": "agreed", "waits": "", "approved_by": yes_of, "decided": instant(at)}
    return (_effect(one, image, by, yes_of, at), Rule(KIND, one.id, {**one.kept, **said}))


def fallen(
    image: Image, world: World, child: Person, ended: Rule, by: str, at: int
) -> tuple[Rule, ...]:
    """What somebody asked, and may not ask any more when a relation of his has `ended` (at µs)."""
    asked_by = (ended.value or {}).get("person", "")
    kept = {**image.rules("relation"), ended.id: ended.value or {}}
    left = tuple(reading.relation(value) for value in kept.values())
    after = World.of(world.persons, left, world.grants, world.policy)
    return tuple(
        one.ended("inactive", by, at)
        for one in proposed(image)
        if one.asked.by == asked_by and not stands(after, child, one.asked, moment(at))
    )


def still_means(one: Wish, image: Image, now: datetime) -> None:
    """What is asked is still what it was when it was asked, and its time is not over.

    Raises:
        Conflict: a seal, a successor or a deny is not as it was; BadValue: a period is over.
    """
    if one.rule == GRANT:
        plain = {name: each for name, each in one.kept.items() if name != "order"}
        sound.timely(reading.grant(plain), now)
    elif one.what == RELATION:
        period = reading.relation(one.wants)
        if period.to is not None and period.to <= now:
            raise BadValue("a period that is over", place="relation.to")
    elif not _as_it_was(one, image):
        raise Conflict("what this is about has changed: ask it anew")


def answered(kept: Kept) -> tuple[bool, str, str]:
    """Whether what was asked was agreed to, who settled it ("" when nobody has), and when.

    What fell with the right of who asked it was not answered.
    """
    status = str(kept.get("status", "active"))
    if status == _PROPOSED:
        return False, "", ""
    if status == "rejected" or (status in ENDINGS and kept.get("waits")):
        return False, str(kept.get("revoked_by", "")), str(kept.get("revoked", ""))
    if kept.get("decided"):
        return True, str(kept.get("approved_by", "")), str(kept["decided"])
    return False, "", ""


def _as_it_was(one: Wish, image: Image) -> bool:
    wants = one.wants
    if one.what == UNSEAL:
        row, seal = one.row(image), image.rule("seal", wants["name"]) or {}
        return row is not None and row.live and seal.get("label", "") == wants["label"]
    if one.what == SUCCESSOR:
        return named(image) == str(wants["instead_of"])
    if one.what == KEEP:
        return wants == to_keep(wants["grant"], image.rule(GRANT, wants["grant"]) or {})
    deny = image.rule(GRANT, wants["grant"]) or {}
    return (deny.get("effect"), deny.get("status", "active")) == ("deny", "active")


def _effect(one: Wish, image: Image, by: str, yes_of: str, at: int) -> Rule:
    """The rule that was asked for."""
    wants = one.wants
    if one.what == UNSEAL:
        return unsealed(wants["name"], wants["becomes"])
    if one.what == SUCCESSOR:
        return succeeded(one.asked.to, by, at, approved_by=yes_of)
    if one.what == ADMIT:
        return admitted(wants["grant"], image.rule(GRANT, wants["grant"]) or {}, by, at)
    if one.what == KEEP:
        kept = image.rule(GRANT, wants["grant"]) or {}
        return given_on(wants["grant"], kept, by, at, approved_by=yes_of)
    relation, made = sent_relation(
        {name: each for name, each in wants.items() if name != "client"}, wants["client"]
    )
    return claimed(relation, made, by, at)


def unsealed(name: str, label: str) -> Rule:
    """The rule of a seal with this label; none for ""."""
    return Rule("seal", name, {"label": label} if label else None)


def named(image: Image) -> str:
    """Who was named to take over; "" for nobody."""
    return str((image.rule(*NAMED) or {}).get("person", ""))


def succeeded(person: str, by: str, at: int, **more: str) -> Rule:
    """The rule that names who takes over."""
    return Rule(*NAMED, {"person": person, "by": by, "made": instant(at), **more})


def admitted(id_: str, kept: Kept, by: str, at: int) -> Rule:
    """The rule of a grant or deny that `by` ends now, or that had ended before."""
    said = {"revoked": instant(at), "revoked_by": by}
    return Rule(GRANT, id_, {**said, **kept, "status": "inactive"})


def to_keep(id_: str, kept: Kept) -> dict[str, Any]:
    """What is asked when a grant has to go on: exactly this one, while nobody changed it."""
    live = str(kept.get("status", "active")) in _LIVE
    said = {"by": str(kept.get("by", "")), "made": str(kept.get("made", ""))}
    return {"grant": id_, "content": sound.fingerprint(kept) if live else "", **said}


def given_on(id_: str, kept: Kept, by: str, at: int, **more: str) -> Rule:
    """The rule of a grant that counts as given by `by` from now on, and says what it said.

    `given` is when it was given at first: whoever reads what is new was told of it then.
    """
    rest = {name: each for name, each in kept.items() if name not in _FORMER}
    first = str(kept.get("given") or kept["made"])
    return Rule(GRANT, id_, {**rest, "by": by, "made": instant(at), "given": first, **more})


def said_of(rule: Rule) -> dict[str, Any]:
    """A rule as who made it gets it back; of what waits for the other, what waits."""
    value = rule.value or {}
    if rule.kind != KIND:
        return {"id": rule.id, **value}
    return {**Wish(KIND, rule.id, value).shown(), "status": _PROPOSED}
