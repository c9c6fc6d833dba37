"""Values that expire, hints and the registry: what the contract says of them, per backend."""

import asyncio

import pytest

NOW = 1_700_000_000


async def test_a_value_is_there_until_it_expires(store):
    assert await store.put("codes", "key", b"value", NOW + 10)
    assert await store.peek("codes", "key", NOW + 9) == b"value"
    assert await store.peek("codes", "key", NOW + 10) is None
    assert await store.peek("codes", "other", NOW) is None
    assert await store.peek("states", "key", NOW) is None


async def test_putting_again_replaces(store):
    await store.put("sessions", "key", b"one", NOW + 10)
    assert await store.put("sessions", "key", b"two", NOW + 20)
    assert await store.peek("sessions", "key", NOW + 15) == b"two"


async def test_a_value_is_taken_once(store):
    await store.put("codes", "key", b"value", NOW + 10)
    assert await store.take("codes", "key", NOW) == b"value"
    assert await store.take("codes", "key", NOW) is None
    assert await store.peek("codes", "key", NOW) is None


async def test_an_expired_value_is_not_handed_out(store):
    await store.put("codes", "key", b"value", NOW + 10)
    assert await store.take("codes", "key", NOW + 10) is None


async def test_a_dropped_value_is_gone_on_every_node(store, another):
    other = await another()
    await store.put("sessions", "key", b"value", NOW + 10)
    assert await other.peek("sessions", "key", NOW) == b"value"
    await store.drop("sessions", "key")
    assert await other.peek("sessions", "key", NOW) is None
    await store.drop("sessions", "key")


@pytest.mark.parametrize("place", [("a", "b/c"), ("a/b", "c"), ("1:a", "b"), ("", "x"), ("x", "")])
async def test_space_and_key_do_not_run_together(store, place):
    others = {("a", "b/c"), ("a/b", "c"), ("1:a", "b"), ("", "x"), ("x", "")} - {place}
    await store.put(*place, b"value", NOW + 10)
    assert await store.peek(*place, NOW) == b"value"
    for other in others:
        assert await store.peek(*other, NOW) is None


async def test_of_64_takers_on_two_nodes_exactly_one_gets_it(store, another):
    other = await another()
    for round_ in range(3):
        await store.put("codes", f"key{round_}", b"value", NOW + 10)
        takes = [node.take("codes", f"key{round_}", NOW) for node in (store, other) * 32]
        got = await asyncio.gather(*takes)
        assert got.count(b"value") == 1
        assert got.count(None) == 63


async def test_of_64_that_put_a_fresh_key_exactly_one_may(store, another):
    other = await another()
    for round_ in range(3):
        puts = [
            node.put("jti", f"key{round_}", bytes([i]), NOW + 10, fresh=True)
            for i, node in enumerate((store, other) * 32)
        ]
        said = await asyncio.gather(*puts)
        assert said.count(True) == 1
        assert await store.peek("jti", f"key{round_}", NOW) == bytes([said.index(True)])


async def test_of_64_that_put_over_an_expired_key_exactly_one_may(store, another, clock):
    other = await another()
    await store.put("jti", "key", b"old", NOW + 10)
    clock.now = NOW + 10
    puts = [
        node.put("jti", "key", bytes([i]), NOW + 20, fresh=True)
        for i, node in enumerate((store, other) * 32)
    ]
    assert (await asyncio.gather(*puts)).count(True) == 1


async def test_a_fresh_key_is_refused_until_the_old_one_expired(store, clock):
    assert await store.put("jti", "key", b"one", NOW + 10, fresh=True)
    clock.now = NOW + 9
    assert not await store.put("jti", "key", b"two", NOW + 20, fresh=True)
    assert await store.peek("jti", "key", NOW) == b"one"
    clock.now = NOW + 10
    assert await store.put("jti", "key", b"three", NOW + 20, fresh=True)
    await store.take("jti", "key", NOW)
    assert await store.put("jti", "key", b"four", NOW + 20, fresh=True)


async def test_sweep_ends_expired_values_of_all_spaces(store, clock):
    for i in range(150):
        await store.put(f"space{i % 3}", f"key{i}", b"value", NOW + 10)
    await store.put("space0", "young", b"value", NOW + 1000)
    clock.now = NOW + 10
    await store.sweep("system", 60)
    assert await store.peek("space0", "young", NOW) == b"value"
    seen = [await store.peek(f"space{i % 3}", f"key{i}", NOW) for i in range(150)]
    assert seen == [None] * 150


async def test_hints_are_remembered_in_order_and_forgotten(store):
    for client in ("c", "a", "b", "a"):
        await store.link("mother", client)
    await store.link("father", "a")
    assert await store.links("mother") == ["a", "b", "c"]
    await store.unlink("mother", "b")
    await store.unlink("mother", "b")
    assert await store.links("mother") == ["a", "c"]
    assert await store.links("father") == ["a"]
    assert await store.links("nobody") == []


async def test_the_registry_keeps_one_value_per_key(store):
    assert await store.lookup("app", "one") is None
    assert await store.register("app", "one", b"first")
    assert not await store.register("app", "one", b"second")
    assert await store.lookup("app", "one") == b"first"
    assert await store.register("person", "one", b"other")
    await store.unregister("app", "one")
    await store.unregister("app", "one")
    assert await store.lookup("app", "one") is None
    assert await store.lookup("person", "one") == b"other"


async def test_a_registered_value_is_replaced_only_knowingly(store):
    assert not await store.register("app", "one", b"new", expected=b"old")
    await store.register("app", "one", b"old")
    assert not await store.register("app", "one", b"new", expected=b"else")
    assert await store.register("app", "one", b"new", expected=b"old")
    assert await store.register("app", "one", b"new", expected=b"new")
    assert await store.lookup("app", "one") == b"new"


async def test_of_many_that_replace_the_same_value_one_does(store):
    await store.register("app", "one", b"old")
    news = [bytes([i]) for i in range(32)]
    said = await asyncio.gather(*(store.register("app", "one", n, expected=b"old") for n in news))
    assert said.count(True) == 1
    assert await store.lookup("app", "one") == news[said.index(True)]


async def test_a_listing_has_one_kind_in_order_of_key(store):
    for key in ("c", "a", "b"):
        await store.register("app", key, key.encode())
    await store.register("person", "d", b"d")
    assert list((await store.listing("app")).items()) == [("a", b"a"), ("b", b"b"), ("c", b"c")]
    assert await store.listing("team") == {}
