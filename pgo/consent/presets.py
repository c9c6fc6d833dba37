"""The few plain choices people get when they share: each becomes one grant (consent.md §1).

A preset never holds beheren, delen, dagboek or overig; gezin only for a copiloot. Whoever may be
chosen to read, may as easily be chosen to write too. Who stores the grant still decides whether
the grantor may give it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pgo.consent.model import ORDINARY
from pgo.errors import BadValue

READ, ADD, WRITE = ("lezen",), ("lezen", "toevoegen"), ("lezen", "toevoegen", "wijzigen")
WEEKEND = ({"from": "fri 15:00", "to": "sun 19:00"},)


@dataclass(frozen=True, slots=True)
class Preset:
    """One choice: its code, for which kinds of people, what it says, and the grant it makes."""

    name: str
    kinds: frozenset[str]
    says: str
    actions: tuple[str, ...]
    categories: tuple[str, ...]
    purposes: tuple[str, ...] = ()
    weekly: tuple[Mapping[str, str], ...] = ()


_PRIVATE = frozenset({"naaste"})
_CARE = frozenset({"zorgverlener"})
_COPILOT = (
    *("zorgplan", "behandeling", "medicatie", "uitslagen", "problemen", "allergieen"),
    *("verslagen", "afspraken", "vragenlijsten", "documenten", "contactpersonen", "paspoort"),
    *("aanvragen", "berichten", "gezin"),
)
_PROVIDER = (
    *("zorgplan", "behandeling", "medicatie", "uitslagen", "problemen", "allergieen"),
    *("afspraken", "paspoort"),
)
_DAILY = (
    *("paspoort", "medicatie", "allergieen", "zorgplan", "afspraken", "contactpersonen"),
    *("metingen", "verslagen", "berichten"),
)

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "meelezen",
            _PRIVATE,
            "Deze persoon mag alles lezen, behalve het dagboek en wat alleen van het gezin is.",
            READ,
            tuple(sorted(ORDINARY)),
        ),
        Preset(
            "meelezen-en-meeschrijven",
            _PRIVATE,
            "Deze persoon mag lezen en ook zelf iets opschrijven.",
            WRITE,
            tuple(sorted(ORDINARY)),
        ),
        Preset(
            "copiloot-standaard",
            frozenset({"copiloot"}),
            "De copiloot mag lezen en dingen voor u klaarzetten. U beslist zelf.",
            ADD,
            _COPILOT,
            ("CAREMGT",),
        ),
        Preset(
            "zorgverlener-standaard",
            _CARE,
            "De zorgverlener mag lezen wat nodig is voor uw zorg.",
            READ,
            _PROVIDER,
            ("TREAT",),
        ),
        Preset(
            "zorgverlener-meeschrijven",
            _CARE,
            "De zorgverlener mag lezen wat nodig is, en ook zelf iets opschrijven.",
            ADD,
            (*_PROVIDER, "metingen", "verslagen", "berichten"),
            ("TREAT",),
        ),
        Preset(
            "dagelijkse-zorg",
            _CARE,
            "Wie elke dag zorgt, mag lezen en opschrijven. Bijvoorbeeld hoe de nacht was.",
            ADD,
            _DAILY,
            ("TREAT",),
        ),
        Preset(
            "alleen-noodzakelijk",
            _PRIVATE | _CARE | {"copiloot"},
            "Alleen het paspoort, de medicijnen en de allergieën.",
            READ,
            ("paspoort", "medicatie", "allergieen"),
        ),
        Preset(
            "logeerhuis",
            _CARE,
            "Het logeerhuis mag lezen en opschrijven, alleen in het weekend.",
            ADD,
            _DAILY,
            ("TREAT",),
            WEEKEND,
        ),
    )
}


def grant_of(
    name: str,
    *,
    id_: str,
    client: str,
    by: str,
    to_who: str,
    made: datetime,
    from_: datetime | None = None,
    to: datetime | None = None,
    weekly: Sequence[Mapping[str, str]] = (),
) -> dict[str, Any]:
    """The grant a preset makes, as the dict of consent.md §8; moments must be aware.

    `weekly` takes the place of the preset's own windows.

    Raises:
        BadValue: there is no preset by that name.
    """
    preset = PRESETS.get(name)
    if preset is None:
        raise BadValue("no preset by that name", place="preset")
    windows = [dict(window) for window in weekly or preset.weekly]
    period = {"from": from_, "to": to, "made": made}
    return {
        "id": id_,
        "client": client,
        "by": by,
        "effect": "permit",
        "to_who": to_who,
        "actions": list(preset.actions),
        "categories": list(preset.categories),
        "status": "active",
        "depth": 0,
        "preset": name,
        **({"purposes": list(preset.purposes)} if preset.purposes else {}),
        **({"weekly": windows} if windows else {}),
        **{key: value.isoformat() for key, value in period.items() if value is not None},
    }
