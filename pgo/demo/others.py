"""Noud (6), Yusuf (14), Mees (19) and Lotte (27): the other families of copiloot Samira."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.consent.presets import PRESETS
from pgo.demo import cast, own
from pgo.demo.book import day, moment, years_before
from pgo.demo.cast import copilot_permit, person, provider_permit
from pgo.demo.codes import Dose
from pgo.demo.others_care import Case, pushes
from pgo.demo.shapes import Family


def families(today: date) -> tuple[Family, ...]:
    """The four families; that of Mees is dormant (waakvlam)."""
    return (_noud(today), _yusuf(today), _mees(today), _lotte(today))


def _client(
    today: date, key: str, name: str, gender: str, age: int, **flags: Any
) -> dict[str, Any]:
    given, family = name.split(" ", 1)
    return {
        "id": key, "name": name, "given": given, "family": family, "gender": gender,
        "birth": years_before(today, age, 150), "city": "Zwolle",
    } | flags  # fmt: skip


def _noud(today: date) -> Family:
    """Noud has Down's syndrome; two parents with gezag."""
    key, made = "noud", day(today, 120)
    client = _client(today, key, "Noud Willems", "male", 6)
    parent = {"client": key, "kind": "ouder", "gezag": True, "from": client["birth"]}
    levothyroxine = Dose("37.5", 1, "1 keer per dag anderhalve tablet, nuchter", ("MORN",))
    case = Case(
        problems=("down", "hypothyreoidie"),
        drugs=(("levothyroxine", levothyroxine, 500),),
        tests="tsh ft4 hemoglobine",
        draws=((380, "6.8 11.2 7.4", "De schildklier werkt te traag."),
               (190, "4.4 13.0 7.5", "De schildklier gaat beter."),
               (30, "2.90 15.1 7.6", "De schildklier is nu goed ingesteld.")),
        plan="Zorgplan Noud", goal="Noud loopt zelf naar de klas",
        steps=(("Oefenen met lopen", "1/d"), ("Logopedie", "2/wk")),
    )  # fmt: skip
    talk = {"Hoe praat Noud?": "Met gebaren en losse woorden.", "Wat helpt?": "Doe het voor."}
    return Family(
        key=key,
        client=client,
        accounts=(person("p-iris", "Iris Willems", "1989-05-30"),
                  person("p-bas", "Bas Willems", "1987-09-12"), cast.samira()),
        relations=({"person": "p-iris"} | parent, {"person": "p-bas"} | parent),
        grants=(copilot_permit(key, "p-iris", today, made),
                provider_permit(key, "p-bas", cast.DELINDE, made)),
        own=(own.sheet(key, "p-iris", "Zo praat u met Noud", moment(today, 100), talk),
             own.entry(key, "p-iris", "dagboek", moment(today, 4), "Noud telde tot vijf!")),
        pushes=pushes(client, today, case),
    )  # fmt: skip


def _yusuf(today: date) -> Family:
    """Yusuf is 14, confirmed his mother's access, and keeps results from the copiloot."""
    key, made = "yusuf", day(today, 90)
    client = _client(today, key, "Yusuf Kaya", "male", 14)
    twelfth = years_before(today, 2, 150)
    carbamazepine = Dose("200", 2, "2 keer per dag 1 tablet", ("MORN", "EVE"))
    melatonin = Dose("3", 1, "1 keer per dag 1 tablet, een uur voor het slapen", ("NIGHT",))
    case = Case(
        problems=("autisme", "epilepsie"),
        drugs=(("carbamazepine", carbamazepine, 700), ("melatonine", melatonin, 200)),
        tests="carbamazepine natrium alat",
        draws=((400, "6.1 138 24", "De spiegel is goed."),
               (210, "7.4 136 27", "De spiegel is goed."),
               (25, "8.20 133 29", "Het natrium is iets te laag. Wij prikken opnieuw.")),
        plan="Begeleidingsplan Yusuf", goal="Yusuf reist zelf met de bus",
        steps=(("Oefenen met de bus", "1/wk"), ("Dagplanning maken", "1/d")),
    )  # fmt: skip
    without = [
        category for category in PRESETS["copiloot-standaard"].categories if category != "uitslagen"
    ]
    mother = {"person": "p-fatma", "client": key, "kind": "ouder", "gezag": True}
    return Family(
        key=key,
        client=client,
        accounts=(person(key, client["name"], client["birth"]),
                  person("p-fatma", "Fatma Kaya", "1983-01-17"), cast.samira()),
        relations=(mother | {"from": client["birth"], "labels": [],
                             "child_confirmed": f"{twelfth[:4]}-12-31T12:00:00+01:00"},),
        grants=(copilot_permit(key, key, today, made, categories=without),
                provider_permit(key, key, cast.DELINDE, made)),
        own=(own.entry(key, key, "dagboek", moment(today, 6), "De bus was te druk vandaag."),
             own.entry(key, "p-fatma", "gezin", moment(today, 20), "Wij zoeken een oppas.")),
        pushes=pushes(client, today, case),
    )  # fmt: skip


def _mees(today: date) -> Family:
    """Mees is 19 and decides for himself; his copiloot is on the back burner for now."""
    key, made = "mees", day(today, 150)
    client = _client(today, key, "Mees Bakker", "male", 19)
    baclofen = Dose("10", 3, "3 keer per dag 1 tablet", ("MORN", "AFT", "EVE"))
    case = Case(
        problems=("cerebrale-parese", "spasticiteit"),
        drugs=(("baclofen", baclofen, 900),),
        tests="kreatinine kalium hemoglobine",
        draws=((300, "61 4.1 8.8", "Alle uitslagen zijn goed."),
               (100, "63 4.30 8.9", "Alle uitslagen zijn goed.")),
        plan="Plan van Mees", goal="Ik woon over een jaar zelf",
        steps=(("Spieren rekken", "2/d"), ("Samen koken", "1/wk")),
    )  # fmt: skip
    talk = {"Hoe praat u met mij?": "Gewoon tegen mij, niet tegen mijn vader."}
    return Family(
        key=key,
        client=client,
        accounts=(person(key, client["name"], client["birth"]),
                  person("p-henk", "Henk Bakker", "1974-02-08"), cast.samira()),
        relations=({"person": "p-henk", "client": key, "kind": "ouder", "gezag": True,
                    "from": client["birth"]},),
        grants=(copilot_permit(key, key, today, made, status="waakvlam"),
                provider_permit(key, key, cast.DELINDE, made),
                cast.permit("g-mees-henk", key, key, "p-henk", made,
                            categories=["afspraken", "zorgplan", "paspoort"])),
        own=(own.sheet(key, key, "Praat met mij", moment(today, 140), talk),),
        pushes=pushes(client, today, case),
    )  # fmt: skip


def _lotte(today: date) -> Family:
    """Lotte is 27, unable to decide; her mother acts as family, without a court order."""
    key, made = "lotte", day(today, 60)
    client = _client(today, key, "Lotte Smeets", "female", 27, wilsonbekwaam=True)
    valproate = Dose("300", 2, "2 keer per dag 5 ml (300 mg)", ("MORN", "EVE"))
    macrogol = Dose("1", 2, "2 keer per dag 1 zakje", ("MORN", "EVE"))
    case = Case(
        problems=("rett", "epilepsie", "scoliose", "obstipatie"),
        drugs=(("valproaat", valproate, 1200), ("macrogol", macrogol, 800)),
        tests="valproaat natrium trombocyten",
        draws=((330, "66 140 201", "Alle uitslagen zijn goed."),
               (150, "70 139 188", "Alle uitslagen zijn goed."),
               (20, "74 138 144", "Iets te weinig bloedplaatjes. Wij prikken opnieuw.")),
        plan="Zorgplan Lotte", goal="Lotte zit zonder pijn in haar stoel",
        steps=(("Houding wisselen", "8/d"), ("Muziek luisteren", "1/d")),
    )  # fmt: skip
    mother = {"person": "p-els", "client": key, "kind": "familie", "as": "ouder"}
    pain = {"Hoe ziet u pijn?": "Lotte bijt op haar hand.", "Wat helpt?": "Warmte en zingen."}
    return Family(
        key=key,
        client=client,
        accounts=(person("p-els", "Els Smeets", "1965-10-03"), cast.doctor_smit(), cast.samira()),
        relations=(mother | {"from": day(today, 900)},),
        grants=(copilot_permit(key, "p-els", today, made),
                provider_permit(key, "p-els", cast.DELINDE, made)),
        own=(own.sheet(key, "p-els", "Zo ziet u pijn bij Lotte", moment(today, 50), pain),
             own.entry(key, "p-els", "gezin", moment(today, 9), "Wat als ik er niet meer ben?")),
        pushes=pushes(client, today, case),
    )  # fmt: skip
