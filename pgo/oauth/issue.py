"""What each grant hands out: the checks at the moment of giving, the line, then the tokens.

Order in each: is it still theirs to give (person, app, dossier, scope), write it down, make the
tokens. When it cannot be written down, nothing is given.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pgo.errors import InvalidGrant, InvalidProof, InvalidScope
from pgo.oauth import assertion
from pgo.oauth.clients import App, Provider
from pgo.oauth.grace import Grace
from pgo.oauth.guard import SYSTEM, still_holds
from pgo.oauth.parts import Parts
from pgo.oauth.permitted import Permitted
from pgo.oauth.scopes import Cap, cap_of, levels, narrowed, parse
from pgo.oauth.tokens import Grant, Issued, generation_of

_GRANT_ENDED = "This grant is not good, or not any more."
_MORE = "This scope is more than allowed."
ACR = {
    "laag": "http://eidas.europa.eu/LoA/low",
    "substantieel": "http://eidas.europa.eu/LoA/substantial",
    "hoog": "http://eidas.europa.eu/LoA/high",
}
"""Level of assurance of a sign-in, as eIDAS names it."""


class Issue:
    """Hands out tokens, with the stores and callbacks of `parts`."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._audiences = frozenset({parts.issuer, f"{parts.issuer}/oauth/token"})
        self.permitted = Permitted(parts)
        self._grace = Grace(parts.store, parts.box, parts.tokens)

    async def proved(self, text: str) -> App | Provider:
        """The client that made an assertion; see `assertion.proved`."""
        return await assertion.proved(
            text,
            client_of=self.parts.registry.client,
            first_use=self._first_use,
            audiences=self._audiences,
            now=self.parts.tokens.now(),
            issuer=self.parts.issuer,
            keys_of=self.parts.keysets.of,
        )

    async def named(self, form: dict[str, str]) -> dict[str, str]:
        """The form with the client_id that a public app may leave out of a refresh (RFC 6749 6).

        Raises:
            errors.InvalidGrant: the refresh token is not good; a spent one ends its family.
        """
        silent = form.keys().isdisjoint({"client_id", "client_assertion", "client_secret"})
        if form.get("grant_type") != "refresh_token" or "refresh_token" not in form or not silent:
            return form
        grant = await self.parts.tokens.refresh(form["refresh_token"])
        if grant is None:
            raise InvalidGrant(_GRANT_ENDED)
        return {**form, "client_id": grant.app}

    async def redeemed(self, code: str, client: App | Provider, bound: str) -> Grant:
        """Spend a code of this client; another's attempt spends it too."""
        mine = bound_to(client, bound)
        grant = await self.parts.tokens.redeem(code)
        if grant.app != client.client_id or grant.bound not in ("", mine):
            await self.parts.tokens.end_family(grant.family)
            raise InvalidGrant(_GRANT_ENDED)
        return replace(grant, bound=mine)

    async def for_code(self, client: App, grant: Grant) -> dict[str, Any]:
        """Tokens for a code whose redirect address and verifier were right."""
        nonce, grant = grant.nonce, replace(grant, redirect_uri="", challenge="", nonce="")
        allowed = await self._allowed(client, grant)
        again = "offline_access" in allowed.context and "refresh_token" in client.grants
        given = replace(grant, scope=allowed.texts())
        await self._note("code", given)
        await self.permitted.given(given, lasting=again)
        issued = await self.parts.tokens.issue(given, refresh=given if again else None)
        answer = await self._answer(issued)
        if "openid" in allowed.context:
            answer["id_token"] = await self._id_token(client, issued, nonce, answer)
        return answer

    async def for_refresh(self, client: App, text: str, scope: str, bound: str) -> dict[str, Any]:
        """New tokens for a refresh token.

        A public app gets a new refresh token and the old one is spent. An app that proves itself
        with a key keeps the one it has (FAPI 2.0 5.3.2.1).
        """
        mine = bound_to(client, bound)
        if mine and not client.confidential:
            again = await self._grace.again(text, client.client_id, mine)
            if again is not None:
                await self._allowed(client, again.grant)
                await self._note("refresh-again", again.grant)
                return await self._answer(again)
        grant = await self.parts.tokens.refresh(text)
        if grant is None or grant.app != client.client_id:
            raise InvalidGrant(_GRANT_ENDED)
        if not client.confidential and grant.bound not in ("", mine):
            raise InvalidGrant(_GRANT_ENDED)
        allowed = await self._allowed(client, grant)
        given = replace(grant, scope=_asked(scope, allowed).texts(), bound=mine)
        await self.permitted.used(grant)
        return await self._answer(await self._refreshed(client, text, grant, given))

    async def _refreshed(self, client: App, text: str, grant: Grant, given: Grant) -> Issued:
        """New tokens with `given`, for a refresh token with the facts of `grant`."""
        tokens = self.parts.tokens
        if client.confidential:
            await self._note("refresh", given)
            await tokens.prolong(text, grant)
            return await tokens.issue(given)
        if given.bound:
            await self._note("refresh", given)
            return await self._grace.rotated(text, given, grant)
        await tokens.rotate(text)
        await self._note("refresh", given)
        return await tokens.issue(given, refresh=grant)

    async def for_system(self, provider: Provider, scope: str, bound: str) -> dict[str, Any]:
        """An access token for a provider's system; never a refresh token."""
        mine = bound_to(provider, bound)
        allowed = levels(cap_of(provider.scopes), "system")
        given = narrowed(parse(scope), allowed) if scope else allowed
        if not given.reaches or not self.parts.known(given):
            raise InvalidScope(_MORE, place="scope")
        now = self.parts.tokens.now()
        grant = Grant(
            person=provider.client_id, kind=SYSTEM, org=provider.id, app=provider.client_id,
            dossier="", scope=Cap(given.reaches).texts(), service="", loa="substantieel", family="",
            generation=generation_of(provider, None), issued=now, expires=now, until=now,
            bound=mine,
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
        return any(one.client == dossier for one in await self.parts.dossiers_of(person))

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
            "token_type": token_type(grant),
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

    async def _id_token(
        self, client: App, issued: Issued, nonce: str, answer: dict[str, Any]
    ) -> str:
        """Who signed in, when and how surely; nothing else about the person."""
        grant = issued.grant
        claims = {
            "iss": self.parts.issuer,
            "sub": await self.parts.signing.subject(grant.app, grant.person),
            "aud": grant.app,
            "auth_time": grant.signed_in,
            "acr": ACR[grant.loa],
        }
        claims |= {"nonce": nonce} if nonce else {}
        claims |= {name: answer[name] for name in ("fhirUser",) if name in answer}
        return await self.parts.signing.id_token(client.profile, claims, issued.access)


def bound_to(client: App | Provider, bound: str) -> str:
    """What a token for this client is bound to, of what the request proves.

    A certificate counts for clients with the profile fapi only: a proxy may ask everybody for one.

    Raises:
        errors.InvalidProof: the client must prove a key and does not.
    """
    if client.profile == "fapi":
        if not bound:
            raise InvalidProof("Prove a key, by DPoP or a certificate.", place="DPoP")
        return bound
    return bound if bound.startswith("jkt:") else ""


def token_type(grant: Grant) -> str:
    """The type of an access token (RFC 6749 7.1, RFC 9449 5)."""
    return "DPoP" if grant.bound.startswith("jkt:") else "Bearer"


def _asked(scope: str, allowed: Cap) -> Cap:
    """The narrower scope asked for at a refresh (RFC 6749 6); wider is refused."""
    if not scope:
        return allowed
    asked = parse(scope)
    if not allowed.covers(asked) or not (asked.reaches or asked.context):
        raise InvalidScope(_MORE, place="scope")
    return asked
