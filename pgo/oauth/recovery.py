"""Codes people type: recovery codes for a lost passkey, and codes an operator hands out.

A recovery code is `aaaaa-bbbbb-ccccc`: the first part leads to the account, the rest is secret and
kept as scrypt only. There are ten, each is good once, and they are shown once. An operator's code
(`pgo account code`) is good once within a week, to be known here for the first time.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import replace
from hashlib import scrypt, sha256
from hmac import compare_digest
from typing import Final

import anyio.to_thread
from anyio import CapacityLimiter

from pgo.dossier.seal import Box
from pgo.errors import Conflict, Forbidden, Incident
from pgo.oauth.means import NOBODY, AllMeans, Means
from pgo.oauth.news import CODES, RECOVERY
from pgo.store.contract import Store

HOW_MANY: Final = 10
SPACE: Final = "entry-code"
ENTRY_LIVES: Final = 7 * 86_400
_LETTERS: Final = "abcdefghjkmnpqrstuvwxyz23456789"
PART: Final = 5
"""Signs of the first part, which leads to an account; tries of codes are counted under it."""
_TRIES: Final = 8
_SALT_OF_NOBODY: Final = "00" * 16
_SLOWLY: Final = CapacityLimiter(2)
"""Threads for the slow hash; their own, so that guessing holds nobody else up."""
_WRONG: Final = "This code is not good, or not any more."


def tidy(code: str) -> str:
    """A code as typed, without spaces and dashes, in small letters."""
    return "".join(char for char in code.lower()[:100] if char.isalnum())


async def make_codes(means: AllMeans, person: str, now: int) -> list[str]:
    """Ten new recovery codes, to be shown now; the old ones are no good any more."""
    for _ in range(_TRIES):
        selector, salt = _letters(PART), secrets.token_hex(16)
        if await means.point("recovery", _hidden(selector), person):
            break
    else:
        raise Conflict("No codes can be made now.")
    parts = [_letters(2 * PART) for _ in range(HOW_MANY)]
    hashes = tuple([await _slow(part, salt) for part in parts])
    before = await means.of(person)

    def renewed(mine: Means) -> Means:
        return replace(mine, selector=selector, salt=salt, codes=hashes).telling(CODES, now)

    await means.change(person, renewed)
    if before.selector:
        await means.take_down("recovery", _hidden(before.selector))
    return [f"{selector}-{part[:PART]}-{part[PART:]}" for part in parts]


async def spend(means: AllMeans, code: str, now: int) -> str:
    """The account a recovery code is of; the code is spent hereby.

    Raises:
        errors.Forbidden: not good, or not any more; unknown ones cost the same work.
    """
    text = tidy(code)
    selector, rest = text[:PART], text[PART:]
    person = await means.pointed("recovery", _hidden(selector))
    mine = await means.of(person or NOBODY)
    found = await _slow(rest, mine.salt or _SALT_OF_NOBODY)
    good = [compare_digest(found, one) for one in mine.codes]
    if not any(good) or not compare_digest(mine.selector, selector):
        raise Forbidden(_WRONG)
    await means.change(person, _without(found, now))
    return person


async def make_entry_code(store: Store, box: Box, person: str, now: int) -> str:
    """A code with which this person gets in for the first time; to be handed over in person."""
    code = "-".join(secrets.token_hex(4) for _ in range(4))
    kept = _hidden(tidy(code))
    await store.put(SPACE, kept, box.seal(_place(kept), person.encode()), now + ENTRY_LIVES)
    return code


async def spend_entry_code(store: Store, box: Box, code: str, now: int) -> str:
    """The account an operator's code is for; of any number who try, one gets it.

    Raises:
        errors.Forbidden: not good, or not any more.
    """
    kept = _hidden(tidy(code))
    sealed = await store.take(SPACE, kept, now)
    if sealed is None:
        raise Forbidden(_WRONG)
    try:
        return box.open(_place(kept), sealed).decode()
    except Incident as wrong:
        raise Forbidden(_WRONG) from wrong


def looks_like_entry(code: str) -> bool:
    """Whether a code has the length of an operator's."""
    return len(tidy(code)) == 32  # noqa: PLR2004 - four times eight


def _letters(count: int) -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(count))


async def _slow(secret: str, salt: str) -> str:
    """Scrypt with 16 MB of memory: about 50 ms."""

    def work() -> str:
        made = scrypt(secret.encode(), salt=bytes.fromhex(salt), n=2**14, r=8, p=1, dklen=32)
        return made.hex()

    return await anyio.to_thread.run_sync(work, limiter=_SLOWLY)


def _without(spent: str, now: int) -> Callable[[Means], Means]:
    def edit(means: Means) -> Means:
        if spent not in means.codes:
            raise Forbidden(_WRONG)
        left = tuple(one for one in means.codes if one != spent)
        return replace(means, codes=left).telling(RECOVERY, now)

    return edit


def _hidden(text: str) -> str:
    return sha256(f"code|{text}".encode()).hexdigest()


def _place(kept: str) -> bytes:
    return f"oauth|{SPACE}|{kept}".encode()
