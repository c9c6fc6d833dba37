"""$export of one dossier: asynchronous, as newline-delimited JSON; each file is decided anew.

Source: https://hl7.org/fhir/uv/bulkdata/STU2/export.html. It is started, asked how far it is, and
fetched file by file, all by the same person in the same app. Every step is a call of its own at
the door, with its own line; what a file showed is in the line of the call that fetched it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Any, Final

import orjson

from pgo.call import Call
from pgo.dossier.image import Row
from pgo.errors import BadValue, NotFound
from pgo.exporting import SECONDS, Export, Exports
from pgo.fhir import answers, binary
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, no_parameters
from pgo.fhir.elements import Release
from pgo.fhir.everything import Wanted, page, wanted_of
from pgo.fhir.given import Given, given
from pgo.fhir.large import BINARY
from pgo.fhir.spans import Span
from pgo.moment import http_date, instant
from pgo.past import Past, types_of
from pgo.vault import Vault
from pgo.verdict import Verdict

NDJSON: Final = b"application/fhir+ndjson"
_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})
_KNOWN: Final = ("_since", "_type", "_outputFormat")
_AT_ONCE: Final = 200
_STEP: Final = 4_000
"""Resources looked at before the one who asks is told to come back."""
_PART: Final = 50
_DELETED: Final = "Bundle"
_PER_BUNDLE: Final = 100
_GONE: Final = "there is no such export"


def starting(names: Callable[[], str] = lambda: secrets.token_hex(16)) -> Any:
    """The operation that starts an export; `names` makes names nobody can guess."""

    async def start(ask: Ask, vault: Vault) -> Reply:
        sent = given(ask)
        _demand(ask, sent)
        release, id_ = ask.address.release, ask.address.id
        asked = [pair for pair in sent.pairs if pair[0] != "_outputFormat"]
        wanted, query = wanted_of(asked, release), answers.query_text(sent.pairs)
        async with vault.call("export", release=release, query=query) as call:
            verdict = await vault.known(call)
            if id_:
                vault.newest(call, verdict, release, "Patient", id_)
            for type_ in wanted.types:
                vault.reach("s", type_)
            now = call.at // 1_000_000
            home = "/".join(filter(None, (ask.address.type, id_, "$export")))
            url = f"{ask.base}/{home}?{query}" if query else f"{ask.base}/{home}"
            made = Export(_who(vault), release, asked, url, vault.dossier.image.n, call.at, 0)
            made.expires, name = now + SECONDS, names()
            await _exports(vault).begin(name, made, now)
        where = (b"content-location", f"{ask.base}/$export/{name}".encode())
        return Reply(202, b"", [where])

    return start


def _demand(ask: Ask, sent: Given) -> None:
    sent.only(_KNOWN)
    if ask.prefer("respond-async", "absent") == "absent":
        raise BadValue("an export is asynchronous: send Prefer: respond-async", place="Prefer")
    form = sent.one("_outputFormat").replace(" ", "+")
    if form and form not in _FORMATS:
        raise BadValue("an export is application/fhir+ndjson", place="_outputFormat")


# --- how far it is -----------------------------------------------------------------------------


async def status(ask: Ask, vault: Vault) -> Reply:
    """202 with X-Progress while the list of files is being made, then 200 with the list.

    Raises:
        NotFound: no such export, another's, or it is over.
    """
    no_parameters(ask)
    name, release = ask.address.id, ask.address.release
    async with vault.call("export", release=release) as call:
        verdict, export = await _found(ask, vault, call)
        exports = _exports(vault)
        if not export.done:
            await _look(vault, verdict, export)
            await exports.keep(name, export)
        await exports.go_on(name, export, call.at // 1_000_000)
        deleted = export.done and bool(_deleted(vault, verdict, export))
    if not export.done:
        headers = [(b"x-progress", b"%d resources" % export.seen), (b"retry-after", b"1")]
        return Reply(202, b"", headers)
    home = f"{ask.base}/$export/{name}"
    files = [
        {"type": one.type, "url": f"{home}/{number}"} for number, one in enumerate(export.files)
    ]
    gone = [{"type": _DELETED, "url": f"{home}/{len(files)}"}] if deleted else []
    manifest = {
        "transactionTime": instant(export.at),
        "request": export.url,
        "requiresAccessToken": True,
        "output": files,
        "deleted": gone,
        "error": [],
    }
    ends = http_date(export.expires * 1_000_000).encode()
    headers = [(b"content-type", b"application/json"), (b"expires", ends)]
    return Reply(200, orjson.dumps(manifest), headers)


async def _look(vault: Vault, verdict: Verdict, export: Export) -> None:
    """Look at the next part of the dossier as it was; other requests get their turn in between."""
    wanted = replace(_wanted(export), count=_AT_ONCE)
    release = _release(export)
    for _ in range(_STEP // _AT_ONCE):
        rows, more = page(vault, verdict, release, wanted, (export.mark, export.n))
        for row in rows:
            export.add(row.type, row.rid)
        export.done = not more
        if export.done:
            return
        await asyncio.sleep(0)


async def cancel(ask: Ask, vault: Vault) -> Reply:
    """End an export; its files are not there any more.

    Raises:
        NotFound: no such export, another's, or it is over.
    """
    no_parameters(ask)
    async with vault.call("export", release=ask.address.release) as call:
        _, export = await _found(ask, vault, call)
        await _exports(vault).end(ask.address.id, export)
    return Reply(202)


# --- one file ----------------------------------------------------------------------------------


async def file(ask: Ask, vault: Vault) -> Reply:
    """One file: what of it the caller may see now, as it was when the export began.

    Raises:
        NotFound: no such file, another's, or it is over.
    """
    no_parameters(ask)
    async with vault.call("export", release=ask.address.release) as call:
        verdict, export = await _found(ask, vault, call)
        number, files = ask.address.version, export.files
        if not export.done or number > len(files):
            raise NotFound(_GONE)
        call.said["query"] = answers.query_text(export.asked)
        deleted = number == len(files)
        if deleted:
            rows = _deleted(vault, verdict, export)
        else:
            vault.reach("s", files[number].type)
            rows = await _rows(vault, verdict, export, number)
        if deleted and not rows:
            raise NotFound(_GONE)
        call.touch(rows, vault.dossier.image.facets)
        vault.because_of(call, verdict, rows)
    lines = _bundles(rows) if deleted else _lines(vault, rows)
    return Reply(200, b"", [(b"content-type", NDJSON)], lines)


async def _rows(vault: Vault, verdict: Verdict, export: Export, number: int) -> list[Row]:
    """The versions in a file, decided now."""
    stretch, release = export.files[number], _release(export)
    wanted = replace(_wanted(export), types=(stretch.type,), count=_AT_ONCE)
    found: list[Row] = []
    after, more = stretch.after, True
    while more and after < stretch.until:
        rows, more = page(vault, verdict, release, wanted, (after, export.n))
        found += [row for row in rows if row.rid <= stretch.until]
        after = rows[-1].rid if rows else stretch.until
        await asyncio.sleep(0)
    return found


async def _lines(vault: Vault, rows: Sequence[Row]) -> AsyncIterator[bytes]:
    """One resource per line; a large document line by line too, but part by part."""
    for start in range(0, len(rows), _PART):
        part = rows[start : start + _PART]
        if part[0].type == BINARY:
            for row in part:
                async for piece in binary.written(vault, row):
                    yield piece
                yield b"\n"
        else:
            found = await vault.texts(part, (), {})
            yield b"".join(one.text + b"\n" for one in found)


def _deleted(vault: Vault, verdict: Verdict, export: Export) -> list[Row]:
    """What was deleted since the moment asked for, and still was at the start; none without one."""
    wanted, release = _wanted(export), _release(export)
    if wanted.since is None:
        return []
    image = vault.dossier.image
    types = wanted.types or tuple(
        one for one in types_of(image, release) if vault.cap.allows("s", one)
    )
    past, span = Past(image, verdict, release, types), Span(since=wanted.since, count=_AT_ONCE)
    newest: dict[int, Row] = {}
    mark: tuple[int, int] | None = (export.n + 1, 0)
    while mark is not None:
        rows, mark = past.page(span, mark)
        for row in rows:
            newest.setdefault(row.rid, row)
    return [row for row in newest.values() if row.method == "DELETE"]


async def _bundles(rows: Sequence[Row]) -> AsyncIterator[bytes]:
    """Deletions as transactions that would delete the same."""
    for start in range(0, len(rows), _PER_BUNDLE):
        entries = [
            {"request": {"method": "DELETE", "url": f"{row.type}/{row.id}"}}
            for row in rows[start : start + _PER_BUNDLE]
        ]
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
        yield orjson.dumps(bundle) + b"\n"


# --- whose it is -------------------------------------------------------------------------------


async def _found(ask: Ask, vault: Vault, call: Call) -> tuple[Verdict, Export]:
    verdict = await vault.known(call)
    export = await _exports(vault).find(ask.address.id, call.at // 1_000_000)
    if export is None or export.who != _who(vault) or export.release != ask.address.release:
        raise NotFound(_GONE)
    return verdict, export


def _exports(vault: Vault) -> Exports:
    return Exports(vault.store, vault.dossier.keys.box, vault.client)


def _who(vault: Vault) -> list[str]:
    return [vault.caller.person, vault.caller.app, vault.caller.service]


def _wanted(export: Export) -> Wanted:
    return wanted_of(export.asked, _release(export))


def _release(export: Export) -> Release:
    return "stu3" if export.release == "stu3" else "r4"


STEPS: Final = {"$export-status": status, "$export-cancel": cancel, "$export-file": file}
"""What is asked of an export that was started, by what its address says."""
