"""What five providers send about Fenna; two of them name another dose of the same medicine."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.demo import cast, r4, r4_drugs, r4_results, stu3
from pgo.demo.book import Book, Period, day, moment
from pgo.demo.codes import DRUGS, PROBLEMS, Code, Dose, sct
from pgo.demo.r4_results import Draw, panel
from pgo.demo.shapes import Push

# De Linde raised levetiracetam to 300 mg; the pharmacy's label still says 250 mg.
RAISED = Dose("300", 2, "2 keer per dag 3 ml (300 mg)", ("MORN", "EVE"))
LABEL = Dose("250", 2, "2 keer per dag 2,5 ml (250 mg)", ("MORN", "EVE"))
VALPROATE = Dose("240", 2, "2 keer per dag 4 ml (240 mg)", ("MORN", "EVE"))
RESCUE = Dose("5", 1, "Zo nodig 2 sprays (5 mg), 1 in elk neusgat", needed="aanval van 5 minuten")
OMEPRAZOLE = Dose("10", 1, "1 keer per dag 1 capsule, een half uur voor de voeding", ("MORN",))
MACROGOL = Dose("1", 1, "1 keer per dag 1 zakje, opgelost in water", ("MORN",))
VITAMIN = Dose("800", 1, "1 keer per dag 800 IE", ("MORN",))
CLOBAZAM = Dose("5", 2, "2 keer per dag een halve tablet (5 mg)", ("MORN", "EVE"))

TESTS = "valproaat levetiracetam natrium alat vitamine-d hemoglobine trombocyten leukocyten"
# Ago in days, values in the order of TESTS, and the plain conclusion; oldest first.
DRAWS = (
    (721, "58 14.2 139 18 38 7.4 288 7.1", "De vitamine D is te laag. De rest is goed."),
    (633, "64 15.0 138 21 46 7.5 271 8.4", "De vitamine D is nog iets te laag."),
    (540, "71 13.8 140 22 61 7.6 254 6.9", "Alle uitslagen zijn goed."),
    (449, "83 12.9 137 31 66 7.3 231 9.8", "Alle uitslagen zijn goed."),
    (356, "104 12.1 136 52 70 7.2 198 7.7", "Te veel valproïnezuur. De dosis gaat omlaag."),
    (268, "77 11.4 138 39 72 7.3 224 8.0", "De spiegel van levetiracetam is te laag."),
    (171, "72 10.8 139 30 69 7.40 236 14.6", "Veel witte bloedcellen. Dit past bij een infectie."),
    (43, "69 16.5 139 26 75 7.50 247 7.3", "Alle uitslagen zijn goed."),
)


def pushes(client: dict[str, Any], today: date) -> tuple[Push, ...]:
    """Transactions of De Linde (twice), pharmacy, hospital (twice), night care, logeerhuis."""
    return (
        _plan(client, today),
        _treatment(client, today),
        _pharmacy(client, today),
        _hospital(client, today),
        _laboratory(client, today, 0),
        _laboratory(client, today, 4),
        _night(client, today),
        _weekend(client, today),
    )


def _plan(client: dict[str, Any], today: date) -> Push:
    """De Linde, STU3: the care plan with problems, goals, team and directive."""
    book = stu3.begin(Book(cast.DELINDE, client, "stu3"))
    doctor, carer = (stu3.clinician(book, who) for who in (cast.AVG, cast.CARER))
    since, made = client["birth"], day(today, 150)
    epilepsy = stu3.problem(book, "epilepsie", PROBLEMS["epilepsie"], since, by=doctor)
    swallow = stu3.problem(book, "dysfagie", PROBLEMS["dysfagie"], since, by=doctor)
    disability = stu3.problem(book, "zevmb", PROBLEMS["zeer-ernstige-vb"], since, by=doctor)
    calm = stu3.goal(book, "aanvallen", "Niet meer dan 4 aanvallen per week", made, about=epilepsy)
    grow = stu3.goal(book, "voeding", "Fenna groeit en verslikt zich niet", made, about=swallow)
    stu3.goal(book, "kiezen", "Fenna kiest zelf tussen twee dingen", made, about=disability)
    stu3.plan(
        book, "zorgplan", "Zorgplan Fenna", Period(made, day(today, -215)), by=carer,
        about=[epilepsy, swallow], goals=[calm, grow],
        steps=[("Sondevoeding geven, half zittend", "5/d"), ("Aanvallen opschrijven", "1/d"),
               ("Luchtwegen uitzuigen als dat nodig is", "3/d"), ("Houding wisselen", "8/d")],
    )  # fmt: skip
    mother = stu3.contact(book, "moeder", "Marjan de Boer", _mother(), phone="06-55501001")
    members = [("AVG-arts", doctor), ("verpleegkundige", carer), ("moeder", mother)]
    stu3.team(book, "team", "Team rond Fenna", members)
    stu3.alert(book, "valproaat", "Gebruikt valproïnezuur: niet zomaar stoppen", made)
    stu3.directive(book, "ic", "Wel behandelen, opname op de IC eerst bespreken", made)
    return book.push()


def _mother() -> Code:
    return Code("http://hl7.org/fhir/v3/RoleCode", "MTH", "moeder")


def _treatment(client: dict[str, Any], today: date) -> Push:
    """De Linde, R4: treatment, visits and the medication agreements of the AVG-arts."""
    book = r4.begin(Book(cast.DELINDE, client, "r4"))
    doctor = r4.clinician(book, cast.AVG)
    since = client["birth"]
    epilepsy = r4.problem(book, "epilepsie", PROBLEMS["epilepsie"], since, by=doctor)
    swallow = r4.problem(book, "dysfagie", PROBLEMS["dysfagie"], since, by=doctor)
    reflux = r4.problem(book, "reflux", PROBLEMS["reflux"], day(today, 1900), by=doctor)
    r4.problem(book, "scoliose", PROBLEMS["scoliose"], day(today, 700), by=doctor)
    r4.allergy(book, "penicilline", _penicillin(), since=day(today, 2100), reaction="huiduitslag")
    tube = sct("61420007", "sondevoeding")
    r4.procedure(book, "sondevoeding", tube, day(today, 1800), by=doctor, about=swallow)
    visit = Period(moment(today, 40, "10:00"), moment(today, 40, "10:45"))
    r4.encounter(book, "controle", "AMB", visit, by=doctor, reason="Controle van de epilepsie")
    for ago, weight, length in ((400, "19.8", "112"), (220, "20.9", "115"), (40, "22.40", "118")):
        r4.vital(book, f"gewicht-{ago}", "gewicht", weight, when=moment(today, ago, "10:10"))
        r4.vital(book, f"lengte-{ago}", "lengte", length, when=moment(today, ago, "10:12"))
    agreed = (
        ("levetiracetam", RAISED, Period(day(today, 40)), epilepsy),
        ("valproaat", VALPROATE, Period(day(today, 350)), epilepsy),
        ("midazolam", RESCUE, Period(day(today, 350)), epilepsy),
        ("clobazam", CLOBAZAM, Period(day(today, 600), day(today, 350)), epilepsy),
        ("omeprazol", OMEPRAZOLE, Period(day(today, 500)), reflux),
    )
    for key, dose, period, about in agreed:
        drug = DRUGS[key]
        r4_drugs.agreement(
            book, key, drug, dose, period,
            by=doctor, medication=r4_drugs.product(book, drug), about=about,
        )  # fmt: skip
    return book.push()


def _penicillin() -> Code:
    return sct("91936005", "allergie voor penicilline")


def _pharmacy(client: dict[str, Any], today: date) -> Push:
    """Vechtapotheek, R4: what is on the labels and what was handed over."""
    book = r4.begin(Book(cast.APOTHEEK, client, "r4"))
    labels = (
        ("levetiracetam", LABEL, 260, ("150", "mL")),
        ("valproaat", VALPROATE, 350, ("240", "mL")),
        ("midazolam", RESCUE, 350, ("4", "1")),
        ("omeprazol", OMEPRAZOLE, 500, ("30", "1")),
        ("macrogol", MACROGOL, 300, ("30", "1")),
    )
    for key, dose, ago, amount in labels:
        drug = DRUGS[key]
        medication = r4_drugs.product(book, drug)
        period = Period(day(today, ago))
        r4_drugs.administration(book, key, drug, dose, period, medication=medication)
        r4_drugs.handed_over(
            book, key, drug, moment(today, 21, "16:20"), amount, medication=medication
        )
    drug = DRUGS["colecalciferol"]
    vitamin = r4_drugs.product(book, drug)
    since = Period(day(today, 700))
    r4_drugs.use(book, "colecalciferol", drug, VITAMIN, since, medication=vitamin)
    return book.push()


def _hospital(client: dict[str, Any], today: date) -> Push:
    """IJsselziekenhuis, R4: an admission, an EEG and the next appointment."""
    book = r4.begin(Book(cast.ZIEKENHUIS, client, "r4"))
    doctor = r4.clinician(book, cast.NEUROLOGIST)
    stay = Period(moment(today, 172, "03:40"), moment(today, 168, "11:00"))
    r4.problem(book, "pneumonie", PROBLEMS["pneumonie"], day(today, 172), by=doctor)
    r4.encounter(book, "opname", "IMP", stay, by=doctor, reason="Longontsteking na verslikken")
    fever = moment(today, 172, "04:00")
    r4.vital(book, "temperatuur", "temperatuur", "39.20", when=fever)
    r4.vital(book, "saturatie", "saturatie", "91", when=fever)
    since = client["birth"]
    epilepsy = r4.problem(book, "epilepsie", PROBLEMS["epilepsie"], since, by=doctor)
    eeg = sct("54550000", "elektro-encefalografie")
    r4.procedure(book, "eeg", eeg, day(today, 356), by=doctor, about=epilepsy)
    coming = Period(moment(today, -18, "13:30"), moment(today, -18, "14:00"))
    r4.appointment(book, "controle", "Controle bij de kinderarts", coming)
    return book.push()


def _laboratory(client: dict[str, Any], today: date, first: int) -> Push:
    """IJsselziekenhuis, R4: four of the eight times blood was taken, from `first` on."""
    book = r4.begin(Book(cast.ZIEKENHUIS, client, "r4"))
    values = panel(TESTS, [row for _, row, _ in DRAWS])
    for number in range(first, first + 4):
        ago, _, conclusion = DRAWS[number]
        when = moment(today, ago, "08:15")
        r4_results.draw(book, Draw(str(number + 1), when, values[number], conclusion))
    return book.push()


NIGHTS = (
    "Rustige nacht. Om 2 uur gedraaid en verschoond.",
    "Eén aanval om 4.10 uur, 1 minuut. Geen midazolam nodig.",
    "Veel slijm. Drie keer uitgezogen. Sondevoeding rustig laten lopen.",
    "Goed geslapen. Moeder om 7 uur bijgepraat.",
    "Om 1 uur onrustig. Houding gewisseld, daarna rustig.",
    "Sonde verstopt om 23 uur. Doorgespoeld met warm water.",
)


def _night(client: dict[str, Any], today: date) -> Push:
    """Thuiszorg Nachtuil, STU3: reports and measurements of the night nurse."""
    book = stu3.begin(Book(cast.THUISZORG, client, "stu3"))
    nurse = stu3.clinician(book, cast.NIGHT_NURSE)
    for ago, text in enumerate(NIGHTS, 1):
        when = moment(today, ago, "06:45")
        stu3.report(book, f"nacht-{ago}", text, when, by=nurse)
        stu3.vital(book, f"saturatie-{ago}", "saturatie", str(95 + ago % 3), when=when)
    drug = DRUGS["paracetamol"]
    dose = Dose("240", 3, "Zo nodig 3 keer per dag 10 ml (240 mg)", needed="pijn of koorts")
    stu3.use(book, "paracetamol", drug, dose, Period(day(today, 6)))
    return book.push()


def _weekend(client: dict[str, Any], today: date) -> Push:
    """Logeerhuis De Hut, STU3: how the weekend went."""
    book = stu3.begin(Book(cast.LOGEERHUIS, client, "stu3"))
    carer = stu3.clinician(book, cast.HUT_CARER)
    text = "Fijn weekend. Zaterdag gewandeld. Twee korte aanvallen op zondag."
    stu3.report(book, "weekend", text, moment(today, 7, "18:00"), by=carer)
    return book.push()
