"""Why a decision is what it is and what would change it, as data and as plain Dutch (B1).

It asks the very same steps as `decide`; it is for the client, the privacy officer and
`pgo consent explain`, never for somebody who was refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pgo.consent import matching
from pgo.consent.asking import Asking, ask
from pgo.consent.decide import decide
from pgo.consent.delegation import chain
from pgo.consent.model import Decision, Grant, Level, Request, World

_GRANTS = "toestemmingen"
STEPS: Mapping[str, str] = {
    "ZELF": "zelf",
    "KIND_<12_GEEN_EIGEN_TOEGANG": "zelf",
    "CURATELE_BEHEERT": "zelf",
    "VERZEGELD": "zegels",
    "VERBORGEN_VOOR_VERTEGENWOORDIGER": "zegels",
    "VERBORGEN_VOOR_NAASTEN": "zegels",
    "WEIGERING_WINT": "weigeringen",
    "BUITEN_MACHTIGING": "vertegenwoordiging",
    "LABEL_NIET_GEDEKT": "vertegenwoordiging",
    "WACHT_OP_MEDETOESTEMMING": "vertegenwoordiging",
    "OVERLEDEN": "vertegenwoordiging",
    "DELEGATIE_DIEPTE": _GRANTS,
    "DELEGATIE_ONGELDIG": _GRANTS,
    "GEEN_TOESTEMMING": _GRANTS,
}
WHY: Mapping[str, tuple[str, str]] = {
    "ZELF": ("Dit is het eigen dossier.", ""),
    "NIET_INGELOGD": ("Er is niemand ingelogd.", "Eerst inloggen."),
    "ANDER_DOSSIER": ("Dit hoort bij een ander dossier.", "Kies het goede dossier."),
    "TOKEN_INGETROKKEN": ("De toegang van deze app is gestopt.", "Opnieuw inloggen met de app."),
    "SCOPE": ("Deze app mag dit niet.", "Geef de app meer rechten."),
    "BEHEERDER_GEEN_INHOUD": ("Een beheerder mag nooit in een dossier kijken.", ""),
    "DOEL_ONTBREEKT": ("Er is geen doel genoemd.", "Noem waarvoor het nodig is."),
    "DOEL_VERBODEN": ("Dit doel is verboden.", ""),
    "LOA_TE_LAAG": ("Het inloggen was niet veilig genoeg.", "Log in op een veiligere manier."),
    "GEEN_LID_ORGANISATIE": (
        "Deze persoon hoort nu niet bij de organisatie.",
        "De organisatie moet hem als lid noemen.",
    ),
    "NIET_AAN_ZICHZELF": ("Niemand geeft zichzelf meer rechten.", "Een ander moet dit doen."),
    "BEHEER_BEPERKT": ("Een copiloot mag dit niet regelen.", "De client regelt dit zelf."),
    "OVERLEDEN": ("De client is overleden.", ""),
    "KIND_<12_GEEN_EIGEN_TOEGANG": ("Een kind onder de 12 kijkt niet zelf.", "Wacht tot 12 jaar."),
    "WACHT_OP_MEDETOESTEMMING": (
        "Kind en ouder moeten dit samen willen.",
        "De ander moet ook ja zeggen.",
    ),
    "CURATELE_BEHEERT": ("De curator regelt dit.", "Vraag het de curator."),
    "VERZEGELD": ("Alleen de schrijver en de client zien dit.", "De client haalt het zegel weg."),
    "VERBORGEN_VOOR_VERTEGENWOORDIGER": (
        "Dit is verborgen voor vertegenwoordigers.",
        "De client haalt het zegel weg.",
    ),
    "VERBORGEN_VOOR_NAASTEN": (
        "Dit is verborgen voor naasten en copiloten.",
        "De client haalt het zegel weg.",
    ),
    "NOOD": ("Het is een noodgeval. De client krijgt bericht.", ""),
    "NOOD_ALLEEN_ZORGVERLENER": (
        "Noodtoegang is alleen voor zorgverleners die sterk zijn ingelogd.",
        "Een zorgverlener logt in op niveau hoog.",
    ),
    "NOOD_ZONDER_REDEN": ("De reden van de nood ontbreekt.", "Schrijf op waarom het nodig is."),
    "NOOD_ALLEEN_LEZEN": ("In nood mag iemand alleen lezen.", ""),
    "NOOD_UITGEZET_DOOR_CLIENT": ("De client wil geen noodtoegang.", "De client zet dit weer aan."),
    "NOOD_BUITEN_NOODSET": ("Dit hoort niet bij wat in nood open mag.", ""),
    "NOOD_VERLOPEN": ("De noodtoegang is voorbij.", "Open opnieuw met een reden."),
    "WEIGERING_WINT": ("Er is een weigering. Die wint altijd.", "Haal de weigering weg."),
    "BUITEN_MACHTIGING": (
        "Dit valt buiten de machtiging.",
        "Geef een toestemming of een ruimere machtiging.",
    ),
    "LABEL_NIET_GEDEKT": (
        "Dit is extra gevoelig en niet genoemd.",
        "Noem dit gevoelige onderwerp in de machtiging.",
    ),
    "DELEGATIE_DIEPTE": ("Dit recht mag niet worden doorgegeven.", "De client geeft het zelf."),
    "DELEGATIE_ONGELDIG": (
        "Wie dit doorgaf, mag het zelf niet meer.",
        "De client geeft zelf een toestemming.",
    ),
    "GEEN_TOESTEMMING": ("Er is geen toestemming die past.", "De client geeft een toestemming."),
}
MISSED: Mapping[str, str] = {
    "status": "is niet actief",
    "ingetrokken": "is ingetrokken",
    "periode": "geldt niet op dit moment",
    "doel": "is voor een ander doel",
    "weekvenster": "geldt niet op dit uur van de week",
    "gemaakt": "is later gemaakt",
    "actie": "is voor een andere handeling",
    "categorie": "gaat over andere gegevens",
    "soort": "gaat over een andere soort",
    "auteur": "gaat over een andere schrijver",
    "onderdeel": "gaat over een ander onderdeel",
    "datum": "gaat over een andere tijd",
    "label": "noemt dit gevoelige onderwerp niet",
    "gezin": "is van een zorgverlener, en die ziet geen notities over het gezin",
    "eigen organisatie": "is alleen voor gegevens van de eigen organisatie",
    "ontvanger": "is voor iemand anders van de organisatie",
    "gever": "komt van iemand die dit niet kan geven",
}


@dataclass(frozen=True, slots=True)
class Miss:
    """A permit that names the actor but does not open this; `rules` are keys of MISSED."""

    grant: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The decision, the step that made it, near misses and what would change it.

    `changes` are sentences about what would turn a no into a yes; `sentences` the whole story.
    """

    decision: Decision
    step: str
    misses: tuple[Miss, ...]
    changes: tuple[str, ...]
    sentences: tuple[str, ...]


def explain(world: World, request: Request) -> Explanation:
    """Why the actor may or may not do this."""
    decision = decide(world, request)
    own = request.actor == request.client
    misses = () if decision.permit or own else _misses(ask(world, request))
    why, change = _why(decision.reason)
    changes = tuple(filter(None, [change])) if not decision.permit else ()
    near = [f"Toestemming {miss.grant} {MISSED[miss.rules[0]]}." for miss in misses]
    helped = decision.reason in ("GEEN_TOESTEMMING", "DELEGATIE_ONGELDIG", "DELEGATIE_DIEPTE")
    return Explanation(
        decision=decision,
        step=_step(decision.reason, own=own),
        misses=misses,
        changes=changes,
        sentences=(
            "Dit mag." if decision.permit else "Dit mag niet.",
            why,
            *_named(decision),
            *(near if helped else ()),
            *(f"Wat helpt: {_lower(text)}" for text in changes),
        ),
    )


def _why(reason: str) -> tuple[str, str]:
    if reason.startswith("TOESTEMMING:"):
        return "Er is een toestemming die past.", ""
    if reason.startswith("VERTEGENWOORDIGER:"):
        return GROUNDS[reason.partition(":")[2]], ""
    return WHY[reason]


GROUNDS: Mapping[str, str] = {
    "minderjarig<12": "De ouder of voogd beslist voor een kind onder de 12.",
    "minderjarig-wob": "De ouder of voogd beslist, want het kind kan dat niet.",
    "12-15": "Het kind vindt goed dat deze ouder meekijkt.",
    "mentor": "De rechter heeft deze mentor benoemd.",
    "curator": "De rechter heeft deze curator benoemd.",
    "gemachtigde": "De client heeft deze persoon gemachtigd.",
    "naaste": "Deze naaste beslist, want de client kan dat niet zelf.",
    "nabestaande": "Deze persoon vertegenwoordigde de client tot het overlijden.",
}


def _step(reason: str, *, own: bool) -> str:
    if reason.startswith("TOESTEMMING:"):
        return _GRANTS
    if reason.startswith("VERTEGENWOORDIGER:"):
        return "vertegenwoordiging"
    if reason.startswith("NOOD"):
        return "noodtoegang"
    if own and reason in ("OVERLEDEN", "WACHT_OP_MEDETOESTEMMING"):
        return "zelf"
    return STEPS.get(reason, "verzoek")


def _named(decision: Decision) -> list[str]:
    if not decision.grants:
        return []
    kind = "weigering" if decision.reason == "WEIGERING_WINT" else "toestemming"
    return [f"Het gaat om {kind} {decision.grants[0]}."]


def _misses(asking: Asking) -> tuple[Miss, ...]:
    """Permits of this client that name the actor and do not open this, in table order."""
    found = []
    candidates = {id(grant) for grant in matching.candidates(asking)}
    for grant in asking.world.grants:
        if grant.client != asking.client.id or grant.effect != "permit":
            continue
        if not _names(grant, asking):
            continue
        rules = list(matching.misses(grant, asking))
        if id(grant) not in candidates and grant.status == "active":
            rules.append("ontvanger")
        if not rules and not chain(grant, asking):
            rules.append("gever")
        if rules:
            found.append(Miss(grant.id, tuple(rules)))
    return tuple(found)


def _names(grant: Grant, asking: Asking) -> bool:
    """Whether a grant is to the actor, or to something he is a member of."""
    if grant.grantee.level == Level.PERSON:
        return grant.to_who == asking.actor.id
    actor = asking.actor
    return grant.grantee.id in (actor.teams if grant.grantee.level == Level.TEAM else actor.orgs)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]
