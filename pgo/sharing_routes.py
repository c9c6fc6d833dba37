"""Addresses for sharing as people do it: choices, invitations, requests, proposals, reviews."""

from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from pgo.access import Access
from pgo.caller import Caller
from pgo.consent.presets import PRESETS
from pgo.consent.words import ACTION_WORDS, CATEGORY_WORDS
from pgo.house import House
from pgo.invites import Invites, opened
from pgo.proposals import Proposals
from pgo.regie_routes import CallerOf, Client, Json, Refused, waits
from pgo.reviews import Reviews
from pgo.succession import Succession
from pgo.teams import replace_members
from pgo.web import request_id
from pgo.witness import asked_by, witnessed

_EVENTS: Final = {
    "uitnodigingen": "invite",
    "verzoeken": "overview",
    "voorstellen": "overview",
    "toestaan": "grant",
    "instemmen": "agree",
    "waarnemingen": "propose",
    "beoordelen": "review",
    "opvolger": "successor",
    "betwisten": "contest",
}
D = TypeVar("D")
Id = Annotated[str, Path(pattern=r"^[A-Za-z0-9.-]{1,128}$")]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid")


class CodeIn(_In):
    """The single-use code of an invitation."""

    code: str = Field(min_length=1, max_length=64)


class AskIn(_In):
    """A request for access to a dossier."""

    dossier: str = Field(pattern="^[a-z0-9-]{1,64}$")
    preset: str = Field(max_length=64)
    toelichting: str = Field("", max_length=200)


class ClaimIn(BaseModel):
    """Whose dossier it is, and beside it the members of a relation (consent 8)."""

    model_config = ConfigDict(extra="allow")
    dossier: str = Field(pattern="^[a-z0-9-]{1,64}$")


class AgreedIn(_In):
    """The fingerprint of exactly what somebody agrees to."""

    precies: str = Field(min_length=1, max_length=64)


class StandInIn(_In):
    """A colleague who stands in for a copiloot, from a first day up to a last moment."""

    to_who: str = Field(min_length=1, max_length=64)
    van: str = Field(min_length=10, max_length=40)
    tot: str = Field(min_length=10, max_length=40)


class JudgedIn(_In):
    """What somebody thinks of a use of noodtoegang."""

    oordeel: str = Field(max_length=20)
    toelichting: str = Field("", max_length=500)


class PersonIn(_In):
    """Somebody, by account id."""

    person: str = Field(min_length=1, max_length=64)


class WhyIn(_In):
    """Why somebody says something."""

    reden: str = Field(max_length=500)


class TeamIn(_In):
    """Everybody who is in a team now, by account id."""

    naam: str = Field("", max_length=80)
    leden: list[Annotated[str, Field(min_length=1, max_length=64)]] = Field(max_length=500)


def router(house: House, caller_of: CallerOf, refused: Refused) -> APIRouter:
    """The routes; every one of them asks for the caller first."""
    calling = asked_by(caller_of, refused)
    routes = APIRouter(tags=["delen"], route_class=witnessed(house, calling, _EVENTS))
    _add_choices(routes, house, calling)
    _add_invites(routes, house, calling)
    _add_guests(routes, house, calling)
    _add_requests(routes, house, calling)
    _add_proposals(routes, house, calling)
    _add_dormancy(routes, house, calling)
    _add_reviews(routes, house, calling)
    _add_succession(routes, house, calling)
    return routes


def _each_call(kind: Callable[..., D], parts: Any) -> Callable[[str, Request, Caller], D]:
    """Makes this kind of door for one call: of this caller, at this dossier."""

    def made(client: str, request: Request, caller: Caller) -> D:
        return kind(parts, caller, client, request=request_id(request.scope))

    return made


def _add_choices(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.get("/keuzes", summary="The plain choices for sharing")
    async def choices(
        request: Request, caller: Annotated[Caller, Depends(calling)], voor: str = ""
    ) -> Json:
        """Each preset in words; `voor` leaves those for naaste, copiloot or zorgverlener."""
        said = {"person": caller.person, "app": caller.app, "request": request_id(request.scope)}
        await house.note("request", **said)
        found = [one for one in PRESETS.values() if not voor or voor in one.kinds]
        return {
            "keuzes": [
                {
                    "preset": one.name,
                    "voor": sorted(one.kinds),
                    "tekst": one.says,
                    "mag": [ACTION_WORDS[action] for action in one.actions],
                    "over": [CATEGORY_WORDS[category] for category in one.categories],
                    "vensters": [dict(window) for window in one.weekly],
                }
                for one in found
            ]
        }

    @routes.put("/teams/{team}", summary="Who is in one of your own teams")
    async def team(
        team: Id, sent: TeamIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """For the system of a provider: replaces the whole list; holds from the answer on."""
        name = request_id(request.scope)
        return await replace_members(house, caller, team, sent.naam, sent.leden, name)


def _add_invites(routes: APIRouter, house: House, calling: Any) -> None:
    invites = _each_call(Invites, house)

    @routes.post("/dossiers/{client}/uitnodigingen", status_code=201, summary="Invite somebody")
    async def invited(
        client: Client, sent: Json, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """A single-use code, good for seven days; `sent` is a grant or preset without a name."""
        return await invites(client, request, caller).invite(sent)

    @routes.get("/dossiers/{client}/uitnodigingen", summary="Invitations")
    async def listed(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Open and past ones, without their codes."""
        return {"uitnodigingen": await invites(client, request, caller).listed()}

    @routes.post("/dossiers/{client}/uitnodigingen/{invite}/intrekken", summary="Take it back")
    async def withdrawn(
        client: Client, invite: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The code is no good any more."""
        return await invites(client, request, caller).withdraw(invite)


def _add_guests(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.post("/uitnodigingen/bekijken", summary="What an invitation is about")
    async def looked(
        sent: CodeIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Whose dossier, who invites, and what one would get; only after signing in."""
        invites, id_ = await opened(house, caller, sent.code, request_id(request.scope))
        return await invites.look(id_)

    @routes.post("/uitnodigingen/aannemen", summary="Accept an invitation")
    async def accepted(
        sent: CodeIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The grant is active, or waits for child or parent to agree."""
        invites, id_ = await opened(house, caller, sent.code, request_id(request.scope))
        return await invites.accept(id_)

    @routes.post("/uitnodigingen/weigeren", summary="Refuse an invitation")
    async def declined(
        sent: CodeIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The code is over."""
        invites, id_ = await opened(house, caller, sent.code, request_id(request.scope))
        await invites.decline(id_)
        return {"status": "geweigerd"}


def _add_requests(routes: APIRouter, house: House, calling: Any) -> None:
    access = _each_call(Access, house.parts)

    @routes.post("/verzoeken", status_code=202, summary="Ask for access")
    async def asked(
        sent: AskIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The same answer whether or not there is such a dossier."""
        await access(sent.dossier, request, caller).ask(sent.preset, sent.toelichting)
        return {"status": "ontvangen"}

    @routes.post("/vertegenwoordiging", status_code=202, summary="Say whom you represent")
    async def claimed(
        sent: ClaimIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """No right until an operator has checked the evidence; the same answer always."""
        await access(sent.dossier, request, caller).claim(dict(sent.model_extra or {}))
        return {"status": "ontvangen"}

    @routes.get("/dossiers/{client}/verzoeken", summary="Who asked for access")
    async def listed(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """For who holds the reins."""
        return {"verzoeken": await access(client, request, caller).listed()}

    @routes.post(
        "/dossiers/{client}/verzoeken/{verzoek}/toestaan", status_code=201, summary="Give access"
    )
    async def allowed(
        client: Client,
        verzoek: Id,
        sent: Json,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """What was asked, or what is sent instead."""
        return await access(client, request, caller).allow(verzoek, sent)

    @routes.post("/dossiers/{client}/verzoeken/{verzoek}/afwijzen", summary="Give no access")
    async def denied(
        client: Client, verzoek: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Who asked is not told."""
        return await access(client, request, caller).deny(verzoek)


def _add_proposals(routes: APIRouter, house: House, calling: Any) -> None:
    proposals = _each_call(Proposals, house.parts)

    @routes.get("/dossiers/{client}/voorstellen", summary="What waits for my yes or no")
    async def waiting(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Each proposal in plain words, with the fingerprint to agree with."""
        return {"voorstellen": await proposals(client, request, caller).waiting()}

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/instemmen", summary="Agree")
    async def agreed(
        client: Client,
        grant: Id,
        sent: AgreedIn,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """To exactly this proposal, and to no other."""
        return await proposals(client, request, caller).agree(grant, sent.precies)

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/afwijzen", summary="Turn down")
    async def turned_down(
        client: Client, grant: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """The proposal never opens anything."""
        return await proposals(client, request, caller).turn_down(grant)

    @routes.post("/dossiers/{client}/voorstellen/{voorstel}/instemmen", summary="Agree to any")
    async def agreed_to(
        client: Client,
        voorstel: Id,
        sent: AgreedIn,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """To exactly this, whatever it is about: a grant, a seal, a successor, a relation."""
        return await proposals(client, request, caller).agree(voorstel, sent.precies)

    @routes.post("/dossiers/{client}/voorstellen/{voorstel}/afwijzen", summary="Turn down any")
    async def turned_away(
        client: Client, voorstel: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """By who is asked, or by who asked it and takes it back."""
        return await proposals(client, request, caller).turn_down(voorstel)

    @routes.post("/dossiers/{client}/waarnemingen", status_code=201, summary="Propose a substitute")
    async def stood_in(
        client: Client,
        sent: StandInIn,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """As a copiloot; the family decides, one dossier at a time."""
        made = await proposals(client, request, caller).substitute(sent.to_who, sent.van, sent.tot)
        return {"voorstellen": made}


def _add_dormancy(routes: APIRouter, house: House, calling: Any) -> None:
    proposals = _each_call(Proposals, house.parts)

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/waakvlam", summary="Make dormant")
    async def slept(
        client: Client, grant: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """It opens nothing until it is woken."""
        return await proposals(client, request, caller).sleep(grant)

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/wekken", summary="Wake")
    async def woken(
        client: Client, grant: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """One call brings a dormant grant back."""
        return await proposals(client, request, caller).wake(grant)

    @routes.post("/dossiers/{client}/toestemmingen/{grant}/bevestigen", summary="Let it go on")
    async def given_on(
        client: Client,
        grant: Id,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """One of `opnieuw_kijken`, as given by the caller from now on; 202: the other agrees."""
        return waits(response, await proposals(client, request, caller).give_on(grant))

    @routes.post("/dossiers/{client}/relaties/{relation}/bevestigen", summary="Let a parent in")
    async def confirmed(
        client: Client, relation: Id, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """By a child of 12 to 15 himself."""
        return await proposals(client, request, caller).confirm(relation)


def _add_reviews(routes: APIRouter, house: House, calling: Any) -> None:
    reviews = _each_call(Reviews, house.parts)

    @routes.get("/dossiers/{client}/noodtoegang", summary="Uses of noodtoegang")
    async def listed(
        client: Client, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """By whom, why, until when, and what was said of it."""
        return {"noodtoegang": await reviews(client, request, caller).listed()}

    @routes.post("/dossiers/{client}/noodtoegang/{use}/beoordelen", summary="Judge one")
    async def judged(
        client: Client,
        use: Id,
        sent: JudgedIn,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """`akkoord`, or `niet-akkoord`: then it stays on the operator's list."""
        return await reviews(client, request, caller).judge(use, sent.oordeel, sent.toelichting)


def _add_succession(routes: APIRouter, house: House, calling: Any) -> None:
    succession = _each_call(Succession, house.parts)

    @routes.post("/dossiers/{client}/opvolger", status_code=201, summary="Name a successor")
    async def named(
        client: Client,
        sent: PersonIn,
        request: Request,
        response: Response,
        caller: Annotated[Caller, Depends(calling)],
    ) -> Json:
        """Gives no right by itself; an operator activates it with evidence.

        202: nobody is named before the other party agrees (`voorstellen`).
        """
        return waits(response, await succession(client, request, caller).name(sent.person))

    @routes.post("/dossiers/{client}/opvolging/betwisten", summary="Contest the reins")
    async def contested(
        client: Client, sent: WhyIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """Nothing can be opened until an operator has settled it; closing still works."""
        return await succession(client, request, caller).contest(sent.reden)
