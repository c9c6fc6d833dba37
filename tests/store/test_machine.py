"""Each backend against a plain dict, in orders nobody thought of."""

import asyncio
import itertools
import os

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from hypothesis.stateful import run_state_machine_as_test as run

from pgo import errors
from pgo.store import open_store
from pgo.store.contract import NotNext

NOW = 1_700_000_000
NUMBER = itertools.count()
WHO = st.integers(0, 1)
KEY = st.sampled_from(["k1", "k2"])
NAME = st.sampled_from(["data", "audit"])
VALUE = st.binary(min_size=1, max_size=8)


class Machine(RuleBasedStateMachine):
    """Bound to one store by `bound`; each example works with names of its own."""

    address = ""
    make_commit = make_line = None

    @initialize()
    def start(self):
        self.clock = NOW
        self.runner = asyncio.Runner()
        self.store = self.do(
            open_store(self.address, strict=False, mongo_standalone=True, clock=lambda: self.clock)
        )
        self.mine = f"m{next(NUMBER)}-"
        self.who = [f"{self.mine}{i}" for i in range(2)]
        self.logs = {client: [] for client in self.who}
        self.lines = {client: [] for client in self.who}
        self.bodies = {client: {} for client in self.who}
        self.young = {client: {} for client in self.who}
        self.images = dict.fromkeys(self.who)
        self.keys = {client: {} for client in self.who}
        self.erased, self.values, self.links, self.registry = set(), {}, set(), {}

    def do(self, verb):
        return self.runner.run(verb)

    @rule(who=WHO, shift=st.sampled_from([0, 0, 0, 1, -1]), new=st.integers(0, 3))
    def append(self, who, shift, new):
        client = self.who[who]
        ids = {os.urandom(16): os.urandom(20) for _ in range(new)}
        self.do(self.store.keep_bodies(client, ids))
        n = len(self.logs[client]) + 1 + shift
        self.bodies[client] |= ids
        commit = self.make_commit(client, n, *ids)
        if shift or client in self.erased:
            with pytest.raises((NotNext, errors.Gone)):
                self.do(self.store.append(client, commit))
            self.young[client] |= dict.fromkeys(ids, self.clock)
        else:
            self.do(self.store.append(client, commit))
            self.logs[client].append(commit)

    @rule(who=WHO, count=st.integers(0, 3))
    def note(self, who, count):
        client = self.who[who]
        first = len(self.lines[client]) + 1
        new = [self.make_line(client, seq) for seq in range(first, first + count)]
        self.do(self.store.note(new))
        self.lines[client] += new

    @rule(who=WHO, data=st.data())
    def drop_bodies(self, who, data):
        client = self.who[who]
        if self.bodies[client]:
            id_ = data.draw(st.sampled_from(sorted(self.bodies[client])))
            self.do(self.store.drop_bodies(client, [id_]))
            del self.bodies[client][id_]
            self.young[client].pop(id_, None)

    @rule(who=WHO, n=st.integers(1, 9), chunks=st.lists(VALUE, max_size=3))
    def keep_image(self, who, n, chunks):
        client = self.who[who]
        newer = client not in self.erased and n > (self.images[client] or (0,))[0]
        assert self.do(self.store.keep_image(client, n, chunks)) == newer
        if newer:
            self.images[client] = (n, tuple(chunks))

    @rule(who=WHO, name=NAME, wrapped=VALUE)
    def keep_key(self, who, name, wrapped):
        keys = self.keys[self.who[who]]
        assert self.do(self.store.keep_key(self.who[who], name, wrapped)) == (name not in keys)
        keys.setdefault(name, wrapped)

    @rule(who=WHO, name=NAME, new=VALUE, right=st.booleans())
    def rewrap_key(self, who, name, new, right):
        keys = self.keys[self.who[who]]
        old = (keys.get(name) if right else None) or b"none of them"
        fits = keys.get(name) == old
        assert self.do(self.store.rewrap_key(self.who[who], name, old, new)) == fits
        if fits:
            keys[name] = new

    @rule(who=WHO, name=NAME)
    def destroy_key(self, who, name):
        self.do(self.store.destroy_key(self.who[who], name))
        self.keys[self.who[who]][name] = None

    @rule(key=KEY, value=VALUE, lasts=st.integers(1, 100), fresh=st.booleans())
    def put(self, key, value, lasts, fresh):
        free = not fresh or self.values.get(key, (b"", 0))[1] <= self.clock
        expires = self.clock + lasts
        said = self.do(self.store.put(self.mine, key, value, expires, fresh=fresh))
        assert said == free
        if free:
            self.values[key] = (value, expires)

    @rule(key=KEY, peek=st.booleans())
    def take(self, key, peek):
        value, expires = self.values.get(key, (None, 0))
        expected = value if expires > self.clock else None
        verb = self.store.peek if peek else self.store.take
        assert self.do(verb(self.mine, key, self.clock)) == expected
        if not peek:
            self.values.pop(key, None)

    @rule(key=KEY)
    def drop(self, key):
        self.do(self.store.drop(self.mine, key))
        self.values.pop(key, None)

    @rule(who=WHO, on=st.booleans())
    def link(self, who, on):
        change = self.store.link if on else self.store.unlink
        self.do(change(self.mine, self.who[who]))
        (self.links.add if on else self.links.discard)(self.who[who])

    @rule(key=KEY, value=VALUE, mode=st.sampled_from(["new", "right", "wrong"]))
    def register(self, key, value, mode):
        there = self.registry.get(key)
        expected = {"new": None, "right": there or b"?", "wrong": b"none of them"}[mode]
        fits = there == expected
        said = self.do(self.store.register(self.mine, key, value, expected=expected))
        assert said == fits
        if fits:
            self.registry[key] = value

    @rule(key=KEY)
    def unregister(self, key):
        self.do(self.store.unregister(self.mine, key))
        self.registry.pop(key, None)

    @rule(seconds=st.integers(1, 80))
    def wait(self, seconds):
        self.clock += seconds

    @rule(who=WHO)
    def sweep(self, who):
        client = self.who[who]
        old = [x for x, at in self.young[client].items() if at < self.clock - 60]
        assert self.do(self.store.sweep(client, 60)) == len(old)
        for id_ in old:
            del self.young[client][id_], self.bodies[client][id_]

    @rule(who=WHO)
    def erase(self, who):
        client = self.who[who]
        self.do(self.store.erase(client))
        self.keys[client]["data"] = None
        if self.logs[client]:
            self.erased.add(client)
        self.bodies[client], self.young[client], self.images[client] = {}, {}, (99, None)
        self.links.discard(client)

    @invariant()
    def agree(self):
        if hasattr(self, "store"):
            self.do(self.compare())

    async def compare(self):
        store = self.store
        for client in self.who:
            log = [] if client in self.erased else self.logs[client]
            image = self.images[client]
            assert await store.head(client) == len(self.logs[client])
            assert await store.commits(client, 0, 100) == log
            assert await store.commits(client, 1, 1) == log[1:2]
            assert await store.bodies(client, [*self.bodies[client]]) == self.bodies[client]
            assert await store.image(client) == (image if image != (99, None) else None)
            keys = {name: key for name, key in self.keys[client].items() if key}
            assert await store.key(client) == keys
            trail = [x async for x in store.trail(client)]
            committed = [commit.line for commit in self.logs[client]]
            assert [x for x in trail if x.writer == "log"] == committed
            assert [x for x in trail if x.writer != "log"] == self.lines[client]
        assert await store.links(self.mine) == sorted(self.links)
        assert await store.listing(self.mine) == self.registry
        mine = [x for x in await store.clients() if x.startswith(self.mine)]
        assert mine == [x for x in self.who if any(self.keys[x].values())]

    def teardown(self):
        if hasattr(self, "store"):
            self.do(self.store.close())
            self.runner.close()


def test_the_store_does_what_a_dict_does(address, commit, line):
    parts = {"address": address, "make_commit": staticmethod(commit)}
    run(
        type("Bound", (Machine,), {**parts, "make_line": staticmethod(line)}),
        settings=settings(
            max_examples=12,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            database=None,
            phases=[Phase.generate, Phase.shrink],
        ),
    )
