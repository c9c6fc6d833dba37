"""Who and what is registered: people, apps, provider systems, organisations; sealed in the store.

Nothing is cached by time: each question reads the store, so what is taken away is gone at once.
Only the unsealed form of exactly the same sealed bytes is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from secrets import randbits
from typing import Any, TypeVar, cast

import orjson

from pgo.dossier.seal import Box
from pgo.errors import BadValue, Conflict, Incident, NotFound
from pgo.fhir import elfproef
from pgo.oauth.clients import App, Provider
from pgo.store.contract import Store

__all__ = ["Account", "App", "Entry", "Organisation", "Provider", "Registry", "grown"]

KINDS = frozenset({"", "naaste", "copiloot", "zorgverlener", "beheerder"})
LOAS = frozenset({"laag", "substantieel", "hoog"})
REMEMBERED = 2048
TRIES = 16


@dataclass(frozen=True, slots=True)
class Account:
    """A person.

    Attributes:
        id: account id: random for real people, a name for demo people.
        birth: YYYY[-MM[-DD]] or "".
        kind: "" (private person), naaste, copiloot, zorgverlener or beheerder.
        orgs: organisations the person is a member of now; `teams` likewise.
        roles: role by organisation.
        loa: level of assurance the person signs in with at most.
        demo: made up; may be chosen on the development sign-in page.
        generation: counts up to end all tokens of the person, `ended` those of one app.
    """

    id: str
    name: str
    birth: str = ""
    kind: str = ""
    orgs: tuple[str, ...] = ()
    teams: tuple[str, ...] = ()
    roles: Mapping[str, str] = field(default_factory=dict)
    loa: str = "substantieel"
    demo: bool = False
    disabled: bool = False
    generation: int = field(default=0, compare=False)
    ended: Mapping[str, int] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not self.id or not self.name.strip() or self.kind not in KINDS or self.loa not in LOAS:
            raise BadValue("This account is not sound.", place="account")


@dataclass(frozen=True, slots=True)
class Organisation:
    """An organisation: `teams` by id with their names, `members` as its system last sent them."""

    id: str
    name: str
    teams: Mapping[str, str] = field(default_factory=dict)
    members: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    disabled: bool = False


Entry = Account | App | Provider | Organisation
E = TypeVar("E", Account, App, Provider, Organisation)
_KEYS: dict[type[Any], tuple[str, str]] = {
    Account: ("account", "id"),
    App: ("app", "client_id"),
    Provider: ("provider", "client_id"),
    Organisation: ("organisation", "id"),
}
_OTHER: dict[type[Any], type[Any]] = {App: Provider, Provider: App}


class Registry:
    """The registry of one deployment: `store` keeps, `box` seals with the place as AAD."""

    def __init__(self, store: Store, box: Box) -> None:
        self._store = store
        self._box = box
        self._seen: OrderedDict[tuple[str, str], tuple[bytes, Entry]] = OrderedDict()

    async def account(self, id_: str) -> Account | None:
        """The person with this account id, as registered now."""
        return await self._get(Account, id_)

    async def app(self, client_id: str) -> App | None:
        """The app of people with this client id."""
        return await self._get(App, client_id)

    async def provider(self, client_id: str) -> Provider | None:
        """The provider system with this client id."""
        return await self._get(Provider, client_id)

    async def organisation(self, id_: str) -> Organisation | None:
        """The organisation with this id."""
        return await self._get(Organisation, id_)

    async def client(self, client_id: str) -> App | Provider | None:
        """The app or provider system with this client id."""
        return await self.app(client_id) or await self.provider(client_id)

    async def accounts(self) -> list[Account]:
        """All people, in order of id; likewise the three below."""
        return await self._all(Account)

    async def apps(self) -> list[App]:
        """All apps."""
        return await self._all(App)

    async def providers(self) -> list[Provider]:
        """All provider systems."""
        return await self._all(Provider)

    async def organisations(self) -> list[Organisation]:
        """All organisations."""
        return await self._all(Organisation)

    async def providers_of(self, organisation: str) -> list[Provider]:
        """The systems of one organisation."""
        return [one for one in await self.providers() if one.id == organisation]

    async def keep_account(self, entry: Account) -> None:
        """Add or replace a person.

        Raises:
            errors.BadValue: his id or name holds a BSN.
        """
        if elfproef.hide_in_text(f"{entry.id} {entry.name}")[1]:
            raise BadValue("a BSN is kept nowhere; choose another id or name", place="account")
        await self._keep(entry)

    async def keep_app(self, entry: App) -> None:
        """Add or replace an app.

        Raises:
            errors.Conflict: a provider system has this client id.
        """
        await self._keep(entry)

    async def keep_provider(self, entry: Provider) -> None:
        """Add or replace a provider system.

        Raises:
            errors.Conflict: an app has this client id.
        """
        await self._keep(entry)

    async def keep_organisation(self, entry: Organisation) -> None:
        """Add or replace an organisation."""
        await self._keep(entry)

    async def change(self, type_: type[E], key: str, edit: Callable[[E], E]) -> E:
        """Replace one entry by an edited one; edits at the same time all land.

        Raises:
            errors.NotFound: there is none.
            errors.Conflict: others kept changing it.
        """
        kind, _ = _KEYS[type_]
        for _ in range(TRIES):
            sealed = await self._store.lookup(kind, key)
            if sealed is None:
                raise NotFound("This is not registered.")
            entry = edit(cast("E", self._unsealed(type_, key, sealed)))
            if await self._register(entry, expected=sealed):
                return entry
        raise Conflict("This registration is being changed by others.")

    async def forget(self, type_: type[Entry], key: str) -> None:
        """Remove one entry."""
        kind, _ = _KEYS[type_]
        await self._store.unregister(kind, key)

    async def end_tokens_of_person(self, id_: str, app: str = "") -> None:
        """End every token and refresh token of a person, or only those of one app."""
        await self.change(Account, id_, lambda account: ended(account, app))

    async def end_tokens_of_app(self, client_id: str) -> None:
        """End every token and refresh token an app or system has."""
        if await self.app(client_id) is not None:
            await self.change(App, client_id, grown)
        else:
            await self.change(Provider, client_id, grown)

    async def _get(self, type_: type[E], key: str) -> E | None:
        kind, _ = _KEYS[type_]
        sealed = await self._store.lookup(kind, key)
        return None if sealed is None else cast("E", self._unsealed(type_, key, sealed))

    async def _all(self, type_: type[E]) -> list[E]:
        kind, _ = _KEYS[type_]
        listed = await self._store.listing(kind)
        return [cast("E", self._unsealed(type_, key, listed[key])) for key in listed]

    async def _keep(self, entry: Entry) -> None:
        kind, name = _KEYS[type(entry)]
        key = getattr(entry, name)
        other = _OTHER.get(type(entry))
        if other is not None and await self._store.lookup(_KEYS[other][0], key) is not None:
            raise Conflict("Another registration has this client id.", place="client_id")
        for _ in range(TRIES):
            sealed = await self._store.lookup(kind, key)
            old = None if sealed is None else self._unsealed(type(entry), key, sealed)
            if await self._register(_following(entry, old), expected=sealed):
                return
        raise Conflict("This registration is being changed by others.")

    async def _register(self, entry: Entry, *, expected: bytes | None) -> bool:
        kind, name = _KEYS[type(entry)]
        key = getattr(entry, name)
        sealed = self._box.seal(_place(kind, key), orjson.dumps(asdict(entry)))
        return await self._store.register(kind, key, sealed, expected=expected)

    def _unsealed(self, type_: type[Any], key: str, sealed: bytes) -> Entry:
        kind, _ = _KEYS[type_]
        seen = self._seen.get((kind, key))
        if seen is not None and seen[0] == sealed:
            return seen[1]
        entry = _read(type_, self._box.open(_place(kind, key), sealed))
        self._seen[(kind, key)] = (sealed, entry)
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return entry


def grown(entry: E) -> E:
    """The same entry of the next generation: tokens of earlier ones are no good any more."""
    if isinstance(entry, Organisation):
        return entry
    return replace(entry, generation=entry.generation + 1)


def ended(account: Account, app: str = "") -> Account:
    """The account after all its tokens, or those of one app, are ended."""
    if not app:
        return grown(account)
    return replace(account, ended={**account.ended, app: account.ended.get(app, 0) + 1})


def _following(entry: Entry, old: Entry | None) -> Entry:
    """The entry with a generation no earlier registration of this name had, or that of `old`.

    So nothing that was ended comes back when somebody is registered anew.
    """
    if isinstance(entry, Organisation):
        return entry
    if old is None or isinstance(old, Organisation):
        return replace(entry, generation=entry.generation or randbits(48))
    entry = replace(entry, generation=max(entry.generation, old.generation))
    if isinstance(entry, Account) and isinstance(old, Account):
        return replace(entry, ended={**entry.ended, **old.ended})
    return entry


def _place(kind: str, key: str) -> bytes:
    return f"registry|{kind}|{key}".encode()


def _read(type_: type[Any], text: bytes) -> Entry:
    """One entry from its JSON; a member this version does not know is our own fault."""
    raw = orjson.loads(text)
    known = {one.name: one for one in fields(type_) if one.init}
    values = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in raw.items()
        if name in known
    }
    try:
        return cast("Entry", type_(**values))
    except (TypeError, BadValue) as wrong:
        raise Incident("A registration cannot be read.") from wrong
