"""The server: `build(settings)` puts every part together; the only module that knows them all."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from uuid import uuid4
from zlib import crc32

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from pgo import __version__, rates, stopped, upkeep
from pgo.audit.entry import REFUSED
from pgo.caller import Caller
from pgo.connection import Connection
from pgo.edge import wrap
from pgo.errors import PgoError, Unavailable
from pgo.fhir.address import is_fhir
from pgo.fhir.ask import Operation
from pgo.fhir.capability import Security, capability
from pgo.fhir.endpoint import Doors, Fhir
from pgo.fhir.everything import everything
from pgo.fhir.export import starting
from pgo.fhir.lastn import lastn
from pgo.fhir.latest_stops import latest_stops
from pgo.fhir.meta import meta
from pgo.fhir.summary import summary
from pgo.fhir.validating import validating
from pgo.fhir_consents import consents_of
from pgo.framework import TELEMETRY, Described, Methods, answer_errors
from pgo.health import Health
from pgo.house import House, open_house, utc_now
from pgo.log import configure
from pgo.looked import operations
from pgo.medmij.address import is_exchange
from pgo.medmij.counter import Counter
from pgo.medmij.offer import Doors as OfferDoors
from pgo.medmij.offer import Offer
from pgo.medmij.services import Service, catalogue
from pgo.metrics import make_metrics
from pgo.narrowed import is_known
from pgo.notice_routes import router as notice_router
from pgo.oauth.choices import Choice
from pgo.oauth.configured import ways_of
from pgo.oauth.cors import Cors, registered_origins
from pgo.oauth.guard import Guard
from pgo.oauth.metadata import CAPABILITIES, DESCRIPTION, oauth_uris, smart_configuration
from pgo.oauth.pages import page_of_error
from pgo.oauth.parts import Parts as OAuthParts
from pgo.oauth.refused import Refused
from pgo.oauth.routes import router as oauth_router
from pgo.oauth.used import Used, beside
from pgo.oneself import kind_of
from pgo.question_routes import questions
from pgo.question_routes import router as question_router
from pgo.rates import Rates
from pgo.regie_routes import router as regie_router
from pgo.settings import Settings, load
from pgo.shared import caller_of_account, choices_of, patient_id, subject_of
from pgo.sharing_routes import router as sharing_router
from pgo.store.contract import Store
from pgo.web import request_id

_EVENTS: Final = {
    "oauth.sign-in": "login",
    "oauth.sign-out": "logout",
    "oauth.means": "account",
    "oauth.consent": "authorize",
    "oauth.authorize": "authorize",
    "oauth.par": "authorize",
    "oauth.token": "token",
    "oauth.userinfo": "request",
    "oauth.revoke": "token-revoke",
    "oauth.introspect": "request",
}


_GARBAGE: Final = (10_000, 20, 50)
"""A search makes more objects than the usual 700 and leaves no cycles: the collector looked through
all of an index image for nothing, and took a fifth of the time."""

_ON_A_DOSSIER: Final[dict[str, Operation]] = {
    "$everything": everything,
    "$meta": meta,
    "$validate": validating,
}
"""What the other rows of `pgo.fhir.operations` do, at the FHIR interface only."""


class Server:
    """An ASGI application that opens its house at start-up and closes it at the end."""

    def __init__(
        self, settings: Settings, store: Store | None, clock: Callable[[], datetime]
    ) -> None:
        self._settings, self._store, self._clock = settings, store, clock
        self._stack = AsyncExitStack()
        self._app: ASGIApp | None = None
        self.house: House | None = None
        self.pages: Callable[[], FastAPI] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or the server's own start and stop."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._app is None:
            raise Unavailable("the server has not started")
        else:
            await self._app(scope, receive, send)

    async def start(self) -> House:
        """Open the house; after this requests are answered."""
        limits = {
            "emergency": rates.EMERGENCY,
            "failed": rates.FAILED,
            "sign-in": rates.LOGIN,
            "sign-in-network": rates.LOGIN_NETWORK,
            "sign-in-all": rates.LOGIN_ALL,
            "sign-in-begun": rates.BEGUN,
            "invite": rates.INVITE,
            "code": rates.CODE,
            "writes": rates.writes(self._settings),
        }
        counters = Rates(_rates_file(self._settings))
        self._stack.callback(counters.close)
        house = await self._stack.enter_async_context(
            open_house(
                self._settings,
                store=self._store,
                clock=self._clock,
                count=lambda limit, who: counters.require(limits[limit], who),
            )
        )
        used = beside(self._settings.store) if self._store is None else None
        if used is not None:
            self._stack.callback(used.close)
        self._app, self.pages = _wired(house, counters, used)
        await self._stack.enter_async_context(upkeep.kept_up(house))
        await house.note("start")
        self.house = house
        return house

    async def stop(self) -> None:
        """Finish what is under way and close the house."""
        self._app = None
        if self.house is not None:
            await self.house.note("stop")
        await self._stack.aclose()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.start()
                except PgoError as error:
                    why = [f"{issue.place}: {issue.detail}" for issue in error.issues]
                    await send({"type": "lifespan.startup.failed", "message": "; ".join(why)})
                    return
                if self.pages is not None:
                    self.pages()  # now, not while the first person waits
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.stop()
                await send({"type": "lifespan.shutdown.complete"})
                return


def build(
    settings: Settings,
    store: Store | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> Server:
    """The server of these settings; a store may be given, otherwise it is opened at start-up."""
    configure(settings)
    return Server(settings, store, clock)


def from_environment() -> Server:
    """The server of the settings in the environment; what uvicorn's workers start."""
    settings = load()
    Connection.believe(settings.certificate_header, settings.trusted_proxies)
    gc.freeze()
    gc.set_threshold(*_GARBAGE)
    return build(settings)


def _wired(
    house: House, counters: Rates, used: Used | None
) -> tuple[ASGIApp, Callable[[], FastAPI]]:
    """The whole application, and what makes the part of it that is FastAPI, once."""
    metrics = make_metrics(lambda: len(house.parts.dossiers.open_clients))
    oauth = _oauth(house, used)
    guard = Guard(house.registry, house.tokens, oauth.proofs)
    door = _FrontDoor(house, guard, counters)
    searches, profiles = house.parts.dossiers.searches, house.parts.profiles
    security = Security(oauth_uris(house.settings.issuer), CAPABILITIES, DESCRIPTION)
    fhir = Fhir(
        Doors(
            issuer=house.settings.issuer,
            caller_of=door.caller_of,
            vault=house.vault,
            refused=door.refused,
            capability=lambda release, base: capability(
                release, base, searches[release], profiles.library(release), security
            ),
            searches=searches,
            smart=lambda: smart_configuration(house.settings.issuer),
            operations={
                **operations(house),
                **questions(house),
                **_on_types(house),
                **_ON_A_DOSSIER,
                "$summary": summary(house.clock, uuid4),
                "$export": starting(),
            },
            rules=lambda vault, request: consents_of(house, vault, request),
        )
    )
    offer = Offer(_exchange(house, door))
    pages = cache(lambda: _fastapi(house, door, oauth))
    health, fronted = Health(_readiness(house)), cache(lambda: Methods(pages()))

    def dispatch(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        path = scope["path"] if scope["type"] == "http" else ""
        if is_fhir(path):
            return fhir(scope, receive, send)
        if is_exchange(path):
            return offer(scope, receive, send)
        if path.startswith("/health/"):
            return health(scope, receive, send)
        return (metrics if path == "/metrics" else fronted())(scope, receive, send)

    cors = Cors(dispatch, registered_origins(house.registry))
    draw = page_of_error(secure=oauth.secure)
    return wrap(cors, house.settings, metrics, pages=lambda app: Refused(app, draw)), pages


def _exchange(house: House, door: _FrontDoor) -> OfferDoors:
    def counter(
        caller: Caller, client: str, service: Service, request: str, correlation: str
    ) -> Counter:
        return Counter(
            house.parts, caller, client, service, request=request, correlation=correlation
        )

    return OfferDoors(
        issuer=house.settings.issuer,
        caller_of=door.caller_of,
        counter=counter,
        refused=door.refused,
        catalogue=catalogue(),
        searches=house.parts.dossiers.searches,
        operations=_on_types(house),
    )


def _on_types(house: House) -> dict[str, Operation]:
    """What the rows of `pgo.fhir.operations` do that the exchange services offer as well."""
    return {"$lastn": lastn, "$latest-stops": latest_stops(house.clock)}


class _FrontDoor:
    """Who is calling, within his limits; calls that reach no dossier leave a line here."""

    def __init__(self, house: House, guard: Guard, counters: Rates) -> None:
        self._house, self._guard, self._counters = house, guard, counters
        self._person, self._app = rates.person(house.settings), rates.app(house.settings)

    async def caller_of(self, scope: Scope) -> Caller:
        """The caller of a request.

        Raises:
            Unauthenticated: no good token; TooMany: too often.
        """
        caller = await self._guard.caller_of(scope)
        self._counters.require_each((self._person, caller.person), (self._app, caller.app))
        return caller

    async def refused(self, scope: Scope, error: PgoError) -> None:
        """A call that was refused before any dossier was known."""
        await self._house.note(
            "request",
            outcome=REFUSED,
            status=error.status,
            request=request_id(scope),
            address=str((scope.get("client") or ("",))[0]),
        )


def _fastapi(house: House, door: _FrontDoor, oauth: OAuthParts) -> FastAPI:
    app = Described(
        title="pgo",
        version=__version__,
        telemetry=TELEMETRY,
        max_body_size=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    answer_errors(app, page_of_error(secure=oauth.secure))
    app.include_router(oauth_router(oauth))
    app.include_router(regie_router(house, door.caller_of, door.refused))
    app.include_router(question_router(house, door.caller_of, door.refused))
    app.include_router(notice_router(house, door.caller_of, door.refused))
    app.include_router(sharing_router(house, door.caller_of, door.refused))
    return app


def _oauth(house: House, used: Used | None) -> OAuthParts:
    async def note(event: str, **fields: str) -> None:
        outcome = REFUSED if fields.get("outcome") == "refused" else 0
        detail = fields.get("detail", "")
        said = {"person": fields.get("person", ""), "app": fields.get("app", ""), "note": detail}
        await house.note(_EVENTS[event], outcome=outcome, **said)

    async def dossiers_of(person: str) -> Sequence[Choice]:
        account = await house.registry.account(person)
        return [] if account is None else await choices_of(house, caller_of_account(account))

    async def patient_of(client: str) -> str:
        return patient_id(await house.parts.dossiers.open(client), "r4")

    async def fhir_user_of(person: str, client: str) -> str:
        account = await house.registry.account(person)
        if account is None or not client:
            return ""
        base = f"{house.settings.issuer}/dossiers/{client}/fhir/r4"
        dossier = await house.parts.dossiers.open(client)
        patient = dossier.image.patient("r4")
        if patient is not None and subject_of(dossier) == person:
            return f"{base}/Patient/{patient.id}"
        return f"{base}/{kind_of(account.kind)}/{person}"

    return OAuthParts(
        issuer=house.settings.issuer,
        store=house.store,
        box=house.registry_box,
        registry=house.registry,
        tokens=house.tokens,
        note=note,
        dossiers_of=dossiers_of,
        patient_of=patient_of,
        fhir_user_of=fhir_user_of,
        development_login=house.settings.development_login,
        ways=ways_of(house.settings),
        count=house.parts.count,
        known=lambda cap: is_known(cap, house.parts.dossiers.searches),
        warn=lambda person, _, client, family: stopped.tell(house, person, client, family),
        used=used,
    )


def _readiness(house: House) -> Callable[[], Any]:
    async def ready() -> Mapping[str, bool]:
        if not house.trail.healthy:  # who is not ready gets no calls, so none would show it is over
            with suppress(PgoError):
                await house.note("recovered")
        try:
            await house.store.ready()
        except PgoError:
            return {"store": False, "audit": house.trail.healthy}
        return {"store": True, "audit": house.trail.healthy}

    return ready


def _rates_file(settings: Settings) -> Path:
    """One file per deployment and user, on a memory file system where there is one."""
    memory = Path("/dev/shm")  # noqa: S108 - the kernel's memory file system; the file is 0600
    base = memory if memory.is_dir() else Path(tempfile.gettempdir())
    return base / f"pgo-rates-{os.getuid()}-{crc32(settings.store.encode()):x}"
