"""Random dossiers, grants and callers: a search gives exactly the rows that may be read one by one.

Each row is decided anew, straight by `decide`, with its own day; the search runs as SQL on the
image with the verdict inside. Supporting resources follow the rule as it is written in the spec.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime
from itertools import product

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from pgo.caller import Caller
from pgo.consent.categories import SUPPORTING
from pgo.consent.decide import decide
from pgo.consent.model import Person, Policy, Resource
from pgo.dossier.image import Image
from pgo.dossier.log import Change, Delta, Facet, Rule
from pgo.dossier.open import Dossier
from pgo.fhir import index, search
from pgo.fhir.query import parse
from pgo.moment import micros
from pgo.oauth.scopes import cap_of
from pgo.verdict import day_text
from pgo.world import verdict_of

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TYPES = {
    "Observation": ("uitslagen", "metingen"),
    "MedicationRequest": ("medicatie",),
    "Appointment": ("afspraken",),
    "Patient": (),
    "Practitioner": (),
    "Medication": (),
}
SUPPORTED = ("Practitioner", "Medication")
LABELS = ("PSY", "R", "N")
SEALS = ("alleen-auteur-en-client", "niet-voor-vertegenwoordiger", "niet-voor-naasten")
DAYS = ("2025-01-01", "2025-12-31", "2026-01-01", "2026-06-15")
IDS = ("a", "b", "c")
PEOPLE = {
    "anna": Person("anna", "1980-05-01"),
    "mo": Person("mo"),
    "sam": Person("sam"),
    "kim": Person("kim", kind="copiloot", orgs=frozenset({"coophulp"})),
    "noor": Person("noor", kind="zorgverlener", orgs=frozenset({"delinde"})),
    "sys": Person("sys", kind="systeem", orgs=frozenset({"delinde"})),
}
ORG = {"kim": "coophulp", "noor": "delinde", "sys": "delinde"}


class People:
    async def person(self, id_):
        return PEOPLE.get(id_)

    async def names(self, ids):
        return {id_: id_ for id_ in ids}


def some(rng: random.Random, values, least=0):
    return rng.sample(values, rng.randint(least, min(2, len(values))))


def facet_of(rng: random.Random, type_: str) -> Facet:
    kinds = TYPES[type_]
    categories = tuple(sorted(some(rng, [*kinds, "dagboek"], 1))) if kinds else ()
    return Facet(
        type_,
        categories,
        tuple(sorted(some(rng, LABELS))) if rng.random() < 0.3 else (),
        rng.choice(["anna", "sam", "noor", "sys"]),
        rng.choice(["", "", "delinde", "isselzkh"]),
        (rng.choice(SEALS),) if rng.random() < 0.15 else (),
    )


def day_of(rng: random.Random) -> int | None:
    if rng.random() < 0.2:
        return None
    start = datetime.fromisoformat(f"{rng.choice(DAYS)}T00:00:00+01:00")
    return micros(start) + rng.choice([0, 0, -1, 1, 3_600_000_000])


def changes(rng: random.Random):
    """Rows of both releases under the same ids; only those of R4 are asked about."""
    for release in ("r4", "stu3"):
        for type_, id_ in product(TYPES, IDS):
            if rng.random() < (0.25 if release == "r4" else 0.6):
                continue
            tree = {"resourceType": type_, "id": id_}
            pointed = [f"{kind}/{rng.choice(IDS)}" for kind in some(rng, SUPPORTED)]
            tree["extension"] = [
                {"url": "x", "valueReference": {"reference": name}} for name in pointed
            ]
            facet = facet_of(rng, type_)
            seals, bare = facet.seals, Facet(*_but_seals(facet))
            method = "DELETE" if rng.random() < 0.1 else "POST"
            rows = index.rows(release, tree)
            yield Change(release, type_, id_, 1, method, bare, "", day_of(rng), rows), seals


def _but_seals(facet: Facet):
    return facet.type, facet.categories, facet.labels, facet.author, facet.org


def grant_of(rng: random.Random, number: int) -> dict:
    made = {
        "id": f"g{number}",
        "client": "anna",
        "by": rng.choice(["anna", "anna", "mo"]),
        "effect": rng.choice(["permit", "permit", "permit", "deny"]),
        "to_who": rng.choice(["sam", "kim", "noor", "org:delinde", "mo"]),
        "actions": ["lezen"],
        "made": "2026-01-01T00:00:00Z",
        "order": number,
    }
    kinds = ["uitslagen", "metingen", "medicatie", "afspraken", "dagboek", "adres"]
    for name, values, chance in (
        ("categories", kinds, 0.7),
        ("types", ["Observation", "MedicationRequest", "Practitioner"], 0.2),
        ("labels", LABELS, 0.2),
        ("instances", list(IDS), 0.2),
    ):
        if rng.random() < chance:
            made[name] = some(rng, values, 1)
    if rng.random() < 0.25:
        made["author"] = rng.choice(["anna", "noor"])
    if rng.random() < 0.3:
        made[rng.choice(["data_from", "data_to"])] = rng.choice(DAYS)
    if rng.random() < 0.1:
        made["weekly"] = [{"from": "fri 15:00", "to": "sun 19:00"}]
    return made


async def random_dossier(rng: random.Random) -> Dossier:
    made = list(changes(rng))
    rules = [
        Rule("subject", "client", {"person": "anna", "birth": "1980-05-01"}),
        Rule("relation", "r", {"person": "mo", "client": "anna", "kind": "mentor", "order": "C"}),
        *(Rule("grant", f"g{n}", grant_of(rng, n)) for n in range(rng.randint(0, 5))),
    ]
    link = {"id": "k", "client": "anna", "by": "anna", "effect": "permit", "own": True, "order": 9}
    link |= {"to_who": "org:delinde", "actions": ["lezen"], "made": "2026-01-01T00:00:00Z"}
    rules.append(Rule("grant", "k", link))
    for change, seals in made:
        if seals:
            name = f"{change.rel}/{change.type}/{change.id}"
            rules.append(Rule("seal", name, {"label": seals[0]}))
    image = Image()
    image.apply(Delta(1, 1, {}, tuple(change for change, _ in made), tuple(rules)))
    return Dossier("c", None, None, image)


def caller_of(name: str) -> Caller:
    person = PEOPLE[name]
    return Caller(
        person=name,
        kind=person.kind,
        org=ORG.get(name, ""),
        orgs=person.orgs,
        purpose="TREAT" if person.kind else "",
        scope=("user/*.rs",),
    )


def readable(verdict, image, names):
    """Names of live rows that may be read, each decided on its own; straight from the spec."""
    rows = [image.get("r4", *name.split("/")) for name in names]

    def direct(row, categories=None):
        facet = image.facets[row.facet]
        kinds = frozenset(facet.categories if categories is None else categories)
        resource = Resource(
            kinds,
            facet.type,
            row.id,
            facet.author,
            day_text(row.day),
            frozenset(facet.labels) | frozenset(facet.seals),
            org=facet.org,
        )
        return decide(verdict.world, verdict.ask("lezen", resource)).permit

    asker = verdict.ask("lezen", Resource())

    def wrote(row):
        facet = image.facets[row.facet]
        return facet.author == asker.actor or (facet.org != "" and facet.org == asker.org)

    for row in rows:
        if row is None or not row.live:
            continue
        if row.type in SUPPORTING:
            found = lent_of(row, image, direct, wrote)
            if direct(row) or any(direct(row, kinds) for kinds in found):
                yield f"{row.type}/{row.id}"
        elif direct(row):
            yield f"{row.type}/{row.id}"


def lent_of(row, image, direct, wrote):
    """Categories of visible rows that lead to this one along references of supporting rows."""
    seen, waiting = {row.rid}, [row]
    while waiting:
        one = waiting.pop()
        found = image.select("SELECT rid FROM lnk WHERE type=? AND id=?", (one.type, one.id))
        for source in image.rows([rid for (rid,) in found]):
            if source.rid in seen or not source.live or source.rel != row.rel:
                continue
            seen.add(source.rid)
            if wrote(source) and not wrote(row):
                continue
            if source.type in SUPPORTING:
                waiting.append(source)
            elif direct(source):
                yield image.facets[source.facet].categories


@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.integers(0, 2**32), st.sampled_from(sorted(PEOPLE)))
async def test_a_search_gives_what_may_be_read_one_by_one(seed, who):
    rng = random.Random(seed)
    dossier = await random_dossier(rng)
    image = dossier.image
    caller = caller_of(who)

    async def fresh():
        return await verdict_of(dossier, caller, People(), Policy(), NOW, cap_of(caller.scope))

    verdict = await fresh()
    for type_ in TYPES:
        names = [f"{type_}/{id_}" for id_ in IDS]
        expected = set(readable(await fresh(), image, names))
        query = parse("r4", type_, [])
        made = search.compile(query, verdict.visible("r4", (type_,)), now=NOW)
        rows = image.rows([rid for (rid, *_) in image.select(made.sql, made.args)])
        assert {f"{row.type}/{row.id}" for row in rows} == expected
        where, args = verdict.visible("r4", None)("r")
        count = image.select(
            f"SELECT count(*) FROM res r WHERE r.live AND r.rel='r4' AND r.type=? AND {where}",
            (type_, *args),
        )
        assert count[0][0] == len(expected)
        alone = await fresh()
        for id_ in IDS:
            row = image.get("r4", type_, id_)
            if row is not None and row.live:
                assert alone.sees(row) == (f"{type_}/{id_}" in expected)
        event(f"{type_} {'some' if expected else 'none'}")
