"""Codes the demo data use, with Dutch displays: code systems, conditions, tests, drugs, units."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

SCT = "http://snomed.info/sct"
LOINC = "http://loinc.org"
UCUM = "http://unitsofmeasure.org"
ATC = "http://www.whocc.no/atc"
HL7 = "http://terminology.hl7.org/CodeSystem/"


class Code(NamedTuple):
    """One coding: system, code and Dutch display."""

    system: str
    code: str
    display: str


class LabTest(NamedTuple):
    """A laboratory test: LOINC code, UCUM unit, reference range and kind of material.

    `low` and `high` are texts, so that `5.40` keeps its zero; empty = open on that side.
    """

    code: Code
    unit: str
    low: str
    high: str
    kind: Code


class Drug(NamedTuple):
    """A medicine: ATC code of the substance, product name, and UCUM unit a dose is counted in."""

    code: Code
    name: str
    unit: str = "mg"


class Dose(NamedTuple):
    """How to take it: `amount` per time in the drug's unit, `times` a `period` (d, wk), in words.

    `at` are event timings (MORN, AFT, EVE, NIGHT); `needed` says when to take it, if only then.
    """

    amount: str
    times: int
    text: str
    at: tuple[str, ...] = ()
    needed: str = ""
    period: str = "d"


def coding(code: Code) -> dict[str, str]:
    """The code as a FHIR Coding."""
    return {"system": code.system, "code": code.code, "display": code.display}


def concept(code: Code, text: str = "") -> dict[str, Any]:
    """The code as a FHIR CodeableConcept; `text` left out = its display."""
    return {"coding": [coding(code)], "text": text or code.display}


def quantity(value: str, unit: str) -> dict[str, Any]:
    """A FHIR Quantity in UCUM; the value keeps its decimals."""
    shown = {"1": "stuk"}.get(unit, unit)
    return {"value": Decimal(value), "unit": shown, "system": UCUM, "code": unit}


def sct(code: str, display: str) -> Code:
    """A SNOMED CT code."""
    return Code(SCT, code, display)


def loinc(code: str, display: str) -> Code:
    """A LOINC code."""
    return Code(LOINC, code, display)


def atc(code: str, display: str) -> Code:
    """An ATC code."""
    return Code(ATC, code, display)


SERUM = sct("275711006", "serumtest")
BLOOD = sct("252275004", "hematologisch onderzoek")
URINE = sct("27171005", "urineonderzoek")

PROBLEMS = {
    "epilepsie": sct("84757009", "epilepsie"),
    "zeer-ernstige-vb": sct("31216003", "zeer ernstige verstandelijke beperking"),
    "lichte-vb": sct("86765009", "lichte verstandelijke beperking"),
    "cerebrale-parese": sct("128188000", "cerebrale parese"),
    "dysfagie": sct("40739000", "dysfagie"),
    "reflux": sct("235595009", "gastro-oesofageale refluxziekte"),
    "obstipatie": sct("14760008", "obstipatie"),
    "scoliose": sct("298382003", "scoliose"),
    "diabetes": sct("44054006", "diabetes mellitus type 2"),
    "obesitas": sct("414916001", "obesitas"),
    "hypertensie": sct("38341003", "hypertensie"),
    "hypercholesterolemie": sct("13644009", "hypercholesterolemie"),
    "down": sct("41040004", "syndroom van Down"),
    "hypothyreoidie": sct("40930008", "hypothyreoïdie"),
    "rett": sct("68618008", "syndroom van Rett"),
    "autisme": sct("408856003", "autistische stoornis"),
    "spasticiteit": sct("221360009", "spasticiteit"),
    "astma": sct("195967001", "astma"),
    "pneumonie": sct("422588002", "aspiratiepneumonie"),
}

TESTS = {
    "valproaat": LabTest(loinc("4086-5", "valproïnezuur in serum"), "mg/L", "50", "100", SERUM),
    "levetiracetam": LabTest(loinc("30471-7", "levetiracetam in serum"), "mg/L", "12", "46", SERUM),
    "carbamazepine": LabTest(loinc("3432-2", "carbamazepine in serum"), "mg/L", "4", "12", SERUM),
    "natrium": LabTest(loinc("2951-2", "natrium in serum"), "mmol/L", "135", "145", SERUM),
    "kalium": LabTest(loinc("2823-3", "kalium in serum"), "mmol/L", "3.5", "5.1", SERUM),
    "alat": LabTest(loinc("1742-6", "ALAT in serum"), "U/L", "", "45", SERUM),
    "kreatinine": LabTest(loinc("14682-9", "kreatinine in serum"), "umol/L", "60", "110", SERUM),
    "egfr": LabTest(loinc("62238-1", "eGFR volgens CKD-EPI"), "mL/min/{1.73_m2}", "90", "", SERUM),
    "vitamine-d": LabTest(loinc("68438-1", "25-OH-vitamine D in serum"), "nmol/L", "50", "", SERUM),
    "glucose": LabTest(
        loinc("14771-0", "nuchtere glucose in serum"), "mmol/L", "4.0", "6.1", SERUM
    ),
    "hba1c": LabTest(loinc("59261-8", "HbA1c (IFCC) in bloed"), "mmol/mol", "20", "42", BLOOD),
    "ldl": LabTest(loinc("22748-8", "LDL-cholesterol in serum"), "mmol/L", "", "2.6", SERUM),
    "acr": LabTest(
        loinc("32294-1", "albumine-kreatinineratio in urine"), "mg/mmol", "", "3.0", URINE
    ),
    "hemoglobine": LabTest(loinc("59260-0", "hemoglobine in bloed"), "mmol/L", "7.1", "9.3", BLOOD),
    "trombocyten": LabTest(loinc("777-3", "trombocyten in bloed"), "10*9/L", "150", "450", BLOOD),
    "leukocyten": LabTest(loinc("6690-2", "leukocyten in bloed"), "10*9/L", "4.5", "13.5", BLOOD),
    "tsh": LabTest(loinc("3016-3", "TSH in serum"), "m[IU]/L", "0.4", "4.0", SERUM),
    "ft4": LabTest(loinc("14920-3", "vrij T4 in serum"), "pmol/L", "10.0", "24.0", SERUM),
}

DRUGS = {
    "levetiracetam": Drug(atc("N03AX14", "levetiracetam"), "Levetiracetam drank 100 mg/ml"),
    "valproaat": Drug(atc("N03AG01", "valproïnezuur"), "Valproïnezuur stroop 60 mg/ml"),
    "clobazam": Drug(atc("N05BA09", "clobazam"), "Clobazam tablet 10 mg"),
    "midazolam": Drug(atc("N05CD08", "midazolam"), "Midazolam neusspray 2,5 mg per dosis"),
    "omeprazol": Drug(atc("A02BC01", "omeprazol"), "Omeprazol capsule msr 10 mg"),
    "macrogol": Drug(atc("A06AD65", "macrogol, combinaties"), "Macrogol/elektrolyten poeder", "1"),
    "paracetamol": Drug(atc("N02BE01", "paracetamol"), "Paracetamol 24 mg/ml stroop"),
    "colecalciferol": Drug(
        atc("A11CC05", "colecalciferol"), "Colecalciferol drank 50.000 IE/ml", "[iU]"
    ),
    "metformine": Drug(atc("A10BA02", "metformine"), "Metformine tablet 500 mg"),
    "gliclazide": Drug(atc("A10BB09", "gliclazide"), "Gliclazide tablet mga 30 mg"),
    "lisinopril": Drug(atc("C09AA03", "lisinopril"), "Lisinopril tablet 10 mg"),
    "atorvastatine": Drug(atc("C10AA05", "atorvastatine"), "Atorvastatine tablet 20 mg"),
    "levothyroxine": Drug(
        atc("H03AA01", "levothyroxine-natrium"), "Levothyroxine tablet 25 microgram", "ug"
    ),
    "baclofen": Drug(atc("M03BX01", "baclofen"), "Baclofen tablet 10 mg"),
    "carbamazepine": Drug(atc("N03AF01", "carbamazepine"), "Carbamazepine tablet mga 200 mg"),
    "melatonine": Drug(atc("N05CH01", "melatonine"), "Melatonine tablet 3 mg"),
    "salbutamol": Drug(atc("R03AC02", "salbutamol"), "Salbutamol aerosol 100 microgram", "ug"),
    "amoxicilline": Drug(atc("J01CA04", "amoxicilline"), "Amoxicilline suspensie 50 mg/ml"),
}

VITALS = {
    "gewicht": (loinc("29463-7", "lichaamsgewicht"), "kg", "BodyWeight"),
    "lengte": (loinc("8302-2", "lichaamslengte"), "cm", "BodyHeight"),
    "temperatuur": (loinc("8310-5", "lichaamstemperatuur"), "Cel", "BodyTemperature"),
    "hartslag": (loinc("8867-4", "hartfrequentie"), "/min", "HeartRate"),
    "saturatie": (loinc("59408-5", "zuurstofsaturatie"), "%", "O2Saturation"),
}
