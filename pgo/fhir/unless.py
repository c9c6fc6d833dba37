"""Reads that are only answered when something changed: If-None-Match and If-Modified-Since; pure.

Source: RFC 9110 13.1 and https://hl7.org/fhir/R4/http.html#cread. A tag counts more than a moment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pgo.errors import BadValue
from pgo.fhir.moments import interval

_TAG: Final = re.compile(r'(?:W/)?"([^"]*)"')
_BARE: Final = re.compile(r"\d{1,18}", re.ASCII)
_TAGS: Final = re.compile(r'\s*(?:W/)?"[^"]*"\s*(?:,\s*(?:W/)?"[^"]*"\s*)*')
_SECOND: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Unless:
    """What the reader has already: versions by number (None: any), or all up to `since` (µs)."""

    versions: frozenset[str] | None = frozenset()
    since: int | None = None

    def had(self, version: int, at: int) -> bool:
        """Whether he has this version, made at `at` (µs); then the answer is 304."""
        if self.versions is None or str(version) in self.versions:
            return True
        tagged = bool(self.versions)
        return not tagged and self.since is not None and at // _SECOND <= self.since // _SECOND


def of_headers(headers: dict[str, str]) -> Unless | None:
    """What the header fields say; a date that is none does not count (RFC 9110 13.1.3).

    Raises:
        BadValue: If-None-Match is no list of tags.
    """
    tags = headers.get("if-none-match")
    if tags is not None:
        return _tagged(tags, "If-None-Match")
    if "if-modified-since" not in headers:
        return None
    try:
        moment = parsedate_to_datetime(headers["if-modified-since"])
    except ValueError:
        return None
    whole = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return Unless(since=int(whole.timestamp()) * _SECOND)


def of_entry(request: dict[str, Any], place: str) -> Unless | None:
    """What the request of a Bundle's entry says; there a moment is an instant.

    Raises:
        BadValue: not a list of tags, or not an instant.
    """
    if "ifNoneMatch" in request:
        return _tagged(str(request["ifNoneMatch"]), f"{place}.ifNoneMatch")
    if "ifModifiedSince" not in request:
        return None
    try:
        return Unless(since=interval(str(request["ifModifiedSince"]))[0])
    except ValueError:
        raise BadValue("this is not an instant", place=f"{place}.ifModifiedSince") from None


def _tagged(tags: str, place: str) -> Unless:
    if tags.strip() == "*":
        return Unless(versions=None)
    if _BARE.fullmatch(tags):  # as fhirpy sends it
        return Unless(frozenset([tags]))
    if not _TAGS.fullmatch(tags):
        raise BadValue('write versions such as W/"3"', place=place)
    return Unless(frozenset(_TAG.findall(tags)))
