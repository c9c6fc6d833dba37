// fhir-kit-client as it is, against a server: node clients/fhir_kit.mjs ADDRESS TOKEN.
// Prints what it saw as one JSON value; a test holds that against what it should be.
import { Client } from 'fhir-kit-client';

const [baseUrl, bearerToken] = process.argv.slice(2);
const client = new Client({ baseUrl, bearerToken });
const LOINC = 'http://loinc.org';
const seen = {};

const weight = (day, code = '29463-7', more = {}) => ({
  resourceType: 'Observation',
  status: 'final',
  code: { coding: [{ system: LOINC, code }] },
  subject: { reference: 'Patient/p' },
  effectiveDateTime: `2026-03-0${day}`,
  ...more,
});
const dates = (bundle) => bundle.entry.map((one) => one.resource.effectiveDateTime.slice(-1)).join('');
const refused = async (work) => {
  try {
    await work();
    return 'taken';
  } catch (error) {
    const issue = error.response.data.issue?.[0];
    return [error.response.status, issue?.code, issue?.expression?.[0]].filter(Boolean).join(' ');
  }
};

const told = await client.capabilityStatement();
seen.capability = [told.resourceType, told.fhirVersion];
const metadata = await client.smartAuthMetadata();
seen.signIn = [metadata.authorizeUrl?.href, metadata.tokenUrl?.href];

const patient = { resourceType: 'Patient', id: 'p', name: [{ family: 'Berg' }] };
await client.update({ resourceType: 'Patient', id: 'p', body: patient });
seen.family = (await client.read({ resourceType: 'Patient', id: 'p' })).name[0].family;

const made = await client.create({ resourceType: 'Observation', body: weight(1) });
const { response } = Client.httpFor(made);
const location = response.headers.get('location').split('/');
seen.created = [response.status, response.headers.get('etag'), location.slice(-4)[0], location.at(-1)];
const id = made.id;
const changed = await client.update({
  resourceType: 'Observation', id, body: { ...made, status: 'amended' },
  options: { headers: { 'If-Match': 'W/"1"' } },
});
const patched = await client.patch({
  resourceType: 'Observation', id,
  jsonPatch: [{ op: 'replace', path: '/status', value: 'corrected' }],
});
const first = await client.vread({ resourceType: 'Observation', id, version: '1' });
seen.statuses = [first.status, changed.status, patched.status];
seen.late = await refused(() => client.update({
  resourceType: 'Observation', id, body: made, options: { headers: { 'If-Match': 'W/"1"' } },
}));
const past = await client.resourceHistory({ resourceType: 'Observation', id });
seen.history = past.entry.map((one) => [one.request.method, one.resource.status].join(' '));
seen.typeHistory = (await client.typeHistory({ resourceType: 'Observation' })).entry.length;
seen.systemHistory = (await client.systemHistory()).entry.length;

const identifier = [{ system: 'https://elders.example/id', value: 'w-1' }];
const searchParams = { identifier: 'https://elders.example/id|w-1' };
const exist = { headers: { 'If-None-Exist': 'identifier=https://elders.example/id|w-1' } };
const once = [];
for (const day of [2, 3]) {
  const body = weight(day, '8302-2', { identifier });
  const one = await client.create({ resourceType: 'Observation', body, options: exist });
  once.push([Client.httpFor(one).response.status, one.effectiveDateTime].join(' '));
}
seen.once = once;
const again = weight(4, '8302-2', { identifier });
const meant = await client.update({ resourceType: 'Observation', searchParams, body: again });
seen.meant = [meant.meta.versionId, meant.effectiveDateTime];

for (const day of [5, 6, 7, 8, 9]) {
  await client.create({ resourceType: 'Observation', body: weight(day) });
}
const asked = { code: `${LOINC}|29463-7`, _sort: '-date', _count: 2 };
let page = await client.resourceSearch({ resourceType: 'Observation', searchParams: asked });
const pages = [];
while (page) {
  pages.push(dates(page));
  page = await client.nextPage({ bundle: page });
}
seen.pages = pages;
const posted = await client.search({
  resourceType: 'Observation', searchParams: { ...asked, _include: 'Observation:subject' },
  options: { postSearch: true },
});
seen.posted = posted.entry.map((one) => [one.resource.resourceType, one.search.mode].join(' '));
seen.either = (await client.search({
  resourceType: 'Observation', searchParams: { date: ['ge2026-03-05', 'le2026-03-06'] },
})).total;

const urn = 'urn:uuid:6b3c6b0e-6f0e-4f5c-9d0e-2f8c5a8e7b11';
const subject = { reference: 'Patient/p' };
const entry = [
  { request: { method: 'POST', url: 'Observation' }, resource: weight(4, '1', { focus: [{ reference: urn }] }) },
  { fullUrl: urn, request: { method: 'POST', url: 'Condition' }, resource: { resourceType: 'Condition', subject } },
];
const done = await client.transaction({ body: { resourceType: 'Bundle', type: 'transaction', entry } });
seen.transaction = done.entry.map((one) => one.response.status.slice(0, 3));
const mixed = await client.batch({ body: { resourceType: 'Bundle', type: 'batch', entry: [
  { request: { method: 'GET', url: 'Patient/p' } },
  { request: { method: 'GET', url: 'Patient/nobody' } },
] } });
seen.batch = mixed.entry.map((one) => one.response.status.slice(0, 3));
const about = (await client.search({ resourceType: 'Observation', searchParams: { code: '1' } })).entry[0].resource;
seen.resolved = (await client.resolve({ reference: about.focus[0].reference })).resourceType;

seen.lastn = dates(await client.operation({
  name: 'lastn', resourceType: 'Observation', method: 'GET', input: { code: `${LOINC}|29463-7` },
}));
const everything = await client.operation({ name: '$everything', resourceType: 'Patient', id: 'p', method: 'GET' });
seen.everything = [...new Set(everything.entry.map((one) => one.resource.resourceType))].sort();
const judged = await client.operation({
  name: 'validate', resourceType: 'Observation', input: { ...weight(1), status: 'nonsense' },
});
seen.validate = judged.issue[0].severity;

await client.delete({ resourceType: 'Observation', id });
seen.gone = await refused(() => client.read({ resourceType: 'Observation', id }));
seen.wrong = await refused(() => client.create({
  resourceType: 'Observation', body: { ...weight(1), status: 'nonsense' },
}));
seen.unknown = await refused(() => client.search({ resourceType: 'Observation', searchParams: { zzz: '1' } }));
client.bearerToken = 'nonsense';
seen.stranger = (await refused(() => client.read({ resourceType: 'Patient', id: 'p' }))).slice(0, 3);

const xml = await fetch(`${baseUrl}/Patient/p`, {
  headers: { Authorization: `Bearer ${bearerToken}`, Accept: 'application/fhir+xml' },
});
seen.xml = [xml.headers.get('content-type').split(';')[0], (await xml.text()).includes('<family value="Berg"/>')];
console.log(JSON.stringify(seen));
