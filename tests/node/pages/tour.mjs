// Every page once for each way of looking: what axe finds, and what it does not look at.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { appOn, browsing } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);
const require = createRequire(import.meta.url);
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];
const SMALLEST = 44;
const WAYS = {
  narrow: { width: 320, height: 640 },
  zoomed: { width: 640, height: 480 }, // 1280 × 960 at 200 %
  usual: { width: 1280, height: 800 },
};
const wrong = [];
const seen = new Set();
let looks = 0;

/** What is wrong with how a page stands there: sideways scrolling, and targets that are too small. */
function measured(smallest) {
  const found = [];
  const root = document.documentElement;
  if (root.scrollWidth > root.clientWidth) found.push(`scrolls sideways: ${root.scrollWidth} > ${root.clientWidth}`);
  for (const one of document.querySelectorAll("a, button, summary, input:not([type=hidden])")) {
    const target = one.closest("label") ?? one;
    const { width, height } = target.getBoundingClientRect();
    if (one.checkVisibility() && !one.matches(".skip") && (width < smallest || height < smallest)) {
      found.push(`${Math.round(width)}×${Math.round(height)} px: ${target.outerHTML.slice(0, 100)}`);
    }
  }
  for (const picture of document.querySelectorAll("svg use")) {
    if (picture.getBoundingClientRect().width < 5) found.push(`pictogram not drawn: ${picture.getAttribute("href")}`);
  }
  root.style.fontSize = "200%";
  if (root.scrollWidth > root.clientWidth + 1 && innerWidth >= 1280) found.push("scrolls sideways with text at 200 %");
  root.style.fontSize = "";
  if (document.querySelectorAll("h1").length !== 1) found.push("not one h1");
  return found;
}

async function look(page, way, name) {
  await page.waitForLoadState();
  looks += 1;
  const shown = await page.evaluate(() => document.body.id.replace("page-", ""));
  if (shown !== name) throw new Error(`${name}: ${shown} is shown at ${page.url()}: ${await page.innerText("main")}`);
  seen.add(shown);
  const told = (what) => wrong.push(`${way.tongue} ${way.scheme} ${way.size} ${name}: ${what}`);
  (await page.evaluate(measured, SMALLEST)).forEach(told);
  const language = await page.evaluate(() => document.documentElement.lang);
  if (language !== way.tongue.slice(0, 2)) told(`is in ${language}`);
  await page.evaluate(axe);
  // In forced colours the colours are the person's own; axe would look at ours.
  const rules = way.forced ? { "color-contrast": { enabled: false } } : {};
  const options = { runOnly: TAGS, resultTypes: ["violations"], rules };
  const { violations } = await page.evaluate((chosen) => window.axe.run(document, chosen), options);
  for (const one of violations) told(`${one.id} (${one.impact}): ${one.nodes.map((node) => `${node.html.slice(0, 160)} ${node.failureSummary}`).join(" | ")}`);
  if (given.pictures) await page.screenshot({ path: `${given.pictures}/${String(looks).padStart(3, "0")}-${name}-${way.tongue}-${way.scheme}-${way.size}.png`, fullPage: true });
}

const follow = async (page, selector) => {
  await Promise.all([page.waitForEvent("framenavigated"), page.locator(selector).first().click()]);
};

async function tour(context, page, app, way) {
  const seeing = (name) => look(page, way, name);
  const signIn = async (person) => {
    await page.goto(app.asking);
    await follow(page, `button[name=persoon][value='${person}']`);
  };
  await page.goto(app.asking);
  await seeing("sign_in");
  const choice = await page.locator("a[href*='passkey?flow=']").getAttribute("href");
  await follow(page, "a[href*='passkey?flow=']");
  await seeing("passkey");
  await page.goto(new URL(choice.replace("passkey?", "recover?"), `${given.url}/oauth/`).href);
  await seeing("recover");
  await page.fill("#code", "geen-goede-code");
  await follow(page, "form button");
  await seeing("recover");
  await page.goto(app.asking);
  await follow(page, "a[href*='to-uit?']");
  await seeing("later");
  await page.goto(app.asking);
  await follow(page, "a[href*='to-good?']");
  await seeing("link");
  await page.fill("#code", "geen-goede-code");
  await follow(page, "form button");
  await seeing("link");
  await page.goto(`${given.url}/oauth/consent?flow=x`);
  await seeing("error");
  await page.goto(`${given.url}/oauth/error?soort=ours`);
  await seeing("error");
  await page.goto(`${given.url}/mijn`);
  await seeing("sign_in");
  await page.goto(app.asking);
  await follow(page, "a[href*='to-other?']");
  if (await page.locator("#page-link").count()) {
    await page.fill("#code", given.code);
    await follow(page, "form button");
  }
  await seeing("role");
  await page.goto(`${given.url}/mijn`);
  await follow(page, "button[value=hier]");
  await seeing("signed_out");
  await page.goto(`${given.url}/oauth/signed-out?bij=other`);
  await seeing("signed_out");
  await follow(page, "a[href*='/other/end']");
  await seeing("signed_out");
  await context.clearCookies({ name: "pgo-session" });
  await signIn(`${given.person}|`);
  await seeing("dossier");
  await follow(page, `a.card[href*='dossier=${given.dossier}']`);
  await seeing("consent");
  await follow(page, "button[value=ja]");
  await seeing("consent");
  await page.locator("input[type=checkbox]").first().check();
  for (const one of await page.locator(".group:last-of-type input").all()) await one.check();
  await follow(page, "button[value=ja]");
  await app.redeem((await app.told()).code);
  await page.goto(`${given.url}/mijn`);
  await seeing("home");
  await follow(page, "a[href='mijn/apps']");
  await seeing("apps");
  await follow(page, "button[name=app]");
  await seeing("apps");
  await page.goto(`${given.url}/oauth/sessions`);
  await seeing("sessions");
  await page.goto(`${given.url}/oauth/passkeys`);
  await seeing("passkeys");
  await follow(page, "form[action=recovery] button");
  await seeing("recovery");
  await page.goto(`${given.url}/mijn`);
  await follow(page, "button[value=hier]");
  await seeing("signed_out");
}

/** One way of looking: a tongue by its cookie, a colour scheme, a size of window. */
async function toured(way) {
  const options = { viewport: WAYS[way.size], colorScheme: way.scheme, reducedMotion: "reduce", forcedColors: way.forced ?? "none" };
  await browsing(given.chromium, options, async (context) => {
    await context.addCookies([{ name: "pgo-taal", value: way.tongue, url: given.url }]);
    const page = context.pages()[0];
    page.on("console", (message) => {
      if (/Content Security Policy|Refused/.test(message.text())) wrong.push(`${page.url()}: ${message.text()}`);
    });
    const app = await appOn(given.port, given.url, given.clientId, given.scope);
    await tour(context, page, app, way);
    app.close();
  });
}

const ways = given.ways ?? [
  { tongue: "nl", scheme: "light", size: "narrow" },
  { tongue: "nl-eenvoudig", scheme: "dark", size: "zoomed" },
  { tongue: "en", scheme: "dark", size: "narrow" },
  { tongue: "en-eenvoudig", scheme: "light", size: "usual" },
  { tongue: "nl", scheme: "dark", size: "usual", forced: "active" },
];
for (const way of ways) await toured(way);
console.log(JSON.stringify({ wrong, seen: [...seen].sort(), looks }));
