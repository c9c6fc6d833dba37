"""Example instances through the provider push: taken in, read back as sent, and found."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pgo.demo.published import _words, load_examples
from pgo.errors import BadValue
from pgo.fhir import text
from pgo.house import open_house
from pgo.keyfile import make_key
from pgo.settings import load

OUTSIDE = Path(__file__).resolve().parents[2] / "../shared/data/fhir"
R4, STU3 = "Nictiz-R4-zib2020/examples", "Nictiz-STU3-Zib2017/Examples"
XHTML = 'xmlns="http://www.w3.org/1999/xhtml"'
# Reasons for which a published example may be refused: none is, at present.
KNOWN_REASONS: set[tuple[str, str]] = set()


async def loaded(folder, examples, *, times=1):
    """The reports of loading so many times into one store, and the heads after each."""
    settings = load(store=f"sqlite:///{folder}/pgo.db", key_file=folder / "pgo.key")
    make_key(settings.key_file, development=True)
    reports, heads, told = [], [], []
    async with open_house(settings) as house:
        for _ in range(times):
            reports.append(await load_examples(house, examples, told.append))
            clients = [client for client in await house.store.clients() if client != "system"]
            heads.append({client: await house.store.head(client) for client in clients})
    assert told
    return reports, heads


def patient(**members):
    return {"resourceType": "Patient", "id": "p", "gender": "female", **members}


def observation(id_, value, **members):
    code = {"coding": [{"system": "http://loinc.org", "code": "8310-5"}]}
    quantity = f'{{"unit":"Cel","value":{value}}}'
    made = {"resourceType": "Observation", "id": id_, "status": "final", "code": code,
            "subject": {"reference": "Patient/p"}, **members}  # fmt: skip
    return json.dumps(made)[:-1] + f', "valueQuantity": {quantity}}}'


@pytest.fixture
def made_up(tmp_path):
    """A folder laid out as the published ones, with made-up instances."""
    folder = tmp_path / "made-up"
    (folder / R4).mkdir(parents=True)
    (folder / STU3).mkdir(parents=True)
    bsn = {"system": "http://fhir.nl/fhir/NamingSystem/bsn", "value": "999990019"}
    home = {"line": ["Dorpsstraat 1"], "city": "Ommen"}
    image = {
        "status": "generated",
        "div": f'<div {XHTML}><img src="javascript:1"/></div>',
    }
    files = {
        f"{R4}/p.json": json.dumps(patient(identifier=[bsn], address=[home])),
        f"{R4}/a.json": observation("a", "5.40", effectiveDateTime="2024-03-09T23:30:00+01:00"),
        f"{R4}/b.json": observation("b", "1e2", effectivePeriod={"start": "2024-03"}),
        f"{R4}/c.json": observation("c", "6", text=image, hasMember=[{"reference": "Patient/p"}]),
        f"{R4}/d.json": '{"resourceType": "Location", "id": "d", "id": "e"}',
        f"{STU3}/p.json": json.dumps(patient(birthDate="1950-05")),
    }
    for name, words in files.items():
        (folder / name).write_text(words, encoding="utf-8")
    return folder


async def test_what_can_be_taken_is_and_every_refusal_is_named_with_its_reason(tmp_path, made_up):
    ((report,), _) = await loaded(tmp_path, made_up)
    r4, stu3 = report["releases"]
    assert (r4["files"], r4["dossiers"], r4["sent"], r4["accepted"]) == (5, 1, 4, 3)
    assert (r4["masked"], r4["equal"], stu3["accepted"], stu3["equal"]) == (1, 3, 1, 1)
    assert r4["searches"] == r4["agreeing"] == 10
    assert report["different"] == report["disagreeing"] == []
    refused = {one["files"][0]: (one["code"], one["places"]) for one in report["refused"]}
    assert refused == {"c.json": ("value", ["Observation.text.div"]), "d.json": ("unread", [])}


async def test_a_second_time_nothing_is_added(tmp_path, made_up):
    (first, second), (before, after) = await loaded(tmp_path, made_up, times=2)
    assert before == after
    assert [one["created"] for one in first["releases"]] == [3, 1]
    assert [one["created"] for one in second["releases"]] == [0, 0]
    assert [one["unchanged"] for one in second["releases"]] == [3, 1]


async def test_a_folder_without_examples_is_refused_by_name(tmp_path):
    with pytest.raises(BadValue, match=R4):
        await loaded(tmp_path, tmp_path)


@pytest.mark.parametrize(
    "changed",
    [
        '{"resourceType":"Observation","id":"a","value":5.4,"status":"final"}',
        '{"resourceType":"Observation","id":"a","status":"final","value":5.40}',
        '{"resourceType":"Observation","id":"a","meta":{"profile":[]},"value":5.40,"status":"final"}',
    ],
)
def test_another_lexeme_order_or_profile_does_not_count_as_read_back(changed):
    sent = text.parse(b'{"resourceType":"Observation","id":"a","value":5.40,"status":"final"}')
    stamped = sent | {"meta": {"versionId": "1"}, "id": "b"}
    assert _words(stamped) == _words(sent)
    assert _words(text.parse(changed.encode())) != _words(sent)


@pytest.mark.outside
@pytest.mark.skipif(
    not OUTSIDE.is_dir(), reason="the outside test data are not beside the checkout"
)
async def test_every_published_example_is_taken_read_back_and_found(tmp_path):
    (first, second), (before, after) = await loaded(tmp_path, OUTSIDE, times=2)
    r4, stu3 = first["releases"]
    assert (r4["files"], r4["dossiers"], r4["sent"], r4["accepted"]) == (271, 10, 273, 273)
    assert (stu3["files"], stu3["dossiers"], stu3["sent"], stu3["accepted"]) == (208, 9, 237, 237)
    assert {(one["code"], one["why"]) for one in first["refused"]} <= KNOWN_REASONS
    for one in (*first["releases"], *second["releases"]):
        assert one["equal"] == one["accepted"]
        assert one["agreeing"] == one["searches"] > 900
        assert one["masked"] > 0
    assert first["different"] == first["disagreeing"] == []
    assert [one["created"] for one in second["releases"]] == [0, 0]
    assert before == after
