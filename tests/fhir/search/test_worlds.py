"""Random small dossiers and random searches, against an evaluator that reads the resources.

The evaluator shares nothing with the code under test: it looks at the plain trees, compares with
`Fraction` and `datetime`, and decides who sees what by the facet of each resource.
"""

import calendar
import re
import unicodedata
from datetime import datetime, timedelta
from fractions import Fraction
from random import Random
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

try:
    ZONE = ZoneInfo("Europe/Amsterdam")
except ZoneInfoNotFoundError:
    pytest.skip("this machine has no time zone tables", allow_module_level=True)

SYSTEMS = ["http://a", "http://b", None]
CODES = ["1", "2", "x,y"]
DATES = ["2023", "2024-03", "2024-03-31", "2024-04-01", "2024-03-31T01:30:00Z",
         "2024-03-31T03:30:00", "2024-03-31T23:59:59.5+02:00", "1999-12-31"]  # fmt: skip
NUMBERS = ["0", "1", "1.0", "1.04", "1.05", "0.95", "-1", "10", "1e1", "9.96", "100.00", "0.10"]
UNITS = [
    ("http://u", "mg", "mg"),
    ("http://u", "g", "gram"),
    (None, None, "mg"),
    (None, None, None),
]
NAMES = ["Zoë", "zoe", "Zoelen", "de Vries", "DE  VRIES", "An", "Ân", "an na", "%"]
IDS = ["1", "2", "3"]
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb"]


def one_or_more(rng, of):
    return [of(rng) for _ in range(rng.randint(1, 2))]


def concept(rng):
    codings = []
    for _ in range(rng.randint(1, 2)):
        system, code = rng.choice(SYSTEMS), rng.choice(CODES)
        codings.append({"code": code, **({"system": system} if system else {})})
    return {"coding": codings}


def quantity(rng):
    system, code, unit = rng.choice(UNITS)
    made = {"value": float(rng.choice(NUMBERS)), "system": system, "code": code, "unit": unit}
    return {name: value for name, value in made.items() if value is not None}


def reference(rng):
    return {"reference": f"{rng.choice(['Patient', 'Group'])}/{rng.choice(IDS)}"}


def observation(rng):
    made = {"status": rng.choice(["final", "amended"])}
    if rng.random() < 0.6:
        made["code"] = concept(rng)
    if rng.random() < 0.6:
        made["category"] = one_or_more(rng, concept)
    if rng.random() < 0.6:
        made["valueQuantity"] = quantity(rng)
    if rng.random() < 0.6:
        made["subject"] = reference(rng)
    if rng.random() < 0.4:
        made["hasMember"] = [{"reference": f"Observation/{rng.choice(IDS)}"}]
    kind = rng.randint(0, 3)
    if kind == 1:
        made["effectiveDateTime"] = rng.choice(DATES)
    elif kind > 1:
        edges = sorted((rng.choice(DATES), rng.choice(DATES)), key=lambda d: interval(d)[0])
        period = dict(zip(("start", "end"), edges, strict=True))
        if kind == 3:  # open at one side
            del period[rng.choice(["start", "end"])]
        made["effectivePeriod"] = period
    if rng.random() < 0.6:
        made["component"] = [
            {"code": concept(rng), "valueQuantity": quantity(rng)} for _ in range(rng.randint(1, 2))
        ]
    return {"resourceType": "Observation", **made}


def patient(rng):
    name = {"family": rng.choice(NAMES), "given": [rng.choice(NAMES)]}
    made = {"name": [name]} if rng.random() < 0.6 else {}
    if rng.random() < 0.6:
        made["birthDate"] = rng.choice(DATES[:4])
    return {"resourceType": "Patient", **made}


def group(rng):
    return {"resourceType": "Group", "actual": rng.random() < 0.6}


def provenance(rng):
    targets = [f"{rng.choice(['Observation', 'Patient'])}/{rng.choice(IDS)}" for _ in range(2)]
    return {
        "resourceType": "Provenance",
        "recorded": rng.choice(DATES[4:5] + DATES[6:7]),
        "target": [{"reference": name} for name in targets],
        "agent": [{"who": {"reference": f"Patient/{rng.choice(IDS)}"}}],
    }


def random_world(rng):
    """[(tree, facet)] with unique ids per type."""
    made = []
    for make in (observation, patient, group, provenance):
        many = rng.randint(0, 12 if make is observation else 5)
        ids = [str(number + 1) for number in range(many)]
        made += [({**make(rng), "id": id_}, rng.randint(0, 2)) for id_ in ids]
    return made


# --- queries -------------------------------------------------------------------------------------


def escape(text):
    return re.sub(r"([\\,|$])", r"\\\1", text)


def token_value(rng):
    system, code = rng.choice([None, "", "http://a", "http://b"]), rng.choice(CODES)
    if system is None:
        return escape(code)
    return f"{system}|{rng.choice(['', escape(code)]) if system else escape(code)}"


def prefixed(some):
    return lambda rng: rng.choice(PREFIXES) + rng.choice(some)


def unit_value(rng):
    unit = rng.choice(["", "|http://u|mg", "|http://u|g", "||mg", "||gram", "|http://u|"])
    return prefixed(NUMBERS)(rng) + unit


def reference_value(rng):
    return rng.choice(["", "Patient/", "Group/"]) + rng.choice(IDS)


def composite_value(rng):
    return f"{token_value(rng)}${unit_value(rng)}"


PARAMETERS = {
    "Observation": {
        "status": ("token", lambda rng: rng.choice(["final", "amended", "|final"])),
        "code": ("token", token_value),
        "category": ("token", token_value),
        "date": ("date", prefixed(DATES)),
        "value-quantity": ("quantity", unit_value),
        "subject": ("reference", reference_value),
        "component-code-value-quantity": ("composite", composite_value),
    },
    "Patient": {
        "name": ("string", lambda rng: escape(rng.choice([*NAMES, "z", "vries", "n"]))),
        "birthdate": ("date", prefixed(DATES)),
    },
    "Provenance": {
        "recorded": ("date", prefixed(DATES)),
        "target": ("reference", reference_value),
    },
}
REFERENCES = {
    ("Observation", "subject"): ["Patient"],
    ("Observation", "has-member"): ["Observation"],
    ("Provenance", "target"): ["Observation", "Patient"],
    ("Provenance", "agent"): ["Patient"],
}
"""Reference parameters and the types that chains go to."""
MODIFIERS = {"token": ["not"], "string": ["exact", "contains"], "reference": ["Patient"]}


def random_query(rng):
    type_ = rng.choice(sorted(PARAMETERS))
    known = PARAMETERS[type_]
    pairs = []
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        code = rng.choice(sorted(known))
        kind, make = known[code]
        modifier = rng.choice(["", "", "missing", *MODIFIERS.get(kind, [])])
        if modifier == "missing":
            pairs.append((f"{code}:missing", rng.choice(["true", "false"])))
            continue
        if modifier == "Patient":
            make = lambda rng: rng.choice(IDS)  # noqa: E731 - one value of another form
        values = ",".join(make(rng) for _ in range(rng.randint(1, 2)))
        pairs.append((f"{code}:{modifier}" if modifier else code, values))
    pairs += [random_walk(rng, type_, 2) for _ in range(rng.choice([0, 0, 1, 2]))]
    keys = [code for code, (kind, _) in known.items() if kind != "composite"]
    sort = [rng.choice(["", "-"]) + rng.choice([*keys, "_id"]) for _ in range(rng.randint(0, 2))]
    return type_, pairs, sort


def random_walk(rng, type_, steps):
    """A condition on another resource: along a reference, or back along one."""
    ways = [(code, to) for (of, code), tos in REFERENCES.items() if of == type_ for to in tos]
    backs = [(of, code) for (of, code), tos in REFERENCES.items() if type_ in tos]
    if ways and (not backs or rng.random() < 0.5):
        code, to = rng.choice(ways)
        name, value = random_end(rng, to, steps - 1)
        return f"{code}:{to}.{name}", value
    source, code = rng.choice(backs)
    name, value = random_end(rng, source, steps - 1)
    return f"_has:{source}:{code}:{name}", value


def random_end(rng, type_, steps):
    if steps and rng.random() < 0.4:
        return random_walk(rng, type_, steps)
    code = rng.choice([*sorted(PARAMETERS[type_]), "_id"])
    if code == "_id":
        return code, rng.choice(IDS)
    kind, make = PARAMETERS[type_][code]
    modifier = rng.choice(["", "", "missing", "not" if kind == "token" else ""])
    if modifier == "missing":
        return f"{code}:missing", rng.choice(["true", "false"])
    return f"{code}:{modifier}" if modifier else code, make(rng)


# --- the evaluator -------------------------------------------------------------------------------

FAR_PAST = datetime(1, 1, 2, tzinfo=ZONE)
FAR_FUTURE = datetime(9999, 12, 30, tzinfo=ZONE)


def interval(text):
    """[start, end) as datetimes."""
    shape = re.fullmatch(r"(\d+)(?:-(\d+))?(?:-(\d+))?(T.*)?", text)
    year, month, day = int(shape[1]), int(shape[2] or 1), int(shape[3] or 1)
    if shape[4]:
        start = datetime.fromisoformat(text)
        start = start.replace(tzinfo=start.tzinfo or ZONE).astimezone(ZoneInfo("UTC"))
        width = timedelta(milliseconds=100) if "." in text else timedelta(seconds=1)
        return start, start + width
    start = datetime(year, month, day, tzinfo=ZONE)
    if shape[3]:
        following = start.date() + timedelta(days=1)
    elif shape[2]:
        following = start.date() + timedelta(days=calendar.monthrange(year, month)[1])
    else:
        following = start.date().replace(year=year + 1)
    return start, datetime(following.year, following.month, following.day, tzinfo=ZONE)


def fold(text):
    plain = "".join(c for c in unicodedata.normalize("NFD", text) if not unicodedata.combining(c))
    return re.sub(r"\s+", " ", plain.lower()).strip()


def effective(tree):
    if "effectiveDateTime" in tree:
        return [interval(tree["effectiveDateTime"])]
    period = tree.get("effectivePeriod")
    if not period:
        return []
    start = interval(period["start"])[0] if "start" in period else FAR_PAST
    return [(start, interval(period["end"])[1] if "end" in period else FAR_FUTURE)]


LISTED = {"target": "target", "has-member": "hasMember", "agent": "agent"}


def extracted(tree, code):
    """The plain values of a parameter."""
    if code in LISTED:
        return [one.get("who", one)["reference"] for one in tree.get(LISTED[code], [])]
    if code == "date":
        return effective(tree)
    if code in {"birthdate", "recorded"}:
        return [interval(tree[name]) for name in ("birthDate", "recorded") if name in tree]
    if code == "name":
        return [part for name in tree.get("name", []) for part in (name["family"], *name["given"])]
    if code == "status":
        return [(None, tree["status"])]
    if code in {"code", "category"}:
        concepts = tree.get(code, [])
        concepts = concepts if isinstance(concepts, list) else [concepts]
        return [(c.get("system"), c["code"]) for one in concepts for c in one["coding"]]
    if code == "value-quantity":
        return [tree["valueQuantity"]] if "valueQuantity" in tree else []
    if code == "subject":
        return [tree["subject"]["reference"]] if "subject" in tree else []
    return tree.get("component", [])


def cut(text, at):
    """Split where `at` is not escaped; escapes stay."""
    return re.split(rf"(?<!\\){re.escape(at)}", text)


def plain(text):
    return re.sub(r"\\(.)", r"\1", text)


def matches_token(value, asked):
    parts = [plain(part) for part in cut(asked, "|")]
    if len(parts) == 1:
        return value[1] == parts[0]
    system, code = parts
    return value[0] == (system or None) and code in {"", value[1]}


def compare(prefix, low, high, start, end):
    """Intervals [low, high) of the resource and [start, end) asked."""
    inside = start <= low and high <= end
    return {
        "eq": inside,
        "ne": not inside,
        "gt": high > end,
        "lt": low < start,
        "ge": high > end or inside,
        "le": low < start or inside,
        "sa": low >= end,
        "eb": high <= start,
    }[prefix]


def unprefixed(text):
    return (text[:2], text[2:]) if text[:2].isalpha() else ("eq", text)


def matches_date(value, asked):
    prefix, text = unprefixed(asked)
    return compare(prefix, *value, *interval(text))


def matches_quantity(value, asked):
    prefix, rest = unprefixed(asked)
    number, *unit = rest.split("|")
    mine, theirs = Fraction(repr(value["value"])), Fraction(number)
    if prefix in {"eq", "ne"}:
        digits, _, exponent = number.partition("e")
        places = len(digits.partition(".")[2]) - int(exponent or 0)
        places += bool(exponent) and "." not in digits  # 1e1 counts as 1.0e1
        half = Fraction(1, 2) * Fraction(10) ** -places
        fits = (theirs - half <= mine < theirs + half) == (prefix == "eq")
    else:
        fits = {
            "gt": mine > theirs, "sa": mine > theirs, "lt": mine < theirs, "eb": mine < theirs,
            "ge": mine >= theirs, "le": mine <= theirs,
        }[prefix]  # fmt: skip
    if not unit:
        return fits
    system, code = unit
    if system:
        return fits and value.get("system") == system and code in {"", value.get("code")}
    return fits and code in {value.get("code"), value.get("unit")}


def matches_string(value, asked, modifier):
    text = plain(asked)
    if modifier == "exact":
        return value == text
    if modifier == "contains":
        return fold(text) in fold(value)
    return fold(value).startswith(fold(text))


def matches_reference(value, asked, modifier):
    if modifier:
        return value == f"{modifier}/{asked}"
    return value == asked if "/" in asked else value.endswith(f"/{asked}")


def matches_composite(value, asked):
    code, number = cut(asked, "$")
    codes = [(c.get("system"), c["code"]) for c in value["code"]["coding"]]
    quantity_fits = matches_quantity(value["valueQuantity"], number)
    return quantity_fits and any(matches_token(one, code) for one in codes)


def meets(world, tree, name, text):
    """`world` is what the caller may see; the other end of a walk is looked for only there."""
    type_ = tree["resourceType"]
    me = f"{type_}/{tree['id']}"
    if name.startswith("_has:"):
        _, source, code, rest = name.split(":", 3)
        others = [t for t in world if t["resourceType"] == source and me in extracted(t, code)]
        return any(meets(world, other, rest, text) for other in others)
    head, dot, rest = name.partition(".")
    if dot:
        code, _, to = head.partition(":")
        names = set(extracted(tree, code))
        others = [t for t in world if t["resourceType"] == to and f"{to}/{t['id']}" in names]
        return any(meets(world, other, rest, text) for other in others)
    return tree["id"] == text if name == "_id" else matches(tree, type_, name, text)


def matches(tree, type_, name, text):
    code, _, modifier = name.partition(":")
    kind, values = PARAMETERS[type_][code][0], extracted(tree, code)
    if modifier == "missing":
        return (not values) == (text == "true")
    test = {
        "token": matches_token,
        "date": matches_date,
        "quantity": matches_quantity,
        "string": lambda value, asked: matches_string(value, asked, modifier),
        "reference": lambda value, asked: matches_reference(value, asked, modifier),
        "composite": matches_composite,
    }[kind]
    found = any(test(value, asked) for value in values for asked in cut(text, ","))
    return found != (modifier == "not")


def sort_value(tree, type_, key):
    code, turned = key.removeprefix("-"), key.startswith("-")
    if code == "_id":
        return tree["id"]
    edge = max if turned else min
    kind, values = PARAMETERS[type_][code][0], extracted(tree, code)
    if not values:
        return None
    if kind == "token":
        return edge(code for _, code in values)
    if kind == "date":
        return edge(low for low, _ in values)
    if kind == "quantity":
        return edge(Fraction(repr(value["value"])) for value in values)
    return edge(fold(value) for value in values) if kind == "string" else edge(values)


def ordered(trees, type_, sort):
    for key in reversed(sort):
        known = [(sort_value(tree, type_, key), tree) for tree in trees]
        present = [pair for pair in known if pair[0] is not None]
        present.sort(key=lambda pair: pair[0], reverse=key.startswith("-"))
        if key.startswith("-"):  # ties stay as they came
            turned = sorted({pair[0] for pair in present}, reverse=True)
            present = [p for value in turned for p in known if p[0] == value]
        trees = [tree for _, tree in present] + [tree for value, tree in known if value is None]
    return trees


def expected(world, facets, type_, pairs, sort):
    seen = [t for t, facet in world if facet in facets]
    mine = [t for t in seen if t["resourceType"] == type_]
    mine = [t for t in mine if all(meets(seen, t, name, text) for name, text in pairs)]
    return [tree["id"] for tree in ordered(mine, type_, sort)]


def expected_includes(world, facets, found):
    seen = {f"{t['resourceType']}/{t['id']}" for t, facet in world if facet in facets}
    mine = [t for t, _ in world if t["resourceType"] == "Observation" and t["id"] in found]
    wanted = {ref for tree in mine for ref in extracted(tree, "subject")} & seen
    names = [f"{t['resourceType']}/{t['id']}" for t, _ in world]
    return [name.partition("/")[2] for name in names if name in wanted]


def expected_reversed(world, facets, type_, found, includes):
    """What refers to the matches, and what refers to that, two steps further."""
    seen = [t for t, facet in world if facet in facets]
    here = {f"{type_}/{id_}" for id_ in found}
    added, fresh = set(), here
    for step in range(3):
        reached = set()
        for name, way in includes:
            if step and ":" not in name:
                continue
            source, code = way.split(":")
            reached |= {
                f"{source}/{t['id']}" for t in seen
                if t["resourceType"] == source and fresh & set(extracted(t, code))
            }  # fmt: skip
        added |= reached
        fresh = reached
    names = [f"{t['resourceType']}/{t['id']}" for t, _ in world]
    return [name.partition("/")[2] for name in names if name in added - here]


WORLDS, QUERIES = 120, 50
SEEDS = settings(
    max_examples=WORLDS,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SEED = st.integers(0, 2**32)


def filled(new_world, world):
    made = new_world()
    for tree, facet in world:
        made.put(tree, facet=facet)
    return made


def rounds(seed):
    """A world, who may see it, and what is asked."""
    rng = Random(seed)
    world = random_world(rng)
    queries = [random_query(rng) for _ in range(QUERIES)]
    return world, [facet for facet in range(3) if rng.random() < 0.7], queries


@SEEDS
@given(SEED)
def test_a_search_finds_what_reading_everything_finds(new_world, only, seed):
    world, facets, queries = rounds(seed)
    made = filled(new_world, world)
    hits = 0
    for type_, pairs, sort in queries:
        sorting = [("_sort", ",".join(sort))] if sort else []
        found = made.ask(type_, *pairs, *sorting, visible=only(facets))
        assert found == expected(world, facets, type_, pairs, sort), (type_, pairs, sort)
        hits += bool(pairs and found)
        if type_ == "Observation":
            include = ("_include", "Observation:subject")
            added = made.add(type_, *pairs, include, visible=only(facets))
            assert added == expected_includes(world, facets, found), pairs
    made.close()
    event("searches that found something", payload=hits)


@SEEDS
@given(SEED)
def test_what_comes_back_along_references_is_what_reading_everything_finds(new_world, only, seed):
    world, facets, queries = rounds(seed)
    made, rng = filled(new_world, world), Random(seed)
    for type_, pairs, _ in queries[:20]:
        ways = [f"{of}:{code}" for of, code in REFERENCES]
        includes = [(rng.choice(["_revinclude", "_revinclude:iterate"]), rng.choice(ways))
                    for _ in range(2)]  # fmt: skip
        found = made.ask(type_, *pairs, visible=only(facets))
        added = made.add(type_, *pairs, *includes, visible=only(facets))
        assert added == expected_reversed(world, facets, type_, found, includes), includes
    made.close()


@SEEDS
@given(SEED)
def test_what_is_hidden_changes_nothing(new_world, only, seed):
    world, facets, queries = rounds(seed)
    full = filled(new_world, world)
    bare = filled(new_world, [one for one in world if one[1] in facets])
    for type_, pairs, sort in queries[:20]:
        asked = [*pairs, *([("_sort", ",".join(sort))] if sort else [])]
        for ask in (new_world.ask, new_world.add):
            some = [*asked, ("_include", "*"), ("_revinclude", "*"), ("_include:iterate", "*")]
            assert ask(full, type_, *some, visible=only(facets)) == ask(
                bare, type_, *some, visible=only(facets)
            ), (type_, some)
    full.close()
    bare.close()
