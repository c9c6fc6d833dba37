"""Whoever changes the trail behind the server's back is found out (T1-T6, T12)."""

import asyncio

import orjson
import pytest

from pgo.audit.anchor import LEAVES, Anchor, anchor_key
from pgo.audit.chain import LOG, START, Pen, log_line
from pgo.audit.entry import Entry, pack
from pgo.audit.trail import Trail
from pgo.audit.verify import Anchors, load_anchors, verify
from pgo.errors import Unavailable
from pgo.store.contract import Commit


@pytest.fixture
def second_place(tmp_path):
    return tmp_path / "elsewhere" / "anchors.jsonl"


@pytest.fixture
def anchor(trail, seed, second_place):
    second_place.parent.mkdir()
    return Anchor(trail, seed, second_place)


@pytest.fixture
async def ten(trail, entry):
    """Ten lines about Fenna and three about Ruud."""
    for i in range(10):
        await trail.write("fenna", entry(n=i + 1))
    for i in range(3):
        await trail.write("ruud", entry(n=i + 1))


@pytest.fixture
def look(store, keys, seed, second_place):
    async def run(client="fenna", *, file=second_place):
        anchors = await load_anchors(store, keys, seed.public_key(), file)
        return await verify(store, keys, client, anchors)

    return run


def kinds(report):
    return sorted({finding.kind for finding in report.findings})


async def rewritten(store, keys, count, writer="w1", client="fenna"):
    """Another chain of the same client that is right in itself, made with his own key."""
    pen, prev, made = Pen(client, await keys.audit_key(client)), START, []
    for seq in range(1, count + 1):
        plain = pack(Entry(seq, "read", person="somebody-else"))
        made.append(pen.line(writer, seq, prev, seq, plain))
        prev = made[-1].hash
    return made


async def test_an_untouched_trail_is_sound(anchor, ten, look):
    assert await anchor.close_minute() == 2
    report = await look()
    assert report.ok
    assert (report.lines, report.chains, report.anchored, report.unanchored) == (10, 1, 1, 0)


OTHER = "CASE substr({}, 21, 1) WHEN x'00' THEN x'01' ELSE x'00' END"  # never the byte it was


@pytest.mark.parametrize("column", ["sealed", "hash", "prev"])
async def test_one_changed_byte_is_found(ten, look, attack, column):
    attack(
        f"UPDATE lines SET {column} ="
        f" CAST(substr({column}, 1, 20) || {OTHER.format(column)} || substr({column}, 22) AS BLOB)"
        " WHERE client = 'fenna' AND seq = 5"
    )
    report = await look()
    assert "changed" in kinds(report)
    assert 5 in {finding.seq for finding in report.findings}


async def test_a_changed_time_is_found(ten, look, attack):
    attack("UPDATE lines SET at = at + 1 WHERE client = 'fenna' AND seq = 5")
    assert "changed" in kinds(await look())


async def test_a_removed_line_in_the_middle_is_found(ten, look, attack):
    attack("DELETE FROM lines WHERE client = 'fenna' AND seq = 5")
    report = await look()
    assert [(f.kind, f.seq) for f in report.findings] == [("missing", 6)]


async def test_closing_the_numbers_after_a_removal_does_not_help(ten, look, attack):
    attack("DELETE FROM lines WHERE client = 'fenna' AND seq = 5")
    for seq in range(6, 11):
        attack("UPDATE lines SET seq = ? WHERE client = 'fenna' AND seq = ?", seq - 1, seq)
    assert {"changed", "unlinked"} <= set(kinds(await look()))


@pytest.mark.parametrize("cut", [1, 4, 10])
async def test_lines_cut_from_the_end_are_found_through_the_anchors(anchor, ten, look, attack, cut):
    await anchor.close_minute()
    attack("DELETE FROM lines WHERE client = 'fenna' AND seq > ?", 10 - cut)
    report = await look()
    assert kinds(report) == ["truncated"]
    assert (await look("ruud")).ok


async def test_without_anchors_a_cut_tail_is_counted_as_unproven(ten, store, keys):
    report = await verify(store, keys, "fenna", Anchors())
    assert report.ok
    assert report.unanchored == 10


async def test_a_cut_tail_that_grew_again_is_found(anchor, ten, look, attack, store, keys):
    await anchor.close_minute()
    attack("DELETE FROM lines WHERE client = 'fenna' AND seq > 7")
    kept = [line async for line in store.trail("fenna")]
    pen = Pen("fenna", await keys.audit_key("fenna"))
    prev = kept[-1].hash
    for seq in range(8, 15):
        line = pen.line("w1", seq, prev, seq, pack(Entry(seq, "read")))
        await store.note([line])
        prev = line.hash
    assert kinds(await look()) == ["replaced"]


async def test_two_swapped_lines_are_found(ten, look, attack):
    for old, new in ((3, 99), (7, 3), (99, 7)):
        attack("UPDATE lines SET seq = ? WHERE client = 'fenna' AND seq = ?", new, old)
    report = await look()
    assert {3, 7} <= {finding.seq for finding in report.findings if finding.kind == "changed"}


async def test_an_old_line_put_in_again_is_found(ten, look, attack):
    attack(
        "INSERT INTO lines SELECT client, writer, 11, at, prev, hash, sealed FROM lines"
        " WHERE client = 'fenna' AND seq = 4"
    )
    assert kinds(await look()) == ["changed", "unlinked"]


async def test_a_line_of_another_dossier_is_found(ten, look, attack):
    attack("DELETE FROM lines WHERE client = 'ruud'")
    attack("UPDATE lines SET client = 'ruud' WHERE seq <= 3")
    assert "changed" in kinds(await look("ruud"))


@pytest.mark.parametrize("count", [10, 25])
async def test_a_chain_replaced_by_a_consistent_one_is_found(
    anchor, ten, look, attack, store, keys, count
):
    await anchor.close_minute()
    attack("DELETE FROM lines WHERE client = 'fenna'")
    await store.note(await rewritten(store, keys, count))
    assert (await verify(store, keys, "fenna", Anchors())).ok
    assert kinds(await look()) == ["replaced"]


async def test_a_chain_under_another_name_does_not_hide_the_real_one(
    anchor, ten, look, attack, store, keys
):
    await anchor.close_minute()
    attack("DELETE FROM lines WHERE client = 'fenna'")
    await store.note(await rewritten(store, keys, 12, writer="w2"))
    assert kinds(await look()) == ["truncated"]


async def test_after_the_dossier_is_erased_its_trail_still_verifies(
    anchor, ten, look, store, keys, trail, entry
):
    await anchor.close_minute()
    await store.erase("fenna")
    keys.forget("fenna")
    assert "data" not in {k for k, v in (await store.key("fenna")).items() if v}
    await trail.write("fenna", entry("dossier-erase"))
    report = await look()
    assert report.ok
    assert report.lines == 11


async def test_the_lines_of_commits_are_anchored_too(
    anchor, look, store, keys, trail, entry, attack
):
    key, prev = await keys.audit_key("fenna"), START
    for n in (1, 2, 3):
        line = log_line("fenna", n, prev, entry("create"), key)
        await store.append("fenna", Commit(n, (), b"sealed", line))
        trail.committed(line)
        prev = line.hash
    await anchor.close_minute()
    assert (await look()).anchored == 1
    attack("DELETE FROM lines WHERE writer = ? AND seq = 3", LOG)
    attack("DELETE FROM commits WHERE n = 3")
    assert kinds(await look()) == ["truncated"]


@pytest.fixture
async def committed(store, keys, entry):
    """Five commits with their lines."""
    key, prev = await keys.audit_key("fenna"), START
    for n in range(1, 6):
        line = log_line("fenna", n, prev, entry("create"), key)
        await store.append("fenna", Commit(n, (), b"sealed", line))
        prev = line.hash


@pytest.mark.parametrize(
    ("cut", "told"),
    [
        ("DELETE FROM commits WHERE n = 3", "commits 3 to 3 are gone"),
        ("DELETE FROM commits WHERE n > 3", "commits 4 to 5 are gone"),
        ("DELETE FROM commits", "commits 1 to 5 are gone"),
        ("DELETE FROM lines WHERE seq > 3", "the lines of commits 4 to 5 are gone"),
        ("DELETE FROM lines", "the lines of commits 1 to 5 are gone"),
    ],
)
async def test_a_commit_without_its_line_or_a_line_without_its_commit_is_missed(
    committed, look, attack, cut, told
):
    assert (await look()).ok
    attack(cut)
    report = await look()
    assert kinds(report) == ["missing"]
    assert told in report.findings[0].text


async def test_what_is_no_line_at_all_is_a_finding_of_that_dossier_only(ten, look, attack):
    attack("UPDATE lines SET hash = 'text', seq = 'four' WHERE client = 'fenna' AND seq = 4")
    assert "unreadable" in kinds(await look())
    assert (await look("ruud")).ok


# --- the anchors themselves ----------------------------------------------------------------------


async def test_a_quiet_minute_is_not_written_down(anchor, ten, second_place, clock):
    assert await anchor.close_minute() == 2
    for _ in range(3):
        clock.add(minutes=1)
        assert await anchor.close_minute() == 0
    assert len(second_place.read_bytes().splitlines()) == 1


async def test_the_system_trail_is_anchored_with_the_next_minute(anchor, ten, look, trail, entry):
    await anchor.close_minute()
    await trail.write("system", entry("login"))
    assert await anchor.close_minute() == 1
    assert await anchor.close_minute() == 0
    report = await look("system")
    assert report.ok
    assert (report.anchored, report.unanchored) == (1, 1)


async def test_a_busy_minute_gets_several_roots(store, keys, trail, entry, anchor, look):
    clients = [f"c{i}" for i in range(LEAVES + 1)]
    await asyncio.gather(*(keys.make(client) for client in clients))
    await asyncio.gather(*(trail.write(client, entry()) for client in clients))
    assert await anchor.close_minute() == LEAVES + 1
    for client in ("c0", clients[-1]):
        report = await look(client)
        assert report.ok
        assert report.anchored == 1
    assert await anchor.close_minute() == 0


async def test_leaves_removed_from_the_trail_are_missed(anchor, ten, look, attack):
    await anchor.close_minute()
    attack("DELETE FROM lines WHERE client = 'fenna' AND seq > 5")
    attack("DELETE FROM lines WHERE client = 'system'")
    assert kinds(await look()) == ["unproven"]


async def test_an_anchor_gone_from_both_places_is_missed(
    anchor, ten, look, trail, entry, attack, second_place
):
    for _ in range(3):
        await trail.write("fenna", entry())
        await anchor.close_minute()
    first, _, third = second_place.read_bytes().splitlines(keepends=True)
    second_place.write_bytes(first + third)
    attack("DELETE FROM lines WHERE client = 'system' AND seq = 2")
    assert ("lost", 2) in {(f.kind, f.seq) for f in (await look()).findings}


async def test_an_anchor_signed_by_somebody_else_is_refused(trail, ten, look):
    await Anchor(trail, anchor_key(b"\x07" * 32)).close_minute()
    report = await look(file=None)
    assert kinds(report) == ["forged"]
    assert report.anchored == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda said: said | {"count": said["count"] + 1},
        lambda said: said | {"top": "00" * 32},
        lambda said: said | {"n": 2},
        lambda said: said | {"signature": ""},
        lambda _: {"n": 1},
        lambda _: [],
        lambda _: "root",
    ],
)
async def test_a_changed_root_in_the_second_place_is_found(anchor, ten, look, second_place, change):
    await anchor.close_minute()
    said = change(orjson.loads(second_place.read_bytes()))
    second_place.write_bytes(orjson.dumps(said) + b"\n")
    assert kinds(await look()) == ["forged"]


async def test_a_line_torn_by_a_crash_is_no_alarm_and_does_not_spoil_the_next(
    anchor, ten, look, trail, entry, second_place
):
    await anchor.close_minute()
    whole = second_place.read_bytes()
    second_place.write_bytes(whole[:100])
    await trail.write("fenna", entry())
    await anchor.close_minute()
    assert len(second_place.read_bytes().splitlines()) == 2
    report = await look()
    assert report.ok
    assert report.anchored == 2


async def test_a_second_place_that_fails_is_told_and_made_up_for(trail, seed, ten, tmp_path, look):
    gone = tmp_path / "not-mounted" / "anchors.jsonl"
    anchor = Anchor(trail, seed, gone)
    with pytest.raises(Unavailable):
        await anchor.close_minute()
    assert len(anchor.owed) == 1
    gone.parent.mkdir()
    await anchor.close_minute()
    assert anchor.owed == []
    assert len(gone.read_bytes().splitlines()) == 1
    assert (await look(file=gone)).anchored == 1


async def test_an_anchor_that_could_not_be_written_covers_the_same_next_time(
    store, keys, clock, seed, look
):
    class Refusing:
        def __init__(self):
            self.refuse = False

        def __getattr__(self, verb):
            return getattr(store, verb)

        async def note(self, lines):
            await store.note(lines)
            if self.refuse:
                raise Unavailable("no answer in time")

    moody = Refusing()
    trail = Trail(moody, keys, clock, "w1")
    anchor = Anchor(trail, seed)
    await trail.write("fenna", Entry(trail.now(), "read"))
    moody.refuse = True
    with pytest.raises(Unavailable):
        await anchor.close_minute()
    moody.refuse = False
    clock.add(minutes=1)
    await anchor.close_minute()
    report = await look(file=None)
    assert report.ok
    assert report.anchored == 1
    assert await anchor.close_minute() == 0


async def test_leaves_say_nothing_without_the_key(anchor, ten, store, keys, second_place):
    await anchor.close_minute()
    pen = Pen("system", await keys.audit_key("system"))
    notes = [pen.entry(line).note async for line in store.trail("system")]
    assert not any("fenna" in note or "ruud" in note for note in notes)
    assert b"fenna" not in second_place.read_bytes()


async def test_two_processes_share_one_second_place(trail_of, seed, second_place, look, entry):
    second_place.parent.mkdir()
    trails = [trail_of(name) for name in ("a", "b")]
    anchors = [Anchor(trail, seed, second_place) for trail in trails]
    for _ in range(5):
        for trail in trails:
            await trail.write("fenna", entry())
        await asyncio.gather(*(anchor.close_minute() for anchor in anchors))
    assert len(second_place.read_bytes().splitlines()) == 10
    report = await look()
    assert report.ok
    assert report.anchored == 10
