"""One FHIR request, parsed once: address, header fields, parameters and body as values.

Nothing is decided or done here; see `pgo.fhir.endpoint` for what becomes of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from pgo.errors import BadValue, UnsupportedMedia
from pgo.fhir import added, elfproef, media
from pgo.fhir.address import Address
from pgo.fhir.answers import Reply
from pgo.fhir.elements import Release
from pgo.fhir.formats import JSON, Format, Reader, answer_format, asks_resource, reader
from pgo.fhir.large import BINARY
from pgo.fhir.parameters import Parameter, Parameters
from pgo.fhir.query import Query, not_both, parse
from pgo.vault import Vault
from pgo.web import name_form, read_body, request_id

_MOST_PARAMETERS: Final = 100
_MEDMIJ: Final = "/medmij/"
IGNORED: Final = frozenset({"_format", "_pretty"})
Operation = Callable[["Ask", Vault], Awaitable[Reply]]


class Ask(NamedTuple):
    """One request, parsed: address, header fields by lower-case name, parameters, body.

    `parameters` are the search parameters of the deployment; None: HL7's and ours. `form` is that
    of the answer. Of a Binary, `raw` says that its bytes are asked for, and `arriving` gives those
    that are sent, piece by piece, in place of `body`.
    """

    address: Address
    headers: dict[str, str]
    pairs: tuple[tuple[str, str], ...]
    body: bytes
    base: str
    request: str
    method: str
    reader: Reader = "json"
    parameters: Parameters | None = None
    form: Format = JSON
    raw: bool = False
    arriving: Receive | None = None

    def prefer(self, name: str, default: str) -> str:
        """A value of the Prefer header, such as `return` or `handling` (RFC 7240)."""
        for part in self.headers.get("prefer", "").replace(";", ",").split(","):
            key, _, value = part.strip().partition("=")
            if key == name:
                return value.strip('"')
        return default


async def read_ask(
    address: Address,
    scope: Scope,
    receive: Receive,
    issuer: str,
    parameters: Parameters | None = None,
) -> Ask:
    """The request at an address below `issuer`; its body is read whole.

    Raises:
        PgoError: wrong in itself: a parameter, a media type, a form nobody offers.
    """
    headers = headers_of(scope)
    pairs = pairs_of(scope["query_string"])
    body = b""
    how: Reader = "json"
    bytes_asked = as_bytes(address, scope, headers, pairs)
    bytes_sent = _sends_bytes(address, headers)
    if scope["method"] in {"POST", "PUT", "PATCH"} and not bytes_sent:
        body = await read_body(receive)
        medmij = address.base.startswith(_MEDMIJ)
        if body or not address.interaction.startswith("$"):
            how = reader(headers.get("content-type", ""), address.release, medmij=medmij)
        if (how == "form") != (address.interaction == "search-type"):
            raise UnsupportedMedia("this address takes another kind of body")
        pairs += pairs_of(body) if how == "form" else []
    form = JSON if bytes_asked else form_asked(address, scope, headers, pairs)
    asked = tuple(pair for pair in pairs if pair[0] not in IGNORED)
    base = issuer + address.base
    request, method = request_id(scope), scope["method"]
    arriving = receive if bytes_sent else None
    return Ask(
        *(address, headers, asked, body, base, request, method, how, parameters),
        form=form,
        raw=bytes_asked,
        arriving=arriving,
    )


def headers_of(scope: Scope) -> dict[str, str]:
    """The header fields by lower-case name; those that are repeated, together (RFC 9110 5.3)."""
    found: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, said = raw.decode("latin-1"), value.decode("latin-1")
        found[name] = f"{found[name]}, {said}" if name in found else said
    return found


def as_bytes(
    address: Address,
    scope: Scope,
    headers: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
) -> bool:
    """Whether a Binary is asked for as its bytes, or a file; an error is then in JSON."""
    if address.interaction == "$export-file":
        name_form(scope, JSON, address.release)
        return True
    if address.type != BINARY or address.interaction not in {"read", "vread"}:
        return False
    if asks_resource(headers.get("accept", ""), pairs):
        return False
    name_form(scope, JSON, address.release)
    return True


def _sends_bytes(address: Address, headers: Mapping[str, str]) -> bool:
    """Whether a Binary is sent as its bytes."""
    if address.type != BINARY or address.interaction not in {"create", "update"}:
        return False
    return media.named(headers.get("content-type", "")) is not None


def form_asked(
    address: Address,
    scope: Scope,
    headers: Mapping[str, str],
    pairs: Sequence[tuple[str, str]],
) -> Format:
    """In what form this request is answered; an error in it too."""
    medmij = address.base.startswith(_MEDMIJ)
    form = answer_format(headers.get("accept", ""), pairs, address.release, medmij=medmij)
    name_form(scope, form, address.release)
    return form


def pairs_of(raw: bytes) -> list[tuple[str, str]]:
    """Names and values, decoded, in order.

    Raises:
        BadValue: not readable, or more than a hundred.
    """
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as fault:
        raise BadValue("the parameters are not readable, or too many") from fault


def query_of(
    ask: Ask, type_: str, pairs: Sequence[tuple[str, str]], *, strict: bool = False
) -> Query:
    """The query of these parameters; a BSN is never asked, since questions are kept and shown.

    `strict`: also when the caller prefers lenient handling.
    """
    known = ask.parameters or added.known(ask.address.release)
    lenient = not strict and ask.prefer("handling", "strict") == "lenient"
    return _query(ask.address.release, type_, tuple(pairs), lenient, ask.base, known)


@lru_cache(maxsize=512)
def _query(
    release: Release,
    type_: str,
    pairs: tuple[tuple[str, str], ...],
    lenient: bool,  # noqa: FBT001 - what is remembered is known by place
    base: str,
    known: Parameters,
) -> Query:
    """The same; apps ask the same questions again and again."""
    for name, value in pairs:
        found = elfproef.hide_in_address(f"{name}={value}")[1]
        if found and not (type_ in known and _is_a_code(known.of(type_).get(name), value)):
            raise BadValue("this may be a BSN, and is not asked here", place=name[:64])
    query = parse(release, type_, pairs, lenient=lenient, base=base, parameters=known)
    not_both(query.clauses)
    return query


def _is_a_code(parameter: Parameter | None, value: str) -> bool:
    """A number asked of numbers, or a SNOMED CT id of codes: where no BSN is kept anyway."""
    if parameter is None or not value.isdecimal():
        return False
    if parameter.kind in {"number", "quantity"}:
        return True
    coded = not any("identifier" in name.lower() for name in parameter.names)
    return parameter.kind == "token" and coded and elfproef.is_snomed(value)


def no_parameters(ask: Ask) -> None:
    """Refuse parameters where an interaction has none.

    Raises:
        BadValue: naming the first.
    """
    if ask.pairs:
        raise BadValue("this interaction has no parameters", place=ask.pairs[0][0][:64])
