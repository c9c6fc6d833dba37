"""$meta: the profiles, tags and labels of one resource, or of all that the caller may read.

Source: http://hl7.org/fhir/R4/resource-operation-meta.html, STU3 the same. Of a type or the whole
dossier each is told once, read from the first resource that has it, so that what is answered says
how long it takes. Our own seals are in no text and never told here.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from pgo.dossier.image import Image, Row
from pgo.errors import TooCostly
from pgo.fhir import text
from pgo.fhir.answers import Reply
from pgo.fhir.ask import Ask
from pgo.fhir.elements import Release, stored
from pgo.fhir.given import given
from pgo.fhir.tables import name_number
from pgo.vault import Vault
from pgo.verdict import Verdict

MOST: Final = 500
"""Resources read for one answer."""
_FIRST: Final = {"tok": ("_tag", "_security"), "uri": ("_profile",)}
_VALUE: Final = {"tok": "x.p, x.sys, x.code", "uri": "x.p, x.v"}


async def meta(ask: Ask, vault: Vault) -> Reply:
    """Answer the operation as Parameters with one Meta.

    Raises:
        NotFound: the resource is not there for this caller; TooCostly: too many different tags.
    """
    address = ask.address
    release, type_, id_ = address.release, address.type, address.id
    given(ask).only(())
    said = {"release": release} | ({"type_": type_} if type_ else {})
    async with vault.call("meta", **said) as call:
        verdict = await vault.known(call)
        if id_:
            vault.reach("r", type_)
            rows = [vault.newest(call, verdict, release, type_, id_)]
        else:
            rows = _first(vault.dossier.image, verdict, release, _types(vault, release, type_))
        call.touch(rows, vault.dossier.image.facets)
        vault.because_of(call, verdict, rows)
        found = await vault.texts(rows, (), {})
    metas = [text.reread(one.text).get("meta", {}) for one in found]
    value = metas[0] if id_ else _together(metas)
    return Reply(200, text.dump(_answer(value)))


def _answer(value: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": "return", **({"valueMeta": value} if value else {})}],
    }


def _types(vault: Vault, release: Release, type_: str) -> list[str]:
    """The types to look at: the one that is asked for, or all that the token's scope reaches."""
    types = [one for one in sorted(stored(release)) if vault.cap.allows("s", one)]
    if type_ or not types:
        vault.reach("s", type_ or "*")
    return [type_] if type_ else types


def _first(image: Image, verdict: Verdict, release: str, types: list[str]) -> list[Row]:
    """For each tag, label and profile that may be read, the first resource that has it."""
    rids: set[int] = set()
    for table, codes in _FIRST.items():
        visible, args = verdict.visible(release, types)("r")
        numbers = orjson.dumps([name_number(code) for code in codes]).decode()
        found = image.select(
            f"SELECT min(x.rid) FROM {table} x CROSS JOIN res r ON r.rid=x.rid"
            " WHERE x.p IN (SELECT value FROM json_each(?)) AND x.g=0 AND r.rel=? AND r.live=1"
            f" AND r.type IN (SELECT value FROM json_each(?)) AND ({visible})"
            f" GROUP BY {_VALUE[table]} LIMIT {MOST + 1}",
            (numbers, release, orjson.dumps(types).decode(), *args),
        )
        rids |= {rid for (rid,) in found}
    if len(rids) > MOST:
        raise TooCostly("there are too many different tags; ask it of a type or a resource")
    return image.rows(sorted(rids))


def _together(metas: list[dict[str, Any]]) -> dict[str, Any]:
    """Profiles, labels and tags of all, each once; no version and no time."""
    profiles = {one: None for found in metas for one in found.get("profile", ())}
    made: dict[str, Any] = {"profile": list(profiles)}
    for name in ("security", "tag"):
        codings = [coding for found in metas for coding in found.get(name, ())]
        made[name] = list({(c.get("system"), c.get("code")): c for c in reversed(codings)}.values())
    return {name: some for name, some in made.items() if some}
