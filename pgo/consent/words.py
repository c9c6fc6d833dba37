"""What a grant means, in plain Dutch (B1) for the person whose dossier it is; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pgo.consent import moments
from pgo.consent.model import ORDINARY, RESERVED, Grant, Level

CATEGORY_WORDS: Mapping[str, str] = {
    "zorgplan": "zorgplan",
    "behandeling": "behandelingen",
    "medicatie": "medicijnen",
    "uitslagen": "uitslagen",
    "problemen": "ziekten en klachten",
    "allergieen": "allergieën",
    "vaccinaties": "vaccinaties",
    "verslagen": "verslagen",
    "metingen": "metingen",
    "afspraken": "afspraken",
    "vragenlijsten": "vragenlijsten",
    "documenten": "documenten",
    "wilsverklaring": "wensen over behandeling",
    "contactpersonen": "contactpersonen",
    "adres": "adres",
    "paspoort": "paspoort",
    "aanvragen": "aanvragen",
    "berichten": "berichten",
    "dagboek": "dagboek",
    "gezin": "notities over het gezin",
    "financieel": "geldzaken",
    "toestemmingen": "toestemmingen",
    "logging": "lijst van wie keek",
    "overig": "overige gegevens",
}
ACTION_WORDS: Mapping[str, str] = {
    "lezen": "lezen",
    "toevoegen": "erbij schrijven",
    "wijzigen": "wijzigen",
    "delen": "doorgeven aan anderen",
    "beheren": "voor u regelen wie erbij mag",
}
KIND_WORDS: Mapping[str, str] = {
    "copiloot": "copiloot",
    "zorgverlener": "zorgverlener",
    "systeem": "computer van de zorg",
    "naaste": "naaste",
}
_DAY_WORDS = ("maandag", "dinsdag", "woensdag", "donderdag", "vrijdag", "zaterdag", "zondag")
_MONTHS = (
    *("januari", "februari", "maart", "april", "mei", "juni", "juli"),
    *("augustus", "september", "oktober", "november", "december"),
)
# What people most want to know is closed; the rest of what is not covered is counted.
_NOTABLE = ("medicatie", "uitslagen", "verslagen", "dagboek", "gezin", "financieel")
MOST_NAMED = 6


def summary(grant: Grant, names: Mapping[str, str], kind: str = "") -> str:
    """One to four short sentences about a grant.

    `names` gives the name people know of a person, organisation or team; who is not in it is
    called by his id. `kind` is the kind of the grantee, named behind him.
    """
    if grant.unreadable:
        return f"{_who(grant, names, kind)} mag nu niets. Deze toestemming is niet te lezen."
    sentences = [_covers(grant, names, kind), *_conditions(grant), *_limits(grant)]
    return " ".join(sentences)


def not_covered(grant: Grant) -> tuple[str, ...]:
    """The categories a permit does not open, the ones people ask about first."""
    closed = (ORDINARY | RESERVED) - grant.contained if grant.effect == "permit" else frozenset()
    notable = [name for name in _NOTABLE if name in closed]
    return (*notable, *sorted(closed.difference(notable)))


def _covers(grant: Grant, names: Mapping[str, str], kind: str) -> str:
    who, until = _who(grant, names, kind), _until(grant)
    if grant.effect == "deny":
        return f"{who} mag {_forbidden(grant)}{until}."
    if grant.own:
        return f"{who} mag de eigen gegevens bij u neerzetten en bijwerken{until}."
    return f"{who} mag {_what(grant)} {_deeds(grant)}{until}."


def _forbidden(grant: Grant) -> str:
    deeds = "zien of veranderen"
    if grant.actions is not None:
        deeds = listed((ACTION_WORDS[a] for a in ACTION_WORDS if a in grant.actions), "of")
    everything = grant.categories is None and not grant.instances
    return f"niets {deeds}" if everything else f"{_what(grant)} niet {deeds}"


def _who(grant: Grant, names: Mapping[str, str], kind: str) -> str:
    known = names.get(grant.to_who) or names.get(grant.grantee.id) or grant.grantee.id
    name = known[:1].upper() + known[1:]
    if grant.grantee.level == Level.TEAM:
        return f"Het team {known}"
    if grant.grantee.level == Level.ROLE:
        return f"Een {grant.grantee.role} van {known}"
    return f"{name} ({KIND_WORDS[kind]})" if kind in KIND_WORDS else name


def _what(grant: Grant) -> str:
    if grant.instances:
        return "één onderdeel" if len(grant.instances) == 1 else "een paar onderdelen"
    if grant.categories is None:
        return "bijna alles"
    names = [CATEGORY_WORDS[name] for name in CATEGORY_WORDS if name in grant.categories]
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], "nog meer"]
    return f"uw {listed(names)}" if names else "niets"


def _deeds(grant: Grant) -> str:
    return listed(ACTION_WORDS[name] for name in ACTION_WORDS if name in grant.allowed)


def _until(grant: Grant) -> str:
    return f", tot {day(grant.to)}" if grant.to else ""


def _conditions(grant: Grant) -> list[str]:
    said = []
    if grant.from_:
        said.append(f"Dit gaat in op {day(grant.from_)}.")
    if grant.weekly is not None:
        windows = listed(f"van {_clock(start)} tot {_clock(end)}" for start, end in grant.weekly)
        said.append(f"Dat kan alleen {windows}." if windows else "Dat kan op geen enkel moment.")
    if grant.data_from or grant.data_to:
        said.append(_data_period(grant))
    if grant.author:
        said.append("Het gaat alleen om wat één schrijver opschreef.")
    if grant.parent:
        said.append("Dit is doorgegeven door iemand die het zelf mocht.")
    return said


def _data_period(grant: Grant) -> str:
    start = f" vanaf {day(grant.data_from)}" if grant.data_from else ""
    end = f" tot {day(grant.data_to)}" if grant.data_to else ""
    return f"Het gaat alleen om gegevens{start}{end}."


def _limits(grant: Grant) -> list[str]:
    if grant.effect == "deny" or grant.own:
        return []
    closed = [name for name in not_covered(grant) if name in _NOTABLE]
    said = [f"Niet: {listed(CATEGORY_WORDS[name] for name in closed)}."] if closed else []
    if grant.labels:
        return [*said, "Ook een deel van de extra gevoelige gegevens hoort erbij."]
    return [*said, "Extra gevoelige gegevens blijven dicht."]


def listed(words: Iterable[str], link: str = "en") -> str:
    """Words as people list them: a, b en c."""
    *first, last = list(words) or [""]
    return f"{', '.join(first)} {link} {last}" if first else last


def day(at: datetime) -> str:
    """A moment as a local day: 1 juni 2027, with the time when it is not midnight."""
    local = at.astimezone(moments.AMSTERDAM)
    text = f"{local.day} {_MONTHS[local.month - 1]} {local.year}"
    midnight = timedelta(hours=local.hour, minutes=local.minute) == timedelta()
    return text if midnight else f"{text} om {local:%H:%M} uur"


def _clock(minute: int) -> str:
    weekday, rest = divmod(minute, 24 * 60)
    return f"{_DAY_WORDS[weekday]} {rest // 60}:{rest % 60:02d} uur"
