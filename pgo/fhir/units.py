"""Units that can be turned into each other: an own table of UCUM codes that occur in care.

Facts from UCUM (https://ucum.org/ucum), factors exact. Only what measures the same is one kind:
mass is no amount of substance (mg/dL and mmol/L need to know the substance), [IU] is no U, and
mmol/mol is no %, whatever their dimension, because in laboratory results they are not compared.
A code that is not here is compared literally.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal, localcontext
from fractions import Fraction
from functools import cache
from typing import Final

SYSTEMS: Final = ("http://unitsofmeasure.org", "urn:oid:2.16.840.1.113883.6.8")
"""The names of UCUM as a system."""

# Per kind: codes with the same factor, and that factor; an offset where zero is elsewhere.
_KINDS: Final[Mapping[str, str]] = {
    "mass": "kg=1000 g=1 mg=1/1000 ug=1/1000000 ng=1/1000000000 pg=1/1000000000000"
    " t=1000000 [lb_av]=453.59237 [oz_av]=28.349523125",
    "volume": "L,l,dm3=1 dL,dl=1/10 cL,cl=1/100 mL,ml,cm3=1/1000 uL,ul,mm3=1/1000000 m3=1000"
    " fL,fl=1/1000000000000000",
    "length": "m=1 km=1000 dm=1/10 cm=1/100 mm=1/1000 um=1/1000000 nm=1/1000000000"
    " [in_i]=0.0254 [ft_i]=0.3048",
    "area": "m2=1 dm2=1/100 cm2=1/10000 mm2=1/1000000",
    "time": "s=1 ms=1/1000 min=60 h=3600 d=86400 wk=604800 mo=2629800 a=31557600",
    "substance": "mol=1 mmol=1/1000 umol=1/1000000 nmol=1/1000000000 pmol=1/1000000000000",
    "mass concentration": "g/L,g/l,mg/mL,mg/ml=1 g/dL,g/dl=10 g/mL,g/ml,kg/L,kg/l=1000"
    " mg/dL,mg/dl=1/100 mg/L,mg/l,ug/mL,ug/ml=1/1000 ug/dL,ug/dl=1/100000"
    " ug/L,ug/l,ng/mL,ng/ml=1/1000000 ng/dL,ng/dl=1/100000000"
    " ng/L,ng/l,pg/mL,pg/ml=1/1000000000 pg/L,pg/l=1/1000000000000",
    "substance concentration": "mol/L,mol/l=1 mmol/L,mmol/l=1/1000 umol/L,umol/l=1/1000000"
    " nmol/L,nmol/l=1/1000000000 pmol/L,pmol/l=1/1000000000000 mmol/mL,mmol/ml=1",
    "osmolality": "mosm/kg=1 osm/kg=1000",
    "equivalents": "meq/L,meq/l=1 eq/L,eq/l=1000",
    "pressure": "Pa=1 hPa,mbar=100 kPa=1000 bar=100000 mm[Hg]=133.322 cm[H2O]=98.0665",
    "per time": "/min,{beats}/min,{breaths}/min,{Beats}/min,{Breaths}/min,1/min,min-1=1"
    " /s,s-1,Hz=60 /h=1/60 /d,{times}/d,1/d=1/1440 /wk=1/10080",
    "temperature": "K=1 Cel=1+273.15 [degF]=5/9+45967/180",
    "fraction": "1=1 %=1/100 L/L,l/l=1 [ppth]=1/1000 [ppm]=1/1000000",
    "substance ratio": "mmol/mol=1 umol/mmol=1 mol/mol=1000 umol/mol=1/1000",
    "mass of substance": "mg/mmol,g/mol=1 ug/mmol,mg/mol=1/1000",
    "enzyme concentration": "U/L,u/L,U/l=1 kU/L,kU/l,U/mL,U/ml=1000 mU/L,mU/l=1/1000"
    " mU/mL,mU/ml=1 ukat/L,ukat/l=60 nkat/L,nkat/l=60/1000",
    "international units": "[IU],[iU]=1 k[IU],k[iU]=1000 10*3.[IU]=1000 m[IU],m[iU]=1/1000"
    " 10*6.[IU]=1000000",
    "international units concentration": "[IU]/L,[IU]/l,[iU]/L,m[IU]/mL,m[IU]/ml=1"
    " k[IU]/L,k[IU]/l,[IU]/mL,[IU]/ml=1000 m[IU]/L,m[IU]/l,u[IU]/mL,u[IU]/ml=1/1000",
    "international units rate": "[IU]/h=1 [IU]/d=1/24",
    "cells": "10*9/L,10*9/l,10*3/uL,10*3/ul,/nL,/nl=1 10*12/L,10*12/l,10*6/uL,10*6/ul=1000"
    " 10*6/L,10*6/l,10*3/mL,10*3/ml,/uL,/ul=1/1000 10*6/mL,10*6/ml=1",
    "flow": "mL/min,ml/min=1 L/min,l/min=1000 mL/h,ml/h=1/60 L/h,l/h=1000/60 mL/s,ml/s=60"
    " L/s,l/s=60000 L/d,l/d,L/(24.h)=1000/1440 mL/d,ml/d,mL/(24.h),ml/(24.h)=1/1440",
    "clearance": "mL/min/{1.73_m2},ml/min/{1.73_m2},mL/min/1.73.m2,mL/min/{1.73m2}=1",
    "mass rate": "g/d,g/(24.h)=1 mg/d,mg/(24.h)=1/1000 ug/d,ug/(24.h)=1/1000000"
    " g/h=24 mg/h=24/1000 ug/h=24/1000000 ug/min=1440/1000000 mg/min=1440/1000",
    "substance rate": "mmol/d,mmol/(24.h)=1 umol/d,umol/(24.h)=1/1000 mol/d=1000 mmol/h=24",
    "mass per mass": "mg/kg=1 ug/kg=1/1000 g/kg=1000 mg/g=1000 ug/g=1",
    "mass per mass rate": "mg/kg/d,mg/(kg.d)=1 ug/kg/d,ug/(kg.d)=1/1000 mg/kg/h,mg/(kg.h)=24"
    " ug/kg/h,ug/(kg.h)=24/1000 ug/kg/min,ug/(kg.min)=1440/1000",
    "mass per area": "kg/m2=1 g/m2=1/1000 mg/m2=1/1000000",
    "energy": "J=1 kJ=1000 MJ=1000000 cal=4.184 kcal,[Cal]=4184",
    "energy rate": "kcal/d,kcal/(24.h)=4184 kJ/d,kJ/(24.h)=1000 MJ/d=1000000",
    "speed": "mm/h=1 m/s=3600000 km/h=1000000",
    "angle": "deg=1 '=1/60 ''=1/3600",
    "voltage": "V=1 mV=1/1000 uV=1/1000000",
}
_ROUND: Final = Context(prec=50)


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit of some kind: what one of it is in that kind's own unit, and where its zero is."""

    kind: str
    factor: Fraction
    offset: Fraction


@cache
def table() -> Mapping[str, Unit]:
    """Every code known here."""
    made: dict[str, Unit] = {}
    for kind, row in _KINDS.items():
        for part in row.split():
            codes, _, said = part.rpartition("=")
            factor, _, offset = said.partition("+")
            unit = Unit(kind, Fraction(factor), Fraction(offset or 0))
            made |= dict.fromkeys(codes.split(","), unit)
    return made


@cache
def alike(code: str) -> tuple[tuple[Unit, tuple[str, ...]], ...]:
    """The units of the same kind as a code, each with all its codes; none for an unknown code."""
    unit = table().get(code)
    if unit is None:
        return ()
    found: dict[Unit, list[str]] = {}
    for other, one in table().items():
        if one.kind == unit.kind:
            found.setdefault(one, []).append(other)
    return tuple((one, tuple(codes)) for one, codes in found.items())


def settled(number: Decimal, unit: Unit) -> Decimal:
    """A number of a unit in the own unit of its kind; to 50 digits where it recurs."""
    exact = Fraction(number) * unit.factor + unit.offset
    with localcontext(_ROUND):
        return Decimal(exact.numerator) / Decimal(exact.denominator)


def turned(number: Decimal, unit: Unit, into: Unit) -> Decimal:
    """A number of one unit in another of the same kind; exact, or to 50 digits where it recurs."""
    if unit == into:
        return number
    exact = (Fraction(number) * unit.factor + unit.offset - into.offset) / into.factor
    with localcontext(_ROUND):
        return Decimal(exact.numerator) / Decimal(exact.denominator)
