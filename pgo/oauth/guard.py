"""Who is calling: a bearer token in the Authorization header becomes a `Caller`, or a 401.

Nothing is taken from the token that the registry knows better: membership, kind, role, name and
whether the app may still be used are read at each request. `pgo.web` adds the challenge (RFC 6750).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from pgo.caller import Caller
from pgo.errors import BadRequest, Unauthenticated
from pgo.oauth.clients import OPERATOR, App
from pgo.oauth.emergency import HEADER as EMERGENCY
from pgo.oauth.emergency import emergency_of
from pgo.oauth.tokens import Grant, Tokens, digest, generation_of
from pgo.registry import Account, Registry

SYSTEM = "systeem"
PURPOSES = {"copiloot": "CAREMGT", "zorgverlener": "TREAT", SYSTEM: "TREAT"}
"""Purpose by kind; for a private person it follows from the dossier (client, representative)."""
_CREDENTIALS = re.compile(rb"[Bb][Ee][Aa][Rr][Ee][Rr] +([A-Za-z0-9._~+/-]{1,512}=*)")
_REFUSED = "The access token is not good, or not any more."


class Guard:
    """Answers who is calling, with `tokens` and `registry` as they are at this moment."""

    def __init__(self, registry: Registry, tokens: Tokens) -> None:
        self._registry = registry
        self._tokens = tokens

    async def caller_of(self, scope: Mapping[str, Any]) -> Caller:
        """The caller of an ASGI request (`headers`, `query_string`, `client` of the scope).

        Raises:
            errors.Unauthenticated: no token, or not a good one.
            errors.BadRequest: the credentials, or the header of noodtoegang, are malformed.
        """
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        text = bearer(headers, scope.get("query_string", b""))
        grant = await self._tokens.access(text)
        person, app = await self._parties(grant)
        return Caller(
            **person,
            **app,
            org=grant.org,
            org_name=await self._called(grant.org),
            scope=grant.scope,
            dossier=grant.dossier,
            service=grant.service,
            token=digest(text)[:16],
            address=_address(scope),
            emergency=emergency_of([value for name, value in headers if name == EMERGENCY]),
        )

    async def _called(self, org: str) -> str:
        """What people call the organisation."""
        found = await self._registry.organisation(org) if org else None
        return "" if found is None else found.name

    async def _parties(self, grant: Grant) -> tuple[dict[str, Any], dict[str, Any]]:
        if grant.kind == SYSTEM:
            return await self._system(grant)
        account = await self._registry.account(grant.person)
        app = None if grant.app == OPERATOR else await self._registry.app(grant.app)
        if account is None or not still_holds(grant, account, app):
            raise Unauthenticated(_REFUSED)
        return _person(account, grant), _app(grant, app)

    async def _system(self, grant: Grant) -> tuple[dict[str, Any], dict[str, Any]]:
        provider = await self._registry.provider(grant.app)
        if (
            provider is None
            or provider.disabled
            or (grant.person, grant.org) != (provider.client_id, provider.id)
            or grant.generation != generation_of(provider, None)
        ):
            raise Unauthenticated(_REFUSED)
        who = {
            "person": provider.client_id,
            "kind": SYSTEM,
            "name": provider.name,
            "orgs": frozenset({provider.id}),
            "loa": grant.loa,
        }
        purpose = provider.purpose or PURPOSES[SYSTEM]
        return who, {"app": grant.app, "app_name": provider.name, "purpose": purpose}


def still_holds(grant: Grant, account: Account, app: App | None) -> bool:
    """Whether a grant is still good, as person and app are now (`app` None: an operator's)."""
    return (
        not account.disabled
        and (grant.app == OPERATOR if app is None else not app.disabled)
        and grant.kind in ("", account.kind)
        and grant.generation == generation_of(app, account)
    )


def bearer(headers: Sequence[tuple[bytes, bytes]], query: bytes = b"") -> str:
    """The token of a request; only the Authorization header counts.

    Raises:
        errors.Unauthenticated: there is none, or it stands in the query.
        errors.BadRequest: the header twice, in the query too, or malformed.
    """
    given = [value for name, value in headers if name == b"authorization"]
    in_query = any(part.startswith(b"access_token=") for part in query.split(b"&"))
    if not given:
        raise Unauthenticated("No access token.")
    if len(given) > 1 or in_query:
        raise _bad("Give the access token once, in the Authorization header.")
    if given[0].split(b" ", 1)[0].lower() != b"bearer":
        raise Unauthenticated("Another scheme than Bearer.")
    found = _CREDENTIALS.fullmatch(given[0])
    if found is None:
        raise _bad("The Authorization header is malformed.")
    return found[1].decode()


def _person(account: Account, grant: Grant) -> dict[str, Any]:
    return {
        "person": account.id,
        "kind": grant.kind,
        "name": account.name,
        "orgs": frozenset(account.orgs),
        "teams": frozenset(account.teams),
        "role": account.roles.get(grant.org, ""),
        "loa": grant.loa,
        "birth": account.birth,
    }


def _app(grant: Grant, app: App | None) -> dict[str, Any]:
    name, purpose = ("pgo token", "") if app is None else (app.name, app.purpose)
    purpose = purpose or PURPOSES.get(grant.kind, "")
    return {"app": grant.app, "app_name": name, "purpose": purpose}


def _address(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _bad(detail: str) -> BadRequest:
    return BadRequest(detail, place="Authorization")
