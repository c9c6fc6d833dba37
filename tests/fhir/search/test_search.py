"""What a search finds: boundary tables per kind, on a real image."""

import pytest

SCT, UCUM = "http://snomed.info/sct", "http://unitsofmeasure.org"
BASE = "https://ons.nl/fhir/r4"


def observation(id_, **members):
    return {"resourceType": "Observation", "id": id_, "status": "final", **members}


def coded(*codings):
    return {
        "code": {"coding": [{"system": s, "code": c} if s else {"code": c} for s, c in codings]}
    }


# --- dates ---------------------------------------------------------------------------------------

MOMENTS = {
    "before": {"effectiveDateTime": "2024-02-29"},
    "day": {"effectiveDateTime": "2024-03-10"},
    "first": {"effectiveDateTime": "2024-03-01T00:00:00+01:00"},  # March has begun, in Dutch time
    "last": {"effectiveDateTime": "2024-03-31T23:59:59+02:00"},
    "month": {"effectiveDateTime": "2024-03"},
    "year": {"effectiveDateTime": "2024"},
    "after": {"effectiveDateTime": "2024-04-01"},
    "into": {"effectivePeriod": {"start": "2024-02-15", "end": "2024-03-05"}},
    "out": {"effectivePeriod": {"start": "2024-03-20", "end": "2024-04-05"}},
    "open": {"effectivePeriod": {"start": "2024-03-15"}},
    "since": {"effectivePeriod": {"end": "2024-03-15"}},
    "none": {},
}
INSIDE = {"day", "first", "last", "month"}
DATED = set(MOMENTS) - {"none"}


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("2024-03", INSIDE),
        ("eq2024-03", INSIDE),
        ("ne2024-03", DATED - INSIDE),
        ("gt2024-03", {"year", "after", "out", "open"}),
        ("ge2024-03", INSIDE | {"year", "after", "out", "open"}),
        ("lt2024-03", {"before", "year", "into", "since"}),
        ("le2024-03", INSIDE | {"before", "year", "into", "since"}),
        ("sa2024-03", {"after"}),
        ("eb2024-03", {"before"}),
        ("2024-03-01T00:00:00+01:00", {"first"}),
        ("2024-02-29T23:00:00Z", {"first"}),
        ("2024-02-29T23:00Z", {"first"}),
        ("gt2024-03-31T23:59:59+02:00", {"year", "after", "out", "open"}),
        ("sa2024-03-31", {"after"}),
        ("eb2024-03-01", {"before"}),
        ("2024", DATED - {"open", "since"}),
        ("1999", set()),
        # a tenth of the time until now (1 June): nine days either side, six for the second
        ("ap2024-03", DATED),
        ("ap2024-03-31T12:00", {"last", "month", "year", "after", "out", "open"}),
    ],
)
def test_dates_by_prefix(r4, asked, expected):
    r4.put(*(observation(name, **members) for name, members in MOMENTS.items()))
    assert set(r4.ask("Observation", ("date", asked))) == expected


def test_a_plus_that_became_a_space_is_still_a_zone(r4):
    r4.put(observation("first", **MOMENTS["first"]))
    assert r4.ask("Observation", ("date", "2024-03-01T00:00:00 01:00")) == ["first"]


def test_last_updated_is_the_time_in_the_image(r4):
    for day in (1, 2, 3):
        r4.put(observation(f"d{day}"), at=1_700_000_000_000_000 + day * 86_400_000_000)
    assert r4.ask("Observation", ("_lastUpdated", "gt2023-11-16")) == ["d3"]
    assert r4.ask("Observation", ("_lastUpdated", "2023-11-16,2023-11-15")) == ["d1", "d2"]
    assert r4.ask("Observation", ("_sort", "-_lastUpdated")) == ["d3", "d2", "d1"]
    assert r4.ask("Observation", ("_lastUpdated:missing", "true")) == []


# --- numbers and quantities ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("100", ["99.5", "100", "100.00", "100.4"]),
        ("100.0", ["100", "100.00"]),
        ("1e2", ["95", "99.5", "100", "100.00", "100.4", "100.5"]),
        ("ne100", ["-100", "95", "100.5", "105", "1000"]),
        ("gt100", ["100.4", "100.5", "105", "1000"]),
        ("ge100", ["100", "100.00", "100.4", "100.5", "105", "1000"]),
        ("lt100", ["-100", "95", "99.5"]),
        ("le100", ["-100", "95", "99.5", "100", "100.00"]),
        ("sa100", ["100.4", "100.5", "105", "1000"]),
        ("eb100", ["-100", "95", "99.5"]),
        ("ap100", ["95", "99.5", "100", "100.00", "100.4", "100.5", "105"]),
        ("-100", ["-100"]),
        ("gt100.49999999999999999999999999999", ["100.5", "105", "1000"]),
    ],
)
def test_quantities_by_prefix_and_precision(r4, asked, expected):
    for value in ("-100", "95", "99.5", "100", "100.00", "100.4", "100.5", "105", "1000"):
        r4.put(observation(value.replace("-", "m"), valueQuantity={"value": float(value)}))
    found = r4.ask("Observation", ("value-quantity", asked))
    assert found == [value.replace("-", "m") for value in expected]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("lt0.5", {"<0.5", "<=0.5"}),
        ("le0.5", {"<0.5", "<=0.5", "0.5", ">=0.5"}),
        ("gt0.5", {">0.5", ">=0.5"}),
        ("ge0.5", {">0.5", ">=0.5", "0.5", "<=0.5"}),
        ("0.5", {"0.5"}),
        ("sa0.5", {">0.5"}),
        ("eb0.5", {"<0.5"}),
    ],
)
def test_a_result_below_the_limit_of_detection_is_a_range(r4, asked, expected):
    for position, sign in enumerate(("<", "<=", "", ">=", ">")):
        quantity = {"value": 0.5, **({"comparator": sign} if sign else {})}
        r4.put(observation(f"o{position}", valueQuantity=quantity))
    names = dict(
        zip(("o0", "o1", "o2", "o3", "o4"), ("<0.5", "<=0.5", "0.5", ">=0.5", ">0.5"), strict=True)
    )
    assert {names[one] for one in r4.ask("Observation", ("value-quantity", asked))} == expected


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        (f"5|{UCUM}|mg", ["ucum"]),
        ("5||mg", ["ucum", "unit", "other"]),
        ("5||milligram", ["words"]),
        (f"5|{UCUM}|", ["ucum", "words"]),
        (f"5|{UCUM}|g", []),
        ("5", ["ucum", "words", "unit", "other"]),
        (f"ne5|{UCUM}|mg", ["six"]),
    ],
)
def test_a_quantity_can_name_its_unit(r4, asked, expected):
    r4.put(
        observation("ucum", valueQuantity={"value": 5, "system": UCUM, "code": "mg"}),
        observation("words", valueQuantity={"value": 5, "system": UCUM, "unit": "milligram"}),
        observation("unit", valueQuantity={"value": 5, "unit": "mg"}),
        observation("other", valueQuantity={"value": 5, "system": "http://x", "code": "mg"}),
        observation("six", valueQuantity={"value": 6, "system": UCUM, "code": "mg"}),
        observation("valueless", valueQuantity={"unit": "mg"}),
    )
    assert r4.ask("Observation", ("value-quantity", asked)) == expected


def test_numbers_and_ranges_of_numbers(r4):
    def risk(id_, **probability):
        return {"resourceType": "RiskAssessment", "id": id_, "prediction": [probability]}

    r4.put(
        risk("point", probabilityDecimal=0.25),
        risk("range", probabilityRange={"low": {"value": 0.2}, "high": {"value": 0.4}}),
        risk("open", probabilityRange={"low": {"value": 0.3}}),
    )
    for asked, expected in {
        "0.25": ["point"],
        "gt0.25": ["range", "open"],
        "sa0.25": ["open"],
        "le0.25": ["point", "range"],
        "ap0.25": ["point", "range"],
    }.items():
        assert r4.ask("RiskAssessment", ("probability", asked)) == expected, asked


# --- tokens, strings, uris -----------------------------------------------------------------------

TOKENS = {
    "sct": coded((SCT, "1")),
    "bare": coded(("", "1")),
    "both": coded((SCT, "1"), ("http://x", "2")),
    "text": {"code": {"text": "Bloeddruk"}},
    "none": {},
}


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("code", "1"), ["sct", "bare", "both"]),
        (("code", f"{SCT}|1"), ["sct", "both"]),
        (("code", "|1"), ["bare"]),
        (("code", f"{SCT}|"), ["sct", "both"]),
        (("code", "2,3"), ["both"]),
        (("code:not", f"{SCT}|1"), ["bare", "text", "none"]),
        (("code:not", "1,2"), ["text", "none"]),
        (("code:missing", "true"), ["none"]),
        (("code:missing", "false"), ["sct", "bare", "both", "text"]),
        (("code:missing", "false,true"), ["sct", "bare", "both", "text", "none"]),
        (("code:text", "BLOED"), ["text"]),
        (("code:text", "druk"), []),
        (("status", "final"), ["sct", "bare", "both", "text", "none"]),
        (("status", "|final"), ["sct", "bare", "both", "text", "none"]),
        (("status", "Final"), []),
        (("_id", "sct,none,nobody"), ["sct", "none"]),
        (("_id:missing", "true"), []),
    ],
)
def test_tokens(r4, pair, expected):
    r4.put(*(observation(name, **members) for name, members in TOKENS.items()))
    assert r4.ask("Observation", pair) == expected


def test_repeating_a_parameter_means_and_a_comma_means_or(r4):
    r4.put(*(observation(name, **members) for name, members in TOKENS.items()))
    assert r4.ask("Observation", ("code", "1"), ("code", "2")) == ["both"]
    assert r4.ask("Observation", ("code", "1,2")) == ["sct", "bare", "both"]


def test_an_identifier_by_its_type(r4):
    kind = {"coding": [{"system": "http://t", "code": "MR"}]}
    r4.put(observation("a", identifier=[{"type": kind, "value": "7"}]))
    r4.put(observation("b", identifier=[{"value": "7"}]))
    assert r4.ask("Observation", ("identifier:of-type", "http://t|MR|7")) == ["a"]
    assert r4.ask("Observation", ("identifier", "7")) == ["a", "b"]


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("name", "zoe"), ["zoe", "zoë"]),
        (("name", "ZO"), ["zoe", "zoë", "zoo"]),
        (("name", "oe"), []),
        (("name:contains", "OE"), ["zoe", "zoë"]),
        (("name:contains", "%"), ["percent"]),
        (("name:exact", "Zoë"), ["zoë"]),
        (("name:exact", "zoë"), []),
        (("name:exact", "Zoe"), ["zoe"]),
        (("name", "zoe,perc"), ["zoe", "zoë", "percent"]),
        (("name", "100 %"), ["percent"]),
        (("name:missing", "true"), []),
        (("name", "\U0010ffff"), []),
        (("family", "perc"), ["percent"]),
    ],
)
def test_strings(r4, pair, expected):
    for id_, name in {
        "zoe": {"given": ["Zoe"]},
        "zoë": {"given": ["Zoë"]},
        "zoo": {"text": "zoo"},
    }.items():
        r4.put({"resourceType": "Patient", "id": id_.replace("ë", "2"), "name": [name]})
    r4.put({"resourceType": "Patient", "id": "percent",
            "name": [{"family": "Percent", "given": ["100 %"]}]})  # fmt: skip
    assert r4.ask("Patient", pair) == [name.replace("ë", "2") for name in expected]


def test_uris_are_literal(r4):
    r4.put({"resourceType": "ValueSet", "id": "a", "url": "http://e/v,1"})
    r4.put({"resourceType": "ValueSet", "id": "b", "url": "http://e/v"})
    assert r4.ask("ValueSet", ("url", "http://e/v")) == ["b"]
    assert r4.ask("ValueSet", ("url", r"http://e/v\,1")) == ["a"]
    assert r4.ask("ValueSet", ("url", "HTTP://e/v")) == []


# --- references, composites ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pair", "expected"),
    [
        (("subject", "Patient/1"), ["local", "version", "own"]),
        (("subject", "1"), ["local", "version", "group"]),
        (("subject", f"{BASE}/Patient/1"), ["local", "version", "own"]),
        (("subject", "https://ver.nl/fhir/Patient/1"), ["far"]),
        (("subject:Patient", "1"), ["local", "version"]),
        (("subject:Group", "1"), ["group"]),
        (("patient", "1"), ["local", "version"]),
        (("subject", "urn:uuid:1"), ["urn"]),
        (("subject:identifier", "s|9"), ["logical"]),
        (("subject:missing", "true"), ["none"]),
        (("subject", "Patient/2"), []),
    ],
)
def test_references(r4, pair, expected):
    subjects = {
        "local": "Patient/1",
        "version": "Patient/1/_history/2",
        "own": f"{BASE}/Patient/1",
        "far": "https://ver.nl/fhir/Patient/1",
        "group": "Group/1",
        "urn": "urn:uuid:1",
    }
    r4.put(*(observation(name, subject={"reference": to}) for name, to in subjects.items()))
    r4.put(observation("logical", subject={"identifier": {"system": "s", "value": "9"}}))
    r4.put(observation("none"))
    assert r4.ask("Observation", pair, base=BASE) == expected


def test_a_composite_matches_within_one_occurrence(r4):
    def part(code, value):
        return {
            "code": {"coding": [{"system": SCT, "code": code}]},
            "valueQuantity": {"value": value},
        }

    r4.put(observation("a", component=[part("sys", 140), part("dia", 80)]))
    r4.put(observation("b", component=[part("sys", 80), part("dia", 140)]))
    name = "component-code-value-quantity"
    assert r4.ask("Observation", (name, f"{SCT}|sys$gt100")) == ["a"]
    assert r4.ask("Observation", (name, f"{SCT}|sys$gt100,dia$gt100")) == ["a", "b"]
    assert r4.ask("Observation", ("combo-code-value-quantity", "sys$lt100")) == ["b"]
    assert r4.ask("Observation", (f"{name}:missing", "true")) == []


# --- order, release, liveness --------------------------------------------------------------------


def test_sorting_by_several_keys_with_missing_values_last_and_ties_as_they_came(r4):
    r4.put(
        observation("c", **coded(("", "b")), effectiveDateTime="2024-01-01"),
        observation("a", **coded(("", "b")), effectiveDateTime="2024-02-01"),
        observation("d", **coded(("", "a"))),
        observation("b", **coded(("", "a")), effectiveDateTime="2024-01-01"),
        observation("e"),
        observation("f", **coded(("", "a"), ("", "z")), effectiveDateTime="2024-03-01"),
    )
    assert r4.ask("Observation", ("_sort", "code,-date")) == ["f", "b", "d", "a", "c", "e"]
    assert r4.ask("Observation", ("_sort", "-code")) == ["f", "c", "a", "d", "b", "e"]
    assert r4.ask("Observation", ("_sort", "date")) == ["c", "b", "a", "f", "d", "e"]
    assert r4.ask("Observation", ("_sort", "-_id")) == ["f", "e", "d", "c", "b", "a"]
    assert r4.ask("Observation") == ["c", "a", "d", "b", "e", "f"]


def test_sorting_by_numbers_is_by_size_and_not_by_letters(r4):
    for value in (10, 9, -1, 100, 0.5):
        r4.put(observation(f"v{value}".replace("-", "m"), valueQuantity={"value": value}))
    found = r4.ask("Observation", ("_sort", "value-quantity"))
    assert found == ["vm1", "v0.5", "v9", "v10", "v100"]
    assert r4.ask("Observation", ("_sort", "-value-quantity")) == found[::-1]


def test_sorting_by_references_strings_and_uris(r4):
    r4.put(observation("a", subject={"reference": "Patient/2"}))
    r4.put(observation("b", subject={"reference": "Patient/1"}))
    assert r4.ask("Observation", ("_sort", "subject")) == ["b", "a"]
    r4.put({"resourceType": "ValueSet", "id": "a", "url": "http://b", "name": "Émile"})
    r4.put({"resourceType": "ValueSet", "id": "b", "url": "http://a", "name": "zeta"})
    assert r4.ask("ValueSet", ("_sort", "url")) == ["b", "a"]
    assert r4.ask("ValueSet", ("_sort", "name")) == ["a", "b"]


def test_deleted_resources_and_those_of_another_release_are_never_found(r4):
    r4.put(observation("gone"), live=0)
    r4.release = "stu3"
    r4.put(observation("old"))
    r4.release = "r4"
    r4.put(observation("here"))
    assert r4.ask("Observation", ("status", "final")) == ["here"]


def test_stu3_has_its_own_parameters(stu3):
    stu3.put(observation("a", related=[{"target": {"reference": "Observation/b"}}]))
    stu3.put(observation("b"))
    assert stu3.ask("Observation", ("related-target", "Observation/b")) == ["a"]
    assert stu3.add("Observation", ("_id", "a"), ("_include", "Observation:related-target")) == [
        "b"
    ]


# --- what may not be seen ------------------------------------------------------------------------


def shut(*codes):
    return lambda _type: frozenset(codes)


def test_what_is_hidden_is_not_found_counted_or_ordered_by(r4, only):
    r4.put(observation("open", effectiveDateTime="2024-01-02"), facet=1)
    r4.put(observation("secret", effectiveDateTime="2024-01-01"), facet=2)
    assert r4.ask("Observation", ("_sort", "date"), visible=only([1])) == ["open"]
    assert r4.ask("Observation", ("_id", "secret"), visible=only([1])) == []
    assert r4.ask("Observation", ("code:missing", "true"), visible=only([1])) == ["open"]
    assert r4.ask("Observation", visible=only([])) == []


@pytest.mark.parametrize(
    "pair",
    [("identifier", "7"), ("identifier:missing", "true"), ("identifier:missing", "false"),
     ("identifier:not", "8"), ("identifier", "7,8")],
)  # fmt: skip
def test_a_parameter_the_caller_may_not_use_matches_nothing(r4, pair):
    r4.put(observation("a", identifier=[{"value": "7"}]))
    r4.put(observation("b"))
    assert r4.ask("Observation", pair, blind=shut("identifier")) == []
    assert r4.ask("Observation", ("status", "final"), blind=shut("identifier")) == ["a", "b"]


def test_a_sort_key_the_caller_may_not_use_does_not_order(r4):
    r4.put(observation("a", **coded(("", "2"))), observation("b", **coded(("", "1"))))
    for turned in ("code", "-code"):
        assert r4.ask("Observation", ("_sort", turned), blind=shut("code")) == ["a", "b"]
    assert r4.ask("Observation", ("_sort", "-_id"), blind=shut("_id")) == ["a", "b"]


# --- includes ------------------------------------------------------------------------------------


@pytest.fixture
def family(r4):
    def ref(to):
        return {"reference": to}

    r4.put(observation("o1", subject=ref("Patient/p"), performer=[ref("Practitioner/d")]), facet=1)
    r4.put(observation("o2", subject=ref("Group/g"), hasMember=[ref("Observation/o1")]), facet=1)
    r4.put({"resourceType": "Patient", "id": "p", "managingOrganization": ref("Organization/1"),
            "generalPractitioner": [ref("Practitioner/d")]}, facet=2)  # fmt: skip
    r4.put({"resourceType": "Group", "id": "g"}, facet=1)
    r4.put({"resourceType": "Practitioner", "id": "d"}, facet=3)
    r4.put({"resourceType": "Organization", "id": "1", "partOf": ref("Organization/2")}, facet=1)
    r4.put({"resourceType": "Organization", "id": "2", "partOf": ref("Organization/3")}, facet=1)
    r4.put({"resourceType": "Organization", "id": "3", "partOf": ref("Organization/1")}, facet=1)
    r4.put({"resourceType": "Patient", "id": "gone"}, live=0)
    return r4


SUBJECT = ("_include", "Observation:subject")
PART_OF = ("_include:iterate", "Organization:partof")
CARE = ("_include:iterate", "Patient:organization")


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([SUBJECT], ["p", "g"]),
        ([("_include", "Observation:subject:Patient")], ["p"]),
        ([("_include", "Observation:patient")], ["p"]),
        ([("_include", "Observation:*")], ["p", "g", "d"]),
        ([("_include", "*")], ["p", "g", "d"]),
        ([("_include", "Observation:has-member")], []),  # o1 is a match already
        ([("_id", "o2"), ("_include", "Observation:has-member")], ["o1"]),
        ([("_include", "Patient:organization")], []),  # no Patient among the matches
        ([SUBJECT, CARE], ["p", "g", "1"]),
        ([SUBJECT, CARE, PART_OF], ["p", "g", "1", "2"]),  # two steps further, and no more
        ([("_id", "nobody"), SUBJECT], []),
        ([], []),
    ],
)
def test_includes(family, pairs, expected):
    assert family.add("Observation", *pairs) == expected


def test_includes_show_only_what_may_be_seen_and_do_not_go_through_what_is_hidden(family, only):
    assert family.add("Observation", SUBJECT, CARE, visible=only([1])) == ["g"]
    assert family.add("Observation", SUBJECT, CARE, visible=only([1, 2])) == ["p", "g", "1"]


def test_references_the_caller_may_not_use_are_not_followed(family):
    def blind(type_):
        return frozenset({"general-practitioner"}) if type_ == "Patient" else frozenset()

    doctor = ("_include", "Patient:general-practitioner")
    assert family.add("Patient", doctor) == ["d"]
    assert family.add("Patient", doctor, blind=blind) == []
    assert family.add("Patient", ("_include", "*")) == ["d", "1"]
    assert family.add("Patient", ("_include", "*"), blind=blind) == ["1"]
    through = ("_include:iterate", "Patient:general-practitioner")
    assert family.add("Observation", SUBJECT, through, blind=blind) == ["p", "g"]


def test_a_composite_of_references_is_no_way_round_what_is_not_followed(r4):
    to = [{"code": "replaces", "target": {"reference": "DocumentReference/b"}}]
    r4.put({"resourceType": "DocumentReference", "id": "a", "relatesTo": to})
    r4.put({"resourceType": "DocumentReference", "id": "b"})
    star = [("_id", "a"), ("_include", "*")]
    assert r4.add("DocumentReference", *star) == ["b"]
    assert r4.add("DocumentReference", *star, blind=shut("relatesto")) == []


def test_a_circle_of_references_ends(family):
    assert family.add("Organization", ("_id", "1"), PART_OF) == ["2", "3"]
