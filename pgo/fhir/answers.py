"""FHIR answers: resources, Bundles and outcomes as bytes; stored texts go out as they are.

A stored text is never parsed on its way out: it is put into a Bundle as a fragment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote

import orjson

from pgo.errors import PgoError
from pgo.fhir.elements import Release
from pgo.fhir.formats import Format
from pgo.fhir.query import Query
from pgo.fhir.subset import wanted
from pgo.fhir.unless import Unless
from pgo.moment import http_date, instant
from pgo.shown import Found, Outcome, Page
from pgo.web import Answer, Headers, render

_MATCH: Final = b',"search":{"mode":"match"}},'
_INCLUDED: Final = b',"search":{"mode":"include"}},'


@dataclass(slots=True)
class Reply:
    """One answer before the server's own headers are put on.

    A long one has `parts` in place of a body: they are sent one by one, as they are made; `length`
    is how many bytes they are together, when that is known.
    """

    status: int
    body: bytes = b""
    headers: Headers = field(default_factory=list)
    parts: AsyncIterator[bytes] | None = None
    length: int | None = None

    def answer(self, form: Format, release: Release) -> Answer:
        """In the form that was asked for; what names its own media type goes out as it is."""
        if not self.body or b"content-type" in dict(self.headers):
            return Answer(self.status, self.headers, self.body)
        media = (b"content-type", form.media)
        return Answer(self.status, [media, *self.headers], form.body(self.body, release))


def etag(version: int) -> str:
    """A weak ETag of a version number."""
    return f'W/"{version}"'


def resource(
    found: Found, status: int = 200, unless: Unless | None = None, part: Query | None = None
) -> Reply:
    """One resource version with ETag and Last-Modified; without text for who has it already.

    `part` is what is asked of it, when that is not all.
    """
    headers: Headers = [
        (b"etag", etag(found.row.ver).encode()),
        (b"last-modified", http_date(found.row.at).encode()),
    ]
    if unless is not None and unless.had(found.row.ver, found.row.at):
        return Reply(304, b"", headers)
    return Reply(status, found.text if part is None else wanted(part, found.text), headers)


def changed(outcome: Outcome, base: str, prefer: str) -> Reply:
    """The answer to a create, update or delete; `prefer` is minimal, representation or outcome."""
    row = outcome.row
    headers: Headers = []
    if row is not None:
        headers = [
            (b"etag", etag(row.ver).encode()),
            (b"last-modified", http_date(row.at).encode()),
            (b"location", f"{base}/{row.type}/{row.id}/_history/{row.ver}".encode()),
        ]
    if outcome.status == 204 or prefer == "minimal":  # noqa: PLR2004 - HTTP: no content
        return Reply(outcome.status, b"", headers)
    if prefer == "OperationOutcome" or not outcome.text:
        return Reply(outcome.status, orjson.dumps(_information(outcome.note)), headers)
    return Reply(outcome.status, outcome.text, headers)


def searchset(page: Page, query: Query, base: str, asked: str, at: str = "") -> bytes:
    """A searchset Bundle of one page; `asked` is the part after "?" of its own address.

    `at` is that address below the base; left out, it is the type.
    """
    home = f"{base}/{at or query.type}"
    links = [("self", f"{home}?{asked}" if asked else home)]
    if page.cursor:
        links.append(("next", f"{home}?_cursor={page.cursor}"))
    counted = query.counts_only or query.total != "none"
    start = _bundle("searchset", links, [], page.total if counted else None)
    return _with_entries(start, page.found, query, base) if page.found else start


def _with_entries(bundle: bytes, found: Sequence[Found], query: Query, base: str) -> bytes:
    """A Bundle with these entries put at its end; twice as fast as making objects of them."""
    home, whole = _quoted(f"{base}/")[:-1], query.whole
    parts = [bundle[:-1], b',"entry":[']
    for row, raw, too in found:
        parts += (
            f'{{"fullUrl":{home}{row.type}/{row.id}","resource":'.encode(),
            raw if whole else wanted(query, raw, included=too),
            _INCLUDED if too else _MATCH,
        )
    parts[-1] = parts[-1][:-1]
    return b"".join((*parts, b"]}"))


def history(page: Page, base: str, links: Sequence[tuple[str, str]]) -> bytes:
    """A history Bundle, newest first."""
    entries = [_version(found, base) for found in page.found]
    return _bundle("history", links, entries, page.total if page.total >= 0 else None)


def _version(found: Found, base: str) -> dict[str, Any]:
    row = found.row
    method = row.method or "PUT"
    url = row.type if method == "POST" else f"{row.type}/{row.id}"
    status = {"POST": "201", "DELETE": "204"}.get(method, "200")
    entry: dict[str, Any] = {"fullUrl": f"{base}/{row.type}/{row.id}"}
    if found.text:
        entry["resource"] = orjson.Fragment(found.text)
    entry["request"] = {"method": method, "url": url}
    modified = instant(row.at)
    return entry | {"response": {"status": status, "etag": etag(row.ver), "lastModified": modified}}


def answers(
    kind: str, outcomes: Sequence[Outcome], base: str, prefer: str, release: Release
) -> bytes:
    """A batch-response or transaction-response Bundle."""
    entries = [_entry(outcome, base, prefer, release) for outcome in outcomes]
    return _bundle(f"{kind}-response", [], entries, None)


def _entry(outcome: Outcome, base: str, prefer: str, release: Release) -> dict[str, Any]:
    if outcome.error is not None:
        return _refused(outcome.error, release)
    if outcome.page is not None and outcome.query is not None:
        found = searchset(outcome.page, outcome.query, base, query_text(outcome.query.used))
        told = {} if outcome.op.method == "HEAD" else {"resource": orjson.Fragment(found)}
        return {**told, "response": {"status": "200"}}
    row = outcome.row
    response: dict[str, Any] = {"status": str(outcome.status)}
    entry: dict[str, Any] = {}
    if row is not None:
        entry["fullUrl"] = f"{base}/{row.type}/{row.id}"
        response["location"] = f"{base}/{row.type}/{row.id}/_history/{row.ver}"
        response["etag"] = etag(row.ver)
        response["lastModified"] = instant(row.at)
    if outcome.note or prefer == "OperationOutcome":
        response["outcome"] = _information(outcome.note)
    reading = outcome.op.method == "GET"
    if outcome.text and (reading or prefer == "representation"):
        entry["resource"] = orjson.Fragment(outcome.text)
    return entry | {"response": response}


def _refused(error: PgoError, release: Release) -> dict[str, Any]:
    drawn = render(error, "fhir", release=release)
    outcome = orjson.Fragment(drawn.body)
    return {"response": {"status": str(drawn.status), "outcome": outcome}}


def _information(note: str) -> dict[str, Any]:
    issue = {"severity": "information", "code": "informational", "diagnostics": note or "Done."}
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def _bundle(
    kind: str, links: Sequence[tuple[str, str]], entries: list[dict[str, Any]], total: int | None
) -> bytes:
    bundle: dict[str, Any] = {"resourceType": "Bundle", "type": kind}
    if total is not None:
        bundle["total"] = total
    if links:
        bundle["link"] = [{"relation": relation, "url": url} for relation, url in links]
    if entries:
        bundle["entry"] = entries
    return orjson.dumps(bundle)


@lru_cache(maxsize=512)
def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


def query_text(pairs: Sequence[tuple[str, str]]) -> str:
    """Parameters as they stand in a link."""
    return _query_text(tuple(pairs))


@lru_cache(maxsize=512)
def _query_text(pairs: tuple[tuple[str, str], ...]) -> str:
    return "&".join(f"{quote(k, safe=':._-$')}={quote(v, safe=':.,|/_-$')}" for k, v in pairs)
