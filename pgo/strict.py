"""What stops the start: settings that cannot be used, and under `strict` all that is unsafe.

Everything that is wrong is named at once, each with how to mend it.
"""

from __future__ import annotations

from pathlib import Path
from stat import S_IRWXO, S_IWGRP
from typing import Final
from urllib.parse import urlsplit

from pgo.errors import BadValue, Issue
from pgo.keyfile import load_key
from pgo.oauth.configured import provider_problems
from pgo.settings import Settings
from pgo.store.sqlite_files import in_memory

MOUNTINFO: Final = Path("/proc/self/mountinfo")
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


def check(settings: Settings) -> bytes:
    """The deployment's key, when these settings may be used.

    Raises:
        BadValue: one issue for each setting that is in the way.
    """
    found = problems(settings)
    if found:
        raise BadValue("the settings cannot be used", issues=found)
    return load_key(settings)


def problems(settings: Settings) -> tuple[Issue, ...]:
    """One issue for each setting that is in the way."""
    found = [
        *_issuer(settings),
        *_mail(settings),
        *provider_problems(settings),
        *_unsafe(settings),
    ]
    try:
        load_key(settings)
    except BadValue as fault:
        found += fault.issues
    return tuple(found)


def _open_key(settings: Settings) -> bool:
    """Whether others than its owner and a group that reads can get at the key file.

    A group may read: with the rights of a service's credential, the mask of its ACL stands there.
    """
    try:
        mode = 0 if settings.key else settings.key_file.stat().st_mode
    except OSError:  # `load_key` tells
        return False
    return bool(mode & (S_IRWXO | S_IWGRP))


def _store_in_memory(settings: Settings) -> bool:
    kind, _, rest = settings.store.partition(":///")
    return kind == "sqlite" and in_memory(Path(rest).resolve().parent, MOUNTINFO)


def _issuer(settings: Settings) -> list[Issue]:
    try:
        parts = urlsplit(settings.issuer)
    except ValueError:
        parts = urlsplit("")
    whole = parts.hostname and not (parts.query or parts.fragment or settings.issuer.endswith("/"))
    local = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if whole and (parts.scheme == "https" or (local and not settings.strict)):
        return []
    if whole and local:
        text = "strict refuses http; give the https address people use"
    else:
        text = "not a public address; give https://host without a last slash"
    return [Issue("value", text, "PGO_ISSUER")]


def _mail(settings: Settings) -> list[Issue]:
    if not settings.smtp_host or "@" in settings.mail_from:
        return []
    return [Issue("value", "mail needs an address it comes from; give one", "PGO_MAIL_FROM")]


def _unsafe(settings: Settings) -> list[Issue]:
    if not settings.strict:
        return []
    rows = (
        (
            settings.development_login,
            "strict refuses a sign-in page without passwords; set it to false",
            "PGO_DEVELOPMENT_LOGIN",
        ),
        (
            settings.mongo_standalone,
            "strict refuses a server without replica set; make it a replica set and set this false",
            "PGO_MONGO_STANDALONE",
        ),
        (
            settings.webhook_private,
            "strict calls no private addresses; set it to false",
            "PGO_WEBHOOK_PRIVATE",
        ),
        (
            bool(settings.smtp_host) and settings.smtp_tls == "none",
            "strict sends no mail in the clear; choose starttls or tls",
            "PGO_SMTP_TLS",
        ),
        (
            _open_key(settings),
            "strict refuses a key file that others can read or change; chmod 0600",
            "PGO_KEY_FILE",
        ),
        (
            _store_in_memory(settings),
            "strict keeps no dossiers in memory (tmpfs); choose a disk, or MongoDB",
            "PGO_STORE",
        ),
    )
    return [Issue("value", text, place) for wrong, text, place in rows if wrong]
