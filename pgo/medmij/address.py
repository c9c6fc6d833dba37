"""Addresses of the exchange services: which service and what is asked of it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pgo.errors import BadValue, NoSuchInteraction, NotFound

_PLACE: Final = re.compile(r"/medmij/([A-Za-z0-9.-]{1,64})/fhir(?:/(.*))?")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OPERATION: Final = re.compile(r"\$[a-z][a-z0-9-]{0,63}")
_HOME: Final = "/medmij/{service}/fhir"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a request goes: `what` is capabilities, search-type, read, or `$name`."""

    service: str
    what: str
    type: str = ""
    id: str = ""
    template: str = _HOME

    @property
    def base(self) -> str:
        """The path of the service's FHIR base."""
        return f"/medmij/{self.service}/fhir"


def is_exchange(path: str) -> bool:
    """Whether this path is below the exchange services."""
    return path.startswith("/medmij/")


def service_in(path: str) -> str:
    """The service an address below `/medmij/` names, whatever follows; "" when there is none."""
    return path.removeprefix("/medmij/").partition("/")[0]


def read_place(method: str, path: str) -> Place:
    """The place a request asks for.

    Raises:
        NotFound: no such address; BadValue: an id that cannot be one.
        NoSuchInteraction: something else than asking.
    """
    found = _PLACE.fullmatch(path)
    if found is None:
        raise NotFound("there is no such address")
    service, below = found[1], (found[2] or "").strip("/").split("/")
    if below[1:] == ["_search"] and _TYPE.fullmatch(below[0]):
        if method != "POST":
            raise NoSuchInteraction("send a search here by POST", headers={"Allow": "POST"})
        return Place(service, "search-type", below[0], template=f"{_HOME}/{{type}}/_search")
    if method not in {"GET", "HEAD"}:
        raise NoSuchInteraction("these services are read only", headers={"Allow": "GET, HEAD"})
    if below == ["metadata"]:
        return Place(service, "capabilities", template=f"{_HOME}/metadata")
    if len(below) > 2 or not _TYPE.fullmatch(below[0]):  # noqa: PLR2004 - type and id
        raise NotFound("there is no such address")
    if len(below) == 1:
        return Place(service, "search-type", below[0], template=f"{_HOME}/{{type}}")
    return _below_type(service, *below)


def _below_type(service: str, type_: str, last: str) -> Place:
    if _OPERATION.fullmatch(last):
        return Place(service, last, type_, template=f"{_HOME}/{{type}}/$")
    if not _ID.fullmatch(last):
        raise BadValue("this is not an id")
    return Place(service, "read", type_, last, f"{_HOME}/{{type}}/{{id}}")
