"""Is this a good resource of its FHIR release: fhir.resources, and what it leaves open.

fhir.resources accepts any status, any reference and any narrative (safety.md V19), so
`pgo.fhir.structure` looks first, at everything, by HL7's own definitions. What is in order there
is then built once as a model of fhir.resources, a second opinion from other hands. STU3 has models
of its own; R4 is read by those of R4B. Where R4B differs, R4 wins and the model is not asked:
those types are in `R4_ALONE`, and a test compares every type with the installed models.
What this server asks beyond FHIR is in `pgo.fhir.refused`.

Pure; numbers may be lexemes (`pgo.fhir.text`); no issue repeats a value.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any, Final

from pydantic import ValidationError

from pgo.errors import Issue, NotTaken, Unprocessable
from pgo.fhir import structure, text
from pgo.fhir.elements import Release, names
from pgo.fhir.refused import refused

# What R4 has and R4B's models do not, or not in the same form.
R4_ALONE: Final = frozenset(
    {
        *("EffectEvidenceSynthesis", "Evidence", "EvidenceVariable", "RiskEvidenceSynthesis"),
        *("MedicinalProduct", "MedicinalProductAuthorization", "MedicinalProductContraindication"),
        *("MedicinalProductIndication", "MedicinalProductIngredient"),
        *("MedicinalProductInteraction", "MedicinalProductManufactured"),
        *("MedicinalProductPackaged", "MedicinalProductPharmaceutical"),
        *("MedicinalProductUndesirableEffect", "SubstanceNucleicAcid", "SubstancePolymer"),
        *("SubstanceProtein", "SubstanceReferenceInformation", "SubstanceSourceMaterial"),
        "SubstanceSpecification",
    }
)

_WORDS: Final = {
    "missing": ("required", "This element is required."),
    "extra_forbidden": ("structure", "This member is not defined here."),
    "string_type": ("value", "This is not a string."),
    "list_type": ("structure", "This is not an array."),
}
# Formats were judged before; the models' own patterns refuse a no-break space in a string.
_PATTERN: Final = "string_pattern_mismatch"
_OTHER: Final = ("value", "This is not a value of its type.")


def validate(release: Release, tree: dict[str, Any], *, place: str = "") -> tuple[Issue, ...]:
    """All that is wrong with a resource and what it contains; empty is good.

    Args:
        release: `r4` or `stu3`.
        tree: as `pgo.fhir.text.parse` gives it, whose limits it keeps.
        place: put before places, such as `Bundle.entry[3].resource`; default the type's name.

    Returns:
        At most 50 issues, each with an IssueType code (http://hl7.org/fhir/issue-type) and a
        place such as `Observation.component[1].valueQuantity.value`.
    """
    found = structure.look(release, tree, place)
    if found.issues:
        return tuple(found.issues)
    issues: list[Issue] = []
    for where, type_, one in found.resources:
        issues += refused(type_, one, where)
        if release == "stu3" or not (type_ in R4_ALONE or found.beyond):
            alone = one if len(found.resources) == 1 else _alone(one)
            issues += _by_model(release, type_, alone, where)
    return tuple(issues[: structure.MOST])


def check(release: Release, tree: dict[str, Any], *, place: str = "") -> None:
    """Does nothing for a good resource.

    Raises:
        Unprocessable: with all issues that `validate` finds.
    """
    issues = validate(release, tree, place=place)
    if issues:
        first = issues[0]
        kind = NotTaken if first.code == NotTaken.issue else Unprocessable
        raise kind(first.detail, place=first.place, issues=issues)


def _by_model(release: Release, type_: str, tree: dict[str, Any], place: str) -> list[Issue]:
    """What the model of fhir.resources says of one resource that has no resources in it."""
    try:
        _model(release, type_).model_validate(text.plain(tree))
    except ValidationError as cause:
        details = cause.errors(include_url=False, include_context=False, include_input=False)
        return [
            _issue(release, one["type"], one["loc"], place)
            for one in details
            if one["type"] != _PATTERN and not _is_beside(one)
        ]
    return []


def _is_beside(one: Any) -> bool:
    """About a `_valueString` or its like, which the models' Extension lacks and FHIR has."""
    return one["type"] == "extra_forbidden" and str(one["loc"][-1]).startswith("_")


@cache
def _model(release: Release, type_: str) -> Any:
    """The model class; its module is read at first use (about 30 ms for the first of a release)."""
    package = import_module(f"fhir.resources.{'R4B' if release == 'r4' else 'STU3'}")
    return package.get_fhir_model_class(type_)


def _alone(tree: Any) -> Any:
    """A copy of a resource without contained resources, entries' resources and parameters'."""
    if type(tree) is list:
        return [_alone(one) for one in tree]
    if type(tree) is not dict:
        return tree
    return {
        name: _alone(value) if name in {"entry", "parameter", "part", "response"} else value
        for name, value in tree.items()
        if name not in {"contained", "outcome", "resource"} or not _holds_a_resource(value)
    }


def _holds_a_resource(value: Any) -> bool:
    one = value[0] if type(value) is list and value else value
    return type(one) is dict and "resourceType" in one


def _issue(release: Release, kind: str, loc: tuple[int | str, ...], place: str) -> Issue:
    code, words = _WORDS.get(kind, _OTHER)
    for step in loc:
        if isinstance(step, int):
            place += f"[{step}]"
        elif step.removeprefix("_") in names(release):
            place += f".{step}"
    return Issue(code, words, place)
