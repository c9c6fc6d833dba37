"""What the server says about itself: RFC 8414 and SMART App Launch 2.2 discovery. Pure."""

from __future__ import annotations

from typing import Any

from pgo.oauth import proof, signing
from pgo.oauth.clients import ALGORITHMS
from pgo.oauth.issue import ACR

SCOPES = (
    "fhirUser",
    "launch/patient",
    "offline_access",
    "openid",
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
)
CAPABILITIES = (
    "launch-standalone",
    "client-public",
    "client-confidential-asymmetric",
    "context-standalone-patient",
    "permission-offline",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
    "sso-openid-connect",
)


def authorization_server(issuer: str) -> dict[str, Any]:
    """Metadata for `/.well-known/oauth-authorization-server` (RFC 8414)."""
    return {
        "authorization_response_iss_parameter_supported": True,
        "revocation_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "require_pushed_authorization_requests": False,
        "tls_client_certificate_bound_access_tokens": True,
        "dpop_signing_alg_values_supported": list(proof.ALGORITHMS),
        "subject_types_supported": ["pairwise"],
        "id_token_signing_alg_values_supported": sorted(set(signing.ALGORITHMS.values())),
        "acr_values_supported": list(ACR.values()),
        "claims_supported": ["iss", "sub", "aud", "auth_time", "acr", "nonce", "fhirUser"],
        **_shared(issuer),
    }


def smart_configuration(issuer: str) -> dict[str, Any]:
    """Content of `.well-known/smart-configuration` under each FHIR base."""
    return {**_shared(issuer), "capabilities": list(CAPABILITIES)}


DESCRIPTION = (
    "Access tokens by OAuth 2 with PKCE (SMART App Launch 2.2 and Backend Services); what this"
    " server can do is in .well-known/smart-configuration below this address. A token may be bound"
    " to a key: by DPoP (RFC 9449), or a certificate (RFC 8705) for apps with the profile fapi."
)
"""For the capability statements."""


def oauth_uris(issuer: str) -> tuple[tuple[str, str], ...]:
    """Name and address of what SMART's extension oauth-uris has a place for."""
    said = _shared(issuer)
    return (
        ("authorize", said["authorization_endpoint"]),
        ("token", said["token_endpoint"]),
        ("introspect", said["introspection_endpoint"]),
        ("revoke", said["revocation_endpoint"]),
        ("manage", said["management_endpoint"]),
    )


def _shared(issuer: str) -> dict[str, Any]:
    return {
        "issuer": issuer,
        "jwks_uri": f"{issuer}/oauth/jwks",
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "pushed_authorization_request_endpoint": f"{issuer}/oauth/par",
        "userinfo_endpoint": f"{issuer}/oauth/userinfo",
        "token_endpoint": f"{issuer}/oauth/token",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "management_endpoint": f"{issuer}/mijn/apps",
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": ["S256"],
    }
