"""The exchange endpoint: `/medmij/{service}/fhir/…` answers what one service allows, nothing else.

One plain ASGI endpoint. Whose dossier it is follows from the token, which must be for that very
service. Source: MedMij Afsprakenstelsel, resource interface; errors after RFC 6750, and as
OperationOutcome. Both ids of an exchange are demanded, echoed, logged and in the audit line.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from pgo.caller import Caller
from pgo.errors import BadValue, Missing, NotFound, PgoError, ScopeTooSmall, UnsupportedMedia
from pgo.fhir import answers, binary, elfproef
from pgo.fhir.address import Address
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, Operation, no_parameters, pairs_of, query_of
from pgo.fhir.elements import Release
from pgo.fhir.formats import JSON, Format, answer_format, asks_resource, lenient_format, reader
from pgo.fhir.large import BINARY
from pgo.fhir.parameters import Parameters
from pgo.medmij.address import Place, read_place, service_in
from pgo.medmij.capability import capability
from pgo.medmij.counter import Counter
from pgo.medmij.services import FORM, Catalogue, Offered, Service
from pgo.streaming import send_parts
from pgo.web import (
    Answer,
    echo,
    name_exchange,
    name_form,
    name_route,
    read_body,
    request_id,
    send_answer,
)

REQUEST: Final = "MedMij-Request-ID"
CORRELATION: Final = "X-Correlation-ID"

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII | re.IGNORECASE)
_CHALLENGE: Final = 'Bearer realm="pgo", error="invalid_request"'
_BSN_SYSTEMS: Final = ("namingsystem/bsn", "2.16.840.1.113883.2.4.6.3")


@dataclass(frozen=True, slots=True)
class Doors:
    """What the endpoint is made of, given by the app.

    `counter` takes caller, dossier, service, request id and correlation id.
    """

    issuer: str
    caller_of: Callable[[Scope], Awaitable[Caller]]
    counter: Callable[[Caller, str, Service, str, str], Counter]
    refused: Callable[[Scope, PgoError], Awaitable[None]]
    catalogue: Catalogue
    searches: Mapping[str, Parameters]
    operations: Mapping[str, Operation]


class Offer:
    """Answers everything below `/medmij/`."""

    def __init__(self, doors: Doors) -> None:
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; errors are raised for the net around it."""
        headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
        ids = _ids(headers)
        echo(scope, {name.lower(): value for name, value in ids.items()})
        name_exchange(scope, ids.get(REQUEST, ""), ids.get(CORRELATION, ""))
        try:
            reply = await self._answer(scope, receive, headers, ids)
        except PgoError as error:
            raise _challenged(error) from error
        head = scope["method"] == "HEAD"
        if isinstance(reply, Answer):
            await send_answer(send, reply, head=head)
        elif reply.parts is not None:
            start = (reply.status, reply.headers)
            await send_parts(send, start, reply.parts, reply.length, head=head)

    async def _answer(
        self, scope: Scope, receive: Receive, headers: Mapping[str, str], ids: dict[str, str]
    ) -> Answer | Reply:
        """A whole answer, or one that is sent part by part."""
        self._name_form(scope, headers)
        try:
            place = read_place(scope["method"], scope["path"])
            name_route(scope, place.template)
            if place.what == "capabilities":
                return self._capability(place, scope, headers)
            offered, caller = await self._entered(place, scope)
            await _take_in(scope, receive, headers, offered.release)
        except PgoError as error:
            await self._doors.refused(scope, error)
            raise
        form, release, fault = _negotiated(offered, scope, headers)
        raw = _as_bytes(place, scope, headers)
        if raw:
            form, fault = JSON, None
        name_form(scope, form, release)
        service = offered.by_release[release]
        request = ids.get(REQUEST, "") or request_id(scope)
        correlation = ids.get(CORRELATION, "")
        counter = self._doors.counter(caller, caller.dossier, service, request, correlation)
        try:
            _demand(ids, fault)
            ask = self._ask(place, service, scope)._replace(form=form)
            if raw:
                ask = ask._replace(raw=True, headers={"accept": headers.get("accept", "")})
            reply = await self._asked(ask, service, counter)
        except Exception as error:
            if counter.called:
                raise
            said = {"release": release, "type_": place.type}
            if place.what != "read":
                asked = unquote(scope["query_string"].decode("latin-1"))
                said["query"] = elfproef.hide_in_address(asked)[0]
            await counter.turn_away(_event(place), error, **said)
        return reply if reply.parts is not None else reply.answer(form, release)

    async def _entered(self, place: Place, scope: Scope) -> tuple[Offered, Caller]:
        """What is offered here, to a caller whose token is for it.

        Raises:
            Unauthenticated: no good token; NotFound: no such service; ScopeTooSmall: a token for
                something else.
        """
        known = self._doors.catalogue.offered
        caller = await self._doors.caller_of(scope)
        offered = self._doors.catalogue.of(place.service)
        token_is_for = known.get(caller.service)
        if token_is_for is None or token_is_for.id != offered.id:
            raise ScopeTooSmall("this token is not for this service")
        if not caller.dossier:
            raise NotFound("this token names no dossier")
        return offered, caller

    def _name_form(self, scope: Scope, headers: Mapping[str, str]) -> None:
        """In what form an error is drawn that comes before anything is known of the request."""
        offered = self._doors.catalogue.offered.get(service_in(scope["path"]))
        release: Release = offered.release if offered else "r4"
        form = lenient_format(headers.get("accept", ""), _leniently(scope), release)
        name_form(scope, form, release)

    def _capability(self, place: Place, scope: Scope, headers: Mapping[str, str]) -> Answer:
        offered = self._doors.catalogue.of(place.service)
        form, release, fault = _negotiated(offered, scope, headers)
        name_form(scope, form, release)
        if fault is not None:
            raise fault
        base = self._doors.issuer + place.base
        known = self._doors.searches[release]
        body = capability(offered.by_release[release], base, self._doors.issuer, known)
        return Reply(200, body).answer(form, release)

    def _ask(self, place: Place, service: Service, scope: Scope) -> Ask:
        """The request as the FHIR interface knows it, without what only shapes the answer.

        No header field counts: nothing is left out for a caller who prefers lenient handling.

        Raises:
            BadValue: unreadable parameters, or one that looks for a citizen service number.
        """
        pairs = tuple(p for p in pairs_of(scope["query_string"]) if p[0] not in FORM)
        _without_bsn(pairs)
        template, release = place.template, service.release
        address = Address("", release, place.base, place.what, place.type, place.id, 0, template)
        base, request = self._doors.issuer + place.base, request_id(scope)
        known = self._doors.searches[release]
        method = scope["method"]
        return Ask(address, {}, pairs, b"", base, request, method, parameters=known)

    async def _asked(self, ask: Ask, service: Service, counter: Counter) -> Reply:
        what = ask.address.interaction
        if what == "read":
            return await _read(ask, service, counter)
        if "_cursor" in dict(ask.pairs) and what == "search-type":
            return await _later(ask, service, counter)
        operation = "" if what == "search-type" else what
        meant = ask._replace(pairs=service.meant(ask.pairs))
        service.search(ask.address.type, operation, meant.pairs)
        if not operation:
            return await _search(ask, meant, counter)
        found = self._doors.operations.get(operation)
        if found is None:
            raise NotFound("this service does not have that")
        return await found(meant, counter)


# --- what may be asked -------------------------------------------------------------------------


async def _read(ask: Ask, service: Service, counter: Counter) -> Reply:
    address = ask.address
    if address.type not in service.reads:
        raise NotFound("this service does not have that")
    if address.type == BINARY:
        return await binary.read(ask, counter)
    no_parameters(ask)
    return answers.resource(await counter.read(address.release, address.type, address.id))


async def _search(ask: Ask, meant: Ask, counter: Counter) -> Reply:
    """A search: `meant` is what is searched for, `ask` what the self link repeats."""
    query = query_of(meant, ask.address.type, meant.pairs)
    asked = answers.query_text(ask.pairs)
    page = await counter.search(query, asked)
    return Reply(200, answers.searchset(page, query, ask.base, asked))


async def _later(ask: Ask, service: Service, counter: Counter) -> Reply:
    """A later page of a search that was allowed."""
    release, type_ = ask.address.release, ask.address.type
    if len(ask.pairs) > 1 or not any(one.type == type_ for one in service.searches):
        raise NotFound("this page is not there any more; search again", place="_cursor")
    page, query = await counter.page(release, type_, ask.pairs[0][1], ask.base)
    return Reply(200, answers.searchset(page, query, ask.base, answers.query_text(ask.pairs)))


# --- reading the request -----------------------------------------------------------------------


async def _take_in(
    scope: Scope, receive: Receive, headers: Mapping[str, str], release: Release
) -> None:
    """What a search sends as a form counts as if it stood in the address.

    Raises:
        UnsupportedMedia: another kind of body.
    """
    if scope["method"] != "POST":
        return
    if reader(headers.get("content-type", ""), release, medmij=True) != "form":
        raise UnsupportedMedia("send a search as application/x-www-form-urlencoded")
    asked = (scope["query_string"], await read_body(receive))
    scope["query_string"] = b"&".join(part for part in asked if part)


def _ids(headers: Mapping[str, str]) -> dict[str, str]:
    """The two ids of an exchange, as far as they have the form of a UUID."""
    sent = {name: headers.get(name.lower(), "") for name in (REQUEST, CORRELATION)}
    return {name: value for name, value in sent.items() if _UUID.fullmatch(value)}


def _demand(ids: Mapping[str, str], fault: PgoError | None) -> None:
    """A release that is served, and both ids."""
    if fault is not None:
        raise fault
    for name in (REQUEST, CORRELATION):
        if name not in ids:
            raise Missing("send this header with a UUID", place=name)


def _negotiated(
    offered: Offered, scope: Scope, headers: Mapping[str, str]
) -> tuple[Format, Release, PgoError | None]:
    """In what form and release is answered, and why not when it cannot be told."""
    pairs, accept, first = _leniently(scope), headers.get("accept", ""), None
    for release in offered.by_release:
        try:
            return answer_format(accept, pairs, release, medmij=True), release, None
        except PgoError as fault:
            first = first or fault
    return lenient_format(accept, pairs, offered.release), offered.release, first


def _as_bytes(place: Place, scope: Scope, headers: Mapping[str, str]) -> bool:
    """Whether a document is asked for as its bytes."""
    asked = asks_resource(headers.get("accept", ""), _leniently(scope))
    return place.what == "read" and place.type == BINARY and not asked


def _leniently(scope: Scope) -> list[tuple[str, str]]:
    try:
        return pairs_of(scope["query_string"])
    except BadValue:
        return []


def _without_bsn(pairs: Sequence[tuple[str, str]]) -> None:
    for name, value in pairs:
        if any(system in value.lower() for system in _BSN_SYSTEMS):
            raise BadValue("citizen service numbers are not used here", place=name[:64])


def _event(place: Place) -> str:
    """What a call is called in the audit line when it is wrong before anything is done."""
    return {"$lastn": "lastn", "$latest-stops": "latest-stops"}.get(
        place.what, "read" if place.what == "read" else "search-type"
    )


def _challenged(error: PgoError) -> PgoError:
    """RFC 6750 3: an answer 400 names invalid_request."""
    if error.status == 400 and "WWW-Authenticate" not in error.headers:  # noqa: PLR2004 - HTTP
        error.headers = {**error.headers, "WWW-Authenticate": _CHALLENGE}
    return error
