// fhirclient (SMART JS) as it is: standalone launch with launch/patient, reads, refresh.

import http from "node:http";
import smart from "fhirclient";
import { allow } from "./browser.mjs";

const [server, clientId, port, person, dossier] = process.argv.slice(2);
const kept = new Map();
const storage = {
  get: async (name) => kept.get(name),
  set: async (name, value) => kept.set(name, value).get(name),
  unset: async (name) => kept.delete(name),
};
let tell;
const told = new Promise((resolve) => { tell = resolve; });

const app = http.createServer(async (request, response) => {
  const api = smart(request, response, storage);
  if (request.url.startsWith("/launch")) {
    await api.authorize({
      iss: `${server}/fhir/r4`,
      clientId,
      redirectUri: `http://127.0.0.1:${port}/cb`,
      scope: "openid fhirUser launch/patient patient/*.rs offline_access",
      pkceMode: "required",
    });
    return;
  }
  const client = await api.ready();
  const patient = await client.patient.read();
  const before = client.state.tokenResponse.access_token;
  const user = client.getFhirUser();
  const conditions = await client.patient.request("Condition");
  await client.refresh();
  tell({
    patient: patient.id === client.patient.id ? patient.resourceType : "other",
    user,
    who: (await client.user.read().catch((fault) => ({ resourceType: String(fault) }))).resourceType,
    conditions: conditions.resourceType,
    scope: client.state.tokenResponse.scope,
    refreshed: client.state.tokenResponse.access_token !== before,
    again: (await client.patient.read()).resourceType,
  });
  response.end("done");
});

await new Promise((resolve) => app.listen(Number(port), "127.0.0.1", resolve));
const launch = await fetch(`http://127.0.0.1:${port}/launch`, { redirect: "manual" });
const back = await allow(launch.headers.get("location"), person, dossier);
await fetch(back);
console.log(JSON.stringify(await told));
app.close();
