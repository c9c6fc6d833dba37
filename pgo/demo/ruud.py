"""Ruud (34): mild intellectual disability, diabetes type 2; lives alone with support; a mentor."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.demo import cast, own, ruud_care
from pgo.demo.book import day, moment, years_before
from pgo.demo.cast import chosen, permit, person, professional
from pgo.demo.shapes import Family, Own, Seal

KEY = "ruud"


def family(today: date) -> Family:
    """Ruud with everybody around him; he is 34 on `today` and signs in himself."""
    client: dict[str, Any] = {
        "id": KEY, "name": "Ruud van Dam", "given": "Ruud", "family": "van Dam",
        "gender": "male", "birth": years_before(today, 34, 61), "city": "Kampen",
    }  # fmt: skip
    return Family(
        key=KEY,
        client=client,
        accounts=_accounts(client),
        relations=_relations(today),
        grants=_grants(today),
        own=_own(today),
        pushes=ruud_care.pushes(client, today),
        seals=(
            Seal(KEY, "niet-voor-vertegenwoordiger", "r4", "Encounter", ruud_care.talk(client)),
        ),
    )


def _accounts(client: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    return (
        person(KEY, client["name"], client["birth"]),
        person("p-anja", "Anja Mulder", "1969-08-25"),
        person("p-linda", "Linda van Dam", "1989-12-12"),
        professional("p-visser", "Karel Visser", "1971-03-03", "demolen", role="huisarts"),
        professional("p-poh", "Mieke Jansen", "1985-10-10", "demolen", role="poh"),
        professional("p-tom", "Tom Kok", "1992-04-17", "delinde", role="begeleider"),
    )


def _relations(today: date) -> tuple[dict[str, Any], ...]:
    order = f"C/16/{today.year - 2}/0341"
    mentor = {"person": "p-anja", "client": KEY, "kind": "mentor", "order": order}
    return (mentor | {"from": day(today, 700), "to": day(today, -1126)},)


def _grants(today: date) -> tuple[dict[str, Any], ...]:
    made = day(today, 300)
    himself, mentor = (KEY, KEY), (KEY, "p-anja")
    both = ["lezen", "toevoegen"]
    reading = ["zorgplan", "afspraken", "paspoort", "metingen"]
    return (
        chosen("zorgverlener-meeschrijven", "g-ruud-huisarts", *himself, "org:demolen/huisarts",
               made),
        permit("g-ruud-poh", *mentor, "org:demolen/poh", day(today, 120), actions=both,
               categories=["medicatie", "zorgplan", "uitslagen", "metingen"]),
        chosen("dagelijkse-zorg", "g-ruud-tom", *himself, "p-tom", made),
        permit("g-ruud-linda", *himself, "p-linda", made, categories=reading),
        permit("g-ruud-linda-gezin", *himself, "p-linda", made, actions=["toevoegen"],
               categories=["gezin"]),
        permit("g-ruud-apotheek", *himself, "org:vechtapotheek", made, actions=both,
               categories=["medicatie", "allergieen"]),
        cast.provider_permit(*himself, cast.ZIEKENHUIS, made),
        permit("g-ruud-linda-niet", *himself, "p-linda", day(today, 100), effect="deny",
               actions=["lezen"], categories=["metingen"]),
    )  # fmt: skip


def _own(today: date) -> tuple[Own, ...]:
    talk = {
        "Hoe praat u met mij?": "Gebruik korte zinnen. Vraag 1 ding tegelijk.",
        "Wat helpt mij?": "Schrijf op wat ik moet doen. Plaatjes zijn fijn.",
        "Wat vind ik moeilijk?": "Moeilijke woorden en lang wachten.",
        "Wie mag u bellen?": "Anja, mijn mentor.",
    }
    sugar = {
        "Wat is er aan de hand?": "Ik heb suikerziekte. Ik slik pillen.",
        "Wat is nood?": "Ik ben suf, zweet en doe raar. Dan is mijn suiker te laag.",
        "Wat doet u?": "Geef mij limonade met suiker. Bel daarna de huisarts.",
    }
    return (
        own.sheet(KEY, KEY, "Leg het simpel uit", moment(today, 250), talk),
        own.sheet(KEY, KEY, "Noodblad suiker", moment(today, 250, "09:20"), sugar),
        own.entry(KEY, KEY, "dagboek", moment(today, 5, "20:00"),
                  "Vandaag met Kim naar de film. Niemand hoeft dit te weten."),
        own.entry(KEY, KEY, "dagboek", moment(today, 2, "19:30"),
                  "Ik heb gewandeld. Ik was niet moe."),
        own.entry(KEY, "p-linda", "gezin", moment(today, 30, "21:00"),
                  "Onze moeder is ziek. Wij praten er samen met Ruud over."),
    )  # fmt: skip
