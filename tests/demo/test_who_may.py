"""Who sees what in the demo families, decided by the rules that serve requests."""

from datetime import date

import pytest

from pgo.consent.categories import classify
from pgo.consent.check import check
from pgo.consent.presets import PRESETS
from pgo.demo import families

TODAY = date(2026, 11, 22)  # a Sunday
NOON = "2026-11-22T12:00:00+01:00"
ALL = families(TODAY)


def world():
    people = [account for family in ALL for account in (family.client, *family.accounts)]
    kept = ("birth", "kind", "orgs", "teams", "wilsonbekwaam")
    persons = {}
    for one in people:
        known = persons.setdefault(one["id"], {})
        known.update({key: one[key] for key in kept if key in one})
    relations = [relation for family in ALL for relation in family.relations]
    grants = [grant for family in ALL for grant in family.grants]
    return {"persons": persons, "relations": relations, "grants": grants}


def case(actor, client, category, permit, **more):
    """One row; `more` may hold at, action, org, role, reason and labels."""
    reason = {"reason": more.pop("reason")} if "reason" in more else {}
    resource = {"category": category, "client": client, "labels": more.pop("labels", [])}
    request = {"actor": actor, "client": client, "action": "lezen", "purpose": "PATRQT",
               "at": NOON, "resource": resource} | more  # fmt: skip
    name = f"{actor}-{client}-{category}-{more.get('at', '')[:16]}"
    return {"id": name, "permit": permit, "request": request} | reason


HELP = {"org": "coophulp", "purpose": "CAREMGT"}
NIGHT = {"org": "thuisnacht", "role": "verpleegkundige", "purpose": "TREAT"}
HUT = {"org": "dehut", "purpose": "TREAT"}
MOLEN = {"org": "demolen", "purpose": "TREAT"}

CASES = [
    case("p-marjan", "fenna", "medicatie", True, reason="VERTEGENWOORDIGER:minderjarig<12"),
    case("p-jeroen", "fenna", "gezin", True),
    case("fenna", "fenna", "medicatie", False),
    case("p-anja", "fenna", "medicatie", False, reason="GEEN_TOESTEMMING"),
    case("p-oma-tineke", "fenna", "paspoort", True),
    case("p-oma-tineke", "fenna", "medicatie", False),
    case("p-esther", "fenna", "medicatie", True, **NIGHT),
    case("p-esther", "fenna", "uitslagen", False, **NIGHT),
    case("p-esther", "fenna", "berichten", True, action="toevoegen", **NIGHT),
    case("p-esther", "fenna", "verslagen", True, action="toevoegen", **NIGHT),
    case("p-esther", "fenna", "berichten", False, action="wijzigen", **NIGHT),
    case("p-bram", "fenna", "medicatie", False, **NIGHT),
    case("p-hut-lies", "fenna", "berichten", True, action="toevoegen", **HUT),
    case("p-hut-lies", "fenna", "medicatie", True, **HUT),
    case("p-hut-lies", "fenna", "medicatie", False, at="2026-11-24T12:00:00+01:00", **HUT),
    case("p-hut-lies", "fenna", "medicatie", True, at="2026-11-27T16:00:00+01:00", **HUT),
    case("p-hut-lies", "fenna", "medicatie", False, at="2026-11-22T19:00:00+01:00", **HUT),
    case("p-smit", "fenna", "uitslagen", True, org="delinde", role="avg", purpose="TREAT"),
    case("p-smit", "fenna", "gezin", False, org="delinde", role="avg", purpose="TREAT"),
    case("p-samira", "fenna", "uitslagen", True, **HELP),
    case("p-samira", "fenna", "gezin", True, **HELP),
    case("p-samira", "fenna", "dagboek", False, **HELP),
    case("p-samira", "fenna", "zorgplan", True, action="toevoegen", **HELP),
    case("p-samira", "fenna", "zorgplan", False, action="wijzigen", **HELP),
    case("p-samira", "noud", "medicatie", True, **HELP),
    case("p-samira", "lotte", "medicatie", True, **HELP),
    case("p-samira", "yusuf", "medicatie", True, **HELP),
    case("p-samira", "yusuf", "uitslagen", False, **HELP),
    case("p-samira", "mees", "medicatie", False, reason="GEEN_TOESTEMMING", **HELP),
    case("p-samira", "ruud", "medicatie", False, reason="GEEN_TOESTEMMING", **HELP),
    case("p-els", "lotte", "medicatie", True, reason="VERTEGENWOORDIGER:naaste"),
    case("p-fatma", "yusuf", "medicatie", True, reason="VERTEGENWOORDIGER:12-15"),
    case("yusuf", "yusuf", "dagboek", True, reason="ZELF"),
    case("p-henk", "mees", "afspraken", True),
    case("p-henk", "mees", "medicatie", False),
    case("ruud", "ruud", "dagboek", True, reason="ZELF"),
    case("p-anja", "ruud", "medicatie", True, reason="VERTEGENWOORDIGER:mentor"),
    case("p-anja", "ruud", "dagboek", False),
    case("p-anja", "ruud", "behandeling", False, labels=["niet-voor-vertegenwoordiger"]),
    case("p-linda", "ruud", "zorgplan", True),
    case("p-linda", "ruud", "metingen", False, reason="WEIGERING_WINT"),
    case("p-linda", "ruud", "uitslagen", False),
    case("p-linda", "ruud", "gezin", True, action="toevoegen"),
    case("p-linda", "ruud", "gezin", False),
    case("p-anja", "ruud", "gezin", True),
    case("p-visser", "ruud", "uitslagen", True, role="huisarts", **MOLEN),
    case("p-poh", "ruud", "medicatie", True, role="poh", **MOLEN),
    case("p-poh", "ruud", "behandeling", False, role="poh", **MOLEN),
    case("p-tom", "ruud", "zorgplan", True, org="delinde", purpose="TREAT"),
    case("p-tom", "ruud", "uitslagen", False, org="delinde", purpose="TREAT"),
]


@pytest.mark.parametrize("row", CASES, ids=lambda row: row["id"])
def test_the_rules_decide_as_the_family_meant_it(row):
    report = check({"world": world(), "cases": [row]})
    assert report.failures == ()
    assert report.unreadable == ()


def test_what_is_called_a_choice_in_the_demo_is_that_choice():
    grants = [grant for family in ALL for grant in family.grants]
    assert {grant["preset"] for grant in grants if "preset" in grant} == {
        *("copiloot-standaard", "zorgverlener-meeschrijven", "dagelijkse-zorg", "logeerhuis"),
    }
    for grant in grants:
        if "preset" in grant:
            of = PRESETS[grant["preset"]]
            assert (*grant["actions"],) == of.actions
            assert (*grant["categories"],) == of.categories
            assert (*grant.get("purposes", ()),) == of.purposes
            assert (*grant.get("weekly", ()),) == of.weekly


@pytest.mark.parametrize("family", ALL, ids=lambda family: family.key)
def test_people_may_write_what_they_wrote(family):
    rows = []
    for own in family.own:
        (category,) = classify(own.release, own.resource)
        more = {"action": "toevoegen"}
        if own.author == family.key:
            more["reason"] = "ZELF"
        rows.append(case(own.author, family.key, category, True, **more))
    assert check({"world": world(), "cases": rows}).failures == ()
