"""Reading a search: what is accepted, what is refused, and with which place."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo import errors
from pgo.fhir import search
from pgo.fhir.parameters import registry
from pgo.fhir.values import Reference, Token, split, unescape


def parse(*pairs, type_="Observation", release="r4", **options):
    return search.parse(release, type_, pairs, **options)


def values(*pair, **options):
    return parse(pair, **options).clauses[0].values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a", [Token(None, "a")]),
        ("s|a", [Token("s", "a")]),
        ("|a", [Token("", "a")]),
        ("s|", [Token("s", None)]),
        ("a,s|b", [Token(None, "a"), Token("s", "b")]),
        (r"a\,b", [Token(None, "a,b")]),
        (r"s|a\|b", [Token("s", "a|b")]),
        (r"a\\,b", [Token(None, "a\\"), Token(None, "b")]),
        (r"a\$b", [Token(None, "a$b")]),
        (r"a\xb", [Token(None, r"a\xb")]),
    ],
)
def test_tokens_are_split_where_nothing_is_escaped(text, expected):
    assert list(values("code", text)) == expected


@given(st.lists(st.text("ab,|$\\", max_size=5), min_size=1, max_size=4))
def test_what_is_escaped_comes_back_whole(texts):
    def escape(text):
        return "".join(f"\\{char}" if char in "\\,|$" else char for char in text)

    whole = ",".join(escape(text) for text in texts)
    assert [unescape(piece) for piece in split(whole, ",")] == texts


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1", Reference(id="1")),
        ("Patient/1", Reference("Patient", "1", "https://ons.nl/fhir/r4/Patient/1")),
        ("Patient/1/_history/3", Reference("Patient", "1", "https://ons.nl/fhir/r4/Patient/1")),
        ("https://ons.nl/fhir/r4/Patient/1",
         Reference("Patient", "1", "https://ons.nl/fhir/r4/Patient/1")),
        ("https://ons.nl/fhir/r4.evil/Patient/1", Reference(url="https://ons.nl/fhir/r4.evil/Patient/1")),
        ("urn:uuid:1", Reference(url="urn:uuid:1")),
    ],
)  # fmt: skip
def test_references_are_local_ids_or_urls(text, expected):
    assert values("subject", text, base="https://ons.nl/fhir/r4") == (expected,)


def test_a_type_as_modifier_is_the_type_of_the_reference():
    assert values("subject:Patient", "1") == (Reference("Patient", "1"),)


UNSUPPORTED, VALUE, COSTLY = errors.Unsupported, errors.BadValue, errors.TooCostly


@pytest.mark.parametrize(
    ("pair", "error"),
    [
        (("nonsense", "1"), UNSUPPORTED),
        (("code:nonsense", "1"), UNSUPPORTED),
        (("code:exact", "1"), UNSUPPORTED),
        (("date:not", "2020"), UNSUPPORTED),
        (("subject:Teapot", "1"), UNSUPPORTED),
        (("subject:Patient", "Group/1"), VALUE),
        (("subject:Patient", "http://e/1"), VALUE),
        (("_id:not", "1"), UNSUPPORTED),
        (("_lastUpdated:exact", "2020"), UNSUPPORTED),
        (("subject.nonsense", "An"), UNSUPPORTED),
        (("code.name", "An"), UNSUPPORTED),
        (("subject:Teapot.name", "An"), UNSUPPORTED),
        (("subject:Organization.name", "An"), UNSUPPORTED),
        (("subject.name:nonsense", "An"), UNSUPPORTED),
        (("subject:Patient.birthdate", "soon"), VALUE),
        (("focus.code", "1"), VALUE),
        (("subject.", "1"), UNSUPPORTED),
        ((".name", "1"), UNSUPPORTED),
        (("subject:Patient.general-practitioner:Practitioner.name", "An"), None),
        (("encounter.patient.general-practitioner:Practitioner.name", "An"), COSTLY),
        (("_has", "1"), UNSUPPORTED),
        (("_has:", "1"), UNSUPPORTED),
        (("_has:Provenance:target", "1"), UNSUPPORTED),
        (("_has:Provenance:target:", "1"), UNSUPPORTED),
        (("_has:Teapot:target:code", "1"), UNSUPPORTED),
        (("_has:Provenance:nonsense:code", "1"), UNSUPPORTED),
        (("_has:Provenance:recorded:code", "1"), UNSUPPORTED),
        (("_has:Patient:organization:name", "1"), UNSUPPORTED),
        (("_has:Provenance:target:nonsense", "1"), UNSUPPORTED),
        (("_has:Provenance:target:agent", "no id"), VALUE),
        (("_has:Provenance:target:agent", "1"), None),
        (("_has:Provenance:target:_has:AuditEvent:entity:agent", "1"), None),
        (("_has:Provenance:target:_has:AuditEvent:entity:agent.name", "1"), COSTLY),
        (("_text", "x"), None),
        (("_text", "?!"), VALUE),
        (("_text", "hoofd AND pijn"), VALUE),
        (("_text", '"hoofd pijn"'), VALUE),
        (("_text:exact", "x"), UNSUPPORTED),
        (("_text:missing", "true"), None),
        (("_content", "(x)"), VALUE),
        (("_filter", "x"), UNSUPPORTED),
        (("_elements", "x"), VALUE),
        (("_elements", ""), VALUE),
        (("_elements", "code,"), VALUE),
        (("_elements", "code,value,valueQuantity"), None),
        (("_elements", ",".join(["code"] * 51)), COSTLY),
        (("_revinclude", "Provenance:target"), None),
        (("_revinclude", "Provenance:recorded"), UNSUPPORTED),
        (("_revinclude", "Teapot:target"), UNSUPPORTED),
        (("_revinclude:recurse", "Provenance:target"), UNSUPPORTED),
        (("_list", "1"), None),
        (("_list", "$current-problems"), UNSUPPORTED),
        (("_list", ""), VALUE),
        (("code:below", "final"), VALUE),
        (("code:below", "http://loinc.org|1-8"), UNSUPPORTED),
        (("subject:below", "Patient/1"), UNSUPPORTED),
        (("date:above", "2020"), UNSUPPORTED),
        (("_profile:below", "urn:oid:1.2"), VALUE),
        (("_profile:above", "x"), VALUE),
        (("", "1"), UNSUPPORTED),
        ((":exact", "1"), UNSUPPORTED),
        (("code", ""), VALUE),
        (("code", "a,,b"), VALUE),
        (("code", "|"), VALUE),
        (("code", "a|b|c"), VALUE),
        (("code:missing", "yes"), VALUE),
        (("identifier:of-type", "a|b"), VALUE),
        (("identifier:of-type", "a||b"), VALUE),
        (("subject", "no id"), VALUE),
        (("subject", ""), VALUE),
        (("date", "yesterday"), VALUE),
        (("date", "ge2020-13"), VALUE),
        (("date", "xx2020"), VALUE),
        (("value-quantity", "a"), VALUE),
        (("value-quantity", "5|mg"), VALUE),
        (("value-quantity", "gt"), VALUE),
        (("value-quantity", "9" * 65), VALUE),
        (("value-quantity", "1e999"), None),
        (("value-string", "\u0301"), VALUE),
        (("_profile", ""), VALUE),
        (("code-value-quantity", "a"), VALUE),
        (("code-value-quantity", "a$5$6"), VALUE),
        (("code-value-quantity", "a$b"), VALUE),
        (("_count", "-1"), VALUE),
        (("_count", "a"), VALUE),
        (("_count", "9" * 30), VALUE),
        (("_total", "some"), VALUE),
        (("_summary", "true"), None),
        (("_summary", "much"), VALUE),
        (("_sort", "nonsense"), UNSUPPORTED),
        (("_sort", "code-value-quantity"), UNSUPPORTED),
        (("_sort", ""), UNSUPPORTED),
        (("_sort", "_text"), UNSUPPORTED),
        (("_sort", "subject.name"), UNSUPPORTED),
        (("_sort", "code,date,_id,status,category,subject"), COSTLY),
        (("_include", "Observation:nonsense"), UNSUPPORTED),
        (("_include", "Observation:code"), UNSUPPORTED),
        (("_include", "Teapot:code"), UNSUPPORTED),
        (("_include", "Observation:subject:Teapot"), UNSUPPORTED),
        (("_include", ""), UNSUPPORTED),
        (("_include:recurse", "Observation:subject"), UNSUPPORTED),
        (("code", ",".join("a" * 51)), COSTLY),
    ],
)
def test_a_bad_parameter_is_refused_by_name_without_its_value(pair, error):
    if error is None:
        parse(pair)
        return
    with pytest.raises(error) as caught:
        parse(pair)
    assert caught.value.place == pair[0][:64]
    assert caught.value.status in {400, 422}
    if len(pair[1]) > 2:
        assert pair[1] not in caught.value.detail


def test_a_name_that_never_ends_is_cut_in_the_answer():
    with pytest.raises(UNSUPPORTED) as caught:
        parse(("x" * 1000, "1"))
    assert caught.value.place == "x" * 64


def test_an_unknown_type_is_refused():
    with pytest.raises(UNSUPPORTED):
        parse(("_id", "1"), type_="Teapot")


def test_a_lenient_caller_has_what_is_unknown_left_out_and_sees_it():
    query = parse(
        ("nonsense", "1"),
        ("code", "a"),
        ("subject.nonsense", "An"),
        ("_has:Provenance:nonsense:code", "1"),
        ("_include", "Teapot:x"),
        ("_sort", "nonsense"),
        lenient=True,
    )
    assert query.used == (("code", "a"),)
    assert not query.sort
    assert not query.includes


@pytest.mark.parametrize(
    ("pair", "error"), [(("code:nonsense", "1"), UNSUPPORTED), (("date", "soon"), VALUE)]
)
def test_lenient_never_drops_a_modifier_or_a_wrong_value(pair, error):
    with pytest.raises(error):
        parse(pair, lenient=True)


def test_what_counts_is_repeated_in_order():
    pairs = [
        ("code", "a"),
        ("_sort", "-date"),
        ("code", "b"),
        ("_count", "500"),
        ("_format", "json"),
    ]
    query = parse(*pairs)
    assert query.used == tuple(pairs)
    assert query.count == 200
    assert [clause.parameter.code for clause in query.clauses] == ["code", "code"]
    assert [(key.parameter.code, key.descending) for key in query.sort] == [("date", True)]


def test_a_count_of_nothing_is_only_the_total():
    assert parse(("_count", "0")).counts_only
    assert parse(("_summary", "count")).counts_only
    assert not parse(("_summary", "false")).counts_only
    assert parse(("_total", "none")).total == "none"


@pytest.mark.parametrize(
    ("name", "value"),
    [("_count", "5"), ("_sort", "date"), ("_total", "none"), ("_summary", "count"),
     ("_elements", "code")],
)  # fmt: skip
def test_an_answer_option_may_be_given_once(name, value):
    with pytest.raises(VALUE):
        parse((name, value), (name, value))


def test_at_most_ten_parameters_count_and_answer_options_do_not():
    ten = [("code", "a")] * 10
    parse(*ten, ("_sort", "date"), ("_include", "Observation:subject"), ("_count", "5"))
    with pytest.raises(COSTLY):
        parse(*ten, ("status", "final"))


def test_at_most_five_includes_of_each_sort():
    names = ("_include", "_include:iterate", "_revinclude", "_revinclude:iterate")
    five = [(name, "Observation:subject") for name in names for _ in range(5)]
    parse(*five)
    for name in names:
        with pytest.raises(COSTLY):
            parse(*five, (name, "Observation:subject"))


def test_each_release_has_its_own_word_for_going_on():
    assert parse(("_include:iterate", "Patient:organization")).includes[0].iterate
    query = parse(("_include:recurse", "Patient:organization"), release="stu3")
    assert query.includes[0].iterate
    with pytest.raises(UNSUPPORTED):
        parse(("_include:iterate", "Patient:organization"), release="stu3")


@pytest.mark.parametrize("release", ["r4", "stu3"])
def test_every_searchable_parameter_of_every_type_can_be_asked_whether_it_is_missing(release):
    known = registry(release)
    for type_ in known.types:
        for code, parameter in known.of(type_).items():
            if parameter.searchable:
                parse((f"{code}:missing", "true"), type_=type_, release=release)


def test_nothing_can_be_included_where_references_are_left_out():
    with pytest.raises(VALUE) as caught:
        parse(("_summary", "text"), ("_include", "Observation:subject"))
    assert caught.value.place == "_summary"
    assert parse(("_summary", "data"), ("_include", "Observation:subject")).includes


@pytest.mark.parametrize(
    ("pairs", "types"),
    [
        ([], {"Observation"}),
        ([("subject:Patient.name", "a")], {"Observation", "Patient"}),
        ([("subject.name", "a")], {"Observation", "Patient", "Location"}),
        ([("_has:Provenance:target:agent:Practitioner.name", "a")],
         {"Observation", "Provenance", "Practitioner"}),
        ([("_list", "1")], {"Observation", "List"}),
    ],
)  # fmt: skip
def test_a_query_says_whose_resources_it_looks_at(pairs, types):
    assert parse(*pairs).types == types


@pytest.mark.parametrize(
    ("pairs", "types"),
    [
        ([], set()),
        ([("_include", "Observation:subject:Group")], {"Group"}),
        ([("_include", "Observation:patient"), ("_revinclude", "Provenance:target")],
         {"Patient", "Group", "Provenance"}),
        ([("_include", "Observation:*")], None),
        ([("_include", "*")], None),
        ([("_revinclude", "*")], None),
        ([("_revinclude", "Provenance:*")], {"Provenance"}),
    ],
)  # fmt: skip
def test_a_query_says_what_it_may_include(pairs, types):
    assert parse(*pairs).included_types == types


HOSTILE = st.text("aA0-+.:/|,$\\ \n\0%é٣\u0301eEgltTZ#'\"();*", max_size=40)


@given(
    st.sampled_from(["code", "date", "value-quantity", "subject", "value-string", "_profile",
                     "_id", "_lastUpdated", "code-value-quantity", "_sort", "_include", "_count",
                     "code:not", "subject:identifier", "code:text", "_total", "_summary",
                     "subject.name", "_has:Provenance:target:agent", "_text", "_content", "_list",
                     "_elements", "_revinclude", "_profile:above", "_profile:below", "code:below"]),
    HOSTILE,
)  # fmt: skip
def test_whatever_is_written_is_a_query_or_a_clean_refusal(name, value):
    refused = None
    try:
        parse((name, value))
    except errors.PgoError as error:
        refused = error
    assert refused is None or (refused.status in {400, 422} and refused.place == name)
