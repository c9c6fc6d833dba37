"""What his general practice, laboratory, pharmacy and supporters send about Ruud."""

from __future__ import annotations

from datetime import date
from typing import Any

from pgo.demo import cast, r4, r4_drugs, r4_results, stu3
from pgo.demo.book import Book, Period, day, moment
from pgo.demo.codes import DRUGS, PROBLEMS, Code, Dose
from pgo.demo.r4_results import Draw, panel
from pgo.demo.shapes import Push

METFORMIN = Dose("500", 2, "2 keer per dag 1 tablet bij het eten", ("MORN", "EVE"))
METFORMIN_NOW = Dose("1000", 2, "2 keer per dag 2 tabletten bij het eten", ("MORN", "EVE"))
GLICLAZIDE = Dose("30", 1, "1 keer per dag 1 tablet bij het ontbijt", ("MORN",))
LISINOPRIL = Dose("10", 1, "1 keer per dag 1 tablet", ("MORN",))
ATORVASTATIN = Dose("20", 1, "1 keer per dag 1 tablet voor het slapen", ("NIGHT",))
TAKEN = (
    ("metformine", METFORMIN_NOW, 365),
    ("gliclazide", GLICLAZIDE, 180),
    ("lisinopril", LISINOPRIL, 900),
    ("atorvastatine", ATORVASTATIN, 640),
)

TESTS = "hba1c glucose ldl kreatinine egfr kalium"
DRAWS = (
    (728, "58 8.9 3.4 82 98 4.2", "De suiker en het cholesterol zijn te hoog."),
    (637, "61 9.4 2.8 84 96 4.3", "De suiker is te hoog. Het cholesterol daalt."),
    (546, "64 9.8 2.4 83 97 4.1", "De suiker is te hoog. Het cholesterol is goed."),
    (455, "67 10.6 2.3 85 95 4.4", "De suiker stijgt. Wij praten over de pillen."),
    (364, "71 11.2 2.4 86 94 4.5", "De suiker is veel te hoog. U krijgt meer pillen."),
    (273, "63 9.6 2.2 84 96 4.3", "De suiker daalt. Dat is goed nieuws."),
    (182, "59 8.7 2.3 85 95 4.2", "De suiker daalt nog niet genoeg. U krijgt een pil erbij."),
    (63, "52 7.4 2.1 83 97 4.20", "De suiker is bijna goed. Ga zo door."),
)
WEIGHTS = (
    (730, "108.4"), (637, "109.0"), (546, "110.20"), (455, "111.6"), (364, "112.3"),
    (273, "109.8"), (182, "107.1"), (91, "105.5"), (14, "104.00"),
)  # fmt: skip
PRESSURES = ((728, "148/92"), (546, "142/88"), (364, "138/86"), (182, "136/84"), (63, "132/82"))


def pushes(client: dict[str, Any], today: date) -> tuple[Push, ...]:
    """Transactions of the practice, the hospital's laboratory (twice), pharmacy and De Linde."""
    return (
        _practice(client, today),
        _laboratory(client, today, 0),
        _laboratory(client, today, 4),
        _pharmacy(client, today),
        _support(client, today),
    )


def talk(client: dict[str, Any]) -> str:
    """`system|value` of the visit that Ruud keeps from his mentor."""
    return Book(cast.HUISARTS, client, "r4").identifier("encounter-gesprek")


def _practice(client: dict[str, Any], today: date) -> Push:
    """De Molen, R4: problems, visits, measurements and medication agreements."""
    book = r4.begin(Book(cast.HUISARTS, client, "r4"))
    doctor = r4.clinician(book, cast.DOCTOR)
    sugar = r4.problem(book, "diabetes", PROBLEMS["diabetes"], day(today, 1500), by=doctor)
    pressure = r4.problem(book, "hypertensie", PROBLEMS["hypertensie"], day(today, 900), by=doctor)
    fat = PROBLEMS["hypercholesterolemie"]
    lipids = r4.problem(book, "cholesterol", fat, day(today, 728), by=doctor)
    r4.problem(book, "obesitas", PROBLEMS["obesitas"], day(today, 2600), by=doctor)
    plain = "Leg het simpel uit. Gebruik korte zinnen."
    r4.problem(book, "lvb", PROBLEMS["lichte-vb"], client["birth"], by=doctor, note=plain)
    _visits(book, today, doctor)
    for ago, weight in WEIGHTS:
        r4.vital(book, f"gewicht-{ago}", "gewicht", weight, when=moment(today, ago, "09:20"))
    r4.vital(book, "lengte", "lengte", "178", when=moment(today, 730, "09:20"))
    for ago, values in PRESSURES:
        when = moment(today, ago, "09:25")
        r4.blood_pressure(book, f"bloeddruk-{ago}", values, when=when)
    reasons = {"lisinopril": pressure, "atorvastatine": lipids}
    for key, dose, ago in TAKEN:
        drug, period = DRUGS[key], Period(day(today, ago))
        r4_drugs.agreement(
            book, key, drug, dose, period, by=doctor,
            medication=r4_drugs.product(book, drug), about=reasons.get(key, sugar),
        )  # fmt: skip
    _earlier(book, today, doctor)
    return book.push()


def _visits(book: Book, today: date, doctor: dict[str, Any]) -> None:
    seen = (
        ("controle-1", 364, "Controle van de suikerziekte"),
        ("controle-2", 182, "Controle van de suikerziekte"),
        ("controle-3", 61, "Controle van de suikerziekte"),
        ("gesprek", 33, "Gesprek over vrijen en een relatie"),
    )
    for number, ago, reason in seen:
        period = Period(moment(today, ago, "09:15"), moment(today, ago, "09:35"))
        r4.encounter(book, number, "AMB", period, by=doctor, reason=reason)
    flu = Code("http://www.whocc.no/atc", "J07BB02", "griepvaccin")
    r4.vaccination(book, "griep", flu, day(today, 30))
    coming = Period(moment(today, -28, "09:15"), moment(today, -28, "09:35"))
    r4.appointment(book, "controle-4", "Controle bij de praktijkondersteuner", coming)


def _earlier(book: Book, today: date, doctor: dict[str, Any]) -> None:
    """The lower dose of metformin, which ended when the higher one began."""
    drug, period = DRUGS["metformine"], Period(day(today, 1500), day(today, 365))
    known = {"reference": _url(book, "Medication"), "display": drug.name}
    r4_drugs.agreement(
        book, "metformine-eerder", drug, METFORMIN, period, by=doctor, medication=known
    )


def _url(book: Book, type_: str) -> str:
    """Address of the first resource of a type in this transaction (metformin is the first)."""
    found = (e["fullUrl"] for e in book.entries if e["resource"]["resourceType"] == type_)
    return str(next(found))


def _laboratory(client: dict[str, Any], today: date, first: int) -> Push:
    """IJsselziekenhuis, R4: four of the eight times blood was taken, from `first` on."""
    book = r4.begin(Book(cast.ZIEKENHUIS, client, "r4"))
    values = panel(TESTS, [row for _, row, _ in DRAWS])
    for number in range(first, first + 4):
        ago, _, conclusion = DRAWS[number]
        when = moment(today, ago, "08:05")
        r4_results.draw(book, Draw(str(number + 1), when, values[number], conclusion))
    return book.push()


def _pharmacy(client: dict[str, Any], today: date) -> Push:
    """Vechtapotheek, R4: the same doses as the doctor's, and what was handed over."""
    book = r4.begin(Book(cast.APOTHEEK, client, "r4"))
    for key, dose, ago in TAKEN:
        drug, period = DRUGS[key], Period(day(today, ago))
        medication = r4_drugs.product(book, drug)
        r4_drugs.administration(book, key, drug, dose, period, medication=medication)
        when = moment(today, 12, "11:05")
        r4_drugs.handed_over(book, key, drug, when, ("30", "1"), medication=medication)
    return book.push()


def _support(client: dict[str, Any], today: date) -> Push:
    """De Linde, STU3: the support plan and the reports of his supporter."""
    book = stu3.begin(Book(cast.DELINDE, client, "stu3"))
    carer, made = stu3.clinician(book, cast.CARER), day(today, 200)
    disability = stu3.problem(book, "lvb", PROBLEMS["lichte-vb"], client["birth"], by=carer)
    weight = stu3.problem(book, "obesitas", PROBLEMS["obesitas"], day(today, 2600), by=carer)
    light = stu3.goal(book, "gewicht", "Ik wil 100 kilo wegen", made, about=weight)
    alone = stu3.goal(book, "koken", "Ik kook 3 keer per week zelf", made, about=disability)
    stu3.plan(
        book, "plan", "Ondersteuningsplan Ruud", Period(made, day(today, -165)), by=carer,
        about=[disability, weight], goals=[light, alone],
        steps=[("Samen boodschappen doen", "1/wk"), ("Pillen klaarzetten in de weekdoos", "1/wk")],
    )  # fmt: skip
    stu3.contact(book, "mentor", "Anja Mulder", _mentor(), phone="06-55501002")
    stu3.team(book, "team", "Team van Ruud", [("begeleider", carer)])
    for ago, text in ((2, "Ruud kookte zelf soep."), (9, "Samen de pillen klaargezet.")):
        stu3.report(book, f"dag-{ago}", text, moment(today, ago, "17:00"), by=carer)
    return book.push()


def _mentor() -> Code:
    return Code("urn:oid:2.16.840.1.113883.2.4.3.11.22.472", "15", "mentor")
