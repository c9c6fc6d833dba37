"""Profiles that are here, and what a resource does wrong by them; see `profiles_check` for how.

Where they come from: `fhir_profiles/` (ours) and the packages a deployment added to the folder in
`PGO_PROFILES` (`pgo profiles add`). Read once, at the start; looked at on every change, and by
`$validate`. A resource that names no profile costs one look at its `meta`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final

import pgo
from pgo.errors import BadValue, Issue, PgoError
from pgo.fhir import text
from pgo.fhir.elements import Release
from pgo.fhir.profiles_check import looked
from pgo.fhir.profiles_folder import PLACE, Kept, load, pack, unpack
from pgo.fhir.profiles_library import BASE, Library
from pgo.fhir.profiles_package import KEPT, Package, definition
from pgo.fhir.structure import MOST

Tree = dict[str, Any]

OURS: Final = Path(pgo.__file__).parents[1] / "fhir_profiles"
_MOST_PROFILES: Final = 10  # of one resource


class Profiles:
    """All profiles a process knows; does not change."""

    def __init__(self, kept: Iterable[Kept]) -> None:
        self.kept = tuple(kept)
        releases: tuple[Release, ...] = ("r4", "stu3")
        self._libraries = {one: Library(one, self.kept) for one in releases}

    def library(self, release: Release) -> Library:
        """The definitions of one release."""
        return self._libraries[release]

    def faults(self, release: Release, tree: Tree, place: str = "") -> list[Issue]:
        """What refuses a resource: errors by the profiles that it names and that are here.

        Args:
            release: `r4` or `stu3`.
            tree: as `pgo.fhir.text.parse` gives it, and good by `pgo.fhir.validate`.
            place: put before places; default the type's name.
        """
        named = _named(tree)
        if not named:
            return []
        return [one for one in self._looked(release, tree, named, place) if one.severity == "error"]

    def check(
        self, release: Release, tree: Tree, urls: Iterable[str] | None = None, place: str = ""
    ) -> list[Issue]:
        """Everything that profiles say of a resource, for `$validate` and `pgo profiles check`.

        Args:
            release: `r4` or `stu3`.
            tree: as `pgo.fhir.text.parse` gives it. Check it by `pgo.fhir.validate` first: what
                FHIR itself says is not looked at here.
            urls: canonical addresses of profiles, `|version` allowed; None: those in
                `meta.profile`.
            place: put before places, such as `Bundle.entry[3].resource`; default the type's name.

        Returns:
            Issues with code, place and words, without any value. Severity error refuses a change;
            warning does not; information says what was not checked, and which of the profiles are
            not here (code not-found). Empty: all was checked, and is good.
        """
        asked = _named(tree) if urls is None else [*urls]
        found = self._looked(release, tree, asked, place)
        return [*found, *self.unknown(release, tree, None if urls is None else asked, place)]

    def unknown(
        self, release: Release, tree: Tree, urls: Iterable[str] | None = None, place: str = ""
    ) -> list[Issue]:
        """A note for each profile that a resource names and that is not here."""
        asked = _named(tree) if urls is None else [*urls]
        library, where = self._libraries[release], place or str(tree.get("resourceType", ""))
        return [
            Issue(
                "not-found",
                "This profile is not here; the resource was not checked against it.",
                f"{where}.meta.profile[{at}]" if urls is None else "profile",
                "information",
            )
            for at, url in enumerate(asked)
            if not library.is_profile(url) and not url.startswith(BASE)
        ]

    def known(self, release: Release, tree: Tree, urls: Iterable[str] | None = None) -> list[str]:
        """Those of these profiles (or of those that a resource names) that are here."""
        library = self._libraries[release]
        return [one for one in (_named(tree) if urls is None else urls) if library.is_profile(one)]

    def _looked(self, release: Release, tree: Tree, urls: Iterable[str], place: str) -> list[Issue]:
        library, known = self._libraries[release], self.known(release, tree, urls)
        if not known:
            return []
        found = looked(library, tree, known[:_MOST_PROFILES], place)
        more = known[_MOST_PROFILES:]
        if more:
            found.note("count", f"{len(more)} more profiles", place, more[0].partition("|")[0])
        return [*found.issues[:MOST], *found.notes.values()]


def _named(tree: Tree) -> list[str]:
    """The profiles in `meta.profile`, each once, in order."""
    meta = tree.get("meta")
    named = meta.get("profile") if type(meta) is dict else None
    if type(named) is not list:
        return []
    return [*dict.fromkeys(one for one in named if type(one) is str)]


def profiles(folder: Path | None = None) -> Profiles:
    """Ours, and those of the packages in a folder.

    Raises:
        BadValue: a package in it is broken; says which.
    """
    added = load(folder) if folder is not None else []
    return Profiles([_ours(), *added]) if added else ours()


@cache
def ours() -> Profiles:
    """The profiles in `fhir_profiles/` only."""
    return Profiles([_ours()])


@cache
def _ours() -> Kept:
    """Our own definitions, as if they were a package."""
    found = {}
    for file in sorted(OURS.glob("*.json")):
        if file.name.partition("-")[0] in KEPT:
            try:
                found[file.name] = definition(text.parse(file.read_bytes()))
            except (OSError, PgoError) as fault:
                raise BadValue(f"{file.name} cannot be read", place=PLACE) from fault
    package = Package("pgo", "own", "r4", (), found)
    return unpack(pack(package), package.label)
