"""What the pages say: one catalogue, each text in Dutch and English, usual and easy words.

The catalogue is `texts.toml`. Which of the four a page speaks is decided here from what a browser
sends; only this and the catalogue know languages.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo

_ZONE = ZoneInfo("Europe/Amsterdam")
_RANGE = re.compile(r"([A-Za-z]{1,8})(?:-[A-Za-z0-9]{1,8})*(?:\s*;\s*q=([01](?:\.[0-9]{0,3})?))?")
_MOST_RANGES = 20


@dataclass(frozen=True, slots=True)
class Tongue:
    """A language and whether in easy words; `name` stands in cookies and addresses."""

    language: str
    easy: bool
    row: int

    @property
    def name(self) -> str:
        """For instance nl or nl-eenvoudig."""
        return f"{self.language}-eenvoudig" if self.easy else self.language

    def text(self, key: str, **filled: str) -> str:
        """The text of a key, with its places filled in; plain text, not HTML.

        Raises:
            KeyError: no such text, or a place was not filled in.
        """
        return catalogue()[key][self.row].format_map(filled)

    def __getitem__(self, key: str) -> str:
        return self.text(key)

    def any_of(self, group: str, name: str) -> str:
        """The text of a name in a group, or the name itself when nobody wrote one."""
        return self.text(f"{group}.{name}") if f"{group}.{name}" in catalogue() else name

    def listed(self, words: Iterable[str]) -> str:
        """Words with commas, and the last with "and"."""
        *first, last = words
        return f"{', '.join(first)} {self['site.and']} {last}" if first else last

    def day(self, seconds: int) -> str:
        """A day in words, as it was in the Netherlands; `seconds` since 1970."""
        at = datetime.fromtimestamp(seconds, UTC).astimezone(_ZONE)
        return f"{at.day} {self['site.months'].split()[at.month - 1]} {at.year}"

    def moment(self, seconds: int) -> str:
        """A day in words and the time, as they were in the Netherlands."""
        at = datetime.fromtimestamp(seconds, UTC).astimezone(_ZONE)
        return f"{self.day(seconds)}, {at:%H:%M}"


TONGUES = {
    one.name: one
    for one in (
        Tongue("nl", easy=False, row=0),
        Tongue("nl", easy=True, row=1),
        Tongue("en", easy=False, row=2),
        Tongue("en", easy=True, row=3),
    )
}
DUTCH = TONGUES["nl"]


@cache
def catalogue() -> dict[str, tuple[str, ...]]:
    """All texts by key ("consent.title"), in the order of `TONGUES`."""
    groups = tomllib.loads(files("pgo.oauth").joinpath("texts.toml").read_text("utf-8"))
    return {
        f"{group}.{name}": tuple(texts)
        for group, entries in groups.items()
        for name, texts in entries.items()
    }


def spoken(*, chosen: str, ui_locales: str, accepted: str) -> Tongue:
    """The tongue for a page: the person's choice, the app's, the browser's; Dutch when none fits.

    Args:
        chosen: name of a tongue, from the address or the cookie.
        ui_locales: languages the app asked for, best first (OpenID Connect Core 3.1.2.1).
        accepted: the Accept-Language field (RFC 9110 12.5.4).
    """
    if chosen in TONGUES:
        return TONGUES[chosen]
    ranges = ui_locales.split()[:_MOST_RANGES] + _preferred(accepted)
    languages = (one.partition("-")[0].lower() for one in ranges)
    return next((TONGUES[one] for one in languages if one in TONGUES), DUTCH)


def _preferred(accepted: str) -> list[str]:
    """The languages a browser accepts, best first; what is malformed does not count."""
    found = []
    for part in accepted.split(",")[:_MOST_RANGES]:
        match = _RANGE.fullmatch(part.strip())
        if match is not None and (quality := float(match[2] or 1)) > 0:
            found.append((quality, match[1]))
    return [one for _, one in sorted(found, key=lambda pair: -pair[0])]
