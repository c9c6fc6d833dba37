"""Sealing: AES-256-GCM boxes bound to a place, and the keys of each dossier.

Nothing here knows what is sealed. A place (the AAD) names format version, client and what the
sealed bytes are, so that bytes moved elsewhere do not open (architecture 1, safety 2.1).
"""

from __future__ import annotations

import hmac
import os
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from time import monotonic
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from pgo.errors import Incident, NotFound
from pgo.store.contract import Store

SYSTEM: Final = "system"
_FORMAT: Final = b"\x01"
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
SEALING: Final = len(_FORMAT) + _NONCE_BYTES + 16
"""How many bytes longer sealed bytes are than plain ones."""
_CACHED_KEYS: Final = 4096
_CACHE_SECONDS: Final = 60.0


class Box:
    """Seals and opens bytes under one 32-byte key."""

    __slots__ = ("_cipher",)

    def __init__(self, key: bytes) -> None:
        """Make a box; the key is not kept as such and never shown."""
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "Box(…)"

    def seal(self, place: bytes, plain: bytes) -> bytes:
        """Sealed bytes: format 1, random nonce of 12, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _FORMAT + nonce + self._cipher.encrypt(nonce, plain, place)

    def open(self, place: bytes, sealed: bytes) -> bytes:
        """The plain bytes.

        Raises:
            Incident: changed, cut, moved from another place, or sealed under another key.
        """
        return self.open_each(((place, sealed),))[0]

    def open_each(self, every: Iterable[tuple[bytes, bytes]]) -> list[bytes]:
        """The plain bytes of each (place, sealed), in order; of none when one does not open.

        Raises:
            Incident: as for one.
        """
        decrypt, opened = self._cipher.decrypt, []
        try:
            for place, sealed in every:
                if sealed[:1] != _FORMAT:
                    raise Incident("stored data has an unknown format")
                opened.append(decrypt(sealed[1:13], sealed[13:], place))
        except (InvalidTag, ValueError) as fault:
            raise Incident("stored data does not open") from fault
        return opened


def subkey(key: bytes, use: bytes) -> bytes:
    """A 32-byte key for one use, by HKDF-SHA256 (RFC 5869)."""
    return HKDF(SHA256(), _KEY_BYTES, salt=None, info=b"pgo1|" + use).derive(key)


@dataclass(frozen=True, slots=True, repr=False)
class DossierKeys:
    """What one dossier needs: the box for its content, and the key for names (HMAC)."""

    box: Box
    index: bytes

    def name(self, *parts: str) -> bytes:
        """A 16-byte name for release|type|id and the like: says nothing without the key."""
        text = "|".join(parts).encode()
        return hmac.digest(self.index, text, sha256)[:16]


class Keys:
    """The wrapped keys of all dossiers, opened with the deployment's key (KEK).

    Opened keys are held for at most a minute, 4,096 at most, so that a destroyed key is gone
    everywhere within that time.
    """

    def __init__(self, store: Store, deployment: bytes, fresh: bytes | None = None) -> None:
        """`deployment` is the KEK, 32 bytes; `fresh` the one that is replacing it, if any."""
        self._store = store
        self._wrap = Box(subkey(deployment, b"wrap"))
        self._next = Box(subkey(fresh, b"wrap")) if fresh else None
        self._held: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._boxes: OrderedDict[str, tuple[bytes, DossierKeys]] = OrderedDict()

    async def make(self, client: str) -> None:
        """Give a client his data and audit key, unless he has them."""
        for name in ("data", "audit"):
            wrapped = self._wrap.seal(_place(client, name), os.urandom(_KEY_BYTES))
            await self._store.keep_key(client, name, wrapped)

    async def audit_key(self, client: str) -> bytes:
        """The audit key, 32 bytes.

        Raises:
            NotFound: there is no such dossier.
        """
        return await self._key(client, "audit")

    async def data(self, client: str) -> DossierKeys:
        """The keys for a dossier's content.

        Raises:
            NotFound: there is no such dossier, or it was erased.
        """
        key = await self._key(client, "data")
        kept = self._boxes.get(client)
        if kept is None or kept[0] is not key:
            opened = DossierKeys(Box(subkey(key, b"content")), subkey(key, b"index"))
            self._boxes[client] = kept = (key, opened)
            while len(self._boxes) > _CACHED_KEYS:
                self._boxes.popitem(last=False)
        return kept[1]

    async def anchor_seed(self) -> bytes:
        """32 bytes for the key that signs audit anchors; the same after a rotation of the KEK."""
        return subkey(await self.audit_key(SYSTEM), b"anchor")

    async def rewrap(self, client: str) -> int:
        """Wrap this client's keys under the `fresh` KEK, unless they are; how many were changed.

        Raises:
            Incident: a key opens with neither KEK.
        """
        if self._next is None:
            raise Incident("there is no fresh key to wrap with")
        changed = 0
        for name, wrapped in (await self._store.key(client)).items():
            place = _place(client, name)
            with suppress(Incident):
                self._next.open(place, wrapped)
                continue
            again = self._next.seal(place, self._wrap.open(place, wrapped))
            changed += await self._store.rewrap_key(client, name, wrapped, again)
        return changed

    def forget(self, client: str) -> None:
        """Drop opened keys of a client from memory."""
        for name in ("data", "audit"):
            self._held.pop((client, name), None)
        self._boxes.pop(client, None)

    async def _key(self, client: str, name: str) -> bytes:
        held = self._held.get((client, name))
        if held is not None and monotonic() - held[0] < _CACHE_SECONDS:
            return held[1]
        wrapped = (await self._store.key(client)).get(name)
        if wrapped is None:
            self.forget(client)
            raise NotFound("not found")
        key = self._unwrapped(_place(client, name), wrapped)
        self._held[(client, name)] = (monotonic(), key if held is None else _same(held[1], key))
        while len(self._held) > _CACHED_KEYS:
            self._held.popitem(last=False)
        return self._held[(client, name)][1]

    def _unwrapped(self, place: bytes, wrapped: bytes) -> bytes:
        if self._next is not None:
            with suppress(Incident):
                return self._next.open(place, wrapped)
        return self._wrap.open(place, wrapped)


def opens(deployment: bytes, client: str, name: str, wrapped: bytes) -> bool:
    """Whether this is a key of a client, "data" or "audit", wrapped with this deployment's key."""
    try:
        Box(subkey(deployment, b"wrap")).open(_place(client, name), wrapped)
    except Incident:
        return False
    return True


def _same(old: bytes, new: bytes) -> bytes:
    """The old object when the bytes are equal, so that what was derived from it stays good."""
    return old if old == new else new


def _place(client: str, name: str) -> bytes:
    return f"pgo1|key|{client}|{name}".encode()
