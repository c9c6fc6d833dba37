"""What every demo family keeps to, whoever it is."""

import importlib
import json
from datetime import date
from decimal import Decimal

import pytest

from pgo.consent.categories import classify
from pgo.demo import Push, apps, as_json, families, organisations
from pgo.demo.codes import TESTS
from pgo.fhir import text, validate

TODAY = date(2026, 11, 22)
FAMILIES = {family.key: family for family in families(TODAY)}
PUSHES = [(key, push) for key, family in FAMILIES.items() for push in family.pushes]
IDS = [f"{key}-{number}-{push.organisation}" for number, (key, push) in enumerate(PUSHES)]
MODELS = {"r4": "R4B", "stu3": "STU3"}
CATEGORIES = {
    *("zorgplan", "behandeling", "medicatie", "uitslagen", "problemen", "allergieen"),
    *("vaccinaties", "verslagen", "metingen", "afspraken", "vragenlijsten", "documenten"),
    *("wilsverklaring", "contactpersonen", "adres", "paspoort", "aanvragen", "berichten"),
    *("dagboek", "gezin", "financieel", "toestemmingen", "logging", "overig"),
}

# Required bindings of the elements the demo uses; fhir.resources leaves them open.
REQUIRED = {
    ("Patient", "gender"): "male female other unknown",
    ("Observation", "status"): "registered preliminary final amended corrected cancelled",
    ("Encounter", "status"): "planned arrived triaged in-progress onleave finished cancelled",
    ("CarePlan", "status"): "draft active completed revoked unknown",
    ("CarePlan", "intent"): "proposal plan order option",
    ("CareTeam", "status"): "proposed active suspended inactive entered-in-error",
    ("Procedure", "status"): "preparation in-progress completed stopped unknown",
    ("Flag", "status"): "active inactive entered-in-error",
    ("Consent", "status"): "draft proposed active rejected inactive entered-in-error",
    ("MedicationRequest", "status"): "active on-hold cancelled completed stopped draft",
    ("MedicationRequest", "intent"): "proposal plan order instance-order",
    ("MedicationDispense", "status"): "preparation in-progress cancelled completed stopped",
    ("MedicationStatement", "status"): "active completed intended stopped on-hold",
    ("Medication", "status"): "active inactive entered-in-error",
    ("DiagnosticReport", "status"): "registered partial preliminary final amended cancelled",
    ("Immunization", "status"): "completed entered-in-error not-done",
    ("Appointment", "status"): "proposed pending booked arrived fulfilled cancelled noshow",
    ("Communication", "status"): "preparation in-progress completed stopped unknown",
    ("QuestionnaireResponse", "status"): "in-progress completed amended stopped",
    ("AllergyIntolerance", "criticality"): "low high unable-to-assess",
    ("Goal", "lifecycleStatus"): "proposed planned accepted active on-hold completed cancelled",
    ("Goal", "status"): "proposed accepted planned in-progress on-target achieved",
}


def resources(push):
    return [entry["resource"] for entry in push.bundle["entry"]]


def every_resource(family):
    yield from ((p.release, r) for p in family.pushes for r in resources(p))
    yield from ((own.release, own.resource) for own in family.own)


def identifier_of(resource):
    identifier = resource["identifier"]
    return identifier[0] if isinstance(identifier, list) else identifier


def walk(tree, name=""):
    yield name, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from walk(value, key)
    elif isinstance(tree, list):
        for value in tree:
            yield from walk(value, name)


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_resource_is_accepted_by_the_models_of_its_release(family):
    for release, resource in every_resource(family):
        type_ = resource["resourceType"]
        module = importlib.import_module(f"fhir.resources.{MODELS[release]}.{type_.lower()}")
        getattr(module, type_).model_validate(json.loads(as_json(resource)))


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_resource_is_what_the_server_itself_accepts(family):
    for release, resource in every_resource(family):
        tree = text.parse(as_json(resource))
        assert validate.validate(release, tree) == (), resource["resourceType"]


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_nothing_falls_outside_the_categories_people_choose_from(family):
    for release, resource in every_resource(family):
        found = classify(release, text.parse(as_json(resource)))
        assert "overig" not in found, resource["resourceType"]


def test_the_familys_own_entries_are_passport_diary_and_family_notes():
    kinds = {
        category
        for family in FAMILIES.values()
        for own in family.own
        for category in classify(own.release, text.parse(as_json(own.resource)))
    }
    assert kinds == {"paspoort", "dagboek", "gezin"}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_required_codes_are_from_their_value_sets(family):
    for _, resource in every_resource(family):
        type_ = resource["resourceType"]
        for element in ("status", "intent", "gender", "criticality", "lifecycleStatus"):
            if element in resource:
                assert resource[element] in REQUIRED[type_, element].split(), (type_, element)


@pytest.mark.parametrize(("key", "push"), PUSHES, ids=IDS)
def test_a_push_is_a_transaction_of_posts_that_a_server_may_take_at_once(key, push):
    bundle = push.bundle
    assert (bundle["resourceType"], bundle["type"]) == ("Bundle", "transaction")
    assert 2 <= len(bundle["entry"]) <= 100
    assert len(as_json(bundle)) < 2_000_000
    for entry in bundle["entry"]:
        assert entry["fullUrl"].startswith("urn:uuid:")
        assert entry["request"] == {"method": "POST", "url": entry["resource"]["resourceType"]}


@pytest.mark.parametrize(("key", "push"), PUSHES, ids=IDS)
def test_every_reference_resolves_within_the_push_and_has_a_display(key, push):
    known = {entry["fullUrl"] for entry in push.bundle["entry"]}
    assert len(known) == len(push.bundle["entry"])
    for _, tree in walk(resources(push)):
        if isinstance(tree, dict) and "reference" in tree:
            assert tree["reference"] in known
            assert tree["display"]


@pytest.mark.parametrize(("key", "push"), PUSHES, ids=IDS)
def test_everything_is_about_the_one_patient_of_the_push(key, push):
    patients = [e for e in push.bundle["entry"] if e["resource"]["resourceType"] == "Patient"]
    assert len(patients) == 1
    about = {"Organization", "Practitioner", "PractitionerRole", "Medication", "Patient"}
    for resource in resources(push):
        if resource["resourceType"] not in about:
            who = resource.get("subject") or resource.get("patient") or _participant(resource)
            assert who["reference"] == patients[0]["fullUrl"]


def _participant(resource):
    return resource["participant"][0]["actor"]


@pytest.mark.parametrize(("key", "push"), PUSHES, ids=IDS)
def test_every_coding_says_where_it_is_from_and_what_it_means(key, push):
    for name, tree in walk(resources(push)):
        if name in {"coding", "class", "tag"} and isinstance(tree, dict):
            assert tree["system"]
            assert tree["code"]
            assert tree["display"]


def test_identifiers_are_the_organisations_own_unique_and_never_a_bsn():
    seen = {}
    for _, push in PUSHES:
        systems = {organisation.id: organisation.system for organisation in organisations()}
        for resource in resources(push):
            identifier = identifier_of(resource)
            assert identifier["system"] == systems[push.organisation]
            if resource["resourceType"] not in {"Organization", "Practitioner", "PractitionerRole"}:
                mark = (push.release, resource["resourceType"], *identifier.values())
                assert seen.setdefault(mark, resource) == resource
    assert b"NamingSystem/bsn" not in b"".join(as_json(push.bundle) for _, push in PUSHES)


def test_the_same_day_gives_the_same_bytes_and_another_day_the_same_identifiers():
    def marks(day):
        return [
            (push.release, r["resourceType"], identifier_of(r)["value"])
            for family in families(day)
            for push in family.pushes
            for r in resources(push)
        ]

    def sent(day):
        return [as_json(push.bundle) for family in families(day) for push in family.pushes]

    assert sent(TODAY) == sent(TODAY)
    assert marks(TODAY) == marks(date(2027, 3, 1))


def test_numbers_keep_their_last_zero_on_the_wire():
    assert as_json({"value": Decimal("5.40"), "whole": 3}) == b'{"value":5.40,"whole":3}'
    fenna = b"".join(as_json(push.bundle) for push in FAMILIES["fenna"].pushes)
    assert b'"value":7.50' in fenna


def test_only_numbers_that_json_knows_are_written():
    with pytest.raises(TypeError):
        as_json({"value": {1, 2}})


@pytest.mark.parametrize("today", [date(2028, 2, 29), date(2027, 3, 1), date(2026, 12, 31)])
def test_the_families_exist_on_every_day_of_the_calendar(today):
    births = {f.key: date.fromisoformat(f.client["birth"]) for f in families(today)}
    assert (today - births["fenna"]).days // 365.25 == 9
    assert (today - births["ruud"]).days // 365.25 == 34


def test_fenna_and_ruud_are_full_dossiers_from_at_least_three_providers():
    for key in ("fenna", "ruud"):
        family = FAMILIES[key]
        assert sum(len(push.bundle["entry"]) for push in family.pushes) >= 60
        assert len({push.organisation for push in family.pushes}) >= 3
        assert {push.release for push in family.pushes} == {"r4", "stu3"}


@pytest.mark.parametrize(("key", "test"), [("fenna", "valproaat"), ("ruud", "hba1c")])
def test_a_laboratory_series_spans_about_two_years(key, test):
    code = TESTS[test].code.code
    dates = sorted(
        resource["effectiveDateTime"][:10]
        for push in FAMILIES[key].pushes
        for resource in resources(push)
        if resource["resourceType"] == "Observation"
        and resource["code"]["coding"][0]["code"] == code
    )
    assert len(dates) == 8
    span = date.fromisoformat(dates[-1]) - date.fromisoformat(dates[0])
    assert 600 < span.days < 740


def test_a_value_outside_its_range_is_flagged_and_one_inside_is_not():
    for _, push in PUSHES:
        for resource in resources(push):
            if not resource.get("referenceRange"):
                continue
            (bounds,) = resource["referenceRange"]
            value = resource["valueQuantity"]["value"]
            low = bounds.get("low", {}).get("value", Decimal("-Infinity"))
            high = bounds.get("high", {}).get("value", Decimal("Infinity"))
            assert (low <= value <= high) == ("interpretation" not in resource)


def test_two_sources_name_another_dose_of_one_of_fennas_medicines():
    def doses(organisation, type_):
        return {
            resource["medicationReference"]["display"]: dose["doseAndRate"][0]["doseQuantity"]
            for push in FAMILIES["fenna"].pushes
            if push.organisation == organisation
            for resource in resources(push)
            if resource["resourceType"] == type_ and resource["status"] != "completed"
            for dose in resource["dosageInstruction"]
        }

    agreed = doses("delinde", "MedicationRequest")
    labelled = doses("vechtapotheek", "MedicationDispense")
    both = agreed.keys() & labelled.keys()
    assert {name for name in both if agreed[name] != labelled[name]} == {
        "Levetiracetam drank 100 mg/ml"
    }
    assert len(both) >= 3


def test_people_in_grants_and_relations_have_an_account():
    known = {organisation.id for organisation in organisations()}
    for family in FAMILIES.values():
        accounts = {account["id"]: account for account in family.accounts}
        teams = {team for account in family.accounts for team in account.get("teams", [])}
        for relation in family.relations:
            assert relation["client"] == family.key
            assert relation["person"] in accounts
        for grant in family.grants:
            assert grant["client"] == family.key
            assert grant["by"] in accounts
            kind, _, name = grant["to_who"].rpartition(":")
            where = {"": accounts, "team": teams, "org": known}[kind]
            assert name.split("/")[0] in where
        for account in family.accounts:
            assert set(account.get("orgs", [])) <= known
        for own in family.own:
            assert own.author in accounts


def test_an_account_is_the_same_person_in_every_family():
    people = {}
    for family in FAMILIES.values():
        for account in family.accounts:
            assert people.setdefault(account["id"], account) == account


def test_grants_name_known_categories_and_keep_to_what_presets_may_contain():
    ids = [grant["id"] for family in FAMILIES.values() for grant in family.grants]
    assert len(ids) == len(set(ids))
    for family in FAMILIES.values():
        for grant in family.grants:
            assert grant["made"]
            assert set(grant["categories"]) <= CATEGORIES
            assert "dagboek" not in grant["categories"]
            if grant["to_who"] not in {"p-samira", "p-linda"}:
                assert "gezin" not in grant["categories"]
            assert not {"beheren", "delen"} & set(grant["actions"])


def test_every_other_family_has_at_least_ten_resources():
    assert len(FAMILIES) == 6
    for family in FAMILIES.values():
        assert sum(len(push.bundle["entry"]) for push in family.pushes) >= 10


def test_the_copiloot_has_four_families_and_one_on_the_back_burner_but_not_ruud():
    mine = {
        grant["client"]: grant["status"]
        for family in FAMILIES.values()
        for grant in family.grants
        if grant["to_who"] == "p-samira"
    }
    assert sorted(mine.values()) == ["active"] * 4 + ["waakvlam"]
    assert "ruud" not in mine


def test_one_family_keeps_its_results_from_the_copiloot():
    without = {
        grant["client"]
        for family in FAMILIES.values()
        for grant in family.grants
        if grant["to_who"] == "p-samira" and "uitslagen" not in grant["categories"]
    }
    assert without == {"yusuf"}


def test_the_logeerhuis_may_look_from_friday_to_sunday_only():
    (grant,) = [g for g in FAMILIES["fenna"].grants if g["id"] == "g-fenna-logeer"]
    assert grant["weekly"] == [{"from": "fri 15:00", "to": "sun 19:00"}]
    assert grant["to_who"].startswith("team:")


def test_ruud_hides_one_item_from_his_mentor_and_it_is_in_a_push():
    (seal,) = FAMILIES["ruud"].seals
    assert (seal.by, seal.label) == ("ruud", "niet-voor-vertegenwoordiger")
    found = [
        resource
        for push in FAMILIES["ruud"].pushes
        if push.release == seal.release
        for resource in resources(push)
        if resource["resourceType"] == seal.type
        and "|".join(resource["identifier"][0].values()) == seal.identifier
    ]
    assert len(found) == 1


def test_there_is_a_deny_and_it_hits_somebody_who_would_otherwise_see_it():
    (deny,) = [g for g in FAMILIES["ruud"].grants if g["effect"] == "deny"]
    permits = [
        grant
        for grant in FAMILIES["ruud"].grants
        if grant["effect"] == "permit" and grant["to_who"] == deny["to_who"]
    ]
    assert set(deny["categories"]) <= set(permits[0]["categories"])


def test_apps_say_where_they_live_and_what_they_ask():
    assert len({app.id for app in apps()}) == 3
    for app in apps():
        assert all(uri.startswith("https://") for uri in (*app.redirect_uris, *app.origins))
        assert "openid" in app.scope.split()


def test_a_push_is_a_plain_tuple_for_who_loads_it():
    organisation, release, bundle = FAMILIES["fenna"].pushes[0]
    assert Push(organisation, release, bundle) == FAMILIES["fenna"].pushes[0]
