"""Who looked: audit lines as plain Dutch sentences for the client (`$wie-keek`). Pure.

Names are cleaned, not escaped: whoever puts a sentence on a page escapes it for that page.
What the reader may not see (lines about items sealed for him) is left out by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from pgo.audit.catalogue import EVENTS, GAP
from pgo.audit.entry import FAILED, OK, REFUSED, Entry
from pgo.plain.clean import clean, listed
from pgo.plain.words import (
    DATA,
    DEEDS,
    KINDS,
    MONTHS,
    NOT_ALLOWED,
    NOUNS,
    OTHER,
    PERSONAL,
    REFUSALS,
    REPRESENTS,
    SEARCH,
    SEND,
    VIEW,
    Deed,
    Noun,
)

_HERE: Final = ZoneInfo("Europe/Amsterdam")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_NO_TITLES: Final[Mapping[str, str]] = MappingProxyType({})
_BY_GRANT: Final = "TOESTEMMING:"
_BY_LAW: Final = "VERTEGENWOORDIGER:"
_MOST: Final = 12
"""Words in a sentence of the easy form; what does not fit goes on in a next sentence."""


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
    """For whom and how: whose dossier it is, who reads, what grants are called."""

    now: datetime
    owner: str
    person: str
    titles: Mapping[str, str]

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
    titles: Mapping[str, str] = _NO_TITLES,
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
        titles: names of grants by id, for people.
    """
    called = clean(owner)
    if easy:
        called = called.partition(" ")[0]
    whose = _Reader(now.astimezone(_HERE), called, reader, titles)
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
        what = (entry.grants, _means(entry), codes, not codes and _noun(entry).one)
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
    filled = _filled(one, whose, _what(group, whose), _things(group), again)
    parts = [f"{_who(one, whose)} {filled}"]
    if one.on_behalf_of:
        parts.append(f"namens {clean(one.on_behalf_of_name) or 'iemand anders'}")
    if app := _either(one.app_name, one.app):
        parts.append(f"met de app {app}")
    parts.append(_when(group))
    lines = [", ".join(parts) + ("." if times == 1 or one.outcome == OK else f", {times} keer.")]
    return lines + _outcome(group) + _because(one, whose)


def _who(entry: Entry, whose: _Reader) -> str:
    if whose.person and entry.person == whose.person:
        return "U"
    about = [text for text in (_role(entry), _either(entry.org_name, entry.org)) if text]
    name = clean(entry.name) or "Iemand"
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
    mine = bool(whose.person) and one.person == whose.person
    name = clean(one.name) or "Iemand"
    called = "U" if mine else " ".join(name.split()[:_IN_NAME])
    counts = _counts(group)
    told = group if len(counts) == 1 else [replace(one, categories=())]
    lines = [f"{called} {_filled(one, whose, _what(told, whose), _things(told), '')}."]
    if not mine:
        lines += _told("De hele naam is:", name) if called != name else []
        lines += _about(one)
    lines.append(_easy_when(group, whose))
    if len(counts) > 1:
        nouns = [_thing(code, count) for code, count in counts.items()]
        pairs = [nouns[i : i + 2] for i in range(0, len(nouns), 2)]
        lines += [f"Het ging om {listed(pair)}." for pair in pairs]
    if one.on_behalf_of:
        lines += _told("Dat was namens", clean(one.on_behalf_of_name) or "iemand anders")
    if app := _either(one.app_name, one.app):
        lines += _told("De app heet", app)
    return lines + _outcome(group) + _easy_because(one, whose)


_IN_NAME: Final = 3
"""Words of a name in the first sentence, beside what was done."""


def _told(lead: str, text: str) -> list[str]:
    """A sentence that begins with `lead`; as many more as it takes to say all of `text`."""
    said, left = [], text.split()
    while left:
        room = _MOST - len(lead.split())
        said.append(f"{lead} {' '.join(left[:room])}")
        left, lead = left[room:], "En verder:"
        if left[:1] == ["en"]:
            left = left[1:]
    return [one if one.endswith((".", "…")) else f"{one}." for one in said]


def _about(entry: Entry) -> list[str]:
    role, org = _role(entry), _either(entry.org_name, entry.org)
    both = f"{role} bij {org}" if role and org else role or org
    if len(f"Dit is: {both}".split()) <= _MOST:
        return _told("Dit is:", both)
    return _told("Dit is:", role) + _told("De organisatie heet", org)


def _easy_because(entry: Entry, whose: _Reader) -> list[str]:
    """The same as `_because`, with a sentence for each permission."""
    if entry.emergency_code:
        reason = clean(entry.emergency_reason, 300)
        return ["Het was een noodgeval.", *_told("De reden was:", reason)]
    named = _permissions(entry, whose) if entry.outcome == OK else []
    if not named:
        return _because(entry, whose)
    first, *more = named
    lines = _told("Hiervoor is toestemming:", first)
    return lines + [line for one in more for line in _told("Er is ook toestemming:", one)]


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
    """What was done; looking and finding nothing is searching, a batch of reads is looking."""
    deed = DEEDS.get(entry.interaction, OTHER)
    if deed is SEND and entry.code == "R":
        return VIEW
    searched = entry.interaction.startswith(("search-", "history-"))
    nothing = entry.outcome == OK and not entry.touched and not _sum(entry)
    return SEARCH if searched and nothing else deed


def _outcome(group: list[Entry]) -> list[str]:
    one = group[0]
    if one.outcome == REFUSED:
        why = REFUSALS.get(one.reason.partition(":")[0])
        return [NOT_ALLOWED, why] if why else [NOT_ALLOWED]
    if one.outcome == FAILED:
        return ["Dat lukte niet."]
    if one.outcome != OK:
        return ["Dat lukte niet door een storing."]
    return ["Er was niets te zien."] if _deed(one) is SEARCH else []


def _because(entry: Entry, whose: _Reader) -> list[str]:
    """On which permission, and whether it was an emergency."""
    if entry.emergency_code:
        reason = clean(entry.emergency_reason, 300)
        return ["Het was een noodgeval.", *([f"De reden was: {reason}."] if reason else [])]
    if entry.outcome != OK:
        return []
    if named := _permissions(entry, whose):
        return [f"Hiervoor is toestemming: {listed(named)}."]
    role = REPRESENTS.get(_means(entry).removeprefix(_BY_LAW))
    return [f"Dat mag deze persoon als {role}."] if role else []


def _permissions(entry: Entry, whose: _Reader) -> list[str]:
    """What the grants that were used are called; none when it was not by a grant."""
    if not entry.reason.startswith(_BY_GRANT):
        return []
    grants = entry.grants or (entry.reason.removeprefix(_BY_GRANT),)
    named = [clean(whose.titles.get(grant, ""), 300) or clean(grant) for grant in grants]
    return [name.rstrip(".") for name in named]


def _means(entry: Entry) -> str:
    """The reason, without the grant's id: which grants were used is told apart."""
    return _BY_GRANT if entry.reason.startswith(_BY_GRANT) else entry.reason


def _either(name: str, id_: str) -> str:
    """The name for people, or the id when there is no name."""
    return clean(name) or clean(id_)


def _role(entry: Entry) -> str:
    return clean(entry.role) or KINDS.get(entry.kind, clean(entry.kind))


def _what(group: list[Entry], whose: _Reader) -> str:
    """What it was about: "uw zorgplan", "5 uitslagen en 2 metingen van Fenna"."""
    counts = _counts(group)
    if not counts:
        return _one_of(_noun(group[0]), whose, 0)
    if len(counts) == 1:
        ((code, count),) = counts.items()
        return _one_of(NOUNS.get(code, DATA), whose, count)
    words = _things(group)
    return f"{words} van {whose.owner}" if whose.owner else words


def _things(group: list[Entry]) -> str:
    """The same without whose it is: "het zorgplan", "5 uitslagen en 2 metingen"."""
    counts = _counts(group)
    if not counts:
        return _noun(group[0]).many
    return listed([_thing(code, count) for code, count in counts.items()])


def _one_of(noun: Noun, whose: _Reader, count: int) -> str:
    """One kind of thing and whose it is; count 0 says nothing about how many."""
    if count and not noun.one_only:
        words = _amount(noun, count)
        return f"{words} van {whose.owner}" if whose.owner else words
    if not whose.owner:
        return f"uw {noun.many}"
    return f"{noun.article if noun.one_only else 'de'} {noun.many} van {whose.owner}"


def _amount(noun: Noun, count: int) -> str:
    if noun.one_only:
        return f"{noun.article} {noun.one}"
    return f"{count} {noun.one if count == 1 else noun.many}" if count else noun.many


def _thing(code: str, count: int) -> str:
    return _amount(NOUNS.get(code, DATA), count)


def _counts(group: list[Entry]) -> dict[str, int]:
    """How many of each category; over merged lines each resource counts once."""
    counts: dict[str, int] = {}
    for entry in group:
        for code, count in entry.categories:
            counts[code] = max(count, counts.get(code, 0))
    whole = all(len(entry.resources) == entry.touched for entry in group)
    if len(counts) == 1 and whole and any(entry.resources for entry in group):
        names = {name.partition("@")[0] for entry in group for name in entry.resources}
        return dict.fromkeys(counts, len(names))
    return counts


def _sum(entry: Entry) -> int:
    return sum(count for _, count in entry.categories)


def _noun(entry: Entry) -> Noun:
    """The word for what was asked, when no category is known."""
    return PERSONAL if entry.type_ == "Patient" else DATA


def _local(entry: Entry) -> datetime:
    return (_EPOCH + timedelta(microseconds=entry.at)).astimezone(_HERE)


def _day(moment: datetime) -> str:
    return f"{moment.day} {MONTHS[moment.month - 1]} {moment.year}"
