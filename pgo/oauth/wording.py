"""What a scope means, in plain Dutch, for the page where a person decides. Pure."""

from __future__ import annotations

from pgo.oauth.scopes import Cap, Reach

_TYPES = {
    "*": "alles in het dossier",
    "AllergyIntolerance": "allergieën",
    "Appointment": "afspraken",
    "CarePlan": "het zorgplan",
    "CareTeam": "wie er helpt",
    "Condition": "ziektes en problemen",
    "Consent": "wie er mag meekijken",
    "DiagnosticReport": "verslagen van onderzoek",
    "DocumentReference": "brieven en documenten",
    "Encounter": "contact met zorgverleners",
    "Flag": "waarschuwingen",
    "Goal": "doelen",
    "Immunization": "vaccinaties",
    "MedicationAdministration": "gegeven medicijnen",
    "MedicationDispense": "opgehaalde medicijnen",
    "MedicationRequest": "voorgeschreven medicijnen",
    "MedicationStatement": "gebruikte medicijnen",
    "NutritionOrder": "voeding",
    "Observation": "metingen en uitslagen",
    "Patient": "naam en adres",
    "Procedure": "behandelingen",
    "Questionnaire": "vragenlijsten",
    "QuestionnaireResponse": "ingevulde vragenlijsten",
    "Task": "taken",
}
_CONTEXT = {
    "fhirUser": "De app mag weten wie u bent.",
    "openid": "De app mag u herkennen. De app krijgt een schuilnaam, niet uw naam.",
    "offline_access": "De app mag ook kijken als u de app niet open heeft.",
}
LAUNCH = "launch/patient"


def lines(cap: Cap) -> list[tuple[str, str]]:
    """(scope, sentence) of each thing a person can tick; choosing a dossier is not one of them."""
    told = [(str(reach), sentence(reach)) for reach in cap.reaches]
    return told + [(name, _CONTEXT[name]) for name in sorted(cap.context - {LAUNCH})]


def sentence(reach: Reach) -> str:
    """One sentence on one resource scope."""
    what = _TYPES.get(reach.type_, f"gegevens van het soort {reach.type_}")
    where = "" if reach.level == "patient" else " In alle dossiers die u mag zien."
    return f"De app mag {what} {_verbs(reach.letters)}.{where}{_part(reach)}"


def _part(reach: Reach) -> str:
    """What a search restriction leaves, in the app's own codes."""
    told = [f"{name} is {value.rpartition('|')[2]}" for name, value in reach.only]
    return f" Alleen een deel: {' en '.join(told)}." if told else ""


def _verbs(letters: str) -> str:
    verbs = [
        word
        for word, marks in (("lezen", "rs"), ("toevoegen", "c"), ("wijzigen", "u"), ("wissen", "d"))
        if any(mark in letters for mark in marks)
    ]
    return verbs[0] if len(verbs) == 1 else f"{', '.join(verbs[:-1])} en {verbs[-1]}"
