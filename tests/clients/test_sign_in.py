"""Clients of others sign in as they are: SMART JS, openid-client, authlib, requests-oauthlib."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from html import unescape
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
import pytest
from authlib.integrations.requests_client import OAuth2Session
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from requests_oauthlib import OAuth2Session as OAuthlibSession

from pgo.registry import Account, App

pytestmark = pytest.mark.long
MIA = "p-mia"
SCOPES = ("openid", "fhirUser", "launch/patient", "patient/*.rs", "offline_access")


@dataclass
class SignIn:
    """A server people can sign in at, a dossier of Mia, and apps."""

    url: str
    dossier: str
    patient: str
    callback: int
    key: dict


@pytest.fixture(scope="module")
def sign_in(start, free_port):
    running, callback = start(PGO_DEVELOPMENT_LOGIN="true"), free_port()
    key = ECKey.generate_key("P-256", {"kid": "strict", "alg": "ES256"}, private=True)

    async def furnish(house):
        record = await running.make(house, "mia1")
        await house.registry.keep_account(Account(MIA, "Mia Berg", "1980-05-01", demo=True))
        await house.store.link(MIA, record.id)
        smart = (f"http://127.0.0.1:{callback}/cb", "https://app.example/cb")
        await house.registry.keep_app(App("smart-js", "SMART app", smart, scopes=SCOPES))
        public = {"keys": [key.as_dict(private=False)]}
        strict = App(
            "strict", "Strenge app", ("https://strict.example/cb",), scopes=SCOPES,
            profile="fapi", jwks=public,
        )  # fmt: skip
        await house.registry.keep_app(strict)
        return record

    record = running.inside(furnish)
    let_in(running, record.id)
    return SignIn(running.url, record.id, "mia1", callback, key.as_dict(private=True))


def let_in(running, dossier):
    """Anna lets Mia read, and has a Patient."""
    token = running.inside(
        lambda house: house.tokens.issue_operator(
            house.registry, dossier=dossier, person="p-anna", scope=("user/*.cruds",)
        )
    ).access
    with httpx2.Client(headers={"Authorization": f"Bearer {token}"}) as anna:
        person = {"resourceType": "Patient", "id": "mia1", "name": [{"family": "Berg"}]}
        assert anna.put(f"{running.url}/fhir/r4/Patient/mia1", json=person).status_code == 201
        grant = {"effect": "permit", "to_who": MIA, "purposes": ["SUPNWK"]}
        grant |= {"categories": ["problemen", "contactpersonen", "adres"]}
        answer = anna.post(f"{running.url}/dossiers/{dossier}/toestemmingen", json=grant)
        assert answer.status_code in (200, 201), answer.text


def allow(address, dossier):
    """What a person's browser does; where it ends."""
    with httpx2.Client() as browser:
        asked = browser.get(address)
        assert asked.status_code == 200, asked.text
        form = hidden(asked.text) | {"persoon": f"{MIA}|"}
        onward = browser.post(urljoin(address, "/oauth/sign-in"), data=form)
        chosen = f"/oauth/{onward.headers['location']}&dossier={dossier}"
        page = browser.get(urljoin(address, chosen))
        boxes = dict.fromkeys(re.findall(r'name="(recht-\d+)"', page.text), "ja")
        form = hidden(page.text) | boxes | {"dossier": dossier, "besluit": "ja"}
        said = browser.post(urljoin(address, "/oauth/consent"), data=form)
        assert said.status_code == 303, said.text
        return said.headers["location"]


def hidden(page):
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def test_openid_client_with_par_dpop_and_iss(node, sign_in):
    told = json.loads(
        node(
            "clients/openid_client.mjs",
            *(sign_in.url, "strict", json.dumps(sign_in.key), MIA),
            *(sign_in.dossier, sign_in.patient),
        )
    )
    assert told == {
        "asked": ["client_id", "request_uri"],
        "type": "dpop",
        "patient": sign_in.patient,
        "acr": "http://eidas.europa.eu/LoA/substantial",
        "same": True,
        "reads": [200, 401, 200, 401],
        "mixed": "OAUTH_INVALID_RESPONSE",
    }


def test_smart_js_launches_standalone(node, sign_in):
    told = json.loads(
        node(
            "clients/fhirclient.mjs",
            *(sign_in.url, "smart-js", str(sign_in.callback), MIA, sign_in.dossier),
        )
    )
    assert told == {
        "patient": "Patient",
        "user": f"Person/{MIA}",
        "who": "Person",
        "conditions": "Bundle",
        "scope": "patient/*.rs fhirUser launch/patient offline_access openid",
        "refreshed": True,
        "again": "Patient",
    }


def told_to(address):
    """Code and state, as the app's redirect address got them."""
    return {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}


def test_authlib_signs_in_reads_and_refreshes(sign_in, monkeypatch):
    monkeypatch.setenv("AUTHLIB_INSECURE_TRANSPORT", "1")
    meta = httpx2.get(f"{sign_in.url}/.well-known/oauth-authorization-server").json()
    app = OAuth2Session(
        "smart-js", scope=" ".join(SCOPES), redirect_uri="https://app.example/cb",
        code_challenge_method="S256", token_endpoint_auth_method="none",
    )  # fmt: skip
    verifier = "v" * 64
    address, state = app.create_authorization_url(
        meta["authorization_endpoint"], code_verifier=verifier, nonce="n" * 16
    )
    answered = allow(address, sign_in.dossier)
    assert told_to(answered)["iss"] == meta["issuer"]
    token = app.fetch_token(
        meta["token_endpoint"], authorization_response=answered, state=state,
        code_verifier=verifier,
    )  # fmt: skip
    keys = KeySet.import_key_set(httpx2.get(meta["jwks_uri"]).json())
    claims = jwt.decode(token["id_token"], keys, algorithms=["RS256"]).claims
    assert (claims["iss"], claims["aud"], claims["nonce"]) == (sign_in.url, "smart-js", "n" * 16)
    patient = f"{sign_in.url}/fhir/r4/Patient/{token['patient']}"
    assert app.get(patient).json()["resourceType"] == "Patient"
    fresh = app.refresh_token(meta["token_endpoint"], token["refresh_token"])
    assert app.get(patient).status_code == 200
    assert app.revoke_token(meta["revocation_endpoint"], fresh["refresh_token"]).status_code == 200
    assert app.get(patient).status_code == 401


def test_requests_oauthlib_signs_in_and_reads(sign_in, monkeypatch):
    monkeypatch.setenv("OAUTHLIB_INSECURE_TRANSPORT", "1")
    monkeypatch.setenv("OAUTHLIB_RELAX_TOKEN_SCOPE", "1")
    app = OAuthlibSession(
        "smart-js", scope=list(SCOPES), redirect_uri="https://app.example/cb", pkce="S256"
    )
    address, _ = app.authorization_url(f"{sign_in.url}/oauth/authorize")
    answered = allow(address, sign_in.dossier)
    token = app.fetch_token(
        f"{sign_in.url}/oauth/token", authorization_response=answered, include_client_id=True
    )
    patient = f"{sign_in.url}/fhir/r4/Patient/{token['patient']}"
    assert app.get(patient).json()["resourceType"] == "Patient"
    app.refresh_token(f"{sign_in.url}/oauth/token", client_id="smart-js")
    assert app.get(patient).status_code == 200
