"""What one organisation writes about one client, as entries of a transaction; and its calendar."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import Any, NamedTuple
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from pgo.demo.codes import Code
from pgo.demo.shapes import Organisation, Push, Release, Resource

HERE = ZoneInfo("Europe/Amsterdam")
LEAP_DAY = 29

# Types whose `identifier` is one value instead of a list.
_ONE_IDENTIFIER = {
    ("stu3", "Consent"),
    ("stu3", "QuestionnaireResponse"),
    ("r4", "QuestionnaireResponse"),
}


class Clinician(NamedTuple):
    """A professional: `key`, given and family name, and the role he acts in."""

    key: str
    given: str
    family: str
    role: Code

    @property
    def name(self) -> str:
        """Name for people."""
        return f"{self.given} {self.family}"


class Period(NamedTuple):
    """From and (when over) to, as FHIR dates or instants."""

    start: str
    end: str = ""

    def fhir(self) -> Resource:
        """The FHIR Period."""
        return {"start": self.start} | ({"end": self.end} if self.end else {})


@dataclass(slots=True)
class Book:
    """Entries of one transaction; each resource gets an identifier of the organisation.

    `subject` and `sender` are references to its own Patient and Organization, once written.
    """

    organisation: Organisation
    client: dict[str, Any]
    release: Release
    entries: list[Resource] = field(default_factory=list)
    subject: Resource = field(default_factory=dict)
    sender: Resource = field(default_factory=dict)

    def write(self, type_: str, number: str, display: str, body: Resource) -> Resource:
        """Add one resource; answers a Reference to it, with `display`.

        `number` is unique within the organisation, the client and the type.
        """
        url = (
            f"urn:uuid:{uuid5(NAMESPACE_URL, f'{self.release}|{type_}|{self.identifier(number)}')}"
        )
        known = {entry["fullUrl"] for entry in self.entries}
        if url in known:
            raise ValueError(f"{type_} {number} is in this transaction twice")
        resource = {"resourceType": type_, **body}
        if "identifier" not in resource:
            resource["identifier"] = self._identifiers(type_, number)
        request = {"method": "POST", "url": type_}
        self.entries.append({"fullUrl": url, "resource": resource, "request": request})
        return {"reference": url, "display": display}

    def identifier(self, number: str) -> str:
        """`system|value` of what this organisation numbers so for this client."""
        return f"{self.organisation.system}|{self.client['id']}-{self.release}-{number}"

    def _identifiers(self, type_: str, number: str) -> Any:
        system, value = self.identifier(f"{type_.lower()}-{number}").split("|")
        one = {"system": system, "value": value}
        return one if (self.release, type_) in _ONE_IDENTIFIER else [one]

    def push(self) -> Push:
        """The transaction as it is now."""
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": list(self.entries)}
        return Push(self.organisation.id, self.release, bundle)


def meta(*profiles: str) -> Resource:
    """`meta` that names these profiles."""
    return {"profile": list(profiles)}


def day(today: date, ago: int) -> str:
    """The date `ago` days before today (negative: after), as FHIR date."""
    return (today - timedelta(days=ago)).isoformat()


def moment(today: date, ago: int, clock: str = "09:00") -> str:
    """The instant `ago` days before today at this time in the Netherlands, with its offset."""
    at = datetime.combine(today - timedelta(days=ago), time.fromisoformat(clock), HERE)
    return at.isoformat()


def years_before(today: date, years: int, days: int = 0) -> str:
    """The date so many years and days before today; 29 February counts as 1 March."""
    then = today - timedelta(days=days)
    leap = then.month == 2 and then.day == LEAP_DAY  # noqa: PLR2004 - February
    there = then + timedelta(days=1) if leap else then
    return there.replace(year=there.year - years).isoformat()
