"""Fenna (9): ZEVMB, epilepsy and tube feeding; lives at home with night care and a logeerhuis."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.demo import cast, fenna_care, own
from pgo.demo.book import day, moment, years_before
from pgo.demo.cast import chosen, permit, person, professional
from pgo.demo.shapes import Family, Own

KEY = "fenna"
NIGHT_TEAM = "nachtteam-fenna"
HUT_TEAM = "logeerteam"


def family(today: date) -> Family:
    """Fenna with everybody around her; she is 9 on `today`."""
    client: dict[str, Any] = {
        "id": KEY, "name": "Fenna de Boer", "given": "Fenna", "family": "de Boer",
        "gender": "female", "birth": years_before(today, 9, 130), "city": "Zwolle",
        "wilsonbekwaam": True,
    }  # fmt: skip
    return Family(
        key=KEY,
        client=client,
        accounts=_accounts(),
        relations=_relations(client["birth"]),
        grants=_grants(today),
        own=_own(today),
        pushes=fenna_care.pushes(client, today),
    )


def _accounts() -> tuple[dict[str, Any], ...]:
    nurse = {"org": "thuisnacht", "role": "verpleegkundige"}
    return (
        person("p-marjan", "Marjan de Boer", "1984-03-22"),
        person("p-jeroen", "Jeroen de Boer", "1982-11-02"),
        person("p-oma-tineke", "Tineke Bos", "1955-07-19"),
        professional("p-esther", "Esther Prins", "1990-09-01", **nurse, teams=[NIGHT_TEAM]),
        professional("p-bram", "Bram Vos", "1994-01-30", **nurse, teams=[]),
        professional("p-hut-lies", "Lies Dekker", "1991-06-06", "dehut", teams=[HUT_TEAM]),
        cast.doctor_smit(),
        cast.samira(),
    )


def _relations(birth: str) -> tuple[dict[str, Any], ...]:
    parent = {"client": KEY, "kind": "ouder", "gezag": True, "from": birth}
    return ({"person": "p-marjan"} | parent, {"person": "p-jeroen"} | parent)


def _grants(today: date) -> tuple[dict[str, Any], ...]:
    made = day(today, 200)
    by = (KEY, "p-marjan")
    both = ["lezen", "toevoegen"]
    return (
        cast.copilot_permit(*by, today, made),
        cast.provider_permit(*by, cast.DELINDE, made),
        cast.provider_permit(*by, cast.ZIEKENHUIS, made),
        permit("g-fenna-apotheek", *by, "org:vechtapotheek", made, actions=both,
               categories=["medicatie", "allergieen"]),
        chosen("dagelijkse-zorg", "g-fenna-nacht", *by, f"team:{NIGHT_TEAM}", made),
        chosen("logeerhuis", "g-fenna-logeer", *by, f"team:{HUT_TEAM}", made),
        permit("g-fenna-oma", *by, "p-oma-tineke", made, categories=["paspoort", "afspraken"]),
    )  # fmt: skip


def _own(today: date) -> tuple[Own, ...]:
    talk = {
        "Hoe praat Fenna?": "Fenna praat niet. Zij lacht, kijkt weg of maakt geluid.",
        "Hoe zegt zij ja?": "Zij kijkt u aan en lacht.",
        "Hoe zegt zij nee?": "Zij draait haar hoofd weg en knijpt haar ogen dicht.",
        "Hoe ziet u pijn?": "Zij is stil, trekt haar benen op en wil niet eten.",
        "Wat vindt zij fijn?": "Muziek met trommels en buiten rijden in haar stoel.",
    }
    seizure = {
        "Wat is een gewone aanval?": "Korte schokken in de armen, korter dan 2 minuten.",
        "Wanneer is het nood?": "Een aanval van 5 minuten of langer, of blauwe lippen.",
        "Wat doet u?": "Geef midazolam: 1 spray in elk neusgat (samen 5 mg). Leg haar op haar zij.",
        "Wanneer belt u 112?": "Als de aanval 5 minuten na de midazolam nog niet stopt.",
        "Wie belt u daarna?": "Marjan, daarna Jeroen.",
    }
    return (
        own.sheet(KEY, "p-marjan", "Zo praat u met Fenna", moment(today, 180), talk),
        own.sheet(KEY, "p-marjan", "Noodblad bij een aanval", moment(today, 90), seizure),
        own.entry(KEY, "p-jeroen", "dagboek", moment(today, 3, "20:30"),
                  "Fenna lachte hard om de trommels op school. Geen aanvallen vandaag."),
        own.entry(KEY, "p-marjan", "dagboek", moment(today, 1, "21:15"),
                  "Twee korte aanvallen in de middag. Daarna twee uur geslapen."),
        own.entry(KEY, "p-marjan", "gezin", moment(today, 14, "22:00"),
                  "Wij slapen slecht. Broer Siem krijgt nu te weinig aandacht."),
    )  # fmt: skip
