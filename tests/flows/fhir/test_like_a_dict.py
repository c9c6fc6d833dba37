"""Random changes over HTTP leave a dossier as they leave a plain dict of lists of versions."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

IDS = st.sampled_from(["a", "b", "c", "d"])
VALUES = st.integers(1, 9)
MATCH = st.sampled_from(["", "right", "wrong"])
OPS = st.lists(
    st.tuples(st.sampled_from(["POST", "PUT", "DELETE"]), IDS, VALUES, MATCH),
    min_size=1,
    max_size=5,
)
PAGES = st.integers(1, 4)


@dataclass
class Model:
    """What should be there: by id the values of all versions; None is a deletion."""

    versions: dict[str, list[int | None]] = field(default_factory=dict)

    def live(self):
        """Newest values of what is not deleted."""
        return {id_: all_[-1] for id_, all_ in self.versions.items() if all_[-1] is not None}

    def put(self, id_, value):
        """Status of a create or update."""
        made = id_ not in self.live()
        self.versions.setdefault(id_, []).append(value)
        return 201 if made else 200

    def delete(self, id_):
        """Status of a delete."""
        if id_ not in self.versions:
            return 404
        if id_ in self.live():
            self.versions[id_].append(None)
        return 204

    def etag(self, id_, match):
        """The version a caller demands, and whether that is the newest."""
        newest = len(self.versions.get(id_, ()))
        if not match or (match == "right" and not newest):
            return None, True
        return (newest if match == "right" else newest + 1), match == "right"


class Likeness(RuleBasedStateMachine):
    """The mother at a fresh dossier, and the model beside it."""

    make = None

    @initialize()
    def begin(self):
        self.fresh = self.make()
        self.marjan = self.fresh.as_()
        self.model = Model()

    def body(self, value, **more):
        return self.fresh.weight(str(value), **more)

    @rule(value=VALUES)
    def create(self, value):
        answer = self.marjan.post("Observation", json=self.body(value))
        assert answer.status_code == self.model.put(answer.json()["id"], value) == 201

    @rule(id_=IDS, value=VALUES, match=MATCH)
    def update(self, id_, value, match):
        version, right = self.model.etag(id_, match)
        headers = {"If-Match": f'W/"{version}"'} if version else {}
        answer = self.marjan.put(
            f"Observation/{id_}", json=self.body(value, id=id_), headers=headers
        )
        if not right:
            assert answer.status_code == 412
            return
        assert answer.status_code == self.model.put(id_, value)
        assert answer.headers["etag"] == f'W/"{len(self.model.versions[id_])}"'

    @rule(id_=IDS)
    def delete(self, id_):
        assert self.marjan.delete(f"Observation/{id_}").status_code == self.model.delete(id_)

    @rule(ops=OPS, kind=st.sampled_from(["transaction", "batch"]), spoiled=st.booleans())
    def bundle(self, ops, kind, spoiled):
        named = [op for n, op in enumerate(ops) if op[1] not in {o[1] for o in ops[:n]}]
        entries = [self.entry(*op) for op in named]
        if spoiled:
            entries.append({"request": {"method": "GET", "url": "Observation/nergens"}})
        answer = self.marjan.post(
            "", json={"resourceType": "Bundle", "type": kind, "entry": entries}
        )
        if kind == "batch":
            statuses = [e["response"]["status"] for e in answer.json()["entry"]]
            assert statuses[len(named) :] == ["404"] * spoiled
            for op, entry in zip(named, answer.json()["entry"], strict=False):
                self.done(op, entry)
        elif spoiled or any(self.refused(op) for op in named):
            assert answer.status_code in {404, 412}
        else:
            assert answer.status_code == 200, answer.text
            for op, entry in zip(named, answer.json()["entry"], strict=True):
                self.done(op, entry)

    def entry(self, method, id_, value, match):
        version, _ = self.model.etag(id_, match)
        request = {
            "method": method,
            "url": "Observation" if method == "POST" else f"Observation/{id_}",
        }
        if version and method != "POST":
            request["ifMatch"] = f'W/"{version}"'
        if method == "DELETE":
            return {"request": request}
        return {"request": request, "resource": self.body(value, id=id_)}

    def refused(self, op):
        method, id_, _, match = op
        _, right = self.model.etag(id_, match)
        if method == "DELETE":
            missing = id_ not in self.model.versions
            return missing or (not right and id_ in self.model.live())
        return method == "PUT" and not right

    def done(self, op, entry):
        method, id_, value, _ = op
        status = int(entry["response"]["status"])
        if self.refused(op):
            assert status in {404, 412}
        elif method == "POST":
            assert status == self.model.put(entry["response"]["location"].split("/")[-3], value)
        elif method == "PUT":
            assert status == self.model.put(id_, value)
        else:
            assert status == self.model.delete(id_)

    @rule(id_=IDS)
    def read(self, id_):
        answer = self.marjan.get(f"Observation/{id_}")
        if id_ not in self.model.versions:
            assert answer.status_code == 404
        elif id_ not in self.model.live():
            assert answer.status_code == 410
        else:
            assert answer.json()["valueQuantity"]["value"] == self.model.live()[id_]

    @precondition(lambda self: self.model.versions)
    @rule(data=st.data())
    def look_back(self, data):
        id_ = data.draw(st.sampled_from(sorted(self.model.versions)))
        versions = self.model.versions[id_]
        history = self.marjan.get(f"Observation/{id_}/_history", params={"_count": 200}).json()
        found = [
            e.get("resource", {}).get("valueQuantity", {}).get("value") for e in history["entry"]
        ]
        assert found == versions[::-1]
        number = data.draw(st.integers(1, len(versions)))
        one = self.marjan.get(f"Observation/{id_}/_history/{number}")
        assert one.status_code == (410 if versions[number - 1] is None else 200)
        if one.status_code == 200:
            assert one.json()["valueQuantity"]["value"] == versions[number - 1]

    @rule(value=VALUES, size=PAGES)
    def search(self, value, size):
        query = f"Observation?value-quantity=ge{value - 0.5}&_sort=_id&_count={size}"
        found, page = [], self.marjan.get(query).json()
        while True:
            found += [e["resource"]["id"] for e in page.get("entry", [])]
            onward = [one["url"] for one in page["link"] if one["relation"] == "next"]
            if not onward:
                break
            page = self.marjan.get(onward[0]).json()
        wanted = sorted(id_ for id_, now in self.model.live().items() if now >= value)
        assert (found, page["total"]) == (wanted, len(wanted))

    @invariant()
    def nothing_more_and_nothing_less(self):
        found = self.marjan.get("Observation?_count=200").json()
        there = {
            e["resource"]["id"]: (
                e["resource"]["valueQuantity"]["value"],
                int(e["resource"]["meta"]["versionId"]),
            )
            for e in found.get("entry", [])
        }
        assert there == {
            id_: (value, len(self.model.versions[id_])) for id_, value in self.model.live().items()
        }


@pytest.mark.parametrize("steps", [15])
def test_a_dossier_is_changed_as_a_dict_would_be(new_dossier, steps):
    class Here(Likeness):
        make = staticmethod(new_dossier)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=12,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
