"""The token endpoint's grants: authlib's skeletons, run in a worker thread of their own limiter.

What each grant hands out, and every store it touches, is in `pgo.oauth.issue`; this module only
bridges to it. authlib is told nothing secret it could log, and none of its texts reach a caller.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64encode
from collections.abc import Callable, Coroutine
from hashlib import sha256
from hmac import compare_digest
from typing import Any, TypeVar

import anyio.from_thread
import anyio.to_thread
from authlib.oauth2 import OAuth2Error
from authlib.oauth2.rfc6749 import AuthorizationServer, ClientMixin, OAuth2Request, grants
from authlib.oauth2.rfc6749.requests import BasicOAuth2Payload
from authlib.oauth2.rfc7636 import CodeChallenge

from pgo import errors
from pgo.oauth import assertion
from pgo.oauth.clients import App, Provider
from pgo.oauth.issue import Issue
from pgo.oauth.tokens import Grant

T = TypeVar("T")
METHODS = ["private_key_jwt", "none"]
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_ERRORS: dict[str, tuple[type[errors.PgoError], str]] = {
    "invalid_client": (errors.InvalidClient, "Client authentication failed."),
    "invalid_grant": (errors.InvalidGrant, "This grant is not good, or not any more."),
    "invalid_scope": (errors.InvalidScope, "This scope is more than allowed."),
    "unauthorized_client": (errors.UnauthorizedClient, "This app may not use this grant type."),
    "unsupported_grant_type": (errors.UnsupportedGrantType, "This grant type is not offered."),
}


class Client(ClientMixin):  # type: ignore[misc] # authlib has no types
    """A registered app or provider system, as authlib asks about it."""

    def __init__(self, entry: App | Provider) -> None:
        self.entry = entry

    def __repr__(self) -> str:
        return f"Client({self.entry.client_id})"

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        """A client with keys proves itself with them, one without has nothing to prove."""
        del endpoint
        return method == ("private_key_jwt" if self.entry.confidential else "none")

    def check_grant_type(self, grant_type: str) -> bool:
        """Whether the client is registered for it."""
        return grant_type in self.entry.grants


class TokenRequest(OAuth2Request):  # type: ignore[misc] # authlib has no types
    """A checked form; the address is ours, whatever scheme reached us behind the proxy.

    `bound` is the key the request proves; see `pgo.oauth.proof`.
    """

    def __init__(self, form: dict[str, str], bound: str = "") -> None:
        super().__init__("POST", "https://token.invalid/oauth/token")
        self.payload = BasicOAuth2Payload(form)
        self.bound = bound

    @property
    def form(self) -> dict[str, str]:
        """Name to value."""
        data: dict[str, str] = self.payload.data
        return data

    @property
    def args(self) -> dict[str, str]:
        """There is never a query."""
        return {}


class Server(AuthorizationServer):  # type: ignore[misc] # authlib has no types
    """authlib's server over our own parts; `issue` does what is asynchronous."""

    def __init__(self, issue: Issue) -> None:
        super().__init__()
        self.issue = issue
        self.register_grant(CodeGrant, [S256()])
        self.register_grant(SystemGrant)
        self.register_grant(RefreshGrant)
        self.register_client_auth_method("private_key_jwt", self._by_assertion)

    async def token(self, form: dict[str, str], bound: str = "") -> dict[str, Any]:
        """The answer to a token request that proves the key `bound`.

        Raises:
            errors.PgoError: refused, with its OAuth code.
        """
        if "grant_type" not in form:
            raise errors.Missing("The grant type is missing.", place="grant_type")
        request = TokenRequest(await self.issue.named(form), bound)
        return await self._threaded(self.create_token_response, request)

    async def client(self, form: dict[str, str]) -> App | Provider:
        """The client that sent a form to another endpoint than the token endpoint.

        Raises:
            errors.InvalidClient: it did not prove who it is.
        """
        found: Client = await self._threaded(self._authenticated, TokenRequest(form))
        return found.entry

    def query_client(self, client_id: str) -> Client | None:
        """The registered client, unless it is disabled."""
        entry = hop(self.issue.parts.registry.client, client_id)
        return None if entry is None or entry.disabled else Client(entry)

    def create_oauth2_request(self, request: TokenRequest) -> TokenRequest:
        """Ours already."""
        return request

    def handle_response(self, status: int, body: dict[str, Any], headers: Any) -> dict[str, Any]:
        """Only the body; the route makes the answer."""
        del status, headers
        return body

    def handle_error_response(self, request: TokenRequest, error: OAuth2Error) -> Any:
        """Raise our own error with our own text."""
        del request
        raise told(error) from error

    def send_signal(self, name: str, *args: Any, **kwargs: Any) -> None:
        """Nobody listens."""

    async def _threaded(self, work: Callable[[TokenRequest], T], request: TokenRequest) -> T:
        limiter = self.issue.parts.limiter
        return await anyio.to_thread.run_sync(work, request, limiter=limiter)

    def _authenticated(self, request: TokenRequest) -> Any:
        try:
            return self.authenticate_client(request, METHODS)
        except OAuth2Error as error:
            raise told(error) from error

    def _by_assertion(self, query_client: Any, request: TokenRequest) -> Client | None:
        del query_client
        form = request.form
        if not {"client_assertion", "client_assertion_type", "client_secret"} & form.keys():
            return None
        if form.get("client_assertion_type") != assertion.TYPE or "client_secret" in form:
            raise assertion.unproved()
        entry = hop(self.issue.proved, form.get("client_assertion", ""))
        if form.get("client_id", entry.client_id) != entry.client_id:
            raise assertion.unproved()
        return Client(entry)


class CodeGrant(grants.AuthorizationCodeGrant):  # type: ignore[misc] # authlib has no types
    """Code for tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def query_authorization_code(self, code: str, client: Client) -> Code | None:
        """Spend the code, before anything else is checked about it."""
        grant: Grant = hop(self.server.issue.redeemed, code, client.entry, self.request.bound)
        return Code(grant)

    def create_token_response(self) -> tuple[int, dict[str, Any], list[Any]]:
        """Hand out tokens."""
        grant = self.request.authorization_code.grant
        return 200, hop(self.server.issue.for_code, self.request.client.entry, grant), []


class Code:
    """A spent code, as authlib asks about it."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant

    def get_redirect_uri(self) -> str:
        """Where the code went; never empty."""
        return self.grant.redirect_uri


class S256(CodeChallenge):  # type: ignore[misc] # authlib has no types
    """PKCE for every client, S256 only (the challenge is demanded at the authorize endpoint)."""

    def validate_code_verifier(self, grant: CodeGrant, result: Any) -> None:
        """Compare in constant time; without challenge or verifier there is no token."""
        del result
        verifier = grant.request.form.get("code_verifier", "")
        challenge = grant.request.authorization_code.grant.challenge
        made = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        sound = _VERIFIER.fullmatch(verifier) is not None
        if not challenge or not sound or not compare_digest(made, challenge):
            raise errors.InvalidGrant("This grant is not good, or not any more.")


class SystemGrant(grants.ClientCredentialsGrant):  # type: ignore[misc] # authlib has no types
    """A provider system for itself."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS[:1]

    def create_token_response(self) -> tuple[int, dict[str, Any], list[Any]]:
        """Hand out a token."""
        scope = self.request.form.get("scope", "")
        work, entry = self.server.issue.for_system, self.request.client.entry
        return 200, hop(work, entry, scope, self.request.bound), []


class RefreshGrant(grants.RefreshTokenGrant):  # type: ignore[misc] # authlib has no types
    """A refresh token for new tokens."""

    TOKEN_ENDPOINT_AUTH_METHODS = METHODS

    def validate_token_request(self) -> None:
        """The client, and whether it may refresh; the rest belongs to the issuing."""
        self.request.client = self._validate_request_client()
        if "refresh_token" not in self.request.form:
            raise errors.Missing("The refresh token is missing.", place="refresh_token")

    def create_token_response(self) -> tuple[int, dict[str, Any], list[Any]]:
        """Hand out tokens."""
        form, entry = self.request.form, self.request.client.entry
        work = self.server.issue.for_refresh
        scope, bound = form.get("scope", ""), self.request.bound
        return 200, hop(work, entry, form["refresh_token"], scope, bound), []


def hop(work: Callable[..., Coroutine[Any, Any, T]], *args: Any) -> T:
    """Run something asynchronous from authlib's thread."""
    return anyio.from_thread.run(work, *args)


def told(error: OAuth2Error) -> errors.PgoError:
    """Our own error for one of authlib's: same code, our text."""
    class_, text = _ERRORS.get(error.error, (errors.BadRequest, "The request is malformed."))
    return class_(text)
