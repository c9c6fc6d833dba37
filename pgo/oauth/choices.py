"""What the dossiers somebody may choose from are called, so that no two look alike. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final, NamedTuple

from pgo.oauth.texts import Tongue

_SIGNS: Final = 4


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
    told = {one.client: _told(one, words, alone=named[one.name] == 1) for one in choices}
    alike = Counter(told.values())
    return {
        client: label if alike[label] == 1 else _numbered(label, client, words)
        for client, label in told.items()
    }


def _told(one: Choice, words: Tongue, *, alone: bool) -> str:
    if one.own:
        return f"{one.name} ({words['dossier.own']})"
    if alone or not one.year:
        return one.name
    return f"{one.name} ({words.text('dossier.born', year=one.year)})"


def _numbered(label: str, client: str, words: Tongue) -> str:
    """With the end of the dossier's own id, which stands in addresses as well."""
    return f"{label} ({words.text('dossier.number', number=client[-_SIGNS:])})"
