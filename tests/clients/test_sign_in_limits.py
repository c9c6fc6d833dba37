"""How often codes may be tried holds over the workers of a server, each asked by itself."""

from __future__ import annotations

import contextlib
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from pgo.rates import LOGIN

pytestmark = pytest.mark.long


@pytest.fixture
def server(start):
    return start(PGO_WORKERS="2", PGO_PASSKEY_LEVEL="substantieel")


def workers(server) -> list[int]:
    """The process ids of its two workers."""
    found = []
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            mine = parent == server.process.pid
            if mine and b"spawn_main" in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
    assert len(found) == 2
    return found


@contextlib.contextmanager
def only(pid: int, pids: list[int]) -> Iterator[None]:
    """Let one worker answer alone."""
    others = [one for one in pids if one != pid]
    for one in others:
        os.kill(one, signal.SIGSTOP)
    try:
        yield
    finally:
        for one in others:
            os.kill(one, signal.SIGCONT)


def tried(server, code: str) -> httpx2.Response:
    """The answer to a code, in a browser of its own."""
    with httpx2.Client(base_url=server.url, timeout=20) as http:
        page = http.get("/oauth/sign-in?next=home")
        flow = re.search(r"flow=([\w-]+)", page.text)[1]
        page = http.get(f"/oauth/recover?flow={flow}")
        form = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text))
        return http.post("/oauth/recover", data=form | {"code": code})


def test_tries_of_one_account_are_counted_over_all_workers(server):
    pids = workers(server)
    answers: list[int] = []
    while 429 not in answers and len(answers) < 10 * LOGIN.burst:  # a try comes back every 12 s
        with only(pids[len(answers) % 2], pids):
            answers.append(tried(server, f"abcde-{len(answers):05}-aaaaa").status_code)
    assert answers[-1] == 429
    assert answers[:-1] == [400] * (len(answers) - 1)
    assert len(answers) > LOGIN.burst
    for pid in pids:
        with only(pid, pids):
            late = tried(server, "ABCDE aaaaa aaaaa")
            other = tried(server, f"vwxy{pids.index(pid) + 2}-aaaaa-aaaaa")
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 12
        assert "Wacht een minuut" in late.text
        assert other.status_code == 400
