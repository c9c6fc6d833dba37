"""One FHIR request, parsed once: address, header fields, parameters and body as values.

Nothing is decided or done here; see `pgo.fhir.endpoint` for what becomes of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope

from pgo.errors import BadValue, UnsupportedMedia
from pgo.fhir import elfproef
from pgo.fhir.address import Address
from pgo.fhir.answers import Reply
from pgo.fhir.formats import Format, Reader, answer_format, reader
from pgo.fhir.parameters import Parameters
from pgo.fhir.query import Query, parse
from pgo.vault import Vault
from pgo.web import name_form, read_body, request_id

_MOST_PARAMETERS: Final = 100
_MEDMIJ: Final = "/medmij/"
IGNORED: Final = frozenset({"_format", "_pretty"})
Operation = Callable[["Ask", Vault], Awaitable[Reply]]


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, parsed: address, header fields by lower-case name, parameters, body.

    `parameters` are the search parameters of the deployment; None: HL7's and ours.
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
    headers = {k.decode("latin-1"): v.decode("latin-1") for k, v in scope["headers"]}
    pairs = pairs_of(scope["query_string"])
    body = b""
    how: Reader = "json"
    if scope["method"] in {"POST", "PUT", "PATCH"}:
        body = await read_body(receive)
        medmij = address.base.startswith(_MEDMIJ)
        if body or not address.interaction.startswith("$"):
            how = reader(headers.get("content-type", ""), address.release, medmij=medmij)
        if (how == "form") != (address.interaction == "search-type"):
            raise UnsupportedMedia("this address takes another kind of body")
        pairs += pairs_of(body) if how == "form" else []
    form_asked(address, scope, pairs)
    asked = tuple(pair for pair in pairs if pair[0] not in IGNORED)
    base = issuer + address.base
    request, method = request_id(scope), scope["method"]
    return Ask(address, headers, asked, body, base, request, method, how, parameters)


def form_asked(address: Address, scope: Scope, pairs: list[tuple[str, str]]) -> Format:
    """In what form this request is answered; an error in it too."""
    accept = ", ".join(v.decode("latin-1") for k, v in scope["headers"] if k == b"accept")
    medmij = address.base.startswith(_MEDMIJ)
    form = answer_format(accept, pairs, address.release, medmij=medmij)
    name_form(scope, form, address.release)
    return form


def pairs_of(raw: bytes) -> list[tuple[str, str]]:
    """Names and values, decoded, in order.

    Raises:
        BadValue: not readable, or more than a hundred.
    """
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
    for name, value in pairs:
        if elfproef.hide_in_address(f"{name}={value}")[1]:
            raise BadValue("this may be a BSN, and is not asked here", place=name[:64])
    lenient = not strict and ask.prefer("handling", "strict") == "lenient"
    known, base = ask.parameters, ask.base
    return parse(ask.address.release, type_, pairs, lenient=lenient, base=base, parameters=known)


def no_parameters(ask: Ask) -> None:
    """Refuse parameters where an interaction has none.

    Raises:
        BadValue: naming the first.
    """
    if ask.pairs:
        raise BadValue("this interaction has no parameters", place=ask.pairs[0][0][:64])
