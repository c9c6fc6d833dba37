"""What a line says, and what it refuses to say."""

import dataclasses
from datetime import UTC, datetime

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pgo.audit.catalogue import EVENTS, NotInCatalogue
from pgo.audit.entry import LISTED, Entry, pack, unpack, who
from pgo.caller import Caller, Emergency

READ = Entry(1_000, "read", person="samira", resources=("CarePlan/1@2",))


def test_a_line_says_only_what_it_has_to_say():
    assert orjson.loads(pack(READ)) == {
        "at": 1000,
        "interaction": "read",
        "person": "samira",
        "resources": ["CarePlan/1@2"],
    }


def test_an_unknown_event_is_a_programming_error():
    with pytest.raises(NotInCatalogue, match="no such event"):
        pack(Entry(1, "peek"))


def test_a_field_the_event_may_not_carry_is_a_programming_error():
    with pytest.raises(NotInCatalogue, match="read may not carry query"):
        pack(dataclasses.replace(READ, query="Observation?code=1"))


@pytest.mark.parametrize("wrong", [{"outcome": 3}, {"action": "X"}])
def test_only_the_codes_of_the_norm_are_written(wrong):
    with pytest.raises(NotInCatalogue, match="NEN 7513"):
        pack(dataclasses.replace(READ, **wrong))


def test_each_event_lists_only_fields_that_exist_and_an_action_of_the_norm():
    known = {field.name for field in dataclasses.fields(Entry)}
    for event in EVENTS.values():
        assert event.fields <= known
        assert event.action in set("CRUDE")
        assert {"at", "interaction", "outcome"} <= event.fields


def test_the_catalogue_cannot_be_changed_while_running():
    with pytest.raises(TypeError):
        EVENTS["peek"] = EVENTS["read"]


def test_many_resources_are_counted_and_the_first_are_named():
    names = tuple(f"Observation/{i}@1" for i in range(LISTED + 7))
    kept = unpack(pack(Entry(1, "search-type", resources=names)))
    assert kept.resources == names[:LISTED]
    assert kept.touched == LISTED + 7


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("Patient?identifier=http://x|999990019", "Patient?identifier=http://x|*********"),
        ("Patient?identifier=x%7C999990019", "Patient?identifier=x%7C*********"),
        ("Patient?a=%20999990019&b=1", "Patient?a=%20*********&b=1"),
        ("Observation?date=2026-03-03", "Observation?date=2026-03-03"),
        ("Observation?_id=123456789", "Observation?_id=123456789"),
    ],
)
def test_a_citizen_number_in_what_was_asked_is_masked(asked, kept):
    assert unpack(pack(Entry(1, "search-type", query=asked))).query == kept


def test_a_long_question_is_cut_where_one_can_see_it():
    kept = unpack(pack(Entry(1, "search-type", query="x" * 20_000))).query
    assert len(kept) == 16_000
    assert kept.endswith("…")


def test_half_a_character_does_not_stop_a_line_from_being_written():
    assert unpack(pack(Entry(1, "read", name="Sam\ud800"))).name == "Sam\\ud800"


def test_a_line_of_a_later_version_can_still_be_read():
    later = orjson.dumps({"at": 1, "interaction": "read", "colour": "red"})
    assert unpack(later) == Entry(1, "read")


@pytest.mark.parametrize("plain", [b"", b"{", b"[]", b"{}", b'{"at":1}', b'"text"', b"\xff"])
def test_what_is_not_a_line_is_refused(plain):
    with pytest.raises(ValueError):  # noqa: PT011 - the class is the promise
        unpack(plain)


def test_the_caller_is_written_down_with_emergency_and_without_the_token():
    opened = datetime(2026, 3, 3, tzinfo=UTC)
    caller = Caller("p1", "zorgverlener", "Noor", app="a1", token="ab12" * 4)
    caller = dataclasses.replace(caller, emergency=Emergency("BTG", "buiten bewustzijn", opened))
    line = unpack(pack(Entry(1, "read", **who(caller))))
    assert (line.person, line.kind, line.name) == ("p1", "zorgverlener", "Noor")
    assert (line.emergency_code, line.emergency_reason) == ("BTG", "buiten bewustzijn")


@given(
    st.builds(
        Entry,
        at=st.integers(0, 2**53),
        interaction=st.just("search-type"),
        outcome=st.sampled_from([0, 4, 8, 12]),
        name=st.text(st.characters(codec="utf-8", categories=("L", "P", "Z")), max_size=50),
        grants=st.lists(st.text("abc-", max_size=5), max_size=3).map(tuple),
        categories=st.lists(st.tuples(st.text("ab", max_size=3), st.integers(0, 9))).map(tuple),
        total=st.integers(0, 10**6),
        n=st.integers(0, 10**9),
    )
)
def test_what_is_written_is_what_is_read(entry):
    assert unpack(pack(entry)) == entry
