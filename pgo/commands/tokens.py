"""pgo token, pgo provider assert: what lets somebody call the server from the command line."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from pgo.commands.dossier import Approval, Operator
from pgo.commands.frame import AsJson, DossierId, json_file, settings, show, with_house
from pgo.errors import BadValue
from pgo.house import House
from pgo.medmij.services import catalogue
from pgo.office import Office, approved_by, must_exist
from pgo.registry import Account
from pgo.world import SUBJECT

_ALGORITHMS: Final = {
    ("EC", "P-256"): "ES256",
    ("EC", "P-384"): "ES384",
    ("OKP", "Ed25519"): "EdDSA",
    ("RSA", ""): "RS384",
}


def token(
    dossier: DossierId,
    scope: Annotated[str, typer.Option(help="SMART scopes, space separated.")] = "",
    service: Annotated[str, typer.Option(help="Id of a MedMij service, instead of a scope.")] = "",
    person: Annotated[
        str, typer.Option("--as", help="Account that will be calling; left out: the client.")
    ] = "",
    org: Annotated[str, typer.Option(help="Organisation the person acts for.")] = "",
    operator: Operator = "beheer",
    approval: Approval = "",
    as_json: AsJson = False,
) -> None:
    """A token for one dossier, an hour at most; written down in the dossier's trail."""

    async def work(house: House) -> dict[str, Any]:
        if service:
            _must_be_offered(service)
        await must_exist(house, dossier)
        approved = await approved_by(house, approval, operator, dossier, "token")
        office = Office(house, dossier, operator)
        who = person or await _client(house, dossier, register=bool(service))
        issued = await house.tokens.issue_operator(
            house.registry,
            dossier=dossier,
            person=who,
            scope=tuple(scope.split()),
            service=service,
            org=org,
        )
        await office.token_given(who, approved)
        return {
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(issued.grant.scope),
        }

    found: dict[str, Any] = with_house(work)
    show(found if as_json else found["access_token"], as_json=as_json)


def _must_be_offered(service: str) -> None:
    if service not in catalogue().offered:
        raise BadValue("there is no such service", place="--service")


async def _client(house: House, dossier: str, *, register: bool) -> str:
    """The client's own account; a token for a service is always the client's, so it makes one.

    Raises:
        BadValue: he has none.
    """
    opened = await house.parts.dossiers.open(dossier)
    subject = opened.image.rule("subject", SUBJECT) or {}
    person = str(subject.get("person", ""))
    if await house.registry.account(person) is not None:
        return person
    if not register or not person:
        raise BadValue("the client has no account; say --as PERSON", place="--as")
    birth = str(subject.get("birth", ""))
    await house.registry.keep_account(Account(person, subject.get("name") or "cliënt", birth))
    return person


def assertion(
    key: Annotated[Path, typer.Option(help="File with the system's private key (JWK).")],
    client_id: Annotated[str, typer.Option(help="client_id of the system.")],
    as_json: AsJson = False,
) -> None:
    """A signed client assertion for the token endpoint, good for four minutes."""
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": settings().issuer,
        "iat": now,
        "exp": now + 240,
        "jti": secrets.token_hex(16),
    }
    found = json_file(key)
    algorithm = _ALGORITHMS.get((str(found.get("kty")), str(found.get("crv", ""))))
    if algorithm is None:
        raise BadValue("not a private key of a kind we use (EC, RSA, Ed25519)", place=key.name)
    header = {"alg": algorithm, "kid": found.get("kid", client_id)}
    try:
        signed = jwt.encode(header, claims, import_key(found), algorithms=[algorithm])
    except (JoseError, ValueError, TypeError) as fault:
        raise BadValue("not a private key (JWK)", place=key.name) from fault
    show({"client_assertion": signed} if as_json else signed, as_json=as_json)
