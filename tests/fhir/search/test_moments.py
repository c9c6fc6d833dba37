"""Dates as intervals: partial dates, zones, Dutch local time."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.fhir.moments import interval
from pgo.moment import micros


def at(text):
    return micros(datetime.fromisoformat(text))


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024", "2023-12-31T23:00:00+00:00", "2024-12-31T23:00:00+00:00"),
        ("2024-02", "2024-01-31T23:00:00+00:00", "2024-02-29T23:00:00+00:00"),
        ("2024-07-01", "2024-06-30T22:00:00+00:00", "2024-07-01T22:00:00+00:00"),
        # summer time starts and ends: 23 and 25 hours
        ("2024-03-31", "2024-03-30T23:00:00+00:00", "2024-03-31T22:00:00+00:00"),
        ("2024-10-27", "2024-10-26T22:00:00+00:00", "2024-10-27T23:00:00+00:00"),
        # no zone is Dutch local time
        ("2024-07-01T10:00:00", "2024-07-01T08:00:00+00:00", "2024-07-01T08:00:01+00:00"),
        ("2024-01-01T10:00", "2024-01-01T09:00:00+00:00", "2024-01-01T09:01:00+00:00"),
        # the hour that comes twice is the first; the hour that never comes is moved
        ("2024-10-27T02:30:00", "2024-10-27T00:30:00+00:00", "2024-10-27T00:30:01+00:00"),
        ("2024-03-31T02:30:00", "2024-03-31T01:30:00+00:00", "2024-03-31T01:30:01+00:00"),
        ("2024-07-01T10:00:00Z", "2024-07-01T10:00:00+00:00", "2024-07-01T10:00:01+00:00"),
        ("2024-07-01T10:00:00+02:00", "2024-07-01T08:00:00+00:00", "2024-07-01T08:00:01+00:00"),
        ("2024-07-01T10:00:00-05:30", "2024-07-01T15:30:00+00:00", "2024-07-01T15:30:01+00:00"),
        ("2024-07-01T10:00:00.5Z", "2024-07-01T10:00:00.5+00:00", "2024-07-01T10:00:00.6+00:00"),
        (
            "2024-07-01T10:00:00.123456789Z",
            "2024-07-01T10:00:00.123456+00:00",
            "2024-07-01T10:00:00.123457+00:00",
        ),
        # before 1977 local time is UTC+1
        ("1930-05-01", "1930-04-30T23:00:00+00:00", "1930-05-01T23:00:00+00:00"),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00+00:00", "2017-01-01T00:00:01+00:00"),
    ],
)
def test_a_moment_is_a_half_open_interval(text, start, end):
    assert interval(text) == (at(start), at(end))


def test_the_last_year_of_the_calendar_has_an_end():
    low, high = interval("9999-12-31")
    assert high - low == 24 * 3600 * 10**6
    assert interval("9999")[1] == high


@pytest.mark.parametrize(
    "wrong",
    [
        "",
        "24",
        "2024-13",
        "2024-00-10",
        "2023-02-29",
        "2024-1-1",
        "2024-01-01T25:00:00Z",
        "2024-01-01T10",
        "2024-01-01T10:61",
        "2024-01-01T10:00:00+99:00",
        "2024-01-01 10:00",
        "0000-01-01",
        "2024-01-01T10:00:00Zx",
        "٢٠٢٤",
        "-2024",
    ],
)
def test_what_is_not_on_the_calendar_is_refused(wrong):
    with pytest.raises(ValueError, match=r"."):
        interval(wrong)


def day(year, month, number):
    return datetime(year, month, number)  # noqa: DTZ001 - local time is what is tested


def amsterdam():
    try:
        return ZoneInfo("Europe/Amsterdam")
    except ZoneInfoNotFoundError:
        pytest.skip("this machine has no time zone tables")


@given(st.datetimes(day(1977, 1, 1), day(2037, 12, 30)))
def test_local_time_is_that_of_the_official_tables(local):
    local = local.replace(microsecond=0)
    assert interval(local.isoformat())[0] == micros(local.replace(tzinfo=amsterdam()))


@pytest.mark.parametrize("year", range(1977, 2038))
def test_summer_time_changes_in_the_right_hour_of_the_right_day(year):
    zone = amsterdam()
    hours = [day(year, 3, 24) + timedelta(hours=n) for n in range(16 * 24)]
    hours += [day(year, 9, 20) + timedelta(hours=n) for n in range(45 * 24)]
    wrong = [
        hour for hour in hours if interval(hour.isoformat())[0] != micros(hour.replace(tzinfo=zone))
    ]
    assert wrong == []
