"""Counters that all workers share."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo import rates
from pgo.errors import TooMany
from pgo.rates import AHEAD, BUSY, EMERGENCY, EXPORT, INVITE, LOGIN, ROWS, WAYS, Limit, Rates
from pgo.settings import Settings


class Hand:
    """A clock moved by hand."""

    def __init__(self, now=1000.0):
        self.now = now

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Hand()


@pytest.fixture
def counters(tmp_path, clock):
    made = Rates(tmp_path / "rates", clock)
    yield made
    made.close()


def test_a_burst_passes_and_the_next_waits_for_one_token(counters, clock):
    assert [counters.check("a", 20, 60) for _ in range(60)] == [0.0] * 60
    assert counters.check("a", 20, 60) == pytest.approx(0.05)
    clock.now += 0.05
    assert counters.check("a", 20, 60) == 0.0
    assert counters.check("a", 20, 60) > 0


def test_a_refusal_costs_nothing(counters, clock):
    for _ in range(5):
        counters.check("a", 1, 1)
    clock.now += 1
    assert counters.check("a", 1, 1) == 0.0


def test_one_key_does_not_spend_what_another_has(counters):
    while not counters.check("greedy", 1, 5):
        pass
    assert counters.check("modest", 1, 5) == 0.0


def test_a_bucket_is_never_more_than_full(counters, clock):
    counters.check("a", 10, 3)
    clock.now += 10_000
    assert [counters.check("a", 10, 3) == 0.0 for _ in range(4)] == [True, True, True, False]


@settings(max_examples=60, deadline=None)
@given(
    rate=st.floats(0.01, 100),
    burst=st.integers(1, 20),
    pauses=st.lists(st.floats(0, 5), min_size=1, max_size=60),
)
def test_it_allows_exactly_what_a_token_bucket_allows(tmp_path_factory, rate, burst, pauses):
    clock = Hand()
    counters = Rates(tmp_path_factory.mktemp("rates") / "r", clock)
    tokens = float(burst)
    for pause in pauses:
        clock.now += pause
        tokens = min(burst, tokens + pause * rate)
        wait = counters.check("a", rate, burst)
        if abs(tokens - 1) < 1e-3:  # on the edge, rounding decides
            break
        assert (wait == 0) == (tokens > 1)
        if wait:
            assert wait == pytest.approx((1 - tokens) / rate, abs=1e-3)
        tokens -= wait == 0
    counters.close()


def test_two_workers_share_the_count(tmp_path, clock):
    one, two = Rates(tmp_path / "r", clock), Rates(tmp_path / "r", clock)
    assert [one.check("a", 1, 2), two.check("a", 1, 2)] == [0.0, 0.0]
    assert one.check("a", 1, 2) > 0
    assert two.check("a", 1, 2) > 0
    one.close()
    two.close()


def passes(counters, *asked):
    try:
        counters.require_each(*asked)
    except TooMany:
        return False
    return True


PERSON = Limit("person", 20, 60)


@pytest.mark.parametrize("pause", [0.0, BUSY / 3, BUSY * 2])
def test_tokens_in_hand_let_pass_what_the_limit_allows_and_no_more(counters, clock, pause):
    tokens = float(PERSON.burst)
    for _ in range(400):
        clock.now += pause
        tokens = min(PERSON.burst, tokens + pause * PERSON.rate)
        passed = passes(counters, (PERSON, "a"))
        if abs(tokens - 1) > 1e-3:
            assert passed == (tokens > 1)
        tokens -= passed


def test_tokens_nobody_used_are_given_back(counters, clock):
    for _ in range(3):
        counters.require_each((PERSON, "a"))
    clock.now += BUSY
    assert passes(counters, (PERSON, "a"))
    left = sum(not counters.check("person\0a", PERSON.rate, PERSON.burst) for _ in range(100))
    assert left == PERSON.burst - 4 + 1  # the pause brought one back


def test_what_one_worker_has_in_hand_is_less_than_half_of_what_another_finds(tmp_path, clock):
    one, two = Rates(tmp_path / "r", clock), Rates(tmp_path / "r", clock)
    for _ in range(3):
        one.require_each((PERSON, "a"))
    passed = sum(passes(two, (PERSON, "a")) for _ in range(100))
    assert PERSON.burst - 3 - AHEAD <= passed <= PERSON.burst - 3
    assert sum(passes(one, (PERSON, "a")) for _ in range(100)) + passed == PERSON.burst - 3
    one.close()
    two.close()


def test_the_second_limit_is_asked_only_when_the_first_lets_pass(counters):
    small, app = Limit("small", 1e-3, 2), Limit("app", 1e-3, 50)
    assert [passes(counters, (small, "a"), (app, "x")) for _ in range(4)] == [True] * 2 + [
        False
    ] * 2
    assert sum(passes(counters, (app, "x")) for _ in range(100)) == 48


@pytest.fixture
def child(tmp_path):
    """Starts tests/web/child.py on one file, and waits until it is ready."""
    started = []

    def start(what):
        command = [sys.executable, Path(__file__).with_name("child.py"), what, tmp_path / "r"]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield start
    for process in started:
        with process:  # closes its pipes
            process.kill()


def test_eight_processes_together_get_no_token_more_than_there_are(child):
    processes = [child("spend") for _ in range(8)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 8
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert sum(int(process.stdout.readline()) for process in processes) == 5_000
    assert [process.wait() for process in processes] == [0] * 8


def test_a_clock_that_starts_anew_locks_nobody_out(counters, clock):
    clock.now = 9_000_000.0
    counters.require(LOGIN, "a")
    clock.now = 5.0
    counters.require(LOGIN, "a")


def test_no_name_is_on_disk_and_only_we_may_read_it(counters, tmp_path):
    counters.check("Jan de Vries", 1, 5)
    assert b"Vries" not in (tmp_path / "rates").read_bytes()
    assert (tmp_path / "rates").stat().st_mode & 0o077 == 0


def test_a_broken_file_is_made_anew(tmp_path):
    (tmp_path / "r").write_bytes(b"something else")
    counters = Rates(tmp_path / "r")
    assert counters.check("a", 1, 1) == 0.0
    counters.close()


def test_the_last_one_takes_the_file_away(tmp_path, clock):
    one, two = Rates(tmp_path / "r", clock), Rates(tmp_path / "r", clock)
    one.check("a", 1, 5)
    one.close()
    assert (tmp_path / "r").exists()
    two.close()
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_soon_forgotten_anyway_is_kept(tmp_path, clock):
    for key, rate, kept in (("slow", 1 / 3_600, True), ("quick", 5 / 60, False)):
        counters = Rates(tmp_path / key, clock)
        assert counters.check(key, rate, 1) == 0.0
        counters.close()
        assert (tmp_path / key).exists() is kept
    counters = Rates(tmp_path / "slow", clock)
    assert counters.check("slow", 1 / 3_600, 1) > 3_000
    clock.now += 3_590
    counters.close()
    assert not (tmp_path / "slow").exists()


def test_who_opens_the_file_while_it_goes_gets_a_new_one(tmp_path, clock):
    path = tmp_path / "r"
    for _ in range(50):
        one = Rates(path, clock)
        with ThreadPoolExecutor(2) as pool:
            opened = pool.submit(Rates, path, clock)
            pool.submit(one.close).result()
            two = opened.result()
        third = Rates(path, clock)
        assert two.check("a", 0.001, 1) == 0.0
        assert third.check("a", 0.001, 1) > 0
        third.release("a")
        two.close()
        third.close()
    assert not path.exists()


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "other").write_bytes(b"")
    (tmp_path / "r").symlink_to(tmp_path / "other")
    with pytest.raises(OSError, match="symbolic"):
        Rates(tmp_path / "r")


def test_a_flood_of_keys_keeps_the_longest_waits(tmp_path, clock, monkeypatch):
    monkeypatch.setattr(rates, "ROWS", 1)
    counters = Rates(tmp_path / "small", clock)
    while not counters.check("slow", 0.001, 3):
        pass
    for n in range(50 * WAYS):
        assert counters.check(f"key {n}", 1, 5) == 0.0
    assert counters.check("slow", 0.001, 3) > 0
    counters.close()
    assert ROWS > 1000


def test_too_many_says_when_to_come_back_in_whole_seconds(counters):
    for _ in range(LOGIN.burst):
        counters.require(LOGIN, "jan")
    with pytest.raises(TooMany) as refused:
        counters.require(LOGIN, "jan")
    assert refused.value.headers == {"Retry-After": "12"}
    counters.require(INVITE, "jan")
    counters.require(LOGIN, "piet")


@pytest.mark.parametrize(
    ("limit", "at_once", "seconds"),
    [
        (rates.person(Settings()), 60, 60 / 20),
        (rates.app(Settings()), 100, 1),
        (LOGIN, 5, 60),
        (INVITE, 10, 86_400),
        (EMERGENCY, 3, 3_600),
        (EXPORT, 1, 3_600),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_the_named_limits_hold_and_come_back(limit, at_once, seconds, counters, clock):
    def passed():
        return sum(counters.check("x", limit.rate, limit.burst) == 0.0 for _ in range(200))

    assert passed() == at_once
    clock.now += seconds + 0.001
    assert passed() == at_once


def test_an_export_can_start_when_the_other_is_done(counters):
    counters.require(EXPORT, "jan")
    with pytest.raises(TooMany):
        counters.require(EXPORT, "jan")
    counters.done(EXPORT, "jan")
    counters.done(EXPORT, "nobody")
    counters.require(EXPORT, "jan")


def test_a_holder_that_is_stopped_stops_nobody(child, tmp_path):
    """Another process holds the row: the count goes on without the lock."""
    holder = child("hold")
    assert holder.stdout.readline() == "ready\n"
    counters = Rates(tmp_path / "r")
    assert counters.check("a", 1e-6, 1) == 0.0
    assert counters.check("a", 1e-6, 1) > 0
    assert holder.poll() is None, "who waits for the holder waits until it is gone"
    counters.close()
