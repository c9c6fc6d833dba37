"""Who is calling: an access token in the Authorization header becomes a `Caller`, or a 401.

A bearer token is good for whoever has it. A bound one counts with a proof of its key only, by DPoP
or by the certificate of the connection.

Nothing is taken from the token that the registry knows better: membership, kind, role, name and
whether the app may still be used are read at each request, unless the store says that nothing at
all was committed since the last time; and the `Caller` that the very same facts made before is
used again. `pgo.web` adds the challenge (RFC 6750).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from operator import is_
from typing import Any

from pgo.caller import Caller
from pgo.errors import (
    BadRequest,
    InvalidProof,
    NonceNeeded,
    NonceStale,
    ProofRefused,
    Unauthenticated,
)
from pgo.oauth.certificate import certificate_binding
from pgo.oauth.clients import OPERATOR, App, Provider
from pgo.oauth.emergency import HEADER as EMERGENCY
from pgo.oauth.emergency import emergency_of
from pgo.oauth.proof import Proofs, proof_of
from pgo.oauth.tokens import REMEMBERED, Grant, Tokens, digest, generation_of
from pgo.registry import Account, Organisation, Registry

SYSTEM = "systeem"
PURPOSES = {"copiloot": "CAREMGT", "zorgverlener": "TREAT", SYSTEM: "TREAT"}
"""Purpose by kind; for a private person it follows from the dossier (client, representative)."""
_CREDENTIALS = re.compile(rb"([A-Za-z]{1,16}) +([A-Za-z0-9._~+/-]{1,512}=*)")
_SCHEMES = frozenset({b"bearer", b"dpop"})
_Known = tuple[Grant, Account | Provider, App | None, Organisation | None]
_Held = tuple[int | None, Grant, _Known, str]
_REFUSED = "The access token is not good, or not any more."


class Guard:
    """Answers who is calling, with `tokens` and `registry` as they are at this moment.

    `proofs` checks what bound tokens come with; without it no bound token is good.
    """

    def __init__(self, registry: Registry, tokens: Tokens, proofs: Proofs | None = None) -> None:
        self._registry = registry
        self._tokens = tokens
        self._proofs = proofs
        self._held: dict[str, _Held] = {}
        self._made: dict[tuple[str, str], tuple[_Known, Caller]] = {}

    async def caller_of(self, scope: Mapping[str, Any]) -> Caller:
        """The caller of an ASGI request (`headers`, `query_string`, `client` of the scope).

        Raises:
            errors.Unauthenticated: no token, or not a good one.
            errors.BadRequest: the credentials, or the header of noodtoegang, are malformed.
        """
        headers: Sequence[tuple[bytes, bytes]] = scope["headers"]
        text, scheme = credentials(headers, scope.get("query_string", b""))
        held = self._held.get(text)
        mark, now = self._tokens.mark(), self._tokens.now()
        if held is None or held[0] is None or held[0] != mark or held[1].expires <= now:
            held = await self._hold(text, mark)
        grant = held[1]
        if grant.bound or scheme != "bearer":
            await self._prove(scope, grant, text, scheme)
        caller = self._caller(held[2], held[3], _address(scope))
        declared = [value for name, value in headers if name == EMERGENCY]
        return replace(caller, emergency=emergency_of(declared)) if declared else caller

    async def _hold(self, text: str, mark: int | None) -> _Held:
        """What this token stands for now, and what the registry says; good while `mark` stays.

        Raises:
            errors.Unauthenticated: it is not good.
        """
        grant = await self._tokens.access(text)
        held = (mark, grant, await self._known(grant), digest(text)[:16])
        if len(self._held) >= REMEMBERED:
            self._held.clear()
        self._held[text] = held
        return held

    async def _prove(self, scope: Mapping[str, Any], grant: Grant, text: str, scheme: str) -> None:
        """Who sends a bound token has its key.

        Raises:
            errors.ProofRefused, errors.NonceStale: he does not, or not any more.
        """
        if scheme == "bearer" and grant.bound.startswith("x5t:"):
            if certificate_binding(scope["headers"]) == grant.bound:
                return
            raise ProofRefused(_REFUSED)
        try:
            proof = proof_of(scope["headers"]) if scheme == "dpop" else None
            if proof is None or self._proofs is None:
                raise ProofRefused(_REFUSED)
            mine = await self._proofs.binding(proof, scope["method"], scope["path"], token=text)
        except NonceNeeded as stale:
            raise NonceStale(stale.detail, headers=stale.headers) from stale
        except InvalidProof as wrong:
            raise ProofRefused(_REFUSED) from wrong
        if mine != grant.bound:
            raise ProofRefused(_REFUSED)

    def _caller(self, known: _Known, token: str, address: str) -> Caller:
        """The caller these facts make; the same one again for the very same facts."""
        place = (token, address)
        made = self._made.get(place)
        if made is not None and all(map(is_, made[0], known)):
            return made[1]
        if len(self._made) >= REMEMBERED:
            self._made.clear()
        caller = _caller(known, token, address)
        self._made[place] = (known, caller)
        return caller

    async def _known(self, grant: Grant) -> _Known:
        """What the registry says now about everybody in a grant; nobody in it is out of date."""
        org = await self._registry.organisation(grant.org) if grant.org else None
        if grant.kind == SYSTEM:
            return grant, await self._system(grant), None, org
        account = await self._registry.account(grant.person)
        app = None if grant.app == OPERATOR else await self._registry.app(grant.app)
        if account is None or not still_holds(grant, account, app):
            raise Unauthenticated(_REFUSED)
        return grant, account, app, org

    async def _system(self, grant: Grant) -> Provider:
        provider = await self._registry.provider(grant.app)
        if (
            provider is None
            or provider.disabled
            or (grant.person, grant.org) != (provider.client_id, provider.id)
            or grant.generation != generation_of(provider, None)
        ):
            raise Unauthenticated(_REFUSED)
        return provider


def still_holds(grant: Grant, account: Account, app: App | None) -> bool:
    """Whether a grant is still good, as person and app are now (`app` None: an operator's)."""
    return (
        not account.disabled
        and (grant.app == OPERATOR if app is None else not app.disabled)
        and grant.kind in ("", account.kind)
        and grant.generation == generation_of(app, account)
    )


def credentials(headers: Sequence[tuple[bytes, bytes]], query: bytes = b"") -> tuple[str, str]:
    """The token of a request and its scheme, bearer or dpop; only the Authorization header counts.

    Raises:
        errors.Unauthenticated: there is none, or it stands in the query.
        errors.BadRequest: the header twice, in the query too, or malformed.
    """
    given = [value for name, value in headers if name == b"authorization"]
    in_query = query and any(part.startswith(b"access_token=") for part in query.split(b"&"))
    if not given:
        raise Unauthenticated("No access token.")
    if len(given) > 1 or in_query:
        raise _bad("Give the access token once, in the Authorization header.")
    return _parsed(given[0])


@lru_cache(maxsize=1_024)
def _parsed(given: bytes) -> tuple[str, str]:
    scheme = given.split(b" ", 1)[0].lower()
    if scheme not in _SCHEMES:
        raise Unauthenticated("Another scheme than Bearer or DPoP.")
    found = _CREDENTIALS.fullmatch(given)
    if found is None:
        raise _bad("The Authorization header is malformed.")
    return found[2].decode(), scheme.decode()


def _caller(known: _Known, token: str, address: str) -> Caller:
    grant, who, app, org = known
    about = _system(who) if isinstance(who, Provider) else _person(who, grant, app)
    return Caller(
        **about,
        loa=grant.loa,
        app=grant.app,
        org=grant.org,
        org_name="" if org is None else org.name,
        scope=grant.scope,
        dossier=grant.dossier,
        service=grant.service,
        token=token,
        address=address,
    )


def _system(provider: Provider) -> dict[str, Any]:
    return {
        "person": provider.client_id,
        "kind": SYSTEM,
        "name": provider.name,
        "orgs": frozenset({provider.id}),
        "app_name": provider.name,
        "purpose": provider.purpose or PURPOSES[SYSTEM],
    }


def _person(account: Account, grant: Grant, app: App | None) -> dict[str, Any]:
    name, purpose = ("pgo token", "") if app is None else (app.name, app.purpose)
    return {
        "person": account.id,
        "kind": grant.kind,
        "name": account.name,
        "orgs": frozenset(account.orgs),
        "teams": frozenset(account.teams),
        "role": account.roles.get(grant.org, ""),
        "birth": account.birth,
        "app_name": name,
        "purpose": purpose or PURPOSES.get(grant.kind, ""),
    }


def _address(scope: Mapping[str, Any]) -> str:
    client = scope.get("client")
    return str(client[0]) if client else ""


def _bad(detail: str) -> BadRequest:
    return BadRequest(detail, place="Authorization")
