"""Who is calling: one frozen value, made by the guard, looked at by everybody; imports nothing."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Emergency:
    """A declared emergency (noodtoegang): v3-ActReason `code` ETREAT or BTG, reason, opened at."""

    code: str
    reason: str
    opened: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated actor, possibly for an organisation, through an app.

    Attributes:
        person: account id; for a provider system the id of the system.
        kind: "" (private person), naaste, copiloot, zorgverlener, systeem or beheerder.
        name: name people may read in the overview of who looked.
        org: organisation named in the token, or ""; org_name its name for people.
        orgs: organisations the person is a member of now; teams likewise.
        role: role within the organisation, or "".
        app: client_id of the app; app_name its name for people.
        loa: level of assurance of the sign-in: laag, substantieel or hoog.
        purpose: v3-ActReason code from the token; "" = the guard named none.
        scope: SMART v2 scopes, as granted.
        dossier: client id implied by the token, or "".
        token: first 16 hex digits of the token's SHA-256, for the audit line.
        birth: birth date of the person when known (YYYY[-MM[-DD]]), else "".
    """

    person: str
    kind: str = ""
    name: str = ""
    org: str = ""
    org_name: str = ""
    orgs: frozenset[str] = frozenset()
    teams: frozenset[str] = frozenset()
    role: str = ""
    app: str = ""
    app_name: str = ""
    loa: str = "substantieel"
    purpose: str = ""
    scope: tuple[str, ...] = ()
    dossier: str = ""
    service: str = ""
    token: str = ""
    birth: str = ""
    on_behalf_of: str = ""
    address: str = ""
    emergency: Emergency | None = field(default=None)
