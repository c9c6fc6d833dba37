"""Demo families with made-up Dutch data: pure makers of values, without store or network."""

from __future__ import annotations

from datetime import date

from pgo.demo import fenna, others, ruud
from pgo.demo.bulk import many
from pgo.demo.cast import apps, organisations
from pgo.demo.shapes import App, Family, Organisation, Own, Push, Seal, as_json

__all__ = [
    "App",
    "Family",
    "Organisation",
    "Own",
    "Push",
    "Seal",
    "apps",
    "as_json",
    "families",
    "many",
    "organisations",
]


def families(today: date) -> tuple[Family, ...]:
    """All demo families as they are on `today`; the same day always gives the same values."""
    return (fenna.family(today), ruud.family(today), *others.families(today))
