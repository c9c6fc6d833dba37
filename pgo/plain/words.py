"""Dutch words (B1) for the codes that lines and decisions carry. Data only.

Every word of a sentence that a person reads about who looked stands here, so that one reader can
check the language in one place.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

MONTHS: Final = (
    *("januari", "februari", "maart", "april", "mei", "juni"),
    *("juli", "augustus", "september", "oktober", "november", "december"),
)


@dataclass(frozen=True, slots=True)
class Noun:
    """A thing in a dossier: article, one, many; `one_only` when there is normally one of it."""

    article: str
    one: str
    many: str
    one_only: bool = False


NOUNS: Final[Mapping[str, Noun]] = {
    "zorgplan": Noun("het", "zorgplan", "zorgplan", one_only=True),
    "behandeling": Noun("de", "behandeling", "behandelingen"),
    "medicatie": Noun("het", "medicijn", "medicijnen"),
    "uitslagen": Noun("de", "uitslag", "uitslagen"),
    "problemen": Noun("het", "gezondheidsprobleem", "gezondheidsproblemen"),
    "allergieen": Noun("de", "allergie", "allergieën"),
    "vaccinaties": Noun("de", "vaccinatie", "vaccinaties"),
    "verslagen": Noun("het", "verslag", "verslagen"),
    "metingen": Noun("de", "meting", "metingen"),
    "afspraken": Noun("de", "afspraak", "afspraken"),
    "vragenlijsten": Noun("de", "vragenlijst", "vragenlijsten"),
    "documenten": Noun("het", "document", "documenten"),
    "wilsverklaring": Noun("de", "wilsverklaring", "wilsverklaring", one_only=True),
    "contactpersonen": Noun("de", "contactpersoon", "contactpersonen"),
    "adres": Noun("het", "adres", "adres", one_only=True),
    "paspoort": Noun("het", "zorgpaspoort", "zorgpaspoort", one_only=True),
    "aanvragen": Noun("de", "aanvraag", "aanvragen"),
    "berichten": Noun("het", "bericht", "berichten"),
    "dagboek": Noun("het", "dagboek", "dagboek", one_only=True),
    "gezin": Noun("de", "gezinsnotitie", "gezinsnotities"),
    "financieel": Noun("de", "geldzaak", "geldzaken"),
    "toestemmingen": Noun("de", "toestemming", "toestemmingen"),
    "logging": Noun("het", "kijkoverzicht", "kijkoverzicht", one_only=True),
    "overig": Noun("het", "ander gegeven", "andere gegevens"),
}
DATA: Final = Noun("de", "gegeven", "gegevens")
PERSONAL: Final = Noun("de", "persoonsgegeven", "persoonsgegevens")


@dataclass(frozen=True, slots=True)
class Deed:
    """What somebody did: `did`, and the same as a wish that was refused (`wanted`).

    Filled in are {times}, {what} (and whose it is), {things} (the same without whose) and
    {dossier}. No form says {what} and {dossier} both: the easy form has twelve words at most.
    """

    did: str
    wanted: str


VIEW: Final = Deed("bekeek {times}{what}", "wilde {what} bekijken")
SEARCH: Final = Deed("zocht {times}in {dossier}", "wilde in {dossier} zoeken")
COUNT: Final = Deed("telde {times}gegevens in {dossier}", "wilde gegevens in {dossier} tellen")
SEND: Final = Deed("zette {times}{things} in {dossier}", "wilde iets in {dossier} zetten")
OTHER: Final = Deed("deed {times}iets in {dossier}", "wilde iets doen in {dossier}")
COPY: Final = Deed("maakte {times}een kopie van {dossier}", "wilde een kopie maken van {dossier}")
DEEDS: Final[Mapping[str, Deed]] = {
    "read": VIEW,
    "vread": VIEW,
    "history-instance": VIEW,
    "history-type": VIEW,
    "history-system": VIEW,
    "search-type": VIEW,
    "search-system": VIEW,
    "everything": VIEW,
    "lastn": VIEW,
    "latest-stops": VIEW,
    "summary": VIEW,
    "meta": VIEW,
    "document": VIEW,
    "overview": VIEW,
    "dossier-show": VIEW,
    "create": Deed("voegde {times}{what} toe", "wilde {what} toevoegen"),
    "update": Deed("wijzigde {times}{what}", "wilde {what} wijzigen"),
    "patch": Deed("wijzigde {times}{what}", "wilde {what} wijzigen"),
    "delete": Deed("verwijderde {times}{what}", "wilde {what} verwijderen"),
    "transaction": SEND,
    "batch": SEND,
    "import": SEND,
    "export": COPY,
    "grant": Deed("gaf {times}een toestemming", "wilde een toestemming geven"),
    "grant-change": Deed("wijzigde {times}een toestemming", "wilde een toestemming wijzigen"),
    "deny": Deed("weigerde {times}iemand toegang", "wilde iemand toegang weigeren"),
    "revoke": Deed("stopte {times}een toestemming", "wilde een toestemming stoppen"),
    "confirm": Deed("bevestigde {times}een toestemming", "wilde een toestemming bevestigen"),
    "seal": Deed("schermde {times}gegevens af", "wilde gegevens afschermen"),
    "unseal": Deed("maakte {times}gegevens weer zichtbaar", "wilde gegevens zichtbaar maken"),
    "relate": Deed(
        "legde {times}een vertegenwoordiger vast", "wilde iemand laten vertegenwoordigen"
    ),
    "unrelate": Deed(
        "stopte {times}een vertegenwoordiging", "wilde een vertegenwoordiging stoppen"
    ),
    "emergency": Deed("gebruikte {times}de noodtoegang", "wilde de noodtoegang gebruiken"),
    "link-code": Deed("maakte {times}een koppelcode", "wilde een koppelcode maken"),
    "link": Deed("koppelde {times}een zorgverlener", "wilde een zorgverlener koppelen"),
    "unlink": Deed("stopte {times}een koppeling", "wilde een koppeling stoppen"),
    "invite": Deed("nodigde {times}iemand uit", "wilde iemand uitnodigen"),
    "invite-look": Deed("bekeek {times}een uitnodiging", "wilde een uitnodiging bekijken"),
    "accept": Deed("nam {times}een uitnodiging aan", "wilde een uitnodiging aannemen"),
    "ask-access": Deed("vroeg {times}om toegang", "wilde om toegang vragen"),
    "propose": Deed("deed {times}een voorstel", "wilde een voorstel doen"),
    "agree": Deed("stemde {times}in met een voorstel", "wilde instemmen met een voorstel"),
    "refuse": Deed("wees {times}een voorstel af", "wilde een voorstel afwijzen"),
    "dormant": Deed(
        "zette {times}een toestemming op waakvlam", "wilde een toestemming op waakvlam zetten"
    ),
    "wake": Deed("zette {times}een toestemming weer aan", "wilde een toestemming weer aanzetten"),
    "reaffirm": Deed(
        "liet {times}een toestemming doorgaan", "wilde een toestemming laten doorgaan"
    ),
    "claim": Deed("gaf {times}op wie vertegenwoordigt", "wilde opgeven wie vertegenwoordigt"),
    "review": Deed("keek {times}een noodtoegang na", "wilde een noodtoegang nakijken"),
    "successor": Deed("wees {times}een opvolger aan", "wilde een opvolger aanwijzen"),
    "contest": Deed("betwistte {times}de regie", "wilde de regie betwisten"),
    "verify": Deed("controleerde {times}een bewijs", "wilde een bewijs controleren"),
    "death": Deed("legde een overlijden vast", "wilde een overlijden vastleggen"),
    "settle": Deed("besliste {times}over de regie", "wilde over de regie beslissen"),
    "dossier-token": Deed("maakte {times}een toegang tot {dossier}", "wilde een toegang maken"),
    "approve": Deed("keurde {times}werk van beheer goed", "wilde werk van beheer goedkeuren"),
    "dossier-create": Deed("maakte {dossier}", "wilde {dossier} maken"),
    "dossier-erase": Deed("wiste {dossier}", "wilde {dossier} wissen"),
}

KINDS: Final[Mapping[str, str]] = {
    "": "",
    "naaste": "naaste",
    "copiloot": "copiloot",
    "zorgverlener": "zorgverlener",
    "systeem": "computersysteem",
    "beheerder": "beheerder",
}
REPRESENTS: Final[Mapping[str, str]] = {
    "minderjarig<12": "ouder of voogd",
    "minderjarig-wob": "ouder of voogd",
    "12-15": "ouder of voogd",
    "mentor": "mentor",
    "curator": "curator",
    "gemachtigde": "gemachtigde",
    "naaste": "familie",
    "nabestaande": "nabestaande",
}

NOT_ALLOWED: Final = "Dat mocht niet."
REFUSALS: Final[Mapping[str, str]] = {
    "NIET_INGELOGD": "Deze persoon was niet ingelogd.",
    "ANDER_DOSSIER": "Dat hoort niet bij dit dossier.",
    "TOKEN_INGETROKKEN": "De toegang was al gestopt.",
    "SCOPE": "De app mag dit niet.",
    "BEHEERDER_GEEN_INHOUD": "Een beheerder mag nooit in een dossier kijken.",
    "DOEL_ONTBREEKT": "Er was geen doel genoemd.",
    "DOEL_VERBODEN": "Dit doel is niet toegestaan.",
    "LOA_TE_LAAG": "Deze persoon was niet veilig genoeg ingelogd.",
    "GEEN_LID_ORGANISATIE": "Deze persoon hoort niet bij de genoemde organisatie.",
    "NIET_AAN_ZICHZELF": "Niemand mag zichzelf meer rechten geven.",
    "BEHEER_BEPERKT": "Een copiloot mag dit niet regelen.",
    "OVERLEDEN": "Na een overlijden mag dit niet meer.",
    "KIND_<12_GEEN_EIGEN_TOEGANG": "Een kind onder de 12 heeft geen eigen toegang.",
    "WACHT_OP_MEDETOESTEMMING": "Er moet nog iemand anders toestemming geven.",
    "CURATELE_BEHEERT": "De curator moet dit regelen.",
    "VERZEGELD": "Deze gegevens zijn afgeschermd.",
    "VERBORGEN_VOOR_VERTEGENWOORDIGER": "Deze gegevens zijn afgeschermd voor vertegenwoordigers.",
    "VERBORGEN_VOOR_NAASTEN": "Deze gegevens zijn afgeschermd voor naasten.",
    "NOOD_ALLEEN_ZORGVERLENER": "Alleen een zorgverlener mag de noodtoegang gebruiken.",
    "NOOD_ZONDER_REDEN": "Er was geen goede reden genoemd voor de noodtoegang.",
    "NOOD_ALLEEN_LEZEN": "Met de noodtoegang mag iemand alleen kijken.",
    "NOOD_UITGEZET_DOOR_CLIENT": "De noodtoegang staat uit.",
    "NOOD_BUITEN_NOODSET": "De noodtoegang geldt niet voor deze gegevens.",
    "NOOD_VERLOPEN": "De noodtoegang was voorbij.",
    "WEIGERING_WINT": "Deze persoon is uitgesloten.",
    "BUITEN_MACHTIGING": "Dit valt niet onder de machtiging.",
    "BUITEN_DIENST": "Dit hoort niet bij de dienst waarvoor is gevraagd.",
    "LABEL_NIET_GEDEKT": "Voor deze gevoelige gegevens is geen toestemming.",
    "DELEGATIE_DIEPTE": "De toestemming mocht niet verder worden doorgegeven.",
    "DELEGATIE_ONGELDIG": "De doorgegeven toestemming geldt niet meer.",
    "GEEN_TOESTEMMING": "Er was geen toestemming.",
}
REFUSALS_OF_YOU: Final[Mapping[str, str]] = {
    "NIET_INGELOGD": "U was niet ingelogd.",
    "LOA_TE_LAAG": "U was niet veilig genoeg ingelogd.",
    "GEEN_LID_ORGANISATIE": "U hoort niet bij de genoemde organisatie.",
    "NIET_AAN_ZICHZELF": "U mag uzelf niet meer rechten geven.",
    "WEIGERING_WINT": "U bent uitgesloten.",
}
"""What is said otherwise to the person himself."""
