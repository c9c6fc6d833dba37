"""Used once is used up, for two workers as processes, on each store: proofs and assertions."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from pgo.oauth.proof import hash_of

pytestmark = pytest.mark.long
KEY = ECKey.generate_key("P-256")
TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


class Proving:
    """An app with a token that is bound to its key, for the dossier of the demo family."""

    def __init__(self, served):
        self.served = served
        self.address = f"{served.fhir()}/Patient"
        self.nonce = ""

        async def bound(house):
            issued = await house.tokens.issue_operator(
                house.registry,
                dossier=served.dossiers["fenna"],
                person="p-marjan",
                scope=("user/*.rs",),
            )
            grant = replace(issued.grant, bound=f"jkt:{KEY.thumbprint()}")
            return (await house.tokens.issue(grant)).access

        self.token = served.inside(bound)

    def proof(self):
        public = {n: v for n, v in KEY.as_dict(private=False).items() if n != "kid"}
        claims = {
            "jti": token_hex(16), "htm": "GET", "htu": self.address, "iat": int(time.time()),
            "ath": hash_of(self.token),
        } | ({"nonce": self.nonce} if self.nonce else {})  # fmt: skip
        return jwt.encode({"typ": "dpop+jwt", "alg": "ES256", "jwk": public}, claims, KEY)

    def use(self, proof):
        """Use a proof on a connection of its own."""
        headers = {"Authorization": f"DPoP {self.token}", "DPoP": proof}
        return httpx2.get(self.address, headers=headers, timeout=30)

    def fresh(self):
        """A proof with what the server asks for now."""
        told = self.use(self.proof())
        self.nonce = told.headers.get("dpop-nonce", self.nonce)
        return self.proof()


def test_of_64_uses_of_one_proof_one_is_answered(both):
    app = Proving(both)
    proof = app.fresh()
    with ThreadPoolExecutor(32) as pool:
        told = Counter(answer.status_code for answer in pool.map(app.use, [proof] * 64))
    assert told == {200: 1, 401: 63}


def test_a_proof_stays_used_when_workers_die_and_the_server_starts_anew(both):
    app = Proving(both)
    proof = app.fresh()
    assert app.use(proof).status_code == 200
    for worker in both.workers():
        os.kill(worker, signal.SIGKILL)
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if {app.use(proof).status_code for _ in range(4)} == {401}:
                break
        except httpx2.TransportError:
            time.sleep(0.1)
    both.process.terminate()
    both.process.wait(20)
    both.serve()
    assert {app.use(proof).status_code for _ in range(8)} == {401}
    assert app.use(app.fresh()).status_code == 200


def test_a_proof_stays_used_when_what_remembers_it_is_lost(both):
    app = Proving(both)
    proof = app.fresh()
    assert app.use(proof).status_code == 200
    file = Path(both.environment["PGO_STORE"].removeprefix("sqlite:///") + "-proofs")
    assert file.exists() == both.environment["PGO_STORE"].startswith("sqlite")
    file.unlink(missing_ok=True)
    assert {app.use(proof).status_code for _ in range(8)} == {401}
    assert app.use(app.fresh()).status_code == 200


def test_o21_an_assertion_is_used_up_for_both_workers_and_after_a_restart(both):
    key = both.folder / "demo-keys" / "sys-delinde.json"
    made = both.pgo("provider", "assert", "--key", str(key), "--client-id", "sys-delinde")
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": TYPE,
        "client_assertion": made.stdout.decode().strip(),
    }

    def ask(_=None):
        return httpx2.post(f"{both.url}/oauth/token", data=form, timeout=30).status_code

    with ThreadPoolExecutor(16) as pool:
        told = Counter(pool.map(ask, range(32)))
    assert told[200] == 1
    assert set(told) <= {200, 401, 429}
    os.killpg(both.process.pid, signal.SIGKILL)
    both.process.wait(20)
    both.serve()
    assert {ask() for _ in range(8)} <= {401, 429}
