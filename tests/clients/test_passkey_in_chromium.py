"""A passkey in a real browser, with the device that Chromium itself plays."""

from __future__ import annotations

import json
import shutil

import pytest

from pgo.oauth.recovery import make_entry_code
from pgo.registry import Account

pytestmark = pytest.mark.long


def test_somebody_makes_a_passkey_with_a_code_and_signs_in_with_it(start, free_port, node):
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("there is no Chromium: make install-chromium")
    port = free_port()
    url = f"http://localhost:{port}"
    running = start(PGO_PORT=str(port), PGO_ISSUER=url, PGO_PASSKEY_LEVEL="substantieel")

    async def work(house):
        await house.registry.keep_account(Account("p-mia", "Mia Vos"))
        now = int(house.clock().timestamp())
        return await make_entry_code(house.store, house.registry_box, "p-mia", now)

    told = {"url": url, "chromium": chromium, "code": running.inside(work)}
    seen = json.loads(node("pages/passkey.mjs", json.dumps(told), seconds=120))
    assert seen == {
        "faults": [],
        "keys": 1,
        "discoverable": True,
        "out": "/oauth/sign-in",
        "back": "/oauth/sessions",
        "unverified": "/oauth/passkey",
    }
