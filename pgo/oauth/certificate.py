"""The certificate a client showed in TLS, as a trusted proxy passes it on (RFC 8705, RFC 9440).

`pgo.connection` renames the configured header of a trusted proxy to `HEADER`, which no request
from outside can have: its name is not a token (RFC 9110 5.1). Any other is taken away.
"""

from __future__ import annotations

import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Final
from urllib.parse import unquote_to_bytes

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_der_x509_certificate, load_pem_x509_certificate

from pgo.errors import BadRequest

HEADER: Final = b"(client-certificate)"
MOST_BYTES: Final = 16_384
_BYTE_SEQUENCE = re.compile(rb":([A-Za-z0-9+/]+={0,2}):")


def certificate_binding(headers: Sequence[tuple[bytes, bytes]]) -> str:
    """What a token is bound to by the certificate: x5t: and its x5t#S256; "" when none was shown.

    Raises:
        errors.BadRequest: the proxy sent it twice, or what it sent is not a certificate.
    """
    given = [value for name, value in headers if name == HEADER]
    if not given or given == [b""]:
        return ""
    if len(given) > 1 or len(given[0]) > MOST_BYTES:
        raise BadRequest("The certificate stands there more than once, or is too long.")
    digest = sha256(_read(given[0]).public_bytes(Encoding.DER)).digest()
    return "x5t:" + urlsafe_b64encode(digest).rstrip(b"=").decode()


def _read(value: bytes) -> Certificate:
    """RFC 9440's byte sequence, or PEM in percent encoding (nginx, Envoy, HAProxy)."""
    found = _BYTE_SEQUENCE.fullmatch(value)
    try:
        if found is not None:
            return load_der_x509_certificate(b64decode(found[1], validate=True))
        return load_pem_x509_certificate(unquote_to_bytes(value))
    except ValueError as wrong:
        raise BadRequest("The certificate cannot be read.") from wrong
