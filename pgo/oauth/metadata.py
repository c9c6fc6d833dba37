"""What the server says about itself: RFC 8414 and SMART App Launch 2.2 discovery. Pure."""

from __future__ import annotations

from typing import Any

from pgo.oauth.clients import ALGORITHMS

SCOPES = (
    "fhirUser",
    "launch/patient",
    "offline_access",
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
)


def authorization_server(issuer: str) -> dict[str, Any]:
    """Metadata for `/.well-known/oauth-authorization-server` (RFC 8414)."""
    return {
        "issuer": issuer,
        "authorization_response_iss_parameter_supported": True,
        "revocation_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "revocation_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "introspection_endpoint_auth_methods_supported": ["private_key_jwt"],
        "introspection_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        **_shared(issuer),
    }


def smart_configuration(issuer: str) -> dict[str, Any]:
    """Content of `.well-known/smart-configuration` under each FHIR base."""
    return {**_shared(issuer), "capabilities": list(CAPABILITIES)}


def _shared(issuer: str) -> dict[str, Any]:
    return {
        "authorization_endpoint": f"{issuer}/oauth/authorize",
        "token_endpoint": f"{issuer}/oauth/token",
        "token_endpoint_auth_methods_supported": ["none", "private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "revocation_endpoint": f"{issuer}/oauth/revoke",
        "introspection_endpoint": f"{issuer}/oauth/introspect",
        "grant_types_supported": ["authorization_code", "refresh_token", "client_credentials"],
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "scopes_supported": list(SCOPES),
        "code_challenge_methods_supported": ["S256"],
    }
