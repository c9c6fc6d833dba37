"""What was handed in before: a code or refresh token that comes again shows that somebody has it.

The note of a spending is kept sealed under the hash of the token, for as long as what came of it
can live.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import orjson

from pgo.dossier.seal import Box
from pgo.errors import InvalidGrant
from pgo.store.contract import Store


class Whose(Protocol):
    """Whose a token is, and its family."""

    @property
    def family(self) -> str: ...  # noqa: D102 - see the class

    @property
    def person(self) -> str: ...  # noqa: D102 - see the class

    @property
    def app(self) -> str: ...  # noqa: D102 - see the class

    @property
    def dossier(self) -> str: ...  # noqa: D102 - see the class


@dataclass(frozen=True, slots=True)
class Spent:
    """What is remembered of a token that was handed in; see `pgo.oauth.tokens.Grant`."""

    family: str
    person: str
    app: str
    dossier: str


class Reused(InvalidGrant):
    """A refresh token was handed in a second time (RFC 9700 4.14); its family has ended."""

    def __init__(self, whose: Whose) -> None:
        super().__init__("This grant is not good, or not any more.")
        self.whose = whose


class Notes:
    """The notes of spendings, in `store`, sealed with `box`."""

    def __init__(self, store: Store, box: Box) -> None:
        self._store, self._box = store, box

    async def keep(self, space: str, name: str, whose: Whose, until: int) -> None:
        """Remember that the token of this name was handed in."""
        said = [whose.family, whose.person, whose.app, whose.dossier]
        note = self._box.seal(_place(space, name), orjson.dumps(said))
        await self._store.put(f"{space}-spent", name, note, until)

    async def find(self, space: str, name: str, now: int) -> Spent | None:
        """What the token of this name was, when it was handed in before."""
        note = await self._store.peek(f"{space}-spent", name, now)
        return (
            None
            if note is None
            else Spent(*orjson.loads(self._box.open(_place(space, name), note)))
        )


def _place(space: str, name: str) -> bytes:
    return f"oauth|{space}-spent|{name}".encode()
