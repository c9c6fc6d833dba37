"""Binary over HTTP: a document as its bytes, in and out, or as a resource; streamed when large.

Who may read it is decided through the documents that refer to it (`pgo.attached`). Bytes go out as
a file to keep, never as something a browser shows or runs. Source:
http://hl7.org/fhir/R4/binary.html.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

from pgo import documents
from pgo.documents import Arriving, BrokenOff
from pgo.dossier.image import Row
from pgo.errors import BadValue, NotAcceptable, Unsupported, UnsupportedMedia
from pgo.fhir import answers, large, media, text
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask, no_parameters
from pgo.fhir.bundle import Op, version_of
from pgo.fhir.convert import LOCAL
from pgo.fhir.large import BINARY, Large
from pgo.fhir.unless import of_headers
from pgo.shown import Found
from pgo.streaming import arriving
from pgo.vault import Vault
from pgo.web import ClientGone, Headers

CONTEXT: Final = "x-security-context"
_NO_CONDITION: Final = "what is sent as its bytes is not sent on a condition"


# --- out ---------------------------------------------------------------------------------------


async def read(ask: Ask, vault: Vault) -> Reply:
    """GET Binary/id, or one version: its bytes, or the resource in the form asked for.

    Raises:
        NotFound: not there, or not for this caller; NotAcceptable: not in what is asked for.
    """
    address = ask.address
    no_parameters(ask)
    if address.interaction == "vread":
        found = await vault.vread(address.release, BINARY, address.id, address.version)
    else:
        found = await vault.read(address.release, BINARY, address.id)
    reply = answers.resource(found, unless=of_headers(ask.headers))
    if reply.status != 200:  # noqa: PLR2004 - HTTP: who has it already
        return reply
    there, raw = await vault.dossier.document(found.row)
    headers = [*reply.headers, (b"vary", b"accept")]
    if ask.raw:
        return await _as_bytes(ask, vault, found, there, headers)
    if there is None:
        return Reply(200, raw, headers)
    return _as_resource(ask, vault, there, raw, headers)


async def _as_bytes(
    ask: Ask, vault: Vault, found: Found, there: Large | None, headers: Headers
) -> Reply:
    tree = text.reread(found.text)
    said = tree.get("contentType")
    kind = said if isinstance(said, str) else ""
    if not media.accepts(ask.headers.get("accept", ""), kind):
        raise NotAcceptable("this document is of another media type", place="Accept")
    whole = b"" if there else large.bytes_of(ask.address.release, tree)
    first = whole
    if there is not None:
        parts = vault.dossier.pieces(there)
        first = await anext(parts)
        await parts.aclose()
    medium = media.served(kind, first[: media.ENOUGH])
    headers = [
        *headers,
        (b"content-type", medium.name.encode()),
        (b"content-disposition", f'attachment; filename="document.{medium.ending}"'.encode()),
        *_context(tree),
    ]
    if there is None:
        return Reply(200, whole, headers)
    return Reply(200, b"", headers, vault.dossier.pieces(there), there.size)


def _context(tree: dict[str, Any]) -> Headers:
    """The securityContext, told beside the bytes."""
    given = tree.get("securityContext")
    reference = given.get("reference") if isinstance(given, dict) else None
    if not isinstance(reference, str) or not LOCAL.fullmatch(reference):
        return []
    return [(CONTEXT.encode(), reference.encode())]


def _as_resource(ask: Ask, vault: Vault, there: Large, raw: bytes, headers: Headers) -> Reply:
    """The resource around its bytes: what comes before them, they in base64, what comes after."""
    head, _, tail = ask.form.body(raw, ask.address.release).partition(there.name.encode())
    length = len(head) + large.base64_size(there.size) + len(tail)
    headers = [*headers, (b"content-type", ask.form.media)]
    parts = whole(head, large.as_base64(vault.dossier.pieces(there)), tail)
    return Reply(200, b"", headers, parts, length)


async def whole(head: bytes, middle: AsyncIterator[bytes], tail: bytes) -> AsyncIterator[bytes]:
    """One after the other."""
    first = await anext(middle)
    yield head + first
    async for part in middle:
        yield part
    yield tail


async def written(vault: Vault, row: Row) -> AsyncIterator[bytes]:
    """The JSON text of a Binary of this dossier with all its bytes, part by part."""
    there, raw = await vault.dossier.document(row)
    if there is None:
        yield raw
        return
    head, _, tail = raw.partition(there.name.encode())
    async for part in whole(head, large.as_base64(vault.dossier.pieces(there)), tail):
        yield part


# --- in ----------------------------------------------------------------------------------------


async def create(ask: Ask, vault: Vault) -> Reply:
    """POST Binary with a document as its bytes."""
    if "if-none-exist" in ask.headers:
        raise Unsupported(_NO_CONDITION, place="If-None-Exist")
    op = Op("POST", BINARY)
    return await _take(ask, vault, op, name=ask.headers.get("x-request-id", ""))


async def update(ask: Ask, vault: Vault) -> Reply:
    """PUT Binary/id with a document as its bytes."""
    if not ask.address.id:
        raise Unsupported(_NO_CONDITION)
    op = Op("PUT", BINARY, ask.address.id)
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    return await _take(ask, vault, op)


async def _take(ask: Ask, vault: Vault, op: Op, name: str = "") -> Reply:
    no_parameters(ask)
    if "if-none-match" in ask.headers:
        raise BadValue(_NO_CONDITION, place="If-None-Match")
    medium = media.named(ask.headers.get("content-type", ""))
    if medium is None or ask.arriving is None:
        raise UnsupportedMedia("documents of this media type are not taken in as their bytes")
    context = ask.headers.get(CONTEXT, "").removeprefix(f"{ask.base}/")
    if context and not LOCAL.fullmatch(context):
        raise BadValue("this is a reference such as DocumentReference/id", place=CONTEXT)
    sent = Arriving(medium, _parts(ask), context)
    release = ask.address.release
    outcome = await documents.take(vault, ask.address.interaction, release, op, sent, name)
    return answers.changed(outcome, ask.base, ask.prefer("return", "minimal"))


async def _parts(ask: Ask) -> AsyncIterator[bytes]:
    if ask.arriving is None:
        return
    try:
        async for part in arriving(ask.arriving):
            yield part
    except ClientGone as gone:
        raise BrokenOff from gone
