"""Documents on their way into a dossier: a Binary as its bytes arrive, or as a resource; no HTTP.

Bytes that fit stay in the resource's own text, more are cut in pieces. What arrives as bytes is
sealed and kept piece by piece, so that no more than a piece of it is in memory; only the commit at
the end makes it part of the dossier. Whatever ends before that, leaves nothing but pieces nobody
can name, and those are destroyed at once, or by the sweeper.
"""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from pgo.changing import Changing
from pgo.dossier.cutting import Cutter
from pgo.dossier.open import Dossier
from pgo.errors import BadRequest, PgoError, Unavailable, Unprocessable
from pgo.fhir import media
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.fhir.large import BINARY, filled
from pgo.fhir.media import Medium
from pgo.shown import Outcome
from pgo.store.contract import NotNext

if TYPE_CHECKING:
    from pgo.vault import Vault

_RACES: Final = 100
_NAME_BYTES: Final = 16


class BrokenOff(Exception):
    """The other side hung up before all bytes were in."""


@dataclass(frozen=True, slots=True)
class Arriving:
    """A document on its way in: what it says it is, its bytes, and the securityContext given.

    `parts` raises BrokenOff when they end too soon.
    """

    medium: Medium
    parts: AsyncIterator[bytes]
    context: str = ""


async def take(
    vault: Vault, interaction: str, rel: Release, op: Op, arriving: Arriving, name: str = ""
) -> Outcome:
    """Create or update a Binary with bytes that are still arriving; `op` has no tree yet.

    What the caller may not do is refused before the first byte is read, and once more, when it
    may have changed, at the end. `name` is the caller's request id, as for `Vault.change`.

    Raises:
        PgoError: why not; nothing was stored.
    """
    async with vault.call(interaction, release=rel, type_=BINARY) as call:
        await vault.known(call)
        vault.count_write()
        changing = Changing(vault, call, rel, isolated=False, operator=False, queries=None)
        await changing.rehearse([replace(op, tree=_tree(rel, arriving))])
        cutter = Cutter(vault.client, vault.dossier.keys, os.urandom(_NAME_BYTES))
        dossier = vault.dossier
        try:
            await _receive(dossier, cutter, arriving, rel, op)
        except BaseException:
            await asyncio.shield(dossier.drop_pieces(cutter.ids))
            raise
        return await _commit(changing, cutter, op, name)
    raise AssertionError("a call either answers or raises")


async def _receive(
    dossier: Dossier, cutter: Cutter, arriving: Arriving, rel: Release, op: Op
) -> None:
    """Take in all bytes, and give `op` the resource that they make."""
    seen = b""
    try:
        async for part in arriving.parts:
            if len(seen) < media.ENOUGH:
                seen += part[: media.ENOUGH]
            for id_, sealed in cutter.add(part):
                _fits(arriving.medium, seen)
                await dossier.keep_piece(id_, sealed)
    except BrokenOff as gone:
        raise BadRequest("the document ended before it was whole") from gone
    _fits(arriving.medium, seen)
    tree = _tree(rel, arriving)
    if not cutter.ids:
        op.tree = filled(rel, tree, base64.b64encode(cutter.rest).decode())
        return
    op.large, (id_, sealed) = cutter.end()
    op.tree = filled(rel, tree, op.large.digest)
    await dossier.keep_piece(id_, sealed)


async def _commit(changing: Changing, cutter: Cutter, op: Op, name: str) -> Outcome:
    """One try after another, until no other process is first.

    The pieces go when it is sure that no commit names them: after a fault of the store it may yet
    have happened, and what is not named is swept later.
    """
    vault = changing.vault
    try:
        outcome = await _tried(changing, op, name)
    except PgoError as refusal:
        if refusal.status < HTTPStatus.INTERNAL_SERVER_ERROR:
            await vault.dossier.drop_pieces(cutter.ids)
        raise
    if not changing.call.written:
        await vault.dossier.drop_pieces(cutter.ids)
    return outcome


async def _tried(changing: Changing, op: Op, name: str) -> Outcome:
    for _ in range(_RACES):
        try:
            return (await changing.run([op], name))[0]
        except NotNext:
            await asyncio.sleep(0.002)
    raise Unavailable("this dossier is very busy; nothing was stored")


def _fits(medium: Medium, seen: bytes) -> None:
    if not seen:
        raise Unprocessable("there is nothing in this document", place=BINARY)
    if not medium.fits(seen):
        raise Unprocessable("the bytes are not of the media type that was named", place=BINARY)


def _tree(rel: Release, arriving: Arriving) -> dict[str, Any]:
    tree: dict[str, Any] = {"resourceType": BINARY, "contentType": arriving.medium.name}
    if arriving.context:
        tree["securityContext"] = {"reference": arriving.context}
    return filled(rel, tree, "AAAA")
