"""What is new, in plain Dutch (B1): for the list in the app, and for mail. Pure.

The list, behind a sign-in, may say what it is; mail and webhook say only that there is something.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from pgo.plain.clean import short
from pgo.plain.whole import tidy

_HERE: Final = ZoneInfo("Europe/Amsterdam")

SIGN_IN: Final = "inloggen"
"""What changed in how somebody signs in; of no dossier, and in words of `pgo.oauth.news`."""
FIXED: Final = frozenset({"noodtoegang", "toegang", "app", SIGN_IN})
"""Kinds nobody can switch off (safety 1)."""
URGENT: Final = frozenset({"noodtoegang", "toegang", "regie", "app"})
"""Kinds that are told at once; the others are told together."""
KINDS: Final = (
    *("uitslagen", "medicatie", "toegang", "noodtoegang", "geweigerd", "voorstel", "verzoek"),
    *("beheer", "regie", "levensloop", "app", "antwoord"),
)
_SENTENCES: Final[Mapping[str, tuple[str, str, str]]] = {
    # for one, for more than one, simple
    "uitslagen": (
        "Er is een nieuwe uitslag.",
        "Er zijn {times} nieuwe uitslagen.",
        "Nieuwe uitslag.",
    ),
    "medicatie": (
        "Er is iets veranderd bij de medicijnen.",
        "Er zijn {times} dingen veranderd bij de medicijnen.",
        "Er is iets nieuws bij de medicijnen.",
    ),
    "toegang": ("Iemand kreeg toegang tot het dossier.", "", "Iemand nieuw mag meekijken."),
    "noodtoegang": (
        "Een zorgverlener gebruikte de noodtoegang. Kijk of dat klopt.",
        "",
        "Iemand keek in nood. Kijk of dat klopt.",
    ),
    "geweigerd": (
        "Iemand probeerde iets wat niet mocht.",
        "Er waren {times} pogingen die niet mochten.",
        "Iemand mocht iets niet.",
    ),
    "voorstel": ("Er is een voorstel. U kunt ja of nee zeggen.", "", "Zeg ja of nee."),
    "verzoek": ("Iemand vraagt om toegang. U beslist.", "", "Iemand wil meekijken. U beslist."),
    "beheer": ("Een beheerder deed iets in het dossier.", "", "Een beheerder deed iets."),
    "app": (
        "Een app is gestopt. Misschien gebruikte iemand anders de app. Log opnieuw in bij de app.",
        "",
        "Een app is gestopt. Log opnieuw in bij de app.",
    ),
    "antwoord": (
        "Er is een antwoord op uw voorstel.",
        "Er zijn {times} antwoorden op uw voorstellen.",
        "Er is een antwoord.",
    ),
    "regie": (
        "Iemand is het niet eens met wie de regie heeft. Er kan nu niets bij.",
        "",
        "Er is een vraag over de regie.",
    ),
}
_LIFE: Final[Mapping[str, tuple[str, str, str]]] = {
    # still to come, has happened, simple
    "wordt-12": (
        "Op {day} wordt de cliënt 12 jaar. Ouders kijken dan alleen nog mee na een ja.",
        "De cliënt is 12 jaar. Ouders kijken alleen nog mee na een ja.",
        "Met 12 jaar beslist u zelf mee.",
    ),
    "wordt-16": (
        "Op {day} wordt de cliënt 16 jaar. Ouders kijken dan niet meer vanzelf mee.",
        "De cliënt is 16 jaar. Ouders kijken niet meer vanzelf mee.",
        "Met 16 jaar beslist u zelf.",
    ),
    "wordt-18": (
        "Op {day} wordt de cliënt 18 jaar. Het gezag van ouders stopt dan.",
        "De cliënt is 18 jaar. Het gezag van ouders is gestopt.",
        "Met 18 jaar stopt het gezag van ouders.",
    ),
    "einde-vertegenwoordiging": (
        "Op {day} stopt een vertegenwoordiging.",
        "Een vertegenwoordiging is gestopt. Kijk opnieuw wie erbij mag.",
        "Iemand regelt het niet meer voor u.",
    ),
    "einde-toestemming": (
        "Op {day} stopt een toestemming.",
        "Een toestemming is gestopt.",
        "Iemand kijkt straks niet meer mee.",
    ),
    "einde-programma": (
        "Op {day} stopt het programma. Het dossier blijft van u.",
        "Het programma is gestopt. Het dossier blijft van u.",
        "De hulp stopt. Het dossier blijft van u.",
    ),
}
_ABOUT: Final[Mapping[str, str]] = {
    "grant": "een toestemming voor {to}",
    "keep": "de toestemming voor {to}",
    "unseal": "een zegel",
    "successor": "{to} als opvolger",
    "relation": "{to} als vertegenwoordiger",
    "admit": "het einde van de uitsluiting van {to}",
}
_WORDS_OF_A_NAME: Final = 3
_MONTHS: Final = (
    *("januari", "februari", "maart", "april", "mei", "juni", "juli"),
    *("augustus", "september", "oktober", "november", "december"),
)
SUBJECT: Final = "Er is iets nieuws in uw PGO"
URGENT_SUBJECT: Final = "Kijk vandaag in uw PGO"
MAIL: Final = (
    "Hallo,\n\nEr is iets nieuws in een dossier waar u bij mag.\n"
    "Log in om het te lezen.\nOm privacy staat het niet in deze mail.\n\n{address}\n"
)
CODE_SUBJECT: Final = "Bevestig uw e-mailadres"
CODE_MAIL: Final = (
    "Hallo,\n\nIemand gaf dit adres op voor meldingen uit een PGO.\n"
    "Was u dat? Vul dan deze code in: {code}\nWas u dat niet? Dan hoeft u niets te doen.\n"
)


def sentence(
    kind: str, times: int, what: str, event: str, *, today: bool = False, easy: bool = False
) -> str:
    """One thing that is new; `event` is the instant of a life event."""
    if kind == "levensloop":
        ahead, now, simple = _LIFE[what]
        return simple if easy else (now if today else ahead.format(day=_day(event)))
    one, many, simple = _SENTENCES[kind]
    if easy:
        return simple
    return many.format(times=times) if many and times > 1 else one


def access(
    who: str, giver: str, what: str, *, role: str = "", may_stop: bool = False, easy: bool = False
) -> str:
    """Who got access, by whom, to what, and what the reader can do.

    Args:
        who: as the summary of the grant calls him.
        giver: the name of who gave it, as it was sent; "" when it is not known.
        what: the grant's own summary, easy or not.
        role: as what he represented the client when he gave it, or "".
        may_stop: whether the reader may end it.
        easy: in the shortest sentences.
    """
    lead = f"{who} kreeg toegang." if easy else f"{who} kreeg toegang tot het dossier."
    stop = ["U kunt dit stoppen."] if may_stop else []
    return " ".join([lead, f"{_giver(giver, role)} gaf dit.", what, *stop])


def answer(what: str, to: str, by: str, *, agreed: bool, easy: bool = False) -> str:
    """What somebody said to what the reader asked; `what` and `to` as in `pgo.wishes`."""
    said = "ja" if agreed else "nee"
    lead = f"{_giver(by)} zei {said}" + ("." if easy else " op uw voorstel.")
    about = _ABOUT[what].format(to=_known(to) or "iemand")
    return " ".join([lead, f"Het ging om {about}.", *([] if agreed else ["Er verandert niets."])])


def _giver(name: str, role: str = "") -> str:
    known = _known(name) or "Iemand"
    known = known[:1].upper() + known[1:]
    return f"{known} ({role})" if role else known


def _known(name: str) -> str:
    return short(tidy(name), _WORDS_OF_A_NAME)


def _day(event: str) -> str:
    """The day, in Amsterdam, of an instant."""
    local = datetime.fromisoformat(event).astimezone(_HERE)
    return f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
