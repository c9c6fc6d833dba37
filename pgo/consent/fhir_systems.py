"""The systems, profiles and extensions by which a grant is a FHIR Consent (consent.md §7); data.

Ours are in `fhir_profiles/`; the others are HL7's.
"""

from __future__ import annotations

from collections.abc import Mapping

from pgo.consent.categories import CATEGORY_SYSTEM

HOME = "https://pgo.example/fhir"
PROFILE = f"{HOME}/StructureDefinition/toestemming"
RELATION_PROFILE = f"{HOME}/StructureDefinition/relatie"
POLICY = f"{HOME}/beleid"

CATEGORIES = CATEGORY_SYSTEM
ACTIONS = f"{HOME}/CodeSystem/actie"
SEALS = f"{HOME}/CodeSystem/zegel"
KINDS = f"{HOME}/CodeSystem/soort-toestemming"
RELATIONS = f"{HOME}/CodeSystem/soort-relatie"

SCOPE = "http://terminology.hl7.org/CodeSystem/consentscope"
PRIVACY = "patient-privacy"
LOINC, CONSENT_FORM = "http://loinc.org", "59284-0"
CONSENT_ACTION = "http://terminology.hl7.org/CodeSystem/consentaction"
ROLE, RECIPIENT = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "IRCP"
CONFIDENTIALITY = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
REASON = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
ENDINGS = {"inactive": "ABORT", "rejected": "CANCEL", "entered-in-error": "NULLIFY"}
"""What was done to a grant that ended, by the status it got."""
TYPES = "http://hl7.org/fhir/resource-types"

# Logical references: who and what people and organisations are known by here.
PERSON = f"{HOME}/NamingSystem/persoon"
ORGANISATION = f"{HOME}/NamingSystem/organisatie"
TEAM = f"{HOME}/NamingSystem/team"
ROLE_IN = f"{HOME}/NamingSystem/rol"
INSTANCE = f"{HOME}/NamingSystem/onderdeel"
GRANT = f"{HOME}/NamingSystem/toestemming"

_EXTENSION = f"{HOME}/StructureDefinition/"
DEPTH = f"{_EXTENSION}doorgeefdiepte"
STATUS = f"{_EXTENSION}toestemming-status"
REVOKED = f"{_EXTENSION}ingetrokken-op"
COURT = f"{_EXTENSION}door-rechter"
LEFT_OUT = f"{_EXTENSION}weggelaten"
# These narrow what is said, so that who does not know them may not act on the rest.
WEEKLY = f"{_EXTENSION}weekvenster"
NOTHING = f"{_EXTENSION}geen-enkele"
OWN = f"{_EXTENSION}alleen-eigen-gegevens"
UNREADABLE = f"{_EXTENSION}onleesbaar"
EVIDENCE = f"{_EXTENSION}bewijs-vertegenwoordiging"

ACTION_CODES: Mapping[str, tuple[str, str]] = {
    "lezen": (CONSENT_ACTION, "access"),
    "toevoegen": (ACTIONS, "toevoegen"),
    "wijzigen": (CONSENT_ACTION, "correct"),
    "delen": (CONSENT_ACTION, "disclose"),
    "beheren": (ACTIONS, "beheren"),
}
CONFIDENTIALITY_CODES = frozenset({"U", "L", "M", "N", "R", "V"})
SENSITIVITY_CODES = frozenset(
    {
        *("PSY", "ETH", "ETHUD", "OPIOIDUD", "SUD", "SEX", "HIV", "STD", "SDV", "DV", "GDIS"),
        *("TBOO", "PRS"),
    }
)
# The members of a grant that are lists, by the word used for them in our extensions.
LIST_WORDS: Mapping[str, str] = {
    "actions": "acties",
    "categories": "categorieen",
    "types": "soorten",
    "labels": "labels",
    "purposes": "doelen",
    "instances": "onderdelen",
    "weekly": "weekvensters",
}
# v3-ActReason, PurposeOfUse: the reasons a grant may name; marketing, payment and underwriting
# are never a reason to see a dossier (consent.md §2, step 0).
PURPOSES = frozenset(
    {
        *("PATRQT", "FAMRQT", "PWATRNY", "SUPNWK", "CAREMGT", "TREAT", "ETREAT", "BTG", "HRESCH"),
        *("COC", "CLINTRL", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "PRECLINTRCH", "BIORCH"),
        *("DSRCH", "POARCH", "TRANSRCH", "POPHLTH", "PUBHLTH", "DISASTER", "THREAT", "ERTREAT"),
        *("HOPERAT", "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HDM"),
        *("HLEGAL", "HOUTCOMS", "HPRGRP", "HQUALIMP", "HSYSADMIN", "LABELING", "METAMGT"),
        *("MEMADMIN", "MILCDM", "PATADMIN", "PATSFTY", "PERFMSR", "RECORDMGT", "SYSDEV", "TRAIN"),
        *("HTEST", "MLTRAINING", "COVERAGE", "CLMATTCH", "COVAUTH", "ELIGDTRM", "ELIGVER"),
        *("ENROLLM", "MILDCRG", "REMITADV"),
    }
)
