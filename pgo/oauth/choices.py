"""What the dossiers somebody may choose from are called, so that no two look alike. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from pgo.oauth.texts import Tongue

_SIGNS: Final = 4
"""Of the end of a dossier's own id, which stands in addresses as well."""


class Choice(NamedTuple):
    """A dossier: `own` when it is about the person who chooses.

    `year` of birth of whom it is about; "" when this person may not see it, or nobody knows it.
    """

    client: str
    name: str
    own: bool = False
    year: str = ""


def labels(choices: Sequence[Choice], words: Tongue) -> dict[str, str]:
    """By dossier, what it is called; the year is told only where there are more of one name."""
    named = Counter(one.name for one in choices)
    marks = {one.client: _mark(one, words, alone=named[one.name] == 1) for one in choices}
    alike = Counter((one.name, marks[one.client]) for one in choices)
    found = {}
    for one in choices:
        told = [marks[one.client]]
        if alike[one.name, told[0]] > 1:
            told.append(words.text("dossier.number", number=one.client[-_SIGNS:]))
        more = ", ".join(filter(None, told))
        found[one.client] = f"{one.name} ({more})" if more else one.name
    return found


def _mark(one: Choice, words: Tongue, *, alone: bool) -> str:
    if one.own:
        return words["dossier.own"]
    return "" if alone or not one.year else words.text("dossier.born", year=one.year)
