"""Who looked: audit lines as plain Dutch sentences for the client (`$wie-keek`). Pure.

Names are cleaned, not escaped: whoever puts a sentence on a page escapes it for that page.
What the reader may not see (lines about items sealed for him) is left out by the caller.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qsl
from zoneinfo import ZoneInfo

from pgo.audit.catalogue import EVENTS, GAP
from pgo.audit.entry import FAILED, OK, REFUSED, Entry
from pgo.plain import things
from pgo.plain.clean import listed
from pgo.plain.whole import MOST, remark, tidy, told, whole
from pgo.plain.words import (
    COUNT,
    DEEDS,
    KINDS,
    MONTHS,
    NOT_ALLOWED,
    OTHER,
    REFUSALS,
    REFUSALS_OF_YOU,
    REPRESENTS,
    SEARCH,
    SEND,
    VIEW,
    Deed,
)

_HERE: Final = ZoneInfo("Europe/Amsterdam")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_GRANTS: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})
_BY_GRANT: Final = "TOESTEMMING:"
_BY_LAW: Final = "VERTEGENWOORDIGER:"
_COUNTED: Final = frozenset({("_summary", "count"), ("_count", "0")})
"""Parameters of a search that is told a number and nothing else."""
_PERMITTED: Final = "Hiervoor is toestemming gegeven."
_TOO: Final = "Er is nog een toestemming."


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one person did on one day, in words.

    Attributes:
        lines: the sentences, in order; `text` is all of them.
        first, last: when, in Europe/Amsterdam. times: how many lines were merged.
        refused: whether these were refused attempts. emergency: noodtoegang.
        person: account id, or "".
        ids: ids of the lines this is about.
    """

    lines: tuple[str, ...]
    first: datetime
    last: datetime
    times: int
    refused: bool
    emergency: bool
    person: str
    ids: tuple[str, ...]

    @property
    def text(self) -> str:
        """All sentences as one text."""
        return " ".join(self.lines)


@dataclass(frozen=True, slots=True)
class _Reader:
    """For whom and how: whose dossier it is, who reads, what grants say."""

    now: datetime
    owner: str
    person: str
    grants: Mapping[str, Sequence[str]]

    def did(self, entry: Entry) -> bool:
        """Whether it was the reader himself."""
        return bool(self.person) and entry.person == self.person

    @property
    def dossier(self) -> str:
        return f"het dossier van {self.owner}" if self.owner else "uw dossier"


def sentences(
    entries: Iterable[Entry],
    *,
    easy: bool,
    now: datetime,
    owner: str = "",
    reader: str = "",
    grants: Mapping[str, Sequence[str]] = _NO_GRANTS,
) -> list[Sentence]:
    """What the lines say, in plain Dutch, oldest first; similar ones of one day are one.

    Args:
        entries: lines as `Trail.read` gives them; events that are not about looking into or
            changing the dossier are left out, and so are lines that law hides until later.
        easy: short sentences, at most 12 words each.
        now: with a time zone; for "vandaag" and "gisteren", and for lines hidden until later.
        owner: name of the client when somebody else reads; left out: "uw". The easy form uses
            the first name.
        reader: account id of who reads; his own lines say "U".
        grants: by id what a grant says, in whole sentences of the same form (easy or not).
    """
    called = tidy(owner)
    if easy:
        called = called.partition(" ")[0]
    whose = _Reader(now.astimezone(_HERE), called, reader, grants)
    until = (now - _EPOCH) // timedelta(microseconds=1)
    groups: dict[tuple[object, ...], list[Entry]] = {}
    for entry in entries:
        event = EVENTS.get(entry.interaction)
        if (event is None or event.shown) and entry.hide_until <= until:
            groups.setdefault(_alike(entry), []).append(entry)
    found = [_sentence(group, whose, easy=easy) for group in groups.values()]
    return sorted(found, key=lambda one: (one.first, one.ids))


def _alike(entry: Entry) -> tuple[object, ...]:
    """Lines with the same key are told as one."""
    if entry.interaction == GAP:
        return (GAP, _local(entry).date())
    who = (entry.person, entry.name, entry.kind, entry.org, entry.role, entry.on_behalf_of)
    why = (entry.app, entry.app_name, entry.emergency_code, entry.emergency_reason)
    what: tuple[object, ...] = (entry.reason,)
    if entry.outcome != REFUSED:
        codes = tuple(sorted(code for code, _ in entry.categories))
        what = (entry.grants, _means(entry), codes, not codes and things.noun(entry).one)
    return (_local(entry).date(), who, why, entry.outcome, _deed(entry), what)


def _sentence(group: list[Entry], whose: _Reader, *, easy: bool) -> Sentence:
    group.sort(key=lambda entry: (entry.at, entry.id))
    one = group[0]
    if one.interaction == GAP:
        lines = _gap_lines(group, whose, easy=easy)
    else:
        lines = _easy_lines(group, whose) if easy else _full_lines(group, whose)
    return Sentence(
        tuple(lines),
        _local(one),
        _local(group[-1]),
        len(group),
        one.outcome == REFUSED,
        bool(one.emergency_code) or one.interaction == "emergency",
        one.person,
        tuple(entry.id for entry in group),
    )


# --- the full form -------------------------------------------------------------------------------


def _full_lines(group: list[Entry], whose: _Reader) -> list[str]:
    one, times = group[0], len(group)
    again = f"{times} keer " if times > 1 else ""
    filled = _filled(one, whose, things.what(group, whose.owner), things.things(group), again)
    parts = [f"{_who(one, whose)} {filled}"]
    if one.on_behalf_of:
        parts.append(f"namens {_principal(one, whose)}")
    if app := _either(one.app_name, one.app):
        parts.append(f"met de app {app}")
    parts.append(_when(group))
    if times > 1 and one.outcome != OK:
        parts.append(f"{times} keer")
    return [whole(", ".join(parts)), *_outcome(one, whose), *_because(one, whose)]


def _who(entry: Entry, whose: _Reader) -> str:
    if whose.did(entry):
        return "U"
    about = [text for text in (_role(entry), _either(entry.org_name, entry.org)) if text]
    name = tidy(entry.name) or "Iemand"
    return f"{name} ({', '.join(about)})" if about else name


def _when(group: list[Entry]) -> str:
    first, last = _local(group[0]), _local(group[-1])
    day = _day(first)
    if first.strftime("%H:%M") == last.strftime("%H:%M"):
        return f"op {day} om {first:%H:%M}"
    return f"op {day} tussen {first:%H:%M} en {last:%H:%M}"


# --- the easy form: at most twelve words a sentence ----------------------------------------------


def _easy_lines(group: list[Entry], whose: _Reader) -> list[str]:
    one = group[0]
    name = tidy(one.name) or "Iemand"
    called = "U" if whose.did(one) else " ".join(name.split()[:_IN_NAME])
    counts = things.counts(group)
    told_of = group if len(counts) == 1 else [replace(one, categories=())]
    about = (things.what(told_of, whose.owner), things.things(told_of))
    lines = [whole(f"{called} {_filled(one, whose, *about, '')}")]
    if not whose.did(one):
        lines += told("De hele naam is:", name) if called != name else []
        lines += _about(one)
    lines.append(_easy_when(group, whose))
    if len(counts) > 1:
        words = things.each(counts)
        pairs = [words[i : i + 2] for i in range(0, len(words), 2)]
        lines += [f"Het ging om {listed(pair)}." for pair in pairs]
    if one.on_behalf_of:
        lines += told("Dat was namens", _principal(one, whose))
    if app := _either(one.app_name, one.app):
        lines += told("De app heet", app)
    return lines + _outcome(one, whose) + _because(one, whose, easy=True)


_IN_NAME: Final = 3
"""Words of a name in the first sentence, beside what was done."""


def _about(entry: Entry) -> list[str]:
    role, org = _role(entry), _either(entry.org_name, entry.org)
    both = f"{role} bij {org}" if role and org else role or org
    if len(f"Dit is: {both}".split()) <= MOST:
        return told("Dit is:", both)
    return told("Dit is:", role) + told("De organisatie heet", org)


def _easy_when(group: list[Entry], whose: _Reader) -> str:
    first, times = _local(group[0]), len(group)
    days = (whose.now.date() - first.date()).days
    day = {0: "vandaag", 1: "gisteren"}.get(days, f"op {_day(first)}")
    return f"Dat was {times} keer, {day}." if times > 1 else f"Dat was {day} om {first:%H:%M}."


# --- shared --------------------------------------------------------------------------------------


def _gap_lines(group: list[Entry], whose: _Reader, *, easy: bool) -> list[str]:
    many = len(group) > 1
    lines = [f"{len(group)} regels zijn niet te lezen." if many else "Eén regel is niet te lezen."]
    lines.append(_easy_when(group, whose) if easy else f"Dat was {_when(group)}.")
    return [*lines, "Meld dit bij de beheerder."]


def _filled(entry: Entry, whose: _Reader, what: str, things: str, times: str) -> str:
    deed = _deed(entry)
    form = deed.did if entry.outcome == OK else deed.wanted
    return form.format(times=times, what=what, things=things, dossier=whose.dossier)


def _deed(entry: Entry) -> Deed:
    """What was done; looking and finding nothing is searching, a batch of reads is looking.

    Who asked for a number only, counted: the line does not say how many there were.
    """
    deed = DEEDS.get(entry.interaction, OTHER)
    if deed is SEND and entry.code == "R":
        return VIEW
    searched = entry.interaction.startswith(("search-", "history-"))
    if not searched or entry.touched or entry.categories:
        return deed
    if _COUNTED.intersection(parse_qsl(entry.query.rpartition("?")[2])):
        return COUNT
    return SEARCH if entry.outcome == OK else deed


def _outcome(entry: Entry, whose: _Reader) -> list[str]:
    if entry.outcome == REFUSED:
        code = re.split("[:,]", entry.reason)[0]
        why = REFUSALS_OF_YOU.get(code) if whose.did(entry) else None
        why = why or REFUSALS.get(code)
        return [NOT_ALLOWED, why] if why else [NOT_ALLOWED]
    if entry.outcome == FAILED:
        return ["Dat lukte niet."]
    if entry.outcome != OK:
        return ["Dat lukte niet door een storing."]
    return ["Er was niets te zien."] if _deed(entry) is SEARCH else []


def _because(entry: Entry, whose: _Reader, *, easy: bool = False) -> list[str]:
    """On which permission, and whether it was an emergency."""
    if entry.emergency_code:
        reason = tidy(entry.emergency_reason, 300)
        said = remark("De reden was:", reason) if easy else [whole(f"De reden was: {reason}")]
        return ["Het was een noodgeval.", *(said if reason else [])]
    if entry.outcome != OK:
        return []
    if entry.reason.startswith(_BY_GRANT):
        return _permitted(entry, whose)
    laws = (part for part in entry.reason.split(",") if part.startswith(_BY_LAW))
    role = REPRESENTS.get(next(laws, "").removeprefix(_BY_LAW))
    who = "u" if whose.did(entry) else "deze persoon"
    return [f"Dat mag {who} als {role}."] if role else []


def _permitted(entry: Entry, whose: _Reader) -> list[str]:
    """What each grant that was used says; one that is not there any more by its id."""
    said: list[str] = []
    for grant in entry.grants or (entry.reason.removeprefix(_BY_GRANT),):
        lead = _TOO if said else _PERMITTED
        known = whose.grants.get(grant, ())
        said += [lead, *known] if known else told(f"{lead[:-1]}:", tidy(grant))
    return said


def _means(entry: Entry) -> str:
    """The reason, without the grant's id: which grants were used is told apart."""
    return _BY_GRANT if entry.reason.startswith(_BY_GRANT) else entry.reason


def _either(name: str, id_: str) -> str:
    """The name for people, or the id when there is no name."""
    return tidy(name) or tidy(id_)


def _principal(entry: Entry, whose: _Reader) -> str:
    """On whose behalf it was."""
    mine = whose.person and entry.on_behalf_of == whose.person
    return "u" if mine else tidy(entry.on_behalf_of_name) or "iemand anders"


def _role(entry: Entry) -> str:
    return tidy(entry.role) or KINDS.get(entry.kind, tidy(entry.kind))


def _local(entry: Entry) -> datetime:
    return (_EPOCH + timedelta(microseconds=entry.at)).astimezone(_HERE)


def _day(moment: datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
