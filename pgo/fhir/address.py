"""FHIR addresses: which dossier, release and interaction a path means; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from pgo.errors import NoSuchInteraction, NotFound
from pgo.fhir import operations
from pgo.fhir.compartments import NAMES
from pgo.fhir.elements import Release, stored

_OWN: Final = re.compile(r"/fhir/(r4|stu3)(/.*)?")
_NAMED: Final = re.compile(r"/dossiers/([a-z0-9-]{1,64})/fhir/(r4|stu3)(/.*)?")
_TYPE: Final = re.compile(r"[A-Z][A-Za-z]{1,63}")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_OPERATION: Final = re.compile(r"\$[a-z][a-z0-9-]{0,63}")
_VERSION: Final = re.compile(r"[1-9][0-9]{0,17}")
_EXPORT: Final = re.compile(r"\$export/([0-9a-f]{32})(?:/([0-9]{1,5}))?")
_WITHIN: Final = re.compile(
    rf"((?:{'|'.join(NAMES)})/({_ID.pattern}))/({_TYPE.pattern})(/_search)?"
)
_CHANGES: Final = {"PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_METADATA: Final = {"metadata": "capabilities", ".well-known/smart-configuration": "smart"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where a request goes.

    `client` is "" when the token names the dossier; `base` the path up to the release;
    `interaction` FHIR's name, or `$name` of an operation; `template` the route without ids;
    `within` the compartment (Type/id) that a search stays in.
    """

    client: str
    release: Release
    base: str
    interaction: str
    type: str = ""
    id: str = ""
    version: int = 0
    template: str = ""
    within: str = ""


@lru_cache(maxsize=4_096)
def is_fhir(path: str) -> bool:
    """Whether this path is below a FHIR base."""
    return bool(_OWN.fullmatch(path) or _NAMED.fullmatch(path))


@lru_cache(maxsize=4_096)
def read_address(method: str, path: str) -> Address:
    """The address of a request.

    Raises:
        NotFound: no such address; NoSuchInteraction: another method is offered there.
    """
    client, release, base, rest = _base(path)
    below = rest.strip("/")
    home = "/dossiers/{client}/fhir/{release}" if client else "/fhir/{release}"
    if below in _METADATA:
        _only(method, "GET", "HEAD")
        return Address(client, release, base, _METADATA[below], template=f"{home}/{below}")
    started = _EXPORT.fullmatch(below)
    if started is not None:
        step, number, shape = _step(method, started[2])
        return Address(client, release, base, step, "", started[1], number, home + shape)
    inside = _WITHIN.fullmatch(below)
    if inside is not None and inside[3] in stored(release):
        _only(method, *(("POST",) if inside[4] else ("GET", "HEAD")))
        shape = f"{home}/{{type}}/{{id}}/{{type}}{inside[4] or ''}"
        return Address(
            *(client, release, base, "search-type", inside[3]), template=shape, within=inside[1]
        )
    interaction, type_, id_, version, shape = _interaction(method, below)
    if interaction.startswith("$"):
        _only(method, *operations.methods(interaction, type_, id_))
    if type_ and type_ not in stored(release):
        raise NotFound("this is not a type of resource that is kept here")
    return Address(client, release, base, interaction, type_, id_, version, home + shape)


def _step(method: str, number: str | None) -> tuple[str, int, str]:
    """What is asked of an export that was started: how far it is, one file, or to end it."""
    if number is not None:
        _only(method, "GET", "HEAD")
        return "$export-file", int(number), "/$export/{job}/{file}"
    _only(method, "GET", "HEAD", "DELETE")
    return "$export-cancel" if method == "DELETE" else "$export-status", 0, "/$export/{job}"


def _base(path: str) -> tuple[str, Release, str, str]:
    named = _NAMED.fullmatch(path)
    if named is not None:
        client, written, rest = named.groups()
        return client, _release(written), f"/dossiers/{client}/fhir/{written}", rest or ""
    own = _OWN.fullmatch(path)
    if own is None:
        raise NotFound("there is no such address")
    written, rest = own.groups()
    return "", _release(written), f"/fhir/{written}", rest or ""


def _release(written: str) -> Release:
    return "stu3" if written == "stu3" else "r4"


def _interaction(method: str, below: str) -> tuple[str, str, str, int, str]:
    parts = below.split("/") if below else []
    if not parts:
        _only(method, "POST")
        return "bundle", "", "", 0, ""
    if parts == ["_history"]:
        _only(method, "GET", "HEAD")
        return "history-system", "", "", 0, "/_history"
    if _OPERATION.fullmatch(parts[0]) and len(parts) == 1:
        return parts[0], "", "", 0, f"/{parts[0]}"
    if not _TYPE.fullmatch(parts[0]):
        raise NotFound("there is no such address")
    if len(parts) == 1:
        return _on_type(method, parts[0])
    if parts[1] == "_search" and len(parts) == 2:  # noqa: PLR2004 - Type/_search
        _only(method, "POST")
        return "search-type", parts[0], "", 0, "/{type}/_search"
    if parts[1] == "_history" and len(parts) == 2:  # noqa: PLR2004 - Type/_history
        _only(method, "GET", "HEAD")
        return "history-type", parts[0], "", 0, "/{type}/_history"
    if _OPERATION.fullmatch(parts[1]) and len(parts) == 2:  # noqa: PLR2004 - Type/$operation
        return parts[1], parts[0], "", 0, "/{type}/$"
    if not _ID.fullmatch(parts[1]):
        raise NotFound("there is no such address")
    return _on_instance(method, parts)


def _on_type(method: str, type_: str) -> tuple[str, str, str, int, str]:
    """Search and create; and, with a search as condition, update, patch and delete."""
    _only(method, "GET", "HEAD", "POST", *_CHANGES)
    name = "create" if method == "POST" else _CHANGES.get(method, "search-type")
    return name, type_, "", 0, "/{type}"


def _on_instance(method: str, parts: list[str]) -> tuple[str, str, str, int, str]:
    type_, id_, rest = parts[0], parts[1], parts[2:]
    if not rest:
        _only(method, "GET", "HEAD", *_CHANGES)
        return _CHANGES.get(method, "read"), type_, id_, 0, "/{type}/{id}"
    if _OPERATION.fullmatch(rest[0]) and len(rest) == 1:
        return rest[0], type_, id_, 0, "/{type}/{id}/$"
    if rest[0] != "_history" or len(rest) > 2:  # noqa: PLR2004 - _history and one version
        raise NotFound("there is no such address")
    _only(method, "GET", "HEAD")
    if len(rest) == 1:
        return "history-instance", type_, id_, 0, "/{type}/{id}/_history"
    if not _VERSION.fullmatch(rest[1]):
        raise NotFound("not found")
    return "vread", type_, id_, int(rest[1]), "/{type}/{id}/_history/{version}"


def _only(method: str, *offered: str) -> None:
    if method not in offered:
        raise NoSuchInteraction(
            "this method is not offered at this address", headers={"Allow": ", ".join(offered)}
        )
