"""Telling people that there is something new, by mail or webhook; about dossiers never what.

There is no outbox beside the dossiers: the log is the outbox. For each person and dossier a cursor
says up to which commit he was told. It moves after a message was taken, so one that was interrupted
is told again (at least once); what is told is decided at that moment, as he may read it then.

What changed in how somebody signs in is told in the same way, and there it is said what: the news
stands with the change itself (`pgo.oauth.news`), so that it cannot be lost either.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import orjson

from pgo import mail, webhook
from pgo.caller import Caller
from pgo.door import PATIENT
from pgo.dossier.seal import SYSTEM
from pgo.errors import NotFound, PgoError, Unavailable
from pgo.house import House
from pgo.moment import micros
from pgo.notices import Notices, wanted
from pgo.oauth.means import AllMeans
from pgo.oauth.news import News, letter, since
from pgo.oauth.scopes import cap_of
from pgo.oauth.texts import DUTCH, TONGUES
from pgo.plain.notices import MAIL, SIGN_IN, SUBJECT, URGENT, URGENT_SUBJECT
from pgo.settings import Settings
from pgo.shared import caller_of_account
from pgo.world import verdict_of

_KIND: Final = "gemeld"
WISHES: Final = "meldingen"
_TURN: Final = ("beurt", "meldingen")
_TURN_SECONDS: Final = 55
_HOUR: Final = 3_600_000_000
_MINUTE: Final = 60_000_000
_TRIES: Final = 16
_LONGEST_WAIT: Final = 6 * _HOUR
_SCOPE: Final = ("user/*.rs",)
_ACCOUNT: Final = "inloggen"
"""In place of a dossier, in the name of the cursor of what changed in signing in."""


@dataclass(frozen=True, slots=True)
class Wishes:
    """How somebody wants to be told; "" means not that way.

    `off` are kinds he switched off; `tongue` is what a mail that says more is in.
    """

    person: str
    email: str = ""
    webhook: str = ""
    secret: str = ""
    off: tuple[str, ...] = ()
    tongue: str = DUTCH.name


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where one person was told of one dossier.

    Attributes:
        n: newest commit he was told of. since: µs from when refused attempts count.
        head: head of the log when it was last looked at; looked: µs of that.
        sent: µs of the last message. again: µs before which it need not be looked at, or 0.
        tries: how often delivery failed in a row.
    """

    n: int
    since: int
    head: int
    looked: int
    sent: int = 0
    again: int = 0
    tries: int = 0


def allowed_by(settings: Settings) -> webhook.Allowed:
    """Whom webhooks may reach."""
    hosts = frozenset(host.strip().lower() for host in settings.webhook_hosts.split(",") if host)
    return webhook.Allowed(hosts, settings.webhook_private, settings.webhook_roots)


def sender_of(settings: Settings) -> mail.Sender:
    """How mail leaves this deployment."""
    return mail.Sender(
        settings.smtp_host,
        settings.smtp_port,
        settings.smtp_tls,
        settings.smtp_user,
        settings.smtp_password,
        settings.mail_from,
    )


def labels_of(settings: Settings) -> dict[str, str]:
    """What the providers people sign in at are called, by their names."""
    return {name: one.label for name, one in settings.providers.items()}


async def wishes_of(house: House, person: str) -> Wishes:
    """How this person wants to be told."""
    sealed = await house.store.lookup(WISHES, person)
    return _read(house, person, sealed) if sealed else Wishes(person)


async def keep_wishes(house: House, wishes: Wishes) -> None:
    """Remember it; from now on, not for what was before."""
    old = await house.store.lookup(WISHES, wishes.person)
    sealed = house.registry_box.seal(_place(wishes.person), orjson.dumps(asdict(wishes)))
    if not await house.store.register(WISHES, wishes.person, sealed, expected=old):
        raise Unavailable("this was being changed by another call; try again")


async def run(house: House, *, alone: bool = True) -> int:
    """Tell everybody who wants to be told; how many messages were taken.

    With `alone`, one process at a time does this; the others leave it to that one.
    """
    until = int(house.clock().timestamp()) + _TURN_SECONDS
    if alone and not await house.store.put(*_TURN, b"1", until, fresh=True):
        return 0
    sent = 0
    for person, sealed in (await house.store.listing(WISHES)).items():
        wishes = _read(house, person, sealed)
        if not (wishes.webhook or (wishes.email and house.settings.smtp_host)):
            continue  # no way to tell him now: what there is, waits
        for client in await house.store.links(person):
            sent += await _tell(house, wishes, client)
        sent += await tell_of_sign_in(house, wishes)
    return sent


async def tell_of_sign_in(house: House, wishes: Wishes) -> int:
    """Tell one person what changed in how he signs in; how many messages were taken.

    The first at once, what follows together: one mail in `PGO_NOTICE_MINUTES`, whatever is done.
    """
    account = await house.registry.account(wishes.person)
    if account is None or account.disabled:
        return 0
    news = (await AllMeans(house.store, house.registry_box).of(wishes.person)).news
    key, now = await _name(house, wishes.person, _ACCOUNT), micros(house.clock())
    kept = await house.store.lookup(_KIND, key) if news else None
    cursor = _opened(house, key, kept) if kept else Cursor(0, now, 0, now)
    fresh = since(news, cursor.n)
    if not fresh or now < cursor.again:
        return 0
    pause = now + int(house.settings.notice_minutes * _MINUTE)
    await house.note("account", person=wishes.person, note="sign-in news")
    taken = await _delivered_of_sign_in(house, wishes, fresh)
    if taken or cursor.tries + 1 >= _TRIES:
        moved = replace(cursor, n=fresh[0].n, looked=now, again=pause, tries=0)
    else:
        wait = min(_MINUTE * 2**cursor.tries, _LONGEST_WAIT)
        moved = replace(cursor, again=now + wait, tries=cursor.tries + 1)
    await house.store.register(_KIND, key, _sealed(house, key, moved), expected=kept)
    return int(taken)


async def _tell(house: House, wishes: Wishes, client: str) -> int:
    key = await _name(house, wishes.person, client)
    now, head = micros(house.clock()), await house.store.head(client)
    kept = await house.store.lookup(_KIND, key)
    cursor = _opened(house, key, kept) if kept else Cursor(0, now, 0, now)
    if not _worth_it(cursor, head, now):
        return 0
    moved, sent = await _look(house, wishes, client, replace(cursor, head=head, looked=now))
    await house.store.register(_KIND, key, _sealed(house, key, moved), expected=kept)
    return sent


async def _name(house: House, person: str, client: str) -> str:
    """Where the cursor of one person and dossier is kept: on disk it names neither of them."""
    return (await house.keys.data(SYSTEM)).name(_KIND, person, client).hex()


def _sealed(house: House, key: str, cursor: Cursor) -> bytes:
    return house.registry_box.seal(_cursor_place(key), orjson.dumps(asdict(cursor)))


def _opened(house: House, key: str, kept: bytes) -> Cursor:
    return Cursor(**orjson.loads(house.registry_box.open(_cursor_place(key), kept)))


def _cursor_place(key: str) -> bytes:
    return f"pgo1|{_KIND}|{key}".encode()


def _worth_it(cursor: Cursor, head: int, now: int) -> bool:
    """Whether anything can be different from the last look; refusals are looked for each hour."""
    if now < cursor.again:
        return not cursor.tries and head != cursor.head
    return bool(cursor.again) or head != cursor.head or now >= cursor.looked + _HOUR


async def forget(house: House, client: str) -> None:
    """Drop the cursors of everybody in a dossier that was erased."""
    for person in await house.store.listing(WISHES):
        await house.store.unregister(_KIND, await _name(house, person, client))


async def begin(house: House, person: str) -> None:
    """Tell this person of what comes from now on, in the dossiers he has something in."""
    now = micros(house.clock())
    for client in await house.store.links(person):
        head, key = await house.store.head(client), await _name(house, person, client)
        kept = await house.store.lookup(_KIND, key)
        fresh = _sealed(house, key, Cursor(head, now, head, now))
        await house.store.register(_KIND, key, fresh, expected=kept)


async def _look(house: House, wishes: Wishes, client: str, cursor: Cursor) -> tuple[Cursor, int]:
    """The cursor as it is now, and how many messages were taken."""
    now = cursor.looked
    done = replace(cursor, n=cursor.head, since=now, again=0, tries=0)
    caller = await _reader(house, wishes.person, client)
    if caller is None:
        return done, 0
    n, kinds = await Notices(house.parts, caller, client).fresh(cursor.n, cursor.since)
    done = replace(done, n=n, head=max(n, cursor.head))
    kinds = wanted(kinds, frozenset(wishes.off))
    if not kinds:
        return done, 0
    urgent = not URGENT.isdisjoint(kinds)
    pause = int(house.settings.notice_minutes * _MINUTE)
    if not urgent and now < cursor.sent + pause:
        return replace(cursor, again=cursor.sent + pause), 0
    if await _deliver(house, wishes, client, kinds, urgent=urgent):
        return replace(done, sent=now), 1
    if cursor.tries + 1 >= _TRIES:
        return done, 0
    wait = min(_MINUTE * 2**cursor.tries, _LONGEST_WAIT)
    return replace(cursor, again=now + wait, tries=cursor.tries + 1), 0


async def _reader(house: House, person: str, client: str) -> Caller | None:
    """The person as he would call; None when this dossier is not (any more) there for him.

    Asked beside the door: that we look whether somebody is to be told is no attempt of his.
    """
    account = await house.registry.account(person)
    if account is None or account.disabled:
        return None
    caller = replace(caller_of_account(account), scope=_SCOPE, app="pgo", app_name="de meldingen")
    parts = house.parts
    try:
        dossier = await parts.dossiers.open(client)
    except NotFound:
        return None
    cap, now = cap_of(_SCOPE), parts.clock()
    verdict = await verdict_of(dossier, caller, parts.people, parts.policy, now, cap)
    return caller if verdict.knows(PATIENT).permit else None


async def _deliver(
    house: House, wishes: Wishes, client: str, kinds: Sequence[str], *, urgent: bool
) -> bool:
    """Whether every way somebody chose took the message."""
    taken = True
    if wishes.email and house.settings.smtp_host:
        taken &= await _mailed(house, wishes, urgent=urgent)
    if wishes.webhook:
        taken &= await _called(house, wishes, client, kinds, urgent=urgent)
    return taken


async def _delivered_of_sign_in(house: House, wishes: Wishes, fresh: Sequence[News]) -> bool:
    """Whether it was taken; a webhook is told that, a mail says what.

    Where there is mail, mail decides: a webhook that fails does not bring the same mail again.
    """
    settings, taken = house.settings, True
    if wishes.webhook:
        taken = await _called(house, wishes, "", [SIGN_IN], urgent=True)
    if wishes.email and settings.smtp_host:
        words, page = TONGUES.get(wishes.tongue, DUTCH), f"{settings.issuer}/oauth/sessions"
        text = letter(fresh, words, labels_of(settings), page)
        taken = await _sent(house, wishes, *text)
    return taken


async def _mailed(house: House, wishes: Wishes, *, urgent: bool) -> bool:
    text = MAIL.format(address=house.settings.issuer)
    return await _sent(house, wishes, URGENT_SUBJECT if urgent else SUBJECT, text)


async def _sent(house: House, wishes: Wishes, subject: str, text: str) -> bool:
    at = micros(house.clock())
    with suppress(Unavailable):
        await mail.send(sender_of(house.settings), wishes.email, subject, text, at)
        return True
    return False


async def _called(
    house: House, wishes: Wishes, client: str, kinds: Sequence[str], *, urgent: bool
) -> bool:
    """The body names person and dossier, and that there is something; nothing about health."""
    allowed, at = allowed_by(house.settings), int(house.clock().timestamp())
    told: dict[str, Any] = {
        "type": "nieuw" if client else SIGN_IN,
        "person": wishes.person,
        "dossier": client,
        "urgent": urgent,
        "access": "toegang" in kinds or "noodtoegang" in kinds,
        "at": at,
    }
    body = orjson.dumps(told)
    try:
        place = webhook.place_of(wishes.webhook, allowed)
        signed = webhook.signature(wishes.secret, at, body)
        return webhook.delivered(await webhook.post(place, allowed, body, signed))
    except PgoError:
        return False


def _read(house: House, person: str, sealed: bytes) -> Wishes:
    raw = orjson.loads(house.registry_box.open(_place(person), sealed))
    return Wishes(**{**raw, "off": tuple(raw["off"])})


def _place(person: str) -> bytes:
    return f"pgo1|meldingen|{person}".encode()
