"""The strict JSON reader: what comes in goes out, and what cannot be kept is refused with 400."""

import json

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pgo.errors import BadRequest, BadValue, Malformed
from pgo.fhir import text

LEXEMES = ["0", "1", "-1", "1.00", "0.0", "1e5", "1E+05", "-0.50", "1.0e-10", "9223372036854775807"]


@pytest.mark.parametrize("lexeme", [*LEXEMES, "-9223372036854775808", "0." + "1" * 62])
def test_a_number_keeps_its_lexeme(lexeme):
    raw = b'{"value":' + lexeme.encode() + b"}"
    tree = text.parse(raw)
    assert text.dump(tree) == raw
    assert text.number(tree["value"]) == lexeme
    assert text.number(text.fragment(lexeme)) == lexeme


def test_member_order_and_nulls_are_kept():
    raw = b'{"z":[null,{"b":true,"a":"\xc3\xa9"}],"a":{},"m":"","0":[]}'
    assert text.dump(text.parse(raw)) == raw


def test_escapes_become_characters():
    tree = text.parse(b'{"a":"\\u00e9\\n\\t\\r\\"\\\\u0000 \\ud83d\\ude00"}')
    assert tree == {"a": 'é\n\t\r"\\u0000 😀'}


def test_plain_gives_numbers_for_checks():
    plain = text.plain(text.parse(b'{"a":1.10,"b":[2,"x",null,true]}'))
    assert str(plain["a"]) == "1.10"
    assert plain["b"] == [2, "x", None, True]


REFUSED = {
    "utf-16": '{"a":1}'.encode("utf-16"),
    "utf-32": '{"a":1}'.encode("utf-32-be"),
    "byte order mark": b'\xef\xbb\xbf{"a":1}',
    "latin-1": b'{"a":"\xe9"}',
    "surrogate in utf-8": b'{"a":"\xed\xa0\x80"}',
    "nan": b'{"a":NaN}',
    "infinity": b'{"a":[-Infinity]}',
    "duplicate": b'{"a":{"b":1,"b":2}}',
    "duplicate by escape": b'{"a":1,"\\u0061":2}',
    "lone surrogate": b'{"a":"\\ud800"}',
    "lone low surrogate": b'{"a":"x\\uDC00"}',
    "surrogate in a name": b'{"\\ud800":1}',
    "nul": b'{"a":"\\u0000"}',
    "raw nul": b'{"a":"\x00"}',
    "backspace": b'{"a":"\\b"}',
    "form feed in a list": b'{"a":["\\f"]}',
    "raw newline": b'{"a":"\n"}',
    "minus zero": b'{"a":-0}',
    "minus zero point zero": b'{"a":-0.0}',
    "minus zero with exponent": b'{"a":-0e5}',
    "65 bits": b'{"a":9223372036854775808}',
    "65 bits negative": b'{"a":-9223372036854775809}',
    "65 digits": b'{"a":0.' + b"1" * 63 + b"}",
    "5000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "huge exponent": b'{"a":1e999999999}',
    "plus": b'{"a":+1}',
    "leading zero": b'{"a":01}',
    "list on top": b"[]",
    "number on top": b"1",
    "nothing": b"",
    "spaces": b"  ",
    "rest": b'{"a":1} {"b":2}',
    "comma": b'{"a":1,}',
    "comment": b'{"a":1}//x',
    "single quotes": b"{'a':1}",
    "open": b'{"a":',
    "257 members": json.dumps({str(i): i for i in range(257)}).encode(),
    "65 deep": b'{"a":' * 64 + b"{}" + b"}" * 64,
    "arrays too deep": b'{"a":' + b"[" * 64 + b"]" * 64 + b"}",
    "hidden depth": b'{"x":"]]]]}}}}","a":' + b"[" * 64 + b"]" * 64 + b"}",
    "100000 deep": b'{"a":' * 100_000,
    "100000 arrays": b"[" * 100_000,
    "33 nested extensions": b'{"extension":[' * 33 + b'{"url":"x"}' + b"]}" * 33,
    "long string": b'{"a":"' + b"x" * 1_000_001 + b'"}',
    "long name": b'{"' + b"x" * 1_000_001 + b'":1}',
}


@pytest.mark.parametrize("raw", REFUSED.values(), ids=REFUSED.keys())
def test_it_is_refused_with_400_and_without_a_word_of_it(raw):
    with pytest.raises(BadRequest) as caught:
        text.parse(raw, place="Bundle.entry[3].resource")
    assert caught.value.status == 400
    assert caught.value.place.startswith("Bundle.entry[3].resource")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


PLACES = [
    (b'{"a":1,\n "b":{"c":1,\n  "c":2}}', Malformed, "line 3, column 3"),
    (b'{"a":\n -0.00}', BadValue, "line 2, column 2"),
    (b'{"a":1,\n"b":"\\ud800"}', BadValue, "line 2, column 5"),
    (b'{"a":NaN}', BadValue, "line 1, column 6"),
    (b'{"a":1,\n', Malformed, "line 2, column 1"),
    (b'{"a":' * 65, Malformed, "line 1, column 321"),
]


@pytest.mark.parametrize(("raw", "error", "place"), PLACES)
def test_the_error_says_where(raw, error, place):
    with pytest.raises(error) as caught:
        text.parse(raw)
    assert caught.value.place == place


def test_a_secret_next_to_the_fault_is_not_repeated():
    for raw in (b'{"SECRET":1,"SECRET":2}', b'{"a":"SECRET\\ud800"}', b'{"a":SECRET}'):
        with pytest.raises(BadRequest) as caught:
            text.parse(raw)
        assert "SECRET" not in f"{caught.value.detail}{caught.value.place}{caught.value.issues}"


@pytest.mark.parametrize("member", ["data", "content"])
def test_base64_may_be_longer_than_other_strings(member):
    raw = b'{"' + member.encode() + b'":"' + b"A" * 1_200_000 + b'"}'
    assert len(text.parse(raw)[member]) == 1_200_000


def test_the_limits_themselves_are_allowed():
    deep = b'{"a":' * 63 + b"{}" + b"}" * 63
    many = json.dumps({str(i): i for i in range(256)}).encode()
    long = b'{"a":"' + b"x" * 1_000_000 + b'"}'
    wide = b'{"a":[' + b",".join([b'{"b":"}}]]"}'] * 500) + b"]}"
    for raw in (deep, many, long, wide):
        text.parse(raw)


TREES = st.recursive(
    st.none()
    | st.booleans()
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=8)
    | st.sampled_from(LEXEMES).map(text.fragment),
    lambda one: st.lists(one, max_size=4) | st.dictionaries(st.text("abc", max_size=3), one),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.text("abc", max_size=3), TREES))
def test_what_was_printed_reads_back_the_same(tree):
    raw = text.dump(tree)
    assert text.dump(text.parse(raw)) == raw


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60) | st.text('{}[]":,\\-01.eEaNu', max_size=40).map(str.encode))
def test_any_bytes_give_a_tree_or_a_400(raw):
    try:
        tree = text.parse(raw)
    except BadRequest:
        return
    assert orjson.loads(text.dump(tree)) == json.loads(raw)
