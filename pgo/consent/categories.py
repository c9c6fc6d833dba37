"""Which categories, labels and data date a resource has: worked out once, at write; pure.

The map type, profile, code → categories is `categories.json`: a row for every R4 and STU3 type.
Rules of a row add up; when none fits, the row's own categories count; a type without row is
`overig`. Supporting resources have none of their own: they take those of the visible resources
that refer to them, and a Patient is readable with any permit (consent.md §1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import orjson

from pgo.consent import moments
from pgo.consent.model import CATEGORIES, SEALS

# The one canonical of our categories; as a meta.tag it marks what a family writes itself.
CATEGORY_SYSTEM = "https://pgo.example/fhir/CodeSystem/categorie"
TAGS = frozenset({"gezin", "dagboek", "paspoort"})
SUPPORTING = frozenset(
    {
        *("Practitioner", "PractitionerRole", "Organization", "Location", "Device", "Specimen"),
        *("Medication", "Provenance", "HealthcareService", "Substance", "DeviceMetric"),
        *("DeviceComponent", "Binary"),
    }
)
PATIENT_ADDRESS_MEMBERS = ("address", "telecom")
PATIENT_CONTACT_MEMBERS = ("contact",)
PATIENT_PARTS: Mapping[str, tuple[str, ...]] = {
    "adres": PATIENT_ADDRESS_MEMBERS,
    "contactpersonen": PATIENT_CONTACT_MEMBERS,
}
# Narrative and contained resources may tell the same again; they go when any part is masked.
PATIENT_RETOLD = ("text", "contained")
UNKNOWN_LABEL = "?"

Tree = Mapping[str, Any]


def classify(release: str, tree: Tree) -> frozenset[str]:
    """The categories of a resource of release r4 or stu3; empty for Patient and supporting ones.

    What it contains or, as a Bundle, carries counts along, so that nothing hides inside. The
    family's own tags take the place of the type's category on what people write themselves, and
    come on top of it elsewhere.
    """
    type_ = str(tree.get("resourceType", ""))
    if type_ == "Patient" or type_ in SUPPORTING:
        return frozenset()
    tags = frozenset(code for code in _tags(tree) if code in TAGS)
    replaced = bool(tags) and type_ in _map()["tagged"]
    own = tags if replaced else tags | _by_rules(release, type_, tree)
    inner = [classify(release, part) for part in _inner(tree)]
    return own.union(*inner) or frozenset({"overig"})


def is_directive(release: str, tree: Tree) -> bool:
    """Whether a Consent is a clinical directive: health data, never a rule (consent.md §7)."""
    return tree.get("resourceType") == "Consent" and _by_rules(release, "Consent", tree) == {
        "wilsverklaring"
    }


def labels_of(tree: Tree) -> frozenset[str]:
    """The codes of meta.security, also of contained resources; our seals are not a caller's.

    A label without a code is kept as an unknown one, which is sensitive.
    """
    found = {
        str(coding.get("code") or UNKNOWN_LABEL) if isinstance(coding, dict) else UNKNOWN_LABEL
        for part in (tree, *_inner(tree))
        for coding in _listed(_dict(part.get("meta")).get("security"))
    }
    return frozenset(found) - SEALS


def date_of(release: str, tree: Tree) -> str:
    """The date the data are about, as it stands in the resource; "" when there is none.

    Of a period it is the start. `release` r4 or stu3 share one list: no name means two things.
    """
    del release
    dates = _map()["dates"]
    for name in dates.get(tree.get("resourceType"), dates["*"]):
        value = tree.get(name)
        text = value.get("start") if isinstance(value, dict) else value
        if isinstance(text, str) and moments.span(text) is not None:
            return text
    return ""


@cache
def _map() -> dict[str, Any]:
    read: dict[str, Any] = orjson.loads(
        files("pgo.consent").joinpath("categories.json").read_bytes()
    )
    named = {word for row in read["types"].values() for word in _row_words(row)}
    if not named <= CATEGORIES:
        raise ValueError("categories.json names a category that does not exist")
    return read


def _row_words(row: Mapping[str, Any]) -> Iterator[str]:
    yield from row["is"]
    for rule in row.get("when", ()):
        yield from rule["is"]


def types() -> frozenset[str]:
    """The resource types that have a row."""
    return frozenset(_map()["types"])


def _by_rules(release: str, type_: str, tree: Tree) -> frozenset[str]:
    row = _map()["types"].get(type_)
    if row is None:
        return frozenset({"overig"})
    fitting = [rule["is"] for rule in row.get("when", ()) if _fits(rule, release, tree)]
    return frozenset().union(*fitting) or frozenset(row["is"])


def _fits(rule: Mapping[str, Any], release: str, tree: Tree) -> bool:
    if rule.get("release", release) != release:
        return False
    if "member" in rule:
        return not _codes(tree.get(rule["member"])).isdisjoint(rule["codes"])
    if "profile" in rule:
        return any(word in profile for word in rule["profile"] for profile in _profiles(tree))
    return any(name in tree for name in rule["has"])


def _codes(value: Any) -> frozenset[str]:
    """The codes in one or more CodeableConcepts."""
    return frozenset(
        coding["code"]
        for concept in _listed(value)
        for coding in _listed(_dict(concept).get("coding"))
        if isinstance(_dict(coding).get("code"), str)
    )


def _profiles(tree: Tree) -> list[str]:
    """The last part of each profile, without capitals and hyphens."""
    return [
        profile.partition("|")[0].rpartition("/")[2].replace("-", "").lower()
        for profile in _listed(_dict(tree.get("meta")).get("profile"))
        if isinstance(profile, str)
    ]


def _tags(tree: Tree) -> Iterator[str]:
    for tag in _listed(_dict(tree.get("meta")).get("tag")):
        if isinstance(tag, dict) and tag.get("system") == CATEGORY_SYSTEM:
            yield str(tag.get("code"))


def _inner(tree: Tree) -> Iterator[Tree]:
    """Resources inside this one: contained, and a Bundle's entries."""
    entries = [_dict(entry).get("resource") for entry in _listed(tree.get("entry"))]
    bundled = entries if tree.get("resourceType") == "Bundle" else []
    for part in (*_listed(tree.get("contained")), *bundled):
        if isinstance(part, dict):
            yield part


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
