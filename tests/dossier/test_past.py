"""Pages of a history are, together, what a plain walk over all commits gives."""

from __future__ import annotations

import random

import pytest

from pgo.dossier.image import Image
from pgo.dossier.log import Change, Delta, Facet
from pgo.fhir.spans import Span
from pgo.past import NOW, Past

TYPES = ("Condition", "Observation", "Practitioner")
OPEN, CLOSED = Facet("Observation", ("metingen",)), Facet("Observation", ("medicatie",))


class Verdict:
    """Sees rows of the open facets; Practitioners always, in SQL only while they live."""

    def __init__(self, image):
        self.image = image

    def visible(self, _rel, _types):
        fids = [fid for fid, facet in self.image.facets.items() if "metingen" in facet.categories]
        found = ",".join(map(str, fids))
        return lambda a: (f"({a}.facet IN ({found}) OR r.type = 'Practitioner' AND r.live)", [])

    def sees(self, row):
        facet = self.image.facets[row.facet]
        return "metingen" in facet.categories or row.type == "Practitioner"


def lived(seed: int):
    """An image of some hundred random changes, and those changes newest first."""
    dice, image, versions, walk = random.Random(seed), Image(), {}, []
    for n in range(1, 90):
        changes = []
        for id_ in dice.sample(range(12), dice.randint(1, 4)):
            type_ = TYPES[id_ % 3]
            before = versions.get(id_)
            ver = 1 if before is None else before[0] + 1
            dead = before is not None and before[1] != "DELETE" and dice.random() < 0.2
            method = "DELETE" if dead else "PUT" if before and before[1] != "DELETE" else "POST"
            facet = dice.choice([OPEN, OPEN, CLOSED])
            if type_ == "Practitioner":
                facet = Facet("Practitioner")
            changes.append(Change("r4", type_, str(id_), ver, method, facet))
            versions[id_] = (ver, method, facet)
        image.apply(Delta(n, n * 10, {}, tuple(changes)))
        rids = {change.id: image.get("r4", change.type, change.id).rid for change in changes}
        walk += [(n, rids[change.id], change) for change in changes]
    return image, [(n, change) for n, _, change in sorted(walk, key=lambda one: one[:2])][::-1]


def plainly(walk, types, span, id_=""):
    """The same by walking over everything."""
    newest, after, found = {}, {}, []
    for n, change in walk:
        newest.setdefault(change.id, change)
        at, until = n * 10, after.get(change.id)
        after[change.id] = at
        seen = all(
            "metingen" in one.facet.categories or one.type == "Practitioner"
            for one in (change, newest[change.id])
        )
        if not seen or change.type not in types or (id_ and change.id != id_):
            continue
        if span.since is not None and at < span.since:
            continue
        if span.at is not None:
            low, high = span.at
            gone = change.method == "DELETE" and at < low
            if at >= high or gone or (until is not None and until <= low):
                continue
        found.append((change.type, change.id, change.ver))
    return found


def paged(past, span):
    found, before = [], NOW
    while before is not None:
        rows, before = past.page(span, before)
        assert len(rows) == span.count or before is None
        found += [(row.type, row.id, row.ver) for row in rows]
    return found


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("count", [1, 7, 200])
@pytest.mark.parametrize(
    ("since", "at"),
    [(None, None), (400, None), (None, (300, 301)), (None, (300, 500)), (200, (0, 900))],
)
def test_pages_give_what_a_plain_walk_gives(seed, count, since, at):
    image, walk = lived(seed)
    span = Span(since, at, count)
    for types in (TYPES, ("Observation",), ("Practitioner",)):
        past = Past(image, Verdict(image), "r4", types)
        assert paged(past, span) == plainly(walk, types, span)


@pytest.mark.parametrize("seed", range(4))
def test_the_past_of_one_resource_and_its_count(seed):
    image, walk = lived(seed)
    for id_ in range(12):
        type_ = TYPES[id_ % 3]
        row = image.get("r4", type_, str(id_))
        if not Verdict(image).sees(row):
            continue
        past = Past(image, Verdict(image), "r4", (type_,), row.rid)
        expected = plainly(walk, TYPES, Span(), str(id_))
        assert paged(past, Span(count=3)) == expected
        assert past.count(Span(), NOW) == len(expected)


def test_more_than_a_chunk_of_hidden_versions_is_walked_over():
    image = Image()
    image.apply(Delta(1, 1, {}, (Change("r4", "Observation", "a", 1, "POST", OPEN),)))
    for n in range(2, 500):
        image.apply(Delta(n, n, {}, (Change("r4", "Observation", "a", n, "PUT", CLOSED),)))
    image.apply(Delta(500, 500, {}, (Change("r4", "Observation", "a", 500, "PUT", OPEN),)))
    row = image.get("r4", "Observation", "a")
    for rid in (None, row.rid):
        past = Past(image, Verdict(image), "r4", ("Observation",), rid)
        assert [ver for _, _, ver in paged(past, Span(count=1))] == [500, 1]
