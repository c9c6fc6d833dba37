"""Every event that may be written down, once, with the fields its line may carry; no other.

The names are FHIR's own interaction names where FHIR has one
(http://hl7.org/fhir/R4/codesystem-restful-interaction.html), the operation's name without `$`
otherwise, and short English words for what happens around the dossier.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

GAP: Final = "gap"
ANCHOR: Final = "anchor"


class NotInCatalogue(Exception):
    """A programming error: an event that does not exist, or a field it may not carry."""


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of line.

    Attributes:
        name: what `Entry.interaction` says.
        family: rest, operation, regie, access, operator or system.
        action: NEN 7513 EventActionCode: C, R, U, D or E.
        fields: fields of `Entry` it may carry.
        shown: whether the client's overview of who looked shows it.
    """

    name: str
    family: str
    action: str
    fields: frozenset[str]
    shown: bool


_CALL = frozenset(
    [
        "id",
        "at",
        "interaction",
        "action",
        "outcome",
        "reason",
        "status",
        "request",
        "address",
        "token",
        "app",
        "app_name",
        "service",
        "correlation",
    ]
)
_WHO = frozenset(
    [
        "person",
        "name",
        "kind",
        "org",
        "org_name",
        "role",
        "on_behalf_of",
        "on_behalf_of_name",
        "purpose",
        "emergency_code",
        "emergency_reason",
        "hide_until",
        "hide_reason",
    ]
)
_WHY = frozenset(["grants", "obligations", "policy"])
_WHAT = frozenset(["release", "type_", "resources", "total", "categories", "labels", "n"])
_QUERY = frozenset(["query"])
_NOTE = frozenset(["note"])
_DOSSIER = _CALL | _WHO | _WHY | _WHAT

_ALLOWED: Final = {
    "rest": _DOSSIER,
    "operation": _DOSSIER | _QUERY,
    "regie": _DOSSIER | _NOTE,
    "access": _CALL | _WHO | _NOTE,
    "operator": _DOSSIER | _NOTE,
    "system": frozenset(["id", "at", "interaction", "action", "outcome", "note"]),
}

# name, action, extra fields, in the client's overview
_ROWS: Final[Mapping[str, tuple[tuple[str, str, frozenset[str], bool], ...]]] = {
    "rest": (
        ("read", "R", frozenset(), True),
        ("vread", "R", frozenset(), True),
        ("history-instance", "R", _QUERY, True),
        ("history-type", "R", _QUERY, True),
        ("history-system", "R", _QUERY, True),
        ("search-type", "E", _QUERY, True),
        ("search-system", "E", _QUERY, True),
        ("create", "C", _QUERY, True),
        ("update", "U", _QUERY, True),
        ("patch", "U", _QUERY, True),
        ("delete", "D", _QUERY, True),
        ("transaction", "E", _QUERY, True),
        ("batch", "E", _QUERY, True),
        ("capabilities", "R", frozenset(), False),
    ),
    "operation": (
        ("everything", "R", frozenset(), True),
        ("lastn", "R", frozenset(), True),
        ("latest-stops", "R", frozenset(), True),
        ("summary", "R", frozenset(), True),
        ("meta", "R", frozenset(), True),
        ("document", "R", frozenset(), True),
        ("export", "R", frozenset(), True),
        ("import", "C", frozenset(), True),
        ("overview", "R", frozenset(), True),
        ("wie-keek", "R", frozenset(), False),
        ("mag", "E", frozenset(), False),
        ("wie-mag", "E", frozenset(), False),
        ("validate", "E", frozenset(), False),
        ("dossiers", "R", frozenset(), False),
    ),
    "regie": (
        ("grant", "C", frozenset(), True),
        ("grant-change", "U", frozenset(), True),
        ("deny", "C", frozenset(), True),
        ("revoke", "U", frozenset(), True),
        ("confirm", "U", frozenset(), True),
        ("seal", "C", frozenset(), True),
        ("unseal", "D", frozenset(), True),
        ("relate", "C", frozenset(), True),
        ("unrelate", "U", frozenset(), True),
        ("emergency", "E", frozenset(), True),
        ("notice", "C", frozenset(), False),
        ("link-code", "C", frozenset(), True),
        ("link", "C", frozenset(), True),
        ("unlink", "U", frozenset(), True),
        ("invite", "C", frozenset(), True),
        ("invite-look", "R", frozenset(), True),
        ("accept", "U", frozenset(), True),
        ("ask-access", "C", frozenset(), True),
        ("propose", "C", frozenset(), True),
        ("agree", "U", frozenset(), True),
        ("refuse", "U", frozenset(), True),
        ("dormant", "U", frozenset(), True),
        ("wake", "U", frozenset(), True),
        ("reaffirm", "U", frozenset(), True),
        ("claim", "C", frozenset(), True),
        ("review", "U", frozenset(), True),
        ("successor", "C", frozenset(), True),
        ("contest", "U", frozenset(), True),
        ("messages", "R", frozenset(), False),
    ),
    "access": (
        ("request", "E", frozenset(), False),
        ("login", "E", frozenset(), False),
        ("logout", "E", frozenset(), False),
        ("authorize", "E", frozenset(), False),
        ("token", "C", frozenset(), False),
        ("token-revoke", "D", frozenset(), False),
    ),
    "operator": (
        ("dossier-create", "C", frozenset(), True),
        ("dossier-show", "R", frozenset(), True),
        ("dossier-reindex", "U", frozenset(), False),
        ("dossier-erase", "D", frozenset(), True),
        ("dossier-token", "C", frozenset(), True),
        ("approve", "E", frozenset(), True),
        ("verify", "U", frozenset(), True),
        ("death", "U", frozenset(), True),
        ("settle", "U", frozenset(), True),
        ("team", "U", frozenset(), False),
        ("account", "U", frozenset(), False),
        ("app", "U", frozenset(), False),
        ("provider", "U", frozenset(), False),
        ("keys", "U", frozenset(), False),
        ("settings", "U", frozenset(), False),
        ("backup", "R", frozenset(), False),
        ("restore", "C", frozenset(), False),
        ("audit-verify", "R", frozenset(), False),
        ("audit-export", "R", _QUERY, False),
    ),
    "system": (
        ("start", "E", frozenset(), False),
        ("stop", "E", frozenset(), False),
        ("recovered", "E", frozenset(), False),
        (ANCHOR, "C", frozenset(), False),
        (GAP, "E", frozenset(), True),
    ),
}


def _every() -> dict[str, Event]:
    return {
        name: Event(name, family, action, _ALLOWED[family] | extra, shown)
        for family, rows in _ROWS.items()
        for name, action, extra, shown in rows
    }


EVENTS: Final[Mapping[str, Event]] = MappingProxyType(_every())


def event(name: str) -> Event:
    """The event by this name.

    Raises:
        NotInCatalogue: there is none.
    """
    found = EVENTS.get(name)
    if found is None:
        raise NotInCatalogue(f"no such event: {name[:40]!r}")
    return found
