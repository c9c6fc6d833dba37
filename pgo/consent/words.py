"""What a grant means, in plain Dutch (B1) for the person whose dossier it is; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta

from pgo.consent import moments
from pgo.consent.model import ORDINARY, PROVIDER_KINDS, RESERVED, Grant, Level
from pgo.consent.whose import Whose
from pgo.plain.clean import short
from pgo.plain.whole import tidy

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
PURPOSE_WORDS: Mapping[str, str] = {
    "TREAT": "behandeling",
    "CAREMGT": "hulp bij het regelen van zorg",
    "PATRQT": "eigen gebruik",
    "FAMRQT": "vertegenwoordiging",
    "PWATRNY": "vertegenwoordiging",
    "SUPNWK": "steun van naasten",
    "ETREAT": "nood",
    "BTG": "nood",
    "HRESCH": "onderzoek",
}
# What people most want to know is closed; the rest of what is not covered is counted.
_NOTABLE = ("medicatie", "uitslagen", "verslagen", "dagboek", "gezin", "financieel")
_STATES: Mapping[str, str] = {
    "proposed": "Dit geldt nog niet: er is eerst akkoord nodig.",
    "waakvlam": "Dit staat nu stil.",
    "rejected": "Dit is geweigerd en geldt niet.",
    "entered-in-error": "Dit was een vergissing en geldt niet.",
}
_DOING = ("lezen", "toevoegen", "wijzigen")
_TOO: Mapping[str, str] = {
    "lezen": "Lezen",
    "toevoegen": "Erbij schrijven",
    "wijzigen": "Wijzigen",
    "delen": "Doorgeven aan anderen",
    "beheren": "Regelen wie erbij mag,",
}
MOST_NAMED = 6
MOST_WORDS, EASY_WORDS = 20, 12
_NAME, _EASY_NAME, _ROLE, _OWNER = 4, 3, 2, 2


def summary(
    grant: Grant,
    names: Mapping[str, str],
    kind: str = "",
    *,
    easy: bool = False,
    owner: str = "",
) -> str:
    """Short sentences about a grant, of at most 20 words; `easy`: of at most 12.

    `names` gives the name people know of a person, organisation or team; who is not in it is
    called by his id. `kind` is the kind of the grantee, named behind him. `owner` is the name of
    the client, for a reader who is somebody else; left out: "uw".
    """
    return " ".join(sentences(grant, names, kind, easy=easy, owner=owner))


def sentences(
    grant: Grant,
    names: Mapping[str, str],
    kind: str = "",
    *,
    easy: bool = False,
    owner: str = "",
) -> list[str]:
    """The sentences of a summary: what it covers, when, and what it leaves closed."""
    who = _who(grant, names, kind, _EASY_NAME if easy else _NAME)
    if grant.unreadable:
        return [f"{who} mag nu niets.", "Deze toestemming is niet te lezen."]
    of = Whose(short(tidy(owner), _OWNER))
    said = _easily(grant, who, of) if easy else _covers(grant, who, of)
    most = EASY_WORDS if easy else MOST_WORDS
    if easy and any(_count(one) > most for one in said):
        said = _easily(grant, _who(grant, names, kind, _EASY_NAME - 1), of)
    return [*_state(grant), *said, *_conditions(grant, most), *_limits(grant, kind, most)]


def grantee_words(grant: Grant, names: Mapping[str, str], kind: str = "") -> str:
    """Who may do what a grant says, as its summary calls him."""
    return _who(grant, names, kind, _EASY_NAME)


def not_covered(grant: Grant, kind: str = "") -> tuple[str, ...]:
    """The categories a permit does not open, the ones people ask about first.

    Notes about the family are never for somebody in care (`kind` of the grantee).
    """
    closed = (ORDINARY | RESERVED) - grant.contained if grant.effect == "permit" else frozenset()
    in_care = kind in PROVIDER_KINDS or grant.grantee.level != Level.PERSON
    if in_care and grant.effect == "permit":
        closed |= {"gezin"}
    notable = [name for name in _NOTABLE if name in closed]
    return (*notable, *sorted(closed.difference(notable)))


def listing(
    lead: str,
    items: Iterable[str],
    most: int = MOST_WORDS,
    *,
    say: Callable[[list[str]], str] | None = None,
) -> list[str]:
    """Sentences that list everything, `lead` before each, none of more than `most` words.

    `say` makes one text of some of the items; left out: as people list them.
    """
    lines: list[list[str]] = []
    say = say or listed
    room = most - _count(lead)
    for item in items:
        if not lines or _count(say([" en ".join([*lines[-1], item])])) > room:
            lines.append([])
        lines[-1].append(item)
    return [f"{lead} {say(line)}." for line in lines]


def _count(text: str) -> int:
    return len(text.split())


def _state(grant: Grant) -> list[str]:
    if grant.status == "active" and grant.revoked is None:
        return []
    if grant.status in _STATES:
        return [_STATES[grant.status]]
    return [
        f"Dit geldt niet meer sinds {day(grant.revoked)}."
        if grant.revoked
        else "Dit geldt nu niet."
    ]


def _empty(grant: Grant) -> bool:
    """Whether a grant says nothing at all."""
    lists = (grant.types, grant.purposes, grant.instances)
    nothing = any(one is not None and not one for one in lists)
    return nothing or not grant.allowed or not grant.contained


def _covers(grant: Grant, who: str, of: Whose) -> list[str]:
    until = _until(grant)
    deny = grant.effect == "deny"
    if _empty(grant):
        return [f"{who} mag hiermee niets."]
    if grant.own:
        whole = f"{who} mag de eigen gegevens bij {of.whom} neerzetten en bijwerken{until}."
        return [whole] if _count(whole) <= MOST_WORDS else _apart(whole, grant, [], of)
    whole = f"{who} mag {_forbidden(grant, of)}{until}." if deny else ""
    whole = whole or f"{who} mag {_what(grant, of)} {_deeds(grant, of)}{until}."
    if _count(whole) <= MOST_WORDS:
        more = _named(grant)[MOST_NAMED - 1 :] if _many(grant) else []
        return [whole, *listing("Ook", more, say=of.these)]
    return _apart(
        f"{who} mag {_scope(grant, of)} {_main_deeds(grant, of)}.", grant, _others(grant), of
    )


def _apart(first: str, grant: Grant, others: list[str], of: Whose) -> list[str]:
    """A sentence that would be too long, in parts."""
    end = _until(grant)
    first = first.replace(f"{end}.", ".") if end else first
    named = [] if grant.own or grant.instances else _named(grant)
    what = listing("Het gaat om", named, say=of.these)
    return [first, *what, *others, *([f"Dit geldt{end.removeprefix(',')}."] if end else [])]


def _scope(grant: Grant, of: Whose) -> str:
    if grant.instances:
        return _what(grant, of)
    if grant.categories is not None:
        return "een deel van " + ("de gegevens" if of.owner else "uw gegevens")
    return "niets" if grant.effect == "deny" else "bijna alles"


def _main_deeds(grant: Grant, of: Whose) -> str:
    doing = [ACTION_WORDS[name] for name in _DOING if name in grant.allowed]
    if grant.effect == "permit":
        return listed(doing) if doing else "doorgeven of regelen"
    no = "" if _scope(grant, of) == "niets" else "niet "
    if grant.actions is None:
        return f"{no}zien of veranderen"
    return no + (listed(doing, "of") if doing else "doorgeven of regelen")


def _others(grant: Grant) -> list[str]:
    """What is not in the first sentence: passing on, and ruling."""
    if grant.effect == "deny" and grant.actions is None:
        return []
    too = "mag ook" if grant.effect == "permit" else "mag niet"
    return [f"{_TOO[name]} {too}." for name in ("delen", "beheren") if name in grant.allowed]


def _forbidden(grant: Grant, of: Whose) -> str:
    deeds = "zien of veranderen"
    if grant.actions is not None:
        deeds = listed((of.deed(ACTION_WORDS[a]) for a in ACTION_WORDS if a in grant.actions), "of")
    everything = grant.categories is None and not grant.instances
    return f"niets {deeds}" if everything else f"{_what(grant, of)} niet {deeds}"


def _who(grant: Grant, names: Mapping[str, str], kind: str, most: int) -> str:
    given = names.get(grant.to_who) or names.get(grant.grantee.id) or grant.grantee.id
    known = short(tidy(given), most) or "Iemand"
    name = known[:1].upper() + known[1:]
    if grant.grantee.level == Level.TEAM:
        return f"Het team {known}"
    if grant.grantee.level == Level.ROLE:
        return f"Een {short(tidy(grant.grantee.role), _ROLE)} van {known}"
    return f"{name} ({KIND_WORDS[kind]})" if kind in KIND_WORDS else name


def _named(grant: Grant) -> list[str]:
    if grant.categories is None:
        return []
    return [CATEGORY_WORDS[name] for name in CATEGORY_WORDS if name in grant.categories]


def _many(grant: Grant) -> bool:
    return not grant.instances and len(_named(grant)) > MOST_NAMED


def _what(grant: Grant, of: Whose) -> str:
    if grant.instances:
        return "één onderdeel" if len(grant.instances) == 1 else "een paar onderdelen"
    if grant.categories is None:
        return "bijna alles"
    names = _named(grant)
    if len(names) > MOST_NAMED:
        names = [*names[: MOST_NAMED - 1], "nog meer"]
    return of.these(names) if names else "niets"


def _deeds(grant: Grant, of: Whose) -> str:
    return listed(of.deed(ACTION_WORDS[name]) for name in ACTION_WORDS if name in grant.allowed)


def _until(grant: Grant) -> str:
    return f", tot {day(grant.to)}" if grant.to else ""


def _easily(grant: Grant, who: str, of: Whose) -> list[str]:
    """The same in the shortest sentences."""
    if _empty(grant):
        return [f"{who} mag niets."]
    deny, end = grant.effect == "deny", f"Dit stopt op {day(grant.to)}." if grant.to else ""
    first, *rest = [name for name in ACTION_WORDS if name in grant.allowed]
    if grant.own:
        said = [f"{who} mag de eigen gegevens brengen."]
    elif deny and grant.actions is None:
        said = [f"{who} mag dit niet zien.", "Veranderen mag ook niet."]
    else:
        no = "niet " if deny else ""
        said = [f"{who} mag {no}{_TOO[first].rstrip(',').lower()}."]
        said += [f"{_TOO[name]} mag {'ook niet' if deny else 'ook'}." for name in rest]
    what = [] if grant.own else listing("Het gaat om:", _named(grant), EASY_WORDS)
    if grant.instances:
        what = [f"Het gaat om {_what(grant, of)}."]
    elif not grant.own and grant.categories is None:
        what = ["Het gaat om alles." if deny else "Het gaat om bijna alles."]
    return [*said, *what, *filter(None, [end])]


def _conditions(grant: Grant, most: int) -> list[str]:
    said = []
    if grant.from_:
        said.append(f"Dit geldt vanaf {day(grant.from_)}.")
    if grant.weekly is not None:
        said += _windows(grant.weekly, most)
    if grant.data_from or grant.data_to:
        said += _data_period(grant, most)
    if grant.author:
        said.append("Het gaat alleen om wat één schrijver opschreef.")
    if grant.types:
        said.append("Het gaat alleen om bepaalde soorten gegevens.")
    if grant.purposes:
        known = {PURPOSE_WORDS.get(code, "een ander doel"): None for code in sorted(grant.purposes)}
        said += listing("Alleen voor", known, most)
    if grant.parent:
        said.append("Dit is doorgegeven door iemand die het zelf mocht.")
    if grant.depth and "delen" in grant.allowed:
        said.append(f"Doorgeven kan nog {grant.depth} keer.")
    if grant.by_court:
        said.append("De rechter heeft dit bepaald.")
    return said


def _windows(weekly: tuple[tuple[int, int], ...], most: int) -> list[str]:
    windows = [f"van {_clock(start)} tot {_clock(end)}" for start, end in weekly]
    if not windows:
        return ["Dat kan op geen enkel moment."]
    whole = f"Dat kan alleen {listed(windows)}."
    if _count(whole) <= most:
        return [whole]
    return ["Dat kan alleen op vaste tijden.", *(f"Het kan {window}." for window in windows)]


def _data_period(grant: Grant, most: int) -> list[str]:
    start = f" vanaf {day(grant.data_from)}" if grant.data_from else ""
    end = f" tot {day(grant.data_to)}" if grant.data_to else ""
    whole = f"Het gaat alleen om gegevens{start}{end}."
    if _count(whole) <= most:
        return [whole]
    return [f"Alleen gegevens{part}." for part in (start, end) if part]


def _limits(grant: Grant, kind: str, most: int) -> list[str]:
    if grant.effect == "deny" or grant.own or _empty(grant):
        return []
    closed = not_covered(grant, kind)
    notable = [CATEGORY_WORDS[name] for name in closed if name in _NOTABLE]
    said, others = listing("Niet:", notable, most), len(closed) - len(notable)
    if others:
        said.append(f"Ook niet: nog {others} andere soorten gegevens.")
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
