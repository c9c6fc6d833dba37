// The Chromium of this machine, without anything that calls home, and an app that waits for codes.

import http from "node:http";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";

const FLAGS = [
  "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
];

/** Runs `work(context)` in a fresh Chromium that can reach this machine only. */
export async function browsing(binary, options, work) {
  const folder = mkdtempSync(join(tmpdir(), "pages-"));
  const context = await chromium.launchPersistentContext(folder, {
    executablePath: binary, headless: true, args: FLAGS, javaScriptEnabled: true, ...options,
  });
  context.setDefaultTimeout(15000);
  try {
    await context.route((url) => !["127.0.0.1", "localhost"].includes(url.hostname), (route) => route.abort());
    return await work(context);
  } finally {
    await context.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

const base64url = (bytes) => bytes.toString("base64url");

/** A public app on this machine; `asking` is where it sends people, `told()` what they come back with. */
export async function appOn(port, server, clientId, scope, more = {}) {
  const verifier = base64url(randomBytes(32));
  const redirect = `http://127.0.0.1:${port}/cb`;
  let tell;
  let told = new Promise((resolve) => { tell = resolve; });
  const app = http.createServer((request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end("<!doctype html><html lang=nl><title>App</title><h1>Terug in de app</h1>");
    const url = new URL(request.url, redirect);
    if (url.pathname === "/cb") tell(Object.fromEntries(url.searchParams));
  });
  await new Promise((resolve) => app.listen(port, "127.0.0.1", resolve));
  const asked = new URL("/oauth/authorize", server);
  asked.search = new URLSearchParams({
    response_type: "code", client_id: clientId, redirect_uri: redirect, scope,
    state: base64url(randomBytes(16)), aud: `${server}/fhir/r4`, code_challenge_method: "S256",
    code_challenge: base64url(createHash("sha256").update(verifier).digest()), ...more,
  });
  const form = async (fields) => {
    const body = new URLSearchParams({ client_id: clientId, ...fields });
    const answer = await fetch(`${server}/oauth/token`, { method: "POST", body });
    return { status: answer.status, ...(await answer.json()) };
  };
  return {
    asking: String(asked),
    told: () => told,
    redeem: (code) => form({ grant_type: "authorization_code", code, redirect_uri: redirect, code_verifier: verifier }),
    refresh: (token) => form({ grant_type: "refresh_token", refresh_token: token }),
    close: () => app.close(),
  };
}
