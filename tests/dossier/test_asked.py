"""What is remembered of questions: as long as nothing changes, for the very same question."""

from __future__ import annotations

from pgo.dossier.asked import Asked, name_of


def test_the_name_is_of_all_that_is_asked():
    names = {
        name_of("count", "SELECT 1", (1,)),
        name_of("count", "SELECT 1", ("1",)),
        name_of("count", "SELECT 2", (1,)),
        name_of(("lastn", 1), "SELECT 1", (1,)),
        name_of(("lastn", 2), "SELECT 1", (1,)),
    }
    assert len(names) == 5
    assert name_of("count", "SELECT 1", [1]) in names


def test_an_answer_ends_with_the_next_commit():
    asked = Asked()
    assert asked.find(3, b"a") is None
    asked.keep(3, b"a", [7, 8])
    assert asked.find(3, b"a") == (7, 8)
    assert asked.find(4, b"a") is None
    asked.keep(3, b"a", [7, 8])
    assert asked.find(4, b"a") is None
    assert asked.find(3, b"a") is None


def test_few_answers_are_kept_and_their_size_is_known():
    asked = Asked()
    asked.find(1, b"")
    for number in range(1_000):
        asked.keep(1, b"%d" % number, range(100))
    assert asked.find(1, b"999") is not None
    assert asked.find(1, b"0") is None
    assert 0 < asked.size() < 1_000_000
    asked.clear()
    assert asked.size() == 0


def test_many_large_answers_make_room_for_each_other():
    asked = Asked()
    asked.find(1, "")
    for number in range(100):
        asked.hold(1, number, "large", 300_000)
        assert asked.find(1, number) == "large"
    assert asked.size() <= 4_000_000
    assert asked.find(1, 88) == "large"
    assert asked.find(1, 80) is None
    asked.hold(1, "too large", "huge", 5_000_000)
    assert asked.find(1, "too large") is None
    assert asked.size() == 0
    for _ in range(3):
        asked.hold(1, "again", "large", 1_000)
    assert asked.size() < 2_000


async def test_what_is_remembered_counts_as_memory_and_ends_with_a_change(home, make):
    client = await home.dossier()
    await home.add(client, make(1))
    dossier = await home.house.parts.dossiers.open(client)
    before = dossier.weight()
    asked = ("SELECT rid FROM res WHERE live AND type=?", ("Observation",))
    assert dossier.count(*asked) == 1
    assert dossier.weight() > before
    dossier.image.db.execute("UPDATE res SET live=0")
    assert dossier.count(*asked) == 1  # nothing told that anything changed
    dossier.image.db.execute("UPDATE res SET live=1")
    await home.add(client, make(2))
    assert dossier.count(*asked) == 2
    dossier.image.db.execute("UPDATE res SET live=0")
    await dossier.reindex(everything=True)
    assert dossier.count(*asked) == 0


async def test_what_is_remembered_of_observations_makes_room_as_images_do(home, make):
    clients = [await home.dossier() for _ in range(2)]
    for client in clients:
        await home.add(client, *(make(n) for n in range(20)))
    both = home.elsewhere()
    one, _ = [await both.open(client) for client in clients]
    room = sum(both._open[client].weight() for client in clients)
    tight = home.elsewhere(open_bytes=room + 1_000)
    one = await tight.open(clients[0])
    await tight.open(clients[1])
    assert len(tight.open_clients) == 2
    one.beside["lastn"] = 2_000
    for _ in range(64):
        await tight.open(clients[1])
    assert tight.open_clients == (clients[1],)


async def test_a_list_is_remembered_in_order_and_not_while_a_change_is_tried(home, make):
    client = await home.dossier()
    await home.add(client, *(make(n) for n in range(3)))
    dossier = await home.house.parts.dossiers.open(client)
    asked = ("SELECT rid, ver FROM res WHERE type=? AND live ORDER BY rid DESC", ("Observation",))
    first = dossier.places(*asked)
    assert list(first) == sorted(first, reverse=True)
    assert len(first) == 3
    dossier.image.db.execute("UPDATE res SET live=0")
    assert dossier.places(*asked) == first
    dossier.image.db.execute("SAVEPOINT tried")
    assert list(dossier.places(*asked)) == []
    dossier.image.db.execute("RELEASE tried")
    dossier.image.db.execute("UPDATE res SET live=1")
    await home.add(client, make(3))
    assert len(dossier.places(*asked)) == 4
