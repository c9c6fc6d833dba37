"""The house: everything one process is made of, opened and closed in one place; no HTTP.

The server (`pgo.app`) and the commands of the operator (`pgo.cli`) live in the same house.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from pgo.audit.entry import Entry
from pgo.audit.trail import Trail, new_writer
from pgo.caller import Caller
from pgo.consent.model import Person, Policy
from pgo.door import Parts
from pgo.dossier.open import Dossiers
from pgo.dossier.seal import SYSTEM, Box, Keys
from pgo.errors import BadValue, Incident
from pgo.fhir.added import searches
from pgo.fhir.profiles import profiles
from pgo.moment import micros
from pgo.oauth.tokens import Tokens
from pgo.regie import Regie
from pgo.registry import Registry
from pgo.settings import Settings
from pgo.store import open_store
from pgo.store.contract import Store
from pgo.strict import check
from pgo.vault import Vault

ROTATION: Final = ("keys", "rotation")
"""Where the registry remembers that a rotation of the deployment's key is under way."""


def utc_now() -> datetime:
    """The clock of this machine."""
    return datetime.now(UTC)


class RegistryPeople:
    """Kinds and memberships of accounts, as the registry has them now."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    async def person(self, id_: str) -> Person | None:
        """The person with this account id; a disabled one has no kind or membership."""
        account = await self._registry.account(id_)
        if account is None or account.disabled:
            return None
        orgs, teams = frozenset(account.orgs), frozenset(account.teams)
        return Person(account.id, account.birth, account.kind, orgs, teams)

    async def names(self, ids: Iterable[str]) -> dict[str, str]:
        """Names of accounts and organisations, by id."""
        found = {}
        for id_ in ids:
            entry = await self._registry.account(id_) or await self._registry.organisation(id_)
            if entry is not None:
                found[id_] = entry.name
        return found


@dataclass(frozen=True, slots=True)
class House:
    """The opened parts; `vault` and `regie` are the two sides of the one door."""

    settings: Settings
    store: Store
    keys: Keys
    trail: Trail
    registry: Registry
    tokens: Tokens
    parts: Parts
    clock: Callable[[], datetime]
    registry_box: Box

    def vault(self, caller: Caller, client: str, request: str = "") -> Vault:
        """The records of one dossier, for one caller."""
        return Vault(self.parts, caller, client, request=request)

    def regie(self, caller: Caller, client: str, request: str = "") -> Regie:
        """The rules of one dossier, for one caller."""
        return Regie(self.parts, caller, client, request=request)

    async def note(self, interaction: str, **said: object) -> None:
        """One line in the system trail, for what happens outside dossiers."""
        entry = Entry(micros(self.clock()), interaction, **said)  # type: ignore[arg-type]
        await self.trail.write(SYSTEM, entry)


@asynccontextmanager
async def open_house(
    settings: Settings,
    *,
    store: Store | None = None,
    clock: Callable[[], datetime] = utc_now,
    count: Callable[[str, str], None] = lambda _limit, _who: None,
    fresh: bytes | None = None,
) -> AsyncIterator[House]:
    """Open everything, and close what was opened.

    Args:
        settings: of the deployment.
        store: an open one; left out, the one the settings name is opened.
        clock: tells the time.
        count: is what named limits are counted with.
        fresh: the deployment's key that a rotation brings in.

    Raises:
        BadValue: settings that cannot be used, the key among them when it does not fit the data;
            each with how to mend it.
        Unavailable: the store cannot be used.
    """
    deployment = check(settings)
    opened = store or await open_store(
        settings.store, strict=settings.strict, mongo_standalone=settings.mongo_standalone
    )
    try:
        keys = Keys(opened, deployment, fresh)
        box = await _system_box(opened, keys, rotating=fresh is not None)
        house = _furnished(settings, opened, keys, box, clock, count)
        try:
            yield house
        finally:
            await house.parts.dossiers.close()
            await house.trail.close()
    finally:
        if store is None:
            await opened.close()


async def has_keys(settings: Settings) -> bool:
    """Whether keys are kept in the store already, wrapped with a deployment's key.

    Raises:
        BadValue, Unavailable: as `open_house`, of the store.
    """
    store = await open_store(
        settings.store, strict=settings.strict, mongo_standalone=settings.mongo_standalone
    )
    try:
        return bool(await store.key(SYSTEM))
    finally:
        await store.close()


def _furnished(
    settings: Settings,
    store: Store,
    keys: Keys,
    box: Box,
    clock: Callable[[], datetime],
    count: Callable[[str, str], None],
) -> House:
    trail = Trail(store, keys, clock, new_writer())
    registry = Registry(store, box)
    dossiers = Dossiers(
        store,
        keys,
        open_bytes=settings.open_bytes,
        image_every=settings.image_every,
        searches=searches(settings.search_parameters),
        issuer=settings.issuer,
    )
    policy = Policy(kind_12_15=settings.age_12_15, emergency_hours=settings.emergency_hours)
    people, known = RegistryPeople(registry), profiles(settings.profiles)
    parts = Parts(dossiers, trail, people, clock, policy, count, known)
    tokens = Tokens(store, box, clock)
    return House(settings, store, keys, trail, registry, tokens, parts, clock, box)


async def _system_box(store: Store, keys: Keys, *, rotating: bool) -> Box:
    """The box of what belongs to no dossier; opening it shows that the key fits.

    Raises:
        BadValue: another key than the one this store was made with, or a rotation half done.
    """
    if not rotating and await store.lookup(*ROTATION) is not None:
        text = "a rotation was not finished; with the old key still here, run: pgo keys rotate FILE"
        raise BadValue(text, place="PGO_KEY_FILE")
    await keys.make(SYSTEM)
    try:
        return (await keys.data(SYSTEM)).box
    except Incident as fault:
        text = "this key does not fit the data in PGO_STORE; name the key they were sealed with"
        raise BadValue(text, place="PGO_KEY_FILE") from fault
