"""The operator's desk at one dossier: make it, bring records in, take them out; each is one call.

An operator decides nothing about who may see what. What reveals content needs, under `strict`, a
second operator and a reason, and the client is told.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any, Final

import orjson

from pgo.audit.entry import REFUSED
from pgo.call import Call
from pgo.caller import Caller
from pgo.consent.explain import Explanation, explain
from pgo.consent.model import ACTIONS, CATEGORIES, Resource
from pgo.consent.what_if import Change, changes
from pgo.dossier.image import Row
from pgo.dossier.log import Rule
from pgo.dossier.seal import SYSTEM
from pgo.errors import (
    BadValue,
    Forbidden,
    Gone,
    InvalidGrant,
    NotFound,
    PgoError,
    Unavailable,
)
from pgo.fhir import binary, elfproef
from pgo.fhir.bundle import Op
from pgo.fhir.elements import Release
from pgo.fhir.large import BINARY
from pgo.house import House
from pgo.moment import instant
from pgo.oauth.scopes import cap_of
from pgo.projection import unshown
from pgo.shown import Outcome
from pgo.standing import sent_relation
from pgo.store.contract import NotNext
from pgo.vault import Vault
from pgo.world import SUBJECT, subject_rule, verdict_of

_FACTS: Final = frozenset(
    {"person", "name", "patient", "birth", "deceased"}
    | {"curatele", "wilsonbekwaam", "geen_noodtoegang"}
)
APPROVAL_SECONDS: Final = 900
REVEALING: Final = ("export", "dossier-show", "token")
"""Commands that reveal content: under `strict` a second operator approves each."""
DECIDING: Final = ("relation", "death", "succession")
"""Commands that decide about rights on evidence: likewise."""
DESTROYING: Final = ("dossier-erase",)
"""Commands that destroy content: likewise."""
ENTERING: Final = ("account-code", "account-link")
"""Commands that let somebody in as an account; approved for that account, not for a dossier."""
_DEEDS: Final = {"token": "dossier-token", "relation": "verify", "succession": "settle"}
_SPACE: Final = "approval"
_RACES: Final = 100
_PAUSE: Final = 0.002
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

    async def create(
        self, subject: dict[str, Any], relations: Sequence[dict[str, Any]] = ()
    ) -> None:
        """Make the dossier: its keys, the facts about the client, and who represents him in law.

        Raises:
            BadValue: a fact that cannot be read or is not known, or a BSN, with its place; Missing:
                the evidence the law asks for a relation. Then nothing was made.
        """
        _check_facts(subject)
        facts = subject_rule({"patient": str(uuid.uuid4()), **subject})
        whose = str((facts.value or {}).get("person", SUBJECT))
        rules = [facts]
        for index, row in enumerate(relations):
            sent = {name: value for name, value in row.items() if name != "client"}
            _, related = sent_relation(sent, whose, f"relations[{index}]", whole=True)
            rules.append(Rule("relation", f"r-{secrets.token_hex(8)}", related))
        await self._house.keys.make(self.client)
        for person in (whose, *(str(row["person"]) for row in relations)):
            await self._house.store.link(person, self.client)
        async with self.call("dossier-create") as call:
            await self._put(call, rules)

    async def set_rules(self, rules: Sequence[Rule], note: str) -> None:
        """Put in relations and grants at the start of a dossier; hints first."""
        for rule in rules:
            grantee = (rule.value or {}).get("to_who") or (rule.value or {}).get("person")
            if grantee:
                await self._house.store.link(str(grantee), self.client)
        async with self.call("grant-change", note=note) as call:
            await self._put(call, rules)

    async def bring_in(self, rel: Release, ops: Sequence[Op], *, whole: bool) -> list[Outcome]:
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
                if row.type == BINARY:
                    yield row, b"".join([part async for part in binary.written(self, row)])
                else:
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

    async def reindex(self) -> int:
        """Make all index rows anew from the texts and keep the image; how many resources.

        Rules that no Consent or RelatedPerson shows yet get theirs.
        """
        async with self.call("dossier-reindex") as call:
            if older := unshown(self.dossier.image):
                await self._put(call, older[:1])  # the others come along
            count = await self.dossier.reindex(everything=True)
            await self.dossier.keep_image()
        return count

    async def token_given(self, person: str, approved: dict[str, str] | None) -> None:
        """Write down that a token was made for this dossier; tell the client if approved."""
        async with self.call("dossier-token", note=f"as {person}") as call:
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
        async with self.call("unlink") as call:
            id_ = f"koppeling-{organisation}"
            kept = self.dossier.image.rule("grant", id_)
            if kept is None:
                raise NotFound("there is no such link", place="organisation")
            ended = {"status": "inactive", "revoked": instant(call.at)}
            await self._put(call, (Rule("grant", id_, kept | ended),))

    async def explain(
        self, asker: Caller, action: str, category: str, purpose: str = ""
    ) -> tuple[Explanation, tuple[Change, ...]]:
        """May this person do this here now, why, and what single changes would make it otherwise?

        Raises:
            BadValue: no such action or category.
        """
        if action not in ACTIONS or category not in CATEGORIES:
            known = ACTIONS if action not in ACTIONS else CATEGORIES
            place = "--action" if action not in ACTIONS else "--category"
            raise BadValue("choose one of " + " ".join(sorted(known)), place=place)
        async with self.call("mag"):
            parts, cap = self._parts, cap_of(asker.scope)
            now = parts.clock()
            found = await verdict_of(self.dossier, asker, parts.people, parts.policy, now, cap)
            asked = found.ask(action, Resource(frozenset({category})))
            asked = replace(asked, purpose=purpose or asked.purpose)
            return explain(found.world, asked), changes(found.world, asked)

    async def approve(self) -> None:
        """Write down that a second operator approved something."""
        async with self.call("approve"):
            pass

    async def _tell_client(self, call: Call, what: str, approved: dict[str, str]) -> None:
        notice = {"kind": "beheer", "what": what, "at": call.at, **approved}
        await self._put(call, (Rule("notice", f"beheer-{secrets.token_hex(8)}", notice),))

    async def _put(self, call: Call, rules: Sequence[Rule]) -> None:
        """Commit rules as they are; tried again when another process was first."""
        await self._put_made(call, lambda: rules)

    async def _put_made(self, call: Call, made: Callable[[], Sequence[Rule]]) -> None:
        """The same for rules that are made when it is this dossier's turn."""
        for _ in range(_RACES):
            with suppress(NotNext):
                async with self.dossier.turn():
                    await self.commit(call, (), made(), {})
                    return
            await asyncio.sleep(_PAUSE)
        raise Unavailable("this dossier is very busy; nothing was changed")


def _check_facts(subject: dict[str, Any]) -> None:
    """Each fact is one we know (a misspelt birth would make a child an adult), and none a BSN.

    Raises:
        BadValue: with the place.
    """
    if not _FACTS.issuperset(subject):
        known = ", ".join(sorted(_FACTS))
        raise BadValue(f"a member that is not known; these are: {known}", place="subject")
    for name, value in subject.items():
        if isinstance(value, str) and elfproef.hide_in_text(value)[1]:
            raise BadValue("a BSN is kept nowhere; leave it out", place=f"subject.{name}")


def new_client() -> str:
    """A random dossier id, never derived from a person."""
    return secrets.token_hex(16)


# --- four eyes -----------------------------------------------------------------------------------


async def approve(house: House, name: str, client: str, what: str, reason: str) -> str:
    """A second operator's approval: a code the first one uses once, within a quarter of an hour.

    Raises:
        Forbidden: not an operator; BadValue: no such command, or no reason.
    """
    await _operator(house, name, "--operator")
    known = (*REVEALING, *DECIDING, *DESTROYING, *ENTERING)
    if what not in known:
        raise BadValue("choose one of " + " ".join(known), place="--for")
    if len(reason.strip()) < 10:  # noqa: PLR2004 - visible characters, as for noodtoegang
        raise BadValue("give a reason of at least 10 characters", place="--reason")
    code = secrets.token_hex(8)
    kept = {"second": name, "client": client, "what": what, "reason": reason.strip()}
    expires = int(house.clock().timestamp()) + APPROVAL_SECONDS
    sealed = house.registry_box.seal(_place(code), orjson.dumps(kept))
    if what in ENTERING:
        await house.note("account", person=name, note=client)
    else:
        await must_exist(house, client)
        await Office(house, client, name).approve()
    await house.store.put(_SPACE, _hashed(code), sealed, expires)
    return code


async def approved_by(
    house: House, code: str, first: str, client: str, what: str
) -> dict[str, str] | None:
    """Who approved this and why; None when `strict` is off and no code was given.

    Who is refused stands in the trail, and in the overview of the client.

    Raises:
        InvalidGrant: no good code for exactly this; Forbidden: the same person twice.
    """
    if not code and not house.settings.strict:
        return None
    try:
        return await _approved(house, code, first, client, what)
    except (InvalidGrant, Forbidden) as fault:
        await _refused(house, first, client, what, fault)
        raise


async def _approved(house: House, code: str, first: str, client: str, what: str) -> dict[str, str]:
    await _operator(house, first, "--operator")
    now = int(house.clock().timestamp())
    kept = await house.store.take(_SPACE, _hashed(code), now)
    found: dict[str, str] = (
        orjson.loads(house.registry_box.open(_place(code), kept)) if kept else {}
    )
    if (found.get("client"), found.get("what")) != (client, what):
        text = f"a second operator must approve this first: pgo approve --for {what}"
        raise InvalidGrant(text, place="--approval")
    await _operator(house, found["second"], "--approval")
    if found["second"] == first:
        raise Forbidden("the second operator must be somebody else", place="--approval")
    return {"first": first, "second": found["second"], "reason": found["reason"]}


async def _refused(house: House, first: str, client: str, what: str, fault: PgoError) -> None:
    if what in ENTERING:
        await house.note("account", person=first, note=client, outcome=REFUSED)
        return
    with suppress(PgoError):
        async with Office(house, client, first).call(_DEEDS.get(what, what)):
            raise fault


def _hashed(code: str) -> str:
    return sha256(code.encode()).hexdigest()


def _place(code: str) -> bytes:
    return f"pgo1|approval|{_hashed(code)}".encode()


async def _operator(house: House, name: str, place: str) -> None:
    account = await house.registry.account(name)
    if account is None or account.kind != "beheerder" or account.disabled:
        text = "not a registered operator; add one with: pgo account add ID --kind beheerder"
        raise Forbidden(text, place=place)


async def dossiers(house: House) -> list[str]:
    """The ids of all dossiers; erased ones too, as long as their trail is kept."""
    return [client for client in await house.store.clients() if client != SYSTEM]


async def must_exist(house: House, client: str) -> None:
    """The dossier is there.

    Raises:
        NotFound: it is not; Gone: it was erased.
    """
    await must_have_been(house, client)
    if not await is_alive(house, client):
        raise Gone("this dossier was erased", place="--dossier")


async def must_have_been(house: House, client: str) -> None:
    """The dossier is there, or was and is erased: its trail is.

    Raises:
        NotFound: there never was one.
    """
    if client == SYSTEM or await house.store.head(client) == 0:
        raise NotFound("there is no such dossier; see: pgo dossier list", place="--dossier")


async def is_alive(house: House, client: str) -> bool:
    """Whether this dossier has not been erased."""
    return "data" in await house.store.key(client)
