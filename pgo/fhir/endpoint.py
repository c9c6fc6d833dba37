"""The FHIR interface as one plain ASGI endpoint: parse once, ask the vault, answer.

Guard → address → vault → answer. No rule about who may see what lives here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, unquote

import orjson
from starlette.types import Receive, Scope, Send

from pgo.audit.catalogue import EVENTS
from pgo.caller import Caller
from pgo.errors import BadValue, NotFound, PgoError, Unsupported
from pgo.fhir import answers, binary, consents, elfproef, export, operations, writing
from pgo.fhir.added import Searches
from pgo.fhir.address import Address, read_address
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, Operation, form_asked, headers_of, pairs_of, query_of, read_ask
from pgo.fhir.compartments import WITHIN
from pgo.fhir.elements import Release
from pgo.fhir.formats import Format
from pgo.fhir.large import BINARY
from pgo.fhir.query import Query
from pgo.fhir.spans import span
from pgo.fhir.unless import of_headers
from pgo.streaming import send_parts
from pgo.vault import Vault
from pgo.web import (
    ClientGone,
    form_of,
    name_route,
    request_id,
    send_answer,
)

__all__ = ["Ask", "Doors", "Fhir", "Operation", "offered"]

_LARGE: Final = 200_000
_PARTS: Final = frozenset({"_summary", "_elements"})


@dataclass(frozen=True, slots=True)
class Doors:
    """What the endpoint is made of, given by the app."""

    issuer: str
    caller_of: Callable[[Scope], Awaitable[Caller]]
    vault: Callable[[Caller, str, str], Vault]
    refused: Callable[[Scope, PgoError], Awaitable[None]]
    capability: Callable[[Release, str], bytes]
    searches: Searches
    smart: Callable[[], dict[str, Any]]
    operations: dict[str, Operation]
    rules: consents.RulesOf


class Fhir:
    """Answers everything below a FHIR base."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors are raised for the net around it."""
        try:
            address = read_address(scope["method"], scope["path"])
        except PgoError as error:
            await self._doors.refused(scope, error)
            raise
        name_route(scope, address.template)
        reply = self._open(address, scope) or await self._guarded(address, scope, receive)
        head = scope["method"] == "HEAD"
        if reply.parts is not None:
            start = (reply.status, reply.headers)
            await send_parts(send, start, reply.parts, reply.length, head=head)
            return
        form, release = form_of(scope)
        if form.as_kept or len(reply.body) < _LARGE:
            answer = reply.answer(form, release)
        else:  # drawn beside the event loop
            answer = await asyncio.to_thread(reply.answer, form, release)
        await send_answer(send, answer, head=head)

    def _open(self, address: Address, scope: Scope) -> Reply | None:
        """What anybody may ask: the capability statement and the SMART configuration."""
        if address.interaction == "capabilities":
            form = form_asked(address, scope, headers_of(scope), pairs_of(scope["query_string"]))
            media = (b"content-type", form.media)
            return Reply(200, self._capability(address, form), [media])
        if address.interaction == "smart":
            body = orjson.dumps(self._doors.smart())
            return Reply(200, body, [(b"content-type", b"application/json")])
        return None

    def _capability(self, address: Address, form: Format) -> bytes:
        """Drawn once per form for our own address; in it, that is put in place of another one."""
        own = f"{self._doors.issuer}/fhir/{address.release}"
        body = _drawn_once(self._doors.capability(address.release, own), form, address.release)
        return body.replace(f'"{own}"'.encode(), f'"{self._doors.issuer}{address.base}"'.encode())

    async def _guarded(self, address: Address, scope: Scope, receive: Receive) -> Reply:
        try:
            caller = await self._doors.caller_of(scope)
            client = address.client or caller.dossier
            if not client:
                raise NotFound("this token names no dossier; use /dossiers/{id}/fhir/…")
        except PgoError as error:
            await self._doors.refused(scope, error)
            raise
        vault = self._doors.vault(caller, client, request_id(scope))
        try:
            known = self._doors.searches[address.release]
            ask = await read_ask(address, scope, receive, self._doors.issuer, known)
            return await self._dispatch(ask, vault)
        except ClientGone:
            raise
        except Exception as fault:
            if vault.called:
                raise
            said = {"release": address.release, "type_": address.type}
            if address.interaction == "search-type":
                asked = unquote(scope["query_string"].decode("latin-1"))
                said["query"] = elfproef.hide_in_address(asked)[0]
            await vault.turn_away(_event_of(address.interaction), fault, **said)

    def _dispatch(self, ask: Ask, vault: Vault) -> Awaitable[Reply]:
        address = ask.address
        name = address.interaction
        if name in export.STEPS:
            return export.STEPS[name](ask, vault)
        if name.startswith("$"):
            if operations.offered(address.release, name, address.type, address.id) is None:
                if name in operations.INSTEAD:
                    raise Unsupported(operations.INSTEAD[name])
                raise NotFound("there is no such operation here")
            return self._doors.operations[name](ask, vault)
        if address.type == "Consent" and name in consents.WRITES:
            return consents.write(ask, vault, self._doors.rules)
        offered = _INTERACTIONS if ask.arriving is None else _ARRIVING
        return offered[name](ask, vault)


def _event_of(interaction: str) -> str:
    """What a call is called in the audit line when it is wrong before anything is done."""
    if interaction in export.STEPS:
        return "export"
    if not interaction.startswith("$"):
        return "batch" if interaction == "bundle" else interaction
    known = EVENTS.get(interaction[1:])
    return known.name if known is not None and known.family == "operation" else "search-system"


@lru_cache(maxsize=8)
def _drawn_once(body: bytes, form: Format, release: Release) -> bytes:
    return form.body(body, release)


# --- interactions ------------------------------------------------------------------------------


async def _read(ask: Ask, vault: Vault) -> Reply:
    address, part = ask.address, _part(ask)
    if address.type == BINARY and part is None:
        return await binary.read(ask, vault)
    unless = of_headers(ask.headers)
    found = await vault.read(address.release, address.type, address.id)
    return answers.resource(found, unless=unless, part=part)


async def _vread(ask: Ask, vault: Vault) -> Reply:
    address, part = ask.address, _part(ask)
    if address.type == BINARY and part is None:
        return await binary.read(ask, vault)
    unless = of_headers(ask.headers)
    found = await vault.vread(address.release, address.type, address.id, address.version)
    return answers.resource(found, unless=unless, part=part)


def _part(ask: Ask) -> Query | None:
    """What part of a resource is asked by `_summary` and `_elements`; None for all of it.

    Raises:
        BadValue: another parameter, or a form that has no resource.
    """
    if not ask.pairs:
        return None
    strange = [name for name, _ in ask.pairs if name not in _PARTS]
    if strange:
        raise BadValue("a read knows _summary and _elements only", place=strange[0][:64])
    query = query_of(ask, ask.address.type, ask.pairs, strict=True)
    if query.counts_only:
        raise BadValue("there is nothing to count here", place="_summary")
    return query


async def _history(ask: Ask, vault: Vault) -> Reply:
    address = ask.address
    asked = answers.query_text(ask.pairs)
    page = await vault.history(address.release, address.type, address.id, span(ask.pairs), asked)
    home = "/".join(filter(None, (ask.base, address.type, address.id, "_history")))
    links = [("self", f"{home}?{asked}" if asked else home)]
    if page.cursor:
        kept = [pair for pair in ask.pairs if pair[0] != "_cursor"]
        after = answers.query_text([*kept, ("_cursor", page.cursor)])
        links.append(("next", f"{home}?{after}"))
    return Reply(200, answers.history(page, ask.base, links))


async def _search(ask: Ask, vault: Vault) -> Reply:
    address = ask.address
    given = dict(ask.pairs)
    if "_cursor" in given:
        page, query = await vault.page(address.release, address.type, given["_cursor"], ask.base)
        asked = f"_cursor={quote(given['_cursor'])}"
    else:
        if WITHIN in given:
            raise Unsupported("this search parameter is not known", place=WITHIN)
        inside = ((WITHIN, address.within),) if address.within else ()
        query = query_of(ask, address.type, (*inside, *ask.pairs))
        page = await vault.search(query, answers.query_text((*inside, *ask.pairs)))
        asked = answers.query_text(query.used[len(inside) :])
    at = f"{address.within}/{address.type}" if address.within else ""
    return Reply(200, answers.searchset(page, query, ask.base, asked, at))


_INTERACTIONS: Final[dict[str, Operation]] = {
    "read": _read,
    "vread": _vread,
    "history-instance": _history,
    "history-type": _history,
    "history-system": _history,
    "search-type": _search,
    "create": writing.create,
    "update": writing.update,
    "patch": writing.patch,
    "delete": writing.delete,
    "bundle": writing.bundle,
}
_ARRIVING: Final[dict[str, Operation]] = {"create": binary.create, "update": binary.update}
"""For documents that are sent as their bytes."""


_ON_ALL: Final = frozenset({"bundle", "history-system"})
"""What is offered for the whole dossier, not for one resource type."""


def offered() -> tuple[str, ...]:
    """The interactions this endpoint has, by FHIR's names, for the capability statement."""
    return tuple(name for name in _INTERACTIONS if name not in _ON_ALL)
