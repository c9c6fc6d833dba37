"""`pgo bench` gives every figure it promises; how high they are is not a matter of tests."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import repeat

import orjson
import pytest

from pgo.app import _rates_file
from pgo.bench.doors import effect
from pgo.bench.load import drive
from pgo.bench.rows import Row, alternating
from pgo.bench.stand import Stand

GET = b"GET / HTTP/1.1\r\n\r\n"
PROMISED = {
    "client-credential grants of a worker": ">= 150",
    "guarded read with DPoP / with a bearer": ">= 0.5",
    "99 of 100 reads, 50 sign-ins hanging / none": "<= 1.5",
    "memory of a worker after its start": "<= 200",
    "guarded read / bare route": ">= 0.4",
    "guarded search / bare route": ">= 0.15",
    "opening a cold dossier of 2,000 with an image": "<= 25",
    "warm search of one kind of result, our own time": "<= 1",
    "that search when nothing is remembered of it": "<= 1",
    "import / validation by fhir.resources only": ">= 0.4",
    "consent.decide with 200 grants": "<= 50",
    "durable audit line, alone": "",
    "read of a result that is hidden or not there, Cliff's delta": "",
    "search of a result that is hidden or not there, chance of that by accident": "",
    "consent adds to a search of 5,000 rows": "<= 1",
    "search with 3 parameters and _include in 5,000, our own time": "<= 3",
    "$everything of 200 entries in 5,000, our own time": "<= 10",
}


def pgo_bench(*arguments, **environment):
    own = {name: v for name, v in os.environ.items() if not name.startswith("PGO_")}
    command = [sys.executable, "-m", "pgo", "bench", *arguments]
    return subprocess.run(
        command, env=own | environment, capture_output=True, check=False, timeout=120
    )


@pytest.mark.long
def test_a_quick_run_gives_all_rows_with_sane_numbers(tmp_path):
    done = pgo_bench("--quick", "--json", TMPDIR=str(tmp_path))
    assert done.returncode == 0, done.stderr.decode()
    rows = {row["name"]: row for row in orjson.loads(done.stdout)}
    for name, bar in PROMISED.items():
        assert rows[name]["bar"] == bar
    for row in rows.values():
        assert row.keys() == {"name", "value", "unit", "bar", "ok"}
        if row["unit"] == "of 1":
            assert 0 <= row["value"] <= 1, row
        else:
            assert 0 < row["value"] < 1e7, row
    assert b"guarded read" in done.stderr, "progress is told on standard error"
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_the_counters_of_its_servers_are_taken_away():
    with Stand(quick=True, tell=lambda _: None) as stand:
        counters = _rates_file(stand.settings())
        counters.touch()
    assert not counters.exists()
    assert not stand.folder.exists()


def test_a_bench_nobody_has_is_refused_with_the_list():
    done = pgo_bench("nothing", "--quick")
    assert done.returncode == 1
    assert b"memory, read" in done.stderr


@pytest.mark.parametrize(
    ("row", "ok", "bar"),
    [
        (Row("a", 0.4, "ratio", least=0.4), True, ">= 0.4"),
        (Row("a", 0.39, "ratio", least=0.4), False, ">= 0.4"),
        (Row("a", 25, "ms", most=25), True, "<= 25"),
        (Row("a", 25.1, "ms", most=25), False, "<= 25"),
        (Row("a", 9, "answers/s"), True, ""),
    ],
)
def test_a_bar_is_held_or_not(row, ok, bar):
    assert (row.ok, row.bar) == (ok, bar)


@pytest.mark.parametrize(
    ("one", "other", "delta"),
    [
        ([2.0] * 9, [1.0] * 9, 1),
        ([1.0] * 9, [2.0] * 9, -1),
        ([1.0, 2.0, 3.0], [1.0, 2.0, 3.0], 0),
        ([1.0, 4.0], [2.0, 3.0], 0),
        ([2.0, 4.0], [1.0, 3.0], 0.5),
    ],
)
def test_an_effect_is_how_often_one_is_larger_than_the_other(one, other, delta):
    assert effect(one, other)[0] == delta


def test_a_clear_effect_is_no_accident_and_none_is():
    early, late = [n / 500 for n in range(500)], [n / 500 + 0.2 for n in range(500)]
    assert effect(late, early)[0] == pytest.approx(0.36, abs=0.01)
    assert effect(late, early)[1] < 1e-10
    assert effect(early, early) == (0, 1)


def test_ways_run_in_turns_and_their_medians_are_told():
    order = []

    def way(name, values):
        left = iter(values)

        def once():
            order.append(name)
            return next(left)

        return once

    assert alternating([way("a", [1.0, 9.0, 2.0]), way("b", [5.0, 4.0, 6.0])], 3) == [2.0, 5.0]
    assert order == ["a", "b"] * 3


async def test_the_load_tells_of_an_answer_that_is_not_200(answering):
    port = await answering(b"HTTP/1.1 503 no\r\ncontent-length: 2\r\n\r\nno")
    told = await drive(port, repeat(GET), 2, 0.05)
    assert told["fault"] == "HTTP/1.1 503 no"


async def test_the_load_waits_for_the_whole_answer(answering):
    port = await answering(b"HTTP/1.1 200 OK\r\ncontent-le", b"ngth: 4\r\n\r\nab", b"cd")
    told = await drive(port, repeat(GET), 1, 0.2)
    assert told["fault"] == ""
    assert 1 < told["rate"] < 100, "an answer takes three pieces with pauses of 10 ms"


async def test_the_load_tells_when_the_server_hangs_up(answering):
    port = await answering(None)
    told = await drive(port, repeat(GET), 1, 0.05)
    assert told["fault"] == "the server hung up"


async def test_the_load_asks_each_of_several_requests_once(answering):
    port = await answering(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    told = await drive(port, iter([GET] * 5), 2, 5.0)
    assert told["fault"] == ""
    assert told["rate"] > 1, "it ended when there were none left, not after five seconds"
