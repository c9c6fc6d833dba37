"""Decimals as keys: they sort like numbers, exactly."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.fhir import decimals

NUMBERS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30)


@given(NUMBERS, NUMBERS)
def test_keys_sort_like_the_numbers(a, b):
    assert (decimals.key(a) < decimals.key(b)) == (a < b)
    assert (decimals.key(a) == decimals.key(b)) == (a == b)


@given(NUMBERS, NUMBERS)
def test_just_above_and_just_below_have_nothing_in_between(a, b):
    low, high = sorted((a, b))
    if low < high:
        assert decimals.key(low) < decimals.just_above(decimals.key(low)) < decimals.key(high)
        assert decimals.key(low) < decimals.just_below(decimals.key(high)) < decimals.key(high)


@given(NUMBERS)
def test_every_key_lies_between_the_ends(a):
    assert decimals.LOWEST < decimals.key(a) < decimals.HIGHEST


def test_what_a_float_cannot_tell_apart_a_key_can():
    near, far = Decimal(5), Decimal("5.0000000000000000000000000000000000000001")
    assert float(near) == float(far)
    assert decimals.key(near) < decimals.key(far)


@pytest.mark.parametrize("same", ["1.00", "1", "1.0e0", "100e-2"])
def test_the_way_a_number_is_written_does_not_change_its_key(same):
    assert decimals.key(Decimal(same)) == decimals.key(Decimal(1))


@pytest.mark.parametrize(
    ("written", "low", "high"),
    [
        ("100", "99.5", "100.5"),
        ("100.00", "99.995", "100.005"),
        ("1e2", "95", "105"),  # R4's own example
        ("1.0e2", "95", "105"),
        ("0", "-0.5", "0.5"),
        ("-5.4", "-5.45", "-5.35"),
        ("5.4e-3", "0.00535", "0.00545"),
        ("0.1", "0.05", "0.15"),
    ],
)
def test_a_number_stands_for_its_precision(written, low, high):
    assert decimals.implied_range(written) == (Decimal(low), Decimal(high))


def test_precision_of_a_long_number_is_not_rounded():
    long = "1234567890123456789012345678901234567890.5"
    assert decimals.implied_range(long)[0] == Decimal(long[:-1] + "45")


@pytest.mark.parametrize(
    "wrong", ["", "abc", "1,5", "NaN", "Infinity", "1e9999", "1" * 65, "--1", "1_000", "0x1", "٣"]
)
def test_what_is_not_a_number_is_refused(wrong):
    with pytest.raises(ValueError, match="number"):
        decimals.read(wrong)
