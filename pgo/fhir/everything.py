"""Patient/$everything: all of a dossier's release that the caller may read, page by page.

Source: https://hl7.org/fhir/R4/operation-patient-everything.html; STU3 the same. One dossier is
one client, so the compartment is the dossier, with the carers and places it names. The pages are
those of one moment: a cursor holds the commit they are about and how far the reader is, so what
is written in between shows up on none of them. What a page shows is decided when it is asked for.

`start` and `end` are about care: what has a time of care outside them is left out. What lasts until
it is said to end (a condition, an allergy) and what has no time is always there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from pgo.cursor import Place
from pgo.dossier.image import Row
from pgo.errors import BadValue
from pgo.fhir import answers
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask
from pgo.fhir.elements import Release, stored
from pgo.fhir.given import Given, given
from pgo.fhir.moments import interval
from pgo.fhir.query import PAGE as MOST
from pgo.fhir.query import Query
from pgo.fhir.tables import name_number
from pgo.shown import PAGE, Page
from pgo.vault import Vault
from pgo.verdict import Verdict

_NAME: Final = "$everything"
_KNOWN: Final = ("start", "end", "_since", "_type", "_count")
_COUNT: Final = re.compile(r"[0-9]{1,6}", re.ASCII)
_LASTING: Final = ("Patient", "AllergyIntolerance", "Condition", "Flag")
_CARE: Final = (
    *("date", "effective", "authoredon", "authored-on", "occurrence", "performed", "period"),
    *("whenhandedover", "whenprepared", "period-of-use", "periodofuse", "sent", "created"),
)
"""Search parameters that say when care was, or is to be, given."""
_CHUNK: Final = 256
_AS_OF: Final = "SELECT max(v.ver) FROM ver v WHERE v.rid=r.rid AND v.n<=?"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of what is everything asked: µs for moments, None for no bound; no types: all."""

    types: tuple[str, ...] = ()
    since: int | None = None
    start: int | None = None
    end: int | None = None
    count: int = PAGE


async def everything(ask: Ask, vault: Vault) -> Reply:
    """Answer the operation on the client's Patient, or on the type, which is the same one.

    Raises:
        NotFound: no such Patient for this caller, or a page that is over; BadRequest: a parameter.
    """
    release, id_ = ask.address.release, ask.address.id
    sent = given(ask)
    sent.only((*_KNOWN, "_cursor"))
    cursor, asked = sent.one("_cursor"), answers.query_text(sent.pairs)
    if cursor and len(sent.pairs) > 1:
        raise BadValue("a later page has no other parameters", place="_cursor")
    wanted = wanted_of(sent.pairs, release)
    said = {"release": release, "type_": "Patient", "query": asked}
    async with vault.call("everything", **said) as call:
        verdict = await vault.known(call)
        vault.reach("s", "Patient")
        if id_:
            vault.newest(call, verdict, release, "Patient", id_)
        about = Query(release, f"{_NAME}/{id_}", used=sent.pairs)
        mark = (0, vault.dossier.image.n)
        if cursor:
            kept, _ = await vault.kept_cursor(cursor, release, about.type)
            about = replace(about, used=tuple((name, value) for name, value in kept.pairs))
            wanted, mark = wanted_of(about.used, release), kept.rest[0]
            call.said["query"] = kept.asked
        for type_ in wanted.types:
            vault.reach("s", type_)
        rows, more = page(vault, verdict, release, wanted, mark)
        call.touch(rows, vault.dossier.image.facets)
        vault.because_of(call, verdict, rows)
        found = tuple(await vault.texts(rows, (), {}))
        here = str(call.said["query"])
        after = [(rows[-1].rid, mark[1])] if more else []
        next_ = await vault.keep_cursor(about, here, after) if after else ""
    home = "/".join(filter(None, ("Patient", id_, _NAME)))
    shape = Query(release, "Patient", total="none")
    return Reply(200, answers.searchset(Page(found, 0, next_), shape, ask.base, asked, home))


def wanted_of(pairs: Sequence[tuple[str, str]], release: Release) -> Wanted:
    """What the parameters mean.

    Raises:
        BadValue: a value that is not of its kind, or a parameter given twice.
    """
    sent = Given(tuple(pairs))
    types = [one for name, text in pairs if name == "_type" for one in text.split(",")]
    if not stored(release).issuperset(types):
        raise BadValue("write types of resource, with commas", place="_type")
    since, start, end = (_moment(sent, name) for name in ("_since", "start", "end"))
    count = sent.one("_count") or str(PAGE)
    if not _COUNT.fullmatch(count):
        raise BadValue("write a whole number", place="_count")
    return Wanted(
        tuple(dict.fromkeys(types)),
        since[0] if since else None,
        start[0] if start else None,
        end[1] if end else None,
        max(1, min(int(count), MOST)),
    )


def _moment(sent: Given, name: str) -> tuple[int, int] | None:
    text = sent.one(name)
    try:
        return interval(text.replace(" ", "+")) if text else None
    except ValueError:
        raise BadValue("this is not a moment", place=name) from None


# --- one page ----------------------------------------------------------------------------------


def page(
    vault: Vault, verdict: Verdict, release: Release, wanted: Wanted, mark: Place
) -> tuple[list[Row], bool]:
    """The versions of one page, and whether there are more.

    `mark` is the row after which to go on and the commit as of which the pages are. A version is
    shown when the caller may see it now, and may see the newest one too; of the newest one the
    statement itself has decided.
    """
    image, (after, n) = vault.dossier.image, mark
    made: list[Row] = []
    while len(made) <= wanted.count:
        sql, args = _statement(vault, verdict, release, wanted, (after, n))
        found = image.select(sql, args)
        vers = dict(found)
        newest = image.rows([*vers])
        then = (
            row
            if row.live and row.ver == vers[row.rid]
            else vault.then(verdict, row, vers[row.rid])
            for row in newest
        )
        made += [row for row in then if row and (wanted.since is None or row.at >= wanted.since)]
        if len(found) < _CHUNK:
            break
        after = found[-1][0]
    return made[: wanted.count], len(made) > wanted.count


def _statement(
    vault: Vault, verdict: Verdict, release: Release, wanted: Wanted, mark: Place
) -> tuple[str, list[Any]]:
    """Rows after a mark, in order of arrival, with the version each had in the commit."""
    after, n = mark
    visible, bound = verdict.visible(release, wanted.types or None)("r")
    # The plus keeps SQLite from listing the whole release: a page took 3 ms and takes 0.5 ms.
    rel = "r.rel=?" if wanted.types else "+r.rel=?"
    where, args = ["r.rid>?", rel, f"({visible})"], [after, release, *bound]
    if wanted.types:
        where.append("r.type IN (SELECT value FROM json_each(?))")
        args.append(orjson.dumps(wanted.types).decode())
    else:
        closed = {facet.type for facet in vault.dossier.image.facets.values()}
        closed = {one for one in closed if not vault.cap.allows("s", one)}
        where.append("r.type NOT IN (SELECT value FROM json_each(?))")
        args.append(orjson.dumps(sorted(closed)).decode())
    if wanted.since is not None:
        where.append("r.at>=?")
        args.append(wanted.since)
    if wanted.start is not None or wanted.end is not None:
        sql, more = _care(wanted)
        where.append(sql)
        args += more
    sql = (
        f"SELECT r.rid, ({_AS_OF}) AS ver FROM res r"
        f" WHERE {' AND '.join(where)} AND ver IS NOT NULL ORDER BY r.rid LIMIT {_CHUNK}"
    )
    return sql, [n, *args]


def _care(wanted: Wanted) -> tuple[str, list[Any]]:
    """What lasts, what has no time of care, and what has one between the bounds."""
    number = orjson.dumps([name_number(code) for code in _CARE]).decode()
    timed = (
        "SELECT 1 FROM dat x WHERE x.rid=r.rid"
        " AND +x.p IN (SELECT value FROM json_each(?)) AND x.lo IS NOT NULL"
    )
    lasting = ",".join(f"'{one}'" for one in _LASTING)
    bounds = [2**62 if wanted.end is None else wanted.end]
    bounds.append(-(2**62) if wanted.start is None else wanted.start)
    within = f"{timed} AND x.lo<? AND x.hi>?"
    sql = f"(r.type IN ({lasting}) OR NOT EXISTS ({timed}) OR EXISTS ({within}))"
    return sql, [number, number, *bounds]
