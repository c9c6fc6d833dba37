"""`pgo notices run` as a process that is killed after its mail was taken: told again, never lost.

On each kind of store. The mail server ends the process by its own pid before it says yes.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from pgo import telling
from pgo.fhir.bundle import Op
from pgo.house import House, open_house
from pgo.keyfile import make_key
from pgo.oauth.means import AllMeans
from pgo.oauth.news import PASSKEY
from pgo.office import Office, new_client
from pgo.registry import Account
from pgo.settings import Settings, load

RESULT = {
    "resourceType": "Observation",
    "status": "final",
    "category": [
        {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/observation-category",
                    "code": "laboratory",
                }
            ]
        }
    ],
    "code": {"coding": [{"system": "http://loinc.org", "code": "4548-4"}]},
}


class Postbox:
    """Takes mail; before it says so, it may end the process that brings it."""

    def __init__(self) -> None:
        self.taken: list[str] = []
        self.ends: subprocess.Popen[bytes] | None = None

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.taken.append(envelope.rcpt_tos[0])
        if self.ends is not None:
            os.kill(self.ends.pid, signal.SIGKILL)
            await asyncio.to_thread(self.ends.wait)
        return "250 OK"


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, int]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    box = Postbox()
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    yield box, port
    server.stop()


@pytest.fixture(params=["sqlite", pytest.param("mongodb", marks=pytest.mark.long)])
def settings(request: pytest.FixtureRequest, tmp_path: Any, postbox: Any) -> Settings:
    store = f"sqlite:///{tmp_path}/pgo.db"
    if request.param == "mongodb":
        store = f"{request.getfixturevalue('wire')}/told-{os.getpid()}-{time.monotonic_ns()}"
    make_key(tmp_path / "pgo.key", development=True)
    return load(
        store=store,
        key_file=tmp_path / "pgo.key",
        mongo_standalone=request.param == "mongodb",
        smtp_host="127.0.0.1",
        smtp_port=postbox[1],
        smtp_tls="none",
        mail_from="pgo@pgo.example",
    )


def environment(settings: Settings) -> dict[str, str]:
    """The same settings for a process of its own."""
    given = {name: one for name, one in os.environ.items() if not name.startswith("PGO_")}
    return given | {
        "PGO_STORE": settings.store,
        "PGO_KEY_FILE": str(settings.key_file),
        "PGO_MONGO_STANDALONE": str(settings.mongo_standalone).lower(),
        "PGO_SMTP_HOST": settings.smtp_host,
        "PGO_SMTP_PORT": str(settings.smtp_port),
        "PGO_SMTP_TLS": settings.smtp_tls,
        "PGO_MAIL_FROM": settings.mail_from,
    }


def start(settings: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pgo", "notices", "run", "--json"]
    return subprocess.Popen(
        command, env=environment(settings), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


def told(settings: Settings) -> int:
    """How many messages a whole run says were taken."""
    process = start(settings)
    said, wrong = process.communicate(timeout=60)
    assert process.returncode == 0, wrong.decode()
    return int(json.loads(said)["told"])


async def a_result_for_mo(house: House) -> None:
    """Mo, who is Anna's mentor, wants mail; after that there is a result."""
    for name in ("anna", "mo"):
        await house.registry.keep_account(Account(name, name, birth="1980-05-01"))
    client = new_client()
    office = Office(house, client, "test")
    mentor = {"person": "mo", "kind": "mentor", "order": "C/01/1"}
    subject = {"person": "anna", "birth": "1980-05-01", "patient": "anna"}
    await office.create(subject, [mentor])
    await telling.keep_wishes(house, telling.Wishes("mo", email="mo@mail.example"))
    await telling.begin(house, "mo")
    tree = RESULT | {"subject": {"reference": "Patient/anna"}}
    await office.bring_in("r4", [Op("POST", "Observation", tree=tree)], whole=True)


async def a_key_for_mo(house: House) -> None:
    """Mo, who has no dossier, wants mail; after that he has a new passkey."""
    await house.registry.keep_account(Account("mo", "mo", birth="1980-05-01"))
    await telling.keep_wishes(house, telling.Wishes("mo", email="mo@mail.example"))
    means, now = AllMeans(house.store, house.registry_box), int(house.clock().timestamp())
    await means.change("mo", lambda mine: mine.telling(PASSKEY, now))


async def turn_over(house: House) -> None:
    """The minute for which a dead process had the turn, has passed."""
    now = int(house.clock().timestamp())
    assert await house.store.take("beurt", "meldingen", now) is not None


def inside(settings: Settings, work: Any) -> None:
    async def whole() -> None:
        async with open_house(settings) as house:
            await work(house)

    asyncio.run(whole())


@pytest.mark.parametrize("what", [a_result_for_mo, a_key_for_mo])
def test_who_was_told_by_a_process_that_was_killed_is_told_again(settings, postbox, what):
    box, _ = postbox
    inside(settings, what)
    box.ends = start(settings)
    assert box.ends.wait(60) == -signal.SIGKILL
    box.ends.communicate()
    assert box.taken == ["mo@mail.example"]
    box.ends = None
    inside(settings, turn_over)
    assert told(settings) == 1
    inside(settings, turn_over)
    assert told(settings) == 0
    assert box.taken == ["mo@mail.example"] * 2
