// openid-client as it is: discovery, PAR, DPoP with nonces, iss, id_token, refresh, userinfo.

import * as oidc from "openid-client";
import { allow } from "./browser.mjs";

const [server, clientId, jwk, person, dossier, patient] = process.argv.slice(2);
const given = JSON.parse(jwk);
const key = await crypto.subtle.importKey(
  "jwk", given, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"],
);
const config = await oidc.discovery(
  new URL(server), clientId,
  { id_token_signed_response_alg: "ES256", use_mtls_endpoint_aliases: false },
  oidc.PrivateKeyJwt({ key, kid: given.kid }),
  { execute: [oidc.allowInsecureRequests], algorithm: "oidc" },
);
const DPoP = oidc.getDPoPHandle(config, await oidc.randomDPoPKeyPair("ES256"));
const verifier = oidc.randomPKCECodeVerifier();
const state = oidc.randomState();
const nonce = oidc.randomNonce();
const address = await oidc.buildAuthorizationUrlWithPAR(config, {
  redirect_uri: "https://strict.example/cb",
  scope: "openid fhirUser launch/patient patient/*.rs offline_access",
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier),
  code_challenge_method: "S256",
  aud: `${server}/fhir/r4`,
  state,
  nonce,
}, { DPoP });
const answered = new URL(await allow(address.href, person, dossier));
const tokens = await oidc.authorizationCodeGrant(config, answered, {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
}, undefined, { DPoP });
const read = async (token) => oidc.fetchProtectedResource(
  config, token, new URL(`${server}/fhir/r4/Patient/${patient}`), "GET", undefined, undefined, { DPoP },
);
const first = await read(tokens.access_token);
const bare = await fetch(`${server}/fhir/r4/Patient/${patient}`, {
  headers: { authorization: `Bearer ${tokens.access_token}` },
});
const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
const second = await read(fresh.access_token);
const claims = tokens.claims();
const user = await oidc.fetchUserInfo(config, fresh.access_token, claims.sub, { DPoP });
await oidc.tokenRevocation(config, tokens.refresh_token);
const ended = await read(fresh.access_token).then((it) => it.status, (it) => it.status ?? it.message);
const without = new URL(answered);
without.searchParams.set("iss", "https://evil.example");
const mixed = await oidc.authorizationCodeGrant(config, without, {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce,
}, undefined, { DPoP }).then(() => "taken", (fault) => fault.code);
console.log(JSON.stringify({
  asked: [...address.searchParams.keys()].sort(),
  type: tokens.token_type.toLowerCase(),
  patient: tokens.patient,
  acr: claims.acr,
  same: user.sub === claims.sub,
  reads: [first.status, bare.status, second.status, ended],
  mixed,
}));
