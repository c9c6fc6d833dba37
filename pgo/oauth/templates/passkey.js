"use strict";
// Hands the answer of the device's own key to an ordinary form; nothing else here needs a script.
(() => {
  const bytes = (text) =>
    Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
  const text = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
  const known = (list) => (list || []).map((one) => ({ ...one, id: bytes(one.id) }));

  const asked = {
    create: (o) => navigator.credentials.create({ publicKey: {
      ...o, challenge: bytes(o.challenge), user: { ...o.user, id: bytes(o.user.id) },
      excludeCredentials: known(o.excludeCredentials) } }),
    get: (o) => navigator.credentials.get({ publicKey: {
      ...o, challenge: bytes(o.challenge), allowCredentials: known(o.allowCredentials) } }),
  };

  const told = (found) => {
    const response = {};
    for (const name of ["clientDataJSON", "attestationObject", "authenticatorData", "signature", "userHandle"]) {
      if (found.response[name]) response[name] = text(found.response[name]);
    }
    return JSON.stringify({ id: found.id, rawId: text(found.rawId), type: found.type, response });
  };

  for (const form of document.querySelectorAll("form[data-passkey]")) {
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      try {
        form.elements.credential.value = told(
          await asked[form.dataset.passkey](JSON.parse(form.dataset.options)));
        form.submit();
      } catch {
        const wrong = document.getElementById("wrong");
        wrong.hidden = false;
        wrong.focus();
      }
    });
  }
})();
