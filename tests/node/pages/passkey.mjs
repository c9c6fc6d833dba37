// A passkey in Chromium with its own virtual device: made with a code, then used to sign in.
// node passkey.mjs '{"url", "chromium", "code"}'   prints what was seen as one JSON value

import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const { url, chromium: binary, code } = JSON.parse(process.argv[2]);
const folder = mkdtempSync(join(tmpdir(), "passkey-"));
const context = await chromium.launchPersistentContext(folder, {
  executablePath: binary, headless: true,
  args: ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"],
});
const seen = { faults: [] };
try {
  context.setDefaultTimeout(15000);
  const page = await context.newPage();
  page.on("console", (line) => {
    const icon = line.location().url.endsWith("/favicon.ico");  // asked by the browser itself
    if (line.type() === "error" && !icon) seen.faults.push(line.text());
  });
  page.on("pageerror", (fault) => seen.faults.push(String(fault)));
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const { authenticatorId } = await devtools.send("WebAuthn.addVirtualAuthenticator", { options: {
    protocol: "ctap2", transport: "internal", hasResidentKey: true,
    hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true } });
  const where = () => new URL(page.url()).pathname;

  await page.goto(`${url}/oauth/sign-in?next=passkeys`);
  await page.click('a[href^="recover?"]');
  await page.fill("#code", code);
  await page.click('form[action="recover"] button');
  await page.waitForURL(/\/oauth\/passkeys/);
  await page.fill("#naam", "Chromium");
  await Promise.all([page.waitForURL(/\/oauth\/passkeys$/), page.click('form[action="passkeys"] button')]);
  await page.waitForSelector("text=Chromium");
  const { credentials } = await devtools.send("WebAuthn.getCredentials", { authenticatorId });
  seen.keys = credentials.length;
  seen.discoverable = credentials.every((one) => one.isResidentCredential);

  await page.goto(`${url}/oauth/sessions`);
  await page.click('button[name="waar"][value="hier"]');
  await page.goto(`${url}/oauth/sessions`);
  seen.out = where();
  await page.click('a[href^="passkey?"]');
  await Promise.all([page.waitForURL(/\/oauth\/sessions$/), page.click('form[action="passkey"] button')]);
  seen.back = where();

  await page.goto(`${url}/oauth/sessions`);
  await page.click('button[name="waar"][value="hier"]');
  await devtools.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.goto(`${url}/oauth/sign-in?next=sessions`);
  await page.click('a[href^="passkey?"]');
  await page.click('form[action="passkey"] button');
  await page.waitForSelector("#wrong:not([hidden])");
  seen.unverified = where();
} finally {
  await context.close();
  rmSync(folder, { recursive: true, force: true });
}
console.log(JSON.stringify(seen));
