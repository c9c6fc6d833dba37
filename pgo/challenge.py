"""WWW-Authenticate: what an app needs to get in, said with each 401 and each scope too small."""

from __future__ import annotations

from http import HTTPStatus

from pgo.errors import InvalidClient, PgoError, ProofRefused, ScopeTooSmall
from pgo.oauth.proof import ALGORITHMS


def challenge(error: PgoError, sent: str, *, oauth: bool) -> list[tuple[bytes, bytes]]:
    """The header field, if this error has one (RFC 6750 3, RFC 9449 7.1).

    It names the error only when a token was sent. `sent` is the scheme of the Authorization
    header in lower case; `oauth` says that the authorization server was asked.
    """
    small = isinstance(error, ScopeTooSmall)
    if error.status != HTTPStatus.UNAUTHORIZED and not small:
        return []
    if oauth and isinstance(error, InvalidClient) and sent == "basic":
        return [(b"www-authenticate", b'Basic realm="pgo"')]
    code = f', error="{error.oauth}"' if sent in {"bearer", "dpop"} or small else ""
    if sent == "dpop" or isinstance(error, ProofRefused):
        said = f'DPoP realm="pgo"{code}, algs="{" ".join(ALGORITHMS)}"'
    else:
        said = f'Bearer realm="pgo"{code}'
    return [(b"www-authenticate", said.encode())]
