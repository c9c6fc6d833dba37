"""What others typed cannot steer a screen, hide, or break a line (T11)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.plain.clean import clean, listed, short


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("Samira", "Samira"),
        ("Sam\nira", "Sam ira"),
        ("Sam\r\n\tira", "Sam ira"),
        ("\x1b[31mSamira\x1b[0m", "Samira"),
        ("\x1b]0;title\x07Samira", "Samira"),
        ("\x1b]8;;https://x\x1b\\Samira\x1b]8;;\x1b\\", "Samira"),
        ("\x9b2JSamira", "Samira"),
        ("Sam\u202eari", "Samari"),
        ("\u2066Samira\u2069", "Samira"),
        ("Sam\u200bi\u200dra\ufeff", "Samira"),
        ("Sam\u2028ira\u2029", "Sam ira"),
        ("Sam\x00ira\x07", "Samira"),
        ("Sam\ud800ira", "Samira"),
        ("  Jan   de  Vries ", "Jan de Vries"),
        ("Zoe\u0308", "Zoë"),
        ("O'Brien-de Wit, MSc.", "O'Brien-de Wit, MSc."),
    ],
)
def test_only_what_can_be_read_is_left(typed, shown):
    assert clean(typed) == shown


@given(st.text(st.characters(), max_size=200))
def test_whatever_is_typed_becomes_one_harmless_line(typed):
    shown = clean(typed)
    assert len(shown) <= 80
    assert shown == shown.strip()
    bad = {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    assert not bad & {unicodedata.category(sign) for sign in shown}


def test_a_long_name_is_cut_where_one_can_see_it():
    assert clean("a" * 100, 10) == "a" * 9 + "…"


def test_a_few_words_of_many():
    assert short("een twee drie", 3) == "een twee drie"
    assert short("een twee drie vier", 3) == "een twee drie…"


def test_lists_read_as_in_dutch():
    assert [listed(list("abc"[:n])) for n in range(4)] == ["", "a", "a en b", "a, b en c"]
