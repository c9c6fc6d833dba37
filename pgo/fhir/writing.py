"""The interactions that change a dossier: create, update, delete, batch and transaction.

Each reads what was sent into operations and leaves the rest to the vault.
"""

from __future__ import annotations

from pgo.errors import BadValue, PgoError
from pgo.fhir import answers
from pgo.fhir.answers import Reply
from pgo.fhir.ask import IGNORED, Ask, no_parameters, pairs_of, query_of
from pgo.fhir.bundle import Op, read_bundle, same_type, version_of
from pgo.fhir.incoming import incoming, incoming_bundle
from pgo.fhir.query import Query
from pgo.vault import Vault


async def create(ask: Ask, vault: Vault) -> Reply:
    """POST Type."""
    if "if-none-exist" in ask.headers:
        raise BadValue("conditional create is not offered", place="If-None-Exist")
    return await _change(ask, vault, Op("POST", ask.address.type))


async def update(ask: Ask, vault: Vault) -> Reply:
    """PUT Type/id."""
    op = Op("PUT", ask.address.type, ask.address.id)
    if "if-none-match" in ask.headers:
        raise BadValue("this condition is not offered", place="If-None-Match")
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    return await _change(ask, vault, op)


async def _change(ask: Ask, vault: Vault, op: Op) -> Reply:
    no_parameters(ask)
    op.tree = incoming(ask.address.release, ask.body, ask.reader)
    same_type(op, op.type)
    name = ask.headers.get("x-request-id", "") if op.method == "POST" else ""
    outcomes = await vault.change(ask.address.interaction, ask.address.release, [op], name=name)
    return answers.changed(outcomes[0], ask.base, ask.prefer("return", "representation"))


async def delete(ask: Ask, vault: Vault) -> Reply:
    """DELETE Type/id."""
    no_parameters(ask)
    op = Op("DELETE", ask.address.type, ask.address.id)
    if "if-match" in ask.headers:
        op.if_match = version_of(ask.headers["if-match"], "If-Match")
    outcomes = await vault.change("delete", ask.address.release, [op])
    return answers.changed(outcomes[0], ask.base, "minimal")


async def bundle(ask: Ask, vault: Vault) -> Reply:
    """POST of a batch or transaction."""
    no_parameters(ask)
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
        pairs = pairs_of(op.query.encode())
        return query_of(ask, op.type, [pair for pair in pairs if pair[0] not in IGNORED])
    except PgoError as error:
        place = f"{op.place}.request.url"
        detail = f"{error.place}: {error.detail}" if error.place else error.detail
        raise type(error)(detail, place=place) from error
