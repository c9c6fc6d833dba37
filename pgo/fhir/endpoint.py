"""The FHIR interface as one plain ASGI endpoint: parse once, ask the vault, answer.

Guard → address → vault → answer. No rule about who may see what lives here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, quote, unquote

import orjson
from starlette.types import Receive, Scope, Send

from pgo.audit.catalogue import EVENTS
from pgo.caller import Caller
from pgo.errors import BadValue, NotFound, PgoError, UnsupportedMedia
from pgo.fhir import answers, elfproef
from pgo.fhir.address import Address, read_address
from pgo.fhir.answers import Reply
from pgo.fhir.bundle import Op, read_bundle, same_type, version_of
from pgo.fhir.elements import Release
from pgo.fhir.formats import Format, Reader, answer_format, reader
from pgo.fhir.incoming import incoming, incoming_bundle
from pgo.fhir.query import Query, parse
from pgo.vault import Vault
from pgo.web import (
    Answer,
    ClientGone,
    form_of,
    name_form,
    name_route,
    read_body,
    request_id,
    send_answer,
)

_MOST_PARAMETERS: Final = 100
_HISTORY: Final = 50
_LARGE: Final = 200_000
_MEDMIJ: Final = "/medmij/"
_IGNORED: Final = frozenset({"_format", "_pretty"})
Operation = Callable[["Ask", Vault], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, parsed: address, header fields by lower-case name, parameters, body."""

    address: Address
    headers: dict[str, str]
    pairs: tuple[tuple[str, str], ...]
    body: bytes
    base: str
    request: str
    method: str
    reader: Reader = "json"

    def prefer(self, name: str, default: str) -> str:
        """A value of the Prefer header, such as `return` or `handling` (RFC 7240)."""
        for part in self.headers.get("prefer", "").replace(";", ",").split(","):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value.strip('"')
        return default


@dataclass(frozen=True, slots=True)
class Doors:
    """What the endpoint is made of, given by the app."""

    issuer: str
    caller_of: Callable[[Scope], Awaitable[Caller]]
    vault: Callable[[Caller, str, str], Vault]
    refused: Callable[[Scope, PgoError], Awaitable[None]]
    capability: Callable[[Release, str], bytes]
    smart: Callable[[], dict[str, Any]]
    operations: dict[str, Operation]


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
        answer = await _drawn(reply, *form_of(scope))
        await send_answer(send, answer, head=scope["method"] == "HEAD")

    def _open(self, address: Address, scope: Scope) -> Reply | None:
        """What anybody may ask: the capability statement and the SMART configuration."""
        if address.interaction == "capabilities":
            form = _form(address, scope, _pairs(scope["query_string"]))
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
            ask = await _ask(address, scope, receive, self._doors.issuer)
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

    async def _dispatch(self, ask: Ask, vault: Vault) -> Reply:
        name = ask.address.interaction
        if name.startswith("$"):
            operation = self._doors.operations.get(name)
            if operation is None:
                raise NotFound("there is no such operation")
            return await operation(ask, vault)
        return await _INTERACTIONS[name](ask, vault)


def _event_of(interaction: str) -> str:
    """What a call is called in the audit line when it is wrong before anything is done."""
    if not interaction.startswith("$"):
        return "batch" if interaction == "bundle" else interaction
    known = EVENTS.get(interaction[1:])
    return known.name if known is not None and known.family == "operation" else "search-system"


async def _ask(address: Address, scope: Scope, receive: Receive, issuer: str) -> Ask:
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    pairs = _pairs(scope["query_string"])
    body = b""
    how: Reader = "json"
    if scope["method"] in {"POST", "PUT"}:
        body = await read_body(receive)
        medmij = address.base.startswith(_MEDMIJ)
        how = reader(headers.get("content-type", ""), address.release, medmij=medmij)
        if (how == "form") != (address.interaction == "search-type"):
            raise UnsupportedMedia("this address takes another kind of body")
        pairs += _pairs(body) if how == "form" else []
    _form(address, scope, pairs)
    asked = tuple(pair for pair in pairs if pair[0] not in _IGNORED)
    base = issuer + address.base
    request, method = request_id(scope), scope["method"]
    return Ask(address, headers, asked, body, base, request, method, how)


def _form(address: Address, scope: Scope, pairs: list[tuple[str, str]]) -> Format:
    """In what form this request is answered; an error in it too."""
    accept = ", ".join(v.decode("latin-1") for k, v in scope["headers"] if k == b"accept")
    medmij = address.base.startswith(_MEDMIJ)
    form = answer_format(accept, pairs, address.release, medmij=medmij)
    name_form(scope, form, address.release)
    return form


@lru_cache(maxsize=8)
def _drawn_once(body: bytes, form: Format, release: Release) -> bytes:
    return form.body(body, release)


async def _drawn(reply: Reply, form: Format, release: Release) -> Answer:
    """The answer in the form asked for; a large one is drawn beside the event loop."""
    if form.as_kept or len(reply.body) < _LARGE:
        return reply.answer(form, release)
    return await asyncio.to_thread(reply.answer, form, release)


def _pairs(raw: bytes) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as fault:
        raise BadValue("the parameters are not readable, or too many") from fault


# --- interactions ------------------------------------------------------------------------------


async def _read(ask: Ask, vault: Vault) -> Reply:
    address = ask.address
    _no_parameters(ask)
    return answers.resource(await vault.read(address.release, address.type, address.id))


async def _vread(ask: Ask, vault: Vault) -> Reply:
    address = ask.address
    _no_parameters(ask)
    found = await vault.vread(address.release, address.type, address.id, address.version)
    return answers.resource(found)


async def _history(ask: Ask, vault: Vault) -> Reply:
    address, count = ask.address, _HISTORY
    for name, value in ask.pairs:
        if name != "_count" or not value.isdecimal():
            raise BadValue("history knows _count only", place=name[:64])
        count = max(1, min(int(value[:6]), 200))
    page = await vault.history(address.release, address.type, address.id, count)
    link = f"{ask.base}/{address.type}/{address.id}/_history"
    if ask.pairs:
        link += f"?{answers.query_text(ask.pairs)}"
    return Reply(200, answers.history(page, ask.base, [("self", link)]))


async def _search(ask: Ask, vault: Vault) -> Reply:
    address = ask.address
    given = dict(ask.pairs)
    if "_cursor" in given:
        page, query = await vault.page(address.release, address.type, given["_cursor"], ask.base)
        asked = f"_cursor={quote(given['_cursor'])}"
    else:
        query = _query(ask, address.type, ask.pairs)
        page = await vault.search(query, answers.query_text(ask.pairs))
        asked = answers.query_text(query.used)
    return Reply(200, answers.searchset(page, query, ask.base, asked))


def _query(ask: Ask, type_: str, pairs: Sequence[tuple[str, str]]) -> Query:
    """The query of these parameters; a BSN is never asked, since questions are kept and shown."""
    for name, value in pairs:
        if elfproef.hide_in_address(f"{name}={value}")[1]:
            raise BadValue("this may be a BSN, and is not asked here", place=name[:64])
    lenient = ask.prefer("handling", "strict") == "lenient"
    return parse(ask.address.release, type_, pairs, lenient=lenient, base=ask.base)


async def _create(ask: Ask, vault: Vault) -> Reply:
    if "if-none-exist" in ask.headers:
        raise BadValue("conditional create is not offered", place="If-None-Exist")
    return await _change(ask, vault, Op("POST", ask.address.type))


async def _update(ask: Ask, vault: Vault) -> Reply:
    op = Op("PUT", ask.address.type, ask.address.id)
    if "if-none-match" in ask.headers:
        raise BadValue("this condition is not offered", place="If-None-Match")
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    return await _change(ask, vault, op)


async def _change(ask: Ask, vault: Vault, op: Op) -> Reply:
    _no_parameters(ask)
    op.tree = incoming(ask.address.release, ask.body, ask.reader)
    same_type(op, op.type)
    name = ask.headers.get("x-request-id", "") if op.method == "POST" else ""
    outcomes = await vault.change(ask.address.interaction, ask.address.release, [op], name=name)
    return answers.changed(outcomes[0], ask.base, ask.prefer("return", "representation"))


async def _delete(ask: Ask, vault: Vault) -> Reply:
    _no_parameters(ask)
    op = Op("DELETE", ask.address.type, ask.address.id)
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    outcomes = await vault.change("delete", ask.address.release, [op])
    return answers.changed(outcomes[0], ask.base, "minimal")


async def _bundle(ask: Ask, vault: Vault) -> Reply:
    _no_parameters(ask)
    release = ask.address.release
    tree, faults = await incoming_bundle(release, ask.body, ask.reader)
    asked = read_bundle(tree)
    for op in asked.ops:
        op.fault = op.fault or faults.get(op.index)

    def queries(op: Op) -> Query | None:
        return None if "/" in op.path else _query_in(ask, op)

    outcomes = await vault.change(
        asked.kind,
        release,
        asked.ordered(),
        isolated=asked.kind == "batch",
        name=ask.headers.get("x-request-id", ""),
        queries=queries,
    )
    prefer = ask.prefer("return", "minimal")
    in_order = sorted(outcomes, key=lambda outcome: outcome.op.index)
    return Reply(200, answers.answers(asked.kind, in_order, ask.base, prefer, release))


def _query_in(ask: Ask, op: Op) -> Query:
    """The search of an entry; errors name the entry and the parameter."""
    try:
        pairs = _pairs(op.query.encode())
        return _query(ask, op.type, [pair for pair in pairs if pair[0] not in _IGNORED])
    except PgoError as error:
        place = f"{op.place}.request.url"
        detail = f"{error.place}: {error.detail}" if error.place else error.detail
        raise type(error)(detail, place=place) from error


def _no_parameters(ask: Ask) -> None:
    if ask.pairs:
        raise BadValue("this interaction has no parameters", place=ask.pairs[0][0][:64])


_INTERACTIONS: Final[dict[str, Operation]] = {
    "read": _read,
    "vread": _vread,
    "history-instance": _history,
    "search-type": _search,
    "create": _create,
    "update": _update,
    "delete": _delete,
    "bundle": _bundle,
}


def offered() -> tuple[str, ...]:
    """The interactions this endpoint has, by FHIR's names, for the capability statement."""
    return tuple(name for name in _INTERACTIONS if name != "bundle")
