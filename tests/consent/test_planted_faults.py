"""Our tables notice every fault that can be planted in the rules, but for those listed here.

What is in `EQUIVALENT` decides the same as the rule without the fault; each says why. A name that
is in no list of faults any more fails too, so the list stays true.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

_SPEC = importlib.util.spec_from_file_location(
    "planted_faults", Path(__file__).with_name("planted.py")
)
planted = sys.modules[_SPEC.name] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(planted)

QUICK = "a short cut: what follows gives the same answer, later"
EQUIVALENT = {
    "labels.covered: never: if not sensitive": QUICK,
    "matching._data_touches: never: if grant.data_from is None and grant.data_to is None": QUICK,
    "matching.candidates: Gt -> GtE: len(actor.teams) > 1": "those of one team are in order",
    "matching.barred_for: 'gezin' -> 'x' (2)": "the word is for people; any word bars",
    "representation.bases: swapped not relations and not ages.dead(client, at)": QUICK,
    "representation.bases: never: if not relations": QUICK,
    "representation.moment_of: Lt -> LtE: died < at": "both sides are the same moment then",
    "seals.closed: dropped labels.isdisjoint(SEALS) of labels.isdisjoint(SEALS) or"
    " asking.actor.id in (asking.resource.author, asking.client.id)": QUICK,
    "denies.standing: never: if not found": QUICK,
    "delegation.has_standing: always: representation.living(asking.world, client, relations, made)"
    " if relations else ()": QUICK,
    "delegation._could_give: dropped frozenset() of basis.labels or frozenset()": (
        "a mandate always has a set of labels; the other half is for the type checker"
    ),
    "delegation.chain: dropped parent.to_who in people of parent is None or"
    " parent.to_who in people": (
        "depth falls along a chain, so none comes back to where it was; this is a second lock"
    ),
    "asking.Asking.own_record: swapped not self.org and resource.org": (
        "without an organisation in the token no record's organisation is equal to it"
    ),
    "asking.Asking.own_record: dropped author.id == self.actor.id of author.id == self.actor.id or"
    " self.org in author.orgs": "who acts for an organisation is its member, else step 0 ended it",
    "asking.ask: dropped request.person of request.person or world.person(request.actor)": (
        "a table has no such member; test_decide sees it"
    ),
    "entry._out_of_scope: dropped asking.action not in ACTIONS of not asking.request.scope_ok or"
    " asking.action not in ACTIONS": "a table with such a row is not read; test_decide sees it",
    "entry._management_limited: dropped request.restrictive of request.restrictive and"
    " request.grant_to == asking.actor.id": "widening towards oneself ended one check earlier",
    "entry.CHECKS: swapped ('DOEL_ONTBREEKT', _no_purpose) and"
    " ('DOEL_VERBODEN', _forbidden_purpose)": "no purpose is both missing and forbidden",
    "decide._emergency: always: emergency.refusal(asking, declared) if declared else ''": (
        "it is called with a declared emergency only; the other half is for the type checker"
    ),
}


@pytest.fixture(scope="module")
def tables():
    """The rows, asked of the rules as they are first."""
    read = planted.tables()
    assert planted.noticed(read) == ""
    return read


def unnoticed(module, tables):
    """How many faults were planted in a module, and the names of those no row noticed."""
    count, missed = 0, set()
    for fault in planted.faults(module):
        count += 1
        with planted.planted(fault) as deciding:
            if deciding is not None and not planted.noticed(tables, deciding):
                missed.add(fault.name)
    return count, missed


@pytest.mark.parametrize("module", planted.RULES)
def test_every_fault_in_the_rules_is_noticed_by_a_row(module, tables):
    count, missed = unnoticed(module, tables)
    assert missed == {name for name in EQUIVALENT if name.startswith(f"{module}.")}
    assert count >= {"decide": 60, "ages": 10, "labels": 10}.get(module, 30)


def test_faults_have_names_of_their_own_and_planting_them_leaves_no_trace(tables):
    names = [fault.name for fault in planted.faults("decide")]
    assert len(set(names)) == len(names)
    real = sys.modules["pgo.consent.decide"]
    with planted.planted(next(planted.faults("entry"))) as deciding:
        assert deciding is not real
        assert planted.noticed(tables, deciding)
    assert sys.modules["pgo.consent.decide"] is real
    assert planted.noticed(tables, sys.modules["pgo.consent.decide"]) == ""
