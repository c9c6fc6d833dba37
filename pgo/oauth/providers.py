"""OpenID Connect providers people sign in at: discovery, keys, the way there, and the way back.

authlib's client makes the requests and reads the answers; which addresses are asked, how long,
and what is believed is decided here. What a provider publishes is kept for a while; while it does
not answer, nobody waits for it again within ten seconds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749 import OAuth2Error
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from joserfc.errors import JoseError
from joserfc.jwk import import_key

from pgo.errors import BadValue, Unavailable
from pgo.oauth.id_token import Expected, Identity, Refused, identity_of, key_named, kid_of
from pgo.oauth.levels import ProviderSet, rank
from pgo.oauth.outward import Answer, Reach, ask, place_of

KEPT, KEYS_KEPT, AGAIN, DOWN = 3_600, 600, 60, 10
AT_ONCE: Final = 64
"""Questions to one provider at the same time, per worker; who comes then is told "later"."""
ERRORS: Final = frozenset(
    {
        *("access_denied", "login_required", "interaction_required", "consent_required"),
        *("invalid_request", "unauthorized_client", "unsupported_response_type", "invalid_scope"),
        *("server_error", "temporarily_unavailable", "unmet_authentication_requirements"),
    }
)
_ADDRESSES: Final = ("authorization_endpoint", "token_endpoint", "jwks_uri")


@dataclass(frozen=True, slots=True)
class Errand:
    """What is kept here while somebody is at a provider; `flow` is the way it belongs to.

    Sent along are only state, nonce and the hash of the verifier.
    """

    provider: str
    flow: str
    state: str
    nonce: str
    verifier: str
    least: str
    since: int
    begun: int


@dataclass(slots=True)
class _Known:
    """What was fetched, and when it was tried; `value` is None when that failed."""

    value: Mapping[str, Any] | None
    at: int


class _Client(OAuth2Client):  # type: ignore[misc]  # authlib has no types
    """authlib's client over our own bounded question."""

    def __init__(self, reach: Reach, patience: float, **settings: Any) -> None:
        super().__init__(None, **settings)
        self._reach, self._patience = reach, patience

    async def _fetch_token(
        self, url: str, body: str = "", headers: Any = None, auth: Any = None, **_: Any
    ) -> Mapping[str, Any]:
        url, headers, body = auth.prepare("POST", url, dict(headers), body)
        answer = await ask(
            url, self._reach, body=body.encode(), headers=headers, seconds=self._patience
        )
        found: Mapping[str, Any] = self.parse_response_token(answer)
        return found


class Provider:
    """One provider.

    Args:
        set_up: by an operator.
        back: our own address people come back at.
        now: seconds since 1970.
    """

    def __init__(self, set_up: ProviderSet, back: str, now: Callable[[], int]) -> None:
        self.set_up, self._back, self._now = set_up, back, now
        issuer = set_up.issuer
        hosts = {_host_of(issuer), *set_up.hosts}
        self._reach = Reach(frozenset(hosts), set_up.private, set_up.roots)
        self._about: _Known | None = None
        self._keys: _Known | None = None
        self._turn = asyncio.Lock()
        self._busy = 0

    async def way_there(self, errand: Errand) -> str:
        """The address a person's browser goes to.

        Raises:
            errors.Unavailable: the provider does not answer.
        """
        about = await self._counted(self._metadata())
        levels = self.set_up.levels
        enough = [acr for acr, level in levels.items() if rank(level) >= rank(errand.least)]
        since = errand.begun - errand.since
        max_age = min(self.set_up.max_age, since) if errand.since else self.set_up.max_age
        more = {"prompt": "login"} if max_age <= 0 else {}
        address, _ = self._client().create_authorization_url(
            about["authorization_endpoint"], state=errand.state, code_verifier=errand.verifier,
            nonce=errand.nonce, max_age=str(max(0, max_age)), acr_values=" ".join(enough), **more,
        )  # fmt: skip
        return str(address)

    async def way_out(self, back: str) -> str:
        """The address where a person signs out there (RP-Initiated Logout 1.0); "" without one.

        No id_token goes along: none is kept here. The provider asks the person whether to sign out.

        Args:
            back: address of ours people come back at, registered there.
        """
        try:
            about = await self._counted(self._metadata())
            address = str(about.get("end_session_endpoint", ""))
            place_of(address, self._reach)
        except (Unavailable, BadValue):
            return ""
        asked = urlencode({"client_id": self.set_up.client_id, "post_logout_redirect_uri": back})
        return f"{address}{'&' if '?' in address else '?'}{asked}"

    async def came_back(self, query: Mapping[str, str], errand: Errand) -> Identity:
        """Who signed in, by the answer a browser brought back for this errand.

        Raises:
            Refused: anything does not fit, or the provider said no.
            errors.Unavailable: the provider does not answer.
        """
        about = await self._counted(self._metadata())
        self._check_issuer(query, about)
        if "error" in query:
            code = query["error"]
            raise Refused(code if code in ERRORS else "provider-error")
        if not query.get("code") or len(query["code"]) > MOST_CODE:
            raise Refused("no-code")
        tokens = await self._counted(self._redeemed(about, query["code"], errand.verifier))
        text, access = tokens.get("id_token"), tokens.get("access_token")
        if not isinstance(text, str) or not isinstance(access, str):
            raise Refused("id-token-form")
        algorithms = self.set_up.algorithms
        key = await self._counted(self._key(about, kid_of(text, algorithms)))
        return identity_of(text, key, algorithms, access, self._expected(errand))

    def _check_issuer(self, query: Mapping[str, str], about: Mapping[str, Any]) -> None:
        """The defence against mixing up providers (RFC 9207)."""
        promised = about.get("authorization_response_iss_parameter_supported") is True
        if query.get("iss", "" if promised else self.set_up.issuer) != self.set_up.issuer:
            raise Refused("iss")

    def _expected(self, errand: Errand) -> Expected:
        return Expected(
            issuer=self.set_up.issuer, client_id=self.set_up.client_id, nonce=errand.nonce,
            now=self._now(), levels=self.set_up.levels, least=errand.least,
            since=max(errand.since, errand.begun - self.set_up.max_age),
        )  # fmt: skip

    async def _redeemed(
        self, about: Mapping[str, Any], code: str, verifier: str
    ) -> Mapping[str, Any]:
        try:
            found: Mapping[str, Any] = await self._client().fetch_token(
                about["token_endpoint"],
                grant_type="authorization_code",
                code=code,
                code_verifier=verifier,
            )
        except OAuth2Error as wrong:
            raise Refused("code-refused") from wrong
        except (ValueError, KeyError, TypeError, JoseError) as wrong:
            raise Unavailable("The provider did not answer as it should.") from wrong
        return found

    def _client(self) -> _Client:
        mine = self.set_up
        client = _Client(
            self._reach, mine.patience, client_id=mine.client_id, client_secret=mine.secret,
            token_endpoint_auth_method=mine.authentication, scope=mine.scope,
            redirect_uri=self._back, code_challenge_method="S256",
        )  # fmt: skip
        if mine.key is not None:
            client.client_secret = import_key(dict(mine.key))
            claims, header = {"aud": mine.issuer}, {"kid": mine.key.get("kid", "")}
            alg = mine.key.get("alg", "ES256")
            client.register_client_auth_method(
                PrivateKeyJWT(claims=claims, headers=header, alg=alg)
            )
        return client

    async def _counted(self, work: Any) -> Any:
        """The outcome of a question, when not too many are under way."""
        if self._busy >= AT_ONCE:
            work.close()
            raise Unavailable("Too many people are signing in with this provider.")
        self._busy += 1
        try:
            return await work
        finally:
            self._busy -= 1

    async def _metadata(self) -> Mapping[str, Any]:
        async with self._turn:
            known, now = self._about, self._now()
            if known is None or now - known.at >= (DOWN if known.value is None else KEPT):
                self._about = known = _Known(await self._discovered(), now)
        if known.value is None:
            raise Unavailable("The provider cannot be reached.")
        return known.value

    async def _discovered(self) -> Mapping[str, Any] | None:
        """What the provider publishes; nothing when it cannot be had, or is not for us."""
        issuer = self.set_up.issuer
        try:
            answer = await self._asked(
                f"{issuer.removesuffix('/')}/.well-known/openid-configuration"
            )
            answer.raise_for_status()
            about = answer.json()
            if not isinstance(about, dict) or about.get("issuer") != issuer:
                return None
            for name in _ADDRESSES:
                place_of(str(about.get(name, "")), self._reach)
        except (Unavailable, BadValue, ValueError):
            return None
        return about

    async def _asked(self, url: str) -> Answer:
        return await ask(url, self._reach, seconds=self.set_up.patience)

    async def _key(self, about: Mapping[str, Any], kid: str) -> Mapping[str, Any]:
        """The key with this name; one that is not known leads to one fetch a minute at most."""
        async with self._turn:
            known, now = self._keys, self._now()
            age = KEYS_KEPT if known is None else now - known.at
            there = known is not None and key_named(known.value or {}, kid) is not None
            if age >= (KEYS_KEPT if there else AGAIN):
                self._keys = known = _Known(_set(await self._asked(about["jwks_uri"])), now)
        found = key_named((known.value if known else None) or {}, kid)
        if found is None:
            raise Refused("id-token-key")
        return found


MOST_CODE: Final = 2_048


def _set(answer: Answer) -> Mapping[str, Any]:
    answer.raise_for_status()
    try:
        keys = answer.json()
    except ValueError as wrong:
        raise Unavailable("The provider did not answer as it should.") from wrong
    return keys if isinstance(keys, dict) else {}


def _host_of(issuer: str) -> str:
    rest = issuer.partition("://")[2].partition("/")[0]
    if ":" in rest.rpartition("]")[2]:
        return rest
    return rest if issuer.startswith("https:") else f"{rest}:80"


def providers_of(
    sets: Sequence[ProviderSet], issuer: str, now: Callable[[], int]
) -> dict[str, Provider]:
    """The providers by name; each has a way back of its own (RFC 9700 4.4)."""
    return {one.name: Provider(one, f"{issuer}/oauth/back-{one.name}", now) for one in sets}
