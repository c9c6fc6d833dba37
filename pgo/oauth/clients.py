"""Apps and provider systems as they are registered; a wrong registration cannot be made.

Redirect addresses: RFC 8252 and RFC 9700 4.1; they are compared character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import SplitResult, urlsplit

from pgo.errors import BadValue
from pgo.oauth.scopes import cap_of

ALGORITHMS = ("ES384", "RS384", "PS256", "ES256", "EdDSA")
"""Signature algorithms an assertion may have (FAPI 2.0 and SMART Backend Services)."""
FAPI_ALGORITHMS = frozenset({"PS256", "ES256", "EdDSA"})
PROFILES = frozenset({"smart", "fapi"})
GRANTS = frozenset({"authorization_code", "refresh_token"})
PURPOSES = frozenset({"", "PATRQT", "FAMRQT", "PWATRNY", "SUPNWK", "CAREMGT", "TREAT", "HRESCH"})
OPERATOR = "pgo-token"
"""Name in place of an app in tokens made by `pgo token`; no app can have it."""
MOST_KEYS, FEWEST_RSA_BITS, MOST_RSA_BITS = 10, 2048, 8192
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_URI = re.compile(r"[!#-;=?-\[\]_a-z~]{1,2000}")
_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[::1\]")
_LOOPBACK = re.compile(r"http://(127\.0\.0\.1|\[::1\])(?::[0-9]{1,5})?(/[^#]*)?")
_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "[::1]", "localhost"})
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+")
_DOTS = re.compile(r"(?:^|/)(?:\.|%2[eE]){1,2}(?:/|$)")
_SECRET_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_CURVES = frozenset({("EC", "P-256"), ("EC", "P-384"), ("OKP", "Ed25519")})


@dataclass(frozen=True, slots=True)
class App:
    """An app of people.

    Attributes:
        client_id: 1-64 letters, digits, dots, dashes, underscores.
        redirect_uris: where codes may go; at least one.
        grants: of authorization_code and refresh_token.
        scopes: the most it may be granted.
        origins: web origins that may call from a browser.
        profile: "smart" (bearer tokens, PKCE) or "fapi" (FAPI 2.0: pushed requests, and tokens
            that are bound to a key; confidential apps only).
        jwks: public keys of a confidential app, None for a public one.
        jwks_uri: https address of such keys, instead of the keys.
        purpose: v3-ActReason that replaces the one that follows from the person's kind.
        introspects: a resource server that may ask about tokens of others.
        generation: counts up to end all tokens of the app.
    """

    client_id: str
    name: str
    redirect_uris: tuple[str, ...] = ()
    grants: tuple[str, ...] = ("authorization_code", "refresh_token")
    scopes: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()
    profile: str = "smart"
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str = ""
    algorithms: tuple[str, ...] = ALGORITHMS
    purpose: str = ""
    introspects: bool = False
    disabled: bool = False
    generation: int = field(default=0, compare=False)

    @property
    def confidential(self) -> bool:
        """Whether it has keys to prove itself with."""
        return self.jwks is not None or self.jwks_uri != ""

    def __post_init__(self) -> None:
        _check_id(self.client_id)
        _need(self.name.strip() != "", "name")
        _need(self.profile in PROFILES, "profile")
        _need(self.profile != "fapi" or self.confidential, "profile")
        _need(GRANTS.issuperset(self.grants), "grants")
        _need(self.purpose in PURPOSES, "purpose")
        _need(bool(self.redirect_uris) or "authorization_code" not in self.grants, "redirect_uris")
        _need(all(redirect_is_sound(uri) for uri in self.redirect_uris), "redirect_uris")
        _need(all(origin_is_sound(origin) for origin in self.origins), "origins")
        _need(not self.introspects or self.confidential, "introspects")
        _check_keys(self.jwks, self.jwks_uri, self.algorithms)
        cap_of(self.scopes)


@dataclass(frozen=True, slots=True)
class Provider:
    """A care provider's system: `id` of the organisation, `client_id` of the system, its keys.

    `jwks`, or the address they are at (`jwks_uri`); for the rest see `App`.
    """

    id: str
    name: str
    client_id: str
    jwks: Mapping[str, Any] | None
    scopes: tuple[str, ...] = ("system/*.cruds",)
    algorithms: tuple[str, ...] = ALGORITHMS
    purpose: str = ""
    disabled: bool = False
    generation: int = field(default=0, compare=False)
    profile: str = "smart"
    jwks_uri: str = ""
    grants: tuple[str, ...] = field(default=("client_credentials",), init=False)

    @property
    def confidential(self) -> bool:
        """Always: a system is nobody without its keys."""
        return True

    def __post_init__(self) -> None:
        _check_id(self.client_id)
        _check_id(self.id)
        _need(self.name.strip() != "", "name")
        _need(self.purpose in PURPOSES, "purpose")
        _need(self.profile in PROFILES, "profile")
        _need(self.jwks is not None or self.jwks_uri != "", "jwks")
        _check_keys(self.jwks, self.jwks_uri, self.algorithms)
        _need(all(reach.level == "system" for reach in cap_of(self.scopes).reaches), "scopes")


def redirect_is_sound(uri: str) -> bool:
    """Whether this may be registered: https, http on loopback, or a private-use scheme.

    Refused: userinfo, fragments, backslashes, other than printable ASCII, empty or dotted-off
    hosts, dot segments.
    """
    parts = _split(uri)
    if parts is None or "#" in uri or _DOTS.search(parts.path):
        return False
    if _PRIVATE_SCHEME.fullmatch(parts.scheme):
        return "@" not in parts.netloc
    return _is_web(parts)


def origin_is_sound(origin: str) -> bool:
    """Whether this is a web origin in the form browsers send: scheme, host, port, nothing else."""
    parts = _split(origin)
    return parts is not None and origin == f"{parts.scheme}://{parts.netloc}" and _is_web(parts)


def matches_redirect(asked: str, registered: Iterable[str]) -> bool:
    """Whether a redirect address is one of those registered.

    Character by character; only the port of a loopback address may differ (RFC 8252 7.3).
    """
    registered = tuple(registered)
    if asked in registered:
        return True
    mine = _LOOPBACK.fullmatch(asked)
    if mine is None or not redirect_is_sound(asked):
        return False
    theirs = (_LOOPBACK.fullmatch(uri) for uri in registered)
    return any(match is not None and match.groups() == mine.groups() for match in theirs)


def _split(uri: str) -> SplitResult | None:
    if not _URI.fullmatch(uri):
        return None
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _is_web(parts: SplitResult) -> bool:
    host = parts.netloc if parts.port is None else parts.netloc.rpartition(":")[0]
    if not _HOST.fullmatch(host) or ".." in host:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK_HOSTS)


def _check_id(text: str) -> None:
    _need(_ID.fullmatch(text) is not None and text != OPERATOR, "client_id")


def algorithms_of(client: App | Provider) -> tuple[str, ...]:
    """What this client may sign with: as registered, within what its profile allows."""
    if client.profile == "fapi":
        return tuple(alg for alg in client.algorithms if alg in FAPI_ALGORITHMS)
    return client.algorithms


def key_address_is_sound(uri: str) -> bool:
    """Whether keys may be fetched here: https with a host name and no port but 443."""
    parts = _split(uri)
    if parts is None or "#" in uri or parts.scheme != "https" or parts.port not in (None, 443):
        return False
    return _is_web(parts) and not parts.netloc.startswith("[")


def _check_keys(jwks: Mapping[str, Any] | None, uri: str, algorithms: tuple[str, ...]) -> None:
    _need(bool(algorithms) and set(ALGORITHMS).issuperset(algorithms), "algorithms")
    _need(uri == "" or (jwks is None and key_address_is_sound(uri)), "jwks_uri")
    if jwks is not None:
        check_key_set(jwks)


def check_key_set(jwks: Mapping[str, Any]) -> None:
    """A set of public keys, each with a name of its own.

    Raises:
        errors.BadValue: it is not, or has more than ten.
    """
    keys = jwks.get("keys")
    _need(isinstance(keys, (list, tuple)) and 0 < len(keys) <= MOST_KEYS, "jwks")
    _need(all(_key_is_named(key) for key in jwks["keys"]), "jwks")
    names = [key["kid"] for key in jwks["keys"]]
    _need(len(set(names)) == len(names), "jwks")


def _key_is_named(key: Any) -> bool:
    named = isinstance(key, dict) and isinstance(key.get("kid"), str) and key["kid"] != ""
    return named and key_is_sound(key)


def key_is_sound(key: Mapping[str, Any]) -> bool:
    """Whether this JWK is the public half of a key that may sign for somebody else."""
    if not _SECRET_MEMBERS.isdisjoint(key) or key.get("use", "sig") != "sig":
        return False
    if key.get("kty") == "RSA":
        bits = len(str(key.get("n", ""))) * 6
        return FEWEST_RSA_BITS <= bits <= MOST_RSA_BITS + 8
    return (key.get("kty"), key.get("crv")) in _CURVES


def _need(condition: bool, place: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not condition:
        raise BadValue("This registration is not sound.", place=place)
