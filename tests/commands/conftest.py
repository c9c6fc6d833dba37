"""The `pgo` command as people run it, in this process: its own entry point, store and settings."""

from __future__ import annotations

import asyncio
import io
import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx2
import orjson
import pytest
import structlog
import typer.main

from pgo import strict as strictly
from pgo.app import build
from pgo.cli import main
from pgo.commands import frame
from pgo.settings import load

MONGODB = os.environ.get("PGO_TEST_MONGODB", "")
COMMAND = cache(typer.main.get_command)  # to make all commands takes longer than to run one
PATIENT = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Vos"}]}


@dataclass(frozen=True)
class Said:
    """How a command ended and what it wrote."""

    code: int
    out: str
    err: str

    @property
    def json(self):
        """Its whole output as one JSON value."""
        assert self.code == 0, self.err
        return orjson.loads(self.out)


@pytest.fixture
def pgo(tmp_path, monkeypatch):
    """Runs `pgo`; settings come from the environment, as for everybody."""
    for name in [name for name in os.environ if name.startswith("PGO_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PGO_STORE", f"sqlite:///{tmp_path}/data/pgo.db")
    monkeypatch.setenv("PGO_KEY_FILE", str(tmp_path / "keys" / "pgo.key"))
    monkeypatch.setattr(strictly, "MOUNTINFO", tmp_path / "mountinfo")  # /tmp may be in memory
    for console in (frame.out, frame.err):
        monkeypatch.setattr(console, "width", 100)
    monkeypatch.chdir(tmp_path)
    before = structlog.get_config()
    yield lambda *arguments: _run(monkeypatch, [str(each) for each in arguments])
    structlog.configure(**before)


def _run(monkeypatch, arguments):
    written = io.BytesIO(), io.BytesIO()
    out, err = (io.TextIOWrapper(each, "utf-8", write_through=True) for each in written)
    with monkeypatch.context() as patch:
        patch.setattr(typer.main, "get_command", COMMAND)
        patch.setattr(sys, "argv", ["pgo", *arguments])
        patch.setattr(sys, "stdout", out)
        patch.setattr(sys, "stderr", err)
        with pytest.raises(SystemExit) as ended:
            main()
    for each in (out, err):
        each.detach()
    said = Said(int(ended.value.code or 0), *(each.getvalue().decode() for each in written))
    assert "Traceback" not in said.out + said.err
    return said


@pytest.fixture
def strict(pgo, monkeypatch, tmp_path):
    """`pgo` in a sound deployment under strict, with operators ria and bas."""
    monkeypatch.setenv("PGO_STRICT", "true")
    monkeypatch.setenv("PGO_ISSUER", "https://pgo.example")
    assert pgo("keys", "make").code == 0
    for name in ("ria", "bas"):
        assert pgo("account", "add", name, "--name", name, "--kind", "beheerder").code == 0
    return pgo


@pytest.fixture
def dossier(pgo, tmp_path):
    """Makes a dossier of Jo Vos, born in 1990, with his Patient in it; its id."""

    def make(run=pgo, **facts):
        subject = {"person": "p-jo", "name": "Jo Vos", "birth": "1990-04-01"} | facts
        about, patient = tmp_path / "jo.json", tmp_path / "patient.json"
        about.write_bytes(orjson.dumps(subject))
        patient.write_bytes(orjson.dumps(PATIENT))
        run("account", "add", "p-jo", "--name", "Jo Vos", "--birth", "1990-04-01")
        client = run("dossier", "create", "--subject", about, "--json").json["dossier"]
        found = run("import", "--dossier", client, "--release", "r4", patient, "--json")
        assert found.json["accepted"] == 1
        return client

    return make


def get(path, token):
    """What the server answers on the settings of this moment."""

    async def ask():
        server = build(load())
        await server.start()
        try:
            transport = httpx2.ASGITransport(app=server, raise_app_exceptions=False)
            async with httpx2.AsyncClient(transport=transport, base_url="https://pgo") as http:
                return await http.get(path, headers={"Authorization": f"Bearer {token}"})
        finally:
            await server.stop()

    return asyncio.run(ask())


@pytest.fixture
def ask():
    """Asks the server something, as who has the token."""
    return get


@pytest.fixture
def file(tmp_path):
    """Writes a file and tells where."""

    def write(name: str, content: bytes | str | dict | list) -> Path:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, dict | list):
            content = orjson.dumps(content)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


@pytest.fixture(scope="session")
def mongodb(request):
    """Address of a server that speaks MongoDB's protocol; your own when PGO_TEST_MONGODB is set."""
    return MONGODB.partition("?")[0].rstrip("/") if MONGODB else request.getfixturevalue("wire")
