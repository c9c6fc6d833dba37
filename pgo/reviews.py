"""Noodtoegang afterwards: what was used, looked at by the client or who represents him."""

from __future__ import annotations

from typing import Any, Final

from pgo.door import Door
from pgo.dossier.log import Facet, Rule
from pgo.errors import BadValue, Conflict, NotFound
from pgo.house import House
from pgo.moment import instant
from pgo.office import Office, dossiers
from pgo.plain.clean import clean
from pgo.regie import Regie
from pgo.world import Rules

_LOGGING: Final = Facet("AuditEvent", ("logging",))
JUDGEMENTS: Final = ("akkoord", "niet-akkoord")
_NOTE: Final = 500
Group = dict[str, dict[str, Any]]


class Reviews(Regie):
    """One caller and the emergencies of one dossier."""

    async def listed(self) -> list[dict[str, Any]]:
        """Every use of noodtoegang, newest first: by whom, why, until when, and what was said."""
        async with self.call("overview") as call:
            await self._may_read(call, _LOGGING)
            hours = self._parts.policy.emergency_hours
            return [_shown(group, hours) for group in reversed(_uses(self).values())]

    async def judge(self, id_: str, judgement: str, note: str) -> dict[str, Any]:
        """Say what one thinks of it; `niet-akkoord` stays on the operator's list.

        Raises:
            NotFound: no such use; BadValue: no such judgement; Conflict: somebody was first.
        """
        if judgement not in JUDGEMENTS:
            raise BadValue("choose one of " + " ".join(JUDGEMENTS), place="oordeel")
        async with self.call("review") as call:
            await self._enter(call, "u")

            def build(_: Rules) -> tuple[Rule, ...]:
                self._beheren(call, target="audit", restrictive=True)
                group = _uses(self).get(id_)
                if group is None:
                    raise NotFound("there is no such use of noodtoegang")
                if all(kept["review"] != "open" for kept in group.values()):
                    raise Conflict("somebody judged this already")
                said = {"review": judgement, "reviewed_by": self.caller.person}
                said |= {"reviewed": instant(call.at), "review_note": clean(note, _NOTE)}
                return tuple(Rule("notice", each, kept | said) for each, kept in group.items())

            rules = await self._change(call, build)
        group = {rule.id: rule.value or {} for rule in rules}
        return _shown(group, self._parts.policy.emergency_hours)


async def for_operators(house: House, name: str) -> list[dict[str, str]]:
    """Uses of noodtoegang that nobody agreed to yet: who and when, never why or what."""
    found = []
    for client in await dossiers(house):
        office = Office(house, client, name)
        async with office.call("dossier-show"):
            uses = _uses(office)
        for group in uses.values():
            kept = list(group.values())[-1]
            if kept["review"] != "akkoord":
                said = {each: str(kept[each]) for each in ("person", "org", "code", "review")}
                at = instant(int(kept["opened"]))
                found.append({"dossier": client, "at": at, **said, "calls": str(len(group))})
    return sorted(found, key=lambda each: each["at"])


def _uses(door: Door) -> dict[str, Group]:
    """Calls of one emergency together, under the id of the first; oldest first."""
    notices = door.dossier.image.rules("notice").items()
    calls = [(id_, kept) for id_, kept in notices if kept.get("kind") == "noodtoegang"]
    groups: dict[tuple[str, int], Group] = {}
    for id_, kept in sorted(calls, key=lambda each: int(each[1]["at"])):
        groups.setdefault((str(kept["person"]), int(kept["opened"])), {})[id_] = kept
    return {next(iter(group)): group for group in groups.values()}


def _shown(group: Group, hours: float) -> dict[str, Any]:
    kept = list(group.values())[-1]
    end = int(kept["opened"]) + int(hours * 3600 * 1_000_000)
    said = ("person", "name", "org", "code", "reason", "review", "reviewed_by", "review_note")
    return {
        "id": next(iter(group)),
        **{name: kept.get(name, "") for name in said},
        "keren": len(group),
        "geopend": instant(int(kept["opened"])),
        "tot": instant(end),
    }
