"""What one audit line says: the fields of NEN 7513 as one frozen value, and its text form.

Sealing, chaining and keeping are in `pgo.audit.chain` and `pgo.audit.trail`; sentences for people
in `pgo.plain.who`; the FHIR form in `pgo.audit.auditevent`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

import orjson

from pgo.audit.catalogue import NotInCatalogue, event
from pgo.caller import Caller
from pgo.fhir.elfproef import valid

OK: Final = 0
REFUSED: Final = 4
FAILED: Final = 8
CRASHED: Final = 12
LISTED: Final = 500
"""Most resources named in one line; `total` says how many there were."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line. Everything left out says nothing; `pack` refuses what the catalogue does not list.

    Attributes:
        at: when it happened, microseconds since 1970 UTC.
        interaction: name of the event in `pgo.audit.catalogue`.
        action: EventActionCode C, R, U, D or E; left out: the event's own.
        outcome: 0 done, 4 refused, 8 failed, 12 crashed (FHIR audit-event-outcome).
        reason: reason code of the consent decision.
        status: HTTP status of the answer.
        id: unique in the trail; left out when writing: made of the place in the chain.
        request: X-Request-Id, or MedMij-Request-ID. address: network address of the app.
        service: exchange service (MedMij gegevensdienst) the token is for.
        correlation: X-Correlation-ID, which ties the calls of one collection together.
        token: first 16 hex digits of the token's SHA-256; never a part of the token.
        person, name, kind, org, role, app, app_name, purpose: as in `Caller`.
        org_name: the organisation's name for people.
        on_behalf_of: the responsible user; on_behalf_of_name for people.
        emergency_code, emergency_reason: noodtoegang as declared.
        grants: ids of the grants used. obligations, policy: from the decision.
        release: r4 or stu3. type_: resource type asked for.
        resources: "Type/id@version" of what was touched, at most `LISTED` are kept.
        total: how many were touched, when more than are listed.
        categories: (category, count) of what was touched.
        labels: security labels and seals on what was touched.
        query: what was asked, as it was sent: path below the base and parameters.
        n: the dossier's commit number: made by this call, or read at.
        note: detail of events that are not about resources.
        hide_until, hide_reason: microseconds and why, for a line that law keeps from the client.
    """

    at: int
    interaction: str
    action: str = ""
    outcome: int = OK
    reason: str = ""
    status: int = 0
    id: str = ""
    request: str = ""
    address: str = ""
    token: str = ""
    person: str = ""
    name: str = ""
    kind: str = ""
    org: str = ""
    org_name: str = ""
    role: str = ""
    app: str = ""
    app_name: str = ""
    on_behalf_of: str = ""
    on_behalf_of_name: str = ""
    purpose: str = ""
    emergency_code: str = ""
    emergency_reason: str = ""
    grants: tuple[str, ...] = ()
    obligations: tuple[str, ...] = ()
    policy: str = ""
    release: str = ""
    type_: str = ""
    resources: tuple[str, ...] = ()
    total: int = 0
    categories: tuple[tuple[str, int], ...] = ()
    labels: tuple[str, ...] = ()
    query: str = ""
    n: int = 0
    note: str = ""
    hide_until: int = 0
    hide_reason: str = ""
    service: str = ""
    correlation: str = ""

    @property
    def code(self) -> str:
        """EventActionCode of this line."""
        return self.action or event(self.interaction).action

    @property
    def touched(self) -> int:
        """How many resources were touched."""
        return max(self.total, len(self.resources))


_DEFAULTS: Final = tuple((row.name, row.default) for row in fields(Entry))
_NAMES: Final = frozenset(name for name, _ in _DEFAULTS)
_TUPLES: Final = ("grants", "obligations", "resources", "labels")
_NAME: Final = 200
_LONGEST: Final = {
    "query": 16_000,
    "emergency_reason": 1_000,
    "hide_reason": 1_000,
    "name": _NAME,
    "org_name": _NAME,
    "app_name": _NAME,
    "on_behalf_of_name": _NAME,
}
_CALLERS: Final = 1_024
_WHO: Final[dict[int, tuple[Caller, Mapping[str, str]]]] = {}
"""What was said of callers, while they are in memory: the guard makes the same one again."""
_OUTCOMES: Final = frozenset((OK, REFUSED, FAILED, CRASHED))
_ACTIONS: Final = frozenset(("", "C", "R", "U", "D", "E"))
_EIGHT: Final = re.compile(r"\d{8}")
_DIGITS: Final = re.compile(r"(?:(?<=%[0-9A-Fa-f]{2})|(?<!\d))\d{8,9}(?!\d)")


def who(caller: Caller) -> Mapping[str, str]:
    """The fields of `Entry` that say who called, through which app and for whom; none is empty."""
    known = _WHO.get(id(caller))
    if known is not None and known[0] is caller:
        return known[1]
    if len(_WHO) >= _CALLERS:
        _WHO.clear()
    said = {name: value for name, value in _who(caller).items() if value}
    _WHO[id(caller)] = (caller, said)
    return said


def _who(caller: Caller) -> dict[str, str]:
    emergency = caller.emergency
    return {
        "person": caller.person,
        "name": caller.name,
        "kind": caller.kind,
        "org": caller.org,
        "org_name": caller.org_name,
        "role": caller.role,
        "app": caller.app,
        "app_name": caller.app_name,
        "on_behalf_of": caller.on_behalf_of,
        "purpose": caller.purpose,
        "service": caller.service,
        "token": caller.token,
        "address": caller.address,
        "emergency_code": emergency.code if emergency else "",
        "emergency_reason": emergency.reason if emergency else "",
    }


def pack(entry: Entry) -> bytes:
    """The line as compact JSON: only what it says, checked against the catalogue.

    A citizen service number (BSN) in what was asked is masked, long texts are cut, and
    `resources` beyond `LISTED` are counted, not named.

    Raises:
        NotInCatalogue: unknown event, a field it may not carry, or an unknown outcome or action.
    """
    return packed(
        {name: value for name, default in _DEFAULTS if (value := getattr(entry, name)) != default}
    )


def packed(said: dict[str, Any]) -> bytes:
    """The same as `pack` for the fields of an `Entry` by name; empty ones say nothing.

    Raises:
        NotInCatalogue: as `pack`.
    """
    at, interaction = said["at"], said["interaction"]
    said = {name: value for name, value in said.items() if value}
    said["at"] = at
    _check(interaction, said)
    resources = said.get("resources", ())
    if len(resources) > LISTED:
        said["total"] = max(said.get("total", 0), len(resources))
        said["resources"] = resources[:LISTED]
    for name in said.keys() & _LONGEST.keys():
        longest = _LONGEST[name]
        said[name] = (_name if longest == _NAME else _cut)(said[name], longest)
    try:
        return orjson.dumps(said)
    except TypeError:
        return orjson.dumps({name: _printable(value) for name, value in said.items()})


def unpack(plain: bytes) -> Entry:
    """The line that `pack` wrote; fields of a later version are left out.

    Raises:
        ValueError: not a line at all.
    """
    try:
        said = orjson.loads(plain)
        known = {name: value for name, value in said.items() if name in _NAMES}
        for name in _TUPLES:
            if name in known:
                known[name] = tuple(known[name])
        if "categories" in known:
            known["categories"] = tuple((code, count) for code, count in known["categories"])
        return Entry(**known)
    except (AttributeError, TypeError) as fault:
        raise ValueError("not an audit line") from fault


def _check(interaction: str, said: dict[str, Any]) -> None:
    allowed = event(interaction).fields
    if not said.keys() <= allowed:
        extra = ", ".join(sorted(said.keys() - allowed))
        raise NotInCatalogue(f"{interaction} may not carry {extra}")
    if said.get("outcome", OK) not in _OUTCOMES or said.get("action", "") not in _ACTIONS:
        raise NotInCatalogue("outcome or action is not one of NEN 7513")


def _cut(text: str, longest: int) -> str:
    return _masked(text if len(text) <= longest else text[: longest - 1] + "…")


_name: Final = lru_cache(maxsize=1_024)(_cut)


def _masked(text: str) -> str:
    """The text with every number that passes the 11-proef replaced by stars."""
    if not _EIGHT.search(text):  # tells in a fiftieth of the time that there is none
        return text
    return _DIGITS.sub(lambda hit: "*" * 9 if valid(hit[0]) else hit[0], text)


def _printable(value: Any) -> Any:
    """Lone surrogates written out, since a line is UTF-8."""
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    return [_printable(each) for each in value] if isinstance(value, tuple) else value
