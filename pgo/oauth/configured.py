"""From the settings to the ways people sign in; says what is wrong with them and how to mend it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

import orjson

from pgo.errors import BadValue, Issue
from pgo.oauth.levels import ProviderSet, Ways
from pgo.settings import Settings, SignInProvider

PLACE: Final = "PGO_PROVIDERS"
_NAME: Final = re.compile(r"[a-z][a-z0-9]{0,30}")
_RESERVED: Final = frozenset({"passkey", "recovery", "development", "code"})
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


def ways_of(settings: Settings) -> Ways:
    """The ways people sign in.

    Raises:
        errors.BadValue: a provider cannot be used; see `provider_problems`.
    """
    return Ways(
        providers=tuple(_set_up(name, one) for name, one in settings.providers.items()),
        passkey_level=settings.passkey_level,
        idle=round(settings.session_idle_minutes * 60),
        absolute=round(settings.session_hours * 3600),
        ends_apps=settings.sign_out_ends_apps,
        least=settings.least_level,
        least_write=settings.least_level_write,
    )


def provider_problems(settings: Settings) -> list[Issue]:
    """One issue for each provider that cannot be used."""
    found = []
    for name, one in settings.providers.items():
        wrong = _fault(name, one, settings)
        if wrong:
            found.append(Issue("value", f"provider {name[:31]}: {wrong}", PLACE))
    return found


def _fault(name: str, one: SignInProvider, settings: Settings) -> str:
    """What is in the way of using a provider, or ""."""
    parts = urlsplit(one.issuer)
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not _NAME.fullmatch(name) or name in _RESERVED:
        return "its name must be 1-31 small letters and digits, and none of ours"
    if parts.scheme != "https" and not (local and one.private and not settings.strict):
        return "give an https address; http only with private on this machine, and never in strict"
    if sum((bool(one.secret), one.secret_file is not None, one.key_file is not None)) != 1:
        return "give one of secret, secret_file and key_file"
    try:
        _set_up(name, one)
    except BadValue as fault:
        return fault.detail
    return ""


def _set_up(name: str, one: SignInProvider) -> ProviderSet:
    key = _key(one)
    usual = "client_secret_post" if one.secret_in_form else "client_secret_basic"
    return ProviderSet(
        name=name, label=one.label, issuer=one.issuer, client_id=one.client_id,
        levels=dict(one.acr), secret=_secret(one), key=key,
        authentication="private_key_jwt" if key else usual, scope=one.scope,
        algorithms=one.algorithms, hosts=one.hosts, private=one.private, roots=one.roots,
        max_age=one.max_age,
    )  # fmt: skip


def _secret(one: SignInProvider) -> str:
    if one.secret_file is None:
        return one.secret
    try:
        return one.secret_file.read_text("utf-8").strip()
    except (OSError, ValueError) as fault:
        raise BadValue("its secret_file cannot be read; name one that can", place=PLACE) from fault


def _key(one: SignInProvider) -> Mapping[str, str] | None:
    if one.key_file is None:
        return None
    try:
        key = orjson.loads(one.key_file.read_bytes())
    except (OSError, ValueError) as fault:
        raise BadValue("its key_file is no readable JWK; name one", place=PLACE) from fault
    if not isinstance(key, dict) or "d" not in key or not isinstance(key.get("kid"), str):
        raise BadValue("its key_file is no private JWK with a kid; make one", place=PLACE)
    return key
