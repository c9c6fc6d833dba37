"""The operator's desk at one dossier: make it, bring records in, take them out; each is one call.

An operator decides nothing about who may see what. What reveals content needs, under `strict`, a
second operator and a reason, and the client is told.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterator, Sequence
from hashlib import sha256
from typing import Any, Final

import orjson

from pgo.call import Call
from pgo.caller import Caller
from pgo.dossier.image import Row
from pgo.dossier.log import Rule
from pgo.errors import BadValue, Forbidden, InvalidGrant, NotFound
from pgo.fhir.bundle import Op
from pgo.house import House
from pgo.moment import instant
from pgo.regie import subject_rule
from pgo.shown import Outcome
from pgo.vault import Vault

APPROVAL_SECONDS: Final = 900
_SPACE: Final = "approval"
_PAGE: Final = 100


def operator(name: str = "beheer") -> Caller:
    """An operator at the command line: reaches every type, sees nothing by right."""
    return Caller(
        person=name,
        kind="beheerder",
        name=name,
        app="pgo",
        app_name="de beheeropdracht",
        scope=("system/*.cruds",),
    )


class Office(Vault):
    """An operator at one dossier."""

    def __init__(self, house: House, client: str, name: str = "beheer") -> None:
        super().__init__(house.parts, operator(name), client)
        self._house = house

    async def create(self, subject: dict[str, Any]) -> None:
        """Make the dossier: its keys, and the facts about the client decisions need.

        Raises:
            BadValue: a fact that cannot be read, with its place.
        """
        rule = subject_rule({"patient": str(uuid.uuid4()), **subject})
        await self._house.keys.make(self.client)
        async with self.call("dossier-create") as call, self.dossier.turn():
            await self.commit(call, (), (rule,), {})

    async def set_rules(self, rules: Sequence[Rule], note: str) -> None:
        """Put in relations and grants at the start of a dossier; hints first."""
        for rule in rules:
            grantee = (rule.value or {}).get("to_who") or (rule.value or {}).get("person")
            if grantee:
                await self._house.store.link(str(grantee), self.client)
        async with self.call("grant-change", note=note) as call, self.dossier.turn():
            await self.commit(call, (), rules, {})

    async def bring_in(self, rel: str, ops: Sequence[Op], *, whole: bool) -> list[Outcome]:
        """Import operations as they are, ids kept; `whole`: all or nothing."""
        return await self.change("import", rel, ops, operator=True, isolated=not whole)

    async def take_out(self, approved: dict[str, str] | None) -> AsyncIterator[tuple[Row, bytes]]:
        """Every live resource with its text; the client is told when `approved` is given."""
        async with self.call("export") as call:
            found = self.dossier.image.select("SELECT rid FROM res WHERE live ORDER BY rid", ())
            rows = self.dossier.image.rows([rid for (rid,) in found])
            call.touch(rows, self.dossier.image.facets)
            if approved is not None:
                await self._tell_client(call, "export", approved)
        for start in range(0, len(rows), _PAGE):
            part = rows[start : start + _PAGE]
            for row, text in zip(part, await self.dossier.texts(part), strict=True):
                yield row, text

    async def show(self, approved: dict[str, str] | None) -> dict[str, Any]:
        """What is in the dossier, in numbers; no content."""
        async with self.call("dossier-show") as call:
            image = self.dossier.image
            counts = image.select(
                "SELECT rel, type, count(*) FROM res WHERE live GROUP BY rel, type ORDER BY 1, 2",
                (),
            )
            if approved is not None:
                await self._tell_client(call, "dossier-show", approved)
        types = [{"release": rel, "type": type_, "count": number} for rel, type_, number in counts]
        rules = {kind: len(image.rules(kind)) for kind in ("grant", "relation", "seal")}
        return {"dossier": self.client, "commits": image.n, "resources": types, "rules": rules}

    async def token_given(self, person: str, approved: dict[str, str] | None) -> None:
        """Write down that a token was made for this dossier; tell the client if approved."""
        async with self.call("token", note=f"as {person}") as call:
            if approved is not None:
                await self._tell_client(call, "token", {**approved, "as": person})

    async def links(self) -> list[dict[str, Any]]:
        """The links of providers, ended ones too."""
        async with self.call("dossier-show"):
            grants = self.dossier.image.rules("grant")
        kept = ("to_who", "made", "by", "status", "revoked")
        return [
            {"link": id_, **{name: value.get(name, "") for name in kept}}
            for id_, value in grants.items()
            if value.get("own")
        ]

    async def end_link(self, organisation: str) -> None:
        """End the link of a provider; its records stay with the client.

        Raises:
            NotFound: there is no such link.
        """
        async with self.call("unlink") as call, self.dossier.turn():
            id_ = f"koppeling-{organisation}"
            kept = self.dossier.image.rule("grant", id_)
            if kept is None:
                raise NotFound("there is no such link", place="organisation")
            ended = {"status": "inactive", "revoked": instant(call.at)}
            await self.commit(call, (), (Rule("grant", id_, kept | ended),), {})

    async def _tell_client(self, call: Call, what: str, approved: dict[str, str]) -> None:
        notice = {"kind": "beheer", "what": what, "at": call.at, **approved}
        async with self.dossier.turn():
            rule = Rule("notice", f"beheer-{call.at}", notice)
            await self.commit(call, (), (rule,), {})


def new_client() -> str:
    """A random dossier id, never derived from a person."""
    return secrets.token_hex(16)


# --- four eyes -----------------------------------------------------------------------------------


async def approve(house: House, name: str, client: str, what: str, reason: str) -> str:
    """A second operator's approval: a code the first one uses once, within a quarter of an hour.

    Raises:
        Forbidden: not an operator; BadValue: no reason.
    """
    await _operator(house, name)
    if len(reason.strip()) < 10:  # noqa: PLR2004 - visible characters, as for noodtoegang
        raise BadValue("give a reason of at least 10 characters", place="reason")
    code = secrets.token_hex(8)
    kept = {"second": name, "client": client, "what": what, "reason": reason.strip()}
    expires = int(house.clock().timestamp()) + APPROVAL_SECONDS
    await house.store.put(_SPACE, sha256(code.encode()).hexdigest(), orjson.dumps(kept), expires)
    return code


async def approved_by(
    house: House, code: str, first: str, client: str, what: str
) -> dict[str, str] | None:
    """Who approved this and why; None when `strict` is off and no code was given.

    Raises:
        InvalidGrant: no good code for exactly this; Forbidden: the same person twice.
    """
    if not code and not house.settings.strict:
        return None
    await _operator(house, first)
    now = int(house.clock().timestamp())
    kept = await house.store.take(_SPACE, sha256(code.encode()).hexdigest(), now)
    found: dict[str, str] = orjson.loads(kept) if kept else {}
    if (found.get("client"), found.get("what")) != (client, what):
        raise InvalidGrant("an approval code of a second operator is needed", place="approval")
    if found["second"] == first:
        raise Forbidden("the second operator must be somebody else")
    return {"first": first, "second": found["second"], "reason": found["reason"]}


async def _operator(house: House, name: str) -> None:
    account = await house.registry.account(name)
    if account is None or account.kind != "beheerder" or account.disabled:
        raise Forbidden("this is not a registered operator (kind beheerder)")


async def dossiers(house: House) -> list[str]:
    """The ids of all dossiers."""
    return [client for client in await house.store.clients() if client != "system"]


async def must_exist(house: House, client: str) -> None:
    """The dossier is there.

    Raises:
        NotFound: it is not.
    """
    if await house.store.head(client) == 0:
        raise NotFound("there is no such dossier", place="dossier")
