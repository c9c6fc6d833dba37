// A person with a browser: follows redirects, keeps cookies, signs in, ticks everything, says yes.

const cookies = new Map();

async function go(address, form) {
  const headers = { cookie: [...cookies].map(([name, value]) => `${name}=${value}`).join("; ") };
  const options = form
    ? { method: "POST", body: new URLSearchParams(form), headers, redirect: "manual" }
    : { headers, redirect: "manual" };
  const answer = await fetch(address, options);
  for (const line of answer.headers.getSetCookie()) {
    const [name, value] = line.split(";")[0].split(/=(.*)/s);
    cookies.set(name, value);
  }
  return answer;
}

function hidden(page) {
  const found = [...page.matchAll(/<input type="hidden" name="(\w+)" value="([^"]*)">/g)];
  return Object.fromEntries(found.map(([, name, value]) => [name, value]));
}

/** Where the app is answered, when this person lets it into this dossier. */
export async function allow(address, person, dossier) {
  const asked = await go(address);
  if (asked.status !== 200) throw new Error(`${asked.status} ${await asked.text()}`);
  const signedIn = await go(new URL("/oauth/sign-in", address), {
    ...hidden(await asked.text()),
    persoon: `${person}|`,
  });
  if (signedIn.status !== 303) throw new Error(`${signedIn.status} ${await signedIn.text()}`);
  const onward = new URL(signedIn.headers.get("location"), new URL("/oauth/", address));
  onward.searchParams.set("dossier", dossier);
  const consent = await go(onward);
  const page = await consent.text();
  const boxes = [...page.matchAll(/name="(recht-\d+)"/g)].map(([, name]) => [name, "ja"]);
  const said = await go(new URL("/oauth/consent", address), {
    ...hidden(page),
    ...Object.fromEntries(boxes),
    dossier,
    besluit: "ja",
  });
  if (said.status !== 303) throw new Error(`${said.status} ${await said.text()}`);
  return said.headers.get("location");
}
