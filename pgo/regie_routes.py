"""Addresses for regie: my dossiers, grants, relations, seals, links, and who looked."""

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Scope

from pgo.caller import Caller
from pgo.errors import PgoError
from pgo.house import House
from pgo.links import Links, link
from pgo.looked import Looked, midnight
from pgo.plain.who import sentences
from pgo.shared import shared_with, subject_name
from pgo.web import request_id
from pgo.witness import asked_by, witnessed

CallerOf = Callable[[Scope], Awaitable[Caller]]
Refused = Callable[[Scope, PgoError], Awaitable[None]]
Client = Annotated[str, Path(pattern=r"^[a-z0-9-]{1,64}$")]
Json = dict[str, Any]
_EVENTS: Final = {
    "$wie-keek": "wie-keek",
    "toestemmingen": "grant",
    "relaties": "relate",
    "zegels": "seal",
    "koppelcodes": "link-code",
}
"""What a request is called in the audit line when it does not fit its route."""


class SealIn(BaseModel):
    """A zegel on one resource."""

    model_config = ConfigDict(extra="forbid")
    release: str = Field(pattern="^(r4|stu3)$")
    type: str = Field(pattern="^[A-Z][A-Za-z]{1,63}$")
    id: str = Field(pattern=r"^[A-Za-z0-9\-.]{1,64}$")
    label: str = Field(max_length=40)


class CodeIn(BaseModel):
    """The single-use code a family gave to a provider."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=64)


def waits(response: Response, answer: Json) -> Json:
    """The answer, as 202 when nothing holds before somebody else agrees (`voorstellen`)."""
    if "precies" in answer:
        response.status_code = 202
    return answer


def router(house: House, caller_of: CallerOf, refused: Refused) -> APIRouter:
    """The routes; every one of them asks for the caller first."""
    calling = asked_by(caller_of, refused)
    routes = APIRouter(tags=["regie"], route_class=witnessed(house, calling, _EVENTS))
    _add_dossiers(routes, house, calling)
    _add_grants(routes, house, calling)
    _add_relations(routes, house, calling)
    _add_links(routes, house, calling)
    return routes


def _add_dossiers(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.get("/dossiers", summary="The dossiers shared with me")
    async def dossiers(request: Request, caller: Annotated[Caller, Depends(calling)]) -> Json:
        """Id and name of each dossier the caller may enter; dormant ones by name only."""
        found = await shared_with(house, caller)
        if caller.dossier:
            found = [one for one in found if one.client == caller.dossier]
        await house.note(
            "dossiers", person=caller.person, app=caller.app, request=request_id(request.scope)
        )
        return {"dossiers": [asdict(one) for one in found]}

    @routes.get("/dossiers/{client}/$wie-keek", summary="Who looked, in plain Dutch")
    async def who_looked(
        client: Client,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
        van: date | None = None,
        tot: date | None = None,
        taal: str = "",
    ) -> Json:
        """Sentences about who looked, from `van` up to and including `tot` (days in Amsterdam).

        Very many come in parts, the last days first: `verder` is the address of what was before.
        """
        return await _looked(house, caller, client, request_id(request.scope), van, tot, taal)


def _add_grants(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.get("/dossiers/{client}/toestemmingen", summary="Grants, relations and seals")
    async def listed(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """All rules of the dossier; each grant with a summary in plain Dutch."""
        return await house.regie(caller, client, request_id(request.scope)).rules()

    @routes.post("/dossiers/{client}/toestemmingen", status_code=201, summary="Make a grant")
    async def made(
        client: Client, sent: Json, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """A permit or a deny, in the form of the decision tables; holds from the answer on."""
        return await house.regie(caller, client, request_id(request.scope)).grant(sent)

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/intrekken", summary="End a grant")
    async def ended(
        client: Client,
        grant: str,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """No request that starts after the answer is permitted by it.

        202: it is a deny, which stands until the other party agrees (`voorstellen`).
        """
        regie = house.regie(caller, client, request_id(request.scope))
        return waits(response, await regie.revoke(grant))


def _add_relations(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.post("/dossiers/{client}/relaties", status_code=201, summary="Record a relation")
    async def related(
        client: Client,
        sent: Json,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """Who represents the client, with evidence and period.

        202: nothing is recorded before the other party agrees (`voorstellen`).
        """
        regie = house.regie(caller, client, request_id(request.scope))
        return waits(response, await regie.relate(sent))

    @routes.post("/dossiers/{client}/relaties/{relation}/beeindigen", summary="End a relation")
    async def ended(
        client: Client,
        relation: str,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """The relation ends now."""
        return await house.regie(caller, client, request_id(request.scope)).end_relation(relation)

    @routes.post("/dossiers/{client}/zegels", summary="Put on or take off a seal")
    async def sealed(
        client: Client,
        sent: SealIn,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """A label no grant opens; an empty label takes it off.

        202: the seal is as it was until the other party agrees (`voorstellen`).
        """
        regie = house.regie(caller, client, request_id(request.scope))
        done = await regie.seal(sent.release, sent.type, sent.id, sent.label)
        return waits(response, done)


def _add_links(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.post("/dossiers/{client}/koppelcodes", status_code=201, summary="A code for a provider")
    async def code(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """A single-use code; the provider that has it may bring records, for 7 days."""
        links = Links(house.parts, caller, client, request=request_id(request.scope))
        return {"code": await links.code()}

    @routes.post("/koppelingen", status_code=201, summary="Use a family's code")
    async def linked(
        sent: CodeIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The calling system's organisation is linked; the answer names the dossier.

        `wacht_op`: child and parent have to agree first; until then there is nothing here for it.
        """
        client, waits = await link(house, caller, sent.code, request_id(request.scope))
        return {"dossier": client, **({"wacht_op": waits} if waits else {})}


async def _looked(
    house: House,
    caller: Caller,
    client: str,
    request: str,
    since: date | None,
    until: date | None,
    language: str,
) -> Json:
    easy = language == "eenvoudig"
    looked = Looked(house.parts, caller, client, request=request)
    start = midnight(since) if since else 0
    end = midnight(until, later=1) if until else None
    entries, grants, go_on = await looked.days(start, end, easy=easy)
    dossier = await house.parts.dossiers.open(client)
    own = (dossier.image.rule("subject", "client") or {}).get("person") == caller.person
    said = sentences(
        entries,
        easy=easy,
        now=house.clock(),
        owner="" if own else subject_name(dossier),
        reader=caller.person,
        grants=grants,
    )
    return {
        "zinnen": [
            {
                "zin": one.text,
                "van": one.first.isoformat(),
                "tot": one.last.isoformat(),
                "aantal": one.times,
                "geweigerd": one.refused,
                "noodtoegang": one.emergency,
                "persoon": one.person,
            }
            for one in reversed(said)
        ],
        **({"verder": _go_on(client, since, go_on, language)} if go_on else {}),
    }


def _go_on(client: str, since: date | None, until: date, language: str) -> str:
    """Where the days before are told, below the address of this server."""
    asked = {"van": since, "tot": until, "taal": language}
    return f"/dossiers/{client}/$wie-keek?{urlencode({k: v for k, v in asked.items() if v})}"
