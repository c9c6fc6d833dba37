"""A small OpenID Connect provider for tests, run as a process of its own; it can be told to err.

    python provider.py            prints its port, and serves until its input ends

Each first part of a path is a provider of its own (`/good`, `/other`, `/slow` …) with own codes.
How a sign-in goes wrong is said by `mode` at its authorization address. Signs with joserfc.
"""

from __future__ import annotations

import hmac
import json
import secrets
import sys
import threading
import time
from base64 import b64decode, urlsafe_b64encode
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote_plus, urlencode, urlsplit

from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

KEYS = {"k1": RSAKey.generate_key(2048), "k2": ECKey.generate_key("P-256")}
STRANGE = RSAKey.generate_key(2048)
LIVE = {"kid": "k1", "published": ["k1"]}
CODES: dict[str, dict] = {}
ASKED: dict[str, int] = {}
BSN = "999990019"
PATIENCE = 30


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


class Provider(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.server.server_port}/{self.tenant}"

    def do_GET(self):
        parts = urlsplit(self.path)
        self.tenant, _, rest = parts.path.removeprefix("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        ASKED[f"{self.tenant}/{rest}"] = ASKED.get(f"{self.tenant}/{rest}", 0) + 1
        if self.tenant == "control":
            self.control(rest)
        elif rest == ".well-known/openid-configuration":
            self.metadata()
        elif rest == "jwks":
            keys = [
                KEYS[kid].as_dict(private=False, kid=kid, use="sig") for kid in LIVE["published"]
            ]
            self.say({"keys": keys})
        elif rest == "authorize":
            self.authorize(query)
        elif rest == "end":
            self.go(query["post_logout_redirect_uri"])
        else:
            self.say({}, 404)

    def control(self, what):
        if what == "rotate":
            LIVE.update(kid="k2", published=["k2"])
        elif what == "reset":
            LIVE.update(kid="k1", published=["k1"])
            ASKED.clear()
        self.say(ASKED)

    def metadata(self):
        about = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "authorization_response_iss_parameter_supported": True,
        }
        if self.tenant in {"good", "other"}:
            about["end_session_endpoint"] = f"{self.issuer}/end?x=1"
        if self.tenant == "silent":
            time.sleep(PATIENCE)
        elif self.tenant == "redirecting":
            self.go(
                f"http://127.0.0.1:{self.server.server_port}/good/.well-known/openid-configuration"
            )
            return
        elif self.tenant == "lying":
            about["issuer"] = self.issuer.replace("lying", "good")
        elif self.tenant == "elsewhere":
            about["token_endpoint"] = "https://169.254.169.254/token"
        elif self.tenant == "huge":
            about["more"] = "x" * 200_000
        elif self.tenant == "noniss":
            del about["authorization_response_iss_parameter_supported"]
            about["end_session_endpoint"] = "https://evil.test/end"
        self.say(about)

    def authorize(self, query):
        mode, back = query.get("mode", ""), query["redirect_uri"]
        told = {"state": query["state"], "iss": self.issuer}
        if mode == "iss-other":
            told["iss"] = self.issuer + "x"
        elif mode == "iss-missing" or self.tenant == "noniss":
            del told["iss"]
        if mode.startswith("error-"):
            told["error"] = mode.removeprefix("error-")
        else:
            told["code"] = secrets.token_urlsafe(24)
            CODES[told["code"]] = {**query, "tenant": self.tenant, "at": int(time.time())}
        if mode == "state-other":
            told["state"] = "x" * 43
        self.go(f"{back}?{urlencode(told)}")

    def do_POST(self):
        self.tenant, _, rest = self.path.removeprefix("/").partition("/")
        form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
        form = {name: values[0] for name, values in form.items()}
        asked = CODES.pop(form.get("code", ""), None)
        sound = (
            rest == "token"
            and asked is not None
            and asked["tenant"] == self.tenant
            and asked["redirect_uri"] == form.get("redirect_uri")
            and b64(sha256(form.get("code_verifier", "").encode()).digest())
            == asked["code_challenge"]
            and asked["code_challenge_method"] == "S256"
            and asked["client_id"] == self.client(form)
        )
        if not sound:
            self.say({"error": "invalid_grant", "error_description": "x"}, 400)
            return
        self.tokens(asked)

    def client(self, form) -> str:
        if "client_assertion" in form:
            key = ECKey.import_key(json.loads(sys.argv[1]))
            claims = jwt.decode(form["client_assertion"], key, algorithms=["ES256"]).claims
            good = claims["iss"] == claims["sub"] and claims["aud"] == self.issuer
            return claims["sub"] if good else ""
        kind, _, sent = self.headers.get("authorization", "").partition(" ")
        name, _, secret = b64decode(sent).decode().partition(":")
        good = kind == "Basic" and unquote_plus(secret) == "geheim"
        return name if good else ""

    def tokens(self, asked):
        mode, now, access = asked.get("mode", ""), int(time.time()), secrets.token_urlsafe(24)
        claims = {
            "iss": self.issuer,
            "sub": asked.get("sub", "pseudo-mia"),
            "aud": asked["client_id"],
            "iat": now,
            "exp": now + 300,
            "auth_time": asked["at"],
            "nonce": asked["nonce"],
            "acr": asked.get("acr", "urn:midden"),
            "at_hash": b64(sha256(access.encode()).digest()[:16]),
        }
        changes = {
            "nonce-other": {"nonce": "x" * 43},
            "nonce-missing": {"nonce": None},
            "token-iss": {"iss": self.issuer + "x"},
            "aud-other": {"aud": "iemand-anders"},
            "aud-more": {"aud": [asked["client_id"], "iemand-anders"], "azp": asked["client_id"]},
            "expired": {"iat": now - 900, "exp": now - 300, "auth_time": now - 900},
            "young": {"iat": now + 900, "exp": now + 1200},
            "acr-low": {"acr": "urn:laag"},
            "acr-unknown": {"acr": "urn:iets"},
            "acr-missing": {"acr": None},
            "old": {"auth_time": now - 7200},
            "auth-time-missing": {"auth_time": None},
            "auth-time-text": {"auth_time": str(now)},
            "sub-missing": {"sub": None},
            "sub-list": {"sub": ["pseudo-mia"]},
            "sub-bsn": {"sub": BSN},
            "sub-sector": {"sub": f"S00000000:{BSN}"},
            "at-hash": {"at_hash": "x" * 22},
            "bsn-claims": {"bsn": BSN, "nin": f"S00000000:{BSN}", "name": "Mia Kanarie"},
            "azp-other": {"azp": "iemand-anders"},
        }
        claims |= changes.get(mode, {})
        claims = {name: value for name, value in claims.items() if value is not None}
        if mode == "silent":
            time.sleep(PATIENCE)
        if mode == "html":
            self.say("<html>", raw=True)
        elif mode == "no-token":
            self.say({"access_token": access, "token_type": "Bearer"})
        else:
            self.say(
                {"access_token": access, "token_type": "Bearer", "id_token": signed(mode, claims)}
            )

    def say(self, told, status=200, *, raw=False):
        body = told.encode() if raw else json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def go(self, address):
        self.send_response(302)
        self.send_header("Location", address)
        self.send_header("Content-Length", "0")
        self.end_headers()


def signed(mode, claims) -> str:
    """An id_token, signed as it should be, or not."""
    kid = LIVE["kid"]
    key, alg = KEYS[kid], "RS256" if kid == "k1" else "ES256"
    if mode == "alg-none":
        head = b64(json.dumps({"alg": "none", "kid": kid}).encode())
        return f"{head}.{b64(json.dumps(claims).encode())}."
    if mode == "alg-hs":
        secret = KEYS["k1"].as_pem(private=False)
        head = b64(json.dumps({"alg": "HS256", "kid": kid}).encode())
        text = f"{head}.{b64(json.dumps(claims).encode())}"
        return f"{text}.{b64(hmac.digest(secret, text.encode(), 'sha256'))}"
    if mode == "key-other":
        key = STRANGE
    header = {"alg": alg, "kid": "k9" if mode == "kid-other" else kid}
    if mode == "kid-missing":
        del header["kid"]
    return jwt.encode(header, claims, key, algorithms=[alg])


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    sys.stdin.read()


if __name__ == "__main__":
    main()
