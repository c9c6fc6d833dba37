"""What a Bundle asks for, when whoever wrote it meant harm or never read the specification."""

import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from pgo.errors import PgoError
from pgo.fhir.bundle import read_bundle, resolve

ODD = [None, True, 1, "", "x", [], ["batch"], {}, {"a": 1}]


def bundle(kind, **request):
    return {"resourceType": "Bundle", "type": kind, "entry": [{"request": request}]}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("member", ["resourceType", "type", "entry"])
def test_a_member_of_another_kind_is_refused(member, odd):
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [{}]} | {member: odd}
    if member == "entry" and isinstance(odd, list):
        assert all(op.fault is not None for op in read_bundle(sent).ops)
    else:
        with pytest.raises(PgoError) as refused:
            read_bundle(sent)
        assert refused.value.place.startswith("Bundle.")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("member", ["method", "url", "ifMatch"])
def test_a_request_of_another_kind_is_refused_by_its_place(member, odd):
    request = {"method": "DELETE", "url": "Basic/a", "ifMatch": 'W/"1"'} | {member: odd}
    with pytest.raises(PgoError) as refused:
        read_bundle(bundle("transaction", **request))
    assert refused.value.place == f"Bundle.entry[0].request.{member}"
    (op,) = read_bundle(bundle("batch", **request)).ops
    assert (type(op.fault), op.fault.place) == (type(refused.value), refused.value.place)


@pytest.mark.parametrize("odd", ODD)
def test_an_entry_of_another_kind_is_refused(odd):
    with pytest.raises(PgoError) as refused:
        read_bundle({"resourceType": "Bundle", "type": "transaction", "entry": [odd]})
    assert refused.value.place == "Bundle.entry[0].request"


LOST = {"reference": "urn:uuid:0f3f0000-0000-4000-8000-00000000000a"}


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"subject": LOST}, "Basic.subject.reference"),
        ({"a": [{"b": 1}, {"c": [[], LOST]}]}, "Basic.a[1].c[1].reference"),
        ({"a": {"reference": "Organization?identifier=1"}}, "Basic.a.reference"),
    ],
)
def test_a_reference_to_nothing_is_named_by_its_place(tree, place):
    with pytest.raises(PgoError) as refused:
        resolve(tree, {}, "Patient/p", "Basic")
    assert refused.value.place == place


def test_references_and_links_in_narrative_follow_the_names_and_nothing_else_changes():
    url = LOST["reference"]
    tree = {
        "z": [LOST, {"reference": "Patient?x=1"}, {"reference": "Basic/b", "display": url}],
        "text": {"div": f"<a href='{url}'/>"},
        "a": {"reference": {"reference": url}, "value": None},
    }
    found = resolve(tree, {url: "Goal/g"}, "Patient/p", "Basic")
    assert list(found) == ["z", "text", "a"]
    assert [one["reference"] for one in found["z"]] == ["Goal/g", "Patient/p", "Basic/b"]
    assert found["z"][2]["display"] == url
    assert found["text"]["div"] == "<a href='Goal/g'/>"
    assert found["a"] == {"reference": {"reference": "Goal/g"}, "value": None}
    assert tree["z"][0] == LOST


def test_a_bundle_that_is_kept_keeps_the_references_between_its_own_entries():
    url, lost = "urn:uuid:0f3f", "urn:uuid:1f3f"
    inner = {"fullUrl": url, "resource": {"resourceType": "Patient"}}
    about = {"resource": {"resourceType": "Basic", "subject": {"reference": url}}}
    kept = {"resourceType": "Bundle", "type": "collection", "entry": [inner, about]}
    assert resolve(kept, {url: "Patient/other"}, "Patient/p", "Bundle") == kept
    about["resource"]["author"] = {"reference": lost}
    with pytest.raises(PgoError) as caught:
        resolve(kept, {}, "Patient/p", "Bundle")
    assert caught.value.place == "Bundle.entry[1].resource.author.reference"
    around = {"resourceType": "Basic", "subject": {"reference": url}, "contained": [kept]}
    del about["resource"]["author"]
    assert resolve(around, {url: "Patient/p"}, "", "Basic")["subject"]["reference"] == "Patient/p"


WORDS = st.sampled_from(
    [
        *("Goal/g", "Patient/p", "Patient?identifier=x", "Goal?code=x", "urn:uuid:0f3f", "urn:x"),
        *("urn:oid:1.2", "Group/999990019", "999990019", "https://x.test/Goal/999990019", "#a"),
    ]
)
INSIDE = st.recursive(
    WORDS | st.none() | st.booleans(),
    lambda one: (
        st.lists(one, max_size=2)
        | st.dictionaries(
            st.sampled_from(["reference", "id", "url", "div", "entry", "subject"]), one, max_size=3
        )
    ),
    max_leaves=8,
)


@examples(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["id", "reference", "x", "contained"]), INSIDE, max_size=3))
def test_a_resource_is_the_same_whether_it_is_looked_through_or_not(inside):
    tree = {"resourceType": "Basic", **inside}

    def outcome(names):
        try:
            return resolve(tree, names, "Patient/own", "Basic")
        except PgoError as error:
            return [(issue.place, issue.detail) for issue in error.issues]

    found, looked_through = outcome({}), outcome({"Goal/nobody": "Goal/g"})
    assert found == looked_through


def test_a_resource_without_anything_to_resolve_is_not_copied():
    tree = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}, "subject": {"display": "y"}}
    assert resolve(tree, {}, "Patient/own", "Basic") is tree
    tree["subject"] = {"reference": "Patient?identifier=x"}
    assert resolve(tree, {}, "Patient/own", "Basic")["subject"] == {"reference": "Patient/own"}
