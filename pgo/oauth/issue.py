"""What each grant hands out: the checks at the moment of giving, the line, then the tokens.

Order in each: is it still theirs to give (person, app, dossier, scope), write it down, make the
tokens. When it cannot be written down, nothing is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pgo.errors import InvalidGrant, InvalidScope
from pgo.oauth import assertion
from pgo.oauth.clients import App, Provider
from pgo.oauth.guard import SYSTEM, still_holds
from pgo.oauth.parts import Parts
from pgo.oauth.scopes import Cap, cap_of, levels, narrowed, parse
from pgo.oauth.tokens import Grant, Issued, generation_of

_GRANT_ENDED = "This grant is not good, or not any more."
_MORE = "This scope is more than allowed."


class Issue:
    """Hands out tokens, with the stores and callbacks of `parts`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._audiences = frozenset({parts.issuer, f"{parts.issuer}/oauth/token"})

    async def proved(self, text: str) -> App | Provider:
        """The client that made an assertion; see `assertion.proved`."""
        return await assertion.proved(
            text,
            client_of=self.parts.registry.client,
            first_use=self._first_use,
            audiences=self._audiences,
            now=self.parts.tokens.now(),
        )

    async def redeemed(self, code: str, client: App | Provider) -> Grant:
        """Spend a code of this client; another's attempt spends it too."""
        grant = await self.parts.tokens.redeem(code)
        if grant.app != client.client_id:
            await self.parts.tokens.end_family(grant.family)
            raise InvalidGrant(_GRANT_ENDED)
        return grant

    async def for_code(self, client: App, grant: Grant) -> dict[str, Any]:
        """Tokens for a code whose redirect address and verifier were right."""
        grant = replace(grant, redirect_uri="", challenge="")
        allowed = await self._allowed(client, grant)
        again = "offline_access" in allowed.context and "refresh_token" in client.grants
        given = replace(grant, scope=allowed.texts())
        await self._note("code", given)
        issued = await self.parts.tokens.issue(given, refresh=given if again else None)
        return await self._answer(issued)

    async def for_refresh(self, client: App, text: str, scope: str) -> dict[str, Any]:
        """New tokens for a refresh token.

        A public app gets a new refresh token and the old one is spent. An app that proves itself
        with a key keeps the one it has (FAPI 2.0 5.3.2.1).
        """
        grant = await self.parts.tokens.refresh(text)
        if grant is None or grant.app != client.client_id:
            raise InvalidGrant(_GRANT_ENDED)
        allowed = await self._allowed(client, grant)
        given = replace(grant, scope=_asked(scope, allowed).texts())
        if client.jwks is None:
            await self.parts.tokens.rotate(text)
        await self._note("refresh", given)
        if client.jwks is None:
            return await self._answer(await self.parts.tokens.issue(given, refresh=grant))
        await self.parts.tokens.prolong(text, grant)
        return await self._answer(await self.parts.tokens.issue(given))

    async def for_system(self, provider: Provider, scope: str) -> dict[str, Any]:
        """An access token for a provider's system; never a refresh token."""
        allowed = levels(cap_of(provider.scopes), "system")
        given = narrowed(parse(scope), allowed) if scope else allowed
        if not given.reaches:
            raise InvalidScope(_MORE, place="scope")
        now = self.parts.tokens.now()
        grant = Grant(
            person=provider.client_id, kind=SYSTEM, org=provider.id, app=provider.client_id,
            dossier="", scope=Cap(given.reaches).texts(), service="", loa="substantieel", family="",
            generation=generation_of(provider, None), issued=now, expires=now, until=now,
        )  # fmt: skip
        await self._note("system", grant)
        return await self._answer(await self.parts.tokens.issue(grant))

    async def _allowed(self, client: App, grant: Grant) -> Cap:
        """What person and app may still have of a grant."""
        account = await self.parts.registry.account(grant.person)
        if account is None or not still_holds(grant, account, client):
            raise InvalidGrant(_GRANT_ENDED)
        if grant.dossier and not await self._is_open(grant.person, grant.dossier):
            raise InvalidGrant(_GRANT_ENDED)
        cap = narrowed(cap_of(grant.scope), cap_of(client.scopes))
        if not cap.reaches and not cap.context:
            raise InvalidScope(_MORE, place="scope")
        return cap

    async def _is_open(self, person: str, dossier: str) -> bool:
        return any(client == dossier for client, _ in await self.parts.dossiers_of(person))

    async def _first_use(self, name: str, until: int) -> bool:
        return await self.parts.store.put("jti", name, b"1", until, fresh=True)

    async def _note(self, detail: str, grant: Grant) -> None:
        await self.parts.note(
            "oauth.token",
            person=grant.person,
            app=grant.app,
            client=grant.dossier,
            outcome="ok",
            detail=detail,
        )

    async def _answer(self, issued: Issued) -> dict[str, Any]:
        """RFC 6749 5.1, with SMART's launch context."""
        grant = issued.grant
        answer: dict[str, Any] = {
            "access_token": issued.access,
            "token_type": "Bearer",
            "expires_in": issued.expires_in,
            "scope": " ".join(grant.scope),
        }
        if issued.refresh:
            answer["refresh_token"] = issued.refresh
        if grant.dossier:
            answer["patient"] = await self.parts.patient_of(grant.dossier)
        if "fhirUser" in grant.scope:
            user = await self.parts.fhir_user_of(grant.person, grant.dossier)
            answer |= {"fhirUser": user} if user else {}
        return answer


def _asked(scope: str, allowed: Cap) -> Cap:
    """The narrower scope asked for at a refresh (RFC 6749 6); wider is refused."""
    if not scope:
        return allowed
    asked = parse(scope)
    wider = any(not any(one.within(mine) for mine in allowed.reaches) for one in asked.reaches)
    if wider or not asked.context <= allowed.context or not (asked.reaches or asked.context):
        raise InvalidScope(_MORE, place="scope")
    return asked
