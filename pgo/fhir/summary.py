"""Patient/$summary (R4): a summary as a document, made of what the caller may read now.

Source: http://hl7.org/fhir/uv/ips/OperationDefinition/summary. The document has the sections and
codes of the International Patient Summary but claims none of its profiles: what is in it is as it
was brought, whoever brought it. A section that is empty says that nothing can be shown, never that
nothing is known: what is hidden from the caller and what is not there look the same. Nothing is
stored; each call makes a new document.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import compress
from operator import not_
from typing import Any, Final
from uuid import UUID

import orjson

from pgo.call import Call
from pgo.dossier.image import Row
from pgo.errors import NotFound
from pgo.fhir import summary_words, text
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, Operation
from pgo.fhir.given import given
from pgo.fhir.index import STOPS
from pgo.fhir.lastn import newest_of
from pgo.fhir.query import parse
from pgo.fhir.summary_sections import SECTIONS, Section, current, stopped_at, understood
from pgo.fhir.tables import name_number
from pgo.fhir.written import references
from pgo.moment import instant, micros
from pgo.shown import Found
from pgo.vault import Vault
from pgo.verdict import Verdict

MOST: Final = 100
"""Resources looked at for one search of a section; the narrative says when there are more."""
_NAMED: Final = (
    *("Medication", "Practitioner", "PractitionerRole", "Organization", "Device", "Location"),
    *("Specimen", "RelatedPerson"),
)
_STEPS: Final = 2
_LOINC: Final = "http://loinc.org"
_KIND: Final = ("60591-5", "Patient summary Document")
_REASON: Final = {
    "system": "http://terminology.hl7.org/CodeSystem/list-empty-reason",
    "code": "unavailable",
    "display": "Unavailable",
}


@dataclass(slots=True)
class _Kept:
    """A section with what goes into it: certain, not certain, and whether there was more.

    `reported`: medicines of somebody who is no professional; `by` his name, by id of the row.
    """

    section: Section
    sure: list[Found] = field(default_factory=list)
    unsure: list[Found] = field(default_factory=list)
    reported: list[Found] = field(default_factory=list)
    by: dict[int, str] = field(default_factory=dict)
    more: bool = False

    def found(self) -> list[Found]:
        """All that is in it."""
        return [*self.sure, *self.reported, *self.unsure]


def summary(clock: Callable[[], datetime], fresh: Callable[[], UUID]) -> Operation:
    """The operation; `clock` says what is current, `fresh` names the document."""

    async def answer(ask: Ask, vault: Vault) -> Reply:
        given(ask).only(())
        address, now = ask.address, clock()
        said = {"release": address.release, "type_": "Patient"}
        async with vault.call("summary", **said) as call:
            verdict = await vault.known(call)
            vault.reach("r", "Patient")
            patient = _patient(vault, call, verdict, address.id)
            kept = [await _section(vault, verdict, one, now) for one in SECTIONS]
            found = _unique(one.found() for one in kept)
            around = _around(vault, verdict, [one.row for one in found])
            rows = [patient, *(one.row for one in found), *around]
            call.touch(rows, vault.dossier.image.facets)
            vault.because_of(call, verdict, rows)
            [client, *others] = await vault.texts([patient, *around], (), {})
            _doubt(kept, others)
        return Reply(200, _document(ask, now, fresh(), client, kept, [*found, *others]))

    return answer


def _patient(vault: Vault, call: Call, verdict: Verdict, id_: str) -> Row:
    """The client's Patient; the one that is named, or the dossier's own."""
    own = vault.dossier.image.patient("r4")
    if own is None and not id_:
        raise NotFound("not found")
    return vault.newest(call, verdict, "r4", "Patient", id_ or (own.id if own else ""))


# --- what goes into it -------------------------------------------------------------------------


async def _section(vault: Vault, verdict: Verdict, section: Section, now: datetime) -> _Kept:
    kept = _Kept(section)
    found: list[Found] = []
    for type_, pairs in section.searches:
        if vault.cap.allows("s", type_):
            known = vault.dossier.searches["r4"]
            query = parse("r4", type_, pairs, parameters=known)
            if section.newest:
                rows = await newest_of(vault, verdict, query, 1)
            else:
                places = vault.places(verdict, query)[: MOST + 1]
                rows = vault.dossier.image.rows([rid for rid, _ in places])
            kept.more = kept.more or len(rows) > MOST
            found += await vault.texts(rows[:MOST], (), {})
    medicines = found and section is SECTIONS[0]
    stopped, doubted = await _stopped(vault, verdict) if medicines else ({}, {})
    if medicines:
        kept.by = await vault.reported([one.row for one in found])
    for one in found:
        tree = text.reread(one.text)
        if current(tree, micros(now), stopped):
            sure = understood(tree) and current(tree, micros(now), doubted)
            told = kept.reported if one.row.rid in kept.by else kept.sure
            (told if sure else kept.unsure).append(one)
    return kept


async def _stopped(vault: Vault, verdict: Verdict) -> tuple[Mapping[str, int], Mapping[str, int]]:
    """When treatments were stopped last, by what the caller may see.

    And when by what has something in it that is not understood, or by somebody who is no
    professional: such a stop is not certain.
    """
    types = ("MedicationRequest", "MedicationDispense", "MedicationStatement")
    visible, args = verdict.visible("r4", types)("r")
    marks = ",".join("?" * len(types))
    found = vault.dossier.image.select(
        "SELECT r.rid FROM res r WHERE r.rel='r4' AND r.live=1"
        f" AND r.type IN ({marks}) AND ({visible})"
        " AND (EXISTS (SELECT 1 FROM tok x WHERE x.rid=r.rid AND +x.p=?)"
        " OR EXISTS (SELECT 1 FROM dat x WHERE x.rid=r.rid AND +x.p=?))",
        (*types, *args, name_number(STOPS), name_number("is-latest-stop")),
    )
    rows = vault.dossier.image.rows([rid for (rid,) in found])
    stops = [text.reread(raw) for raw in await vault.dossier.texts(rows)]
    told = await vault.reported(rows)
    sure = [understood(tree) and row.rid not in told for row, tree in zip(rows, stops, strict=True)]
    return stopped_at(compress(stops, sure)), stopped_at(compress(stops, map(not_, sure)))


def _doubt(kept: Iterable[_Kept], others: Iterable[Found]) -> None:
    """What names something that is not understood is not certain either."""
    strange = {
        f"{one.row.type}/{one.row.id}"
        for one in others
        if one.row.type == "Medication" and not understood(text.reread(one.text))
    }
    for section in kept if strange else ():
        for told in (section.sure, section.reported):
            for one in list(told):
                if strange.intersection(references(text.reread(one.text))):
                    told.remove(one)
                    section.unsure.append(one)


def _unique(groups: Iterable[list[Found]]) -> list[Found]:
    return list({one.row.rid: one for group in groups for one in group}.values())


def _around(vault: Vault, verdict: Verdict, rows: list[Row]) -> list[Row]:
    """Who and what these name, as far as the caller may see it: two steps."""
    types = [one for one in _NAMED if vault.cap.allows("r", one)]
    visible, args = verdict.visible("r4", types)("b")
    known = {row.rid for row in rows}
    found: list[Row] = []
    front = rows
    for _ in range(_STEPS):
        rids = orjson.dumps([row.rid for row in front]).decode()
        reached = vault.dossier.image.select(
            "SELECT DISTINCT b.rid FROM json_each(?) j CROSS JOIN lnk l ON l.rid=j.value"
            " CROSS JOIN res b ON b.rel='r4' AND b.type=l.type AND b.id=l.id"
            " WHERE b.live=1 AND b.type IN (SELECT value FROM json_each(?))"
            f" AND ({visible}) ORDER BY b.rid",
            (rids, orjson.dumps(types).decode(), *args),
        )
        front = vault.dossier.image.rows([rid for (rid,) in reached if rid not in known])
        known |= {row.rid for row in front}
        found += front
    return found


# --- the document ------------------------------------------------------------------------------


def _document(
    ask: Ask, now: datetime, id_: UUID, client: Found, kept: list[_Kept], others: list[Found]
) -> bytes:
    at = instant(micros(now))
    names = {
        f"{one.row.type}/{one.row.id}": summary_words.called(text.reread(one.text))
        for one in others
        if one.row.type in _NAMED
    }
    sections = [_drawn(ask, one, names) for one in kept if one.found() or _must(one)]
    composition = {
        "resourceType": "Composition",
        "id": str(id_),
        "language": "nl",
        "text": _narrative(summary_words.div((), summary_words.INTRO)),
        "status": "final",
        "type": {"coding": [{"system": _LOINC, "code": _KIND[0], "display": _KIND[1]}]},
        "subject": {"reference": _url(ask, client)},
        "date": at,
        "author": [{"display": "Het persoonlijke dossier zelf"}],
        "title": "Samenvatting",
        "section": sections,
    }
    entries = [{"fullUrl": f"urn:uuid:{id_}", "resource": composition}]
    entries += [
        {"fullUrl": _url(ask, one), "resource": orjson.Fragment(one.text)}
        for one in (client, *others)
    ]
    bundle = {
        "resourceType": "Bundle",
        "language": "nl",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{id_}"},
        "type": "document",
        "timestamp": at,
        "entry": entries,
    }
    return orjson.dumps(bundle)


def _must(kept: _Kept) -> bool:
    return kept.section.always


def _drawn(ask: Ask, kept: _Kept, names: Mapping[str, str]) -> dict[str, Any]:
    """One section; what is not certain is a section in it, with a warning and no other claim."""
    section = kept.section
    coding = {"system": _LOINC, "code": section.code, "display": section.display}
    made: dict[str, Any] = {"title": section.title, "code": {"coding": [coding]}}
    notes = [summary_words.MORE] if kept.more else []
    if not kept.found():
        notes.insert(0, summary_words.EMPTY)
    if kept.sure or notes:
        made["text"] = _narrative(summary_words.div(_lines(kept, kept.sure, names), *notes))
    if kept.sure:
        made["entry"] = [{"reference": _url(ask, one)} for one in kept.sure]
    elif not kept.found():
        made["emptyReason"] = {"coding": [_REASON]}
    apart = (
        ("opgegeven, niet voorgeschreven", kept.reported, summary_words.REPORTED),
        ("niet zeker", kept.unsure, summary_words.UNSURE),
    )
    inner = [
        {
            "title": f"{section.title}: {title}",
            "text": _narrative(summary_words.div(_lines(kept, found, names), note)),
            "entry": [{"reference": _url(ask, one)} for one in found],
        }
        for title, found, note in apart
        if found
    ]
    return made | ({"section": inner} if inner else {})


def _lines(kept: _Kept, found: list[Found], names: Mapping[str, str]) -> list[str]:
    """A line each; what somebody reported says by whom."""
    return [
        summary_words.line(text.reread(one.text), names, kept.by.get(one.row.rid, ""))
        for one in found
    ]


def _narrative(div: str) -> dict[str, str]:
    return {"status": "generated", "div": div}


def _url(ask: Ask, found: Found) -> str:
    return f"{ask.base}/{found.row.type}/{found.row.id}"
