// oidc-provider as people's sign-in: logs in whoever `login` names, at the level `acr` names.
// node oidc_provider.mjs PORT BACK   serves until its input ends

import { createServer } from "node:http";
import { createHash, generateKeyPairSync } from "node:crypto";
import { Provider } from "oidc-provider";

const [port, back] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
const who = { login: "mia", acr: "urn:midden", refuse: "" };

const provider = new Provider(issuer, {
  clients: [{
    client_id: "pgo", client_secret: "geheim", redirect_uris: [back],
    post_logout_redirect_uris: [back.replace("/back-", "/out-")],
    grant_types: ["authorization_code"], response_types: ["code"],
    id_token_signed_response_alg: "PS256", subject_type: "pairwise",
  }],
  jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), kid: "op-1", use: "sig", alg: "PS256" }] },
  acrValues: ["urn:laag", "urn:midden", "urn:hoog"],
  subjectTypes: ["pairwise"],
  pairwiseIdentifier: (_, account) => createHash("sha256").update(`zout|${account}`).digest("hex"),
  cookies: { keys: ["alleen voor de proef"] },
  pkce: { required: () => true },
  findAccount: (_, id) => ({ accountId: id, claims: async () => ({ sub: id, bsn: "999990019" }) }),
  loadExistingGrant: async ({ oidc }) => {
    const grant = new oidc.provider.Grant({
      clientId: oidc.client.clientId, accountId: oidc.session.accountId,
    });
    grant.addOIDCScope("openid");
    await grant.save();
    return grant;
  },
  interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
  features: { devInteractions: { enabled: false } },
});

const answer = provider.callback();
createServer(async (request, response) => {
  const url = new URL(request.url, issuer);
  if (url.pathname === "/who") {
    Object.assign(who, Object.fromEntries(url.searchParams));
    response.end("ok");
  } else if (url.pathname.startsWith("/interaction/")) {
    const told = who.refuse
      ? { error: who.refuse }
      : { login: { accountId: who.login, acr: who.acr, remember: false } };
    await provider.interactionFinished(request, response, told, { mergeWithLastSubmission: false });
  } else {
    answer(request, response);
  }
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit(0)).resume();
