"""Which versions are asked for, and which the reader has already."""

import pytest

from pgo.errors import BadValue, Unsupported
from pgo.fhir.spans import Span, span
from pgo.fhir.unless import Unless, of_entry, of_headers

SECOND = 1_000_000
NEW_YEAR = 1_767_225_600 * SECOND  # 2026-01-01T00:00:00Z


def test_nothing_asked_is_everything_by_fifty():
    assert span([]) == Span(since=None, at=None, count=50, cursor="")


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("_count", "7", Span(count=7)),
        ("_count", "0", Span(count=1)),
        ("_count", "99999999999999999999", Span(count=200)),
        ("_since", "2026-01-01T00:00:00Z", Span(since=NEW_YEAR)),
        ("_since", "2026-01-01T01:00:00+01:00", Span(since=NEW_YEAR)),
        ("_since", "2026-01-01T01:00:00 01:00", Span(since=NEW_YEAR)),
        ("_since", "2026-01-01", Span(since=NEW_YEAR - 3600 * SECOND)),
        ("_at", "2026-01-01T00:00:00Z", Span(at=(NEW_YEAR, NEW_YEAR + SECOND))),
        ("_cursor", "ab", Span(cursor="ab")),
    ],
)
def test_what_a_parameter_means(name, value, expected):
    assert span([(name, value)]) == expected


@pytest.mark.parametrize(
    "pairs",
    [
        [("_count", "x")],
        [("_count", "-1")],
        [("_count", "²")],
        [("_count", "")],
        [("_since", "SECRET")],
        [("_at", "2026-13")],
        [("_at", "2026"), ("_at", "2027")],
    ],
)
def test_a_value_that_is_none_is_refused_by_its_name(pairs):
    with pytest.raises(BadValue) as caught:
        span(pairs)
    assert caught.value.place == pairs[0][0]
    assert "SECRET" not in caught.value.detail


def test_another_parameter_is_refused():
    with pytest.raises(Unsupported):
        span([("_sort", "date")])


@pytest.mark.parametrize(
    ("headers", "version", "at", "had"),
    [
        ({"if-none-match": 'W/"3"'}, 3, 0, True),
        ({"if-none-match": '"3"'}, 3, 0, True),
        ({"if-none-match": "3"}, 3, 0, True),
        ({"if-none-match": "3"}, 33, 0, False),
        ({"if-none-match": 'W/"1" , "3"'}, 3, 0, True),
        ({"if-none-match": "*"}, 3, 0, True),
        ({"if-none-match": 'W/"33"'}, 3, 0, False),
        ({"if-none-match": '""'}, 3, 0, False),
        ({"if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1, NEW_YEAR, True),
        ({"if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1, NEW_YEAR + 999_999, True),
        ({"if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1, NEW_YEAR + SECOND, False),
        (
            {"if-none-match": '"9"', "if-modified-since": "Thu, 01 Jan 2026 00:00:00 GMT"},
            1,
            NEW_YEAR,
            False,
        ),
    ],
)
def test_what_the_reader_has_already(headers, version, at, had):
    unless = of_headers(headers)
    assert unless is not None
    assert unless.had(version, at) is had


@pytest.mark.parametrize("date", ["", "gisteren", "Thu, 99 Jan 2026 00:00:00 GMT", "0" * 5000])
def test_a_date_that_is_none_does_not_count(date):
    assert of_headers({"if-modified-since": date}) is None
    assert of_headers({}) is None


@pytest.mark.parametrize("tags", ["", "x", "3,4", "W/3", '"1" "2"', '"1",', "W/*", '"' * 8001])
def test_what_is_no_list_of_tags_is_refused(tags):
    with pytest.raises(BadValue) as caught:
        of_headers({"if-none-match": tags})
    assert caught.value.place == "If-None-Match"


def test_an_entry_says_it_with_an_instant():
    made = of_entry({"ifModifiedSince": "2026-01-01T00:00:00Z"}, "p")
    assert made == Unless(since=NEW_YEAR)
    assert of_entry({"ifNoneMatch": 'W/"2"'}, "p") == Unless(frozenset({"2"}))
    assert of_entry({}, "p") is None
    with pytest.raises(BadValue) as caught:
        of_entry({"ifModifiedSince": 5}, "p")
    assert caught.value.place == "p.ifModifiedSince"
