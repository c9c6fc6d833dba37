"""What is hidden and what is not there take the same work, so that a clock tells nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from pgo import verdict
from pgo.caller import Caller
from pgo.errors import NotFound
from pgo.fhir.spans import Span

SAM = Caller(person="sam", name="Sam", scope=("user/*.rs",))
CARER = {"resourceType": "Practitioner", "name": [{"family": "Vos"}]}
PAPER = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGFsbG8="}


@pytest.fixture
async def some(home, make):
    """A dossier of which Sam may see appointments, and none are there; its ids by type."""
    client = await home.dossier()
    regie = home.house.regie(home.vault(client).caller, client)
    given = {"effect": "permit", "to_who": "sam", "actions": ["lezen"], "categories": ["afspraken"]}
    await regie.grant(given)
    trees = (make(1), CARER, PAPER)
    ids = await home.add(client, *trees)
    return client, dict(zip((tree["resourceType"] for tree in trees), ids, strict=True))


@pytest.fixture
def work(monkeypatch):
    """How often something was decided, by whatever way."""
    done, decide = Counter(), verdict.decide
    remembered = verdict.Verdict.decide

    def counted(*args, **more):
        done["decisions"] += 1
        return decide(*args, **more)

    def looked(self, *args, **more):
        done["looks"] += 1
        return remembered(self, *args, **more)

    monkeypatch.setattr(verdict, "decide", counted)
    monkeypatch.setattr(verdict.Verdict, "decide", looked)
    return done


async def refused(vault, how, type_, id_):
    ways = {
        "read": lambda: vault.read("r4", type_, id_),
        "vread": lambda: vault.vread("r4", type_, id_, 1),
        "history": lambda: vault.history("r4", type_, id_, Span(), ""),
    }
    with pytest.raises(NotFound) as answer:
        await ways[how]()
    return answer.value.detail, answer.value.place


@pytest.mark.parametrize("type_", ["Observation", "Practitioner", "Binary"])
@pytest.mark.parametrize("how", ["read", "vread", "history"])
async def test_as_much_is_decided_about_nothing_as_about_what_is_hidden(
    home, some, work, how, type_
):
    client, ids = some
    told, looks = [], []
    for id_ in (ids[type_], "niet-hier"):  # each time as another caller, who knows nothing yet
        work.clear()
        told.append(await refused(home.vault(client, replace(SAM)), how, type_, id_))
        looks.append(work["looks"])
        assert work["decisions"] <= work["looks"] + 2
    assert told[0] == told[1]
    assert looks[0] == looks[1] > 0


async def test_also_of_a_type_that_was_never_here(home, some, work):
    client, _ = some
    await refused(home.vault(client, SAM), "read", "Device", "niet-hier")
    assert work["looks"] > 0
