"""The interactions that change a dossier: create, update, patch, delete, batch, transaction.

Each reads what was sent into operations and leaves the rest to the vault.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pgo.conditional import Queries
from pgo.errors import BadValue, PgoError
from pgo.fhir import answers, attachments, text
from pgo.fhir.answers import Reply
from pgo.fhir.ask import IGNORED, Ask, no_parameters, pairs_of, query_of
from pgo.fhir.bundle import Op, asked_of, read_bundle, same_type, version_of
from pgo.fhir.elements import Release
from pgo.fhir.incoming import incoming, incoming_bundle
from pgo.fhir.patch import read
from pgo.fhir.query import Query
from pgo.shown import Outcome
from pgo.vault import Vault


async def create(ask: Ask, vault: Vault) -> Reply:
    """POST Type; with If-None-Exist only when its search finds nothing.

    A search in the address says the same: so does fhirpy.
    """
    op = Op("POST", ask.address.type, tree=_sent(ask, vault))
    if "if-none-exist" in ask.headers:
        no_parameters(ask)
        op.condition = asked_of(ask.headers["if-none-exist"], op.type)
    elif ask.pairs:
        op.condition = answers.query_text(ask.pairs)
    same_type(op, op.type)
    return await _change(ask, vault, op, name=ask.headers.get("x-request-id", ""))


async def update(ask: Ask, vault: Vault) -> Reply:
    """PUT Type/id, or Type?search."""
    op = _meant(ask, "PUT")
    if "if-none-match" in ask.headers:
        raise BadValue("this condition is not offered", place="If-None-Match")
    op.tree = _sent(ask, vault)
    same_type(op, op.type)
    return await _change(ask, vault, op)


async def patch(ask: Ask, vault: Vault) -> Reply:
    """PATCH Type/id, or Type?search."""
    op = _meant(ask, "PATCH")
    op.patch = read(ask.reader, ask.body, ask.address.release)
    return await _change(ask, vault, op)


async def delete(ask: Ask, vault: Vault) -> Reply:
    """DELETE Type/id, or Type?search."""
    return await _change(ask, vault, _meant(ask, "DELETE"))


def _sent(ask: Ask, vault: Vault) -> dict[str, Any]:
    tree = incoming(ask.address.release, ask.body, ask.reader, vault.profiles)
    attachments.make_relative(tree, *_home(ask, vault))
    return tree


def _home(ask: Ask, vault: Vault) -> tuple[str, str, str]:
    """Our own address, whose dossier it is and the release: what makes an address our own."""
    address = ask.address
    return ask.base.removesuffix(address.base), vault.client, address.release


def _meant(ask: Ask, method: str) -> Op:
    """The operation on the resource that is named, or that a search names."""
    op = Op(method, ask.address.type, ask.address.id)
    if op.id:
        no_parameters(ask)
    else:
        op.condition = answers.query_text(ask.pairs)
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    return op


async def _change(ask: Ask, vault: Vault, op: Op, name: str = "") -> Reply:
    address = ask.address
    outcomes = await vault.change(
        address.interaction, address.release, [op], name=name, queries=_queries(ask)
    )
    prefer = "minimal" if op.method == "DELETE" else ask.prefer("return", "representation")
    _note_profiles(vault, address.release, prefer, outcomes)
    return answers.changed(outcomes[0], ask.base, prefer)


async def bundle(ask: Ask, vault: Vault) -> Reply:
    """POST of a batch or transaction."""
    no_parameters(ask)
    release = ask.address.release
    tree, faults = await incoming_bundle(release, ask.body, ask.reader, vault.profiles)
    attachments.make_relative(tree, *_home(ask, vault))
    asked = read_bundle(tree, release)
    for op in asked.ops:
        op.fault = op.fault or faults.get(op.index)
    outcomes = await vault.change(
        asked.kind,
        release,
        asked.ordered(),
        isolated=asked.kind == "batch",
        name=ask.headers.get("x-request-id", ""),
        queries=_queries(ask),
    )
    prefer = ask.prefer("return", "minimal")
    _note_profiles(vault, release, prefer, outcomes)
    in_order = sorted(outcomes, key=lambda outcome: outcome.op.index)
    return Reply(200, answers.answers(asked.kind, in_order, ask.base, prefer, release))


def _note_profiles(
    vault: Vault, release: Release, prefer: str, outcomes: Sequence[Outcome]
) -> None:
    """For who asks for outcomes: which profiles of what was stored are not here."""
    for one in outcomes if prefer == "OperationOutcome" else ():
        if one.text and one.op.method != "GET" and not one.note:
            notes = vault.profiles.unknown(release, text.reread(one.text))
            places = ", ".join(note.place for note in notes)
            one.note = f"Stored, not checked: no such profile is here ({places})." if notes else ""


def _queries(ask: Ask) -> Queries:
    """Searches inside a request; errors name the entry or header, and the parameter."""

    def query(type_: str, asked: str, place: str, *, strict: bool = False) -> Query:
        try:
            pairs = [pair for pair in pairs_of(asked.encode()) if pair[0] not in IGNORED]
            return query_of(ask, type_, pairs, strict=strict)
        except PgoError as error:
            if not place:
                raise
            detail = f"{error.place}: {error.detail}" if error.place else error.detail
            raise type(error)(detail, place=place) from error

    return query
