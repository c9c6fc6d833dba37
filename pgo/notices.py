"""What is new for one person in one dossier: decided now, for him; never a copy kept elsewhere.

The list in the app and what is told by mail or webhook come from the same place: the dossier's own
log and rules. Who may no longer read something is not told of it either.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pgo.audit.entry import REFUSED
from pgo.call import Call
from pgo.consent import representation
from pgo.consent.life import to_confirm
from pgo.consent.model import Grant, Level
from pgo.consent.moments import moment
from pgo.consent.words import grantee_words
from pgo.dossier.image import Row
from pgo.dossier.log import Change, Delta, Facet, Rule
from pgo.errors import NotFound
from pgo.life import LIFE
from pgo.moment import instant, micros
from pgo.plain import notices as plain
from pgo.plain.notices import FIXED, URGENT, sentence
from pgo.plain.words import REPRESENTS
from pgo.regie import Regie
from pgo.shared import subject_name
from pgo.stopped import APP
from pgo.verdict import Verdict
from pgo.wishes import KIND, Wish, answered, every
from pgo.world import Rules, rules_of

CONTENT: Final[tuple[str, ...]] = ("uitslagen", "medicatie")
"""Categories whose changes are told to whoever may read them."""
_FROM_NOTICE: Final = {
    "noodtoegang": "noodtoegang",
    "beheer": "beheer",
    "regie": "regie",
    LIFE: LIFE,
    APP: APP,
}
_CONSENTS: Final = Facet("Consent", ("toestemmingen",))
_LOGGING: Final = Facet("AuditEvent", ("logging",))
_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True)
class Message:
    """One thing that is new: `kind` as in `pgo.plain.notices`, `at` µs, `times` how often.

    `said` is the whole text, for what says more than its kind.
    """

    id: str
    kind: str
    at: int
    times: int = 1
    what: str = ""
    today: bool = False
    event: str = ""
    said: str = ""

    def shown(self, *, easy: bool) -> dict[str, Any]:
        """As people and apps read it."""
        return {
            "id": self.id,
            "soort": self.kind,
            "op": instant(self.at),
            "dringend": self.kind in URGENT,
            "aantal": self.times,
            "tekst": self.said
            or sentence(self.kind, self.times, self.what, self.event, today=self.today, easy=easy),
        }


class Notices(Regie):
    """One caller and what is new for him in one dossier."""

    async def listed(self, since: int, *, easy: bool) -> dict[str, Any]:
        """Everything new since a moment (µs), newest first, and the grants to look at again."""
        async with self.call("messages") as call:
            verdict = await self._reader(call)
            self.reach("r", "Communication")
            written = self._written(call, verdict, since)
            found = [*written, *self._noticed(since), *await self._given(since, easy=easy)]
            found += await self._answers(since, easy=easy)
            found += await self._refused(verdict, since)
            again = self._again()
        found.sort(key=lambda one: (-one.at, one.id))
        return {"berichten": [one.shown(easy=easy) for one in found], "opnieuw_kijken": again}

    async def fresh(self, after: int, since: int) -> tuple[int, list[str]]:
        """The newest commit, and the kinds of what is new for the caller in commits after `after`.

        `since` (µs) is from when refused attempts count.
        """
        async with self.call("messages") as call:
            verdict = await self._reader(call)
            kinds: set[str] = set()
            while deltas := await self.dossier.deltas(after, _AT_ONCE):
                after = deltas[-1].n
                kinds.update(self._kinds(verdict, deltas))
            if await self._refused(verdict, since):
                kinds.add("geweigerd")
        return after, sorted(kinds)

    async def _reader(self, call: Call) -> Verdict:
        """Who may know of the dossier; noodtoegang is for content, which is told to the client."""
        if self.caller.emergency is not None:
            raise NotFound("not found")
        return await self.known(call)

    # --- from the log --------------------------------------------------------------------------

    def _kinds(self, verdict: Verdict, deltas: Iterable[Delta]) -> Iterable[str]:
        for delta in deltas:
            if delta.who.get("person") != self.caller.person:
                yield from (kind for one in delta.changes for kind in self._content(verdict, one))
            for rule in delta.rules:
                if kind := self._of_rule(rule, delta.at):
                    yield kind
                if self._answer(rule.kind, rule.value or {}, delta.at):
                    yield "antwoord"

    def _content(self, verdict: Verdict, change: Change) -> list[str]:
        """Which kinds a change is news of, for who may read the resource as it is now."""
        kinds = [kind for kind in CONTENT if kind in change.facet.categories]
        if not kinds or change.method == "DELETE":
            return []
        row = self.dossier.image.get(change.rel, change.type, change.id)
        return kinds if row is not None and row.live and verdict.sees(row) else []

    def _of_rule(self, rule: Rule, at: int) -> str:
        value = rule.value or {}
        if rule.kind == "notice":
            return _FROM_NOTICE.get(str(value.get("kind")), "") if self._is_for(value) else ""
        if not self._concerned() or not value:
            return ""
        if rule.kind == KIND:
            return "voorstel" if Wish(KIND, rule.id, value).open else ""
        if rule.kind == "grant" and value.get("effect") == "permit":
            if value.get("given") and value["made"] == instant(at):
                return ""  # it goes on as it was: nobody got anything
            return {"active": "toegang", "proposed": "voorstel"}.get(
                str(value.get("status", "active")), ""
            )
        return "verzoek" if (rule.kind, value.get("status")) == ("request", "open") else ""

    # --- as things are -------------------------------------------------------------------------

    def _written(self, call: Call, verdict: Verdict, since: int) -> list[Message]:
        """New and changed results and medicines, one message for each kind."""
        image, messages = self.dossier.image, []
        for kind in CONTENT:
            facets = [
                fid
                for fid, facet in image.facets.items()
                if kind in facet.categories and facet.author != self.caller.person
            ]
            found = image.select(
                f"SELECT rid FROM res WHERE live AND at >= ? AND facet IN ({_marks(facets)})",
                (since, *facets),
            )
            seen: list[Row] = [
                row for row in image.rows([r for (r,) in found]) if verdict.sees(row)
            ]
            if seen:
                call.touch(seen, image.facets)
                newest = max(row.at for row in seen)
                messages.append(Message(f"{kind}-{newest}", kind, newest, len(seen)))
        return messages

    def _noticed(self, since: int) -> list[Message]:
        return [
            Message(
                id_,
                _FROM_NOTICE[value["kind"]],
                int(value["at"]),
                what=str(value.get("what", "")),
                today=bool(value.get("today")),
                event=str(value.get("event", "")),
            )
            for id_, value in self.dossier.image.rules("notice").items()
            if value.get("kind") in _FROM_NOTICE
            and int(value["at"]) >= since
            and self._is_for(value)
        ]

    async def _given(self, since: int, *, easy: bool) -> list[Message]:
        """Who got access, what waits for an answer, who asked: for who represents the client."""
        if not self._concerned():
            return []
        image = self.dossier.image
        kinds = {"active": "toegang", "proposed": "voorstel"}
        grants = [
            (id_, kinds[str(value.get("status", "active"))], str(value.get("given", value["made"])))
            for id_, value in image.rules("grant").items()
            if value.get("effect") == "permit" and value.get("status", "active") in kinds
        ]
        waiting = [(one.id, "voorstel", str(one.kept["made"])) for one in every(image) if one.open]
        asked = [
            (id_, "verzoek", str(value["made"]))
            for id_, value in image.rules("request").items()
            if value["status"] == "open"
        ]
        found = [
            Message(id_, kind, at)
            for id_, kind, made in (*grants, *waiting, *asked)
            if (at := micros(moment(made))) >= since
        ]
        said = await self._access({one.id for one in found if one.kind == "toegang"}, easy=easy)
        return [replace(one, said=said.get(one.id, "")) for one in found]

    async def _access(self, ids: set[str], *, easy: bool) -> dict[str, str]:
        """Of these grants who got them, from whom and for what; for who may see who has access."""
        if not ids:
            return {}
        rules, said = rules_of(self.dossier, self._parts.policy), {}
        words = await self._words(rules, easy=easy)
        for grant in (one for one in rules.grants if one.id in ids):
            await self._meet(grant.to_who)
            kind = self._met[grant.to_who].kind if grant.to_who in self._met else ""
            names = await self._parts.people.names({grant.grantee.id, grant.by})
            names.setdefault(rules.subject.id, subject_name(self.dossier))
            known = kind if grant.grantee.level == Level.PERSON else ""
            said[grant.id] = plain.access(
                grantee_words(grant, names, known),
                "U" if grant.by == self.caller.person else names.get(grant.by, ""),
                " ".join(words[grant.id]),
                role=self._as_what(rules, grant),
                may_stop=self._may_stop(grant),
                easy=easy,
            )
        return said

    def _as_what(self, rules: Rules, grant: Grant) -> str:
        """As what somebody else represented the client when he gave a grant; "" for not at all."""
        if grant.made is None or grant.parent or grant.by in {rules.subject.id, self.caller.person}:
            return ""
        grounds = representation.bases(rules.world, rules.subject, grant.by, grant.made)
        return next((REPRESENTS[one.name] for one in grounds if one.name in REPRESENTS), "")

    def _may_stop(self, grant: Grant) -> bool:
        more = {"target": "grant", "restrictive": True, "grant_to": grant.to_who}
        return self._asked("beheren", grant.id, **more).permit

    async def _answers(self, since: int, *, easy: bool) -> list[Message]:
        """What others said to what the caller asked; named for who may see who has access."""
        image, told = self.dossier.image, []
        named = self._concerned()
        for kind in ("grant", KIND):
            for id_, value in image.rules(kind).items():
                at = micros(moment(answered(value)[2])) if self._answer(kind, value) else -1
                if at >= since:
                    said = await self._said(Wish(kind, id_, value), easy=easy) if named else ""
                    told.append(Message(f"{id_}-antwoord", "antwoord", at, said=said))
        return told

    async def _said(self, one: Wish, *, easy: bool) -> str:
        """Who said what to it."""
        agreed, by, _ = answered(one.kept)
        to = one.asked.to.partition(":")[2].partition("/")[0] or one.asked.to
        names = await self._parts.people.names({by, to} - {""})
        client = rules_of(self.dossier, self._parts.policy).subject.id
        names.setdefault(client, subject_name(self.dossier))
        return plain.answer(
            one.what, names.get(to, ""), names.get(by, ""), agreed=agreed, easy=easy
        )

    def _answer(self, kind: str, value: Mapping[str, Any], at: int = 0) -> bool:
        """Whether this is the answer of another to what the caller asked, given at `at` if any."""
        if kind not in {"grant", KIND} or value.get("proposed_by") != self.caller.person:
            return False
        _, by, when = answered(value)
        return by not in {"", self.caller.person} and (not at or when == instant(at))

    async def _refused(self, verdict: Verdict, since: int) -> list[Message]:
        """Attempts of others that were refused, one message for each day."""
        if not self._concerned() or not verdict.decide("lezen", _LOGGING).permit:
            return []
        days: Counter[int] = Counter()
        async for entry in self._parts.trail.read(self.client, since):
            if entry.outcome == REFUSED and entry.person != self.caller.person:
                days[entry.at // 86_400_000_000] += 1
        return [
            Message(f"geweigerd-{day}", "geweigerd", max(since, day * 86_400_000_000), count)
            for day, count in days.items()
        ]

    def _again(self) -> list[str]:
        if not self._concerned():
            return []
        rules = rules_of(self.dossier, self._parts.policy)
        return list(to_confirm(rules.world, rules.subject, self._parts.clock()))

    # --- for whom ------------------------------------------------------------------------------

    def _represents(self) -> bool:
        """The client, and who represents him now."""
        rules = rules_of(self.dossier, self._parts.policy)
        me, now = self.caller.person, self._parts.clock()
        if me == rules.subject.id:
            return True
        return bool(representation.bases(rules.world, rules.subject, me, now))

    def _concerned(self) -> bool:
        """Of these, who may see who has access."""
        return self._represents() and self.held_verdict.decide("lezen", _CONSENTS).permit

    def _is_for(self, notice: dict[str, Any]) -> bool:
        if self.caller.person in notice.get("for", ()):
            return True
        if notice.get("kind") == APP:
            return False
        return self._represents() if notice.get("kind") == "noodtoegang" else self._concerned()


def wanted(kinds: Sequence[str], off: frozenset[str]) -> list[str]:
    """Kinds that somebody is told of; emergency and new access cannot be switched off."""
    return [kind for kind in kinds if kind not in off or kind in FIXED]


def _marks(values: Sequence[int]) -> str:
    return ",".join("?" * len(values))
