"""Addresses for what is new: in one dossier, in all of mine, and how I want to be told."""

import secrets
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from hashlib import sha256
from typing import Annotated, Any, Final, Literal
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, ConfigDict, Field

from pgo import mail, telling, webhook
from pgo.caller import Caller
from pgo.errors import BadValue, Forbidden, InvalidGrant, Unsupported
from pgo.house import House
from pgo.moment import instant, micros
from pgo.notices import Notices
from pgo.oauth.means import AllMeans
from pgo.oauth.news import sentence
from pgo.oauth.news import since as news_since
from pgo.oauth.scopes import cap_of
from pgo.oauth.texts import DUTCH, TONGUES
from pgo.plain.notices import CODE_MAIL, CODE_SUBJECT, FIXED, KINDS, SIGN_IN
from pgo.regie_routes import CallerOf, Client, Json, Refused
from pgo.shared import shared_with
from pgo.web import request_id
from pgo.witness import asked_by, witnessed

_HERE: Final = ZoneInfo("Europe/Amsterdam")
_MONTH: Final = timedelta(days=30)
_SPACE: Final = "mailcode"
_CODE_SECONDS: Final = 86_400
_EVENTS: Final = {"berichten": "messages"}


class WishesIn(BaseModel):
    """How somebody wants to be told; "" takes a way away."""

    model_config = ConfigDict(extra="forbid")
    email: str = Field("", max_length=254)
    webhook: str = Field("", max_length=500)
    uit: list[str] = Field(default_factory=list, max_length=20)
    taal: Literal["", "nl", "nl-eenvoudig", "en", "en-eenvoudig"] = ""


class MailCodeIn(BaseModel):
    """The code that was sent to an e-mail address."""

    model_config = ConfigDict(extra="forbid")
    code: str = Field(min_length=1, max_length=64)


def router(house: House, caller_of: CallerOf, refused: Refused) -> APIRouter:
    """The routes; every one of them asks for the caller first."""
    calling = asked_by(caller_of, refused)
    routes = APIRouter(tags=["berichten"], route_class=witnessed(house, calling, _EVENTS))
    _add_messages(routes, house, calling)
    _add_wishes(routes, house, calling)
    return routes


def _add_messages(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.get("/dossiers/{client}/berichten", summary="What is new in one dossier")
    async def in_one(
        client: Client,
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
        sinds: date | None = None,
        taal: str = "",
    ) -> Json:
        """From the day `sinds` (left out: 30 days back), and grants to look at again."""
        notices = Notices(house.parts, caller, client, request=request_id(request.scope))
        return await notices.listed(_since(house, sinds), easy=taal == "eenvoudig")

    @routes.get("/mijn/berichten", summary="What is new for me")
    async def mine(
        request: Request,
        caller: Annotated[Caller, Depends(calling)],
        sinds: date | None = None,
        taal: str = "",
    ) -> Json:
        """The same, for each dossier the caller may enter with this token.

        In `account` what changed in how the person himself signs in, with or without a dossier.
        """
        name, found = request_id(request.scope), []
        for one in await shared_with(house, caller):
            if not one.dormant and caller.dossier in {"", one.client}:
                notices = Notices(house.parts, caller, one.client, request=name)
                news = await notices.listed(_since(house, sinds), easy=taal == "eenvoudig")
                found.append({"dossier": one.client, "naam": one.name, **news})
        account = await _of_sign_in(house, caller, _since(house, sinds), taal)
        await house.note("dossiers", person=caller.person, app=caller.app, request=name)
        return {"dossiers": found, "account": account}


def _add_wishes(routes: APIRouter, house: House, calling: Any) -> None:
    @routes.get("/mijn/meldingen", summary="How I am told")
    async def wishes(request: Request, caller: Annotated[Caller, Depends(calling)]) -> Json:
        """Ways, and what is switched off; emergency and new access cannot be."""
        _a_person(caller)
        await _noted(house, caller, request)
        return _shown(await telling.wishes_of(house, caller.person))

    @routes.put("/mijn/meldingen", summary="Change how I am told")
    async def changed(
        sent: WishesIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """A new e-mail address gets a code first; a new webhook gets a secret, shown once."""
        _a_person(caller)
        await _noted(house, caller, request)
        return await _changed(house, caller, sent)

    @routes.post("/mijn/meldingen/bevestigen", summary="Confirm my e-mail address")
    async def confirmed(
        sent: MailCodeIn, request: Request, caller: Annotated[Caller, Depends(calling)]
    ) -> Json:
        """With the code that was sent to it."""
        _a_person(caller)
        await _noted(house, caller, request)
        house.parts.count("code", caller.person)
        now = int(house.clock().timestamp())
        kept = await house.store.take(_SPACE, _hashed(caller.person, sent.code), now)
        if kept is None:
            raise InvalidGrant("this code is not good, or not any more", place="code")
        address = house.registry_box.open(_place(caller.person), kept).decode()
        wishes = replace(await telling.wishes_of(house, caller.person), email=address)
        await telling.begin(house, caller.person)
        await telling.keep_wishes(house, wishes)
        return _shown(wishes)


async def _of_sign_in(house: House, caller: Caller, since: int, tongue: str) -> list[Json]:
    """What changed in how the caller signs in, for a token that reaches messages."""
    if caller.emergency is not None or not cap_of(caller.scope).allows("r", "Communication"):
        return []
    means = await AllMeans(house.store, house.registry_box).of(caller.person)
    words = TONGUES.get({"eenvoudig": "nl-eenvoudig"}.get(tongue, tongue), DUTCH)
    labels = telling.labels_of(house.settings)
    return [
        {
            "id": f"{SIGN_IN}-{one.n}",
            "soort": SIGN_IN,
            "op": instant(one.at * 1_000_000),
            "dringend": True,
            "aantal": one.times,
            "tekst": sentence(one, words, labels),
        }
        for one in news_since(means.news, at=since // 1_000_000)
    ]


async def _changed(house: House, caller: Caller, sent: WishesIn) -> Json:
    unknown = [place for place, kind in enumerate(sent.uit) if kind not in {*KINDS, *FIXED}]
    if unknown:
        raise BadValue("not a kind of message", place=f"uit[{unknown[0]}]")
    fixed = [place for place, kind in enumerate(sent.uit) if kind in FIXED]
    if fixed:
        raise BadValue("this kind cannot be switched off", place=f"uit[{fixed[0]}]")
    old = await telling.wishes_of(house, caller.person)
    if old.email and sent.email != old.email:
        await telling.tell_of_sign_in(house, old)  # while it still gets to the address he chose
    wishes = replace(old, off=tuple(sorted(set(sent.uit))), webhook=sent.webhook)
    wishes = replace(wishes, tongue=sent.taal or DUTCH.name)
    secret = old.secret
    if sent.webhook and sent.webhook != old.webhook:
        webhook.place_of(sent.webhook, telling.allowed_by(house.settings))
        secret = secrets.token_urlsafe(32)
    wishes = replace(wishes, secret=secret if sent.webhook else "")
    waits = await _new_address(house, caller, sent.email, old.email)
    if waits or not sent.email:
        wishes = replace(wishes, email="")
    if wishes.webhook and not old.webhook:
        await telling.begin(house, caller.person)
    await telling.keep_wishes(house, wishes)
    fresh = {"geheim": secret} if wishes.secret and secret != old.secret else {}
    return {**_shown(wishes), "te_bevestigen": waits, **fresh}


async def _new_address(house: House, caller: Caller, address: str, old: str) -> bool:
    """Whether an address was new, so that a code is on its way to it."""
    if not address or address == old:
        return False
    if not house.settings.smtp_host:
        raise Unsupported("this server sends no mail", place="email")
    mail.checked(address)
    house.parts.count("invite", caller.person)
    code, now = secrets.token_hex(4), house.clock()
    sealed = house.registry_box.seal(_place(caller.person), address.encode())
    expires = int(now.timestamp()) + _CODE_SECONDS
    await house.store.put(_SPACE, _hashed(caller.person, code), sealed, expires)
    sender = telling.sender_of(house.settings)
    await mail.send(sender, address, CODE_SUBJECT, CODE_MAIL.format(code=code), micros(now))
    return True


def _a_person(caller: Caller) -> None:
    if caller.kind in {"systeem", "beheerder"}:
        raise Forbidden("only people are told")


async def _noted(house: House, caller: Caller, request: Request) -> None:
    name = request_id(request.scope)
    await house.note("request", person=caller.person, app=caller.app, request=name)


def _shown(wishes: telling.Wishes) -> Json:
    off = list(wishes.off)
    return {"email": wishes.email, "webhook": wishes.webhook, "uit": off, "taal": wishes.tongue}


def _since(house: House, day: date | None) -> int:
    start = datetime.combine(day, time.min, _HERE) if day else house.clock() - _MONTH
    return micros(start)


def _hashed(person: str, code: str) -> str:
    return sha256(f"{person}\0{code.strip().lower()}".encode()).hexdigest()


def _place(person: str) -> bytes:
    return f"pgo1|mailcode|{person}".encode()
