"""Levels of assurance of a sign-in, and which ways to sign in a deployment offers. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from pgo.oauth.scopes import Cap

LEVELS: Final = ("laag", "substantieel", "hoog")
"""From low to high; the middle ones of eIDAS have the same names."""
USUAL: Final = "substantieel"
"""Of a demo person, unless the development page is told otherwise."""
_OF_ACR: Final = {"low": "laag", "substantial": "substantieel", "high": "hoog"}


def rank(level: str) -> int:
    """How high a level is; -1 for none."""
    return LEVELS.index(level) if level in LEVELS else -1


def lowest(*levels: str) -> str:
    """The lowest of these levels."""
    return min(levels, key=rank)


def highest(*levels: str) -> str:
    """The highest of these levels."""
    return max(levels, key=rank)


@dataclass(frozen=True, slots=True)
class ProviderSet:
    """A provider as an operator set it up; see `settings.SignInProvider` for each field.

    `patience` is how many seconds one question to it may take.
    """

    name: str
    label: str
    issuer: str
    client_id: str
    levels: Mapping[str, str]
    secret: str = field(default="", repr=False)
    key: Mapping[str, str] | None = field(default=None, repr=False)
    authentication: str = "client_secret_basic"
    scope: str = "openid"
    algorithms: tuple[str, ...] = ("ES256", "PS256", "RS256")
    hosts: tuple[str, ...] = ()
    private: bool = False
    roots: Path | None = None
    max_age: int = 900
    patience: float = 5.0


@dataclass(frozen=True, slots=True)
class Ways:
    """How people sign in here.

    Attributes:
        providers: OpenID Connect providers, in the order people see.
        passkey_level: of a sign-in with a passkey at most; "" when passkeys are not offered.
        idle, absolute: how long a session lasts without use, and in all; seconds.
        ends_apps: whether signing out everywhere ends what apps hold as well.
        least, least_write: level an app's request needs at least; to change things.
    """

    providers: Sequence[ProviderSet] = ()
    passkey_level: str = ""
    idle: int = 900
    absolute: int = 28_800
    ends_apps: bool = True
    least: str = "laag"
    least_write: str = "laag"

    @property
    def any(self) -> bool:
        """Whether there is any way at all."""
        return bool(self.providers) or self.passkey_level != ""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a sign-in must be: of this level at least, and not before this moment (seconds)."""

    level: str = "laag"
    since: int = 0


def wanted(asked: Mapping[str, str], cap: Cap, ways: Ways, now: int) -> Wanted:
    """What an app's request needs: by the settings, and by its own acr_values and max_age."""
    writes = any(set(reach.letters) & set("cud") for reach in cap.reaches)
    level = highest(ways.least, ways.least_write) if writes else ways.least
    named = [_level_of(acr) for acr in asked.get("acr_values", "").split()[:10]]
    found = [one for one in named if one]
    if found:
        level = highest(level, lowest(*found))
    since = 0
    if asked.get("max_age", "").isdecimal():
        since = max(0, now - min(int(asked["max_age"][:9]), now))
    again = "login" in asked.get("prompt", "").split()
    return Wanted(level, now + 1 if again else since)


def _level_of(acr: str) -> str:
    """The level a value of `acr_values` stands for: our own names, and those in our id_tokens."""
    last = acr.rpartition("/")[2].lower()
    return last if last in LEVELS else _OF_ACR.get(last, "")
