"""What a Bundle asks for, when whoever wrote it meant harm or never read the specification."""

import pytest

from pgo.errors import PgoError
from pgo.fhir.bundle import read_bundle

ODD = [None, True, 1, "", "x", [], ["batch"], {}, {"a": 1}]


def batch(**request):
    return {"resourceType": "Bundle", "type": "batch", "entry": [{"request": request}]}


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("member", ["resourceType", "type", "entry"])
def test_a_member_of_another_kind_is_refused(member, odd):
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [{}]} | {member: odd}
    if (member, odd) == ("entry", []):
        assert read_bundle(sent).ops == ()
    else:
        with pytest.raises(PgoError) as refused:
            read_bundle(sent)
        assert refused.value.place.startswith("Bundle.")


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("member", ["method", "url", "ifMatch"])
def test_a_request_of_another_kind_is_refused_by_its_place(member, odd):
    request = {"method": "DELETE", "url": "Basic/a", "ifMatch": 'W/"1"'} | {member: odd}
    with pytest.raises(PgoError) as refused:
        read_bundle(batch(**request))
    assert refused.value.place == f"Bundle.entry[0].request.{member}"


@pytest.mark.parametrize("odd", ODD)
def test_an_entry_of_another_kind_is_refused(odd):
    with pytest.raises(PgoError) as refused:
        read_bundle({"resourceType": "Bundle", "type": "transaction", "entry": [odd]})
    assert refused.value.place == "Bundle.entry[0].request"
