"""The resource that `fhirUser` names for who is no client: made of his account, stored nowhere.

A professional is a Practitioner, anybody else a Person; the id is that of the account, and nothing
is in it but the name. A client is his own Patient. Whoever holds a token with `fhirUser` can read
his own, in a dossier he may know of; nobody reads another's.
"""

from __future__ import annotations

from typing import Final

from pgo.caller import Caller
from pgo.dossier.image import Row
from pgo.fhir import text
from pgo.oauth.scopes import Cap
from pgo.shown import Found

PROFESSIONALS: Final = frozenset({"copiloot", "zorgverlener"})


def kind_of(kind: str) -> str:
    """The type of resource for an account of this kind."""
    return "Practitioner" if kind in PROFESSIONALS else "Person"


def oneself(caller: Caller, cap: Cap, rel: str, type_: str, id_: str, at: int) -> Found | None:
    """The caller's own resource as of `at` (µs since 1970), when this is its address."""
    if id_ != caller.person or type_ != kind_of(caller.kind) or "fhirUser" not in cap.context:
        return None
    tree = {"resourceType": type_, "id": id_, "active": True, "name": [{"text": caller.name}]}
    row = Row(0, rel, type_, id_, 1, at, 0, None, True, None, "", "PUT")
    return Found(row, text.dump(tree))
