"""Observation/$lastn: of each kind of observation the newest N that the caller may see.

Source: https://hl7.org/fhir/R4/operation-observation-lastn.html and, with fewer words, the same
operation of STU3. Codes are one kind when they share a coding, also by way of a third (translations
are equal); a code without codings counts by its text, letter for letter; no code at all is a kind
by itself. Of equal times at the edge all are given. What has no time comes last, newest first in
order of arrival, and is never given up for a tie.

An Observation with a modifierExtension that is not understood may mean the opposite of what it
says. It comes along where it belongs, `max` of each kind at most, and takes no other's place: who
must leave it out still has the newest that he can read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from pgo.cursor import Place
from pgo.dossier.asked import name_of
from pgo.dossier.image import Image, Row
from pgo.errors import BadValue, Missing, TooCostly, Unsupported
from pgo.fhir import answers, text
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, query_of
from pgo.fhir.index import STRANGE
from pgo.fhir.query import Query
from pgo.fhir.tables import name_number
from pgo.vault import Found, Page, Vault
from pgo.verdict import Verdict

MOST: Final = 1000
"""Observations in one answer, which has no pages."""
_MAX: Final = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)
_BYTES: Final = 300
"""Memory for what is remembered of one Observation, about."""
_KINDS: Final = frozenset({"category", "code", "combo-code", "component-code"})
Kind = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """One observation: its place in the dossier, the kinds its code names, when it was made.

    `strange`: something in it is not understood.
    """

    rid: int
    kinds: frozenset[Kind]
    time: int | None
    strange: bool = False


async def lastn(ask: Ask, vault: Vault) -> Reply:
    """Answer the operation as a searchset, newest first.

    Raises:
        Missing: in R4, neither a category nor a code; BadValue: `max`; NotFound: no dossier.
    """
    address = ask.address
    query, most = question(ask)
    asked = answers.query_text(ask.pairs)
    said = {"release": address.release, "type_": address.type, "query": asked}
    async with vault.call("lastn", **said) as call:
        verdict = await vault.known(call)
        vault.reach("s", address.type)
        rows = await newest_of(vault, verdict, query, most)
        if len(rows) > MOST:
            raise TooCostly("these are too many observations; ask for fewer kinds", place="max")
        page = await shown(vault, call, verdict, query, rows)
    at = f"{address.type}/$lastn"
    return Reply(200, answers.searchset(page, query, ask.base, asked, at))


async def newest_of(vault: Vault, verdict: Verdict, query: Query, most: int) -> list[Row]:
    """Of the Observations a query finds the newest `most` of each kind, newest first.

    Asked again while nothing changed it costs what it gives; else also a look at all it finds.
    """
    dossier = vault.dossier
    n, made = dossier.image.n, vault.made(verdict, query)
    name = name_of(("lastn", most), made.sql, made.args)
    rids = dossier.asked.find(n, name)
    if rids is None:
        places = dossier.image.select(made.sql, made.args)
        rids = tuple(_chosen(await _remembered(vault, places), places, most))
        dossier.asked.keep(n, name, rids)
    return dossier.image.rows(rids)


def _chosen(known: Mapping[int, _Known], places: Sequence[Place], most: int) -> list[int]:
    alike: dict[int, list[_Known]] = {}
    for rid, _ in places:
        one = known[rid]
        alike.setdefault(id(one.seen.kinds), []).append(one)
    seen = [each for some in alike.values() for each in _top([one.seen for one in some], most)]
    return newest(seen, most)


def question(ask: Ask) -> tuple[Query, int]:
    """What is asked of Observation, and how many of each kind.

    Raises:
        NotFound: another type; Missing, BadValue, Unsupported: a parameter.
    """
    release, type_ = ask.address.release, ask.address.type
    if type_ != "Observation":
        raise Unsupported("this operation is on Observation")
    wanted = [value for name, value in ask.pairs if name == "max"]
    if len(wanted) > 1 or any(not _MAX.fullmatch(value) for value in wanted):
        raise BadValue("write one whole number, 1 or more", place="max")
    pairs = [pair for pair in ask.pairs if pair[0] != "max"]
    query = query_of(ask, type_, pairs)
    if query.sort:
        raise Unsupported("this operation has an order of its own", place="_sort")
    codes = {clause.parameter.code for clause in query.clauses}
    if release == "r4" and not any("code" in code or code in _KINDS for code in codes):
        raise Missing("name a category or a code", place="category")
    return query, int(wanted[0]) if wanted else 1


async def shown(vault: Vault, call: Any, verdict: Any, query: Query, rows: list[Row]) -> Page:
    """These rows as one page, with what they include; written down in the call."""
    page = [] if query.counts_only else rows
    included = vault.included(verdict, query, page)
    call.touch([*page, *included], vault.dossier.image.facets)
    vault.because_of(call, verdict, page)
    found: list[Found] = await vault.texts(page, included, {})
    return Page(tuple(found), len(rows))


@dataclass(frozen=True, slots=True)
class _Known:
    """What is remembered of an Observation, and of which version it is."""

    ver: int
    seen: Seen


async def _remembered(vault: Vault, places: Sequence[Place]) -> Mapping[int, _Known]:
    """What these Observations are and when they were made, by `rid`.

    Worked out once per version and remembered with the open dossier, whoever asks; equal kinds are
    one object. Of 5,000 that were known this takes a millisecond, of as many that were not 80.
    """
    image = vault.dossier.image
    _, (known, same) = vault.dossier.memo.setdefault("lastn", (0, ({}, {})))
    fresh = [rid for rid, ver in places if rid not in known or known[rid].ver != ver]
    if fresh:
        rows = image.rows(fresh)
        kinds, times = await _kinds(vault, image, rows), _times(image, rows)
        strange = _strange(image, rows)
        for row in rows:
            of = same.setdefault(kinds[row.rid], kinds[row.rid])
            seen = Seen(row.rid, of, times.get(row.rid), row.rid in strange)
            known[row.rid] = _Known(row.ver, seen)
        vault.dossier.beside["lastn"] = _BYTES * len(known)
    found: Mapping[int, _Known] = known
    return found


async def _kinds(vault: Vault, image: Image, rows: Sequence[Row]) -> Mapping[int, frozenset[Kind]]:
    """The kinds each row's code names: its codings, or its text when there is none."""
    named = orjson.dumps([row.rid for row in rows]).decode()
    found = image.select(
        # The pluses keep SQLite from walking the index by value: a call on 1,500 rows of 5,000
        # took 708 ms, and takes 27 ms.
        "SELECT x.rid, x.sys, x.code FROM json_each(?) j"
        " CROSS JOIN tok x ON x.rid=j.value AND +x.p=? WHERE +x.code IS NOT NULL",
        (named, name_number("code")),
    )
    kinds: dict[int, set[Kind]] = {}
    for rid, system, code in found:
        kinds.setdefault(rid, set()).add((system, code))
    bare = [row for row in rows if row.rid not in kinds]
    for row, raw in zip(bare, await vault.dossier.texts(bare), strict=True):
        words = text.reread(raw).get("code", {}).get("text")
        kinds[row.rid] = {("text", words) if words is not None else ("alone", row.rid)}
    return {rid: frozenset(some) for rid, some in kinds.items()}


def _times(image: Image, rows: Sequence[Row]) -> Mapping[int, int | None]:
    named = orjson.dumps([row.rid for row in rows]).decode()
    found = image.select(
        "SELECT x.rid, max(x.lo) FROM json_each(?) j CROSS JOIN dat x ON x.rid=j.value AND +x.p=?"
        " GROUP BY x.rid",
        (named, name_number("date")),
    )
    return dict(found)


def _strange(image: Image, rows: Sequence[Row]) -> frozenset[int]:
    named = orjson.dumps([row.rid for row in rows]).decode()
    found = image.select(
        "SELECT x.rid FROM json_each(?) j CROSS JOIN tok x ON x.rid=j.value AND +x.p=?",
        (named, name_number(STRANGE)),
    )
    return frozenset(rid for (rid,) in found)


def newest(seen: Iterable[Seen], most: int) -> list[int]:
    """The `rid` of the newest `most` of each kind, newest first; pure."""
    groups = _groups(list(seen))
    chosen = [one for group in groups for one in _top(group, most)]
    return [one.rid for one in sorted(chosen, key=_age)]


def _age(one: Seen) -> tuple[bool, int, int]:
    return one.time is None, -(one.time or 0), -one.rid


def _top(group: list[Seen], most: int) -> list[Seen]:
    """The newest that are understood, and of the others the newest, as far back as those go."""
    strange = [one for one in group if one.strange]
    if not strange:
        return _cut(group, most)
    chosen = _cut([one for one in group if not one.strange], most)
    edge = chosen[most - 1].time if len(chosen) >= most else None
    others = [one for one in strange if edge is None or _reaches(one, edge)]
    return chosen + _cut(others, most)


def _reaches(one: Seen, edge: int) -> bool:
    return one.time is not None and one.time >= edge


def _cut(group: list[Seen], most: int) -> list[Seen]:
    """The newest, and those that tie with the last of them."""
    ordered = sorted(group, key=_age)
    if len(ordered) <= most:
        return ordered
    edge = ordered[most - 1].time
    tied = [one for one in ordered[most:] if edge is not None and one.time == edge]
    return ordered[:most] + tied


def _groups(seen: list[Seen]) -> list[list[Seen]]:
    """Observations by kind, where sharing one kind makes two sets of kinds the same."""
    parent: dict[Kind, Kind] = {}

    def root(kind: Kind) -> Kind:
        while parent.setdefault(kind, kind) != kind:
            parent[kind] = parent[parent[kind]]
            kind = parent[kind]
        return kind

    for one in seen:
        first, *others = one.kinds
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[Kind, list[Seen]] = {}
    for one in seen:
        groups.setdefault(root(next(iter(one.kinds))), []).append(one)
    return list(groups.values())
