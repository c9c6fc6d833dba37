"""A line as FHIR AuditEvent: valid, complete after NEN 7513, and what BALP asks where it fits."""

from base64 import b64decode
from dataclasses import replace

import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from pgo.audit.auditevent import audit_event
from pgo.audit.catalogue import EVENTS
from pgo.audit.entry import Entry

AT = 1_772_543_100_123_456
SERVER = "https://pgo.voorbeeld.nl"
READ = Entry(
    AT,
    "read",
    reason="TOESTEMMING:g-1",
    status=200,
    id="w1-1",
    request="req-1",
    address="192.0.2.7",
    token="0123456789abcdef",
    person="p-1",
    name="Samira",
    kind="copiloot",
    org="coophulp",
    org_name="CoopHulp",
    app="familie",
    app_name="Familie-app",
    on_behalf_of="p-9",
    on_behalf_of_name="Teamleider",
    purpose="CAREMGT",
    grants=("g-1",),
    obligations=("audit",),
    policy="2026-1",
    release="r4",
    type_="CarePlan",
    resources=("CarePlan/zp-1@3",),
    categories=(("zorgplan", 1),),
    labels=("R",),
    n=12,
)
SEARCH = replace(
    READ,
    interaction="search-type",
    resources=("Observation/1@1", "Observation/2@1"),
    categories=(("uitslagen", 2),),
    query="Observation?code=http://loinc.org|4548-4",
)


def tree(entry, **more):
    made = audit_event(entry, "fenna", **({"server": SERVER, "patient": "pat-1"} | more))
    AuditEvent.model_validate(made)
    return made


def code(concept):
    return concept.get("coding", [concept])[0].get("code")


def agent(made, wanted):
    (found,) = [each for each in made["agent"] if code(each["type"]) == wanted]
    return found


def entities(made, wanted):
    return [each for each in made["entity"] if code(each["type"]) == wanted]


@pytest.mark.parametrize("name", sorted(EVENTS))
@pytest.mark.parametrize("outcome", [0, 4, 8, 12])
def test_each_event_gives_a_valid_audit_event(name, outcome):
    allowed = EVENTS[name].fields
    said = {
        field: getattr(SEARCH, field) for field in allowed if field not in ("at", "interaction")
    }
    made = tree(Entry(AT, name, **(said | {"outcome": outcome, "action": ""})))
    assert made["action"] == EVENTS[name].action
    assert made["outcome"] == str(outcome)


@pytest.mark.parametrize("name", sorted(EVENTS))
def test_a_line_that_says_next_to_nothing_is_valid_too(name):
    made = audit_event(Entry(AT, name), "system")
    AuditEvent.model_validate(made)
    assert [each["requestor"] for each in made["agent"]].count(True) == 1


def test_when_what_and_how_it_ended():
    made = tree(READ)
    assert made["recorded"] == "2026-03-03T13:05:00.123456Z"
    assert (made["type"]["code"], made["subtype"][0]["code"]) == ("rest", "read")
    assert (made["action"], made["outcome"], made["outcomeDesc"]) == ("R", "0", "TOESTEMMING:g-1")


def test_who_for_whom_and_on_which_permission():
    made = tree(READ)
    user = agent(made, "IRCP")
    assert user["requestor"] is True
    assert user["name"] == "Samira"
    assert code(user["purposeOfUse"][0]) == "CAREMGT"
    assert user["policy"] == ["urn:pgo:toestemming:g-1", "urn:pgo:policy:2026-1"]
    assert "network" not in user
    assert agent(made, "RESP")["who"]["identifier"]["value"] == "p-9"
    assert [code(each["type"]) for each in made["entity"]].count("Consent") == 1


def test_app_and_server_have_the_roles_of_balp():
    read, asked, made = tree(READ), tree(SEARCH), tree(replace(READ, interaction="create"))
    for each, (app, server) in ((read, (52, 53)), (asked, (53, 52)), (made, (53, 52))):
        assert agent(each, f"1101{app}")["network"] == {"address": "192.0.2.7", "type": "2"}
        assert agent(each, f"1101{server}")["network"]["type"] == "5"
    assert agent(made, "AUT")["requestor"] is True


def test_exactly_one_patient_and_the_data_and_the_request_id():
    made = tree(READ)
    (patient,) = [each for each in made["entity"] if each.get("role", {}).get("code") == "1"]
    assert patient["what"]["reference"] == "Patient/pat-1"
    (data,) = entities(made, "2")
    assert data["what"]["reference"] == "CarePlan/zp-1/_history/3"
    assert data["securityLabel"][0]["code"] == "R"
    (request,) = entities(made, "XrequestId")
    assert request["what"]["identifier"]["value"] == "req-1"


def test_a_search_keeps_exactly_what_was_asked():
    (query,) = entities(tree(SEARCH), "2")
    assert b64decode(query["query"]).decode() == SEARCH.query
    assert query["role"]["code"] == "24"
    assert [each["what"]["reference"] for each in entities(tree(SEARCH), "Observation")] == [
        "Observation/1/_history/1",
        "Observation/2/_history/1",
    ]


def test_balp_is_claimed_only_for_what_it_describes():
    assert tree(READ)["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientRead")
    assert tree(SEARCH)["meta"]["profile"][0].endswith("IHE.BasicAudit.PatientQuery")
    for other in (replace(READ, outcome=4), replace(READ, app=""), replace(SEARCH, query="")):
        assert "meta" not in tree(other)
    assert "meta" not in tree(READ, server="")


def test_an_emergency_is_its_purpose_and_is_told():
    made = tree(replace(READ, emergency_code="BTG", emergency_reason="buiten bewustzijn"))
    assert code(made["purposeOfEvent"][0]) == "BTG"
    assert "110127" in [each["code"] for each in made["subtype"]]
    details = {each["type"]: each["valueString"] for each in made["entity"][-1]["detail"]}
    assert details["noodtoegang"] == "buiten bewustzijn"


def test_categories_and_counts_are_there():
    details = {each["type"]: each["valueString"] for each in tree(SEARCH)["entity"][-1]["detail"]}
    assert details["categorie:uitslagen"] == "2"
    assert details["aantal"] == "2"


def test_a_name_that_steers_a_screen_is_made_harmless():
    made = tree(replace(READ, name="Sam\x1b[2J\nira\u202e"))
    assert agent(made, "IRCP")["name"] == "Sam ira"


def test_no_part_of_the_token_is_in_it():
    assert agent(tree(READ), "110152")["policy"] == ["urn:pgo:token-sha256:0123456789abcdef"]
