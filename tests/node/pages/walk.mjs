// One person, with a keyboard only and no JavaScript: from an app's question to reading, and to taking it back.

import { appOn, browsing } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const stops = [];

/** Press Tab until the focus is on what `wanted` finds; what has focus must show it and be in view. */
async function tabTo(page, wanted) {
  for (let pressed = 0; pressed < 80; pressed += 1) {
    await page.keyboard.press("Tab");
    const found = await page.evaluate((selector) => {
      const on = document.activeElement;
      if (!on || on === document.body) return null;
      const style = getComputedStyle(on);
      const box = on.getBoundingClientRect();
      return {
        it: on.matches(selector),
        name: `${on.tagName} ${on.textContent.trim() || on.name || on.id}`.slice(0, 60),
        shown: style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2,
        inView: box.top >= -1 && box.bottom <= innerHeight + 1 && box.width > 0,
      };
    }, wanted);
    if (!found) continue;
    if (!found.shown || !found.inView) throw new Error(`focus cannot be seen: ${JSON.stringify(found)} ${page.url()}`);
    if (found.it) { stops.push(found.name); return; }
  }
  throw new Error(`no way by keyboard to ${wanted} on ${page.url()}`);
}

async function press(page, wanted, key) {
  await tabTo(page, wanted);
  const moved = page.waitForEvent("framenavigated");
  await page.keyboard.press(key);
  await moved;
  await page.waitForLoadState();
}

/** As a demo person, or at a provider that does not know us yet: then with a code we were given. */
async function signIn(page, headings) {
  if (!given.provider) {
    await press(page, `button[name=persoon][value='${given.person}|']`, "Enter");
    return;
  }
  await press(page, `a[href*='to-${given.provider}?']`, "Enter");
  headings.push(await heading(page));
  await tabTo(page, "#code");
  await page.keyboard.type(given.miasCode);
  await press(page, "main form button", "Enter");
}

const heading = (page) => page.locator("h1").first().innerText();
const read = async (token) => {
  const answer = await fetch(`${given.url}/fhir/r4/Patient/${given.patient}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  return answer.status;
};
const search = async (token, type) => {
  const answer = await fetch(`${given.url}/fhir/r4/${type}`, { headers: { authorization: `Bearer ${token}` } });
  return answer.status;
};

const told = await browsing(given.chromium, { javaScriptEnabled: false, locale: "nl-NL", viewport: { width: 360, height: 700 } }, async (context) => {
  const scope = "launch/patient patient/Patient.rs patient/Observation.rs patient/Condition.rs offline_access";
  const app = await appOn(given.port, given.url, given.clientId, scope);
  const page = context.pages()[0];
  const headings = [];
  await page.goto(app.asking);
  headings.push(await heading(page));
  await press(page, "a.skip", "Enter");
  await signIn(page, headings);
  headings.push(await heading(page));
  await press(page, `a.card[href*='dossier=${given.dossier}']`, "Enter");
  headings.push(await heading(page));
  const asked = await page.locator("input[type=checkbox]").evaluateAll((all) => all.map((one) => one.checked));
  await press(page, "button[value=ja]", "Enter");
  const summary = await page.evaluate(() => document.activeElement.getAttribute("role"));
  const title = await page.title();
  for (const words of ["naam en adres", "metingen", "niet open"]) {
    const name = await page.locator("label", { hasText: words }).locator("input").getAttribute("name");
    await tabTo(page, `input[name='${name}']`);
    await page.keyboard.press("Space");
  }
  await press(page, "button[value=ja]", "Enter");
  const back = await app.told();
  const tokens = await app.redeem(back.code);
  const before = [await read(tokens.access_token), await search(tokens.access_token, "Observation"), await search(tokens.access_token, "Condition")];
  await page.goto(`${given.url}/mijn`);
  headings.push(await heading(page));
  await press(page, "a[href='mijn/apps']", "Enter");
  headings.push(await heading(page));
  const listed = await page.locator(".may li").allInnerTexts();
  await press(page, `button[name=app][value='${given.clientId}']`, "Enter");
  const done = await page.locator("[role=status]").innerText();
  const after = [await read(tokens.access_token), (await app.refresh(tokens.refresh_token)).status];
  await press(page, "a[href='../mijn']", "Enter");
  await press(page, "button[value=hier]", "Enter");
  headings.push(await heading(page));
  if (given.provider) {
    await press(page, "a[href*='/session/end']", "Enter");
    await page.locator("button[value=yes]").click(); // a page of the provider's own
    await page.locator("#page-signed_out").waitFor();
    headings.push(await heading(page));
  }
  await page.goto(`${given.url}/mijn`);
  const out = new URL(page.url()).pathname;
  await page.goBack();
  app.close();
  return {
    headings, asked, summary, title, iss: back.iss, scope: tokens.scope, before, listed, done, after, out, stops: stops.length,
  };
});
console.log(JSON.stringify(told));
