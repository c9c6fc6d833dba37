"""Many large documents at once: a worker's memory is bounded, however large they are."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

AT_ONCE = 6
SIZE = 20_000_000
GROWTH = 60_000_000
"""Bytes the peak may grow by: half of the documents that are under way together."""
PIECE = 65_536


def peak(pid: int) -> int:
    """The most memory a process has had since `forget`, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    (told,) = [line for line in lines if line.startswith("VmHWM:")]
    return int(told.split()[1]) * 1024


def forget(pid: int) -> None:
    """Let the peak begin again at what it is now."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def document(number: int) -> Iterator[bytes]:
    """A document of the largest size, part by part."""
    yield b"%PDF-1.7\n"
    part = hashlib.shake_256(b"%d" % number).digest(PIECE)
    left = SIZE - 9
    while left > 0:
        yield part[:left]
        left -= PIECE


def digest(parts: Iterator[bytes]) -> str:
    made = hashlib.sha256()
    for part in parts:
        made.update(part)
    return made.hexdigest()


@pytest.mark.long
def test_the_memory_of_a_worker_does_not_grow_with_the_documents_under_way(launch, tmp_path):
    served = launch(tmp_path)
    served.token("p-marjan")
    pid = served.process.pid
    headers = {"Content-Type": "application/pdf", "Content-Length": str(SIZE)}

    def send(number: int) -> str:
        with served.client("p-marjan") as marjan:
            made = marjan.post("Binary", content=document(number), headers=headers, timeout=120)
            assert made.status_code == 201, made.text
            return made.headers["location"].partition("/_history")[0]

    def fetch(where: str) -> str:
        with served.client("p-marjan") as marjan:
            asked = {"Accept": "application/pdf"}
            with marjan.stream("GET", where, headers=asked, timeout=120) as got:
                assert got.status_code == 200
                return digest(got.iter_bytes())

    def fetch_resource(where: str) -> str:
        with served.client("p-marjan") as marjan:
            asked = {"Accept": "application/fhir+json"}
            got = marjan.get(where, headers=asked, timeout=120).json()
            return hashlib.sha256(base64.b64decode(got["data"])).hexdigest()

    forget(pid)
    before = peak(pid)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = list(pool.map(send, range(AT_ONCE)))
        sent = [digest(document(number)) for number in range(AT_ONCE)]
        assert peak(pid) - before < GROWTH
        assert list(pool.map(fetch, places)) == sent
        assert peak(pid) - before < GROWTH
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(fetch_resource, places[:2])) == sent[:2]
    assert peak(pid) - before < GROWTH
    with served.client("p-marjan") as marjan:
        asked = {"Prefer": "respond-async"}
        begun = marjan.get("$export", params={"_type": "Binary"}, headers=asked)
        manifest = marjan.get(begun.headers["content-location"]).json()
        (file,) = manifest["output"]
        with marjan.stream("GET", file["url"], timeout=120) as got:
            assert sum(map(len, got.iter_bytes())) > AT_ONCE * SIZE
    assert peak(pid) - before < GROWTH


@pytest.mark.long
def test_a_document_over_the_limit_is_refused_however_it_is_sent(launch, tmp_path):
    served = launch(tmp_path, PGO_BINARY_BYTES="2000000")
    with served.client("p-marjan") as marjan:
        before = marjan.get("_history", params={"_count": 1}).json()["entry"]

        def endless() -> Iterator[bytes]:
            yield b"%PDF-1.7\n"
            for _ in range(40):
                yield bytes(PIECE)

        headers = {"Content-Type": "application/pdf"}
        try:
            answer = marjan.post("Binary", content=endless(), headers=headers)
            assert answer.status_code == 413
            assert answer.json()["issue"][0]["code"] == "too-long"
        except httpx2.WriteError:
            pass  # it stopped reading while we were still sending
        assert marjan.get("_history", params={"_count": 1}).json()["entry"] == before
