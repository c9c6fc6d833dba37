// A passkey made and used in the browser itself, with a device that Chromium plays.

import { browsing } from "./chromium.mjs";

const given = JSON.parse(process.argv[2]);

const told = await browsing(given.chromium, { locale: "nl-NL" }, async (context) => {
  const page = context.pages()[0];
  const device = await context.newCDPSession(page);
  const refused = [];
  page.on("console", (message) => { if (/Content Security Policy/.test(message.text())) refused.push(message.text()); });
  await device.send("WebAuthn.enable");
  const { authenticatorId } = await device.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true,
      isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  await page.goto(`${given.url}/oauth/sign-in?next=passkeys`);
  await page.locator(`button[name=persoon][value='${given.person}|']`).click();
  await page.fill("#naam", "Mijn telefoon");
  await page.locator("form[data-passkey] button").click();
  await page.locator("form[action=passkeys-remove]").waitFor();
  const kept = await page.locator(".people li strong").allInnerTexts();
  await page.goto(`${given.url}/mijn`);
  await page.locator("button[value=hier]").click();
  await page.locator("#page-signed_out").waitFor();
  await page.goto(`${given.url}/oauth/sign-in?next=home`);
  await page.locator("a[href*='passkey?flow=']").click();
  await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: false });
  await page.locator("form[data-passkey] button").click();
  await page.locator("#wrong:visible").waitFor();
  const unproved = await page.locator("#wrong").innerText();
  await device.send("WebAuthn.setUserVerified", { authenticatorId, isUserVerified: true });
  await page.locator("form[data-passkey] button").click();
  await page.locator("#page-home").waitFor();
  return { kept, unproved, hello: await page.locator("main > p").first().innerText(), refused };
});
console.log(JSON.stringify(told));
