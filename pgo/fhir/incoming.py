"""What comes in: strict text, BSN masked, validated; the tree is then fit to be kept."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pgo.errors import Issue, PgoError, Unprocessable, UnsupportedMedia
from pgo.fhir import bsn, text, validate, xml
from pgo.fhir.bundle import opened
from pgo.fhir.elements import Release
from pgo.fhir.formats import Reader
from pgo.fhir.patch import Patch, apply
from pgo.fhir.profiles import Profiles, ours

_MOST_ISSUES = 50


def tree_of(release: Release, raw: bytes, reader: Reader) -> dict[str, Any]:
    """The tree of a request's body, in JSON or XML.

    Raises:
        BadRequest: not readable; UnsupportedMedia: a form in which no resource comes.
    """
    if reader == "json":
        return text.parse(raw)
    if reader == "xml":
        return xml.from_xml(raw, release)
    raise UnsupportedMedia("send application/fhir+json or application/fhir+xml in UTF-8")


def incoming(
    release: Release, raw: bytes, reader: Reader = "json", profiles: Profiles | None = None
) -> dict[str, Any]:
    """One resource of a request's body; `profiles` are those that are here, left out ours.

    Raises:
        BadRequest: not readable; Unprocessable: not valid, with every place that is wrong.
    """
    tree = tree_of(release, raw, reader)
    bsn.mask(tree)
    validate.check(release, tree)
    wrong = (profiles or ours()).faults(release, tree)
    if wrong:
        raise Unprocessable(wrong[0].detail, place=wrong[0].place, issues=tuple(wrong))
    return tree


def patched(
    release: Release,
    patch: Patch,
    tree: dict[str, Any],
    place: str = "",
    profiles: Profiles | None = None,
) -> dict[str, Any]:
    """What a patch makes of a resource, fit to be kept as if it had been sent whole.

    Raises:
        Unprocessable: the patch does not fit, or the result is not valid, with every place.
    """
    made = apply(patch, tree, release)
    bsn.mask(made)
    wrong = entry_issues(release, made, place or str(made.get("resourceType")), profiles)
    if wrong:
        raise Unprocessable("the result of the patch is not valid", issues=tuple(wrong))
    return made


async def incoming_bundle(
    release: Release, raw: bytes, reader: Reader = "json", profiles: Profiles | None = None
) -> tuple[dict[str, Any], dict[int, Unprocessable]]:
    """A batch or transaction, and what is wrong with single entries of a batch, by number.

    Each entry's resource is validated; other requests get their turn in between.

    Raises:
        BadRequest: not readable; TooLarge: too many entries; Unprocessable: a transaction, with
            every place that is wrong.
    """
    tree = tree_of(release, raw, reader)
    kind, entries = opened(tree)
    bsn.mask(tree)
    faults: dict[int, Unprocessable] = {}
    for index, entry in enumerate(entries):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(resource, dict):
            place = f"Bundle.entry[{index}].resource"
            wrong = entry_issues(release, resource, place, profiles)
            if wrong:
                faults[index] = Unprocessable("this entry is not valid", issues=tuple(wrong))
            await asyncio.sleep(0)
    if faults and kind != "batch":
        issues = [issue for fault in faults.values() for issue in fault.issues]
        raise Unprocessable("the Bundle is not valid", issues=tuple(issues[:_MOST_ISSUES]))
    return tree, faults


def entry_issues(
    release: Release, resource: dict[str, Any], place: str, profiles: Profiles | None = None
) -> list[Issue]:
    """All that is wrong with the resource of one entry, with places below `place`."""
    try:
        found = validate.validate(release, resource)
        found = found or tuple((profiles or ours()).faults(release, resource))
    except PgoError as error:
        found = error.issues
    wrong = [issue for issue in found if issue.severity in {"error", "fatal"}]
    return [replace(issue, place=_below(place, issue.place)) for issue in wrong]


def _below(place: str, inner: str) -> str:
    """`Observation.code` inside an entry is `Bundle.entry[0].resource.code`."""
    _, dot, rest = inner.partition(".")
    return f"{place}{dot}{rest}" if dot else place
