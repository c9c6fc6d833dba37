"""What a demo family is made of: plain values only, no store and no network."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, NamedTuple

import orjson

Resource = dict[str, Any]
Release = Literal["r4", "stu3"]


class Push(NamedTuple):
    """One transaction `bundle` that `organisation` (its id) sends in `release`."""

    organisation: str
    release: Release
    bundle: Resource


class Own(NamedTuple):
    """A resource written by a person of the family (account id `author`).

    The subject reads `Patient/<family key>`; the loader puts the dossier's own Patient there.
    """

    author: str
    release: Release
    resource: Resource


class Seal(NamedTuple):
    """`by` (account id) puts `label` on the resource with this identifier (`system|value`)."""

    by: str
    label: str
    release: Release
    type: str
    identifier: str


@dataclass(frozen=True, slots=True)
class Organisation:
    """A provider or supporter organisation.

    Attributes:
        id: short id, as used in grants (`org:<id>`).
        kind: instelling, apotheek, ziekenhuis, huisarts, thuiszorg or ondersteuning.
        system: identifier system of its records; empty when it keeps none.
        client_id: of its back-end system, for pushes; empty when it has none.
    """

    id: str
    name: str
    kind: str
    city: str
    phone: str
    system: str = ""
    client_id: str = ""


@dataclass(frozen=True, slots=True)
class App:
    """A partner app people sign in with (public client, PKCE); `scope` is what it may ask for."""

    id: str
    name: str
    redirect_uris: tuple[str, ...]
    origins: tuple[str, ...]
    scope: str


@dataclass(frozen=True, slots=True)
class Family:
    """One client with everybody around him, in the JSON form of decision tables.

    Attributes:
        key: name of the client in relations, grants and accounts.
        client: id (= key), name, given, family, gender, birth and flags such as `wilsonbekwaam`
            (registered as unable to decide).
        accounts: people who sign in: id, name, birth, kind, orgs, teams, role. A client who signs
            in himself is the account whose id is the family key.
        relations: person, client, kind, gezag, order, from, to, child_confirmed, labels.
        grants: id, client, by, effect, to_who, actions, categories, weekly, from, to, made, status.
        own: what the family itself wrote.
        pushes: what organisations send, in this order.
        seals: labels on single resources, to be put on after the pushes.
    """

    key: str
    client: dict[str, Any]
    accounts: tuple[dict[str, Any], ...]
    relations: tuple[dict[str, Any], ...]
    grants: tuple[dict[str, Any], ...]
    own: tuple[Own, ...]
    pushes: tuple[Push, ...]
    seals: tuple[Seal, ...] = ()


def as_json(bundle: Resource) -> bytes:
    """UTF-8 JSON of a resource; decimals keep their trailing zeros (`5.40` stays `5.40`)."""
    return orjson.dumps(bundle, default=_number)


def _number(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError(type(value).__name__)
