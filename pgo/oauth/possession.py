"""What key a request to the authorization server proves: by a DPoP proof, or by a certificate."""

from __future__ import annotations

from starlette.requests import Request

from pgo.oauth.certificate import certificate_binding
from pgo.oauth.parts import Parts
from pgo.oauth.proof import proof_of


async def possession_of(parts: Parts, request: Request) -> str:
    """The binding a token for this request gets, "" when it proves nothing.

    A DPoP proof needs a nonce of ours here: who found an old proof has nothing (RFC 9449 8).

    Raises:
        errors.InvalidProof, errors.NonceNeeded: there is a proof that is not good.
        errors.BadRequest: a certificate that cannot be read.
    """
    headers = request.scope["headers"]
    proof = proof_of(headers)
    if proof is None:
        return certificate_binding(headers)
    return await parts.proofs.binding(proof, request.method, request.scope["path"], fresh=True)
